//! The drawn views, asked by what a screen reader hears: every view in both shades, also with hostile text.

use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use jiff::tz::TimeZone;
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::board::{PauseView, Waiting};
use pinkas_protocol::{
    Attestation, Board, CardState, CustomerKey, Facts, Gives, LineState, LineView, Number, OfferState, Pause,
    Private, QueueName, StirShaken, TagName, Update, Verdict, Who, Written,
};

use super::main_window::{self, Looks, Tab};
use super::popup::{self, CardBody, FigureValue, PopupData};
use super::settings::{Machine, Offered};
use crate::command::Command;
use crate::model::Model;
use crate::place::Stand;
use crate::sample::{self, at, call};
use crate::settings::{Edge, Settings, Shade, Switch};
use crate::theme::{CARD_WIDTH, Theme};
use crate::words::{Language, Words};
use crate::{fonts, text, theme, words};

mod bad_input;
mod find;
mod in_use;
mod links;
mod lists;
mod login;
mod people;
mod pictures;
mod stories;

fn model_with(update: Update) -> Model {
    let mut model = Model::new(TimeZone::UTC);
    model.apply(sample::welcome(0, Board::default()));
    model.apply(sample::update(1, update));
    model
}

fn ringing(who: Who, cards: Vec<pinkas_protocol::Card>) -> PopupData {
    let mut view = sample::arrived(call(1), "+48123456789", Some("Zofia W"), who, at(0));
    view.cards = cards;
    PopupData::now(&model_with(sample::rings_as(view, "101", at(0))), at(4)).expect("a card")
}

fn known(name: &str) -> Who {
    Who::Known { customer: sample::customer("C-1", name, Some("VIP")) }
}

fn shown(data: PopupData, shade: Shade) -> Harness<'static, Vec<Command>> {
    let size = egui::Vec2::new(CARD_WIDTH, popup::height(&data));
    shown_in(data, shade, size)
}

fn shown_in(data: PopupData, shade: Shade, size: egui::Vec2) -> Harness<'static, Vec<Command>> {
    shown_with(data, Theme::of(shade), size)
}

fn shown_with(data: PopupData, theme: Theme, size: egui::Vec2) -> Harness<'static, Vec<Command>> {
    Harness::builder()
        // Foreign text may hold letters that no font has: they are drawn as boxes.
        .allow_missing_glyphs()
        .with_size(size)
        .with_context_setup(move |ctx| {
            fonts::install(ctx);
            theme.apply(ctx);
        })
        .build_ui_state(
            move |ui, said: &mut Vec<Command>| said.extend(popup::ui(ui, &theme, &data)),
            Vec::new(),
        )
}

#[test]
fn a_card_is_read_from_what_happens_to_what_explains_it() {
    let data =
        ringing(known("Zofia Wiśniewska"), sample::cards("C-1", "PLN", ["Paint", "Boards", "Screws"], at(0)));
    for shade in [Shade::Dark, Shade::Light] {
        let harness = shown(data.clone(), shade);
        for label in [
            "Ringing on 101 · Support",
            "0:04",
            "Zofia Wiśniewska",
            "+48 12 345 67 89",
            "VIP",
            "Caller ID: Zofia W",
            "zł\u{a0}430.00 overdue",
            "zł\u{a0}3,750.00",
            "limit − balance",
            "30 days",
            "Recent purchases",
            "14 Nov",
            "Boards",
            "×12",
            "zł\u{a0}1,104.00",
            "sales · 0.2 s · as of 10:00",
        ] {
            assert!(harness.query_all_by_label(label).next().is_some(), "{label} in {shade:?}");
        }
    }
}

#[test]
fn a_card_that_waits_keeps_its_place_and_trouble_is_said_in_words() {
    let data = ringing(known("Zofia Wiśniewska"), sample::troubled_cards("C-1"));
    assert_eq!(data.cards[2].body, CardBody::Bars);
    assert_eq!(data.figures[0].value, FigureValue::Waiting);
    assert_eq!(data.figures[2].value, FigureValue::Unknown);
    let harness = shown(data, Shade::Dark);
    for label in
        ["no answer in 800 ms, still waiting", "refused: HTTP 403", "sales · waiting", words::UNKNOWN]
    {
        assert!(harness.query_all_by_label(label).next().is_some(), "{label}");
    }
}

