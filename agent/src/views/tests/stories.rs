//! The stories of a phone agent, each from its first word to its last: what the hub tells, what the card then reads,
//! what a click or a key says back. That the keyboard is never taken (story 2) is shown on a real screen, by the tests
//! of the whole; what is kept through a crash (story 9) by those of the drafts.

use pinkas_protocol::board::Earlier;
use pinkas_protocol::card::Match;

use super::*;

/// A day at a desk.
struct Desk {
    model: Model,
    now: i64,
}

impl Desk {
    fn new() -> Desk {
        let mut model = Model::new(TimeZone::UTC);
        model.apply(sample::welcome(0, Board::default()));
        Desk { model, now: 0 }
    }

    /// The hub tells this, a second later.
    fn hears(&mut self, update: Update) {
        self.now += 1;
        self.model.apply(sample::update(self.now, update));
    }

    fn card(&self) -> Option<PopupData> {
        PopupData::now(&self.model, at(self.now))
    }

    fn harness(&self) -> Harness<'static, Vec<Command>> {
        let theme = Theme::of(Shade::Dark).read(self.model.words.direction());
        let data = self.card().expect("a card");
        let size = egui::Vec2::new(CARD_WIDTH, popup::height(&data));
        shown_with(data, theme, size)
    }

    /// Everything here is read on the card.
    fn reads(&self, labels: &[&str]) {
        let harness = self.harness();
        for label in labels {
            assert!(harness.query_all_by_label(label).next().is_some(), "{label}");
        }
    }

    /// What is asked for by one click.
    fn clicks(&self, label: &str) -> Vec<Command> {
        let mut harness = self.harness();
        harness.get_by_label(label).click();
        harness.run();
        harness.state().clone()
    }

    /// What is asked for by one key.
    fn presses(&self, key: egui::Key) -> Vec<Command> {
        let mut harness = self.harness();
        harness.key_press(key);
        harness.run();
        harness.state().clone()
    }
}

fn from(who: Who) -> pinkas_protocol::CallView {
    sample::arrived(call(1), "+48123456789", None, who, at(0))
}

fn rings(view: pinkas_protocol::CallView) -> Update {
    sample::rings_as(view, "101", at(0))
}

#[test]
fn story_1_and_3_my_phone_rings_and_every_figure_says_where_it_is_from() {
    let mut desk = Desk::new();
    desk.hears(rings(from(Who::Asking)));
    desk.reads(&["Ringing on 101 · Support", "+48 12 345 67 89"]);
    let mut view = from(known("Zofia Wiśniewska"));
    view.cards = sample::troubled_cards("C-1");
    desk.hears(rings(view.clone()));
    desk.reads(&[
        "Zofia Wiśniewska",
        "no answer in 800 ms, still waiting",
        "refused: HTTP 403",
        "sales · waiting",
    ]);
    view.cards = sample::cards("C-1", "PLN", ["Paint", "Boards", "Screws"], at(0));
    desk.hears(rings(view));
    desk.reads(&["zł\u{a0}430.00 overdue", "zł\u{a0}3,750.00", "Boards", "sales · 0.2 s · as of 10:00"]);
}

#[test]
fn story_4_two_customers_share_the_number_and_i_choose() {
    let mut desk = Desk::new();
    let customers = vec![sample::customer("C-1", "Zofia", None), sample::customer("C-2", "Adam", None)];
    let several = |chosen: Option<&str>| Who::Several {
        customers: customers.clone(),
        chosen: chosen.map(|key| CustomerKey::parse(key).expect("a key")),
    };
    desk.hears(rings(from(several(None))));
    desk.reads(&["Zofia", "Adam", "None of these"]);
    let chosen = Command::Choose { call: call(1), customer: CustomerKey::parse("C-2").ok() };
    assert_eq!(desk.clicks("Adam"), std::slice::from_ref(&chosen));
    assert_eq!(desk.presses(egui::Key::Num2), [chosen]);
    desk.hears(rings(from(several(Some("C-2")))));
    assert_eq!(desk.card().expect("a card").name, "Adam");
    // A company's trunk number is no more than a guess, and says so.
    let matched = Match::LastDigits { digits: 9 };
    let guessed = pinkas_protocol::Customer { matched, ..sample::customer("C-3", "Levi Bakery", None) };
    desk.hears(rings(from(Who::Known { customer: guessed })));
    desk.reads(&["Levi Bakery"]);
    assert!(!desk.card().expect("a card").choices.is_empty(), "a guess can be denied");
}

#[test]
fn story_5_an_unknown_caller_has_a_country_and_a_past_and_a_withheld_one_still_pops() {
    let mut desk = Desk::new();
    let earlier = vec![Earlier { at: at(-60), answered_by: Some("Ana".to_owned()) }];
    desk.hears(rings(from(Who::Unknown { country: Some("PL".to_owned()), earlier })));
    desk.reads(&["+48 12 345 67 89", "Earlier calls", "Answered by Ana"]);
    assert!(
        desk.card().expect("a card").name.contains("Poland")
            || desk.harness().query_by_label("Poland").is_some()
    );
    let mut desk = Desk::new();
    desk.hears(rings(sample::arrived(call(2), "", None, Who::NoNumber, at(0))));
    desk.reads(&["Number withheld"]);
}

