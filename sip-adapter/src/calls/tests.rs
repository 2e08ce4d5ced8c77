//! The call machine told stories: each line is what is heard at a millisecond, and what it says then.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{
    CallChange, CallId, Caller, EndedHow, Event, Line, LineState, NumberPlan, Private, Withdrawal,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Calls, Decided, LiveCall, Now, Patience};
use crate::hear::{Heard, LineHeard};

/// A machine, its clock, and short names for its calls in order of arrival.
struct Story {
    calls: Calls,
    live: BTreeMap<CallId, LiveCall>,
    names: Vec<CallId>,
}

fn start(live: BTreeMap<CallId, LiveCall>, next: u128) -> Calls {
    let mut next = next;
    let new_id = move |_: Timestamp| {
        next += 1;
        CallId(Uuid::from_u128(next))
    };
    Calls::new(live, Patience::default(), Box::new(new_id))
}

fn now(ms: u64) -> Now {
    let uptime = Duration::from_millis(ms);
    Now { wall: Timestamp::UNIX_EPOCH + uptime, uptime }
}

fn line(name: &str) -> Line {
    Line::parse(name).expect("a line")
}

fn caller(who: &str) -> Caller {
    if who == "withheld" {
        return Caller { withheld: true, ..Caller::default() };
    }
    Caller {
        number: NumberPlan::new("IL", 4).expect("a country").read(who),
        name: Some(Private("Dana".to_owned())),
        withheld: false,
    }
}

impl Story {
    fn new() -> Story {
        Story { calls: start(BTreeMap::new(), 0), live: BTreeMap::new(), names: Vec::new() }
    }

    /// `at` in ms, `what` such as `101 rings 0501234567`, `102 busy`, `101 idle`, `101 lost`, `tick`.
    fn hears(&mut self, at: u64, what: &str) -> String {
        let words: Vec<&str> = what.split(' ').collect();
        let heard = match words.as_slice() {
            ["tick"] => None,
            [at_line, "rings", who] => Some((at_line, LineHeard::Ringing { caller: caller(who) })),
            [at_line, "busy"] => Some((at_line, LineHeard::Busy)),
            [at_line, "idle"] => Some((at_line, LineHeard::Idle)),
            [at_line, "lost"] => Some((at_line, LineHeard::Lost)),
            _ => panic!("not a line of a story: {what}"),
        };
        let decided = match heard {
            None => self.calls.tick(now(at)),
            Some((at_line, what)) => {
                self.calls.hear(now(at), Heard { line: line(at_line), at: now(at).wall, what })
            }
        };
        self.keep(decided)
    }

    fn keep(&mut self, decided: Decided) -> String {
        for (call, live) in decided.live {
            match live {
                Some(live) => drop(self.live.insert(call, live)),
                None => drop(self.live.remove(&call)),
            }
        }
        let said: Vec<String> = decided.events.iter().filter_map(|event| self.said(event)).collect();
        said.join(", ")
    }

    fn said(&mut self, event: &Event) -> Option<String> {
        let Event::Call(event) = event else { return None };
        if !self.names.contains(&event.call) {
            self.names.push(event.call);
        }
        let name = 1 + self.names.iter().position(|call| *call == event.call)?;
        Some(match &event.change {
            CallChange::Arrived { .. } => format!("#{name} arrives"),
            CallChange::Offered { line } => format!("#{name} offered {line}"),
            CallChange::Answered { line } => format!("#{name} answered {line}"),
            CallChange::Withdrawn { line, why } => match why {
                Withdrawal::AnsweredElsewhere { by } => format!("#{name} withdrawn {line} (taken by {by})"),
                Withdrawal::CallerGaveUp => format!("#{name} withdrawn {line} (gave up)"),
                Withdrawal::StoppedRinging => format!("#{name} withdrawn {line} (stopped)"),
            },
            CallChange::Ended { how: EndedHow::Completed } => format!("#{name} completed"),
            CallChange::Ended { how: EndedHow::Abandoned } => format!("#{name} abandoned"),
            CallChange::Ended { how: EndedHow::Lost } => format!("#{name} lost"),
        })
    }
}

fn check(story: &[(u64, &str, &str)]) {
    let mut told = Story::new();
    for (at, heard, expected) in story {
        assert_eq!(told.hears(*at, heard), *expected, "at {at} ms: {heard}");
    }
}

const DANA: &str = "101 rings 0501234567";

#[test]
fn one_phone_rings_answers_and_hangs_up() {
    check(&[
        (0, "101 idle", ""),
        (10, DANA, "#1 arrives, #1 offered 101"),
        (900, "101 busy", "#1 answered 101"),
        (9000, "101 idle", "#1 completed"),
        (9500, "tick", ""),
    ]);
}

