//! The call machine told stories: each line is what is heard at a millisecond, and what it says then.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{
    CallChange, CallFacts, CallId, Caller, EndedHow, Event, Line, LineState, NumberPlan, Private, QueueName,
    Withdrawal,
};
use uuid::Uuid;

use super::{Calls, Decided, LiveCall, Now, Patience};
use crate::hear::{CallHeard, CallKey, Heard, Hold, LineHeard, OverBy, Stopped, Way, What};

/// A machine, its clock, and short names for its calls in order of arrival.
pub(super) struct Story {
    pub(super) calls: Calls,
    pub(super) live: BTreeMap<CallId, LiveCall>,
    names: Vec<CallId>,
}

pub(super) fn start(live: BTreeMap<CallId, LiveCall>, next: u128) -> Calls {
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

fn heard_at(at: u64, line_name: &str, is: LineHeard) -> Heard {
    Heard { at: now(at).wall, way: Way::DialogEvents, what: What::Line { line: line(line_name), is } }
}

fn line(name: &str) -> Line {
    Line::parse(name).expect("a line")
}

pub(super) fn caller(who: &str) -> Caller {
    if who == "withheld" {
        return Caller { withheld: true, ..Caller::default() };
    }
    Caller {
        number: NumberPlan::new("IL", 4).expect("a country").read(who),
        name: Some(Private("Dana".to_owned())),
        ..Caller::default()
    }
}

/// What a way that names calls says: `up K1 K2`, `down`, `K1 facts 0501234567`, `K1 answered 101`.
fn said_by_name(words: &[&str]) -> What {
    let keys = |keys: &[&str]| Some(keys.iter().map(|key| CallKey::new(key)).collect());
    let [key, rest @ ..] = words else { panic!("nothing is said") };
    let is = match (*key, rest) {
        ("down", []) => return What::Down,
        (at_line, ["is", "idle"]) => {
            return What::LineState { line: line(at_line), state: LineState::Idle };
        }
        ("up", live) => return What::Up { live: keys(live) },
        (_, ["facts", who]) => CallHeard::Facts(CallFacts { caller: caller(who), ..CallFacts::default() }),
        (_, ["queue", queue]) => {
            CallHeard::Facts(CallFacts { queue: QueueName::parse(queue).ok(), ..CallFacts::default() })
        }
        (_, ["waits", queue, position]) => CallHeard::Waits {
            queue: QueueName::parse(queue).expect("a queue"),
            position: position.parse().expect("a place"),
        },
        (_, ["rings", at]) => CallHeard::Rings { line: line(at), passed_on_by: None },
        (_, ["rings", at, "by", by]) => CallHeard::Rings { line: line(at), passed_on_by: Some(line(by)) },
        (_, ["stopped", at, why]) => CallHeard::Stopped {
            line: line(at),
            why: match *why {
                "declined" => Stopped::Declined,
                "no-answer" => Stopped::NoAnswer,
                "elsewhere" => Stopped::Elsewhere,
                "gave-up" => Stopped::GaveUp,
                _ => Stopped::Unknown,
            },
        },
        (_, ["answered", at]) => CallHeard::Answered { line: line(at) },
        (_, ["hold", at]) => CallHeard::Hold { line: line(at), hold: Hold::On },
        (_, ["unhold", at]) => CallHeard::Hold { line: line(at), hold: Hold::Off },
        (_, ["left", at]) => CallHeard::Left { line: line(at), moved_to: None },
        (_, ["left", at, "for", to]) => CallHeard::Left { line: line(at), moved_to: Some(line(to)) },
        (_, ["joined", into]) => CallHeard::Joined { into: CallKey::new(into) },
        (_, ["over", "caller"]) => CallHeard::Over { by: OverBy::Caller },
        (_, ["over", "colleague"]) => CallHeard::Over { by: OverBy::Colleague },
        (_, ["over", "pbx"]) => CallHeard::Over { by: OverBy::PhoneSystem },
        (_, ["over"]) => CallHeard::Over { by: OverBy::Unknown },
        _ => panic!("not a word of a story: {words:?}"),
    };
    What::Call { key: CallKey::new(key), is }
}

impl Story {
    pub(super) fn new() -> Story {
        Story { calls: start(BTreeMap::new(), 0), live: BTreeMap::new(), names: Vec::new() }
    }

    /// `at` in ms, `what` such as `101 rings 0501234567`, `102 busy`, `101 idle`, `101 lost`, `tick`; with a
    /// way and its name for the call in front: `ami K1 rings 101`, `hep H1 over caller`.
    pub(super) fn decide(&mut self, at: u64, what: &str) -> Decided {
        let words: Vec<&str> = what.split(' ').collect();
        let by_line = |at_line: &str, is| Some(heard_at(at, at_line, is));
        let heard = match words.as_slice() {
            ["tick"] => None,
            [way @ ("ami" | "hep" | "shadow"), rest @ ..] => {
                let way = match *way {
                    "ami" => Way::Ami,
                    "hep" => Way::Hep,
                    _ => Way::Shadow,
                };
                Some(Heard { at: now(at).wall, way, what: said_by_name(rest) })
            }
            [at_line, "rings", who] => {
                by_line(at_line, LineHeard::Ringing { caller: caller(who), queue: None })
            }
            [at_line, "busy"] => by_line(at_line, LineHeard::Busy),
            [at_line, "idle"] => by_line(at_line, LineHeard::Idle),
            [at_line, "lost"] => by_line(at_line, LineHeard::Lost),
            _ => panic!("not a line of a story: {what}"),
        };
        match heard {
            None => self.calls.tick(now(at)),
            Some(heard) => self.calls.hear(now(at), heard),
        }
    }

    pub(super) fn hears(&mut self, at: u64, what: &str) -> String {
        let decided = self.decide(at, what);
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
            CallChange::Arrived(_) => format!("#{name} arrives"),
            CallChange::Known(_) => format!("#{name} known"),
            CallChange::Waits { queue, position } => format!("#{name} waits {queue} {position}"),
            CallChange::Held { line } => format!("#{name} held {line}"),
            CallChange::Resumed { line } => format!("#{name} resumed {line}"),
            CallChange::Left { line, moved_to: None } => format!("#{name} left {line}"),
            CallChange::Left { line, moved_to: Some(to) } => format!("#{name} left {line} for {to}"),
            CallChange::Offered { line, passed_on_by: None } => format!("#{name} offered {line}"),
            CallChange::Offered { line, passed_on_by: Some(by) } => format!("#{name} offered {line} by {by}"),
            CallChange::Answered { line } => format!("#{name} answered {line}"),
            CallChange::Withdrawn { line, why } => match why {
                Withdrawal::AnsweredElsewhere { by } => format!("#{name} withdrawn {line} (taken by {by})"),
                Withdrawal::CallerGaveUp => format!("#{name} withdrawn {line} (gave up)"),
                Withdrawal::StoppedRinging => format!("#{name} withdrawn {line} (stopped)"),
                Withdrawal::Declined => format!("#{name} withdrawn {line} (declined)"),
                Withdrawal::NoAnswer => format!("#{name} withdrawn {line} (no answer)"),
            },
            CallChange::Ended { how: EndedHow::Completed } => format!("#{name} completed"),
            CallChange::Ended { how: EndedHow::Abandoned } => format!("#{name} abandoned"),
            CallChange::Ended { how: EndedHow::Lost } => format!("#{name} lost"),
            CallChange::Ended { how: EndedHow::Declined } => format!("#{name} declined"),
            CallChange::Ended { how: EndedHow::Unanswered } => format!("#{name} unanswered"),
            CallChange::Ended { how: EndedHow::Joined { into } } => {
                let into = 1 + self.names.iter().position(|call| call == into)?;
                format!("#{name} joined into #{into}")
            }
        })
    }
}

