//! The fuzz entries of hearing by copies of SIP traffic: one packet, and a whole course of calls written with four
//! bytes a message, so that what a mutation changes is the order, the time and the kind of messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{Line, LineState};

use crate::hear::hep::packet::{self, Packet};
use crate::hear::hep::{Counts, gate::Gate};
use crate::hear::legs::{Limits, Seen, Tracker};
use crate::hear::{CallHeard, CallKey, Heard, What};
use crate::sip::message::Message;

/// One packet, through the gate: what is read lies within it, and written anew it is read the same.
pub fn packet(bytes: &[u8]) {
    let admitted = Gate::open().admits(bytes, &Counts::default());
    let Ok(read) = packet::read(bytes) else {
        return assert!(admitted.is_none(), "what is no packet is let in");
    };
    let (all, part) = (bytes.as_ptr_range(), read.payload.as_ptr_range());
    assert!(all.start <= part.start && part.end <= all.end && !read.payload.is_empty(), "beyond the packet");
    if let Some(admitted) = admitted {
        assert!(admitted == read, "let in as another packet");
        let _ = Message::read(admitted.payload);
    }
    // Each address was given, or is not told.
    if let Some(written) = packet::write(&Packet { correlation: None, ..read })
        && read.from.is_some_and(|from| read.to.is_some_and(|to| from.is_ipv4() == to.is_ipv4()))
    {
        assert!(packet::read(&written) == Ok(Packet { correlation: None, ..read }), "written it is another");
    }
}

/// A course of calls, four bytes a message: kind, leg, variant and the time since the last one. Whatever comes, all
/// that is told ends, every line is idle in the end, and nothing is kept.
pub fn legs(bytes: &[u8]) {
    let lines = ["101", "102", "103"].into_iter().filter_map(|line| Line::parse(line).ok());
    let most_legs = 4 + bytes.len() % 8;
    let limits = Limits { most_legs, ..Limits::default() };
    let mut tracker = Tracker::new(lines, Arc::new(super::everything()), limits);
    let mut watch = Watch::default();
    let (at, mut now) = (Timestamp::UNIX_EPOCH, Duration::from_secs(1000));
    for step in bytes.chunks_exact(4).take(MOST_STEPS) {
        let [kind, leg, variant, wait] = *step else { continue };
        // Mostly milliseconds, now and then long enough for every timer.
        now += match wait {
            ..=199 => Duration::from_millis(wait.into()),
            200..=239 => Duration::from_secs(u64::from(wait) - 199),
            240.. => Duration::from_secs(60 * (u64::from(wait) - 239)),
        };
        while let Some(tick) = tracker.next_tick().filter(|tick| *tick <= now) {
            watch.see(tracker.tick(at, tick));
        }
        let Some(made) = message(kind % 16, leg % 8, variant % 16) else { continue };
        let (message, from, to) = &*made;
        let seen = Seen { at, uptime: now, captured: None, from: Some(*from), to: Some(*to) };
        watch.see(tracker.take(seen, message));
        assert!(tracker.legs() <= most_legs && tracker.live() <= most_legs, "more is kept than may be");
    }
    for _ in 0..1000 {
        let Some(tick) = tracker.next_tick() else { break };
        watch.see(tracker.tick(at, tick));
    }
    assert!((tracker.legs(), tracker.live()) == (0, 0), "something is kept for ever");
    assert!(watch.open.is_empty(), "a call never ends");
    assert!(watch.lines.values().all(|state| *state == LineState::Idle), "a line stays as it was");
}

/// The longest course that is played, to bound the time of one input.
const MOST_STEPS: usize = 32;

#[derive(Default)]
struct Watch {
    open: BTreeSet<CallKey>,
    lines: BTreeMap<Line, LineState>,
}

impl Watch {
    fn see(&mut self, words: Vec<Heard>) {
        for word in words {
            match word.what {
                What::LineState { line, state } => {
                    assert!(self.lines.insert(line, state) != Some(state), "a line is told twice");
                }
                What::Call { key, is: CallHeard::Over { .. } | CallHeard::Joined { .. } } => {
                    self.open.remove(&key);
                }
                What::Call { key, is } => {
                    if let CallHeard::Facts(facts) = &is {
                        super::withheld_is_withheld(&facts.caller);
                    }
                    self.open.insert(key);
                }
                What::Line { .. } | What::Pause { .. } | What::Up { .. } | What::Down => {}
            }
        }
    }
}

/// A message and between whom it goes; each is made once.
type Made = Option<Arc<(Message, SocketAddr, SocketAddr)>>;