#[test]
fn ring_all_answered_tells_the_others_by_whom_in_any_order_of_reports() {
    let ringing = [
        (0, DANA, "#1 arrives, #1 offered 101"),
        (1, "102 rings 0501234567", "#1 offered 102"),
        (2, "103 rings 0501234567", "#1 offered 103"),
    ];
    check(
        &[
            &ringing[..],
            &[
                (1000, "101 idle", ""),
                (1002, "102 busy", "#1 answered 102, #1 withdrawn 101 (taken by 102)"),
                (1003, "103 idle", "#1 withdrawn 103 (taken by 102)"),
                (5000, "102 idle", "#1 completed"),
            ],
        ]
        .concat(),
    );
}

#[test]
fn abandoned_is_told_apart_once_the_grace_has_passed() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (1, "102 rings 0501234567", "#1 offered 102"),
        (1000, "102 idle", ""),
        (1003, "101 idle", ""),
        (1402, "tick", ""),
        (1403, "tick", "#1 withdrawn 101 (gave up), #1 withdrawn 102 (gave up), #1 abandoned"),
    ]);
}

#[test]
fn declining_at_one_phone_leaves_the_call_with_the_others() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (1, "102 rings 0501234567", "#1 offered 102"),
        (1000, "101 idle", ""),
        (1699, "tick", ""),
        (1700, "tick", "#1 withdrawn 101 (stopped)"),
        (4000, "101 rings 0501234567", "#1 offered 101"),
        (5000, "102 busy", "#1 answered 102"),
        (5001, "101 idle", "#1 withdrawn 101 (taken by 102)"),
    ]);
}

#[test]
fn repetitions_and_a_ring_that_goes_on_within_the_grace_say_nothing() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (500, DANA, ""),
        (600, "101 idle", ""),
        (700, DANA, ""),
        (1500, "tick", ""),
        (2000, "101 busy", "#1 answered 101"),
        (2500, "101 busy", ""),
    ]);
}

#[test]
fn calls_of_different_callers_stay_apart() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (1, "102 rings 0521111111", "#2 arrives, #2 offered 102"),
        (500, "101 rings 0523333333", "#3 arrives, #3 offered 101"),
        (900, "tick", "#1 withdrawn 101 (gave up), #1 abandoned"),
    ]);
}

#[test]
fn two_withheld_callers_are_one_call_only_when_they_come_together() {
    check(&[
        (0, "101 rings withheld", "#1 arrives, #1 offered 101"),
        (3, "102 rings withheld", "#1 offered 102"),
        (9000, "103 rings withheld", "#2 arrives, #2 offered 103"),
    ]);
}

#[test]
fn two_callers_with_one_number_part_when_both_are_answered() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (5, "102 rings 0501234567", "#1 offered 102"),
        (1000, "101 busy", "#1 answered 101"),
        (3000, "102 busy", "#1 withdrawn 102 (stopped), #2 arrives, #2 offered 102, #2 answered 102"),
        (4000, "101 idle", "#1 completed"),
        (5000, "102 idle", "#2 completed"),
    ]);
}

#[test]
fn a_second_call_at_a_talking_phone_is_offered_and_ends_without_the_first() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (100, "101 busy", "#1 answered 101"),
        (2000, "101 rings 0521111111", "#2 arrives, #2 offered 101"),
        (4000, "101 busy", ""),
        (4400, "tick", "#2 withdrawn 101 (gave up), #2 abandoned"),
        (8000, "101 idle", "#1 completed"),
    ]);
}

#[test]
fn outgoing_calls_and_phones_that_answer_without_ringing_are_no_calls_here() {
    check(&[(0, "101 busy", ""), (900, "101 idle", ""), (1000, "102 lost", "")]);
}

#[test]
fn a_line_lost_for_long_gives_its_call_up() {
    check(&[
        (0, DANA, "#1 arrives, #1 offered 101"),
        (1000, "101 lost", ""),
        (9000, "101 lost", ""),
        (120_999, "tick", ""),
        (121_000, "tick", "#1 withdrawn 101 (stopped), #1 lost"),
    ]);
}

#[test]
fn after_a_restart_calls_go_on_and_nothing_is_said_twice() {
    let mut before = Story::new();
    before.hears(0, DANA);
    before.hears(1, "102 rings 0501234567");
    let mut after = Story { calls: start(before.live.clone(), 100), live: before.live, names: before.names };
    assert_eq!(after.hears(10, DANA), "");
    assert_eq!(after.hears(11, "102 busy"), "#1 answered 102");
    assert_eq!(after.hears(12, "101 idle"), "#1 withdrawn 101 (taken by 102)");
    let mut again = Story { calls: start(after.live.clone(), 200), live: after.live, names: after.names };
    assert_eq!(again.hears(10, "102 idle"), "#1 completed");
    assert!(again.live.is_empty());
}

