//! Hearing by a copy of the SIP traffic (HEPv3), as Asterisk, Kamailio, OpenSIPS, FreeSWITCH and many session
//! border controllers send it. This file only wires: sockets to [`gate`], what is let in to [`crate::hear::legs`].
//! Sends nothing.

pub mod gate;
mod glance;
mod intake;
mod lean;
pub mod packet;
mod stream;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub use self::gate::Counts;
use self::gate::{Gate, Refusals};
pub use self::glance::of_a_call;
pub use self::intake::Intake;
pub(crate) use self::intake::limits;
use self::packet::Packet;
use crate::config::{Hep, Pbx};
use crate::hear::legs::Seen;
use crate::hear::{Heard, Way, What};

/// What to do when `listen` cannot be had.
const LISTEN: &str =
    "`listen` must be an address of this machine, and its port free; an adapter that runs already has it";

/// What the kernel may keep while this program is busy: over a second of 15,000 packets. Linux gives as much as
/// `net.core.rmem_max` allows.
const RECEIVE_BUFFER: usize = 16 << 20;

/// How many datagrams are taken before timers and TCP get their turn.
const AT_ONCE: usize = 256;

/// How often the kernel is asked what it dropped.
const ASKS_KERNEL: Duration = Duration::from_secs(10);

/// Messages from TCP connections that wait for their turn; when full, the connections wait.
const STREAM_QUEUE: usize = 256;

/// Hears until `stop`. Says [`What::Up`] when it can hear and [`What::Down`] at the end.
///
/// Fails only when an address cannot be listened on.
pub async fn run(
    config: Hep,
    pbx: Pbx,
    heard: mpsc::Sender<Heard>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    run_counting(config, pbx, heard, stop, Arc::default()).await
}

/// As [`run`], counting what comes in `counts`.
pub async fn run_counting(
    config: Hep,
    pbx: Pbx,
    heard: mpsc::Sender<Heard>,
    stop: CancellationToken,
    counts: Arc<Counts>,
) -> anyhow::Result<()> {
    let listen = config.listen;
    let udp = udp_socket(listen)
        .with_context(|| format!("cannot listen on udp {listen} for copies of SIP traffic: {LISTEN}"))?;
    let tcp = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on tcp {listen} for copies of SIP traffic: {LISTEN}"))?;
    let gate = Arc::new(Gate::new(&config));
    let (streamed_in, mut streamed) = mpsc::channel(STREAM_QUEUE);
    let stop = stop.child_token();
    let _ended_with_this = stop.clone().drop_guard();
    let streams = tokio::spawn(stream::accept(tcp, gate.clone(), counts.clone(), streamed_in, stop.clone()));
    let mut ear = Ear {
        intake: Intake::new(&config, &pbx, counts.clone()),
        started: Instant::now(),
        heard,
        counts,
        refusals: Refusals::default(),
        told: BTreeSet::new(),
    };
    ear.say(What::Up { live: None }).await;
    tracing::info!(lines = pbx.lines.len(), "taking copies of SIP traffic on {listen}");

    let mut buffer = vec![0; 1 << 16];
    let mut ask = tokio::time::interval(ASKS_KERNEL);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        let tick = ear.intake.next_tick().map(|at| ear.started + at);
        let wait = async {
            match tick {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = wait => ear.tick().await,
            Some(streamed) = streamed.recv() => ear.take(streamed.seen(), &streamed.payload).await,
            _ = ask.tick() => {
                ask_kernel(listen, &ear.counts).await;
                ear.tell_refusals();
            }
            ready = udp.readable() => {
                // An error of a datagram socket is about one datagram.
                if ready.is_ok() {
                    ear.drain(&udp, &gate, &mut buffer).await;
                }
            }
        }
        if ear.heard.is_closed() {
            break;
        }
    }
    stop.cancel();
    streams.await.context("taking TCP connections failed")?;
    ear.tell_refusals();
    ear.say(What::Down).await;
    Ok(())
}

fn udp_socket(listen: SocketAddr) -> anyhow::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // The kernel gives what it may; less is no reason not to start.
    if socket.set_recv_buffer_size(RECEIVE_BUFFER).is_err() {
        tracing::warn!("the receive buffer for copies of SIP traffic stays small");
    }
    socket.bind(&listen.into())?;
    Ok(UdpSocket::from_std(socket.into())?)
}

