//! A card that is worked with: written on, chosen on, with other calls below it, after the talk.

use super::*;

#[test]
fn after_a_talk_the_card_counts_down_and_can_be_given_more_time() {
    let mut model = model_with(sample::rings(call(1), "101"));
    model.habits.wrap_up = Some(jiff::SignedDuration::from_secs(45));
    model.apply(sample::update(2, sample::answered(call(1), "101")));
    model.apply(sample::update(60, sample::ended(call(1), 60)));
    let data = PopupData::now(&model, at(65)).expect("a card");
    assert_eq!((data.status.as_str(), data.clock.as_deref()), ("Wrap-up · Ended after 0:58", Some("0:40")));
    let mut harness = shown(data, Shade::Light);
    harness.get_by_label("30 s more").click();
    harness.run();
    harness.get_by_label("Finish").click();
    harness.run();
    assert_eq!(harness.state(), &[Command::Extend(call(1)), Command::Close(call(1))]);
}

/// A talk that goes on here, in a queue with outcomes.
fn talking(outcomes: Vec<pinkas_protocol::record::Outcome>) -> Model {
    let mut model = Model::new(TimeZone::UTC);
    let welcome = sample::welcome(0, Board::default());
    let crate::net::NetEvent::Welcome { at: then, me, hub_now, board, reasons, .. } = welcome else {
        panic!("a welcome")
    };
    model.apply(crate::net::NetEvent::Welcome { at: then, me, hub_now, board, outcomes, reasons });
    model.apply(sample::update(1, sample::rings(call(1), "101")));
    model.apply(sample::update(2, sample::answered(call(1), "101")));
    model
}

fn outcome(code: &str, required: bool) -> pinkas_protocol::record::Outcome {
    pinkas_protocol::record::Outcome { required, ..sample::outcome(code, code, &[]) }
}

fn is_of_keyboard(said: &Command) -> bool {
    matches!(said, Command::TakeKeyboard | Command::GiveKeyboardBack)
}

#[test]
fn a_note_an_outcome_and_a_day_are_said_with_a_click() {
    let model = talking(vec![outcome("ordered", false), outcome("asked", false)]);
    let mut harness = shown(PopupData::now(&model, at(4)).expect("a card"), Shade::Dark);
    harness.get_by_label("asked").click();
    harness.run();
    assert!(harness.get_by_label("Save").accesskit_node().is_disabled(), "nothing is written yet");
    harness.get_by_role_and_label(egui::accesskit::Role::MultilineTextInput, "Note").click();
    harness.run();
    harness.event(egui::Event::Text("call back".to_owned()));
    harness.run();
    harness.get_by_label("1 week").click();
    harness.run();
    let said: Vec<_> = harness.state().iter().filter(|said| !is_of_keyboard(said)).cloned().collect();
    let due = "2026-11-29".parse().expect("a day");
    let text = Private("call back".to_owned());
    let write = |what| Command::Write { call: call(1), what };
    assert_eq!(said[0], write(Written::Outcome { code: outcome("asked", false).code }));
    assert_eq!(said[1], Command::Draft { call: call(1), text: text.clone() });
    assert_eq!(said[2], write(Written::FollowUp { due, text }));
    assert_eq!(said[3], Command::Draft { call: call(1), text: Private(String::new()) });
    assert_eq!((said.len(), harness.state()[1].clone()), (4, Command::TakeKeyboard));
}

#[test]
fn what_was_saved_stands_on_the_card_and_moves_no_button() {
    let mut model = talking(vec![outcome("ordered", false)]);
    let card = |model: &Model| PopupData::now(model, at(4)).expect("a card");
    let before = popup::height(&card(&model));
    for n in 1..=5 {
        let id = uuid::Uuid::from_u128(n);
        let what = Written::Note { text: Private(format!("note {n}")) };
        let says = pinkas_protocol::agent_link::AgentSays::Write { id, call: call(1), what };
        model.drafts_mut().enter(id, at(3), says);
    }
    let data = card(&model);
    assert_eq!(popup::height(&data), before);
    let harness = shown(data, Shade::Dark);
    let top = |label: &str| harness.get_by_label(label).rect().top();
    assert!(top("note 5") < top("note 4"), "the newest first");
}

