//! What a person may choose for themselves, and the file that keeps it. What the file does not say, or says
//! in words of another version, is as the configuration has it: a screen is never refused for its settings.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use crate::model::{Habits, Pops};
use crate::place::Places;
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
    /// A call that rings here shows a notification of the desktop.
    pub notify: Switch,
    /// There is a sign in the tray, behind which a closed window stays.
    pub tray: Switch,
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
    /// These settings with what a file says instead.
    pub fn changed_by(self, said: &Map<String, Value>) -> Settings {
        let text = |key: &str| said.get(key).and_then(Value::as_str);
        let Settings { shade, edge, language, habits, sound, flash, notify, tray } = self;
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
            notify: text("notify").and_then(Switch::named).unwrap_or(notify),
            tray: text("tray").and_then(Switch::named).unwrap_or(tray),
        }
    }

    /// What a file says of these settings, if `others` are those without it: only what differs, so that a
    /// changed configuration still reaches who never chose.
    pub fn beside(&self, others: &Settings) -> Map<String, Value> {
        let mut said = Map::new();
        let mut say = |key: &str, differs: bool, value: Value| {
            if differs {
                said.insert(key.to_owned(), value);
            }
        };
        let Settings { shade, edge, language, habits, sound, flash, notify, tray } = *self;
        say("theme", shade != others.shade, json!(shade.name()));
        say("popup", edge != others.edge, json!(edge.name()));
        say("language", language != others.language, json!(language.code()));
        say("pops", habits.pops != others.habits.pops, json!(habits.pops.name()));
        say("sound", sound != others.sound, json!(sound.name()));
        say("flash", flash != others.flash, json!(flash.name()));
        say("notify", notify != others.notify, json!(notify.name()));
        say("tray", tray != others.tray, json!(tray.name()));
        let seconds = habits.wrap_up.map(|lasts| lasts.as_secs());
        say("wrap_up_s", habits.wrap_up != others.habits.wrap_up, json!(seconds));
        said
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

    /// What was chosen, or what is configured; and where the pop-up was put.
    pub fn load(&self) -> (Settings, Places) {
        let short = fs::metadata(&self.path).is_ok_and(|file| file.len() <= LONGEST_FILE);
        let text = if short { fs::read_to_string(&self.path).unwrap_or_default() } else { String::new() };
        let said = serde_json::from_str(&text).unwrap_or_default();
        (self.configured.changed_by(&said), Places::read(&said))
    }

    /// Keeps a choice: the whole file or none of it is replaced.
    pub fn save(&self, settings: &Settings, places: &Places) -> io::Result<()> {
        let mut said = settings.beside(&self.configured);
        places.write(&mut said);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(Value::Object(said).to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Monitor;

    const CONFIGURED: Settings = Settings {
        shade: Shade::Dark,
        edge: Edge::Right,
        language: Language::ENGLISH,
        habits: Habits { pops: Pops::AtRing, wrap_up: None },
        sound: Switch::On,
        flash: Switch::On,
        notify: Switch::On,
        tray: Switch::On,
    };

    fn chosen() -> Settings {
        let language = "he".parse().expect("a language");
        let habits = Habits { pops: Pops::AtAnswer, wrap_up: wrap_up(45) };
        let [sound, flash, notify, tray] = [Switch::Off; 4];
        Settings { shade: Shade::Light, edge: Edge::Left, language, habits, sound, flash, notify, tray }
    }

    #[test]
    fn what_was_chosen_is_there_again_and_what_was_not_follows_the_configuration() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = SettingsFile::new(&folder.path().join("pinkas"), CONFIGURED);
        let nowhere = Places::default();
        assert_eq!(file.load(), (CONFIGURED, nowhere.clone()), "there is no file yet");
        let monitor = Monitor {
            name: "DP-1".to_owned(),
            origin: egui::Pos2::ZERO,
            size: egui::Vec2::new(1280.0, 800.0),
            scale: 1.0,
        };
        let mut somewhere = nowhere.clone();
        somewhere.put(&[monitor], None, egui::Pos2::new(7.0, 8.0), egui::Vec2::splat(440.0));
        file.save(&chosen(), &somewhere).expect("written");
        assert_eq!(file.load(), (chosen(), somewhere));
        file.save(&Settings { shade: Shade::Light, ..CONFIGURED }, &nowhere).expect("written");
        let configured = Settings { edge: Edge::Left, ..CONFIGURED };
        let file = SettingsFile::new(&folder.path().join("pinkas"), configured);
        assert_eq!(file.load(), (Settings { shade: Shade::Light, ..configured }, nowhere));
    }

    #[test]
    fn no_wrap_up_can_be_chosen_where_one_is_configured() {
        let habits = Habits { wrap_up: wrap_up(30), ..CONFIGURED.habits };
        let configured = Settings { habits, ..CONFIGURED };
        assert_eq!(configured.changed_by(&CONFIGURED.beside(&configured)), CONFIGURED);
    }

    #[test]
    fn what_cannot_be_read_leaves_what_is_configured() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = SettingsFile::new(folder.path(), chosen());
        for text in [
            "",
            "{",
            "[]",
            "7",
            r#"{"theme":7,"popup":"up","language":"xx","pops":{},"wrap_up_s":-1,"places":1}"#,
        ] {
            fs::write(folder.path().join("settings.json"), text).expect("written");
            assert_eq!(file.load(), (chosen(), Places::default()), "{text}");
        }
    }
}
