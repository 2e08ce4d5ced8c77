//! Traces of real phone systems and ladders written by hand, each through the tracker: what is said of it is
//! kept beside it as text, and must be the same whatever is doubled, late or lost on the way.

mod ladder;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pinkas_protocol::NumberPlan;
use proptest::prelude::*;

use super::*;

/// One message as a trace tells it.
#[derive(Clone)]
pub(super) struct Step {
    at: Duration,
    from: SocketAddr,
    to: SocketAddr,
    message: Message,
}

/// Every trace: its name and its messages.
fn traces() -> &'static [(String, Vec<Step>)] {
    static TRACES: LazyLock<Vec<(String, Vec<Step>)>> = LazyLock::new(read_traces);
    &TRACES
}

fn read_traces() -> Vec<(String, Vec<Step>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut files = Vec::new();
    for folder in ["asterisk-22", "proxy", "other"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else { continue };
        files.extend(entries.map(|entry| entry.expect("a file").path()));
    }
    files.sort();
    let name = |path: &PathBuf| {
        path.strip_prefix(&root).expect("under the folder").with_extension("").display().to_string()
    };
    files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a trace");
            let steps = if text.starts_with('@') { captured(&text) } else { ladder::read(&text) };
            (name(path), steps)
        })
        .collect()
}

/// `@ seconds from > to`, then the message, one after the other.
fn captured(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in text.split("\n@ ").map(|part| part.trim_start_matches("@ ")) {
        let (head, message) = part.split_once('\n').expect("a head line");
        let words: Vec<&str> = head.split_whitespace().collect();
        let [at, from, ">", to] = words[..] else { panic!("not a head line: {head}") };
        let message = format!("{}\r\n", message.trim_end().replace('\n', "\r\n"));
        // Where there is no body the blank line went with the white space.
        let message = if message.contains("\r\n\r\n") { message } else { message + "\r\n" };
        steps.push(Step {
            at: Duration::from_secs_f64(at.parse().expect("seconds")),
            from: from.parse().expect("an address"),
            to: to.parse().expect("an address"),
            message: Message::read(message.as_bytes()).expect("a message"),
        });
    }
    steps
}

pub(super) fn tracker() -> Tracker {
    tracker_of(Limits::default())
}

fn tracker_of(limits: Limits) -> Tracker {
    let lines = ["101", "102", "103"].map(|line| line.parse().expect("a line"));
    let rules = Rules {
        numbers: NumberPlan::new("IL", 4).expect("a country"),
        queue_prefixes: vec!["Q-{queue}:".parse().expect("a pattern")],
        trusted: vec!["127.0.31.61".parse().expect("an address")],
        ..Rules::default()
    };
    Tracker::new(lines, Arc::new(rules), limits)
}

/// Where the clock stood when a trace began.
const START: Duration = Duration::from_secs(1000);

/// All that is said of these messages, to the end of all waiting. `order` is when each reaches the tracker.
fn heard(steps: &[Step], tracker: &mut Tracker) -> Vec<(Duration, What)> {
    let mut all = Vec::new();
    let mut note =
        |at: Duration, words: Vec<Heard>| all.extend(words.into_iter().map(|heard| (at, heard.what)));
    let at = Timestamp::UNIX_EPOCH;
    let mut now = START;
    for step in steps {
        // What was overtaken is heard when it comes, and says when it was captured.
        now = now.max(START + step.at);
        while let Some(tick) = tracker.next_tick().filter(|tick| *tick <= now) {
            note(tick, tracker.tick(at, tick));
        }
        let seen = Seen {
            at,
            uptime: now,
            captured: Some(START + step.at),
            from: Some(step.from),
            to: Some(step.to),
        };
        note(now, tracker.take(seen, &step.message));
    }
    for _ in 0..10_000 {
        let Some(tick) = tracker.next_tick() else { break };
        note(tick, tracker.tick(at, tick));
    }
    assert_eq!((tracker.legs(), tracker.live()), (0, 0), "nothing is kept for ever");
    assert_eq!(tracker.next_tick(), None);
    all
}

