//! Who is calling and what the sources say: answers folded into the board as they land.

use pinkas_protocol::{CallId, Caller, Card, CardState, Customer, CustomerKey, Failure, Number, Update, Who};

use super::{Ask, Hub, Outputs, ViewerId};

/// More customers on one number than an agent could choose from are not kept.
const MOST_CUSTOMERS: usize = 10;

impl Hub {
    pub(super) fn who_found(
        &mut self,
        call: CallId,
        number: &Number,
        found: Result<Vec<Customer>, Failure>,
        out: &mut Outputs,
    ) {
        let Some(view) = self.board.calls.get(&call) else { return };
        // What was found for a number that has turned out not to be the caller's is dropped.
        if view.who != Who::Asking || view.facts.caller.number.as_ref() != Some(number) {
            return;
        }
        let who = match found {
            Err(failure) => Who::Failed { failure },
            Ok(mut customers) => match customers.len() {
                0 => Who::Unknown { country: number.country(), earlier: Vec::new() },
                1 => Who::Known { customer: customers.remove(0) },
                _ => {
                    customers.truncate(MOST_CUSTOMERS);
                    Who::Several { customers, chosen: None }
                }
            },
        };
        self.who_is(call, who, out);
    }

    pub(super) fn chosen(&mut self, viewer: ViewerId, call: CallId, key: &CustomerKey, out: &mut Outputs) {
        let may = self.viewers_of(call).contains(&viewer);
        let Some(view) = self.board.calls.get(&call).filter(|_| may) else { return };
        let Who::Several { customers, chosen } = &view.who else { return };
        // Only one of those found, never a key that a desktop made up.
        if chosen.as_ref() == Some(key) || !customers.iter().any(|customer| customer.key == *key) {
            return;
        }
        let who = Who::Several { customers: customers.clone(), chosen: Some(key.clone()) };
        self.who_is(call, who, out);
    }

    pub(super) fn card_landed(
        &mut self,
        call: CallId,
        number: Option<&Number>,
        card: Card,
        out: &mut Outputs,
    ) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let expected = view.facts.caller.number.as_ref() == number
            && view.cards.iter().any(|c| {
                (&c.source, c.gives, &c.customer) == (&card.source, card.gives, &card.customer)
                    && c.state != card.state
            });
        // An answer for a customer who is no longer the chosen one is nobody's business any more.
        if expected {
            let update = Update::Card { call, card };
            self.board.fold(update.clone());
            out.update(self.viewers_of(call), update);
            self.keep_call(call, out);
        }
    }

    /// Who a caller is before anybody was asked.
    pub(super) fn before_asking(caller: &Caller) -> Who {
        let asked = caller.number.as_ref().is_some_and(|number| number.key().is_some());
        if asked { Who::Asking } else { Who::NoNumber }
    }

    /// The call turned out to be from another number: nothing found for the old one stands.
    pub(super) fn ask_anew(&mut self, call: CallId, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let who = Hub::before_asking(&view.facts.caller);
        self.who_is(call, who, out);
        self.ask_again(call, out);
    }

    /// Asks what has not been answered: at a call's beginning, and again after a restart.
    pub(super) fn ask_again(&mut self, call: CallId, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let number = view.facts.caller.number.clone();
        if view.who == Who::Asking {
            out.ask.extend(number.map(|number| Ask::Who { call, number }));
        } else if let Some(customer) = view.who.customer().cloned() {
            let open =
                view.cards.iter().any(|c| matches!(c.state, CardState::Waiting | CardState::Late { .. }));
            if open {
                out.ask.push(Ask::Cards { call, number, customer: Box::new(customer) });
            }
        }
    }

    pub(super) fn who_is(&mut self, call: CallId, who: Who, out: &mut Outputs) {
        let customer = who.customer().cloned();
        let cards = customer.as_ref().map_or(Vec::new(), |customer| {
            let blank = self.blank_cards.iter().map(|(source, gives)| {
                Card::new(source.clone(), *gives, Some(customer.key.clone()), CardState::Waiting)
            });
            blank.collect()
        });
        let update = Update::Who { call, who, cards };
        self.board.fold(update.clone());
        out.update(self.viewers_of(call), update);
        self.missed_known(call, out);
        self.keep_call(call, out);
        let number = self.board.calls.get(&call).and_then(|view| view.facts.caller.number.clone());
        out.ask.extend(customer.map(|customer| Ask::Cards { call, number, customer: Box::new(customer) }));
    }
}
