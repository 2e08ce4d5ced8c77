//! What is said of a call afterwards: each step, each pop, and each reason not to pop.

use super::*;
use crate::admin::told;
use crate::core::trace::{MOST_STEPS, NotTaken, Step, What, Which};

const NUMBER: &str = "+972501234567";

fn why(office: &Office, which: &Which, line: Option<&str>) -> String {
    told(&office.hub.why(which, line.map(id).as_ref()))
}

/// The lines in which one of these stands.
fn said(text: &str, word: &str) -> bool {
    text.lines().any(|line| line.contains(word))
}

#[test]
fn a_call_is_told_from_its_packet_to_each_card_and_each_pop() {
    let mut office = Office::open(Kept::default());
    office.logs_in(1, "ana");
    office.logs_in(2, "sima");
    office.arrives(7, NUMBER);
    office.found(7, NUMBER, Ok(vec![customer("C1")]));
    let card = |source: &str, gives, state| Card::new(id(source), gives, Some(id("C1")), state);
    office.lands(7, NUMBER, card("books", Gives::Balance, CardState::Nothing { took_ms: 12 }));
    office.lands(7, NUMBER, card("till", Gives::Purchases, CardState::Late { deadline_ms: 800 }));
    office.rings(7, "101");
    office.rings(7, "102");
    let failure = Failure::Refused { what: "HTTP 500".to_owned() };
    let failed = CardState::Failed { failure, took_ms: 2_000 };
    office.lands(7, NUMBER, card("till", Gives::Purchases, failed));
    office.event(7, CallChange::Answered { line: id("101") });
    office.event(7, CallChange::Ended { how: EndedHow::Completed });
    office.rings(7, "103");
    insta::assert_snapshot!(why(&office, &Which::Last, None));
    insta::assert_snapshot!(why(&office, &Which::Call(call(7)), Some("102")));
}

#[test]
fn every_reason_not_to_pop_is_said() {
    let mut office = Office::open(Kept::default());
    office.happens(Input::AdapterUp { adapter: adapter() });
    office.logs_in(2, "sima");
    office.arrives(1, NUMBER);
    for line in ["101", "900"] {
        office.rings(1, line);
    }
    let about = |office: &Office, line: &str| why(office, &Which::Last, Some(line));
    let text = about(&office, "101");
    assert!(said(&text, "At 101 it did not pop: nobody who has it was connected (ana)."), "{text}");
    assert!(said(&text, "in the list of sima; no pop there"), "{text}");
    let text = about(&office, "900");
    assert!(said(&text, "At 900 it did not pop: this phone is in nobody's `lines`"), "{text}");
    assert!(said(&text, "No adapter follows it"), "{text}");
    let text = about(&office, "102");
    assert!(said(&text, "it was never at that phone"), "{text}");
    assert!(said(&text, "102 belongs to bob."), "{text}");

    office.logs_in(3, "ana");
    let text = about(&office, "101");
    assert!(said(&text, "101: popped at ana's desktop, which connected only now"), "{text}");
    let behind = |why| Input::FellBehind { viewer: ViewerId(3), call: Some(call(1)), why };
    office.happens(behind(NotTaken::QueueFull));
    let text = about(&office, "101");
    assert!(said(&text, "a desktop of ana was cut off, as its queue was full"), "{text}");
    assert!(said(&text, "At 101 it popped for ana; but ana was not reached meanwhile."), "{text}");
    office.logs_in(3, "ana");
    office.happens(behind(NotTaken::LinkEnded));
    assert!(said(&about(&office, "101"), "its link had just ended"));

    office.happens(Input::AdapterDown { adapter: adapter() });
    let text = about(&office, "101");
    assert!(said(&text, "the link of adapter main ended"), "{text}");
    assert!(said(&text, "Adapter main is not connected since"), "{text}");
    office.second += 60;
    office.happens(Input::AdapterUp { adapter: adapter() });
    office.happens(Input::Live { adapter: adapter(), calls: Vec::new(), last: true });
    let text = about(&office, "101");
    assert!(said(&text, "adapter main is back") && said(&text, "adapter main lost sight of it"), "{text}");
    office.logs_in(3, "ana");
    office.rings(1, "101");
    let text = about(&office, "101");
    assert!(said(&text, "101: rings; not counted, as the call had ended"), "{text}");

    let text = why(&office, &Which::Call(call(99)), None);
    assert!(said(&text, "holds no such call") && said(&text, "between two phones of the company"), "{text}");
}

