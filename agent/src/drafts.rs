//! What this person wrote and the hub does not have yet: each entry is on this computer's disk before it
//! counts as entered, goes to the hub, again after each reconnect, and is forgotten once the hub has kept it.
//! Pure: what is to be done next is asked for; `keeper` and `folder` do it. Nothing here is sent as anyone else.

pub mod folder;
pub mod keeper;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::record::{LONGEST_NOTE, Refusal};
use pinkas_protocol::{CallId, CallView, Private, Written};
use uuid::Uuid;

/// The most entries that wait for the hub or were refused by it.
pub const MOST_WAITING: usize = 256;
/// The most calls with an unfinished note; the oldest is forgotten first.
pub const MOST_TEXTS: usize = 64;
/// The most entries remembered as kept, to be shown as such.
const MOST_KEPT: usize = 64;
/// The longest unfinished note, in characters; a note that is longer than the hub takes can still be cut.
pub const LONGEST_TEXT: usize = 4 * LONGEST_NOTE;
/// How long typing may go on before it is put on the disk.
pub const SAVES_AFTER: SignedDuration = SignedDuration::from_millis(600);

/// Everything written here that the hub may not have yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drafts {
    entries: BTreeMap<Uuid, Entered>,
    texts: BTreeMap<CallId, Text>,
    /// Files to be removed.
    unwanted: BTreeSet<Uuid>,
    trouble: Option<String>,
    damaged: usize,
}

/// Something entered, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entered {
    /// What the hub calls it too.
    pub id: Uuid,
    /// When it was entered, by the desktop's clock.
    pub at: Timestamp,
    /// What is told the hub: `Write`, `Handled` or `Done`.
    pub says: AgentSays,
    /// How far it has come.
    pub stage: Stage,
    disk: Disk,
    told: bool,
}

impl Entered {
    /// What was written, if it is about a call.
    pub fn written(&self) -> Option<&Written> {
        match &self.says {
            AgentSays::Write { what, .. } => Some(what),
            _ => None,
        }
    }

    /// The hub has told of it already.
    pub fn is_told(&self, view: &CallView) -> bool {
        view.entries.iter().any(|told| told.id == self.id)
    }
}

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// On its way to this computer's disk: not entered yet.
    Saving,
    /// The hub has not said yet that it has it.
    Waiting,
    /// The hub has it on its disk.
    Kept,
    /// The hub does not take it.
    Refused(Why),
}

/// Why an entry is not taken. The text is meant for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The hub said so.
    #[error("{0}")]
    Hub(Refusal),
    /// [`MOST_WAITING`] wait already.
    #[error("too much waits for the hub already: look why it is not connected")]
    TooMuchWaits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    /// It is to be written.
    Wanted,
    /// It is being written.
    Asked,
    /// It is there.
    There,
    /// The disk does not take it.
    Failed,
    /// It is not there, or will not be in a moment.
    Gone,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Text {
    text: Private<String>,
    /// Since when it differs from what is on the disk.
    changed: Option<Timestamp>,
}

/// What the disk is to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Write this entry, in place of what is there of it.
    Save(Kept),
    /// Remove an entry.
    Remove(Uuid),
    /// Write this unfinished note; an empty one is removed.
    SaveText(CallId, Private<String>),
}

/// An entry as it lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What the hub calls it too.
    pub id: Uuid,
    /// When it was entered.
    pub at: Timestamp,
    /// What is told the hub.
    pub says: AgentSays,
    /// Why the hub did not take it.
    pub refused: Option<Refusal>,
}

/// What the disk says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskSays {
    /// What was there at the start.
    Loaded {
        /// The entries.
        entries: Vec<Kept>,
        /// The unfinished notes.
        texts: Vec<(CallId, Private<String>)>,
        /// How many damaged files were moved aside.
        damaged: usize,
    },
    /// An entry is on the disk.
    Saved(Uuid),
    /// An entry is not on the disk, and why.
    NotSaved(Uuid, String),
    /// Something else was not done, and why.
    Failed(String),
}

impl Drafts {
    /// Something is entered. `says` is `Write`, `Handled` or `Done`, with `id` in it.
    pub fn enter(&mut self, id: Uuid, at: Timestamp, says: AgentSays) {
        let long = matches!(&says, AgentSays::Write { what, .. } if too_long(what));
        let waiting = self.entries.values().filter(|entry| entry.stage != Stage::Kept).count();
        let (stage, disk) = match () {
            () if long => (Stage::Refused(Why::Hub(Refusal::TooLong)), Disk::Gone),
            () if waiting >= MOST_WAITING => (Stage::Refused(Why::TooMuchWaits), Disk::Gone),
            () => (Stage::Saving, Disk::Wanted),
        };
        self.entries.insert(id, Entered { id, at, says, stage, disk, told: false });
        self.bound();
    }

