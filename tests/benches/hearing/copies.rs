//! CPU per packet of copied SIP traffic (HEPv3) at 15,000 packets a second: the adapter, up to events acknowledged by a
//! hub, in turn with a floor that only takes datagrams and Kamailio's sipcapture. Half of what a collector costs as it
//! is deployed is promised, so against sipcapture that writes rows into PostgreSQL, its own processes alone; writing
//! into flat files, as nobody deploys it, is shown beside it. Thirteen of nineteen packets are of calls.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, ensure};
use pinkas_protocol::Line;
use pinkas_tests::lab::process::{udp_bound, until};
use pinkas_tests::measure::copies::{BESIDE, Copies, OF_A_CALL};
use pinkas_tests::measure::hub::CountingHub;
use pinkas_tests::measure::program::{self, Adapter};
use pinkas_tests::measure::verdict::Verdict;
use pinkas_tests::measure::{Processes, dropped_at, median, own_cpu, paced, waiting_at};

use super::collectors::{IntoDatabase, IntoFiles};

const RATE: u32 = 15_000;
/// Whole blocks of [`AT_ONCE`] calls at either rate: 3,750 calls, or 500.
const LASTING: Duration = Duration::from_millis(4_750);
const ROUNDS: u64 = 5;
/// A rate that sipcapture can take into PostgreSQL on two processors that are not busy: nearer to what a call centre sends.
const SLOW: u32 = 2_000;
const SLOW_ROUNDS: u64 = 3;
/// Calls that go on at the same time.
const AT_ONCE: u64 = 250;
const FIRST_LINE: u32 = 2000;
const LINES: u32 = 500;

const PROMISE: &str = "adapter / sipcapture into PostgreSQL, CPU per HEP packet";

/// Prints it.
pub async fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!(
        "\n— copied SIP traffic: {RATE} HEP packets a second for {} s, {ROUNDS} interleaved rounds, µs of CPU per packet taken",
        LASTING.as_secs_f64()
    );
    let sender = UdpSocket::bind("127.0.30.201:0")?;
    let hub = CountingHub::start("127.0.30.202:7420".parse()?).await?;
    let at: SocketAddrV4 = "127.0.30.202:9060".parse()?;
    let lines: Vec<Line> =
        (FIRST_LINE..FIRST_LINE + LINES).filter_map(|n| Line::parse(&n.to_string()).ok()).collect();
    let mut adapter = Adapter::start(hub.address, &lines, &program::hep(at.into(), "127.0.30.201".parse()?))?;
    until("the adapter to listen", Duration::from_secs(20), async || udp_bound(at.into()).then_some(()))
        .await
        .with_context(|| adapter.log())?;
    let files = verdict.part("sipcapture into flat files", IntoFiles::start().await)?;
    let database = verdict.part(PROMISE, IntoDatabase::start().await)?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    // Not counted: what is made once is made now.
    let warm = run(&sender, at, RATE, &adapter.processes(), 0).await?;
    let (a, b) = (
        run(&sender, at, RATE, &adapter.processes(), 1).await?,
        run(&sender, at, RATE, &adapter.processes(), 2).await?,
    );
    println!("A/A, the adapter twice: {:.2} and {:.2}, ratio {:.2}", a.micros, b.micros, b.micros / a.micros);
    let mut mine = vec![warm, a, b];
    let mut table = Table::default();
    for round in 0..ROUNDS {
        let turn = 10 + round;
        let floor = floor(&sender, turn)?;
        let one = run(&sender, at, RATE, &adapter.processes(), turn).await?;
        let mut row = format!("  floor {:.2} · adapter {:.2}", floor.micros, one.micros);
        table.floor.push(floor.micros);
        table.adapter.push(one.micros);
        table.to_floor.push(one.micros / floor.micros);
        if let Some(peer) = &files {
            let theirs = run(&sender, peer.at(), RATE, &peer.processes(), turn).await?;
            row += &format!(" · into files {:.2}", theirs.micros);
            table.files.push(theirs.micros);
            table.to_files.push(one.micros / theirs.micros);
            table.files_dropped += theirs.dropped;
        }
        if let Some(peer) = &database {
            let beside = peer.database();
            let before = beside.cpu();
            let theirs = run(&sender, peer.at(), RATE, &peer.processes(), turn).await?;
            let beside = beside.cpu().saturating_sub(before).as_secs_f64() * 1e6 / theirs.taken() as f64;
            row += &format!(" · into PostgreSQL {:.2} (PostgreSQL itself {beside:.0})", theirs.micros);
            table.database.push(theirs.micros);
            table.to_database.push(one.micros / theirs.micros);
            table.beside.push(beside);
            table.database_taken += theirs.taken();
            table.database_dropped += theirs.dropped;
        }
        println!("{row}");
        mine.push(one);
    }
    if let Some(peer) = &files {
        ensure!(peer.written() > 0, "sipcapture wrote nothing: {}", peer.log());
    }
    if let Some(peer) = &database {
        let (rows, taken) = (peer.rows().await?, table.database_taken);
        ensure!(
            rows * 100 >= taken * 95,
            "sipcapture wrote only {rows} rows of {taken} packets: {}",
            peer.log()
        );
        slow(&sender, at, &adapter.processes(), peer, &mut mine).await?;
    }
    adapter.must_run()?;
    told(verdict, &hub, &mine).await.with_context(|| adapter.log())?;
    drop(adapter);
    table.print();
    if database.is_some() {
        verdict.at_most(PROMISE, median(&mut table.to_database), 0.17, "");
    }
    Ok(())
}

