//! Which call's card is on the screen now, and what that call does at this person's phones.
//! Derived from the model each time; nothing is decided anywhere else.

use jiff::Timestamp;
use pinkas_protocol::{CallId, CallView, Line, OfferState, Withdrawal};

use super::Model;
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
    /// Further calls that ring at this person's phones, newest first.
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
                OfferState::Answered { at } => Here::Answered { line, at: *at },
                OfferState::Withdrawn { at, why } => Here::Withdrawn { at: *at, why },
            };
            if weight(&next) > weight(&best) {
                best = next;
            }
        }
        best
    }

    /// The calls that ring at this person's phones and were not closed, newest ringing first.
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
        ringing.sort_by_key(|(since, id, _)| std::cmp::Reverse((*since, *id)));
        ringing.into_iter().map(|(_, _, view)| view).collect()
    }

    /// The card to show now: what rings, else what just stopped ringing, else what is kept, else a
    /// talk that goes on here.
    pub fn pop(&self, now: Timestamp) -> Option<Pop<'_>> {
        let mut ringing = self.ringing().into_iter();
        if let Some(view) = ringing.next() {
            return Some(Pop { view, fading: false, others: ringing.collect() });
        }
        let alone = |view, fading| Some(Pop { view, fading, others: Vec::new() });
        let fading = self.fading.iter().filter(|(_, until)| now < **until).max_by_key(|(_, until)| **until);
        if let Some(view) = fading.and_then(|(call, _)| self.board.calls.get(call)) {
            return alone(view, true);
        }
        let view = self.kept.and_then(|call| self.board.calls.get(&call)).or_else(|| self.talking());
        view.and_then(|view| alone(view, false))
    }

    /// When the card next changes by time alone, other than by an age that ticks.
    pub fn fades_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.fading.values().filter(|until| now < **until).min().copied()
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
    pub fn withdrawn_words(&self, call: CallId, why: &Withdrawal) -> String {
        match why {
            Withdrawal::AnsweredElsewhere { by } => {
                let offer = self.board.calls.get(&call).and_then(|view| view.offers.get(by));
                let named = offer.and_then(|offer| offer.agent.as_deref());
                let named = named.or_else(|| self.board.lines.get(by)?.agent.as_deref());
                match named {
                    Some(name) => {
                        format!("Answered by {} on {}", words::plain(name), words::plain(by.as_str()))
                    }
                    None => format!("Answered on {}", words::plain(by.as_str())),
                }
            }
            Withdrawal::CallerGaveUp => "The caller hung up".to_owned(),
            Withdrawal::StoppedRinging => "No longer ringing here".to_owned(),
        }
    }
}

/// Of several phones of one person, what counts: an answer, then a ring, then the latest end of one.
fn weight(here: &Here<'_>) -> (u8, Timestamp) {
    match here {
        Here::Nothing => (0, Timestamp::MIN),
        Here::Withdrawn { at, .. } => (1, *at),
        Here::Ringing { since, .. } => (2, *since),
        Here::Answered { at, .. } => (3, *at),
    }
}
