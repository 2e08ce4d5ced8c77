//! The one thread that writes the record: what waits is written in one batch and synced, and only then
//! is anybody told. After a failed write it stops; sled does not recover until it is opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::{CallId, PastCall};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::opening::{Mark, writes};
use super::rows::{self, counted_key, encode, entry_key, key, line_key};
use super::{Durable, LogEntry, Origin, Said, decode};
use crate::core::{Keep, KeptCall, Seen, Trace};
use crate::metrics;

const GROUP: usize = 512;
/// Groups are begun no closer than this: each costs a sync, however little is in it. What comes alone is written at
/// once. Adapters keep for 100 ms in memory what is not acknowledged, before they write it to their own disk.
const BETWEEN: Duration = Duration::from_millis(50);
/// How much is forgotten at once, so that new calls never wait long behind old ones.
const FORGET_CALLS: usize = 512;
const FORGET_LOG: usize = 4_096;

pub(super) struct Writer {
    db: sled::Db,
    disk: Disk,
    next: u64,
    durable: watch::Sender<Durable>,
}

/// What makes a batch durable.
pub(super) struct Disk {
    db: sled::Db,
    file: File,
    mark: Mark,
    writes: u64,
}

impl Disk {
    pub(super) fn new(db: sled::Db, folder: &Path) -> anyhow::Result<Disk> {
        let file = File::open(folder.join("db")).context("the store's file cannot be opened")?;
        let mark = Mark::open(folder).context("the store's folder cannot be written")?;
        Ok(Disk { writes: writes(&db)?, db, file, mark })
    }

    /// Returns once the batch is on the disk.
    pub(super) fn write(&mut self, mut batch: sled::Batch) -> anyhow::Result<()> {
        self.writes += 1;
        batch.insert(rows::WRITES, &self.writes.to_be_bytes());
        self.db.apply_batch(batch)?;
        // sled's flush reaches the page cache, which survives this program; the sync survives the machine.
        self.db.flush()?;
        self.file.sync_data()?;
        self.mark.set(self.writes);
        Ok(())
    }
}

/// What is to be said once a group is on disk.
#[derive(Default)]
struct Then {
    next: u64,
    noted: Durable,
    say: Vec<Said>,
}

