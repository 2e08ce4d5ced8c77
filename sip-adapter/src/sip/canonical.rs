//! Makes a SIP message as the world writes it into one as RFC 3261 means it, so that one reader reads all.
//! Every leniency is here and nowhere else: what leaves here is UTF-8, unfolded, long header names, CRLF.
//! It never guesses between two meanings: a message that could be read in two ways is refused.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::byte_set::ByteSet;
use super::charset::{self, Charset};

/// The largest message read, in bytes; UDP carries no larger one.
pub const LARGEST: usize = 64 * 1024;
/// The most headers one message may have.
pub const MOST_HEADERS: usize = 256;
/// The longest header, unfolded, in bytes. Real ones stay under 3 KiB (a signed Identity header).
pub const LONGEST_LINE: usize = 8 * 1024;

/// Headers that a message has once (RFC 3261 section 7.3.1). Twice with the same value is a stutter.
const ONCE: [&str; 5] = ["From", "To", "Call-ID", "CSeq", "Content-Length"];

/// A message as RFC 3261 means it.
#[derive(Clone, PartialEq, Eq)]
pub struct Canonical<'a> {
    /// The first line.
    pub start: Start,
    /// What stands under it.
    pub head: Head,
    /// What Content-Length says, or the rest of the datagram.
    pub body: &'a [u8],
}

/// Headers with long names and unfolded values, in order, as one text that any reader of SIP reads.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    text: String,
    fields: Vec<Field>,
    /// The [`Key::bit`] of each: most headers that are asked for are none of a message's.
    bits: u64,
}

/// Where a header stands in the text of its head: from `name` to `colon`, and from two bytes later to `end`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Field {
    key: Key,
    name: usize,
    colon: usize,
    end: usize,
}

/// The first line of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Someone asks for something.
    Request {
        /// As written; methods are case-sensitive.
        method: String,
        /// As written.
        uri: String,
    },
    /// An answer.
    Response {
        /// From 100 to 699.
        code: u16,
        /// As written, possibly empty.
        reason: String,
    },
}

/// Why bytes are no SIP message. Never holds a part of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing but line ends: a keep-alive (RFC 5626 section 3.5.1).
    #[error("there is no message, only a keep-alive")]
    KeepAlive,
    /// More than [`LARGEST`] bytes.
    #[error("the message is larger than 64 KiB")]
    Large,
    /// The first line is neither a request line nor a status line.
    #[error("the first line is neither `METHOD uri SIP/2.0` nor `SIP/2.0 code reason`")]
    NotSip,
    /// Another version of SIP.
    #[error("the first line names a version of SIP that is not 2.0")]
    Version,
    /// A line that is no `Name: value`.
    #[error("line {line} is not `Name: value`")]
    Header {
        /// From 1, counted as written.
        line: usize,
    },
    /// More than [`LONGEST_LINE`] bytes in one header.
    #[error("the header at line {line} is longer than 8 KiB")]
    Long {
        /// From 1, counted as written.
        line: usize,
    },
    /// More than [`MOST_HEADERS`].
    #[error("there are more than 256 headers")]
    Many,
    /// A header that may stand once stands twice, with different values.
    #[error("the header {name} stands twice and says different things")]
    Twice {
        /// Its long name.
        name: &'static str,
    },
    /// The SIP library refused what was made canonical.
    #[error("the SIP reader does not understand the message")]
    Reader,
}

/// Reads bytes; headers that are not UTF-8 are read as `fallback`, or as the charset they look like.
pub fn read(bytes: &[u8], fallback: Option<Charset>) -> Result<Canonical<'_>, Refused> {
    if bytes.len() > LARGEST {
        return Err(Refused::Large);
    }
    let (start, head, rest) = read_head(bytes, fallback)?;
    let body = body(rest, &head);
    Ok(Canonical { start, head, body })
}

