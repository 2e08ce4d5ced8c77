//! The call machine: turns what was heard about lines into events about calls. Pure and the heart of the
//! adapter. Dialog events name no call, only "this line rings with this caller", so legs are joined by
//! caller, and who answered is told from which line goes from ringing to busy (within a grace window,
//! because a phone system reports the lines of one call in any order).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{
    CallChange, CallEvent, CallId, Caller, EndedHow, Event, Line, LineEvent, LineState, Withdrawal,
};
use serde::{Deserialize, Serialize};

use crate::hear::{Heard, LineHeard};

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
    /// After a line was lost sight of, before its call is given up.
    pub lost_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            grace: Duration::from_millis(400),
            grace_while_ringing: Duration::from_millis(700),
            lost_after: Duration::from_secs(120),
        }
    }
}

/// Two withheld callers look alike: they are taken for one only when they arrive this close together.
const NAMELESS_JOIN: Duration = Duration::from_secs(2);

/// A call that has not ended, as it is kept on disk between runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCall {
    caller: Caller,
    arrived_at: Timestamp,
    legs: BTreeMap<Line, Leg>,
}

/// A call at one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Leg {
    Ringing,
    /// Stopped ringing; why is not known yet.
    Quiet,
    Talking,
    /// No longer part of the call.
    Gone,
}

/// What a decision changed: events to tell, and live calls to keep (`Some`) or drop (`None`).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// In order.
    pub events: Vec<Event>,
    /// By call; the last state only.
    pub live: BTreeMap<CallId, Option<LiveCall>>,
}

impl Decided {
    fn event(&mut self, call: CallId, stamp: Stamp, change: CallChange) {
        self.events.push(Event::Call(CallEvent { call, heard_at: stamp.heard_at, change }));
    }
}

/// All calls and lines one adapter follows.
pub struct Calls {
    live: BTreeMap<CallId, LiveCall>,
    lines: BTreeMap<Line, LineNow>,
    timers: BTreeMap<(CallId, Line), Duration>,
    patience: Patience,
    new_id: Box<dyn FnMut(Timestamp) -> CallId + Send>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LineNow {
    state: LineState,
    /// When it was lost sight of, as uptime.
    lost_at: Option<Duration>,
}

impl Calls {
    /// A machine that goes on with `live` calls. `new_id` makes the ids of new ones.
    pub fn new(
        live: BTreeMap<CallId, LiveCall>,
        patience: Patience,
        new_id: Box<dyn FnMut(Timestamp) -> CallId + Send>,
    ) -> Self {
        let mut calls = Calls { live, lines: BTreeMap::new(), timers: BTreeMap::new(), patience, new_id };
        let legs: Vec<_> = calls
            .live
            .iter()
            .flat_map(|(call, live)| live.legs.iter().map(|(line, leg)| (*call, line.clone(), *leg)))
            .collect();
        for (call, line, leg) in legs {
            if leg == Leg::Quiet {
                calls.timers.insert((call, line.clone()), patience.grace_while_ringing);
            }
            if leg != Leg::Gone {
                // Not heard of since the restart: given up after a while, as any line lost sight of.
                let lost = LineNow { state: LineState::Unknown, lost_at: Some(Duration::ZERO) };
                calls.lines.insert(line, lost);
            }
        }
        calls
    }

    /// Takes in one thing that was heard. A repetition decides nothing.
    pub fn hear(&mut self, now: Now, heard: Heard) -> Decided {
        let mut out = Decided::default();
        let Heard { line, at, what } = heard;
        let stamp = Stamp { uptime: now.uptime, heard_at: at };
        self.line_state(stamp, &line, &what, &mut out);
        match what {
            LineHeard::Idle => self.fell_silent(stamp, &line, &mut out),
            LineHeard::Ringing { caller } => self.rings(stamp, &line, caller, &mut out),
            LineHeard::Busy => self.is_busy(stamp, &line, &mut out),
            LineHeard::Lost => {}
        }
        out
    }

