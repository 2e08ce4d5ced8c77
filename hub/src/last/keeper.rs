//! The thread that keeps last figures: the only one that changes what is in memory and on disk. Where the disk
//! fails, figures go on in memory, and the file is made anew when it works again.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::book::{Book, Entry};
use super::sealed::{self, Key, Sealed};
use super::{FILE, Inner, LONGEST, Label, Place, Told, Wanted};
use crate::sources::same::Slot;

/// How often it looks whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often what is too old is deleted.
const SWEEP_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// A file may be so much longer than twice what it holds.
const SLACK: u64 = 1024 * 1024;

/// A line of the file; figures follow it as text.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub(super) enum Line {
    /// The last figures of a question.
    Kept {
        /// What they are of.
        #[serde(flatten)]
        label: Label,
        /// When they were kept.
        kept_at: Timestamp,
    },
    /// A question has none any more.
    Gone {
        /// Which question.
        slot: Slot,
    },
}

impl Line {
    /// The line with its figures, as it is encrypted.
    pub(super) fn text(&self, facts: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        text.extend_from_slice(facts);
        Ok(text)
    }

    /// A line and its figures out of what [`Line::text`] gave.
    pub(super) fn read(text: &[u8]) -> Option<(Line, &[u8])> {
        let end = text.iter().position(|byte| *byte == b'\n')?;
        let (line, facts) = text.split_at_checked(end)?;
        Some((serde_json::from_slice(line).ok()?, facts.get(1..)?))
    }
}

/// Entries as the lines of a file.
pub(super) fn lines(entries: Vec<Entry>) -> impl Iterator<Item = Vec<u8>> {
    entries
        .into_iter()
        .filter_map(|Entry { label, kept_at, facts, .. }| Line::Kept { label, kept_at }.text(&facts).ok())
}

/// The other end of the thread.
pub struct Keeper {
    told: SyncSender<Told>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn new(told: SyncSender<Told>, thread: JoinHandle<()>) -> Keeper {
        Keeper { told, thread }
    }

    /// Waits until all that was handed over is in the file.
    pub async fn close(self) -> anyhow::Result<()> {
        let end = move || {
            // A thread that has ended already is waited for all the same.
            let _ = self.told.send(Told::End);
            self.thread.join().ok()
        };
        tokio::task::spawn_blocking(end).await?.context("the keeper of last figures failed")
    }
}

/// Deletes what was kept before nothing was to be kept.
pub(super) fn remove(place: &Place) {
    let file = file(place);
    for file in [sealed::new_name(&file), file] {
        if let Err(e) = std::fs::remove_file(&file)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::error!("last figures are not to be kept, and {} cannot be deleted: {e}", file.display());
        }
    }
}

fn file(place: &Place) -> PathBuf {
    place.state.join(FILE)
}

/// What the thread works with.
pub(super) struct Work {
    place: Place,
    wanted: Wanted,
    inner: Arc<Inner>,
    /// `None`: figures are in memory only.
    key: Option<Key>,
    /// `None`: to be made anew.
    sealed: Option<Sealed>,
    /// When what was too old was last deleted.
    swept: Timestamp,
    has_failed: bool,
}

impl Work {
    pub(super) fn new(place: Place, wanted: Wanted, inner: Arc<Inner>) -> Work {
        let swept = Timestamp::UNIX_EPOCH;
        Work { place, wanted, inner, key: None, sealed: None, swept, has_failed: false }
    }

