//! The call machine: turns what was heard into events about calls. Pure and the heart of the adapter.
//! Ways that name calls (`named`) say what is so; from ways that only tell lines (`by_line`) calls are
//! concluded. Several ways at once give one call, and its phones are governed by the best informed one.

mod by_line;
mod callers;
mod lines;
mod live;
mod named;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{
    CallChange, CallEvent, CallFacts, CallId, EndedHow, Event, Line, LineEvent, LineState, Pause, PauseEvent,
    QueueName, Withdrawal,
};

use crate::hear::{Heard, LineHeard, Way, What};
use callers::Callers;
use lines::Lines;
use live::{Leg, Name};
use timers::Timers;

pub use live::LiveCall;

/// When something is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For stamping events.
    pub wall: Timestamp,
    /// Since the program started: for timers, which a changed clock must not move.
    pub uptime: Duration,
}

/// How long to wait before believing things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After the last line of a call fell silent, for another line to say that it answered.
    pub grace: Duration,
    /// The same while other lines still ring: a lost NOTIFY is repeated after 500 ms (RFC 3261 T1).
    pub grace_while_ringing: Duration,
    /// After the line that talked hung up, for the phone that the caller was passed on to to ring. No dialog event tells
    /// of a transfer, and a loaded phone system takes its time; the end is stamped with when it was heard all the same.
    pub passing_on: Duration,
    /// After a line or a way was lost sight of, before its calls are given up.
    pub lost_after: Duration,
    /// For a way that names calls to say which call a line rings with, before it is taken for another.
    pub deference: Duration,
    /// After a line is idle though the way that governs its call says otherwise, before the line is believed.
    pub contradiction: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            grace: Duration::from_millis(400),
            grace_while_ringing: Duration::from_millis(700),
            passing_on: Duration::from_secs(2),
            lost_after: Duration::from_secs(120),
            deference: Duration::from_millis(300),
            contradiction: Duration::from_secs(5),
        }
    }
}

/// Two withheld callers look alike: they are taken for one only when they arrive this close together.
const NAMELESS_JOIN: Duration = Duration::from_secs(2);
/// Two ways speak of one call when the same caller arrived this close together.
const WAYS_JOIN: Duration = Duration::from_secs(5);
/// How many names of ended calls are remembered, so that late words do not bring them back, and how long.
const MOST_OVER: usize = 20_000;
const OVER_FOR: Duration = Duration::from_secs(60);
/// The most live calls; an arrival beyond them is not followed.
const MOST_LIVE: usize = 20_000;
/// The most calls at one line; the oldest is given up for one more.
const MOST_AT_LINE: usize = 64;
/// The most pauses remembered, to tell each once.
const MOST_PAUSES: usize = 50_000;

/// What a decision changed: events to tell, and live calls to keep (`Some`) or drop (`None`).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// In order.
    pub events: Vec<Event>,
    /// By call; the last state only.
    pub live: BTreeMap<CallId, Option<LiveCall>>,
    /// Calls whose state is to be kept or dropped, as it is in the end.
    pub(crate) touched: BTreeSet<CallId>,
}

impl Decided {
    fn event(&mut self, call: CallId, stamp: Stamp, change: CallChange) {
        self.events.push(Event::Call(CallEvent { call, heard_at: stamp.heard_at, change }));
    }
}

/// When and by which way something was heard.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    uptime: Duration,
    heard_at: Timestamp,
    way: Way,
}

/// All calls and lines one adapter follows.
pub struct Calls {
    live: BTreeMap<CallId, LiveCall>,
    callers: Callers,
    /// The legs of calls at a line that are not gone, as in `live`.
    at_line: BTreeMap<Line, BTreeMap<CallId, Leg>>,
    by_name: BTreeMap<Name, CallId>,
    lines: Lines,
    /// Ways that can hear now, and since when those cannot that could.
    up: BTreeSet<Way>,
    down: BTreeMap<Way, Duration>,
    /// Lines that a way which names calls has told something of since it can hear.
    told_of: BTreeSet<(Way, Line)>,
    /// Names of ended calls, and until when a word of them is late.
    over: BTreeMap<Name, Duration>,
    over_in_order: VecDeque<Name>,
    /// When a leg is decided on, and since when it is as it is; what is decided is told by the leg.
    timers: Timers,
    /// Lines that ring with a call no way has named yet.
    deferred: BTreeMap<Line, (Duration, Timestamp, CallFacts)>,
    pauses: BTreeMap<(Line, QueueName), Option<Pause>>,
    patience: Patience,
    new_id: Box<dyn FnMut(Timestamp) -> CallId + Send>,
}