/// The words as text, calls named by the order in which they came.
fn told(words: &[(Duration, What)]) -> String {
    let mut names: BTreeMap<CallKey, usize> = BTreeMap::new();
    let mut text = String::new();
    for (at, what) in words {
        let said = match what {
            What::LineState { line, state } => format!("line {line} {state:?}"),
            What::Call { key, is } => {
                let mut name = |key: &CallKey| {
                    let next = names.len() + 1;
                    format!("call {}", names.entry(key.clone()).or_insert(next))
                };
                format!("{} {}", name(key), said(is, &mut name))
            }
            other => format!("{other:?}"),
        };
        let ms = at.saturating_sub(START).as_millis();
        text.push_str(&format!("{ms:>6} {said}\n"));
    }
    text
}

fn said(is: &CallHeard, name: &mut impl FnMut(&CallKey) -> String) -> String {
    match is {
        CallHeard::Facts(facts) => {
            let number = |n: &Option<pinkas_protocol::Number>| {
                n.as_ref().map_or("-".to_owned(), |n| n.key().unwrap_or("?").to_owned())
            };
            let caller = &facts.caller;
            let mut said = format!(
                "from {}",
                if caller.withheld { "withheld".to_owned() } else { number(&caller.number) }
            );
            if let Some(name) = &caller.name {
                said += &format!(" {:?}", name.0);
            }
            said += &format!(" to {}", number(&facts.dialled));
            if let Some(queue) = &facts.queue {
                said += &format!(" queue {queue}");
            }
            if facts.diverted_by.is_some() {
                said += &format!(" diverted by {}", number(&facts.diverted_by));
            }
            said
        }
        CallHeard::Rings { line, passed_on_by: Some(by) } => format!("rings at {line}, passed on by {by}"),
        CallHeard::Rings { line, .. } => format!("rings at {line}"),
        CallHeard::Stopped { line, why } => format!("stops at {line}: {why:?}"),
        CallHeard::Answered { line } => format!("answered at {line}"),
        CallHeard::Hold { line, hold } => format!("hold {hold:?} at {line}"),
        CallHeard::Left { line, moved_to: Some(to) } => format!("leaves {line} for {to}"),
        CallHeard::Left { line, .. } => format!("leaves {line}"),
        CallHeard::Joined { into } => format!("is one with {}", name(into)),
        CallHeard::Over { by } => format!("over by {by:?}"),
        CallHeard::Waits { .. } => "waits".to_owned(),
    }
}

#[test]
fn each_trace_is_told_as_it_was() {
    for (name, steps) in traces() {
        let text = told(&heard(steps, &mut tracker()));
        insta::assert_snapshot!(name.replace('/', "_"), text);
    }
}

/// What must be the same at the end, whatever befell the messages: no line rings or talks, each call is over once.
fn ends_well(name: &str, words: &[(Duration, What)]) {
    let mut lines: BTreeMap<&Line, LineState> = BTreeMap::new();
    let mut over: BTreeMap<&CallKey, bool> = BTreeMap::new();
    for (_, what) in words {
        match what {
            What::LineState { line, state } => {
                lines.insert(line, *state);
            }
            What::Call { key, is: CallHeard::Over { .. } | CallHeard::Joined { .. } } => {
                over.insert(key, true);
            }
            What::Call { key, .. } => {
                assert!(
                    !over.insert(key, false).unwrap_or(false),
                    "{name}: a word after the end\n{}",
                    told(words)
                );
            }
            _ => {}
        }
    }
    assert!(over.values().all(|over| *over), "{name}: a call does not end\n{}", told(words));
    assert!(lines.values().all(|state| *state == LineState::Idle), "{name}: a line stays\n{}", told(words));
    // Only what nobody said is waited for so long.
    let last = words.last().map_or(Duration::ZERO, |(at, _)| *at);
    assert!(last < START + Duration::from_secs(300), "{name}: a call ends too late\n{}", told(words));
}

