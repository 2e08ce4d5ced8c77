//! The rules by which a call pops, fades and goes, one test for each.

use jiff::tz::TimeZone;
use pinkas_link::Ended as LinkEnded;
use pinkas_protocol::{Board, Update};

use super::*;
use crate::sample::{self, at, call};
use crate::views::history;
use crate::views::popup::{Mood, PopupData};

fn connected() -> Model {
    let mut model = Model::new(TimeZone::UTC);
    model.apply(sample::welcome(0, Board::default()));
    model
}

fn told(model: &mut Model, seconds: i64, update: Update) {
    model.apply(sample::update(seconds, update));
}

/// Which calls wait below the card.
fn banners(model: &Model, seconds: i64) -> Vec<CallId> {
    let card = PopupData::now(model, at(seconds));
    card.map_or(Vec::new(), |card| card.banners.iter().map(|banner| banner.call).collect())
}

/// The status line of the card on the screen.
fn status(model: &Model, seconds: i64) -> String {
    PopupData::now(model, at(seconds)).map_or_else(|| "nothing".to_owned(), |data| data.status)
}

fn shown(model: &Model, seconds: i64) -> Option<CallId> {
    model.pop(at(seconds)).map(|pop| pop.view.id)
}

#[test]
fn a_call_pops_while_it_rings_at_one_of_my_lines() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "102"));
    assert_eq!(status(&model, 1), "nothing");
    told(&mut model, 2, sample::rings(call(2), "101"));
    assert_eq!(status(&model, 4), "Ringing on 101 · Support");
}

#[test]
fn a_withdrawn_call_says_why_for_four_seconds_and_goes_by_itself() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered_at(call(1), "102", Some("Ana"), at(2)));
    told(&mut model, 2, sample::withdrawn(call(1), "101", Some("102")));
    assert_eq!(status(&model, 3), "Answered by Ana on 102");
    assert_eq!(PopupData::now(&model, at(3)).map(|data| data.mood), Some(Mood::Fading));
    assert_eq!(model.fades_at(at(3)), Some(at(6)));
    assert_eq!(status(&model, 6), "nothing");
    assert_eq!(model.fades_at(at(6)), None);
}

#[test]
fn without_a_name_the_line_that_answered_is_told() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::withdrawn(call(1), "101", Some("102")));
    assert_eq!(status(&model, 3), "Answered on 102");
}

#[test]
fn a_caller_who_hangs_up_is_told_as_such() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::ended_at(call(1), pinkas_protocol::EndedHow::Abandoned, at(2)));
    assert_eq!(status(&model, 3), "The caller hung up");
    assert_eq!(status(&model, 7), "nothing");
}

#[test]
fn an_answered_call_stays_after_its_end_until_it_is_closed() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered(call(1), "101"));
    assert_eq!(status(&model, 60), "Talking on 101 · Support");
    told(&mut model, 194, sample::ended(call(1), 194));
    assert_eq!(status(&model, 500), "Ended after 3:12");
    model.close(call(1));
    assert_eq!(status(&model, 500), "nothing");
}

#[test]
fn a_finished_card_gives_way_to_a_new_call_for_good() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered(call(1), "101"));
    told(&mut model, 3, sample::ended(call(1), 3));
    told(&mut model, 4, sample::rings(call(2), "101"));
    assert_eq!(shown(&model, 4), Some(call(2)));
    told(&mut model, 5, sample::withdrawn(call(2), "101", None));
    assert_eq!(shown(&model, 20), None);
}

#[test]
fn a_talk_that_goes_on_keeps_its_card_while_a_second_call_rings() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered(call(1), "101"));
    told(&mut model, 3, sample::rings(call(2), "101"));
    assert_eq!(shown(&model, 3), Some(call(1)));
    assert_eq!(banners(&model, 3), [call(2)]);
    model.open(call(2));
    assert_eq!(shown(&model, 4), Some(call(2)), "asked for, it is shown");
    told(&mut model, 5, sample::withdrawn(call(2), "101", None));
    assert_eq!(shown(&model, 20), Some(call(1)));
    assert!(banners(&model, 20).is_empty());
}