/// As [`read`] for whoever finds the end of the body himself, as in a stream: also gives what comes after the head,
/// however much it is.
pub fn read_head(bytes: &[u8], fallback: Option<Charset>) -> Result<(Start, Head, &[u8]), Refused> {
    // Where a head is longer, or much comes after it, the rest is looked at line by line.
    let begin = utf8_begin(bytes.get(..LONGEST_LINE).unwrap_or(bytes));
    let mut lines = Lines { text: begin, length: bytes.len(), rest: bytes, number: 0 };
    let mut first = lines.next().ok_or(Refused::KeepAlive)?;
    // RFC 3261 section 7.5: line ends before the first line are ignored.
    while first.is_empty() {
        first = lines.next().ok_or(Refused::KeepAlive)?;
    }
    if first.len() > LONGEST_LINE {
        return Err(Refused::Long { line: lines.number });
    }
    let first = charset::decode(first, fallback);
    // As UTF-8 it may have become longer.
    if first.len() > LONGEST_LINE {
        return Err(Refused::Long { line: lines.number });
    }
    let start = start(&first)?;
    let head = headers(&mut lines, fallback)?;
    Ok((start, head, lines.rest))
}

impl Canonical<'_> {
    /// The message as bytes that [`read`] reads to the same value.
    pub fn to_bytes(&self) -> Vec<u8> {
        let start = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0"),
            Start::Response { code, reason } => format!("SIP/2.0 {code} {reason}"),
        };
        [start.as_bytes(), b"\r\n", self.head.text().as_bytes(), self.body].concat()
    }

    /// As [`Canonical::to_bytes`], with the length of the body at the end of the head: what a stream needs, and
    /// rsipstack of a datagram.
    pub fn to_counted_bytes(&self) -> Vec<u8> {
        let plain = Canonical { head: self.head.without("Content-Length"), ..self.clone() }.to_bytes();
        let head = plain.get(..plain.len() - self.body.len() - 2).unwrap_or_default();
        let length = format!("Content-Length: {}\r\n\r\n", self.body.len());
        [head, length.as_bytes(), self.body].concat()
    }
}

impl Head {
    /// Each header on a line of its own, and the empty line at their end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All headers but one.
    fn without(&self, name: &str) -> Head {
        let mut head = Head { text: String::new(), fields: Vec::new(), bits: 0 };
        for (other, value) in self.iter().filter(|(other, _)| !other.eq_ignore_ascii_case(name)) {
            // Each may stand here that stands there.
            let _once = head.add(other, value);
        }
        head.text.push_str("\r\n");
        head
    }

    /// Each header with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (self.name_of(field), self.value_of(field)))
    }

    /// The values of each line of a header, whichever of its names is used, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let name = long_name(name);
        let key = Key::of(name);
        let is_it = move |field: &&Field| field.key == key && self.name_of(field).eq_ignore_ascii_case(name);
        let fields = if self.may_have(key) { self.fields.as_slice() } else { &[] };
        fields.iter().filter(is_it).map(|field| self.value_of(field))
    }

    /// The first of [`Head::values`].
    pub fn value(&self, name: &str) -> Option<&str> {
        let name = long_name(name);
        let key = Key::of(name);
        if !self.may_have(key) {
            return None;
        }
        let is_it = |field: &&Field| field.key == key && self.name_of(field).eq_ignore_ascii_case(name);
        self.fields.iter().find(is_it).map(|field| self.value_of(field))
    }

    fn may_have(&self, key: Key) -> bool {
        self.bits & key.bit() != 0
    }

    fn name_of(&self, field: &Field) -> &str {
        self.text.get(field.name..field.colon).unwrap_or_default()
    }

    fn value_of(&self, field: &Field) -> &str {
        self.text.get(field.colon + 2..field.end).unwrap_or_default()
    }

    /// Adds a header. One that may stand once is written once; the error is its name where it then says
    /// something else.
    fn add(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let key = Key::of(name);
        // The shortest is To, the longest Content-Length.
        let may = matches!(name.len(), 2 | 4 | 5 | 7 | 14);
        let once = may.then(|| ONCE.into_iter().find(|once| once.eq_ignore_ascii_case(name))).flatten();
        if let Some(once) = once
            && let Some(first) = self.value(once)
        {
            return if first == value { Ok(()) } else { Err(once) };
        }
        let begin = self.text.len();
        self.text.push_str(once.unwrap_or(name));
        let colon = self.text.len();
        self.text.push_str(": ");
        self.text.push_str(value);
        self.bits |= key.bit();
        self.fields.push(Field { key, name: begin, colon, end: self.text.len() });
        self.text.push_str("\r\n");
        Ok(())
    }
}

/// Most of what tells one name from another, in whichever case it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key([u8; 4]);

