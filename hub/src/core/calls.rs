//! What adapters say, folded into the board and told to those it concerns.

use jiff::Timestamp;
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::board::Ended;
use pinkas_protocol::{
    AdapterId, CallChange, CallEvent, CallId, CallView, Caller, EndedHow, Event, Line, LineEvent, LineView,
    Offer, OfferState, QueueName, Update, Who,
};

use super::{Ask, Hub, Keep, MOST_ENDED, Noted, Outputs};

impl Hub {
    pub(super) fn noted(&mut self, adapter: &AdapterId, event: &Event, out: &mut Outputs) -> Noted {
        match event {
            Event::Line(event) => {
                if self.board.lines.get(&event.line).is_some_and(|view| view.state == event.state) {
                    return Noted::Known;
                }
                self.line_changed(event, out);
                Noted::New
            }
            Event::Call(event) => {
                let before = self.board.calls.get(&event.call).cloned();
                // The end is the last word on a call.
                if before.as_ref().is_some_and(|view| view.ended.is_some()) {
                    return Noted::Known;
                }
                self.call_changed(adapter, event, out);
                let changed = self.board.calls.get(&event.call) != before.as_ref();
                if changed { Noted::New } else { Noted::Known }
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
            out.keep.push(Keep::Concluded { adapter: adapter.clone(), event: Event::Call(event) });
        }
    }

    fn line_changed(&mut self, event: &LineEvent, out: &mut Outputs) {
        let view =
            LineView { agent: self.staff.name_at(&event.line), state: event.state, since: event.heard_at };
        let update = Update::Line { line: event.line.clone(), view: view.clone() };
        self.board.fold(update.clone());
        let to =
            self.viewers_who(|agent| agent.role == Role::Supervisor || agent.lines.contains(&event.line));
        out.update(to, update);
        out.keep.push(Keep::Line { line: event.line.clone(), view });
    }

    fn call_changed(&mut self, adapter: &AdapterId, event: &CallEvent, out: &mut Outputs) {
        let (call, at) = (event.call, event.heard_at);
        match &event.change {
            CallChange::Arrived { caller, queue } => {
                self.arrived(adapter, call, at, caller.clone(), queue.clone(), out);
            }
            CallChange::Offered { line } => {
                let offer =
                    Offer { agent: self.staff.name_at(line), rang_at: at, state: OfferState::Ringing };
                self.offered(adapter, call, line, offer, out);
            }
            CallChange::Withdrawn { line, why } => {
                self.offer_is(call, line, OfferState::Withdrawn { at, why: why.clone() }, out);
            }
            CallChange::Answered { line } => self.offer_is(call, line, OfferState::Answered { at }, out),
            CallChange::Ended { how } => self.ended(call, Ended { at, how: *how }, out),
        }
        self.keep_call(call, out);
    }

    fn arrived(
        &mut self,
        adapter: &AdapterId,
        call: CallId,
        at: Timestamp,
        caller: Caller,
        queue: Option<QueueName>,
        out: &mut Outputs,
    ) {
        if self.board.calls.contains_key(&call) {
            return;
        }
        let asked = caller.number.clone().filter(|number| number.key().is_some());
        let view = CallView {
            id: call,
            caller,
            queue,
            arrived_at: at,
            offers: Default::default(),
            who: if asked.is_some() { Who::Asking } else { Who::NoNumber },
            cards: Vec::new(),
            ended: None,
        };
        self.owner.insert(call, adapter.clone());
        let update = Update::Call { view: Box::new(view) };
        self.board.fold(update.clone());
        // No phone rings yet: only supervisors know of it.
        out.update(self.viewers_of(call), update);
        // Asked before any phone rings, so that the cards are there when one does.
        out.ask.extend(asked.map(|number| Ask::Who { call, number }));
    }

    fn offered(&mut self, adapter: &AdapterId, call: CallId, line: &Line, offer: Offer, out: &mut Outputs) {
        if !self.board.calls.contains_key(&call) {
            // The disk that knew it is gone; that a phone rings is still worth saying.
            self.arrived(adapter, call, offer.rang_at, Caller::default(), None, out);
        }
        let here = self.board.calls.get(&call).and_then(|view| view.offers.get(line));
        if here.is_some_and(|here| !matches!(here.state, OfferState::Withdrawn { .. })) {
            return;
        }
        let before = self.viewers_of(call);
        let update = Update::Offer { call, line: line.clone(), offer };
        self.board.fold(update.clone());
        let after = self.viewers_of(call);
        let rings_here =
            self.viewers_who(|agent| agent.role == Role::Supervisor || agent.lines.contains(line));
        let (known, new): (Vec<_>, Vec<_>) =
            rings_here.into_iter().partition(|viewer| before.contains(viewer));
        out.update(known, update);
        let Some(view) = self.board.calls.get(&call) else { return };
        for viewer in new.into_iter().filter(|viewer| after.contains(viewer)) {
            let agent = self.viewers.get(&viewer).and_then(|id| self.staff.agent(id));
            if let Some(agent) = agent {
                out.update(vec![viewer], Update::Call { view: Box::new(agent.view_of(view)) });
            }
        }
    }

    fn offer_is(&mut self, call: CallId, line: &Line, state: OfferState, out: &mut Outputs) {
        let before = self.board.calls.get(&call).and_then(|view| view.offers.get(line));
        let Some(mut offer) = before.cloned().filter(|_| !self.answered_at(call, line)) else { return };
        offer.state = state;
        let taken = matches!(offer.state, OfferState::Answered { .. });
        let update = Update::Offer { call, line: line.clone(), offer };
        self.board.fold(update.clone());
        let Some(view) = self.board.calls.get(&call) else { return };
        // Everyone at whose phone it rang may know who took it; a withdrawal concerns its own phone.
        let to = self.viewers_who(|agent| {
            agent.role == Role::Supervisor || agent.lines.contains(line) || (taken && agent.sees(view))
        });
        out.update(to, update);
    }

    /// An answer is the last word on a call at one line.
    fn answered_at(&self, call: CallId, line: &Line) -> bool {
        let offer = self.board.calls.get(&call).and_then(|view| view.offers.get(line));
        offer.is_some_and(|offer| matches!(offer.state, OfferState::Answered { .. }))
    }

    fn ended(&mut self, call: CallId, ended: Ended, out: &mut Outputs) {
        let update = Update::Ended { call, ended };
        self.board.fold(update.clone());
        out.update(self.viewers_of(call), update);
        for dropped in self.board.keep_ended(MOST_ENDED) {
            self.owner.remove(&dropped);
            out.keep.push(Keep::Call { call: dropped, kept: None });
        }
    }
}
