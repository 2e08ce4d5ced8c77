//! For tests: settings with nobody in them.

use super::{Access, Settings};

/// A door that lets nobody in.
pub fn nobody() -> Access {
    let dir = tempfile::tempdir().expect("a folder");
    Access::open(settings(dir.path())).expect("opened")
}

/// Nobody in the configuration; files in this folder.
pub fn settings(dir: &std::path::Path) -> Settings {
    Settings {
        agents: Default::default(),
        people: Vec::new(),
        adapters: Default::default(),
        users: dir.join("users.toml"),
        token_lasts: std::time::Duration::from_secs(3600),
        tokens: dir.join("tokens"),
    }
}
