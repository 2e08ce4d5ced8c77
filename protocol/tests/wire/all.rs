//! Every message as it stands on a link, pinned as text: a change shows here before another program
//! meets it. docs/protocol.md shows the same texts; the two may not differ.
//! After a wanted change: `INSTA_UPDATE=always cargo test -p pinkas-protocol --test wire`, then the page.

use std::collections::BTreeMap;
use std::fmt::Debug;

use jiff::Timestamp;
use pinkas_protocol::adapter_link::{AdapterSays, HubToAdapter};
use pinkas_protocol::agent_link::{AgentSays, HubToAgent, Role};
use pinkas_protocol::board::{AdapterView, Earlier, Ended, Identified, PauseView, Waiting};
use pinkas_protocol::card::{Balance, Credit, CustomRow, Match, Purchase, SourceNote};
use pinkas_protocol::close::Close;
use pinkas_protocol::wire::{self, WireError};
use pinkas_protocol::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

mod examples;
mod newer;
mod record;

use self::examples::*;

const PAGE: &str = include_str!("../../../docs/protocol.md");

/// The name of a snapshot, and what makes its text.
type Part = (&'static str, fn() -> String);

/// Every message, and below them the parts they are made of.
const EVERYTHING: [Part; 8] = [
    ("adapter_to_hub", adapter_says),
    ("hub_to_adapter", hub_says_to_adapter),
    ("desktop_to_hub", desktop_says),
    ("hub_to_desktop", hub_says_to_desktop),
    ("who_is_calling", who_is_calling),
    ("cards", cards_in_every_state),
    ("failures", failures_in_words),
    ("numbers", numbers),
];

/// Stands in hostile frames where a caller's name or a secret could: no error may repeat it.
const MARK: &str = "Nobody-May-Read-This";

#[test]
fn every_message_is_pinned() {
    for (direction, text) in EVERYTHING {
        insta::assert_snapshot!(direction, text());
    }
}

#[test]
fn close_codes_are_those_of_the_page() {
    for close in CLOSES {
        let row = format!("| {} | {close} |", close.code());
        assert!(PAGE.contains(&row), "docs/protocol.md must have the row: {row}");
    }
    let rows = PAGE.lines().filter(|line| line.starts_with("| 4")).count();
    assert_eq!(rows, CLOSES.len(), "docs/protocol.md has a row for a close code that is not there");
}

#[test]
fn every_example_of_the_page_is_a_pinned_message() {
    let pinned: Vec<String> = EVERYTHING.iter().map(|(_, text)| text()).collect();
    let pinned: Vec<&str> = pinned.iter().flat_map(|text| text.lines()).collect();
    let shown: Vec<&str> = blocks(PAGE, "json").into_iter().flat_map(str::lines).collect();
    for example in &shown {
        assert!(pinned.contains(example), "docs/protocol.md shows what no snapshot holds: {example}");
    }
    // Under each label at least one of its messages.
    let mut labels: BTreeMap<&str, bool> = BTreeMap::new();
    for pair in pinned.chunks(2) {
        *labels.entry(pair[0]).or_default() |= shown.contains(&pair[1]);
    }
    let missing: Vec<_> = labels.iter().filter(|(_, shown)| !**shown).map(|(label, _)| label).collect();
    assert!(missing.is_empty(), "docs/protocol.md shows no example of: {missing:?}");
}

#[test]
fn a_whole_board_comes_through() {
    let mut board = Board::default();
    for update in updates() {
        board.apply(update);
    }
    let view = board.calls.get_mut(&call()).expect("the call");
    view.cards = cards();
    view.who = whos().remove(3);
    round_trip(&board);
}

#[test]
fn what_is_no_message_is_refused() {
    let deep = "[".repeat(100_000);
    let frames = [
        "",
        "null",
        "[]",
        "{}",
        "\"hello\"",
        "{\"say\":1}",
        "{\"say\":\"dance\"}",
        "{\"say\":\"hello\",\"version\":-1,\"adapter\":\"main\",\"secret\":\"x\",\"outbox\":\"x\"}",
        "{\"say\":\"event\",\"sequence\":-1,\"event\":{}}",
        "{\"say\":\"event\",\"sequence\":1,\"event\":{\"event\":\"call\",\"call\":\"101\"}}",
        "{\"say\":\"live\",\"calls\":[\"not a uuid\"]}",
        "{\"say\":\"live\",\"calls\":[]} {\"say\":\"live\",\"calls\":[]}",
        "{\"say\":\"choose\",\"call\":\"019d0000-0000-7000-8000-000000000001\",\"customer\":\"\"}",
        "{\"say\":\"choose\",\"call\":\"019d0000-0000-7000-8000-000000000001\",\"customer\":\"a\\u0000b\"}",
        "{\"say\":\"durable\",\"sequence\":\"7\"}",
        "{\"say\":\"durable\",\"sequence\":1e400}",
        "{\"say\":\"\\ud800\"}",
        &deep,
    ];
    for frame in frames {
        for refused in refusals(frame) {
            assert!(refused.is_some(), "{} was taken for a message", frame.get(..80).unwrap_or(frame));
        }
    }
}

#[test]
fn an_error_never_quotes_the_frame() {
    let long = MARK.repeat(10_000);
    let frames = [
        MARK.to_owned(),
        format!("\"{MARK}\""),
        format!("{{\"say\":\"{MARK}\"}}"),
        format!("{{\"{MARK}\":1}}"),
        format!("{{\"say\":\"hello\",\"version\":\"{MARK}\"}}"),
        format!(
            "{{\"say\":\"hello\",\"version\":2,\"adapter\":\"main\",\"secret\":\"{MARK}\",\"outbox\":\"{MARK}\"}}"
        ),
        format!("{{\"say\":\"choose\",\"call\":\"{MARK}\",\"customer\":\"1\"}}"),
        format!("{{\"say\":\"update\",\"update\":{{\"update\":\"{MARK}\"}}}}"),
        format!("{{\"say\":\"live\",\"calls\":[\"{long}\"]}}"),
    ];
    for frame in frames {
        for refused in refusals(&frame) {
            let error = refused.expect("no message");
            let told = format!("{error} {error:?}");
            assert!(!told.contains("Nobody"), "{told}");
            assert!(told.len() < 200, "{told}");
        }
    }
}

#[test]
fn a_field_that_is_not_known_is_passed_over_and_an_unknown_message_is_not() {
    let newer = "{\"say\":\"durable\",\"sequence\":7,\"since\":\"today\"}";
    assert_eq!(wire::decode(newer), Ok(HubToAdapter::Durable { sequence: 7 }));
    assert!(wire::decode::<HubToAdapter>("{\"say\":\"mislaid\",\"sequence\":7}").is_err());
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_message_or_an_error(text in ".{0,200}", cut in 0usize..400) {
        let _no_panic = refusals(&text);
        let whole = wire::encode(&HubToAgent::Update { update: updates().remove(0) });
        let end = whole.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(0);
        for refused in refusals(&whole[..end]) {
            proptest::prop_assert!(refused.is_some(), "a message that was cut off was taken for whole");
        }
    }
}

fn adapter_says() -> String {
    let calls = call_changes().into_iter().map(|change| {
        Event::Call(CallEvent { call: call(), heard_at: at("2026-11-22T10:00:00.125Z"), change })
    });
    let lines =
        [LineState::Unknown, LineState::Idle, LineState::Ringing, LineState::Busy].into_iter().map(|state| {
            Event::Line(LineEvent { line: line("101"), heard_at: at("2026-11-22T10:00:00.125Z"), state })
        });
    let hello = AdapterSays::Hello {
        version: wire::VERSION,
        adapter: id("main"),
        secret: Private("the adapter's secret".to_owned()),
        outbox: "019d0000-0000-7000-8000-0000000000aa".parse().expect("a UUID"),
    };
    let pauses = [Some(Pause { reason: Some("lunch".to_owned()) }), Some(Pause::default()), None];
    let pauses = pauses.into_iter().map(|pause| {
        let heard_at = at("2026-11-22T10:00:00.125Z");
        Event::Pause(PauseEvent { line: line("101"), queue: id("Support"), heard_at, pause })
    });
    let events = (1..).zip(calls.chain(lines).chain(pauses));
    let events = events.map(|(sequence, event)| AdapterSays::Event { sequence, event });
    let lines = AdapterSays::Lines { lines: vec![line("101"), line("102")], last: true };
    let live = AdapterSays::Live { calls: vec![call()], last: true };
    let says = std::iter::once(hello).chain(events).chain([lines, live]);
    pinned(says.collect(), |say| match say {
        AdapterSays::Hello { .. } => "hello of an adapter",
        AdapterSays::Event { event: Event::Call(event), .. } => match &event.change {
            CallChange::Arrived(_) => "event: arrived",
            CallChange::Known(_) => "event: known",
            CallChange::Waits { .. } => "event: waits",
            CallChange::Offered { .. } => "event: offered",
            CallChange::Withdrawn { .. } => "event: withdrawn",
            CallChange::Answered { .. } => "event: answered",
            CallChange::Held { .. } => "event: held",
            CallChange::Resumed { .. } => "event: resumed",
            CallChange::Left { .. } => "event: left",
            CallChange::Ended { .. } => "event: ended",
        },
        AdapterSays::Event { event: Event::Line(_), .. } => "event: line",
        AdapterSays::Event { event: Event::Pause(_), .. } => "event: pause",
        AdapterSays::Lines { .. } => "lines",
        AdapterSays::Live { .. } => "live",
    })
}

fn hub_says_to_adapter() -> String {
    let says = vec![HubToAdapter::Welcome { durable: 0 }, HubToAdapter::Durable { sequence: 7 }];
    pinned(says, |say| match say {
        HubToAdapter::Welcome { .. } => "welcome of an adapter",
        HubToAdapter::Durable { .. } => "durable",
    })
}

fn desktop_says() -> String {
    let mut says = vec![
        AgentSays::Hello {
            version: wire::VERSION,
            agent: id("ana"),
            secret: Private("ana's secret".to_owned()),
        },
        AgentSays::Choose { call: call(), customer: Some(id("1001")) },
        AgentSays::Choose { call: call(), customer: None },
        AgentSays::Identified { call: call(), how: Private("asked for the customer number".to_owned()) },
        AgentSays::State { state: OwnState::Ready },
        AgentSays::State { state: OwnState::NotReady { reason: id("lunch") } },
        AgentSays::WrapUp { call: Some(call()) },
        AgentSays::WrapUp { call: None },
    ];
    says.extend(record::desktop_says());
    pinned(says, |say| match say {
        AgentSays::Hello { .. } => "hello of a desktop",
        AgentSays::Choose { customer: Some(_), .. } => "choose",
        AgentSays::Choose { customer: None, .. } => "choose none of them",
        AgentSays::Write { .. } => "write",
        AgentSays::Handled { .. } => "handled",
        AgentSays::Done { .. } => "done",
        AgentSays::History { .. } => "history",
        AgentSays::FollowUps { .. } => "follow-ups",
        AgentSays::FindCustomer { .. } => "find a customer",
        AgentSays::Identified { .. } => "identified",
        AgentSays::State { .. } => "own state",
        AgentSays::WrapUp { .. } => "wrap-up",
    })
}

fn hub_says_to_desktop() -> String {
    let mut board = Board::default();
    board.adapters.insert(id("main"), AdapterView { connected: true, since: at("2026-11-22T07:00:00Z") });
    board.lines.insert(line("101"), line_view(LineState::Idle));
    let welcome = |role, lines, token: Option<&str>, board, (outcomes, reasons)| HubToAgent::Welcome {
        name: "Ana".to_owned(),
        role,
        lines,
        now: at("2026-11-22T10:00:00Z"),
        token: token.map(|token| Private(token.to_owned())),
        board,
        outcomes,
        reasons,
    };
    let mut says = vec![
        welcome(Role::Agent, vec![line("101")], None, board, (record::outcomes(), reasons())),
        welcome(Role::Supervisor, vec![], Some("pinkas_…"), Board::default(), (vec![], vec![])),
        welcome(Role::Admin, vec![], None, Board::default(), (vec![], vec![])),
    ];
    says.extend(updates().into_iter().map(|update| HubToAgent::Update { update }));
    says.extend(record::hub_says());
    pinned(says, |say| match say {
        HubToAgent::Welcome { .. } => "welcome of a desktop",
        HubToAgent::Kept { .. } => "kept",
        HubToAgent::Refused { .. } => "refused",
        HubToAgent::Page { .. } => "page",
        HubToAgent::FollowUps { .. } => "open follow-ups",
        HubToAgent::Customers { .. } => "customers found",
        HubToAgent::Update { update } => match update {
            Update::Call { .. } => "update: call",
            Update::Facts { .. } => "update: facts",
            Update::Offer { .. } => "update: offer",
            Update::Who { .. } => "update: who",
            Update::Card { .. } => "update: card",
            Update::Ended { .. } => "update: ended",
            Update::Line { .. } => "update: line",
            Update::LineGone { .. } => "update: line gone",
            Update::Adapter { .. } => "update: adapter",
            Update::Person { .. } => "update: person",
            Update::PersonGone { .. } => "update: person gone",
            Update::Written { .. } => "update: written",
            Update::Missed { .. } => "update: missed",
            Update::MissedGone { .. } => "update: missed gone",
        },
    })
}

fn who_is_calling() -> String {
    pinned(whos(), |who| match who {
        Who::Asking => "asking",
        Who::Known { .. } => "known",
        Who::Several { .. } => "several",
        Who::Unknown { .. } => "unknown",
        Who::NoneOf { .. } => "none of those found",
        Who::NoNumber => "no number",
        Who::Failed { .. } => "nobody could say",
    })
}

fn cards_in_every_state() -> String {
    pinned(cards(), |card| match &card.state {
        CardState::Waiting => "waiting",
        CardState::Late { .. } => "late",
        CardState::Filled { old: Some(_), .. } => "filled, but old: the source fails now",
        CardState::Filled { facts: Facts::Balance(Balance { balance: None, .. }), .. } => {
            "filled, with fields kept back"
        }
        CardState::Filled { facts: Facts::Balance(_), .. } => "filled: balance",
        CardState::Filled { facts: Facts::Credit(_), .. } => "filled: credit",
        CardState::Filled { facts: Facts::Purchases { .. }, .. } => "filled: purchases",
        CardState::Filled { facts: Facts::Notes { .. }, .. } => "filled: notes",
        CardState::Filled { facts: Facts::Custom { .. }, .. } => "filled: rows of the configuration's own",
        CardState::Filled { facts: Facts::Newer, .. } => unreachable!("no hub of this version says it"),
        CardState::Nothing { .. } => "nothing",
        CardState::Failed { .. } => "failed",
    })
}

fn failures_in_words() -> String {
    let text = failures().into_iter().map(|failure| {
        round_trip(&failure);
        format!("{failure}\n{}\n", wire::encode(&failure))
    });
    text.collect::<String>()
}

fn numbers() -> String {
    let numbers = vec![
        Number::E164 { e164: "+972501234567".to_owned() },
        Number::Extension { digits: "101".to_owned() },
        Number::Other { text: "*97".to_owned() },
    ];
    pinned(numbers, |number| match number {
        Number::E164 { .. } => "of the public network",
        Number::Extension { .. } => "of the company",
        Number::Other { .. } => "neither",
    })
}

/// Each value under its label as the text of one frame, after a round trip.
fn pinned<T>(values: Vec<T>, label: impl Fn(&T) -> &'static str) -> String
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let mut text = String::new();
    for value in values {
        round_trip(&value);
        text += &format!("{}\n{}\n", label(&value), wire::encode(&value));
    }
    text
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(wire::decode::<T>(&wire::encode(value)).as_ref(), Ok(value));
}

fn refusals(frame: &str) -> [Option<WireError>; 4] {
    [
        wire::decode::<AdapterSays>(frame).err(),
        wire::decode::<HubToAdapter>(frame).err(),
        wire::decode::<AgentSays>(frame).err(),
        wire::decode::<HubToAgent>(frame).err(),
    ]
}

/// The fenced blocks of a language in a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("\n```{language}\n");
    page.split(&begin).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

const CLOSES: [Close; 9] = [
    Close::Stopping,
    Close::WrongSecret,
    Close::WrongVersion,
    Close::BadMessage,
    Close::NoHello,
    Close::TooSlow,
    Close::Replaced,
    Close::Revoked,
    Close::TooManyAttempts,
];
