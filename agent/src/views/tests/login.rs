//! The question for the password: what is typed and sent, what is said of it, and that it is never shown.

use std::cell::RefCell;
use std::rc::Rc;

use egui::Key;
use pinkas_link::Ended;
use pinkas_protocol::close::Close;

use super::*;
use crate::model::login::{Keep, KeyringSays, Login, Secret, Trouble};
use crate::net::NetEvent;
use crate::views::login::{self, Typed};

const HUB: &str = "wss://hub.example";

fn asked(words: Language) -> Model {
    let mut model = Model::new(TimeZone::UTC);
    model.words = Words::of(words);
    *model.login_mut() = Login::asked("ana".to_owned(), HUB.to_owned(), at(0));
    model.login_mut().next_job();
    model.login_mut().keyring_says(KeyringSays::Found(Ok(None)));
    model
}

type Shared = Rc<RefCell<Model>>;

/// What the person asked for goes to the model at once, as in the program.
fn question(model: Model, theme: Theme) -> (Shared, Harness<'static, (Typed, Vec<Command>)>) {
    let model = Rc::new(RefCell::new(model));
    let seen = model.clone();
    let harness = Harness::builder()
        .with_size(egui::Vec2::new(880.0, 560.0))
        .with_context_setup(move |ctx| {
            fonts::install(ctx);
            theme.apply(ctx);
        })
        .build_ui_state(
            move |ui, (typed, said): &mut (Typed, Vec<Command>)| {
                let data = login::data(&seen.borrow(), at(2));
                let Some(data) = data else { return };
                let wish = login::ui(ui, &theme, &data, typed);
                if let Some(Command::LogIn { secret, keep }) = &wish {
                    seen.borrow_mut().login_mut().enter(secret.clone(), *keep);
                }
                said.extend(wish);
            },
            (Typed::default(), Vec::new()),
        );
    (model, harness)
}

fn types(harness: &mut Harness<'static, (Typed, Vec<Command>)>, text: &str) {
    harness.run();
    harness.event(egui::Event::Text(text.to_owned()));
    harness.run();
}

fn answer(model: &Shared, refused: Option<Close>) {
    let attempt = model.borrow().login().attempt().expect("an attempt").number;
    model.borrow_mut().apply(NetEvent::Login { at: at(2), attempt, refused });
}

fn log_in(text: &str, keep: Keep) -> Command {
    Command::LogIn { secret: Secret::new(text.to_owned()), keep }
}

#[test]
fn what_is_typed_is_sent_with_enter_or_the_button_and_never_shown() {
    for shade in [Shade::Dark, Shade::Light] {
        let (model, mut harness) = question(asked(Language::ENGLISH), Theme::of(shade));
        for label in ["Log in", "ana at wss://hub.example", "Password", "Keep it in this computer's keyring"]
        {
            assert!(harness.query_all_by_label(label).next().is_some(), "{label}");
        }
        types(&mut harness, "s3cret");
        assert!(harness.get_by_role(egui::Role::PasswordInput).is_focused(), "the field has the keyboard");
        let heard = harness.get_by_role(egui::Role::PasswordInput).accesskit_node().value();
        assert_eq!(heard.as_deref(), Some("••••••"), "a screen reader hears only how long it is");
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(harness.state().1, [log_in("s3cret", Keep::InKeyring)]);
        assert!(harness.query_by_label("The hub is being asked…").is_some());
        answer(&model, Some(Close::WrongSecret));
        types(&mut harness, "better");
        harness.get_by_role_and_label(egui::Role::Button, "Log in").click();
        harness.run();
        assert_eq!(harness.state().1.last(), Some(&log_in("better", Keep::InKeyring)));
    }
}

#[test]
fn a_refusal_is_said_with_its_reason_and_nothing_is_sent_by_itself() {
    for (close, words) in [
        (Close::WrongSecret, "The hub does not know this name and password"),
        (Close::TooManyAttempts, "Too many wrong passwords were tried: wait a minute, then log in again"),
        (Close::Revoked, "The hub has ended this login: log in again"),
    ] {
        let (model, mut harness) = question(asked(Language::ENGLISH), Theme::of(Shade::Dark));
        types(&mut harness, "s3cret");
        harness.key_press(Key::Enter);
        harness.run();
        answer(&model, Some(close));
        harness.run();
        assert!(harness.query_by_label(words).is_some(), "{words}");
        assert_eq!(harness.state().1.len(), 1);
        harness.key_press(Key::Enter);
        harness.run();
        let again = if close == Close::TooManyAttempts { 2 } else { 1 };
        assert_eq!(harness.state().1.len(), again, "an empty field is a password only after {close:?}");
    }
}