#[test]
fn a_talk_that_wants_an_outcome_is_not_finished_before_one_is_said() {
    let mut model = talking(vec![outcome("ordered", true)]);
    model.habits.wrap_up = Some(jiff::SignedDuration::from_secs(45));
    model.apply(sample::update(60, sample::ended(call(1), 60)));
    let finish = |model: &Model| {
        let mut harness = shown(PopupData::now(model, at(65)).expect("a card"), Shade::Dark);
        harness.get_by_label("Finish").click();
        harness.run();
        harness.state().clone()
    };
    assert!(finish(&model).is_empty());
    // Neither time nor another call nor Escape takes it away.
    model.apply(sample::update(200, sample::rings(call(2), "101")));
    model.close(call(1));
    let card = PopupData::now(&model, at(300)).expect("a card");
    assert_eq!((card.call, card.banners.len()), (call(1), 1));
    let id = uuid::Uuid::from_u128(7);
    let what = Written::Outcome { code: outcome("ordered", true).code };
    let says = pinkas_protocol::agent_link::AgentSays::Write { id, call: call(1), what };
    model.drafts_mut().enter(id, at(61), says);
    assert_eq!(PopupData::now(&model, at(300)).map(|card| card.call), Some(call(2)));
    model.close(call(2));
    model.open(call(1));
    assert_eq!(finish(&model), [Command::Close(call(1))]);
}

#[test]
fn a_begun_note_keeps_its_card_whatever_rings() {
    let mut model = talking(Vec::new());
    model.apply(sample::update(60, sample::ended(call(1), 60)));
    model.drafts_mut().type_text(call(1), "call ba", at(61));
    model.apply(sample::update(62, sample::rings(call(2), "101")));
    let card = PopupData::now(&model, at(63)).expect("a card");
    assert_eq!((card.call, card.banners.len()), (call(1), 1));
    assert_eq!(card.writing.expect("a field").draft, "call ba");
}

#[test]
fn how_a_caller_was_identified_is_asked_where_something_is_kept_back() {
    let filled = sample::filled(Facts::Balance(Default::default()), at(2), 3);
    let mut card = sample::card("erp", Gives::Balance, "C-1", filled);
    card.folded = vec!["balance".to_owned()];
    let mut view = sample::arrived(call(1), "+48123456789", None, known("Zofia"), at(0));
    view.cards = vec![card];
    let mut model = model_with(sample::rings_as(view, "101", at(0)));
    assert!(!PopupData::now(&model, at(2)).expect("a card").can_identify, "nobody talked yet");
    model.apply(sample::update(2, sample::answered(call(1), "101")));
    let data = PopupData::now(&model, at(4)).expect("a card");
    assert!(data.can_identify);
    let mut harness = shown(data, Shade::Light);
    let question = "How was the caller identified?";
    harness.get_by_role_and_label(egui::accesskit::Role::TextInput, question).click();
    harness.run();
    harness.event(egui::Event::Text("tax number".to_owned()));
    harness.run();
    harness.get_by_label("Identified").click();
    harness.run();
    let how = Private("tax number".to_owned());
    let said: Vec<_> = harness.state().iter().filter(|said| !is_of_keyboard(said)).cloned().collect();
    assert_eq!(said, [Command::Identified { call: call(1), how }]);
}

#[test]
fn a_guess_is_confirmed_or_denied_and_a_key_is_enough() {
    let matched = pinkas_protocol::card::Match::LastDigits { digits: 9 };
    let customer = pinkas_protocol::Customer { matched, ..sample::customer("C-1", "Levi Bakery", None) };
    let data = ringing(Who::Known { customer }, Vec::new());
    let said: Vec<_> = data.choices.iter().map(|choice| (choice.key, choice.name.as_str())).collect();
    assert_eq!(said, [(Some(1), "Levi Bakery"), (Some(2), "None of these")]);
    for (key, chosen) in [(egui::Key::Num1, Some("C-1")), (egui::Key::Num2, None)] {
        let mut harness = shown(data.clone(), Shade::Dark);
        harness.key_press(key);
        harness.run();
        let [Command::Choose { customer, .. }] = harness.state().as_slice() else { panic!("a choice") };
        assert_eq!(customer.as_ref().map(|key| key.as_str()), chosen);
    }
}

