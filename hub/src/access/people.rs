//! The file of people with passwords: written by `pinkas-hub user`, read again by a running hub when it
//! changes. Holds hashes, never passwords; only its owner may read it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use jiff::Timestamp;
use pinkas_config::{Secret, Section};
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::{AgentId, Line, Private, TeamName};
use serde::Serialize;

use crate::core::Agent;

/// A person with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// What they log in with.
    pub id: AgentId,
    /// Shown to colleagues.
    pub name: String,
    /// What they may see.
    pub role: Role,
    /// Their phones.
    pub lines: Vec<Line>,
    /// Where they belong.
    pub teams: BTreeSet<TeamName>,
    /// The hash of their password (PHC text).
    pub password: Private<String>,
    /// Counts up whenever all their tokens are to end.
    pub generation: u32,
    /// They may not log in since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Timestamp>,
}

/// Everybody with a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users(pub BTreeMap<AgentId, User>);

#[derive(Serialize)]
struct Written<'a> {
    user: Vec<&'a User>,
}

impl Users {
    /// A person who may log in.
    pub fn enabled(&self, id: &AgentId) -> Option<&User> {
        self.0.get(id).filter(|user| user.disabled.is_none())
    }

    /// Whether tokens of this generation still let this person in.
    pub fn stands(&self, id: &AgentId, generation: u32) -> bool {
        self.enabled(id).is_some_and(|user| user.generation == generation)
    }

    /// Those who may log in, for the core.
    pub fn people(&self) -> impl Iterator<Item = (AgentId, Agent)> {
        self.0.values().filter(|user| user.disabled.is_none()).map(|user| {
            let User { id, name, role, lines, teams, .. } = user.clone();
            (id, Agent { name, lines, role, teams })
        })
    }
}

/// Reads the file; one that is not there is nobody. Whoever is in the configuration too is refused.
pub fn load(path: &Path, configured: &BTreeMap<AgentId, Secret>) -> anyhow::Result<Users> {
    if !path.exists() {
        return Ok(Users::default());
    }
    warn_if_others_can_read(path);
    let users = pinkas_config::load(path, read)?;
    if let Some(id) = users.0.keys().find(|id| configured.contains_key(*id)) {
        bail!(
            "{}: \"{id}\" is also an [[agent]] of the configuration; remove one of the two",
            path.display()
        );
    }
    Ok(users)
}

/// Writes the file whole or not at all, for its owner's eyes only.
pub fn save(path: &Path, users: &Users) -> anyhow::Result<()> {
    let text = toml::to_string(&Written { user: users.0.values().collect() })?;
    let text = format!(
        "# People with passwords. Written by `pinkas-hub user`; a running hub reads it within seconds.\n\n{text}"
    );
    write_whole(path, text.as_bytes())
}

/// Puts a file in place of the old one, readable by its owner only; a crash leaves the old or the new one.
pub fn write_whole(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let _ = std::fs::remove_file(new);
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(new).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(new, path)
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// One of the three words.
pub fn role(word: &str) -> Option<Role> {
    match word {
        "agent" => Some(Role::Agent),
        "supervisor" => Some(Role::Supervisor),
        "admin" => Some(Role::Admin),
        _ => None,
    }
}

/// The role of a table, agent when none is written.
pub fn read_role(table: &mut Section<'_>) -> Role {
    let word = table.text("role");
    let known = word.as_deref().map_or(Some(Role::Agent), role);
    if known.is_none() {
        table.note("role", "`role` must be \"agent\", \"supervisor\" or \"admin\"");
    }
    known.unwrap_or(Role::Agent)
}

fn read(section: &mut Section<'_>) -> Option<Users> {
    let mut users = BTreeMap::new();
    for mut table in section.tables("user") {
        let id = table.need_parsed::<AgentId>("id", "the name this person logs in with");
        let name = table.text("name");
        let role = read_role(&mut table);
        let lines = table.parsed_list::<Line>("lines", "line names such as \"101\"");
        let teams = table.parsed_list::<TeamName>("teams", "names of teams such as \"support\"");
        let password = table.need_text("password", "what `pinkas-hub user password` writes here");
        let generation = table.integer("generation", 0, i64::from(u32::MAX));
        let disabled = table.parsed::<Timestamp>("disabled", "a time such as \"2026-11-25T10:00:00Z\"");
        let generation = generation.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let (Some(id), Some(password)) = (id, password) else { continue };
        let name = name.unwrap_or_else(|| id.to_string());
        let teams = teams.into_iter().collect();
        let user = User {
            id: id.clone(),
            name,
            role,
            lines,
            teams,
            password: Private(password),
            generation,
            disabled,
        };
        if users.insert(id.clone(), user).is_some() {
            table.note("id", format!("there is another user with the id \"{id}\": each needs their own"));
        }
    }
    Some(Users(users))
}

/// Says it where a file that is for the hub alone can be read by others.
#[cfg(unix)]
pub(crate) fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |about| about.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!("others can read {}: run chmod 600 on it", path.display());
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_others_can_read(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User {
            id: name.parse().expect("an id"),
            name: "Ana \"the\" [[user]]".to_owned(),
            role: Role::Supervisor,
            lines: vec!["101".parse().expect("a line")],
            teams: ["support".parse().expect("a team")].into(),
            password: Private("$argon2id$x".to_owned()),
            generation: 3,
            disabled: Some(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn what_is_written_is_read_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("users.toml");
        assert_eq!(load(&path, &BTreeMap::new()).expect("nobody"), Users::default());
        let plain = User { lines: Vec::new(), teams: BTreeSet::new(), disabled: None, ..user("bob") };
        let users = Users(
            [("ana", user("ana")), ("bob", plain)]
                .map(|(id, user)| (id.parse().expect("an id"), user))
                .into(),
        );
        for _ in 0..2 {
            save(&path, &users).expect("written");
            assert_eq!(load(&path, &BTreeMap::new()).expect("read"), users);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let both = [("ana".parse().expect("an id"), Private("x".to_owned()))].into();
        let refused = load(&path, &both).expect_err("twice").to_string();
        assert!(refused.contains("\"ana\" is also an [[agent]]"), "{refused}");
    }

    #[test]
    fn a_mistake_in_the_file_is_told_with_its_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("users.toml");
        std::fs::write(&path, "[[user]]\nid = \"ana\"\nrole = \"boss\"\n").expect("written");
        let told = load(&path, &BTreeMap::new()).expect_err("mistakes").to_string();
        assert!(told.contains("users.toml:3: `role` must be"), "{told}");
        assert!(told.contains("`password` is missing"), "{told}");
    }
}
