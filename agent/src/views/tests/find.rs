//! "Someone else…" on a card: opened, typed in, asked, chosen from by key and pointer, closed.

use pinkas_protocol::agent_link::{AgentSays, Candidate};
use pinkas_protocol::record::Searched;

use super::*;
use crate::net::NetEvent;

fn candidate(key: &str, name: &str) -> Candidate {
    Candidate {
        key: key.parse().expect("a key"),
        name: Private(name.to_owned()),
        class: Some("VIP".to_owned()),
        source: "directory".parse().expect("a name"),
    }
}

fn card(model: &Model) -> PopupData {
    PopupData::now(model, at(4)).expect("a card")
}

/// The field is open, and these were found.
fn found(names: &[&str], searched: Searched) -> Model {
    let mut model = model_with(sample::rings(call(1), "101"));
    let text = Private("li".to_owned());
    let AgentSays::FindCustomer { ask, call, .. } = model.find_mut().ask(call(1), text) else {
        panic!("a question")
    };
    let found: Vec<Candidate> = names.iter().map(|name| candidate(name, name)).collect();
    // An older question's answer is not shown.
    model.apply(NetEvent::Customers {
        at: at(2),
        ask: ask - 1,
        call,
        found: vec![candidate("X", "X")],
        searched,
    });
    model.apply(NetEvent::Customers { at: at(3), ask, call, found, searched });
    model
}

#[test]
fn somebody_else_is_asked_for_by_typing() {
    let mut model = model_with(sample::rings(call(1), "101"));
    let mut harness = shown(card(&model), Shade::Dark);
    harness.get_by_label("Someone else…").click();
    harness.run();
    assert_eq!(harness.state(), &[Command::OpenFind(call(1)), Command::TakeKeyboard]);
    model.find_mut().open(call(1));
    let mut harness = shown(card(&model), Shade::Dark);
    assert!(harness.get_by_label("Find").accesskit_node().is_disabled(), "nothing is typed yet");
    harness.get_by_label("Name, customer number or phone number").click();
    harness.run();
    harness.event(egui::Event::Text("לוי".to_owned()));
    harness.run();
    harness.key_press(egui::Key::Enter);
    harness.run();
    let asked = Command::FindCustomer { call: call(1), text: Private("לוי".to_owned()) };
    let mut said = harness.state().clone();
    // A press and a release.
    said.dedup();
    assert_eq!(said, [Command::TakeKeyboard, asked], "and the keyboard stays");
}

#[test]
fn one_found_is_chosen_by_key_or_pointer_and_the_keyboard_goes_back() {
    let model = found(&["Levi", "Lipa"], Searched::Partly);
    let chosen = |key: &str| {
        let choose = Command::Choose { call: call(1), customer: Some(key.parse().expect("a key")) };
        [choose, Command::CloseFind, Command::GiveKeyboardBack]
    };
    let mut harness = shown(card(&model), Shade::Light);
    harness.get_by_label("Not every directory answered in time");
    assert!(harness.query_by_label("X").is_none());
    harness.key_press(egui::Key::Num2);
    harness.run();
    assert_eq!(harness.state(), &chosen("Lipa"));
    let mut harness = shown(card(&model), Shade::Light);
    harness.get_by_label("Levi").click();
    harness.run();
    assert_eq!(harness.state(), &chosen("Levi"));
}

#[test]
fn escape_closes_it_and_nobody_found_is_said() {
    let model = found(&[], Searched::Fully);
    let mut harness = shown(card(&model), Shade::Dark);
    harness.get_by_label("Nothing was found");
    harness.key_press(egui::Key::Escape);
    harness.run();
    assert_eq!(harness.state(), &[Command::CloseFind, Command::GiveKeyboardBack]);
}