#[test]
fn the_first_call_that_rings_keeps_the_card_and_the_others_wait_below_it() {
    let mut model = connected();
    for n in 1..=9 {
        told(&mut model, n, sample::rings(call(n.unsigned_abs().into()), "101"));
    }
    let card = PopupData::now(&model, at(9)).expect("a card");
    assert_eq!(card.call, call(1));
    assert_eq!(card.banners.len(), 5);
    assert_eq!(card.banners[0].text, "Zofia Wiśniewska · 7001");
    assert_eq!(card.more.as_deref(), Some("3 more ring"));
    model.close(call(1));
    assert_eq!(shown(&model, 9), Some(call(2)));
}

#[test]
fn a_closed_call_that_stops_ringing_shows_nothing() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    model.close(call(1));
    told(&mut model, 2, sample::withdrawn(call(1), "101", None));
    assert_eq!(shown(&model, 2), None);
}

#[test]
fn a_lost_link_keeps_the_card_and_says_for_how_long() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    model.apply(NetEvent::Disconnected { at: at(10), why: LinkEnded::Broken });
    model.apply(NetEvent::Disconnected { at: at(20), why: LinkEnded::Silent });
    let card = PopupData::now(&model, at(24)).expect("a card");
    assert_eq!(card.notice.as_deref(), Some("Not connected for 14 s · what you see may be old"));
    assert!(!card.can_choose);
}

#[test]
fn a_welcome_replaces_the_board_without_ghost_cards() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    model.apply(NetEvent::Disconnected { at: at(2), why: LinkEnded::Broken });
    let mut board = model.board.clone();
    board.apply(sample::withdrawn(call(1), "101", Some("102")));
    model.apply(sample::welcome(30, board.clone()));
    assert_eq!(shown(&model, 30), None);
    assert!(matches!(model.link, LinkState::Connected { .. }));
    // Had it been just now, the reason would still be told, for what is left of its four seconds.
    model.apply(sample::welcome(3, board));
    assert_eq!(status(&model, 3), "Answered on 102");
    assert_eq!(status(&model, 6), "nothing");
}

#[test]
fn a_call_first_seen_when_it_no_longer_rings_shows_nothing() {
    let mut model = connected();
    let Update::Call { mut view } = sample::rings(call(1), "101") else { panic!("a call") };
    let Update::Offer { line, offer, .. } = sample::withdrawn(call(1), "101", None) else {
        panic!("an offer")
    };
    view.offers.insert(line, offer);
    told(&mut model, 2, Update::Call { view });
    assert_eq!(shown(&model, 2), None);
}

#[test]
fn ages_are_right_on_a_desktop_whose_clock_is_wrong() {
    let mut model = Model::new(TimeZone::UTC);
    let NetEvent::Welcome { me, board, .. } = sample::welcome(0, Board::default()) else {
        panic!("a welcome")
    };
    model.apply(NetEvent::Welcome {
        at: at(-3600),
        me,
        hub_now: at(0),
        board,
        outcomes: Vec::new(),
        reasons: Vec::new(),
    });
    told(&mut model, -3599, sample::rings(call(1), "101"));
    let card = PopupData::now(&model, at(-3596)).expect("a card");
    assert_eq!(card.clock.as_deref(), Some("0:04"));
}

#[test]
fn an_old_call_can_be_opened_and_gives_way_to_a_new_one() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "102"));
    told(&mut model, 2, sample::answered(call(1), "102"));
    told(&mut model, 62, sample::ended(call(1), 62));
    model.open(call(1));
    assert_eq!(status(&model, 70), "Ended after 1:00");
    told(&mut model, 71, sample::rings(call(2), "101"));
    assert_eq!(shown(&model, 71), Some(call(2)));
}

