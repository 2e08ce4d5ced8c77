//! The core told stories: a small office, what happens to it, and what each person's board then shows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pinkas_protocol::agent_link::{HubToAgent, Role};
use pinkas_protocol::board::CallState;
use pinkas_protocol::{
    AdapterId, Board, CallChange, CallEvent, CallFacts, CallId, Caller, Card, CardState, Customer, EndedHow,
    Event, Facts, Failure, Gives, Line, LineEvent, LineState, Number, NumberPlan, OfferState, PastCall, Who,
    Withdrawal,
};
use uuid::Uuid;

mod everything;
mod find;
mod people;
mod record;
mod seen;
mod ways;
mod who;
mod why;

use super::{
    Agent, Ask, CardPlace, Choice, Hub, Input, Keep, Kept, KeptCall, Look, MOST_CHOICES, Outputs, Rights,
    Scope, Seen, Staff, ViewerId, Wish,
};
use crate::identify::{Brought, Rules};
use crate::sources::Needs;

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("an id")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("a time")
}

fn call(n: u128) -> CallId {
    CallId(Uuid::from_u128(n))
}

fn staff() -> Staff {
    let agent = |name: &str, lines: &[&str], role| {
        let lines = lines.iter().map(|line| id(line)).collect();
        let teams = match name {
            "Bob" | "Tom" => [id("sales")].into(),
            _ => Default::default(),
        };
        (id(&name.to_lowercase()), Agent { name: name.to_owned(), lines, role, teams })
    };
    Staff::new(vec![
        agent("Ana", &["101"], Role::Agent),
        agent("Bob", &["102", "103"], Role::Agent),
        agent("Sima", &[], Role::Supervisor),
        agent("Tom", &[], Role::Supervisor),
        agent("Root", &[], Role::Admin),
    ])
}

fn customer(key: &str) -> Customer {
    Customer::new(id(key), format!("Customer {key}"), id("customers"))
}

/// An office with its desktops: each applies what it is told to its own board.
struct Office {
    hub: Hub,
    boards: BTreeMap<ViewerId, Board>,
    asked: Vec<Ask>,
    kept: Kept,
    log: Vec<Event>,
    /// Whether the last event told nothing.
    repeated: bool,
    seen: Vec<Seen>,
    sequence: u64,
    second: i64,
    /// What desktops were answered, and what they were told is kept.
    answers: Vec<(ViewerId, HubToAgent)>,
    looks: Vec<Look>,
    past: BTreeMap<CallId, PastCall>,
}

/// A source's place among the cards.
fn place(source: &str, gives: Gives, needs: Needs) -> CardPlace {
    CardPlace { source: id(source), gives, title: None, needs }
}

impl Office {
    fn open(kept: Kept) -> Office {
        Office::of(Vec::new(), Rights::default(), kept)
    }

    /// An office whose sources are the usual ones and, before them, these.
    fn with(sources: Vec<CardPlace>, kept: Kept) -> Office {
        Office::of(sources, Rights::default(), kept)
    }

    fn open_with(kept: Kept, rights: Rights) -> Office {
        Office::of(Vec::new(), rights, kept)
    }

    fn of(mut sources: Vec<CardPlace>, rights: Rights, kept: Kept) -> Office {
        sources.extend([
            place("customers", Gives::Customer, Needs::Call),
            place("books", Gives::Balance, Needs::Customer),
            place("till", Gives::Purchases, Needs::Customer),
        ]);
        let mut out = Outputs::default();
        let again = Kept {
            calls: kept.calls.clone(),
            lines: kept.lines.clone(),
            durable: kept.durable.clone(),
            choices: kept.choices.clone(),
            missed: kept.missed.clone(),
            follow_ups: kept.follow_ups.clone(),
            people: kept.people.clone(),
            traces: kept.traces.clone(),
        };
        let rules = Rules { customer_tag: Some(id("customer")), ..Rules::default() };
        let mut hub = Hub::new(staff(), sources, rules, kept, &mut out).with_rights(rights);
        hub.set_outcomes(record::outcomes());
        hub.set_reasons(people::reasons());
        let mut office = Office {
            hub,
            boards: BTreeMap::new(),
            asked: Vec::new(),
            kept: again,
            log: Vec::new(),
            repeated: false,
            seen: Vec::new(),
            sequence: 0,
            second: 0,
            answers: Vec::new(),
            looks: Vec::new(),
            past: BTreeMap::new(),
        };
        office.carry_out(out);
        office
    }

