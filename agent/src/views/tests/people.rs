//! Whether people take calls: one's own word by mouse and keyboard, and what a supervisor sees.

use egui::{Key, Modifiers};
use pinkas_protocol::{OwnState, PersonState};

use super::*;

/// A line that the phone system pauses in one queue since ten.
fn paused(line: &str) -> Update {
    let pause = Pause { reason: Some("meal".to_owned()) };
    let queue = QueueName::parse("Support").expect("a queue");
    let pauses = [(queue, PauseView { since: at(0), pause })].into();
    let view = LineView { agent: None, state: LineState::Idle, since: at(0), pauses };
    Update::Line { line: sample::line(line), view }
}

fn own(state: PersonState) -> Model {
    model_with(sample::person("dana", "Dana", &["101"], state, at(-600)))
}

fn says(reason: &str) -> Command {
    match reason {
        "" => Command::State(OwnState::Ready),
        code => Command::State(OwnState::NotReady { reason: code.parse().expect("a code") }),
    }
}

fn has(harness: &Harness<'_, (Looks, Vec<Command>)>, label: &str) -> bool {
    harness.query_all_by_label(label).next().is_some()
}

#[test]
fn own_state_and_what_the_phone_system_says_are_both_said_plainly() {
    let table = [
        (PersonState::Ready, false, ["Ready", "since 09:50"], None),
        (
            PersonState::Ready,
            true,
            ["Ready", "since 09:50"],
            Some("But in the phone system: Paused: meal, 10:00 · Support"),
        ),
        (PersonState::WrapUp, false, ["Wrap-up", "since 09:50"], None),
        (sample::not_ready("lunch"), true, ["Not ready: Lunch", "since 09:50"], None),
        (
            sample::not_ready("stock"),
            false,
            ["Not ready: Stocktaking", "since 09:50"],
            Some("The phone system is not known to pause you: calls can still ring"),
        ),
        (sample::not_ready("gone"), true, ["Not ready: gone", "since 09:50"], None),
    ];
    for (state, is_paused, labels, differs) in table {
        let mut model = own(state.clone());
        if is_paused {
            model.apply(sample::update(2, paused("101")));
        }
        let data = main_window::data(&model, (&SETTINGS, MACHINE), Tab::Recent, at(10))
            .own
            .expect("a person with a phone");
        assert_eq!(data.differs.as_deref(), differs, "{state:?}");
        let harness = main_shown(model, Tab::Recent, Shade::Light);
        for label in labels.into_iter().chain(differs) {
            assert!(has(&harness, label), "{label}: {state:?}");
        }
    }
    let mut nobody = Model::new(TimeZone::UTC);
    nobody.apply(sample::welcome(0, Board::default()));
    assert_eq!(main_window::data(&nobody, (&SETTINGS, MACHINE), Tab::Recent, at(10)).own, None);
}

#[test]
fn a_reason_is_chosen_with_a_click_or_by_its_key_and_ready_is_one_click_away() {
    let mut harness = main_shown(own(PersonState::Ready), Tab::Missed, Shade::Dark);
    assert!(!has(&harness, "1 Lunch") && !has(&harness, "I am ready"));
    harness.get_by_label("Not ready…").click();
    harness.run();
    harness.get_by_label("2 Stocktaking").click();
    harness.run();
    assert_eq!(harness.state().1, [says("stock")]);
    assert!(!has(&harness, "1 Lunch"), "the choice is closed");
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Num0);
    harness.run();
    harness.key_press(Key::Escape);
    harness.run();
    assert!(!has(&harness, "1 Lunch"));
    harness.key_press(Key::Num1);
    harness.run();
    assert_eq!(harness.state().1.len(), 1, "without the choice a digit says nothing");
    for (key, said) in [(Key::Num1, "lunch"), (Key::Num0, "")] {
        harness.key_press_modifiers(Modifiers::COMMAND, Key::Num0);
        harness.run();
        harness.key_press(key);
        harness.run();
        assert_eq!(harness.state().1.last(), Some(&says(said)), "{key:?}");
    }
    let mut harness = main_shown(own(sample::not_ready("lunch")), Tab::Missed, Shade::Dark);
    harness.get_by_label("I am ready").click();
    harness.run();
    assert_eq!(harness.state().1, [says("")]);
}