#[test]
fn a_call_on_hold_says_so_and_counts_from_the_hold() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered(call(1), "101"));
    told(&mut model, 60, sample::held_at(call(1), "101", at(2), at(60)));
    let card = PopupData::now(&model, at(75)).expect("a card");
    assert_eq!((card.status.as_str(), card.clock.as_deref()), ("On hold on 101 · Support", Some("0:15")));
    assert_eq!(card.mood, Mood::Held);
    told(&mut model, 80, sample::answered(call(1), "101"));
    assert_eq!(status(&model, 80), "Talking on 101 · Support");
}

#[test]
fn a_call_passed_on_says_to_whom_and_goes_and_stays_in_the_history() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered(call(1), "101"));
    told(&mut model, 9, sample::passed_on(call(1), "102", Some("Bob"), "101", 9));
    told(&mut model, 10, sample::left(call(1), "101", Some("102"), 10));
    assert_eq!(status(&model, 11), "Passed on to Bob");
    assert_eq!(PopupData::now(&model, at(11)).map(|data| data.mood), Some(Mood::Fading));
    assert_eq!(status(&model, 14), "nothing");
    told(&mut model, 20, sample::answered_at(call(1), "102", Some("Bob"), at(20)));
    told(&mut model, 90, sample::ended(call(1), 90));
    assert_eq!(status(&model, 90), "nothing", "its end is Bob's");
    let row = history::rows(&model, at(90)).remove(0);
    assert_eq!((row.line.as_str(), row.outcome.as_str()), ("101", "Passed on to Bob · 0:08"));
    model.open(call(1));
    assert_eq!(status(&model, 91), "Passed on to Bob");
}

#[test]
fn without_a_name_the_line_it_was_passed_on_to_is_told_and_without_a_line_that_it_left() {
    let mut model = connected();
    for (n, to, expected) in [(1, Some("102"), "Passed on to 102"), (2, None, "No longer in this call")] {
        told(&mut model, 1, sample::rings(call(n), "101"));
        told(&mut model, 2, sample::answered(call(n), "101"));
        told(&mut model, 10, sample::left(call(n), "101", to, 10));
        assert_eq!(status(&model, 11), expected);
        model.close(call(n));
    }
}

#[test]
fn a_call_that_comes_back_pops_again() {
    let mut model = connected();
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered(call(1), "101"));
    told(&mut model, 10, sample::left(call(1), "101", Some("102"), 10));
    model.close(call(1));
    told(&mut model, 20, sample::passed_on(call(1), "101", None, "102", 20));
    assert_eq!(status(&model, 20), "Ringing on 101 · Support");
}

#[test]
fn a_consultation_goes_at_once_when_it_is_joined_with_the_callers_call() {
    let mut model = connected();
    let joined = || sample::ended_at(call(2), pinkas_protocol::EndedHow::Joined { into: call(1) }, at(9));
    told(&mut model, 1, sample::rings(call(2), "101"));
    let rings = model.clone();
    told(&mut model, 2, sample::answered(call(2), "101"));
    for mut model in [rings, model] {
        told(&mut model, 9, joined());
        assert_eq!(status(&model, 9), "nothing");
        told(&mut model, 9, sample::rings(call(1), "101"));
        told(&mut model, 9, sample::answered(call(1), "101"));
        assert_eq!(shown(&model, 10), Some(call(1)));
        model.apply(sample::welcome(10, model.board.clone()));
        assert_eq!(shown(&model, 10), Some(call(1)), "also after a new login");
        let joined = history::rows(&model, at(90)).into_iter().find(|row| row.call == call(2));
        assert_eq!(joined.map(|row| row.outcome).as_deref(), Some("Joined with another call"));
    }
}