#[test]
fn no_card_moves_when_another_is_filled_or_fails() {
    let who = || known("Zofia Wiśniewska");
    let products = ["Paint", "Boards", "Screws"];
    let filled = || sample::cards("C-1", "PLN", products, at(0));
    let waiting = || {
        let mut cards = filled();
        cards.iter_mut().for_each(|card| card.state = CardState::Waiting);
        cards
    };
    let failure = pinkas_protocol::Failure::Unreachable;
    let failed = |mut cards: Vec<pinkas_protocol::Card>| {
        cards[0].state = CardState::Failed { failure: failure.clone(), took_ms: 3 };
        cards[1].state = CardState::Nothing { took_ms: 3 };
        cards
    };
    let tops = |cards| {
        let harness = shown(ringing(who(), cards), Shade::Dark);
        ["Balance", "Credit terms", "Recent purchases"]
            .map(|title| harness.query_all_by_label(title).last().map(|node| node.rect().top()))
    };
    let expected = tops(filled());
    assert!(expected.iter().all(Option::is_some));
    for cards in [waiting(), failed(waiting()), failed(filled())] {
        assert_eq!(tops(cards), expected);
    }
    let mut turned = filled();
    turned.reverse();
    assert_eq!(tops(turned), expected, "whatever the order of the sources");
}

/// A card in a language; its colours with it.
fn card_in(language: &str, name: &str) -> (PopupData, Theme) {
    let words = Words::of(language.parse().expect("a language"));
    let theme = Theme::of(Shade::Dark).read(words.direction());
    let mut view = sample::arrived(call(1), "+48123456789", None, known(name), at(0));
    view.cards = sample::cards("C-1", "ILS", ["Paint", "צבע לבן", "Screws"], at(0));
    let mut model = model_with(sample::rings_as(view, "101", at(0)));
    model.words = words;
    (PopupData::now(&model, at(4)).expect("a card"), theme)
}

#[test]
fn in_hebrew_the_card_is_mirrored_as_a_whole_and_a_name_alone_mirrors_nothing() {
    let places = |language, name| {
        let (data, theme) = card_in(language, name);
        let size = egui::Vec2::new(CARD_WIDTH, popup::height(&data));
        let words = data.words.clone();
        let harness = shown_with(data, theme, size);
        ["open-row", "recent-purchases", "terms", "close"].map(|id| {
            let label = words.say(id);
            harness.query_all_by_label(&label).next().expect(id).rect()
        })
    };
    for name in ["Zofia", "מאפיית לוי"] {
        let (english, hebrew) = (places("en", name), places("he", name));
        for (i, (latin, turned)) in english.into_iter().zip(hebrew).enumerate() {
            let (from_left, from_right) = (latin.left(), CARD_WIDTH - turned.right());
            assert!((from_left - from_right).abs() < 40.0, "{i} of {name}: {latin:?} {turned:?}");
        }
    }
}

#[test]
fn a_card_says_the_same_in_every_language_and_digits_keep_their_order() {
    let mut said = String::new();
    for language in Language::all() {
        let (data, _) = card_in(language.code(), "מאפיית לוי");
        let mut line = |text: &str| {
            said.push_str(&text::visual(text));
            said.push('\n');
        };
        line(&format!("[{}]", language.code()));
        line(&data.status);
        for figure in &data.figures {
            line(&figure.label);
            if let FigureValue::Known(value) = &figure.value {
                line(value);
            }
            line(figure.note.as_deref().unwrap_or(words::UNKNOWN));
        }
        for card in &data.cards {
            line(&card.title);
            line(&card.source);
            let CardBody::Rows(rows) = &card.body else { continue };
            for row in rows {
                for cell in [row.lead.as_ref(), Some(&row.text), row.count.as_ref(), row.amount.as_ref()] {
                    line(cell.map_or(words::UNKNOWN, String::as_str));
                }
            }
        }
    }
    insta::assert_snapshot!(said);
}

#[test]
fn twenty_purchases_leave_head_and_foot_in_sight() {
    let mut cards = sample::cards("C-1", "ILS", ["Paint", "Boards", "Screws"], at(0));
    let Some(CardState::Filled { facts: Facts::Purchases { purchases }, .. }) =
        cards.last_mut().map(|c| &mut c.state)
    else {
        panic!("purchases")
    };
    *purchases = purchases.iter().cycle().take(20).cloned().collect();
    let data = ringing(known("Zofia"), cards);
    assert!(popup::height(&data) > 800.0);
    let harness = shown_in(data, Shade::Dark, egui::Vec2::new(CARD_WIDTH, 640.0));
    for label in ["Zofia", "Close"] {
        let place = harness.get_by_label(label).rect();
        assert!(place.top() > 0.0 && place.bottom() < 640.0, "{label}: {place:?}");
    }
}

