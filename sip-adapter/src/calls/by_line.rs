//! Calls concluded from lines. Dialog events name no call, only "this line rings with this caller", so
//! legs are joined by caller, and who answered is told from which line goes from ringing to busy (within a
//! grace window, because a phone system reports the lines of one call in any order). What a better
//! informed way governs is left alone, unless a line contradicts it for long.

use jiff::Timestamp;
use pinkas_protocol::{CallFacts, CallId, Caller, EndedHow, Line, LineState, Withdrawal};

use super::live::Leg;
use super::{Calls, Decided, NAMELESS_JOIN, Stamp, apart};

impl Calls {
    pub(super) fn rings(&mut self, stamp: Stamp, line: &Line, facts: CallFacts, out: &mut Decided) {
        let caller = facts.caller.clone();
        let governed = self.legs_at(line, Leg::seeks).into_iter().find(|call| self.governor(*call).is_some());
        if let Some(call) = governed {
            self.deferred.remove(line);
            if self.live.get(&call).is_some_and(|live| live.is_from(&caller)) {
                self.learn(stamp, call, facts, out);
            }
            return;
        }
        let alike = |calls: &Calls, call: &CallId| calls.live.get(call).is_some_and(|l| l.is_from(&caller));
        let here = self.legs_at(line, Leg::seeks).into_iter().find(|call| alike(self, call));
        let others = self.legs_at(line, |leg| leg == Leg::Ringing);
        for other in others.into_iter().filter(|other| Some(*other) != here) {
            self.quiet(stamp, other, line, out);
        }
        if let Some(call) = here {
            // A refresh, a retransmission, or it went on ringing within the grace window.
            self.timers.remove(&(call, line.clone()));
            self.set_leg(call, line, Leg::Ringing, out);
            return;
        }
        if let Some(call) = self.joinable(stamp.heard_at, line, &caller) {
            self.offer(stamp, call, line, None, out);
            return;
        }
        if let Some((call, by)) = self.passed_on(line, &caller) {
            self.goes_on_at(stamp, (call, by), line, out);
            return;
        }
        if self.is_named_soon(line) || self.perhaps_passed_on(line, &caller) {
            // Told now as well, it would be two calls.
            let due = stamp.uptime + self.patience.deference;
            let waits = self.deferred.entry(line.clone()).or_insert((due, stamp.heard_at, facts.clone()));
            waits.2 = facts;
            return;
        }
        if let Some(call) = self.arrive(stamp, facts, out) {
            self.offer(stamp, call, line, None, out);
        }
    }

    /// The better informed ways had their time: what rings here is a call that only the line tells of.
    pub(super) fn nobody_named_it(&mut self, stamp: Stamp, line: &Line, facts: CallFacts, out: &mut Decided) {
        let state = self.lines.by_dialog_events(line);
        let taken = !self.legs_at(line, |leg| leg != Leg::Leaving).is_empty();
        if taken || !matches!(state, LineState::Ringing | LineState::Busy) {
            return;
        }
        if let Some(passed_on) = self.passed_on(line, &facts.caller) {
            self.goes_on_at(stamp, passed_on, line, out);
            return;
        }
        let call = self.joinable(stamp.heard_at, line, &facts.caller);
        let Some(call) = call.or_else(|| self.arrive(stamp, facts, out)) else { return };
        self.offer(stamp, call, line, None, out);
        if state == LineState::Busy {
            self.answer(stamp, call, line, out);
        }
    }

    pub(super) fn is_busy(&mut self, stamp: Stamp, line: &Line, out: &mut Decided) {
        // Only what rings can be answered: after a caller gave up, the agent may just dial out.
        let ringing = self.legs_at(line, |leg| leg == Leg::Ringing);
        let Some(call) = ringing.into_iter().find(|call| self.governor(*call).is_none()) else { return };
        if !self.legs_at(line, Leg::talks).is_empty() {
            // A second call stopped ringing here; whether it was taken instead cannot be heard.
            self.quiet(stamp, call, line, out);
            return;
        }
        if self.talker(call).is_some_and(|by| self.leg(call, &by).is_some_and(Leg::talks)) {
            // Two callers with the same number: this line has answered the other one.
            let Some(facts) = self.live.get(&call).map(|live| live.facts()) else { return };
            self.leave(stamp, call, line, Withdrawal::StoppedRinging, out);
            if let Some(other) = self.arrive(stamp, facts, out) {
                self.offer(stamp, other, line, None, out);
                self.answer(stamp, other, line, out);
            }
            return;
        }
        self.answer(stamp, call, line, out);
    }

