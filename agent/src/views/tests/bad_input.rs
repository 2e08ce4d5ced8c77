//! Text and numbers that nobody would send on purpose, in every place of every view: huge, piled up, turning,
//! unknown. All of it is drawn, in bounded work, and no text is written over another or out of the window.

use egui::epaint::Shape;
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::card::{CustomRow, Purchase, SourceNote};
use pinkas_protocol::record::{Outcome, Settled};
use pinkas_protocol::{
    AdapterId, AgentId, Card, FollowUp, OutcomeCode, PastCall, PersonState, PersonView, Reason, ReasonCode,
    StirShaken,
};

use super::*;
use crate::net::{Me, NetEvent, Page};

/// In each of hundreds of places.
const LONG: usize = 20_000;

/// Each with a name for messages.
fn hostile() -> Vec<(&'static str, String)> {
    let zalgo: String = "Zofia"
        .chars()
        .flat_map(|c| [c].into_iter().chain(['\u{0301}', '\u{0316}', '\u{0489}'].repeat(40)))
        .collect();
    vec![
        ("one long word", "x".repeat(LONG)),
        ("blanks and an end", " ".repeat(LONG) + "end"),
        ("long, in Hebrew", "שלום עולם ".repeat(LONG / 10)),
        ("zalgo", zalgo),
        ("marks alone", "\u{0301}\u{0316}".repeat(300)),
        ("emoji", "👨‍👩‍👧‍👦🏳️‍🌈👍🏽🇮🇱 ".repeat(60)),
        ("bidi overrides", "\u{202E}evil\u{2066}\u{2067}\u{200F}\u{061C} (txt.exe)\u{2069}".repeat(20)),
        ("lines and bells", "one\r\ntwo\u{2028}three\u{0B}\u{7}\u{0}\u{1B}[31m\tend".to_owned()),
        ("both directions, with brackets", "דוד (ראשי) 12,345.67 [Foods] ‏".repeat(40)),
        ("what fonts lack", "\u{12031}\u{FDFD}\u{A9C5}\u{FFFF}\u{10FFFF}\u{E000}".repeat(50)),
        ("nothing", String::new()),
    ]
}

/// A text as an id of its own kind, as far as an id may hold it.
fn as_id<T>(raw: &str, parse: impl Fn(&str) -> Result<T, pinkas_protocol::ids::IdError>, other: &str) -> T {
    let short: String = raw.chars().take(64).collect();
    parse(&words::plain(&short).chars().take(64).collect::<String>())
        .unwrap_or_else(|_| parse(other).expect("an id"))
}

/// Every kind of card, with `text` wherever text may stand, and a thousand of all that may be many.
fn cards(text: &str) -> Vec<Card> {
    const MANY: usize = 1_000;
    let private = || Private(text.to_owned());
    // A thousand of the long ones would be a test of this machine's memory.
    let short: String = text.chars().take(500).collect();
    let mut cards = sample::cards("C-1", text, [text; 3], at(0));
    for card in &mut cards {
        card.title = Some(text.to_owned());
        card.folded = vec![short.clone(); MANY];
        let CardState::Filled { facts, .. } = &mut card.state else { continue };
        match facts {
            Facts::Balance(balance) => {
                balance.balance = Some(sample::money("-79228162514264337593543950335", &short));
                balance.oldest_due = "9999-12-31".parse().ok();
            }
            Facts::Credit(credit) => {
                credit.days = Some(u32::MAX);
                (credit.offer, credit.note, credit.hold) =
                    (Some(text.to_owned()), Some(text.to_owned()), Some(true));
            }
            Facts::Purchases { purchases } => {
                let bought = Purchase {
                    product: short.clone(),
                    quantity: "0.0000000000000000000000000001".parse().ok(),
                    ..purchases[0].clone()
                };
                *purchases = vec![bought; MANY];
            }
            _ => {}
        }
    }
    let note = SourceNote { date: None, text: Private(short.clone()), by: Some(short.clone()) };
    let row = CustomRow {
        label: short.clone(),
        value: Some(Private(short.clone())),
        link: Some(Private(format!("https://{short}"))),
    };
    let of = |gives, facts| sample::card("crm", gives, "C-1", sample::filled(facts, at(0), u64::MAX));
    cards.push(of(Gives::Notes, Facts::Notes { notes: vec![note; MANY] }));
    cards.push(of(Gives::Custom, Facts::Custom { rows: vec![row; MANY] }));
    cards.push(of(Gives::Custom, Facts::Newer));
    cards.extend(sample::troubled_cards("C-1"));
    let failure = pinkas_protocol::Failure::NotUnderstood { what: text.to_owned() };
    cards.push(Card {
        title: Some(private().0),
        ..sample::card("erp", Gives::Balance, "C-1", CardState::Failed { failure, took_ms: 0 })
    });
    cards
}