#[test]
fn a_source_that_knows_nothing_never_reads_as_zero() {
    let nothing = |gives| sample::card("erp", gives, "C-1", CardState::Nothing { took_ms: 12 });
    let data = ringing(known("Zofia"), vec![nothing(Gives::Balance), nothing(Gives::Credit)]);
    assert!(data.figures.iter().all(|figure| figure.value == FigureValue::Unknown));
    assert_eq!(data.cards[0].source, "erp · 12 ms · no record");
}

#[test]
fn a_large_amount_is_shrunk_and_never_cut() {
    let mut cards = sample::cards("C-1", "ILS", ["Paint", "Boards", "Screws"], at(0));
    let Some(CardState::Filled { facts: Facts::Balance(balance), .. }) =
        cards.first_mut().map(|c| &mut c.state)
    else {
        panic!("a balance")
    };
    balance.balance = Some(sample::money("-123456789.5", "ILS"));
    let harness = shown(ringing(known("Zofia"), cards), Shade::Dark);
    let places: Vec<_> = harness.query_all_by_label("-₪123,456,789.50").map(|node| node.rect()).collect();
    assert_eq!(places.len(), 2);
    // A text that is cut keeps the height of its letters: smaller letters mean that it is whole.
    assert!(places[0].height() < theme::FIGURE * 1.2, "{:?}", places[0]);
}

#[test]
fn of_several_customers_one_is_chosen_with_a_click() {
    let customers =
        vec![sample::customer("C-1", "Levi Bakery", None), sample::customer("C-2", "Ruth Levi", None)];
    let data = ringing(Who::Several { customers, chosen: None }, Vec::new());
    assert_eq!(data.chips[0].text, "Two customers share this number");
    let mut harness = shown(data, Shade::Light);
    harness.get_by_label("Ruth Levi").click();
    harness.run();
    let customer = CustomerKey::parse("C-2").ok();
    assert_eq!(*harness.state(), [Command::Choose { call: call(1), customer }]);
}

#[test]
fn close_says_which_call() {
    let mut harness = shown(ringing(known("Zofia"), Vec::new()), Shade::Dark);
    harness.get_by_label("Close").click();
    harness.run();
    assert_eq!(harness.state(), &[Command::Close(call(1))]);
}

#[test]
fn a_withheld_number_is_said_and_not_invented() {
    let view = sample::arrived(call(1), "", None, Who::NoNumber, at(0));
    let data = PopupData::now(&model_with(sample::rings_as(view, "101", at(0))), at(4)).expect("a card");
    assert_eq!((data.name.as_str(), data.number.as_deref()), ("Number withheld", None));
    assert!(data.chips.is_empty() && data.figures.is_empty());
    assert!(shown(data, Shade::Dark).query_by_label("Ask for the customer or invoice number").is_some());
}

#[test]
fn a_trial_is_marked_as_one_and_is_listed_only_while_it_goes_on() {
    let view = sample::arrived(call(1), "", None, Who::NoNumber, at(0));
    let trial = pinkas_protocol::CallView { trial: true, ..view };
    let mut model = model_with(sample::rings_as(trial, "101", at(0)));
    let data = PopupData::now(&model, at(4)).expect("a card");
    assert_eq!(data.chips.first().map(|chip| chip.text.as_str()), Some("trial: nobody calls"));
    assert!(shown(data, Shade::Dark).query_by_label("trial: nobody calls").is_some());
    assert_eq!(super::history::rows(&model, at(4)).len(), 1);
    let ended = pinkas_protocol::board::Ended { at: at(5), how: pinkas_protocol::EndedHow::Abandoned };
    model.board.apply(Update::Ended { call: call(1), ended });
    assert!(super::history::rows(&model, at(6)).is_empty());
}

#[test]
fn an_unknown_number_shows_its_country() {
    let data = ringing(Who::Unknown { country: Some("PL".to_owned()), earlier: Vec::new() }, Vec::new());
    assert_eq!(data.name, "Zofia W");
    assert_eq!(data.chips[0].text, "Poland");
}

