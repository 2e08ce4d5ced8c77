//! What adapters say of calls, folded into the board and told to those it concerns.

use jiff::Timestamp;
use pinkas_protocol::board::{Ended, Waiting};
use pinkas_protocol::{
    AdapterId, CallChange, CallEvent, CallFacts, CallId, CallView, EndedHow, Event, Line, Offer, OfferState,
    QueueName, Update,
};

use super::trace::What;
use super::{Hub, Keep, MOST_ENDED, Noted, Outputs, ViewerId};
use crate::identify::Brought;

impl Hub {
    pub(super) fn noted(&mut self, adapter: &AdapterId, event: &Event, out: &mut Outputs) -> Noted {
        match event {
            Event::Line(event) => self.line_changed(adapter, event, out),
            Event::Pause(event) => self.pause_changed(adapter, event, out),
            Event::Call(event) => {
                let before = self.board.calls.get(&event.call);
                // The end is the last word on a call.
                if before.is_some_and(|view| view.ended.is_some() || view.trial) {
                    return Noted::Known;
                }
                self.call_changed(adapter, event, out)
            }
        }
    }

    /// Calls of this adapter that it no longer follows are over; how they ended is not known.
    pub(super) fn only_live(
        &mut self,
        now: Timestamp,
        adapter: &AdapterId,
        live: &[CallId],
        out: &mut Outputs,
    ) {
        let stale = self.board.calls.values().filter(|view| view.ended.is_none() && !live.contains(&view.id));
        let stale: Vec<CallId> =
            stale.map(|view| view.id).filter(|call| self.owner.get(call) == Some(adapter)).collect();
        for call in stale {
            let change = CallChange::Ended { how: EndedHow::Lost };
            let event = CallEvent { call, heard_at: now, change };
            self.call_changed(adapter, &event, out);
            self.step(now, call, What::Lost { adapter: adapter.clone() }, out);
            out.keep.push(Keep::Concluded { adapter: adapter.clone(), event: Event::Call(event) });
        }
    }

    pub(super) fn call_changed(
        &mut self,
        adapter: &AdapterId,
        event: &CallEvent,
        out: &mut Outputs,
    ) -> Noted {
        let call = event.call;
        let folded = self.folded;
        // An adapter's clock may be set back in the middle of a call: what comes later is never earlier.
        let latest = self.board.calls.get(&call).map_or(event.heard_at, latest);
        let at = event.heard_at.max(latest);
        let event = &CallEvent { heard_at: at, ..event.clone() };
        match &event.change {
            CallChange::Arrived(facts) => {
                // Said again by an adapter that crashed, it may be behind what is known by now.
                if self.board.calls.get(&call).is_none_or(|view| view.facts == CallFacts::default()) {
                    self.known(adapter, call, at, facts, out);
                }
            }
            CallChange::Known(facts) => self.known(adapter, call, at, facts, out),
            CallChange::Waits { queue, position } => self.waits(adapter, call, at, (queue, *position), out),
            CallChange::Offered { line, passed_on_by } => {
                self.begun(adapter, call, at, out);
                self.offered(call, line, at, passed_on_by.as_ref(), out);
            }
            CallChange::Answered { line } => {
                self.begun(adapter, call, at, out);
                self.answered(call, line, at, out);
            }
            CallChange::Withdrawn { line, .. }
            | CallChange::Held { line }
            | CallChange::Resumed { line }
            | CallChange::Left { line, .. } => {
                let offer = self.board.calls.get(&call).and_then(|view| view.offers.get(line));
                let next =
                    offer.and_then(|offer| Some(Offer { state: next(offer, event)?, ..offer.clone() }));
                if let Some(next) = next {
                    self.offer_is(call, line, next, out);
                }
            }
            CallChange::Ended { how } => self.ended(call, Ended { at, how: *how }, out),
        }
        if self.folded == folded {
            return Noted::Known;
        }
        self.keep_call(call, out);
        Noted::New
    }

