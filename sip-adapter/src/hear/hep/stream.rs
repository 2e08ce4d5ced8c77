//! HEP packets over TCP: one after the other, each as long as it says. Connections are bounded in number, in
//! what they may send ahead and in how long they may be silent. One that has proven nothing yet gives way to a
//! newer one, so that nobody keeps the phone system out by dialling and saying nothing.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Came;
use super::gate::{Counts, Gate};
use super::packet::{self, HEAD};

/// The most connections at once; a phone system keeps one, or one for each of its workers.
const MOST_CONNECTIONS: usize = 64;

/// A connection on which nothing comes for so long is closed; a sender that is alive dials again.
const SILENT: Duration = Duration::from_secs(600);

/// A packet that has begun is there whole within this time.
const WHOLE: Duration = Duration::from_secs(10);

/// How long to wait after the system could not take a connection, for want of descriptors say.
const BREATH: Duration = Duration::from_millis(200);

/// The same trouble with connections is told once in so long: whoever dials again and again must not fill the log.
const TELL_EVERY: Duration = Duration::from_secs(60);

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

/// A connection that stands.
struct Guest {
    /// It has sent a packet that may be looked at.
    proven: Arc<AtomicBool>,
    /// Cancelled to end it, and once it has ended.
    leaves: CancellationToken,
}

/// Takes connections until `stop`, then ends them.
pub(super) async fn accept(
    listener: TcpListener,
    gate: Arc<Gate>,
    counts: Arc<Counts>,
    messages: mpsc::Sender<Streamed>,
    stop: CancellationToken,
) {
    let mut guests = VecDeque::new();
    let mut tasks = JoinSet::new();
    let mut complaints = Complaints::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next() => {
                if let Ok((ended, peer)) = ended
                    && ended != Ended::Well
                {
                    Counts::add(&counts.closed);
                    complaints.tell(ended, peer, Instant::now());
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let peer: SocketAddr = peer;
        if !gate.knows(peer.ip(), &counts) {
            continue;
        }
        if !has_room(&mut guests) {
            Counts::add(&counts.closed);
            complaints.tell(Ended::NoRoom, peer.ip(), Instant::now());
            continue;
        }
        let (proven, leaves) = (Arc::<AtomicBool>::default(), stop.child_token());
        guests.push_back(Guest { proven: proven.clone(), leaves: leaves.clone() });
        let (gate, counts, messages) = (gate.clone(), counts.clone(), messages.clone());
        tasks.spawn(async move {
            let _ended = leaves.clone().drop_guard();
            let ended = tokio::select! {
                () = leaves.cancelled() => Ended::Well,
                ended = read(stream, &gate, &counts, &messages, &proven) => ended,
            };
            (ended, peer.ip())
        });
    }
    // Each is a child of `stop`.
    while tasks.join_next().await.is_some() {}
}

/// Whether one more may stay; where there are too many, the one goes that has proven nothing for the longest time.
fn has_room(guests: &mut VecDeque<Guest>) -> bool {
    guests.retain(|guest| !guest.leaves.is_cancelled());
    if guests.len() < MOST_CONNECTIONS {
        return true;
    }
    let unproven = guests.iter().position(|guest| !guest.proven.load(Ordering::Relaxed));
    let Some(gone) = unproven.and_then(|at| guests.remove(at)) else { return false };
    gone.leaves.cancel();
    true
}

/// When each trouble was told last.
#[derive(Default)]
struct Complaints {
    no_hep: Option<Instant>,
    no_room: Option<Instant>,
}

impl Complaints {
    fn tell(&mut self, ended: Ended, peer: IpAddr, now: Instant) {
        let told = match ended {
            Ended::Well => return,
            Ended::Silent => {
                return tracing::debug!("a connection with copies of SIP traffic fell silent: {peer}");
            }
            Ended::NoHep => &mut self.no_hep,
            Ended::NoRoom => &mut self.no_room,
        };
        if told.is_some_and(|at| now < at + TELL_EVERY) {
            return;
        }
        *told = Some(now);
        match ended {
            Ended::NoHep => {
                tracing::warn!("what comes over TCP is not HEPv3; the connection is closed: {peer}");
            }
            _ => tracing::warn!(
                "more than {MOST_CONNECTIONS} connections with copies of SIP traffic: those of {peer} are refused"
            ),
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The other side closed it, it gave way to another, or nobody listens any more.
    Well,
    /// What came was no packet: where the next begins cannot be known.
    NoHep,
    /// Nothing came, or a packet was not there whole in time.
    Silent,
    /// There were too many others.
    NoRoom,
}

/// Reads packets until the stream ends.
pub(super) async fn read(
    stream: impl AsyncRead + Unpin,
    gate: &Gate,
    counts: &Counts,
    messages: &mpsc::Sender<Streamed>,
    proven: &AtomicBool,
) -> Ended {
    // Several packets come at once; the longest has 65,535 bytes.
    let mut stream = tokio::io::BufReader::with_capacity(1 << 14, stream);
    let mut packet = Vec::new();
    loop {
        let mut head = [0; HEAD];
        let (first, others) = head.split_at_mut(1);
        match tokio::time::timeout(SILENT, stream.read_exact(first)).await {
            Err(_) => return Ended::Silent,
            Ok(Err(_)) => return Ended::Well,
            Ok(Ok(_)) => {}
        }
        let until = Instant::now() + WHOLE;
        match tokio::time::timeout_at(until, stream.read_exact(others)).await {
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
        match tokio::time::timeout_at(until, stream.read_exact(rest)).await {
            Err(_) => return Ended::Silent,
            Ok(Err(_)) => return Ended::Well,
            Ok(Ok(_)) => {}
        }
        if !proven.load(Ordering::Relaxed) && gate.trusts(&packet) {
            proven.store(true, Ordering::Relaxed);
        }
        if let Some(packet) = gate.admits(&packet, counts) {
            let message = Streamed { came: Came::now(&packet), payload: packet.payload.to_vec() };
            if messages.send(message).await.is_err() {
                return Ended::Well;
            }
        }
    }
}
