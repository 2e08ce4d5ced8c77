//! From bytes on the wire to bytes that rsipstack reads whole: it drops a header that is not UTF-8 with all
//! that follow it, and loses the body of a datagram without Content-Length. Streams are cut into messages
//! here as well, with a bound on each. Pure: no socket.

use memchr::memchr;

/// The largest body taken from a stream, in bytes.
pub(super) const LARGEST_BODY: usize = 1024 * 1024;
/// The largest head, in bytes.
pub(super) const LARGEST_HEAD: usize = 32 * 1024;
/// The most lines of a head.
pub(super) const MOST_LINES: usize = 256;

/// Why a stream cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    /// A head longer than [`LARGEST_HEAD`].
    #[error("a message's headers are longer than 32 KiB")]
    Head,
    /// A body longer than [`LARGEST_BODY`].
    #[error("a message's body is longer than 1 MiB")]
    Body,
    /// Content-Length is no number, so nobody knows where the next message begins.
    #[error("a message's Content-Length is no number")]
    Length,
}

/// Head and body of a datagram; `None` when it is no message: keep-alive, cut off, or not SIP.
pub(super) fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let bytes = bytes.get(start..)?;
    let (head, body) = divide(bytes)?;
    let body = match content_length(head) {
        // RFC 3261 section 18.3: without it the body is the rest; with less than it the datagram is cut off.
        Length::Missing => body,
        Length::Is(length) => body.get(..length)?,
        Length::Wrong => return None,
    };
    Some((head, body))
}

/// A datagram as one canonical message.
pub(super) fn datagram(bytes: &[u8]) -> Option<Vec<u8>> {
    let (head, body) = parts(bytes)?;
    message(head, body)
}

/// What was cut out of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// One message.
    Message {
        /// For rsipstack.
        canonical: Vec<u8>,
        /// As it came, for names that are not UTF-8.
        raw: Vec<u8>,
    },
    /// A double line break between messages: asks for a single one back (RFC 5626 section 4.4.1).
    Ping,
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    buffer: Vec<u8>,
    /// Where the end of the head is looked for: bytes before it were looked at.
    looked: usize,
}

impl Pieces {
    /// Takes in what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece, when it is there whole.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, StreamError> {
        loop {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.take(4);
                return Ok(Some(Piece::Ping));
            }
            if self.buffer.starts_with(b"\r\n") && self.buffer.len() > 2 && self.buffer.get(2) != Some(&b'\r')
            {
                self.take(2);
                continue;
            }
            if matches!(*self.buffer, [b'\r', b'\n'] | [b'\r']) || self.buffer.is_empty() {
                // Either an answer to our own ping or the first half of one of theirs: it can wait.
                return Ok(None);
            }
            let from = self.looked.min(self.buffer.len());
            let Some((head, body)) = self.buffer.get(from..).and_then(head_end) else {
                self.looked = self.buffer.len().saturating_sub(3);
                return if self.buffer.len() > LARGEST_HEAD { Err(StreamError::Head) } else { Ok(None) };
            };
            let (head, body) = (from + head, from + body);
            if head > LARGEST_HEAD {
                return Err(StreamError::Head);
            }
            let text = self.buffer.get(..head).unwrap_or_default();
            let length = match content_length(text) {
                // RFC 3261 section 20.14 demands it on streams.
                Length::Missing => 0,
                Length::Is(length) if length > LARGEST_BODY => return Err(StreamError::Body),
                Length::Is(length) => length,
                Length::Wrong => return Err(StreamError::Length),
            };
            let end = body + length;
            let Some(content) = self.buffer.get(body..end) else {
                // At the line break that ends the head, so that it is found again and not one in the body.
                self.looked = head.saturating_sub(1);
                return Ok(None);
            };
            let whole = message(text, content).map(|canonical| {
                let raw = self.buffer.get(..end).unwrap_or_default().to_vec();
                Piece::Message { canonical, raw }
            });
            self.take(end);
            match whole {
                Some(whole) => return Ok(Some(whole)),
                None => continue,
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        self.buffer.drain(..bytes.min(self.buffer.len()));
        self.looked = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * LARGEST_HEAD {
            self.buffer = Vec::new();
        }
    }
}

/// Head and body of a message.
fn divide(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, body) = head_end(bytes)?;
    (head <= LARGEST_HEAD).then_some((bytes.get(..head)?, bytes.get(body..)?))
}

