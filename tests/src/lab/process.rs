//! Programs that a test starts: each ends with the value that holds it, at the latest with the test,
//! and has a wall-clock bound besides. Waiting is here too, always with a limit and a name for what was
//! waited for.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// Whether a program is to stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// It keeps its connections and does nothing.
    Stop,
    /// It goes on.
    GoOn,
}

/// A running program and whatever it started; killed when dropped.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    /// `timeout`, which leads the process group that the program is in.
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program that [`bounded`] made. What it prints goes to `log`, which should be in the test's own folder.
    pub fn start(name: &'static str, mut command: Command, log: &Path) -> anyhow::Result<Running> {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Running { name, child, log: log.to_owned() })
    }

    /// How it ended, if it has. 124 and 137 mean that its time was up.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error when it has ended, with the last it said.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} has ended ({status}): {}", self.name, self.last_words()),
        }
    }

    /// Waits until it ends by itself.
    pub async fn end(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let name = self.name;
        until(format!("{name} to end"), within, async || self.child.try_wait().transpose())
            .await?
            .with_context(|| format!("cannot wait for {name}"))
    }

    /// Asks it to end with a signal such as `TERM`, which `timeout` passes on.
    pub fn ask(&self, signal: &str) {
        send_signal(signal, &self.child.id().to_string());
    }

    /// Stops it and all it started where they stand, or lets them go on.
    pub fn freeze(&self, freeze: Freeze) {
        let signal = if freeze == Freeze::Stop { "STOP" } else { "CONT" };
        send_signal(signal, &format!("-{}", self.child.id()));
    }

    /// Kills it and all it started, at once, as a power cut would.
    pub fn kill(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            send_signal("KILL", &format!("-{}", self.child.id()));
            // Nothing to do about an error: the process is gone or was never ours.
            let _gone = self.child.wait();
        }
    }

    /// The end of what it printed, for error messages.
    pub fn last_words(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        let end = said.len().saturating_sub(2_000);
        String::from_utf8_lossy(said.get(end..).unwrap_or_default()).trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that ends when the thread that starts it does, however that comes about (an interrupted
/// test run drops nothing), and at the latest after ten minutes. So start it from the test, not from a
/// helper thread.
pub fn bounded(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "timeout", "--kill-after=5", "600"]).arg(program.as_ref());
    command.process_group(0);
    command
}

/// Runs a program to its end and gives what it printed.
pub async fn output(name: &str, command: Command, within: Duration) -> anyhow::Result<String> {
    let run = tokio::process::Command::from(command).stdin(Stdio::null()).kill_on_drop(true).output();
    let done = tokio::time::timeout(within, run).await.with_context(|| format!("{name} took too long"))??;
    let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    if !done.status.success() {
        bail!("{name} failed ({}): {}", done.status, said.trim());
    }
    Ok(said)
}

/// Asks `check` every 10 ms until it gives something. The error names what was waited for.
pub async fn until<T>(
    what: impl Into<String>,
    within: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(found) = check().await {
                return found;
            }
        }
    };
    let waited = tokio::time::timeout(within, wait).await;
    waited.ok().with_context(|| format!("waited {within:?} in vain for {}", what.into()))
}

/// Whether some process has bound this UDP address; asks the kernel, sends nothing.
pub fn udp_bound(address: SocketAddr) -> bool {
    let SocketAddr::V4(address) = address else { return false };
    // The kernel prints the address as one number in the machine's own byte order.
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    table.lines().filter_map(|line| line.split_whitespace().nth(1)).any(|local| local == wanted)
}

fn send_signal(signal: &str, process: &str) {
    // Through the shell's own `kill`, because the standard library has none and unsafe code is not wanted here.
    let script = format!("kill -s {signal} -- {process}");
    let _gone_already = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
}
