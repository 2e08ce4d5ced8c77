//! What the desktop needs to know: where the hub is, who the agent is, how it should look.
//! All mistakes are told at once; a secret is read from its file or variable and never printed.

use std::path::{Path, PathBuf};

use pinkas_config::{Mistakes, Section};
use pinkas_link::{HUB_URL_EXAMPLE, HubUrl};
use pinkas_protocol::{AgentId, Private};

use crate::dial::{TEMPLATE_EXAMPLE, Template};
use crate::links::Links;
use crate::model::Habits;
use crate::settings::{Settings, Switch};
use crate::shortcuts::{self, Shortcuts};
use crate::sound::Sound;
use crate::window;
use crate::words::Language;

/// Where the hub is unless the configuration says otherwise.
pub const DEFAULT_HUB: &str = "ws://127.0.0.1:7420";

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the hub is.
    pub hub: HubUrl,
    /// Who logs in.
    pub agent: AgentId,
    /// With which secret; `None`: the desktop asks.
    pub secret: Option<Private<String>>,
    /// How it looks and behaves until the person says otherwise.
    pub settings: Settings,
    /// By what a number is called back.
    pub call_back: Template,
    /// What buttons on a card open.
    pub links: Links,
    /// What a call that rings sounds like.
    pub sound: Sound,
    /// Keys that are heard whichever program has the keyboard.
    pub shortcuts: Shortcuts,
    /// The file it was read from.
    pub file: PathBuf,
    /// Where the person's own things are kept on this machine.
    pub data: PathBuf,
}

const LANGUAGE_EXAMPLE: &str = "\"en\", \"he\" or \"pl\"";
const POPS_EXAMPLE: &str = "\"ring\", \"answer\" or \"never\"";

/// A file to start from, printed by `--print-default`.
pub const DEFAULT: &str = include_str!("../default.toml");

/// Reads the configuration file.
pub fn load(file: &Path) -> Result<Config, Mistakes> {
    pinkas_config::load(file, |section| read(section, file))
}

fn read(section: &mut Section<'_>, file: &Path) -> Option<Config> {
    let hub = section.parsed("hub", HUB_URL_EXAMPLE).or_else(|| DEFAULT_HUB.parse().ok());
    let agent = section.need_parsed("agent", "the name the hub knows you by, such as \"ana\"");
    let secret = section.secret("secret");
    let shade = section.parsed("theme", "\"dark\" or \"light\"").unwrap_or_default();
    let edge = section.parsed("popup", "\"left\" or \"right\"").unwrap_or_default();
    let language = section.parsed("language", LANGUAGE_EXAMPLE).unwrap_or_else(Language::of_system);
    let data = section.path("data").or_else(|| dirs::data_local_dir().map(|folder| folder.join("pinkas")));
    if data.is_none() {
        section.note("data", "`data` is missing, and this system names no folder for a person's data");
    }
    let pops = section.parsed("pops", POPS_EXAMPLE).unwrap_or_default();
    let call_back = section.parsed("call_back", TEMPLATE_EXAMPLE).unwrap_or_default();
    let links = Links::read(section);
    let wrap_up = section.duration("wrap_up").and_then(|lasts| lasts.try_into().ok());
    let sound = section.texts("sound").into();
    let flash = if section.flag("flash") == Some(false) { Switch::Off } else { Switch::On };
    let notify = match section.flag("notifications") {
        Some(true) => Switch::On,
        Some(false) => Switch::Off,
        // Where the pop-up may stand on top, a second sign of the same call is too much.
        None if window::stands_on_top() => Switch::Off,
        None => Switch::On,
    };
    let tray = if section.flag("tray") == Some(true) { Switch::On } else { Switch::Off };
    let habits = Habits { pops, wrap_up };
    let settings = Settings { shade, edge, language, habits, sound: Switch::On, flash, notify, tray };
    let mut keys = section.table("shortcuts");
    let shortcuts = Shortcuts {
        show: keys.parsed("show", shortcuts::EXAMPLE),
        close_card: keys.parsed("close_card", shortcuts::EXAMPLE),
        write_note: keys.parsed("write_note", shortcuts::EXAMPLE),
    };
    if let Some((one, other)) = shortcuts.twice() {
        keys.note(other, format!("`{one}` and `{other}` are the same keys: choose others for one of them"));
    }
    let file = file.to_owned();
    Some(Config {
        hub: hub?,
        agent: agent?,
        secret,
        settings,
        call_back,
        links,
        sound,
        shortcuts,
        file,
        data: data?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Edge, Shade};

    fn read_in(dir: &Path, text: &str) -> Result<Config, String> {
        std::fs::write(dir.join("secret"), "s3cret").expect("written");
        std::fs::write(dir.join("agent.toml"), text).expect("written");
        load(&dir.join("agent.toml")).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn a_name_is_enough_and_a_secret_may_be_there() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = read_in(dir.path(), "agent = \"ana\"\nsecret_file = \"secret\"").expect("right");
        assert_eq!(config.hub.to_string(), DEFAULT_HUB);
        let Settings { shade, edge, habits, .. } = config.settings;
        assert_eq!((shade, edge, habits), (Shade::Dark, Edge::Right, Habits::default()));
        assert!(config.secret.is_some() && !format!("{config:?}").contains("s3cret"));
        let asks = read_in(dir.path(), "agent = \"ana\"").expect("right");
        assert_eq!(asks.secret, None);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let said =
            read_in(dir.path(), "hub = \"http://x\"\npops = \"soon\"\nwrap_up = 5\nlanguage = \"xx\"\ntheme = \"pink\"\npopup = \"up\"")
                .expect_err("wrong");
        for part in [
            "`agent` is missing",
            "`hub` must be",
            "`theme` must be",
            "`language` must be \"en\", \"he\" or \"pl\"",
            "`popup` must be",
            "`pops` must be \"ring\", \"answer\" or \"never\"",
            "`wrap_up`",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}
