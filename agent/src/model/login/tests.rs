//! The login as a person, a keyring and a hub take turns at it.

use super::*;
use crate::sample::at;

const RIGHT: &str = "correct horse";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn login() -> Login {
    let mut login = Login::asked("ana".to_owned(), "ws://hub".to_owned(), at(0));
    assert_eq!(login.next_job(), Some(Job::Find));
    login
}

fn asking() -> Login {
    let mut login = login();
    login.keyring_says(KeyringSays::Found(Ok(None)));
    login
}

fn answer(login: &mut Login, refused: Option<Close>) -> Heard {
    let attempt = login.attempt().expect("an attempt").number;
    login.hear(&NetEvent::Login { at: at(2), attempt, refused })
}

fn no_link() -> NetEvent {
    NetEvent::Disconnected { at: at(2), why: Ended::Broken }
}

#[test]
fn what_the_keyring_has_logs_in_without_a_question() {
    let mut login = login();
    assert_eq!((login.question(at(0)), login.changes_at(at(0))), (None, Some(at(1))));
    login.keyring_says(KeyringSays::Found(Ok(Some(secret(RIGHT)))));
    assert_eq!(login.attempt().map(|attempt| attempt.secret.reveal()), Some(RIGHT));
    assert_eq!(login.hear(&no_link()), Heard::Passes, "the window says why there is no link");
    answer(&mut login, None);
    assert_eq!((login.question(at(9)), login.kept()), (None, KeptWhere::Keyring));
    assert_eq!(login.next_job(), None, "it is kept already");
    assert_eq!(login.hear(&no_link()), Heard::Passes);
}

#[test]
fn a_keyring_that_takes_long_keeps_nobody_waiting() {
    let mut login = login();
    assert_eq!(login.question(at(1)), Some(Question::KeyringBusy));
    login.enter(secret(RIGHT), Keep::InKeyring);
    login.keyring_says(KeyringSays::Found(Ok(Some(secret("old")))));
    assert_eq!(login.attempt().map(|attempt| attempt.secret.reveal()), Some(RIGHT));
}

#[test]
fn a_typed_secret_is_kept_only_after_the_welcome_and_only_if_wanted() {
    for (keep, job) in [(Keep::InKeyring, Job::Keep(secret(RIGHT))), (Keep::UntilClosed, Job::Forget)] {
        let mut login = asking();
        assert_eq!(login.question(at(1)), Some(Question::First));
        login.enter(secret(RIGHT), keep);
        assert_eq!((login.question(at(1)), login.next_job()), (Some(Question::Trying), None));
        assert_eq!(login.hear(&no_link()), Heard::Stays);
        assert_eq!(login.question(at(1)), Some(Question::NoAnswer(Ended::Broken)));
        answer(&mut login, None);
        assert_eq!((login.question(at(1)), login.next_job()), (None, Some(job)), "{keep:?}");
    }
}

#[test]
fn a_refused_secret_is_asked_for_again_and_never_kept_or_tried_by_itself() {
    let mut login = asking();
    login.enter(secret("wrong"), Keep::InKeyring);
    assert_eq!(answer(&mut login, Some(Close::WrongSecret)), Heard::TurnedAway);
    assert_eq!(login.question(at(3)), Some(Question::Refused(Close::WrongSecret)));
    assert_eq!((login.next_job(), login.attempt(), login.has_again()), (None, None, false));
    login.enter(secret(""), Keep::InKeyring);
    assert_eq!(login.attempt(), None, "an empty secret is none");
}

#[test]
fn a_secret_that_came_too_early_can_be_sent_once_more() {
    let mut login = asking();
    login.enter(secret(RIGHT), Keep::UntilClosed);
    answer(&mut login, Some(Close::TooManyAttempts));
    assert!(login.has_again() && login.attempt().is_none());
    login.enter(secret(""), Keep::UntilClosed);
    let attempt = login.attempt().expect("an attempt");
    assert_eq!((attempt.number, attempt.secret.reveal()), (2, RIGHT));
}

#[test]
fn answers_to_older_attempts_change_nothing() {
    let mut login = asking();
    login.enter(secret("first"), Keep::InKeyring);
    login.enter(secret(RIGHT), Keep::InKeyring);
    let old = NetEvent::Login { at: at(2), attempt: 1, refused: None };
    assert_eq!(login.hear(&old), Heard::Stays);
    assert_eq!((login.question(at(2)), login.next_job()), (Some(Question::Trying), None));
}

#[test]
fn logging_out_forgets_and_asks_and_lets_nothing_through() {
    let mut login = asking();
    login.enter(secret(RIGHT), Keep::InKeyring);
    answer(&mut login, None);
    login.log_out();
    assert_eq!(login.next_job(), Some(Job::Forget), "also when the keyring was not asked to keep it yet");
    assert_eq!((login.question(at(3)), login.attempt()), (Some(Question::First), None));
    assert_eq!(login.hear(&no_link()), Heard::Stays);
    login.keyring_says(KeyringSays::Kept(Ok(())));
    assert_eq!(login.kept(), KeptWhere::Memory);
    login.keyring_says(KeyringSays::Forgot(Err(Trouble::Broken)));
    assert_eq!(login.undone(), Some((Undone::Forget, Trouble::Broken)));
}

#[test]
fn without_a_keyring_a_secret_lives_until_the_end_of_the_program() {
    let mut login = login();
    login.keyring_says(KeyringSays::Found(Err(Trouble::NoKeyring)));
    assert!(login.lacks_keyring());
    login.enter(secret(RIGHT), Keep::InKeyring);
    answer(&mut login, None);
    assert_eq!((login.kept(), login.next_job()), (KeptWhere::Memory, None));
}

#[test]
fn no_secret_is_ever_printed() {
    let mut login = asking();
    login.enter(secret(RIGHT), Keep::InKeyring);
    let printed = format!("{login:?} {:?} {:?}", login.attempt(), Job::Keep(secret(RIGHT)));
    assert!(!printed.contains(RIGHT), "{printed}");
}

#[test]
fn a_configured_secret_is_never_asked_for() {
    let mut login = Login::configured();
    assert_eq!((login.question(at(9)), login.next_job(), login.can_log_out()), (None, None, false));
    login.enter(secret(RIGHT), Keep::InKeyring);
    login.log_out();
    assert_eq!((login.hear(&no_link()), login.attempt()), (Heard::Passes, None));
}