/// What hears: the tracker and where its words go.
struct Ear {
    intake: Intake,
    started: Instant,
    heard: mpsc::Sender<Heard>,
    counts: Arc<Counts>,
    refusals: Refusals,
    /// Refusals that were told in the log.
    told: BTreeSet<&'static str>,
}

impl Ear {
    /// Takes what has come over UDP.
    async fn drain(&mut self, udp: &UdpSocket, gate: &Gate, buffer: &mut [u8]) {
        for _ in 0..AT_ONCE {
            let Ok((length, sender)) = udp.try_recv_from(buffer) else { return };
            if !gate.knows(sender.ip(), &self.counts) {
                continue;
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            if let Some(packet) = gate.admits(bytes, &self.counts) {
                let payload = packet.payload;
                self.take(Came::now(&packet), payload).await;
            }
        }
    }

    async fn take(&mut self, came: Came, payload: &[u8]) {
        let uptime = came.uptime(self.started);
        let seen = Seen { at: came.at, uptime, captured: came.captured, from: came.from, to: came.to };
        for heard in self.intake.take(seen, payload) {
            self.pass_on(heard).await;
        }
    }

    async fn tick(&mut self) {
        for heard in self.intake.tick(Timestamp::now(), self.started.elapsed()) {
            self.pass_on(heard).await;
        }
    }

    /// Adds what was refused since the last time to the program's figures.
    fn tell_refusals(&mut self) {
        for (why, times) in self.refusals.since(&self.counts) {
            crate::metrics::refused_times(Way::Hep, why, times);
            // The two that an administrator can mend, each told once.
            if let Some(words) = to_be_mended(why).filter(|_| self.told.insert(why)) {
                tracing::warn!("{words}");
            }
        }
    }

    async fn say(&mut self, what: What) {
        self.pass_on(Heard { at: Timestamp::now(), way: Way::Hep, what }).await;
    }

    async fn pass_on(&mut self, heard: Heard) {
        // Nobody listens any more: the loop sees it and ends.
        let _closed = self.heard.send(heard).await;
    }
}

fn to_be_mended(why: &str) -> Option<&'static str> {
    match why {
        "stranger" => Some(
            "copies of SIP traffic come from an address that is not in `from` of [hep] and are dropped: \
             if that is the phone system, add its address",
        ),
        "wrong_key" => Some(
            "copies of SIP traffic come without the key of [hep], or with another, and are dropped: \
             write the same key here and at the sender",
        ),
        _ => None,
    }
}

/// When a packet came, and what it says beside its message.
#[derive(Debug, Clone, Copy)]
struct Came {
    at: Timestamp,
    when: Instant,
    captured: Option<Duration>,
    from: Option<SocketAddr>,
    to: Option<SocketAddr>,
}

impl Came {
    fn now(packet: &Packet<'_>) -> Came {
        Came {
            at: Timestamp::now(),
            when: Instant::now(),
            captured: packet.captured,
            from: packet.from,
            to: packet.to,
        }
    }

    fn uptime(&self, started: Instant) -> Duration {
        self.when.saturating_duration_since(started)
    }
}

/// Notes what the kernel dropped, and says when it drops more.
async fn ask_kernel(listen: SocketAddr, counts: &Counts) {
    let table = if listen.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
    let Ok(table) = tokio::fs::read_to_string(table).await else { return };
    let Some(dropped) = dropped(&table, listen) else { return };
    let before = counts.overrun.swap(dropped, Ordering::Relaxed);
    if dropped > before {
        tracing::warn!(
            "{} copies of SIP messages were lost because they came too fast; raise net.core.rmem_max, or let the \
             phone system copy INVITE dialogs only",
            dropped - before
        );
    }
}

/// The last column of the socket's row in Linux's table of UDP sockets.
fn dropped(table: &str, listen: SocketAddr) -> Option<u64> {
    let ip = match listen {
        SocketAddr::V4(v4) => format!("{:08X}", u32::from_ne_bytes(v4.ip().octets())),
        SocketAddr::V6(v6) => {
            let octets = v6.ip().octets();
            let (words, _) = octets.as_chunks::<4>();
            words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect()
        }
    };
    let own = format!("{ip}:{:04X}", listen.port());
    let row = table.lines().find(|row| row.split_ascii_whitespace().nth(1) == Some(own.as_str()))?;
    row.split_ascii_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests;
