//! Events the hub may not have yet, and the live calls, on disk (sled), until the hub has them durably.
//! An event is told while it is being written: the pop does not wait for the disk. So that no sequence
//! number can ever mean two events, numbers are reserved on disk in blocks before the first is used.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use pinkas_protocol::{CallId, Event, wire};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::calls::{Decided, LiveCall};

/// The most events kept while the hub is away. When it is full the oldest are kept and new ones are
/// not noted, so that nothing the hub was promised disappears.
pub const MOST_EVENTS: u64 = 200_000;

/// The most events held in memory besides, so that they need not be read back, and so that a full disk
/// does not stop them.
const MOST_RECENT: usize = 20_000;

const EVENT: u8 = b'e';
const LIVE: u8 = b'l';
const META_OUTBOX: &[u8] = b"m/outbox";
const META_DURABLE: &[u8] = b"m/durable";
const META_RESERVED: &[u8] = b"m/reserved";

/// How many sequence numbers are reserved at a time. After a crash the rest of a block is never used.
pub const BLOCK: u64 = 10_000;

/// What the uplink must know, always consistent: there are events up to `latest`, and after them these
/// calls are live.
#[derive(Debug, Clone)]
pub struct Written {
    /// No event has a higher sequence number.
    pub latest: u64,
    /// The calls that have not ended.
    pub live: Arc<BTreeSet<CallId>>,
    /// How many events the hub may not have yet.
    pub waiting: u64,
    /// What is noted goes to disk; `false` once that has failed.
    pub on_disk: bool,
}

/// The newest events. Those from `from` on are all here; older ones are on disk.
#[derive(Debug)]
struct Recent {
    from: u64,
    events: VecDeque<(u64, Event)>,
}

impl Recent {
    fn after(&self, sequence: u64) -> Option<(u64, Event)> {
        let at = self.events.partition_point(|(number, _)| *number <= sequence);
        self.events.get(at).cloned()
    }

    /// Makes room for one more by leaving the oldest to the disk.
    fn push(&mut self, number: u64, event: Event) {
        while self.events.len() >= MOST_RECENT {
            if let Some((oldest, _)) = self.events.pop_front() {
                self.from = oldest + 1;
            }
        }
        self.events.push_back((number, event));
    }

    fn drop_durable(&mut self, sequence: u64) -> u64 {
        let durable = self.events.partition_point(|(number, _)| *number <= sequence);
        self.events.drain(..durable);
        self.from = self.from.max(sequence.saturating_add(1));
        u64::try_from(durable).unwrap_or(u64::MAX)
    }
}

/// The outbox as its readers see it.
#[derive(Clone)]
pub struct Outbox {
    db: sled::Db,
    /// Made when the folder was made.
    pub id: Uuid,
    /// Changes after every write.
    pub written: watch::Receiver<Written>,
    recent: Arc<Mutex<Recent>>,
    writes: mpsc::Sender<Write>,
}

enum Write {
    Decided(Decided),
    Durable(u64),
    SkipTo(u64),
}

/// An outbox just opened.
pub struct Opened {
    /// For those who note and tell events.
    pub outbox: Outbox,
    /// The calls that had not ended in the last run.
    pub live: BTreeMap<CallId, LiveCall>,
    /// Ends, with everything on disk, once every copy of the outbox is dropped.
    pub writer: std::thread::JoinHandle<()>,
}

