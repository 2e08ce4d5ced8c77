//! The record on a real disk: what is kept comes back, what is damaged is said, what is erased is gone.

use std::fs;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::agent_link::HubToAgent;
use pinkas_protocol::board::{Ended, Identified};
use pinkas_protocol::record::{PAGE, PastCustomer, PastOffer, Searched, Settled};
use pinkas_protocol::*;
use uuid::Uuid;

use super::{Said, *};
use crate::core::trace::{Came, What};
use crate::core::{Choice, KeptCall, Scope, Step};

mod clocks;
mod damage;
mod erasing;
mod steps;

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

fn plan() -> NumberPlan {
    NumberPlan::new("PL", 4).expect("a country")
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second as i64).expect("a time")
}

/// A call id of that second.
fn call(n: u64) -> CallId {
    CallId(Uuid::from_u128(
        (u128::from((1_700_000_000 + n) * 1_000) << 80) | (7 << 76) | (2 << 62) | u128::from(n),
    ))
}

fn number(text: &str) -> Option<Number> {
    plan().read(text)
}

fn past(n: u64, from: &str, customer: Option<&str>, line: &str) -> PastCall {
    let customer = customer.map(|key| PastCustomer { key: id(key), name: Private(format!("Name of {key}")) });
    let offer = PastOffer { agent: Some("Ana".to_owned()), answered_at: Some(at(n)), left_at: None };
    PastCall {
        id: call(n),
        caller: Caller { number: number(from), ..Caller::default() },
        queue: Some(id("Support")),
        arrived_at: at(n),
        ended: Ended { at: at(n + 9), how: EndedHow::Completed },
        customer,
        offers: [(id(line), offer)].into(),
        entries: Vec::new(),
    }
}

fn entry(n: u64, text: &str) -> Entry {
    let what = Written::Note { text: Private(text.to_owned()) };
    Entry {
        id: Uuid::from_u128(n.into()),
        at: at(n),
        by: id("ana"),
        name: "Ana".to_owned(),
        what,
        done: None,
    }
}

fn noted(sequence: u64, call: CallId, from: &str) -> Keep {
    let caller = Caller { number: number(from), ..Caller::default() };
    let change = CallChange::Arrived(CallFacts { caller, ..CallFacts::default() });
    let event = Event::Call(CallEvent { call, heard_at: at(sequence), change });
    Keep::Noted { adapter: id("main"), outbox: Uuid::nil(), sequence, event, repeated: false }
}

fn choice(from: &str, key: &str) -> Keep {
    let kept = Choice { customer: Some(id(key)), linked: None, by: id("ana"), at: at(1) };
    Keep::Choice { number: number(from).expect("a number"), kept: Some(kept) }
}

/// Somebody saw a customer's card, because somebody vouched for the caller.
fn seen(n: u64, customer: &str) -> Keep {
    let identified = Identified {
        customer: id(customer),
        by: "Ana".to_owned(),
        how: Private("asked".to_owned()),
        at: at(n),
    };
    Keep::Seen(Box::new(Seen {
        at: at(n),
        agent: id("ana"),
        call: call(n),
        customer: id(customer),
        cards: vec![id("books")],
        unfolded: vec!["books.balance".to_owned()],
        identified: Some(Box::new(identified)),
    }))
}

/// A step of a call, with this text of a source in it.
fn step(n: u64, text: &str) -> Keep {
    let failure = Failure::Refused { what: text.to_owned() };
    let what = What::Card { source: id("books"), came: Came::Failed { failure, took_ms: 1 } };
    Keep::Step { call: call(n), number: 0, step: Some(Box::new(Step { at: at(n), what })) }
}

/// A folder with a store in it.
struct Shelf {
    _dir: tempfile::TempDir,
    folder: PathBuf,
}

impl Shelf {
    fn new() -> Shelf {
        let dir = tempfile::tempdir().expect("a folder");
        Shelf { folder: dir.path().join("state"), _dir: dir }
    }

    fn open(&self) -> (Store, Kept) {
        open(&self.folder, plan()).expect("it opens")
    }

    /// Keeps this, and waits until it is on the disk.
    async fn keeps(&self, keep: Vec<Keep>) {
        let (mut store, _) = self.open();
        store.keep.send(keep).await.expect("it writes");
        let (viewer, id) = (ViewerId(1), Uuid::max());
        store.keep.send(vec![Keep::Acknowledge { viewer, id }]).await.expect("it writes");
        assert!(matches!(store.said.recv().await, Some(Said::Kept { .. })));
        store.close().await.expect("it closes");
    }

