//! One rule a test: facts that come later, queues, holds, calls passed on, pauses.

use pinkas_protocol::board::Waiting;
use pinkas_protocol::{Pause, PauseEvent};

use super::*;
use crate::core::KeptLine;

const OTHER: &str = "+48220000000";

fn waits(queue: &str, position: u32) -> CallChange {
    CallChange::Waits { queue: id(queue), position }
}

fn left(line: &str, moved_to: Option<&str>) -> CallChange {
    CallChange::Left { line: id(line), moved_to: moved_to.map(id) }
}

fn passed_on(line: &str, by: &str) -> CallChange {
    CallChange::Offered { line: id(line), passed_on_by: Some(id(by)) }
}

fn answered(line: &str) -> CallChange {
    CallChange::Answered { line: id(line) }
}

fn paused(line: &str, queue: &str, reason: Option<&str>) -> Event {
    let pause = reason.map(|reason| Pause { reason: Some(reason.to_owned()) });
    Event::Pause(PauseEvent { line: id(line), queue: id(queue), heard_at: at(100), pause })
}

impl Office {
    fn view(&self, viewer: u64, n: u128) -> &pinkas_protocol::CallView {
        &self.boards[&ViewerId(viewer)].calls[&call(n)]
    }

    fn offer(&self, viewer: u64, n: u128, line: &str) -> &OfferState {
        &self.view(viewer, n).offers[&id::<Line>(line)].state
    }

    /// What is kept and told about an event that says again what is so; it must be marked as repeated.
    fn says_again(&mut self, event: Event) {
        let before = self.hub.board().clone();
        let mut out = Outputs::default();
        self.sequence += 1;
        let sequence = self.sequence;
        let input = Input::Event { adapter: adapter(), outbox: Uuid::nil(), sequence, event: event.clone() };
        self.hub.handle(at(999), input, &mut out);
        let marked = |keep: &Keep| match keep {
            Keep::Noted { repeated, .. } => *repeated,
            // The call as it stands may be written again, and why it does not pop any more.
            Keep::Call { .. } | Keep::Step { .. } => true,
            _ => false,
        };
        assert!(
            out.tell.is_empty() && out.ask.is_empty() && out.keep.iter().all(marked),
            "{event:?}: {out:?}"
        );
        assert_eq!(self.hub.board(), &before, "{event:?}");
    }
}

#[test]
fn another_number_is_asked_about_and_what_was_found_for_the_old_one_is_dropped() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    assert_eq!(office.shown(1), "#7 rings [101] C1 2 cards");
    office.event(7, CallChange::Known(facts(OTHER)));
    assert_eq!(office.shown(1), "#7 rings [101] asking 0 cards");
    assert!(matches!(office.asked.last(), Some(Ask::Who { brought, .. }) if brought.number == read(OTHER)));
    // What comes late about the old number is nobody's business any more.
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    assert_eq!(office.shown(1), "#7 rings [101] asking 0 cards");
    office.found(7, OTHER, Ok(vec![customer("C1")]));
    let card =
        |ms| Card::new(id("books"), Gives::Balance, Some(id("C1")), CardState::Nothing { took_ms: ms });
    office.lands(7, NUMBER, card(1));
    assert_eq!(office.view(1, 7).cards[0].state, CardState::Waiting, "asked with the old number");
    office.lands(7, OTHER, card(2));
    assert_eq!(office.view(1, 7).cards[0], card(2));
}

#[test]
fn a_number_that_turns_out_to_be_withheld_is_forgotten_with_its_customer() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    let asked = office.asked.len();
    let caller = Caller { withheld: true, ..Caller::default() };
    office.event(7, CallChange::Known(CallFacts { caller, ..CallFacts::default() }));
    assert_eq!(office.shown(1), "#7 rings [101] no number 0 cards");
    assert!(office.view(1, 7).facts.caller.number.is_none());
    assert_eq!(office.asked.len(), asked, "nobody is looked up");
}

#[test]
fn more_facts_about_the_same_number_ask_nobody_again() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.found(7, NUMBER, Ok(vec![customer("C1"), customer("C2")]));
    office.choose(1, 7, Some("C2"));
    let asked = office.asked.len();
    let known = CallFacts { queue: Some(id("Support")), dialled: read("+48221112233"), ..facts(NUMBER) };
    office.event(7, CallChange::Known(known.clone()));
    assert_eq!(office.view(1, 7).facts, known);
    assert_eq!(office.shown(1), "#7 rings [101] C1|C2 chosen C2 2 cards");
    assert_eq!(office.asked.len(), asked);
}

