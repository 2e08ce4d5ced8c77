//! The core told stories of what people write, of callers who were missed, and of looks back.

use pinkas_protocol::record::{LONGEST_NOTE, MOST_ENTRIES, Outcome, Refusal};
use pinkas_protocol::{Private, Written};

use super::*;

pub(super) fn outcomes() -> Vec<Outcome> {
    let outcome = |code, queues| Outcome { code: id(code), label: code.to_owned(), queues, required: false };
    vec![outcome("ordered", vec![]), outcome("sold", vec![id("Sales")])]
}

pub(super) fn note(text: &str) -> Written {
    Written::Note { text: Private(text.to_owned()) }
}

pub(super) fn outcome(code: &str) -> Written {
    Written::Outcome { code: id(code) }
}

pub(super) fn follow_up(text: &str) -> Written {
    Written::FollowUp { due: jiff::civil::date(2026, 12, 1), text: Private(text.to_owned()) }
}

impl Office {
    fn wishes(&mut self, viewer: u64, wish: Wish) -> Option<HubToAgent> {
        self.answers.clear();
        self.happens(Input::Record { viewer: ViewerId(viewer), wish });
        self.answers.pop().map(|(_, answer)| answer)
    }

    fn writes(&mut self, viewer: u64, n: u128, what: Written) -> Option<HubToAgent> {
        let id = Uuid::from_u128(1_000 + self.second as u128);
        self.wishes(viewer, Wish::Write { id, call: call(n), what })
    }

    /// Each row of missed calls on a board.
    fn missed(&self, viewer: u64) -> String {
        let rows = self.boards[&ViewerId(viewer)].missed.values().map(|row| {
            let handled = row.handled.as_ref().map(|by| format!(" by {}", by.name.as_deref().unwrap_or("?")));
            let customer = row.customer.as_ref().map(|customer| format!(" {}", customer.key));
            let (handled, customer) = (handled.unwrap_or_default(), customer.unwrap_or_default());
            format!("#{}x{}{customer}{handled}", row.id.0.as_u128(), row.count)
        });
        rows.collect::<Vec<_>>().join("; ")
    }
}

fn kept(answer: Option<HubToAgent>) -> bool {
    matches!(answer, Some(HubToAgent::Kept { .. }))
}

fn refused(answer: Option<HubToAgent>) -> Option<Refusal> {
    match answer {
        Some(HubToAgent::Refused { why, .. }) => Some(why),
        _ => None,
    }
}

#[test]
fn what_is_written_is_shown_to_all_who_see_the_call_and_written_once() {
    let mut office = ring_all();
    office.rings(7, "101");
    let wish = Wish::Write { id: Uuid::from_u128(1), call: call(7), what: note("two\r\nboxes\u{202E}") };
    assert!(kept(office.wishes(1, wish.clone())));
    assert!(kept(office.wishes(1, wish)), "a repetition is answered again");
    for viewer in [1, 3] {
        let entries = &office.boards[&ViewerId(viewer)].calls[&call(7)].entries;
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].name.as_str(), &entries[0].what), ("Ana", &note("two\nboxes")));
    }
    office.event(7, CallChange::Answered { line: id("101") });
    office.event(7, CallChange::Offered { line: id("102"), passed_on_by: Some(id("101")) });
    assert_eq!(
        office.boards[&ViewerId(2)].calls[&call(7)].entries.len(),
        1,
        "it is passed on with its notes"
    );
    let mut again = Office::open(office.kept);
    again.logs_in(2, "bob");
    assert_eq!(again.boards[&ViewerId(2)].calls[&call(7)].entries.len(), 1, "and outlives a restart");
}

#[test]
fn what_may_not_be_written_is_refused_with_its_reason() {
    let mut office = ring_all();
    office.rings(7, "101");
    let long = "x".repeat(LONGEST_NOTE + 1);
    for (viewer, n, what, why) in [
        (2, 7, note("x"), Refusal::NotYourCall),
        (1, 8, note("x"), Refusal::NotYourCall),
        (1, 7, note(&long), Refusal::TooLong),
        (1, 7, note(" \n\u{200B}"), Refusal::Empty),
        (1, 7, outcome("unheard-of"), Refusal::UnknownOutcome),
        (1, 7, outcome("sold"), Refusal::UnknownOutcome),
    ] {
        assert_eq!(refused(office.writes(viewer, n, what)), Some(why));
    }
    assert!(kept(office.writes(1, 7, outcome("ordered"))));
    assert!(office.boards[&ViewerId(2)].calls.is_empty(), "nobody else was told");
    for n in 1..MOST_ENTRIES {
        assert!(kept(office.writes(1, 7, note("x"))), "entry {n}");
    }
    assert_eq!(refused(office.writes(1, 7, note("x"))), Some(Refusal::Full));
}

