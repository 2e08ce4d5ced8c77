//! The messages about the record: what is written about calls, missed calls, and looks back.

use pinkas_protocol::agent_link::Candidate;
use pinkas_protocol::record::{Outcome, PastCustomer, PastOffer, Refusal, Searched, Settled, Written};
use uuid::Uuid;

use super::*;

/// What a desktop says of the record.
pub fn desktop_says() -> Vec<AgentSays> {
    let write = |what| AgentSays::Write { id: entry_id(), call: call(), what };
    let row = call();
    vec![
        write(note()),
        write(Written::Outcome { code: id("ordered") }),
        write(Written::FollowUp { due: day(), text: Private("Send the offer".to_owned()) }),
        AgentSays::Handled { id: entry_id(), row },
        AgentSays::Done {
            id: entry_id(),
            follow_up: Uuid::from_u128(0x19d0_0000_0000_7000_8000_0000_0000_00e2),
        },
        AgentSays::History { ask: 1, before: None, find: None },
        AgentSays::History { ask: 2, before: Some(call()), find: Some(Private("050-123-4567".to_owned())) },
        AgentSays::FollowUps { ask: 3 },
        AgentSays::FindCustomer { ask: 4, call: call(), text: Private("Levi".to_owned()) },
    ]
}

/// What the hub answers.
pub fn hub_says() -> Vec<HubToAgent> {
    let page = |calls, more, back_to, searched| HubToAgent::Page { ask: 2, calls, more, back_to, searched };
    let caller = caller();
    let entry = Entry { what: follow_up(), ..entry() };
    let open = FollowUp { call: call(), caller, customer: Some(customer()), entry };
    let found = |found, searched| HubToAgent::Customers { ask: 4, call: call(), found, searched };
    let candidate = Candidate {
        key: "1001".parse().expect("a key"),
        name: Private("Levi Bakery".to_owned()),
        class: Some("VIP".to_owned()),
        source: "directory".parse().expect("a name"),
    };
    let mut says = vec![
        HubToAgent::Kept { id: entry_id() },
        page(vec![past()], None, None, Searched::Fully),
        page(vec![], Some(call()), Some(at("2026-11-22T10:00:00.125Z")), Searched::Partly),
        page(vec![], None, None, Searched::Busy),
        page(vec![], None, None, Searched::Failed),
        HubToAgent::FollowUps { ask: 3, follow_ups: vec![open] },
        found(vec![candidate], Searched::Fully),
        found(vec![], Searched::Partly),
        found(vec![], Searched::Failed),
    ];
    let refusals = [
        Refusal::NotYourCall,
        Refusal::TooLong,
        Refusal::Empty,
        Refusal::UnknownOutcome,
        Refusal::Full,
        Refusal::NotYours,
        Refusal::RecordStopped,
    ];
    says.extend(refusals.into_iter().map(|why| HubToAgent::Refused { id: entry_id(), why }));
    says
}

/// Changes of a board.
pub fn updates() -> Vec<Update> {
    let settled = Settled { at: at("2026-11-22T11:00:00Z"), name: Some("Bob".to_owned()) };
    let row = Missed {
        id: call(),
        caller: caller(),
        customer: Some(customer()),
        queue: Some(id("Support")),
        count: 2,
        first: at("2026-11-22T10:00:06Z"),
        last: at("2026-11-22T10:20:00Z"),
        handled: None,
    };
    let handled = Missed { handled: Some(settled.clone()), ..row.clone() };
    let done = Entry { what: follow_up(), done: Some(settled), ..entry() };
    vec![
        Update::Written { call: call(), entry: entry() },
        Update::Written { call: call(), entry: done },
        Update::Missed { row: Box::new(row) },
        Update::Missed { row: Box::new(handled) },
        Update::MissedGone { row: call() },
    ]
}

/// What may come of a call.
pub fn outcomes() -> Vec<Outcome> {
    let outcome = |code, label: &str, queues: Vec<_>| Outcome {
        code: id(code),
        label: label.to_owned(),
        required: !queues.is_empty(),
        queues,
    };
    vec![
        outcome("ordered", "Ordered something", vec![id("Sales")]),
        outcome("call-back", "Wants to be called back", vec![]),
    ]
}

fn past() -> PastCall {
    let answered_at = Some(at("2026-11-22T10:00:06Z"));
    let offer = PastOffer { agent: Some("Ana".to_owned()), answered_at, left_at: None };
    PastCall {
        id: call(),
        caller: caller(),
        queue: Some(id("Support")),
        arrived_at: at("2026-11-22T10:00:00.125Z"),
        ended: Ended { at: at("2026-11-22T10:05:00Z"), how: EndedHow::Completed },
        customer: Some(customer()),
        offers: [(line("101"), offer)].into(),
        entries: vec![entry()],
    }
}

fn entry() -> Entry {
    let at = at("2026-11-22T10:04:00Z");
    Entry { id: entry_id(), at, by: id("ana"), name: "Ana".to_owned(), what: note(), done: None }
}

fn note() -> Written {
    Written::Note { text: Private("Wants two boxes more.\nFrom Monday on.".to_owned()) }
}

fn follow_up() -> Written {
    Written::FollowUp { due: day(), text: Private("Send the offer".to_owned()) }
}

fn customer() -> PastCustomer {
    PastCustomer { key: id("1001"), name: Private("Levi Bakery".to_owned()) }
}

fn entry_id() -> Uuid {
    Uuid::from_u128(0x019d_0000_0000_7000_8000_0000_0000_00e1)
}
