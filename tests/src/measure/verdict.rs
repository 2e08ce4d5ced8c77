//! The list with which a measurement ends: what was promised, what was found, PASS or FAIL, and what could not be
//! measured here.

use std::process::ExitCode;

use crate::lab::Trouble;

/// What was found.
#[derive(Debug, Default)]
pub struct Verdict {
    kept: Vec<String>,
    broken: Vec<String>,
    skipped: Vec<String>,
}

impl Verdict {
    /// Prints whether `value` is at most `target`.
    pub fn at_most(&mut self, what: &str, value: f64, target: f64, unit: &str) {
        // A ratio just above its target must not look like the target.
        let digits = if target.fract() == 0.0 { 2 } else { 3 };
        let found = format!("{what}: {value:.digits$}{unit}, at most {target}{unit}");
        if value <= target {
            println!("PASS {found}");
            self.kept.push(found);
        } else {
            println!("FAIL {found}");
            self.broken.push(found);
        }
    }

    /// The part of the laboratory, or nothing and a note when this machine lacks it.
    pub fn part<T>(&mut self, what: &str, part: Result<T, Trouble>) -> anyhow::Result<Option<T>> {
        match part {
            Ok(part) => Ok(Some(part)),
            Err(trouble) => self.skip(what, trouble).map(|()| None),
        }
    }

    /// Notes what could not be measured, or fails.
    pub fn skip(&mut self, what: &str, trouble: Trouble) -> anyhow::Result<()> {
        match trouble {
            Trouble::Missing(skip) => {
                println!("SKIPPED {what}: {skip}");
                self.skipped.push(format!("{what}: {skip}"));
                Ok(())
            }
            Trouble::Failed(error) => Err(error.context(what.to_owned())),
        }
    }

    /// Prints whether `value` is at least `target`.
    pub fn at_least(&mut self, what: &str, value: f64, target: f64, unit: &str) {
        let found = format!("{what}: {value:.0}{unit}, at least {target}{unit}");
        if value >= target {
            println!("PASS {found}");
            self.kept.push(found);
        } else {
            println!("FAIL {found}");
            self.broken.push(found);
        }
    }

    /// Notes what could not be measured.
    pub fn missing(&mut self, what: &str, why: &str) {
        println!("SKIPPED {what}: {why}");
        self.skipped.push(format!("{what}: {why}"));
    }

    /// Prints the list, and says how the measurement is to end: with 1 when a promise is broken.
    pub fn told(self) -> ExitCode {
        println!("\nVerdict:");
        let lists = [("PASS", &self.kept), ("SKIPPED", &self.skipped), ("FAIL", &self.broken)];
        for (word, found) in lists.iter().flat_map(|(word, list)| list.iter().map(move |found| (word, found)))
        {
            println!("  {word:<7} {found}");
        }
        if self.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
