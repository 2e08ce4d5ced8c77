//! What a person may choose for themselves, and the file that keeps it. What the file does not say, or says
//! in words of another version, is as the configuration has it: a screen is never refused for its settings.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::model::{Habits, Pops};
use crate::words::Language;

/// What a person may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Which colours.
    pub shade: Shade,
    /// Where the pop-up stands.
    pub edge: Edge,
    /// In which language it speaks.
    pub language: Language,
    /// When a card shows, and for how long.
    pub habits: Habits,
    /// A call that rings here makes itself heard, where there is a sound.
    pub sound: Switch,
    /// A call that rings here makes the taskbar flash.
    pub flash: Switch,
}

/// Something is done or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Switch {
    /// It is done.
    #[default]
    On,
    /// It is not.
    Off,
}

/// The edge of the screen at which the pop-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edge {
    /// At the left.
    Left,
    /// At the right.
    #[default]
    Right,
}

impl Edge {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Edge::Left => Edge::Right,
            Edge::Right => Edge::Left,
        }
    }
}

/// Dark or light colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shade {
    /// Light text on dark ground.
    #[default]
    Dark,
    /// Dark text on light ground.
    Light,
}

/// The words for the values of a setting, in files.
trait Named: Sized + Copy + PartialEq + 'static {
    const NAMES: &'static [(&'static str, Self)];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| name)
    }
}

impl Named for Edge {
    const NAMES: &'static [(&'static str, Self)] = &[("left", Edge::Left), ("right", Edge::Right)];
}

impl Named for Shade {
    const NAMES: &'static [(&'static str, Self)] = &[("dark", Shade::Dark), ("light", Shade::Light)];
}

impl Named for Switch {
    const NAMES: &'static [(&'static str, Self)] = &[("on", Switch::On), ("off", Switch::Off)];
}

impl Named for Pops {
    const NAMES: &'static [(&'static str, Self)] =
        &[("ring", Pops::AtRing), ("answer", Pops::AtAnswer), ("never", Pops::Never)];
}

macro_rules! read_by_name {
    ($($of:ty),*) => {$(
        impl FromStr for $of {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::named(text).ok_or(())
            }
        }
    )*};
}

read_by_name!(Edge, Shade, Pops, Switch);

impl Settings {
    /// These settings with what the text of a file says instead.
    pub fn changed_by(self, file: &str) -> Settings {
        let Ok(Value::Object(said)) = serde_json::from_str(file) else { return self };
        let text = |key: &str| said.get(key).and_then(Value::as_str);
        let Settings { shade, edge, language, habits, sound, flash } = self;
        let wrap_up = match said.get("wrap_up_s") {
            Some(Value::Null) => None,
            Some(seconds) => seconds.as_u64().and_then(wrap_up).or(habits.wrap_up),
            None => habits.wrap_up,
        };
        Settings {
            shade: text("theme").and_then(Shade::named).unwrap_or(shade),
            edge: text("popup").and_then(Edge::named).unwrap_or(edge),
            language: text("language").and_then(|code| code.parse().ok()).unwrap_or(language),
            habits: Habits { pops: text("pops").and_then(Pops::named).unwrap_or(habits.pops), wrap_up },
            sound: text("sound").and_then(Switch::named).unwrap_or(sound),
            flash: text("flash").and_then(Switch::named).unwrap_or(flash),
        }
    }

    /// What a file says of these settings, if `others` are those without it: only what differs, so that a
    /// changed configuration still reaches who never chose.
    pub fn beside(&self, others: &Settings) -> String {
        let mut said = Map::new();
        let mut say = |key: &str, differs: bool, value: Value| {
            if differs {
                said.insert(key.to_owned(), value);
            }
        };
        let Settings { shade, edge, language, habits, sound, flash } = *self;
        say("theme", shade != others.shade, json!(shade.name()));
        say("popup", edge != others.edge, json!(edge.name()));
        say("language", language != others.language, json!(language.code()));
        say("pops", habits.pops != others.habits.pops, json!(habits.pops.name()));
        say("sound", sound != others.sound, json!(sound.name()));
        say("flash", flash != others.flash, json!(flash.name()));
        let seconds = habits.wrap_up.map(|lasts| lasts.as_secs());
        say("wrap_up_s", habits.wrap_up != others.habits.wrap_up, json!(seconds));
        Value::Object(said).to_string()
    }
}

/// The longest time a card stays after a talk by itself, in seconds.
const LONGEST_WRAP_UP: u64 = 3600;

fn wrap_up(seconds: u64) -> Option<SignedDuration> {
    let seconds = (1..=LONGEST_WRAP_UP).contains(&seconds).then_some(seconds)?;
    Some(SignedDuration::from_secs(i64::try_from(seconds).ok()?))
}

/// The file in which the choices of the person at this machine are kept.
#[derive(Debug, Clone)]
pub struct SettingsFile {
    path: PathBuf,
    configured: Settings,
}

/// The longest such file that is read, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

impl SettingsFile {
    /// In this folder, beside what the configuration says.
    pub fn new(folder: &Path, configured: Settings) -> SettingsFile {
        SettingsFile { path: folder.join("settings.json"), configured }
    }

    /// What was chosen, or what is configured.
    pub fn load(&self) -> Settings {
        let short = fs::metadata(&self.path).is_ok_and(|file| file.len() <= LONGEST_FILE);
        let text = if short { fs::read_to_string(&self.path).unwrap_or_default() } else { String::new() };
        self.configured.changed_by(&text)
    }

    /// Keeps a choice: the whole file or none of it is replaced.
    pub fn save(&self, settings: &Settings) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(settings.beside(&self.configured).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIGURED: Settings = Settings {
        shade: Shade::Dark,
        edge: Edge::Right,
        language: Language::ENGLISH,
        habits: Habits { pops: Pops::AtRing, wrap_up: None },
        sound: Switch::On,
        flash: Switch::On,
    };

    fn chosen() -> Settings {
        let language = "he".parse().expect("a language");
        let habits = Habits { pops: Pops::AtAnswer, wrap_up: wrap_up(45) };
        let (sound, flash) = (Switch::Off, Switch::Off);
        Settings { shade: Shade::Light, edge: Edge::Left, language, habits, sound, flash }
    }

    #[test]
    fn what_was_chosen_is_there_again_and_what_was_not_follows_the_configuration() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = SettingsFile::new(&folder.path().join("pinkas"), CONFIGURED);
        assert_eq!(file.load(), CONFIGURED, "there is no file yet");
        file.save(&chosen()).expect("written");
        assert_eq!(file.load(), chosen());
        file.save(&Settings { shade: Shade::Light, ..CONFIGURED }).expect("written");
        let configured = Settings { edge: Edge::Left, ..CONFIGURED };
        let file = SettingsFile::new(&folder.path().join("pinkas"), configured);
        assert_eq!(file.load(), Settings { shade: Shade::Light, ..configured });
    }

    #[test]
    fn no_wrap_up_can_be_chosen_where_one_is_configured() {
        let habits = Habits { wrap_up: wrap_up(30), ..CONFIGURED.habits };
        let configured = Settings { habits, ..CONFIGURED };
        assert_eq!(configured.changed_by(&CONFIGURED.beside(&configured)), CONFIGURED);
    }

    #[test]
    fn what_cannot_be_read_leaves_what_is_configured() {
        for text in
            ["", "{", "[]", "7", r#"{"theme":7,"popup":"up","language":"xx","pops":{},"wrap_up_s":-1}"#]
        {
            assert_eq!(chosen().changed_by(text), chosen(), "{text}");
        }
    }
}
