//! The system's keyring (Secret Service on Linux, Credential Manager on Windows) in a thread of its own: it may show a
//! dialog and take as long as a person takes, and nothing that is drawn waits for it. An entry is named by hub and
//! agent. It must neither print nor pass on what a keyring's error quotes: some hold the secret.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use keyring_core::{CredentialStore, Entry, Error};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::model::login::{Job, KeyringSays, Secret, Trouble};
use crate::net::Wake;

/// How many jobs wait for the keyring. When full, a further one is refused, and asked for again later.
const MOST_JOBS: usize = 4;
/// How many answers wait for the screen; more than jobs can be under way.
const MOST_ANSWERS: usize = 4 * MOST_JOBS;
/// How long a program that ends waits for what it asked for.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Which entry: one for each login at each hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The hub's address.
    pub hub: String,
    /// Who logs in there.
    pub who: String,
}

/// The running thread.
pub struct Keyring {
    jobs: SyncSender<Job>,
    /// What the keyring says.
    pub said: mpsc::Receiver<KeyringSays>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Keyring {
    /// Starts; the keyring is not asked before the first job.
    pub fn start(name: Name, wake: Wake) -> std::io::Result<Keyring> {
        let (jobs, jobs_out) = sync_channel(MOST_JOBS);
        let (tell, said) = mpsc::channel(MOST_ANSWERS);
        let (ends, ended) = sync_channel(0);
        let work = move || {
            work(&name, &jobs_out, &tell, &wake);
            drop::<SyncSender<()>>(ends);
        };
        // Not joined: a keyring's dialog may stay open for ever.
        std::thread::Builder::new().name("keyring".to_owned()).spawn(work)?;
        Ok(Keyring { jobs, said, ended })
    }

    /// Asks for a job; gives it back when too many wait.
    pub fn ask(&self, job: Job) -> Result<(), Job> {
        self.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }

    /// Waits a moment for what was asked for: a secret that was to be forgotten should be.
    pub fn end(self) {
        drop(self.said);
        drop(self.jobs);
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(ENDS_WITHIN) {
            tracing::warn!("the system's keyring did not answer: what it was last asked for may not be done");
        }
    }
}

fn work(name: &Name, jobs: &Receiver<Job>, tell: &mpsc::Sender<KeyringSays>, wake: &Wake) {
    while let Ok(job) = jobs.recv() {
        let _ = tell.blocking_send(obey(name, &job));
        wake();
    }
}

/// Does one job, however long the keyring takes.
pub fn obey(name: &Name, job: &Job) -> KeyringSays {
    // Opened each time: a keyring may be started or restarted while this program runs.
    let entry = || open().and_then(|store| entry(&*store, name));
    match job {
        Job::Find => KeyringSays::Found(entry().and_then(|entry| find(&entry)).map_err(|e| said(&e))),
        Job::Keep(secret) => {
            KeyringSays::Kept(entry().and_then(|entry| keep(&entry, secret)).map_err(|e| said(&e)))
        }
        Job::Forget => KeyringSays::Forgot(entry().and_then(|entry| forget(&entry)).map_err(|e| said(&e))),
    }
}

#[cfg(target_os = "linux")]
fn open() -> Result<std::sync::Arc<CredentialStore>, Error> {
    // Every error here is one of reaching the service, none of a locked keyring.
    match zbus_secret_service_keyring_store::Store::new() {
        Ok(store) => Ok(store),
        Err(_) => Err(Error::NoDefaultStore),
    }
}

#[cfg(windows)]
fn open() -> Result<std::sync::Arc<CredentialStore>, Error> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", windows)))]
fn open() -> Result<std::sync::Arc<CredentialStore>, Error> {
    Err(Error::NoDefaultStore)
}

fn entry(store: &CredentialStore, name: &Name) -> Result<Entry, Error> {
    let service = format!("Pinkas at {}", name.hub);
    // What a person reads in a list of what their keyring holds.
    #[cfg(target_os = "linux")]
    let label = format!("Pinkas: {} at {}", name.who, name.hub);
    #[cfg(target_os = "linux")]
    let named = Some(std::collections::HashMap::from([("label", label.as_str())]));
    #[cfg(not(target_os = "linux"))]
    let named = None;
    store.build(&service, &name.who, named.as_ref())
}

fn find(entry: &Entry) -> Result<Option<Secret>, Error> {
    match entry.get_secret() {
        Ok(bytes) => {
            let bytes = Zeroizing::new(bytes);
            // What is no text was not put there by this program.
            Ok(std::str::from_utf8(&bytes).ok().map(|text| Secret::new(text.to_owned())))
        }
        Err(Error::NoEntry) => Ok(None),
        Err(other) => Err(other),
    }
}

fn keep(entry: &Entry, secret: &Secret) -> Result<(), Error> {
    match entry.set_secret(secret.reveal().as_bytes()) {
        Err(Error::Ambiguous(_)) => {
            forget(entry)?;
            entry.set_secret(secret.reveal().as_bytes())
        }
        done => done,
    }
}

fn forget(entry: &Entry) -> Result<(), Error> {
    match entry.delete_credential() {
        Err(Error::NoEntry) => Ok(()),
        // Other programs may have made copies.
        Err(Error::Ambiguous(entries)) => entries.iter().try_for_each(Entry::delete_credential),
        done => done,
    }
}

fn said(error: &Error) -> Trouble {
    let trouble = match error {
        Error::NoDefaultStore => Trouble::NoKeyring,
        Error::NoStorageAccess(_) => Trouble::Locked,
        _ => Trouble::Broken,
    };
    match trouble {
        Trouble::NoKeyring => tracing::info!("no keyring runs on this computer"),
        Trouble::Locked => tracing::warn!("the system's keyring stayed locked"),
        Trouble::Broken => tracing::warn!("the system's keyring did not do what it was asked for"),
    }
    trouble
}
