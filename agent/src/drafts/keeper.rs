//! A thread that does to the disk what the drafts want, in order: neither the screen nor the link waits
//! for a disk. It decides nothing.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::folder::Folder;
use super::{DiskSays, Job};
use crate::net::Wake;

/// How many jobs wait for the disk. When full, a further one is refused, and asked for again later.
const MOST_JOBS: usize = 64;
/// How many answers wait for the screen; more than jobs can be under way.
const MOST_ANSWERS: usize = 4 * MOST_JOBS;

/// The running thread.
pub struct Keeper {
    jobs: SyncSender<Job>,
    /// What the disk says.
    pub said: mpsc::Receiver<DiskSays>,
    thread: JoinHandle<()>,
}

impl Keeper {
    /// Starts with what lies in the folder, or with why there is none.
    pub fn start(folder: Result<Folder, String>, wake: Wake) -> std::io::Result<Keeper> {
        let (jobs, jobs_out) = sync_channel(MOST_JOBS);
        let (tell, said) = mpsc::channel(MOST_ANSWERS);
        let work = move || work(&folder, &jobs_out, &tell, &wake);
        let thread = std::thread::Builder::new().name("drafts".to_owned()).spawn(work)?;
        Ok(Keeper { jobs, said, thread })
    }

    /// Asks for a job; gives it back when too many wait.
    pub fn ask(&self, job: Job) -> Result<(), Job> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }

    /// Does what was asked for, then ends.
    pub fn end(self) {
        // Nobody listens any more: the thread must not wait to be heard.
        drop(self.said);
        drop(self.jobs);
        let _ = self.thread.join();
    }
}

fn work(folder: &Result<Folder, String>, jobs: &Receiver<Job>, tell: &mpsc::Sender<DiskSays>, wake: &Wake) {
    let say = |said| {
        let _ = tell.blocking_send(said);
        wake();
    };
    match folder.as_ref().map_err(Clone::clone).and_then(Folder::load) {
        Ok(found) => {
            say(DiskSays::Loaded { entries: found.entries, texts: found.texts, damaged: found.damaged });
        }
        Err(why) => say(DiskSays::Failed(why)),
    }
    while let Ok(job) = jobs.recv() {
        let done = folder.as_ref().map_err(Clone::clone).and_then(|folder| folder.obey(&job));
        match (job, done) {
            (Job::Save(kept), Ok(())) => say(DiskSays::Saved(kept.id)),
            (Job::Save(kept), Err(why)) => say(DiskSays::NotSaved(kept.id, why)),
            (_, Ok(())) => {}
            (_, Err(why)) => say(DiskSays::Failed(why)),
        }
    }
}