impl Writer {
    pub(super) fn new(
        db: sled::Db,
        folder: &Path,
        durable: watch::Sender<Durable>,
    ) -> anyhow::Result<Writer> {
        let next = next_log_number(&db)?;
        Ok(Writer { disk: Disk::new(db.clone(), folder)?, db, next, durable })
    }

    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Vec<Keep>>, said: &mpsc::Sender<Said>) {
        let mut group = Vec::new();
        let mut next = Instant::now();
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            more(&mut queue, &mut group, next);
            next = Instant::now() + BETWEEN;
            let (begun, words) = (Instant::now(), group.iter().map(Vec::len).sum());
            let written = self
                .batch(group.drain(..).flatten(), Timestamp::now())
                .and_then(|(batch, then)| self.disk.write(batch).map(|()| then));
            let then = match written {
                Ok(then) => then,
                Err(e) => {
                    tracing::error!(
                        "the store cannot be written: {e:#}. Calls still pop and adapters keep what happens; \
                         make room on the disk and start the hub again"
                    );
                    return;
                }
            };
            metrics::written(words, begun.elapsed());
            self.next = then.next;
            if !then.noted.is_empty() {
                self.durable.send_modify(|durable| durable.extend(then.noted));
            }
            for say in then.say {
                // Nobody listens any more while the hub stops.
                let _ = said.blocking_send(say);
            }
        }
    }

    fn batch(
        &self,
        keeps: impl Iterator<Item = Keep>,
        now: Timestamp,
    ) -> anyhow::Result<(sled::Batch, Then)> {
        let mut batch = sled::Batch::default();
        let mut then = Then { next: self.next, ..Then::default() };
        let mut pasts = BTreeMap::<CallId, Box<PastCall>>::new();
        let mut calls = BTreeMap::<CallId, Option<Box<KeptCall>>>::new();
        let mut steps = BTreeMap::<CallId, Trace>::new();
        let mut left_out = BTreeMap::<CallId, BTreeSet<u32>>::new();
        let log = |entry: LogEntry, then: &mut Then, batch: &mut sled::Batch| {
            batch.insert(counted_key(rows::LOG, then.next), encode(&entry));
            then.next += 1;
        };
        for keep in keeps {
            match keep {
                Keep::Noted { adapter, outbox, sequence, event, repeated } => {
                    let origin = Some(Origin { outbox, sequence });
                    let entry = LogEntry { kept_at: now, adapter: adapter.clone(), origin, event, repeated };
                    log(entry, &mut then, &mut batch);
                    then.noted.insert((adapter, outbox), sequence);
                }
                Keep::Concluded { adapter, event } => {
                    let entry = LogEntry { kept_at: now, adapter, origin: None, event, repeated: false };
                    log(entry, &mut then, &mut batch);
                }
                Keep::Seen(seen) => {
                    batch.insert(counted_key(rows::SEEN, then.next), encode(&seen));
                    then.next += 1;
                }
                // Of one that changed often only how it stands in the end.
                Keep::Call { call, kept } => drop(calls.insert(call, kept)),
                Keep::Step { call, number, step: Some(step) } => {
                    steps.entry(call).or_default().insert(number, *step);
                }
                Keep::Step { call, number, step: None } => {
                    left_out.entry(call).or_default().insert(number);
                }
                Keep::Line { line, kept } => row(&mut batch, line_key(&line), kept.as_ref()),
                Keep::Person { person, kept } => row(&mut batch, rows::person_key(&person), kept.as_ref()),
                Keep::Choice { number, kept } => row(&mut batch, rows::choice_key(&number), kept.as_ref()),
                Keep::Entry { call, entry } => row(&mut batch, entry_key(call, entry.id), Some(&entry)),
                Keep::FollowUp { id, kept } => row(&mut batch, key(rows::FOLLOW_UP, id), kept.as_ref()),
                Keep::Missed { row: id, kept } => row(&mut batch, key(rows::MISSED, id.0), kept.as_ref()),
                Keep::Past { past } => drop(pasts.insert(past.id, past)),
                Keep::Acknowledge { viewer, id } => then.say.push(Said::Kept { viewer, id }),
                Keep::Forget { before } => {
                    let more = forget(&self.db, before, &mut batch)?;
                    then.say.push(Said::Forgot { more });
                }
            }
        }
        for (call, gone) in &left_out {
            if let Some(came) = steps.get_mut(call) {
                came.retain(|number, _| !gone.contains(number));
            }
            leave_out_steps(&self.db, *call, gone, &mut batch)?;
        }
        for (call, kept) in &calls {
            if kept.is_none() {
                forget_steps(&self.db, *call, &mut batch)?;
                steps.remove(call);
            }
            row(&mut batch, key(rows::CALL, call.0), kept.as_ref());
        }
        for (call, came) in &steps {
            if let Some(first) = came.keys().next() {
                row(&mut batch, rows::step_key(*call, *first), Some(came));
            }
        }
        for past in pasts.values() {
            put_past(&self.db, past, &mut batch)?;
        }
        for ((adapter, outbox), sequence) in &then.noted {
            let mut key = key(rows::DURABLE, *outbox);
            key.extend(adapter.as_str().as_bytes());
            batch.insert(key, &sequence.to_be_bytes());
        }
        Ok((batch, then))
    }
}

/// Waits until `next` for more to write at once, unless there is a whole group already.
fn more(queue: &mut mpsc::Receiver<Vec<Keep>>, group: &mut Vec<Vec<Keep>>, next: Instant) {
    let wait = next.saturating_duration_since(Instant::now());
    if !wait.is_zero() && group.len() + queue.len() < GROUP {
        std::thread::park_timeout(wait);
    }
    while group.len() < GROUP
        && let Ok(keep) = queue.try_recv()
    {
        group.push(keep);
    }
}

/// The call log and what was seen count with one counter, so that neither writes over a row of its own.
pub(super) fn next_log_number(db: &sled::Db) -> anyhow::Result<u64> {
    let last = |table: u8| db.scan_prefix([table]).keys().next_back().transpose();
    let last = [last(rows::LOG)?, last(rows::SEEN)?].into_iter().flatten();
    Ok(last.filter_map(|key| rows::counter(&key)).max().map_or(1, |n| n + 1))
}