#[test]
fn a_hub_that_does_not_answer_is_said_and_tried_on() {
    let (model, mut harness) = question(asked(Language::ENGLISH), Theme::of(Shade::Dark));
    types(&mut harness, "s3cret");
    harness.key_press(Key::Enter);
    harness.run();
    model.borrow_mut().apply(NetEvent::Disconnected { at: at(2), why: Ended::Broken });
    harness.run();
    let words = "No link to the hub, it is tried again: the connection broke";
    assert!(harness.query_by_label(words).is_some());
}

#[test]
fn the_box_says_whether_the_password_is_kept() {
    let (_, mut harness) = question(asked(Language::ENGLISH), Theme::of(Shade::Dark));
    harness.run();
    harness.get_by_label("Keep it in this computer's keyring").click();
    harness.run();
    harness.get_by_role(egui::Role::PasswordInput).focus();
    types(&mut harness, "s3cret");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(harness.state().1, [log_in("s3cret", Keep::UntilClosed)]);
}

#[test]
fn without_a_keyring_there_is_no_box_and_it_is_said_how_long_the_password_is_kept() {
    let mut model = Model::new(TimeZone::UTC);
    *model.login_mut() = Login::asked("ana".to_owned(), HUB.to_owned(), at(0));
    model.login_mut().keyring_says(KeyringSays::Found(Err(Trouble::NoKeyring)));
    let (_, mut harness) = question(model, Theme::of(Shade::Dark));
    harness.run();
    assert!(harness.query_by_label("Keep it in this computer's keyring").is_none());
    let words = "No keyring runs on this computer: the password is kept until Pinkas is closed";
    assert!(harness.query_by_label(words).is_some());
}

#[test]
fn in_hebrew_the_question_is_mirrored() {
    let hebrew: Language = "he".parse().expect("a language");
    let theme = Theme::of(Shade::Dark).read(hebrew.direction());
    let left_of = |theme: Theme, language: Language, label: &str| {
        let (_, mut harness) = question(asked(language), theme);
        harness.run();
        harness.get_by_role_and_label(egui::Role::Button, label).rect().center().x < 440.0
    };
    assert!(left_of(Theme::of(Shade::Dark), Language::ENGLISH, "Log in"));
    assert!(!left_of(theme, hebrew, "כניסה"));
}

#[test]
fn who_logs_out_in_the_settings_sees_nothing_of_the_hub_any_more() {
    let mut model = asked(Language::ENGLISH);
    model.login_mut().enter(Secret::new("s3cret".to_owned()), Keep::InKeyring);
    let number = model.login().attempt().expect("an attempt").number;
    model.apply(NetEvent::Login { at: at(1), attempt: number, refused: None });
    model.apply(sample::welcome(1, Board::default()));
    model.apply(sample::update(2, sample::rings(call(1), "101")));
    assert!(PopupData::now(&model, at(3)).is_some() && login::data(&model, at(3)).is_none());
    let mut harness = main_shown(model.clone(), Tab::Settings, Shade::Dark);
    assert!(harness.query_by_label("Logged in as ana").is_some());
    harness.get_by_label("Log out").click();
    harness.run();
    assert_eq!(harness.state().1, [Command::LogOut]);
    model.log_out();
    model.apply(sample::update(4, sample::rings(call(2), "101")));
    assert!(PopupData::now(&model, at(4)).is_none() && model.board.calls.is_empty() && model.me.is_none());
    assert!(login::data(&model, at(4)).is_some_and(|data| data.said.is_none()));
}

#[test]
fn where_the_configuration_names_the_secret_nobody_can_log_out() {
    let harness = main_shown(supervisor(), Tab::Settings, Shade::Dark);
    assert!(harness.query_by_label("Log out").is_none());
}