#[test]
fn why_it_no_longer_rings_here_and_how_it_ended_is_told_apart() {
    use pinkas_protocol::{EndedHow, Withdrawal};
    let check = |why: Option<Withdrawal>, how: Option<EndedHow>, expected: &str, in_history: &str| {
        let mut model = connected();
        told(&mut model, 1, sample::rings(call(1), "101"));
        if let Some(why) = why {
            let state = pinkas_protocol::OfferState::Withdrawn { at: at(2), why };
            let offer = sample::offer(None, at(0), state);
            told(&mut model, 2, Update::Offer { call: call(1), line: sample::line("101"), offer });
        }
        if let Some(how) = how {
            told(&mut model, 3, sample::ended_at(call(1), how, at(3)));
        }
        assert_eq!(status(&model, 4), expected);
        assert_eq!(history::rows(&model, at(4))[0].outcome, in_history);
    };
    check(Some(Withdrawal::Declined), None, "Declined here", "Declined here");
    check(Some(Withdrawal::NoAnswer), None, "Not answered here", "Not answered here");
    check(None, Some(EndedHow::Declined), "Declined here", "Declined");
    check(None, Some(EndedHow::Unanswered), "Not answered here", "Nobody answered");
    check(None, Some(EndedHow::Abandoned), "The caller hung up", "The caller hung up");
    check(
        Some(Withdrawal::Declined),
        Some(EndedHow::Abandoned),
        "Declined here",
        "Declined here · the caller hung up",
    );
}

fn habits(pops: Pops, wrap_up: Option<i64>) -> Model {
    Model { habits: Habits { pops, wrap_up: wrap_up.map(SignedDuration::from_secs) }, ..connected() }
}

#[test]
fn a_card_shows_by_itself_when_the_person_wants_it() {
    // pops; shown while it rings, after it was opened, while talking, after another one answered
    let table = [
        (Pops::AtRing, true, true, true, true),
        (Pops::AtAnswer, false, true, true, false),
        (Pops::Never, false, true, false, false),
    ];
    for (pops, rings, opened, talks, elsewhere) in table {
        let mut model = habits(pops, None);
        told(&mut model, 1, sample::rings(call(1), "101"));
        assert_eq!(shown(&model, 1).is_some(), rings, "{pops:?} rings");
        let mut other = model.clone();
        told(&mut other, 2, sample::withdrawn(call(1), "101", Some("102")));
        assert_eq!(shown(&other, 3).is_some(), elsewhere, "{pops:?} answered elsewhere");
        let mut answered = model.clone();
        told(&mut answered, 2, sample::answered(call(1), "101"));
        assert_eq!(shown(&answered, 3).is_some(), talks, "{pops:?} talks");
        model.open(call(1));
        assert_eq!(shown(&model, 2).is_some(), opened, "{pops:?} opened");
    }
}

#[test]
fn what_is_left_to_do_after_a_talk_has_its_time_and_no_other_call_takes_the_card_meanwhile() {
    let mut model = habits(Pops::AtRing, Some(20));
    told(&mut model, 1, sample::rings(call(1), "101"));
    told(&mut model, 2, sample::answered(call(1), "101"));
    told(&mut model, 60, sample::ended(call(1), 60));
    told(&mut model, 61, sample::rings(call(2), "101"));
    assert_eq!((shown(&model, 62), banners(&model, 62)), (Some(call(1)), vec![call(2)]));
    assert_eq!(model.fades_at(at(62)), Some(at(80)));
    model.extend(call(2));
    model.extend(call(1));
    assert_eq!(shown(&model, 109), Some(call(1)));
    assert_eq!(shown(&model, 110), Some(call(2)), "the time is over");
    model.close(call(1));
    assert_eq!(shown(&model, 63), Some(call(2)), "finished before");
    let mut alone = habits(Pops::AtRing, Some(20));
    told(&mut alone, 1, sample::rings(call(1), "101"));
    told(&mut alone, 2, sample::answered(call(1), "101"));
    assert_eq!(shown(&alone, 59), Some(call(1)));
    told(&mut alone, 60, sample::ended(call(1), 60));
    assert_eq!(shown(&alone, 90), None);
}
