//! The framing of the manager interface: `Key: value` lines up to an empty one. Takes bytes as they
//! come, gives whole packets, and keeps no more of a line or a packet than its bound.

use std::collections::VecDeque;
use std::fmt;

use crate::sip::charset::{self, Charset};

/// The longest line that is read, in bytes; a longer one is dropped.
pub const LONGEST_LINE: usize = 8 * 1024;

/// The largest packet, in bytes; fields beyond it are dropped.
pub const LARGEST_PACKET: usize = 64 * 1024;

/// One event or response.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Packet {
    fields: Vec<(String, String)>,
}

impl Packet {
    /// The value of the first field of this name, which may be empty. Names are compared as Asterisk
    /// writes them, whatever the case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    /// As [`Packet::get`], where the value says something: not empty, not `<unknown>`.
    pub fn known(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !matches!(*value, "" | "<unknown>" | "unknown" | "<null>" | "(null)"))
    }

    /// As [`Packet::known`], of the field `prefix` + `key`: events tell of a second channel as `DestChannel`.
    pub fn known_of(&self, prefix: &str, key: &str) -> Option<&str> {
        let named = |name: &str| {
            name.len() == prefix.len() + key.len()
                && name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                && name.get(prefix.len()..).is_some_and(|end| end.eq_ignore_ascii_case(key))
        };
        let (name, _) = self.fields.iter().find(|(name, _)| named(name))?;
        self.known(name)
    }

    /// The kind of event, for example `Newchannel`; `None` for a response.
    pub fn event(&self) -> Option<&str> {
        self.get("Event")
    }

    /// Every value of a field that is written several times, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key));
        named.map(|(_, value)| value.as_str())
    }

    /// Every name with its value, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Packet {
    /// Packets hold callers: only the kind is for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.event().or_else(|| self.get("Response")).unwrap_or_default();
        f.debug_struct("Packet").field("kind", &kind).field("fields", &self.fields.len()).finish()
    }
}

/// One thing that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The first line of a connection, which names the program.
    Banner(String),
    /// An event or a response.
    Packet(Packet),
}

/// Bytes in, pieces out.
#[derive(Debug, Default)]
pub struct Decoder {
    charset: Option<Charset>,
    line: Vec<u8>,
    line_too_long: bool,
    packet: Packet,
    packet_size: usize,
    lines_seen: bool,
    ready: VecDeque<Piece>,
    /// Lines and fields that were dropped because of their size.
    pub dropped: u64,
}

impl Decoder {
    /// One for lines that, where they are not UTF-8, are in this charset; guessed when absent.
    pub fn new(charset: Option<Charset>) -> Decoder {
        Decoder { charset, ..Decoder::default() }
    }

    /// Takes bytes as they came. What is ready should be taken by [`Decoder::next_piece`] before the next
    /// call: nothing else bounds it.
    pub fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            let room = LONGEST_LINE.saturating_sub(self.line.len());
            self.line_too_long |= text.len() > room;
            self.line.extend_from_slice(text.get(..room).unwrap_or(text));
            if ended {
                self.end_line();
            }
        }
    }

    /// The next piece that is whole.
    pub fn next_piece(&mut self) -> Option<Piece> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let mut bytes = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.lines_seen, true);
        if std::mem::take(&mut self.line_too_long) {
            self.dropped += 1;
        } else {
            while bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
            self.take_line(&bytes, first);
        }
        bytes.clear();
        self.line = bytes;
    }

    fn take_line(&mut self, bytes: &[u8], first: bool) {
        if bytes.is_empty() {
            let packet = std::mem::take(&mut self.packet);
            self.packet_size = 0;
            if !packet.fields.is_empty() {
                self.ready.push_back(Piece::Packet(packet));
            }
            return;
        }
        let line = charset::decode(bytes, self.charset).into_owned();
        match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains(char::is_whitespace) => {
                self.packet_size += line.len();
                if self.packet_size > LARGEST_PACKET {
                    self.dropped += 1;
                } else {
                    let value = value.strip_prefix(' ').unwrap_or(value);
                    self.packet.fields.push((name.to_owned(), value.to_owned()));
                }
            }
            _ if first => self.ready.push_back(Piece::Banner(line)),
            // Output of commands, which nobody here asks for.
            _ => self.dropped += 1,
        }
    }
}