/// Opens or makes the outbox in a folder and starts its writer.
///
/// Fails with a sentence for people when the folder cannot be used.
pub fn open(folder: &Path) -> anyhow::Result<Opened> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let db =
        sled::Config::new().path(folder).cache_capacity(16 << 20).flush_every_ms(None).open().with_context(
            || format!("cannot open the outbox in {}: another adapter uses it, or it is damaged (then move the folder away)", folder.display()),
        )?;
    let id = match db.get(META_OUTBOX)? {
        Some(bytes) => Uuid::from_slice(&bytes).context("the outbox is damaged: its id is not readable")?,
        None => {
            let id = Uuid::now_v7();
            db.insert(META_OUTBOX, id.as_bytes())?;
            id
        }
    };
    let durable = read_u64(&db, META_DURABLE)?;
    let last = db.scan_prefix([EVENT]).keys().next_back().transpose()?.and_then(|key| sequence_of(&key));
    let mut live = BTreeMap::new();
    for item in db.scan_prefix([LIVE]) {
        let (key, value) = item?;
        let call = key.get(1..).and_then(|id| Uuid::from_slice(id).ok()).map(CallId);
        let record = std::str::from_utf8(&value).ok().and_then(|text| wire::decode(text).ok());
        match (call, record) {
            (Some(call), Some(record)) => drop(live.insert(call, record)),
            // Another version wrote it. The hub ends a call that nobody follows any more.
            _ => {
                tracing::warn!("a live call in {} is not readable and is given up", folder.display());
                db.remove(key)?;
            }
        }
    }
    let reserved = read_u64(&db, META_RESERVED)?;
    let latest = last.unwrap_or(0).max(durable).max(reserved);
    let ids: BTreeSet<CallId> = live.keys().copied().collect();
    let kept = u64::try_from(db.scan_prefix([EVENT]).count()).unwrap_or(u64::MAX);
    let first = Written { latest, live: Arc::new(ids), waiting: kept, on_disk: true };
    let recent = Arc::new(Mutex::new(Recent { from: latest + 1, events: VecDeque::new() }));
    let (written_in, written) = watch::channel(first.clone());
    let (writes, queue) = mpsc::channel(1024);
    let writer = Writer {
        db: db.clone(),
        synced: start_syncing(folder.join("db"))?,
        queue,
        recent: recent.clone(),
        reserved: latest,
        durable,
        now: first,
        full: false,
        written: written_in,
    };
    let writer = std::thread::Builder::new().name("outbox".to_owned()).spawn(move || writer.run());
    let writer = writer.context("cannot start a thread")?;
    Ok(Opened { outbox: Outbox { db, id, written, recent, writes }, live, writer })
}

impl Outbox {
    /// Notes a decision. Waits while the writer is behind; an error means that the writer has stopped.
    pub async fn note(&self, decided: Decided) -> anyhow::Result<()> {
        self.writes.send(Write::Decided(decided)).await.ok().context("the outbox can no longer be written")
    }

    /// The hub has everything up to `sequence` on disk.
    pub async fn durable(&self, sequence: u64) {
        // A stopped writer is reported where events are noted; an unacknowledged event is only repeated.
        let _ = self.writes.send(Write::Durable(sequence)).await;
    }

    /// The first event after `sequence` with its number. One that is not readable is passed over, with a
    /// word in the log: it must not hold back those behind it.
    pub fn after(&self, sequence: u64) -> anyhow::Result<Option<(u64, Event)>> {
        {
            let recent = lock(&self.recent);
            if sequence.saturating_add(1) >= recent.from {
                return Ok(recent.after(sequence));
            }
        }
        match self.on_disk_after(sequence) {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => Ok(lock(&self.recent).after(sequence)),
            // A disk that cannot be read must not hold back what is in memory.
            Err(e) => {
                tracing::error!("events on disk cannot be read, newer ones go on: {e:#}");
                Ok(lock(&self.recent).after(sequence))
            }
        }
    }

    fn on_disk_after(&self, sequence: u64) -> anyhow::Result<Option<(u64, Event)>> {
        let from = event_key(sequence.saturating_add(1));
        for item in self.db.range(from..vec![EVENT + 1]) {
            let (key, value) = item?;
            let sequence = sequence_of(&key).context("the outbox is damaged: a key is not readable")?;
            match std::str::from_utf8(&value).ok().and_then(|text| wire::decode(text).ok()) {
                Some(event) => return Ok(Some((sequence, event))),
                None => tracing::error!("event {sequence} in the outbox is not readable and is passed over"),
            }
        }
        Ok(None)
    }

    /// The hub has events of this outbox up to `sequence`, though none so high is here: the folder is an
    /// old copy. New events are numbered above, or the hub would take them for repetitions.
    pub async fn skip_to(&self, sequence: u64) {
        let _ = self.writes.send(Write::SkipTo(sequence)).await;
    }
}

/// sled's flush reaches the page cache, which survives this program; the sync survives the machine. It
/// may take long, and neither the next event nor the pop waits for it.
fn start_syncing(file: PathBuf) -> anyhow::Result<SyncSender<()>> {
    let (ask, asked) = sync_channel(1);
    let sync = move || {
        while asked.recv().is_ok() {
            if let Err(e) = File::open(&file).and_then(|file| file.sync_data()) {
                tracing::error!("the outbox is not safe from a power cut: {e}");
            }
        }
    };
    std::thread::Builder::new()
        .name("outbox-sync".to_owned())
        .spawn(sync)
        .context("cannot start a thread")?;
    Ok(ask)
}