#[test]
fn line_states_are_told_when_they_change() {
    let mut calls = start(BTreeMap::new(), 0);
    let mut states = Vec::new();
    for what in [LineHeard::Idle, LineHeard::Idle, LineHeard::Busy, LineHeard::Lost, LineHeard::Lost] {
        let decided = calls.hear(now(0), Heard { line: line("101"), at: now(0).wall, what });
        states.extend(decided.events.into_iter().filter_map(|event| match event {
            Event::Line(event) => Some(event.state),
            Event::Call(_) => None,
        }));
    }
    assert_eq!(states, [LineState::Idle, LineState::Busy, LineState::Unknown]);
}

/// What any sequence of words about lines must keep to.
fn orderly(words: Vec<(usize, u8, u64)>, restart_every: usize) -> Result<(), TestCaseError> {
    let mut live: BTreeMap<CallId, LiveCall> = BTreeMap::new();
    let mut calls = start(BTreeMap::new(), 0);
    let mut ended: Vec<CallId> = Vec::new();
    let mut ringing: BTreeMap<CallId, Vec<Line>> = BTreeMap::new();
    let (mut at, mut restarts) = (0, 0);
    let lines = ["101", "102", "103"];
    let quiet = lines.iter().map(|l| (*l, 0u8, 0)).chain(lines.iter().map(|l| (*l, 9, 200_000)));
    let words: Vec<_> =
        words.into_iter().map(|(l, what, wait)| (lines[l % 3], what, wait)).chain(quiet).collect();
    for (i, (at_line, what, wait)) in words.into_iter().enumerate() {
        at += wait;
        if restart_every > 0 && i % restart_every == restart_every - 1 {
            restarts += 1;
            calls = start(live.clone(), restarts * 1000);
        }
        let what = match what {
            0 => Some(LineHeard::Idle),
            1 => Some(LineHeard::Busy),
            2 => Some(LineHeard::Ringing { caller: caller("0501234567") }),
            3 => Some(LineHeard::Ringing { caller: caller("0521111111") }),
            4 => Some(LineHeard::Ringing { caller: caller("withheld") }),
            5 => Some(LineHeard::Lost),
            _ => None,
        };
        let decided = match what {
            Some(what) => calls.hear(now(at), Heard { line: line(at_line), at: now(at).wall, what }),
            None => calls.tick(now(at)),
        };
        for event in &decided.events {
            let Event::Call(event) = event else { continue };
            let id = event.call;
            prop_assert!(!ended.contains(&id), "said something of an ended call: {event:?}");
            match &event.change {
                CallChange::Arrived { .. } => {
                    prop_assert!(ringing.insert(id, Vec::new()).is_none(), "arrived twice");
                }
                CallChange::Offered { line } => {
                    let lines = ringing.get_mut(&id);
                    let lines = lines.ok_or_else(|| TestCaseError::fail("offered before it arrived"))?;
                    prop_assert!(!lines.contains(line), "offered twice");
                    lines.push(line.clone());
                }
                CallChange::Withdrawn { line, .. } | CallChange::Answered { line } => {
                    let lines = ringing.get_mut(&id);
                    let lines = lines.ok_or_else(|| TestCaseError::fail("before it arrived"))?;
                    let before = lines.len();
                    lines.retain(|l| l != line);
                    prop_assert!(lines.len() < before, "not ringing there: {event:?}");
                }
                CallChange::Ended { .. } => {
                    let left = ringing.remove(&id);
                    prop_assert_eq!(left, Some(Vec::new()), "ended while a phone rang");
                    ended.push(id);
                }
            }
        }
        for (call, record) in decided.live {
            match record {
                Some(record) => drop(live.insert(call, record)),
                None => drop(live.remove(&call)),
            }
        }
        prop_assert!(calls.live().eq(live.keys().copied()), "what is kept is not what is live");
    }
    prop_assert!(live.is_empty(), "a ghost stays when every line is idle");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_story_ends_with_every_phone_quiet_and_no_ghost(
        words in proptest::collection::vec((0usize..3, 0u8..8, 0u64..900), 0..40),
    ) {
        orderly(words, 0)?;
    }

    #[test]
    fn restarts_at_any_moment_leave_no_ghost_and_say_nothing_twice(
        words in proptest::collection::vec((0usize..3, 0u8..8, 0u64..900), 0..40),
        restart_every in 1usize..6,
    ) {
        orderly(words, restart_every)?;
    }
}
