//! The laboratory: real phone systems, phones, screens and databases that a whole-system test starts
//! for itself and that are gone when it ends. `tests/setup/setup.sh` puts the parts on the machine.
//! A part that is missing makes a test say so and pass, or fail under PINKAS_REQUIRE_ALL=1; a part
//! that is there and does not work always fails the test.

pub mod asterisk;
pub mod clock;
pub mod handset;
pub mod kamailio;
pub mod keyring;
pub mod mariadb;
pub mod postgres;
pub mod process;
pub mod scenario;
pub mod sipp;
pub mod slapd;
pub mod trickle;
pub mod xvfb;

mod asterisk_files;
mod handset_legs;
mod sip_text;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What `tests/setup/setup.sh` provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Asterisk 16 with all its libraries, unpacked in a folder.
    Asterisk16,
    /// Asterisk 22, likewise.
    Asterisk22,
    /// Kamailio, likewise.
    Kamailio,
    /// sipp, which plays the phones and the callers.
    Sipp,
    /// Xvfb and what is needed to show and photograph a window on it.
    Xvfb,
    /// The programs of a PostgreSQL server.
    Postgres,
    /// MariaDB with all its libraries, unpacked in a folder.
    MariaDb,
    /// OpenLDAP's server, likewise.
    Slapd,
    /// A session bus and GNOME's keyring.
    Keyring,
    /// The library that gives a program a clock of its own.
    Clock,
}

/// A part that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// What is missing.
    pub part: Part,
    /// Why, and what to do, in the words of the setup script.
    pub reason: String,
}

/// Why the laboratory could not give a test what it asked for.
#[derive(Debug)]
pub enum Trouble {
    /// The test cannot run here.
    Missing(Skip),
    /// The part is there and failed: that is a failed test.
    Failed(anyhow::Error),
}

/// Where a part is: the folder of what was unpacked, the folder of PostgreSQL's programs, else the program.
pub fn need(part: Part) -> Result<PathBuf, Skip> {
    let found = match part {
        Part::Asterisk16 | Part::Asterisk22 | Part::Kamailio | Part::MariaDb | Part::Slapd => {
            laboratory().map(|lab| lab.join(part.name())).filter(|root| root.join(".recipe").is_file())
        }
        Part::Sipp => program("sipp"),
        Part::Xvfb => program("Xvfb"),
        Part::Keyring => program("dbus-daemon").and(program("gnome-keyring-daemon")),
        Part::Postgres => postgres_programs(),
        Part::Clock => faketime(),
    };
    found.ok_or_else(|| Skip { part, reason: noted_reason(part) })
}

/// Gives the value, or ends the test that calls it: see [`give_up`].
#[macro_export]
macro_rules! or_skip {
    ($part:expr) => {
        match $part {
            Ok(value) => value,
            Err(trouble) => {
                fn here() {}
                return $crate::lab::give_up(std::any::type_name_of_val(&here), trouble.into());
            }
        }
    };
}

/// Says that a test is skipped and why, where people see it: a test runner hides what a passing test
/// prints, so the line also goes to `target/skipped.txt`. `place` is the type name of a function in the test.
///
/// # Panics
/// When the part is there but failed, or when PINKAS_REQUIRE_ALL=1 allows no test to be skipped.
pub fn give_up(place: &str, trouble: Trouble) {
    let test = place.trim_end_matches("::here").trim_end_matches("::{{closure}}");
    match trouble {
        Trouble::Failed(error) => panic!("{test}: the laboratory failed: {error:#}"),
        Trouble::Missing(skip) if std::env::var("PINKAS_REQUIRE_ALL").is_ok_and(|v| v == "1") => {
            panic!("{test}: {skip}, and PINKAS_REQUIRE_ALL=1 allows no test to be skipped")
        }
        Trouble::Missing(skip) => {
            let line = format!("SKIPPED {test}: {skip}\n");
            print!("{line}");
            if let Err(error) = note(&skipped_file(), &line) {
                println!("could not note this in {}: {error}", skipped_file().display());
            }
        }
    }
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Part::Asterisk16 => "asterisk-16",
            Part::Asterisk22 => "asterisk-22",
            Part::Kamailio => "kamailio",
            Part::Sipp => "sipp",
            Part::Xvfb => "xvfb",
            Part::Postgres => "postgres",
            Part::MariaDb => "mariadb",
            Part::Slapd => "slapd",
            Part::Keyring => "keyring",
            Part::Clock => "clock",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {}: {}", self.part.name(), self.reason)
    }
}

impl From<Skip> for Trouble {
    fn from(skip: Skip) -> Self {
        Trouble::Missing(skip)
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Trouble::Failed(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Trouble::Failed(error.into())
    }
}

/// The same folder that setup.sh computes.
fn laboratory() -> Option<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("PINKAS_LAB")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("pinkas-lab")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/pinkas-lab")))
}

fn noted_reason(part: Part) -> String {
    laboratory()
        .and_then(|lab| std::fs::read_to_string(lab.join("missing").join(part.name())).ok())
        .map(|reason| reason.trim().to_owned())
        .filter(|reason| !reason.is_empty())
        .unwrap_or_else(|| "run tests/setup/setup.sh first".to_owned())
}

/// Debian has it below the folder of the machine's kind.
fn faketime() -> Option<PathBuf> {
    let kinds = std::fs::read_dir("/usr/lib").ok()?.flatten();
    kinds.map(|kind| kind.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file())
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Debian keeps these out of PATH, one folder per major version; the newest is taken.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file())
        .max_by_key(|bin| bin.parent().and_then(Path::file_name)?.to_str()?.parse::<u32>().ok())
}

/// One write per line, at the end: tests skip at the same time.
fn note(file: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())
}

fn skipped_file() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")).join("skipped.txt")
}