#[test]
fn a_follow_up_is_its_writers_until_it_is_done() {
    let mut office = ring_all();
    office.rings(7, "101");
    assert!(kept(office.writes(1, 7, follow_up("send the offer"))));
    let open = |office: &mut Office, viewer| match office.wishes(viewer, Wish::FollowUps { ask: 5 }) {
        Some(HubToAgent::FollowUps { ask: 5, follow_ups }) => follow_ups,
        other => panic!("{other:?}"),
    };
    let mine = open(&mut office, 1);
    assert_eq!((mine.len(), open(&mut office, 2).len()), (1, 0));
    assert_eq!(mine[0].caller.number, read(NUMBER));
    let done = Wish::Done { id: Uuid::nil(), follow_up: mine[0].entry.id };
    assert_eq!(refused(office.wishes(2, done.clone())), Some(Refusal::NotYours));
    assert!(kept(office.wishes(1, done.clone())));
    assert!(kept(office.wishes(1, done)), "a repetition is answered again");
    assert!(open(&mut office, 1).is_empty() && office.kept.follow_ups.is_empty());
    assert!(office.boards[&ViewerId(1)].calls[&call(7)].entries[0].done.is_some());
}

#[test]
fn a_caller_who_was_missed_is_one_row_until_somebody_speaks_with_them() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    office.event(7, CallChange::Ended { how: EndedHow::Abandoned });
    assert_eq!([office.missed(1), office.missed(2), office.missed(3)], ["#7x1 C1", "", "#7x1 C1"]);
    office.arrives(8, NUMBER);
    office.rings(8, "102");
    office.event(8, CallChange::Ended { how: EndedHow::Unanswered });
    assert_eq!([office.missed(1), office.missed(2)], ["#7x2 C1", "#7x2 C1"]);
    // The directories may answer only after the caller has gone.
    office.arrives(9, "+48220000000");
    office.event(9, CallChange::Ended { how: EndedHow::Abandoned });
    office.found(9, "+48220000000", Ok(vec![customer("C2")]));
    assert_eq!([office.missed(1), office.missed(3)], ["#7x2 C1", "#7x2 C1; #9x1 C2"]);
    let handled = |row| Wish::Handled { id: Uuid::nil(), row: call(row) };
    assert_eq!(refused(office.wishes(1, handled(9))), Some(Refusal::NotYours), "it rang nowhere");
    assert!(kept(office.wishes(3, handled(9))));
    office.arrives(10, NUMBER);
    office.event(10, CallChange::Answered { line: id("103") });
    assert_eq!(office.missed(3), "#7x2 C1 by Bob; #9x1 C2 by Sima");
    office.event(10, CallChange::Ended { how: EndedHow::Completed });
    office.arrives(11, NUMBER);
    office.event(11, CallChange::Ended { how: EndedHow::Lost });
    assert_eq!(office.missed(3), "#7x2 C1 by Bob; #9x1 C2 by Sima", "answered or lost is not missed");
    office.arrives(12, NUMBER);
    office.event(12, CallChange::Ended { how: EndedHow::Abandoned });
    assert_eq!(office.missed(3), "#7x2 C1 by Bob; #9x1 C2 by Sima; #12x1", "a new row after that");
    let mut again = Office::open(office.kept);
    again.logs_in(3, "sima");
    assert_eq!(again.missed(3), "#7x2 C1 by Bob; #9x1 C2 by Sima; #12x1");
}

#[test]
fn withheld_callers_are_rows_of_their_own_and_there_are_only_so_many() {
    let mut office = ring_all();
    let most = super::super::MOST_MISSED as u128;
    for n in 100..100 + most + 3 {
        let caller = Caller { withheld: true, ..Caller::default() };
        office.event(n, CallChange::Arrived(CallFacts { caller, ..CallFacts::default() }));
        office.event(n, CallChange::Ended { how: EndedHow::Abandoned });
    }
    assert_eq!(office.boards[&ViewerId(3)].missed.len() as u128, most);
    assert_eq!(office.kept.missed.len() as u128, most, "the disk drops what the board drops");
}

