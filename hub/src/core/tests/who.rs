//! Who it is, as people see it: what is asked by the call alone, choices that are remembered, and callers
//! whom nobody knows.

use pinkas_protocol::board::Earlier;
use pinkas_protocol::card::Match;
use pinkas_protocol::{CallView, Private};

use super::*;

fn with_tickets() -> Office {
    let mut office = Office::with(vec![place("tickets", Gives::Custom, Needs::Call)], Kept::default());
    for (viewer, who) in [(1, "ana"), (2, "bob"), (3, "sima")] {
        office.logs_in(viewer, who);
    }
    office
}

fn ticket(took_ms: u64) -> Card {
    Card::new(id("tickets"), Gives::Custom, None, CardState::Nothing { took_ms })
}

fn tagged(number: &str, customer: &str) -> CallFacts {
    CallFacts { tags: [(id("customer"), Private(customer.to_owned()))].into(), ..facts(number) }
}

impl Office {
    fn seen(&self, n: u128) -> &CallView {
        &self.boards[&ViewerId(3)].calls[&call(n)]
    }

    fn cards(&self, n: u128) -> String {
        let cards = self.seen(n).cards.iter().map(|card| {
            let customer = card.customer.as_ref().map_or("-", |key| key.as_str());
            let waits = if card.state == CardState::Waiting { "?" } else { "" };
            format!("{} {customer}{waits}", card.source)
        });
        cards.collect::<Vec<_>>().join(", ")
    }

    /// How often each kind of question was asked.
    fn questions(&self) -> [usize; 3] {
        let count = |what: fn(&&Ask) -> bool| self.asked.iter().filter(what).count();
        [
            count(|ask| matches!(ask, Ask::Who { .. })),
            count(|ask| matches!(ask, Ask::Call { .. })),
            count(|ask| matches!(ask, Ask::Cards { .. })),
        ]
    }

    fn found_by(&mut self, n: u128, facts: &CallFacts, keys: &[&str]) {
        let found = Ok(keys.iter().map(|key| customer(key)).collect());
        self.happens(Input::Who { call: call(n), brought: Brought::by(facts), found });
    }
}

#[test]
fn what_needs_only_the_call_is_asked_before_anybody_knows_who_it_is_and_outlives_it() {
    let mut office = with_tickets();
    office.arrives(7, NUMBER);
    assert_eq!(office.questions(), [1, 1, 0], "with the directories, before a phone rings");
    assert_eq!(office.cards(7), "tickets -?");
    office.lands(7, NUMBER, ticket(5));
    office.found(7, NUMBER, Ok(vec![customer("C1"), customer("C2")]));
    assert_eq!(office.cards(7), "tickets -", "nothing of either customer");
    office.rings(7, "101");
    office.choose(1, 7, Some("C2"));
    assert_eq!(office.cards(7), "tickets -, books C2?, till C2?");
    office.choose(1, 7, None);
    assert_eq!(office.cards(7), "tickets -");
    assert_eq!(office.questions(), [1, 1, 1], "it was asked once");
    // Late answers are still shown.
    office.lands(7, NUMBER, ticket(5000));
    assert_eq!(office.seen(7).cards[0], ticket(5000));
}

#[test]
fn a_withheld_caller_has_the_cards_that_need_no_customer() {
    let mut office = with_tickets();
    // Whatever number a phone system may tell all the same.
    let caller = Caller { withheld: true, number: read(NUMBER), ..Caller::default() };
    office.event(7, CallChange::Arrived(CallFacts { caller, ..CallFacts::default() }));
    assert_eq!((office.questions(), office.cards(7).as_str()), ([0, 1, 0], "tickets -?"));
    assert_eq!(office.shown(3), "#7 waiting no number 1 cards");
}

