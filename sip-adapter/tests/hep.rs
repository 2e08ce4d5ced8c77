//! Recordings of real phone systems (HEPv3), each through the gate, the tracker and the call machine: what is told
//! must be what truly happened, which stands beside each recording. `played_text` of the laboratory writes it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{
    CallChange, CallFacts, CallId, EndedHow, Event, Line, LineState, Number, NumberPlan, Private, Withdrawal,
};
use pinkas_sip_adapter::calls::{Calls, Now, Patience};
use pinkas_sip_adapter::config::{Hep, Pbx};
use pinkas_sip_adapter::hear::hep::gate::Gate;
use pinkas_sip_adapter::hear::hep::{Counts, Intake};
use pinkas_sip_adapter::hear::legs::Seen;
use pinkas_sip_adapter::hear::{Heard, Way, What};
use pinkas_sip_adapter::sip::identity::Rules;
use uuid::Uuid;

const START: Duration = Duration::from_secs(1000);

/// Where the phone systems of the recordings say they are. Asterisk copies another address than it names.
const PBX: [&str; 4] = ["127.0.30.241", "127.0.30.242", "127.0.30.243", "127.0.30.240"];

fn config(pbx: &[&str]) -> Hep {
    Hep {
        listen: "127.0.0.1:9060".parse().unwrap(),
        from: vec!["127.0.0.0/8".parse().unwrap()],
        key: None,
        pbx: pbx.iter().map(|ip| ip.parse::<IpAddr>().unwrap()).collect(),
        call_id_header: "X-Original-Call-ID".to_owned(),
        join_within: Duration::from_secs(5),
        give_up_after: Duration::from_secs(3600),
        most_legs: 1000,
    }
}

fn site() -> Pbx {
    let numbers = NumberPlan::new("PL", 4).unwrap();
    let rules = Rules { numbers, ..Rules::default() };
    let lines = ["101", "102", "103"].map(|line| Line::parse(line).unwrap());
    Pbx { lines: lines.to_vec(), rules: Arc::new(rules) }
}

/// Every recording, by phone system and scenario.
fn recordings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/hep");
    let folders = std::fs::read_dir(root).unwrap().map(|folder| folder.unwrap().path());
    let files =
        folders.flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()));
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|e| e == "hep")).collect();
    files.sort();
    assert!(files.len() > 80, "recordings are missing");
    files
}

