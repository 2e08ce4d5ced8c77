//! What a role may not see never leaves the hub, what is sensitive stays folded until the caller is
//! identified, and the record says who was shown what. Forged and foreign requests change nothing.

use std::collections::BTreeMap;

use pinkas_protocol::card::{Balance, CustomRow, Customer, Match};
use pinkas_protocol::{Facts, Money, Private, StirShaken, Verdict};

use super::*;
use crate::core::{Field, Of, Rights};

/// Purchases are for supervisors, the overdue part for nobody but the admin; the balance is sensitive.
pub(super) fn some_rights() -> Rights {
    let all = |gives| Field { of: Of::Gives(gives), field: None };
    let overdue = Field { of: Of::Source(id("books")), field: Some("overdue".to_owned()) };
    let balance = Field { of: Of::Gives(Gives::Balance), field: Some("balance".to_owned()) };
    Rights {
        hide: [
            (Role::Agent, [all(Gives::Purchases), overdue.clone()].into()),
            (Role::Supervisor, [overdue].into()),
        ]
        .into(),
        sensitive: [balance].into(),
    }
}

pub(super) fn balance(amount: i64) -> Facts {
    let money = |amount: i64| Some(Money { amount: amount.into(), currency: None });
    Facts::Balance(Balance { balance: money(amount), overdue: money(77_000 + amount), oldest_due: None })
}

pub(super) fn filled(source: &str, key: &str, facts: Facts) -> Card {
    let gives = match facts {
        Facts::Purchases { .. } => Gives::Purchases,
        _ => Gives::Balance,
    };
    let state = CardState::Filled { facts, as_of: at(0), took_ms: 5, late: false, old: None };
    Card::new(id(source), gives, Some(id(key)), state)
}

/// A call from a known customer rings at 101 and 102, everybody is logged in, the balance is there.
fn office() -> Office {
    let mut office = Office::open_with(Kept::default(), some_rights());
    for (viewer, who) in [(1, "ana"), (2, "bob"), (3, "sima"), (4, "tom"), (5, "root")] {
        office.logs_in(viewer, who);
    }
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    office.lands(7, NUMBER, filled("books", "C1", balance(1_234)));
    office
}

/// What a viewer's board says of the balance card of call 7.
fn books(office: &Office, viewer: u64) -> String {
    let Some(view) = office.boards[&ViewerId(viewer)].calls.get(&call(7)) else {
        return "no call".to_owned();
    };
    let Some(card) = view.cards.iter().find(|card| card.source == id("books")) else {
        return "no card".to_owned();
    };
    let CardState::Filled { facts: Facts::Balance(balance), .. } = &card.state else {
        return "open".to_owned();
    };
    let amount =
        |money: &Option<Money>| money.as_ref().map_or("-".to_owned(), |money| money.amount.to_string());
    format!("{} {} {:?}", amount(&balance.balance), amount(&balance.overdue), card.folded)
}

fn identify(viewer: u64, how: &str) -> Input {
    Input::Identified { viewer: ViewerId(viewer), call: call(7), how: Private(how.to_owned()) }
}

#[test]
fn each_role_sees_its_fields_and_sensitive_ones_stay_folded() {
    let office = office();
    assert_eq!(books(&office, 1), "- - [\"balance\"]");
    assert_eq!(books(&office, 3), "- - [\"balance\"]");
    assert_eq!(books(&office, 5), "- 78234 [\"balance\"]");
    assert_eq!(books(&office, 2), "no call");
    assert_eq!(books(&office, 4), "no call", "the team's phones did not ring");
    let purchases = |viewer| office.boards[&ViewerId(viewer)].calls[&call(7)].cards.len();
    assert_eq!([purchases(1), purchases(3), purchases(5)], [1, 2, 2]);
}

#[test]
fn fields_unfold_only_when_who_talked_with_the_caller_says_how_they_were_identified() {
    let mut office = office();
    office.rings(7, "102");
    for (viewer, how) in [(1, "asked"), (2, "asked"), (3, "asked"), (9, "asked")] {
        office.happens(identify(viewer, how));
        assert_eq!(books(&office, 1), "- - [\"balance\"]", "viewer {viewer} has not talked with the caller");
    }
    office.event(7, CallChange::Answered { line: id("101") });
    office.happens(identify(2, "asked"));
    office.happens(identify(1, " \u{202e}\n "));
    assert_eq!(books(&office, 1), "- - [\"balance\"]");
    office.happens(identify(1, "asked for the tax number"));
    assert_eq!([books(&office, 1), books(&office, 5)], ["1234 - []", "1234 78234 []"]);
    let view = &office.boards[&ViewerId(3)].calls[&call(7)];
    let said = view.identified.as_ref().expect("who said so");
    assert_eq!((said.by.as_str(), said.how.0.as_str()), ("Ana", "asked for the tax number"));
    office.event(7, CallChange::Offered { line: id("103"), passed_on_by: Some(id("101")) });
    assert_eq!(books(&office, 2), "1234 - []", "it goes with a call that is passed on");
}

