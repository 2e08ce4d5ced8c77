//! Who is calling and what the sources say: answers folded into the board as they land, and what agents
//! say of who it is. Whom to offer is decided in `identify`; here it becomes what people see.

use jiff::Timestamp;
use pinkas_protocol::board::{Earlier, MOST_EARLIER};
use pinkas_protocol::card::Match;
use pinkas_protocol::{
    CallId, CallView, Card, CardState, Customer, CustomerKey, Failure, Number, Update, Who,
};

use super::trace::{What, found as found_as};
use super::{Ask, Choice, Hub, Keep, MOST_CHOICES, Outputs, ViewerId};
use crate::identify::{self, Before, Brought, Offered};
use crate::sources::Needs;

impl Hub {
    pub(super) fn who_found(
        &mut self,
        now: Timestamp,
        call: CallId,
        brought: &Brought,
        found: Result<Vec<Customer>, Failure>,
        out: &mut Outputs,
    ) {
        let Some(view) = self.board.calls.get(&call) else { return };
        // What was found by what has turned out not to be the caller's is dropped.
        if view.who != Who::Asking || Brought::by(&view.facts) != *brought {
            return self.step(now, call, What::Outdated, out);
        }
        let before = brought.number.as_ref().and_then(|number| self.choices.get(number));
        let before = before.map_or(Before::Nothing, |choice| {
            choice.customer.as_ref().map_or(Before::ChoseNone, Before::Chose)
        });
        // Whom an agent found for this number, no directory finds by it.
        let linked = brought.number.as_ref().and_then(|number| self.choices.get(number)?.linked.as_deref());
        let found = found.map(|mut found| {
            let known = |linked: &&Customer| found.iter().any(|customer| customer.key == linked.key);
            found.extend(linked.filter(|linked| !known(linked)).cloned());
            found
        });
        let who = match found.map(|found| identify::offered(found, &before)) {
            Err(failure) => Who::Failed { failure },
            Ok(Offered::One(customer)) => Who::Known { customer },
            Ok(Offered::Several(customers)) => Who::Several { customers, chosen: None },
            Ok(Offered::Nobody) => match &brought.number {
                Some(number) if number.key().is_some() => {
                    Who::Unknown { country: number.country(), earlier: self.earlier(call, number) }
                }
                // Somebody keyed in what no directory knows.
                _ => Who::NoNumber,
            },
        };
        self.step(now, call, What::Found { found: found_as(&who) }, out);
        self.who_is(call, who, out);
    }

    pub(super) fn chosen(
        &mut self,
        now: Timestamp,
        viewer: ViewerId,
        call: CallId,
        key: Option<CustomerKey>,
        out: &mut Outputs,
    ) {
        let may = self.viewers_of(call).contains(&viewer);
        let Some(view) = self.board.calls.get(&call).filter(|_| may) else { return };
        let mut customers = view.who.found().to_vec();
        let picked = self.shown_to(viewer, call).iter().find(|shown| key.as_ref() == Some(&shown.key));
        let picked = picked.filter(|picked| customers.iter().all(|known| known.key != picked.key)).cloned();
        if let Some(picked) = picked {
            // A search that went wrong leaves nobody behind.
            customers.retain(|known| known.matched != Match::Searched);
            customers.push(picked);
        }
        // Only one of those found, never a key that a desktop made up.
        if customers.is_empty() || key.as_ref().is_some_and(|key| !customers.iter().any(|c| c.key == *key)) {
            return;
        }
        let said_already = match &view.who {
            Who::Several { chosen, .. } => key.is_some() && *chosen == key,
            // To confirm a guess says something.
            Who::Known { customer } => !customer.matched.is_guess() && key.as_ref() == Some(&customer.key),
            _ => key.is_none(),
        };
        if said_already {
            return;
        }
        let number = Brought::by(&view.facts).number.filter(|number| number.key().is_some());
        let who = match &key {
            Some(_) => Who::Several { customers, chosen: key.clone() },
            None => Who::NoneOf {
                customers,
                country: number.as_ref().and_then(Number::country),
                earlier: number.as_ref().map_or(Vec::new(), |number| self.earlier(call, number)),
            },
        };
        let Some(by) = self.viewers.get(&viewer).cloned() else { return };
        let agent = by.clone();
        let what = if key.is_some() { What::Chose { agent } } else { What::ChoseNone { agent } };
        self.step(now, call, what, out);
        if let Some(number) = number.filter(|_| !self.trials.contains(&call)) {
            let linked = who.customer().filter(|customer| customer.matched == Match::Searched);
            // Numbers are no part of what is remembered: they may be somebody's who is erased.
            let linked = linked.map(|found| Box::new(Customer { numbers: Vec::new(), ..found.clone() }));
            self.remember(number, Choice { customer: key, linked, by, at: now }, out);
        }
        self.who_is(call, who, out);
    }

    fn remember(&mut self, number: Number, choice: Choice, out: &mut Outputs) {
        if self.choices.len() >= MOST_CHOICES && !self.choices.contains_key(&number) {
            let oldest = self.choices.iter().min_by_key(|(_, choice)| choice.at);
            if let Some(oldest) = oldest.map(|(number, _)| number.clone()) {
                self.choices.remove(&oldest);
                out.keep.push(Keep::Choice { number: oldest, kept: None });
            }
        }
        self.choices.insert(number.clone(), choice.clone());
        out.keep.push(Keep::Choice { number, kept: Some(choice) });
    }

