//! NOTIFYs, read and answered without a transaction of rsipstack, which is kept for 32 s and costs ten times
//! what the message says. The answer follows from the request alone, so nothing is remembered to repeat it
//! (RFC 3261 section 17.2.2): the dialog knows by CSeq what it has seen. Pure, except for [`Notification::answer`].

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use memchr::{memchr, memchr_iter};
use rsipstack::platform::net::UdpSocket as _;

use super::transport::Wire;
use super::wire::MOST_LINES;
use super::{AGENT, same_host};
use crate::sip::uri::trim;

/// SIP's port where a Via names none.
const PORT: u16 = 5060;

/// Headers of a NOTIFY that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Event,
    State,
    ContentType,
    Contact,
    RecordRoute,
}

/// A NOTIFY of the phone system.
pub struct Notification {
    /// When it was read.
    pub at: Timestamp,
    head: Head,
    body: Vec<u8>,
    back: Option<Back>,
}

/// How a NOTIFY is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// 200.
    Accepted,
    /// 481: it is of no subscription.
    NoSubscription,
    /// 489: not what was subscribed to.
    BadEvent,
}

impl Reply {
    fn line(self) -> &'static str {
        match self {
            Reply::Accepted => "SIP/2.0 200 OK",
            Reply::NoSubscription => "SIP/2.0 481 Subscription does not exist",
            Reply::BadEvent => "SIP/2.0 489 Bad Event",
        }
    }
}

/// The way back to whoever sent it.
pub(super) struct Back {
    /// What answers leave by.
    pub wire: Arc<Wire>,
    /// Where it came from.
    pub from: SocketAddr,
    /// How long it was, where its sender has proven nothing.
    pub length: Option<usize>,
    /// Makes tags.
    pub tags: RandomState,
}

/// Whether a message is a NOTIFY: then it is read here.
pub(super) fn is_notify(message: &[u8]) -> bool {
    message.starts_with(b"NOTIFY ")
}

impl Notification {
    /// Reads one. `None` when what an answer needs is missing.
    pub(super) fn read(at: Timestamp, head: &[u8], body: &[u8], back: Back) -> Option<Notification> {
        let head = Head::read(&String::from_utf8_lossy(head))?;
        Some(Notification { at, head, body: body.to_vec(), back: Some(back) })
    }

    /// One that came from nowhere, to which there is no answer: out of a recording, a test, or a count of what it costs.
    pub fn of(head: &str, body: &[u8]) -> Option<Notification> {
        Some(Notification {
            at: Timestamp::UNIX_EPOCH,
            head: Head::read(head)?,
            body: body.to_vec(),
            back: None,
        })
    }

    /// The value of From.
    pub fn from_header(&self) -> &str {
        self.head.value(Name::From).unwrap_or_default()
    }

    /// The value of To.
    pub fn to_header(&self) -> &str {
        self.head.value(Name::To).unwrap_or_default()
    }

    /// The value of Call-ID.
    pub fn call_id(&self) -> &str {
        self.head.value(Name::CallId).unwrap_or_default()
    }

    /// The number of CSeq.
    pub fn cseq(&self) -> u32 {
        self.head.cseq
    }

    /// The value of Event.
    pub fn event(&self) -> Option<&str> {
        self.head.value(Name::Event)
    }

    /// The value of Subscription-State.
    pub fn subscription_state(&self) -> Option<&str> {
        self.head.value(Name::State)
    }

    /// The value of Content-Type.
    pub fn content_type(&self) -> Option<&str> {
        self.head.value(Name::ContentType)
    }

    /// The value of Contact.
    pub fn contact(&self) -> Option<&str> {
        self.head.value(Name::Contact)
    }

