//! Recorded manager connections of real Asterisk 16.28 and 22.10, to what is heard from them.
//! The recordings hold pretend callers and only the fields that matter.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{Caller, Line, LineState, NumberPlan, Private};
use pinkas_sip_adapter::config::{Ami, Pbx};
use pinkas_sip_adapter::hear::ami::packet::{Decoder, Packet, Piece};
use pinkas_sip_adapter::hear::ami::replay::replay;
use pinkas_sip_adapter::hear::ami::tracker::{MOST_CHANNELS, Settings, Tracker};
use pinkas_sip_adapter::hear::{CallHeard, CallKey, Heard, Hold, What};
use pinkas_sip_adapter::sip::identity::Rules;

fn settings() -> Settings {
    let ami = Ami {
        address: "127.0.0.1:5038".parse().unwrap(),
        user: "pinkas".to_owned(),
        secret: Private("x".to_owned()),
        channels: vec!["PJSIP/{line}".parse().unwrap()],
    };
    let lines = ["101", "102", "103"].iter().map(|line| line.parse().unwrap()).collect();
    let numbers = NumberPlan::new("PL", 4).unwrap();
    let prefixes = vec!["Q-{queue}:".parse().unwrap()];
    let rules = Rules { numbers, queue_prefixes: prefixes, ..Rules::default() };
    Settings::new(&ami, &Pbx { lines, rules: Arc::new(rules) })
}

fn recordings() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/ami");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = |file: std::path::PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(file).unwrap())
    };
    files.map(named).collect()
}

/// Words as a person reads them, one a line; calls by the order in which they came.
struct Shown {
    calls: Vec<CallKey>,
}

impl Shown {
    fn call(&mut self, key: &CallKey) -> usize {
        let at = self.calls.iter().position(|one| one == key).unwrap_or_else(|| {
            self.calls.push(key.clone());
            self.calls.len() - 1
        });
        at + 1
    }

    fn word(&mut self, what: &What) -> String {
        match what {
            What::Line { .. } | What::Down => panic!("no word of this way: {what:?}"),
            What::LineState { line, state } => format!("line {line} {state:?}"),
            What::Pause { line, queue, pause: None } => format!("line {line} takes calls of {queue}"),
            What::Pause { line, queue, pause: Some(pause) } => {
                format!("line {line} pauses in {queue}: {}", pause.reason.as_deref().unwrap_or("-"))
            }
            What::Up { live } => {
                let live =
                    live.as_ref().map(|keys| keys.iter().map(|key| self.call(key)).collect::<Vec<_>>());
                format!("up {live:?}")
            }
            What::Call { key, is } => {
                let call = self.call(key);
                format!("call {call} {}", self.call_word(is))
            }
        }
    }

    fn call_word(&mut self, is: &CallHeard) -> String {
        let by = |by: &Option<Line>| by.as_ref().map_or(String::new(), |by| format!(" passed on by {by}"));
        match is {
            CallHeard::Facts(facts) => {
                let mut said = format!("from {}", caller(&facts.caller));
                if let Some(number) = &facts.dialled {
                    said += &format!(" to {}", number.key().unwrap_or("?"));
                }
                if let Some(queue) = &facts.queue {
                    said += &format!(" queue {queue}");
                }
                if let Some(number) = &facts.diverted_by {
                    said += &format!(" diverted by {}", number.key().unwrap_or("?"));
                }
                said
            }
            CallHeard::Waits { queue, position } => format!("waits in {queue} at {position}"),
            CallHeard::Rings { line, passed_on_by } => format!("rings {line}{}", by(passed_on_by)),
            CallHeard::Stopped { line, why } => format!("stopped {line} {why:?}"),
            CallHeard::Answered { line } => format!("answered {line}"),
            CallHeard::Hold { line, hold: Hold::On } => format!("held {line}"),
            CallHeard::Hold { line, hold: Hold::Off } => format!("resumed {line}"),
            CallHeard::Left { line, moved_to: None } => format!("left {line}"),
            CallHeard::Left { line, moved_to: Some(to) } => format!("left {line} moved to {to}"),
            CallHeard::Joined { into } => format!("joined into {}", self.call(into)),
            CallHeard::Over { by } => format!("over by {by:?}"),
        }
    }
}