#[test]
fn hostile_text_is_shown_as_plain_text_that_fits() {
    for (shade, hostile) in [Shade::Dark, Shade::Light].into_iter().cycle().zip([
        "'; DROP TABLE customers; --".to_owned(),
        "{{7*7}} ${7*7} <script>alert(1)</script>".to_owned(),
        "\u{202E}evil\u{2066} name\u{0007}\nsecond line".to_owned(),
        "א(".repeat(500),
        "x".repeat(4096),
        "\u{FFFF}\u{0301}\u{1F468}\u{200D}\u{1F469}".to_owned(),
        String::new(),
    ]) {
        let mut cards = sample::cards("C-1", &hostile, [&hostile; 3], at(0));
        cards.extend(sample::troubled_cards("C-1"));
        let mut data = ringing(known(&hostile), cards);
        assert!(!data.name.contains(['\n', '\u{202E}', '\u{2066}', '\u{7}']));
        data.claims = Some(data.name.clone());
        let harness = shown(data.clone(), shade);
        let name = harness.query_all_by_label(&data.name).next();
        let place = name.map(|node| node.rect()).expect("the name is there");
        assert!(place.left() >= 0.0 && place.right() <= CARD_WIDTH, "{place:?} for {:.20}", data.name);
    }
}

#[test]
fn a_number_that_is_no_number_is_text() {
    let mut view =
        sample::arrived(call(1), "+1", None, Who::Unknown { country: None, earlier: Vec::new() }, at(0));
    view.facts.caller.number = Some(Number::Other { text: "'; DROP TABLE".to_owned() });
    let data = PopupData::now(&model_with(sample::rings_as(view, "101", at(0))), at(4)).expect("a card");
    assert_eq!(data.name, "'; DROP TABLE");
}

/// A call that a colleague passed on, of which the phone system tells everything.
fn told_all(tags: usize) -> PopupData {
    let mut view = sample::arrived(call(1), "+48123456789", None, known("Zofia Wiśniewska"), at(0));
    let stir = StirShaken { verdict: Verdict::Passed, attestation: Some(Attestation::A) };
    view.facts.caller.stir = Some(stir);
    view.facts.dialled = Some(sample::number("+48221112233"));
    view.facts.diverted_by = Some(sample::number("700"));
    let tag =
        |n: usize| (TagName::parse(&format!("tag {n}")).expect("a name"), Private(format!("value {n}")));
    view.facts.tags = (1..=tags).map(tag).collect();
    let talks = OfferState::Left { at: at(1), left_at: at(2), moved_to: None };
    view.offers.insert(sample::line("102"), sample::offer(Some("Ana"), at(0), talks));
    let rings = pinkas_protocol::Offer {
        passed_on_by: Some(sample::line("102")),
        ..sample::offer(None, at(0), OfferState::Ringing)
    };
    view.offers.insert(sample::line("101"), rings);
    let mut model = model_with(Update::Call { view: Box::new(view) });
    let mut other = sample::arrived(call(2), "", None, Who::NoNumber, at(0));
    other.facts.dialled = Some(sample::number("+48221112244"));
    model.apply(sample::update(2, Update::Call { view: Box::new(other) }));
    PopupData::now(&model, at(4)).expect("a card")
}

#[test]
fn how_a_call_came_here_and_what_the_phone_system_knows_stands_below_the_name() {
    let data = told_all(2);
    assert_eq!(data.routes, ["Passed on by Ana", "Dialled +48 22 111 22 33 · forwarded by 700"]);
    for shade in [Shade::Dark, Shade::Light] {
        let harness = shown(data.clone(), shade);
        for label in ["number verified", "VIP", "Passed on by Ana", "tag 1", "value 1", "value 2"] {
            assert!(harness.query_all_by_label(label).next().is_some(), "{label} in {shade:?}");
        }
        assert!(harness.query_by_label("From the phone system").is_none());
    }
    let many = shown(told_all(16), Shade::Dark);
    for label in ["From the phone system", "tag 16", "value 16"] {
        assert!(many.query_by_label(label).is_some(), "{label}");
    }
}

#[test]
fn the_number_that_was_dialled_is_told_only_where_there_are_several() {
    let mut view = sample::arrived(call(1), "+48123456789", None, known("Zofia"), at(0));
    view.facts.dialled = Some(sample::number("700"));
    let data = PopupData::now(&model_with(sample::rings_as(view, "101", at(0))), at(4)).expect("a card");
    assert!(data.routes.is_empty(), "{:?}", data.routes);
}