#[test]
fn a_caller_known_before_any_phone_rings_has_its_cards_at_the_first_ring() {
    let mut office = ring_all();
    office.event(8, CallChange::Known(facts(OTHER)));
    office.event(8, waits("Support", 2));
    assert_eq!(office.shown(1), "", "no phone of Ana's rings");
    office.found(8, OTHER, Ok(vec![customer("C1")]));
    office.rings(8, "101");
    assert_eq!(office.shown(1), "#8 rings [101] C1 2 cards");
}

#[test]
fn an_arrival_said_again_does_not_undo_what_is_known_by_now() {
    let mut office = ring_all();
    let known = CallFacts { queue: Some(id("Support")), ..facts(OTHER) };
    office.event(7, CallChange::Known(known.clone()));
    office.says_again(Event::Call(CallEvent {
        call: call(7),
        heard_at: at(99),
        change: CallChange::Arrived(facts(NUMBER)),
    }));
    // A call first heard of by its ring has no facts that could be undone.
    office.rings(9, "102");
    assert_eq!(office.shown(2), "#9 rings [102] no number 0 cards");
    office.arrives(9, NUMBER);
    assert_eq!(office.shown(2), "#9 rings [102] asking 0 cards");
}

#[test]
fn a_place_in_a_queue_keeps_its_beginning_until_someone_answers() {
    let mut office = ring_all();
    office.event(7, waits("Support", 3));
    let since = office.view(3, 7).waits.as_ref().expect("it waits").since;
    office.event(7, waits("Support", 1));
    let waiting = Waiting { queue: id("Support"), position: 1, since };
    assert_eq!(office.view(3, 7).waits, Some(waiting.clone()));
    office.rings(7, "101");
    assert_eq!(office.view(1, 7).waits, Some(waiting), "whose phone rings may know");
    office.event(7, waits("Sales", 4));
    assert!(office.view(3, 7).waits.as_ref().expect("it waits").since > since, "another queue begins anew");
    office.event(7, answered("101"));
    assert_eq!([office.view(1, 7), office.view(3, 7)].map(|view| &view.waits), [&None, &None]);
    office.event(7, waits("Support", 1));
    assert_eq!(office.view(3, 7).waits, None, "who talks does not wait");
    office.event(7, left("101", None));
    office.event(7, waits("Support", 1));
    assert!(office.view(3, 7).waits.is_some(), "put back into the queue");
    office.event(7, CallChange::Ended { how: EndedHow::Abandoned });
    assert_eq!(office.view(3, 7).waits, None);
}

#[test]
fn a_hold_has_its_beginning_and_its_end() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.event(7, CallChange::Held { line: id("101") });
    assert_eq!(office.offer(1, 7, "101"), &OfferState::Ringing, "what was not answered cannot be held");
    office.event(7, answered("101"));
    let OfferState::Answered { at: answered_at, .. } = *office.offer(1, 7, "101") else { panic!("answered") };
    office.event(7, CallChange::Held { line: id("101") });
    let OfferState::Answered { at, held: Some(held) } = *office.offer(3, 7, "101") else { panic!("held") };
    assert!(at == answered_at && held > at);
    office.event(7, CallChange::Resumed { line: id("101") });
    assert_eq!(office.offer(1, 7, "101"), &OfferState::Answered { at, held: None });
}