/// At a rate at which sipcapture loses little; no promise.
async fn slow(
    sender: &UdpSocket,
    at: SocketAddrV4,
    adapter: &Processes,
    peer: &IntoDatabase,
    mine: &mut Vec<Cost>,
) -> anyhow::Result<()> {
    println!("at {SLOW} a second, for information:");
    let mut ratios = Vec::new();
    for turn in 30..30 + SLOW_ROUNDS {
        let one = run(sender, at, SLOW, adapter, turn).await?;
        let theirs = run(sender, peer.at(), SLOW, &peer.processes(), turn).await?;
        let ratio = one.micros / theirs.micros;
        println!(
            "  adapter {:.2} · into PostgreSQL {:.2}, {} of {} dropped · ratio {ratio:.2}",
            one.micros, theirs.micros, theirs.dropped, theirs.sent
        );
        ratios.push(ratio);
        mine.push(one);
    }
    println!("adapter / sipcapture into PostgreSQL at that rate, median: {:.2}", median(&mut ratios));
    Ok(())
}

/// Judges what the hub was told of all that was sent to the adapter.
async fn told(verdict: &mut Verdict, hub: &CountingHub, runs: &[Cost]) -> anyhow::Result<()> {
    let calls: u64 = runs.iter().map(|run| run.sent).sum::<u64>() / (OF_A_CALL + BESIDE) as u64;
    // The last call ends a moment after its last packet.
    let _missing = until("the last call", Duration::from_secs(10), async || {
        (hub.told().ended.len() as u64 >= calls).then_some(())
    })
    .await;
    let told = hub.told();
    println!(
        "the hub was told of {} ringing and {} ended of {calls} calls, {} events",
        told.rang.len(),
        told.ended.len(),
        told.events
    );
    ensure!(told.events > 0, "the adapter told nothing");
    let dropped: u64 = runs.iter().map(|run| run.dropped).sum();
    verdict.at_most("HEP packets dropped", dropped as f64, 0.0, "");
    verdict.at_most("calls not told", calls.saturating_sub(told.ended.len() as u64) as f64, 0.0, "");
    Ok(())
}

