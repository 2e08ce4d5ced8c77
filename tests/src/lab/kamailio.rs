//! A real Kamailio on an address of its own: a stateful proxy that rings the phones of its agents, one,
//! all at once or one after the other, and mirrors its SIP as HEPv3. What each number does is said in
//! `kamailio.cfg`. Needs no rights and opens no port but its own. Several may run at the same time.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::lab::asterisk::{carrier_of, phone_of};
use crate::lab::process::{Running, bounded, output, udp_bound, until};
use crate::lab::{Part, Trouble, need};

/// A running (or stopped) Kamailio. Dropping it ends it and removes its files.
#[derive(Debug)]
pub struct Kamailio {
    ip: Ipv4Addr,
    root: PathBuf,
    /// `None` while stopped. Before `files`: it has to end before they are removed.
    running: Option<Running>,
    files: tempfile::TempDir,
}

impl Kamailio {
    /// Starts one at its own address, 127.0.30.x, which no other test uses, and waits until it can be
    /// called. `hep`: where to mirror its SIP, if anywhere.
    pub async fn start(ip: Ipv4Addr, agents: &[u16], hep: Option<SocketAddr>) -> Result<Kamailio, Trouble> {
        let root = need(Part::Kamailio)?;
        let files = tempfile::Builder::new().prefix("pinkas-kamailio-").tempdir()?;
        let mut kamailio = Kamailio { ip, root, running: None, files };
        let config = kamailio.config(agents, hep);
        std::fs::write(kamailio.files.path().join("kamailio.cfg"), config)?;
        kamailio.start_again().await?;
        Ok(kamailio)
    }

