//! A real Asterisk, 16 or 22, on an address of its own, with a queue, ring groups, three or so agents
//! and a carrier. Its dialplan and users are in `asterisk_files`. Several may run at the same time.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::lab::process::{Running, bounded, output, udp_bound, until};
use crate::lab::{Part, Trouble, asterisk_files, need};

/// The two releases tested: the oldest still met in the field and the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 16.28, of Debian 11.
    V16,
    /// 22, of Debian unstable.
    V22,
}

/// How a phone system is to be set up.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which Asterisk.
    pub version: Version,
    /// Its own address, 127.0.30.x, which no other test uses.
    pub ip: Ipv4Addr,
    /// Extensions, each with a phone, a hint and a place in the queue.
    pub agents: Vec<u16>,
    /// Where to mirror its SIP as HEPv3, if anywhere.
    pub hep: Option<SocketAddr>,
    /// Text put at the end of a configuration file, to set a trap:
    /// `("pjsip.conf", "[101](+type=endpoint)\ndevice_state_busy_at=1\n")`.
    pub more: Vec<(&'static str, String)>,
}

/// A running (or stopped, see [`Asterisk::stop`]) phone system. Dropping it ends it and removes its files.
#[derive(Debug)]
pub struct Asterisk {
    plan: Plan,
    root: PathBuf,
    /// `None` while stopped. Before `files`: it has to end before they are removed.
    running: Option<Running>,
    files: tempfile::TempDir,
}

/// The user the adapter logs in as; its From may name this user or its extension, `198`.
pub const ADAPTER_USER: &str = "pinkas";
/// The adapter's password, and that of the shadow extension 199, of the manager user and of HEP.
pub const ADAPTER_PASSWORD: &str = "lab-secret";

/// For [`Plan::more`]: these agents' phones and the carrier are told, by P-Asserted-Identity and when it
/// changes by re-INVITE, with whom they talk. As FreePBX has it; not Asterisk's own default.
pub fn tells_whom_one_talks_to(agents: &[u16]) -> (&'static str, String) {
    let names = agents.iter().map(u16::to_string).chain(["trunk".to_owned()]);
    ("pjsip.conf", names.map(|name| format!("\n[{name}](+type=endpoint)\nsend_pai=yes\n")).collect())
}

impl Asterisk {
    /// Starts one with the ordinary plan and waits until it has fully booted (under 1 s).
    pub async fn start(version: Version, ip: Ipv4Addr, agents: &[u16]) -> Result<Asterisk, Trouble> {
        Self::start_as(Plan { version, ip, agents: agents.to_vec(), hep: None, more: Vec::new() }).await
    }

    /// Starts one as planned and waits until it has fully booted.
    pub async fn start_as(plan: Plan) -> Result<Asterisk, Trouble> {
        let root = need(match plan.version {
            Version::V16 => Part::Asterisk16,
            Version::V22 => Part::Asterisk22,
        })?;
        let files = tempfile::Builder::new().prefix("pinkas-asterisk-").tempdir()?;
        asterisk_files::write(&plan, &root, files.path())?;
        let mut asterisk = Asterisk { plan, root, running: None, files };
        asterisk.start_again().await?;
        Ok(asterisk)
    }

