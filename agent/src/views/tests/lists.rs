//! Missed calls, follow-ups, the search and what is known of a call that is over: as trees, by pointer and
//! by keyboard.

use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::record::{Refusal, Searched, Settled};
use pinkas_protocol::{Missed, Written};
use uuid::Uuid;

use super::*;
use crate::drafts::{DiskSays, Kept};
use crate::net::{NetEvent, Page};

fn agent() -> Model {
    let mut model = Model::new(TimeZone::UTC);
    model.apply(sample::welcome(0, Board::default()));
    model
}

fn missed(model: &mut Model, row: Missed) {
    model.apply(sample::update(1, Update::Missed { row: Box::new(row) }));
}

/// Answers the next questions.
fn answer(model: &mut Model, page: Page, follow_ups: Vec<pinkas_protocol::FollowUp>) {
    while let Some(said) = model.next_told() {
        match said {
            AgentSays::FollowUps { ask } => {
                model.apply(NetEvent::FollowUps { at: at(1), ask, follow_ups: follow_ups.clone() });
            }
            AgentSays::History { ask, .. } => {
                model.apply(NetEvent::Page { at: at(1), ask, page: page.clone() })
            }
            _ => {}
        }
    }
}

fn has(harness: &Harness<'static, (Looks, Vec<Command>)>, label: &str) -> bool {
    harness.query_all_by_label(label).next().is_some()
}

#[test]
fn a_caller_who_was_missed_is_one_row_that_calls_back_and_is_marked() {
    let mut model = agent();
    let mut settled = sample::missed(call(2), "+48601234567", None, 1, (at(-60), at(-60)));
    settled.handled = Some(Settled { at: at(0), name: Some("Ana".to_owned()) });
    missed(&mut model, settled);
    missed(&mut model, sample::missed(call(1), "+48123456789", Some("Zofia"), 3, (at(-600), at(-5))));
    missed(&mut model, sample::missed(call(3), "", None, 1, (at(-90), at(-90))));
    for shade in [Shade::Dark, Shade::Light] {
        let harness = main_shown(model.clone(), Tab::Missed, shade);
        for label in [
            "Missed (2)",
            "Zofia",
            "3 calls since 09:50",
            "Handled by Ana · 10:00",
            "Number withheld",
            "Support",
        ] {
            assert!(has(&harness, label), "{label}");
        }
        assert_eq!(
            harness.query_all_by_label("Call back").count(),
            1,
            "neither without a number nor once done"
        );
    }
    let mut harness = main_shown(model.clone(), Tab::Missed, Shade::Dark);
    harness.get_by_label("Call back").click();
    harness.run();
    harness.query_all_by_label("Handled").next().expect("a mark").click();
    harness.run();
    let number = sample::number("+48123456789");
    assert_eq!(harness.state().1, [Command::CallBack(number), Command::Handled(call(1))]);
    model.drafts_mut().enter(
        Uuid::from_u128(1),
        at(2),
        AgentSays::Handled { id: Uuid::from_u128(1), row: call(1) },
    );
    let harness = main_shown(model, Tab::Missed, Shade::Dark);
    assert!(has(&harness, "Missed (1)") && has(&harness, "Handled here · the hub is being told"));
    assert!(has(&main_shown(agent(), Tab::Missed, Shade::Dark), "Nobody was missed"));
}

#[test]
fn follow_ups_say_what_is_overdue_and_are_ticked_off() {
    let mut model = agent();
    assert!(has(
        &main_shown(model.clone(), Tab::FollowUps, Shade::Dark),
        "The hub is being asked for your follow-ups…"
    ));
    answer(&mut model, Page::default(), Vec::new());
    assert!(has(&main_shown(model.clone(), Tab::FollowUps, Shade::Dark), "You have no open follow-ups"));
    let later = sample::follow_up(3, call(3), "2026-12-02", "Send the offer", at(0));
    model.apply(sample::welcome(0, Board::default()));
    answer(&mut model, Page::default(), vec![later.clone()]);
    assert!(has(&main_shown(model.clone(), Tab::FollowUps, Shade::Dark), "Nothing is due today"));
    let overdue = sample::follow_up(1, call(1), "2026-11-20", "Ask about the order", at(0));
    let today = sample::follow_up(2, call(2), "2026-11-22", "Call back", at(0));
    model.apply(sample::welcome(0, Board::default()));
    answer(&mut model, Page::default(), vec![overdue, today, later]);
    let mut harness = main_shown(model.clone(), Tab::FollowUps, Shade::Light);
    for label in ["Follow-ups (2)", "Overdue, 20 Nov", "Due today", "2 Dec", "Ask about the order", "Zofia W"]
    {
        assert!(has(&harness, label), "{label}");
    }
    harness.query_all_by_label("Done").next().expect("a mark").click();
    harness.run();
    harness.get_by_label("Due today, Zofia W, Call back").click();
    harness.run();
    assert_eq!(harness.state().1, [Command::Done(Uuid::from_u128(1)), Command::Details(call(2))]);
    assert_eq!(harness.state().0.details, Some(call(2)));
    let id = Uuid::from_u128(9);
    model.drafts_mut().enter(id, at(2), AgentSays::Done { id, follow_up: Uuid::from_u128(1) });
    assert!(!has(&main_shown(model, Tab::FollowUps, Shade::Dark), "Overdue, 20 Nov"));
}