    pub(super) fn fell_silent(&mut self, stamp: Stamp, line: &Line, out: &mut Decided) {
        for call in self.legs_at(line, |leg| leg == Leg::Ringing || leg.talks()) {
            if self.governor(call).is_some() {
                let due = stamp.uptime + self.patience.contradiction;
                self.timers.insert_first((call, line.clone()), (due, stamp.heard_at));
            } else if self.leg(call, line) == Some(Leg::Ringing) {
                self.quiet(stamp, call, line, out);
            } else {
                self.leaving(stamp, call, line, out);
            }
        }
    }

    /// A line of a call stopped ringing: told at once when a colleague has answered, else after the grace.
    pub(super) fn quiet(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        if let Some(by) = self.talker(call) {
            self.leave(stamp, call, line, Withdrawal::AnsweredElsewhere { by }, out);
            return;
        }
        self.set_leg(call, line, Leg::Quiet, out);
        let ringing = !self.lines_with(call, |leg| leg == Leg::Ringing).is_empty();
        let grace = if ringing { self.patience.grace_while_ringing } else { self.patience.grace };
        let due = (stamp.uptime + grace, stamp.heard_at);
        self.timers.insert((call, line.clone()), due);
        if !ringing {
            // The last one: everyone who waits for this call need not wait longer than it.
            for other in self.lines_with(call, |leg| leg == Leg::Quiet) {
                self.timers.insert((call, other), due);
            }
        }
    }

    /// A line hung up: the call ends with it unless it goes on elsewhere within the grace.
    pub(super) fn leaving(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        self.set_leg(call, line, Leg::Leaving, out);
        let due = (stamp.uptime + self.patience.passing_on, stamp.heard_at);
        self.timers.insert((call, line.clone()), due);
        // It may ring there already, and have been told of first.
        let waits = self.deferred.iter().find_map(|(other, (_, heard_at, facts))| {
            let there = self.lines.by_dialog_events(other);
            let still = matches!(there, LineState::Ringing | LineState::Busy);
            let passed_on = self.passed_on(other, &facts.caller).filter(|_| still);
            let passed_on = passed_on.filter(|(passed, by)| (*passed, by) == (call, line));
            Some((passed_on?, other.clone(), *heard_at))
        });
        if let Some((passed_on, other, heard_at)) = waits {
            self.goes_on_at(
                Stamp { heard_at: heard_at.max(stamp.heard_at), ..stamp },
                passed_on,
                &other,
                out,
            );
        }
    }

    /// A caller whose line has just hung up rings here.
    fn goes_on_at(&mut self, stamp: Stamp, (call, by): (CallId, Line), line: &Line, out: &mut Decided) {
        self.left(stamp, call, &by, Some(line.clone()), out);
        self.offer(stamp, call, line, Some(by), out);
        if self.lines.by_dialog_events(line) == LineState::Busy {
            self.answer(stamp, call, line, out);
        }
    }

    /// The time of a leg is up: what was waited for did not come.
    pub(super) fn leg_is_due(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        let governed = self.governor(call).is_some();
        let idle = self.lines.by_dialog_events(line) == LineState::Idle;
        match self.leg(call, line) {
            Some(Leg::Quiet) => self.stayed_silent(stamp, call, line, out),
            Some(Leg::Leaving) if governed => self.left(stamp, call, line, None, out),
            Some(Leg::Leaving) => self.stayed_away(stamp, call, line, out),
            // The line has said for long that nothing goes on there.
            Some(Leg::Ringing) if idle => {
                let why = match self.talker(call) {
                    Some(by) => Withdrawal::AnsweredElsewhere { by },
                    None => Withdrawal::StoppedRinging,
                };
                self.leave(stamp, call, line, why, out);
                self.end_if_nobody_is_left(stamp, call, out);
            }
            Some(Leg::Talking | Leg::Holding) if idle => {
                self.left(stamp, call, line, None, out);
                self.end_if_nobody_is_left(stamp, call, out);
            }
            Some(Leg::Ringing | Leg::Talking | Leg::Holding | Leg::Gone) | None => {}
        }
    }

    fn stayed_silent(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        let Some(live) = self.live.get(&call) else { return };
        if live.has(|leg| leg == Leg::Ringing || leg.talks()) || self.governor(call).is_some() {
            self.leave(stamp, call, line, Withdrawal::StoppedRinging, out);
            return;
        }
        let (answered, talker) = (live.answered, live.talker());
        for quiet in self.lines_with(call, |leg| leg == Leg::Quiet) {
            let why = match &talker {
                Some(by) => Withdrawal::AnsweredElsewhere { by: by.clone() },
                None => Withdrawal::CallerGaveUp,
            };
            self.leave(stamp, call, &quiet, why, out);
        }
        if talker.is_none() {
            let how = if answered { EndedHow::Completed } else { EndedHow::Abandoned };
            self.end(stamp, call, how, out);
        }
    }