    /// The last calls from a number before this one, newest first.
    fn earlier(&self, call: CallId, number: &Number) -> Vec<Earlier> {
        let before = self.index.of_number(number).rev().filter(|of| *of < call);
        let same = before.filter_map(|of| self.board.calls.get(&of)).filter(|view| !view.trial);
        let earlier = |view: &CallView| Earlier {
            at: view.arrived_at,
            answered_by: view
                .answered()
                .map(|(line, offer)| offer.agent.clone().unwrap_or_else(|| line.to_string())),
        };
        same.take(MOST_EARLIER).map(earlier).collect()
    }

    pub(super) fn card_landed(
        &mut self,
        now: Timestamp,
        call: CallId,
        brought: &Brought,
        card: Card,
        out: &mut Outputs,
    ) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let expected = Brought::by(&view.facts) == *brought
            && view.cards.iter().any(|c| {
                (&c.source, c.gives, &c.customer) == (&card.source, card.gives, &card.customer)
                    && c.state != card.state
            });
        // An answer for a customer who is no longer the chosen one is nobody's business any more.
        if expected {
            self.card_step(now, call, &card, out);
            let update = Update::Card { call, card };
            self.fold(update.clone());
            out.update(self.viewers_of(call), update);
            self.keep_call(call, out);
        }
    }

    /// Who a caller is before anybody was asked.
    pub(super) fn before_asking(&self, brought: &Brought) -> Who {
        if brought.can_be_asked(&self.rules) { Who::Asking } else { Who::NoNumber }
    }

    /// It is better known what the call brings. Where that is something else than `before`, nothing that was
    /// found by it stands, but what an agent said of this same number does.
    pub(super) fn ask_anew(&mut self, call: CallId, before: &Brought, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let brought = Brought::by(&view.facts);
        if brought == *before {
            return;
        }
        let said = matches!(&view.who, Who::Several { chosen: Some(_), .. } | Who::NoneOf { .. });
        let who = match said && brought.number == before.number {
            true => view.who.clone(),
            false => self.before_asking(&brought),
        };
        let anew = self.call_cards().collect();
        self.who_is_with(call, who, anew, out);
        self.ask_again(call, out);
    }

    /// Asks what has not been answered: at a call's beginning, and again after a restart.
    pub(super) fn ask_again(&mut self, call: CallId, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let brought = Brought::by(&view.facts);
        let open = |of_customer: Option<&CustomerKey>| {
            view.cards.iter().any(|card| {
                card.customer.as_ref() == of_customer
                    && matches!(
                        card.state,
                        CardState::Waiting | CardState::Late { .. } | CardState::Filled { old: Some(_), .. }
                    )
            })
        };
        if open(None) {
            out.ask.push(Ask::Call { call, brought: brought.clone() });
        }
        if view.who == Who::Asking {
            out.ask.push(Ask::Who { call, brought });
        } else if let Some(customer) = view.who.customer()
            && open(Some(&customer.key))
        {
            out.ask.push(Ask::Cards { call, brought, customer: Box::new(customer.clone()) });
        }
    }

    /// The cards that need only the call, before anybody was asked.
    pub(super) fn call_cards(&self) -> impl Iterator<Item = Card> {
        let places = self.places.iter().filter(|place| place.needs == Needs::Call);
        places.map(|place| Card {
            title: place.title.clone(),
            ..Card::new(place.source.clone(), place.gives, None, CardState::Waiting)
        })
    }

    /// It is known who it is; what was asked by the call itself stands.
    pub(super) fn who_is(&mut self, call: CallId, who: Who, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let by_call = view.cards.iter().filter(|card| card.customer.is_none()).cloned().collect();
        self.who_is_with(call, who, by_call, out);
        let Some(view) = self.board.calls.get(&call) else { return };
        let brought = Brought::by(&view.facts);
        let customer = view.who.customer().cloned();
        out.ask.extend(customer.map(|customer| Ask::Cards { call, brought, customer: Box::new(customer) }));
    }

    fn who_is_with(&mut self, call: CallId, who: Who, by_call: Vec<Card>, out: &mut Outputs) {
        let customer = who.customer().map(|customer| customer.key.clone());
        let mut by_call = by_call.into_iter().peekable();
        let mut cards = Vec::new();
        // In the order of the configuration, whatever a card needs.
        for place in &self.places {
            match (place.needs, &customer) {
                (Needs::Call, _) => cards.extend(by_call.next_if(|card| card.source == place.source)),
                (Needs::Customer, Some(key)) => cards.push(Card {
                    title: place.title.clone(),
                    ..Card::new(place.source.clone(), place.gives, Some(key.clone()), CardState::Waiting)
                }),
                (Needs::Customer, None) => {}
            }
        }
        // Of a source that stands in the configuration no more.
        cards.extend(by_call);
        let update = Update::Who { call, who, cards };
        self.fold(update.clone());
        out.update(self.viewers_of(call), update);
        self.missed_known(call, out);
        self.keep_call(call, out);
    }
}
