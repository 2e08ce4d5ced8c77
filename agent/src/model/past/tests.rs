//! Paging against a list: whatever is scrolled to is what the record holds there, each call once, and what is
//! held stays small.

use pinkas_protocol::EndedHow;
use pinkas_protocol::record::PAGE;

use super::*;
use crate::sample::{self, at, call};

fn past(n: u128) -> PastCall {
    let mut view = sample::arrived(call(n), "7001", None, pinkas_protocol::Who::NoNumber, at(0));
    view.ended = Some(pinkas_protocol::board::Ended { at: at(9), how: EndedHow::Abandoned });
    PastCall::of(&view).expect("an ended call")
}

/// A hub that remembers calls `0..count`, and of a page gives at most `gives` calls.
struct Hub {
    count: u128,
    gives: usize,
    searched: Searched,
    asked: usize,
}

impl Hub {
    fn of(count: u128) -> Hub {
        Hub { count, gives: PAGE, searched: Searched::Fully, asked: 0 }
    }

    fn answer(&mut self, past: &mut Past, says: &AgentSays, on_board: impl Fn(CallId) -> bool) {
        let AgentSays::History { ask, before, .. } = says else { return };
        self.asked += 1;
        let older = (0..self.count).rev().map(call).filter(|id| before.is_none_or(|before| *id < before));
        let calls: Vec<PastCall> =
            older.take(self.gives).map(|id| PastCall { id, ..super::tests::past(0) }).collect();
        let more = calls.last().map(|last| last.id).filter(|last| *last > call(0));
        let page = Page { calls, more, back_to: more.map(|_| at(-60)), searched: self.searched };
        past.page_is(*ask, page, on_board);
    }

    /// Looks at these rows until nothing more is asked; what is there then.
    fn look(&mut self, past: &mut Past, rows: std::ops::Range<usize>) -> Vec<CallId> {
        for _ in 0..2 * rows.len() + 8 {
            for place in rows.clone() {
                if let Some(PastRow::OfPage(page) | PastRow::Next(page)) = past.row(place) {
                    past.want(page);
                }
            }
            let Some(says) = past.next_told() else { break };
            self.answer(past, &says, |_| false);
        }
        let shown = rows.filter_map(|place| match past.row(place) {
            Some(PastRow::Call(call)) => Some(call.id),
            _ => None,
        });
        shown.collect()
    }
}

fn expected(count: u128, rows: std::ops::Range<usize>) -> Vec<CallId> {
    (0..count).rev().skip(rows.start).take(rows.len()).map(call).collect()
}

#[test]
fn the_list_asks_at_its_end_and_ends_where_the_record_does() {
    let (mut past, mut hub) = (Past::default(), Hub::of(120));
    assert_eq!((past.len(), past.tail()), (1, Tail::Asking));
    assert_eq!(past.next_told(), None, "nobody looks");
    assert_eq!(hub.look(&mut past, 0..20), expected(120, 0..20));
    assert_eq!((past.len(), hub.asked), (51, 1));
    assert_eq!(hub.look(&mut past, 40..60), expected(120, 40..60));
    assert_eq!(hub.look(&mut past, 90..140), expected(120, 90..140));
    assert_eq!((past.len(), past.tail()), (120, Tail::End));
}

#[test]
fn a_hundred_thousand_calls_are_scrolled_there_and_back_in_the_memory_of_a_few_pages() {
    let (mut past, mut hub) = (Past::default(), Hub::of(20_000));
    let mut end = 0;
    while past.tail() != Tail::End {
        end = past.len();
        hub.look(&mut past, end.saturating_sub(20)..end);
        let held = past.pages.iter().filter(|page| page.calls.is_some()).count();
        assert!(held <= MOST_HELD, "{held}");
    }
    assert_eq!((past.len(), past.pages.len()), (20_000, 400));
    assert!(end >= 19_950);
    assert!(matches!(past.row(10), Some(PastRow::OfPage(0))));
    for place in [10, 9_995, 19_960, 0] {
        assert_eq!(hub.look(&mut past, place..place + 40), expected(20_000, place..place + 40));
        assert_eq!(past.len(), 20_000, "nothing moves");
    }
}

