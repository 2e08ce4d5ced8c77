//! What the hub keeps (sled): the call log, each call and line as it stands, and how far each adapter's
//! events are on disk. One thread writes, in groups; nobody is told "durable" before the disk has it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::{AdapterId, CallId, Event, Line, wire};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::core::{Keep, Kept, Seen};

const LOG: u8 = b'n';
const CALL: u8 = b'c';
const LINE: u8 = b'l';
const DURABLE: u8 = b'd';
const SEEN: u8 = b's';

/// Waiting to be written; when it is full the record stops, and the calls go on.
const QUEUE: usize = 16_384;
const GROUP: usize = 512;

/// One line of the call log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When the hub kept it.
    pub kept_at: Timestamp,
    /// Who said it.
    pub adapter: AdapterId,
    /// Which outbox and number there; absent for what the hub itself concluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What was said.
    pub event: Event,
    /// It told nothing new: an adapter that crashed said it again, under a new number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Where an event was noted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The adapter's outbox.
    pub outbox: Uuid,
    /// The number in it.
    pub sequence: u64,
}

/// By adapter and outbox, the highest sequence number on disk.
pub type Durable = BTreeMap<(AdapterId, Uuid), u64>;

/// The writer's two ends.
pub struct Store {
    /// What is to be kept, in order.
    pub keep: mpsc::Sender<Vec<Keep>>,
    /// Changes after every write.
    pub durable: watch::Receiver<Durable>,
    writer: std::thread::JoinHandle<()>,
}

impl Store {
    /// Waits until everything handed over is on disk.
    pub async fn close(self) -> anyhow::Result<()> {
        drop(self.keep);
        tokio::task::spawn_blocking(move || self.writer.join())
            .await?
            .ok()
            .context("the store's writer failed")
    }
}

/// Opens or makes the store in a folder, starts its writer, and gives what was kept.
pub fn open(folder: &Path) -> anyhow::Result<(Store, Kept)> {
    let db = open_db(folder)?;
    let kept = read(&db).with_context(|| format!("the store in {} is damaged", folder.display()))?;
    // Both logs count with one counter, so that neither writes over a row of its own.
    let last = |log: u8| db.scan_prefix([log]).keys().next_back().transpose();
    let last = [last(LOG)?, last(SEEN)?].into_iter().flatten().filter_map(|key| number(&key)).max();
    let next = last.map_or(1, |n| n + 1);
    let file = File::open(folder.join("db")).context("the store's file cannot be opened")?;
    let (keep, queue) = mpsc::channel(QUEUE);
    let (durable_in, durable) = watch::channel(kept.durable.clone());
    let writer = Writer { db, file, queue, next, durable: durable_in };
    let writer = std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run());
    let writer = writer.context("cannot start a thread")?;
    Ok((Store { keep, durable, writer }, kept))
}

/// Prints the whole call log of a hub that does not run, oldest first, one JSON line for each event.
pub fn print_log(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    anyhow::ensure!(folder.is_dir(), "there is no call log in {}", folder.display());
    for item in open_db(folder)?.scan_prefix([LOG]) {
        let entry: LogEntry = decode(&item?.1)?;
        writeln!(out, "{}", wire::encode(&entry))?;
    }
    Ok(())
}

/// Prints who was shown whose cards, oldest first, one JSON line for each, of a hub that does not run.
pub fn print_seen(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    anyhow::ensure!(folder.is_dir(), "there is no record in {}", folder.display());
    for item in open_db(folder)?.scan_prefix([SEEN]) {
        let seen: Seen = decode(&item?.1)?;
        writeln!(out, "{}", wire::encode(&seen))?;
    }
    Ok(())
}

fn open_db(folder: &Path) -> anyhow::Result<sled::Db> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    sled::Config::new().path(folder).cache_capacity(64 << 20).flush_every_ms(None).open().with_context(|| {
        format!(
            "cannot open the store in {}: another hub uses it, or it is damaged (then move the folder away)",
            folder.display()
        )
    })
}