fn caller(caller: &Caller) -> String {
    let number = caller.number.as_ref().map_or("-", |number| number.key().unwrap_or("?"));
    let name = caller.name.as_ref().map_or("-", |name| name.0.as_str());
    match caller.withheld {
        true => format!("withheld {number} {name}"),
        false => format!("{number} {name}"),
    }
}

fn shown(heard: &[Heard]) -> Vec<String> {
    let mut shown = Shown { calls: Vec::new() };
    heard.iter().map(|heard| shown.word(&heard.what)).collect()
}

#[test]
fn every_recording_tells_what_happened() {
    let mut all = String::new();
    for (name, recording) in recordings() {
        let heard = replay(&recording, &settings());
        let calls: Vec<_> = shown(&heard).into_iter().filter(|word| !word.starts_with("line")).collect();
        all += &format!("{name}\n  {}\n", calls.join("\n  "));
    }
    insta::assert_snapshot!(all);
}

/// What came of all words: calls that are live, phones that ring, lines that are not idle.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    live: BTreeSet<CallKey>,
    ringing: BTreeSet<(CallKey, Line)>,
    busy: BTreeSet<Line>,
}

fn left(heard: &[Heard]) -> Left {
    let mut left = Left::default();
    for heard in heard {
        match &heard.what {
            What::Call { key, is: CallHeard::Over { .. } | CallHeard::Joined { .. } } => {
                left.live.remove(key);
                left.ringing.retain(|(call, _)| call != key);
            }
            What::Call { key, is } => {
                left.live.insert(key.clone());
                match is {
                    CallHeard::Rings { line, .. } => drop(left.ringing.insert((key.clone(), line.clone()))),
                    CallHeard::Stopped { line, .. } | CallHeard::Answered { line } => {
                        left.ringing.remove(&(key.clone(), line.clone()));
                    }
                    _ => {}
                }
            }
            What::LineState { line, state: LineState::Idle } => drop(left.busy.remove(line)),
            What::LineState { line, .. } => drop(left.busy.insert(line.clone())),
            _ => {}
        }
    }
    left
}

fn packets(recording: &[u8]) -> Vec<Packet> {
    let mut decoder = Decoder::default();
    let mut packets = Vec::new();
    decoder.push(recording);
    while let Some(piece) = decoder.next_piece() {
        if let Piece::Packet(packet) = piece {
            packets.push(packet);
        }
    }
    packets
}

/// Takes packets a millisecond after each other, and everything that is due after the last.
fn take(tracker: &mut Tracker, packets: &[Packet]) -> Vec<Heard> {
    let at = Timestamp::UNIX_EPOCH;
    let mut heard = Vec::new();
    let mut uptime = Duration::ZERO;
    for packet in packets {
        uptime += Duration::from_millis(1);
        while let Some(due) = tracker.next_tick().filter(|due| *due <= uptime) {
            heard.extend(tracker.tick(at, due).heard);
        }
        heard.extend(tracker.take(at, uptime, packet).heard);
    }
    while let Some(due) = tracker.next_tick() {
        heard.extend(tracker.tick(at, due).heard);
    }
    heard
}

/// What a packet is about: two about different things may come in either order.
fn about(packet: &Packet) -> BTreeSet<&str> {
    let ids = ["Uniqueid", "Device", "Exten", "Interface", "ActionID", "Queue"];
    packet
        .fields()
        .filter(|(name, _)| ids.iter().any(|id| name.ends_with(id)))
        .map(|(_, value)| value)
        .collect()
}

fn is_about_channels(packet: &Packet) -> bool {
    packet.get("Channel").is_some() && packet.get("ActionID").is_none()
}

#[test]
fn every_recording_ends_with_nothing_live_and_no_line_ringing() {
    for (name, recording) in recordings() {
        assert_eq!(left(&replay(&recording, &settings())), Left::default(), "{name}");
    }
}