impl Calls {
    /// A machine that goes on with `live` calls. `new_id` makes the ids of new ones.
    pub fn new(
        live: BTreeMap<CallId, LiveCall>,
        patience: Patience,
        new_id: Box<dyn FnMut(Timestamp) -> CallId + Send>,
    ) -> Self {
        let mut calls = Calls {
            live,
            callers: Callers::default(),
            at_line: BTreeMap::new(),
            by_name: BTreeMap::new(),
            lines: Lines::default(),
            up: BTreeSet::new(),
            down: BTreeMap::new(),
            told_of: BTreeSet::new(),
            over: BTreeMap::new(),
            over_in_order: VecDeque::new(),
            timers: Timers::default(),
            deferred: BTreeMap::new(),
            pauses: BTreeMap::new(),
            patience,
            new_id,
        };
        for (call, live) in &calls.live {
            calls.callers.note(*call, live);
            for (line, leg) in live.legs.iter().filter(|(_, leg)| **leg != Leg::Gone) {
                calls.at_line.entry(line.clone()).or_default().insert(*call, *leg);
                if matches!(leg, Leg::Quiet | Leg::Leaving) {
                    let due = (patience.passing_on, live.arrived_at);
                    calls.timers.insert((*call, line.clone()), due);
                }
                // Not heard of since the restart: given up after a while, as any line lost sight of.
                calls.lines.not_heard_yet(line.clone());
            }
            for name in &live.names {
                calls.down.insert(name.0, Duration::ZERO);
                calls.by_name.insert(name.clone(), *call);
            }
        }
        calls
    }

    /// Takes in one thing that was heard. A repetition decides nothing.
    pub fn hear(&mut self, now: Now, heard: Heard) -> Decided {
        let mut out = Decided::default();
        let Heard { at, way, what } = heard;
        let stamp = Stamp { uptime: now.uptime, heard_at: at, way };
        match what {
            What::Line { line, is } => {
                self.line_state(stamp, &line, is.state(), &mut out);
                match is {
                    LineHeard::Idle => self.fell_silent(stamp, &line, &mut out),
                    LineHeard::Ringing { caller, queue } => {
                        let facts = CallFacts { caller, queue, ..CallFacts::default() };
                        self.rings(stamp, &line, facts, &mut out);
                    }
                    LineHeard::Busy => self.is_busy(stamp, &line, &mut out),
                    LineHeard::Lost => drop(self.deferred.remove(&line)),
                }
            }
            What::LineState { line, state } => {
                self.told_of.insert((way, line.clone()));
                self.line_state(stamp, &line, state, &mut out);
            }
            What::Call { key, is } => {
                self.hears_again(way);
                self.named(stamp, (way, key), is, &mut out);
            }
            What::Pause { line, queue, pause } => self.paused(stamp, line, queue, pause, &mut out),
            What::Up { live } => self.way_up(stamp, live, &mut out),
            What::Down => self.way_down(stamp, &mut out),
        }
        self.settle(out)
    }

    /// Decides what was waiting for time to pass.
    pub fn tick(&mut self, now: Now) -> Decided {
        let mut out = Decided::default();
        let stamp = Stamp { uptime: now.uptime, heard_at: now.wall, way: Way::DialogEvents };
        for place in self.timers.due(now.uptime) {
            if let Some((_, heard_at)) = self.timers.remove(&place) {
                self.leg_is_due(Stamp { heard_at, ..stamp }, place.0, &place.1, &mut out);
            }
        }
        let due: Vec<_> = self.deferred.iter().filter(|(_, (at, ..))| *at <= now.uptime).collect();
        for line in due.into_iter().map(|(line, _)| line.clone()).collect::<Vec<_>>() {
            if let Some((_, heard_at, facts)) = self.deferred.remove(&line) {
                self.nobody_named_it(Stamp { heard_at, ..stamp }, &line, facts, &mut out);
            }
        }
        let gone = |at: Duration| at + self.patience.lost_after <= now.uptime;
        let lost: Vec<_> =
            self.lines.lost().filter(|(_, at)| gone(*at)).map(|(line, _)| line.clone()).collect();
        let ways: Vec<_> = self.down.iter().filter(|(_, at)| gone(**at)).map(|(way, _)| *way).collect();
        for line in lost {
            self.give_up_line(stamp, &line, &mut out);
        }
        for way in ways {
            self.give_up_way(Stamp { way, ..stamp }, &mut out);
        }
        self.settle(out)
    }

