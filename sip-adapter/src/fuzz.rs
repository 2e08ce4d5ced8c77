//! One plain function per parser for fuzzing: any bytes in; a panic is a finding. `cargo test` runs them over
//! the seeds in `fuzz/seeds` and mutations of them (`tests/fuzz.rs`), cargo-fuzz without end (`fuzz/`).
//! They assert what must be true of every reading; they belong to no program.

pub mod hep;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use pinkas_protocol::{CallChange, Caller, Event, NumberPlan};
use rsipstack::sip::prelude::HeadersExt;

use crate::calls::Patience;
use crate::config::{Pbx, usual_channels};
use crate::hear::ami;
use crate::hear::legs::Limits;
use crate::replay::{Packets, Replay, Settings, Words, capture};
use crate::sip::canonical;
use crate::sip::dialog_info::{self, Applied, Dialogs};
use crate::sip::identity::{self, Rules};
use crate::sip::message::Message;
use crate::sip::name_addr::{MOST_ADDRESSES, NameAddr};

/// The canonical layer: what it lets through has one meaning, and making it canonical again changes nothing.
pub fn canonical(bytes: &[u8]) {
    let Ok(read) = canonical::read(bytes, None) else { return };
    assert!(read.head.iter().count() <= canonical::MOST_HEADERS, "too many headers");
    for once in ["From", "To", "Call-ID", "CSeq", "Content-Length"] {
        let times = read.head.iter().filter(|(name, _)| name.eq_ignore_ascii_case(once)).count();
        assert!(times <= 1, "{once} has two meanings");
    }
    for (name, value) in read.head.iter() {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!value.contains(char::is_control) && name.len() + value.len() <= canonical::LONGEST_LINE);
    }
    let again = read.to_bytes();
    if again.len() <= canonical::LARGEST {
        assert!(canonical::read(&again, None).as_ref() == Ok(&read), "read anew it is another message");
    }
}

/// A whole message, and everything asked of it. Where rsipstack reads it too, both see the same call.
pub fn sip(bytes: &[u8]) {
    let Ok(message) = Message::read(bytes) else { return };
    for (name, value) in canonical::read(bytes, None).iter().flat_map(|read| read.head.iter()) {
        assert!(message.headers(name).any(|read| read == value), "rsip reads {name} otherwise");
    }
    let _ = (message.cseq(), message.branch(), message.from(), message.to(), message.contact());
    let _ = (message.method(), message.request_uri(), message.body());
    let trusted = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let rules = Rules { trusted: vec![trusted], ..everything() };
    // Each input by one of the two, to save time.
    let peer = (!bytes.len().is_multiple_of(4)).then_some(trusted);
    let facts = identity::facts(&message, peer, &rules);
    withheld_is_withheld(&facts.caller);
    let asked = message.headers("Privacy").any(|value| value.split(';').any(|word| word.trim() == "id"));
    let anonymous = message.from().is_some_and(|from| from.host() == Some("anonymous.invalid"));
    assert!(facts.caller.withheld || !(asked || anonymous), "a caller who asked is not withheld");
    if facts.caller.withheld {
        let addresses = message.headers("P-Asserted-Identity").flat_map(NameAddr::read_list).take(2);
        for number in addresses.chain(message.from()).filter_map(|address| address.user()) {
            let told = |value: &str| number.len() >= 8 && value.contains(&*number);
            assert!(!facts.tags.values().any(|value| told(&value.0)), "a tag tells a withheld number");
        }
    }
    assert!(peer.is_some() || facts.caller.stir.is_none(), "a verdict from nobody");
    if message.header("Content-Type").is_some_and(|kind| kind.contains("dialog-info")) {
        dialog_info(message.body());
    }
    // They lose a line that is not UTF-8 and all that follow: there is nothing to compare then.
    if std::str::from_utf8(bytes).is_err() {
        return;
    }
    let Ok(theirs) = rsipstack::sip::SipMessage::try_from(bytes) else { return };
    if let (Ok(theirs), Some(ours)) = (theirs.call_id_header(), message.header("Call-ID")) {
        assert_eq!(solid(theirs.value()), solid(ours), "two readers see two calls");
    }
    if let (Ok(theirs), Some(ours)) = (theirs.cseq_header(), message.header("CSeq")) {
        assert_eq!(solid(theirs.value()), solid(ours), "two readers see two transactions");
    }
}

