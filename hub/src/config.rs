//! What an administrator writes for the hub, checked.

mod rights;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinkas_config::{Mistakes, Section};
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::number::EXTENSION_DIGITS;
use pinkas_protocol::{AdapterId, AgentId, Line, NumberPlan, TeamName};

use crate::access::{self, Settings};
use crate::core::{Agent, Rights};
use crate::links::{CertificateFiles, Door};
use crate::sources::{self, ConfiguredSource};

/// A checked configuration.
pub struct Config {
    /// Where adapters and desktops dial in.
    pub listen: SocketAddr,
    /// Folder for calls and the call log.
    pub state: PathBuf,
    /// How numbers without a country code are read.
    pub numbers: NumberPlan,
    /// How connections come in.
    pub door: Door,
    /// Who may log in.
    pub access: Settings,
    /// What roles may see.
    pub rights: Rights,
    /// In the order in which cards are shown.
    pub sources: Vec<ConfiguredSource>,
}

impl Config {
    /// How many of each, for `check`.
    pub fn summary(&self) -> String {
        let (adapters, people, sources) =
            (self.access.adapters.len(), self.access.agents.len(), self.sources.len());
        format!(
            "adapters: {adapters}, people in this file: {people}, sources: {sources}; nothing was asked of any of them"
        )
    }
}

/// A file to start from, printed by `--print-default`.
pub const DEFAULT: &str = include_str!("../default.toml");

/// Reads and checks a file.
pub fn load(file: &Path) -> Result<Config, Mistakes> {
    pinkas_config::load(file, read)
}

fn read(section: &mut Section<'_>) -> Option<Config> {
    let listen = section.parsed("listen", "an address and port such as \"127.0.0.1:7420\"");
    let listen = listen.or_else(|| "127.0.0.1:7420".parse().ok())?;
    let state = section.path("state").unwrap_or_else(|| PathBuf::from("pinkas-hub-state"));
    let country = section.text("country").unwrap_or_default();
    let digits = section.integer("extension_digits", 0, 8).and_then(|n| usize::try_from(n).ok());
    let numbers = NumberPlan::new(&country, digits.unwrap_or(EXTENSION_DIGITS));
    if numbers.is_none() {
        section.note("country", "`country` must be a country's two letters such as \"IL\" or \"PL\"");
    }
    let numbers = numbers.unwrap_or_default();
    let mut adapters = BTreeMap::new();
    for mut table in section.tables("adapter") {
        let name = table.need_parsed::<AdapterId>("name", "the name in that adapter's own configuration");
        let secret = table.need_secret("secret");
        if let (Some(name), Some(secret)) = (name, secret)
            && adapters.insert(name.clone(), secret).is_some()
        {
            table.note("name", format!("there is another adapter named \"{name}\": each needs its own name"));
        }
    }
    let mut agents = BTreeMap::new();
    let mut people = Vec::new();
    for mut table in section.tables("agent") {
        let id = table.need_parsed::<AgentId>("id", "the name this person logs in with");
        let name = table.text("name");
        let named = table.has("lines");
        let lines = table.parsed_list::<Line>("lines", "line names such as \"101\"");
        let role = access::read_role(&mut table);
        let teams = table.parsed_list::<TeamName>("teams", "names of teams such as \"support\"");
        if role == Role::Agent && lines.is_empty() && !named {
            table.note(
                "lines",
                "`lines` is missing: write the phones whose calls this person shall see, such as [\"101\"]",
            );
        }
        let secret = table.need_secret("secret");
        let (Some(id), Some(secret)) = (id, secret) else { continue };
        let name = name.unwrap_or_else(|| id.to_string());
        if agents.insert(id.clone(), secret).is_some() {
            table.note("id", format!("there is another agent with the id \"{id}\": each needs their own"));
        }
        people.push((id, Agent { name, lines, role, teams: teams.into_iter().collect() }));
    }
    let sources = sources::read(section, &numbers);
    let names: Vec<_> = sources.iter().map(|source| (source.name.clone(), source.gives)).collect();
    let rights = rights::read(section, &names);
    let users = section.path("users").unwrap_or_else(|| section.beside("users.toml"));
    let token_lasts = section.duration("token_lasts").unwrap_or(TOKEN_LASTS);
    let tokens = state.join("tokens");
    let access = Settings { agents, people, adapters, users, token_lasts, tokens };
    let door = door(section, listen);
    Some(Config { listen, state, numbers, door, access, rights, sources })
}

/// A desktop comes back without its password for so long: longer than a working day.
const TOKEN_LASTS: Duration = Duration::from_secs(12 * 3600);

fn door(section: &mut Section<'_>, listen: SocketAddr) -> Door {
    let origins = section.texts("origins");
    let plain_text = section.flag("plain_text").unwrap_or_default();
    let has_tls = section.has("tls");
    let mut table = section.table("tls");
    let files = has_tls.then(|| {
        let mut file = |key: &str| {
            if !table.has(key) {
                table.note(key, format!("`{key}` is missing: write the name of a PEM file"));
            }
            table.path(key)
        };
        file("certificate").zip(file("key"))
    });
    drop(table);
    if !has_tls && !plain_text && !listen.ip().is_loopback() {
        section.note(
            "listen",
            "other machines can reach this address, so it needs a [tls] part with `certificate` and `key`; \
             in a network that you trust with every secret, write `plain_text = true` instead",
        );
    }
    let tls = files.flatten().map(|(certificate, key)| CertificateFiles { certificate, key });
    Door { tls, origins }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "listen = \"7420\"\n[[adapter]]\nname = \"main\"\n[[agent]]\nid = \"ana\"\nrole = \"boss\"\nline = \"101\"\n";
        let mistakes = pinkas_config::parse(Path::new("hub.toml"), text, read).err().expect("mistakes");
        insta::assert_snapshot!(mistakes.to_string());
    }

    #[test]
    fn other_machines_need_tls_or_words_that_say_otherwise() {
        let told = |text: &str| {
            let read = pinkas_config::parse(Path::new("hub.toml"), text, read);
            read.err().map_or("no mistakes".to_owned(), |mistakes| mistakes.to_string())
        };
        let open = "listen = \"0.0.0.0:7420\"\n";
        assert!(told(open).contains("hub.toml:1: other machines can reach this address"), "{}", told(open));
        for fine in ["plain_text = true\n", "[tls]\ncertificate = \"a\"\nkey = \"b\"\n"] {
            assert_eq!(told(&format!("{open}{fine}")), "no mistakes");
        }
        assert!(told("[tls]\ncertificate = \"a\"\n").contains("hub.toml:1: `key` is missing"));
        assert!(told("plain_text = \"yes\"\n").contains("hub.toml:1: `plain_text` must be true or false"));
    }

    #[test]
    fn an_empty_file_is_a_hub_for_this_machine_only() {
        let config = pinkas_config::parse(Path::new("hub.toml"), "", read).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.listen.ip().is_loopback());
        assert!(
            config.access.agents.is_empty() && config.access.adapters.is_empty(),
            "no default secret lets anyone in"
        );
    }
}