    /// Reads what was kept. What cannot be read is begun anew, and said in one line.
    pub(super) fn open(&mut self, now: Timestamp) {
        self.swept = now;
        let file = file(&self.place);
        let was_there = file.exists();
        let key = match sealed::read_key(&self.place.key) {
            Ok(Some(key)) => Ok(key),
            Ok(None) => {
                if was_there {
                    tracing::error!(
                        "the key {} is gone, so the last figures of the sources cannot be read: they begin anew",
                        self.place.key.display()
                    );
                }
                sealed::make_key(&self.place.key)
            }
            Err(e) => Err(e),
        };
        let key = match key {
            Ok(key) => self.key.insert(key).clone(),
            Err(e) => {
                tracing::error!(
                    "the last figures of the sources are kept in memory only, until the hub ends: {e:#}. \
                     `last_known_key` names the file of their key"
                );
                return;
            }
        };
        let mut book = Book::default();
        let found = sealed::read(&file, &key, |text| match Line::read(text) {
            Some((Line::Kept { label, kept_at }, facts)) => book.put(label, kept_at, facts.into()),
            Some((Line::Gone { slot }, _)) => book.remove(&slot),
            // A later hub's; there is nothing in it that this one could show.
            None => {}
        });
        let found = match found {
            Ok(found) => found,
            Err(e) => {
                if was_there {
                    tracing::error!(
                        "the last figures of the sources in {} cannot be read ({e:#}): they begin anew",
                        file.display()
                    );
                }
                book = Book::default();
                None
            }
        };
        let swept = book.sweep(&self.wanted, now);
        *self.inner.book() = book;
        match found.filter(|found| swept == 0 && !found.is_cut) {
            Some(found) => match Sealed::go_on(&file, key, found) {
                Ok(sealed) => self.sealed = Some(sealed),
                Err(_) => self.anew(),
            },
            None => self.anew(),
        }
    }

    pub(super) fn run(mut self, queue: &Receiver<Told>) {
        loop {
            match queue.recv_timeout(LOOK_EVERY) {
                Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(told) => self.take(told),
                Err(RecvTimeoutError::Timeout) => self.mend(),
            }
            let now = Timestamp::now();
            if now.duration_since(self.swept).abs() >= SWEEP_EVERY {
                self.sweep(now);
            }
        }
    }

    fn take(&mut self, told: Told) {
        let (line, facts) = match told {
            Told::Keep(label, facts, kept_at) => {
                let facts = serde_json::to_vec(&facts).unwrap_or_default();
                if facts.is_empty() || facts.len() > LONGEST {
                    return self.take(Told::Forget(label.slot));
                }
                let facts: Arc<[u8]> = facts.into();
                self.inner.book().put((*label).clone(), kept_at, facts.clone());
                (Line::Kept { label: *label, kept_at }, facts)
            }
            // Most sources hold nothing on most callers.
            Told::Forget(slot) if !self.inner.book().has(&slot) => return,
            Told::Forget(slot) => {
                self.inner.book().remove(&slot);
                (Line::Gone { slot }, Arc::default())
            }
            Told::End => return,
        };
        let Some(sealed) = &mut self.sealed else { return };
        match line.text(&facts).and_then(|text| sealed.append(&text)) {
            Ok(()) => {
                let (_, bytes) = self.inner.book().size();
                if sealed.length > 2 * bytes as u64 + SLACK {
                    self.anew();
                }
            }
            Err(e) => self.failed(&e),
        }
    }

    /// Deletes what is too old, from the file as well.
    fn sweep(&mut self, now: Timestamp) {
        self.swept = now;
        let swept = self.inner.book().sweep(&self.wanted, now);
        if swept > 0 {
            self.anew();
        }
    }

    /// Makes the file again after an error.
    fn mend(&mut self) {
        if self.sealed.is_none() {
            self.anew();
        }
    }

    fn anew(&mut self) {
        let Some(key) = self.key.clone() else { return };
        self.sealed = None;
        let all = self.inner.book().all();
        match Sealed::anew(&file(&self.place), key, lines(all)) {
            Ok(sealed) => {
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!("the last figures of the sources are written again");
                }
                self.sealed = Some(sealed);
            }
            Err(e) => self.failed(&e),
        }
    }

    /// Says once that the disk fails.
    fn failed(&mut self, error: &io::Error) {
        self.sealed = None;
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::error!(
                "the last figures of the sources cannot be written to {}: {error}. They go on in memory",
                file(&self.place).display()
            );
        }
    }
}
