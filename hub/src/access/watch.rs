//! Notices within a second that the file of people has changed, and makes it so: the core hears first, then
//! links whose login is over close. A file with mistakes changes nothing.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Access, people};
use crate::links::ToHub;

const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Access {
    /// Reads the people again whenever their file changes, until `stop`.
    pub async fn keep_current(&self, hub: mpsc::Sender<ToHub>, stop: CancellationToken) {
        let path = self.settings.users.clone();
        let mut last = self.read_at;
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => {}
            }
            let now = tokio::fs::metadata(&path).await.ok().map(|about| Mark::of(&about));
            if now == last {
                continue;
            }
            last = now;
            if self.read_again(&path, &hub).await.is_err() {
                return;
            }
        }
    }

    async fn read_again(&self, path: &Path, hub: &mpsc::Sender<ToHub>) -> Result<(), ()> {
        if !path.exists() {
            tracing::error!("{} is gone; the people stay as they were", path.display());
            return Ok(());
        }
        match people::load(path, &self.settings.agents) {
            Ok(users) => {
                let (there, staff) = (users.0.len(), self.staff_with(&users));
                hub.send(ToHub::Staff(staff)).await.map_err(drop)?;
                self.users.send_replace(Arc::new(users));
                tracing::info!("{} was read again: {there} people", path.display());
            }
            Err(e) => tracing::error!("{e:#}\nThe people stay as they were"),
        }
        Ok(())
    }
}

/// What changes when a file is written: its time and length, and its number when it was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(Option<SystemTime>, u64, u64);

impl Mark {
    fn of(about: &Metadata) -> Mark {
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(about);
        #[cfg(not(unix))]
        let number = 0;
        Mark(about.modified().ok(), about.len(), number)
    }

    /// Of a file that is about to be read: what is written after that is noticed.
    pub(super) fn before_reading(path: &Path) -> Option<Mark> {
        std::fs::metadata(path).ok().map(|about| Mark::of(&about))
    }
}