fn customer(text: &str) -> pinkas_protocol::Customer {
    pinkas_protocol::Customer {
        place: Some(Private(text.to_owned())),
        account_manager: Some(text.to_owned()),
        language: Some(text.to_owned()),
        ..sample::customer("C-1", text, Some(text))
    }
}

/// A call that rings here, and says `text` wherever a call can say something.
fn call_with(n: u128, text: &str, who: Who) -> pinkas_protocol::CallView {
    let mut view = sample::arrived(call(n), "+48123456789", Some(text), who, at(0));
    view.facts.caller.number = Some(Number::Other { text: text.to_owned() });
    view.facts.caller.stir = Some(StirShaken { verdict: Verdict::Failed, attestation: None });
    view.facts.dialled = Some(Number::Other { text: text.to_owned() });
    view.facts.diverted_by = Some(Number::Other { text: text.to_owned() });
    view.facts.queue = Some(as_id(text, QueueName::parse, "Support"));
    let tag = |n: usize| {
        let name = as_id(&format!("{n}{text}"), TagName::parse, "tag");
        (name, Private(text.to_owned()))
    };
    view.facts.tags = (0..pinkas_protocol::call::MOST_TAGS).map(tag).collect();
    let rings = pinkas_protocol::Offer {
        passed_on_by: Some(sample::line("102")),
        ..sample::offer(Some(text), at(0), OfferState::Ringing)
    };
    view.offers.insert(sample::line("102"), sample::offer(Some(text), at(0), OfferState::Ringing));
    view.offers.insert(sample::line("101"), rings);
    view
}

fn model_of(text: &str, language: Language, role: Role) -> Model {
    let mut model = Model::new(TimeZone::UTC);
    model.words = Words::of(language);
    let outcomes: Vec<Outcome> = (0..9).map(|n| outcome(n, text)).collect();
    let mut board = Board::default();
    for n in 0..40 {
        let line = as_id(&format!("{n} {text}"), pinkas_protocol::Line::parse, &format!("{n}"));
        let pause = Pause { reason: Some(text.to_owned()) };
        let pauses = [(as_id(text, QueueName::parse, "Q"), PauseView { since: at(0), pause })].into();
        let view =
            LineView { agent: Some(text.to_owned()), state: LineState::Busy, since: at(-9_000_000), pauses };
        board.lines.insert(line, view);
    }
    let adapter = as_id(text, AdapterId::parse, "office");
    board.adapters.insert(adapter, pinkas_protocol::board::AdapterView { connected: false, since: at(-99) });
    let lines =
        (0..40).map(|n| as_id(&format!("{n}{text}"), pinkas_protocol::Line::parse, "9")).collect::<Vec<_>>();
    let lines = [vec![sample::line("101")], lines].concat();
    let id = AgentId::parse("dana").expect("a name");
    let code = as_id(text, ReasonCode::parse, "lunch");
    for n in 0..40 {
        let person = AgentId::parse(&format!("p{n}")).expect("a name");
        let person = if n == 0 { id.clone() } else { person };
        let state = PersonState::NotReady { reason: code.clone() };
        let view = PersonView { name: text.to_owned(), lines: lines.clone(), state, since: at(-9_000_000) };
        board.people.insert(person, view);
    }
    let reasons = vec![Reason { code, label: Some(text.to_owned()) }; 32];
    let me = Me { id, name: text.to_owned(), role, lines };
    model.apply(NetEvent::Welcome { at: at(0), me, hub_now: at(0), board, outcomes, reasons });
    let customers: Vec<_> = (0..30)
        .map(|n| pinkas_protocol::Customer {
            key: CustomerKey::parse(&format!("C-{n}")).expect("a key"),
            ..customer(text)
        })
        .collect();
    for (n, who) in [
        Who::Known { customer: customer(text) },
        Who::Several { customers: customers.clone(), chosen: None },
        Who::Unknown { country: Some(text.to_owned()), earlier: earlier(text) },
        Who::NoneOf { customers, country: Some(text.to_owned()), earlier: earlier(text) },
        Who::Failed { failure: pinkas_protocol::Failure::Refused { what: text.to_owned() } },
    ]
    .into_iter()
    .enumerate()
    {
        let mut view = call_with(n as u128 + 1, text, who);
        view.cards = cards(text);
        model.apply(sample::update(1, Update::Call { view: Box::new(view) }));
    }
    let mut row = sample::missed(call(50), "", Some(text), u32::MAX, (at(-9_000_000), at(-5)));
    row.caller.name = Some(Private(text.to_owned()));
    row.handled = Some(Settled { at: at(0), name: Some(text.to_owned()) });
    model.apply(sample::update(1, Update::Missed { row: Box::new(row) }));
    answer(&mut model, text);
    model
}

