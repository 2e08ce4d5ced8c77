//! Calls and customers to try the screen with: for the tests of this crate and the pretend hub among its
//! examples. In tests moments count in seconds from one fixed start.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::board::Ended;
use pinkas_protocol::card::{Balance, Credit, Purchase};
use pinkas_protocol::record::{Outcome, PastCustomer};
use pinkas_protocol::{
    AgentId, CallFacts, CallId, CallView, Caller, Card, CardState, Customer, CustomerKey, EndedHow, Entry,
    Facts, Failure, FollowUp, Gives, Line, Missed, Money, Number, Offer, OfferState, OutcomeCode, PastCall,
    PersonState, PersonView, Private, QueueName, Reason, ReasonCode, SourceName, Update, Who, Withdrawal,
    Written,
};
use uuid::Uuid;

/// A line by its number.
pub fn line(name: &str) -> Line {
    Line::parse(name).expect("a line")
}

/// A customer of the sample directory.
pub fn customer(key: &str, name: &str, class: Option<&str>) -> Customer {
    let key = CustomerKey::parse(key).expect("a key");
    let source = SourceName::parse("customers").expect("a name");
    Customer { class: class.map(str::to_owned), ..Customer::new(key, name.to_owned(), source) }
}

/// A call from `number` that has arrived and rings nowhere yet; `""` is withheld, without `+` internal.
pub fn arrived(call: CallId, number: &str, name: Option<&str>, who: Who, now: Timestamp) -> CallView {
    let number = (!number.is_empty()).then(|| self::number(number));
    let name = name.map(|name| Private(name.to_owned()));
    let caller = Caller { withheld: number.is_none(), number, name, stir: None };
    CallView {
        id: call,
        facts: CallFacts { caller, queue: QueueName::parse("Support").ok(), ..CallFacts::default() },
        arrived_at: now,
        waits: None,
        offers: BTreeMap::new(),
        who,
        cards: Vec::new(),
        identified: None,
        ended: None,
        entries: Vec::new(),
        trial: false,
    }
}

/// A number of the public network, or without `+` an internal one.
pub fn number(text: &str) -> Number {
    match text.starts_with('+') {
        true => Number::E164 { e164: text.to_owned() },
        // Needs no number tables, which a test would load for a second.
        false => Number::Extension { digits: text.to_owned() },
    }
}

/// A phone that does this with a call since `now`.
pub fn offer(agent: Option<&str>, rang_at: Timestamp, state: OfferState) -> Offer {
    Offer { agent: agent.map(str::to_owned), rang_at, passed_on_by: None, state }
}

/// An amount.
pub fn money(amount: &str, currency: &str) -> Money {
    Money { amount: amount.parse().expect("an amount"), currency: Some(currency.to_owned()) }
}

/// A card of `source` for a customer.
pub fn card(source: &str, gives: Gives, key: &str, state: CardState) -> Card {
    Card::new(SourceName::parse(source).expect("a name"), gives, CustomerKey::parse(key).ok(), state)
}

/// An answer in time.
pub fn filled(facts: Facts, as_of: Timestamp, took_ms: u64) -> CardState {
    CardState::Filled { facts, as_of, took_ms, late: false, old: None }
}

/// The three cards of a customer, answered.
pub fn cards(key: &str, currency: &str, products: [&str; 3], now: Timestamp) -> Vec<Card> {
    let balance = Balance {
        balance: Some(money("1250", currency)),
        overdue: Some(money("430", currency)),
        oldest_due: "2026-11-03".parse().ok(),
    };
    let credit =
        Credit { limit: Some(money("5000", currency)), available: None, days: Some(30), ..Credit::default() };
    let bought = [("2026-11-14", "2", "318"), ("2026-11-02", "12", "1104"), ("2026-10-28", "500", "86.5")];
    let purchases = bought.into_iter().zip(products).map(|((date, quantity, amount), product)| Purchase {
        date: date.parse().ok(),
        product: product.to_owned(),
        quantity: quantity.parse().ok(),
        amount: Some(money(amount, currency)),
    });
    let purchases = purchases.collect();
    vec![
        card("accounting", Gives::Balance, key, filled(Facts::Balance(balance), now, 96)),
        card("accounting", Gives::Credit, key, filled(Facts::Credit(credit), now, 104)),
        card("sales", Gives::Purchases, key, filled(Facts::Purchases { purchases }, now, 210)),
    ]
}

