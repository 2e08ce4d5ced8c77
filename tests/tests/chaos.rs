//! Programs die at random moments, as by a power cut, while calls go on. Whatever the adapter took note
//! of is in the hub's call log exactly once, and no pop is left on any screen.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinkas_demo::office;
use pinkas_demo::pbx::{Pbx, PretendCaller};
use pinkas_hub::store::LogEntry;
use pinkas_protocol::{CallChange, CallId, CallView, Event};
use pinkas_tests::lab::process::{Freeze, Running, until};
use pinkas_tests::site::{Heard, SOON, Site, Wishes};

const ROUNDS: u64 = 20;
const CALLS: u64 = 200;
/// Calls under way at the same time: one for each phone.
const CALLERS: u64 = 3;

/// A small generator (xorshift64*), so that a failing round can be played again by its number.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

/// One after the other on one phone: answered, abandoned and declined calls.
async fn calls(pbx: Pbx, phone: u64, mut dice: Dice) {
    let lines = office::lines();
    let here = lines[phone as usize].clone();
    for n in 0..CALLS / CALLERS + u64::from(phone < CALLS % CALLERS) {
        let caller = PretendCaller::new(format!("+4822{phone}{n:06}"), "Caller");
        let call = pbx.call(caller, std::slice::from_ref(&here)).await;
        tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
        if dice.below(3) > 0 {
            call.answer(&here).await;
            tokio::time::sleep(Duration::from_millis(dice.below(20))).await;
        }
        call.hang_up().await;
        tokio::time::sleep(Duration::from_millis(dice.below(10))).await;
    }
}

/// What happened to a program that was killed again and again.
struct Killed {
    running: Running,
    kills: u64,
    /// What the adapter had on its disk at each death.
    noted: BTreeMap<u64, Event>,
}

/// Kills a program at random moments while the calls go on, and starts it again at once.
async fn kill_at_random(
    site: &Site,
    victim: Victim,
    mut running: Running,
    mut dice: Dice,
    calls: impl Future<Output = ()>,
) -> Killed {
    let (mut kills, mut noted) = (0, BTreeMap::new());
    let killing = async {
        loop {
            tokio::time::sleep(Duration::from_millis(150 + dice.below(900))).await;
            running.kill();
            kills += 1;
            running = revive(site, victim, &mut noted).await;
        }
    };
    tokio::select! {
        () = calls => {}
        () = killing => {}
    }
    // The calls may have ended between a death and the start that follows it.
    if running.ended().expect("it can be asked").is_some() {
        running = revive(site, victim, &mut noted).await;
    }
    Killed { running, kills, noted }
}

/// Starts a killed program again, as soon as the kernel has let go of the lock on its folder.
async fn revive(site: &Site, victim: Victim, noted: &mut BTreeMap<u64, Event>) -> Running {
    let started = match victim {
        Victim::Hub => {
            let (folder, mut nowhere) = (site.dir().join("hub-state"), std::io::sink());
            let free = async || pinkas_hub::store::print_log(&folder, &mut nowhere).ok();
            until("the store to be free", SOON, free).await.expect("the store is whole");
            site.hub()
        }
        Victim::Adapter => {
            noted.extend(on_disk(site).await.0);
            site.adapter()
        }
    };
    started.expect("it starts again")
}

/// What the adapter, which must not run, has on its disk: events by number, live calls, last number.
async fn on_disk(site: &Site) -> (BTreeMap<u64, Event>, usize, u64) {
    let folder = site.dir().join("adapter-state");
    let mut why = String::new();
    let opened = until("the outbox to be free", SOON, async || {
        pinkas_sip_adapter::outbox::open(&folder).inspect_err(|e| why = format!("{e:#}")).ok()
    });
    let opened = opened.await.unwrap_or_else(|late| panic!("{late}: {why}"));
    let mut events = BTreeMap::new();
    while let Some((number, event)) =
        opened.outbox.after(events.keys().next_back().copied().unwrap_or(0)).expect("whole")
    {
        events.insert(number, event);
    }
    let latest = opened.outbox.written.borrow().latest;
    drop(opened.outbox);
    opened.writer.join().expect("its writer ends");
    (events, opened.live.len(), latest)
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Hub,
    Adapter,
}