    fn exported(&self) -> String {
        let mut out = Vec::new();
        export(&self.folder, &mut out).expect("an export");
        String::from_utf8(out).expect("text")
    }

    /// Of which customers it is known who saw them, oldest first.
    fn seen(&self) -> Vec<String> {
        let mut out = Vec::new();
        print_seen(&self.folder, &mut out).expect("what was seen");
        let text = String::from_utf8(out).expect("text");
        let seen = text.lines().map(|line| serde_json::from_str::<Seen>(line).expect("a line"));
        seen.map(|seen| seen.customer.to_string()).collect()
    }

    /// What a person finds.
    fn finds(
        &self,
        scope: Scope,
        before: Option<CallId>,
        find: &str,
    ) -> (Vec<CallId>, Option<CallId>, Searched) {
        let reader = Reader::new(opening::open_db(&self.folder).expect("it opens"), plan());
        let find = (!find.is_empty()).then(|| Private(find.to_owned()));
        let page = reader.page(&Look { viewer: ViewerId(1), ask: 1, before, find, scope }).expect("a page");
        let HubToAgent::Page { calls, more, searched, .. } = page else { panic!("a page") };
        (calls.iter().map(|call| call.id).collect(), more, searched)
    }
}

fn keep_past(past: PastCall) -> Keep {
    Keep::Past { past: Box::new(past) }
}

fn lines(lines: &[&str]) -> Scope {
    Scope::Lines(lines.iter().map(|line| id(line)).collect())
}

#[tokio::test]
async fn calls_are_found_by_number_customer_and_text_and_only_by_those_they_concerned() {
    let shelf = Shelf::new();
    let mut keep: Vec<Keep> = (0..130).map(|n| keep_past(past(n, "+48220000000", None, "103"))).collect();
    keep.push(keep_past(past(200, "+48123456789", Some("C1"), "101")));
    keep.push(keep_past(past(201, "+48123456789", Some("C2"), "102")));
    keep.push(Keep::Entry { call: call(201), entry: Box::new(entry(1, "Wants a RED box")) });
    // Who it was is said otherwise later: the old customer finds it no more.
    keep.push(keep_past(past(202, "+48123456789", Some("C1"), "102")));
    keep.push(keep_past(past(202, "+48123456789", Some("C3"), "102")));
    shelf.keeps(keep).await;
    shelf.keeps(vec![keep_past(past(201, "+48123456789", Some("C4"), "102"))]).await;
    for (scope, find, expected) in [
        (Scope::Everything, "123 456 789", &[202, 201, 200][..]),
        (lines(&["101"]), "+48 123 456 789", &[200]),
        (Scope::Everything, "C1", &[200]),
        (Scope::Everything, "C2", &[]),
        (Scope::Everything, "C4", &[201]),
        (Scope::Everything, "red box", &[201]),
        (lines(&["101"]), "red box", &[]),
        (Scope::Everything, "name of c3", &[202]),
        (Scope::Everything, "456789", &[202, 201, 200]),
        (lines(&["101", "102"]), "", &[202, 201, 200]),
        (lines(&["104"]), "", &[]),
    ] {
        let expected: Vec<CallId> = expected.iter().map(|n| call(*n)).collect();
        assert_eq!(
            shelf.finds(scope.clone(), None, find),
            (expected, None, Searched::Fully),
            "{find} {scope:?}"
        );
    }
    let (first, more, _) = shelf.finds(Scope::Everything, None, "");
    assert_eq!((first.len(), first[0], more), (PAGE, call(202), first.last().copied()));
    let (mut all, mut before) = (first, more);
    while before.is_some() {
        let (next, more, _) = shelf.finds(Scope::Everything, before, "");
        all.extend(next);
        before = more;
    }
    assert_eq!(all.len(), 133, "pages neither repeat nor leave out");
    assert!(all.is_sorted_by(|a, b| a > b));
}

#[tokio::test]
async fn a_search_by_text_stops_and_says_how_far_it_came() {
    let shelf = Shelf::new();
    shelf.keeps((0..5_003).map(|n| keep_past(past(n, "+48220000000", None, "103"))).collect()).await;
    let (found, more, searched) = shelf.finds(Scope::Everything, None, "nobody");
    assert_eq!((found.len(), more, searched), (0, Some(call(3)), Searched::Partly));
    assert_eq!(shelf.finds(Scope::Everything, more, "nobody"), (vec![], None, Searched::Fully));
}