#[test]
fn a_recording_is_read_the_same_twice_and_a_part_of_it_without_a_panic() {
    for (name, recording) in recordings() {
        let once = replay(&recording, &settings());
        assert_eq!(once, replay(&recording, &settings()), "{name}");
        for end in (0..recording.len()).step_by(recording.len() / 7) {
            let _read = replay(recording.get(..end).unwrap(), &settings());
        }
    }
}

#[test]
fn a_withheld_number_is_in_no_word_of_any_call() {
    for version in ["16", "22"] {
        let recording = recordings().remove(&format!("{version}-withheld")).unwrap();
        assert!(String::from_utf8_lossy(&recording).contains("+48220000109"), "the events do tell it");
        let words = shown(&replay(&recording, &settings()));
        assert!(words.iter().any(|word| word.contains("withheld - -")), "{words:?}");
        assert!(!words.iter().any(|word| word.contains("48220000109")), "{words:?}");
    }
}

#[test]
fn lines_and_pauses_are_told() {
    let recording = recordings().remove("22-queue_nobody_free").unwrap();
    let words = shown(&replay(&recording, &settings()));
    for expected in [
        "line 101 Idle",
        "line 101 takes calls of support",
        "line 101 pauses in support: lunch",
        "line 101 Ringing",
        "line 101 Busy",
    ] {
        assert!(words.iter().any(|word| word == expected), "{expected} is not in {words:#?}");
    }
}

const RINGING: &str = "Event: Newchannel\nChannel: PJSIP/trunk-1\nChannelStateDesc: Ring\nCallerIDNum: +48220000101\n\
CallerIDName: <unknown>\nExten: 101\nUniqueid: 1.1\nLinkedid: 1.1\n\n\
Event: Newchannel\nChannel: PJSIP/101-2\nChannelStateDesc: Down\nUniqueid: 1.2\nLinkedid: 1.1\n\n\
Event: Newstate\nChannel: PJSIP/101-2\nChannelStateDesc: Ringing\nUniqueid: 1.2\nLinkedid: 1.1\n\n";

fn words_of_calls(heard: &[Heard]) -> Vec<String> {
    shown(heard).into_iter().filter(|word| word.starts_with("call")).collect()
}

#[test]
fn a_caller_is_told_when_it_is_known_that_they_may_be_shown() {
    let answer = |value: &str| {
        packets(format!("Response: Success\nActionID: pres-1.1\nValue: {value}\n\n").as_bytes())
    };
    let check = |value: &str, expected: &str| {
        let mut tracker = Tracker::without_lists(settings());
        let mut heard = Vec::new();
        for (ms, packet) in (0..).zip(packets(RINGING.as_bytes())) {
            heard.extend(tracker.take(Timestamp::UNIX_EPOCH, Duration::from_millis(ms), &packet).heard);
        }
        assert_eq!(words_of_calls(&heard), Vec::<String>::new());
        let packet = answer(value).remove(0);
        let heard = tracker.take(Timestamp::UNIX_EPOCH, Duration::from_millis(9), &packet).heard;
        assert_eq!(
            words_of_calls(&heard),
            [format!("call 1 from {expected} to 101"), "call 1 rings 101".into()]
        );
    };
    check("allowed_passed_screen", "+48220000101 -");
    check("prohib_not_screened", "withheld - -");
    check("prohib", "withheld - -");
    check("unavailable", "- -");
    check("something new", "withheld - -");
}

#[test]
fn without_an_answer_the_caller_is_withheld_after_half_a_second_and_shown_when_it_comes() {
    let mut tracker = Tracker::without_lists(settings());
    let heard = take(&mut tracker, &packets(RINGING.as_bytes()));
    assert_eq!(words_of_calls(&heard), ["call 1 from withheld - - to 101", "call 1 rings 101"]);
    let late = packets(b"Response: Success\nActionID: pres-1.1\nValue: allowed\n\n").remove(0);
    let heard = tracker.take(Timestamp::UNIX_EPOCH, Duration::from_secs(2), &late).heard;
    assert_eq!(words_of_calls(&heard), ["call 1 from +48220000101 - to 101"]);
}