#[test]
fn a_call_joined_with_another_brings_its_notes_and_its_customer() {
    let mut office = ring_all();
    office.rings(7, "101");
    let two = || Ok(vec![customer("C1"), customer("C2")]);
    office.found(7, NUMBER, two());
    office.happens(Input::Choose { viewer: ViewerId(1), call: call(7), customer: Some(id("C2")) });
    assert!(kept(office.writes(1, 7, note("about the crates"))));
    office.arrives(8, NUMBER);
    office.found(8, NUMBER, two());
    office.event(8, CallChange::Answered { line: id("102") });
    office.event(7, CallChange::Ended { how: EndedHow::Joined { into: call(8) } });
    let view = &office.boards[&ViewerId(2)].calls[&call(8)];
    assert_eq!(view.who.customer().map(|c| c.key.as_str()), Some("C2"));
    assert_eq!(view.entries.len(), 1);
}

#[test]
fn a_look_back_is_for_what_its_person_may_see() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.rings(7, "102");
    office.event(7, CallChange::Answered { line: id("102") });
    office.event(7, CallChange::Ended { how: EndedHow::Completed });
    for viewer in [1, 2, 3, 9] {
        let find = Some(Private(" a\u{202E}b ".to_owned()));
        office.wishes(viewer, Wish::History { ask: viewer, before: None, find });
    }
    let sights: Vec<&Scope> = office.looks.iter().map(|look| &look.scope).collect();
    let lines = |lines: &[&str]| Scope::Lines(lines.iter().map(|line| id(line)).collect());
    assert_eq!(
        sights,
        [&lines(&["101"]), &lines(&["102", "103"]), &Scope::Everything],
        "a stranger looks at nothing"
    );
    assert!(office.looks.iter().all(|look| look.find == Some(Private("ab".to_owned()))));
    let past = office.past[&call(7)].clone();
    let seen = |scope: &Scope| scope.of(past.clone()).map(|past| past.offers.len());
    assert_eq!(seen(&lines(&["101"])), Some(2), "one's own phone, and who answered");
    assert_eq!(seen(&lines(&["102"])), Some(1), "not the phone of another where it only rang");
    assert_eq!((seen(&lines(&["103"])), seen(&Scope::Everything)), (None, Some(2)));
}

#[test]
fn a_supervisor_of_a_team_looks_back_at_its_calls_and_an_admin_at_all() {
    let mut office = ring_all();
    office.logs_in(4, "tom");
    office.logs_in(5, "root");
    for (n, line) in [(7, "101"), (8, "102")] {
        office.arrives(n, ["+48220000007", "+48220000008"][n as usize - 7]);
        office.rings(n, line);
    }
    assert!(kept(office.writes(1, 7, follow_up("send the offer"))));
    assert!(kept(office.writes(2, 8, follow_up("call back"))));
    for n in [7, 8] {
        office.event(n, CallChange::Ended { how: EndedHow::Abandoned });
    }
    assert_eq!([office.missed(4), office.missed(5)], ["#8x1", "#7x1; #8x1"]);
    let handled = |row| Wish::Handled { id: Uuid::nil(), row: call(row) };
    assert_eq!(refused(office.wishes(4, handled(7))), Some(Refusal::NotYours));
    assert!(kept(office.wishes(4, handled(8))) && kept(office.wishes(5, handled(7))));
    for viewer in [4, 5] {
        office.wishes(viewer, Wish::History { ask: viewer, before: None, find: None });
    }
    let scopes: Vec<&Scope> = office.looks.iter().map(|look| &look.scope).collect();
    assert_eq!(scopes, [&Scope::Lines(["102", "103"].map(id).into()), &Scope::Everything]);
    let of =
        |who: &str| office.hub.follow_ups.values().find(|open| open.entry.by == id(who)).map(|o| o.entry.id);
    let (anas, bobs) = (of("ana").expect("open"), of("bob").expect("open"));
    let done = |follow_up| Wish::Done { id: Uuid::nil(), follow_up };
    assert_eq!(refused(office.wishes(4, done(anas))), Some(Refusal::NotYours), "not of the team");
    assert!(kept(office.wishes(4, done(bobs))) && kept(office.wishes(5, done(anas))));
}
