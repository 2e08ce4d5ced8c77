//! Who takes calls: what a person says, what ends with a desktop, and who is told.

use pinkas_protocol::{OwnState, PersonState, Reason};

use super::super::KeptPerson;
use super::*;

pub fn reasons() -> Vec<Reason> {
    [("lunch", None), ("stock", Some("Stocktaking"))]
        .map(|(code, label)| Reason { code: id(code), label: label.map(str::to_owned) })
        .into()
}

pub fn says(reason: &str) -> OwnState {
    match reason {
        "" => OwnState::Ready,
        reason => OwnState::NotReady { reason: id(reason) },
    }
}

impl Office {
    fn said(&mut self, viewer: u64, reason: &str) {
        self.happens(Input::OwnState { viewer: ViewerId(viewer), state: says(reason) });
    }

    fn wraps_up(&mut self, viewer: u64, n: Option<u128>) {
        self.happens(Input::WrapUp { viewer: ViewerId(viewer), call: n.map(call) });
    }

    /// `ana ready 1; bob lunch 5` as one desktop shows it: who, what, and since which second.
    fn people(&self, viewer: u64) -> String {
        let people = self.boards[&ViewerId(viewer)].people.iter().map(|(who, view)| {
            let state = match &view.state {
                PersonState::Ready => "ready",
                PersonState::NotReady { reason } => reason.as_str(),
                PersonState::WrapUp => "wrap-up",
                PersonState::Offline => "offline",
            };
            format!("{who} {state} {}", view.since.duration_since(at(0)).as_secs())
        });
        people.collect::<Vec<_>>().join("; ")
    }

    /// So many seconds in which nothing happens.
    fn passes(&mut self, seconds: i64) {
        self.second += seconds;
    }

    fn leaves(&mut self, viewer: u64) {
        self.happens(Input::AgentDown { viewer: ViewerId(viewer) });
        self.boards.remove(&ViewerId(viewer));
    }

    /// As after the hub was killed now and started anew.
    fn restarts(self) -> Office {
        let (second, sequence, mut kept) = (self.second, self.sequence, self.kept);
        kept.nobody_is_here(at(second));
        Office { second, sequence, ..Office::open(kept) }
    }
}

#[test]
fn a_person_says_of_themselves_and_their_own_desktops_and_who_oversees_them_see_it() {
    let mut office = Office::open(Kept::default());
    office.logs_in(1, "ana");
    office.logs_in(2, "bob");
    office.logs_in(3, "sima");
    office.logs_in(4, "tom");
    office.logs_in(5, "ana");
    office.said(1, "lunch");
    for (viewer, shown) in [
        (1, "ana lunch 6"),
        (5, "ana lunch 6"),
        (2, "bob ready 2"),
        // Of bob's team, and of no phone: a supervisor without one takes no calls.
        (4, "bob ready 2"),
        (3, "ana lunch 6; bob ready 2"),
    ] {
        assert_eq!(office.people(viewer), shown, "{viewer}");
    }
    office.said(5, "lunch");
    assert_eq!(office.people(1), "ana lunch 6", "said again it is the same since then");
    for (viewer, reason) in [(1, "dancing"), (9, "lunch"), (3, "lunch")] {
        office.said(viewer, reason);
    }
    assert_eq!(office.people(3), "ana lunch 6; bob ready 2", "no such reason, no such desktop, no phone");
    office.said(5, "");
    assert_eq!(office.people(1), "ana ready 11");
}

#[test]
fn a_person_is_offline_once_their_last_desktop_is_gone_and_finds_what_they_said_when_they_come_back() {
    let mut office = Office::open(Kept::default());
    office.logs_in(3, "sima");
    office.logs_in(1, "ana");
    office.logs_in(2, "ana");
    office.said(1, "lunch");
    office.leaves(1);
    assert_eq!(office.people(3), "ana lunch 4");
    office.leaves(2);
    office.happens(Input::AgentDown { viewer: ViewerId(2) });
    assert_eq!(office.people(3), "ana offline 6", "said twice it counts once");
    office.passes(3600);
    office.logs_in(1, "ana");
    assert_eq!(office.people(1), "ana lunch 4", "an hour later it still is the same lunch");
    office.said(1, "");
    office.leaves(1);
    office.logs_in(1, "ana");
    assert_eq!(office.people(3), "ana ready 3609", "a link that broke is no absence");
    office.leaves(1);
    office.passes(600);
    office.logs_in(1, "ana");
    assert_eq!(office.people(3), "ana ready 4213", "who was away is ready only from now on");
    office.said(1, "stock");
    office.leaves(1);
    office.passes(5 * 3600);
    office.logs_in(1, "ana");
    assert_eq!(office.people(3), "ana ready 22216", "the next shift begins anew");
}

