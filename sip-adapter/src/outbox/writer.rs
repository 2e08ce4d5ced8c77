//! The thread that takes groups to the disk, never more often than every [`PAUSE`]: under load a group then
//! holds what many messages brought, most of which the hub has had meanwhile.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use pinkas_protocol::{CallId, wire};
use tokio::sync::{Notify, watch};

use super::state::{Group, State, Take};
use super::{META_DURABLE, META_RESERVED, Written, event_key, live_key};

/// The least time between two groups. What is told in it is told again after a crash, so it is short; the hub, which
/// has what it was told on its disk within 50 ms, is mostly sooner.
const PAUSE: Duration = Duration::from_millis(100);

/// What the outbox and its writer share.
pub(super) struct Shared {
    desk: Mutex<Desk>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes whoever waits for the writer.
    pub room: Notify,
    /// What readers see.
    pub written: watch::Sender<Written>,
}

/// What the lock guards.
pub(super) struct Desk {
    pub state: State,
    /// The writer waits for work.
    idle: bool,
    /// No copy of the outbox is left.
    closed: bool,
    /// The writer has ended.
    pub stopped: bool,
}

impl Shared {
    pub(super) fn new(state: State, first: Written) -> Shared {
        Shared {
            desk: Mutex::new(Desk { state, idle: false, closed: false, stopped: false }),
            work: Condvar::new(),
            room: Notify::new(),
            written: watch::Sender::new(first),
        }
    }

    /// No code panics while it holds this, so a poisoned lock is still whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was changed: gets the writer to work, if there is any that it does not know of.
    pub(super) fn changed(&self, mut desk: MutexGuard<'_, Desk>) {
        if (desk.idle && desk.state.is_due()) || desk.state.pressed {
            desk.idle = false;
            self.work.notify_one();
        }
    }

    /// Nobody has anything to note any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    /// Waits until something must be written; says whether it is the last time.
    fn wait(&self) -> (Group, bool) {
        let mut desk = self.lock();
        desk.idle = !desk.state.is_due();
        let waited = self.work.wait_while(desk, |desk| desk.idle && !desk.closed);
        let mut desk = waited.unwrap_or_else(PoisonError::into_inner);
        desk.idle = false;
        let quiet = |desk: &mut Desk| !desk.closed && !desk.state.pressed;
        let (mut desk, _) =
            self.work.wait_timeout_while(desk, PAUSE, quiet).unwrap_or_else(PoisonError::into_inner);
        let take = if desk.closed || desk.state.pressed { Take::All } else { Take::Aged };
        (desk.state.group(take), desk.closed)
    }
}

/// The writer's own.
pub(super) struct Writer {
    pub db: sled::Db,
    pub shared: Arc<Shared>,
    pub synced: SyncSender<()>,
    /// Calls that have a record on disk.
    pub live: BTreeSet<CallId>,
}

impl Writer {
    /// Works until the outbox is closed.
    pub(super) fn run(mut self) {
        loop {
            let (group, last) = self.shared.wait();
            self.write(group);
            if last {
                return self.finish();
            }
        }
    }

    /// Writes one group. Once that has failed the disk is left alone: sled does not recover.
    pub(super) fn write(&mut self, group: Group) {
        if group.is_empty() {
            return;
        }
        let result = self.put(&group);
        let mut desk = self.shared.lock();
        match result {
            Ok(()) => desk.state.wrote(&group),
            Err(e) => {
                desk.state.failed();
                self.shared.written.send_modify(|written| written.on_disk = false);
                tracing::error!(
                    "the outbox cannot be written: {e}. Calls go on and are told, but what the hub does not have \
                     is lost with this program: make room on the disk, then start the adapter again"
                );
            }
        }
        drop(desk);
        self.shared.room.notify_waiters();
    }

    fn put(&mut self, group: &Group) -> sled::Result<()> {
        let mut batch = sled::Batch::default();
        for number in &group.done {
            batch.remove(event_key(*number));
        }
        for (number, event) in &group.events {
            batch.insert(event_key(*number), wire::encode(event).into_bytes());
        }
        for (call, record) in &group.calls {
            match record {
                Some(record) => {
                    self.live.insert(*call);
                    batch.insert(live_key(*call), wire::encode(record).into_bytes());
                }
                None if self.live.remove(call) => batch.remove(live_key(*call)),
                // It began and ended between two groups.
                None => {}
            }
        }
        if let Some(reserve) = group.reserve {
            batch.insert(META_RESERVED, &reserve.to_be_bytes());
        }
        batch.insert(META_DURABLE, &group.durable.to_be_bytes());
        self.db.apply_batch(batch)?;
        if group.says_something() {
            // The page cache survives this program's death.
            self.db.flush()?;
            // The disk survives the machine's. A sync that is already waiting covers this write too.
            let _ = self.synced.try_send(());
        }
        Ok(())
    }

    /// What was acknowledged last need not be repeated after the next start, nor a number skipped.
    fn finish(&self) {
        let (latest, on_disk) = {
            let desk = self.shared.lock();
            (desk.state.latest, desk.state.on_disk)
        };
        if !on_disk {
            return;
        }
        let unused = self.db.insert(META_RESERVED, &latest.to_be_bytes());
        if let Err(e) = unused.and_then(|_| self.db.flush()) {
            tracing::warn!("the outbox could not be closed in order; some events will be repeated: {e}");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.room.notify_waiters();
    }
}

/// sled's flush reaches the page cache, which survives this program; the sync survives the machine. It
/// may take long, and neither the next event nor the pop waits for it.
pub(super) fn start_syncing(file: PathBuf) -> anyhow::Result<SyncSender<()>> {
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
