//! Words of ways that tell calls apart by name: Linkedid of AMI, Call-ID of a SIP trace. Each says what is
//! so; what is so already changes nothing. The phones of a call follow the best informed way that knows
//! it (`governor`); facts are taken from every way.

use std::time::Duration;

use pinkas_protocol::{
    CallChange, CallFacts, CallId, Caller, EndedHow, Line, LineEvent, LineState, Withdrawal,
};

use super::live::{Leg, Name};
use super::{Calls, Decided, Stamp, WAYS_JOIN, apart};
use crate::hear::{CallHeard, CallKey, Hold, OverBy, Stopped, Way};

impl Calls {
    pub(super) fn named(&mut self, stamp: Stamp, name: Name, is: CallHeard, out: &mut Decided) {
        if self.over.get(&name).is_some_and(|until| stamp.uptime < *until) {
            return;
        }
        let Some(call) = self.call_of(stamp, &name, &is, out) else { return };
        if let CallHeard::Facts(facts) = is {
            self.learn(stamp, call, facts, out);
            return;
        }
        let call = match &is {
            CallHeard::Rings { line, .. } | CallHeard::Answered { line } => {
                self.told_of.insert((stamp.way, line.clone()));
                self.unite_at(stamp, call, line, out)
            }
            _ => call,
        };
        if !stamp.way.knows_phones() {
            return self.phoneless(stamp, call, &name, &is, out);
        }
        if self.governor(call) != Some(stamp.way) {
            return;
        }
        match is {
            CallHeard::Facts(_) => {}
            CallHeard::Waits { queue, position } => {
                let Some(live) = self.live.get_mut(&call).filter(|live| !live.answered) else { return };
                let waits = Some((queue.clone(), position));
                if live.waits != waits {
                    live.waits = waits;
                    out.touched.insert(call);
                    out.event(call, stamp, CallChange::Waits { queue, position });
                }
            }
            CallHeard::Rings { line, passed_on_by } => match self.leg(call, &line) {
                None | Some(Leg::Gone) => self.offer(stamp, call, &line, passed_on_by, out),
                Some(Leg::Quiet) => {
                    self.timers.remove(&(call, line.clone()));
                    self.set_leg(call, &line, Leg::Ringing, out);
                }
                // Told already, or a word from before the answer.
                Some(Leg::Ringing | Leg::Talking | Leg::Holding | Leg::Leaving) => {}
            },
            CallHeard::Stopped { line, why } => {
                if self.leg(call, &line).is_some_and(Leg::seeks) {
                    self.stopped(stamp, call, &line, why, out);
                }
            }
            CallHeard::Answered { line } => match self.leg(call, &line) {
                Some(Leg::Ringing | Leg::Quiet) => self.answer(stamp, call, &line, out),
                // It answered without ringing, or took the call from a colleague's phone (pickup).
                None | Some(Leg::Gone) => {
                    self.offer(stamp, call, &line, None, out);
                    self.answer(stamp, call, &line, out);
                }
                Some(Leg::Leaving) => {
                    self.timers.remove(&(call, line.clone()));
                    self.set_leg(call, &line, Leg::Talking, out);
                }
                Some(Leg::Talking | Leg::Holding) => {}
            },
            CallHeard::Hold { line, hold } => match (self.leg(call, &line), hold) {
                (Some(Leg::Talking), Hold::On) => {
                    self.set_leg(call, &line, Leg::Holding, out);
                    out.event(call, stamp, CallChange::Held { line });
                }
                (Some(Leg::Holding), Hold::Off) => {
                    self.set_leg(call, &line, Leg::Talking, out);
                    out.event(call, stamp, CallChange::Resumed { line });
                }
                // It is so already, or the phone is not in the call.
                (Some(_) | None, Hold::On | Hold::Off) => {}
            },
            CallHeard::Left { line, moved_to } => {
                let there = self.leg(call, &line);
                match (there, moved_to) {
                    (Some(Leg::Talking | Leg::Holding | Leg::Leaving), Some(to)) => {
                        self.left(stamp, call, &line, Some(to), out);
                    }
                    // Mostly the whole call is over in the next word, and then nobody need be told of this.
                    (Some(Leg::Talking | Leg::Holding), None) => self.leaving(stamp, call, &line, out),
                    (Some(Leg::Ringing | Leg::Quiet | Leg::Leaving | Leg::Gone) | None, _) => {}
                }
            }
            CallHeard::Joined { into } => self.joined(stamp, call, (stamp.way, into), out),
            CallHeard::Over { by } => self.over(stamp, call, by, out),
        }
    }

