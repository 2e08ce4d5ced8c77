//! A clock of a program's own, which a test sets while the program runs: libfaketime gives it another time of day.
//! The time that passes stays this machine's, as when somebody sets the clock of a real one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::bounded;
use super::{Part, Trouble, need};

/// The clock, in a file beside the program's others.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// A clock that goes right.
    pub fn right(folder: &Path, name: &str) -> Result<Clock, Trouble> {
        let clock = Clock { library: need(Part::Clock)?, file: folder.join(name) };
        clock.set("+0")?;
        Ok(clock)
    }

    /// Sets it so far from the right time: `-1h`, `+10y`.
    pub fn set(&self, by: &str) -> std::io::Result<()> {
        // Never half written: the program reads it each time it asks what time it is.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{by}\n"))?;
        std::fs::rename(new, &self.file)
    }

    /// A program that goes by it, as [`bounded`] makes one; what bounds it keeps the right time.
    pub fn bounded(&self, program: &Path) -> Command {
        let mut command = bounded("env");
        command
            .arg(format!("LD_PRELOAD={}", self.library.display()))
            .arg(format!("FAKETIME_TIMESTAMP_FILE={}", self.file.display()))
            .args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1"])
            .arg(program);
        command
    }
}