/// The words that matter to people, without the ringing that an answer may overtake.
fn outcome(words: &[(Duration, What)]) -> BTreeSet<String> {
    let kept = |what: &What| match what {
        What::Call { is: CallHeard::Answered { line }, .. } => Some(format!("answered at {line}")),
        What::Call { is: CallHeard::Over { by }, .. } => Some(format!("over by {by:?}")),
        What::Call { is: CallHeard::Left { line, moved_to: Some(to) }, .. } => {
            Some(format!("{line} to {to}"))
        }
        _ => None,
    };
    words.iter().filter_map(|(_, what)| kept(what)).collect()
}

#[test]
fn a_message_told_twice_changes_nothing() {
    for (name, steps) in traces() {
        let once = told(&heard(steps, &mut tracker()));
        let twice: Vec<Step> = steps.iter().flat_map(|step| [step.clone(), step.clone()]).collect();
        assert_eq!(told(&heard(&twice, &mut tracker())), once, "{name}");
    }
}

#[test]
fn any_one_message_may_be_lost() {
    for (name, steps) in traces() {
        for lost in 0..steps.len() {
            let mut rest = steps.clone();
            rest.remove(lost);
            ends_well(&format!("{name} without message {lost}"), &heard(&rest, &mut tracker()));
        }
    }
}

proptest! {
    #[test]
    fn messages_may_overtake_each_other(swaps in prop::collection::vec((0usize..200, 1usize..4), 1..12), which in 0usize..1000) {
        let traces = traces();
        let (name, steps) = &traces[which % traces.len()];
        let mut mixed = steps.clone();
        for (at, by) in swaps {
            let at = at % mixed.len();
            let to = (at + by).min(mixed.len() - 1);
            // Only what was sent at nearly the same time.
            if mixed[at].at.abs_diff(mixed[to].at) < Duration::from_millis(20) {
                let step = mixed.remove(at);
                mixed.insert(to, step);
            }
        }
        let words = heard(&mixed, &mut tracker());
        ends_well(name, &words);
        prop_assert_eq!(outcome(&words), outcome(&heard(steps, &mut tracker())), "{}\n{}", name, told(&words));
    }
}

#[test]
fn with_the_phone_systems_address_a_waiting_caller_is_told_before_a_phone_rings() {
    let pbx = vec!["127.0.0.1".parse().expect("an address"), "192.0.2.10".parse().expect("an address")];
    for (name, steps) in traces() {
        let told_plainly = heard(steps, &mut tracker());
        let with_pbx = heard(steps, &mut tracker_of(Limits { pbx: pbx.clone(), ..Limits::default() }));
        ends_well(name, &with_pbx);
        assert_eq!(outcome(&with_pbx), outcome(&told_plainly), "{name}\n{}", told(&with_pbx));
        let facts = |words: &[(Duration, What)]| {
            words
                .iter()
                .find(|(_, what)| matches!(what, What::Call { is: CallHeard::Facts(_), .. }))
                .map(|(at, _)| *at)
        };
        if name.ends_with("queue_answered_first") {
            assert!(
                facts(&with_pbx) < facts(&told_plainly).map(|at| at - Duration::from_millis(100)),
                "{name}"
            );
        }
    }
}

#[test]
fn no_leg_tells_in_a_tag_the_number_that_another_was_asked_to_keep() {
    let tag = ("customer".parse().expect("a name"), "X-Customer".parse().expect("a header"));
    for (from, header, told) in [
        ("anonymous", "0501234567", None),
        ("1000", "972501234567", None),
        ("1000", "call 050-1234567", None),
        ("anonymous", "4711", Some("4711")),
    ] {
        let text = format!(
            "0 trunk>pbx INVITE 031112222 id=t from=anonymous | P-Asserted-Identity: <sip:+972501234567@c> | Privacy: id
             1 pbx>trunk 180 id=t
             2 pbx>p101 INVITE 101 id=p from={from} | X-Customer: {header} | X-Original-Call-ID: t@x | Diversion: <sip:0501234567@c>
             3 p101>pbx 180 id=p"
        );
        let mut tracker = tracker();
        let mut rules = Rules::clone(&tracker.rules);
        rules.tags = vec![tag.clone()];
        tracker.rules = Arc::new(rules);
        let words = heard(&ladder::read(&text), &mut tracker);
        let facts = words.iter().filter_map(|(_, what)| match what {
            What::Call { is: CallHeard::Facts(facts), .. } => Some(facts),
            _ => None,
        });
        let last = facts.last().expect("facts");
        assert!(last.caller.withheld, "{}", self::told(&words));
        assert_eq!(last.diverted_by, None, "{header}");
        assert_eq!(last.tags.values().map(|value| value.0.as_str()).next(), told, "{from} {header}");
    }
}

