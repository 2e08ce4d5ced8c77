//! One event in, one frame out: how long that takes and what it costs at 100 calls a second with 2,000 desktops
//! connected, beside bare servers with as many: one that only delivers, and one that has each event on its disk and
//! acknowledged, as the hub does.

use pinkas_tests::measure::verdict::Verdict;
use pinkas_tests::measure::{at_part, median};

use super::bare::{Bare, Keeps};
use super::calls::{Phones, RATE};
use super::crowd::Crowd;
use super::house::{Door, House};
use super::turns::{Side, Turn, in_turn};

const AGENTS: u32 = 2_000;
const TURNS: usize = 3;

/// Prints it.
pub async fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!(
        "\n— {RATE} calls a second, {AGENTS} desktops; each call rings, is answered and ends at one of them"
    );
    let mut house = House::furnish("127.0.30.231:7420".parse()?, AGENTS, Door::Plain)?;
    house.open().await?;
    let bare = Bare::open("127.0.30.232:7420".parse()?, Keeps::Nothing).await?;
    let keeping = Bare::open("127.0.30.236:7420".parse()?, Keeps::EachEvent).await?;
    let mut phones = Phones::dial(&house.url()?).await?;
    phones.lines(AGENTS).await?;
    let crowd = Crowd::gather(&house.url()?, AGENTS).await?;
    let mut hub = Side { name: "the hub", processes: house.processes(), phones, crowd };
    let mut floor = beside("the bare server", &bare).await?;
    let mut same = beside("the bare server that keeps", &keeping).await?;
    let [mut hubs, mut floors, mut sames] = in_turn([&mut hub, &mut floor, &mut same], TURNS).await?;
    hub.phones.all_durable().await?;

    println!(
        "{:<16} {:>8} {:>8} {:>8} {:>9} {:>12} {:>12}",
        "", "p50 µs", "p90 µs", "p99 µs", "CPU µs", "idle ms/10 s", "sent late ms"
    );
    let (mut ratios, mut beyond) = (Vec::new(), Vec::new());
    for ((hub, bare), keeping) in hubs.iter_mut().zip(&mut floors).zip(&mut sames) {
        show("bare", bare);
        show("bare, keeping", keeping);
        show("hub", hub);
        ratios.push(hub.each_us() / keeping.each_us());
        beyond.push(hub.each_us() / bare.each_us());
    }
    let at = |turns: &[Turn], part: f64| {
        let mut each: Vec<f64> = turns.iter().map(|turn| at_part(&mut turn.took_us.clone(), part)).collect();
        median(&mut each)
    };
    let shown = |ratios: &[f64]| ratios.iter().map(|r| format!("{r:.2}")).collect::<Vec<_>>().join(", ");
    println!(
        "each turn's CPU beside the bare server that keeps: {}; beside the one that only delivers: {}",
        shown(&ratios),
        shown(&beyond)
    );
    verdict.at_most("event in until the frame is at the desktop, p50", at(&hubs, 0.5), 300.0, " µs");
    verdict.at_most("event in until the frame is at the desktop, p99", at(&hubs, 0.99) / 1000.0, 5.0, " ms");
    verdict.at_most("hub / bare server that keeps, CPU for an event delivered", median(&mut ratios), 1.5, "");
    Ok(())
}

async fn beside(name: &'static str, server: &Bare) -> anyhow::Result<Side> {
    let phones = Phones::dial(&server.url()?).await?;
    let crowd = Crowd::gather(&server.url()?, AGENTS).await?;
    Ok(Side { name, processes: server.processes(), phones, crowd })
}

/// One line.
pub fn show(name: &str, turn: &mut Turn) {
    let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|part| at_part(&mut turn.took_us, part));
    println!(
        "{name:<16} {p50:>8.0} {p90:>8.0} {p99:>8.0} {:>9.1} {:>12.1} {:>12.1}",
        turn.each_us(),
        turn.idle.as_secs_f64() * 1e3,
        turn.late.as_secs_f64() * 1e3
    );
}