/// The three cards of a customer, in trouble: late, failed, unknown.
pub fn troubled_cards(key: &str) -> Vec<Card> {
    let failure = Failure::Refused { what: "HTTP 403".to_owned() };
    vec![
        card("accounting", Gives::Balance, key, CardState::Late { deadline_ms: 800 }),
        card("erp", Gives::Credit, key, CardState::Failed { failure, took_ms: 31 }),
        card("sales", Gives::Purchases, key, CardState::Waiting),
    ]
}

/// A call that rings at one line.
pub fn rings_as(view: CallView, at_line: &str, now: Timestamp) -> Update {
    let mut view = view;
    view.offers.insert(line(at_line), offer(None, now, OfferState::Ringing));
    Update::Call { view: Box::new(view) }
}

/// The call stopped ringing at a line; `by` answered it, if someone did.
pub fn withdrawn_at(call: CallId, at_line: &str, by: Option<&str>, now: Timestamp) -> Update {
    let why = by.map_or(Withdrawal::CallerGaveUp, |by| Withdrawal::AnsweredElsewhere { by: line(by) });
    let state = OfferState::Withdrawn { at: now, why };
    Update::Offer { call, line: line(at_line), offer: offer(None, now, state) }
}

/// The call was answered at a line.
pub fn answered_at(call: CallId, at_line: &str, agent: Option<&str>, now: Timestamp) -> Update {
    let state = OfferState::Answered { at: now, held: None };
    Update::Offer { call, line: line(at_line), offer: offer(agent, now, state) }
}

/// The call was answered at a line a while ago, and the caller is on hold there.
pub fn held_at(call: CallId, at_line: &str, answered: Timestamp, now: Timestamp) -> Update {
    let state = OfferState::Answered { at: answered, held: Some(now) };
    Update::Offer { call, line: line(at_line), offer: offer(None, answered, state) }
}

/// A line that had answered is no longer in the call.
pub fn left_at(call: CallId, at_line: &str, to: Option<&str>, answered: Timestamp, now: Timestamp) -> Update {
    let state = OfferState::Left { at: answered, left_at: now, moved_to: to.map(line) };
    Update::Offer { call, line: line(at_line), offer: offer(None, answered, state) }
}

/// The call is over.
pub fn ended_at(call: CallId, how: EndedHow, now: Timestamp) -> Update {
    Update::Ended { call, ended: Ended { at: now, how } }
}

/// What may come of a call, of these queues only.
pub fn outcome(code: &str, label: &str, queues: &[&str]) -> Outcome {
    let queues = queues.iter().map(|queue| QueueName::parse(queue).expect("a queue")).collect();
    Outcome {
        code: OutcomeCode::parse(code).expect("a code"),
        label: label.to_owned(),
        queues,
        required: false,
    }
}

/// A caller who was missed, as `caller` says.
pub fn missed(
    id: CallId,
    number: &str,
    name: Option<&str>,
    count: u32,
    (first, last): (Timestamp, Timestamp),
) -> Missed {
    let view = arrived(id, number, None, Who::NoNumber, first);
    let key = CustomerKey::parse("C-1").expect("a key");
    let customer = name.map(|name| PastCustomer { key, name: Private(name.to_owned()) });
    let CallFacts { caller, queue, .. } = view.facts;
    Missed { id, caller, customer, queue, count, first, last, handled: None }
}

/// Something written by Dana.
pub fn entry(id: u128, what: Written, at: Timestamp) -> Entry {
    let by = AgentId::parse("dana").expect("a name");
    Entry { id: Uuid::from_u128(id), at, by, name: "Dana".to_owned(), what, done: None }
}

/// A follow-up on a call.
pub fn follow_up(id: u128, call: CallId, due: &str, text: &str, at: Timestamp) -> FollowUp {
    let view = arrived(call, "+48123456789", Some("Zofia W"), Who::NoNumber, at);
    let what = Written::FollowUp { due: due.parse().expect("a day"), text: Private(text.to_owned()) };
    FollowUp { call, caller: view.facts.caller, customer: None, entry: entry(id, what, at) }
}