    /// The line that talked is silent, and nobody took the call over.
    fn stayed_away(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        let Some(live) = self.live.get(&call) else { return };
        if live.has(Leg::talks) {
            self.left(stamp, call, line, None, out);
            return;
        }
        let facts = live.facts();
        let rest = live.lines(Leg::seeks);
        self.set_leg(call, line, Leg::Gone, out);
        for other in &rest {
            self.leave(stamp, call, other, Withdrawal::AnsweredElsewhere { by: line.clone() }, out);
        }
        self.end(stamp, call, EndedHow::Completed, out);
        // A line that still rings now rings with another caller of the same number.
        let ringing = |other: &&Line| self.lines.by_dialog_events(other) == LineState::Ringing;
        let still: Vec<Line> = rest.iter().filter(ringing).cloned().collect();
        if !still.is_empty()
            && let Some(other) = self.arrive(stamp, facts, out)
        {
            for line in still {
                self.offer(stamp, other, &line, None, out);
            }
        }
    }

    /// A line has not been heard of for long.
    pub(super) fn give_up_line(&mut self, stamp: Stamp, line: &Line, out: &mut Decided) {
        self.lines.given_up(line);
        for call in self.legs_at(line, |leg| leg != Leg::Gone) {
            if self.governor(call).is_none() {
                self.give_up_leg(stamp, call, line, out);
                if self.lines_with(call, |leg| leg != Leg::Gone).is_empty() {
                    self.end(stamp, call, EndedHow::Lost, out);
                }
            }
        }
    }

    /// Ends a call at a phone without knowing what became of it.
    pub(super) fn give_up_leg(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) {
        if self.leg(call, line).is_some_and(Leg::seeks) {
            self.leave(stamp, call, line, Withdrawal::StoppedRinging, out);
        } else {
            self.set_leg(call, line, Leg::Gone, out);
        }
    }

    pub(super) fn end_if_nobody_is_left(&mut self, stamp: Stamp, call: CallId, out: &mut Decided) {
        let Some(live) = self.live.get(&call) else { return };
        if live.has(|leg| leg != Leg::Gone) || live.waits.is_some() {
            return;
        }
        let how = if live.answered { EndedHow::Completed } else { EndedHow::Lost };
        self.end(stamp, call, how, out);
    }

    /// A call of the same caller that still seeks someone and does not ring here already.
    fn joinable(&self, at: Timestamp, line: &Line, caller: &Caller) -> Option<CallId> {
        let nameless = caller.number.is_none();
        let is_it = |call: &CallId| {
            let Some(live) = self.live.get(call) else { return false };
            let seeking = live.has(Leg::seeks) || (!live.answered && !live.names.is_empty());
            let talking = live.has(|leg| leg.talks() || leg == Leg::Leaving);
            let here = match live.legs.get(line) {
                // The way that governs the call has just said so, and this line is a little behind.
                Some(Leg::Gone) => self.governor(*call).is_some(),
                leg => leg.is_some(),
            };
            let together = !nameless || apart(at, live.arrived_at) <= NAMELESS_JOIN;
            seeking && !talking && !here && together && live.is_from(caller)
        };
        self.callers.of(&caller.number).find(is_it)
    }

    /// A call of the same caller whose line has just hung up: it was passed on to here (blind transfer).
    fn passed_on(&self, line: &Line, caller: &Caller) -> Option<(CallId, Line)> {
        caller.number.as_ref()?;
        let found = self.callers.of(&caller.number).find_map(|call| {
            let live = self.live.get(&call)?;
            let (by, _) = live.legs.iter().find(|(by, leg)| **leg == Leg::Leaving && *by != line)?;
            let alone = !live.has(|leg| leg.talks() || leg.seeks());
            (alone && live.is_from(caller)).then(|| (call, by.clone()))
        });
        found.filter(|(call, _)| self.governor(*call).is_none())
    }

    /// The same caller talks elsewhere and nowhere else: this is another call of theirs, or the one they were passed on
    /// with, whose first phone is about to be told of as silent. No phone system says the two in a certain order.
    fn perhaps_passed_on(&self, line: &Line, caller: &Caller) -> bool {
        if caller.number.is_none() {
            return false;
        }
        self.callers.of(&caller.number).any(|call| {
            self.live.get(&call).is_some_and(|live| {
                let elsewhere = live.legs.iter().any(|(other, leg)| other != line && leg.talks());
                elsewhere && !live.has(Leg::seeks) && live.is_from(caller)
            }) && self.governor(call).is_none()
        })
    }
}
