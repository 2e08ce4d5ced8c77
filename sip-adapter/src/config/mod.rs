//! What an administrator writes for one adapter, checked.

mod ami;
mod dialog_events;
mod hep;
mod identity;
mod shadow;
mod sip_account;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pinkas_config::{Mistakes, Secret, Section};
use pinkas_link::{HUB_URL_EXAMPLE, HubUrl};
use pinkas_protocol::number::EXTENSION_DIGITS;
use pinkas_protocol::{AdapterId, Line, NumberPlan};

use crate::calls::Patience;
use crate::hear::ami::names::Pattern;
use crate::sip::identity::Rules;
pub use ami::{Ami, usual_channels};
pub use dialog_events::DialogEvents;
pub use hep::{CALL_ID_HEADER, Hep, Network};
pub use shadow::Shadow;
pub use sip_account::{SipAccount, Tls, Transport};

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// This adapter's name at the hub.
    pub name: AdapterId,
    /// Where the hub is.
    pub hub: HubUrl,
    /// What the hub knows this adapter by.
    pub secret: Secret,
    /// Folder for what the hub does not have yet.
    pub state: PathBuf,
    /// How long to wait before deciding how a call ended.
    pub patience: Patience,
    /// What is true of the phone system, however it is heard.
    pub pbx: Pbx,
    /// Hearing by dialog events.
    pub dialog_events: Option<DialogEvents>,
    /// Hearing by a copy of the SIP traffic.
    pub hep: Option<Hep>,
    /// Hearing by Asterisk's manager interface.
    pub ami: Option<Ami>,
    /// Hearing by an extension of the adapter's own.
    pub shadow: Option<Shadow>,
    /// Where figures for Prometheus are served.
    pub metrics: Option<SocketAddr>,
}

/// What is true of the phone system, however it is heard.
#[derive(Debug, Clone)]
pub struct Pbx {
    /// The lines to follow.
    pub lines: Vec<Line>,
    /// How callers, numbers, queues and tags are read out of messages.
    pub rules: Arc<Rules>,
}

/// A file to start from, printed by `--print-default`.
pub const DEFAULT: &str = include_str!("../../default.toml");

/// Reads and checks a file.
pub fn load(file: &Path) -> Result<Config, Mistakes> {
    pinkas_config::load(file, read)
}

/// What a file says of the phone system itself, without how to reach it.
#[derive(Debug, Clone)]
pub struct Described {
    /// `[pbx]`; no lines where they are missing.
    pub pbx: Pbx,
    /// `[hep]`, where it is right.
    pub hep: Option<Hep>,
    /// How channels are called by `[ami]`, where it is right, else as usual.
    pub channels: Vec<Pattern>,
    /// As written, where the whole file is right, else the default.
    pub patience: Patience,
}

/// Reads what is needed to read a recording again, and the mistakes of the whole file if there are any: no secret
/// need be set for it.
pub fn load_described(file: &Path) -> Result<(Described, Option<Mistakes>), Mistakes> {
    let mut described = None;
    let loaded = pinkas_config::load(file, |section| {
        let pbx = read_pbx(&mut section.table("pbx"));
        let hep = section.table_if_written("hep").and_then(|mut table| hep::read(&mut table));
        let ami = section.table_if_written("ami").and_then(|mut table| ami::read(&mut table));
        let whole = read(section);
        let channels = ami.map_or_else(usual_channels, |ami| ami.channels);
        let patience = whole.as_ref().map(|config| config.patience).unwrap_or_default();
        described = pbx.map(|pbx| Described { pbx, hep, channels, patience });
        whole
    });
    match (described, loaded) {
        (Some(described), loaded) => Ok((described, loaded.err())),
        (None, Err(mistakes)) => Err(mistakes),
        (None, Ok(config)) => {
            let channels = config.ami.map_or_else(usual_channels, |ami| ami.channels);
            let (pbx, hep, patience) = (config.pbx, config.hep, config.patience);
            Ok((Described { pbx, hep, channels, patience }, None))
        }
    }
}

