//! Real Asterisk, 16 and 22, with sipp as phones and callers: what a company would live.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pinkas_demo::company::customers::LEVI;
use pinkas_protocol::{CallId, CardState, EndedHow, LineState, Number, Who};
use pinkas_tests::lab::asterisk::{ADAPTER_PASSWORD, Asterisk, Version};
use pinkas_tests::lab::sipp::{Call, Caller, Phone, Then};
use pinkas_tests::or_skip;
use pinkas_tests::site::{Desktop, SOON, Site, Wishes, line};

const AGENTS: &[u16] = &[101, 102, 103];
const RINGERS: [(&str, &str); 3] = [("ana", "101"), ("bob", "102"), ("celina", "103")];

/// An office at a real phone system; every line is heard.
async fn office(pbx: &Asterisk) -> Site {
    let wishes =
        Wishes { pbx: Some((SocketAddr::V4(pbx.sip()), ADAPTER_PASSWORD.to_owned())), ..Wishes::default() };
    Site::open_as(wishes).await.unwrap()
}

async fn every_line_is(desk: &Desktop, state: LineState) {
    let what = format!("to see every line {state:?}");
    let all = desk.until(&what, |heard| {
        let lines = &heard.board.lines;
        (lines.len() == 3 && lines.values().all(|view| view.state == state)).then_some(())
    });
    all.await.unwrap();
}

fn call<'a>(pbx: &Asterisk, to: &'a str, number: &'a str, name: &'a [u8], then: Then) -> Call<'a> {
    Call { pbx: pbx.sip(), carrier: pbx.carrier(), to, number, name, headers: &[], then }
}

/// Waits for the newest call after `before` at a desktop.
async fn newest(desk: &Desktop, before: Option<CallId>) -> CallId {
    desk.until("to see a new call", |heard| {
        heard.newest().map(|view| view.id).filter(|id| Some(*id) > before)
    })
    .await
    .unwrap()
}

async fn a_queue_of_three(version: Version, ip: Ipv4Addr) {
    let pbx = or_skip!(Asterisk::start(version, ip, AGENTS).await);
    let site = office(&pbx).await;
    let (_hub, _adapter, desks) = site.all(&["ana", "bob", "celina", "sima"]).await.unwrap();
    every_line_is(&desks["sima"], LineState::Idle).await;

    // Ring-all of the queue, answered at 102.
    let _ana = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let bob = or_skip!(Phone::answer_after(pbx.phone(102), Duration::from_millis(1500)).await);
    let _celina = or_skip!(Phone::ring_only(pbx.phone(103)).await);
    let then = Then::HoldFor(Duration::from_millis(1200));
    let mut caller = or_skip!(Caller::call(call(&pbx, "500", LEVI.e164, LEVI.name.as_bytes(), then)).await);
    let id = newest(&desks["ana"], None).await;
    for (who, at) in RINGERS {
        let view = desks[who].until("to have every card", |heard| {
            let view = heard.board.calls.get(&id)?;
            let full = view.cards.len() == 3
                && view.cards.iter().all(|card| matches!(card.state, CardState::Filled { .. }));
            full.then(|| view.clone())
        });
        let view = view.await.unwrap();
        assert_eq!(view.facts.caller.number, Some(Number::E164 { e164: LEVI.e164.to_owned() }));
        assert_eq!(view.facts.caller.name.as_ref().map(|name| name.0.as_str()), Some(LEVI.name));
        assert!(matches!(&view.who, Who::Known { customer } if customer.key.as_str() == LEVI.id));
        assert!(view.offers.contains_key(&line(at)));
    }
    for who in ["ana", "celina"] {
        let why = desks[who].until("to be told who answered", |heard| heard.closed(id)).await.unwrap();
        assert_eq!(why, "answered by 102");
    }
    caller.over(SOON).await.unwrap();
    for who in ["ana", "bob", "celina", "sima"] {
        let ended =
            desks[who].until("to see the end", |heard| heard.board.calls.get(&id)?.ended).await.unwrap();
        assert_eq!(ended.how, EndedHow::Completed);
    }
    every_line_is(&desks["sima"], LineState::Idle).await;
    drop(bob);

    // The same, given up by the caller.
    let _bob = or_skip!(Phone::ring_only(pbx.phone(102)).await);
    let then = Then::GiveUpAfter(Duration::from_millis(700));
    let mut caller = or_skip!(Caller::call(call(&pbx, "500", "+48220000101", b"Second", then)).await);
    let second = newest(&desks["ana"], Some(id)).await;
    for (who, _) in RINGERS {
        let why = desks[who].until("to see it go", |heard| heard.closed(second)).await.unwrap();
        assert_eq!(why, "the caller hung up");
    }
    caller.over(SOON).await.unwrap();
    let ended =
        desks["sima"].until("to see the end", |heard| heard.board.calls.get(&second)?.ended).await.unwrap();
    assert_eq!(ended.how, EndedHow::Abandoned);

    for (who, _) in RINGERS {
        let heard = desks[who].heard();
        assert_eq!((heard.pops_of(id), heard.pops_of(second)), (1, 1), "exactly one pop at {who}");
        assert_eq!(heard.board.calls.len(), 2, "{who} saw two calls and no more");
    }
}

#[tokio::test]
async fn asterisk_16_a_queue_rings_three_is_answered_by_one_and_abandoned_once() {
    a_queue_of_three(Version::V16, Ipv4Addr::new(127, 0, 30, 16)).await;
}

#[tokio::test]
async fn asterisk_22_a_queue_rings_three_is_answered_by_one_and_abandoned_once() {
    a_queue_of_three(Version::V22, Ipv4Addr::new(127, 0, 30, 22)).await;
}