    fn carry_out(&mut self, out: Outputs) {
        for (to, message) in out.tell {
            for viewer in to {
                let board = self.boards.entry(viewer).or_default();
                match message.clone() {
                    HubToAgent::Welcome { board: whole, .. } => *board = whole,
                    HubToAgent::Update { update } => board.apply(update),
                    answer => self.answers.push((viewer, answer)),
                }
            }
        }
        self.asked.extend(out.ask);
        self.looks.extend(out.look);
        for keep in out.keep {
            match keep {
                Keep::Noted { adapter, outbox, sequence, event, repeated } => {
                    self.kept.durable.insert((adapter, outbox), sequence);
                    self.repeated = repeated;
                    self.log.push(event);
                }
                Keep::Concluded { event, .. } => self.log.push(event),
                Keep::Seen(seen) => self.seen.push(*seen),
                Keep::Step { call, number, step } => {
                    let trace = self.kept.traces.entry(call).or_default();
                    match step {
                        Some(step) => drop(trace.insert(number, *step)),
                        None => drop(trace.remove(&number)),
                    }
                }
                Keep::Call { call, kept } => match kept {
                    Some(mut kept) => {
                        let before = self.kept.calls.remove(&call).map(|before| before.view.entries);
                        kept.view.entries = before.unwrap_or_default();
                        self.kept.calls.insert(call, *kept);
                    }
                    None => {
                        self.kept.calls.remove(&call);
                        self.kept.traces.remove(&call);
                    }
                },
                Keep::Choice { number, kept } => match kept {
                    Some(kept) => drop(self.kept.choices.insert(number, kept)),
                    None => drop(self.kept.choices.remove(&number)),
                },
                Keep::Line { line, kept } => match kept {
                    Some(kept) => drop(self.kept.lines.insert(line, *kept)),
                    None => drop(self.kept.lines.remove(&line)),
                },
                Keep::Past { past } => drop(self.past.insert(past.id, *past)),
                Keep::Entry { call, entry } => {
                    if let Some(kept) = self.kept.calls.get_mut(&call) {
                        let entries = &mut kept.view.entries;
                        entries.retain(|old| old.id != entry.id);
                        entries.push(*entry);
                        entries.sort_by_key(|entry| entry.at);
                    }
                }
                Keep::FollowUp { id, kept } => match kept {
                    Some(kept) => drop(self.kept.follow_ups.insert(id, *kept)),
                    None => drop(self.kept.follow_ups.remove(&id)),
                },
                Keep::Person { person, kept } => match kept {
                    Some(kept) => drop(self.kept.people.insert(person, *kept)),
                    None => drop(self.kept.people.remove(&person)),
                },
                Keep::Missed { row, kept } => match kept {
                    Some(kept) => drop(self.kept.missed.insert(row, *kept)),
                    None => drop(self.kept.missed.remove(&row)),
                },
                Keep::Acknowledge { viewer, id } => self.answers.push((viewer, HubToAgent::Kept { id })),
                Keep::Forget { .. } => {}
            }
        }
    }

    fn happens(&mut self, input: Input) {
        self.second += 1;
        let mut out = Outputs::default();
        self.hub.handle(at(self.second), input, &mut out);
        self.carry_out(out);
    }

    fn logs_in(&mut self, viewer: u64, who: &str) {
        self.happens(Input::AgentUp { viewer: ViewerId(viewer), agent: id(who), token: None });
    }