    /// A way that knows calls but no phones: where lines tell what goes on, they say how it ends.
    fn phoneless(&mut self, stamp: Stamp, call: CallId, name: &Name, is: &CallHeard, out: &mut Decided) {
        let CallHeard::Over { by } = is else { return };
        self.forget_name(call, name, stamp, out);
        let told = self
            .live
            .get(&call)
            .is_some_and(|live| live.has(|leg| leg != Leg::Gone) || !live.names.is_empty());
        if !told {
            self.over(stamp, call, *by, out);
        }
    }

    /// The call a word is about: one that has the name, one that another way told of, or a new one.
    fn call_of(&mut self, stamp: Stamp, name: &Name, is: &CallHeard, out: &mut Decided) -> Option<CallId> {
        if let Some(call) = self.by_name.get(name) {
            return Some(*call);
        }
        let facts = match is {
            CallHeard::Facts(facts) => facts.clone(),
            CallHeard::Waits { .. } | CallHeard::Rings { .. } | CallHeard::Answered { .. } => {
                CallFacts::default()
            }
            // The end of a call that was never heard of.
            CallHeard::Stopped { .. }
            | CallHeard::Hold { .. }
            | CallHeard::Left { .. }
            | CallHeard::Joined { .. }
            | CallHeard::Over { .. } => return None,
        };
        let call = match self.told_by_another(stamp, is) {
            Some(call) => call,
            None => self.arrive(stamp, facts, out)?,
        };
        self.by_name.insert(name.clone(), call);
        if let Some(live) = self.live.get_mut(&call) {
            live.names.insert(name.clone());
            out.touched.insert(call);
        }
        Some(call)
    }

    /// A call that this way has not named yet and that must be the same: the same caller, or ringing at
    /// the same phone, at the same time.
    fn told_by_another(&self, stamp: Stamp, is: &CallHeard) -> Option<CallId> {
        let unnamed = |call: CallId| {
            let live = self.live.get(&call).filter(|live| !live.named_by(stamp.way))?;
            Some((apart(stamp.heard_at, live.arrived_at), call, live))
        };
        let lately = |(age, ..): &(Duration, CallId, &super::LiveCall)| *age <= WAYS_JOIN;
        let found = match is {
            CallHeard::Facts(facts) if facts.caller != Caller::default() => {
                let alike = self.callers.of(&facts.caller.number).filter_map(unnamed).filter(lately);
                alike.filter(|(.., live)| live.is_from(&facts.caller)).map(|(age, call, _)| (age, call)).min()
            }
            CallHeard::Rings { line, .. } | CallHeard::Answered { line } => {
                let here = self.at_line.get(line).into_iter().flat_map(|calls| calls.keys().copied());
                here.filter_map(unnamed).filter(lately).map(|(age, call, _)| (age, call)).min()
            }
            _ => None,
        };
        found.map(|(_, call)| call)
    }

    /// Two ways have each begun a call that rings at this line: it is one, told of with different callers.
    /// Gives the one that goes on.
    fn unite_at(&mut self, stamp: Stamp, call: CallId, line: &Line, out: &mut Decided) -> CallId {
        let Some(live) = self.live.get(&call) else { return call };
        let other = self.legs_at(line, Leg::seeks).into_iter().find(|other| {
            let apart_in_name = |other: &super::LiveCall| {
                apart(other.arrived_at, live.arrived_at) <= WAYS_JOIN
                    && !other.names.iter().any(|(way, _)| live.named_by(*way))
            };
            *other != call && self.live.get(other).is_some_and(apart_in_name)
        });
        let Some(other) = other else { return call };
        let (first, second) = (call.min(other), call.max(other));
        self.merge(stamp, second, first, out);
        first
    }

