//! What `check` finds at a phone system, in words for whoever installs the adapter. Each way of hearing has
//! a probe of its own that ends in findings; here is what a finding is, and which probes there are.

mod beside;
mod causes;
mod copies;
mod hub;
mod ports;

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use pinkas_config::program;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, DialogEvents, Shadow};
use crate::hear::ami::probe as ami;
use crate::hear::{dialog_events, shadow};
use beside::Beside;
pub use causes::in_words;

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

/// Connects by each way that the configuration has, to the hub and to its own ports, and says what was found. Takes
/// seconds. What a running adapter has is left to it.
pub async fn probe(config: &Config) -> Vec<Finding> {
    let beside = Beside::of(&config.state);
    let mut findings = Vec::new();
    if let Some(way) = &config.dialog_events {
        let (account, told) = ports::for_check("dialog events", &way.account, beside);
        findings.extend(told);
        let way = DialogEvents { account, ..way.clone() };
        findings.extend(dialog_events::probe(&way, &config.pbx).await);
    }
    if let Some(way) = &config.ami {
        findings.extend(ami::probe(way, &config.pbx).await);
    }
    if let Some(way) = &config.hep {
        findings.extend(copies::probe(way, &config.pbx, beside).await);
    }
    if let Some(way) = &config.shadow {
        let (account, told) = ports::for_check("shadow extension", &way.account, beside);
        findings.extend(told);
        let way = Shadow { account, ..way.clone() };
        findings.extend(shadow::probe(&way, &config.name).await);
    }
    findings.push(hub::probe(config, beside).await);
    if let Some(at) = config.metrics {
        findings.push(ports::figures(at, beside));
    }
    findings
}

/// The command: prints what [`probe`] finds and what that means. Exit 1 when anything is broken.
pub fn command(config: &Config) -> ExitCode {
    let mut worst = Level::Good;
    let ended = program::run_until_signal(async |stop: CancellationToken| {
        let findings = tokio::select! {
            findings = probe(config) => findings,
            () = stop.cancelled() => anyhow::bail!("stopped before everything was looked at"),
        };
        worst = findings.iter().map(|finding| finding.level).max().unwrap_or(worst);
        for finding in &findings {
            tell(&finding.to_string());
        }
        tell(match worst {
            Level::Good => "Everything that was looked at works.",
            Level::Trap => {
                "Nothing is broken; what stands behind \"trap\" will be missed, or could not be seen."
            }
            Level::Broken => "The adapter would not work as configured: mend what stands behind \"broken\".",
        });
        Ok(())
    });
    if worst == Level::Broken { ExitCode::FAILURE } else { ended }
}

/// A line to standard output; `println!` would panic where nobody reads any more.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