#[test]
fn what_was_said_outlives_a_restart_of_the_hub_and_nobody_is_online_before_they_are_back() {
    let mut office = Office::open(Kept::default());
    office.logs_in(1, "ana");
    office.logs_in(2, "bob");
    office.said(1, "lunch");
    office.passes(50);
    let mut again = office.restarts();
    again.logs_in(3, "sima");
    assert_eq!(again.people(3), "ana offline 53; bob offline 53");
    again.logs_in(1, "ana");
    again.logs_in(2, "bob");
    assert_eq!(again.people(3), "ana lunch 3; bob ready 2");
    again.passes(20 * 3600);
    let mut later = again.restarts();
    later.logs_in(1, "ana");
    assert_eq!(later.people(1), "ana ready 72057", "no lunch lasts until the next day");
}

#[test]
fn wrap_up_is_a_state_of_its_own_until_it_is_finished_or_its_desktop_is_gone() {
    let mut office = Office::open(Kept::default());
    office.logs_in(1, "ana");
    office.logs_in(5, "ana");
    office.arrives(7, NUMBER);
    office.rings(7, "101");
    office.wraps_up(1, Some(7));
    office.wraps_up(1, Some(8));
    assert_eq!(office.people(1), "ana ready 1", "only after a call that was answered here");
    office.event(7, CallChange::Answered { line: id("101") });
    office.event(7, CallChange::Ended { how: EndedHow::Completed });
    office.wraps_up(1, Some(7));
    office.wraps_up(5, Some(7));
    assert_eq!(office.people(5), "ana wrap-up 9");
    office.wraps_up(1, None);
    assert_eq!(office.people(5), "ana wrap-up 9", "the other window has not finished");
    office.wraps_up(5, None);
    assert_eq!(office.people(5), "ana ready 12", "who was busy until now is ready only since now");
    office.wraps_up(1, Some(7));
    office.said(5, "lunch");
    assert_eq!(office.people(1), "ana lunch 14", "a word outweighs what is left to do");
    office.wraps_up(1, None);
    office.said(5, "");
    office.wraps_up(1, Some(7));
    office.leaves(1);
    assert_eq!(office.people(5), "ana ready 18");
    office.wraps_up(5, Some(7));
    office.said(5, "");
    assert_eq!(office.people(5), "ana ready 20", "ready is ready, whatever is left to do");
}

#[test]
fn whose_phone_is_taken_is_followed_no_more_and_a_new_name_is_told() {
    let mut office = Office::open(Kept::default());
    office.logs_in(3, "sima");
    office.logs_in(2, "bob");
    office.logs_in(4, "tom");
    let agent = |name: &str, lines: &[&str], role, teams: &[&str]| Agent {
        name: name.to_owned(),
        lines: lines.iter().map(|line| id(line)).collect(),
        role,
        teams: teams.iter().map(|team| id(team)).collect(),
    };
    let people = |bob: Agent| {
        let tom = agent("Tom", &[], Role::Supervisor, &["sales"]);
        let sima = agent("Sima", &[], Role::Supervisor, &[]);
        Input::Staff(Staff::new(vec![(id("bob"), bob), (id("sima"), sima), (id("tom"), tom)]))
    };
    office.happens(people(agent("Robert", &["102"], Role::Agent, &[])));
    assert_eq!(office.people(3), "bob ready 2");
    assert_eq!(office.boards[&ViewerId(3)].people["bob"].name, "Robert");
    assert_eq!(office.people(4), "", "he left the team");
    office.happens(people(agent("Robert", &[], Role::Agent, &[])));
    assert_eq!((office.people(3), office.people(2)), (String::new(), String::new()));
    assert!(office.kept.people.is_empty());
    office.happens(people(agent("Robert", &["103"], Role::Agent, &["sales"])));
    assert_eq!((office.people(3), office.people(4)), ("bob ready 6".to_owned(), "bob ready 6".to_owned()));
}

#[test]
fn who_is_nobody_any_more_is_forgotten_at_the_start() {
    let gone = KeptPerson { said: says("lunch"), since: at(1), gone: None };
    let kept = Kept { people: [(id("zoe"), gone.clone()), (id("ana"), gone)].into(), ..Kept::default() };
    let office = Office::open(kept);
    assert_eq!(office.kept.people.keys().map(|who| who.as_str()).collect::<Vec<_>>(), ["ana"]);
}