#[test]
fn story_6_a_second_call_is_a_line_below_and_never_takes_the_card_i_work_on() {
    let mut desk = Desk::new();
    desk.hears(rings(from(known("Zofia Wiśniewska"))));
    desk.hears(sample::answered(call(1), "101"));
    let second = sample::arrived(call(2), "+48601234567", None, known("Adam Nowak"), at(2));
    desk.hears(rings(second));
    assert_eq!(desk.card().map(|card| card.call), Some(call(1)));
    desk.reads(&["Zofia Wiśniewska", "Adam Nowak · +48 601 234 567"]);
    assert_eq!(desk.clicks("Adam Nowak · +48 601 234 567"), [Command::Open(call(2))]);
}

#[test]
fn story_7_a_colleague_takes_it_or_the_caller_gives_up_and_the_card_goes_by_itself() {
    for (by, said) in [(Some("102"), "102"), (None, "hung up")] {
        let mut desk = Desk::new();
        desk.hears(rings(from(known("Zofia"))));
        desk.hears(sample::withdrawn(call(1), "101", by));
        let status = desk.card().expect("it says why").status;
        assert!(status.contains(said), "{status}");
        desk.now += 5;
        assert!(desk.card().is_none(), "{said}");
    }
}

#[test]
fn story_8_a_call_passed_on_to_me_brings_the_customer_the_notes_and_by_whom() {
    let mut desk = Desk::new();
    let mut view = from(known("Zofia Wiśniewska"));
    let note = Written::Note { text: Private("wants the blue one".to_owned()) };
    view.entries = vec![sample::entry(1, note, at(1))];
    desk.hears(Update::Call { view: Box::new(view) });
    desk.hears(sample::passed_on(call(1), "101", None, "102", 2));
    desk.reads(&["Zofia Wiśniewska", "wants the blue one"]);
    let routes = desk.card().expect("a card").routes;
    assert!(routes.iter().any(|route| route.to_lowercase().contains("passed on by 102")), "{routes:?}");
}

#[test]
fn story_9_after_the_call_there_is_time_to_finish() {
    let mut desk = Desk::new();
    desk.model.habits.wrap_up = Some(jiff::SignedDuration::from_secs(30));
    desk.hears(rings(from(known("Zofia"))));
    desk.hears(sample::answered(call(1), "101"));
    desk.hears(sample::ended(call(1), 3));
    let mut harness = desk.harness();
    harness.get_by_role_and_label(egui::accesskit::Role::MultilineTextInput, "Note").click();
    harness.run();
    harness.event(egui::Event::Text("order again?".to_owned()));
    harness.run();
    harness.get_by_label("1 week").click();
    harness.run();
    let (due, text) = ("2026-11-29".parse().expect("a day"), Private("order again?".to_owned()));
    let wanted = Command::Write { call: call(1), what: Written::FollowUp { due, text } };
    assert!(harness.state().contains(&wanted), "{:?}", harness.state());
    assert_eq!(desk.clicks("30 s more"), [Command::Extend(call(1))]);
    assert_eq!(desk.clicks("Finish"), [Command::Close(call(1))]);
}

#[test]
fn story_11_a_missed_caller_is_one_row_that_is_called_back() {
    let mut desk = Desk::new();
    let row = sample::missed(call(1), "+48123456789", Some("Zofia"), 3, (at(-600), at(-5)));
    desk.hears(Update::Missed { row: Box::new(row) });
    let mut harness = main_shown(desk.model, Tab::Missed, Shade::Light);
    assert_eq!(harness.query_all_by_label("Zofia").count(), 1);
    harness.get_by_label("Call back").click();
    harness.run();
    harness.get_by_label("Handled").click();
    harness.run();
    let expected = [Command::CallBack(sample::number("+48123456789")), Command::Handled(call(1))];
    assert_eq!(harness.state().1, expected);
}

#[test]
fn story_12_the_card_speaks_my_language_whatever_the_name_is_written_in() {
    for (code, label) in [("en", "Ringing on 101 · Support"), ("pl", "Dzwoni na 101 · Support")] {
        for name in ["Zofia Wiśniewska", "David Cohen"] {
            let mut desk = Desk::new();
            desk.model.words = Words::of(code.parse().expect("a language"));
            desk.hears(rings(from(known(name))));
            desk.reads(&[label, name]);
        }
    }
    let mut desk = Desk::new();
    desk.model.words = Words::of("he".parse().expect("a language"));
    desk.hears(rings(from(known("Zofia Wiśniewska"))));
    let name = desk.harness().get_by_label("Zofia Wiśniewska").rect();
    assert!(name.center().x > CARD_WIDTH / 2.0, "mirrored: {name:?}");
}