#[test]
fn who_was_identified_as_one_customer_is_not_another() {
    let mut office = Office::open_with(Kept::default(), some_rights());
    office.logs_in(1, "ana");
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    office.event(7, CallChange::Answered { line: id("101") });
    office.found(7, NUMBER, Ok(vec![customer("C1"), customer("C2")]));
    office.happens(identify(1, "asked"));
    let choose = |key: &str| Input::Choose { viewer: ViewerId(1), call: call(7), customer: Some(id(key)) };
    office.happens(choose("C1"));
    office.lands(7, NUMBER, filled("books", "C1", balance(1)));
    assert_eq!(books(&office, 1), "- - [\"balance\"]", "nobody was chosen when it was said");
    office.happens(identify(1, "asked"));
    assert_eq!(books(&office, 1), "1 - []");
    office.happens(choose("C2"));
    office.lands(7, NUMBER, filled("books", "C2", balance(2)));
    assert_eq!(books(&office, 1), "- - [\"balance\"]");
}

#[test]
fn a_verified_number_folds_nothing_and_a_failed_check_folds_again() {
    let mut office = office();
    for (verdict, shown) in [(Verdict::Passed, "1234 - []"), (Verdict::Failed, "- - [\"balance\"]")] {
        let mut facts = facts(NUMBER);
        facts.caller.stir = Some(StirShaken { verdict, attestation: None });
        office.event(7, CallChange::Known(facts));
        assert_eq!(books(&office, 1), shown);
    }
}

#[test]
fn a_verified_number_vouches_for_nobody_who_was_guessed_or_keyed_in() {
    for matched in [Match::CompanyNumber, Match::LastDigits { digits: 8 }, Match::KeyedIn] {
        let mut office = Office::open_with(Kept::default(), some_rights());
        office.logs_in(1, "ana");
        let mut facts = facts(NUMBER);
        facts.caller.stir = Some(StirShaken { verdict: Verdict::Passed, attestation: None });
        office.event(7, CallChange::Arrived(facts));
        office.rings(7, "101");
        office.event(7, CallChange::Answered { line: id("101") });
        office.found(7, NUMBER, Ok(vec![Customer { matched, ..customer("C1") }]));
        office.lands(7, NUMBER, filled("books", "C1", balance(1)));
        assert_eq!(books(&office, 1), "- - [\"balance\"]", "{matched:?}");
        office.happens(identify(1, "asked"));
        assert_eq!(books(&office, 1), "1 - []", "{matched:?}");
        let by_whom = office.seen.iter().filter(|seen| seen.identified.is_some()).count();
        assert_eq!(by_whom, 1, "the record says who vouched");
    }
}

#[test]
fn a_verified_number_opens_nothing_while_nobody_is_settled() {
    let mut rights = some_rights();
    rights.sensitive.insert(Field { of: Of::Source(id("tickets")), field: None });
    for found in [vec![], vec![customer("C1"), customer("C2")]] {
        let tickets = place("tickets", Gives::Custom, Needs::Call);
        let mut office = Office::of(vec![tickets], rights.clone(), Kept::default());
        office.logs_in(1, "ana");
        let mut facts = facts(NUMBER);
        facts.caller.stir = Some(StirShaken { verdict: Verdict::Passed, attestation: None });
        office.event(7, CallChange::Arrived(facts));
        office.rings(7, "101");
        office.found(7, NUMBER, Ok(found.clone()));
        let row =
            CustomRow { label: "Ticket".to_owned(), value: Some(Private("4711".to_owned())), link: None };
        let facts = Facts::Custom { rows: vec![row] };
        let state = CardState::Filled { facts, as_of: at(0), took_ms: 5, late: false, old: None };
        office.lands(7, NUMBER, Card::new(id("tickets"), Gives::Custom, None, state));
        let folded = &office.boards[&ViewerId(1)].calls[&call(7)].cards[0].folded;
        assert_eq!(folded, &["Ticket"], "{} customers", found.len());
    }
}

#[test]
fn of_customers_who_were_all_denied_no_more_is_shown_than_before() {
    let mut rights = some_rights();
    rights.sensitive.insert(Field { of: Of::Gives(Gives::Customer), field: Some("place".to_owned()) });
    let mut office = Office::open_with(Kept::default(), rights);
    office.logs_in(1, "ana");
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    let found =
        ["C1", "C2"].map(|key| Customer { place: Some(Private("Haifa".to_owned())), ..customer(key) });
    office.found(7, NUMBER, Ok(found.to_vec()));
    office.choose(1, 7, None);
    let Who::NoneOf { customers, .. } = &office.boards[&ViewerId(1)].calls[&call(7)].who else {
        panic!("none of them")
    };
    assert!(customers.len() == 2 && customers.iter().all(|customer| customer.place.is_none()));
}

