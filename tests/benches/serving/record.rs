//! How fast the record is: how many events a second are on the disk when their adapter is told so, and how soon a hub
//! serves that begins with a million calls, after an orderly end and after a kill.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use pinkas_hub::core::Keep;
use pinkas_hub::store;
use pinkas_protocol::board::Ended;
use pinkas_protocol::call::{CallChange, CallFacts, Caller, EndedHow};
use pinkas_protocol::record::PastOffer;
use pinkas_protocol::{AdapterId, CallEvent, CallId, Event, NumberPlan, PastCall};
use pinkas_tests::lab::process::until;
use pinkas_tests::measure::verdict::Verdict;
use tokio::time::Instant;
use uuid::{NoContext, Uuid};

use super::calls::Phones;
use super::house::{self, Door, House};

const EVENTS: u32 = 200_000;
const CALLS: u32 = 1_000_000;
/// So many calls are handed over at once: the writer takes 512 such parts for one group.
const PART: u32 = 8;
const AGENTS: u32 = 100;
/// Calls told to the real hub as fast as it takes them; each is four events.
const TOLD: u32 = 10_000;
/// A busy machine may not write a million calls in this time; then the restart is not measured.
const FILLED_WITHIN: Duration = Duration::from_secs(150);
const SOON: Duration = Duration::from_secs(60);

/// Prints it.
pub async fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!("\n— the record");
    let folder = tempfile::tempdir()?;
    let each_second = grouped(folder.path()).await?;
    verdict.at_least("events a second on the disk and acknowledged, in groups", each_second, 50_000.0, "");
    whole().await?;
    restart(verdict).await
}

/// The store alone, as the core hands it what happens: event for event.
async fn grouped(folder: &Path) -> anyhow::Result<f64> {
    let (mut store, _) = store::open(&folder.join("state"), NumberPlan::default())?;
    let (adapter, outbox) = (AdapterId::parse("main")?, Uuid::now_v7());
    let events: Vec<Event> = (0..EVENTS).map(|n| event(n / 4, n % 4)).collect::<anyhow::Result<_>>()?;
    let began = Instant::now();
    for (event, sequence) in events.into_iter().zip(1..) {
        let noted = Keep::Noted { adapter: adapter.clone(), outbox, sequence, event, repeated: false };
        store.keep.send(vec![noted]).await.context("the store has ended")?;
    }
    let key = (adapter, outbox);
    let all = store.durable.wait_for(|durable| durable.get(&key) == Some(&u64::from(EVENTS)));
    tokio::time::timeout(SOON, all).await.context("not all were acknowledged")??;
    let took = began.elapsed();
    store.close().await?;
    Ok(f64::from(EVENTS) / took.as_secs_f64())
}

/// From the adapter's link through the whole hub, whose one core decides about each event.
async fn whole() -> anyhow::Result<()> {
    let mut house = House::furnish("127.0.30.236:7420".parse()?, AGENTS, Door::Plain)?;
    house.open().await?;
    let mut phones = Phones::dial(&house.url()?).await?;
    let (began, before) = (Instant::now(), house.processes().cpu());
    phones.flood(TOLD, AGENTS).await?;
    phones.all_durable().await.with_context(|| house.log())?;
    let (took, cpu) =
        (began.elapsed().as_secs_f64(), house.processes().cpu().saturating_sub(before).as_secs_f64());
    let events = f64::from(TOLD * 4);
    println!(
        "through the whole hub, from the link to the acknowledgement: {:.0} events a second, {:.1} µs of CPU for each",
        events / took,
        cpu * 1e6 / events
    );
    Ok(())
}

