//! Scripted calls against a model: what truly happens is drawn first, each way then tells of it as that
//! way would (late, twice, in another order, lost and repeated), and what the machine says in the end
//! must be what truly happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{
    CallChange, CallFacts, CallId, Caller, EndedHow, Event, Line, LineState, NumberPlan, QueueName,
    Withdrawal,
};
use uuid::Uuid;

use super::{Calls, Now, Patience};
use crate::hear::{CallHeard, CallKey, Heard, Hold, LineHeard, OverBy, Stopped, Way, What};

/// Draws numbers from a seed, so that a case that fails can be played again by its number.
struct Dice(u64);

impl Dice {
    /// xorshift64* (Vigna 2016): below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

/// What truly happens at one moment of one call.
#[derive(Debug, Clone, PartialEq)]
enum True {
    Arrives,
    Waits,
    Rings(usize),
    Stops(usize, Stopped),
    Answers(usize),
    Hold(usize, Hold),
    Leaves(usize, usize),
    HangsUp(usize),
    Over(OverBy),
}

/// How a call ends, as the model knows.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    caller: Option<u64>,
    how: EndedHow,
    answered: Vec<usize>,
    rung: BTreeMap<usize, usize>,
    passed_on: Option<(usize, usize)>,
}

const LINES: [&str; 4] = ["101", "102", "103", "104"];

fn line(at: usize) -> Line {
    Line::parse(LINES[at]).expect("a line")
}

fn caller(number: Option<u64>) -> Caller {
    match number {
        None => Caller { withheld: true, ..Caller::default() },
        Some(n) => Caller {
            number: NumberPlan::new("IL", 4).expect("a country").read(&format!("05012345{n:02}")),
            ..Caller::default()
        },
    }
}

/// One call, from `start`; gives its end. It rings at the lines that `free` names.
fn script(
    dice: &mut Dice,
    start: u64,
    number: Option<u64>,
    free: &[usize],
    said: &mut Vec<(u64, True)>,
) -> (u64, Outcome) {
    let mut at = start;
    let mut say = |at: u64, what: True| said.push((at, what));
    let mut outcome = Outcome {
        caller: number,
        how: EndedHow::Abandoned,
        answered: vec![],
        rung: BTreeMap::new(),
        passed_on: None,
    };
    say(at, True::Arrives);
    if dice.one_in(3) {
        say(at + 2, True::Waits);
        at += dice.roll(4000);
    }
    at += 100;
    let rounds = 1 + dice.roll(2);
    for round in 1..=rounds {
        for l in free {
            say(at, True::Rings(*l));
            *outcome.rung.entry(*l).or_default() += 1;
        }
        // Long enough for a lost NOTIFY to be repeated before the next thing happens.
        at += 1500 + dice.roll(3000);
        if round < rounds {
            for l in free {
                say(at, True::Stops(*l, Stopped::NoAnswer));
            }
            at += 2000;
        }
    }
    match dice.roll(5) {
        0 => {
            for l in free {
                say(at, True::Stops(*l, Stopped::GaveUp));
            }
            say(at, True::Over(OverBy::Caller));
        }
        1 => {
            for l in free {
                say(at, True::Stops(*l, Stopped::Declined));
            }
            say(at + 1, True::Over(OverBy::PhoneSystem));
            outcome.how = EndedHow::Declined;
        }
        2 => {
            for l in free {
                say(at, True::Stops(*l, Stopped::NoAnswer));
            }
            say(at + 1, True::Over(OverBy::PhoneSystem));
            outcome.how = EndedHow::Unanswered;
        }
        _ => {
            outcome.how = EndedHow::Completed;
            let by = free[dice.roll(free.len() as u64) as usize];
            say(at, True::Answers(by));
            outcome.answered.push(by);
            for l in free.iter().filter(|l| **l != by) {
                say(at, True::Stops(*l, Stopped::Elsewhere));
            }
            at += 2000 + dice.roll(5000);
            if dice.one_in(2) {
                say(at, True::Hold(by, Hold::On));
                at += 1000;
                say(at, True::Hold(by, Hold::Off));
                at += 1000;
            }
            let to = free.iter().copied().find(|l| *l != by);
            let last = match to {
                // By dialog events, a withheld caller who is passed on cannot be told from another one.
                Some(to) if number.is_some() && dice.one_in(3) => {
                    say(at, True::Leaves(by, to));
                    // Within the grace of dialog events.
                    at += 100;
                    say(at, True::Rings(to));
                    *outcome.rung.entry(to).or_default() += 1;
                    at += 2500;
                    say(at, True::Answers(to));
                    outcome.answered.push(to);
                    outcome.passed_on = Some((by, to));
                    at += 3000;
                    to
                }
                _ => by,
            };
            say(at, True::HangsUp(last));
            say(at, True::Over(OverBy::Caller));
        }
    }
    (at + 2000, outcome)
}

