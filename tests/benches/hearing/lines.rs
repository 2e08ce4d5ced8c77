//! How long until 2,000 lines of a phone system are subscribed, and in how much memory: the adapter program at the
//! demo's pretend phone system, which asks for a digest first. Beside it, how long the pace alone takes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use pinkas_demo::pbx::{Faults, Pbx, PbxConfig};
use pinkas_protocol::Line;
use pinkas_tests::measure::hub::CountingHub;
use pinkas_tests::measure::program::{self, Adapter, PASSWORD};
use pinkas_tests::measure::verdict::Verdict;
use tokio::time::Instant;

const LINES: u32 = 2_000;

/// Prints it.
pub async fn measure(verdict: &mut Verdict) -> anyhow::Result<()> {
    println!("\n— {LINES} lines subscribed, each after a digest challenge");
    let lines: Vec<Line> = (2000..2000 + LINES).filter_map(|n| Line::parse(&n.to_string()).ok()).collect();
    let pbx = Pbx::start(PbxConfig {
        listen: "127.0.30.209:5060".parse()?,
        realm: "asterisk".to_owned(),
        user: "pinkas".to_owned(),
        password: PASSWORD.to_owned(),
        lines: lines.iter().map(|line| (line.clone(), "Agent".to_owned())).collect(),
        faults: Faults::default(),
    })
    .await?;
    let hub = CountingHub::start("127.0.30.210:7420".parse()?).await?;
    println!("floor: 2.0 s, as one SUBSCRIBE leaves every millisecond at most");
    let began = Instant::now();
    let listen: SocketAddr = "127.0.30.210:5062".parse()?;
    let adapter = Adapter::start(hub.address, &lines, &program::dialog_events(pbx.address(), listen))?;
    tokio::time::timeout(Duration::from_secs(60), pbx.subscribed(&lines))
        .await
        .context("not every line was subscribed")
        .with_context(|| adapter.log())?;
    let took = began.elapsed();
    let processes = adapter.processes();
    let (now, peak) = (processes.resident_kib(), processes.peak_kib());
    println!("resident {:.1} MiB now, {:.1} MiB at most", mib(now), mib(peak));
    verdict.at_most("2,000 lines subscribed, from the program's start", took.as_secs_f64(), 5.0, " s");
    verdict.at_most("resident memory with them", mib(peak), 64.0, " MiB");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
