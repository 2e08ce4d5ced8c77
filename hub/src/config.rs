//! What an administrator writes for the hub, checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pinkas_config::{Mistakes, Secret, Section};
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::number::EXTENSION_DIGITS;
use pinkas_protocol::{AdapterId, AgentId, Line, NumberPlan};

use crate::core::{Agent, Staff};
use crate::sources::{self, ConfiguredSource};

/// A checked configuration.
pub struct Config {
    /// Where adapters and desktops dial in.
    pub listen: SocketAddr,
    /// Folder for calls and the call log.
    pub state: PathBuf,
    /// How numbers without a country code are read.
    pub numbers: NumberPlan,
    /// Adapters and their secrets.
    pub adapters: BTreeMap<AdapterId, Secret>,
    /// People and their secrets.
    pub agents: BTreeMap<AgentId, Secret>,
    /// People and what they may see.
    pub staff: Staff,
    /// In the order in which cards are shown.
    pub sources: Vec<ConfiguredSource>,
}

impl Config {
    /// What is no mistake and yet leaves this hub without a purpose, in words.
    pub fn warnings(&self) -> Vec<&'static str> {
        let told = [
            (
                self.adapters.is_empty(),
                "no adapter can log in, so no call is heard: write an [[adapter]] section for each",
            ),
            (
                self.agents.is_empty(),
                "nobody can log in, so no call is shown: write an [[agent]] section for each person",
            ),
            (
                self.sources.is_empty(),
                "no source is asked, so callers are shown by their number alone: write a [[source]] section",
            ),
        ];
        told.into_iter().filter_map(|(lacks, words)| lacks.then_some(words)).collect()
    }

    /// How many of each, for `check`, and the warnings.
    pub fn summary(&self) -> String {
        let (adapters, people, sources) = (self.adapters.len(), self.agents.len(), self.sources.len());
        let warnings: String =
            self.warnings().iter().map(|warning| format!("\nwarning: {warning}")).collect();
        format!(
            "adapters: {adapters}, people: {people}, sources: {sources}; nothing was asked of any of them{warnings}"
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
        let role = table.text("role");
        let role = match role.as_deref() {
            None | Some("agent") => Role::Agent,
            Some("supervisor") => Role::Supervisor,
            Some(_) => {
                table.note("role", "`role` must be \"agent\" or \"supervisor\"");
                Role::Agent
            }
        };
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
        people.push((id, Agent { name, lines, role }));
    }
    let sources = sources::read(section, &numbers);
    Some(Config { listen, state, numbers, adapters, agents, staff: Staff::new(people), sources })
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
    fn an_empty_file_is_a_hub_for_this_machine_only() {
        let config = pinkas_config::parse(Path::new("hub.toml"), "", read).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.listen.ip().is_loopback());
        assert!(config.agents.is_empty() && config.adapters.is_empty(), "no default secret lets anyone in");
        assert_eq!(config.warnings().len(), 3, "nobody notices by themselves that it can do nothing");
    }
}