#[test]
fn earlier_calls_come_from_the_hub_and_show_what_was_written() {
    let mut model = agent();
    let mut harness = main_shown(model.clone(), Tab::Recent, Shade::Dark);
    harness.run();
    assert!(harness.state().1.contains(&Command::Page(0)), "{:?}", harness.state().1);
    model.past_mut().want(0);
    let page =
        Page { calls: vec![sample::past(call(5), "+48601234567", "Marek", at(-900))], ..Page::default() };
    answer(&mut model, page, Vec::new());
    let mut harness = main_shown(model.clone(), Tab::Recent, Shade::Dark);
    harness.get_by_label("Marek, 09:45, Answered by Dana Levi · 1:30").click();
    harness.run();
    assert_eq!(harness.state().1, [Command::Details(call(5))]);
    model.past_mut().open(call(5));
    let mut harness = main_shown(model, Tab::Recent, Shade::Light);
    harness.state_mut().0.details = Some(call(5));
    harness.run();
    for label in
        ["101 · Dana Levi · talked 1:30", "102 · Ana · rang", "Note · Dana · 09:46", "Asks for an invoice"]
    {
        assert!(has(&harness, label), "{label}");
    }
    harness.key_press(egui::Key::Escape);
    harness.run();
    assert_eq!(harness.state().0.details, None);
}

#[test]
fn a_search_says_how_it_went_and_goes_on() {
    let said = |searched, back_to| {
        let mut model = agent();
        model.past_mut().find("levi");
        model.past_mut().want(0);
        answer(&mut model, Page { searched, back_to, more: Some(call(1)), ..Page::default() }, Vec::new());
        model
    };
    for (searched, words) in [
        (Searched::Partly, "Searched back to 09:59"),
        (Searched::Busy, "Too many search at once: try again in a moment"),
        (Searched::Failed, "The hub cannot read its record: tell who looks after it"),
    ] {
        let mut harness = main_shown(said(searched, Some(at(-60))), Tab::Recent, Shade::Dark);
        assert!(has(&harness, words), "{words}");
        harness.get_by_label("Search on").click();
        harness.run();
        assert_eq!(harness.state().1, [Command::GoOn]);
    }
    let mut model = agent();
    model.past_mut().find("levi");
    model.past_mut().want(0);
    answer(&mut model, Page::default(), Vec::new());
    assert!(has(&main_shown(model, Tab::Recent, Shade::Dark), "Nothing was found"));
}

#[test]
fn lists_and_the_search_are_reached_by_keyboard() {
    let mut model = agent();
    missed(&mut model, sample::missed(call(1), "+48123456789", Some("Zofia"), 1, (at(-60), at(-5))));
    let mut harness = main_shown(model, Tab::Settings, Shade::Dark);
    for (key, tab) in
        [(egui::Key::Num1, Tab::Missed), (egui::Key::Num2, Tab::FollowUps), (egui::Key::Num3, Tab::Recent)]
    {
        harness.key_press_modifiers(egui::Modifiers::COMMAND, key);
        harness.run();
        assert_eq!(harness.state().0.tab, Some(tab));
    }
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::F);
    harness.run();
    harness.event(egui::Event::Text("levi".to_owned()));
    harness.run();
    harness.key_press(egui::Key::Enter);
    harness.run();
    let find = Command::Find(Private("levi".to_owned()));
    assert!(harness.state().1.contains(&find), "{:?}", harness.state());
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Num1);
    harness.run();
    harness.get_by_label("Zofia, 09:59").focus();
    harness.run();
    harness.key_press(egui::Key::Enter);
    harness.run();
    assert_eq!(harness.state().1.last(), Some(&Command::Details(call(1))));
}

#[test]
fn what_the_hub_refused_is_said_with_its_reason_until_it_is_sent_again_or_forgotten() {
    let mut model = agent();
    let id = Uuid::from_u128(4);
    let what = Written::Note { text: Private("Wants red paint".to_owned()) };
    let says = AgentSays::Write { id, call: call(1), what };
    let kept = Kept { id, at: at(0), says, refused: Some(Refusal::NotYourCall) };
    model.drafts_mut().disk_said(DiskSays::Loaded { entries: vec![kept], texts: Vec::new(), damaged: 1 });
    let mut harness = main_shown(model, Tab::Recent, Shade::Dark);
    for label in [
        "Not kept: this call is not on your screen any more · Wants red paint",
        "1 damaged files of unsent notes were moved aside",
    ] {
        assert!(has(&harness, label), "{label}");
    }
    harness.get_by_label("Send again").click();
    harness.run();
    harness.get_by_label("Discard").click();
    harness.run();
    assert_eq!(
        harness
            .state()
            .1
            .iter()
            .filter(|said| !matches!(said, Command::Page(_)))
            .cloned()
            .collect::<Vec<_>>(),
        [Command::SendAgain(id), Command::Discard(id),]
    );
}
