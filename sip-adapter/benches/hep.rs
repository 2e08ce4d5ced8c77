//! What hearing by copies of SIP traffic costs, by hand: `cargo bench -p pinkas-sip-adapter --bench hep`. CPU time per
//! packet for those dropped unread and for those of calls, then a minute's worth of traffic at 15,000 packets a
//! second over loopback and what the kernel dropped of it.

#![expect(clippy::print_stdout, reason = "it is there to print")]
#![expect(clippy::disallowed_methods, reason = "it measures, and paces what it sends")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::{Line, NumberPlan};
use pinkas_sip_adapter::config::{Hep, Pbx};
use pinkas_sip_adapter::hear::hep::gate::Gate;
use pinkas_sip_adapter::hear::hep::packet::{self, Packet};
use pinkas_sip_adapter::hear::hep::{Counts, Intake, run_counting};
use pinkas_sip_adapter::hear::legs::Seen;
use pinkas_sip_adapter::sip::identity::Rules;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const LINES: usize = 500;
const A_SECOND: u32 = 15_000;
const SECONDS: u32 = 10;

fn main() -> anyhow::Result<()> {
    let (config, site) = (config("127.0.30.77:9077".parse()?)?, site());
    let others: Vec<Vec<u8>> = (0..1000).flat_map(not_of_a_call).collect();
    let calls: Vec<Vec<u8>> = (0..4000).flat_map(call).collect();
    println!("a packet has {} bytes on average", calls.iter().map(Vec::len).sum::<usize>() / calls.len());
    for (name, packets) in [("dropped unread", &others), ("of calls", &calls)] {
        let counts = Arc::new(Counts::default());
        let (gate, mut intake) = (Gate::new(&config), Intake::new(&config, &site, counts.clone()));
        let (began, mut words) = (cpu()?, 0);
        let mut now = Duration::from_secs(1);
        for packet in packets {
            now += Duration::from_micros(66);
            if let Some(read) = gate.admits(packet, &counts) {
                let at = Timestamp::UNIX_EPOCH;
                let seen = Seen { at, uptime: now, captured: read.captured, from: read.from, to: read.to };
                words += intake.take(seen, read.payload).len();
            }
            while intake.next_tick().is_some_and(|tick| tick <= now) {
                words += intake.tick(Timestamp::UNIX_EPOCH, now).len();
            }
        }
        let took = (cpu()? - began).as_secs_f64() * 1e6 / packets.len() as f64;
        println!(
            "{name}: {took:.2} µs a packet, {} packets, {words} words, {} legs kept",
            packets.len(),
            intake.legs()
        );
    }
    for (name, of_calls) in [("one in ten of a call", 1), ("every second of a call", 5), ("all of calls", 10)]
    {
        let (mut calls, mut others) = (calls.iter().cycle(), others.iter().cycle());
        let wanted = (A_SECOND * SECONDS) as usize;
        let mixed = (0..wanted).filter_map(|n| if n % 10 < of_calls { calls.next() } else { others.next() });
        loopback(name, &config, &site, mixed.collect())?;
    }
    Ok(())
}

/// Sends at the pace of `A_SECOND`, and tells what hearing it cost.
fn loopback(name: &str, config: &Hep, site: &Pbx, packets: Vec<&Vec<u8>>) -> anyhow::Result<()> {
    let counts = Arc::new(Counts::default());
    let stop = CancellationToken::new();
    let hears = {
        let (config, site, counts, stop) = (config.clone(), site.clone(), counts.clone(), stop.clone());
        std::thread::Builder::new().name("hears".to_owned()).spawn(move || -> anyhow::Result<Duration> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (heard, mut words) = mpsc::channel(4096);
            runtime.block_on(async {
                let counted = tokio::spawn(async move { while words.recv().await.is_some() {} });
                run_counting(config, site, heard, stop, counts).await?;
                counted.await.context("counting words")
            })?;
            cpu()
        })?
    };
    std::thread::park_timeout(Duration::from_millis(300));
    let socket = UdpSocket::bind("127.0.30.78:0")?;
    let began = Instant::now();
    for (n, packet) in packets.iter().enumerate() {
        let due = Duration::from_secs(1) * u32::try_from(n)? / A_SECOND;
        if let Some(early) =
            due.checked_sub(began.elapsed()).filter(|early| *early > Duration::from_millis(1))
        {
            std::thread::park_timeout(early);
        }
        socket.send_to(packet, config.listen)?;
    }
    let rate = packets.len() as f64 / began.elapsed().as_secs_f64();
    std::thread::park_timeout(Duration::from_secs(1));
    let dropped = std::fs::read_to_string("/proc/net/udp")?;
    let port = format!(":{:04X} ", config.listen.port());
    let row = dropped
        .lines()
        .find(|row| row.split_ascii_whitespace().nth(1).is_some_and(|at| format!("{at} ").ends_with(&port)));
    let dropped = row.and_then(|row| row.split_ascii_whitespace().last()).unwrap_or("?").to_owned();
    stop.cancel();
    let took = hears.join().map_err(|_| anyhow::anyhow!("hearing panicked"))??;
    let came = counts.packets.load(Ordering::Relaxed);
    println!(
        "{name}: {rate:.0} packets a second, {came} of {} came, {} read, the kernel dropped {dropped}; {:.2} µs a packet with the socket",
        packets.len(),
        counts.read.load(Ordering::Relaxed),
        took.as_secs_f64() * 1e6 / came.max(1) as f64,
    );
    Ok(())
}