/// One figure of each round, of what was there.
#[derive(Default)]
struct Table {
    floor: Vec<f64>,
    adapter: Vec<f64>,
    files: Vec<f64>,
    database: Vec<f64>,
    beside: Vec<f64>,
    to_floor: Vec<f64>,
    to_files: Vec<f64>,
    to_database: Vec<f64>,
    files_dropped: u64,
    database_taken: u64,
    database_dropped: u64,
}

impl Table {
    fn print(&mut self) {
        let named = [
            ("floor, recv in a loop", &mut self.floor),
            ("adapter", &mut self.adapter),
            ("sipcapture into flat files", &mut self.files),
            ("sipcapture into PostgreSQL", &mut self.database),
            ("PostgreSQL itself, not counted", &mut self.beside),
            ("adapter / floor", &mut self.to_floor),
            ("adapter / sipcapture into flat files", &mut self.to_files),
            ("adapter / sipcapture into PostgreSQL", &mut self.to_database),
        ];
        for (name, values) in named {
            let middle = median(values);
            let (Some(least), Some(most)) = (values.first(), values.last()) else { continue };
            println!("{name:<38} {middle:>7.2}   ({least:.2} to {most:.2})");
        }
        if self.files_dropped > 0 {
            println!("sipcapture into flat files dropped {} packets", self.files_dropped);
        }
        let sent = self.database_taken + self.database_dropped;
        if self.database_dropped > 0 {
            println!(
                "sipcapture into PostgreSQL took {} of {sent} packets: it cannot take this rate here, and its CPU is per packet taken",
                self.database_taken
            );
        }
    }
}

struct Cost {
    micros: f64,
    dropped: u64,
    sent: u64,
}

impl Cost {
    fn of(spent: Duration, sent: u64, dropped: u64) -> Cost {
        let taken = sent.saturating_sub(dropped).max(1);
        Cost { micros: spent.as_secs_f64() * 1e6 / taken as f64, dropped, sent }
    }

    fn taken(&self) -> u64 {
        self.sent.saturating_sub(self.dropped).max(1)
    }
}

/// Sends for a while and says what it cost these processes; `turn` makes its calls others than those before.
async fn run(
    sender: &UdpSocket,
    to: SocketAddrV4,
    rate: u32,
    processes: &Processes,
    turn: u64,
) -> anyhow::Result<Cost> {
    let (before, dropped) = (processes.cpu(), dropped_at(to));
    let sender = sender.try_clone()?;
    let sent = tokio::task::spawn_blocking(move || send(&sender, to.into(), rate, turn)).await?;
    until("what was sent to be taken", Duration::from_secs(20), async || (waiting_at(to) == 0).then_some(()))
        .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(Cost::of(processes.cpu().saturating_sub(before), sent, dropped_at(to) - dropped))
}

/// Calls in which [`AT_ONCE`] go on at the same time, a packet of each in turn.
fn send(sender: &UdpSocket, to: SocketAddr, rate: u32, turn: u64) -> u64 {
    let copies = Copies::new(FIRST_LINE, LINES);
    let each = (OF_A_CALL + BESIDE) as u64;
    paced(rate, LASTING, |n| {
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
fn floor(sender: &UdpSocket, turn: u64) -> anyhow::Result<Cost> {
    let socket = UdpSocket::bind("127.0.30.204:9060")?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let SocketAddr::V4(at) = socket.local_addr()? else { anyhow::bail!("an IPv4 address") };
    let reader = std::thread::Builder::new().name("floor".to_owned()).spawn(move || {
        let mut buffer = vec![0; 65_536];
        while socket.recv(&mut buffer).is_ok() {}
        own_cpu()
    })?;
    let sent = send(sender, at.into(), RATE, turn);
    let dropped = dropped_at(at);
    let spent = reader.join().map_err(|_| anyhow::anyhow!("the floor failed"))?;
    Ok(Cost::of(spent, sent, dropped))
}
