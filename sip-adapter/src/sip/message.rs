//! One SIP message as a listener needs it. There is one path: bytes are made canonical, then rsip reads them.
//! Debug output and errors never hold a part of the message: rsip's own error text would.

use std::fmt;

use rsip::headers::header::Tokenizer;

use super::canonical::{self, Head};
pub use super::canonical::{Refused, Start};
use super::charset::Charset;
use super::name_addr::{self, NameAddr};

/// A request or a response.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its first line.
    pub start: Start,
    head: Head,
    body: Vec<u8>,
}

impl Message {
    /// Reads one message, such as a datagram holds.
    pub fn read(bytes: &[u8]) -> Result<Message, Refused> {
        Message::read_in(bytes, None)
    }

    /// As [`Message::read`]; headers that are not UTF-8 are in the charset `fallback`.
    pub fn read_in(bytes: &[u8], fallback: Option<Charset>) -> Result<Message, Refused> {
        let canonical = canonical::read(bytes, fallback)?;
        rsip_reads(&canonical.head)?;
        Ok(Message { start: canonical.start, head: canonical.head, body: canonical.body.to_vec() })
    }

    /// The first value of a header, whichever of its names is used; empty where it says nothing.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.value(name)
    }

    /// The values of each line of a header, in order.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.values(name)
    }

    /// RFC 3261 section 20.8.
    pub fn call_id(&self) -> Option<&str> {
        self.header("Call-ID").filter(|id| !id.is_empty())
    }

    /// RFC 3261 section 20.16: the number and the method of the transaction.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.split_once([' ', '\t'])?;
        let method = method.trim();
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let one_word = !method.is_empty() && !method.contains(char::is_whitespace);
        Some((number.parse().ok().filter(|_| digits && one_word)?, method))
    }

    /// Who began the dialog.
    pub fn from(&self) -> Option<NameAddr<'_>> {
        NameAddr::read(self.header("From")?)
    }

    /// Whom the dialog was begun with.
    pub fn to(&self) -> Option<NameAddr<'_>> {
        NameAddr::read(self.header("To")?)
    }

    /// Where the sender can be reached: the first of its contacts.
    pub fn contact(&self) -> Option<NameAddr<'_>> {
        NameAddr::read_list(self.header("Contact")?).into_iter().next()
    }

    /// The transaction's name: `branch` of the topmost Via (RFC 3261 section 8.1.1.7).
    pub fn branch(&self) -> Option<&str> {
        name_addr::value_param(self.header("Via")?, "branch").filter(|branch| !branch.is_empty())
    }

    /// What comes after the headers.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// Whom a request is for.
    pub fn request_uri(&self) -> Option<&str> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.start {
            Start::Request { .. } => f.write_str("Message(request …)"),
            Start::Response { code, .. } => write!(f, "Message({code} …)"),
        }
    }
}

