//! Starting with the system: an entry in the place where the person's session looks (Freedesktop's Desktop
//! Application Autostart Specification; on Windows the person's own `Run` key). The entry is the truth, so what another
//! program or the person changed there is seen.

use std::io;
use std::path::{Path, PathBuf};

use crate::settings::Switch;

/// Whether this program starts with the person's session, and how to change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autostart {
    program: PathBuf,
    config: PathBuf,
    place: PathBuf,
}

/// What the entry is called.
const NAME: &str = "pinkas-agent";

impl Autostart {
    /// For this program with this configuration file; `None` where the system names no place for it.
    pub fn of(config: &Path) -> Option<Autostart> {
        let program = std::env::current_exe().ok()?;
        let config = std::path::absolute(config).ok()?;
        let place = dirs::config_dir()?.join("autostart").join(format!("{NAME}.desktop"));
        Some(Autostart { program, config, place })
    }

    /// Whether it starts with the session now.
    #[cfg(not(windows))]
    pub fn now(&self) -> Switch {
        // `Hidden=true` is how a session's own settings switch an entry off.
        let entry = std::fs::read_to_string(&self.place).unwrap_or_default();
        let off = entry.is_empty() || entry.lines().any(|line| line.trim() == "Hidden=true");
        if off { Switch::Off } else { Switch::On }
    }

    /// Switches it.
    #[cfg(not(windows))]
    pub fn set(&self, to: Switch) -> io::Result<()> {
        match to {
            Switch::On => {
                if let Some(folder) = self.place.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::write(&self.place, entry(&self.program, &self.config)?)
            }
            Switch::Off => match std::fs::remove_file(&self.place) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                done => done,
            },
        }
    }

    /// Whether it starts with the session now.
    #[cfg(windows)]
    pub fn now(&self) -> Switch {
        let key = windows_registry::CURRENT_USER.open(RUN);
        if key.and_then(|key| key.get_string(NAME)).is_ok() { Switch::On } else { Switch::Off }
    }

    /// Switches it.
    #[cfg(windows)]
    pub fn set(&self, to: Switch) -> io::Result<()> {
        let key = windows_registry::CURRENT_USER.create(RUN).map_err(io::Error::other)?;
        match to {
            Switch::On => {
                let line = format!("\"{}\" --config \"{}\"", self.program.display(), self.config.display());
                key.set_string(NAME, &line).map_err(io::Error::other)
            }
            Switch::Off if self.now() == Switch::Off => Ok(()),
            Switch::Off => key.remove_value(NAME).map_err(io::Error::other),
        }
    }
}

#[cfg(windows)]
const RUN: &str = r"Software\Microsoft\Windows\CurrentVersion\Run";

/// The entry as a file.
#[cfg(not(windows))]
fn entry(program: &Path, config: &Path) -> io::Result<String> {
    Ok(format!(
        "[Desktop Entry]\nType=Application\nName=Pinkas\nComment=Shows who is calling\nExec={} --config {}\nTerminal=false\n",
        quoted(program)?,
        quoted(config)?
    ))
}

/// A path as one argument of `Exec` (Desktop Entry Specification, "The Exec key"): quoted, and escaped twice, as a
/// string of a file and within quotes.
#[cfg(not(windows))]
fn quoted(path: &Path) -> io::Result<String> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "a path that cannot stand in such a file");
    let text = path.to_str().filter(|text| !text.contains(char::is_control)).ok_or_else(refused)?;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '`' | '$' => out.extend(["\\\\", c.encode_utf8(&mut [0; 4])]),
            '\\' => out.push_str("\\\\\\\\"),
            '%' => out.push_str("%%"),
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn it_is_switched_on_and_off_and_what_others_changed_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("autostart").join("pinkas-agent.desktop");
        let autostart = Autostart { program: "/opt/p".into(), config: "/srv/ana/a.toml".into(), place };
        assert_eq!(autostart.now(), Switch::Off);
        autostart.set(Switch::Off).expect("nothing to do");
        autostart.set(Switch::On).expect("written");
        assert_eq!(autostart.now(), Switch::On);
        let text = std::fs::read_to_string(&autostart.place).expect("readable");
        assert!(text.contains("\nExec=\"/opt/p\" --config \"/srv/ana/a.toml\"\n"), "{text}");
        std::fs::write(&autostart.place, format!("{text}Hidden=true\n")).expect("written");
        assert_eq!(autostart.now(), Switch::Off);
        autostart.set(Switch::Off).expect("removed");
        assert!(!autostart.place.exists());
    }

    #[test]
    fn a_path_is_one_argument_whatever_stands_in_it() {
        let check = |path: &str, expected: &str| {
            assert_eq!(quoted(Path::new(path)).ok().as_deref(), Some(expected));
        };
        check("/a b/c", r#""/a b/c""#);
        check("/50%/$x`y\"", r#""/50%%/\\$x\\`y\\"""#);
        check(r"/a\b", r#""/a\\\\b""#);
        check("/אנה", "\"/אנה\"");
        assert!(quoted(Path::new("/a\nExec=evil")).is_err());
    }
}
