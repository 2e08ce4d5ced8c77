//! Random stories: whatever is said in whatever order, every desktop shows exactly what its person may see.

use std::collections::{BTreeMap, BTreeSet};

use pinkas_protocol::card::Match;
use pinkas_protocol::{Facts, Pause, PauseEvent, Private, StirShaken, Verdict};
use proptest::prelude::*;

use super::super::index::Index;
use super::seen::{balance, filled, some_rights};
use super::*;

/// What one person may see of the hub's whole board, said independently of the code under test.
fn allowed(whole: &Board, rang: &BTreeMap<CallId, BTreeSet<Line>>, who: &str) -> Board {
    let lines: &[&str] = match who {
        "ana" => &["101"],
        "bob" => &["102", "103"],
        // Supervises the team of bob.
        "tom" => &["102", "103"],
        _ => &[],
    };
    let supervisor = matches!(who, "sima" | "root");
    let mine = |line: &Line| lines.contains(&line.as_str());
    let mut board = whole.clone();
    board.calls.retain(|_, view| supervisor || view.offers.keys().any(mine));
    board.lines.retain(|line, _| supervisor || mine(line));
    if !supervisor {
        for view in board.calls.values_mut() {
            view.offers.retain(|line, offer| {
                let in_talk = matches!(offer.state, OfferState::Answered { .. } | OfferState::Left { .. });
                mine(line) || in_talk || offer.passed_on_by.as_ref().is_some_and(mine)
            });
        }
    }
    for view in board.calls.values_mut() {
        let settled = view.who.customer().map(|customer| customer.key.clone());
        let vouched = view.identified.as_ref().is_some_and(|said| Some(&said.customer) == settled.as_ref());
        let verified = view.facts.caller.stir.is_some_and(|stir| stir.verdict == Verdict::Passed);
        let exact = view.who.customer().is_none_or(|customer| customer.matched == Match::Number);
        let verified = verified && exact && view.facts.caller.number.is_some();
        view.cards.retain(|card| card.gives != Gives::Purchases || supervisor || who == "tom");
        for card in &mut view.cards {
            let CardState::Filled { facts: Facts::Balance(balance), .. } = &mut card.state else { continue };
            if !vouched && !verified && balance.balance.take().is_some() {
                card.folded.push("balance".to_owned());
            }
            if who != "root" {
                balance.overdue = None;
            }
        }
    }
    board.keep_ended(Board::MOST_ENDED);
    board.missed.retain(|row, _| supervisor || rang[row].iter().any(mine));
    board.people.retain(|person, _| {
        supervisor || person.as_str() == who || (who == "tom" && person.as_str() == "bob")
    });
    board
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Rule 42 of the style and invariant 4: whatever happens in whatever order, with desktops coming and
    /// going and the hub restarting, each desktop's board is exactly what its person may see.
    #[test]
    fn every_board_is_always_exactly_what_its_person_may_see(
        steps in proptest::collection::vec((0u8..34, 0u128..4, 0usize..3, 0u8..5), 0..80),
    ) {
        let names = ["ana", "bob", "sima", "tom", "root"];
        let open = |kept| Office::of(vec![place("tickets", Gives::Custom, Needs::Call)], some_rights(), kept);
        let mut office = open(Kept::default());
        for (what, n, pick, extra) in steps {
            let line = ["101", "102", "103"][pick];
            let other = ["102", "103", "101"][pick];
            let number = [NUMBER, "+48220000000", "101", "?"][usize::from(extra % 4)];
            match what {
                0 => office.arrives(n, number),
                1 => office.rings(n, line),
                2 => {
                    let passed_on_by = (extra > 1).then(|| id(other));
                    office.event(n, CallChange::Offered { line: id(line), passed_on_by });
                }
                3 => office.event(n, CallChange::Answered { line: id(line) }),
                4 => {
                    let why = match extra {
                        0 => Withdrawal::AnsweredElsewhere { by: id(other) },
                        1 => Withdrawal::Declined,
                        2 => Withdrawal::NoAnswer,
                        _ => Withdrawal::StoppedRinging,
                    };
                    office.event(n, CallChange::Withdrawn { line: id(line), why });
                }
                5 => {
                    let how = match extra {
                        0 => EndedHow::Completed,
                        1 => EndedHow::Declined,
                        2 => EndedHow::Unanswered,
                        _ => EndedHow::Joined { into: call(n + 1) },
                    };
                    office.event(n, CallChange::Ended { how });
                }
                6 => office.says(Event::Line(LineEvent { line: id(line), heard_at: at(0), state: LineState::Busy })),
                7 => {
                    // The last of five is guessed.
                    let matched = |k| if k == 3 { Match::CompanyNumber } else { Match::Number };
                    let found = (0..extra).map(|k| Customer { matched: matched(k), ..customer(&format!("C{k}")) });
                    let found = if pick == 2 { found.rev().take(1).collect() } else { found.collect() };
                    office.found(n, [NUMBER, "+48220000000", "101"][pick], Ok(found));
                }
                8 => office.lands(n, [NUMBER, "+48220000000", "101"][pick], Card::new(id("books"), Gives::Balance, Some(id("C0")), CardState::Late { deadline_ms: u64::from(extra) })),
                9 => office.choose(n as u64 + pick as u64 % 2, n, [Some("C0"), Some("C1"), Some("C9"), None][usize::from(extra % 4)]),
                10 => office.logs_in(u64::from(extra), names[usize::from(extra)]),
                11 => {
                    office.happens(Input::AgentDown { viewer: ViewerId(u64::from(extra)) });
                    office.boards.remove(&ViewerId(u64::from(extra)));
                }
                12 => office.happens(Input::Live { adapter: adapter(), calls: vec![call(n)], last: true }),
                13 => office.event(n, CallChange::Known(CallFacts {
                    queue: (pick > 0).then(|| id("Support")),
                    ..facts(number)
                })),
                14 => office.event(n, CallChange::Waits {
                    queue: id(if pick == 0 { "Sales" } else { "Support" }),
                    position: u32::from(extra) + 1,
                }),
                15 => office.event(n, CallChange::Held { line: id(line) }),
                16 => office.event(n, CallChange::Resumed { line: id(line) }),
                17 | 18 => {
                    let moved_to = (extra > 1).then(|| id(other));
                    office.event(n, CallChange::Left { line: id(line), moved_to });
                }
                19 => {
                    let reason = (extra > 1).then(|| "lunch".to_owned());
                    let pause = (extra > 0).then_some(Pause { reason });
                    let queue = id(if n == 0 { "Sales" } else { "Support" });
                    office.says(Event::Pause(PauseEvent { line: id(line), queue, heard_at: at(1), pause }));
                }
                20 => {
                    let lines = ["101", "102", "103"].into_iter().take(usize::from(extra)).map(id);
                    office.happens(Input::Lines { adapter: adapter(), lines: lines.collect(), last: true });
                }
                21 => {
                    let tags = [(id("customer"), Private(format!("C{pick}")))].into();
                    office.event(n, CallChange::Known(CallFacts { tags, ..facts(number) }));
                }
                22 => {
                    let state = CardState::Late { deadline_ms: u64::from(extra) };
                    office.lands(n, NUMBER, Card::new(id("tickets"), Gives::Custom, None, state));
                }
                // Asked with just what the call brings, whatever that is.
                23 => {
                    let view = office.hub.board().calls.get(&call(n));
                    let brought = view.map_or_else(Brought::default, |view| Brought::by(&view.facts));
                    let found = (0..extra).map(|k| customer(&format!("C{k}"))).collect();
                    office.happens(Input::Who { call: call(n), brought, found: Ok(found) });
                }
                24 => {
                    let written = [record::note("x"), record::outcome("ordered"), record::follow_up("later"), record::note("")];
                    let id = Uuid::from_u128(n * 4 + pick as u128);
                    office.happens(Input::Record { viewer: ViewerId((n as u64 + pick as u64) % 5), wish: Wish::Write { id, call: call(n), what: written[usize::from(extra % 4)].clone() } });
                }
                25 => office.happens(Input::Record { viewer: ViewerId((n as u64 + pick as u64) % 5), wish: Wish::Handled { id: Uuid::nil(), row: call(n) } }),
                26 => office.happens(Input::Record { viewer: ViewerId((n as u64 + pick as u64) % 5), wish: Wish::Done { id: Uuid::nil(), follow_up: Uuid::from_u128(n * 4 + pick as u128) } }),
                27 => {
                    let mut card = filled("books", "C0", balance(i64::from(extra)));
                    if let CardState::Filled { old, .. } = &mut card.state {
                        *old = (extra % 2 == 1).then_some(Failure::Unreachable);
                    }
                    office.lands(n, number, card);
                }
                28 => {
                    let verdict = if extra > 1 { Verdict::Passed } else { Verdict::Failed };
                    let mut facts = facts(number);
                    facts.caller.stir = Some(StirShaken { verdict, attestation: None });
                    office.event(n, CallChange::Known(facts));
                }
                29 => office.happens(Input::Identified {
                    viewer: ViewerId(u64::from(extra)),
                    call: call(n),
                    how: Private("asked".to_owned()),
                }),
                30 => office.happens(Input::Staff(staff())),
                31 => office.happens(Input::OwnState {
                    viewer: ViewerId(u64::from(extra)),
                    state: people::says(["", "lunch", "dancing"][pick]),
                }),
                32 => office.happens(Input::WrapUp { viewer: ViewerId(u64::from(extra)), call: (pick > 0).then(|| call(n)) }),
                _ => {
                    let (sequence, second) = (office.sequence, office.second);
                    office = open(office.kept);
                    (office.sequence, office.second) = (sequence, second);
                }
            }
            let rang: BTreeMap<_, _> = office.kept.missed.iter().map(|(row, kept)| (*row, kept.lines.clone())).collect();
            for (viewer, board) in &office.boards {
                let who = names[viewer.0 as usize];
                prop_assert_eq!(board, &allowed(office.hub.board(), &rang, who), "{} after {}", who, what);
            }
            let kept: BTreeMap<_, _> = office.kept.calls.iter().map(|(id, KeptCall { view, .. })| (*id, view.clone())).collect();
            prop_assert_eq!(&kept, &office.hub.board().calls, "the disk is the board");
            let kept: BTreeMap<_, _> =
                office.kept.lines.iter().map(|(line, kept)| (line.clone(), kept.view.clone())).collect();
            prop_assert_eq!(&kept, &office.hub.board().lines, "the disk has every line");
            prop_assert_eq!(&office.kept.choices, &office.hub.choices, "the disk has every choice");
            let mut index = Index::default();
            office.hub.board().calls.values().for_each(|view| index.put(view));
            prop_assert_eq!(&index, &office.hub.index, "every call is found by what it is looked for");
            for view in office.hub.board().calls.values() {
                let of = view.who.customer().map(|customer| &customer.key);
                prop_assert!(
                    view.cards.iter().all(|card| card.customer.is_none() || card.customer.as_ref() == of),
                    "no card of anybody but the one who is calling"
                );
            }
            let kept: Vec<_> = office.kept.people.keys().collect();
            prop_assert_eq!(kept, office.hub.board().people.keys().collect::<Vec<_>>(), "the disk has everybody");
            let kept: BTreeMap<_, _> = office.kept.missed.iter().map(|(row, kept)| (*row, kept.row.clone())).collect();
            prop_assert_eq!(&kept, &office.hub.board().missed, "the disk has every missed call");
        }
    }
}