#[test]
fn what_was_asked_with_other_things_is_dropped_and_asked_anew() {
    let mut office = with_tickets();
    office.arrives(7, NUMBER);
    office.lands(7, NUMBER, ticket(1));
    let keyed = tagged(NUMBER, "C9");
    office.event(7, CallChange::Known(keyed.clone()));
    assert_eq!((office.questions(), office.cards(7).as_str()), ([2, 2, 0], "tickets -?"));
    office.lands(7, NUMBER, ticket(2));
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    assert_eq!((office.cards(7).as_str(), &office.seen(7).who), ("tickets -?", &Who::Asking));
    office.found_by(7, &keyed, &["C9"]);
    assert_eq!(office.cards(7), "tickets -?, books C9?, till C9?");
    let books = Card::new(id("books"), Gives::Balance, Some(id("C9")), CardState::Nothing { took_ms: 1 });
    office.lands(7, NUMBER, books.clone());
    assert_eq!(office.cards(7), "tickets -?, books C9?, till C9?");
    office.happens(Input::Card { call: call(7), brought: Brought::by(&keyed), card: books });
    assert_eq!(office.cards(7), "tickets -?, books C9, till C9?");
}

#[test]
fn a_customer_number_that_is_keyed_in_finds_a_withheld_caller_and_an_unknown_one_finds_nobody() {
    let mut office = with_tickets();
    let mut keyed = tagged("", "C9");
    keyed.caller = Caller { withheld: true, ..Caller::default() };
    for n in [7, 8] {
        office.event(n, CallChange::Arrived(keyed.clone()));
    }
    office.found_by(7, &keyed, &["C9"]);
    office.found_by(8, &keyed, &[]);
    assert!(matches!(&office.seen(7).who, Who::Known { customer } if customer.key == id("C9")));
    assert_eq!(office.seen(8).who, Who::NoNumber);
}

#[test]
fn what_an_agent_said_of_a_call_stands_when_more_of_it_is_known() {
    let mut office = with_tickets();
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1"), customer("C2")]));
    office.choose(1, 7, Some("C2"));
    office.event(7, CallChange::Known(tagged(NUMBER, "C1")));
    assert_eq!(office.shown(1), "#7 rings [101] C1|C2 chosen C2 3 cards");
    assert_eq!(office.cards(7), "tickets -?, books C2?, till C2?", "asked again with what is known now");
    assert_eq!(office.questions(), [1, 2, 2]);
    office.event(7, CallChange::Known(tagged("+48220000000", "C1")));
    assert_eq!(office.shown(1), "#7 rings [101] asking 1 cards", "another number is another caller");
}

#[test]
fn a_choice_is_offered_first_the_next_time_and_never_taken_silently() {
    let mut office = with_tickets();
    let both = || Ok(vec![customer("C1"), customer("C2")]);
    for n in 7..10 {
        office.arrives(n, NUMBER);
        office.rings(n, "101");
        office.found(n, NUMBER, both());
        office.choose(1, n, Some("C2"));
        office.event(n, CallChange::Ended { how: EndedHow::Completed });
    }
    assert_eq!(office.kept.choices[&read(NUMBER).expect("a number")].by, id("ana"));
    // The memory is of a number, outlives a restart, and the last word counts.
    let mut again = Office::open(office.kept);
    again.logs_in(3, "sima");
    again.sequence = 100;
    again.arrives(10, NUMBER);
    again.arrives(11, "+48220000000");
    again.found(10, NUMBER, both());
    again.found(11, "+48220000000", both());
    let Who::Several { customers, chosen: None } = &again.seen(10).who else { panic!("several") };
    let offered: Vec<_> = customers.iter().map(|c| (c.key.as_str(), c.chosen_before)).collect();
    assert_eq!(offered, [("C2", true), ("C1", false)]);
    assert!(again.shown(3).contains("#11 waiting C1|C2 chosen -"));
}