impl Key {
    fn of(name: &str) -> Key {
        let bytes = name.as_bytes();
        let at = |place: usize| bytes.get(place).map_or(0, |byte| byte | 0x20);
        let length = bytes.len().to_le_bytes()[0];
        Key([length, at(0), at(bytes.len() / 2), at(bytes.len().saturating_sub(1))])
    }

    /// One of 64 bits, by which keys differ mostly.
    fn bit(self) -> u64 {
        1 << (u32::from_le_bytes(self.0).wrapping_mul(0x9E37_79B9) >> 26)
    }
}

/// The long name of a compact one (RFC 3261 section 7.3.3 and those registered since).
pub fn long_name(name: &str) -> &str {
    match name {
        "a" | "A" => "Accept-Contact",
        "b" | "B" => "Referred-By",
        "c" | "C" => "Content-Type",
        "d" | "D" => "Request-Disposition",
        "e" | "E" => "Content-Encoding",
        "f" | "F" => "From",
        "i" | "I" => "Call-ID",
        "j" | "J" => "Reject-Contact",
        "k" | "K" => "Supported",
        "l" | "L" => "Content-Length",
        "m" | "M" => "Contact",
        "n" | "N" => "Identity-Info",
        "o" | "O" => "Event",
        "r" | "R" => "Refer-To",
        "s" | "S" => "Subject",
        "t" | "T" => "To",
        "u" | "U" => "Allow-Events",
        "v" | "V" => "Via",
        "x" | "X" => "Session-Expires",
        "y" | "Y" => "Identity",
        other => other,
    }
}

/// Lines up to CRLF or a bare LF, without it.
struct Lines<'a> {
    /// The beginning of the message, as far as it is UTF-8.
    text: &'a str,
    /// Of the message.
    length: usize,
    rest: &'a [u8],
    number: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let end = memchr(b'\n', self.rest);
        let (line, rest) = match end {
            Some(end) => (self.rest.get(..end)?, self.rest.get(end + 1..)?),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'a> Lines<'a> {
    /// As text the line of this length that begins `left` bytes before the end of the message.
    fn text_of(&self, left: usize, length: usize) -> Option<&'a str> {
        let from = self.length.checked_sub(left)?;
        self.text.get(from..from.checked_add(length)?)
    }
}

/// As much of the beginning as is UTF-8, seen once instead of line by line.
fn utf8_begin(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(broken) => {
            let begin = bytes.get(..broken.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(begin).unwrap_or_default()
        }
    }
}

fn start(line: &str) -> Result<Start, Refused> {
    // Only blanks of ASCII separate; others are part of what they stand in.
    let line = line.trim_ascii();
    if let Some(status) = line.get(..4).filter(|begin| begin.eq_ignore_ascii_case("SIP/")).and(line.get(4..))
    {
        let (version, rest) = status.split_once(' ').ok_or(Refused::NotSip)?;
        if version != "2.0" {
            return Err(Refused::Version);
        }
        let rest = rest.trim_ascii_start();
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let code = code.parse().ok().filter(|code| digits && (100..700).contains(code));
        return Ok(Start::Response { code: code.ok_or(Refused::NotSip)?, reason: clean(reason) });
    }
    let (method, rest) = line.split_once(' ').ok_or(Refused::NotSip)?;
    let (uri, version) = rest.trim_ascii_start().rsplit_once(' ').ok_or(Refused::NotSip)?;
    let number = version.get(..4).filter(|begin| begin.eq_ignore_ascii_case("SIP/")).and(version.get(4..));
    if number.ok_or(Refused::NotSip)? != "2.0" {
        return Err(Refused::Version);
    }
    let uri = uri.trim_ascii_end();
    let one_word = !uri.is_empty()
        && (is_graphic(uri.as_bytes()) || !uri.contains(|c: char| c.is_whitespace() || c.is_control()));
    if !token(method) || !one_word {
        return Err(Refused::NotSip);
    }
    Ok(Start::Request { method: method.to_owned(), uri: uri.to_owned() })
}