pub(super) fn check(story: &[(u64, &str, &str)]) {
    let mut told = Story::new();
    for (at, heard, expected) in story {
        assert_eq!(told.hears(*at, heard), *expected, "at {at} ms: {heard}");
    }
}

pub(super) const DANA: &str = "101 rings 0501234567";

#[test]
fn one_phone_rings_answers_and_hangs_up() {
    check(&[
        (0, "101 idle", ""),
        (10, DANA, "#1 arrives, #1 offered 101"),
        (900, "101 busy", "#1 answered 101"),
        (9000, "101 idle", ""),
        (10_999, "tick", ""),
        (11_000, "tick", "#1 completed"),
        (11_100, "tick", ""),
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
                (5000, "102 idle", ""),
                (7000, "tick", "#1 completed"),
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
        (4000, "101 idle", ""),
        (6000, "tick", "#1 completed"),
        (5000, "102 idle", ""),
        (7000, "tick", "#2 completed"),
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
        (8000, "101 idle", ""),
        (10000, "tick", "#1 completed"),
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
    assert_eq!(again.hears(10, "102 idle"), "");
    assert_eq!(again.hears(2010, "tick"), "#1 completed");
    assert!(again.live.is_empty());
}

#[test]
fn line_states_are_told_when_they_change() {
    let mut calls = start(BTreeMap::new(), 0);
    let mut states = Vec::new();
    for what in [LineHeard::Idle, LineHeard::Idle, LineHeard::Busy, LineHeard::Lost, LineHeard::Lost] {
        let decided = calls.hear(now(0), heard_at(0, "101", what));
        states.extend(decided.events.into_iter().filter_map(|event| match event {
            Event::Line(event) => Some(event.state),
            Event::Call(_) | Event::Pause(_) => None,
        }));
    }
    assert_eq!(states, [LineState::Idle, LineState::Busy, LineState::Unknown]);
}
