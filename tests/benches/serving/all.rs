//! What serving costs: the real hub program with thousands of desktops connected, beside bare tokio-tungstenite
//! servers that do the same deliveries in the same run, in turn. Says for each promise whether it is kept, and ends
//! with 1 when one is not. `make bench` runs it.

mod bare;
mod calls;
mod crowd;
mod delivery;
mod house;
mod keeping;
mod many;
mod record;
mod turns;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use pinkas_tests::measure::raise_open_files;
use pinkas_tests::measure::verdict::Verdict;

/// What ten thousand links and some more take.
const FILES: u64 = 10_600;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that this builds and starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(ExitCode::SUCCESS);
    }
    // What is measured runs in a process of its own, which this program starts again for.
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [bare::MODE, at] => return bare::serve(at.parse()?, None).await.map(|()| ExitCode::SUCCESS),
        [bare::MODE, at, folder] => {
            return bare::serve(at.parse()?, Some(Path::new(folder))).await.map(|()| ExitCode::SUCCESS);
        }
        [crowd::MODE, at, agents] => {
            return crowd::stand(at.parse()?, agents.parse()?).await.map(|()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    // `cargo bench … -- delivery` measures one alone.
    let only: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.contains(&name);
    let profile = if cfg!(debug_assertions) { "without optimisation" } else { "optimised" };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("harness built {profile}; load of the machine before: {}", load.trim());
    let mut verdict = Verdict::default();
    let files = raise_open_files();
    let few = format!(
        "this machine lets a program have {files} files open, and {FILES} are needed: raise `ulimit -Hn`"
    );
    if wanted("delivery") {
        delivery::measure(&mut verdict).await.context("delivery")?;
    }
    if wanted("many") && files >= FILES {
        many::measure(&mut verdict).await.context("many")?;
    } else if wanted("many") {
        verdict.missing("10,000 desktops", &few);
    }
    if wanted("record") {
        record::measure(&mut verdict).await.context("record")?;
    }
    Ok(verdict.told())
}