fn message(kind: u8, leg: u8, variant: u8) -> Made {
    static MADE: LazyLock<Mutex<HashMap<[u8; 3], Made>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry([kind, leg, variant]).or_insert_with(|| make(kind, leg, variant)).clone()
}

/// The legs a call can have: caller's, phones', a consultation, a proxied one, a feature code, a replacing one. Its
/// two ends, who calls and who is called.
const LEGS: [(u8, u8, &str, &str); 8] = [
    (9, 0, "+972541234567", "500"),
    (0, 1, "+972541234567", "101"),
    (0, 2, "+972541234567", "102"),
    (1, 0, "101", "103"),
    (0, 3, "101", "103"),
    (9, 0, "+972541234567", "101"),
    (3, 0, "103", "*8101"),
    (9, 0, "+972541234567", "103"),
];

fn make(kind: u8, leg: u8, variant: u8) -> Made {
    let (caller, called, from, to) = *LEGS.get(usize::from(leg))?;
    let bit = |bit: u8| variant & (1 << bit) != 0;
    let (by_called, deep, private, other) = (bit(0), bit(1), bit(2), bit(3));
    let (start, method) = match kind {
        0 | 12 => ("", "INVITE"),
        1 => (if other { "183 x" } else { "100 x" }, "INVITE"),
        2 => ("180 x", "INVITE"),
        3 => ("200 x", "INVITE"),
        4 => (if other { "480 x" } else { "486 x" }, "INVITE"),
        5 => (if other { "407 x" } else { "302 x" }, "INVITE"),
        6 => (if other { "408 x" } else { "487 x" }, "INVITE"),
        7 => ("", "CANCEL"),
        8 => ("200 x", "CANCEL"),
        9 => ("", "ACK"),
        10 => ("", "BYE"),
        11 => ("200 x", "BYE"),
        13 => ("", "REFER"),
        14 => (if other { "481 x" } else { "202 x" }, "REFER"),
        _ => ("", "NOTIFY"),
    };
    let within = matches!(kind, 3 | 10..=15) || (kind == 9 && other);
    let turned = by_called && within && kind != 3;
    let ((a, a_tag), (b, b_tag)) = ((from, "f"), (to, if within { ";tag=t" } else { "" }));
    let addresses = match turned {
        false => format!("From: <sip:{a}@x>;tag={a_tag}\r\nTo: <sip:{b}@x>{b_tag}\r\n"),
        true => format!("From: <sip:{b}@x>;tag=t\r\nTo: <sip:{a}@x>;tag=f\r\n"),
    };
    let more = match kind {
        0 if private => "P-Asserted-Identity: <sip:+972541234567@x>\r\nPrivacy: id\r\n",
        0 if leg == 7 => "Replaces: c3;to-tag=t;from-tag=f\r\n",
        0 if other => "X-Original-Call-ID: c0\r\nReferred-By: <sip:101@x>\r\n",
        7 if other => "Reason: SIP;cause=200\r\n",
        7 if private => "Reason: Q.850;cause=127\r\n",
        12 if private => "P-Asserted-Identity: <sip:+972541234567@x>\r\n",
        13 if other => "Refer-To: <sip:103@x?Replaces=c3%3Bto-tag%3Dt%3Bfrom-tag%3Df>\r\n",
        13 => "Refer-To: <sip:103@x>\r\n",
        15 => "Event: refer\r\n",
        _ => "",
    };
    let body = match kind {
        12 if other => "v=0\r\nm=audio 4 RTP/AVP 8\r\na=sendonly\r\n",
        12 => "v=0\r\nm=audio 4 RTP/AVP 8\r\n",
        15 if other => "SIP/2.0 503 x\r\n",
        15 if private => "SIP/2.0 100 x\r\n",
        15 => "SIP/2.0 200 x\r\n",
        _ => "",
    };
    let head = match start {
        "" => format!("{method} sip:{to}@x SIP/2.0"),
        start => format!("SIP/2.0 {start}"),
    };
    let hop = format!("Via: SIP/2.0/UDP h;branch=z9hG4bK{leg}{}\r\n", if deep { "d" } else { "" });
    let via = if deep { format!("{hop}Via: SIP/2.0/UDP g;branch=z9hG4bK{leg}\r\n") } else { hop };
    let number = if kind >= 10 { kind } else { 1 };
    let text = format!(
        "{head}\r\n{via}{addresses}Call-ID: c{leg}\r\nCSeq: {number} {method}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let end = |host: u8| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 5060);
    let (sender, receiver) = if deep { (0, 1) } else { (caller, called) };
    let back = turned == start.is_empty();
    let (sender, receiver) = if back { (receiver, sender) } else { (sender, receiver) };
    Some(Arc::new((Message::read(text.as_bytes()).ok()?, end(sender), end(receiver))))
}