fn row<T: serde::Serialize>(batch: &mut sled::Batch, key: Vec<u8>, value: Option<&T>) {
    match value {
        Some(value) => batch.insert(key, encode(value)),
        None => batch.remove(key),
    }
}

/// A call that is over, with its places in the indexes; those it had and has no more are removed.
pub(super) fn put_past(db: &sled::Db, past: &PastCall, batch: &mut sled::Batch) -> anyhow::Result<()> {
    let (at, indexes) = (key(rows::PAST, past.id.0), rows::index_keys(past));
    if let Some(old) = db.get(&at)? {
        for index in rows::index_keys(&decode::<PastCall>(&old)?) {
            if !indexes.contains(&index) {
                batch.remove(index);
            }
        }
    }
    for index in indexes {
        batch.insert(index, Vec::new());
    }
    batch.insert(at, encode(past));
    Ok(())
}

/// Takes steps out of a call's rows.
fn leave_out_steps(
    db: &sled::Db,
    call: CallId,
    gone: &BTreeSet<u32>,
    batch: &mut sled::Batch,
) -> anyhow::Result<()> {
    for item in db.scan_prefix(key(rows::STEP, call.0)) {
        let (key, value) = item?;
        let mut steps = rows::steps(&key, &value)?;
        let before = steps.len();
        steps.retain(|number, _| !gone.contains(number));
        if steps.len() < before {
            row(batch, key.to_vec(), (!steps.is_empty()).then_some(&steps));
        }
    }
    Ok(())
}

/// What happened to a call is kept as long as its row.
fn forget_steps(db: &sled::Db, call: CallId, batch: &mut sled::Batch) -> anyhow::Result<()> {
    for key in db.scan_prefix(key(rows::STEP, call.0)).keys() {
        batch.remove(key?);
    }
    Ok(())
}

/// Removes some of what is older, and says whether there is more of it.
fn forget(db: &sled::Db, before: Timestamp, batch: &mut sled::Batch) -> anyhow::Result<bool> {
    let mut left = FORGET_CALLS;
    // Ids sort by time; one that does not tell its time is judged by what it holds.
    let later = |call: CallId| {
        let seconds = call.0.get_timestamp().map(|at| i64::try_from(at.to_unix().0).unwrap_or(i64::MAX));
        seconds.is_some_and(|seconds| seconds >= before.as_second())
    };
    for item in db.scan_prefix([rows::PAST]) {
        let (key, value) = item?;
        if left == 0 || rows::call_in(&key).is_some_and(later) {
            break;
        }
        let past: PastCall = decode(&value)?;
        if past.arrived_at < before {
            left -= 1;
            rows::index_keys(&past).into_iter().for_each(|index| batch.remove(index));
            batch.remove(key);
        }
    }
    for item in db.scan_prefix([rows::CALL]) {
        let (key, value) = item?;
        if left == 0 || rows::call_in(&key).is_some_and(later) {
            break;
        }
        let kept: KeptCall = decode(&value)?;
        if kept.view.ended.is_some_and(|ended| ended.at < before) {
            left -= 1;
            batch.remove(key);
            forget_steps(db, kept.view.id, batch)?;
        }
    }
    for item in db.scan_prefix([rows::ENTRY]).keys() {
        let key = item?;
        if left == 0 || rows::call_in(&key).is_none_or(later) {
            break;
        }
        left -= 1;
        batch.remove(key);
    }
    let mut log_left = FORGET_LOG;
    for item in db.scan_prefix([rows::LOG]) {
        let (key, value) = item?;
        if log_left == 0 || decode::<LogEntry>(&value)?.kept_at >= before {
            break;
        }
        log_left -= 1;
        batch.remove(key);
    }
    let mut seen_left = FORGET_LOG;
    for item in db.scan_prefix([rows::SEEN]) {
        let (key, value) = item?;
        if seen_left == 0 || decode::<Seen>(&value)?.at >= before {
            break;
        }
        seen_left -= 1;
        batch.remove(key);
    }
    Ok(left == 0 || log_left == 0 || seen_left == 0)
}