fn outcome(n: usize, text: &str) -> Outcome {
    Outcome {
        label: text.to_owned(),
        code: OutcomeCode::parse(&format!("o{n}")).expect("a code"),
        queues: Vec::new(),
        required: true,
    }
}

fn earlier(text: &str) -> Vec<pinkas_protocol::board::Earlier> {
    let call = pinkas_protocol::board::Earlier { at: at(-99), answered_by: Some(text.to_owned()) };
    vec![call; 5]
}

fn past(n: u128, text: &str) -> PastCall {
    let mut past = sample::past(call(n), "+48123456789", text, at(-600));
    past.caller.name = Some(Private(text.to_owned()));
    past.caller.number = Some(Number::Other { text: text.to_owned() });
    past.offers.values_mut().for_each(|offer| offer.agent = Some(text.to_owned()));
    past.entries.iter_mut().for_each(|entry| {
        entry.name = text.to_owned();
        entry.what = Written::Note { text: Private(text.to_owned()) };
    });
    past
}

/// Whatever it asks the hub is answered with `text`.
fn answer(model: &mut Model, text: &str) {
    model.past_mut().want(0);
    while let Some(said) = model.next_told() {
        match said {
            AgentSays::FollowUps { ask } => {
                let follow_up = FollowUp {
                    customer: None,
                    ..sample::follow_up(7, call(40), "2026-11-22", text, at(-60))
                };
                model.apply(NetEvent::FollowUps { at: at(1), ask, follow_ups: vec![follow_up] });
            }
            AgentSays::History { ask, .. } => {
                let page = Page { calls: vec![past(21, text), past(20, text)], ..Page::default() };
                model.apply(NetEvent::Page { at: at(1), ask, page });
            }
            _ => {}
        }
    }
}

/// A screen on which one thing after the other is shown: loading the letters is what takes long.
fn screen<T: Default + 'static>(show: impl Fn(&mut egui::Ui, &mut T) + 'static) -> Harness<'static, T> {
    let theme = Theme::of(Shade::Dark);
    Harness::builder()
        .allow_missing_glyphs()
        .with_context_setup(move |ctx| {
            fonts::install(ctx);
            theme.apply(ctx);
        })
        .build_ui_state(move |ui, shown: &mut T| show(ui, shown), T::default())
}

/// What is drawn: every line of letters, where it can be seen.
fn letters<State>(harness: &Harness<'static, State>) -> Vec<(String, egui::Rect)> {
    let mut out = Vec::new();
    for clipped in &harness.output().shapes {
        let mut shapes = vec![&clipped.shape];
        while let Some(shape) = shapes.pop() {
            match shape {
                Shape::Vec(inside) => shapes.extend(inside),
                Shape::Text(text) => {
                    let inked = text.galley.mesh_bounds.translate(text.pos.to_vec2());
                    let seen = inked.intersect(clipped.clip_rect);
                    if seen.is_positive() {
                        out.push((text.galley.text().to_owned(), seen));
                    }
                }
                _ => {}
            }
        }
    }
    out
}

/// No more than this is drawn at once, whatever there is.
const MOST_SHAPES: usize = 2_000;

/// No letters outside, none upon others, and not too much of anything.
fn check<State>(harness: &Harness<'static, State>, size: egui::Vec2, what: &str) {
    assert!(harness.output().shapes.len() < MOST_SHAPES, "{what}: {} shapes", harness.output().shapes.len());
    let window = egui::Rect::from_min_size(egui::Pos2::ZERO, size);
    let letters = letters(harness);
    assert!(!letters.is_empty(), "{what}");
    for (n, (text, place)) in letters.iter().enumerate() {
        let text: String = text.chars().take(40).collect();
        assert!(window.expand(0.5).contains_rect(*place), "{what}: {text:?} at {place:?}");
        for (other, beside) in &letters[n + 1..] {
            // A mark may reach into the gap between two texts, not into their letters.
            let both = place.shrink(4.5).intersect(beside.shrink(4.5));
            let other: String = other.chars().take(40).collect();
            assert!(!both.is_positive(), "{what}: {text:?} {place:?} over {other:?} {beside:?}");
        }
    }
}

