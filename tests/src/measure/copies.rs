//! Copies of calls as an Asterisk 22 sends them by HEP: a recorded call, made into many that differ in whatever
//! names them, and beside each call what else passes at a phone system. Each bears the time at which it is made.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_sip_adapter::hear::hep::packet::{self, Packet};

/// One phone rings, answers, and the caller hangs up.
const CALL: &str = include_str!("../../../sip-adapter/tests/traces/asterisk-22/direct_answered.txt");
const OTHERS: &str = "REGISTER sip:192.0.2.10 SIP/2.0 401 Unauthorized
REGISTER sip:192.0.2.10 SIP/2.0 200 OK
OPTIONS sip:LINE@192.0.2.101:5060 SIP/2.0 200 OK";

/// How many packets of a call there are for each call, and how many others beside them.
pub const OF_A_CALL: usize = 13;
/// See [`OF_A_CALL`].
pub const BESIDE: usize = 6;

struct Template {
    from: SocketAddr,
    to: SocketAddr,
    text: String,
}

/// Makes copies.
pub struct Copies {
    templates: Vec<Template>,
    first_line: u32,
    lines: u32,
}

impl Copies {
    /// Calls to `lines` lines, numbered from `first_line` on.
    pub fn new(first_line: u32, lines: u32) -> Copies {
        let templates = CALL.split("@ ").filter_map(template).collect();
        Copies { templates, first_line, lines }
    }

    /// How many packets one call has.
    pub fn of_a_call(&self) -> usize {
        self.templates.len()
    }

    /// The caller's number in the call of this number, as the hub is told it.
    pub fn caller(n: u64) -> String {
        format!("+9725{:08}", 10_000_000 + n % 80_000_000)
    }

    /// Everything that passes because of one call, in order; `place` below [`Copies::of_a_call`].
    pub fn of_call(&self, n: u64, place: usize) -> Option<Vec<u8>> {
        let template = self.templates.get(place)?;
        let line = self.line(n);
        let text = template
            .text
            .replace("NUMBER", &Copies::caller(n))
            .replace("LINE", &line)
            .replace("UNIQUE", &format!("{n:08x}"));
        written(template.from, template.to, &text)
    }

    /// A message of a registration or a sign of life; `place` below [`BESIDE`].
    pub fn beside(&self, n: u64, place: usize) -> Option<Vec<u8>> {
        let (line, count) = (self.line(n), n);
        let (request, answer) = OTHERS.lines().nth(place / 2)?.split_once(" SIP/2.0 ")?;
        let method = request.split(' ').next()?;
        let first = if place.is_multiple_of(2) {
            format!("{} SIP/2.0", request.replace("LINE", &line))
        } else {
            format!("SIP/2.0 {answer}")
        };
        let text = format!(
            "{first}\r\nVia: SIP/2.0/UDP 192.0.2.101:5060;rport;branch=z9hG4bKPj{count:08x}{place}\r\nMax-Forwards: 70\r\n\
             From: <sip:{line}@192.0.2.10>;tag=f{count:08x}\r\nTo: <sip:{line}@192.0.2.10>\r\nCall-ID: o{count:08x}-{method}@192.0.2.101\r\n\
             CSeq: {place} {method}\r\nContact: <sip:{line}@192.0.2.101:5060>\r\nExpires: 60\r\nUser-Agent: Yealink SIP-T46S 66.86.0.15\r\n\
             Content-Length: 0\r\n\r\n"
        );
        written("192.0.2.101:5060".parse().ok()?, "192.0.2.10:5060".parse().ok()?, &text)
    }

    fn line(&self, n: u64) -> String {
        (u64::from(self.first_line) + n % u64::from(self.lines)).to_string()
    }
}

fn written(from: SocketAddr, to: SocketAddr, text: &str) -> Option<Vec<u8>> {
    // Kamailio's sipcapture refuses a packet without its time.
    let captured = Duration::try_from(Timestamp::now().duration_since(Timestamp::UNIX_EPOCH)).ok();
    let (from, to) = (Some(from), Some(to));
    packet::write(&Packet { from, to, captured, payload: text.as_bytes(), ..Packet::default() })
}

/// `TIME FROM > TO`, and the message with capital words where calls differ.
fn template(block: &str) -> Option<Template> {
    let (ends, message) = block.split_once('\n')?;
    let mut words = ends.split_whitespace().skip(1);
    let (from, to) = (words.next()?.parse().ok()?, words.nth(1)?.parse().ok()?);
    let mut text = String::new();
    for line in message.trim_end().lines() {
        match line.split_once(": ") {
            Some(("Call-ID", id)) => text.push_str(&format!("Call-ID: UNIQUE-{id}")),
            _ => text.push_str(&line.replace("+972541234567", "NUMBER").replace("sip:101@", "sip:LINE@")),
        }
        text.push_str("\r\n");
    }
    if !text.contains("\r\n\r\n") {
        text.push_str("\r\n");
    }
    Some(Template { from, to, text: text.replace(";branch=z9hG4bK", ";branch=z9hG4bKUNIQUE") })
}

#[cfg(test)]
mod tests {
    use pinkas_sip_adapter::hear::hep::of_a_call;
    use pinkas_sip_adapter::sip::message::Message;

    use super::*;

    #[test]
    fn copies_are_whole_and_differ_by_call() {
        let copies = Copies::new(2000, 100);
        assert_eq!(copies.of_a_call(), OF_A_CALL);
        for place in 0..OF_A_CALL {
            let (one, other) =
                (copies.of_call(1, place).expect("one"), copies.of_call(2, place).expect("one"));
            assert_ne!(one, other);
            let packet = packet::read(&one).expect("HEP");
            let message = Message::read(packet.payload).expect("SIP");
            assert!(message.call_id().expect("a name").starts_with("00000001-"));
            assert!(of_a_call(packet.payload));
        }
        for place in 0..BESIDE {
            let bytes = copies.beside(1, place).expect("one");
            let packet = packet::read(&bytes).expect("HEP");
            Message::read(packet.payload).expect("SIP");
            assert!(!of_a_call(packet.payload));
        }
        assert!(copies.of_call(1, OF_A_CALL).is_none() && copies.beside(1, BESIDE).is_none());
    }
}