/// Why people may not take calls: one reason of which the desktop has a word, and one of the company's own.
pub fn reasons() -> Vec<Reason> {
    let code = |text| ReasonCode::parse(text).expect("a code");
    let own = Some("Stocktaking".to_owned());
    vec![Reason { code: code("lunch"), label: None }, Reason { code: code("stock"), label: own }]
}

/// What somebody does from a moment on.
pub fn person(who: &str, name: &str, lines: &[&str], state: PersonState, since: Timestamp) -> Update {
    let lines = lines.iter().map(|name| line(name)).collect();
    let view = PersonView { name: name.to_owned(), lines, state, since };
    Update::Person { person: AgentId::parse(who).expect("a name"), view }
}

/// Not ready for this reason.
pub fn not_ready(reason: &str) -> PersonState {
    PersonState::NotReady { reason: ReasonCode::parse(reason).expect("a code") }
}

/// A call that was answered at 101 and is over.
pub fn past(id: CallId, number: &str, name: &str, began: Timestamp) -> PastCall {
    let who = Who::Known { customer: customer("C-1", name, None) };
    let mut view = arrived(id, number, None, who, began);
    let after = |seconds| began + SignedDuration::from_secs(seconds);
    let answered = OfferState::Answered { at: after(6), held: None };
    view.offers.insert(line("101"), offer(Some("Dana Levi"), began, answered));
    view.offers.insert(line("102"), offer(Some("Ana"), began, OfferState::Ringing));
    view.ended = Some(Ended { at: after(96), how: EndedHow::Completed });
    view.entries = vec![entry(
        id.0.as_u128(),
        Written::Note { text: Private("Asks for an invoice".to_owned()) },
        after(80),
    )];
    PastCall::of(&view).expect("an ended call")
}

#[cfg(test)]
pub use events::*;

#[cfg(test)]
mod events {
    use super::*;
    use crate::net::{Me, NetEvent};
    use pinkas_protocol::Board;
    use pinkas_protocol::agent_link::Role;

    /// `seconds` after the start of all samples.
    pub fn at(seconds: i64) -> Timestamp {
        let start: Timestamp = "2026-11-22T10:00:00Z".parse().expect("a moment");
        start + SignedDuration::from_secs(seconds)
    }

    /// The `n`th call; later ones sort later.
    pub fn call(n: u128) -> CallId {
        CallId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + n))
    }

    pub fn welcome(seconds: i64, board: Board) -> NetEvent {
        welcome_as(Role::Agent, seconds, board)
    }

    pub fn welcome_as(role: Role, seconds: i64, board: Board) -> NetEvent {
        let id = AgentId::parse("dana").expect("a name");
        let me = Me { id, name: "Dana".to_owned(), role, lines: vec![line("101")] };
        NetEvent::Welcome {
            at: at(seconds),
            me,
            hub_now: at(seconds),
            board,
            outcomes: Vec::new(),
            reasons: reasons(),
        }
    }

    pub fn update(seconds: i64, update: Update) -> NetEvent {
        NetEvent::Update { at: at(seconds), update }
    }

    pub fn rings(call: CallId, at_line: &str) -> Update {
        let who = Who::Known { customer: customer("C-1", "Zofia Wiśniewska", Some("VIP")) };
        rings_as(arrived(call, "7001", None, who, at(0)), at_line, at(0))
    }

    pub fn withdrawn(call: CallId, at_line: &str, by: Option<&str>) -> Update {
        withdrawn_at(call, at_line, by, at(2))
    }

    pub fn answered(call: CallId, at_line: &str) -> Update {
        answered_at(call, at_line, None, at(2))
    }

    /// Answered at the second second, left at this one.
    pub fn left(call: CallId, at_line: &str, to: Option<&str>, seconds: i64) -> Update {
        left_at(call, at_line, to, at(2), at(seconds))
    }

    /// A colleague's phone rings, passed on by `by`.
    pub fn passed_on(call: CallId, at_line: &str, agent: Option<&str>, by: &str, seconds: i64) -> Update {
        let ringing = offer(agent, at(seconds), OfferState::Ringing);
        let offer = Offer { passed_on_by: Some(line(by)), ..ringing };
        Update::Offer { call, line: line(at_line), offer }
    }

    pub fn ended(call: CallId, seconds: i64) -> Update {
        ended_at(call, EndedHow::Completed, at(seconds))
    }
}
