//! The last figures each source gave, to be shown as old when it gives none: in memory for whoever asks,
//! encrypted on disk for after a restart. One thread writes; nobody who asks ever waits for it. It is no record:
//! what is lost is only older figures, and none are kept of a source of which the configuration says so.

mod book;
mod erase;
mod keeper;
mod sealed;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::{CustomerKey, Facts, Number, SourceName};
use serde::{Deserialize, Serialize};

pub use self::erase::Erased;
pub(crate) use self::erase::{Whom, erase};
pub use self::keeper::Keeper;

use self::book::Book;
use self::keeper::Work;
use crate::sources::ConfiguredSource;
use crate::sources::same::Slot;
use crate::sources::showing::Old;

/// Figures waiting to be written; when it is full, newer ones are not kept.
const QUEUE: usize = 1024;
/// Figures of one answer longer than this are not kept, in bytes; no source gives so much.
const LONGEST: usize = 64 * 1024;

/// How the file is called in the hub's folder; names that begin with it are of this room alone.
pub(crate) const FILE: &str = "last-known";

/// Where last figures are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The hub's folder.
    pub state: PathBuf,
    /// The file with the key.
    pub key: PathBuf,
}

/// What figures are of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The question they answered.
    pub slot: Slot,
    /// The source that gave them.
    pub source: SourceName,
    /// What stood for its configuration then.
    pub print: u64,
    /// The customer they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerKey>,
    /// The number of the caller they were asked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// When they were true.
    pub as_of: Timestamp,
}

/// Last figures, for whoever asks sources. A clone is the same ones. By default none are kept.
#[derive(Clone, Default)]
pub struct Last(Option<Arc<Inner>>);

struct Inner {
    book: Mutex<Book>,
    told: SyncSender<Told>,
    missed: AtomicU64,
}

/// To the thread that writes.
enum Told {
    Keep(Box<Label>, Box<Facts>, Timestamp),
    Forget(Slot),
    End,
}

/// What is kept, in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastFigures {
    /// Answers whose figures are kept.
    pub entries: usize,
    /// About how much memory they take, in bytes.
    pub bytes: usize,
    /// Answers that were not kept because the thread that writes did not keep up.
    pub missed: u64,
}

/// Of each source whose figures are kept: what stands for its configuration, and for how long.
type Wanted = BTreeMap<SourceName, (u64, Duration)>;

/// Opens what was kept, and begins anew where it cannot be read. Figures of sources that are not in
/// `sources`, or of which the configuration says that they are not kept, are deleted. Without a thread of its own,
/// when nothing is to be kept, there is no keeper.
///
/// # Errors
/// When no thread can be started.
pub fn open(place: &Place, sources: &[ConfiguredSource]) -> std::io::Result<(Last, Option<Keeper>)> {
    let kept = sources
        .iter()
        .filter_map(|source| Some((source.name.clone(), (source.print, source.bounds.keep_last?))));
    let wanted: Wanted = kept.collect();
    if wanted.is_empty() {
        keeper::remove(place);
        return Ok((Last::default(), None));
    }
    let (told, queue) = sync_channel(QUEUE);
    let inner = Arc::new(Inner { book: Mutex::default(), told: told.clone(), missed: AtomicU64::new(0) });
    let mut work = Work::new(place.clone(), wanted, inner.clone());
    work.open(Timestamp::now());
    let thread = std::thread::Builder::new().name("last-known".to_owned()).spawn(move || work.run(&queue))?;
    Ok((Last(Some(inner)), Some(Keeper::new(told, thread))))
}

impl Last {
    /// The last figures that this question got, unless they have been kept for longer than `keep`.
    pub fn find(&self, slot: &Slot, keep: Duration, now: Timestamp) -> Option<Old> {
        let (as_of, facts) = self.0.as_ref()?.book().find(slot, keep, now)?;
        // It is read outside the lock.
        Some(Old { as_of, facts: serde_json::from_slice(&facts).ok()? })
    }

    /// Keeps these as the last figures. Waits for nothing.
    pub fn keep(&self, label: Label, facts: &Facts) {
        if let Some(inner) = &self.0 {
            inner.tell(Told::Keep(Box::new(label), Box::new(facts.clone()), Timestamp::now()));
        }
    }

    /// This question has no figures any more. Waits for nothing.
    pub fn forget(&self, slot: Slot) {
        if let Some(inner) = &self.0 {
            inner.tell(Told::Forget(slot));
        }
    }

    /// How much is kept.
    pub fn figures(&self) -> LastFigures {
        self.0.as_ref().map_or(LastFigures::default(), |inner| {
            let (entries, bytes) = inner.book().size();
            LastFigures { entries, bytes, missed: inner.missed.load(Ordering::Relaxed) }
        })
    }
}

impl Inner {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: Told) {
        if let Err(TrySendError::Full(told)) = self.told.try_send(told) {
            self.missed.fetch_add(1, Ordering::Relaxed);
            // What was kept is not the last any more.
            let slot = match &told {
                Told::Keep(label, ..) => label.slot,
                Told::Forget(slot) => *slot,
                Told::End => return,
            };
            self.book().remove(&slot);
        }
    }
}

/// All that the file holds, readable, for tests that look for what must not be there.
#[cfg(test)]
pub(crate) fn plain(place: &Place) -> String {
    let key = sealed::read_key(&place.key).expect("a key").expect("a key");
    let mut plain = String::new();
    let each = |line: &[u8]| plain.push_str(&String::from_utf8_lossy(line));
    sealed::read(&place.state.join(FILE), &key, each).expect("whole");
    plain
}

/// Whether what was kept at that time is still to be kept. After a clock that went back it is.
fn lasts(kept_at: Timestamp, keep: Duration, now: Timestamp) -> bool {
    SignedDuration::try_from(keep).is_ok_and(|keep| now.duration_since(kept_at) < keep)
}