struct Writer {
    db: sled::Db,
    synced: SyncSender<()>,
    queue: mpsc::Receiver<Write>,
    recent: Arc<Mutex<Recent>>,
    reserved: u64,
    durable: u64,
    now: Written,
    full: bool,
    written: watch::Sender<Written>,
}

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            let mut writes = vec![first];
            while writes.len() < 256
                && let Ok(more) = self.queue.try_recv()
            {
                writes.push(more);
            }
            self.write(writes);
        }
        if !self.now.on_disk {
            return;
        }
        // What was acknowledged last need not be repeated after the next start, nor a number skipped.
        let unused = self.db.insert(META_RESERVED, &self.now.latest.to_be_bytes());
        if let Err(e) = unused.and_then(|_| self.db.flush()) {
            tracing::warn!("the outbox could not be closed in order; some events will be repeated: {e}");
        }
    }

    /// Events are told as they are written. When the disk fails they are told all the same: from memory.
    fn write(&mut self, writes: Vec<Write>) {
        let mut batch = sled::Batch::default();
        let mut live = (*self.now.live).clone();
        let mut told = false;
        for write in writes {
            match write {
                Write::Durable(sequence) => self.drop_durable(sequence, &mut batch),
                Write::SkipTo(sequence) => {
                    // A hub that names an absurd number is not followed there.
                    if sequence.saturating_sub(self.now.latest) < 1 << 40 {
                        self.now.latest = self.now.latest.max(sequence);
                        told = true;
                    }
                }
                Write::Decided(decided) => {
                    told = true;
                    self.add(decided, &mut batch, &mut live);
                }
            }
        }
        self.on_disk(|db| db.apply_batch(batch));
        self.now.live = Arc::new(live);
        self.written.send_replace(self.now.clone());
        if told {
            // The page cache survives this program's death.
            self.on_disk(|db| db.flush().map(drop));
            // The disk survives the machine's. A sync that is already waiting covers this write too.
            let _ = self.synced.try_send(());
        }
    }

    /// Does something on the disk. Once that has failed the disk is left alone: sled does not recover.
    fn on_disk(&mut self, work: impl FnOnce(&sled::Db) -> sled::Result<()>) {
        if !self.now.on_disk {
            return;
        }
        if let Err(e) = work(&self.db) {
            self.now.on_disk = false;
            tracing::error!(
                "the outbox cannot be written: {e}. Calls go on and are told, but what the hub does not have \
                 is lost with this program: make room on the disk, then start the adapter again"
            );
        }
    }

    /// The next sequence number, from a block that is reserved on disk.
    fn next_number(&mut self) -> u64 {
        let next = self.now.latest + 1;
        if next > self.reserved {
            self.reserved = next.next_multiple_of(BLOCK);
            let reserved = self.reserved.to_be_bytes();
            self.on_disk(|db| {
                db.insert(META_RESERVED, &reserved)?;
                db.flush().map(drop)
            });
        }
        self.now.latest = next;
        next
    }

    fn add(&mut self, decided: Decided, batch: &mut sled::Batch, live: &mut BTreeSet<CallId>) {
        let most = if self.now.on_disk { MOST_EVENTS } else { MOST_RECENT as u64 };
        for event in decided.events {
            if self.now.waiting >= most {
                if !self.full {
                    tracing::error!("{most} events wait for the hub: new ones are lost until it is back");
                }
                self.full = true;
                continue;
            }
            let number = self.next_number();
            self.now.waiting += 1;
            batch.insert(event_key(number), wire::encode(&event).into_bytes());
            lock(&self.recent).push(number, event);
        }
        for (call, record) in decided.live {
            match record {
                Some(record) => {
                    live.insert(call);
                    batch.insert(live_key(call), wire::encode(&record).into_bytes());
                }
                None => {
                    live.remove(&call);
                    batch.remove(live_key(call));
                }
            }
        }
    }

    fn drop_durable(&mut self, sequence: u64, batch: &mut sled::Batch) {
        if sequence > self.now.latest || sequence <= self.durable {
            return;
        }
        self.durable = sequence;
        let mut dropped = lock(&self.recent).drop_durable(sequence);
        if self.now.on_disk {
            dropped = 0;
            for key in self.db.range(event_key(0)..=event_key(sequence)).keys().flatten() {
                batch.remove(key);
                dropped += 1;
            }
            batch.insert(META_DURABLE, &sequence.to_be_bytes());
        }
        self.now.waiting = self.now.waiting.saturating_sub(dropped);
        self.full = false;
    }
}