    /// Copies the states to be kept, once each.
    fn settle(&self, mut out: Decided) -> Decided {
        for call in std::mem::take(&mut out.touched) {
            out.live.insert(call, self.live.get(&call).cloned());
        }
        out
    }

    /// When [`Calls::tick`] has something to do next, as uptime.
    pub fn next_tick(&self) -> Option<Duration> {
        let lost = self.lines.lost().map(|(_, at)| at).chain(self.down.values().copied());
        let lost = lost.map(|at| at + self.patience.lost_after);
        let deferred = self.deferred.values().map(|(at, ..)| *at);
        self.timers.next().into_iter().chain(deferred).chain(lost).min()
    }

    /// The calls that have not ended.
    pub fn live(&self) -> impl Iterator<Item = CallId> + '_ {
        self.live.keys().copied()
    }

    fn line_state(&mut self, stamp: Stamp, line: &Line, state: LineState, out: &mut Decided) {
        if let Some(state) = self.lines.take(stamp.way, line, state, stamp.uptime) {
            out.events.push(Event::Line(LineEvent { line: line.clone(), heard_at: stamp.heard_at, state }));
        }
    }

    fn paused(
        &mut self,
        stamp: Stamp,
        line: Line,
        queue: QueueName,
        pause: Option<Pause>,
        out: &mut Decided,
    ) {
        let place = (line, queue);
        if self.pauses.get(&place) == Some(&pause) {
            return;
        }
        if self.pauses.len() < MOST_PAUSES {
            self.pauses.insert(place.clone(), pause.clone());
        }
        let (line, queue) = place;
        out.events.push(Event::Pause(PauseEvent { line, queue, heard_at: stamp.heard_at, pause }));
    }

    /// The best informed way that knows this call by name, and its phones, and can hear.
    fn governor(&self, call: CallId) -> Option<Way> {
        let names = &self.live.get(&call)?.names;
        names.iter().map(|(way, _)| *way).filter(|way| way.knows_phones() && self.up.contains(way)).max()
    }

    /// A better informed way will name what rings at this line: it tells of it, and can hear.
    fn is_named_soon(&self, line: &Line) -> bool {
        let tells = |way: &&Way| way.knows_phones() && self.told_of.contains(&(**way, line.clone()));
        self.up.iter().any(|way| tells(&way))
    }

    fn arrive(&mut self, stamp: Stamp, facts: CallFacts, out: &mut Decided) -> Option<CallId> {
        if self.live.len() >= MOST_LIVE {
            return None;
        }
        let call = (self.new_id)(stamp.heard_at);
        let live = LiveCall::new(stamp.way, facts, stamp.heard_at);
        out.event(call, stamp, CallChange::Arrived(live.facts()));
        out.touched.insert(call);
        self.callers.note(call, &live);
        self.live.insert(call, live);
        Some(call)
    }

    fn learn(&mut self, stamp: Stamp, call: CallId, facts: CallFacts, out: &mut Decided) {
        let Some(live) = self.live.get_mut(&call).filter(|live| !live.knows(stamp.way, &facts)) else {
            return;
        };
        let before = live.facts();
        live.learn(stamp.way, facts);
        self.callers.note(call, live);
        let after = live.facts();
        if after != before {
            out.touched.insert(call);
            out.event(call, stamp, CallChange::Known(after));
        }
    }

    fn offer(
        &mut self,
        stamp: Stamp,
        call: CallId,
        line: &Line,
        passed_on_by: Option<Line>,
        out: &mut Decided,
    ) {
        self.timers.remove(&(call, line.clone()));
        self.deferred.remove(line);
        // No phone has so many: whoever sends them must not make each cost more than the one before.
        let oldest = self.at_line.get(line).filter(|calls| calls.len() >= MOST_AT_LINE);
        if let Some(oldest) = oldest.and_then(|calls| calls.keys().copied().find(|other| *other != call)) {
            self.give_up_leg(stamp, oldest, line, out);
            self.end_if_nobody_is_left(stamp, oldest, out);
        }
        self.set_leg(call, line, Leg::Ringing, out);
        out.event(call, stamp, CallChange::Offered { line: line.clone(), passed_on_by });
    }

    /// A phone has answered; those that fell silent just before are told by whom.
    fn answer(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        self.timers.remove(&(call, line.clone()));
        let Some(live) = self.live.get_mut(&call) else { return };
        live.answered = true;
        live.waits = None;
        self.set_leg(call, line, Leg::Talking, out);
        out.event(call, stamp, CallChange::Answered { line: line.clone() });
        for quiet in self.lines_with(call, |leg| leg == Leg::Quiet) {
            self.leave(stamp, call, &quiet, Withdrawal::AnsweredElsewhere { by: line.clone() }, out);
        }
    }

    /// A phone stopped ringing, and it is known why.
    fn leave(&mut self, stamp: Stamp, call: CallId, line: &Line, why: Withdrawal, out: &mut Decided) {
        self.timers.remove(&(call, line.clone()));
        self.set_leg(call, line, Leg::Gone, out);
        out.event(call, stamp, CallChange::Withdrawn { line: line.clone(), why });
    }

    /// A phone that had the caller has it no more.
    fn left(&mut self, stamp: Stamp, call: CallId, line: &Line, moved_to: Option<Line>, out: &mut Decided) {
        self.timers.remove(&(call, line.clone()));
        self.set_leg(call, line, Leg::Gone, out);
        out.event(call, stamp, CallChange::Left { line: line.clone(), moved_to });
    }

    /// The end of a call whose phones have all been told.
    fn end(&mut self, stamp: Stamp, call: CallId, how: EndedHow, out: &mut Decided) {
        let Some(live) = self.live.remove(&call) else { return };
        self.callers.forget(call);
        for line in live.legs.keys() {
            self.timers.remove(&(call, line.clone()));
            self.forget_leg(call, line);
        }
        for name in live.names {
            self.by_name.remove(&name);
            self.is_over(name, stamp.uptime);
        }
        out.touched.insert(call);
        out.event(call, stamp, CallChange::Ended { how });
    }

    /// Remembers the name of an ended call for a while.
    fn is_over(&mut self, name: Name, uptime: Duration) {
        while self.over_in_order.len() >= MOST_OVER {
            let Some(oldest) = self.over_in_order.pop_front() else { break };
            self.over.remove(&oldest);
        }
        if self.over.insert(name.clone(), uptime + OVER_FOR).is_none() {
            self.over_in_order.push_back(name);
        }
    }

    fn set_leg(&mut self, call: CallId, line: &Line, leg: Leg, out: &mut Decided) {
        let Some(live) = self.live.get_mut(&call) else { return };
        let before = match live.legs.get_mut(line) {
            Some(known) => Some(std::mem::replace(known, leg)),
            None => live.legs.insert(line.clone(), leg),
        };
        if before != Some(leg) {
            out.touched.insert(call);
        }
        match (before, leg) {
            (_, Leg::Gone) => self.forget_leg(call, line),
            (None | Some(Leg::Gone), _) => {
                self.at_line.entry(line.clone()).or_default().insert(call, leg);
            }
            (Some(_), _) => {
                if let Some(known) = self.at_line.get_mut(line).and_then(|calls| calls.get_mut(&call)) {
                    *known = leg;
                }
            }
        }
    }

    fn forget_leg(&mut self, call: CallId, line: &Line) {
        if let Some(calls) = self.at_line.get_mut(line) {
            calls.remove(&call);
            if calls.is_empty() {
                self.at_line.remove(line);
            }
        }
    }

    fn leg(&self, call: CallId, line: &Line) -> Option<Leg> {
        self.live.get(&call)?.legs.get(line).copied()
    }

    /// The calls with such a leg at a line, oldest first.
    fn legs_at(&self, line: &Line, is: impl Fn(Leg) -> bool) -> Vec<CallId> {
        let calls = self.at_line.get(line).into_iter().flatten();
        calls.filter(|(_, leg)| is(**leg)).map(|(call, _)| *call).collect()
    }

    fn lines_with(&self, call: CallId, is: impl Fn(Leg) -> bool) -> Vec<Line> {
        self.live.get(&call).map(|live| live.lines(is)).unwrap_or_default()
    }

    fn talker(&self, call: CallId) -> Option<Line> {
        self.live.get(&call).and_then(LiveCall::talker)
    }
}

impl LineHeard {
    fn state(&self) -> LineState {
        match self {
            LineHeard::Idle => LineState::Idle,
            LineHeard::Ringing { .. } => LineState::Ringing,
            LineHeard::Busy => LineState::Busy,
            LineHeard::Lost => LineState::Unknown,
        }
    }
}

/// How far apart two moments are.
fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.duration_since(other).unsigned_abs()
}

#[cfg(test)]
mod disorder;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_named;