    fn stopped(&mut self, stamp: Stamp, call: CallId, line: &Line, why: Stopped, out: &mut Decided) {
        let why = match why {
            Stopped::Declined => {
                if let Some(live) = self.live.get_mut(&call) {
                    live.declined = true;
                }
                Withdrawal::Declined
            }
            Stopped::NoAnswer => Withdrawal::NoAnswer,
            Stopped::GaveUp => Withdrawal::CallerGaveUp,
            // By whom is told by a word that may come at any moment.
            Stopped::Elsewhere => return self.quiet(stamp, call, line, out),
            Stopped::Unknown => Withdrawal::StoppedRinging,
        };
        self.leave(stamp, call, line, why, out);
    }

    fn over(&mut self, stamp: Stamp, call: CallId, by: OverBy, out: &mut Decided) {
        let Some(live) = self.live.get(&call) else { return };
        let talker = live.talker();
        let how = match by {
            _ if live.answered => EndedHow::Completed,
            OverBy::Colleague => EndedHow::Completed,
            OverBy::Caller => EndedHow::Abandoned,
            OverBy::PhoneSystem if live.declined => EndedHow::Declined,
            OverBy::PhoneSystem => EndedHow::Unanswered,
            OverBy::Unknown => EndedHow::Lost,
        };
        for line in self.lines_with(call, Leg::seeks) {
            let why = match (&talker, how) {
                (Some(by), _) => Withdrawal::AnsweredElsewhere { by: by.clone() },
                (None, EndedHow::Unanswered | EndedHow::Declined) => Withdrawal::NoAnswer,
                (None, EndedHow::Abandoned) => Withdrawal::CallerGaveUp,
                (None, _) => Withdrawal::StoppedRinging,
            };
            self.leave(stamp, call, &line, why, out);
        }
        self.end(stamp, call, how, out);
    }

    /// A consultation call becomes one with the caller's (attended transfer): its phones are in that now.
    fn joined(&mut self, stamp: Stamp, call: CallId, into: Name, out: &mut Decided) {
        match self.by_name.get(&into).copied() {
            Some(other) if other == call => {}
            Some(other) => self.merge(stamp, call, other, out),
            // That call was not heard of: this one goes on under its name as well.
            None => {
                self.by_name.insert(into.clone(), call);
                if let Some(live) = self.live.get_mut(&call) {
                    live.names.insert(into);
                    out.touched.insert(call);
                }
            }
        }
    }

    /// Ends `call` and lets its phones and names go on in `into`.
    fn merge(&mut self, stamp: Stamp, call: CallId, into: CallId, out: &mut Decided) {
        let Some(live) = self.live.get(&call).cloned() else { return };
        // The colleague who consulted is the caller of the consultation.
        let number = live.facts().caller.number;
        let by = number.and_then(|number| Line::parse(number.key()?).ok());
        for (line, leg) in &live.legs {
            match self.leg(into, line) {
                _ if !leg.seeks() && !leg.talks() => {}
                None | Some(Leg::Gone) => {
                    self.offer(stamp, into, line, by.clone(), out);
                    if leg.talks() {
                        self.answer(stamp, into, line, out);
                    }
                }
                Some(Leg::Ringing | Leg::Quiet) if leg.talks() => self.answer(stamp, into, line, out),
                Some(Leg::Leaving) if leg.talks() => {
                    self.timers.remove(&(into, line.clone()));
                    self.set_leg(into, line, Leg::Talking, out);
                }
                Some(Leg::Ringing | Leg::Quiet | Leg::Talking | Leg::Holding | Leg::Leaving) => {}
            }
        }
        for line in live.lines(Leg::seeks) {
            self.leave(stamp, call, &line, Withdrawal::StoppedRinging, out);
        }
        for name in live.names {
            self.by_name.insert(name.clone(), into);
            if let Some(dead) = self.live.get_mut(&call) {
                dead.names.remove(&name);
            }
            if let Some(kept) = self.live.get_mut(&into) {
                kept.names.insert(name);
                out.touched.insert(into);
            }
        }
        self.end(stamp, call, EndedHow::Joined { into }, out);
    }