    fn event(&mut self, n: u128, change: CallChange) {
        let event = CallEvent { call: call(n), heard_at: at(self.second), change };
        self.says(Event::Call(event));
    }

    fn says(&mut self, event: Event) {
        self.sequence += 1;
        let sequence = self.sequence;
        let before = self.hub.board().clone();
        self.happens(Input::Event { adapter: adapter(), outbox: Uuid::nil(), sequence, event });
        assert_eq!(self.repeated, before == *self.hub.board(), "what tells nothing changes nothing");
    }

    fn arrives(&mut self, n: u128, number: &str) {
        self.event(n, CallChange::Arrived(facts(number)));
    }

    fn rings(&mut self, n: u128, line: &str) {
        self.event(n, CallChange::Offered { line: id(line), passed_on_by: None });
    }

    /// The directories answered about `number`.
    fn found(&mut self, n: u128, number: &str, found: Result<Vec<Customer>, Failure>) {
        self.happens(Input::Who { call: call(n), brought: brought(number), found });
    }

    fn lands(&mut self, n: u128, number: &str, card: Card) {
        self.happens(Input::Card { call: call(n), brought: brought(number), card });
    }

    fn choose(&mut self, viewer: u64, n: u128, key: Option<&str>) {
        let customer = key.map(id);
        self.happens(Input::Choose { viewer: ViewerId(viewer), call: call(n), customer });
    }

    fn shown(&self, viewer: u64) -> String {
        let board = &self.boards[&ViewerId(viewer)];
        let calls = board.calls.values().map(|view| {
            let state = match view.state() {
                CallState::Waiting => "waiting".to_owned(),
                CallState::Ringing(lines) => format!("rings {lines:?}"),
                CallState::Talking { line, .. } => format!("talks {line:?}"),
                CallState::Ended(ended) => format!("{:?}", ended.how),
            };
            let who = match &view.who {
                Who::Known { customer } => customer.key.to_string(),
                Who::Several { customers, chosen } => {
                    let keys: Vec<_> = customers.iter().map(|c| c.key.as_str()).collect();
                    format!("{} chosen {}", keys.join("|"), chosen.as_ref().map_or("-", |k| k.as_str()))
                }
                Who::Asking => "asking".to_owned(),
                Who::Unknown { country, .. } => format!("unknown {}", country.as_deref().unwrap_or("-")),
                Who::NoneOf { customers, .. } => {
                    let keys: Vec<_> = customers.iter().map(|c| c.key.as_str()).collect();
                    format!("none of {}", keys.join("|"))
                }
                Who::NoNumber => "no number".to_owned(),
                Who::Failed { failure } => failure.to_string(),
            };
            format!("#{} {state} {who} {} cards", view.id.0.as_u128(), view.cards.len())
        });
        calls.collect::<Vec<_>>().join("; ").replace("Line(", "").replace(')', "")
    }
}

fn read(number: &str) -> Option<Number> {
    NumberPlan::new("PL", 4).expect("a country").read(number)
}

/// What a call from this number brings.
fn brought(number: &str) -> Brought {
    Brought::by(&facts(number))
}

fn facts(number: &str) -> CallFacts {
    let caller = Caller { number: read(number), ..Caller::default() };
    CallFacts { caller, ..CallFacts::default() }
}

/// The number of most callers.
const NUMBER: &str = "+48123456789";

fn adapter() -> AdapterId {
    id("main")
}

fn ring_all() -> Office {
    let mut office = Office::open(Kept::default());
    for (viewer, who) in [(1, "ana"), (2, "bob"), (3, "sima")] {
        office.logs_in(viewer, who);
    }
    office.arrives(7, NUMBER);
    office
}

