//! Events the hub may not have yet, and the live calls, on disk (sled), until the hub has them durably.
//! An event is told at once and written in a group with what comes meanwhile: the pop does not wait for the
//! disk. So that no sequence number can ever mean two events, numbers are reserved on disk in blocks before the
//! first is used. `state` decides what is written next, `writer` does it.

mod state;
mod writer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pinkas_protocol::{CallId, Event, wire};
use tokio::sync::watch;
use uuid::Uuid;

use crate::calls::{Decided, LiveCall};
use state::{Found, State, Take};
use writer::{Shared, Writer};

/// The most events kept while the hub is away. When it is full the oldest are kept and new ones are
/// not noted, so that nothing the hub was promised disappears.
pub const MOST_EVENTS: u64 = 200_000;

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

/// The outbox as its readers see it.
#[derive(Clone)]
pub struct Outbox {
    db: sled::Db,
    /// Made when the folder was made.
    pub id: Uuid,
    /// Changes with every event and call noted.
    pub written: watch::Receiver<Written>,
    inside: Arc<Inside>,
}

/// What all copies of an outbox have in common; with it the writer ends.
struct Inside(Arc<Shared>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.close();
    }
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
    wait_until_free(folder);
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
    let mut kept = VecDeque::new();
    for key in db.scan_prefix([EVENT]).keys() {
        kept.push_back(sequence_of(&key?).context("the outbox is damaged: a key is not readable")?);
    }
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
    let latest = kept.back().copied().unwrap_or(0).max(durable).max(reserved);
    let state = State::new(latest, durable, kept);
    let ids: BTreeSet<CallId> = live.keys().copied().collect();
    let first = Written { latest, live: Arc::new(ids.clone()), waiting: state.waiting(), on_disk: true };
    let shared = Arc::new(Shared::new(state, first));
    let mut writer = Writer {
        db: db.clone(),
        shared: shared.clone(),
        synced: writer::start_syncing(folder.join("db"))?,
        live: ids,
    };
    // The first numbers are reserved before anyone can want one.
    let first = shared.lock().state.group(Take::All);
    writer.write(first);
    let writer = std::thread::Builder::new().name("outbox".to_owned()).spawn(move || writer.run());
    let writer = writer.context("cannot start a thread")?;
    let outbox = Outbox { db, id, written: shared.written.subscribe(), inside: Arc::new(Inside(shared)) };
    Ok(Opened { outbox, live, writer })
}

/// An outbox that was just closed is let go a moment later: sled's threads end by themselves.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whoever has it for longer is another adapter, which sled then says.
fn wait_until_free(folder: &Path) {
    let Ok(file) = File::open(folder.join("db")) else { return };
    let mut waited = Duration::ZERO;
    while waited < LET_GO_WITHIN && matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
        std::thread::park_timeout(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
}

impl Outbox {
    /// Notes a decision: it is told at once. Waits while the disk is far behind; an error means that the writer
    /// has stopped.
    pub async fn note(&self, decided: Decided) -> anyhow::Result<()> {
        let shared = &self.inside.0;
        loop {
            // From here on it notices when there is room.
            let room = shared.room.notified();
            {
                let mut desk = shared.lock();
                anyhow::ensure!(!desk.stopped, "the outbox can no longer be written");
                if desk.state.has_room(decided.events.len()) {
                    let lost = desk.state.add(decided.events);
                    if let Some(most) = lost {
                        tracing::error!("{most} events wait for the hub: new ones are lost until it is back");
                    }
                    let (latest, waiting) = (desk.state.latest, desk.state.waiting());
                    shared.written.send_modify(|written| {
                        (written.latest, written.waiting) = (latest, waiting);
                        if decided.live.is_empty() {
                            return;
                        }
                        let live = Arc::make_mut(&mut written.live);
                        for (call, record) in &decided.live {
                            match record {
                                Some(_) => live.insert(*call),
                                None => live.remove(call),
                            };
                        }
                    });
                    for (call, record) in decided.live {
                        desk.state.call(call, record);
                    }
                    shared.changed(desk);
                    return Ok(());
                }
                shared.changed(desk);
            }
            room.await;
        }
    }

    /// The hub has everything up to `sequence` on disk.
    pub fn durable(&self, sequence: u64) {
        let shared = &self.inside.0;
        let mut desk = shared.lock();
        desk.state.durable(sequence);
        let waiting = desk.state.waiting();
        // Only figures: nobody needs to be woken for it.
        shared.written.send_if_modified(|written| {
            written.waiting = waiting;
            false
        });
        shared.changed(desk);
    }

    /// The first event after `sequence` with its number. One that is not readable is passed over, with a
    /// word in the log: it must not hold back those behind it.
    pub fn after(&self, sequence: u64) -> anyhow::Result<Option<(u64, Event)>> {
        let Found { event: newer, all } = self.inside.0.lock().state.after(sequence);
        if all {
            return Ok(newer);
        }
        match self.on_disk_after(sequence) {
            Ok(found) => Ok(found.or(newer)),
            // A disk that cannot be read must not hold back what is in memory.
            Err(e) => {
                tracing::error!("events on disk cannot be read, newer ones go on: {e:#}");
                Ok(newer)
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
    pub fn skip_to(&self, sequence: u64) {
        let shared = &self.inside.0;
        let mut desk = shared.lock();
        desk.state.skip_to(sequence);
        let latest = desk.state.latest;
        shared.written.send_modify(|written| written.latest = latest);
        shared.changed(desk);
    }
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
            outbox.durable(2);
            outbox.note(decided("104")).await.expect("noted");
            reach(&mut outbox, 4).await;
            assert_eq!(outbox.after(0).expect("read").map(|(n, _)| n), Some(3));
            outbox.note(decided("105")).await.expect("noted");
            reach(&mut outbox, 5).await;
            outbox.durable(5);
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
