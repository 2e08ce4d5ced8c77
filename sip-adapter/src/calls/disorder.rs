//! Any words in any order, with restarts: whatever is heard, what is told is in order, and no call stays
//! for ever.

use std::collections::BTreeMap;

use pinkas_protocol::{CallChange, CallId, Event, Line};
use proptest::prelude::*;

use super::tests::{Story, start};

const LINES: [&str; 3] = ["101", "102", "103"];
const CALLERS: [&str; 3] = ["0501234567", "0521111111", "withheld"];
const KEYS: [&str; 3] = ["K", "L", "M"];

/// A word about a line, or by a way that names calls, and how long after the one before.
fn word() -> impl Strategy<Value = (String, u64)> {
    let line = || proptest::sample::select(&LINES[..]);
    let caller = || proptest::sample::select(&CALLERS[..]);
    let key = || proptest::sample::select(&KEYS[..]);
    let way = || proptest::sample::select(&["ami", "hep", "shadow"][..]);
    let of_line = prop_oneof![
        3 => line().prop_map(|l| format!("{l} idle")),
        2 => line().prop_map(|l| format!("{l} busy")),
        3 => (line(), caller()).prop_map(|(l, who)| format!("{l} rings {who}")),
        1 => line().prop_map(|l| format!("{l} lost")),
        2 => Just("tick".to_owned()),
    ];

    let of_call = prop_oneof![
        3 => (key(), caller()).prop_map(|(k, who)| format!("{k} facts {who}")),
        1 => key().prop_map(|k| format!("{k} waits support 1")),
        6 => (key(), proptest::sample::select(&["rings", "answered", "hold", "unhold", "left"][..]), line()).prop_map(|(k, w, l)| format!("{k} {w} {l}")),
        2 => (key(), line(), proptest::sample::select(&["declined", "no-answer", "elsewhere", "gave-up", "?"][..]))
            .prop_map(|(k, l, why)| format!("{k} stopped {l} {why}")),
        1 => (key(), line(), line()).prop_map(|(k, l, to)| format!("{k} left {l} for {to}")),
        1 => (key(), key()).prop_map(|(k, into)| format!("{k} joined {into}")),
        2 => (key(), proptest::sample::select(&["over caller", "over pbx", "over colleague", "over"][..]))
            .prop_map(|(k, by)| format!("{k} {by}")),
        1 => Just("down".to_owned()),
        1 => key().prop_map(|k| format!("up {k}")),
    ];
    let of_call = (way(), of_call).prop_map(|(way, word)| format!("{way} {word}"));
    (prop_oneof![of_line, of_call], 0u64..900)
}

fn orderly(words: &[(String, u64)], restart_every: usize) -> Result<(), TestCaseError> {
    let mut story = Story::new();
    let mut ended: Vec<CallId> = Vec::new();
    let mut ringing: BTreeMap<CallId, Vec<Line>> = BTreeMap::new();
    let (mut at, mut restarts) = (0, 0);
    // In the end nothing is heard by name any more, every line is idle, and long time passes.
    let quiet = ["ami down", "hep down", "shadow down", "101 idle", "102 idle", "103 idle"]
        .map(|word| (word.to_owned(), 10));
    let long = std::iter::repeat_n(("tick".to_owned(), 130_000), 3);
    let words = words.iter().cloned().chain(quiet).chain(long);
    for (i, (word, wait)) in words.enumerate() {
        at += wait;
        if restart_every > 0 && i % restart_every == restart_every - 1 {
            restarts += 1;
            story.calls = start(story.live.clone(), restarts * 1000);
        }
        let decided = story.decide(at, &word);
        for event in &decided.events {
            let Event::Call(event) = event else { continue };
            let id = event.call;
            prop_assert!(!ended.contains(&id), "said something of an ended call: {event:?}");
            if let CallChange::Arrived(_) = event.change {
                prop_assert!(ringing.insert(id, Vec::new()).is_none(), "arrived twice");
            }
            let Some(lines) = ringing.get_mut(&id) else {
                return Err(TestCaseError::fail(format!("before it arrived: {event:?}")));
            };
            match &event.change {
                CallChange::Offered { line, .. } => {
                    prop_assert!(!lines.contains(line), "offered twice");
                    lines.push(line.clone());
                }
                CallChange::Withdrawn { line, .. } | CallChange::Answered { line } => {
                    let before = lines.len();
                    lines.retain(|l| l != line);
                    prop_assert!(lines.len() < before, "not ringing there: {event:?}");
                }
                CallChange::Ended { .. } => {
                    prop_assert!(lines.is_empty(), "ended while a phone rang");
                    ringing.remove(&id);
                    ended.push(id);
                }
                CallChange::Arrived(_)
                | CallChange::Known(_)
                | CallChange::Waits { .. }
                | CallChange::Held { .. }
                | CallChange::Resumed { .. }
                | CallChange::Left { .. } => {}
            }
        }
        for (call, record) in decided.live {
            match record {
                Some(record) => drop(story.live.insert(call, record)),
                None => drop(story.live.remove(&call)),
            }
        }
        prop_assert!(story.calls.live().eq(story.live.keys().copied()), "what is kept is not what is live");
    }
    prop_assert!(story.live.is_empty(), "a ghost stays when every line is idle: {:?}", story.live);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_story_ends_with_every_phone_quiet_and_no_ghost(words in proptest::collection::vec(word(), 0..60)) {
        orderly(&words, 0)?;
    }

    #[test]
    fn restarts_at_any_moment_leave_no_ghost_and_say_nothing_twice(
        words in proptest::collection::vec(word(), 0..60),
        restart_every in 1usize..9,
    ) {
        orderly(&words, restart_every)?;
    }
}
