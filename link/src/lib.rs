//! Dialling the hub: the client's side of a link, the same for adapters and desktops.
//! A link that is silent, refused or cut ends with a reason; [`Backoff`] says when to dial again.

mod backoff;
pub mod causes;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use pinkas_protocol::close::Close;
use pinkas_protocol::wire::{self, WireError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{Error as WsError, TlsError};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

pub use backoff::Backoff;

/// How long dialling may take, from the name lookup to the WebSocket handshake.
pub const DIAL_WITHIN: Duration = Duration::from_secs(5);

/// A link on which nothing came for so long is dead: the hub pings every ten seconds.
pub const SILENT_AFTER: Duration = Duration::from_secs(25);

/// Bytes that [`Link::feed`] collects at most before they are written.
const WRITE_TOGETHER: usize = 16 * 1024;

/// Where the hub is: `ws://host:port` or `wss://host:port`, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUrl(url::Url);

impl FromStr for HubUrl {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let url = url::Url::parse(text).map_err(|_| ())?;
        let plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let named = url.host_str().is_some_and(|host| !host.is_empty());
        let bare = url.username().is_empty() && url.password().is_none();
        if matches!(url.scheme(), "ws" | "wss") && plain && named && bare { Ok(HubUrl(url)) } else { Err(()) }
    }
}

impl fmt::Display for HubUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// What to write in a configuration where a [`HubUrl`] is wanted.
pub const HUB_URL_EXAMPLE: &str = "the hub's address such as \"ws://127.0.0.1:7420\"";

/// Why a link ended. `Display` is a clause for people: "hub: …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The hub cannot be reached, and why.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The hub closed it and said why.
    #[error("{0}")]
    Closed(Close),
    /// The hub speaks this version, and this program another.
    #[error(
        "the hub speaks version {0} of the protocol and this program version {own}; install the same Pinkas on both sides",
        own = wire::VERSION
    )]
    OtherVersion(u32),
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
    /// Nothing came for [`SILENT_AFTER`].
    #[error("nothing was heard for {} s", SILENT_AFTER.as_secs())]
    Silent,
    /// What came is not a message of this link.
    #[error("{0}")]
    NotUnderstood(#[from] WireError),
}

/// An open link.
pub struct Link {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Link {
    /// Dials `path` (`/adapter` or `/agent`) at the hub.
    pub async fn dial(hub: &HubUrl, path: &str) -> Result<Link, Ended> {
        // One TLS implementation for the whole program; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // tungstenite's default read buffer is 128 KiB for each connection.
        let config = WebSocketConfig::default()
            .read_buffer_size(4096)
            .write_buffer_size(WRITE_TOGETHER)
            .max_message_size(Some(wire::LARGEST_DOWN))
            .max_frame_size(Some(wire::LARGEST_DOWN));
        let mut url = hub.0.clone();
        url.set_path(path);
        let dialled =
            tokio::time::timeout(DIAL_WITHIN, connect_async_with_config(url.as_str(), Some(config), true))
                .await;
        match dialled {
            Ok(Ok((socket, _))) => Ok(Link { socket }),
            Ok(Err(e)) => Err(Ended::Unreachable(dial_error(&e))),
            Err(_) => Err(Ended::Unreachable(format!("no answer within {} s", DIAL_WITHIN.as_secs()))),
        }
    }

    /// Sends one message and flushes it.
    pub async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), Ended> {
        let frame = Message::text(wire::encode(message));
        self.socket.send(frame).await.map_err(|_| Ended::Broken)
    }

    /// Sends one message with the next [`Link::flush`], or before, so that several leave together.
    pub async fn feed<T: Serialize>(&mut self, message: &T) -> Result<(), Ended> {
        let frame = Message::text(wire::encode(message));
        self.socket.feed(frame).await.map_err(|_| Ended::Broken)
    }

    /// Sends what was fed.
    pub async fn flush(&mut self) -> Result<(), Ended> {
        self.socket.flush().await.map_err(|_| Ended::Broken)
    }

    /// The next message. Cancel-safe.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<T, Ended> {
        loop {
            let frame = match tokio::time::timeout(SILENT_AFTER, self.socket.next()).await {
                Err(_) => return Err(Ended::Silent),
                Ok(frame) => frame,
            };
            if let Some(message) = understood(frame)? {
                return Ok(message);
            }
        }
    }

    /// The next message, if it is here already.
    pub fn ready<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Ended> {
        while let Some(frame) = self.socket.next().now_or_never() {
            if let Some(message) = understood(frame)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Says goodbye; errors do not matter any more.
    pub async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = tokio::time::timeout(Duration::from_millis(500), self.socket.close(Some(frame))).await;
    }
}

fn closed(frame: &CloseFrame) -> Ended {
    let version = Close::version_in(&frame.reason);
    match (Close::from_code(frame.code.into()), version) {
        (Some(Close::WrongVersion), Some(version)) => Ended::OtherVersion(version),
        (Some(close), _) => Ended::Closed(close),
        (None, _) => Ended::Broken,
    }
}

/// `None`: nothing to be told of.
fn understood<T: DeserializeOwned>(frame: Option<Result<Message, WsError>>) -> Result<Option<T>, Ended> {
    match frame {
        None | Some(Err(_)) => Err(Ended::Broken),
        Some(Ok(Message::Text(text))) => Ok(Some(wire::decode(&text)?)),
        Some(Ok(Message::Close(frame))) => Err(frame.map_or(Ended::Broken, |frame| closed(&frame))),
        // tungstenite answers pings by itself while it is read.
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => Ok(None),
    }
}

fn dial_error(error: &WsError) -> String {
    match error {
        WsError::Io(e) => causes::io(e),
        WsError::Tls(TlsError::Rustls(e)) => causes::tls(e),
        WsError::Http(response) if response.status().as_u16() == 503 => {
            "too many are logging in at once".to_owned()
        }
        WsError::Http(response) => {
            format!("what answers there is not the hub (HTTP {})", response.status().as_u16())
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_an_address_and_nothing_else() {
        assert_eq!(
            "ws://127.0.0.1:7420".parse::<HubUrl>().map(|u| u.to_string()),
            Ok("ws://127.0.0.1:7420".to_owned())
        );
        assert!("wss://hub.example".parse::<HubUrl>().is_ok());
        for wrong in
            ["", "127.0.0.1:7420", "http://hub", "ws://", "ws://user:secret@hub", "ws://hub/agent?token=1"]
        {
            assert_eq!(wrong.parse::<HubUrl>(), Err(()), "{wrong}");
        }
    }
}