/// rsip reads each header, which must be what it was made to be. What it makes of a whole message is not asked for:
/// it would copy every value and the body, and write its errors around the rest of the message, also those of what
/// it only tries, such as one more header after the last.
fn rsip_reads(head: &Head) -> Result<(), Refused> {
    let mut rest = head.text().as_bytes();
    for (name, value) in head.iter() {
        let (after, read) = Tokenizer::tokenize(rest).map_err(|_| Refused::Reader)?;
        if read.name != name.as_bytes() || read.value != value.as_bytes() {
            return Err(Refused::Reader);
        }
        rest = after;
    }
    if rest == b"\r\n" { Ok(()) } else { Err(Refused::Reader) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Message {
        Message::read(text.as_bytes()).expect("a message")
    }

    fn refused(text: &str) -> String {
        Message::read(text.as_bytes()).expect_err("refused").to_string()
    }

    const PLAIN: &str = "INVITE sip:101@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n\
        From: \"Dana\" <sip:+972501234567@trunk>;tag=f\r\nTo: <sip:101@192.0.2.1>\r\nCall-ID: c1@trunk\r\n\
        CSeq: 7 INVITE\r\nContact: <sip:x@192.0.2.9>\r\nContent-Length: 3\r\n\r\nv=0";

    fn summary(message: &Message) -> String {
        let (number, method) = message.cseq().unwrap_or((0, "-"));
        let from = message.from();
        format!(
            "{} {} {number} {method} {} {} {:?}",
            message.request_uri().unwrap_or("-"),
            message.call_id().unwrap_or("-"),
            from.as_ref().map_or("-", |from| from.uri),
            message.branch().unwrap_or("-"),
            String::from_utf8_lossy(message.body()),
        )
    }

    #[test]
    fn however_it_is_written_it_is_the_same_message() {
        let plain = summary(&read(PLAIN));
        assert_eq!(plain, "sip:101@192.0.2.1 c1@trunk 7 INVITE sip:+972501234567@trunk z9hG4bK1 \"v=0\"");
        for (what, text) in [
            ("bare LF", PLAIN.replace("\r\n", "\n")),
            ("leading line ends", format!("\r\n\n\r\n{PLAIN}")),
            ("folded", PLAIN.replace("CSeq: 7 INVITE", "CSeq: 7\r\n   INVITE")),
            ("folded before the value", PLAIN.replace("Call-ID: ", "Call-ID:\r\n\t")),
            ("blanks before the colon", PLAIN.replace("From:", "From \t :")),
            (
                "compact",
                PLAIN
                    .replace("From:", "f:")
                    .replace("Call-ID", "I")
                    .replace("Via", "v")
                    .replace("Contact", "m"),
            ),
            ("other case", PLAIN.replace("Call-ID", "CALL-id").replace("CSeq", "cseq")),
            ("no Content-Length", PLAIN.replace("Content-Length: 3\r\n", "")),
            ("Content-Length too large", PLAIN.replace("Length: 3", "Length: 300")),
            ("Content-Length smaller than the datagram", format!("{PLAIN}garbage")),
            ("Content-Length no number", PLAIN.replace("Length: 3", "Length: x")),
            ("said twice alike", PLAIN.replace("CSeq: 7 INVITE", "CSeq: 7 INVITE\r\ncseq: 7 INVITE")),
            (
                "blanks in the first line",
                PLAIN.replace("INVITE sip:101@192.0.2.1 SIP", "INVITE  sip:101@192.0.2.1  SIP"),
            ),
        ] {
            assert_eq!(summary(&read(&text)), plain, "{what}");
        }
    }

    #[test]
    fn any_request_uri_and_any_method_can_be_read() {
        for uri in [
            "tel:+48123456789",
            "sip:101@[2001:db8::1]:5060;transport=tcp",
            "urn:service:sos",
            "sip:a.b@c?x=y",
        ] {
            let message = read(&PLAIN.replace("sip:101@192.0.2.1 SIP", &format!("{uri} SIP")));
            assert_eq!(message.request_uri(), Some(uri));
        }
        let message = read(&PLAIN.replace("INVITE sip", "FLY-away sip"));
        assert_eq!(message.method(), Some("FLY-away"));
    }

    #[test]
    fn answers_are_read_with_and_without_a_reason() {
        for (line, code, reason) in [
            ("SIP/2.0 180 Ringing", 180, "Ringing"),
            ("SIP/2.0 200", 200, ""),
            ("sip/2.0 699 ź  x", 699, "ź  x"),
        ] {
            let message = read(&PLAIN.replace("INVITE sip:101@192.0.2.1 SIP/2.0", line));
            assert_eq!(message.start, Start::Response { code, reason: reason.to_owned() });
            assert_eq!(message.cseq(), Some((7, "INVITE")));
        }
    }

    #[test]
    fn names_of_any_charset_leave_the_rest_readable() {
        let mut bytes = PLAIN.as_bytes().to_vec();
        let at = bytes.windows(4).position(|w| w == b"Dana").expect("the name");
        bytes.splice(at..at + 4, [0xE3, 0xF0, 0xE4]);
        let message = Message::read(&bytes).expect("a message");
        assert_eq!(message.from().and_then(|from| from.display).as_deref(), Some("דנה"));
        assert_eq!(message.call_id(), Some("c1@trunk"));
    }

    #[test]
    fn what_is_no_message_is_refused_with_a_reason_that_quotes_nothing() {
        for (text, reason) in [
            ("".to_owned(), "there is no message, only a keep-alive"),
            ("\r\n\r\n".to_owned(), "there is no message, only a keep-alive"),
            ("hello".to_owned(), "the first line is neither `METHOD uri SIP/2.0` nor `SIP/2.0 code reason`"),
            (
                "GET / HTTP/1.1\r\n\r\n".to_owned(),
                "the first line is neither `METHOD uri SIP/2.0` nor `SIP/2.0 code reason`",
            ),
            (
                "SIP/2.0 99 x".to_owned(),
                "the first line is neither `METHOD uri SIP/2.0` nor `SIP/2.0 code reason`",
            ),
            (
                "INVITE sip:a@b SIP/3.0\r\n".to_owned(),
                "the first line names a version of SIP that is not 2.0",
            ),
            (PLAIN.replace("Contact:", "Contact"), "line 7 is not `Name: value`"),
            (PLAIN.replace("\r\nVia", "\r\n Via"), "line 2 is not `Name: value`"),
            (PLAIN.replace("Contact:", "Con tact:"), "line 7 is not `Name: value`"),
            (
                PLAIN.replace("Contact", "From: <sip:evil@bank>\r\nContact"),
                "the header From stands twice and says different things",
            ),
            (
                PLAIN.replace("Contact", "i: other\r\nContact"),
                "the header Call-ID stands twice and says different things",
            ),
            (
                PLAIN.replace("Contact", "l: 0\r\nContact"),
                "the header Content-Length stands twice and says different things",
            ),
            (PLAIN.replace("Contact", &"x: y\r\n".repeat(300)), "there are more than 256 headers"),
            (
                PLAIN.replace("Contact: ", &format!("Contact: {}", "x".repeat(9000))),
                "the header at line 7 is longer than 8 KiB",
            ),
            (
                PLAIN.replace("Contact: ", &format!("Contact: {}", "x\r\n ".repeat(5000))),
                "the header at line 7 is longer than 8 KiB",
            ),
            (format!("{PLAIN}{}", "x".repeat(70_000)), "the message is larger than 64 KiB"),
        ] {
            assert_eq!(refused(&text), reason);
        }
    }

    #[test]
    fn a_bare_cr_or_nul_begins_no_header() {
        let message = read(&PLAIN.replace("\"Dana\"", "\"Da\rCall-ID: evil\0na\""));
        assert_eq!(message.call_id(), Some("c1@trunk"));
        assert_eq!(message.from().and_then(|from| from.display).as_deref(), Some("Da Call-ID: evil na"));
    }

    #[test]
    fn every_line_of_a_header_is_at_hand_in_order() {
        let message = read(&PLAIN.replace(
            "Contact",
            "v: SIP/2.0/UDP b\r\nReason: SIP;cause=200\r\nReason: Q.850;cause=26\r\nContact",
        ));
        assert_eq!(message.headers("reason").collect::<Vec<_>>(), ["SIP;cause=200", "Q.850;cause=26"]);
        assert_eq!(message.headers("V").count(), 2);
        assert_eq!(message.header("X-None"), None);
    }

    #[test]
    fn debug_output_holds_nothing_of_the_message() {
        assert_eq!(format!("{:?}", read(PLAIN)), "Message(request …)");
    }
}
