//! The record (sled): the call log, calls and lines as they stand, calls that are over, what people wrote,
//! missed calls. One thread writes, in groups, one reads for desktops; nobody is told "durable" or "kept"
//! before the disk has it. Only this room knows where the record is.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::agent_link::HubToAgent;
use pinkas_protocol::{AdapterId, CallId, Entry, Event, Line, NumberPlan, wire};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::core::{Keep, Kept, Look, Seen, ViewerId};

mod clerk;
mod command;
mod erase;
pub(crate) mod history;
mod opening;
mod rows;
#[cfg(test)]
mod tests;
mod transfer;
mod writer;

pub(crate) use clerk::Clerk;
pub use command::RecordCommand;
pub use erase::{Erased, LastErased, Whom, erase};
pub use opening::written_last;
pub use transfer::{Imported, export, export_csv, import};

use self::history::Reader;
use self::rows::{decode, key};
use self::writer::Writer;

/// Waiting to be written; when it is full the record stops, and the calls go on.
pub(crate) const QUEUE: usize = 16_384;
/// Looks waiting to be answered.
const LOOKS: usize = 64;
/// Answers waiting for the core.
const SAID: usize = 1_024;

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

/// What the store says by itself.
#[derive(Debug)]
pub enum Said {
    /// What a desktop wrote is on the disk.
    Kept {
        /// Who wrote it.
        viewer: ViewerId,
        /// What the desktop called it.
        id: Uuid,
    },
    /// The answer to a look.
    Page {
        /// Who asked.
        viewer: ViewerId,
        /// The page.
        page: Box<HubToAgent>,
    },
    /// Some old calls were forgotten.
    Forgot {
        /// There are older ones still: ask again.
        more: bool,
    },
}

/// The ends of the threads that write and read.
pub struct Store {
    /// What is to be kept, in order.
    pub keep: mpsc::Sender<Vec<Keep>>,
    /// Looks into the record.
    pub look: mpsc::Sender<Look>,
    /// Changes after every write.
    pub durable: watch::Receiver<Durable>,
    /// What was kept, and answers.
    pub said: mpsc::Receiver<Said>,
    /// When the call log was last written, before this start.
    pub last_written: Option<Timestamp>,
    threads: [std::thread::JoinHandle<()>; 2],
    folder: PathBuf,
}

impl Store {
    /// Waits until everything handed over is on disk.
    pub async fn close(self) -> anyhow::Result<()> {
        drop((self.keep, self.look, self.said));
        let ([writer, reader], folder) = (self.threads, self.folder);
        let ended = move || {
            let ended = writer.join().is_ok() && reader.join().is_ok();
            opening::prepare_next(&folder);
            ended.then_some(())
        };
        tokio::task::spawn_blocking(ended).await?.context("the store's writer failed")
    }
}

/// Opens or makes the store in a folder, starts its threads, and gives what was kept. A store that is
/// damaged is moved aside with a line in the log, and a new one is made.
pub fn open(folder: &Path, numbers: NumberPlan) -> anyhow::Result<(Store, Kept)> {
    let (db, kept) = opening::open_or_move_aside(folder, Timestamp::now())?;
    let last = db.scan_prefix([rows::LOG]).values().next_back().transpose()?;
    let last_written = last.and_then(|value| Some(decode::<LogEntry>(&value).ok()?.kept_at));
    let (keep, queue) = mpsc::channel(QUEUE);
    let (look, looks) = mpsc::channel(LOOKS);
    let (said_in, said) = mpsc::channel(SAID);
    let (durable_in, durable) = watch::channel(kept.durable.clone());
    let reader = Reader::new(db.clone(), numbers);
    let writer = Writer::new(db, folder, durable_in)?;
    let answers = said_in.clone();
    let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
    let writer =
        thread("store").spawn(move || writer.run(queue, &said_in)).context("cannot start a thread")?;
    let reader = thread("history").spawn(move || reader.run(looks, &answers));
    let reader = reader.context("cannot start a thread")?;
    Ok((
        Store {
            keep,
            look,
            durable,
            said,
            last_written,
            folder: folder.to_owned(),
            threads: [writer, reader],
        },
        kept,
    ))
}

