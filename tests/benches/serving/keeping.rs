//! The record of a bare server: each event one row in sled, in groups as far apart as the hub's, each synced to the
//! disk before it is acknowledged. No call, no line, no history, nothing to look up.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// As the hub's.
const BETWEEN: Duration = Duration::from_millis(50);
const GROUP: usize = 512;

/// Takes events with their numbers; says through `acks` up to which one they are on the disk.
pub fn begin(folder: &Path, acks: watch::Sender<u64>) -> anyhow::Result<mpsc::Sender<(u64, Utf8Bytes)>> {
    let db = sled::Config::new().path(folder).cache_capacity(64 << 20).flush_every_ms(None).open()?;
    let file = File::open(folder.join("db"))?;
    let (keep, mut queue) = mpsc::channel::<(u64, Utf8Bytes)>(16_384);
    let mut work = move || -> anyhow::Result<()> {
        let (mut group, mut next) = (Vec::new(), Instant::now());
        while queue.blocking_recv_many(&mut group, GROUP) > 0 {
            std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
            while group.len() < GROUP
                && let Ok(event) = queue.try_recv()
            {
                group.push(event);
            }
            next = Instant::now() + BETWEEN;
            let mut batch = sled::Batch::default();
            let last = group.last().map_or(0, |(sequence, _)| *sequence);
            for (sequence, text) in group.drain(..) {
                batch.insert(&sequence.to_be_bytes(), text.as_bytes());
            }
            db.apply_batch(batch)?;
            db.flush()?;
            file.sync_data()?;
            acks.send_replace(last);
        }
        Ok(())
    };
    std::thread::Builder::new()
        .name("record".to_owned())
        .spawn(move || {
            if let Err(e) = work() {
                eprintln!("the record of the bare server: {e:#}");
            }
        })
        .context("cannot start a thread")?;
    Ok(keep)
}
