//! The clocks of the hub and the adapter are set while calls go on: each call pops and ends, none lasts less than
//! nothing, the record keeps the order in which things were said, and whoever looks after the hub reads one line each time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use pinkas_demo::office;
use pinkas_demo::pbx::PretendCaller;
use pinkas_protocol::{CallChange, CallId, Event};
use pinkas_tests::lab::clock::Clock;
use pinkas_tests::lab::process::until;
use pinkas_tests::or_skip;
use pinkas_tests::site::{SOON, Site};

const SET: &str = "this machine's clock went";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Hubs,
    Adapters,
}

/// Whose clock is set, so far from the right time, and what the hub says of it.
const SETS: [(Whose, &str, &str); 8] = [
    (Whose::Hubs, "-1h", "back by 60 min"),
    (Whose::Adapters, "-1h", ""),
    (Whose::Hubs, "+1h", "ahead by 120 min"),
    (Whose::Adapters, "+1h", ""),
    (Whose::Hubs, "-10y", "back by 5256060 min"),
    (Whose::Adapters, "+10y", ""),
    (Whose::Hubs, "+10y", "ahead by 10512000 min"),
    (Whose::Hubs, "+0", "back by 5256000 min"),
];

#[tokio::test]
async fn calls_pop_and_the_record_stays_in_order_while_clocks_are_set() {
    let site = Site::open().await.unwrap();
    let hubs = or_skip!(Clock::right(site.dir(), "hub.clock"));
    let adapters = or_skip!(Clock::right(site.dir(), "adapter.clock"));
    let (mut hub, mut adapter) = (site.hub_by(&hubs).unwrap(), site.adapter_by(&adapters).unwrap());
    let ana = site.desktop("ana").unwrap();
    ana.until("to hear of the adapter", |heard| heard.adapter_connected().then_some(())).await.unwrap();
    tokio::time::timeout(SOON, site.pbx().subscribed(&office::lines())).await.unwrap();

    let here = office::lines()[0].clone();
    let mut said = 0;
    for (n, (whose, by, words)) in SETS.into_iter().enumerate() {
        let caller = PretendCaller::new(format!("+97231234{n:03}"), "Caller");
        let call = site.pbx().call(caller, std::slice::from_ref(&here)).await;
        let id = ana.until("to see it ring", |heard| Some(heard.live().first()?.id)).await.unwrap();
        call.answer(&here).await;
        ana.until("to see it answered", |heard| heard.board.calls.get(&id)?.answered().map(drop))
            .await
            .unwrap();
        match whose {
            Whose::Hubs => {
                hubs.set(by).unwrap();
                said += 1;
                let told = async || {
                    let log = site.log("hub.log");
                    let lines: Vec<&str> = log.lines().filter(|line| line.contains(SET)).collect();
                    (lines.len() == said && lines.last()?.contains(words)).then_some(())
                };
                until(format!("the hub to say {words}"), SOON, told)
                    .await
                    .unwrap_or_else(|e| panic!("{e:#}\n{}", site.log("hub.log")));
            }
            Whose::Adapters => adapters.set(by).unwrap(),
        }
        call.hang_up().await;
        let over = |heard: &pinkas_tests::site::Heard| {
            heard.board.calls.get(&id).filter(|view| view.ended.is_some()).cloned()
        };
        let view = ana.until("to see it end", over).await.unwrap();
        let lasted = view.ended.unwrap().at.duration_since(view.arrived_at);
        assert!(!lasted.is_negative(), "{by}: {lasted}");
        assert_eq!(ana.heard().pops_of(id), 1, "{by}");
    }
    hub.must_run().unwrap();
    adapter.must_run().unwrap();
    let log = site.log("hub.log");
    assert_eq!(log.lines().filter(|line| line.contains(SET)).count(), said, "{log}");
    assert!(!log.contains("panicked") && !site.log("adapter.log").contains("panicked"));
    assert_eq!(ana.heard().said("welcome").len(), 1, "nobody was logged out by it");

    adapter.ask("TERM");
    adapter.end(SOON).await.unwrap();
    hub.ask("TERM");
    hub.end(SOON).await.unwrap();
    let mut calls = BTreeMap::<CallId, Vec<&'static str>>::new();
    for entry in site.call_log().await.unwrap() {
        let Event::Call(event) = entry.event else { continue };
        calls.entry(event.call).or_default().push(match event.change {
            CallChange::Arrived(_) => "arrived",
            CallChange::Offered { .. } => "offered",
            CallChange::Answered { .. } => "answered",
            CallChange::Ended { .. } => "ended",
            _ => "else",
        });
    }
    assert_eq!(calls.len(), SETS.len());
    for (call, told) in calls {
        assert_eq!(told, ["arrived", "offered", "answered", "ended"], "{call}");
    }
}
