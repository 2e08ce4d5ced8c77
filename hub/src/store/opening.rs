//! Opening the record: another hub's is left alone, a damaged one is moved aside and said, one that went
//! back in time is said. A store is never replaced in silence.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pinkas_protocol::PastCall;

use super::rows::{self, key};
use crate::core::Kept;

/// Beside sled's files: how often the store had been written when its last write was on the disk.
const MARK: &str = "writes";

/// Opens the store of a hub that is to run.
pub(super) fn open_or_move_aside(folder: &Path, now: Timestamp) -> anyhow::Result<(sled::Db, Kept)> {
    super::erase::end_interrupted(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    ensure_free(folder)?;
    let damage = match open_and_read(folder) {
        Ok((db, kept)) => {
            told_of_lost_writes(folder, &db)?;
            return Ok((db, kept));
        }
        Err(damage) => damage,
    };
    // A disk that is full or not ours is no damage: moving the store would only lose it.
    if let Some(sled::Error::Io(e)) = damage.downcast_ref::<sled::Error>()
        && !matches!(
            e.kind(),
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::Other
        )
    {
        return Err(damage.context(format!("cannot open the store in {}", folder.display())));
    }
    let aside = free_name(folder, &format!("damaged-{}", now.to_zoned(TimeZone::UTC).date()))?;
    fs::rename(folder, &aside)
        .with_context(|| format!("the store in {} is damaged and cannot be moved", folder.display()))?;
    tracing::error!(
        "the store in {} is damaged ({damage:#}). It was moved to {} and the hub begins with an empty one. \
         Put a backup in its place, or import what an earlier export holds; adapters repeat what was not on disk",
        folder.display(),
        aside.display()
    );
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    open_and_read(folder).with_context(|| format!("cannot make a store in {}", folder.display()))
}

/// Opens the store of a hub that does not run; what is damaged is only said.
pub(super) fn open_stopped(folder: &Path) -> anyhow::Result<sled::Db> {
    anyhow::ensure!(folder.is_dir(), "there is no record in {}", folder.display());
    ensure_free(folder)?;
    let opened = guarded(|| Ok(open_db(folder)?));
    opened.with_context(|| format!("the store in {} is damaged; nothing was changed", folder.display()))
}

/// A folder's name with an ending that no folder has yet.
pub(super) fn free_name(folder: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let name = folder.file_name().context("the folder of the record has no name")?.to_string_lossy();
    let names = (1..1000).map(|n| match n {
        1 => folder.with_file_name(format!("{name}.{ending}")),
        n => folder.with_file_name(format!("{name}.{ending}-{n}")),
    });
    let mut free = names.filter(|name| !name.exists());
    free.next().with_context(|| format!("remove old folders {name}.{ending}-…: there are too many"))
}

/// How often the store had been written when last seen on the disk; 0 where nobody noted it.
pub fn written_last(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join(MARK)).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// The mark's file, kept open by the writer.
pub(super) struct Mark(File);

impl Mark {
    pub(super) fn open(folder: &Path) -> std::io::Result<Mark> {
        Ok(Mark(File::options().create(true).truncate(false).write(true).open(folder.join(MARK))?))
    }

    /// A mark that could not be written only says less later.
    pub(super) fn set(&mut self, writes: u64) {
        let _ = self.0.rewind().and_then(|()| self.0.write_all(format!("{writes:020}\n").as_bytes()));
    }
}

fn told_of_lost_writes(folder: &Path, db: &sled::Db) -> anyhow::Result<()> {
    let (noted, there) = (written_last(folder), writes(db)?);
    if noted > there {
        tracing::error!(
            "the store in {} is older than it was: its last {} writes are missing, after a restored copy or a \
             fault of the disk. What was noted in them is lost to this hub; an export or a backup may have it",
            folder.display(),
            noted - there
        );
        Mark::open(folder)?.set(there);
    }
    Ok(())
}

pub(super) fn writes(db: &sled::Db) -> anyhow::Result<u64> {
    let value = db.get(rows::WRITES)?;
    Ok(value.and_then(|value| Some(u64::from_be_bytes(value.as_ref().try_into().ok()?))).unwrap_or(0))
}

/// A store that was just closed is let go a moment later: sled's threads end by themselves.
const LET_GO_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn ensure_free(folder: &Path) -> anyhow::Result<()> {
    let Ok(file) = File::open(folder.join("db")) else { return Ok(()) };
    let mut waited = Duration::ZERO;
    while let Err(TryLockError::WouldBlock) = file.try_lock() {
        if waited >= LET_GO_WITHIN {
            bail!("another program uses the record in {}: stop the hub first", folder.display());
        }
        std::thread::park_timeout(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
    Ok(())
}

fn open_and_read(folder: &Path) -> anyhow::Result<(sled::Db, Kept)> {
    guarded(|| {
        ensure_whole(folder)?;
        let db = open_db(folder)?;
        let kept = super::read(&db)?;
        with_history(&db, &kept)?;
        Ok((db, kept))
    })
}

/// sled takes a folder whose main file is gone or empty for a new one.
fn ensure_whole(folder: &Path) -> anyhow::Result<()> {
    let mut start = [0; 1];
    let empty = File::open(folder.join("db")).and_then(|mut file| file.read_exact(&mut start)).is_err();
    anyhow::ensure!(!empty || written_last(folder) == 0, "its main file is empty or gone");
    Ok(())
}

/// sled 0.34 panics on some damage instead of saying so.
fn guarded<T>(open: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| bail!("it cannot be read"))
}

pub(super) fn open_db(folder: &Path) -> sled::Result<sled::Db> {
    sled::Config::new().path(folder).cache_capacity(64 << 20).flush_every_ms(None).open()
}

/// sled reads at each opening what was written since the one before, and notes then where it stands: done
/// while a program ends, the next start need not wait for it.
pub(super) fn prepare_next(folder: &Path) {
    // The next hub may be there already.
    if ensure_free(folder).is_err() {
        return;
    }
    if let Err(e) = guarded(|| Ok(open_db(folder)?)) {
        tracing::error!("the store in {} cannot be read again: {e:#}", folder.display());
    }
}

/// A store of an older hub has no history: it gets that of the calls it holds.
fn with_history(db: &sled::Db, kept: &Kept) -> anyhow::Result<()> {
    if db.contains_key(rows::LAYOUT)? {
        return Ok(());
    }
    let mut batch = sled::Batch::default();
    for past in kept.calls.values().filter_map(|kept| PastCall::of(&kept.view)) {
        for index in rows::index_keys(&past) {
            batch.insert(index, Vec::new());
        }
        batch.insert(key(rows::PAST, past.id.0), rows::encode(&past));
    }
    batch.insert(rows::LAYOUT, vec![1]);
    db.apply_batch(batch)?;
    db.flush()?;
    Ok(())
}