#[tokio::test]
async fn an_older_hubs_store_opens_and_its_calls_have_a_history() {
    let shelf = Shelf::new();
    fs::create_dir_all(&shelf.folder).expect("a folder");
    let old = opening::open_db(&shelf.folder).expect("it opens");
    // As that hub wrote it, byte for byte.
    let view = r#"{"adapter":"main","view":{"id":"018bcfe5-6800-7000-8000-000000000001","caller":{"number":{"kind":"e164","e164":"+48123456789"}},"arrived_at":"2026-11-22T10:00:00Z","offers":{"101":{"agent":"Ana","rang_at":"2026-11-22T10:00:00Z","state":"ringing"}},"who":{"who":"asking"},"cards":[],"ended":{"at":"2026-11-22T10:00:09Z","how":"abandoned"}}}"#;
    let log = r#"{"kept_at":"2026-11-22T10:00:09Z","adapter":"main","event":{"event":"line","line":"101","heard_at":"2026-11-22T10:00:00Z","state":"idle"}}"#;
    let call: CallId = id("018bcfe5-6800-7000-8000-000000000001");
    old.insert(rows::key(b'c', call.0), view).expect("written");
    old.insert(rows::counted_key(rows::LOG, 1), log).expect("written");
    let line = r#"{"adapter":"main","agent":"Ana","state":"idle","since":"2026-11-22T09:30:00Z"}"#;
    old.insert(b"l101", line).expect("written");
    let mut durable = rows::key(b'd', Uuid::nil());
    durable.extend(b"main");
    old.insert(durable, &7u64.to_be_bytes()).expect("written");
    drop(old);
    let (store, kept) = shelf.open();
    assert_eq!((kept.calls.len(), kept.lines.len()), (1, 1));
    assert_eq!(kept.durable[&(id("main"), Uuid::nil())], 7);
    store.close().await.expect("it closes");
    assert_eq!(shelf.finds(Scope::Everything, None, "+48123456789").0, [call]);
    shelf.keeps(vec![noted(8, call, "+48123456789")]).await;
    let mut out = Vec::new();
    print_log(&shelf.folder, &mut out).expect("a log");
    assert_eq!(String::from_utf8(out).expect("text").lines().count(), 2, "the log goes on");
}