async fn hostile_names(version: Version, ip: Ipv4Addr) {
    let pbx = or_skip!(Asterisk::start(version, ip, AGENTS).await);
    let site = office(&pbx).await;
    let (_hub, _adapter, desks) = site.all(&["ana", "sima"]).await.unwrap();
    every_line_is(&desks["sima"], LineState::Idle).await;
    let _ana = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let spoof = format!("x <sip:{}@bank>", LEVI.e164);
    let long = "A".repeat(1000);
    let names: &[(&[u8], &str)] = &[
        (b"'; DROP TABLE sales; --", "'; DROP TABLE"),
        (spoof.as_bytes(), "x <sip:"),
        (b"{{7*7}}", "{{7*7}}"),
        ("\u{202E}live \u{2066}name".as_bytes(), "live name"),
        (b"broken \xf9\xe0 name", "broken"),
        (long.as_bytes(), "AAAA"),
    ];
    let mut before = None;
    for (i, (name, shown)) in names.iter().enumerate() {
        let number = format!("+4822000090{i}");
        // Long enough for the phone to ring on a machine with other work: who hangs up before is no call of anybody's.
        let then = Then::GiveUpAfter(Duration::from_millis(1500));
        let mut caller = or_skip!(Caller::call(call(&pbx, "101", &number, name, then)).await);
        let id = newest(&desks["ana"], before).await;
        before = Some(id);
        let view = desks["ana"].until("to see it settle", |heard| {
            let view = heard.board.calls.get(&id)?;
            (view.who != Who::Asking && view.ended.is_some()).then(|| view.clone())
        });
        let view = view.await.unwrap();
        let name = view.facts.caller.name.map(|name| name.0).unwrap_or_default();
        assert!(name.starts_with(shown), "{name:?} for {shown:?}");
        assert!(!name.chars().any(|c| c.is_control() || ('\u{202A}'..='\u{202E}').contains(&c)), "{name:?}");
        assert_eq!(
            view.who,
            Who::Unknown { country: Some("PL".to_owned()), earlier: Vec::new() },
            "no customer for {shown:?}"
        );
        caller.over(SOON).await.unwrap();
    }
    assert_eq!(site.accounting.requests(), 0);
}

#[tokio::test]
async fn asterisk_22_hostile_names_pop_as_plain_text() {
    hostile_names(Version::V22, Ipv4Addr::new(127, 0, 30, 23)).await;
}

#[tokio::test]
async fn asterisk_16_hostile_names_pop_as_plain_text() {
    hostile_names(Version::V16, Ipv4Addr::new(127, 0, 30, 17)).await;
}

#[tokio::test]
async fn asterisk_22_a_withheld_caller_stays_withheld_and_a_declined_call_says_so() {
    let pbx = or_skip!(Asterisk::start(Version::V22, Ipv4Addr::new(127, 0, 30, 24), AGENTS).await);
    let site = office(&pbx).await;
    let (_hub, _adapter, desks) = site.all(&["ana", "bob", "sima"]).await.unwrap();
    every_line_is(&desks["sima"], LineState::Idle).await;
    let _ana = or_skip!(Phone::decline_after(pbx.phone(101), Duration::from_millis(300)).await);
    let _bob = or_skip!(Phone::ring_only(pbx.phone(102)).await);
    let _celina = or_skip!(Phone::ring_only(pbx.phone(103)).await);
    let then = Then::GiveUpAfter(Duration::from_millis(2500));
    let withheld = Call {
        headers: &["Privacy: id", "P-Asserted-Identity: <sip:+972541234567@carrier>"],
        ..call(&pbx, "600", "anonymous", b"Anonymous", then)
    };
    let mut caller = or_skip!(Caller::call(withheld).await);
    let id = newest(&desks["ana"], None).await;
    let view = desks["ana"].heard().board.calls[&id].clone();
    assert!(view.facts.caller.withheld && view.facts.caller.number.is_none(), "{:?}", view.facts.caller);
    assert_eq!(view.who, Who::NoNumber);
    let why = desks["ana"].until("to see it leave the own phone", |heard| heard.closed(id)).await.unwrap();
    assert_eq!(why, "no longer ringing here");
    let why = desks["bob"].until("to see it go", |heard| heard.closed(id)).await.unwrap();
    assert_eq!(why, "the caller hung up");
    caller.over(SOON).await.unwrap();
}

#[tokio::test]
async fn asterisk_22_stopped_in_the_middle_of_a_call_and_started_again_leaves_no_ghost() {
    let mut pbx = or_skip!(Asterisk::start(Version::V22, Ipv4Addr::new(127, 0, 30, 25), AGENTS).await);
    let site = office(&pbx).await;
    let config = std::fs::read_to_string(&site.office.adapter).unwrap();
    std::fs::write(&site.office.adapter, config + "expires = \"4s\"\n").unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana", "sima"]).await.unwrap();
    every_line_is(&desks["sima"], LineState::Idle).await;
    let ana = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let then = Then::GiveUpAfter(Duration::from_secs(60));
    let caller = or_skip!(Caller::call(call(&pbx, "101", LEVI.e164, b"x", then)).await);
    let id = newest(&desks["ana"], None).await;
    pbx.kill().await.unwrap();
    drop((ana, caller));
    pbx.start_again().await.unwrap();
    desks["ana"].until("to see the call end", |heard| heard.board.calls.get(&id)?.ended).await.unwrap();

    let _ana = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let then = Then::GiveUpAfter(Duration::from_millis(1500));
    let mut caller = or_skip!(Caller::call(call(&pbx, "101", LEVI.e164, b"x", then)).await);
    let next = newest(&desks["ana"], Some(id)).await;
    assert_eq!(desks["ana"].heard().pops_of(next), 1);
    caller.over(SOON).await.unwrap();
}
