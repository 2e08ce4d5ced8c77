//! A minute of junk beside real calls, at the ports for dialog events and for copies of SIP traffic: random bytes,
//! what looks like SIP, floods of REGISTER and forged NOTIFYs and answers, from a stranger's address and from the
//! phone system's own, as a forger could. No real call may be lost and memory may hardly grow. `make soak` runs it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use pinkas_demo::pbx::{Faults, Pbx, PbxConfig, PretendCaller};
use pinkas_protocol::Line;
use pinkas_tests::lab::process::{udp_bound, until};
use pinkas_tests::measure::copies::{Copies, OF_A_CALL};
use pinkas_tests::measure::hub::CountingHub;
use pinkas_tests::measure::program::{self, Adapter, PASSWORD};
use pinkas_tests::measure::{dropped_at, median, paced};
use tokio::time::Instant;

/// Of junk, a second, at both ports together.
const JUNK: u32 = 50_000;
/// Calls a second, heard by dialog events.
const CALLS: u64 = 20;
/// Calls a second that only copies of the traffic tell of.
const COPIED: u64 = 5;
const LASTING: Duration = Duration::from_secs(60);
/// How long a phone rings, and how long people talk.
const RINGS: Duration = Duration::from_millis(800);
const LINES: u32 = 200;
const COPIED_LINES: u32 = 5_000;
const GROWTH_KIB: u64 = 32 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    // `cargo test --benches` only wants to know that this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    let lasting = std::env::var("PINKAS_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let lasting = lasting.map_or(LASTING, Duration::from_secs);
    let stage = Stage::set().await?;
    let before = stage.adapter.processes();
    // What is allocated once is allocated now: calls without junk, for as long as answers are kept.
    println!("calls alone, for comparison:");
    let warm = Duration::from_secs(10);
    let quiet = stage.calls(warm, 0).await;
    stage.report(&quiet, warm, before.cpu(), Duration::ZERO).await?;
    let (resident, spent) = (before.resident_kib(), before.cpu());
    let dropped = (dropped_at(stage.sip), dropped_at(stage.copies));

    println!("\n{JUNK} junk datagrams a second for {} s:", lasting.as_secs());
    let sent = Arc::new(AtomicU64::new(0));
    let mut junk = Vec::new();
    for (n, (to, from)) in [
        (stage.sip, "127.0.30.221:0"),
        (stage.sip, "127.0.30.220:0"),
        (stage.copies, "127.0.30.221:0"),
        (stage.copies, "127.0.30.220:0"),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = UdpSocket::bind(from)?;
        let sent = sent.clone();
        let copies = to == stage.copies;
        let flood = move || {
            let kinds = junk_of(n as u64, copies);
            paced(JUNK / 4, lasting, |n| {
                let bytes = kinds.get(n as usize % kinds.len()).map(Vec::as_slice).unwrap_or_default();
                // What the kernel does not take was not sent.
                if socket.send_to(bytes, to).is_ok() {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        junk.push(std::thread::Builder::new().name("junk".to_owned()).spawn(flood)?);
    }
    let began = Instant::now();
    let loud = stage.calls(lasting, 1_000_000).await;
    for flood in junk {
        flood.join().map_err(|_| anyhow::anyhow!("a flood failed"))?;
    }
    let took = began.elapsed();
    let cpu = before.cpu();
    let lost = stage.report(&loud, lasting, cpu, spent).await?;
    let peak = before.peak_kib().max(before.resident_kib());
    let grown = peak.saturating_sub(resident);
    let sent = sent.load(Ordering::Relaxed);
    println!(
        "junk sent: {sent} in {:.1} s, {:.0} a second; dropped by the kernel: {} for dialog events, {} for copies",
        took.as_secs_f64(),
        sent as f64 / took.as_secs_f64(),
        dropped_at(stage.sip) - dropped.0,
        dropped_at(stage.copies) - dropped.1
    );
    println!("resident: {} KiB before, {peak} KiB at most: {grown} KiB more", resident);
    let enough = sent as f64 >= 0.95 * f64::from(JUNK) * lasting.as_secs_f64();
    if !enough {
        println!("NOTE this machine could not send all of the junk: the figures are for what was sent");
    }
    println!("{} no real call lost: {lost}", if lost == 0 { "PASS" } else { "FAIL" });
    println!("{} memory grows by less than 32 MiB", if grown < GROWTH_KIB { "PASS" } else { "FAIL" });
    Ok(if lost == 0 && grown < GROWTH_KIB { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everybody who takes part but the junk.
struct Stage {
    pbx: Pbx,
    hub: CountingHub,
    adapter: Adapter,
    lines: Vec<Line>,
    sip: SocketAddrV4,
    copies: SocketAddrV4,
}

/// When each caller's phone began to ring, by the caller's number.
struct Made {
    called: BTreeMap<String, Timestamp>,
    copied: Vec<String>,
}

impl Stage {
    async fn set() -> anyhow::Result<Stage> {
        let names = |first: u32| (first..first + LINES).filter_map(|n| Line::parse(&n.to_string()).ok());
        let lines: Vec<Line> = names(2_000).collect();
        let pbx = Pbx::start(PbxConfig {
            listen: "127.0.30.220:5060".parse()?,
            realm: "asterisk".to_owned(),
            user: "pinkas".to_owned(),
            password: PASSWORD.to_owned(),
            lines: lines
                .iter()
                .chain(&names(COPIED_LINES).collect::<Vec<_>>())
                .map(|l| (l.clone(), "Agent".to_owned()))
                .collect(),
            faults: Faults::default(),
        })
        .await?;
        let hub = CountingHub::start("127.0.30.222:7420".parse()?).await?;
        let (sip, copies): (SocketAddrV4, SocketAddrV4) =
            ("127.0.30.222:5062".parse()?, "127.0.30.222:9060".parse()?);
        let ways = program::dialog_events(pbx.address(), SocketAddr::V4(sip))
            + &program::hep(copies.into(), pbx.address().ip());
        let all: Vec<Line> = lines.iter().cloned().chain(names(COPIED_LINES)).collect();
        let adapter = Adapter::start(hub.address, &all, &ways)?;
        tokio::time::timeout(Duration::from_secs(60), pbx.subscribed(&all))
            .await
            .context("not every line was subscribed")
            .with_context(|| adapter.log())?;
        until("copies to be taken", Duration::from_secs(10), async || udp_bound(copies.into()).then_some(()))
            .await?;
        Ok(Stage { pbx, hub, adapter, lines, sip, copies })
    }

    /// Real calls for a while; each caller is another one.
    async fn calls(&self, lasting: Duration, first: u64) -> Made {
        let mut made = Made { called: BTreeMap::new(), copied: Vec::new() };
        let copier = {
            let (from, to) = (SocketAddr::new(self.pbx.address().ip(), 0), self.copies);
            std::thread::Builder::new()
                .name("copies".to_owned())
                .spawn(move || copied(from, to, lasting, first))
        };
        let mut every = tokio::time::interval(Duration::from_micros(1_000_000 / CALLS));
        let began = Instant::now();
        let mut open = Vec::new();
        for n in first.. {
            every.tick().await;
            if began.elapsed() >= lasting {
                break;
            }
            let number = format!("+9723{:07}", 1_000_000 + n % 8_000_000);
            let Some(line) = self.lines.get(n as usize % self.lines.len()).cloned() else { break };
            let call =
                self.pbx.call(PretendCaller::new(&number, "Caller"), std::slice::from_ref(&line)).await;
            made.called.insert(number, call.sent_at());
            open.push(tokio::spawn(async move {
                tokio::time::sleep(RINGS).await;
                call.answer(&line).await;
                tokio::time::sleep(RINGS).await;
                call.hang_up().await;
            }));
        }
        for call in open {
            let _ended = call.await;
        }
        let joined = tokio::task::spawn_blocking(move || copier.map(std::thread::JoinHandle::join)).await;
        if let Ok(Ok(Ok(copied))) = joined {
            made.copied = copied;
        }
        made
    }

    /// Prints what became of calls and gives how many were lost.
    async fn report(
        &self,
        made: &Made,
        lasting: Duration,
        cpu: Duration,
        spent: Duration,
    ) -> anyhow::Result<usize> {
        let all = || made.called.keys().chain(&made.copied);
        // A NOTIFY that was lost is repeated for 32 s; nobody waits so long for the screen to change.
        let _late = until("the last call", Duration::from_secs(10), async || {
            let told = self.hub.told();
            all().all(|number| told.ended.contains_key(number)).then_some(())
        })
        .await;
        let told = self.hub.told();
        let rang = all().filter(|number| told.rang.contains_key(*number)).count();
        let ended = all().filter(|number| told.ended.contains_key(*number)).count();
        let mut late: Vec<f64> = made
            .called
            .iter()
            .filter_map(|(number, at)| Some(told.rang.get(number)?.duration_since(*at).as_secs_f64() * 1e3))
            .collect();
        let middle = median(&mut late);
        let at = |part: usize| late.get(late.len() * part / 1000).copied().unwrap_or(f64::NAN);
        println!(
            "{} calls by dialog events and {} by copies: {rang} rang at the hub, {ended} ended there",
            made.called.len(),
            made.copied.len()
        );
        println!(
            "from the phone system to the hub: p50 {middle:.1} ms, p99 {:.1} ms, at most {:.1} ms; adapter {:.0} % of a processor",
            at(990),
            late.last().copied().unwrap_or(f64::NAN),
            100.0 * cpu.saturating_sub(spent).as_secs_f64() / lasting.as_secs_f64()
        );
        Ok(all().count() - rang.min(ended))
    }
}

/// Sends copies of calls; gives the callers.
fn copied(from: SocketAddr, to: SocketAddrV4, lasting: Duration, first: u64) -> Vec<String> {
    let Ok(socket) = UdpSocket::bind(from) else { return Vec::new() };
    let copies = Copies::new(COPIED_LINES, LINES);
    let each = OF_A_CALL as u64;
    let rate = u32::try_from(COPIED * each).unwrap_or(0);
    let sent = paced(rate, lasting, |n| {
        // Ten calls at a time, a packet of each in turn: a call takes two seconds.
        let (block, within) = (n / (10 * each), n % (10 * each));
        let call = first + block * 10 + within % 10;
        let place = usize::try_from(within / 10).unwrap_or(0);
        let _lost = copies.of_call(call, place).map(|bytes| socket.send_to(&bytes, to));
    });
    // Only calls that were sent whole.
    (0..sent / (10 * each) * 10).map(|n| Copies::caller(first + n)).collect()
}

/// Datagrams of every kind of junk. The same in each run.
fn junk_of(seed: u64, copies: bool) -> Vec<Vec<u8>> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = move || {
        // xorshift64: random enough for junk.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut kinds = Vec::new();
    for _ in 0..400 {
        let n = random();
        let line = 2_000 + n % 200;
        let bytes: Vec<u8> = (0..40 + n % 900).map(|_| random().to_be_bytes()[0]).collect();
        kinds.push(bytes.clone());
        let sip = |first: &str, method: &str, more: &str, body: &str| {
            format!(
                "{first}\r\nVia: SIP/2.0/UDP 127.0.30.220:5060;branch=z9hG4bK{n:x}\r\nFrom: <sip:{line}@x>;tag={n:x}\r\n\
                 To: <sip:pinkas@x>;tag=t{n:x}\r\nCall-ID: {n:x}@x\r\nCSeq: 1 {method}\r\nContact: <sip:{line}@127.0.30.220>\r\n{more}\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let document = format!(
            "<dialog-info version=\"1\" state=\"full\"><dialog id=\"1\" direction=\"recipient\"><state>early</state><remote>\
             <identity>sip:+48{n}@x</identity></remote></dialog></dialog-info>"
        );
        let dialog =
            "Event: dialog\r\nSubscription-State: active\r\nContent-Type: application/dialog-info+xml\r\n";
        let texts = [
            sip("REGISTER sip:x SIP/2.0", "REGISTER", "Expires: 60\r\n", ""),
            sip("NOTIFY sip:pinkas@x SIP/2.0", "NOTIFY", dialog, &document),
            sip("SIP/2.0 200 OK", "SUBSCRIBE", "Expires: 0\r\n", ""),
            sip("OPTIONS sip:x SIP/2.0", "OPTIONS", "", ""),
            sip("INVITE sip:x SIP/2.0", "BYE", "", "v=0\r\n"),
            format!("NOTIFY sip:x SIP/2.0\r\n{}\r\n", "a: b\r\n".repeat(150)),
        ];
        for (place, text) in texts.into_iter().enumerate() {
            let bytes = if copies && place < 5 { wrapped(&text) } else { text.into_bytes() };
            // Half of what is wrapped is broken.
            let cut = if copies && n.is_multiple_of(2) { bytes.len() * 2 / 3 } else { bytes.len() };
            kinds.push(bytes.get(..cut).unwrap_or_default().to_vec());
        }
    }
    kinds
}

/// As a copy. A whole INVITE from an address that may send copies is no junk: it is left out by its CSeq.
fn wrapped(text: &str) -> Vec<u8> {
    use pinkas_sip_adapter::hear::hep::packet::{Packet, write};
    write(&Packet { payload: text.as_bytes(), ..Packet::default() }).unwrap_or_default()
}
