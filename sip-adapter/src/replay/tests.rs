//! Time and order of what is played.

use std::sync::Arc;

use pinkas_protocol::CallChange;

use super::*;
use crate::config::usual_channels;
use crate::sip::identity::Rules;

fn settings() -> Settings {
    let lines = ["101", "102"].map(|line| line.parse().expect("a line"));
    Settings {
        pbx: Pbx { lines: lines.to_vec(), rules: Arc::new(Rules::default()) },
        limits: Limits::default(),
        channels: usual_channels(),
        patience: Patience::default(),
    }
}

fn message(first: &str, method: &str) -> Vec<u8> {
    format!(
        "{first}\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:0501234567@x>;tag=f\r\nTo: <sip:101@x>;tag=t\r\n\
         Call-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
    )
    .into_bytes()
}

fn at(seconds: i64) -> Place {
    Place { at: Timestamp::new(seconds, 0).ok(), ..Place::default() }
}

/// What happened, each with its second.
fn played(messages: &[(Place, Vec<u8>)]) -> Vec<(i64, String)> {
    let mut replay = Replay::new(settings(), Words::default());
    let mut events = Vec::new();
    for (place, message) in messages {
        replay.message(*place, message, &mut |event| events.push(event));
    }
    replay.finish(&mut |event| events.push(event));
    let calls = events.into_iter().filter_map(|event| match event {
        Event::Call(event) => Some(event),
        _ => None,
    });
    let word = |change: &CallChange| {
        let value = serde_json::to_value(change).expect("JSON");
        value["change"].as_str().expect("a word").to_owned()
    };
    calls.map(|event| (event.heard_at.as_second(), word(&event.change))).collect()
}

fn invite() -> Vec<u8> {
    message("INVITE sip:101@x SIP/2.0", "INVITE").replace_tag()
}

trait FirstInvite {
    fn replace_tag(self) -> Vec<u8>;
}

impl FirstInvite for Vec<u8> {
    fn replace_tag(self) -> Vec<u8> {
        String::from_utf8(self).expect("text").replace(";tag=t", "").into_bytes()
    }
}

#[test]
fn a_call_that_does_not_end_in_the_recording_ends_by_its_own_clock() {
    let ringing = message("SIP/2.0 180 Ringing", "INVITE");
    let said = played(&[(at(1_000), invite()), (at(1_001), ringing)]);
    assert_eq!(said.first(), Some(&(1_000, "arrived".to_owned())), "{said:?}");
    let (last, word) = said.last().expect("an end");
    assert_eq!(word, "ended");
    assert!((1_100..1_000 + 5 * 3600).contains(last), "{said:?}");
}

#[test]
fn a_clock_that_goes_back_or_far_ahead_is_lived_with() {
    let bye = || message("BYE sip:101@x SIP/2.0", "BYE");
    let answer = || message("SIP/2.0 200 OK", "INVITE");
    for (first, second) in [(1_000, 10), (1_000, 253_402_207_000), (-50, -100), (1_000, 1_000)] {
        let said = played(&[(at(first), invite()), (at(second), answer()), (at(second), bye())]);
        assert_eq!(said.last().map(|(_, word)| word.as_str()), Some("ended"), "{first} {second}: {said:?}");
    }
}

#[test]
fn words_of_managers_are_kept_up_to_a_bound() {
    let word = || Heard { at: Timestamp::UNIX_EPOCH, way: Way::Ami, what: What::Down };
    let mut words = Words::default();
    let kept = (0..1_000_000).take_while(|_| words.keep(word()).is_continue()).count();
    assert!((20_000..=MOST_OF_WORDS / size_of::<Heard>()).contains(&kept), "{kept}");
}