#[test]
fn what_was_heard_long_before_it_was_told_says_so() {
    let mut office = Office::open(Kept::default());
    office.second = 100;
    let event = CallEvent { call: call(1), heard_at: at(40), change: CallChange::Arrived(facts(NUMBER)) };
    office.says(Event::Call(event));
    let text = why(&office, &Which::Last, None);
    assert!(said(&text, "0 ms  the call is there; main told it 61.0 s later"), "{text}");
    let ahead = CallEvent {
        call: call(2),
        heard_at: at(200),
        change: CallChange::Offered { line: id("101"), passed_on_by: None },
    };
    office.says(Event::Call(ahead));
    let text = why(&office, &Which::Last, None);
    assert!(said(&text, "the clock of main is 98.0 s ahead"), "{text}");
}

#[test]
fn the_call_asked_about_is_the_last_that_fits() {
    let mut office = Office::open(Kept::default());
    for (n, number, line) in
        [(1, NUMBER, "101"), (2, NUMBER, "102"), (3, "+48123456789", "101"), (4, "+48123456789", "103")]
    {
        office.arrives(n, number);
        office.rings(n, line);
    }
    let number = |text: &str| Which::Number(NumberPlan::default().read(text).expect("a number"));
    for (which, line, expected) in [
        (Which::Last, None, Some(4)),
        (Which::Last, Some("101"), Some(3)),
        (Which::Last, Some("900"), Some(4)),
        (number(NUMBER), None, Some(2)),
        (number(NUMBER), Some("101"), Some(1)),
        (number("+48999999999"), None, None),
        (Which::Call(call(1)), Some("103"), Some(1)),
    ] {
        let account = office.hub.why(&which, line.map(id).as_ref());
        assert_eq!(account.call.map(|view| view.id), expected.map(call), "{which:?} {line:?}");
    }
    assert_eq!(office.hub.why(&number(NUMBER), None).earlier, [call(1)]);
}

#[test]
fn steps_are_bounded_keep_their_beginning_and_end_and_are_there_after_a_restart() {
    let mut office = Office::open(Kept::default());
    office.arrives(7, NUMBER);
    for position in 1..=(3 * MOST_STEPS as u32) {
        office.event(7, CallChange::Waits { queue: id("Support"), position });
    }
    office.rings(7, "101");
    let account = office.hub.why(&Which::Last, None);
    assert_eq!(account.steps.len(), MOST_STEPS);
    let is_arrival = |step: &Step| matches!(&step.what, What::Heard { change: CallChange::Arrived(facts), .. } if facts.caller.number.is_none());
    assert!(account.steps.get(&0).is_some_and(is_arrival), "and who called does not stand in it");
    assert!(account.steps.values().any(|step| matches!(step.what, What::NoPop { .. })));
    assert_eq!(office.kept.traces.get(&call(7)), Some(&account.steps), "the disk has the same");
    assert!(why(&office, &Which::Last, None).contains("(steps in between are left out)"));
    let mut again = Office::open(std::mem::take(&mut office.kept));
    assert_eq!(again.hub.why(&Which::Last, None).steps, account.steps);
    again.sequence = office.sequence;
    again.event(7, CallChange::Ended { how: EndedHow::Abandoned });
    assert!(why(&again, &Which::Last, None).contains("the caller hung up before anybody answered"));
    for n in 1_000..(1_000 + super::super::MOST_ENDED as u128 + 5) {
        again.arrives(n, NUMBER);
        again.event(n, CallChange::Ended { how: EndedHow::Abandoned });
    }
    assert!(!again.kept.traces.contains_key(&call(7)), "and goes when its call is dropped");
    assert!(again.hub.why(&Which::Call(call(7)), None).steps.is_empty());
}

