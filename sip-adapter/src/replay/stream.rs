//! SIP and HEP over TCP, out of captured segments: in order, with what came too early kept for its turn. A stream
//! of which something is missing is read on from the next segment that begins a message. Bounded in streams
//! and in bytes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use memchr::memmem;

use super::frame::Step;
use super::kind;
use crate::sip::canonical::LARGEST;

/// How many directions of connections are followed.
const MOST_STREAMS: usize = 1024;
/// How many bytes are kept of all of them, and of one that came too early.
const MOST_KEPT: usize = 16 << 20;
const MOST_EARLY: usize = 128 << 10;
const MOST_EARLY_PARTS: usize = 64;

/// Who sends to whom.
pub(super) type Ends = (SocketAddr, SocketAddr);

#[derive(Default)]
pub(super) struct Streams {
    streams: BTreeMap<Ends, Stream>,
    turn: u64,
    kept: usize,
}

#[derive(Default)]
struct Stream {
    /// The place of the next byte; `None` when it is not known where a message begins.
    next: Option<u32>,
    /// Bytes of a message that is not whole.
    open: Vec<u8>,
    early: BTreeMap<u32, Vec<u8>>,
    used: u64,
}

impl Stream {
    fn holds(&self) -> usize {
        self.open.len() + self.early.values().map(Vec::len).sum::<usize>()
    }

    fn lose(&mut self) {
        *self = Stream { used: self.used, ..Stream::default() };
    }

    /// Takes bytes that stand at `sequence`.
    fn take(&mut self, sequence: u32, data: &[u8]) {
        let next = match self.next {
            Some(next) => next,
            None if begins_message(data) => sequence,
            None => return,
        };
        // Half of the circle of numbers is behind, half before (RFC 9293 section 3.4).
        let ahead = sequence.wrapping_sub(next);
        if ahead == 0 {
            self.open.extend_from_slice(data);
            self.next = Some(next.wrapping_add(length(data)));
            return;
        }
        let behind = next.wrapping_sub(sequence);
        if behind < ahead {
            // Sent or captured again; it may hold more than the first time.
            if let Some(news) = usize::try_from(behind).ok().and_then(|known| data.get(known..)) {
                self.open.extend_from_slice(news);
                self.next = Some(next.wrapping_add(length(news)));
            }
            return;
        }
        self.next = Some(next);
        self.early.entry(sequence).or_insert_with(|| data.to_vec());
        let early = self.early.values().map(Vec::len).sum::<usize>();
        if early > MOST_EARLY || self.early.len() > MOST_EARLY_PARTS {
            // What is missing does not come any more.
            self.lose();
            self.take(sequence, data);
        }
    }

    /// The early segment whose turn it is.
    fn due(&mut self) -> Option<(u32, Vec<u8>)> {
        let next = self.next?;
        let at = self.early.keys().copied().find(|at| {
            let (ahead, behind) = (at.wrapping_sub(next), next.wrapping_sub(*at));
            ahead == 0 || behind < ahead
        })?;
        Some((at, self.early.remove(&at)?))
    }
}

impl Streams {
    /// Takes a segment; gives the messages that are whole with it to `each`.
    pub(super) fn take(
        &mut self,
        ends: Ends,
        sequence: u32,
        step: Step,
        data: &[u8],
        mut each: impl FnMut(&[u8]),
    ) {
        self.turn += 1;
        if step == Step::Begins {
            self.forget(&ends);
        }
        if !self.streams.contains_key(&ends) {
            if step == Step::Ends && data.is_empty() {
                return;
            }
            // A stream whose beginning was not captured: followed from the first message that begins.
            if step == Step::GoesOn && !begins_message(data) {
                return;
            }
            self.make_room();
        }
        let stream = self.streams.entry(ends).or_default();
        stream.used = self.turn;
        let before = stream.holds();
        let first = if step == Step::Begins { sequence.wrapping_add(1) } else { sequence };
        if step == Step::Begins {
            stream.next = Some(first);
        }
        if !data.is_empty() {
            stream.take(first, data);
            while let Some((at, data)) = stream.due() {
                stream.take(at, &data);
            }
        }
        let mut read = 0;
        loop {
            let open = stream.open.get(read..).unwrap_or_default();
            match first_message(open) {
                First::Whole { skipped, length } => {
                    open.get(skipped..skipped + length).into_iter().for_each(&mut each);
                    read += skipped + length;
                }
                First::NotYet => {
                    stream.open.drain(..read);
                    break;
                }
                First::Nonsense => {
                    stream.lose();
                    break;
                }
            }
        }
        self.kept = self.kept + stream.holds() - before;
        if step == Step::Ends {
            self.forget(&ends);
        }
        while self.kept > MOST_KEPT && self.forget_oldest() {}
    }

    fn make_room(&mut self) {
        while self.streams.len() >= MOST_STREAMS && self.forget_oldest() {}
    }

    fn forget_oldest(&mut self) -> bool {
        let oldest = self.streams.iter().min_by_key(|(_, stream)| stream.used).map(|(ends, _)| *ends);
        oldest.map(|ends| self.forget(&ends)).is_some()
    }

    fn forget(&mut self, ends: &Ends) {
        if let Some(stream) = self.streams.remove(ends) {
            self.kept -= stream.holds();
        }
    }
}

