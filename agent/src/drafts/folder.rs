//! Where what was written lies on this computer's disk: one small file each, readable by its person only,
//! whole or not at all, synced. Each names its hub and its person, and is read by no other login.
//! A file that cannot be read is moved aside, never removed.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::record::Refusal;
use pinkas_protocol::{AgentId, CallId, Private};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Job, Kept};
use crate::config::Config;

/// The most files looked at.
const MOST_FILES: usize = 2_048;
/// The largest file, in bytes: [`super::LONGEST_TEXT`] of the longest letters, escaped.
const LARGEST: u64 = 512 * 1024;
/// How the name of a file begins that is being written.
const NEW: &str = ".new-";

/// One person's files.
#[derive(Debug, Clone)]
pub struct Folder {
    dir: PathBuf,
    hub: String,
    agent: AgentId,
}

/// What lay there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The entries, oldest first.
    pub entries: Vec<Kept>,
    /// The unfinished notes.
    pub texts: Vec<(CallId, Private<String>)>,
    /// How many files were moved aside because they cannot be read.
    pub damaged: usize,
}

/// A file's content.
#[derive(Serialize, Deserialize)]
struct Record {
    hub: String,
    agent: AgentId,
    #[serde(flatten)]
    holds: Holds,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "holds", rename_all = "snake_case")]
enum Holds {
    Entry {
        id: Uuid,
        at: Timestamp,
        says: AgentSays,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Refusal>,
    },
    Text {
        call: CallId,
        text: Private<String>,
    },
}

impl Folder {
    /// The folder of this configuration's person, below the data folder of whoever is logged in to this
    /// computer; the error says why there is none.
    pub fn of(config: &Config) -> Result<Folder, String> {
        Folder::below(&config.data.join("drafts"), &config.hub.to_string(), &config.agent)
    }

    /// Keeps the folder for this program until the file is closed; `None`: another desktop of the same login has
    /// it, and the two would end each other's links and send the same notes.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.dir.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// The folder of `agent` at `hub` below `dir`; made where it is not there.
    pub fn below(dir: &Path, hub: &str, agent: &AgentId) -> Result<Folder, String> {
        // An address holds what no file name may; two logins of one name differ by their hub.
        let digest = Sha256::digest(format!("{hub}\n{agent}"));
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let dir = dir.join(name);
        make_dir(&dir).map_err(|e| format!("{} cannot be made: {e}", dir.display()))?;
        Ok(Folder { dir, hub: hub.to_owned(), agent: agent.clone() })
    }

    /// Does what the drafts want done.
    pub fn obey(&self, job: &Job) -> Result<(), String> {
        match job {
            Job::Save(Kept { id, at, says, refused }) => {
                let holds = Holds::Entry { id: *id, at: *at, says: says.clone(), refused: *refused };
                self.write(&entry_name(*id), holds)
            }
            Job::Remove(id) => self.remove(&entry_name(*id)),
            Job::SaveText(call, text) if text.0.is_empty() => self.remove(&text_name(*call)),
            Job::SaveText(call, text) => {
                self.write(&text_name(*call), Holds::Text { call: *call, text: text.clone() })
            }
        }
        .map_err(|e| format!("{} takes nothing: {e}", self.dir.display()))
    }

    /// All that lies here of this person.
    pub fn load(&self) -> Result<Found, String> {
        let listed =
            fs::read_dir(&self.dir).map_err(|e| format!("{} cannot be read: {e}", self.dir.display()))?;
        let mut found = Found::default();
        for file in listed.take(MOST_FILES).filter_map(Result::ok) {
            let (path, name) = (file.path(), file.file_name());
            let name = name.to_string_lossy();
            if name.starts_with(NEW) {
                // The program ended while this was written: it had not been entered yet.
                let _ = fs::remove_file(path);
            } else if name.ends_with(".json") {
                match read(&path) {
                    Ok(record) => self.take(record, &name, &mut found),
                    Err(_) => {
                        let aside = path.with_extension("json.damaged");
                        found.damaged += usize::from(fs::rename(&path, aside).is_ok());
                    }
                }
            }
        }
        found.entries.sort_by_key(|kept| (kept.at, kept.id));
        found.texts.sort_by_key(|(call, _)| *call);
        Ok(found)
    }

    /// What is another person's, or lies under another name than its own, is left alone.
    fn take(&self, record: Record, name: &str, found: &mut Found) {
        if record.hub != self.hub || record.agent != self.agent {
            return;
        }
        match record.holds {
            Holds::Entry { id, at, says, refused } => {
                if name == entry_name(id) && super::id_of(&says) == Some(id) {
                    found.entries.push(Kept { id, at, says, refused });
                }
            }
            Holds::Text { call, text } => {
                if name == text_name(call) {
                    found.texts.push((call, text));
                }
            }
        }
    }

    fn write(&self, name: &str, holds: Holds) -> io::Result<()> {
        let record = Record { hub: self.hub.clone(), agent: self.agent.clone(), holds };
        let bytes = serde_json::to_vec(&record)?;
        // Made with 0600 where the system knows modes.
        let mut file = tempfile::Builder::new().prefix(NEW).tempfile_in(&self.dir)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.dir.join(name))?;
        self.sync()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.dir.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// The new name too is to outlive a loss of power. On Windows a folder cannot be synced.
    fn sync(&self) -> io::Result<()> {
        if cfg!(unix) { File::open(&self.dir)?.sync_all() } else { Ok(()) }
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn entry_name(id: Uuid) -> String {
    format!("entry-{id}.json")
}

fn text_name(call: CallId) -> String {
    format!("text-{call}.json")
}

fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