    /// The disk that knew a call may be gone; that a phone rings or was answered is still worth saying.
    fn begun(&mut self, adapter: &AdapterId, call: CallId, at: Timestamp, out: &mut Outputs) {
        if !self.board.calls.contains_key(&call) {
            self.known(adapter, call, at, &CallFacts::default(), out);
        }
    }

    fn known(
        &mut self,
        adapter: &AdapterId,
        call: CallId,
        at: Timestamp,
        facts: &CallFacts,
        out: &mut Outputs,
    ) {
        let facts = facts.clone();
        let Some(view) = self.board.calls.get(&call) else {
            self.owner.insert(call, adapter.clone());
            let view = CallView {
                id: call,
                who: self.before_asking(&Brought::by(&facts)),
                facts,
                arrived_at: at,
                waits: None,
                offers: Default::default(),
                cards: self.call_cards().collect(),
                identified: None,
                ended: None,
                entries: Vec::new(),
                trial: self.trials.contains(&call),
            };
            let update = Update::Call { view: Box::new(view) };
            self.fold(update.clone());
            // No phone rings yet: only supervisors know of it.
            out.update(self.viewers_of(call), update);
            // Asked before any phone rings, so that the cards are there when one does.
            return self.ask_again(call, out);
        };
        if view.facts == facts {
            return;
        }
        let before = Brought::by(&view.facts);
        let waits = view.waits.clone();
        self.facts_are(call, facts, waits, out);
        self.ask_anew(call, &before, out);
    }

    fn waits(
        &mut self,
        adapter: &AdapterId,
        call: CallId,
        at: Timestamp,
        (queue, position): (&QueueName, u32),
        out: &mut Outputs,
    ) {
        self.begun(adapter, call, at, out);
        let Some(view) = self.board.calls.get(&call) else { return };
        // Who talks with someone waits no more, whatever order the words came in.
        if view.offers.values().any(|offer| matches!(offer.state, OfferState::Answered { .. })) {
            return;
        }
        let here = view.waits.as_ref().filter(|waits| waits.queue == *queue);
        let since = here.map_or(at, |waits| waits.since);
        let waits = Waiting { queue: queue.clone(), position, since };
        if view.waits.as_ref() != Some(&waits) {
            let facts = view.facts.clone();
            self.facts_are(call, facts, Some(waits), out);
        }
    }

    fn facts_are(&mut self, call: CallId, facts: CallFacts, waits: Option<Waiting>, out: &mut Outputs) {
        let update = Update::Facts { call, facts, waits };
        let kept_back = self.keeps_back(call);
        self.fold(update.clone());
        // A verdict on the number folds or unfolds cards.
        if self.keeps_back(call) != kept_back {
            return self.tell_whole(call, out);
        }
        out.update(self.viewers_of(call), update);
    }

    fn offered(
        &mut self,
        call: CallId,
        line: &Line,
        at: Timestamp,
        passed_on_by: Option<&Line>,
        out: &mut Outputs,
    ) {
        let here = self.board.calls.get(&call).and_then(|view| view.offers.get(line));
        let offer = match here {
            Some(Offer { state: OfferState::Answered { .. }, .. }) => return,
            // It rings already; that a colleague passed it on may be heard a little later.
            Some(rings) if rings.state == OfferState::Ringing => {
                if passed_on_by.is_none() || rings.passed_on_by.as_ref() == passed_on_by {
                    return;
                }
                Offer { passed_on_by: passed_on_by.cloned(), ..rings.clone() }
            }
            _ => Offer {
                agent: self.staff.name_at(line),
                rang_at: at,
                passed_on_by: passed_on_by.cloned(),
                state: OfferState::Ringing,
            },
        };
        self.offer_is(call, line, offer, out);
    }

    fn answered(&mut self, call: CallId, line: &Line, at: Timestamp, out: &mut Outputs) {
        let here = self.board.calls.get(&call).and_then(|view| view.offers.get(line));
        let state = OfferState::Answered { at, held: None };
        let offer = match here {
            Some(Offer { state: OfferState::Answered { .. }, .. }) => return,
            Some(here) => Offer { state, ..here.clone() },
            // A call can be picked up at a phone where it never rang.
            None => Offer { agent: self.staff.name_at(line), rang_at: at, passed_on_by: None, state },
        };
        self.offer_is(call, line, offer, out);
        self.spoken(call, line, at, out);
    }

