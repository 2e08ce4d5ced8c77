//! An agent looks for the customer whom no directory found: who may, what they are shown, what of it is noted,
//! which question counts, and what is remembered of the choice.

use pinkas_protocol::Private;
use pinkas_protocol::card::Match;
use pinkas_protocol::record::Searched;

use super::*;
use crate::core::{Field, Of, Seeker};

/// An unknown number rings at 101; agents do not see a customer's class.
fn office() -> Office {
    let class = Field { of: Of::Gives(Gives::Customer), field: Some("class".to_owned()) };
    let rights = Rights { hide: [(Role::Agent, [class].into())].into(), ..Rights::default() };
    let mut office = Office::open_with(Kept::default(), rights);
    for (viewer, who) in [(1, "ana"), (2, "bob"), (3, "sima"), (4, "ana")] {
        office.logs_in(viewer, who);
    }
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(Vec::new()));
    office
}

fn seeker(viewer: u64, agent: &str, ask: u64) -> Seeker {
    Seeker { agent: id(agent), viewer: ViewerId(viewer), ask }
}

impl Office {
    /// Somebody looks for a customer; whether the directories are asked.
    fn looks_for(&mut self, viewer: u64, ask: u64, text: &str) -> bool {
        let before = self.asked.len();
        let text = Private(text.to_owned());
        self.happens(Input::FindCustomer { viewer: ViewerId(viewer), ask, call: call(7), text });
        self.asked[before..].iter().any(|ask| matches!(ask, Ask::Search { .. }))
    }

    fn directories_find(&mut self, seeker: Seeker, keys: &[&str]) {
        let vip = |key: &&str| Customer { class: Some("VIP".to_owned()), ..customer(key) };
        let found = keys.iter().map(vip).collect();
        self.happens(Input::Found { call: call(7), seeker, found, searched: Searched::Fully });
    }

    /// What desktops were answered: `viewer/question: keys, with their class`.
    fn told(&self) -> Vec<String> {
        let told = self.answers.iter().filter_map(|(viewer, answer)| match answer {
            HubToAgent::Customers { ask, found, .. } => {
                let keys: Vec<String> = found
                    .iter()
                    .map(|one| format!("{}{}", one.key, one.class.as_deref().unwrap_or("")))
                    .collect();
                Some(format!("{}/{ask}: {}", viewer.0, keys.join(" ")))
            }
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn only_who_may_write_on_a_call_looks_for_its_customer_and_with_a_text_of_some_length() {
    let mut office = office();
    for (viewer, text, asks) in [
        (1, "Le", true),
        (1, " L ", false),
        (1, "", false),
        (2, "Levi", false),
        (3, "Levi", true),
        (9, "Levi", false),
    ] {
        assert_eq!(office.looks_for(viewer, 1, text), asks, "{viewer} {text}");
    }
    assert_eq!(office.told(), ["1/1: ", "1/1: ", "2/1: "], "who is refused is answered");
    assert!(office.seen.is_empty());
}

#[test]
fn what_a_role_may_not_see_of_those_found_is_left_out_and_each_is_noted_once() {
    let mut office = office();
    for (ask, viewer, who) in [(1, 1, "ana"), (2, 1, "ana"), (3, 3, "sima")] {
        office.looks_for(viewer, ask, "Customer");
        let many: Vec<String> = (0..12).map(|n| format!("C{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        office.directories_find(seeker(viewer, who, ask), &many);
    }
    let told = office.told();
    assert_eq!(told[0], "1/1: C0 C1 C2 C3 C4 C5 C6 C7 C8", "nine at most, in order");
    assert!(told[2].starts_with("3/3: C0VIP C1VIP"), "{told:?}");
    let noted = |who: &str| office.seen.iter().filter(|seen| seen.agent.as_str() == who).count();
    assert_eq!((noted("ana"), noted("sima")), (9, 9));
}

#[test]
fn of_one_persons_questions_only_the_newest_counts() {
    let mut office = office();
    office.looks_for(1, 1, "Le");
    office.looks_for(1, 2, "Levi");
    office.directories_find(seeker(1, "ana", 1), &["C1"]);
    assert!(office.told().is_empty());
    office.directories_find(seeker(1, "ana", 2), &["C2"]);
    office.directories_find(seeker(1, "ana", 2), &["C3"]);
    office.looks_for(1, 3, "Levi");
    // The other desktop of the same person.
    office.looks_for(4, 1, "Levi");
    assert_eq!(office.told(), ["1/2: C2", "1/3: "], "nobody waits for ever");
}

#[test]
fn one_who_was_shown_may_be_chosen_and_is_known_the_next_time_the_number_calls() {
    let mut office = office();
    office.choose(1, 7, Some("C1"));
    assert!(office.kept.choices.is_empty(), "never a key that a desktop made up");
    office.looks_for(1, 1, "Levi");
    office.directories_find(seeker(1, "ana", 1), &["C1", "C2"]);
    office.choose(3, 7, Some("C1"));
    assert!(office.kept.choices.is_empty(), "nor what somebody else was shown");
    office.choose(1, 7, Some("C1"));
    office.choose(1, 7, Some("C2"));
    let who = |office: &Office, n| office.hub.board().calls[&call(n)].who.clone();
    assert!(
        matches!(who(&office, 7), Who::Several { customers, chosen: Some(key) }
        if key == id("C2") && customers.len() == 1),
        "a wrong choice leaves nobody behind"
    );
    assert!(
        office.asked.iter().any(|ask| matches!(ask, Ask::Cards { customer, .. } if customer.key == id("C2")))
    );

    office.arrives(8, NUMBER);
    office.found(8, NUMBER, Ok(Vec::new()));
    assert!(matches!(who(&office, 8), Who::Known { customer }
        if customer.key == id("C2") && customer.chosen_before && customer.matched == Match::Searched));
}
