//! HEP packets over TCP: one after the other, each as long as it says. Connections are bounded in number, in
//! what they may send ahead and in how long they may be silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Came;
use super::gate::{Counts, Gate};
use super::packet::{self, HEAD};

/// The most connections at once; a phone system keeps one, or one for each of its workers.
const MOST_CONNECTIONS: usize = 64;

/// A connection on which nothing comes for so long is closed; a sender that is alive dials again.
const SILENT: Duration = Duration::from_secs(600);

/// How long to wait after the system could not take a connection, for want of descriptors say.
const BREATH: Duration = Duration::from_millis(200);

/// A message that came over TCP.
pub(super) struct Streamed {
    came: Came,
    /// The SIP message.
    pub payload: Vec<u8>,
}

impl Streamed {
    /// When it came, and between whom.
    pub fn seen(&self) -> Came {
        self.came
    }
}

/// Takes connections until `stop`, then ends them.
pub(super) async fn accept(
    listener: TcpListener,
    gate: Arc<Gate>,
    counts: Arc<Counts>,
    messages: mpsc::Sender<Streamed>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        if !gate.knows(peer.ip(), &counts) {
            continue;
        }
        let Ok(place) = room.clone().try_acquire_owned() else {
            Counts::add(&counts.closed);
            tracing::warn!(
                "more than {MOST_CONNECTIONS} connections with copies of SIP traffic: one more is refused"
            );
            continue;
        };
        let (gate, counts, messages, stop) = (gate.clone(), counts.clone(), messages.clone(), stop.clone());
        tasks.spawn(async move {
            let ended = tokio::select! {
                () = stop.cancelled() => Ended::Well,
                ended = read(stream, &gate, &counts, &messages) => ended,
            };
            if ended != Ended::Well {
                Counts::add(&counts.closed);
                told(ended, peer);
            }
            drop(place);
        });
    }
    tasks.close();
    tasks.wait().await;
}

fn told(ended: Ended, peer: SocketAddr) {
    match ended {
        Ended::Well => {}
        Ended::NoHep => {
            tracing::warn!("what comes over TCP is not HEPv3; the connection is closed: {}", peer.ip())
        }
        Ended::Silent => tracing::debug!("nothing came over TCP for {} s: {}", SILENT.as_secs(), peer.ip()),
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The other side closed it, or nobody listens any more.
    Well,
    /// What came was no packet: where the next begins cannot be known.
    NoHep,
    /// Nothing came.
    Silent,
}

/// Reads packets until the stream ends.
pub(super) async fn read(
    stream: impl AsyncRead + Unpin,
    gate: &Gate,
    counts: &Counts,
    messages: &mpsc::Sender<Streamed>,
) -> Ended {
    // Several packets come at once; the longest has 65,535 bytes.
    let mut stream = tokio::io::BufReader::with_capacity(1 << 14, stream);
    let mut packet = Vec::new();
    loop {
        let mut head = [0; HEAD];
        match tokio::time::timeout(SILENT, stream.read_exact(&mut head)).await {
            Err(_) => return Ended::Silent,
            Ok(Err(_)) => return Ended::Well,
            Ok(Ok(_)) => {}
        }
        let Ok(length) = packet::length(head) else {
            Counts::add(&counts.packets);
            Counts::add(&counts.malformed);
            return Ended::NoHep;
        };
        packet.clear();
        packet.resize(length, 0);
        let (start, rest) = packet.split_at_mut(HEAD);
        start.copy_from_slice(&head);
        match tokio::time::timeout(SILENT, stream.read_exact(rest)).await {
            Err(_) => return Ended::Silent,
            Ok(Err(_)) => return Ended::Well,
            Ok(Ok(_)) => {}
        }
        if let Some(packet) = gate.admits(&packet, counts) {
            let message = Streamed { came: Came::now(&packet), payload: packet.payload.to_vec() };
            if messages.send(message).await.is_err() {
                return Ended::Well;
            }
        }
    }
}
