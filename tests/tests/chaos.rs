//! Programs die at random moments, as by a power cut, while calls go on. Whatever the adapter took note
//! of is in the hub's call log exactly once, and no pop is left on any screen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinkas_demo::office;
use pinkas_demo::pbx::{Pbx, PretendCaller};
use pinkas_hub::store::LogEntry;
use pinkas_protocol::{AdapterId, CallChange, CallId, CallView, Event};
use pinkas_tests::lab::process::Running;
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

/// Kills a program at random moments until told to stop, and starts it again at once.
async fn kill_at_random(
    site: &Site,
    start: impl Fn(&Site) -> anyhow::Result<Running>,
    mut running: Running,
    mut dice: Dice,
    calls: impl Future<Output = ()>,
) -> (Running, u64) {
    let mut kills = 0;
    let killing = async {
        loop {
            tokio::time::sleep(Duration::from_millis(150 + dice.below(900))).await;
            running.kill();
            kills += 1;
            running = start(site).expect("it starts again");
        }
    };
    tokio::select! {
        () = calls => {}
        () = killing => {}
    }
    (running, kills)
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
    let (mut hub, mut adapter, kills) = match victim {
        Victim::Hub => {
            let (hub, kills) = kill_at_random(&site, Site::hub, hub, seed(100), all).await;
            (hub, adapter, kills)
        }
        Victim::Adapter => {
            let (adapter, kills) = kill_at_random(&site, Site::adapter, adapter, seed(200), all).await;
            (hub, adapter, kills)
        }
    };
    assert!(kills > 0, "round {number}: nothing was killed");

    // A last call at every phone: once its end is seen, so is everything before it.
    tokio::time::timeout(SOON, pbx.subscribed(&office::lines())).await.unwrap();
    let last = pbx.call(PretendCaller::new("+48229999999", "Last"), &office::lines()).await;
    let is_last = |view: &&CallView| view.caller.name.as_ref().is_some_and(|name| name.0 == "Last");
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
    nothing_lost_nothing_twice(number, &log, noted(&site));
}

/// The number of events the adapter ever noted. The adapter must have ended.
fn noted(site: &Site) -> u64 {
    let opened = pinkas_sip_adapter::outbox::open(&site.dir().join("adapter-state")).unwrap();
    assert!(opened.live.is_empty(), "the adapter still follows {:?}", opened.live);
    opened.outbox.written.borrow().latest
}

fn nothing_lost_nothing_twice(number: u64, log: &[LogEntry], noted: u64) {
    let mut seen: BTreeMap<(AdapterId, _), Vec<u64>> = BTreeMap::new();
    for entry in log {
        if let Some(origin) = entry.origin {
            seen.entry((entry.adapter.clone(), origin.outbox)).or_default().push(origin.sequence);
        }
    }
    assert_eq!(seen.len(), 1, "round {number}: one adapter, one outbox");
    for sequences in seen.values() {
        let expected: Vec<u64> = (1..=noted).collect();
        assert!(sequences == &expected, "round {number}: the log holds other events than the {noted} noted");
    }
    let (mut arrived, mut ended) = (BTreeSet::new(), BTreeSet::<CallId>::new());
    for entry in log {
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