    /// A note that is being typed reads so now.
    pub fn type_text(&mut self, call: CallId, text: &str, now: Timestamp) {
        let text: String = text.chars().take(LONGEST_TEXT).collect();
        if self.text(call) == text {
            return;
        }
        let known = self.texts.entry(call).or_default();
        known.text = Private(text);
        known.changed = known.changed.or(Some(now));
        let mut over = self.texts.values().filter(|text| !text.text.0.is_empty()).count();
        for (_, text) in self.texts.iter_mut().filter(|(id, _)| **id != call) {
            if over > MOST_TEXTS && !text.text.0.is_empty() {
                *text = Text { text: Private::default(), changed: Some(now) };
                over -= 1;
            }
        }
    }

    /// The unfinished note of a call.
    pub fn text(&self, call: CallId) -> &str {
        self.texts.get(&call).map_or("", |text| &text.text.0)
    }

    /// What was written about a call, oldest first.
    pub fn of(&self, call: CallId) -> impl Iterator<Item = &Entered> {
        self.all().filter(
            move |entry| matches!(&entry.says, AgentSays::Write { call: about, .. } if *about == call),
        )
    }

    /// Everything entered, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Entered> {
        self.entries.values()
    }

    /// How many entries the hub does not have yet.
    pub fn waiting(&self) -> usize {
        self.all().filter(|entry| matches!(entry.stage, Stage::Saving | Stage::Waiting)).count()
    }

    /// Why this computer's disk takes nothing, as it said last: what is written now would not outlive a crash.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How many files of unsent notes were found damaged at the start, and moved aside.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// The hub has an entry on its disk.
    pub fn kept(&mut self, id: Uuid) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.stage = Stage::Kept;
            entry.disk = Disk::Gone;
            self.unwanted.insert(id);
        }
        self.bound();
    }

    /// The hub does not take an entry.
    pub fn refused(&mut self, id: Uuid, why: Refusal) {
        if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.stage == Stage::Waiting) {
            entry.stage = Stage::Refused(Why::Hub(why));
            entry.disk = Disk::Wanted;
        }
    }

    /// The person wants a refused entry sent again.
    pub fn send_again(&mut self, id: Uuid) {
        let waiting = self.waiting();
        let entry = self.entries.get_mut(&id).filter(|entry| matches!(entry.stage, Stage::Refused(_)));
        let long = |entry: &Entered| matches!(&entry.says, AgentSays::Write { what, .. } if too_long(what));
        if let Some(entry) = entry.filter(|entry| waiting < MOST_WAITING && !long(entry)) {
            (entry.stage, entry.disk, entry.told) = (Stage::Saving, Disk::Wanted, false);
        }
    }

    /// The person wants a refused entry forgotten.
    pub fn discard(&mut self, id: Uuid) {
        if self.entries.get(&id).is_some_and(|entry| matches!(entry.stage, Stage::Refused(_))) {
            self.entries.remove(&id);
            self.unwanted.insert(id);
        }
    }

    /// There is a new link: what waits is told again.
    pub fn connected(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.told = false);
    }

    /// What the disk says.
    pub fn disk_said(&mut self, said: DiskSays) {
        match said {
            DiskSays::Loaded { entries, texts, damaged } => self.load(entries, texts, damaged),
            DiskSays::Saved(id) => {
                self.trouble = None;
                self.saved(id, Disk::There);
            }
            DiskSays::NotSaved(id, why) => {
                self.trouble = Some(why);
                self.saved(id, Disk::Failed);
            }
            DiskSays::Failed(why) => self.trouble = Some(why),
        }
    }

    fn load(&mut self, entries: Vec<Kept>, texts: Vec<(CallId, Private<String>)>, damaged: usize) {
        for Kept { id, at, says, refused } in entries {
            let stage = refused.map_or(Stage::Waiting, |why| Stage::Refused(Why::Hub(why)));
            let entry = Entered { id, at, says, stage, disk: Disk::There, told: false };
            self.entries.entry(id).or_insert(entry);
        }
        for (call, text) in texts {
            // The program ended between the note and its draft: what was entered is no draft any more.
            let entered = self.of(call).any(|entry| is_note(&entry.says, &text));
            let changed = entered.then_some(Timestamp::MIN);
            let text = if entered { Private::default() } else { text };
            // What was typed since the start is newer.
            self.texts.entry(call).or_insert(Text { text, changed });
        }
        self.damaged = damaged;
    }

    fn saved(&mut self, id: Uuid, how: Disk) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.disk == Disk::Asked {
            entry.disk = how;
        }
        if entry.stage == Stage::Saving {
            entry.stage = Stage::Waiting;
            if let AgentSays::Write { call, what: Written::Note { text }, .. } = &entry.says {
                let (call, text) = (*call, text.clone());
                let draft = self.texts.get_mut(&call).filter(|draft| draft.text == text);
                if let Some(draft) = draft {
                    *draft = Text { text: Private::default(), changed: Some(Timestamp::MIN) };
                }
            }
        }
    }

    /// What the disk is to do next; asked again until there is nothing.
    pub fn next_job(&mut self, now: Timestamp) -> Option<Job> {
        if let Some(entry) = self.entries.values_mut().find(|entry| entry.disk == Disk::Wanted) {
            entry.disk = Disk::Asked;
            let refused = match entry.stage {
                Stage::Refused(Why::Hub(why)) => Some(why),
                _ => None,
            };
            let Entered { id, at, says, .. } = entry.clone();
            return Some(Job::Save(Kept { id, at, says, refused }));
        }
        if let Some(id) = self.unwanted.pop_first() {
            return Some(Job::Remove(id));
        }
        let due = |text: &Text| text.changed.is_some_and(|changed| saves_at(changed) <= now);
        let call = self.texts.iter().find(|(_, text)| due(text)).map(|(call, _)| *call)?;
        let text = self.texts.get_mut(&call)?;
        text.changed = None;
        let said = text.text.clone();
        if said.0.is_empty() {
            self.texts.remove(&call);
        }
        Some(Job::SaveText(call, said))
    }

    /// A job was not taken: it is to be done another time.
    pub fn not_taken(&mut self, job: Job, now: Timestamp) {
        match job {
            Job::Save(Kept { id, .. }) => {
                if let Some(entry) = self.entries.get_mut(&id).filter(|entry| entry.disk == Disk::Asked) {
                    entry.disk = Disk::Wanted;
                }
            }
            Job::Remove(id) => {
                self.unwanted.insert(id);
            }
            Job::SaveText(call, _) => {
                let text = self.texts.entry(call).or_default();
                text.changed = text.changed.or(Some(now));
            }
        }
    }

    /// All that is typed and not on the disk is to be saved now: the program ends.
    pub fn hurry(&mut self) {
        for text in self.texts.values_mut().filter(|text| text.changed.is_some()) {
            text.changed = Some(Timestamp::MIN);
        }
    }

    /// When [`Drafts::next_job`] has something to do by time alone.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.texts.values().filter_map(|text| text.changed.map(saves_at)).min()
    }

    /// What the hub is to be told next, while there is a link; asked again until there is nothing.
    pub fn next_told(&mut self) -> Option<AgentSays> {
        let untold = |entry: &&mut Entered| entry.stage == Stage::Waiting && !entry.told;
        let entry = self.entries.values_mut().find(untold)?;
        entry.told = true;
        Some(entry.says.clone())
    }

    /// Something could not be sent: it is told another time.
    pub fn not_told(&mut self, says: &AgentSays) {
        if let Some(entry) = id_of(says).and_then(|id| self.entries.get_mut(&id)) {
            entry.told = false;
        }
    }

    /// Whether what the hub missed has been marked here already.
    pub fn is_handled(&self, row: CallId) -> bool {
        self.under_way(|says| matches!(says, AgentSays::Handled { row: this, .. } if *this == row))
    }

    /// Whether a follow-up has been ticked off here already.
    pub fn is_done(&self, follow_up: Uuid) -> bool {
        let this = follow_up;
        self.under_way(|says| matches!(says, AgentSays::Done { follow_up, .. } if *follow_up == this))
    }

    fn under_way(&self, is: impl Fn(&AgentSays) -> bool) -> bool {
        self.all().any(|entry| is(&entry.says) && !matches!(entry.stage, Stage::Refused(_)))
    }

    /// Forgets the oldest of those that need no file.
    fn bound(&mut self) {
        let (kept, other): (Vec<&Entered>, Vec<&Entered>) =
            self.all().filter(|entry| entry.disk == Disk::Gone).partition(|entry| entry.stage == Stage::Kept);
        let too_many = |gone: Vec<&Entered>| {
            let count = gone.len().saturating_sub(MOST_KEPT);
            gone.into_iter().take(count).map(|entry| entry.id).collect::<Vec<_>>()
        };
        for id in [too_many(kept), too_many(other)].concat() {
            self.entries.remove(&id);
        }
    }
}

fn saves_at(changed: Timestamp) -> Timestamp {
    changed.checked_add(SAVES_AFTER).unwrap_or(changed)
}

fn too_long(what: &Written) -> bool {
    match what {
        Written::Note { text } | Written::FollowUp { text, .. } => text.0.chars().count() > LONGEST_NOTE,
        Written::Outcome { .. } => false,
    }
}

fn is_note(says: &AgentSays, of: &Private<String>) -> bool {
    matches!(says, AgentSays::Write { what: Written::Note { text }, .. } if text.0.trim() == of.0.trim())
}

/// The id of what is answered by `kept` or `refused`.
pub fn id_of(says: &AgentSays) -> Option<Uuid> {
    match says {
        AgentSays::Write { id, .. } | AgentSays::Handled { id, .. } | AgentSays::Done { id, .. } => Some(*id),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
