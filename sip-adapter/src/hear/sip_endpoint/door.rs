//! Which datagrams from the phone system's address are read at all. Over UDP anybody can write that address as
//! theirs, and each request that is read is remembered for 32 s: so what belongs to nothing this program began
//! is let in only in small numbers, and what is no SIP not at all. Pure: bytes and the time in, a decision out.

use std::collections::HashMap;
use std::time::Duration;

use memchr::memchr;
use tokio::time::Instant;

/// Requests of calls that begin elsewhere: their number a second, and how many at once.
const CALLS: (u32, u32) = (100, 500);
/// Questions whether this program is alive.
const QUESTIONS: (u32, u32) = (20, 50);
/// Anything else, such as NOTIFYs of subscriptions that an earlier start of this program left behind.
const OTHERS: (u32, u32) = (100, 1_000);

/// How many lines of a head are looked through for a Call-ID.
const MOST_LINES: usize = 64;

/// Lets datagrams in.
pub(super) struct Door {
    calls: Allowance,
    questions: Allowance,
    others: Allowance,
}

impl Door {
    pub(super) fn new(now: Instant) -> Door {
        let allowance = |(rate, burst)| Allowance { rate, burst, left: f64::from(burst), at: now };
        Door { calls: allowance(CALLS), questions: allowance(QUESTIONS), others: allowance(OTHERS) }
    }

    /// Whether to read it. `ours` says whether this program began something under a Call-ID.
    pub(super) fn lets_in(&mut self, datagram: &[u8], ours: impl Fn(&str) -> bool, now: Instant) -> bool {
        let start = datagram.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(datagram.len());
        let message = datagram.get(start..).unwrap_or_default();
        let Some(head) = message.get(..message.len().min(64)) else { return false };
        let word = head.split(|byte| *byte == b' ').next().unwrap_or_default();
        let answer = word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
        let method = (1..=16).contains(&word.len()) && word.iter().all(u8::is_ascii_uppercase);
        if !answer && !method {
            return false;
        }
        if call_id(message).is_some_and(ours) {
            return true;
        }
        let allowance = match word {
            _ if answer => return false,
            b"INVITE" | b"ACK" | b"CANCEL" | b"BYE" => &mut self.calls,
            b"OPTIONS" => &mut self.questions,
            _ => &mut self.others,
        };
        allowance.take(now)
    }
}

/// So many at once, and so many more each second.
struct Allowance {
    rate: u32,
    burst: u32,
    left: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * f64::from(self.rate)).min(f64::from(self.burst));
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }
}

/// The Call-ID of a message, without reading the rest of it.
fn call_id(message: &[u8]) -> Option<&str> {
    let mut rest = message;
    for _ in 0..MOST_LINES {
        rest = rest.get(memchr(b'\n', rest)? + 1..)?;
        let line = rest.get(..memchr(b'\n', rest).unwrap_or(rest.len()))?;
        if line.trim_ascii().is_empty() {
            return None;
        }
        if !matches!(line.first(), Some(b'C' | b'c' | b'I' | b'i')) {
            continue;
        }
        let Some(colon) = memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i") {
            return std::str::from_utf8(value.get(1..)?.trim_ascii()).ok();
        }
    }
    None
}

/// Call-IDs under which this program has sent something, and when last.
#[derive(Default)]
pub(super) struct Begun {
    at: HashMap<String, Instant>,
    look_at: usize,
}

impl Begun {
    /// Longer than any subscription or registration is left alone.
    const KEPT: Duration = Duration::from_secs(2 * 3600);
    const MOST: usize = 50_000;

    /// Something is sent under this Call-ID.
    pub(super) fn note(&mut self, call_id: &str, now: Instant) {
        if let Some(at) = self.at.get_mut(call_id) {
            *at = now;
            return;
        }
        if self.at.len() >= self.look_at.max(1_024) {
            self.at.retain(|_, at| now.saturating_duration_since(*at) < Begun::KEPT);
            if self.at.len() >= Begun::MOST {
                // Never seen: 50,000 names in two hours. What is used again is noted again.
                self.at.clear();
            }
            self.look_at = (2 * self.at.len()).min(Begun::MOST);
        }
        self.at.insert(call_id.to_owned(), now);
    }

    /// Whether something was sent under it.
    pub(super) fn has(&self, call_id: &str) -> bool {
        self.at.contains_key(call_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(first: &str, call_id: &str) -> Vec<u8> {
        format!("{first}\r\nVia: SIP/2.0/UDP h\r\nCSeq: 1 X\r\nCall-ID: {call_id}\r\n\r\nCall-ID: body")
            .into_bytes()
    }

    fn check(bytes: &[u8], expected: bool) {
        let mut door = Door::new(Instant::now());
        let found = door.lets_in(bytes, |id| id == "ours", Instant::now());
        assert_eq!(found, expected, "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn what_we_began_is_read_and_what_is_no_sip_is_not() {
        check(&message("NOTIFY sip:x SIP/2.0", "ours"), true);
        check(&message("SIP/2.0 200 OK", "ours"), true);
        check(b"\r\n\r\nSIP/2.0 200 OK\ni : ours\n\n", true);
        check(&message("SIP/2.0 200 OK", "theirs"), false);
        check(b"SIP/2.0 200 OK\r\n\r\nCall-ID: ours\r\n", false);
        check(&message("NOTIFY sip:x SIP/2.0", "theirs"), true);
        check(&message("notify sip:x SIP/2.0", "theirs"), false);
        check(b"", false);
        check(b"\r\n\r\n", false);
        check(&[0xff; 900], false);
        check(b"GARBAGEGARBAGEGARBAGE", false);
    }

    #[test]
    fn strange_requests_are_let_in_in_small_numbers_and_cost_ours_nothing() {
        let began = Instant::now();
        let mut door = Door::new(began);
        let mut flood = |first: &str, id: &str, at: Instant| {
            let bytes = message(first, id);
            (0..10_000).filter(|_| door.lets_in(&bytes, |id| id == "ours", at)).count()
        };
        assert_eq!(flood("REGISTER sip:x SIP/2.0", "theirs", began), 1_000);
        assert_eq!(flood("NOTIFY sip:x SIP/2.0", "theirs", began), 0);
        assert_eq!(flood("INVITE sip:x SIP/2.0", "theirs", began), 500);
        assert_eq!(flood("OPTIONS sip:x SIP/2.0", "theirs", began), 50);
        assert_eq!(flood("NOTIFY sip:x SIP/2.0", "ours", began), 10_000);
        assert_eq!(flood("NOTIFY sip:x SIP/2.0", "theirs", began + Duration::from_secs(2)), 200);
    }

    #[test]
    fn what_was_begun_is_known_for_two_hours_at_least_and_bounded() {
        let (mut begun, now) = (Begun::default(), Instant::now());
        begun.note("first", now);
        for n in 0..2_000 {
            begun.note(&n.to_string(), now + Duration::from_secs(3_600));
        }
        assert!(begun.has("first") && begun.has("7"));
        for n in 2_000..10_000 {
            begun.note(&n.to_string(), now + Duration::from_secs(3 * 3_600));
        }
        assert!(!begun.has("first") && !begun.has("7") && begun.has("9999"));
        for n in 0..200_000 {
            begun.note(&n.to_string(), now);
        }
        assert!(begun.at.len() <= Begun::MOST);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decided_on_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut door = Door::new(Instant::now());
            let _ = door.lets_in(&bytes, |_| true, Instant::now());
            let _ = door.lets_in(&[b"NOTIFY x\nCall-ID".as_slice(), &bytes].concat(), |_| false, Instant::now());
        }
    }
}