#[test]
fn what_is_kept_is_bounded_and_what_is_over_goes_first() {
    let mut tracker = tracker_of(Limits { most_legs: 50, ..Limits::default() });
    let mut over = 0;
    for number in 0..1000u32 {
        let text = format!(
            "0 pbx>p101 INVITE 101 id=c{number} from=+9725{number:08}\n1 p101>pbx 180 id=c{number}\n"
        );
        for step in ladder::read(&text) {
            let seen = Seen {
                at: Timestamp::UNIX_EPOCH,
                uptime: START + Duration::from_millis(number.into()),
                captured: None,
                from: Some(step.from),
                to: Some(step.to),
            };
            let words = tracker.take(seen, &step.message);
            over += words
                .iter()
                .filter(|h| matches!(h.what, What::Call { is: CallHeard::Over { .. }, .. }))
                .count();
        }
        assert!(tracker.legs() <= 50 && tracker.live() <= 50);
    }
    assert_eq!(over, 950);
    let mut last = None;
    while let Some(tick) = tracker.next_tick() {
        for heard in tracker.tick(Timestamp::UNIX_EPOCH, tick) {
            if let What::LineState { state, .. } = heard.what {
                last = Some(state);
            }
        }
    }
    assert_eq!(last, Some(LineState::Idle));
    assert_eq!(tracker.legs(), 0);
}

proptest! {
    #[test]
    fn any_messages_are_taken_without_a_panic(
        parts in prop::collection::vec((0usize..400, 0usize..40, ".{0,12}"), 1..40),
    ) {
        let mut tracker = tracker();
        let all: Vec<&Step> = traces().iter().flat_map(|(_, steps)| steps).collect();
        for (at, place, text) in parts {
            let step = all[at % all.len()];
            let mut start = format!("{:?}", step.from);
            start.truncate(place);
            let lines = [
                format!("SIP/2.0 {} x", 100 + at),
                format!("INVITE sip:{text}@x SIP/2.0"),
                format!("BYE sip:{start} SIP/2.0"),
                format!("REFER sip:{text} SIP/2.0"),
            ];
            let head = &lines[place % lines.len()];
            let id = at % 5;
            let whole = format!(
                "{head}\r\nVia: SIP/2.0/UDP h;branch={id}{text}\r\nFrom: <sip:101@x>;tag={place}\r\nTo: <sip:{text}@x>;tag={id}\r\n\
                 Call-ID: {id}\r\nCSeq: {place} {}\r\nReason: {text};cause={text}\r\nRefer-To: <sip:{text}@x?Replaces={id}>\r\n\
                 Replaces: {id}\r\nSession-ID: {text}\r\n\r\n{text}",
                head.split(' ').next().filter(|word| *word != "SIP/2.0").unwrap_or("INVITE"),
            );
            let seen = Seen { at: Timestamp::UNIX_EPOCH, uptime: START, captured: None, from: None, to: Some(step.to) };
            if let Ok(message) = Message::read(whole.as_bytes()) {
                let _ = tracker.take(seen, &message);
            }
            let _ = tracker.take(seen, &step.message);
        }
        for _ in 0..1000 {
            let Some(tick) = tracker.next_tick() else { break };
            let _ = tracker.tick(Timestamp::UNIX_EPOCH, tick);
        }
        prop_assert_eq!((tracker.legs(), tracker.live()), (0, 0));
    }
}

