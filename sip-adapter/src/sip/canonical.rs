//! Makes a SIP message as the world writes it into one as RFC 3261 means it, so that one reader reads all.
//! Every leniency is here and nowhere else: what leaves here is UTF-8, unfolded, long header names, CRLF.
//! It never guesses between two meanings: a message that could be read in two ways is refused.

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
pub struct Canonical {
    /// The first line.
    pub start: Start,
    /// Long names and unfolded values, in order.
    pub headers: Vec<(String, String)>,
    /// What Content-Length says, or the rest of the datagram.
    pub body: Vec<u8>,
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
pub fn read(bytes: &[u8], fallback: Option<Charset>) -> Result<Canonical, Refused> {
    if bytes.len() > LARGEST {
        return Err(Refused::Large);
    }
    let mut lines = Lines { rest: bytes, number: 0 };
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
    let headers = once(headers(&mut lines, fallback)?)?;
    let body = body(lines.rest, &headers).to_vec();
    Ok(Canonical { start, headers, body })
}

impl Canonical {
    /// The message as bytes that [`read`] reads to the same value.
    pub fn to_bytes(&self) -> Vec<u8> {
        let start = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0"),
            Start::Response { code, reason } => format!("SIP/2.0 {code} {reason}"),
        };
        self.written(&start)
    }

    /// As [`Canonical::to_bytes`], under another first line.
    pub fn written(&self, start: &str) -> Vec<u8> {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut out = Vec::with_capacity(start.len() + headers + self.body.len() + 4);
        out.extend_from_slice(start.as_bytes());
        for (name, value) in &self.headers {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
        }
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(&self.body);
        out
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
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (self.rest.get(..end)?, self.rest.get(end + 1..)?),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
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
    let one_word = !uri.is_empty() && !uri.contains(|c: char| c.is_whitespace() || c.is_control());
    if !token(method) || !one_word {
        return Err(Refused::NotSip);
    }
    Ok(Start::Request { method: method.to_owned(), uri: uri.to_owned() })
}

/// Header lines up to the empty one, unfolded (RFC 3261 section 7.3.1).
fn headers(lines: &mut Lines<'_>, fallback: Option<Charset>) -> Result<Vec<(String, String)>, Refused> {
    let mut headers = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    let mut opened_at = 0;
    loop {
        let line = lines.next().unwrap_or_default();
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            if open.is_empty() {
                return Err(Refused::Header { line: lines.number });
            }
            open.push(b' ');
            open.extend_from_slice(line.trim_ascii());
        } else {
            if !open.is_empty() {
                headers.push(header(&open, opened_at, fallback)?);
            }
            if line.is_empty() {
                return Ok(headers);
            }
            if headers.len() >= MOST_HEADERS {
                return Err(Refused::Many);
            }
            open.clear();
            open.extend_from_slice(line);
            opened_at = lines.number;
        }
        if open.len() > LONGEST_LINE {
            return Err(Refused::Long { line: opened_at });
        }
    }
}

fn header(line: &[u8], number: usize, fallback: Option<Charset>) -> Result<(String, String), Refused> {
    let refused = Refused::Header { line: number };
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Err(refused) };
    let (name, value) = line.split_at(colon);
    // `Name :` is allowed by RFC 3261 section 7.3.1.
    let Some(name) = std::str::from_utf8(name).ok().map(str::trim_ascii).filter(|name| token(name)) else {
        return Err(refused);
    };
    let name = long_name(name).to_owned();
    let value = clean(&charset::decode(value.get(1..).unwrap_or_default(), fallback));
    // As UTF-8 it may have become longer.
    let long = name.len() + value.len() > LONGEST_LINE;
    if long { Err(Refused::Long { line: number }) } else { Ok((name, value)) }
}

/// Without control characters: a bare CR or NUL is a line end to some readers and must be none to the next.
fn clean(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_control());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// One value for each header that may stand once.
fn once(headers: Vec<(String, String)>) -> Result<Vec<(String, String)>, Refused> {
    let mut seen: [Option<usize>; ONCE.len()] = [None; ONCE.len()];
    let mut kept: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let single = ONCE.iter().position(|once| once.eq_ignore_ascii_case(&name));
        if let Some((name, first)) = single.and_then(|i| Some((ONCE.get(i)?, seen.get_mut(i)?))) {
            match *first {
                None => *first = Some(kept.len()),
                Some(at) if kept.get(at).is_some_and(|(_, first)| *first == value) => continue,
                Some(_) => return Err(Refused::Twice { name }),
            }
            kept.push(((*name).to_owned(), value));
        } else {
            kept.push((name, value));
        }
    }
    Ok(kept)
}

/// RFC 3261 section 18.3: a datagram's body is as long as Content-Length says, and without it the rest.
/// One that promises more than there is was cut on its way: what is there is the body.
fn body<'a>(rest: &'a [u8], headers: &[(String, String)]) -> &'a [u8] {
    let length = headers.iter().find(|(name, _)| name == "Content-Length");
    let length = length.and_then(|(_, value)| value.parse::<usize>().ok());
    length.and_then(|length| rest.get(..length)).unwrap_or(rest)
}