    /// The values of Record-Route, in the order written.
    pub fn record_routes(&self) -> impl Iterator<Item = &str> {
        self.head.values(Name::RecordRoute)
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Answers it. Over UDP, where the sender's address proves nothing, a refusal is not longer than the request, so
    /// that nobody is flooded by way of us; but whoever sends a NOTIFY that is accepted knows a dialog of ours.
    pub async fn answer(self, reply: Reply) {
        let Some(back) = self.back else { return };
        let Some((answer, to)) = self.head.answer(reply, back.from, &back.tags) else { return };
        let too_long = back.length.is_some_and(|length| answer.len() > length);
        if too_long && reply != Reply::Accepted {
            tracing::debug!("an answer longer than its request was not sent");
            return;
        }
        if back.wire.send_to(answer.as_bytes(), to).await.is_err() {
            tracing::debug!("an answer could not be sent");
        }
    }
}

/// The head of a NOTIFY.
struct Head {
    text: String,
    lines: Vec<(Name, Range<usize>)>,
    cseq: u32,
}

impl Head {
    fn read(text: &str) -> Option<Head> {
        let text = unfolded(text);
        let mut lines = Vec::with_capacity(12);
        let ends = memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
        let mut start = 0;
        for (count, end) in ends.enumerate() {
            let line = text.get(start..end)?;
            start = end + 1;
            if count == 0 {
                // `NOTIFY uri SIP/2.0`: what the URI says decides nothing.
                let version = line.trim_end().rsplit(' ').next()?;
                if !version.eq_ignore_ascii_case("SIP/2.0") || line.split_ascii_whitespace().count() != 3 {
                    return None;
                }
                continue;
            }
            if count >= MOST_LINES {
                return None;
            }
            let Some(colon) = memchr(b':', line.as_bytes()) else { continue };
            let Some(name) = line.get(..colon).and_then(|name| named(trim(name))) else { continue };
            let value = line.get(colon + 1..)?.trim_start();
            let from = end - value.len();
            lines.push((name, from..(from + trim(value.trim_ascii_end()).len())));
        }
        let mut head = Head { text, lines, cseq: 0 };
        let (number, method) = head.value(Name::CSeq)?.split_once([' ', '\t'])?;
        if method.trim() != "NOTIFY" {
            return None;
        }
        head.cseq = number.parse().ok()?;
        let whole =
            [Name::Via, Name::From, Name::To, Name::CallId].iter().all(|name| head.value(*name).is_some());
        whole.then_some(head)
    }

    fn values(&self, wanted: Name) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().filter(move |(name, _)| *name == wanted);
        lines.filter_map(|(_, range)| self.text.get(range.clone()))
    }

    fn value(&self, wanted: Name) -> Option<&str> {
        self.values(wanted).next()
    }

    /// The answer, and where it goes: RFC 3261 sections 8.2.6, 18.2.1 and 18.2.2, RFC 3581 section 4. The address is
    /// always the one that the request came from.
    fn answer(&self, reply: Reply, from: SocketAddr, tags: &RandomState) -> Option<(String, SocketAddr)> {
        let mut out = String::with_capacity(self.text.len() / 2 + 256);
        out.push_str(reply.line());
        out.push_str("\r\n");
        let mut to = None;
        for value in self.values(Name::Via) {
            out.push_str("Via: ");
            match to {
                None => to = Some(received(value, from, &mut out)?),
                Some(_) => out.push_str(value),
            }
            out.push_str("\r\n");
        }
        for (name, wanted) in
            [("From", Name::From), ("To", Name::To), ("Call-ID", Name::CallId), ("CSeq", Name::CSeq)]
        {
            out.push_str(name);
            out.push_str(": ");
            let value = self.value(wanted)?;
            out.push_str(value);
            if wanted == Name::To && super::message::tag_of(value).is_none() {
                // The same each time (RFC 3261 section 8.2.7).
                let seed = (self.value(Name::Via), self.value(Name::CallId), self.cseq);
                let _ = write!(out, ";tag={:016x}", tags.hash_one(seed));
            }
            out.push_str("\r\n");
        }
        let _ = write!(out, "User-Agent: {AGENT}\r\nContent-Length: 0\r\n\r\n");
        Some((out, to?))
    }
}

/// Writes a Via with what its first element must say of where the request came from; gives where the answer goes.
fn received(via: &str, from: SocketAddr, out: &mut String) -> Option<SocketAddr> {
    let end = outside_quotes(via, ',').next().unwrap_or(via.len());
    let (first, rest) = via.split_at_checked(end)?;
    let mut cuts: Vec<usize> = outside_quotes(first, ';').collect();
    cuts.push(first.len());
    let mut parts = Vec::with_capacity(cuts.len());
    let mut start = 0;
    for cut in cuts {
        parts.push(first.get(start..cut)?);
        start = cut + 1;
    }
    let mut parts = parts.into_iter();
    let sent = parts.next()?.trim();
    let (host, port) = host_and_port(sent.rsplit([' ', '\t']).next()?);
    let ip = from.ip().to_canonical();
    out.push_str(sent);
    let mut asks_for_port = false;
    for part in parts {
        let name = part.split('=').next().unwrap_or_default().trim();
        asks_for_port |= name.eq_ignore_ascii_case("rport");
        if !name.eq_ignore_ascii_case("rport") && !name.eq_ignore_ascii_case("received") {
            out.push(';');
            out.push_str(part.trim());
        }
    }
    if asks_for_port || !host.parse::<IpAddr>().is_ok_and(|host| same_host(host, ip)) {
        let _ = write!(out, ";received={ip}");
    }
    if asks_for_port {
        let _ = write!(out, ";rport={}", from.port());
    }
    out.push_str(rest);
    let port = if asks_for_port { from.port() } else { port.unwrap_or(PORT) };
    Some(SocketAddr::new(from.ip(), port))
}