/// Feeds it the same request again and again, made anew for each count, and whatever answers it.
fn flood(tracker: &mut Tracker, count: usize, invite: impl Fn(usize) -> (String, Option<u16>)) {
    for n in 0..count {
        let (text, answer) = invite(n);
        let headers =
            text.split_once("\r\n").expect("a first line").1.replace("To: <sip:9@x>", "To: <sip:9@x>;tag=t");
        let answer = answer.map(|code| format!("SIP/2.0 {code} X\r\n{headers}"));
        for text in std::iter::once(text).chain(answer) {
            let seen = Seen {
                at: Timestamp::UNIX_EPOCH,
                uptime: START + Duration::from_micros(n as u64),
                captured: None,
                from: None,
                to: None,
            };
            tracker.take(seen, &Message::read(text.as_bytes()).expect("a message"));
            let kept: usize =
                tracker.calls.values().flat_map(|c| c.sessions.values()).map(|s| s.branches.len()).sum();
            assert_eq!(kept, tracker.branches);
        }
    }
}

#[test]
fn however_legs_are_made_to_grow_what_is_kept_is_bounded() {
    let invite = |call: usize, branch: usize, cseq: usize, more: &str| {
        format!(
            "INVITE sip:9@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\nFrom: <sip:0541234567@x>;tag=f\r\n\
             To: <sip:9@x>\r\nCall-ID: c{call}\r\nCSeq: {cseq} INVITE\r\n{more}Content-Length: 0\r\n\r\n"
        )
    };
    let check = |what: &str, made: &dyn Fn(usize) -> (String, Option<u16>)| {
        let mut tracker = tracker_of(Limits { most_legs: 100, ..Limits::default() });
        flood(&mut tracker, 3_000, made);
        let kept = (tracker.legs(), tracker.calls.len(), tracker.branches);
        assert!(kept.0 <= 100 && kept.1 <= 100 && kept.2 <= 404, "{what}: {kept:?}");
        assert_ne!(kept.0, 0, "{what}: the newest is kept");
    };
    check("a new leg each time", &|n| (invite(n, n, 1, ""), None));
    check("the same caller under the same name, sent away each time", &|n| {
        (invite(0, n, n + 1, ""), Some(486))
    });
    check("many branches of a few legs", &|n| (invite(n % 20, n, 1, ""), None));
}

#[test]
fn a_call_has_so_many_legs_and_one_more_is_a_call_of_its_own() {
    let mut tracker = tracker();
    flood(&mut tracker, MOST_OF_A_CALL + 10, |n| {
        let text = format!(
            "INVITE sip:101@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{n}\r\nFrom: <sip:0541234567@x>;tag=f\r\n\
             To: <sip:101@x>\r\nCall-ID: c{n}\r\nCSeq: 1 INVITE\r\nX-Original-Call-ID: one\r\nContent-Length: 0\r\n\r\n"
        );
        (text, None)
    });
    let largest = tracker.calls.values().map(|call| call.sessions.len()).max();
    assert_eq!((largest, tracker.legs()), (Some(MOST_OF_A_CALL), MOST_OF_A_CALL + 10));
}

#[test]
fn strangers_who_are_asked_for_credentials_drive_out_nobody() {
    let mut tracker = tracker_of(Limits { most_legs: 100, ..Limits::default() });
    let take = |tracker: &mut Tracker, step: Step| {
        let (from, to) = (Some(step.from), Some(step.to));
        let seen = Seen { at: Timestamp::UNIX_EPOCH, uptime: START, captured: None, from, to };
        tracker.take(seen, &step.message)
    };
    let talk =
        "0 pbx>p101 INVITE 101 id=talk from=+972541234567\n1 p101>pbx 180 id=talk\n2 p101>pbx 200 id=talk\n";
    for step in ladder::read(talk) {
        take(&mut tracker, step);
    }
    flood(&mut tracker, 1_000, |n| {
        let text = format!(
            "INVITE sip:9@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{n}\r\nFrom: <sip:0540000000@x>;tag=f\r\n\
             To: <sip:9@x>\r\nCall-ID: s{n}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        (text, Some(401))
    });
    let mut bye = ladder::read(&format!("{talk}3 pbx>p101 BYE id=talk\n"));
    let words = take(&mut tracker, bye.pop().expect("a BYE"));
    let over = |heard: &Heard| {
        matches!(
            &heard.what,
            What::Call {
                is: CallHeard::Stopped { .. } | CallHeard::Left { .. } | CallHeard::Over { .. },
                ..
            }
        )
    };
    assert!(words.iter().any(over), "{words:?}");
}