/// Takes any bytes, in small parts and in one, and must not panic: the entry for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let mut whole = Decoder::default();
    whole.push(bytes);
    let mut parts = Decoder::default();
    for part in bytes.chunks(7) {
        parts.push(part);
    }
    while let Some(piece) = whole.next_piece() {
        assert_eq!(Some(piece), parts.next_piece(), "how bytes were cut changed what they say");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        let mut decoder = Decoder::default();
        decoder.push(bytes);
        let mut said = Vec::new();
        while let Some(piece) = decoder.next_piece() {
            said.push(match piece {
                Piece::Banner(line) => format!("banner {line}"),
                Piece::Packet(packet) => packet
                    .fields()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            });
        }
        said
    }

    fn check(bytes: &[u8], expected: &[&str]) {
        assert_eq!(read(bytes), expected);
    }

    #[test]
    fn packets_are_read_with_either_line_end() {
        check(
            b"Asterisk Call Manager/11.0.0\r\nResponse: Success\r\nMessage: a: b\r\n\r\nEvent: X\nY:\nZ:1\n\n",
            &["banner Asterisk Call Manager/11.0.0", "Response=Success Message=a: b", "Event=X Y= Z=1"],
        );
        check(b"\r\n\r\nEvent: X\r\n\r\n", &["Event=X"]);
        check(b"Event: half\r\nof", &[]);
    }

    #[test]
    fn a_field_written_twice_is_kept_twice_and_names_may_have_any_case() {
        let mut decoder = Decoder::default();
        decoder.push(b"Event: X\nVariable: a\nvariable: b\nCallerIDName: <unknown>\nDestChannel: c\n\n");
        let Some(Piece::Packet(packet)) = decoder.next_piece() else { panic!("no packet") };
        assert_eq!(packet.all("Variable").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(packet.get("VARIABLE"), Some("a"));
        assert_eq!((packet.get("CallerIDName"), packet.known("CallerIDName")), (Some("<unknown>"), None));
        assert_eq!(packet.known_of("Dest", "Channel"), Some("c"));
        assert_eq!(format!("{packet:?}"), "Packet { kind: \"X\", fields: 5 }");
    }

    #[test]
    fn names_that_are_not_utf8_are_read_as_hebrew_where_they_can_be() {
        check(b"Event: \xF9\xEC\xE5\xED\n\n", &["Event=שלום"]);
        check("Event: Zażółć\n\n".as_bytes(), &["Event=Zażółć"]);
    }

    #[test]
    fn what_is_too_long_is_dropped_and_the_rest_is_read() {
        let long = [b"Event: X\nA: ".as_slice(), &[b'a'; LONGEST_LINE], b"\nB: 1\n\n"].concat();
        check(&long, &["Event=X B=1"]);
        let mut many = b"Event: X\n".to_vec();
        for _ in 0..200 {
            many.extend_from_slice(&[b"A: ".as_slice(), &[b'a'; 1000], b"\n"].concat());
        }
        many.extend_from_slice(b"\nEvent: Y\n\n");
        let said = read(&many);
        assert!(said[0].len() <= LARGEST_PACKET + 200, "{}", said[0].len());
        assert_eq!(said[1], "Event=Y");
    }

    #[test]
    fn recorded_transcripts_changed_at_random_are_read_without_a_panic() {
        let corpus = [
            include_bytes!("../../../tests/traces/ami/22-queue_answered.txt").as_slice(),
            include_bytes!("../../../tests/traces/ami/16-attended.txt").as_slice(),
        ];
        // A plain generator (xorshift): the same 100,000 changes in every run.
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap_or(0)
        };
        for round in 0..100_000 {
            let bytes = corpus[round % corpus.len()];
            let from = random(bytes.len() - 120);
            let mut part = bytes[from..from + 120].to_vec();
            for _ in 0..1 + random(6) {
                let at = random(part.len());
                match random(3) {
                    0 => part[at] = u8::try_from(random(256)).unwrap_or(0),
                    1 => part.insert(at, *b"\n\r:\0 \xFF".get(random(6)).unwrap_or(&0)),
                    _ => drop(part.remove(at)),
                }
            }
            fuzz(&part);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            fuzz(&bytes);
        }
    }
}