#[test]
fn a_phone_that_was_rung_first_and_dials_on_is_the_caller() {
    // Click to dial: the phone system rings 101, and once 101 answers dials 102 for it.
    let channel = |event: &str, line: &str, n: u32, state: &str| {
        format!(
            "Event: {event}\nChannel: PJSIP/{line}-{n}\nChannelStateDesc: {state}\nCallerIDNum: {line}\n\
             Uniqueid: 1.{n}\nLinkedid: 1.1\n\n"
        )
    };
    let story = [
        channel("Newchannel", "101", 1, "Down"),
        channel("Newstate", "101", 1, "Ringing"),
        channel("Newstate", "101", 1, "Up"),
        channel("Newchannel", "102", 2, "Down"),
        "Event: DialBegin\nChannel: PJSIP/101-1\nUniqueid: 1.1\nDestChannel: PJSIP/102-2\nDestUniqueid: 1.2\n\n".to_owned(),
        channel("Newstate", "102", 2, "Ringing"),
        "Response: Success\nActionID: pres-1.1\nValue: allowed\n\n".to_owned(),
    ];
    let mut tracker = Tracker::without_lists(settings());
    let heard = take(&mut tracker, &packets(story.concat().as_bytes()));
    assert_eq!(words_of_calls(&heard), ["call 1 from 101 - ", "call 1 rings 102"].map(str::trim_end));
}

#[test]
fn whom_an_agent_had_called_is_the_caller_once_the_agent_passes_them_on() {
    let channel = |event: &str, name: &str, n: u32, state: &str, more: &str| {
        format!(
            "Event: {event}\nChannel: PJSIP/{name}\nChannelStateDesc: {state}\nUniqueid: 1.{n}\nLinkedid: 1.1\n{more}\n"
        )
    };
    let number = |number: &str| format!("CallerIDNum: {number}\n");
    let story = [
        channel("Newchannel", "101-1", 1, "Ring", &number("101")),
        "Response: Success\nActionID: pres-1.1\nValue: allowed\n\n".to_owned(),
        channel("Newchannel", "trunk-2", 2, "Down", &number("+48220000102")),
        "Event: DialEnd\nChannel: PJSIP/101-1\nUniqueid: 1.1\nDestChannel: PJSIP/trunk-2\nDestUniqueid: 1.2\nDialStatus: ANSWER\n\n"
            .to_owned(),
        "Event: BlindTransfer\nResult: Success\nTransfererChannel: PJSIP/101-1\nTransfererUniqueid: 1.1\n\
         TransfereeChannel: PJSIP/trunk-2\nTransfereeUniqueid: 1.2\nExtension: 103\n\n"
            .to_owned(),
        channel("Hangup", "101-1", 1, "Up", "Cause: 16\n"),
        "Response: Success\nActionID: pres-1.2\nValue: allowed\n\n".to_owned(),
        channel("Newchannel", "103-3", 3, "Down", ""),
        channel("Newstate", "103-3", 3, "Ringing", ""),
        channel("Hangup", "103-3", 3, "Ringing", "Cause: 17\n"),
        channel("Hangup", "trunk-2", 2, "Up", "Cause: 16\n"),
    ];
    let mut tracker = Tracker::without_lists(settings());
    let heard = take(&mut tracker, &packets(story.concat().as_bytes()));
    let expected = [
        "call 1 from +48220000102 -",
        "call 1 rings 103 passed on by 101",
        "call 1 stopped 103 Declined",
        "call 1 over by PhoneSystem",
    ];
    assert_eq!(words_of_calls(&heard), expected);
}

#[test]
fn a_dialplan_that_withholds_a_caller_is_heard() {
    let mut tracker = Tracker::without_lists(settings());
    let mut story = packets(RINGING.as_bytes());
    story.extend(packets(
        b"Event: NewCallerid\nChannel: PJSIP/trunk-1\nChannelStateDesc: Ring\nCallerIDNum: +48220000101\n\
          Uniqueid: 1.1\nLinkedid: 1.1\nCID-CallingPres: 32 (Presentation Prohibited, Not Screened)\n\n",
    ));
    story.extend(packets(b"Response: Success\nActionID: pres-1.1\nValue: allowed\n\n"));
    assert_eq!(
        words_of_calls(&take(&mut tracker, &story)),
        ["call 1 from withheld - - to 101", "call 1 rings 101"]
    );
}

