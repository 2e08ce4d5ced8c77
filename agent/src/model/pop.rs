//! Which call's card is on the screen now, and what that call does at this person's phones.
//! Derived from the model each time; nothing is decided anywhere else.

use crate::drafts::Stage;
use jiff::Timestamp;
use pinkas_protocol::{CallId, CallView, Line, Number, OfferState, OutcomeCode, Withdrawal, Written};

use super::{Model, Pops};
use crate::words;

/// What a call does at this person's own phones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Here<'a> {
    /// It never rang here.
    Nothing,
    /// It rings.
    Ringing {
        /// At this phone.
        line: &'a Line,
        /// Since when, by the hub's clock.
        since: Timestamp,
    },
    /// It was answered here.
    Answered {
        /// At this phone.
        line: &'a Line,
        /// When, by the hub's clock.
        at: Timestamp,
        /// Since when the caller is on hold here.
        held: Option<Timestamp>,
    },
    /// It was answered here and goes on without this phone.
    Left {
        /// From this phone.
        line: &'a Line,
        /// Since when, by the hub's clock.
        left_at: Timestamp,
        /// Whom it was passed on to.
        moved_to: Option<&'a Line>,
    },
    /// It no longer rings here.
    Withdrawn {
        /// Since when, by the hub's clock.
        at: Timestamp,
        /// Why.
        why: &'a Withdrawal,
    },
}

/// The card on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pop<'a> {
    /// The call.
    pub view: &'a CallView,
    /// It rings no more; the card goes by itself in a moment.
    pub fading: bool,
    /// Further calls that ring at this person's phones, oldest first.
    pub others: Vec<&'a CallView>,
}