#[test]
fn a_trial_pops_marked_and_nothing_of_it_is_kept_or_remembered() {
    let mut office = Office::open(Kept::default());
    office.logs_in(1, "ana");
    office.logs_in(2, "bob");
    office.logs_in(3, "sima");
    let trial = Input::Trial { call: call(7), facts: Box::new(facts(NUMBER)), line: Some(id("101")) };
    office.happens(trial.clone());
    office.found(7, NUMBER, Ok(vec![customer("C1"), customer("C2")]));
    office.choose(1, 7, Some("C1"));
    let balance = CardState::Filled {
        facts: pinkas_protocol::Facts::Balance(Default::default()),
        as_of: at(1),
        took_ms: 5,
        late: false,
        old: None,
    };
    office.lands(7, NUMBER, Card::new(id("books"), Gives::Balance, Some(id("C1")), balance));
    for (viewer, sees) in [(1, true), (2, false), (3, true)] {
        let view = office.boards[&ViewerId(viewer)].calls.get(&call(7));
        assert_eq!(view.map(|view| view.trial), sees.then_some(true), "{viewer}");
    }
    let text = why(&office, &Which::Last, None);
    assert!(said(&text, "Pretended call"), "{text}");
    assert!(said(&text, "At 101 it popped for ana."), "{text}");

    let note = Wish::Write {
        id: Uuid::from_u128(1),
        call: call(7),
        what: pinkas_protocol::Written::Note { text: pinkas_protocol::Private("a note".to_owned()) },
    };
    office.happens(Input::Record { viewer: ViewerId(1), wish: note });
    assert!(
        matches!(office.answers.last(), Some((_, HubToAgent::Refused { .. }))),
        "a note would not be kept"
    );
    office.event(7, CallChange::Answered { line: id("102") });
    office.event(7, CallChange::Ended { how: EndedHow::Completed });
    office.happens(Input::Live { adapter: adapter(), calls: Vec::new(), last: true });
    assert!(office.hub.board().calls[&call(7)].ended.is_none(), "no adapter has a word in it");
    office.arrives(8, NUMBER);
    office.found(8, NUMBER, Ok(Vec::new()));
    let who = &office.hub.board().calls[&call(8)].who;
    assert!(matches!(who, Who::Unknown { earlier, .. } if earlier.is_empty()), "{who:?}");

    office.happens(Input::TrialOver { call: call(7) });
    assert!(office.boards[&ViewerId(1)].calls[&call(7)].ended.is_some(), "it hung up");
    assert!(!office.hub.board().calls.contains_key(&call(7)));
    office.logs_in(4, "ana");
    assert!(!office.boards[&ViewerId(4)].calls.contains_key(&call(7)), "who comes later sees nothing of it");
    let kept = &office.kept;
    assert!(!kept.calls.contains_key(&call(7)) && !kept.traces.contains_key(&call(7)));
    assert!(kept.choices.is_empty() && kept.missed.is_empty() && office.past.is_empty());
    assert_eq!(office.seen.len(), 2, "whose card was shown to whom is noted all the same");

    for n in 0..20 {
        office.happens(Input::Trial { call: call(100 + n), facts: Box::new(facts(NUMBER)), line: None });
    }
    let trials = office.hub.board().calls.values().filter(|view| view.trial).count();
    assert_eq!(trials, crate::core::MOST_TRIALS);
    assert!(!office.hub.has_room_for_a_trial());
}