    /// A way that speaks can hear.
    pub(super) fn hears_again(&mut self, way: Way) {
        self.up.insert(way);
        self.down.remove(&way);
    }

    pub(super) fn way_up(&mut self, stamp: Stamp, live: Option<Vec<CallKey>>, out: &mut Decided) {
        self.hears_again(stamp.way);
        let Some(keys) = live else { return };
        let stale: Vec<Name> = {
            let known = self.by_name.keys().filter(|(way, _)| *way == stamp.way);
            let listed: std::collections::BTreeSet<&CallKey> = keys.iter().collect();
            known.filter(|(_, key)| !listed.contains(key)).cloned().collect()
        };
        for name in stale {
            let Some(call) = self.by_name.get(&name).copied() else { continue };
            self.forget_name(call, &name, stamp, out);
            if !self.live.get(&call).is_some_and(|live| live.named_by(stamp.way))
                && self.governor(call).is_none()
            {
                self.over(stamp, call, OverBy::Unknown, out);
            }
        }
    }

    /// What only this way knew is given up after a while, unless it comes back; lines tell of the rest.
    pub(super) fn way_down(&mut self, stamp: Stamp, out: &mut Decided) {
        if !self.up.remove(&stamp.way) {
            return;
        }
        self.told_of.retain(|(way, _)| *way != stamp.way);
        if self.live.values().any(|live| live.named_by(stamp.way)) {
            self.down.insert(stamp.way, stamp.uptime);
        }
        for (line, state) in self.lines.lose(stamp.way) {
            let event = LineEvent { line, heard_at: stamp.heard_at, state };
            out.events.push(pinkas_protocol::Event::Line(event));
        }
        let alone: Vec<CallId> = self.live.keys().copied().filter(|c| self.governor(*c).is_none()).collect();
        for call in alone {
            for line in self.lines_with(call, |leg| leg == Leg::Ringing || leg.talks()) {
                match (self.lines.by_dialog_events(&line), self.leg(call, &line)) {
                    (LineState::Idle, Some(Leg::Ringing)) => self.quiet(stamp, call, &line, out),
                    (LineState::Idle, _) => self.leaving(stamp, call, &line, out),
                    (LineState::Busy, Some(Leg::Ringing)) => self.answer(stamp, call, &line, out),
                    (LineState::Busy | LineState::Ringing | LineState::Unknown, _) => {}
                }
            }
        }
    }

    /// A way has not been heard of for long: what nobody else tells of is over.
    pub(super) fn give_up_way(&mut self, stamp: Stamp, out: &mut Decided) {
        self.down.remove(&stamp.way);
        let names: Vec<Name> = self.by_name.keys().filter(|(way, _)| *way == stamp.way).cloned().collect();
        for name in names {
            let Some(call) = self.by_name.get(&name).copied() else { continue };
            self.forget_name(call, &name, stamp, out);
            if self.live.get(&call).is_some_and(|live| !live.names.is_empty()) {
                continue;
            }
            for line in self.lines_with(call, |leg| leg != Leg::Gone) {
                if self.lines.by_dialog_events(&line) == LineState::Unknown {
                    self.give_up_leg(stamp, call, &line, out);
                }
            }
            if let Some(live) = self.live.get_mut(&call) {
                live.waits = None;
            }
            if self.lines_with(call, |leg| leg != Leg::Gone).is_empty() {
                self.end(stamp, call, EndedHow::Lost, out);
            }
        }
    }

    fn forget_name(&mut self, call: CallId, name: &Name, stamp: Stamp, out: &mut Decided) {
        self.by_name.remove(name);
        self.is_over(name.clone(), stamp.uptime);
        if let Some(live) = self.live.get_mut(&call) {
            live.names.remove(name);
            out.touched.insert(call);
        }
    }
}