#[test]
fn only_those_whose_phone_rings_are_told_and_supervisors_see_all() {
    let mut office = ring_all();
    assert_eq!([office.shown(1), office.shown(2)], ["", ""]);
    assert_eq!(office.shown(3), "#7 waiting asking 0 cards");
    office.rings(7, "101");
    assert_eq!(office.shown(1), "#7 rings [101] asking 0 cards");
    assert_eq!(office.shown(2), "");
    office.rings(7, "102");
    assert_eq!(office.shown(1), "#7 rings [101] asking 0 cards", "another's phone is not shown");
    assert_eq!(office.shown(3), "#7 rings [101, 102] asking 0 cards");
}

#[test]
fn sources_are_asked_before_a_phone_rings_and_each_answer_is_shown_as_it_lands() {
    let mut office = ring_all();
    assert!(matches!(&office.asked[..], [Ask::Who { call: c, .. }] if *c == call(7)));
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    assert_eq!(office.shown(1), "#7 rings [101] C1 2 cards");
    assert!(matches!(&office.asked[1], Ask::Cards { customer, .. } if customer.key == id("C1")));
    let late = Card::new(id("books"), Gives::Balance, Some(id("C1")), CardState::Late { deadline_ms: 800 });
    office.lands(7, NUMBER, late.clone());
    let board = &office.boards[&ViewerId(1)];
    assert_eq!(board.calls[&call(7)].cards[0], late);
    assert_eq!(board.calls[&call(7)].cards[1].state, CardState::Waiting);
}

#[test]
fn everyone_it_rang_at_is_told_who_took_it() {
    let mut office = ring_all();
    for line in ["101", "102"] {
        office.rings(7, line);
    }
    office.event(7, CallChange::Answered { line: id("102") });
    let why = Withdrawal::AnsweredElsewhere { by: id("102") };
    office.event(7, CallChange::Withdrawn { line: id("101"), why: why.clone() });
    let board = &office.boards[&ViewerId(1)];
    let offers = &board.calls[&call(7)].offers;
    assert_eq!(offers[&id::<Line>("102")].agent.as_deref(), Some("Bob"));
    assert!(matches!(&offers[&id::<Line>("101")].state, OfferState::Withdrawn { why: w, .. } if *w == why));
    office.event(7, CallChange::Ended { how: EndedHow::Completed });
    assert_eq!(office.shown(1), "#7 Completed asking 0 cards");
}

#[test]
fn a_choice_is_believed_only_from_those_who_see_the_call_and_only_for_those_found() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1"), customer("C2")]));
    assert_eq!(office.shown(1), "#7 rings [101] C1|C2 chosen - 0 cards");
    let asked = office.asked.len();
    office.choose(2, 7, Some("C1"));
    office.choose(2, 7, None);
    office.choose(1, 7, Some("C9"));
    office.choose(9, 7, Some("C1"));
    assert_eq!(office.asked.len(), asked, "nothing was asked for them");
    office.choose(1, 7, Some("C2"));
    assert_eq!(office.shown(1), "#7 rings [101] C1|C2 chosen C2 2 cards");
    office.choose(1, 7, Some("C1"));
    let stale = Card::new(id("books"), Gives::Balance, Some(id("C2")), CardState::Nothing { took_ms: 1 });
    office.lands(7, NUMBER, stale);
    let cards = &office.boards[&ViewerId(1)].calls[&call(7)].cards;
    assert!(
        cards.iter().all(|c| c.customer == Some(id("C1")) && c.state == CardState::Waiting),
        "no other customer's figures"
    );
}

#[test]
fn unknown_withheld_and_unreachable_directories_are_told_apart() {
    let mut office = ring_all();
    office.found(7, NUMBER, Ok(vec![]));
    assert_eq!(office.shown(3), "#7 waiting unknown PL 0 cards");
    let caller = Caller { withheld: true, ..Caller::default() };
    office.event(8, CallChange::Arrived(CallFacts { caller, ..CallFacts::default() }));
    office.arrives(9, NUMBER);
    office.found(9, NUMBER, Err(Failure::Unreachable));
    assert_eq!(
        office.shown(3),
        "#7 waiting unknown PL 0 cards; #8 waiting no number 0 cards; #9 waiting cannot be reached 0 cards"
    );
    assert_eq!(office.asked.len(), 2, "a withheld caller is not looked up");
}