/// The packets of a recording, each behind its length.
fn packets(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    let (mut rest, mut packets) = (bytes.as_slice(), Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (packet, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        packets.push(packet.to_vec());
        rest = after;
    }
    packets
}

/// All that is heard of these packets, to the end of all waiting; each word when it was said.
fn heard(packets: &[Vec<u8>], pbx: &[&str]) -> Vec<(Duration, Heard)> {
    let counts = Arc::new(Counts::default());
    let (gate, mut intake) = (Gate::new(&config(pbx)), Intake::new(&config(pbx), &site(), counts.clone()));
    let wall = |now: Duration| Timestamp::UNIX_EPOCH + now;
    let mut all = Vec::new();
    let (mut now, mut began) = (START, None);
    for packet in packets {
        let Some(packet) = gate.admits(packet, &counts) else { continue };
        let captured = packet.captured.unwrap();
        let began = *began.get_or_insert(captured);
        // What was overtaken is heard when it comes.
        now = now.max(START + captured.saturating_sub(began));
        while let Some(tick) = intake.next_tick().filter(|tick| *tick <= now) {
            all.extend(intake.tick(wall(tick), tick).into_iter().map(|word| (tick, word)));
        }
        let seen =
            Seen { at: wall(now), uptime: now, captured: Some(captured), from: packet.from, to: packet.to };
        all.extend(intake.take(seen, packet.payload).into_iter().map(|word| (now, word)));
    }
    for _ in 0..10_000 {
        let Some(tick) = intake.next_tick() else { break };
        all.extend(intake.tick(wall(tick), tick).into_iter().map(|word| (tick, word)));
    }
    assert_eq!((intake.legs(), intake.next_tick()), (0, None), "something is kept for ever");
    all
}

/// What the call machine makes of the words, and the last state of each line.
fn told(words: Vec<(Duration, Heard)>) -> (String, BTreeMap<Line, LineState>) {
    let new_id = |_| CallId(Uuid::now_v7());
    let mut calls = Calls::new(BTreeMap::new(), Patience::default(), Box::new(new_id));
    let mut events = Vec::new();
    let up = What::Up { live: None };
    let first = (START, Heard { at: Timestamp::UNIX_EPOCH + START, way: Way::Hep, what: up });
    for (at, word) in [first].into_iter().chain(words) {
        let now = |uptime| Now { wall: Timestamp::UNIX_EPOCH + uptime, uptime };
        while let Some(tick) = calls.next_tick().filter(|tick| *tick <= at) {
            events.extend(calls.tick(now(tick)).events);
        }
        events.extend(calls.hear(now(at), word).events);
    }
    assert_eq!(calls.live().count(), 0, "a call goes on");
    let lines = events.iter().filter_map(|event| match event {
        Event::Line(event) => Some((event.line.clone(), event.state)),
        Event::Call(_) | Event::Pause(_) => None,
    });
    let lines = lines.collect();
    let mut texts: Vec<String> = calls_of(&events).values().map(Told::text).collect();
    texts.sort();
    (texts.join("\n") + "\n", lines)
}

#[derive(Default)]
struct Told {
    facts: CallFacts,
    phones: BTreeMap<String, Vec<String>>,
    ended: Option<EndedHow>,
}

fn calls_of(events: &[Event]) -> BTreeMap<CallId, Told> {
    let mut calls: BTreeMap<CallId, Told> = BTreeMap::new();
    for event in events {
        let Event::Call(event) = event else { continue };
        let call = calls.entry(event.call).or_default();
        let mut at = |line: &Line, what: String| call.phones.entry(line.to_string()).or_default().push(what);
        match &event.change {
            CallChange::Arrived(facts) | CallChange::Known(facts) => call.facts = facts.clone(),
            CallChange::Waits { .. } => {}
            CallChange::Offered { line, passed_on_by: None } => at(line, "rings".to_owned()),
            CallChange::Offered { line, passed_on_by: Some(by) } => at(line, format!("rings by {by}")),
            CallChange::Answered { line } => at(line, "answers".to_owned()),
            CallChange::Held { line } => at(line, "holds".to_owned()),
            CallChange::Resumed { line } => at(line, "resumes".to_owned()),
            // The end of the call says the same.
            CallChange::Left { moved_to: None, .. } => {}
            CallChange::Left { line, moved_to: Some(to) } => at(line, format!("passes on to {to}")),
            CallChange::Withdrawn { line, why } => at(
                line,
                match why {
                    Withdrawal::AnsweredElsewhere { by } => format!("answered by {by}"),
                    Withdrawal::CallerGaveUp => "caller gave up".to_owned(),
                    Withdrawal::Declined => "declines".to_owned(),
                    Withdrawal::NoAnswer => "no answer".to_owned(),
                    Withdrawal::StoppedRinging => "stops".to_owned(),
                },
            ),
            CallChange::Ended { how } => call.ended = Some(*how),
        }
    }
    calls
}

impl Told {
    fn text(&self) -> String {
        let caller = &self.facts.caller;
        let mut text = match (&caller.number, caller.withheld) {
            (_, true) => "withheld".to_owned(),
            (Some(number), false) => number.key().unwrap_or("?").to_owned(),
            (None, false) => "nobody".to_owned(),
        };
        if let Some(Private(name)) = &caller.name {
            text += &format!(" {name}");
        }
        text += &format!(" → {}", self.facts.dialled.as_ref().map(Number::shown).as_deref().unwrap_or("?"));
        if let Some(by) = self.facts.diverted_by.as_ref().and_then(Number::key) {
            text += &format!(" diverted by {by}");
        }
        for (line, steps) in &self.phones {
            let mut steps = steps.clone();
            // Asterisk ends a hold by itself before it puts the caller through.
            if let [.., resumes, passes_on] = steps.as_slice()
                && resumes == "resumes"
                && passes_on.starts_with("passes on")
            {
                steps.remove(steps.len() - 2);
            }
            text += &format!("\n  {line}: {}", steps.join(", "));
        }
        text + "\n  "
            + &match self.ended {
                None => "goes on".to_owned(),
                Some(EndedHow::Joined { .. }) => "joined".to_owned(),
                Some(EndedHow::Declined | EndedHow::Unanswered) => "sent away".to_owned(),
                Some(how) => format!("{how:?}"),
            }
    }
}

fn name(file: &Path) -> String {
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    format!("{folder}/{}", file.file_stem().unwrap_or_default().to_string_lossy())
}

/// What a recording cannot tell, with the reason: the truth as it can be heard.
fn audible(name: &str, truth: &str) -> String {
    match name.split('/').nth(1) {
        // A caller whom no queue lets in and no phone rings for is no call.
        Some("sent_away") => "\n".to_owned(),
        // A phone that nothing is heard of any more is told to have stopped.
        Some("stopped_and_started") => {
            let truth = truth.replace("101: rings\n", "101: rings, stops\n");
            let (lost, next) = truth.split_once("Lost\n").unwrap();
            format!("{next}{lost}Lost\n")
        }
        _ => truth.to_owned(),
    }
}

fn check_all(pbx: &[&str], change: impl Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>>, skip: &[&str]) {
    let mut faults = Vec::new();
    for file in recordings() {
        let name = name(&file);
        if skip.iter().any(|skip| name.ends_with(skip)) {
            continue;
        }
        let truth = std::fs::read_to_string(file.with_extension("txt")).unwrap();
        let truth = audible(&name, &truth);
        let words = heard(&change(packets(&file)), pbx);
        let (told, lines) = told(words);
        if told != truth {
            faults.push(format!("== {name}: told\n{told}-- but it was\n{truth}"));
        }
        let busy: Vec<_> = lines.iter().filter(|(_, state)| **state != LineState::Idle).collect();
        if !busy.is_empty() {
            faults.push(format!("== {name}: a line stays {busy:?}"));
        }
    }
    assert!(faults.is_empty(), "{}\n{} faults", faults.join("\n"), faults.len());
}

#[test]
fn every_recording_tells_what_happened() {
    check_all(&PBX, |packets| packets, &[]);
}

/// Without the phone system's address a caller for whom no phone rings cannot be told from one who calls out.
#[test]
fn the_phone_systems_address_is_learned() {
    check_all(&[], |packets| packets, &["nobody_free"]);
}

#[test]
fn packets_that_come_twice_change_nothing() {
    let twice = |packets: Vec<Vec<u8>>| packets.into_iter().flat_map(|p| [p.clone(), p]).collect();
    check_all(&PBX, twice, &[]);
}

/// A packet with one text for another of the same length.
fn with(packet: &[u8], what: &str, instead: &str) -> Vec<u8> {
    assert_eq!(what.len(), instead.len());
    let mut packet = packet.to_vec();
    let places = packet.windows(what.len()).enumerate().filter(|(_, part)| *part == what.as_bytes());
    for at in places.map(|(at, _)| at).collect::<Vec<_>>() {
        packet[at..at + what.len()].copy_from_slice(instead.as_bytes());
    }
    packet
}

fn holds(packet: &[u8], text: &str) -> bool {
    packet.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn a_transfer_that_was_refused_or_failed_changes_nothing() {
    for version in ["asterisk-16", "asterisk-22"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/hep").join(version);
        let all = packets(&file.join("attended_transfer.hep"));
        let joined = told(heard(&all, &PBX)).0;
        assert!(joined.contains("joined") && joined.contains("passes on to 103"), "{joined}");
        let refused = all.iter().filter(|packet| !holds(packet, "Event: refer"));
        let refused =
            refused.map(|packet| with(packet, "SIP/2.0 202 Accepted", "SIP/2.0 603 Declined")).collect();
        let failed = all.iter().map(|packet| match holds(packet, "Event: refer") {
            true => with(packet, "SIP/2.0 200 OK", "SIP/2.0 503 xx"),
            false => packet.clone(),
        });
        let unanswered =
            all.iter().filter(|p| !holds(p, "Event: refer") && !holds(p, "202 Accepted")).cloned();
        for (how, packets) in [
            ("refused", refused),
            ("failed", failed.collect::<Vec<_>>()),
            ("unanswered", unanswered.collect()),
        ] {
            let told = told(heard(&packets, &PBX)).0;
            assert!(!told.contains("joined") && !told.contains("passes on"), "{how}:\n{told}");
        }
        // What a lost NOTIFY would have told, the phone's BYE does.
        let lost: Vec<_> = all.iter().filter(|packet| !holds(packet, "Event: refer")).cloned().collect();
        assert_eq!(told(heard(&lost, &PBX)).0, joined);
    }
}

#[test]
fn without_any_refer_asterisks_new_caller_at_the_third_phone_tells_of_the_transfer() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/hep/asterisk-22-pai/attended_transfer.hep");
    let all = packets(&file);
    let joined = told(heard(&all, &PBX)).0;
    let unseen: Vec<_> =
        all.into_iter().filter(|p| !holds(p, "Event: refer") && !holds(p, " REFER\r\n")).collect();
    assert_eq!(told(heard(&unseen, &PBX)).0, joined);
}

#[test]
fn a_recording_may_lose_any_packet_and_every_call_ends() {
    for file in recordings() {
        let all = packets(&file);
        for lost in 0..all.len() {
            let mut rest = all.clone();
            rest.remove(lost);
            let (text, lines) = told(heard(&rest, &PBX));
            assert!(!text.contains("goes on"), "{} without packet {lost}:\n{text}", name(&file));
            let idle = lines.values().all(|state| *state == LineState::Idle);
            assert!(idle, "{} without packet {lost}: {lines:?}", name(&file));
        }
    }
}