/// What happens, of all calls, in order, with the call's number in the script.
type Story = Vec<(u64, usize, True)>;

fn story(dice: &mut Dice) -> (Story, Vec<Outcome>) {
    let (mut story, mut outcomes) = (Vec::new(), Vec::new());
    // Two desks with phones of their own, each with its calls one after the other.
    let desks: &[&[usize]] = if dice.one_in(2) { &[&[0, 1, 2, 3]] } else { &[&[0, 1], &[2, 3]] };
    let mut withheld_told = false;
    for (desk, lines) in desks.iter().enumerate() {
        let mut at = dice.roll(500);
        for n in 0..1 + dice.roll(2) {
            let number = 10 * desk as u64 + n;
            let withheld = !withheld_told && dice.one_in(6);
            withheld_told |= withheld;
            let most = 1 + dice.roll(lines.len() as u64) as usize;
            let mut said = Vec::new();
            let (end, outcome) = script(dice, at, (!withheld).then_some(number), &lines[..most], &mut said);
            let call = outcomes.len();
            story.extend(said.into_iter().map(|(at, what)| (at, call, what)));
            outcomes.push(outcome);
            at = end + dice.roll(1000);
        }
    }
    story.sort_by_key(|(at, ..)| *at);
    (story, outcomes)
}

/// One way's telling of the story: what it hears when, in the order in which it hears it.
fn told_by(way: Way, story: &Story, outcomes: &[Outcome], dice: &mut Dice) -> Vec<(u64, Heard)> {
    match way {
        Way::DialogEvents => by_lines(story, outcomes, dice),
        way => by_name(way, story, outcomes, dice),
    }
}

/// A way over one stream: in its own order, a little late, some words twice.
fn by_name(way: Way, story: &Story, outcomes: &[Outcome], dice: &mut Dice) -> Vec<(u64, Heard)> {
    let mut heard = Vec::new();
    let mut say = |at: u64, what: What| heard.push((at, Heard { at: wall(at), way, what }));
    say(0, What::Up { live: (way == Way::Ami).then(Vec::new) });
    let mut last = 0;
    for (at, call, what) in story {
        last = (at + dice.roll(6)).max(last);
        let key = CallKey::new(&format!("{way}-{call}"));
        let facts = || CallFacts { caller: caller(outcomes[*call].caller), ..CallFacts::default() };
        let queue = || QueueName::parse("support").expect("a queue");
        let is = match what {
            True::Arrives => CallHeard::Facts(facts()),
            True::Waits if way == Way::Ami => CallHeard::Waits { queue: queue(), position: 1 },
            True::Waits => continue,
            True::Rings(l) => {
                let by = outcomes[*call].passed_on.filter(|(_, to)| to == l && outcomes[*call].rung[l] > 1);
                let answered_before =
                    story.iter().any(|(t, c, w)| t < at && c == call && matches!(w, True::Leaves(..)));
                let passed_on_by = by.filter(|_| answered_before).map(|(by, _)| line(by));
                CallHeard::Rings { line: line(*l), passed_on_by }
            }
            True::Stops(l, why) => CallHeard::Stopped { line: line(*l), why: *why },
            True::Answers(l) => CallHeard::Answered { line: line(*l) },
            True::Hold(l, hold) => CallHeard::Hold { line: line(*l), hold: *hold },
            True::Leaves(l, to) => CallHeard::Left { line: line(*l), moved_to: Some(line(*to)) },
            True::HangsUp(l) => CallHeard::Left { line: line(*l), moved_to: None },
            True::Over(by) => CallHeard::Over { by: *by },
        };
        let word = What::Call { key, is };
        if dice.one_in(5) {
            say(last, word.clone());
        }
        say(last, word);
    }
    heard
}