fn read(section: &mut Section<'_>) -> Option<Config> {
    let name = section.parsed("name", "a name of at most 64 characters");
    let hub = section.parsed("hub", HUB_URL_EXAMPLE);
    let secret = section.need_secret("secret");
    let state = section.path("state").unwrap_or_else(|| PathBuf::from("pinkas-adapter-state"));
    let grace = section.duration("grace");
    if grace.is_some_and(|grace| grace > Duration::from_secs(5)) {
        section.note(
            "grace",
            "`grace` must be at most \"5s\": so long a pop-up would stay after the call is gone",
        );
    }
    let pbx = read_pbx(&mut section.table("pbx"));
    let dialog_events =
        section.table_if_written("dialog_events").map(|mut table| dialog_events::read(&mut table));
    let hep = section.table_if_written("hep").map(|mut table| hep::read(&mut table));
    let ami = section.table_if_written("ami").map(|mut table| ami::read(&mut table));
    let lines = pbx.as_ref().map(|pbx| pbx.lines.as_slice()).unwrap_or_default();
    let shadow = section.table_if_written("shadow").map(|mut table| shadow::read(&mut table, lines));
    if dialog_events.is_none() && hep.is_none() && ami.is_none() && shadow.is_none() {
        section.note(
            "dialog_events",
            "no way to hear the phone system is written: add a section such as [dialog_events] or [ami] (see --print-default)",
        );
    }
    let metrics = section
        .table_if_written("metrics")
        .map(|mut table| table.need_parsed("listen", "an address and port such as \"127.0.0.1:9464\""));
    let mut patience = Patience::default();
    if let Some(grace) = grace {
        patience.grace = grace;
        patience.grace_while_ringing = patience.grace_while_ringing.max(grace);
        patience.passing_on = patience.passing_on.max(grace);
    }
    Some(Config {
        name: name.or_else(|| AdapterId::parse("main").ok())?,
        hub: hub.or_else(|| "ws://127.0.0.1:7420".parse().ok())?,
        secret: secret?,
        state,
        patience,
        pbx: pbx?,
        dialog_events: whole(dialog_events)?,
        hep: whole(hep)?,
        ami: whole(ami)?,
        shadow: whole(shadow)?,
        metrics: whole(metrics)?,
    })
}

/// A section that is written must be right; one that is not is no mistake.
fn whole<T>(section: Option<Option<T>>) -> Option<Option<T>> {
    match section {
        Some(None) => None,
        Some(Some(read)) => Some(Some(read)),
        None => Some(None),
    }
}