#[test]
fn a_number_is_called_verified_only_where_its_carrier_vouches_for_it() {
    let check = |verdict, attestation, expected: Option<&str>| {
        let mut view = sample::arrived(call(1), "700", None, Who::Asking, at(0));
        view.facts.caller.stir = Some(StirShaken { verdict, attestation });
        let data = PopupData::now(&model_with(sample::rings_as(view, "101", at(0))), at(4)).expect("a card");
        assert_eq!(data.chips.first().map(|chip| chip.text.as_str()), expected);
    };
    check(Verdict::Passed, None, Some("number verified"));
    check(Verdict::Passed, Some(Attestation::A), Some("number verified"));
    check(Verdict::Passed, Some(Attestation::B), None);
    check(Verdict::Passed, Some(Attestation::C), None);
    check(Verdict::Unchecked, Some(Attestation::A), None);
    check(Verdict::Failed, Some(Attestation::A), Some("number may be forged"));
}

fn supervisor() -> Model {
    let mut model = Model::new(TimeZone::UTC);
    let mut board = Board::default();
    let mut waiting = sample::arrived(call(1), "+48123456789", None, known("Zofia"), at(0));
    waiting.facts.caller.name = Some(Private("Z".to_owned()));
    board.apply(Update::Call { view: Box::new(waiting) });
    let mut ringing = sample::arrived(call(2), "", None, Who::NoNumber, at(0));
    ringing.offers.insert(sample::line("102"), sample::offer(Some("Ana"), at(2), OfferState::Ringing));
    ringing.offers.insert(sample::line("103"), sample::offer(None, at(2), OfferState::Ringing));
    board.apply(Update::Call { view: Box::new(ringing) });
    model.apply(sample::welcome_as(Role::Supervisor, 0, board));
    model.apply(sample::update(
        1,
        sample::rings_as(sample::arrived(call(3), "+48123456780", None, Who::Asking, at(0)), "104", at(0)),
    ));
    model.apply(sample::update(2, sample::answered_at(call(3), "104", Some("Bob"), at(2))));
    model
}

const SETTINGS: Settings = Settings {
    shade: Shade::Dark,
    edge: Edge::Right,
    language: Language::ENGLISH,
    habits: crate::model::Habits { pops: crate::model::Pops::AtRing, wrap_up: None },
    sound: Switch::On,
    flash: Switch::On,
    notify: Switch::On,
    tray: Switch::On,
};

const MACHINE: Machine =
    Machine { sound: Offered::Yes, session: Offered::No, autostart: Some(Switch::Off), stand: Stand::AtEdge };

const MAIN_SIZE: egui::Vec2 = egui::Vec2::new(880.0, 560.0);

fn main_shown(model: Model, tab: Tab, shade: Shade) -> Harness<'static, (Looks, Vec<Command>)> {
    let theme = Theme::of(shade).read(model.words.direction());
    Harness::builder()
        .allow_missing_glyphs()
        .with_size(MAIN_SIZE)
        .with_context_setup(move |ctx| {
            fonts::install(ctx);
            theme.apply(ctx);
        })
        .build_ui_state(
            move |ui, (looks, said): &mut (Looks, Vec<Command>)| {
                let data = main_window::data(&model, (&SETTINGS, MACHINE), looks.tab(&model), at(10));
                said.extend(main_window::ui(ui, &theme, (&model, at(10)), &data, looks));
            },
            (Looks { tab: Some(tab), ..Looks::default() }, Vec::new()),
        )
}

#[test]
fn a_supervisor_sees_every_call_in_words() {
    for shade in [Shade::Dark, Shade::Light] {
        let harness = main_shown(supervisor(), Tab::Live, shade);
        for label in [
            "Waiting",
            "Ringing on 102 Ana, 103",
            "Talking with Bob on 104",
            "0:10",
            "0:08",
            "1 waiting · 1 ringing · 1 talking",
            "Connected",
            "supervisor · line 101",
            "No lines are known yet",
        ] {
            assert!(harness.query_all_by_label(label).next().is_some(), "{label}");
        }
    }
}