/// Where the head ends and where the body begins: an empty line, whichever line breaks are used.
fn head_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(found) = memchr(b'\n', bytes.get(at..)?) {
        let after = at + found + 1;
        match bytes.get(after..)? {
            [b'\n', ..] => return Some((after, after + 1)),
            [b'\r', b'\n', ..] => return Some((after, after + 2)),
            _ => at = after,
        }
    }
    None
}

enum Length {
    Missing,
    Is(usize),
    Wrong,
}

fn content_length(head: &[u8]) -> Length {
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        if !matches!(line.first(), Some(b'C' | b'c' | b'L' | b'l')) {
            continue;
        }
        let Some(colon) = memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l") {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u32>().ok());
            return number.and_then(|n| usize::try_from(n).ok()).map_or(Length::Wrong, Length::Is);
        }
    }
    Length::Missing
}

/// The message with text for a head, line breaks as the standard has them, and the right Content-Length.
/// Bytes that are no UTF-8 become replacement characters: none of what we act on is written with them.
fn message(head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(head);
    let mut out = Vec::with_capacity(head.len() + body.len() + 64);
    for (count, line) in text.lines().enumerate() {
        if count >= MOST_LINES {
            return None;
        }
        let name = line.split(':').next().unwrap_or_default().trim();
        if count > 0 && (name.eq_ignore_ascii_case("Content-Length") || name.eq_ignore_ascii_case("l")) {
            continue;
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<&str>) {
        let found = datagram(bytes).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(found.as_deref(), expected, "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_datagram_becomes_what_rsipstack_reads_whole() {
        check(b"A\r\nTo: x\r\n\r\nbody", Some("A\r\nTo: x\r\nContent-Length: 4\r\n\r\nbody"));
        check(b"\r\n\r\nA\nTo: x\nl:2\n\nbody", Some("A\r\nTo: x\r\nContent-Length: 2\r\n\r\nbo"));
        check(
            b"A\r\nServer: B\xfcro\r\nTo: x\r\n\r\n",
            Some("A\r\nServer: B\u{FFFD}ro\r\nTo: x\r\nContent-Length: 0\r\n\r\n"),
        );
        check(b"A\r\nContent-Length : 9\r\n\r\nbody", None);
        check(b"A\r\nContent-Length: many\r\n\r\nbody", None);
        check(b"\r\n\r\n", None);
        check(b"A\r\nTo: x\r\n", None);
        check(&[b"A\r\n".as_slice(), &b"x: y\r\n".repeat(300), b"\r\n"].concat(), None);
    }

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let mut pieces = Pieces::default();
        let mut found = Vec::new();
        for chunk in chunks {
            pieces.push(chunk);
            loop {
                match pieces.next() {
                    Ok(Some(Piece::Ping)) => found.push("ping".to_owned()),
                    Ok(Some(Piece::Message { canonical, .. })) => {
                        found.push(String::from_utf8_lossy(&canonical).replace("\r\n", "|"));
                    }
                    Ok(None) => break,
                    Err(e) => {
                        found.push(e.to_string());
                        return found;
                    }
                }
            }
        }
        found
    }

    #[test]
    fn a_stream_is_cut_into_messages_wherever_the_chunks_end() {
        let stream = b"A\r\nl: 3\r\n\r\none\r\n\r\n\r\nB\r\nTo: x\r\n\r\nC\r\nContent-Length: 0\r\n\r\n";
        let expected =
            ["A|Content-Length: 3||one", "ping", "B|To: x|Content-Length: 0||", "C|Content-Length: 0||"];
        assert_eq!(cut(&[stream]), expected);
        for size in 1..stream.len() {
            assert_eq!(cut(&stream.chunks(size).collect::<Vec<_>>()), expected, "in chunks of {size}");
        }
    }

    #[test]
    fn a_stream_that_cannot_be_followed_is_given_up() {
        assert_eq!(cut(&[&b"x".repeat(LARGEST_HEAD + 1)]), ["a message's headers are longer than 32 KiB"]);
        assert_eq!(cut(&[b"A\r\nl: 99999999\r\n\r\n"]), ["a message's body is longer than 1 MiB"]);
        assert_eq!(cut(&[b"A\r\nl: -1\r\n\r\n"]), ["a message's Content-Length is no number"]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_cut_without_a_panic(bytes in proptest::collection::vec(proptest::sample::select(b"A:l 19\r\n\xff".to_vec()), 0..200)) {
            let _ = datagram(&bytes);
            let _ = cut(&[&bytes]);
        }
    }
}