#[test]
fn without_a_link_nothing_can_be_said_of_oneself() {
    let mut model = own(sample::not_ready("lunch"));
    model.apply(crate::net::NetEvent::Disconnected { at: at(3), why: pinkas_link::Ended::Broken });
    let mut harness = main_shown(model, Tab::Missed, Shade::Dark);
    for label in ["I am ready", "Not ready…"] {
        assert!(harness.get_by_label(label).accesskit_node().is_disabled(), "{label}");
    }
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Num0);
    harness.run();
    harness.key_press(Key::Num0);
    harness.run();
    assert_eq!(harness.state().1, []);
}

#[test]
fn a_call_that_rings_while_its_person_is_not_ready_still_shows_and_says_so() {
    let mut model = own(sample::not_ready("lunch"));
    model.apply(sample::update(3, sample::rings(call(1), "101")));
    let data = PopupData::now(&model, at(4)).expect("a card");
    assert_eq!(data.not_ready.as_deref(), Some("You are not ready: Lunch"));
    assert!(shown(data, Shade::Dark).query_by_label("You are not ready: Lunch").is_some());
    model.apply(sample::update(5, sample::answered(call(1), "101")));
    assert_eq!(PopupData::now(&model, at(6)).expect("a card").not_ready, None, "who picks up knows it");
}

#[test]
fn only_a_caller_from_outside_is_heard_and_only_by_who_takes_calls() {
    let check = |state: PersonState, number: &str, heard: bool| {
        let mut model = own(state);
        let view = sample::arrived(call(1), number, None, Who::NoNumber, at(1));
        model.apply(sample::update(1, sample::rings_as(view, "101", at(1))));
        assert_eq!(model.is_heard(call(1)), heard, "{number}");
    };
    check(PersonState::Ready, "+48123456789", true);
    check(PersonState::Ready, "", true);
    check(PersonState::Ready, "102", false);
    check(sample::not_ready("lunch"), "+48123456789", false);
}

#[test]
fn a_supervisor_sees_who_takes_calls_since_when_and_where_the_phone_system_differs() {
    let mut model = supervisor();
    for update in [
        sample::person("ana", "Ana", &["102"], PersonState::Ready, at(-50)),
        sample::person("bob", "Bob", &["103", "104"], sample::not_ready("lunch"), at(-200)),
        sample::person("cyd", "Cyd", &["105"], PersonState::WrapUp, at(5)),
        sample::person("eli", "Eli", &["106"], PersonState::Offline, at(-4000)),
        paused("102"),
    ] {
        model.apply(sample::update(6, update));
    }
    let data = super::super::queue::data(&model, at(10));
    let rows: Vec<String> = data
        .people
        .iter()
        .map(|row| {
            format!("{} {} {} {}", row.name, row.state, row.clock, row.differs.as_deref().unwrap_or(""))
        })
        .collect();
    assert_eq!(
        rows,
        [
            "Bob Not ready: Lunch 3:30 Not paused in the phone system",
            "Cyd Wrap-up 0:05 ",
            "Ana Ready 1:00 But in the phone system: Paused: meal, 10:00 · Support",
            "Eli Offline 1:06:50 ",
        ]
    );
    let harness = main_shown(model, Tab::Live, Shade::Dark);
    for label in [
        "People",
        "1 ready · 1 not ready · 1 in wrap-up · 1 offline",
        "Not ready: Lunch",
        "3:30",
        "Not paused in the phone system",
    ] {
        assert!(has(&harness, label), "{label}");
    }
}
