//! What an administrator writes for one adapter, checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pinkas_config::{Mistakes, Secret, Section};
use pinkas_link::{HUB_URL_EXAMPLE, HubUrl};
use pinkas_protocol::number::EXTENSION_DIGITS;
use pinkas_protocol::{AdapterId, Line, NumberPlan};

use crate::calls::Patience;

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
    /// The phone system.
    pub pbx: Pbx,
}

/// A phone system heard by dialog events.
#[derive(Debug, Clone)]
pub struct Pbx {
    /// Its SIP address, UDP.
    pub address: SocketAddr,
    /// The host in SIP URIs.
    pub domain: String,
    /// Where NOTIFYs shall come to; chosen by route when absent.
    pub listen: Option<SocketAddr>,
    /// The account that may subscribe.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Only challenges of this realm are answered, when given.
    pub realm: Option<String>,
    /// The lines to follow.
    pub lines: Vec<Line>,
    /// How long one subscription lasts; it is refreshed at half time.
    pub expires: Duration,
    /// How numbers are read here.
    pub numbers: NumberPlan,
}

/// A file to start from, printed by `--print-default`.
pub const DEFAULT: &str = include_str!("../default.toml");

/// Reads and checks a file.
pub fn load(file: &Path) -> Result<Config, Mistakes> {
    pinkas_config::load(file, read)
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
    let mut patience = Patience::default();
    if let Some(grace) = grace {
        patience.grace = grace;
        patience.grace_while_ringing = patience.grace_while_ringing.max(grace);
    }
    Some(Config {
        name: name.or_else(|| AdapterId::parse("main").ok())?,
        hub: hub.or_else(|| "ws://127.0.0.1:7420".parse().ok())?,
        secret: secret?,
        state,
        patience,
        pbx: pbx?,
    })
}

fn read_pbx(section: &mut Section<'_>) -> Option<Pbx> {
    let address = section.need_parsed::<SocketAddr>(
        "address",
        "the phone system's IP address and SIP port such as \"192.0.2.10:5060\"",
    );
    let domain = section.text("domain");
    let listen = section
        .parsed::<SocketAddr>("listen", "an address and port of this machine such as \"192.0.2.20:5062\"");
    let user = section.need_text("user", "the SIP account that may subscribe");
    let password = section.need_secret("password");
    let realm = section.text("realm");
    let lines = section.parsed_list::<Line>("lines", "line names such as \"101\"");
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = lines.iter().find(|line| !seen.insert(*line)) {
        section.note("lines", format!("`lines` holds \"{twice}\" twice: write it once"));
    }
    if lines.is_empty() {
        section.note(
            "lines",
            "`lines` is missing or empty: write the lines to follow, such as [\"101\", \"102\"]",
        );
    }
    let expires = section.duration("expires").unwrap_or(Duration::from_secs(60));
    if !(Duration::from_secs(2)..=Duration::from_secs(3600)).contains(&expires) {
        section.note("expires", "`expires` must be from \"2s\" to \"1h\"");
    }
    let country = section.text("country").unwrap_or_default();
    let digits = section.integer("extension_digits", 0, 8).and_then(|n| usize::try_from(n).ok());
    let numbers = NumberPlan::new(&country, digits.unwrap_or(EXTENSION_DIGITS));
    if numbers.is_none() {
        section.note("country", "`country` must be a country's two letters such as \"IL\" or \"PL\"");
    }
    let address = address?;
    let domain = domain.unwrap_or_else(|| match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    });
    Some(Pbx {
        address,
        domain,
        listen,
        user: user?,
        password: password?,
        realm,
        lines,
        expires,
        numbers: numbers?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "hub = \"http://x\"\ncolour = \"red\"\n[pbx]\naddress = \"pbx\"\nlines = []\ncountry = \"Israel\"\n";
        let mistakes =
            pinkas_config::parse(Path::new("a.toml"), text, read).expect_err("mistakes").to_string();
        insta::assert_snapshot!(mistakes);
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