async fn round(number: u64, victim: Victim) {
    let wishes = Wishes { more_adapter: "grace = \"60ms\"".to_owned(), ..Wishes::default() };
    let site = Site::open_as(wishes).await.unwrap();
    let config = std::fs::read_to_string(&site.office.adapter).unwrap();
    std::fs::write(&site.office.adapter, config + "expires = \"2s\"\n").unwrap();
    let (hub, adapter, desks) = site.all(&["ana", "sima"]).await.unwrap();

    let seed = |salt: u64| Dice(number * 1000 + salt + 1);
    let pbx = site.pbx().clone();
    let all = async {
        let callers = (0..CALLERS).map(|phone| tokio::spawn(calls(pbx.clone(), phone, seed(phone))));
        for caller in callers.collect::<Vec<_>>() {
            caller.await.expect("a caller's script ends");
        }
    };
    let (mut hub, mut adapter, kills, mut noted) = match victim {
        Victim::Hub => {
            let killed = kill_at_random(&site, victim, hub, seed(100), all).await;
            (killed.running, adapter, killed.kills, killed.noted)
        }
        Victim::Adapter => {
            let killed = kill_at_random(&site, victim, adapter, seed(200), all).await;
            (hub, killed.running, killed.kills, killed.noted)
        }
    };
    assert!(kills > 0, "round {number}: nothing was killed");

    // A last call at every phone: once its end is seen, so is everything before it.
    tokio::time::timeout(SOON, pbx.subscribed(&office::lines())).await.unwrap();
    let last = pbx.call(PretendCaller::new("+48229999999", "Last"), &office::lines()).await;
    let is_last = |view: &&CallView| view.facts.caller.name.as_ref().is_some_and(|name| name.0 == "Last");
    let seen = |heard: &Heard| heard.board.calls.values().find(is_last).map(|view| view.offers.len());
    desks["sima"]
        .until("to see the last call everywhere", |heard| seen(heard).filter(|n| *n == 3))
        .await
        .unwrap();
    last.abandon().await;
    for (who, desk) in &desks {
        let what =
            format!("to have no call and no pop left after round {number} ({victim:?} killed {kills} times)");
        desk.until(&what, |heard| {
            let last_ended = heard.board.calls.values().find(is_last)?.ended.is_some();
            let quiet = last_ended && heard.live().is_empty();
            (quiet && heard.open_pops().is_empty()).then_some(())
        })
        .await
        .unwrap_or_else(|e| panic!("{who}: {e:#}"));
    }
    adapter.ask("TERM");
    adapter.end(SOON).await.unwrap();
    hub.ask("TERM");
    hub.end(SOON).await.unwrap();
    let log = site.call_log().await.unwrap();
    let (left, live, latest) = on_disk(&site).await;
    assert_eq!(live, 0, "round {number}: the adapter still follows a call");
    noted.extend(left);
    nothing_lost_nothing_twice(number, victim, &log, &noted, latest);
}

fn nothing_lost_nothing_twice(
    number: u64,
    victim: Victim,
    log: &[LogEntry],
    noted: &BTreeMap<u64, Event>,
    latest: u64,
) {
    let mut logged = BTreeMap::new();
    for entry in log {
        let Some(origin) = entry.origin else { continue };
        let again = logged.insert(origin.sequence, &entry.event);
        assert!(again.is_none(), "round {number}: {} is in the log twice", origin.sequence);
    }
    for (sequence, event) in noted {
        assert_eq!(
            logged.get(sequence),
            Some(&event),
            "round {number}: {sequence} was noted and is not in the log"
        );
    }
    if let Victim::Hub = victim {
        // The adapter lived: it used every number, and the log must hold every one.
        let expected: Vec<u64> = (1..=latest).collect();
        assert!(
            logged.keys().copied().eq(expected),
            "round {number}: the log holds other events than the {latest} told"
        );
    }
    let (mut arrived, mut ended) = (BTreeSet::new(), BTreeSet::<CallId>::new());
    for entry in log.iter().filter(|entry| !entry.repeated) {
        let Event::Call(event) = &entry.event else { continue };
        match event.change {
            CallChange::Arrived { .. } => {
                assert!(arrived.insert(event.call), "round {number}: arrived twice")
            }
            CallChange::Ended { .. } => assert!(ended.insert(event.call), "round {number}: ended twice"),
            _ => {}
        }
    }
    assert_eq!(arrived, ended, "round {number}: every call that arrived has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_hub_at_random_moments_loses_and_doubles_nothing() {
    for number in 0..ROUNDS {
        round(number, Victim::Hub).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_the_adapter_at_random_moments_loses_and_doubles_nothing() {
    for number in 0..ROUNDS {
        round(number, Victim::Adapter).await;
    }
}

#[tokio::test]
async fn a_full_disk_at_the_adapter_stops_no_call() {
    /// Before, while and after the hub stands still; what it has soon is never written to the adapter's disk.
    const CALLS: [usize; 3] = [5, 50, 5];
    let site = Site::open().await.unwrap();
    let hub = site.hub().unwrap();
    let adapter = site.adapter_on_a_disk_of(32).unwrap();
    let ana = site.desktop("ana").unwrap();
    ana.until("to hear of the adapter", |heard| heard.adapter_connected().then_some(())).await.unwrap();
    tokio::time::timeout(SOON, site.pbx().subscribed(&office::lines())).await.unwrap();
    let ring = async |n: usize| {
        let caller = PretendCaller::new(format!("+48220{n:06}"), format!("Caller {n}"));
        site.pbx().call(caller, &office::lines()).await
    };
    let seen = async |n: usize| {
        let call = ring(n).await;
        ana.until("to see it ring", |heard| (heard.said("pop").len() > n).then_some(())).await.unwrap();
        call.abandon().await;
        let gone = |heard: &Heard| heard.open_pops().is_empty().then_some(());
        ana.until("to see it go", gone).await.unwrap();
    };
    for n in 0..CALLS[0] {
        seen(n).await;
    }
    hub.freeze(Freeze::Stop);
    for n in CALLS[0]..CALLS[0] + CALLS[1] {
        let call = ring(n).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        call.abandon().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.logs("adapter.log", "the outbox cannot be written").await.unwrap();
    hub.freeze(Freeze::GoOn);
    let all: usize = CALLS.iter().sum();
    let told = CALLS[0] + CALLS[1];
    ana.until("to see those that waited", |heard| (heard.said("pop").len() >= told).then_some(()))
        .await
        .unwrap();
    for n in told..all {
        seen(n).await;
    }
    adapter.ask("TERM");
    hub.ask("TERM");
    let (mut adapter, mut hub) = (adapter, hub);
    adapter.end(SOON).await.unwrap();
    hub.end(SOON).await.unwrap();
    let ended = |entry: &LogEntry| format!("{entry:?}").contains("Ended");
    let log = site.call_log().await.unwrap();
    assert_eq!(
        log.iter().filter(|entry| ended(entry)).count(),
        all,
        "every call is in the hub's log to its end"
    );
}