#[test]
fn whatever_a_call_says_its_card_is_drawn_and_no_text_leaves_its_place() {
    let mut harness = screen(|ui, data: &mut Option<PopupData>| {
        let Some(data) = data else { return };
        let theme = Theme::of(Shade::Dark).read(data.words.direction());
        popup::ui(ui, &theme, data);
    });
    for (at_text, (what, text)) in hostile().into_iter().enumerate() {
        let languages: Vec<_> = Language::all().collect();
        let mut model = model_of(&text, languages[at_text % languages.len()], Role::Agent);
        for n in 1..=5 {
            model.open(call(n));
            // Each text rings with some of the calls, and is written and talked about with the others.
            let talks = (at_text + n as usize).is_multiple_of(2);
            if talks {
                model.apply(sample::update(2, sample::answered(call(n), "101")));
                let note = Written::Note { text: Private(text.clone()) };
                let entry = sample::entry(n, note, at(3));
                model.apply(sample::update(3, Update::Written { call: call(n), entry }));
                model.drafts_mut().type_text(call(n), &text, at(3));
                model.open(call(n));
            }
            let data = PopupData::now(&model, at(4)).expect("a card");
            let size = egui::vec2(CARD_WIDTH, popup::height(&data).min(860.0));
            harness.set_size(size);
            *harness.state_mut() = Some(data);
            harness.run();
            check(&harness, size, &format!("{what}, call {n}, talks: {talks}"));
            if talks {
                model.apply(sample::update(5, sample::ended(call(n), 5)));
                model.close(call(n));
            }
        }
    }
}

#[test]
fn whatever_the_hub_says_every_list_is_drawn_and_no_text_leaves_its_place() {
    let mut harness = screen(|ui, shown: &mut Option<(Model, Looks)>| {
        let Some((model, looks)) = shown else { return };
        let theme = Theme::of(Shade::Light).read(model.words.direction());
        let data = main_window::data(model, (&SETTINGS, MACHINE), looks.tab(model), at(10));
        main_window::ui(ui, &theme, (model, at(10)), &data, looks);
    });
    harness.set_size(MAIN_SIZE);
    let looks = [Tab::Live, Tab::Missed, Tab::FollowUps, Tab::Recent, Tab::Settings]
        .map(|tab| Looks { tab: Some(tab), ..Looks::default() });
    let beside = Looks { details: Some(call(21)), ..looks[3].clone() };
    for ((what, text), language) in
        hostile().into_iter().zip(Language::all().collect::<Vec<_>>().into_iter().cycle())
    {
        let model = model_of(&text, language, Role::Supervisor);
        for looks in looks.iter().chain([&beside]) {
            *harness.state_mut() = Some((model.clone(), looks.clone()));
            harness.run();
            check(&harness, MAIN_SIZE, &format!("{what}, {looks:?}"));
        }
    }
}

#[test]
fn a_name_of_ten_megabytes_is_cut_wherever_it_stands() {
    for name in
        ["x".repeat(10 * 1024 * 1024), "עולם ".repeat(1024 * 1024), "\u{0301}".repeat(5 * 1024 * 1024)]
    {
        let mut view = sample::arrived(call(1), "+48123456789", Some(&name), known(&name), at(0));
        view.cards = sample::troubled_cards("C-1");
        let mut model = model_with(sample::rings_as(view, "101", at(0)));
        let row = sample::missed(call(50), "", Some(&name), 1, (at(-90), at(-5)));
        model.apply(sample::update(1, Update::Missed { row: Box::new(row) }));
        let data = PopupData::now(&model, at(4)).expect("a card");
        assert!(data.name.chars().count() <= 401);
        let size = egui::vec2(CARD_WIDTH, popup::height(&data));
        check(&shown(data, Shade::Dark), size, "the card");
        for tab in [Tab::Missed, Tab::Recent] {
            check(&main_shown(model.clone(), tab, Shade::Dark), MAIN_SIZE, &format!("{tab:?}"));
        }
    }
}

#[test]
fn a_card_of_a_kind_that_only_a_newer_hub_knows_says_so() {
    let newer = sample::card("insight", Gives::Custom, "C-1", sample::filled(Facts::Newer, at(0), 4));
    let data = ringing(known("Zofia"), vec![Card { title: Some("Next purchase".to_owned()), ..newer }]);
    let harness = shown(data, Shade::Dark);
    for label in [
        "Next purchase",
        "insight · 4 ms · as of 10:00",
        "Shown by a newer Pinkas only: install it on this computer",
    ] {
        assert!(harness.query_by_label(label).is_some(), "{label}");
    }
}