/// CPU time of this thread.
fn cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").context("needs Linux")?;
    Ok(Duration::from_nanos(stat.split(' ').next().context("no figures")?.parse()?))
}

fn config(listen: SocketAddr) -> anyhow::Result<Hep> {
    Ok(Hep {
        listen,
        from: vec!["127.0.0.0/8".parse()?],
        key: Some(pinkas_protocol::Private("secret".to_owned())),
        pbx: vec!["192.0.2.1".parse()?],
        call_id_header: "X-Original-Call-ID".to_owned(),
        join_within: Duration::from_secs(5),
        give_up_after: Duration::from_secs(3600),
        most_legs: 20_000,
    })
}

fn site() -> Pbx {
    let numbers = NumberPlan::new("IL", 4).unwrap_or_default();
    let lines = (0..LINES).filter_map(|n| Line::parse(&(1000 + n).to_string()).ok()).collect();
    Pbx { lines, rules: Arc::new(Rules { numbers, ..Rules::default() }) }
}

fn hep(from: &str, to: &str, text: &str) -> Option<Vec<u8>> {
    let captured = Some(Duration::from_secs(1_700_000_000));
    let (from, to) = (from.parse().ok(), to.parse().ok());
    packet::write(&Packet {
        from,
        to,
        captured,
        key: Some(b"secret"),
        correlation: Some(b"x"),
        payload: text.as_bytes(),
    })
}

const PBX: &str = "192.0.2.1:5060";
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=x\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n";
const MORE: &str = "Allow: OPTIONS, REGISTER, SUBSCRIBE, NOTIFY, PUBLISH, INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, MESSAGE, REFER\r\n\
    Supported: 100rel, timer, replaces, norefersub, histinfo\r\nMax-Forwards: 70\r\nUser-Agent: Asterisk PBX 22.10.1\r\n";

fn message(head: &str, call: &str, from: &str, to: &str, seq: &str, body: &str) -> String {
    format!(
        "{head}\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bKPj{call}\r\nFrom: {from};tag=f\r\nTo: {to}\r\n\
         Contact: <sip:asterisk@192.0.2.1:5060>\r\nCall-ID: {call}\r\nCSeq: {seq}\r\n{MORE}Content-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a phone system sends most of: a registration, a keep-alive, a line's state, and their answers.
fn not_of_a_call(n: usize) -> Vec<Vec<u8>> {
    let (phone, me) = (format!("10.0.{}.{}:5060", n / 250, n % 250 + 1), format!("<sip:{n}@192.0.2.1>"));
    let texts = ["REGISTER", "OPTIONS", "NOTIFY"].into_iter().flat_map(|method| {
        let seq = format!("{n} {method}");
        let call = format!("keep-{method}-{n}@10.0.0.1");
        let request = message(&format!("{method} sip:192.0.2.1 SIP/2.0"), &call, &me, &me, &seq, SDP);
        [request, message("SIP/2.0 200 OK", &call, &me, &me, &seq, "")]
    });
    texts.filter_map(|text| hep(&phone, PBX, &text)).collect()
}

/// A call through a back-to-back agent: the caller's leg, a phone's, an answer and the end.
fn call(n: usize) -> Vec<Vec<u8>> {
    let line = 1000 + n % LINES;
    let from = format!("\"Dana Cohen\" <sip:+9725{:08}@203.0.113.1>", n * 7919 % 100_000_000);
    let (trunk, phone) = ("203.0.113.1:5060", format!("10.1.{}.{}:5060", line / 250, line % 250 + 1));
    let mut all = Vec::new();
    for (sender, receiver, leg, to) in
        [(trunk, PBX, "a", "031234567".to_owned()), (PBX, phone.as_str(), "b", line.to_string())]
    {
        let call = format!("{leg}-{n:08}-6c1f-4f4e-9d7e@192.0.2.1");
        let (bare, tagged) = (format!("<sip:{to}@192.0.2.1>"), format!("<sip:{to}@192.0.2.1>;tag=t"));
        let mut add = |back: bool, at: u32, head: &str, to: &str, seq: &str, body: &str| {
            let (sender, receiver) = if back { (receiver, sender) } else { (sender, receiver) };
            all.extend(
                hep(sender, receiver, &message(head, &call, &from, to, seq, body)).map(|hep| (at, hep)),
            );
        };
        let request = |method: &str| format!("{method} sip:{to}@192.0.2.1 SIP/2.0");
        add(false, 0, &request("INVITE"), &bare, "1 INVITE", SDP);
        add(true, 1, "SIP/2.0 100 Trying", &bare, "1 INVITE", "");
        add(true, 2, "SIP/2.0 180 Ringing", &tagged, "1 INVITE", "");
        add(true, 3, "SIP/2.0 200 OK", &tagged, "1 INVITE", SDP);
        add(false, 4, &request("ACK"), &tagged, "1 ACK", "");
        add(false, 5, &request("BYE"), &tagged, "2 BYE", "");
        add(true, 6, "SIP/2.0 200 OK", &tagged, "2 BYE", "");
    }
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, hep)| hep).collect()
}