/// Asterisk tells of a channel before it has read its Diversion: what was asked at once was answered with nothing.
#[test]
fn who_diverted_a_call_is_asked_for_once_more_when_a_phone_is_dialled() {
    let dial = "Event: DialBegin\nChannel: PJSIP/trunk-1\nUniqueid: 1.1\nLinkedid: 1.1\nDestChannel: PJSIP/101-2\n\
                DestUniqueid: 1.2\nDestLinkedid: 1.1\nDialString: 101\n\n";
    let story = [
        "Event: Newchannel\nChannel: PJSIP/trunk-1\nChannelStateDesc: Ring\nCallerIDNum: +48220000101\nExten: 101\n\
         Uniqueid: 1.1\nLinkedid: 1.1\n\n",
        "Response: Success\nActionID: diverted-1.1\nValue: \n\n",
        dial,
        dial,
    ];
    let mut tracker = Tracker::without_lists(settings());
    let asked = story.map(|text| {
        let told = packets(text.as_bytes());
        let asks = told
            .iter()
            .flat_map(|packet| tracker.take(Timestamp::UNIX_EPOCH, Duration::from_secs(1), packet).ask);
        asks.filter(|ask| ask.variable == "REDIRECTING(from-num)").count()
    });
    assert_eq!(asked, [1, 0, 1, 0]);
}

/// Both questions were answered with the number before either answer told whether it may be shown.
#[test]
fn who_diverted_a_call_stays_known_when_two_questions_are_under_way() {
    let shown = "Response: Success\nActionID: pres-1.1\nValue: allowed\n\n";
    let answers = shown.to_owned()
        + &"Response: Success\nActionID: diverted-1.1\nValue: 102\n\n".repeat(2)
        + &"Response: Success\nActionID: divpres-1.1\nValue: allowed_not_screened\n\n".repeat(2);
    let mut heard = Vec::new();
    let mut tracker = Tracker::without_lists(settings());
    for text in [RINGING.to_owned(), answers] {
        heard.extend(take(&mut tracker, &packets(text.as_bytes())));
    }
    let words = words_of_calls(&heard);
    let last = words.iter().rfind(|word| word.contains("+48220000101"));
    assert!(last.is_some_and(|word| word.contains("diverted by 102")), "{words:?}");
}

#[test]
fn channels_that_never_end_are_forgotten_and_their_calls_told_as_over() {
    let mut tracker = Tracker::without_lists(settings());
    let mut heard = take(&mut tracker, &packets(RINGING.as_bytes()));
    for n in 0..MOST_CHANNELS {
        let text = format!("Event: Newchannel\nChannel: IAX2/x-{n}\nUniqueid: 2.{n}\nLinkedid: 2.{n}\n\n");
        heard.extend(take(&mut tracker, &packets(text.as_bytes())));
    }
    assert_eq!(words_of_calls(&heard).last().map(String::as_str), Some("call 1 over by PhoneSystem"));
}

static STORIES: LazyLock<Vec<(String, Vec<Packet>)>> =
    LazyLock::new(|| recordings().into_iter().map(|(name, recording)| (name, packets(&recording))).collect());

proptest::proptest! {
    #[test]
    fn events_twice_and_in_another_order_leave_nothing_live_and_no_line_ringing(
        which in 0..10_000_usize,
        changes in proptest::collection::vec((0..10_000_usize, 0..6_usize, proptest::bool::ANY), 1..60),
    ) {
        let (name, story) = &STORIES[which % STORIES.len()];
        let mut story = story.clone();
        for (at, far, twice) in changes {
            let at = at % story.len();
            let packet = story[at].clone();
            if twice {
                let far = if is_about_channels(&packet) { far } else { 0 };
                story.insert((at + 1 + far).min(story.len()), packet);
            } else if at + 1 < story.len() && about(&packet).is_disjoint(&about(&story[at + 1])) {
                story.swap(at, at + 1);
            }
        }
        let heard = take(&mut Tracker::new(settings()), &story);
        proptest::prop_assert_eq!(left(&heard), Left::default(), "{}", name);
    }
}