#[test]
fn the_record_says_once_who_was_shown_whose_card_and_what_was_unfolded() {
    let mut office = office();
    let rows = |office: &Office| {
        let row = |seen: &Seen| {
            let how = seen.identified.as_ref().map_or("", |said| said.how.0.as_str());
            format!("{} {} {:?} {:?} {how}", seen.agent, seen.customer, seen.cards, seen.unfolded)
        };
        office.seen.iter().map(row).map(|row| row.replace("SourceName", "")).collect::<Vec<_>>()
    };
    let folded = ["ana C1 [(books)] [] ", "root C1 [(books)] [] ", "sima C1 [(books)] [] "];
    let mut first = rows(&office);
    first.sort();
    assert_eq!(first, folded);
    office.logs_in(1, "ana");
    assert_eq!(office.seen.len(), 3, "the same again is no news");
    office.event(7, CallChange::Answered { line: id("101") });
    office.happens(identify(1, "asked"));
    assert!(rows(&office).contains(&"ana C1 [(books)] [\"books.balance\"] asked".to_owned()));
    assert_eq!(office.seen.len(), 6);
}

#[test]
fn a_change_of_people_shows_at_once() {
    let mut office = office();
    let people = |role, lines: &[&str]| {
        let lines = lines.iter().map(|line| id(line)).collect();
        Staff::new(vec![(
            id("ana"),
            Agent { name: "Ana".to_owned(), lines, role, teams: Default::default() },
        )])
    };
    office.happens(Input::Staff(people(Role::Admin, &["101"])));
    assert_eq!(books(&office, 1), "- 78234 [\"balance\"]");
    office.happens(Input::Staff(people(Role::Agent, &["109"])));
    assert_eq!(books(&office, 1), "no call");
    let before = office.boards[&ViewerId(3)].clone();
    office.rings(7, "102");
    assert_eq!(office.boards[&ViewerId(3)], before, "who is gone hears nothing more");
}

/// What each person may do on a call that rings at 101 and 102 and is talked on at 101; forged ids besides.
#[test]
fn every_request_of_every_person_does_what_the_table_allows() {
    // person; sees the call while it rings at 101 only; may choose; may say that the caller is identified
    let table = [
        ("ana", true, true, true),
        ("bob", false, false, false),
        ("sima", true, true, false),
        ("tom", false, false, false),
        ("root", true, true, false),
        ("nobody", false, false, false),
    ];
    for (who, sees, chooses, identifies) in table {
        let begun = |several: bool| {
            let mut office = Office::open_with(Kept::default(), some_rights());
            office.boards.insert(ViewerId(1), Board::default());
            office.logs_in(1, who);
            office.arrives(7, NUMBER);
            office.rings(7, "101");
            office.event(7, CallChange::Answered { line: id("101") });
            let found: Vec<Customer> =
                if several { vec![customer("C1"), customer("C2")] } else { vec![customer("C1")] };
            office.found(7, NUMBER, Ok(found));
            office
        };
        let office = begun(true);
        assert_eq!(office.boards[&ViewerId(1)].calls.contains_key(&call(7)), sees, "{who} sees");
        let asked = |viewer, n, key: &str| {
            let mut office = begun(true);
            office.happens(Input::Choose {
                viewer: ViewerId(viewer),
                call: call(n),
                customer: Some(id(key)),
            });
            office.hub.board().calls[&call(7)].who.customer().is_some()
        };
        assert_eq!(asked(1, 7, "C2"), chooses, "{who} chooses");
        for (viewer, n, key) in [(1, 7, "C9"), (1, 8, "C2"), (2, 7, "C2")] {
            assert!(!asked(viewer, n, key), "{who} forges {viewer} {n} {key}");
        }
        let said = |viewer, n| {
            let mut office = begun(false);
            let how = Private("asked".to_owned());
            office.happens(Input::Identified { viewer: ViewerId(viewer), call: call(n), how });
            office.hub.board().calls[&call(7)].identified.is_some()
        };
        assert_eq!(said(1, 7), identifies, "{who} identifies");
        assert!(!said(1, 8) && !said(2, 7), "{who} forges");
    }
}

/// Every kind of change of a call at a line of another team tells a supervisor of a team nothing.
#[test]
fn a_supervisor_of_a_team_hears_nothing_of_others() {
    let mut office = Office::open(Kept::default());
    office.logs_in(4, "tom");
    let empty: BTreeMap<_, _> = office.boards.clone();
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    office.lands(7, NUMBER, filled("books", "C1", balance(1)));
    office.event(7, CallChange::Answered { line: id("101") });
    office.says(Event::Line(LineEvent { line: id("101"), heard_at: at(0), state: LineState::Busy }));
    office.event(7, CallChange::Ended { how: EndedHow::Completed });
    assert_eq!(office.boards, empty);
    office.arrives(8, NUMBER);
    office.rings(8, "103");
    assert_eq!(office.shown(4), "#8 rings [103] asking 0 cards");
}