#[test]
fn what_an_adapter_repeats_is_taken_once() {
    let mut office = ring_all();
    let event = |sequence| Input::Event {
        adapter: adapter(),
        outbox: Uuid::nil(),
        sequence,
        event: Event::Line(LineEvent { line: id("101"), heard_at: at(0), state: LineState::Idle }),
    };
    let before = office.log.len();
    for sequence in [2, 3, 3, 2, 1, 5, 4] {
        office.happens(event(sequence));
    }
    assert_eq!(office.log.len() - before, 3, "2, 3 and 5");
    let anew =
        Input::Event { adapter: adapter(), outbox: Uuid::max(), sequence: 1, event: office.log[0].clone() };
    office.happens(anew);
    assert_eq!(office.log.len() - before, 4, "another outbox counts anew");
}

#[test]
fn what_a_crashed_adapter_says_again_is_marked_and_changes_nothing() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.event(7, CallChange::Ended { how: EndedHow::Abandoned });
    let before = office.hub.board().clone();
    let mut out = Outputs::default();
    let rings = CallChange::Offered { line: id("101"), passed_on_by: None };
    for change in [rings, CallChange::Ended { how: EndedHow::Completed }] {
        office.sequence += 1;
        let event = Event::Call(CallEvent { call: call(7), heard_at: at(99), change });
        let input =
            Input::Event { adapter: adapter(), outbox: Uuid::nil(), sequence: office.sequence, event };
        office.hub.handle(at(99), input, &mut out);
    }
    assert_eq!(office.hub.board(), &before);
    assert!(out.tell.is_empty());
    // Why it does not pop again is noted for whoever asks.
    let marked = |keep: &Keep| matches!(keep, Keep::Noted { repeated: true, .. } | Keep::Step { .. });
    assert!(out.keep.iter().all(marked), "{:?}", out.keep);
}

#[test]
fn after_a_restart_live_calls_stand_and_open_questions_are_asked_again() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    office.arrives(8, "+48220000000");
    // What shows only old figures has not been answered either.
    let facts = Facts::Purchases { purchases: Vec::new() };
    let old = Some(Failure::NoAnswer { deadline_ms: 800 });
    let state = CardState::Filled { facts, as_of: at(0), took_ms: 800, late: false, old };
    office.lands(7, NUMBER, Card::new(id("sales"), Gives::Purchases, Some(id("C1")), state));
    let nothing = CardState::Nothing { took_ms: 3 };
    office.lands(7, NUMBER, Card::new(id("books"), Gives::Balance, Some(id("C1")), nothing));
    let mut again = Office::open(office.kept);
    assert!(matches!(&again.asked[..], [Ask::Cards { .. }, Ask::Who { call: c, .. }] if *c == call(8)));
    again.logs_in(1, "ana");
    assert_eq!(again.shown(1), "#7 rings [101] C1 2 cards");
    again.happens(Input::Live { adapter: adapter(), calls: vec![call(8)], last: true });
    assert_eq!(again.shown(1), "#7 Lost C1 2 cards", "a call its adapter no longer follows is over");
    let other = Input::Live { adapter: id("other"), calls: vec![], last: true };
    again.happens(other);
    assert!(again.hub.board().calls[&call(8)].ended.is_none(), "another adapter's word does not end it");
}

#[test]
fn the_hub_holds_only_so_many_ended_calls() {
    let mut office = Office::open(Kept::default());
    for n in 1..=(super::MOST_ENDED as u128 + 5) {
        office.arrives(n, NUMBER);
        office.event(n, CallChange::Ended { how: EndedHow::Abandoned });
    }
    assert_eq!(office.hub.board().calls.len(), super::MOST_ENDED);
    assert_eq!(office.kept.calls.len(), super::MOST_ENDED, "the disk drops what the board drops");
}