#[test]
fn a_call_that_is_passed_on_brings_customer_and_cards_along_and_stays_in_the_first_ones_history() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.event(7, answered("101"));
    office.found(7, NUMBER, Ok(vec![customer("C1"), customer("C2")]));
    office.choose(1, 7, Some("C2"));
    let note = Card::new(id("books"), Gives::Balance, Some(id("C2")), CardState::Nothing { took_ms: 4 });
    office.lands(7, NUMBER, note.clone());
    office.event(7, passed_on("102", "101"));
    assert_eq!(office.shown(2), "#7 talks 101 C1|C2 chosen C2 2 cards");
    assert_eq!(office.view(2, 7).cards[0], note);
    assert_eq!(office.view(2, 7).offers[&id::<Line>("102")].passed_on_by, Some(id("101")));
    assert_eq!(
        office.offer(1, 7, "102"),
        &OfferState::Ringing,
        "Ana sees what becomes of what she passed on"
    );
    office.event(7, left("101", Some("102")));
    assert_eq!(office.shown(2), "#7 rings [102] C1|C2 chosen C2 2 cards");
    office.event(7, answered("102"));
    for viewer in [1, 2, 3] {
        assert_eq!(office.shown(viewer), "#7 talks 102 C1|C2 chosen C2 2 cards", "{viewer}");
        let state = office.offer(viewer, 7, "101");
        assert!(
            matches!(state, OfferState::Left { moved_to: Some(to), .. } if to.as_str() == "102"),
            "{state:?}"
        );
    }
    office.event(7, CallChange::Ended { how: EndedHow::Completed });
    assert_eq!(office.shown(1), "#7 Completed C1|C2 chosen C2 2 cards");
}

#[test]
fn a_colleagues_ring_is_hidden_again_when_it_is_no_longer_mine_to_see() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.event(7, answered("101"));
    office.event(7, passed_on("102", "101"));
    office.event(7, CallChange::Withdrawn { line: id("102"), why: Withdrawal::Declined });
    assert!(matches!(office.offer(1, 7, "102"), OfferState::Withdrawn { why: Withdrawal::Declined, .. }));
    office.rings(7, "102");
    assert!(!office.view(1, 7).offers.contains_key(&id::<Line>("102")), "not passed on by Ana this time");
    office.event(7, answered("102"));
    assert!(matches!(office.offer(1, 7, "102"), OfferState::Answered { .. }), "who took it is told to all");
}

#[test]
fn after_an_attended_transfer_the_third_phone_has_the_callers_call_and_not_the_consultation() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.event(7, answered("101"));
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    office.event(7, CallChange::Held { line: id("101") });
    office.arrives(8, "101");
    office.rings(8, "102");
    office.event(8, answered("102"));
    assert_eq!(office.shown(2), "#8 talks 102 asking 0 cards", "Ana asks Bob first");
    office.event(8, CallChange::Ended { how: EndedHow::Joined { into: call(7) } });
    office.event(7, passed_on("102", "101"));
    office.event(7, answered("102"));
    office.event(7, left("101", Some("102")));
    assert_eq!(
        office.shown(2),
        format!("#7 talks 102 C1 2 cards; #8 {:?} asking 0 cards", EndedHow::Joined { into: call(7) })
            .replace(')', "")
    );
    assert_eq!(office.shown(1), "#7 talks 102 C1 2 cards");
}

#[test]
fn a_call_picked_up_where_it_never_rang_is_shown_there() {
    let mut office = ring_all();
    office.rings(7, "101");
    office.event(7, answered("102"));
    assert_eq!(office.shown(2), "#7 talks 102 asking 0 cards");
    assert_eq!(office.shown(1), "#7 talks 102 asking 0 cards");
}

#[test]
fn why_a_phone_stopped_ringing_may_be_known_better_later_and_when_it_did_stays() {
    let mut office = ring_all();
    office.rings(7, "101");
    let stopped = |why| CallChange::Withdrawn { line: id("101"), why };
    office.event(7, stopped(Withdrawal::StoppedRinging));
    let OfferState::Withdrawn { at, .. } = *office.offer(1, 7, "101") else { panic!("withdrawn") };
    office.event(7, stopped(Withdrawal::NoAnswer));
    assert_eq!(office.offer(1, 7, "101"), &OfferState::Withdrawn { at, why: Withdrawal::NoAnswer });
}

#[test]
fn pauses_are_told_to_supervisors_and_their_own_phone_and_outlive_a_restart() {
    let mut office = ring_all();
    office.says(paused("101", "Support", Some("lunch")));
    office.says(Event::Line(LineEvent { line: id("101"), heard_at: at(200), state: LineState::Idle }));
    office.says(paused("101", "Sales", None));
    let pauses = |office: &Office, viewer: u64| {
        let line = office.boards[&ViewerId(viewer)].lines.get(&id::<Line>("101"));
        line.map(|view| {
            view.pauses.iter().map(|(queue, p)| format!("{queue} {:?}", p.pause.reason)).collect()
        })
    };
    let lunch = Some(vec!["Support Some(\"lunch\")".to_owned()]);
    assert_eq!(pauses(&office, 1), lunch);
    assert_eq!(pauses(&office, 2), None);
    assert_eq!(pauses(&office, 3), lunch);
    let mut again = Office::open(office.kept);
    again.logs_in(3, "sima");
    assert_eq!(pauses(&again, 3), lunch);
    again.sequence = 100;
    again.says(paused("101", "Support", None));
    assert_eq!(pauses(&again, 3), Some(vec![]));
}