/// Header lines up to the empty one, unfolded (RFC 3261 section 7.3.1).
fn headers(lines: &mut Lines<'_>, fallback: Option<Charset>) -> Result<Head, Refused> {
    // Mostly each line comes out as it went in.
    let room = lines.rest.len().min(4 * LONGEST_LINE);
    let mut head = Head { text: String::with_capacity(room), fields: Vec::with_capacity(24), bits: 0 };
    let (mut unfolded, mut count, mut twice) = (Vec::new(), 0, None);
    loop {
        let left = lines.rest.len();
        let line = lines.next().unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let number = lines.number;
        if is_folded(line) {
            return Err(Refused::Header { line: number });
        }
        if count >= MOST_HEADERS {
            return Err(Refused::Many);
        }
        if line.len() > LONGEST_LINE {
            return Err(Refused::Long { line: number });
        }
        let whole = match is_folded(lines.rest) {
            true => Line { bytes: unfold(line, lines, &mut unfolded)?, text: None },
            false => Line { bytes: line, text: lines.text_of(left, line.len()) },
        };
        count += 1;
        if let Err(name) = header(whole, number, fallback, &mut head)? {
            twice = twice.or(Some(name));
        }
    }
    if let Some(name) = twice {
        return Err(Refused::Twice { name });
    }
    head.text.push_str("\r\n");
    Ok(head)
}

fn is_folded(line: &[u8]) -> bool {
    matches!(line, [b' ' | b'\t', ..])
}

/// A line with those that go on with it.
fn unfold<'a>(line: &[u8], lines: &mut Lines<'_>, out: &'a mut Vec<u8>) -> Result<&'a [u8], Refused> {
    let number = lines.number;
    out.clear();
    out.extend_from_slice(line);
    while is_folded(lines.rest) {
        let more = lines.next().unwrap_or_default();
        out.push(b' ');
        out.extend_from_slice(more.trim_ascii());
        if out.len() > LONGEST_LINE {
            return Err(Refused::Long { line: number });
        }
    }
    Ok(out)
}

/// One header as written, unfolded.
#[derive(Clone, Copy)]
struct Line<'a> {
    bytes: &'a [u8],
    /// The same as text, where that is known already.
    text: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// A part of it; `None` where that is not UTF-8.
    fn part(self, range: Range<usize>) -> Option<&'a str> {
        match self.text {
            Some(text) => text.get(range),
            None => std::str::from_utf8(self.bytes.get(range)?).ok(),
        }
    }
}

/// Adds one header. The inner error is the name of one that says something else than the first time.
fn header(
    line: Line<'_>,
    number: usize,
    fallback: Option<Charset>,
    head: &mut Head,
) -> Result<Result<(), &'static str>, Refused> {
    let refused = Refused::Header { line: number };
    let Some(colon) = memchr(b':', line.bytes) else { return Err(refused) };
    // `Name :` is allowed by RFC 3261 section 7.3.1.
    let Some(name) = line.part(0..colon).map(str::trim_ascii).filter(|name| token(name)) else {
        return Err(refused);
    };
    let (name, value) = (long_name(name), line.bytes.get(colon + 1..).unwrap_or_default());
    let plain = is_plain(value).then(|| line.part(colon + 1..line.bytes.len())).flatten();
    let value = match plain {
        Some(plain) => Cow::Borrowed(plain.trim_ascii()),
        None => Cow::Owned(clean(&charset::decode(value, fallback))),
    };
    // As UTF-8, with its long name and a blank, it may have become longer.
    if name.len() + ": ".len() + value.len() > LONGEST_LINE {
        return Err(Refused::Long { line: number });
    }
    Ok(head.add(name, &value))
}

/// Whether bytes are ASCII without a control character.
fn is_plain(bytes: &[u8]) -> bool {
    // All of them are looked at, because that is faster than to stop at the first.
    bytes.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'))
}

/// The same without blanks.
fn is_graphic(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |graphic, byte| graphic & matches!(byte, b'!'..=b'~'))
}

/// Without control characters: a bare CR or NUL is a line end to some readers and must be none to the next.
fn clean(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_control());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn token(text: &str) -> bool {
    static TOKEN: ByteSet = ByteSet::words_and(b"-.!%*_+`'~");
    !text.is_empty() && text.bytes().all(|byte| TOKEN.has(byte))
}

/// RFC 3261 section 18.3: a datagram's body is as long as Content-Length says, and without it the rest.
/// One that promises more than there is was cut on its way: what is there is the body.
fn body<'a>(rest: &'a [u8], head: &Head) -> &'a [u8] {
    let length = head.value("Content-Length").and_then(|value| value.parse::<usize>().ok());
    length.and_then(|length| rest.get(..length)).unwrap_or(rest)
}

#[cfg(test)]
mod tests;