/// Addresses: no URI, and no part of one, is ever taken from within quotes.
pub fn name_addr(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let open = outside_quotes(&text);
    let list = NameAddr::read_list(&text);
    assert!(list.len() <= MOST_ADDRESSES, "too many addresses");
    let one = NameAddr::read(&text);
    for address in list.iter().chain(&one) {
        assert!(!address.uri.is_empty() && !address.uri.contains(['"', '<', '>']), "no URI");
        let mut places = text.match_indices(&address.uri).map(|(at, _)| at..at + address.uri.len());
        let outside = |mut place: std::ops::Range<usize>| place.all(|at| open.get(at) == Some(&true));
        assert!(places.any(outside), "a URI out of quotes");
        let _ = (address.user(), address.host(), address.tag(), address.param("party"));
    }
    if let Some(one) = one {
        assert!(list.first() == Some(&one), "one address, two readings");
    }
}

/// Dialog-info documents.
pub fn dialog_info(bytes: &[u8]) {
    let rules = everything();
    let Ok(info) = dialog_info::read(bytes, &rules) else { return };
    for caller in info.dialogs.iter().filter_map(|(_, dialog)| dialog.remote.as_ref()) {
        withheld_is_withheld(caller);
    }
    let mut dialogs = Dialogs::default();
    let is = |applied| match applied {
        Applied::Is(is, _) => Some(is),
        Applied::AskFull => None,
    };
    let first = is(dialogs.apply(info.clone()));
    if info.full {
        assert_eq!(is(dialogs.apply(info)), first, "a repetition changes something");
    }
}

fn withheld_is_withheld(caller: &Caller) {
    assert!(
        !caller.withheld || (caller.number.is_none() && caller.name.is_none()),
        "a withheld caller is told"
    );
}

/// Rules under which all code for identities runs.
fn everything() -> Rules {
    let tag = |name: &str, header: &str| Some((name.parse().ok()?, header.parse().ok()?));
    Rules {
        numbers: NumberPlan::new("IL", 4).unwrap_or_default(),
        queue_prefixes: "Q-{queue}:".parse().into_iter().collect(),
        tags: tag("customer", "X-Customer").into_iter().chain(tag("uui", "User-to-User")).collect(),
        ..Rules::default()
    }
}

/// Without blanks and control characters, which readers treat differently and which carry no meaning here.
fn solid(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

/// For each byte whether it is outside quotes; a second opinion, written unlike the parser.
fn outside_quotes(text: &str) -> Vec<bool> {
    let (mut quoted, mut escaped) = (false, false);
    let mut open = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        open.push(!quoted && byte != b'"');
        match (quoted, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, _, b'"') => quoted = !quoted,
            _ => {}
        }
    }
    open
}

/// What a manager connection says: cut anywhere it says the same, and every call that is told of ends.
pub fn ami(bytes: &[u8]) {
    // Now and then, to save time.
    if bytes.len().is_multiple_of(4) {
        ami::packet::fuzz(bytes);
    }
    let settings = recorded();
    let mut words = Words::default();
    let _all_of_them = words.read(bytes, &settings);
    let mut events = Vec::new();
    Replay::new(settings, words).finish(&mut |event| events.push(event));
    every_call_ends(&events);
}

/// A capture file, to the end of its calls.
pub fn pcap(bytes: &[u8]) {
    let mut replay = Replay::new(recorded(), Words::default());
    let (mut packets, mut events) = (Packets::default(), Vec::new());
    let mut read = 0;
    let end = capture::read(bytes, |packet| {
        read += 1;
        packets.take(&packet, &mut replay, &mut |event| events.push(event));
    });
    match end {
        Ok(told) => assert_eq!(told, read, "packets are miscounted"),
        Err(broken) => {
            assert_eq!(broken.packets, read, "packets are miscounted");
            assert!(broken.byte <= bytes.len() as u64, "broken behind its end");
        }
    }
    replay.finish(&mut |event| events.push(event));
    every_call_ends(&events);
}

fn recorded() -> Settings {
    static RECORDED: LazyLock<Settings> = LazyLock::new(|| {
        let lines = ["101", "102", "103"].into_iter().filter_map(|line| line.parse().ok()).collect();
        Settings {
            pbx: Pbx { lines, rules: Arc::new(everything()) },
            limits: Limits::default(),
            channels: usual_channels(),
            patience: Patience::default(),
        }
    });
    RECORDED.clone()
}

fn every_call_ends(events: &[Event]) {
    let (mut live, mut over) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        let Event::Call(event) = event else { continue };
        assert!(!over.contains(&event.call), "a word about a call that has ended");
        match &event.change {
            CallChange::Arrived(facts) => {
                withheld_is_withheld(&facts.caller);
                assert!(live.insert(event.call), "a call arrives twice");
            }
            CallChange::Ended { .. } => {
                assert!(live.remove(&event.call), "a call ends that did not arrive");
                over.insert(event.call);
            }
            _ => assert!(live.contains(&event.call), "a word about a call that did not arrive"),
        }
    }
    assert!(live.is_empty(), "a call does not end");
}