async fn restart(verdict: &mut Verdict) -> anyhow::Result<()> {
    let mut house = House::furnish("127.0.30.237:7420".parse()?, AGENTS, Door::Plain)?;
    let began = Instant::now();
    let state = house.state();
    let Ok(filled) = tokio::time::timeout(FILLED_WITHIN, fill(&state)).await else {
        let why = format!("this machine did not write {CALLS} calls within {} s", FILLED_WITHIN.as_secs());
        verdict.missing("restart to serving with a million calls", &why);
        return Ok(());
    };
    filled?;
    let mib = std::fs::metadata(house.state().join("db"))?.len() >> 20;
    println!("{CALLS} calls were written in {:.0} s, {mib} MiB", began.elapsed().as_secs_f64());
    let first = serves(&mut house).await?;
    println!("the first start after that takes {first:.2} s");
    house.close().await?;
    let again = serves(&mut house).await?;
    verdict.at_most("restart to serving with a million calls", again, 1.0, " s");
    house.kill();
    let killed = serves(&mut house).await?;
    verdict.at_most("the same after a kill", killed, 1.0, " s");
    Ok(())
}

/// How long from the program's start until an adapter is welcome.
async fn serves(house: &mut House) -> anyhow::Result<f64> {
    let began = Instant::now();
    house.begin()?;
    let url = house.url()?;
    until("the hub to serve", SOON, async || Phones::dial(&url).await.ok())
        .await
        .with_context(|| house.log())?;
    Ok(began.elapsed().as_secs_f64())
}

/// Calls of the last year, answered and over, each with a row of the log.
async fn fill(folder: &Path) -> anyhow::Result<()> {
    let (mut store, _) = store::open(folder, NumberPlan::default())?;
    let (adapter, outbox) = (AdapterId::parse("main")?, Uuid::now_v7());
    let first = Timestamp::now() - SignedDuration::from_hours(24 * 365);
    for begins in (0..CALLS).step_by(PART as usize) {
        let mut part = Vec::new();
        for n in begins..begins + PART {
            let at = first + SignedDuration::from_secs(30 * i64::from(n));
            let past = past(n, at)?;
            let change = CallChange::Ended { how: EndedHow::Completed };
            let event = Event::Call(CallEvent { call: past.id, heard_at: at, change });
            let sequence = u64::from(n) + 1;
            part.push(Keep::Noted { adapter: adapter.clone(), outbox, sequence, event, repeated: false });
            part.push(Keep::Past { past: Box::new(past) });
        }
        store.keep.send(part).await.context("the store has ended")?;
    }
    let key = (adapter, outbox);
    store.durable.wait_for(|durable| durable.get(&key) == Some(&u64::from(CALLS))).await?;
    store.close().await
}

fn past(n: u32, at: Timestamp) -> anyhow::Result<PastCall> {
    let seconds = u64::try_from(at.as_second())?;
    let id = CallId(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, n)));
    let number = NumberPlan::default().read(&format!("+9725{:08}", 10_000_000 + n % 300_000));
    let offer = PastOffer { agent: Some(format!("agent{}", n % 2000)), answered_at: Some(at), left_at: None };
    Ok(PastCall {
        id,
        caller: Caller { number, ..Caller::default() },
        queue: None,
        arrived_at: at,
        ended: Ended { at: at + SignedDuration::from_secs(180), how: EndedHow::Completed },
        customer: None,
        offers: [(house::line(n % 2000)?, offer)].into(),
        entries: Vec::new(),
    })
}

fn event(call: u32, step: u32) -> anyhow::Result<Event> {
    let id = CallId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(call)));
    let line = house::line(call % 2000)?;
    let change = match step {
        0 => {
            let number = NumberPlan::default().read(&format!("+9725{:08}", 10_000_000 + call));
            CallChange::Arrived(CallFacts {
                caller: Caller { number, ..Caller::default() },
                ..CallFacts::default()
            })
        }
        1 => CallChange::Offered { line, passed_on_by: None },
        2 => CallChange::Answered { line },
        _ => CallChange::Ended { how: EndedHow::Completed },
    };
    ensure!(step < 4, "a call has four events");
    Ok(Event::Call(CallEvent { call: id, heard_at: Timestamp::now(), change }))
}
