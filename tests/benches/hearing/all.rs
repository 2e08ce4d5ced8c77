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

use pinkas_tests::measure::verdict::Verdict;

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
    Ok(verdict.told())
}
