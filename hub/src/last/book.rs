//! Last figures in memory: bounded in number and bytes, the oldest dropped. Pure: it is told the time. Figures
//! stay as text until somebody wants them, which most never do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Label, Wanted, lasts};
use crate::sources::same::Slot;

/// The most answers whose figures are kept.
pub(super) const MOST_ENTRIES: usize = 50_000;
/// The most memory for them, in bytes.
pub(super) const MOST_BYTES: usize = 32 * 1024 * 1024;
/// About what an entry takes beside its figures.
const EACH: usize = 300;

/// See the file's own comment.
#[derive(Default)]
pub(super) struct Book {
    entries: HashMap<Slot, Entry>,
    /// By the order in which they were kept.
    order: BTreeMap<u64, Slot>,
    next: u64,
    bytes: usize,
}

/// The figures of one answer.
#[derive(Clone)]
pub(super) struct Entry {
    /// What they are of.
    pub label: Label,
    /// When they were kept.
    pub kept_at: Timestamp,
    /// As text.
    pub facts: Arc<[u8]>,
    turn: u64,
}

impl Book {
    /// Puts these in the place of what the same question got before.
    pub(super) fn put(&mut self, label: Label, kept_at: Timestamp, facts: Arc<[u8]>) {
        self.remove(&label.slot);
        let turn = self.next;
        self.next += 1;
        self.bytes += EACH + facts.len();
        self.order.insert(turn, label.slot);
        self.entries.insert(label.slot, Entry { label, kept_at, facts, turn });
        while self.entries.len() > MOST_ENTRIES || self.bytes > MOST_BYTES {
            let Some(oldest) = self.order.first_key_value().map(|(_, slot)| *slot) else { break };
            self.remove(&oldest);
        }
    }

    pub(super) fn remove(&mut self, slot: &Slot) {
        if let Some(entry) = self.entries.remove(slot) {
            self.order.remove(&entry.turn);
            self.bytes = self.bytes.saturating_sub(EACH + entry.facts.len());
        }
    }

    pub(super) fn has(&self, slot: &Slot) -> bool {
        self.entries.contains_key(slot)
    }

    /// When they were true, and the figures.
    pub(super) fn find(&self, slot: &Slot, keep: Duration, now: Timestamp) -> Option<(Timestamp, Arc<[u8]>)> {
        let entry = self.entries.get(slot).filter(|entry| lasts(entry.kept_at, keep, now))?;
        Some((entry.label.as_of, entry.facts.clone()))
    }

    /// Drops what is not to be kept any more; gives how many that were.
    pub(super) fn sweep(&mut self, wanted: &Wanted, now: Timestamp) -> usize {
        let is_wanted = |entry: &Entry| {
            let of = wanted.get(&entry.label.source);
            of.is_some_and(|(print, keep)| *print == entry.label.print && lasts(entry.kept_at, *keep, now))
        };
        let gone: Vec<Slot> =
            self.entries.iter().filter(|(_, entry)| !is_wanted(entry)).map(|(slot, _)| *slot).collect();
        gone.iter().for_each(|slot| self.remove(slot));
        gone.len()
    }

    /// All of them, oldest first.
    pub(super) fn all(&self) -> Vec<Entry> {
        self.order.values().filter_map(|slot| self.entries.get(slot)).cloned().collect()
    }

    /// How many there are, and about how much memory they take.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use pinkas_protocol::SourceName;

    fn slot(number: u32) -> Slot {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Slot::from_bytes(bytes)
    }

    fn label(number: u32, source: &str) -> Label {
        let source = SourceName::parse(source).expect("a name");
        Label {
            slot: slot(number),
            source,
            print: 1,
            customer: None,
            number: None,
            as_of: Timestamp::UNIX_EPOCH,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a time")
    }

    fn put(book: &mut Book, number: u32, at_second: i64, bytes: usize) {
        book.put(label(number, "a"), at(at_second), vec![b'x'; bytes].into());
    }

    #[test]
    fn it_is_bounded_in_number_and_bytes_and_the_oldest_goes_first() {
        let mut book = Book::default();
        for number in 0..=MOST_ENTRIES as u32 {
            put(&mut book, number, 0, 10);
        }
        assert_eq!(book.size().0, MOST_ENTRIES);
        assert!(!book.has(&slot(0)) && book.has(&slot(1)));
        put(&mut book, 1, 0, 20);
        put(&mut book, 70_000, 0, 10);
        assert!(book.has(&slot(1)) && !book.has(&slot(2)), "what was kept anew is the newest");
        for number in 0..1000 {
            put(&mut book, number, 0, 60_000);
        }
        let (entries, bytes) = book.size();
        assert!(bytes <= MOST_BYTES && bytes > MOST_BYTES - 70_000, "{bytes}");
        assert_eq!((entries, book.order.len()), (MOST_BYTES / (60_000 + EACH), entries));
        assert!(book.has(&slot(999)) && !book.has(&slot(70_000)));
    }

    #[test]
    fn what_is_too_old_or_not_wanted_is_neither_found_nor_kept() {
        let mut book = Book::default();
        let keep = Duration::from_secs(100);
        put(&mut book, 1, 0, 1);
        put(&mut book, 2, 50, 2);
        book.put(label(3, "b"), at(50), vec![b'x'].into());
        book.put(Label { print: 2, ..label(4, "a") }, at(50), vec![b'x'].into());
        assert!(book.find(&slot(1), keep, at(99)).is_some() && book.find(&slot(1), keep, at(100)).is_none());
        assert!(book.find(&slot(2), keep, at(-900)).is_some(), "a clock that went back loses nothing");
        let wanted = [(SourceName::parse("a").expect("a name"), (1, keep))].into();
        assert_eq!(book.sweep(&wanted, at(100)), 3);
        assert_eq!(book.all().iter().map(|entry| entry.label.slot).collect::<Vec<_>>(), [slot(2)]);
        assert_eq!(book.size(), (1, EACH + 2));
        book.remove(&slot(2));
        assert_eq!(book.size(), (0, 0));
    }
}