/// Dialog events: one stream for each line; a NOTIFY may be lost and is repeated after 500 ms, when a later
/// one of that line may have overtaken it, which makes it old.
fn by_lines(story: &Story, outcomes: &[Outcome], dice: &mut Dice) -> Vec<(u64, Heard)> {
    let mut heard = Vec::new();
    let mut documents: BTreeMap<usize, Vec<(u64, LineHeard)>> =
        (0..LINES.len()).map(|l| (l, vec![(0, LineHeard::Idle)])).collect();
    for (at, call, what) in story {
        let (l, is) = match what {
            True::Rings(l) => {
                (*l, LineHeard::Ringing { caller: caller(outcomes[*call].caller), queue: None })
            }
            True::Stops(l, _) | True::Leaves(l, _) | True::HangsUp(l) => (*l, LineHeard::Idle),
            True::Answers(l) => (*l, LineHeard::Busy),
            True::Arrives | True::Waits | True::Hold(..) | True::Over(_) => continue,
        };
        documents.entry(l).or_default().push((*at, is));
    }
    let leaves = |(at, _, what): &(u64, usize, True)| match what {
        True::Leaves(l, _) => Some((*l, *at)),
        _ => None,
    };
    let moments: BTreeSet<(usize, u64)> = story.iter().filter_map(leaves).collect();
    for (l, documents) in documents {
        let mut newest = 0;
        let mut sent: Vec<(u64, usize, LineHeard)> = Vec::new();
        for (cseq, (at, is)) in documents.into_iter().enumerate() {
            // One blind spot: when the word that a phone hung up comes after the word that the next one
            // rings, dialog events look as if the caller had called a second time.
            let passed_on = moments.contains(&(l, at));
            let lost = at > 100 && !passed_on && dice.one_in(8);
            let at = at + dice.roll(8);
            let arrives = if lost { at + 500 } else { at };
            sent.push((arrives, cseq, is.clone()));
            if dice.one_in(6) {
                sent.push((arrives + dice.roll(300), cseq, is));
            }
        }
        sent.sort_by_key(|(at, cseq, _)| (*at, *cseq));
        for (at, cseq, is) in sent {
            if cseq >= newest {
                newest = cseq;
                heard.push((
                    at,
                    Heard { at: wall(at), way: Way::DialogEvents, what: What::Line { line: line(l), is } },
                ));
            }
        }
    }
    heard.sort_by_key(|(at, _)| *at);
    heard
}

fn wall(ms: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_millis(ms)
}

/// What the machine said of one call in the end.
#[derive(Debug, Default)]
struct Said {
    facts: CallFacts,
    offered: BTreeMap<Line, usize>,
    answered: Vec<Line>,
    withdrawn: BTreeMap<Line, Withdrawal>,
    left: Vec<(Line, Option<Line>)>,
    ended: Option<EndedHow>,
}

/// Plays one case; an error says what is not as it truly was.
fn play(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (story, outcomes) = story(&mut dice);
    let ways: &[&[Way]] = &[
        &[Way::DialogEvents],
        &[Way::Hep],
        &[Way::Ami],
        &[Way::DialogEvents, Way::Ami],
        &[Way::DialogEvents, Way::Hep],
        &[Way::Hep, Way::Ami],
        &[Way::DialogEvents, Way::Hep, Way::Ami],
    ];
    let ways = ways[dice.roll(ways.len() as u64) as usize];
    let mut words: Vec<(u64, Heard)> =
        ways.iter().flat_map(|way| told_by(*way, &story, &outcomes, &mut dice)).collect();
    words.sort_by_key(|(at, _)| *at);

    let mut next = 0;
    let new_id = move |_: Timestamp| {
        next += 1;
        CallId(Uuid::from_u128(next))
    };
    let mut calls = Calls::new(BTreeMap::new(), Patience::default(), Box::new(new_id));
    let mut events = Vec::new();
    let now = |ms: u64| Now { wall: wall(ms), uptime: Duration::from_millis(ms) };
    for (at, heard) in words {
        while let Some(tick) = calls.next_tick().filter(|tick| *tick < Duration::from_millis(at)) {
            events.extend(calls.tick(now(tick.as_millis() as u64 + 1)).events);
        }
        events.extend(calls.hear(now(at), heard).events);
    }
    while let Some(tick) = calls.next_tick() {
        events.extend(calls.tick(now(tick.as_millis() as u64 + 1)).events);
    }
    let left: Vec<CallId> = calls.live().collect();
    if !left.is_empty() {
        return Err(format!("{ways:?}: {} calls never end", left.len()));
    }
    let told = ways.iter().any(|way| *way != Way::DialogEvents);
    compare(told, &outcomes, &events).map_err(|e| {
        let story: Vec<String> = story.iter().map(|step| format!("{step:?}")).collect();
        let events: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
        format!("{ways:?}: {e}\n{}\n{}", story.join("\n"), events.join("\n"))
    })
}