/// No code panics while it holds this, so a poisoned lock is still whole.
fn lock(recent: &Mutex<Recent>) -> MutexGuard<'_, Recent> {
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}

fn event_key(sequence: u64) -> Vec<u8> {
    let mut key = vec![EVENT];
    key.extend(sequence.to_be_bytes());
    key
}

fn live_key(call: CallId) -> Vec<u8> {
    let mut key = vec![LIVE];
    key.extend(call.0.as_bytes());
    key
}

fn sequence_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

fn read_u64(db: &sled::Db, key: &[u8]) -> anyhow::Result<u64> {
    let bytes = db.get(key)?;
    let value = bytes.map(|bytes| bytes.as_ref().try_into().map(u64::from_be_bytes)).transpose();
    Ok(value.context("the outbox is damaged: a counter is not readable")?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::{Line, LineEvent, LineState};

    fn decided(line: &str) -> Decided {
        let line = Line::parse(line).expect("a line");
        let event = LineEvent {
            line,
            heard_at: "2026-01-01T00:00:00Z".parse().expect("a time"),
            state: LineState::Idle,
        };
        Decided { events: vec![Event::Line(event)], ..Decided::default() }
    }

    async fn reach(outbox: &mut Outbox, latest: u64) {
        outbox.written.wait_for(|written| written.latest >= latest).await.expect("the writer runs");
    }

    #[tokio::test]
    async fn events_stay_until_they_are_durable_and_numbers_are_never_used_again() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let id = {
            let Opened { mut outbox, writer, .. } = open(dir.path()).expect("opens");
            for line in ["101", "102", "103"] {
                outbox.note(decided(line)).await.expect("noted");
            }
            reach(&mut outbox, 3).await;
            assert_eq!(outbox.after(0).expect("read").map(|(n, _)| n), Some(1));
            outbox.durable(2).await;
            outbox.note(decided("104")).await.expect("noted");
            reach(&mut outbox, 4).await;
            assert_eq!(outbox.after(0).expect("read").map(|(n, _)| n), Some(3));
            outbox.note(decided("105")).await.expect("noted");
            reach(&mut outbox, 5).await;
            outbox.durable(5).await;
            let id = outbox.id;
            drop(outbox);
            writer.join().expect("the writer ends");
            id
        };
        let Opened { outbox, .. } = open(dir.path()).expect("opens again");
        assert_eq!(outbox.id, id);
        assert_eq!(outbox.after(0).expect("read"), None);
        assert_eq!(outbox.written.borrow().latest, 5);
    }

    #[tokio::test]
    async fn after_a_crash_no_number_is_used_for_a_second_event() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let Opened { mut outbox, writer, .. } = open(dir.path()).expect("opens");
        outbox.note(decided("101")).await.expect("noted");
        reach(&mut outbox, 1).await;
        let copy = tempfile::tempdir().expect("a temporary directory");
        // The folder as a power cut would leave it: copied while the writer still runs.
        while std::fs::read_dir(copy.path()).expect("readable").count() == 0 || kept(&copy) == 0 {
            for file in
                std::fs::read_dir(dir.path()).expect("readable").flatten().filter(|f| f.path().is_file())
            {
                std::fs::copy(file.path(), copy.path().join(file.file_name())).expect("copied");
            }
            tokio::task::yield_now().await;
        }
        let Opened { mut outbox, .. } = open(copy.path()).expect("opens");
        assert_eq!(outbox.written.borrow().latest, BLOCK);
        outbox.note(decided("102")).await.expect("noted");
        reach(&mut outbox, BLOCK + 1).await;
        assert_eq!(outbox.after(1).expect("read").map(|(n, _)| n), Some(BLOCK + 1));
        drop(writer);
    }

    fn kept(dir: &tempfile::TempDir) -> u64 {
        std::fs::metadata(dir.path().join("db")).map_or(0, |m| m.len())
    }
}
