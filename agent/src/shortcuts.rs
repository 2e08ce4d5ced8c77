//! Keys that are heard whichever program has the keyboard: off unless the configuration names them. Pure; `grab` asks
//! the X server for them.

#[cfg(target_os = "linux")]
pub mod grab;

use std::fmt;
use std::str::FromStr;

use crate::command::Command;

/// How such a key is written.
pub const EXAMPLE: &str =
    "keys such as \"Ctrl+Alt+P\": Ctrl, Alt or Super, with Shift if wanted, and a letter, digit or F1 to F24";

/// Which keys do what, as far as there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shortcuts {
    /// Bring the main window.
    pub show: Option<Shortcut>,
    /// Close the card that is seen.
    pub close_card: Option<Shortcut>,
    /// Write in the note of the card that is seen.
    pub write_note: Option<Shortcut>,
}

/// A key together with others that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortcut {
    /// Ctrl is held.
    pub ctrl: bool,
    /// Alt is held.
    pub alt: bool,
    /// The key with the system's sign is held.
    pub command: bool,
    /// Shift is held.
    pub shift: bool,
    /// What is pressed then.
    pub key: Key,
}

/// A key that every keyboard has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A Latin letter or a digit, as a capital.
    Sign(char),
    /// One of F1 to F24.
    Function(u8),
}

impl Shortcuts {
    /// Each that there is, by its name in the configuration, and what it asks for.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Shortcut, Command)> {
        let all = [
            ("show", self.show, Command::Raise),
            ("close_card", self.close_card, Command::CloseCard),
            ("write_note", self.write_note, Command::WriteNote),
        ];
        all.into_iter().filter_map(|(name, keys, wish)| Some((name, keys?, wish)))
    }

    /// Two that are the same keys, by name.
    pub fn twice(&self) -> Option<(&'static str, &'static str)> {
        let all: Vec<_> = self.all().collect();
        all.iter().enumerate().find_map(|(n, (name, keys, _))| {
            all[..n].iter().find(|(_, other, _)| other == keys).map(|(other, ..)| (*other, *name))
        })
    }
}

impl FromStr for Shortcut {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (mut ctrl, mut alt, mut command, mut shift) = (false, false, false, false);
        let mut parts: Vec<&str> = text.split('+').map(str::trim).collect();
        let key = parts.pop().ok_or(())?.parse()?;
        for part in parts {
            let held = match part.to_ascii_lowercase().as_str() {
                "ctrl" => &mut ctrl,
                "alt" => &mut alt,
                "super" => &mut command,
                "shift" => &mut shift,
                _ => return Err(()),
            };
            // Said twice is a slip of the hand.
            if std::mem::replace(held, true) {
                return Err(());
            }
        }
        // A key by itself, or a capital, is what people type.
        if !(ctrl || alt || command) {
            return Err(());
        }
        Ok(Shortcut { ctrl, alt, command, shift, key })
    }
}

impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut letters = text.chars();
        match (letters.next(), letters.as_str()) {
            (Some(sign), "") if sign.is_ascii_alphanumeric() => Ok(Key::Sign(sign.to_ascii_uppercase())),
            (Some('f' | 'F'), number) if !number.starts_with('+') => match number.parse() {
                Ok(number @ 1..=24) => Ok(Key::Function(number)),
                _ => Err(()),
            },
            _ => Err(()),
        }
    }
}

impl fmt::Display for Shortcut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = [(self.ctrl, "Ctrl"), (self.alt, "Alt"), (self.command, "Super"), (self.shift, "Shift")];
        for (_, name) in held.into_iter().filter(|(held, _)| *held) {
            write!(f, "{name}+")?;
        }
        match self.key {
            Key::Sign(sign) => write!(f, "{sign}"),
            Key::Function(number) => write!(f, "F{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_people_write_them_and_said_in_one_way() {
        for (text, said) in [
            ("Ctrl+Alt+P", "Ctrl+Alt+P"),
            ("ctrl + alt + p", "Ctrl+Alt+P"),
            ("Shift+Super+F12", "Super+Shift+F12"),
            ("Alt+7", "Alt+7"),
            ("Ctrl+F1", "Ctrl+F1"),
            ("Ctrl+F", "Ctrl+F"),
        ] {
            assert_eq!(text.parse::<Shortcut>().map(|keys| keys.to_string()).as_deref(), Ok(said), "{text}");
        }
    }

    #[test]
    fn what_people_type_every_day_and_what_is_no_key_is_refused() {
        for text in [
            "",
            "P",
            "F5",
            "Shift+P",
            "Ctrl",
            "Ctrl+",
            "+P",
            "Ctrl+Ctrl+P",
            "Ctrl+Enter",
            "Ctrl+F0",
            "Ctrl+F25",
            "Ctrl+F+1",
            "Hyper+P",
            "Ctrl+ץ",
        ] {
            assert_eq!(text.parse::<Shortcut>(), Err(()), "{text}");
        }
    }

    #[test]
    fn the_same_keys_for_two_things_are_found() {
        let keys = |text: &str| text.parse().ok();
        let mut shortcuts = Shortcuts { show: keys("Ctrl+Alt+P"), ..Shortcuts::default() };
        assert_eq!(shortcuts.twice(), None);
        shortcuts.write_note = keys("alt+ctrl+p");
        assert_eq!(shortcuts.twice(), Some(("show", "write_note")));
        assert_eq!(shortcuts.all().map(|(name, ..)| name).collect::<Vec<_>>(), ["show", "write_note"]);
    }
}