/// Of `host`, `host:port`, `[IPv6]:port`.
fn host_and_port(sent_by: &str) -> (&str, Option<u16>) {
    if let Some((host, after)) = sent_by.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, after.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match sent_by.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (sent_by, None),
    }
}

/// Where a character stands outside quotes.
fn outside_quotes(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().filter_map(move |(at, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == wanted && !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

/// Each header on a line of its own (RFC 3261 section 7.3.1), which lone carriage returns do not end.
fn unfolded(text: &str) -> String {
    let plain = text.trim_end_matches(['\r', '\n']);
    let bytes = plain.as_bytes();
    let (mut folds, mut ends_of_two) = (false, 0);
    for end in memchr_iter(b'\n', bytes) {
        folds |= matches!(bytes.get(end + 1), Some(b' ' | b'\t'));
        ends_of_two += usize::from(end.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\r'));
    }
    let text = if folds { plain.replace("\n ", "  ").replace("\n\t", "  ") } else { plain.to_owned() };
    // A fold leaves its carriage return behind.
    let lone = folds || memchr_iter(b'\r', bytes).count() > ends_of_two;
    if lone { text.replace('\r', " ") } else { text }
}

/// Chosen by their lengths first: most headers of a NOTIFY are none of these.
fn named(name: &str) -> Option<Name> {
    let alike: &[(&str, Name)] = match name.len() {
        1 => &[
            ("v", Name::Via),
            ("f", Name::From),
            ("t", Name::To),
            ("i", Name::CallId),
            ("o", Name::Event),
            ("c", Name::ContentType),
            ("m", Name::Contact),
        ],
        2 => &[("To", Name::To)],
        3 => &[("Via", Name::Via)],
        4 => &[("From", Name::From), ("CSeq", Name::CSeq)],
        5 => &[("Event", Name::Event)],
        7 => &[("Call-ID", Name::CallId), ("Contact", Name::Contact)],
        12 => &[("Content-Type", Name::ContentType), ("Record-Route", Name::RecordRoute)],
        18 => &[("Subscription-State", Name::State)],
        _ => &[],
    };
    alike.iter().find(|(word, _)| name.eq_ignore_ascii_case(word)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "192.0.2.9:5070";

    fn answer(head: &str, reply: Reply) -> Option<(String, String)> {
        let from = FROM.parse().expect("an address");
        let (answer, to) = Head::read(head)?.answer(reply, from, &RandomState::new())?;
        Some((answer.replace("\r\n", "|"), to.to_string()))
    }

    #[test]
    fn the_answer_goes_where_rfc_3261_and_3581_say() {
        for (via, written, to) in [
            (
                "SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z",
                "SIP/2.0/UDP 192.0.2.9:5060;branch=z;received=192.0.2.9;rport=5070",
                FROM,
            ),
            ("SIP/2.0/UDP 192.0.2.9:5080;branch=z", "SIP/2.0/UDP 192.0.2.9:5080;branch=z", "192.0.2.9:5080"),
            ("SIP/2.0/UDP pbx;branch=z", "SIP/2.0/UDP pbx;branch=z;received=192.0.2.9", "192.0.2.9:5060"),
            // What it claims to have come from is not believed, nor followed.
            (
                "SIP/2.0/UDP 10.0.0.1:99;received=10.0.0.2;maddr=10.0.0.3;branch=z",
                "SIP/2.0/UDP 10.0.0.1:99;maddr=10.0.0.3;branch=z;received=192.0.2.9",
                "192.0.2.9:99",
            ),
            (
                "SIP/2.0/UDP [2001:db8::1]:5061;x=\"a;b,c\";RPORT=1 , SIP/2.0/TCP next;branch=y",
                "SIP/2.0/UDP [2001:db8::1]:5061;x=\"a;b,c\";received=192.0.2.9;rport=5070, SIP/2.0/TCP next;branch=y",
                FROM,
            ),
        ] {
            let head = format!(
                "NOTIFY sip:x SIP/2.0\r\nVia: {via}\r\nv: SIP/2.0/UDP last\r\nFrom: a;tag=1\r\nTo: b;tag=2\r\nCall-ID: c\r\n\
                 CSeq: 3 NOTIFY\r\n"
            );
            let rest = format!(
                "|Via: SIP/2.0/UDP last|From: a;tag=1|To: b;tag=2|Call-ID: c|CSeq: 3 NOTIFY|User-Agent: {AGENT}|Content-Length: 0||"
            );
            let expected = (format!("SIP/2.0 200 OK|Via: {written}{rest}"), to.to_owned());
            assert_eq!(answer(&head, Reply::Accepted), Some(expected), "{via}");
        }
    }

    #[test]
    fn whatever_its_lines_look_like_it_is_read_or_refused_whole() {
        let check = |head: &str, expected: Option<(u32, &str)>| {
            let found = Head::read(head);
            let found = found.as_ref().map(|head| (head.cseq, head.value(Name::From).unwrap_or_default()));
            assert_eq!(found, expected, "{head:?}");
        };
        check("NOTIFY x SIP/2.0\nv:V\nf : F\nt:T\ni:I\ncseq:\t7\tNOTIFY\n", Some((7, "F")));
        check(
            "NOTIFY x SIP/2.0\r\nVia: V\r\nFrom: F\r\n ;tag=1\r\nTo: T\r\nCall-ID: I\r\nCSeq: 7 NOTIFY\r\n",
            Some((7, "F   ;tag=1")),
        );
        check(
            "NOTIFY x SIP/2.0\r\nVia: V\r\nFrom: F\rVia: W\r\nTo: T\r\nCall-ID: I\r\nCSeq: 7 NOTIFY\r\n",
            Some((7, "F Via: W")),
        );
        check("NOTIFY x SIP/2.0\r\nVia: V\r\nFrom: F\r\nTo: T\r\nCall-ID: I\r\nCSeq: 7 INVITE\r\n", None);
        check(
            "NOTIFY x SIP/2.0\r\nVia: V\r\nFrom: F\r\nTo: T\r\nCall-ID: I\r\nCSeq: 99999999999 NOTIFY\r\n",
            None,
        );
        check("NOTIFY x SIP/2.0\r\nFrom: F\r\nTo: T\r\nCall-ID: I\r\nCSeq: 7 NOTIFY\r\n", None);
        check("NOTIFY x SIP/3.0\r\nVia: V\r\nFrom: F\r\nTo: T\r\nCall-ID: I\r\nCSeq: 7 NOTIFY\r\n", None);
        check(&format!("NOTIFY x SIP/2.0\r\n{}", "a: b\r\n".repeat(300)), None);
    }

    #[test]
    fn a_refusal_without_a_dialog_has_the_same_tag_each_time() {
        let head = "NOTIFY sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z\r\nFrom: a;tag=1\r\nTo: b\r\nCall-ID: c\r\nCSeq: 3 NOTIFY";
        let (from, tags) = (FROM.parse().expect("an address"), RandomState::new());
        let twice = [(); 2].map(|()| Head::read(head)?.answer(Reply::NoSubscription, from, &tags));
        assert_eq!(twice[0], twice[1]);
        let tag = twice[0]
            .as_ref()
            .and_then(|(text, _)| text.split_once("To: b;tag="))
            .map(|(_, tag)| tag.find("\r\n"));
        assert_eq!(tag, Some(Some(16)));
    }

    proptest::proptest! {
        #[test]
        fn any_head_is_read_without_a_panic_and_answered_with_one_message(
            lines in proptest::collection::vec("(Via|v|From|f|To|t|CSeq|Call-ID|i| )(:| )[ -~\r\"\\\\é;,=\\[\\]]{0,40}", 0..12),
        ) {
            let head = format!("NOTIFY sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCSeq: 1 NOTIFY\r\n{}", lines.join("\r\n"));
            let (from, tags) = (FROM.parse().expect("an address"), RandomState::new());
            if let Some((answer, _)) = Head::read(&head).and_then(|head| head.answer(Reply::Accepted, from, &tags)) {
                let breaks = answer.matches("\r\n").count();
                proptest::prop_assert_eq!(answer.find("\r\n\r\n"), Some(answer.len() - 4));
                proptest::prop_assert_eq!((answer.matches('\r').count(), answer.matches('\n').count()), (breaks, breaks));
            }
        }
    }
}
