//! What an administrator writes for the hub, checked.

mod rights;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinkas_config::{Mistakes, Section};
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::number::EXTENSION_DIGITS;
use pinkas_protocol::record::Outcome;
use pinkas_protocol::{
    AdapterId, AgentId, Line, NumberPlan, OutcomeCode, Reason, ReasonCode, TeamName, text,
};

use crate::access::{self, Settings};
use crate::core::{Agent, Rights};
use crate::identify::{FEWEST_DIGITS, Guess, LONGEST_STEM, Rules};
use crate::last;
use crate::links::{CertificateFiles, Door};
use crate::sources::{self, ConfiguredSource};

/// The most outcomes a company may name.
const MOST_OUTCOMES: usize = 64;

/// The most reasons not to take calls.
const MOST_REASONS: usize = 32;
/// Where the configuration names none. Desktops have words of their own for these.
const REASONS: [&str; 4] = ["break", "lunch", "training", "back_office"];

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
    /// How customers are found.
    pub identify: Rules,
    /// Where the last figures of the sources are kept.
    pub last_known: last::Place,
    /// In the order in which cards are shown.
    pub sources: Vec<ConfiguredSource>,
    /// What may come of a call.
    pub outcomes: Vec<Outcome>,
    /// Why somebody may not take calls.
    pub reasons: Vec<Reason>,
    /// Where figures for Prometheus are shown, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// For how many days calls are kept; `None`: for ever.
    pub keep_days: Option<i64>,
}