#[tokio::test]
async fn what_is_older_than_allowed_is_forgotten_bit_by_bit_and_nothing_else() {
    let shelf = Shelf::new();
    let mut keep: Vec<Keep> =
        (0..700).map(|n| keep_past(past(n, "+48123456789", Some("C1"), "101"))).collect();
    keep.push(Keep::Entry { call: call(5), entry: Box::new(entry(1, "old")) });
    keep.extend([seen(5, "OLD"), seen(650, "NEW")]);
    keep.push(Keep::Entry { call: call(650), entry: Box::new(entry(2, "new")) });
    shelf.keeps(keep).await;
    let (mut store, _) = shelf.open();
    let mut rounds = 0;
    loop {
        rounds += 1;
        store.keep.send(vec![Keep::Forget { before: at(650) }]).await.expect("it writes");
        match store.said.recv().await {
            Some(Said::Forgot { more: true }) => {}
            Some(Said::Forgot { more: false }) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(rounds > 1, "not all at once");
    store.close().await.expect("it closes");
    let (found, ..) = shelf.finds(Scope::Everything, None, "C1");
    assert_eq!((found.len(), found.last()), (50, Some(&call(650))));
    assert_eq!(shelf.seen(), ["NEW"]);
    let text = shelf.exported();
    assert!(!text.contains("\"old\"") && text.contains("\"new\""), "notes go with their calls");
}

#[tokio::test]
async fn what_happened_to_a_call_is_kept_as_long_as_the_row_of_the_call() {
    let shelf = Shelf::new();
    let mut keep = Vec::new();
    for n in 1..=4 {
        keep.extend([erasing::view(n, "+48123456789", Who::NoNumber), step(n, &format!("said {n}"))]);
    }
    shelf.keeps(keep).await;
    let (store, kept) = shelf.open();
    store.close().await.expect("it closes");
    assert_eq!(kept.traces.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4].map(call));
    // In one group with its end too.
    let gone = Keep::Call { call: call(4), kept: None };
    shelf.keeps(vec![step(4, "said at last"), gone]).await;
    let (mut store, _) = shelf.open();
    store.keep.send(vec![Keep::Forget { before: at(2 + 9 + 1) }]).await.expect("it writes");
    assert!(matches!(store.said.recv().await, Some(Said::Forgot { more: false })));
    store.close().await.expect("it closes");
    let text = shelf.exported();
    let left: Vec<u64> = (1..=4).filter(|n| text.contains(&format!("said {n}"))).collect();
    assert_eq!((left, text.contains("at last")), (vec![3], false));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_forgets_nothing_for_a_day() {
    let day = SignedDuration::from_hours(24);
    let hour = std::time::Duration::from_secs(3_600);
    let now = at(0);
    let mut clerk = Clerk::new(Some(400), now, Some(now - day));
    assert!(clerk.forget(now).is_some());
    tokio::time::advance(hour * 24).await;
    assert!(clerk.forget(now + day * 3_000).is_none(), "it jumped");
    tokio::time::advance(hour * 24).await;
    assert!(clerk.forget(now + day * 3_001).is_some(), "it stayed so: it is believed");
    tokio::time::advance(hour * 24).await;
    assert!(clerk.forget(now).is_some_and(|keep| matches!(keep, Keep::Forget { before } if before < now)));
    let due = async |clerk: &Clerk| {
        tokio::time::timeout(hour, tokio::time::sleep_until(clerk.forgets_at())).await.is_ok()
    };
    assert!(
        !due(&Clerk::new(Some(400), now, Some(now - day * 300))).await,
        "nor at a start after a long time"
    );
    assert!(due(&Clerk::new(Some(400), now, Some(now - day))).await);
    assert!(Clerk::new(None, now, None).forget(now).is_none(), "without a limit all is kept");
}

#[tokio::test]
async fn an_export_is_imported_once_however_often() {
    let shelf = Shelf::new();
    let mut keep: Vec<Keep> = (1..50).map(|n| noted(n, call(n), "+48123456789")).collect();
    keep.push(keep_past(past(1, "+48123456789", Some("C1"), "101")));
    keep.push(Keep::Entry { call: call(1), entry: Box::new(entry(1, "a \"quoted\"\nnote")) });
    keep.extend([choice("101", "C1"), seen(1, "C1"), step(1, "of no row")]);
    shelf.keeps(keep).await;
    let text = shelf.exported();
    let other = Shelf::new();
    let done = import(&other.folder, text.as_bytes(), |_| {}).expect("an import");
    assert_eq!((done.new, done.known), (55, 0));
    assert_eq!(other.exported(), text, "all of it");
    assert_eq!(other.finds(Scope::Everything, None, "C1").0, [call(1)], "with its indexes");
    let done = import(&other.folder, text.as_bytes(), |_| {}).expect("an import");
    assert_eq!((done.new, done.known), (0, 55));
    assert_eq!(other.exported(), text);
    other.keeps(vec![noted(50, call(50), "+48220000000")]).await;
    let done = import(&other.folder, text.as_bytes(), |_| {}).expect("an import");
    assert_eq!((done.new, done.known), (0, 55), "into a store that has gone on");
    let mut csv = Vec::new();
    export_csv(&other.folder, &mut csv).expect("a table");
    insta::assert_snapshot!(String::from_utf8(csv).expect("text"));
}

#[test]
fn what_is_no_export_is_refused_with_its_line_and_without_its_content() {
    let good = r#"{"pinkas":"record","version":1}"#;
    for (text, place) in [
        ("MARK", "line 1"),
        ("{\"pinkas\":\"record\",\"version\":9}", "line 1"),
        (&format!("{good}\nMARK"), "line 2"),
        (&format!("{good}\n{{\"row\":\"past\",\"key\":\"00\",\"value\":{{}}}}"), "line 2"),
        (&format!("{good}\n{{\"row\":\"entry\",\"key\":\"zz\",\"value\":\"MARK\"}}"), "line 2"),
        (&format!("{good}\n{{\"row\":\"other 119\",\"key\":\"\",\"value\":1}}"), "line 2"),
        (&format!("{good}\n{}", "x".repeat(3 << 20)), "line 2"),
    ] {
        let shelf = Shelf::new();
        let wrong = import(&shelf.folder, text.as_bytes(), |_| {}).expect_err("no export");
        let said = format!("{wrong:#}");
        assert!(said.starts_with(place) && !said.contains("MARK"), "{said}");
    }
}