/// Prints the whole call log of a hub that does not run, oldest first, one JSON line for each event.
pub fn print_log(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    for item in opening::open_stopped(folder)?.scan_prefix([rows::LOG]) {
        let entry: LogEntry = decode(&item?.1)?;
        writeln!(out, "{}", wire::encode(&entry))?;
    }
    Ok(())
}

/// Prints who was shown whose cards, oldest first, one JSON line for each, of a hub that does not run.
pub fn print_seen(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    for item in opening::open_stopped(folder)?.scan_prefix([rows::SEEN]) {
        let seen: Seen = decode(&item?.1)?;
        writeln!(out, "{}", wire::encode(&seen))?;
    }
    Ok(())
}

/// All that a hub starts with. It reads what is live and the last that ended, never all that is kept.
fn read(db: &sled::Db) -> anyhow::Result<Kept> {
    let mut kept = Kept::default();
    for item in db.scan_prefix([rows::CALL]) {
        let (key, value) = item?;
        let call = rows::call_in(&key).context("a call's key is not readable")?;
        let mut whole: crate::core::KeptCall = decode(&value)?;
        whole.view.entries = entries(db, call)?;
        kept.calls.insert(call, whole);
    }
    for item in db.scan_prefix([rows::LINE]) {
        let (key, value) = item?;
        let line = key
            .get(1..)
            .and_then(|name| std::str::from_utf8(name).ok())
            .and_then(|name| Line::parse(name).ok());
        kept.lines.insert(line.context("a line's name is not readable")?, decode(&value)?);
    }
    for item in db.scan_prefix([rows::DURABLE]) {
        let (key, value) = item?;
        let (outbox, adapter) = key
            .get(1..)
            .and_then(|key| key.split_at_checked(16))
            .context("a counter's key is not readable")?;
        let adapter = AdapterId::parse(std::str::from_utf8(adapter)?)?;
        let sequence = u64::from_be_bytes(value.as_ref().try_into()?);
        kept.durable.insert((adapter, Uuid::from_slice(outbox)?), sequence);
    }
    for item in db.scan_prefix([rows::CHOICE]) {
        let (key, value) = item?;
        kept.choices.insert(rows::number_in(&key).context("a key is not readable")?, decode(&value)?);
    }
    for item in db.scan_prefix([rows::PERSON]) {
        let (key, value) = item?;
        kept.people.insert(rows::person_in(&key).context("a key is not readable")?, decode(&value)?);
    }
    for item in db.scan_prefix([rows::MISSED]) {
        let (key, value) = item?;
        kept.missed.insert(rows::call_in(&key).context("a key is not readable")?, decode(&value)?);
    }
    for item in db.scan_prefix([rows::FOLLOW_UP]) {
        let (key, value) = item?;
        kept.follow_ups.insert(rows::call_in(&key).context("a key is not readable")?.0, decode(&value)?);
    }
    for item in db.scan_prefix([rows::STEP]) {
        let (key, value) = item?;
        let (call, _) = rows::step_in(&key).context("a key is not readable")?;
        if kept.calls.contains_key(&call) {
            kept.traces.entry(call).or_default().extend(rows::steps(&key, &value)?);
        }
    }
    Ok(kept)
}

/// All that a hub that does not run would start with.
pub(crate) fn kept_by_stopped(folder: &Path) -> anyhow::Result<Kept> {
    read(&opening::open_stopped(folder)?)
}

/// What was written about a call, oldest first.
fn entries(db: &sled::Db, call: CallId) -> anyhow::Result<Vec<Entry>> {
    let found = db.scan_prefix(key(rows::ENTRY, call.0)).take(pinkas_protocol::record::MOST_ENTRIES);
    let mut entries = found.map(|item| decode(&item?.1)).collect::<anyhow::Result<Vec<Entry>>>()?;
    entries.sort_by_key(|entry| entry.at);
    Ok(entries)
}