#[test]
fn what_sources_disagree_on_stands_side_by_side_and_is_not_shown_as_certain() {
    let mut cards = sample::cards("C-1", "PLN", ["Paint", "Boards", "Screws"], at(0));
    let other =
        pinkas_protocol::card::Balance { balance: Some(sample::money("900", "PLN")), ..Default::default() };
    cards.push(sample::card("erp", Gives::Balance, "C-1", sample::filled(Facts::Balance(other), at(0), 3)));
    let data = ringing(known("Zofia"), cards);
    assert_eq!(data.figures[0].note.as_deref(), Some("sources disagree"));
    assert_eq!(data.figures[2].note, None);
    let trouble: Vec<_> = data.cards.iter().filter_map(|card| card.trouble.as_deref()).collect();
    let expected = ["erp says zł\u{a0}900.00 (Balance)", "accounting says zł\u{a0}1,250.00 (Balance)"];
    assert_eq!(trouble, expected);
}

#[test]
fn earlier_calls_of_an_unknown_number_are_told() {
    let call = |seconds, by: Option<&str>| pinkas_protocol::board::Earlier {
        at: at(seconds),
        answered_by: by.map(str::to_owned),
    };
    let earlier = vec![call(-60, Some("Ana")), call(-86_400, None)];
    let data = ringing(Who::Unknown { country: None, earlier }, Vec::new());
    assert_eq!(data.cards[0].title, "Earlier calls");
    let CardBody::Rows(rows) = &data.cards[0].body else { panic!("rows") };
    let said = rows.iter().map(|row| format!("{} {}", row.lead.as_deref().unwrap_or("-"), row.text));
    let said: Vec<_> = said.collect();
    assert_eq!(said, ["09:59 Answered by Ana", "21 Nov 10:00 Nobody answered"]);
}

#[test]
fn a_click_on_a_call_that_waits_below_shows_it() {
    let mut model = model_with(sample::rings(call(1), "101"));
    model.apply(sample::update(2, sample::rings(call(2), "101")));
    let mut harness = shown(PopupData::now(&model, at(4)).expect("a card"), Shade::Dark);
    harness.get_by_label("Zofia Wiśniewska · 7001").click();
    harness.run();
    assert_eq!(harness.state(), &[Command::Open(call(2))]);
}

#[test]
fn a_row_with_a_page_opens_it_and_nothing_but_a_page_is_opened() {
    let row = |label: &str, link: &str| pinkas_protocol::card::CustomRow {
        label: label.to_owned(),
        value: Some(Private("4711".to_owned())),
        link: Some(Private(link.to_owned())),
    };
    let rows = vec![row("Ticket", "https://crm.example/7"), row("Hostile", "file:///etc/passwd")];
    let card = sample::card("crm", Gives::Custom, "C-1", sample::filled(Facts::Custom { rows }, at(0), 3));
    let mut harness = shown(ringing(known("Zofia"), vec![card]), Shade::Dark);
    assert!(harness.query_by_label("Hostile 4711").is_none(), "it is text only");
    harness.get_by_label("Ticket 4711").click();
    harness.run();
    assert_eq!(harness.state(), &[Command::Browse(Private("https://crm.example/7".to_owned()))]);
}

#[test]
fn on_a_small_screen_the_cards_are_reached_while_one_can_write() {
    let mut view = sample::arrived(call(1), "+48123456789", None, known("Zofia"), at(0));
    view.cards = sample::cards("C-1", "PLN", ["Paint", "Boards", "Screws"], at(0));
    let mut model = model_with(sample::rings_as(view, "101", at(0)));
    model.apply(sample::update(2, sample::answered(call(1), "101")));
    let data = PopupData::now(&model, at(4)).expect("a card");
    let mut harness = shown_in(data, Shade::Dark, egui::Vec2::new(CARD_WIDTH, 440.0));
    let note = harness.get_by_role_and_label(egui::accesskit::Role::MultilineTextInput, "Note").rect();
    let place = |harness: &Harness<'static, Vec<Command>>| {
        harness.query_all_by_label("Recent purchases").next().expect("a card").rect()
    };
    assert!(place(&harness).top() > note.top(), "it is too small for all");
    harness.hover_at(egui::Pos2::new(200.0, 150.0));
    harness.run();
    harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: egui::Vec2::new(0.0, -1000.0),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: egui::Modifiers::NONE,
    });
    harness.run();
    let (found, status) = (place(&harness), harness.get_by_label("Talking on 101 · Support").rect());
    assert!(found.top() > status.bottom() && found.bottom() < note.top(), "{found:?}");
    let now = harness.get_by_role_and_label(egui::accesskit::Role::MultilineTextInput, "Note").rect();
    assert_eq!(now, note, "what one writes in stays");
}
