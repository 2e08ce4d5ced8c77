//! CPU per packet of copied SIP traffic (HEPv3) at 15,000 packets a second: the adapter, up to events
//! acknowledged by a hub, beside Kamailio's sipcapture, which writes each message into a file, and a floor that
//! only takes datagrams out of its socket. Fourteen of twenty packets are of calls.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, ensure};
use pinkas_protocol::Line;
use pinkas_tests::lab::process::{udp_bound, until};
use pinkas_tests::measure::copies::{BESIDE, Copies, OF_A_CALL};
use pinkas_tests::measure::hub::CountingHub;
use pinkas_tests::measure::program::{self, Adapter};
use pinkas_tests::measure::{Processes, dropped_at, own_cpu, paced};

use super::Verdict;
use super::kamailio::Ruler;

const RATE: u32 = 15_000;
const LASTING: Duration = Duration::from_secs(10);
/// Calls that go on at the same time; a run is a whole number of such blocks.
const AT_ONCE: u64 = 250;
const FIRST_LINE: u32 = 2000;
const LINES: u32 = 500;

/// Prints it.
pub async fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!("\n— copied SIP traffic: {RATE} HEP packets a second for {} s", LASTING.as_secs());
    let sender = UdpSocket::bind("127.0.30.201:0")?;
    let floor = floor(&sender)?;
    println!("floor, recv in a loop: {:.2} µs of CPU per packet", floor.micros);

    let hub = CountingHub::start("127.0.30.202:7420".parse()?).await?;
    let at: SocketAddrV4 = "127.0.30.202:9060".parse()?;
    let lines: Vec<Line> =
        (FIRST_LINE..FIRST_LINE + LINES).filter_map(|n| Line::parse(&n.to_string()).ok()).collect();
    let mut adapter = Adapter::start(hub.address, &lines, &program::hep(at.into(), "127.0.30.201".parse()?))?;
    until("the adapter to listen", Duration::from_secs(20), async || udp_bound(at.into()).then_some(()))
        .await
        .with_context(|| adapter.log())?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let first = run(&sender, at, adapter.processes(), 0).await?;
    let second = run(&sender, at, adapter.processes(), 1).await?;
    adapter.must_run()?;
    // The last call ends a moment after its last packet.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let told = hub.told();
    for (name, one) in [("adapter", &first), ("adapter again (A/A)", &second)] {
        println!(
            "{name}: {:.2} µs of CPU per packet, {} of {} packets dropped",
            one.micros, one.dropped, one.sent
        );
    }
    let calls = (first.sent + second.sent) / (OF_A_CALL + BESIDE) as u64;
    println!(
        "the hub was told of {} ringing and {} ended of {calls} calls, {} events",
        told.rang.len(),
        told.ended.len(),
        told.events
    );
    ensure!(told.events > 0, "the adapter told nothing: {}", adapter.log());
    verdict.at_most("HEP packets dropped", (first.dropped + second.dropped) as f64, 0.0, "");
    verdict.at_most("calls not told", calls.saturating_sub(told.ended.len() as u64) as f64, 0.0, "");
    drop(adapter);

    let at: SocketAddrV4 = "127.0.30.203:9060".parse()?;
    match Ruler::capture(at).await {
        Ok(peer) => {
            let cost = run(&sender, at, peer.processes(), 2).await?;
            println!(
                "Kamailio's sipcapture: {:.2} µs of CPU per packet, {} of {} packets dropped, {} MB written",
                cost.micros,
                cost.dropped,
                cost.sent,
                peer.written() / 1_000_000
            );
            ensure!(peer.written() > 0, "sipcapture wrote nothing");
            let mine = (first.micros + second.micros) / 2.0;
            verdict.at_most("adapter / sipcapture, CPU per HEP packet", mine / cost.micros, 0.17, "");
        }
        Err(trouble) => verdict.skip("adapter / sipcapture, CPU per HEP packet", trouble)?,
    }
    Ok(())
}

struct Cost {
    micros: f64,
    dropped: u64,
    sent: u64,
}

/// Sends for a while and says what it cost these processes; `turn` makes its calls others than those before.
async fn run(sender: &UdpSocket, to: SocketAddrV4, processes: Processes, turn: u64) -> anyhow::Result<Cost> {
    let (before, dropped) = (processes.cpu(), dropped_at(to));
    let sender = sender.try_clone()?;
    let sent = tokio::task::spawn_blocking(move || send(&sender, to.into(), turn)).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let spent = processes.cpu().saturating_sub(before);
    Ok(Cost { micros: spent.as_secs_f64() * 1e6 / sent as f64, dropped: dropped_at(to) - dropped, sent })
}

/// Calls in which [`AT_ONCE`] go on at the same time, a packet of each in turn.
fn send(sender: &UdpSocket, to: SocketAddr, turn: u64) -> u64 {
    let copies = Copies::new(FIRST_LINE, LINES);
    let each = (OF_A_CALL + BESIDE) as u64;
    paced(RATE, LASTING, |n| {
        let (block, within) = (n / (AT_ONCE * each), n % (AT_ONCE * each));
        let call = turn * 1_000_000 + block * AT_ONCE + within % AT_ONCE;
        let place = usize::try_from(within / AT_ONCE).unwrap_or(0);
        let bytes = if place < OF_A_CALL {
            copies.of_call(call, place)
        } else {
            copies.beside(call, place - OF_A_CALL)
        };
        // What the kernel does not take is counted as not told.
        let _lost = bytes.map(|bytes| sender.send_to(&bytes, to));
    })
}

/// A thread that only takes datagrams.
fn floor(sender: &UdpSocket) -> anyhow::Result<Cost> {
    let socket = UdpSocket::bind("127.0.30.204:9060")?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let SocketAddr::V4(at) = socket.local_addr()? else { anyhow::bail!("an IPv4 address") };
    let reader = std::thread::Builder::new().name("floor".to_owned()).spawn(move || {
        let mut buffer = vec![0; 65_536];
        let mut taken = 0;
        while let Ok(length) = socket.recv(&mut buffer) {
            taken += u64::from(length > 0);
        }
        (taken, own_cpu())
    })?;
    let sent = send(sender, at.into(), 9);
    let dropped = dropped_at(at);
    let (taken, spent) = reader.join().map_err(|_| anyhow::anyhow!("the floor failed"))?;
    Ok(Cost { micros: spent.as_secs_f64() * 1e6 / taken.max(1) as f64, dropped, sent })
}