#[test]
fn a_supervisor_sees_places_in_queues_holds_and_pauses() {
    let mut model = supervisor();
    let queue = |name: &str| QueueName::parse(name).expect("a queue");
    let facts = model.board.calls[&call(1)].facts.clone();
    let waits = Some(Waiting { queue: queue("Support"), position: 2, since: at(4) });
    model.apply(sample::update(4, Update::Facts { call: call(1), facts, waits }));
    model.apply(sample::update(5, sample::held_at(call(3), "104", at(2), at(5))));
    model.apply(sample::update(5, sample::passed_on(call(2), "102", Some("Ana"), "104", 5)));
    let paused = |reason: Option<&str>, since| {
        let pause = Pause { reason: reason.map(str::to_owned) };
        PauseView { since: at(since), pause }
    };
    let pauses = [
        (queue("Sales"), paused(Some("lunch"), 0)),
        (queue("Support"), paused(Some("lunch"), 0)),
        (queue("Night"), paused(None, -3600)),
    ];
    let view = LineView {
        agent: Some("Ana".to_owned()),
        state: LineState::Idle,
        since: at(0),
        pauses: pauses.into(),
    };
    model.apply(sample::update(6, Update::Line { line: sample::line("102"), view }));
    for shade in [Shade::Dark, Shade::Light] {
        let harness = main_shown(model.clone(), Tab::Live, shade);
        for label in [
            "Waiting, place 2",
            "Ringing on 102 Ana (passed on by 104), 103",
            "0:06",
            "On hold on 104",
            "0:05",
            "1 waiting · 1 ringing · 0 talking · 1 on hold",
            "Paused, 09:00 · Night; Paused: lunch, 10:00 · Sales, Support",
        ] {
            assert!(harness.query_all_by_label(label).next().is_some(), "{label}");
        }
    }
}

#[test]
fn a_click_on_a_live_or_recent_call_opens_its_card() {
    let mut harness = main_shown(supervisor(), Tab::Live, Shade::Dark);
    harness.get_by_label("Zofia, Waiting, 0:10").click();
    harness.run();
    assert_eq!(harness.state().1, [Command::Open(call(1))]);
    harness.get_by_label("Recent calls").click();
    harness.run();
    harness.get_by_label("Zofia, 10:00, Waiting · Support").click();
    harness.run();
    assert_eq!(harness.state().1.iter().filter(|said| **said == Command::Open(call(1))).count(), 2);
}

#[test]
fn empty_lists_say_so_and_agents_have_no_live_view() {
    let mut model = Model::new(TimeZone::UTC);
    assert!(
        main_shown(model.clone(), Tab::Recent, Shade::Dark)
            .query_by_label("Connecting to the hub…")
            .is_some()
    );
    model.apply(sample::welcome(0, Board::default()));
    let harness = main_shown(model.clone(), Tab::Live, Shade::Light);
    assert!(harness.query_by_label("The hub is being asked…").is_some());
    assert!(harness.query_by_label("Live calls").is_none());
    model.apply(sample::welcome_as(Role::Supervisor, 0, Board::default()));
    assert!(main_shown(model, Tab::Live, Shade::Dark).query_by_label("No calls now").is_some());
}

#[test]
fn a_long_history_draws_only_the_rows_in_sight() {
    let mut model = Model::new(TimeZone::UTC);
    let mut board = Board::default();
    for n in 0..300 {
        let view = sample::arrived(call(n), "+48123456789", None, known("Zofia"), at(0));
        board.apply(Update::Call { view: Box::new(view) });
    }
    model.apply(sample::welcome(0, board));
    let harness = main_shown(model, Tab::Recent, Shade::Dark);
    let rows = harness.query_all_by_label("+48 12 345 67 89").count();
    assert!((5..40).contains(&rows), "{rows} rows");
}

#[test]
fn a_click_in_the_settings_says_all_of_them_anew() {
    let mut harness = main_shown(supervisor(), Tab::Settings, Shade::Dark);
    for label in ["Polski", "Light", "When I answer", "60 s", "Left"] {
        assert!(harness.query_by_label(label).is_some(), "{label}");
    }
    harness.get_by_label("עברית").click();
    harness.run();
    harness.get_by_label("30 s").click();
    harness.run();
    let language = "he".parse().expect("a language");
    let wrap_up = Some(jiff::SignedDuration::from_secs(30));
    let habits = crate::model::Habits { wrap_up, ..SETTINGS.habits };
    let said = [Settings { language, ..SETTINGS }, Settings { habits, ..SETTINGS }].map(Command::Set);
    assert_eq!(harness.state().1, said);
}

#[test]
fn sounds_flashes_and_starting_with_the_session_are_switched_in_the_settings() {
    let mut harness = main_shown(supervisor(), Tab::Settings, Shade::Dark);
    assert_eq!(harness.query_all_by_label("Off").count(), 3, "sound, flash, session");
    for row in 0..3 {
        harness.query_all_by_label("Off").nth(row).expect("a row").click();
        harness.run();
    }
    let expected = [
        Command::Set(Settings { sound: Switch::Off, ..SETTINGS }),
        Command::Set(Settings { flash: Switch::Off, ..SETTINGS }),
        Command::Autostart(Switch::Off),
    ];
    assert_eq!(harness.state().1, expected);
}
