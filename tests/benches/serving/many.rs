//! What ten thousand desktops cost: memory of each that only stands, whether an event costs more because of them, and
//! how soon all are back after a restart.

use std::time::Duration;

use anyhow::Context;
use pinkas_tests::lab::process::{Running, bounded, until};
use pinkas_tests::measure::median;
use pinkas_tests::measure::verdict::Verdict;
use tokio::time::Instant;

use super::calls::Phones;
use super::crowd::{self, Crowd};
use super::delivery::show;
use super::house::{Door, House};
use super::turns::{INTERVAL, Side, in_turn};

const FEW: u32 = 100;
const MANY: u32 = 10_000;
const ENCRYPTED: u32 = 2_000;
const TURNS: usize = 2;

/// Prints it.
pub async fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!("\n— {MANY} desktops");
    let (mut house, mut large) = side("10,000 desktops", "127.0.30.233:7420", MANY, verdict).await?;
    let (_small_house, mut small) = side("100 desktops", "127.0.30.234:7420", FEW, verdict).await?;
    let [mut smalls, mut larges] = in_turn([&mut small, &mut large], TURNS).await?;
    println!(
        "{:<16} {:>8} {:>8} {:>8} {:>9} {:>12} {:>12}",
        "", "p50 µs", "p90 µs", "p99 µs", "CPU µs", "idle ms/10 s", "sent late ms"
    );
    let mut growth = Vec::new();
    for (small, large) in smalls.iter_mut().zip(&mut larges) {
        show(&format!("{FEW} desktops"), small);
        show(&format!("{MANY} desktops"), large);
        growth.push(large.each_us() / small.each_us());
    }
    verdict.at_most("CPU for an event, 10,000 desktops / 100", median(&mut growth), 1.15, "");
    back(verdict, &mut house, large).await?;
    drop(small);
    encrypted(verdict).await
}

/// A hub with so many desktops; of many, what each takes.
async fn side(
    name: &'static str,
    at: &str,
    agents: u32,
    verdict: &mut Verdict,
) -> anyhow::Result<(House, Side)> {
    let mut house = House::furnish(at.parse()?, agents, Door::Plain)?;
    house.open().await?;
    let mut phones = Phones::dial(&house.url()?).await?;
    phones.lines(agents).await?;
    let processes = house.processes();
    let before = processes.resident_kib();
    let crowd = Crowd::gather(&house.url()?, agents).await?;
    if agents == MANY {
        // Each has been pinged and has answered.
        phones.listen_until(Instant::now() + INTERVAL + Duration::from_secs(2)).await?;
        let each = kib_each(before, processes.resident_kib(), agents);
        println!("resident: {before} KiB before they came");
        verdict.at_most("resident for a desktop that only stands", each, 14.0, " KiB");
    }
    Ok((house, Side { name, processes, phones, crowd }))
}

async fn back(verdict: &mut Verdict, house: &mut House, large: Side) -> anyhow::Result<()> {
    let Side { crowd, phones, .. } = large;
    drop(phones);
    let asked = Instant::now();
    house.close().await?;
    let ended = asked.elapsed();
    let began = Instant::now();
    house.begin()?;
    crowd.all_there().await.with_context(|| house.log())?;
    let took = began.elapsed();
    println!("the hub took {:.2} s to end", ended.as_secs_f64());
    let cpu = house.processes().cpu().as_secs_f64() * 1e6 / f64::from(MANY);
    println!("CPU of the hub for each that came back: {cpu:.0} µs");
    verdict.at_most("10,000 desktops back, from the program's start", took.as_secs_f64(), 5.0, " s");
    Ok(())
}

async fn encrypted(verdict: &mut Verdict) -> anyhow::Result<()> {
    let mut house = House::furnish("127.0.30.235:7420".parse()?, ENCRYPTED, Door::Tls)?;
    house.open().await?;
    let processes = house.processes();
    let before = processes.resident_kib();
    let mut command = bounded(std::env::current_exe()?);
    command
        .args([crowd::MODE, &house.at.to_string(), &ENCRYPTED.to_string()])
        .env("SSL_CERT_FILE", house.certificate());
    let log = house.state().join("crowd.log");
    let running = Running::start("a crowd", command, &log)?;
    until("all to be there by TLS", Duration::from_secs(90), async || {
        running.last_words().contains("all are there").then_some(())
    })
    .await
    .with_context(|| format!("{}\n{}", running.last_words(), house.log()))?;
    tokio::time::sleep(INTERVAL + Duration::from_secs(2)).await;
    let each = kib_each(before, processes.resident_kib(), ENCRYPTED);
    verdict.at_most("resident for a desktop that only stands, by TLS", each, 28.0, " KiB");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn kib_each(before: u64, after: u64, agents: u32) -> f64 {
    after.saturating_sub(before) as f64 / f64::from(agents)
}