fn read_pbx(section: &mut Section<'_>) -> Option<Pbx> {
    let lines = section.parsed_list::<Line>("lines", "line names such as \"101\"");
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = lines.iter().find(|line| !seen.insert(*line)) {
        section.note("lines", format!("`lines` holds \"{twice}\" twice: write it once"));
    }
    if section.lacks("lines") {
        section.note(
            "lines",
            "`lines` is missing or empty: write the lines to follow, such as [\"101\", \"102\"]",
        );
    }
    let country = section.text("country").unwrap_or_default();
    let digits = section.integer("extension_digits", 0, 8).and_then(|n| usize::try_from(n).ok());
    let numbers = NumberPlan::new(&country, digits.unwrap_or(EXTENSION_DIGITS));
    if numbers.is_none() {
        section.note("country", "`country` must be a country's two letters such as \"IL\" or \"PL\"");
    }
    let rules = identity::read(section, numbers.clone().unwrap_or_default());
    numbers.map(|_| Pbx { lines, rules: Arc::new(rules) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "hub = \"http://x\"\ncolour = \"red\"\ncharset = \"utf-8\"\n[sip]\n[pbx]\nlines = []\ncountry = \"Israel\"\n[dialog_events]\naddress = \"pbx\"\n";
        let mistakes =
            pinkas_config::parse(Path::new("a.toml"), text, read).expect_err("mistakes").to_string();
        insta::assert_snapshot!(mistakes);
    }

    #[test]
    fn lines_that_are_not_a_list_of_texts_are_one_mistake() {
        for (lines, expected) in [
            ("[101, 102]", "a.toml:2: `lines` holds something that is not text: write it in quotes"),
            ("\"101\"", "a.toml:2: `lines` must be a list such as [\"…\", \"…\"]"),
            (
                "[]",
                "a.toml:2: `lines` is missing or empty: write the lines to follow, such as [\"101\", \"102\"]",
            ),
        ] {
            let text = format!("[pbx]\nlines = {lines}\n");
            let read = |section: &mut Section<'_>| read_pbx(&mut section.table("pbx"));
            let mistakes = pinkas_config::parse(Path::new("a.toml"), &text, read).expect_err("a mistake");
            assert_eq!(mistakes.to_string(), expected);
        }
    }

    #[test]
    fn a_forgotten_header_is_named() {
        let text = "lines = [\"101\"]\ncountry = \"IL\"\n[dialog_events]\naddress = \"192.0.2.1:5060\"\n";
        let said = pinkas_config::parse(Path::new("a.toml"), text, read).expect_err("mistakes").to_string();
        for line in ["a.toml:1: `lines`", "a.toml:2: `country`"] {
            let expected =
                format!("{line} is not a key here; it belongs under [pbx]: is that line missing above it?");
            assert!(said.contains(&expected), "{said}");
        }
    }

    #[test]
    fn a_shadow_extension_that_is_a_persons_line_is_a_mistake() {
        let text = "name = \"a\"\n[pbx]\nlines = [\"101\"]\n[shadow]\naddress = \"192.0.2.10:5060\"\nuser = \"101\"\n\
            extension = \"101\"\nexpires = \"1s\"\nring_timeout = \"4m\"\n";
        let mistakes =
            pinkas_config::parse(Path::new("a.toml"), text, read).expect_err("mistakes").to_string();
        insta::assert_snapshot!(mistakes);
    }

    #[test]
    fn every_mistake_about_callers_is_told_with_what_to_write() {
        let text = "[pbx]\nlines = [\"101\"]\ntrusted = [\"pbx\"]\nqueue_prefixes = [\"Q-\"]\nqueue_header = \"X Queue\"\n\
            did_header = 7\ncharset = \"utf-16\"\n[pbx.tags]\ncustomer = \"X-Customer:\"\n";
        let mistakes =
            pinkas_config::parse(Path::new("a.toml"), text, |section| read_pbx(&mut section.table("pbx")));
        insta::assert_snapshot!(mistakes.expect_err("mistakes").to_string());
    }

    #[test]
    fn how_callers_are_read_can_be_written() {
        let text = "[pbx]\nlines = [\"101\"]\ntrusted = [\"192.0.2.10\", \"2001:db8::1\"]\nqueue_prefixes = [\"Q-{queue}:\"]\n\
            charset = \"windows-1255\"\n[pbx.tags]\ncustomer = \"X-Customer-Number\"\ncrm = \"User-to-User;purpose=crm\"\n";
        let pbx =
            pinkas_config::parse(Path::new("a.toml"), text, |section| read_pbx(&mut section.table("pbx")));
        let rules = pbx.expect("no mistakes").rules;
        assert_eq!((rules.trusted.len(), rules.queue_prefixes.len(), rules.tags.len()), (2, 1, 2));
        assert!(rules.charset.is_some());
        assert_eq!((rules.queue_header.as_str(), rules.did_header.as_str()), ("X-Queue", "X-DID"));
    }

    #[test]
    fn the_default_file_is_right_but_for_the_secrets() {
        let mistakes =
            pinkas_config::parse(Path::new("a.toml"), DEFAULT, read).expect_err("no secrets are set");
        let said = mistakes.to_string();
        assert_eq!(mistakes.mistakes.len(), 2, "{said}");
        assert!(said.contains("PINKAS_ADAPTER_SECRET is not set"), "{said}");
        assert!(said.contains("PINKAS_PBX_PASSWORD is not set"), "{said}");
    }
}