impl Model {
    /// What a call does at this person's phones.
    pub fn here<'a>(&self, view: &'a CallView) -> Here<'a> {
        let mut best = Here::Nothing;
        for (line, offer) in view.offers.iter().filter(|(line, _)| self.lines().contains(line)) {
            let next = match &offer.state {
                OfferState::Ringing if view.ended.is_none() => Here::Ringing { line, since: offer.rang_at },
                OfferState::Ringing => Here::Nothing,
                OfferState::Answered { at, held } => Here::Answered { line, at: *at, held: *held },
                OfferState::Left { left_at, moved_to, .. } => {
                    Here::Left { line, left_at: *left_at, moved_to: moved_to.as_ref() }
                }
                OfferState::Withdrawn { at, why } => Here::Withdrawn { at: *at, why },
            };
            if weight(&next) > weight(&best) {
                best = next;
            }
        }
        best
    }

    /// The calls that ring at this person's phones and were not closed, oldest ringing first.
    pub fn ringing(&self) -> Vec<&CallView> {
        let mut ringing: Vec<_> = self
            .board
            .calls
            .values()
            .filter(|view| !self.dismissed.contains(&view.id))
            .filter_map(|view| match self.here(view) {
                Here::Ringing { since, .. } => Some((since, view.id, view)),
                _ => None,
            })
            .collect();
        ringing.sort_by_key(|(since, id, _)| (*since, *id));
        ringing.into_iter().map(|(_, _, view)| view).collect()
    }

    /// The card to show now: the one asked for, else the one in use, else what rings, else what just stopped ringing, else what is
    /// kept, else a talk that goes on here. A card never gives way to another call while it is in use.
    pub fn pop(&self, now: Timestamp) -> Option<Pop<'_>> {
        let ringing = self.ringing();
        let pops = |view: &CallView| self.habits.pops == Pops::AtRing || Some(view.id) == self.wanted;
        let first = || ringing.iter().copied().find(|view| pops(view));
        let wanted = ringing.iter().find(|view| Some(view.id) == self.wanted).copied();
        if let Some(view) = wanted.or(self.in_use(now)).or_else(first) {
            let others = ringing.into_iter().filter(|other| other.id != view.id).collect();
            return Some(Pop { view, fading: false, others });
        }
        let alone = |view, fading| Some(Pop { view, fading, others: Vec::new() });
        let fading = self.fading.iter().filter(|(_, until)| now < **until).max_by_key(|(_, until)| **until);
        if let Some(view) = fading.and_then(|(call, _)| self.board.calls.get(call)) {
            return alone(view, true);
        }
        let kept = self.kept.filter(|call| !self.is_wrapped_up(*call, now));
        let talking = || self.talking().filter(|_| self.habits.pops != Pops::Never);
        let view = kept.and_then(|call| self.board.calls.get(&call)).or_else(talking);
        view.and_then(|view| alone(view, false))
    }

    /// The call that is talked on here or has something left to do, with its card open.
    fn in_use(&self, now: Timestamp) -> Option<&CallView> {
        let view = self.board.calls.get(&self.kept?)?;
        let talks = view.ended.is_none() && matches!(self.here(view), Here::Answered { .. });
        let in_use = talks || self.wraps_up(view.id, now).is_some() || self.is_unfinished(view.id);
        in_use.then_some(view)
    }

    /// Until when what is left to do after a call may be done; `None` when that is over or never began.
    pub fn wraps_up(&self, call: CallId, now: Timestamp) -> Option<Timestamp> {
        self.wrap_up
            .filter(|wrap_up| wrap_up.call == call && now < wrap_up.until)
            .map(|wrap_up| wrap_up.until)
    }

    /// The outcome that was said last, here or by a colleague.
    pub fn outcome(&self, view: &CallView) -> Option<OutcomeCode> {
        let code = |what: &Written| match what {
            Written::Outcome { code } => Some(code.clone()),
            Written::Note { .. } | Written::FollowUp { .. } => None,
        };
        let here = self.drafts().of(view.id).filter(|entry| !matches!(entry.stage, Stage::Refused(_)));
        let here = here.filter(|entry| !entry.is_told(view)).filter_map(|entry| code(entry.written()?));
        here.last().or_else(|| view.entries.iter().rev().find_map(|entry| code(&entry.what)))
    }

    /// A talk of this person's is over, an outcome has to be said of it, and none was: its card stays.
    pub fn lacks_outcome(&self, view: &CallView) -> bool {
        let talked = matches!(self.here(view), Here::Answered { .. }) && view.ended.is_some();
        let required = || self.outcomes_of(view.facts.queue.as_ref()).any(|outcome| outcome.required);
        talked && required() && self.outcome(view).is_none()
    }

    /// Whether a card is not to be taken away by another call or by time.
    pub(super) fn is_unfinished(&self, call: CallId) -> bool {
        self.is_written_on(call) || self.board.calls.get(&call).is_some_and(|view| self.lacks_outcome(view))
    }

    /// A note is begun and not saved: the card it stands on goes only when the person closes it.
    pub(super) fn is_written_on(&self, call: CallId) -> bool {
        !self.drafts().text(call).trim().is_empty()
    }

    fn is_wrapped_up(&self, call: CallId, now: Timestamp) -> bool {
        !self.is_unfinished(call)
            && self.wrap_up.is_some_and(|wrap_up| wrap_up.call == call && now >= wrap_up.until)
    }

    /// When the card next changes by time alone, other than by an age that ticks.
    pub fn fades_at(&self, now: Timestamp) -> Option<Timestamp> {
        let wrap_up = self.wrap_up.map(|wrap_up| wrap_up.until);
        self.fading.values().copied().chain(wrap_up).filter(|until| now < *until).min()
    }

    fn talking(&self) -> Option<&CallView> {
        let live = self.board.calls.values().filter(|v| v.ended.is_none() && !self.dismissed.contains(&v.id));
        live.filter_map(|view| match self.here(view) {
            Here::Answered { at, .. } => Some((at, view)),
            _ => None,
        })
        .max_by_key(|(at, view)| (*at, view.id))
        .map(|(_, view)| view)
    }

    /// Why a call no longer rings here, as a sentence.
    pub fn withdrawn_words(&self, view: &CallView, why: &Withdrawal) -> String {
        let words = &self.words;
        match why {
            Withdrawal::AnsweredElsewhere { by } => {
                let line = words::plain(by.as_str());
                match self.agent_at(view, by) {
                    Some(name) => {
                        words.tell("answered-by-on", &[("name", (&name).into()), ("line", (&line).into())])
                    }
                    None => words.tell("answered-on", &[("line", (&line).into())]),
                }
            }
            Withdrawal::CallerGaveUp => words.say("caller-hung-up"),
            Withdrawal::Declined => words.say("declined-here"),
            Withdrawal::NoAnswer => words.say("not-answered-here"),
            Withdrawal::StoppedRinging => words.say("no-longer-ringing"),
        }
    }

    /// That a phone is no longer in a call it had answered, as a sentence.
    pub fn left_words(&self, view: &CallView, moved_to: Option<&Line>) -> String {
        match moved_to {
            Some(to) => self.words.tell("passed-on-to", &[("name", (&self.person_at(view, to)).into())]),
            None => self.words.say("left"),
        }
    }

    /// Who sits at a phone of a call, else the phone.
    pub fn person_at(&self, view: &CallView, line: &Line) -> String {
        self.agent_at(view, line).unwrap_or_else(|| words::plain(line.as_str()))
    }

    /// Who sits at a phone of a call, as far as this person may know.
    pub fn agent_at(&self, view: &CallView, line: &Line) -> Option<String> {
        let offered = view.offers.get(line).and_then(|offer| offer.agent.as_deref());
        let known = || self.board.lines.get(line)?.agent.as_deref();
        offered.or_else(known).map(words::plain)
    }

    /// The number that was dialled, where calls come in on several.
    pub fn dialled<'a>(&self, view: &'a CallView) -> Option<&'a Number> {
        let dialled = view.facts.dialled.as_ref()?;
        let mut others = self.board.calls.values().filter_map(|other| other.facts.dialled.as_ref());
        others.any(|other| other != dialled).then_some(dialled)
    }
}

/// Of several phones of one person, what counts: an answer, then a ring, then the one left last, then the
/// latest end of a ringing.
fn weight(here: &Here<'_>) -> (u8, Timestamp) {
    match here {
        Here::Nothing => (0, Timestamp::MIN),
        Here::Withdrawn { at, .. } => (1, *at),
        Here::Left { left_at, .. } => (2, *left_at),
        Here::Ringing { since, .. } => (3, *since),
        Here::Answered { at, .. } => (4, *at),
    }
}