    /// Starts it after [`Asterisk::stop`] or [`Asterisk::kill`]; what it kept in its database is still there.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.running = None;
        if udp_bound(self.sip().into()) {
            bail!("{} is in use: two tests have chosen the same address", self.sip());
        }
        let mut command = self.program();
        command.arg("-f");
        let mut running = Running::start("Asterisk", command, &self.files.path().join("console.log"))?;
        // Its own `waitfullybooted` cannot be asked before the control socket exists.
        until("Asterisk to boot", Duration::from_secs(30), async || match running.must_run() {
            Ok(()) => self.rx("core waitfullybooted").await.ok().map(|_| Ok(())),
            Err(error) => Some(Err(error)),
        })
        .await??;
        self.running = Some(running);
        Ok(())
    }

    /// Ends it in an orderly way, as `service asterisk stop` does.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        running.ask("TERM");
        running.end(Duration::from_secs(15)).await?;
        self.gone().await
    }

    /// Ends it at once, as a power cut would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.running = None;
        self.gone().await
    }

    /// Runs a console command, such as `core show hints`, and gives what it printed.
    pub async fn rx(&self, command: &str) -> anyhow::Result<String> {
        let mut program = self.program();
        program.args(["-rx", command]);
        output(command, program, Duration::from_secs(15)).await
    }

    /// Waits until the hints of these agents are as given, in Asterisk's words: `Idle`, `Ringing`, `InUse`,
    /// `InUse&Ringing`, `Unavailable`. For what lasts: a state of half a second may be missed on a busy machine.
    pub async fn hints(&self, wanted: &[(u16, &str)], within: Duration) -> anyhow::Result<()> {
        let mut seen = String::new();
        let waited = until(format!("the hints {wanted:?}"), within, async || {
            seen = self.rx("core show hints").await.ok()?;
            wanted.iter().all(|(agent, state)| state_in(&seen, *agent) == Some(state)).then_some(())
        });
        waited.await.with_context(|| format!("last seen:{seen}"))
    }

    /// Where it hears SIP.
    pub fn sip(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.plan.ip, 5060)
    }

    /// Where it hears managers (AMI): user [`ADAPTER_USER`], classes agent and call, and writes reporting.
    pub fn manager(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.plan.ip, 5038)
    }

    /// Where an agent's phone has to be: it does not register.
    pub fn phone(&self, agent: u16) -> SocketAddrV4 {
        phone_of(self.plan.ip, agent)
    }

    /// The address from which calls come in; any port of it.
    pub fn carrier(&self) -> Ipv4Addr {
        carrier_of(self.plan.ip)
    }

    /// What it logged, for a failing test to show.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log/messages.log")).unwrap_or_default()
    }

    /// Its folder: `etc`, `run`, `db`, `spool`, `log`.
    pub fn files(&self) -> &Path {
        self.files.path()
    }

    /// The program comes with its own C library, so it is started through its own loader.
    fn program(&self) -> Command {
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib"];
        let libraries = libraries.map(|folder| self.root.join(folder).display().to_string()).join(":");
        let mut command = bounded(self.root.join("loader"));
        command.arg("--library-path").arg(libraries).arg(self.root.join("usr/sbin/asterisk"));
        command.arg("-C").arg(self.files.path().join("etc/asterisk.conf"));
        command
    }

    async fn gone(&self) -> anyhow::Result<()> {
        let sip = self.sip();
        until(format!("{sip} to be free"), Duration::from_secs(5), async || {
            (!udp_bound(sip.into())).then_some(())
        })
        .await?;
        // Left behind by a kill; Asterisk would take it for a running one.
        for name in ["asterisk.ctl", "asterisk.pid"] {
            let _not_there = std::fs::remove_file(self.files.path().join("run").join(name));
        }
        Ok(())
    }
}

fn state_in(hints: &str, agent: u16) -> Option<&str> {
    let line = hints.lines().find(|line| line.trim_start().starts_with(&format!("{agent}@")))?;
    line.split_once("State:")?.1.split_whitespace().next()
}

/// Phones, carrier and phone system have addresses of their own, because Asterisk tells the carrier by its address.
pub(super) fn phone_of(pbx: Ipv4Addr, agent: u16) -> SocketAddrV4 {
    let [a, b, c, d] = pbx.octets();
    SocketAddrV4::new(Ipv4Addr::new(a, b, c.wrapping_add(2), d), agent.saturating_add(5000))
}

/// The address from which calls come in to a phone system at `pbx`; any port of it.
pub fn carrier_of(pbx: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, d] = pbx.octets();
    Ipv4Addr::new(a, b, c.wrapping_add(1), d)
}