#[test]
fn none_of_these_is_remembered_and_can_be_taken_back() {
    let mut office = with_tickets();
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    assert_eq!(office.shown(1), "#7 rings [101] C1 3 cards");
    let asked = office.asked.len();
    office.choose(1, 7, Some("C1"));
    assert_eq!((office.asked.len(), office.kept.choices.len()), (asked, 0), "it is so already");
    office.choose(1, 7, None);
    assert_eq!(office.shown(1), "#7 rings [101] none of C1 1 cards");
    office.arrives(8, NUMBER);
    office.found(8, NUMBER, Ok(vec![customer("C1")]));
    assert!(office.shown(3).contains("#8 waiting C1 chosen - 1 cards"), "offered, not taken");
    office.choose(3, 7, Some("C1"));
    assert_eq!(office.shown(1), "#7 rings [101] C1 chosen C1 3 cards");
    office.arrives(9, NUMBER);
    office.found(9, NUMBER, Ok(vec![customer("C1")]));
    assert!(matches!(&office.seen(9).who, Who::Known { customer } if customer.chosen_before));
}

#[test]
fn a_guess_that_an_agent_confirms_is_remembered() {
    let mut office = with_tickets();
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    let guess = Customer { matched: Match::CompanyNumber, ..customer("C1") };
    office.found(7, NUMBER, Ok(vec![guess.clone()]));
    assert_eq!(office.seen(7).who, Who::Known { customer: guess });
    office.choose(1, 7, Some("C1"));
    assert_eq!(office.shown(1), "#7 rings [101] C1 chosen C1 3 cards");
    assert_eq!(office.kept.choices.len(), 1);
}

#[test]
fn a_caller_without_a_number_leaves_no_memory() {
    let mut office = with_tickets();
    let keyed = tagged("", "C9");
    office.event(7, CallChange::Arrived(keyed.clone()));
    office.rings(7, "101");
    office.found_by(7, &keyed, &["C8", "C9"]);
    office.choose(1, 7, Some("C9"));
    assert_eq!(office.shown(1), "#7 rings [101] C8|C9 chosen C9 3 cards");
    assert!(office.kept.choices.is_empty());
}

#[test]
fn an_unknown_number_is_told_with_its_country_and_its_earlier_calls() {
    let mut office = with_tickets();
    for n in 1..=7 {
        office.arrives(n, if n == 4 { "+48220000000" } else { NUMBER });
        if n == 6 {
            office.event(n, CallChange::Answered { line: id("102") });
        }
        if n == 5 {
            office.event(n, CallChange::Answered { line: id("199") });
        }
        office.event(n, CallChange::Ended { how: EndedHow::Completed });
    }
    office.arrives(8, NUMBER);
    office.arrives(9, NUMBER);
    office.found(8, NUMBER, Ok(Vec::new()));
    let Who::Unknown { country, earlier } = &office.seen(8).who else { panic!("unknown") };
    assert_eq!(country.as_deref(), Some("PL"));
    let told: Vec<_> = earlier.iter().map(|Earlier { answered_by, .. }| answered_by.as_deref()).collect();
    assert_eq!(told, [None, Some("Bob"), Some("199"), None, None], "newest first, not what came later");
    assert!(earlier.is_sorted_by(|one, two| one.at > two.at));
}

#[test]
fn the_memory_of_choices_is_bounded_and_the_oldest_goes() {
    let mut office = with_tickets();
    let choice = |second| Choice { customer: None, linked: None, by: id("ana"), at: at(second) };
    for n in 0..MOST_CHOICES {
        let number = Number::E164 { e164: format!("+4812{n:08}") };
        office.hub.choices.insert(number, choice(if n == 77 { -1 } else { 0 }));
    }
    office.arrives(7, NUMBER);
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    office.choose(3, 7, None);
    assert_eq!(office.hub.choices.len(), MOST_CHOICES);
    assert!(!office.hub.choices.contains_key(&Number::E164 { e164: "+481200000077".to_owned() }));
    assert!(office.hub.choices.contains_key(&read(NUMBER).expect("a number")));
}