#[test]
fn a_line_taken_out_of_its_adapters_file_is_shown_no_more() {
    let mut office = ring_all();
    let idle = |line| Event::Line(LineEvent { line: id(line), heard_at: at(1), state: LineState::Idle });
    for line in ["101", "102", "103"] {
        office.says(idle(line));
    }
    let lines = |office: &Office, viewer: u64| -> Vec<String> {
        office.boards[&ViewerId(viewer)].lines.keys().map(|line| line.to_string()).collect()
    };
    let listed = |of: &str, some: &[&str], last| Input::Lines {
        adapter: id(of),
        lines: some.iter().map(|line| id(line)).collect(),
        last,
    };
    office.happens(listed("other", &["900"], true));
    office.happens(listed("main", &["101"], false));
    assert_eq!(
        lines(&office, 3),
        ["101", "102", "103"],
        "another adapter's list, and half a list, take out none"
    );
    office.happens(listed("main", &["103"], true));
    assert_eq!([lines(&office, 3), lines(&office, 2)], [vec!["101", "103"], vec!["103"]]);
    let mut again = Office::open(office.kept);
    again.logs_in(3, "sima");
    assert_eq!(lines(&again, 3), ["101", "103"]);
    again.happens(listed("main", &["101"], true));
    assert_eq!(lines(&again, 3), ["101"], "whose line it is outlives a restart");
}

#[test]
fn a_line_that_an_older_hub_kept_is_read_and_belongs_to_whoever_lists_it() {
    let old = r#"{"agent":"Ana","state":"idle","since":"2026-11-22T09:30:00Z"}"#;
    let kept: KeptLine = pinkas_protocol::wire::decode(old).expect("an old record");
    let mut office = Office::open(Kept { lines: [(id("101"), kept)].into(), ..Kept::default() });
    for lines in [vec![id("101")], vec![]] {
        let left = lines.len();
        office.happens(Input::Lines { adapter: adapter(), lines, last: true });
        assert_eq!(office.hub.board().lines.len(), left);
    }
}

#[test]
fn whatever_is_so_already_is_marked_as_said_again() {
    let mut office = ring_all();
    office.event(7, waits("Support", 1));
    let call_event = |n, change| Event::Call(CallEvent { call: call(n), heard_at: at(500), change });
    office.says_again(call_event(7, CallChange::Known(facts(NUMBER))));
    office.says_again(call_event(7, waits("Support", 1)));
    office.event(7, passed_on("101", "102"));
    office.says_again(call_event(7, passed_on("101", "102")));
    office.says_again(call_event(7, CallChange::Offered { line: id("101"), passed_on_by: None }));
    office.event(7, answered("101"));
    office.event(7, CallChange::Held { line: id("101") });
    for change in [answered("101"), CallChange::Held { line: id("101") }, passed_on("101", "102")] {
        office.says_again(call_event(7, change));
    }
    office.event(7, CallChange::Resumed { line: id("101") });
    office.says_again(call_event(7, CallChange::Resumed { line: id("101") }));
    office.event(7, left("101", Some("102")));
    office.says_again(call_event(7, left("101", Some("102"))));
    office.says_again(call_event(7, left("101", None)));
    office.rings(7, "103");
    office.event(7, CallChange::Withdrawn { line: id("103"), why: Withdrawal::NoAnswer });
    office.says_again(call_event(7, CallChange::Withdrawn { line: id("103"), why: Withdrawal::NoAnswer }));
    office.event(7, CallChange::Ended { how: EndedHow::Unanswered });
    for change in [CallChange::Known(facts(OTHER)), waits("Sales", 9), left("102", None), answered("103")] {
        office.says_again(call_event(7, change));
    }
    office.says_again(paused("101", "Support", None));
    office.says(paused("101", "Support", Some("lunch")));
    office.says_again(paused("101", "Support", Some("lunch")));
}