    /// Decides what was waiting for time to pass.
    pub fn tick(&mut self, now: Now) -> Decided {
        let mut out = Decided::default();
        let stamp = Stamp { uptime: now.uptime, heard_at: now.wall };
        let due: Vec<_> =
            self.timers.iter().filter(|(_, at)| **at <= now.uptime).map(|(key, _)| key.clone()).collect();
        for (call, line) in due {
            if self.timers.remove(&(call, line.clone())).is_some() {
                self.stayed_silent(stamp, call, &line, &mut out);
            }
        }
        let lost: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, l)| l.lost_at.is_some_and(|at| at + self.patience.lost_after <= now.uptime))
            .map(|(line, _)| line.clone())
            .collect();
        for line in lost {
            self.give_up_line(stamp, &line, &mut out);
        }
        out
    }

    /// When [`Calls::tick`] has something to do next, as uptime.
    pub fn next_tick(&self) -> Option<Duration> {
        let lost =
            self.lines.values().filter_map(|line| line.lost_at).map(|at| at + self.patience.lost_after);
        self.timers.values().copied().chain(lost).min()
    }

    /// The calls that have not ended.
    pub fn live(&self) -> impl Iterator<Item = CallId> + '_ {
        self.live.keys().copied()
    }

    fn line_state(&mut self, stamp: Stamp, line: &Line, what: &LineHeard, out: &mut Decided) {
        let state = match what {
            LineHeard::Idle => LineState::Idle,
            LineHeard::Ringing { .. } => LineState::Ringing,
            LineHeard::Busy => LineState::Busy,
            LineHeard::Lost => LineState::Unknown,
        };
        let before = self.lines.get(line).copied();
        let lost_at = match what {
            LineHeard::Lost => before.and_then(|b| b.lost_at).or(Some(stamp.uptime)),
            _ => None,
        };
        // After a restart the hub may hold an old state: the first word about a line is always told.
        let told =
            before.is_some_and(|b| b.state == state && (state != LineState::Unknown || b.lost_at.is_some()));
        self.lines.insert(line.clone(), LineNow { state, lost_at });
        if !told {
            out.events.push(Event::Line(LineEvent { line: line.clone(), heard_at: stamp.heard_at, state }));
        }
    }

    fn rings(&mut self, stamp: Stamp, line: &Line, caller: Caller, out: &mut Decided) {
        let here = self.live.iter().find(|(_, live)| {
            let seeking = live.legs.get(line).is_some_and(|leg| matches!(leg, Leg::Ringing | Leg::Quiet));
            seeking && live.caller == caller
        });
        let here = here.map(|(call, _)| *call);
        if let Some(other) = self.leg_at(line, Leg::Ringing).filter(|other| Some(*other) != here) {
            self.quiet(stamp, other, line, out);
        }
        if let Some(call) = here {
            // A refresh, a retransmission, or it went on ringing within the grace window.
            self.timers.remove(&(call, line.clone()));
            self.set_leg(call, line, Leg::Ringing, out);
            return;
        }
        let call = match self.joinable(stamp, line, &caller) {
            Some(call) => call,
            None => self.arrive(stamp, caller, out),
        };
        self.set_leg(call, line, Leg::Ringing, out);
        out.event(call, stamp, CallChange::Offered { line: line.clone() });
    }

    fn is_busy(&mut self, stamp: Stamp, line: &Line, out: &mut Decided) {
        // Only what rings can be answered: after a caller gave up, the agent may just dial out.
        let Some(call) = self.leg_at(line, Leg::Ringing) else { return };
        if self.leg_at(line, Leg::Talking).is_some() {
            // A second call stopped ringing here; whether it was taken instead cannot be heard.
            self.quiet(stamp, call, line, out);
            return;
        }
        if self.answered_by(call).is_some() {
            // Two callers with the same number: this line has answered the other one.
            let Some(caller) = self.live.get(&call).map(|live| live.caller.clone()) else { return };
            self.leave(stamp, call, line, Withdrawal::StoppedRinging, out);
            let other = self.arrive(stamp, caller, out);
            self.set_leg(other, line, Leg::Talking, out);
            out.event(other, stamp, CallChange::Offered { line: line.clone() });
            out.event(other, stamp, CallChange::Answered { line: line.clone() });
            return;
        }
        self.timers.remove(&(call, line.clone()));
        self.set_leg(call, line, Leg::Talking, out);
        out.event(call, stamp, CallChange::Answered { line: line.clone() });
        for quiet in self.lines_with(call, |leg| leg == Leg::Quiet) {
            self.leave(stamp, call, &quiet, Withdrawal::AnsweredElsewhere { by: line.clone() }, out);
        }
    }

    fn fell_silent(&mut self, stamp: Stamp, line: &Line, out: &mut Decided) {
        if let Some(call) = self.leg_at(line, Leg::Ringing) {
            self.quiet(stamp, call, line, out);
        }
        if let Some(call) = self.leg_at(line, Leg::Talking) {
            self.set_leg(call, line, Leg::Gone, out);
            let rest = self.lines_with(call, |leg| matches!(leg, Leg::Ringing | Leg::Quiet));
            for other in &rest {
                self.leave(stamp, call, other, Withdrawal::AnsweredElsewhere { by: line.clone() }, out);
            }
            let caller = self.live.get(&call).map(|live| live.caller.clone());
            self.end(stamp, call, EndedHow::Completed, out);
            // A line that still rings now rings with another caller of the same number.
            let ringing =
                |other: &&Line| self.lines.get(*other).is_some_and(|l| l.state == LineState::Ringing);
            let still: Vec<Line> = rest.iter().filter(ringing).cloned().collect();
            if let Some(caller) = caller.filter(|_| !still.is_empty()) {
                let other = self.arrive(stamp, caller, out);
                for line in still {
                    self.set_leg(other, &line, Leg::Ringing, out);
                    out.event(other, stamp, CallChange::Offered { line });
                }
            }
        }
    }

    /// A line of a call stopped ringing: told at once when a colleague has answered, else after the grace.
    fn quiet(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        if let Some(by) = self.answered_by(call) {
            self.leave(stamp, call, line, Withdrawal::AnsweredElsewhere { by }, out);
            return;
        }
        self.set_leg(call, line, Leg::Quiet, out);
        let ringing = !self.lines_with(call, |leg| leg == Leg::Ringing).is_empty();
        let grace = if ringing { self.patience.grace_while_ringing } else { self.patience.grace };
        self.timers.insert((call, line.clone()), stamp.uptime + grace);
        if !ringing {
            // The last one: everyone who waits for this call need not wait longer than it.
            for other in self.lines_with(call, |leg| leg == Leg::Quiet) {
                self.timers.insert((call, other), stamp.uptime + grace);
            }
        }
    }

    fn stayed_silent(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        if !self.lines_with(call, |leg| leg == Leg::Ringing).is_empty() {
            self.leave(stamp, call, line, Withdrawal::StoppedRinging, out);
            return;
        }
        if self.lines_with(call, |leg| leg == Leg::Talking).is_empty() {
            for quiet in self.lines_with(call, |leg| leg == Leg::Quiet) {
                self.leave(stamp, call, &quiet, Withdrawal::CallerGaveUp, out);
            }
            self.end(stamp, call, EndedHow::Abandoned, out);
        } else {
            self.leave(stamp, call, line, Withdrawal::StoppedRinging, out);
        }
    }

    fn give_up_line(&mut self, stamp: Stamp, line: &Line, out: &mut Decided) {
        if let Some(now) = self.lines.get_mut(line) {
            now.lost_at = None;
        }
        let here = |(call, live): (&CallId, &LiveCall)| {
            live.legs.get(line).filter(|leg| **leg != Leg::Gone).map(|leg| (*call, *leg))
        };
        let legs: Vec<_> = self.live.iter().filter_map(here).collect();
        for (call, leg) in legs {
            if leg == Leg::Talking {
                self.set_leg(call, line, Leg::Gone, out);
            } else {
                self.leave(stamp, call, line, Withdrawal::StoppedRinging, out);
            }
            if self.lines_with(call, |leg| leg != Leg::Gone).is_empty() {
                self.end(stamp, call, EndedHow::Lost, out);
            }
        }
    }

    fn arrive(&mut self, stamp: Stamp, caller: Caller, out: &mut Decided) -> CallId {
        let call = (self.new_id)(stamp.heard_at);
        let live = LiveCall { caller: caller.clone(), arrived_at: stamp.heard_at, legs: BTreeMap::new() };
        self.live.insert(call, live);
        out.event(call, stamp, CallChange::Arrived { caller, queue: None });
        call
    }

    fn leave(&mut self, stamp: Stamp, call: CallId, line: &Line, why: Withdrawal, out: &mut Decided) {
        self.timers.remove(&(call, line.clone()));
        self.set_leg(call, line, Leg::Gone, out);
        out.event(call, stamp, CallChange::Withdrawn { line: line.clone(), why });
    }

    fn end(&mut self, stamp: Stamp, call: CallId, how: EndedHow, out: &mut Decided) {
        if self.live.remove(&call).is_some() {
            self.timers.retain(|(of, _), _| *of != call);
            out.live.insert(call, None);
            out.event(call, stamp, CallChange::Ended { how });
        }
    }

    fn set_leg(&mut self, call: CallId, line: &Line, leg: Leg, out: &mut Decided) {
        if let Some(live) = self.live.get_mut(&call)
            && live.legs.insert(line.clone(), leg) != Some(leg)
        {
            out.live.insert(call, Some(live.clone()));
        }
    }

    fn leg_at(&self, line: &Line, leg: Leg) -> Option<CallId> {
        self.live.iter().find(|(_, live)| live.legs.get(line) == Some(&leg)).map(|(call, _)| *call)
    }

    fn lines_with(&self, call: CallId, is: impl Fn(Leg) -> bool) -> Vec<Line> {
        let legs = self.live.get(&call).into_iter().flat_map(|live| &live.legs);
        legs.filter(|(_, leg)| is(**leg)).map(|(line, _)| line.clone()).collect()
    }

    fn answered_by(&self, call: CallId) -> Option<Line> {
        self.lines_with(call, |leg| leg == Leg::Talking).into_iter().next()
    }

    /// A call of the same caller that still seeks someone and does not ring here already.
    fn joinable(&self, stamp: Stamp, line: &Line, caller: &Caller) -> Option<CallId> {
        let nameless = caller.number.is_none();
        let found = self.live.iter().rev().find(|(_, live)| {
            let seeking = live.legs.values().any(|leg| matches!(leg, Leg::Ringing | Leg::Quiet))
                && !live.legs.values().any(|leg| *leg == Leg::Talking);
            let here = live.legs.get(line).is_some_and(|leg| *leg != Leg::Gone);
            let age = stamp.heard_at.duration_since(live.arrived_at).unsigned_abs();
            live.caller == *caller && seeking && !here && (!nameless || age <= NAMELESS_JOIN)
        });
        found.map(|(call, _)| *call)
    }
}

#[derive(Debug, Clone, Copy)]
struct Stamp {
    uptime: Duration,
    heard_at: Timestamp,
}

#[cfg(test)]
mod tests;