fn read(db: &sled::Db) -> anyhow::Result<Kept> {
    let mut kept = Kept::default();
    for item in db.scan_prefix([CALL]) {
        let (key, value) = item?;
        let call =
            key.get(1..).and_then(|id| Uuid::from_slice(id).ok()).context("a call's key is not readable")?;
        kept.calls.insert(CallId(call), decode(&value)?);
    }
    for item in db.scan_prefix([LINE]) {
        let (key, value) = item?;
        let line = key
            .get(1..)
            .and_then(|name| std::str::from_utf8(name).ok())
            .and_then(|name| Line::parse(name).ok());
        kept.lines.insert(line.context("a line's name is not readable")?, decode(&value)?);
    }
    for item in db.scan_prefix([DURABLE]) {
        let (key, value) = item?;
        let (outbox, adapter) = key
            .get(1..)
            .and_then(|key| key.split_at_checked(16))
            .context("a counter's key is not readable")?;
        let adapter = AdapterId::parse(std::str::from_utf8(adapter)?)?;
        let sequence = u64::from_be_bytes(value.as_ref().try_into()?);
        kept.durable.insert((adapter, Uuid::from_slice(outbox)?), sequence);
    }
    Ok(kept)
}

struct Writer {
    db: sled::Db,
    file: File,
    queue: mpsc::Receiver<Vec<Keep>>,
    next: u64,
    durable: watch::Sender<Durable>,
}

impl Writer {
    fn run(mut self) {
        let mut group = Vec::new();
        while self.queue.blocking_recv_many(&mut group, GROUP) > 0 {
            let (batch, next, noted) = self.batch(group.drain(..).flatten(), Timestamp::now());
            if let Err(e) = self.write(batch) {
                // sled does not recover from a failed write until it is opened again.
                tracing::error!(
                    "the store cannot be written: {e:#}. Calls still pop and adapters keep what happens; \
                     make room on the disk and start the hub again"
                );
                return;
            }
            self.next = next;
            if !noted.is_empty() {
                self.durable.send_modify(|durable| durable.extend(noted));
            }
        }
    }

    fn batch(&self, keeps: impl Iterator<Item = Keep>, now: Timestamp) -> (sled::Batch, u64, Durable) {
        let mut batch = sled::Batch::default();
        let mut next = self.next;
        let mut noted = Durable::new();
        let mut seen_rows = Vec::new();
        let mut row = |log: u8, text: String, batch: &mut sled::Batch| {
            let mut key = vec![log];
            key.extend(next.to_be_bytes());
            batch.insert(key, text.into_bytes());
            next += 1;
        };
        let mut log = |entry: LogEntry, batch: &mut sled::Batch| row(LOG, wire::encode(&entry), batch);
        for keep in keeps {
            match keep {
                Keep::Noted { adapter, outbox, sequence, event, repeated } => {
                    let origin = Some(Origin { outbox, sequence });
                    log(
                        LogEntry { kept_at: now, adapter: adapter.clone(), origin, event, repeated },
                        &mut batch,
                    );
                    noted.insert((adapter, outbox), sequence);
                }
                Keep::Concluded { adapter, event } => {
                    log(LogEntry { kept_at: now, adapter, origin: None, event, repeated: false }, &mut batch);
                }
                Keep::Seen(seen) => seen_rows.push(wire::encode(&seen)),
                Keep::Call { call, kept } => {
                    let mut key = vec![CALL];
                    key.extend(call.0.as_bytes());
                    match kept {
                        Some(kept) => batch.insert(key, wire::encode(&kept).into_bytes()),
                        None => batch.remove(key),
                    }
                }
                Keep::Line { line, kept } => {
                    let mut key = vec![LINE];
                    key.extend(line.as_str().as_bytes());
                    match kept {
                        Some(kept) => batch.insert(key, wire::encode(&kept).into_bytes()),
                        None => batch.remove(key),
                    }
                }
            }
        }
        for text in seen_rows {
            row(SEEN, text, &mut batch);
        }
        for ((adapter, outbox), sequence) in &noted {
            let mut key = vec![DURABLE];
            key.extend(outbox.as_bytes());
            key.extend(adapter.as_str().as_bytes());
            batch.insert(key, &sequence.to_be_bytes());
        }
        (batch, next, noted)
    }

    fn write(&self, batch: sled::Batch) -> anyhow::Result<()> {
        self.db.apply_batch(batch)?;
        // sled's flush reaches the page cache, which survives this program; the sync survives the machine.
        self.db.flush()?;
        self.file.sync_data()?;
        Ok(())
    }
}

fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    Ok(wire::decode(std::str::from_utf8(bytes)?)?)
}
