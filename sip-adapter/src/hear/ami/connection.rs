//! One TCP connection to a manager interface: bytes, login, and what can go wrong with it, in words for
//! whoever runs it. Knows nothing of calls.

use std::net::SocketAddr;
use std::time::Duration;

use md5::{Digest, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use super::packet::{Decoder, Packet, Piece};
use crate::config::Ami;
use crate::sip::charset::Charset;

/// Connecting and each step of the login may take so long.
const STEP: Duration = Duration::from_secs(5);

/// What may wait to be sent, in bytes: questions about two thousand channels. More is a phone system that reads nothing.
const MOST_TO_SEND: usize = 1024 * 1024;

/// The classes of events that are wanted. Verified with Asterisk 16.28 and 22.10: channels, dials, bridges,
/// holds, transfers, pickups, devices and extensions are `call`; queues and their members are `agent`.
const CLASSES: &str = "agent,call";

/// Why a connection does not stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error(
        "cannot reach the manager interface at {0} ({1}): is Asterisk running there, with `enabled=yes` and \
         a `bindaddr` and `port` that fit in manager.conf, and does no firewall stand between?"
    )]
    Unreachable(SocketAddr, String),
    #[error(
        "what answers at {0} is not Asterisk's manager interface: its port is `port` in manager.conf, often 5038"
    )]
    Stranger(SocketAddr),
    #[error(
        "the manager interface at {0} refuses the account: the user or secret is wrong, or the account's \
         permit and deny lines in manager.conf keep this machine out"
    )]
    Refused(SocketAddr),
    #[error("the manager interface at {0} does not answer the login within {step} s", step = STEP.as_secs())]
    NoLogin(SocketAddr),
    #[error("the manager interface at {0} has closed the connection")]
    Closed(SocketAddr),
    #[error("the manager interface at {0} has fallen silent")]
    Silent(SocketAddr),
    #[error("the manager interface at {0} does not give its lists of queues and channels in time")]
    NoLists(SocketAddr),
}

/// Whether more is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Now,
    /// What was read is not yet taken; the phone system waits.
    Paused,
}

/// A connection that is logged in.
#[derive(Debug)]
pub(super) struct Connection {
    peer: SocketAddr,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    decoder: Decoder,
    buffer: Vec<u8>,
    to_send: Vec<u8>,
}

impl Connection {
    /// Connects and logs in by challenge, so that the secret does not cross the wire.
    pub async fn open(ami: &Ami, charset: Option<Charset>) -> Result<Connection, Trouble> {
        let peer = ami.address;
        let unreachable = |error: String| Trouble::Unreachable(peer, error);
        let stream = match timeout(STEP, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(crate::check::in_words(&error.into()))),
            Err(_) => return Err(unreachable("no answer".to_owned())),
        };
        // Without this a small question may wait for the answer to the one before.
        let _as_it_was = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let decoder = Decoder::new(charset);
        let (buffer, to_send) = (vec![0; 16 * 1024], Vec::new());
        let mut connection = Connection { peer, reader, writer, decoder, buffer, to_send };
        connection.greeted().await?;
        connection.log_in(ami).await?;
        Ok(connection)
    }

    async fn greeted(&mut self) -> Result<(), Trouble> {
        let peer = self.peer;
        let greeting = async {
            loop {
                match self.decoder.next_piece() {
                    Some(Piece::Banner(line)) if line.starts_with("Asterisk Call Manager") => return Ok(()),
                    Some(_) => return Err(Trouble::Stranger(peer)),
                    None if self.decoder.dropped > 0 => return Err(Trouble::Stranger(peer)),
                    None => match self.progress(Reading::Now).await {
                        // Too short for a banner, and over.
                        Err(Trouble::Closed(peer)) => return Err(Trouble::Stranger(peer)),
                        other => other?,
                    },
                }
            }
        };
        timeout(STEP, greeting).await.unwrap_or(Err(Trouble::Stranger(peer)))
    }

    async fn log_in(&mut self, ami: &Ami) -> Result<(), Trouble> {
        self.send("Challenge", &[("AuthType", "MD5"), ("ActionID", "challenge")]);
        let answer = self.answer("challenge").await?;
        let challenge = answer.known("Challenge").ok_or(Trouble::Refused(self.peer))?;
        let digest = Md5::new().chain_update(challenge).chain_update(ami.secret.0.as_bytes()).finalize();
        let key: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let fields = [("AuthType", "MD5"), ("Username", ami.user.as_str()), ("Key", &key)];
        self.send("Login", &[fields.as_slice(), &[("Events", CLASSES), ("ActionID", "login")]].concat());
        let answer = self.answer("login").await?;
        if answer.get("Response") == Some("Success") { Ok(()) } else { Err(Trouble::Refused(self.peer)) }
    }

    /// The answer to an action during the login; what comes before it is passed over.
    pub async fn answer(&mut self, id: &str) -> Result<Packet, Trouble> {
        let peer = self.peer;
        let waiting = async {
            loop {
                match self.next_packet() {
                    Some(packet) if packet.event().is_none() && packet.get("ActionID") == Some(id) => {
                        return Ok(packet);
                    }
                    Some(_) => {}
                    None => self.progress(Reading::Now).await?,
                }
            }
        };
        timeout(STEP, waiting).await.unwrap_or(Err(Trouble::NoLogin(peer)))
    }

    /// Puts an action in line to be sent.
    pub fn send(&mut self, action: &str, fields: &[(&str, &str)]) {
        let one_line = |text: &str| text.replace(['\r', '\n'], " ");
        let mut text = format!("Action: {action}\r\n");
        for (name, value) in fields {
            text.push_str(&format!("{name}: {}\r\n", one_line(value)));
        }
        text.push_str("\r\n");
        self.to_send.extend_from_slice(text.as_bytes());
    }

    /// Sends and reads as much as goes at once. May be dropped while it waits.
    pub async fn progress(&mut self, reading: Reading) -> Result<(), Trouble> {
        if self.to_send.len() > MOST_TO_SEND {
            return Err(Trouble::Silent(self.peer));
        }
        tokio::select! {
            read = self.reader.read(&mut self.buffer), if reading == Reading::Now => match read {
                Ok(read @ 1..) => self.decoder.push(self.buffer.get(..read).unwrap_or_default()),
                Ok(0) | Err(_) => return Err(Trouble::Closed(self.peer)),
            },
            sent = self.writer.write(&self.to_send), if !self.to_send.is_empty() => match sent {
                Ok(sent) => drop(self.to_send.drain(..sent)),
                Err(_) => return Err(Trouble::Closed(self.peer)),
            },
            () = std::future::pending(), if reading == Reading::Paused => {}
        }
        Ok(())
    }

    /// The next packet of what was read.
    pub fn next_packet(&mut self) -> Option<Packet> {
        loop {
            match self.decoder.next_piece()? {
                Piece::Packet(packet) => return Some(packet),
                Piece::Banner(_) => {}
            }
        }
    }

    /// How many lines and fields were dropped since this was asked last, because they were too long.
    pub fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.decoder.dropped)
    }

    /// Whom it connects to.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}
