//! What hearing costs, beside floors and Kamailio in the same run: CPU per SIP message and per HEP packet,
//! instructions per message of the pure core, 2,000 lines subscribed. Says for each whether it is as good as
//! promised; a peer that is missing is skipped by name. Ends with 1 when a promise is broken. `make bench` runs it.

mod collectors;
mod copies;
mod core;
mod kamailio;
mod lines;
mod notifies;

use std::process::ExitCode;

use pinkas_tests::lab::Trouble;

/// What was found wrong.
#[derive(Default)]
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

    /// Notes what could not be measured.
    pub fn missing(&mut self, what: &str, why: &str) {
        println!("SKIPPED {what}: {why}");
        self.skipped.push(format!("{what}: {why}"));
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that this builds and starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    // `cargo bench … -- copies` measures one alone.
    let only: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.contains(&name);
    let profile = if cfg!(debug_assertions) { "without optimisation" } else { "optimised" };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("harness built {profile}; load of the machine before: {}", load.trim());
    let mut verdict = Verdict::default();
    if wanted("core") {
        core::measure(&mut verdict)?;
    }
    if wanted("notifies") {
        notifies::measure(&mut verdict).await?;
    }
    if wanted("copies") {
        copies::measure(&mut verdict).await?;
    }
    if wanted("lines") {
        lines::measure(&mut verdict).await?;
    }
    println!("\nVerdict:");
    let lists = [("PASS", &verdict.kept), ("SKIPPED", &verdict.skipped), ("FAIL", &verdict.broken)];
    for (word, found) in lists.iter().flat_map(|(word, list)| list.iter().map(move |found| (word, found))) {
        println!("  {word:<7} {found}");
    }
    Ok(if verdict.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