impl Config {
    /// What is no mistake and yet leaves this hub without a purpose, in words.
    pub fn warnings(&self) -> Vec<&'static str> {
        let told = [
            (
                self.access.adapters.is_empty(),
                "no adapter can log in, so no call is heard: write an [[adapter]] section for each",
            ),
            (
                self.access.agents.is_empty(),
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
        let (adapters, people, sources) =
            (self.access.adapters.len(), self.access.agents.len(), self.sources.len());
        let warnings: String =
            self.warnings().iter().map(|warning| format!("\nwarning: {warning}")).collect();
        format!("adapters: {adapters}, people in this file: {people}, sources: {sources}{warnings}")
    }
}

/// The most last digits that may stand for a whole number: with more of them it is one.
const MOST_LAST_DIGITS: u8 = 9;

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
    let identify = identify(&mut section.table("identify"));
    let outcomes = outcomes(section);
    let reasons = reasons(section);
    let keep_days = keep_days(section);
    let sources = sources::read(section, &numbers);
    let key = section.path("last_known_key").unwrap_or_else(|| section.beside("last-known.key"));
    let last_known = last::Place { state: state.clone(), key };
    let names: Vec<_> = sources.iter().map(|source| (source.name.clone(), source.gives)).collect();
    let rights = rights::read(section, &names);
    let users = section.path("users").unwrap_or_else(|| section.beside("users.toml"));
    let token_lasts = section.duration("token_lasts").unwrap_or(TOKEN_LASTS);
    let tokens = state.join("tokens");
    let access = Settings { agents, people, adapters, users, token_lasts, tokens };
    let door = door(section, listen);
    let metrics = section.table_if_written("metrics").and_then(|mut table| {
        table.need_parsed("listen", "an address and port of this machine such as \"127.0.0.1:9465\"")
    });
    Some(Config {
        metrics,
        listen,
        state,
        numbers,
        door,
        access,
        rights,
        identify,
        last_known,
        sources,
        outcomes,
        reasons,
        keep_days,
    })
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

fn identify(table: &mut Section<'_>) -> Rules {
    let customer_tag = table.parsed("customer_tag", "the name of a tag such as \"customer\"");
    let mut digits = |key, least: u8, most: u8| {
        let digits = table.integer(key, least.into(), most.into());
        digits.and_then(|digits| u8::try_from(digits).ok()).unwrap_or(0)
    };
    let stem = digits("guess_stem", 0, LONGEST_STEM);
    let last_digits = digits("guess_last_digits", FEWEST_DIGITS, MOST_LAST_DIGITS);
    Rules { customer_tag, guess: Guess { stem, last_digits } }
}

fn outcomes(section: &mut Section<'_>) -> Vec<Outcome> {
    let mut outcomes = Vec::<Outcome>::new();
    for mut table in section.tables("outcome") {
        let code = table.need_parsed::<OutcomeCode>("code", "a short word such as \"ordered\"");
        let label = table.text("label");
        let queues = table.parsed_list("queues", "names of queues such as \"Support\"");
        let required = table.flag("required").unwrap_or_default();
        let Some(code) = code else { continue };
        if outcomes.iter().any(|outcome| outcome.code == code) {
            table.note("code", format!("there is another outcome with the code \"{code}\""));
        } else if outcomes.len() == MOST_OUTCOMES {
            table.note(
                "code",
                format!("more than {MOST_OUTCOMES} outcomes are more than a person can choose from"),
            );
        } else {
            let label = label.and_then(|label| text::plain(&label, text::LONGEST));
            let label = label.unwrap_or_else(|| code.to_string());
            outcomes.push(Outcome { label, code, queues, required });
        }
    }
    outcomes
}

fn reasons(section: &mut Section<'_>) -> Vec<Reason> {
    let mut reasons = Vec::<Reason>::new();
    for mut table in section.tables("reason") {
        let code = table.need_parsed::<ReasonCode>("code", "a short word such as \"lunch\"");
        let label = table.text("label").and_then(|label| text::plain(&label, text::LONGEST));
        let Some(code) = code else { continue };
        if reasons.iter().any(|reason| reason.code == code) {
            table.note("code", format!("there is another reason with the code \"{code}\""));
        } else if reasons.len() == MOST_REASONS {
            table.note(
                "code",
                format!("more than {MOST_REASONS} reasons are more than a person can choose from"),
            );
        } else {
            reasons.push(Reason { code, label });
        }
    }
    if reasons.is_empty() {
        let usual = REASONS.iter().filter_map(|code| ReasonCode::parse(code).ok());
        reasons.extend(usual.map(|code| Reason { code, label: None }));
    }
    reasons
}

fn keep_days(section: &mut Section<'_>) -> Option<i64> {
    let written = section.text("keep_calls")?;
    let days = written.trim().strip_suffix("days").and_then(|days| days.trim().parse().ok());
    let days = days.filter(|days| (1..=36_500).contains(days));
    if days.is_none() {
        section.note("keep_calls", "`keep_calls` must be a number of days such as \"400 days\"");
    }
    days
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
    fn how_customers_are_found_is_read_and_by_default_nobody_is_guessed() {
        let read = |text: &str| match pinkas_config::parse(Path::new("hub.toml"), text, read) {
            Ok(config) => {
                let Rules { customer_tag, guess } = config.identify;
                format!("{customer_tag:?} {} {}", guess.stem, guess.last_digits)
            }
            Err(mistakes) => mistakes.mistakes.iter().map(|m| format!("{}: {};", m.line, m.what)).collect(),
        };
        assert_eq!(read(""), "None 0 0");
        let guide = include_str!("../../docs/sources.md").split("```conf\n").nth(1);
        let guide = guide.and_then(|rest| rest.split("```").next()).expect("the guide's example");
        assert_eq!(read(guide), "Some(TagName(customer)) 2 9");
        assert_eq!(
            read("[identify]\ncustomer_tag = \"account\"\nguess_stem = 2\nguess_last_digits = 9\n"),
            "Some(TagName(account)) 2 9"
        );
        let wrong =
            read("[identify]\ncustomer_tag = \"\"\nguess_stem = 5\nguess_last_digits = 6\nguess = 1\n");
        for line in ["2: ", "3: ", "4: ", "5: `guess` is not a key here"] {
            assert!(wrong.contains(line), "{wrong}");
        }
    }

    #[test]
    fn reasons_not_to_take_calls_are_the_usual_ones_or_those_that_are_written() {
        let read = |text: &str| match pinkas_config::parse(Path::new("hub.toml"), text, read) {
            Ok(config) => {
                let label = |reason: &Reason| reason.label.clone().unwrap_or_default();
                config.reasons.iter().map(|reason| format!("{} {};", reason.code, label(reason))).collect()
            }
            Err(mistakes) => mistakes.mistakes.iter().map(|m| format!("{}: {};", m.line, m.what)).collect(),
        };
        assert_eq!(read(""), "break ;lunch ;training ;back_office ;".to_owned());
        let written =
            "[[reason]]\ncode = \"stock\"\nlabel = \"Stock\u{202e}taking\"\n[[reason]]\ncode = \"lunch\"\n";
        assert_eq!(read(written), "stock Stocktaking;lunch ;");
        let twice: String =
            read("[[reason]]\ncode = \"a\"\n[[reason]]\ncode = \"a\"\n[[reason]]\nlabel = \"b\"\n");
        assert!(twice.contains("4: there is another reason with the code \"a\""), "{twice}");
        assert!(twice.contains("`code` is missing"), "{twice}");
        let many: String = (0..=MOST_REASONS).map(|n| format!("[[reason]]\ncode = \"r{n}\"\n")).collect();
        assert!(read(&many).contains("more than 32 reasons"), "{}", read(&many));
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
        assert_eq!(config.warnings().len(), 3, "nobody notices by themselves that it can do nothing");
    }
}