    /// Starts it after [`Kamailio::stop`] or [`Kamailio::kill`]; it has forgotten every call.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.running = None;
        if udp_bound(self.sip().into()) {
            bail!("{} is in use: two tests have chosen the same address", self.sip());
        }
        let folder = self.files.path().display().to_string();
        let mut command = self.program();
        // In the foreground, with its log on stderr; 32 MiB shared, 4 MiB a process.
        command.args(["-DD", "-E", "-m", "32", "-M", "4", "-w", &folder, "-Y", &folder]);
        command.args(["-P", &format!("{folder}/kamailio.pid")]);
        let mut running = Running::start("Kamailio", command, &self.files.path().join("console.log"))?;
        self.until_it_answers(&mut running).await?;
        self.running = Some(running);
        Ok(())
    }

    /// Ends it in an orderly way.
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

    /// Whether Kamailio itself takes its configuration; the error is its own words.
    pub async fn check(&self) -> anyhow::Result<()> {
        let mut command = self.program();
        command.arg("-c");
        output("kamailio -c", command, Duration::from_secs(15)).await.map(|_| ())
    }

    /// Where it hears SIP.
    pub fn sip(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip, 5060)
    }

    /// Where an agent's phone has to be: it does not register.
    pub fn phone(&self, agent: u16) -> SocketAddrV4 {
        phone_of(self.ip, agent)
    }

    /// The address from which calls come in; any port of it.
    pub fn carrier(&self) -> Ipv4Addr {
        carrier_of(self.ip)
    }

    /// The process that started, for whoever measures what it costs (its children do the work); `None` while stopped.
    pub fn process(&self) -> Option<u32> {
        let pid = std::fs::read_to_string(self.files.path().join("kamailio.pid")).ok()?;
        self.running.as_ref().and_then(|_| pid.trim().parse().ok())
    }

    /// What it logged, for a failing test to show.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("console.log")).unwrap_or_default()
    }

    /// The program comes with its own C library, so it is started through its own loader.
    fn program(&self) -> std::process::Command {
        let mut command = program(&self.root);
        command.arg("-f").arg(self.files.path().join("kamailio.cfg"));
        command
    }

    fn config(&self, agents: &[u16], hep: Option<SocketAddr>) -> String {
        let phone = |agent: &u16| format!("sip:{agent}@{}", phone_of(self.ip, *agent));
        let tracing = hep.map_or_else(String::new, |collector| {
            format!(
                "loadmodule \"siptrace.so\"
modparam(\"siptrace\", \"trace_on\", 1)
modparam(\"siptrace\", \"trace_mode\", 1)
modparam(\"siptrace\", \"trace_to_database\", 0)
modparam(\"siptrace\", \"hep_mode_on\", 1)
modparam(\"siptrace\", \"hep_version\", 3)
modparam(\"siptrace\", \"hep_capture_id\", 30)
modparam(\"siptrace\", \"duplicate_uri\", \"sip:{collector}\")
modparam(\"siptrace\", \"send_sock_addr\", \"sip:{}\")
",
                self.sip()
            )
        });
        let all: String = agents
            .iter()
            .enumerate()
            .map(|(place, agent)| match place {
                0 => format!("      $ru = \"{}\";\n", phone(agent)),
                _ => format!("      append_branch(\"{}\");\n", phone(agent)),
            })
            .collect();
        let each: String = agents
            .iter()
            .map(|agent| format!("    case \"{agent}\":\n      $ru = \"{}\";\n      break;\n", phone(agent)))
            .collect();
        let hunt: String = agents
            .iter()
            .zip(1..)
            .map(|(agent, turn)| {
                format!("    case {turn}:\n      $ru = \"{}\";\n      break;\n", phone(agent))
            })
            .collect();
        include_str!("kamailio.cfg")
            .replace("OWN_ADDRESS", &self.sip().to_string())
            .replace("MODULES", &self.root.join("modules").display().to_string())
            .replace("TRACING", &tracing)
            .replace("ALL_PHONES\n", &all)
            .replace("AGENTS\n", &each)
            .replace("HUNT\n", &hunt)
    }

    /// Its socket is bound before its workers run, so it is asked.
    async fn until_it_answers(&self, running: &mut Running) -> anyhow::Result<()> {
        let socket = tokio::net::UdpSocket::bind((self.carrier(), 0)).await?;
        let own = socket.local_addr()?;
        let question = format!(
            "OPTIONS sip:{pbx} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKstart\r\nMax-Forwards: 9\r\n\
             From: <sip:start@{own}>;tag=start\r\nTo: <sip:{pbx}>\r\nCall-ID: start@{own}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n",
            pbx = self.sip()
        );
        until("Kamailio to answer", Duration::from_secs(30), async || {
            if let Err(error) = running.must_run() {
                return Some(Err(error));
            }
            let _not_there_yet = socket.send_to(question.as_bytes(), self.sip()).await;
            let reply = tokio::time::timeout(Duration::from_millis(100), socket.recv(&mut [0; 2_048])).await;
            matches!(reply, Ok(Ok(_))).then_some(Ok(()))
        })
        .await
        .with_context(|| self.log())?
    }

    async fn gone(&self) -> anyhow::Result<()> {
        let sip = self.sip();
        until(format!("{sip} to be free"), Duration::from_secs(5), async || {
            (!udp_bound(sip.into())).then_some(())
        })
        .await?;
        // Left behind by a kill; Kamailio would take it for a running one.
        let _not_there = std::fs::remove_file(self.files.path().join("kamailio.pid"));
        Ok(())
    }
}

/// The program of an unpacked Kamailio, for a benchmark that brings a configuration of its own:
/// `-f FILE -DD -E` and so on have to follow, and `mpath` has to be `root` with `modules`.
pub fn program(root: &std::path::Path) -> std::process::Command {
    let folders =
        ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "usr/lib/x86_64-linux-gnu/kamailio"];
    let libraries = folders.map(|folder| root.join(folder).display().to_string()).join(":");
    let mut command = bounded(root.join("loader"));
    command.arg("--library-path").arg(libraries).arg(root.join("usr/sbin/kamailio"));
    command
}
