//! Instructions per message of the pure core, counted by callgrind: two sizes, subtracted, divided. What writing
//! the messages costs is counted the same way and taken off.

use std::path::Path;
use std::process::Command;

use anyhow::Context;
use pinkas_tests::measure::verdict::Verdict;
use pinkas_tests::site::program;

const SMALL: u64 = 200;
const LARGE: u64 = 1_200;

/// What is counted, how it is called, and the most instructions promised.
const KINDS: [(&str, &str, Option<f64>); 4] = [
    ("invite", "INVITE → events", Some(75_000.0)),
    ("notify", "NOTIFY → events, head and body", Some(40_000.0)),
    ("body", "of which the body and what is decided", None),
    ("dropped", "HEP packet dropped before it is read", Some(3_000.0)),
];

/// Prints them.
pub fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!(
        "\n— instructions of the pure core (rulers: split headers + JSON 14.1k, rsip + typed From and To 55.7k)"
    );
    if Command::new("valgrind").arg("--version").output().is_err() {
        verdict.missing(
            "instructions of the pure core",
            "valgrind is not installed: run tests/setup/setup.sh valgrind",
        );
        return Ok(());
    }
    let core = program("examples/core_cost")?;
    for (kind, name, target) in KINDS {
        let whole = slope(&core, kind)?;
        let made = slope(&core, &format!("made-{kind}"))?;
        let instructions = whole - made;
        match target {
            Some(target) => verdict.at_most(name, instructions, target, " instructions"),
            None => println!("     {name}: {instructions:.0} instructions"),
        }
    }
    Ok(())
}

/// Instructions per message.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn slope(core: &Path, kind: &str) -> anyhow::Result<f64> {
    let (small, large) = (count(core, kind, SMALL)?, count(core, kind, LARGE)?);
    Ok(large.saturating_sub(small) as f64 / (LARGE - SMALL) as f64)
}

fn count(core: &Path, kind: &str, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("timeout")
        .args(["300", "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(core)
        .args([kind, &times.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let done: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    anyhow::ensure!(
        output.status.success() && done >= times,
        "core_cost {kind} understood {done} of {times}: {said}"
    );
    let refs =
        said.lines().find_map(|line| line.split_once("Collected :")).context("callgrind counted nothing")?;
    Ok(refs.1.trim().parse()?)
}