    /// Tells the change to those who may see the offer now; who sees the call first by it, or could see
    /// the offer and no longer may, gets the whole call anew.
    fn offer_is(&mut self, call: CallId, line: &Line, offer: Offer, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let knew_call = self.viewers_of(call);
        let old = view.offers.get(line);
        let knew_offer = old.map_or(Vec::new(), |old| {
            self.viewers_who(view.offers.keys(), |agent| agent.sees(view) && agent.sees_offer(line, old))
        });
        let update = Update::Offer { call, line: line.clone(), offer: offer.clone() };
        self.fold(update.clone());
        let Some(view) = self.board.calls.get(&call) else { return };
        let may =
            self.viewers_who(view.offers.keys(), |agent| agent.sees(view) && agent.sees_offer(line, &offer));
        let hidden: Vec<ViewerId> = knew_offer.into_iter().filter(|viewer| !may.contains(viewer)).collect();
        let (known, new): (Vec<_>, Vec<_>) = may.into_iter().partition(|viewer| knew_call.contains(viewer));
        out.update(known, update);
        for viewer in new.into_iter().chain(hidden) {
            let agent = self.viewers.get(&viewer).and_then(|id| self.staff.agent(id));
            if let Some(agent) = agent {
                out.update(vec![viewer], Update::Call { view: Box::new(agent.view_of(view)) });
            }
        }
    }

    fn ended(&mut self, call: CallId, ended: Ended, out: &mut Outputs) {
        if !self.board.calls.contains_key(&call) {
            return;
        }
        let update = Update::Ended { call, ended };
        self.fold(update.clone());
        out.update(self.viewers_of(call), update);
        self.joined(call, ended.how, out);
        self.missed(call, ended, out);
        for dropped in self.drop_ended(MOST_ENDED) {
            out.keep.push(Keep::Call { call: dropped, kept: None });
        }
    }
}

/// The last that is known to have happened in a call.
fn latest(view: &CallView) -> Timestamp {
    let of_offer = |offer: &Offer| match &offer.state {
        OfferState::Ringing => offer.rang_at,
        OfferState::Answered { at, held } => held.unwrap_or(*at).max(*at),
        OfferState::Left { left_at, .. } => *left_at,
        OfferState::Withdrawn { at, .. } => *at,
    };
    let waits = view.waits.as_ref().map(|waits| waits.since);
    view.offers.values().map(of_offer).chain(waits).fold(view.arrived_at, Timestamp::max)
}

/// What a call that rang, was answered or left at a phone does there after an event; `None`: nothing new.
fn next(offer: &Offer, event: &CallEvent) -> Option<OfferState> {
    let now = event.heard_at;
    Some(match (&offer.state, &event.change) {
        (OfferState::Ringing, CallChange::Withdrawn { why, .. }) => {
            OfferState::Withdrawn { at: now, why: why.clone() }
        }
        // It stopped when it stopped; why may be known better now.
        (OfferState::Withdrawn { at, why: said }, CallChange::Withdrawn { why, .. }) if said != why => {
            OfferState::Withdrawn { at: *at, why: why.clone() }
        }
        (OfferState::Answered { at, held: None }, CallChange::Held { .. }) => {
            OfferState::Answered { at: *at, held: Some(now) }
        }
        (OfferState::Answered { at, held: Some(_) }, CallChange::Resumed { .. }) => {
            OfferState::Answered { at: *at, held: None }
        }
        (OfferState::Answered { at, .. }, CallChange::Left { moved_to, .. }) => {
            OfferState::Left { at: *at, left_at: now, moved_to: moved_to.clone() }
        }
        (OfferState::Left { at, left_at, moved_to: None }, CallChange::Left { moved_to: Some(to), .. }) => {
            OfferState::Left { at: *at, left_at: *left_at, moved_to: Some(to.clone()) }
        }
        _ => return None,
    })
}