fn compare(named: bool, outcomes: &[Outcome], events: &[Event]) -> Result<(), String> {
    let mut said: BTreeMap<CallId, Said> = BTreeMap::new();
    let mut lines: BTreeMap<Line, LineState> = BTreeMap::new();
    for event in events {
        match event {
            Event::Line(event) => drop(lines.insert(event.line.clone(), event.state)),
            Event::Pause(_) => {}
            Event::Call(event) => {
                let call = said.entry(event.call).or_default();
                if call.ended.is_some() {
                    return Err("something is said of an ended call".to_owned());
                }
                match event.change.clone() {
                    CallChange::Arrived(facts) | CallChange::Known(facts) => call.facts = facts,
                    CallChange::Offered { line, .. } => *call.offered.entry(line).or_default() += 1,
                    CallChange::Answered { line } => call.answered.push(line),
                    CallChange::Withdrawn { line, why } => drop(call.withdrawn.insert(line, why)),
                    CallChange::Left { line, moved_to } => call.left.push((line, moved_to)),
                    CallChange::Ended { how } => call.ended = Some(how),
                    CallChange::Waits { .. } | CallChange::Held { .. } | CallChange::Resumed { .. } => {}
                }
            }
        }
    }
    if let Some((line, state)) = lines.iter().find(|(_, state)| **state != LineState::Idle) {
        return Err(format!("{line} is {state:?} in the end"));
    }
    let joined = |call: &&Said| matches!(call.ended, Some(EndedHow::Joined { .. }));
    let calls: Vec<&Said> = said.values().filter(|call| !joined(call)).collect();
    // A way that tells no calls takes each round of ringing for one, when nobody answers for seconds.
    if named && calls.len() != outcomes.len() {
        return Err(format!("{} calls are told, {} took place", calls.len(), outcomes.len()));
    }
    let mut seen = BTreeSet::new();
    for (n, outcome) in outcomes.iter().enumerate() {
        let of_it = |call: &&&Said| call.facts.caller.looks_like(&caller(outcome.caller));
        let told: Vec<_> = calls.iter().filter(of_it).collect();
        let Some(last) = told.last() else { return Err(format!("call {n} is not told")) };
        seen.insert(n);
        let rung: BTreeMap<Line, usize> = outcome.rung.iter().map(|(l, times)| (line(*l), *times)).collect();
        let mut offered: BTreeMap<Line, usize> = BTreeMap::new();
        for (line, times) in told.iter().flat_map(|call| &call.offered) {
            *offered.entry(line.clone()).or_default() += times;
        }
        if offered != rung {
            return Err(format!("call {n} rang {rung:?}, told {offered:?}"));
        }
        let answered: Vec<Line> = outcome.answered.iter().map(|l| line(*l)).collect();
        if last.answered != answered {
            return Err(format!("call {n} was answered by {answered:?}, told {:?}", last.answered));
        }
        let how = match outcome.how {
            EndedHow::Declined | EndedHow::Unanswered if !named => EndedHow::Abandoned,
            how => how,
        };
        if last.ended != Some(how) {
            return Err(format!("call {n} ended {how:?}, told {:?}", last.ended));
        }
        if let [by, ..] = answered.as_slice() {
            let others = last.withdrawn.iter().filter(|(line, _)| !answered.contains(line));
            for (other, why) in others {
                if *why != (Withdrawal::AnsweredElsewhere { by: by.clone() }) {
                    return Err(format!("call {n}: {other} was told {why:?}, not that {by} answered"));
                }
            }
        }
        if let Some((by, to)) = outcome.passed_on
            && !last.left.contains(&(line(by), Some(line(to))))
        {
            return Err(format!("call {n} was passed on from {by} to {to}, told {:?}", last.left));
        }
    }
    Ok(())
}

/// Each test plays its share, so that the shares run side by side.
fn share(from: u64) {
    const SHARE: u64 = 25_000;
    for seed in from * SHARE..(from + 1) * SHARE {
        if let Err(fault) = play(seed) {
            panic!("case {seed}: {fault}");
        }
    }
}

#[test]
fn what_is_told_in_the_end_is_what_happened_first_quarter() {
    share(0);
}

#[test]
fn what_is_told_in_the_end_is_what_happened_second_quarter() {
    share(1);
}

#[test]
fn what_is_told_in_the_end_is_what_happened_third_quarter() {
    share(2);
}

#[test]
fn what_is_told_in_the_end_is_what_happened_fourth_quarter() {
    share(3);
}
