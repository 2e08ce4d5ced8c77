//! The lists a connection begins with: what is live, who waits, what each line does. Pure.

use std::collections::BTreeSet;

/// The lists, each with the ActionID its events carry and the action that asks for it.
pub const LISTS: [(&str, &str); 4] = [
    ("sync-queues", "QueueStatus"),
    ("sync-channels", "CoreShowChannels"),
    ("sync-extensions", "ExtensionStateList"),
    ("sync-devices", "DeviceStateList"),
];

/// Which lists are still to come.
#[derive(Debug)]
pub(super) struct Resync {
    missing: BTreeSet<&'static str>,
    /// The list of channels came: calls that are not in it are over.
    pub knows_channels: bool,
    pub told_up: bool,
    /// Channels that a list says wait, until the list of channels is there too.
    pub waiting: BTreeSet<String>,
}

impl Resync {
    pub fn started() -> Resync {
        Resync {
            missing: LISTS.iter().map(|(id, _)| *id).collect(),
            knows_channels: false,
            told_up: false,
            waiting: BTreeSet::new(),
        }
    }

    pub fn none() -> Resync {
        Resync { missing: BTreeSet::new(), knows_channels: false, told_up: false, waiting: BTreeSet::new() }
    }

    pub fn complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// A list came to its end.
    pub fn came(&mut self, id: &str) {
        if self.missing.remove(id) && id == "sync-channels" {
            self.knows_channels = true;
        }
    }

    /// A list will not come: the account may not ask for it, or the phone system has none.
    pub fn refused(&mut self, id: &str) {
        self.missing.remove(id);
    }
}
