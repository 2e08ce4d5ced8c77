//! How long from a NOTIFY on the wire to the update at a desktop, beside a floor in the same run: a bare
//! relay from a UDP datagram to a WebSocket frame. Prints figures, asserts none. `make bench` runs it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use pinkas_demo::company::customers::LEVI;
use pinkas_demo::office;
use pinkas_demo::pbx::PretendCaller;
use pinkas_protocol::{CallId, CardState};
use pinkas_tests::lab::Trouble;
use pinkas_tests::lab::asterisk::{ADAPTER_PASSWORD, Asterisk, Version};
use pinkas_tests::lab::process::until;
use pinkas_tests::lab::sipp::{Call, Caller, Phone, Then};
use pinkas_tests::site::{Heard, SOON, Site, Wishes, own_address};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;

const CALLS: usize = 200;
const RINGERS: [&str; 3] = ["ana", "bob", "celina"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo test --benches` only wants to know that this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let profile = if cfg!(debug_assertions) { "without optimisation" } else { "optimised" };
    println!("{CALLS} calls, each at three phones; programs built {profile}; times in ms\n");
    println!("{:<58} {:>7} {:>7} {:>7} {:>7}", "", "p50", "p90", "p99", "max");
    show("floor: UDP datagram → bare WebSocket relay → client", &mut floor().await?);
    pretend().await?;
    for version in [Version::V22, Version::V16] {
        match real(version).await {
            Ok(mut times) => {
                show(
                    &format!("Asterisk {version:?}: NOTIFY read by the adapter → update at a desktop"),
                    &mut times,
                );
            }
            Err(Trouble::Missing(skip)) => println!("skipped: {skip}"),
            Err(Trouble::Failed(e)) => return Err(e.context(format!("Asterisk {version:?}"))),
        }
    }
    println!("\ntarget: p99 under 20 ms from NOTIFY to update");
    Ok(())
}

/// The same hops with nothing done in between.
async fn floor() -> anyhow::Result<Vec<f64>> {
    let ip = own_address();
    let listener = TcpListener::bind((ip, 0)).await?;
    let udp = UdpSocket::bind((ip, 0)).await?;
    let (web, wire) = (listener.local_addr()?, udp.local_addr()?);
    let relay = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let mut socket = tokio_tungstenite::accept_async(stream).await?;
        let mut datagram = [0; 2048];
        loop {
            let length = udp.recv(&mut datagram).await?;
            socket.send(Message::text(String::from_utf8_lossy(&datagram[..length]).into_owned())).await?;
        }
        #[expect(unreachable_code, reason = "names the type of the error")]
        anyhow::Ok(())
    });
    let stream = TcpStream::connect(web).await?;
    let (mut client, _) = tokio_tungstenite::client_async(format!("ws://{web}/"), stream).await?;
    let caller = UdpSocket::bind((ip, 0)).await?;
    let padding = "x".repeat(800);
    let mut times = Vec::new();
    for _ in 0..CALLS {
        caller.send_to(format!("{} {padding}", Timestamp::now()).as_bytes(), wire).await?;
        let frame = client.next().await.context("the relay ended")??;
        let text = frame.into_text()?;
        let sent: Timestamp = text.split(' ').next().unwrap_or_default().parse()?;
        times.push(ms(sent, Timestamp::now()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    relay.abort();
    Ok(times)
}

async fn pretend() -> anyhow::Result<()> {
    let site =
        Site::open_as(Wishes { more_adapter: "grace = \"50ms\"".to_owned(), ..Wishes::default() }).await?;
    let (_hub, _adapter, desks) = site.all(&RINGERS).await?;
    let mut sent = Vec::new();
    for n in 0..CALLS {
        let call =
            site.pbx().call(PretendCaller::new(LEVI.e164, format!("Caller {n}")), &office::lines()).await;
        for desk in desks.values() {
            let seen = |heard: &Heard| heard.board.calls.values().any(|view| complete(view, n));
            desk.until("to have every card", |heard| seen(heard).then_some(())).await?;
        }
        sent.push(call.sent_at());
        call.hang_up().await;
        // The same caller at once again would be the same call, which another phone rings for.
        for desk in desks.values() {
            desk.until("to hear that it ended", |heard| heard.live().is_empty().then_some(())).await?;
        }
        progress(n);
    }
    let (mut shown, mut filled) = (Vec::new(), Vec::new());
    for desk in desks.values() {
        let heard = desk.heard();
        let mut calls = first_shown(&heard);
        calls.truncate(CALLS);
        for ((call, at), sent) in calls.iter().zip(&sent) {
            shown.push(ms(*sent, *at));
            filled.extend(last_card(&heard, *call).map(|at| ms(*sent, at)));
        }
    }
    show("pretend PBX: NOTIFY sent → update at a desktop", &mut shown);
    show("pretend PBX: NOTIFY sent → every card filled", &mut filled);
    Ok(())
}

async fn real(version: Version) -> Result<Vec<f64>, Trouble> {
    let last = if version == Version::V16 { 116 } else { 122 };
    let pbx = Asterisk::start(version, Ipv4Addr::new(127, 0, 30, last), &[101, 102, 103]).await?;
    let wishes = Wishes {
        pbx: Some((SocketAddr::V4(pbx.sip()), ADAPTER_PASSWORD.to_owned())),
        more_adapter: "grace = \"50ms\"".to_owned(),
        ..Wishes::default()
    };
    let site = Site::open_as(wishes).await?;
    let (_hub, _adapter, desks) = site.all(&RINGERS).await?;
    let lines = |heard: &Heard| heard.board.lines.len();
    for desk in desks.values() {
        desk.until("to hear of its line", |heard| (lines(heard) == 1).then_some(())).await?;
    }
    let mut phones = Vec::new();
    for agent in [101, 102, 103] {
        phones.push(Phone::ring_only(pbx.phone(agent)).await?);
    }
    for n in 0..CALLS {
        let name = format!("Caller {n}");
        let call = Call {
            pbx: pbx.sip(),
            carrier: pbx.carrier(),
            to: "500",
            number: LEVI.e164,
            name: name.as_bytes(),
            headers: &[],
            then: Then::GiveUpAfter(Duration::from_millis(150)),
        };
        let mut caller = Caller::call(call).await?;
        caller.over(SOON).await?;
        until("the call to end everywhere", SOON, async || {
            desks
                .values()
                .all(|desk| desk.heard().board.calls.len() > n.min(40) && desk.heard().live().is_empty())
                .then_some(())
        })
        .await?;
        progress(n);
    }
    let mut times = Vec::new();
    for desk in desks.values() {
        let heard = desk.heard();
        let offered = heard.lines.iter().filter(|line| line["update"]["update"] == "call");
        for line in offered {
            let offers = line["update"]["view"]["offers"].as_object();
            let rang =
                offers.and_then(|offers| offers.values().next()).and_then(|offer| time(&offer["rang_at"]));
            times.extend(rang.zip(time(&line["at"])).map(|(rang, at)| ms(rang, at)));
        }
    }
    Ok(times)
}

fn complete(view: &pinkas_protocol::CallView, n: usize) -> bool {
    let this = view.facts.caller.name.as_ref().is_some_and(|name| name.0 == format!("Caller {n}"));
    this && view.cards.len() == 3
        && view.cards.iter().all(|card| matches!(card.state, CardState::Filled { .. }))
}

/// Each call when it was first shown, in order.
fn first_shown(heard: &Heard) -> Vec<(CallId, Timestamp)> {
    let shown = heard.lines.iter().filter(|line| line["update"]["update"] == "call").filter_map(|line| {
        let call = line["update"]["view"]["id"].as_str()?.parse().ok()?;
        Some((call, time(&line["at"])?))
    });
    shown.collect()
}

fn last_card(heard: &Heard, call: CallId) -> Option<Timestamp> {
    let cards = heard
        .lines
        .iter()
        .filter(|line| line["update"]["update"] == "card" && line["update"]["call"] == call.to_string());
    cards.filter_map(|line| time(&line["at"])).next_back()
}

fn time(value: &serde_json::Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn ms(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1000.0
}

fn show(what: &str, times: &mut [f64]) {
    times.sort_by(f64::total_cmp);
    let at =
        |share: f64| times.get(((times.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied();
    let figures: Vec<String> = [0.5, 0.9, 0.99, 1.0]
        .iter()
        .map(|share| at(*share).map_or("—".to_owned(), |t| format!("{t:.2}")))
        .collect();
    println!(
        "\r{what:<58} {}   ({} measured)",
        figures.iter().map(|f| format!("{f:>7}")).collect::<Vec<_>>().join(" "),
        times.len()
    );
}

/// On the terminal only: it is overwritten by the next line.
fn progress(n: usize) {
    if n.is_multiple_of(10) {
        eprint!("\r  {n} of {CALLS} calls ");
    }
}