fn begins_message(data: &[u8]) -> bool {
    kind::is_hep(data) || kind::is_sip(data)
}

fn length(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap_or(u32::MAX)
}

#[derive(Debug, PartialEq, Eq)]
enum First {
    /// Of so many bytes, after so many that say nothing (keep-alives, RFC 5626 section 3.5.1).
    Whole {
        skipped: usize,
        length: usize,
    },
    NotYet,
    Nonsense,
}

/// The first message of a stream (RFC 3261 section 18.3: its length is in Content-Length).
fn first_message(bytes: &[u8]) -> First {
    let skipped = bytes.len() - bytes.trim_ascii_start().len();
    let rest = bytes.get(skipped..).unwrap_or_default();
    if rest.is_empty() {
        return if bytes.len() > LARGEST { First::Nonsense } else { First::NotYet };
    }
    if kind::is_hep(rest) {
        let Some((head, _)) = rest.split_first_chunk() else { return First::NotYet };
        return match crate::hear::hep::packet::length(*head) {
            Ok(length) if length <= rest.len() => First::Whole { skipped, length },
            Ok(_) => First::NotYet,
            Err(_) => First::Nonsense,
        };
    }
    let head = rest.get(..rest.len().min(LARGEST)).unwrap_or_default();
    let Some(end) = memmem::find(head, b"\r\n\r\n") else {
        let whole_line = memchr::memchr(b'\n', head).is_some();
        let begun = b"HEP3".starts_with(rest) || !whole_line || kind::is_sip(rest);
        return if rest.len() >= LARGEST || !begun { First::Nonsense } else { First::NotYet };
    };
    if !kind::is_sip(rest) {
        return First::Nonsense;
    }
    let length = end + 4 + body_length(head.get(..end).unwrap_or_default()).unwrap_or(0);
    match length {
        length if length > LARGEST => First::Nonsense,
        length if length <= rest.len() => First::Whole { skipped, length },
        _ => First::NotYet,
    }
}

fn body_length(head: &[u8]) -> Option<usize> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
        let name = name.trim_ascii();
        if !name.eq_ignore_ascii_case(b"Content-Length") && !name.eq_ignore_ascii_case(b"l") {
            return None;
        }
        std::str::from_utf8(value.get(1..)?.trim_ascii()).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"INVITE sip:101@x SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 3\r\n\r\nv=0";
    const TWO: &[u8] = b"BYE sip:101@x SIP/2.0\r\nl: 0\r\nCall-ID: 1\r\n\r\n";

    fn ends() -> Ends {
        ("192.0.2.1:5060".parse().expect("an address"), "192.0.2.2:40000".parse().expect("an address"))
    }

    fn read(segments: &[(u32, &[u8])]) -> Vec<Vec<u8>> {
        let mut streams = Streams::default();
        let mut all = Vec::new();
        for (at, data) in segments {
            streams.take(ends(), *at, Step::GoesOn, data, |message| all.push(message.to_vec()));
        }
        let held: usize = streams.streams.values().map(Stream::holds).sum();
        assert_eq!(streams.kept, held);
        all
    }

    #[test]
    fn messages_are_found_however_they_were_cut_doubled_or_reordered() {
        let both = [ONE, b"\r\n\r\n", TWO].concat();
        let expected = vec![ONE.to_vec(), TWO.to_vec()];
        assert_eq!(read(&[(7, &both)]), expected);
        for first in [u32::MAX - 20, 0, 1_000] {
            let at = |n: usize| first.wrapping_add(u32::try_from(n).expect("small"));
            for cut in 30..both.len() - 10 {
                let (a, b) = both.split_at(cut);
                let (b, c) = b.split_at(10);
                let (x, y, z) = (at(0), at(a.len()), at(a.len() + b.len()));
                assert_eq!(read(&[(x, a), (y, b), (z, c)]), expected, "cut at {cut}");
                assert_eq!(read(&[(x, a), (x, a), (z, c), (y, b), (y, b)]), expected, "cut at {cut}");
                assert_eq!(read(&[(x, a), (x, &both)]), expected, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_stream_begun_before_the_capture_is_read_from_its_next_message() {
        assert_eq!(read(&[(0, b"the end of something\r\n\r\n"), (90, ONE)]), vec![ONE.to_vec()]);
        assert_eq!(read(&[(0, b"GET / HTTP/1.1\r\n\r\n")]), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn what_never_becomes_a_message_is_not_kept() {
        let mut streams = Streams::default();
        for n in 0..3_000u32 {
            let from = SocketAddr::new([127, 0, 0, 1].into(), u16::try_from(n).expect("small"));
            streams.take((from, ends().1), 0, Step::GoesOn, b"INVITE sip:x SIP/2.0\r\n", |_| {});
            for at in 0..10 {
                streams.take((from, ends().1), 100_000 + at * 1000, Step::GoesOn, &[b'x'; 1000], |_| {});
            }
        }
        assert!(streams.kept <= MOST_KEPT && streams.streams.len() <= MOST_STREAMS);
        let held: usize = streams.streams.values().map(Stream::holds).sum();
        assert_eq!(streams.kept, held);
    }
}
