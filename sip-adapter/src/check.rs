//! What `check` finds at a phone system, in words for whoever installs the adapter. Each way of hearing has
//! a probe of its own that ends in findings; here is what a finding is, and which probes there are.

use std::fmt;

use crate::config::Config;
use crate::hear::ami::probe as ami;
use crate::hear::{dialog_events, shadow};

/// How good or bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It works.
    Good,
    /// It works, and something will be missed.
    Trap,
    /// It does not work.
    Broken,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How good or bad it is.
    pub level: Level,
    /// In words: what, where, and what to do.
    pub text: String,
}

impl Finding {
    /// Something that works.
    pub fn good(text: impl Into<String>) -> Finding {
        Finding { level: Level::Good, text: text.into() }
    }

    /// Something that works and hides a part of what happens.
    pub fn trap(text: impl Into<String>) -> Finding {
        Finding { level: Level::Trap, text: text.into() }
    }

    /// Something that does not work.
    pub fn broken(text: impl Into<String>) -> Finding {
        Finding { level: Level::Broken, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Good => "good  ",
            Level::Trap => "trap  ",
            Level::Broken => "broken",
        };
        write!(f, "{mark}  {}", self.text)
    }
}

/// Connects by each way that the configuration has, and says what was found. Takes seconds.
pub async fn probe(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(way) = &config.dialog_events {
        findings.extend(dialog_events::probe(way, &config.pbx).await);
    }
    if let Some(way) = &config.ami {
        findings.extend(ami::probe(way, &config.pbx).await);
    }
    if let Some(way) = &config.shadow {
        findings.extend(shadow::probe(way, &config.name).await);
    }
    findings
}

/// Prints what [`probe`] finds. Fails when anything is broken.
pub async fn print(config: Config) -> anyhow::Result<()> {
    let findings = probe(&config).await;
    findings.iter().for_each(|finding| println!("{finding}"));
    anyhow::ensure!(
        findings.iter().all(|finding| finding.level != Level::Broken),
        "the adapter would not hear everything"
    );
    Ok(())
}