#[test]
fn a_search_that_stopped_says_so_and_goes_on_only_when_it_is_asked_to() {
    let (mut past, mut hub) = (Past::default(), Hub::of(30));
    past.find(" levi ");
    assert_eq!(past.found_by(), Some(&Private("levi".to_owned())));
    (hub.gives, hub.searched) = (3, Searched::Partly);
    assert_eq!(hub.look(&mut past, 0..20), expected(30, 0..3));
    assert_eq!((past.tail(), hub.asked), (Tail::Stopped(Some(at(-60))), 1));
    past.go_on();
    assert_eq!(hub.look(&mut past, 0..20), expected(30, 0..6));
    hub.searched = Searched::Busy;
    past.go_on();
    assert_eq!(hub.look(&mut past, 0..20), expected(30, 0..6));
    assert_eq!(past.tail(), Tail::Busy);
    (hub.gives, hub.searched) = (PAGE, Searched::Fully);
    past.go_on();
    assert_eq!(hub.look(&mut past, 0..40), expected(30, 0..30));
    assert_eq!(past.tail(), Tail::End);
}

#[test]
fn what_stands_on_the_board_is_no_row_and_what_falls_off_it_becomes_one() {
    let (mut past, mut hub) = (Past::default(), Hub::of(60));
    past.want(0);
    let says = past.next_told().expect("a question");
    hub.answer(&mut past, &says, |id| id >= call(50));
    assert!(matches!(past.row(0), Some(PastRow::Call(first)) if first.id == call(49)));
    for n in [50, 51, 50] {
        past.fell(super::tests::past(n));
    }
    let first: Vec<CallId> = (0..3)
        .filter_map(|place| match past.row(place) {
            Some(PastRow::Call(call)) => Some(call.id),
            _ => None,
        })
        .collect();
    assert_eq!(first, [call(51), call(50), call(49)]);
}

#[test]
fn an_answer_to_an_old_question_is_not_taken() {
    let mut past = Past::default();
    past.want(0);
    let says = past.next_told().expect("a question");
    past.find("levi");
    Hub::of(9).answer(&mut past, &says, |_| false);
    assert_eq!(past.len(), 1);
    past.want(0);
    assert!(matches!(past.next_told(), Some(AgentSays::History { find: Some(_), before: None, .. })));
    past.connected();
    assert!(matches!(past.next_told(), Some(AgentSays::FollowUps { .. })));
    assert_eq!(past.next_told(), None, "nobody has looked since");
}

#[test]
fn one_call_is_looked_up_by_its_id_or_is_said_not_to_be_there() {
    let (mut past, mut hub) = (Past::default(), Hub::of(20));
    for (n, there) in [(7, true), (19, true), (25, false)] {
        past.open(call(n));
        assert_eq!(past.opened(call(n)), Some(&Looked::Asking));
        let says = past.next_told().expect("a question");
        hub.answer(&mut past, &says, |_| false);
        match past.opened(call(n)) {
            Some(Looked::Found(found)) => assert!(there && found.id == call(n)),
            other => assert!(!there && other == Some(&Looked::NotThere)),
        }
    }
}

#[test]
fn follow_ups_are_asked_for_again_after_each_change_and_only_the_last_answer_counts() {
    let mut past = Past::default();
    past.connected();
    let Some(AgentSays::FollowUps { ask }) = past.next_told() else { panic!("a question") };
    past.follow_ups_changed();
    assert_eq!(past.next_told(), None, "one question at a time");
    past.follow_ups_are(ask + 1, Vec::new());
    assert_eq!(past.follow_ups(), None);
    past.follow_ups_are(ask, Vec::new());
    assert_eq!(past.follow_ups(), Some(&[][..]));
    assert!(matches!(past.next_told(), Some(AgentSays::FollowUps { .. })));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_scrolled_to_is_what_the_record_holds_there(
        count in 0_u128..800,
        steps in proptest::collection::vec((0_usize..800, 1_usize..60, 2_usize..PAGE), 1..12),
    ) {
        let (mut past, mut hub) = (Past::default(), Hub::of(count));
        for (place, rows, gives) in steps {
            hub.gives = gives;
            // Nobody scrolls past the end of what is known.
            let place = place.min(past.len().saturating_sub(1));
            let shown = hub.look(&mut past, place..place + rows);
            // Everything before is known by now, so the place of a row is its place in the record.
            proptest::prop_assert_eq!(shown, expected(count, place..place + rows));
            let mut last = None;
            for place in 0..past.len() {
                if let Some(PastRow::Call(call)) = past.row(place) {
                    proptest::prop_assert!(last.is_none_or(|last| call.id < last), "in order, each once");
                    last = Some(call.id);
                }
            }
            let held = past.pages.iter().filter(|page| page.calls.is_some()).count();
            proptest::prop_assert!(held <= MOST_HELD);
        }
    }
}
