//! A site for a test: a folder with the configuration of a whole office, a sample company, and the real
//! programs started from it. Each site has its own loopback address, so that tests run side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::civil::date;
use pinkas_demo::company::{self, accounting::Accounting};
use pinkas_demo::office::{self, Office, Places};
use pinkas_demo::pbx::Pbx;
use pinkas_hub::store::LogEntry;
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::{Board, CallId, CallView, Line, Update};
use serde_json::Value;
use tempfile::TempDir;

use crate::lab::clock::Clock;
use crate::lab::process::{Running, bounded, output, until};

/// Long enough for a loaded machine; nothing waits so long when all is well.
pub const SOON: Duration = Duration::from_secs(20);

/// The folder, the addresses and the parts that the test process itself plays.
pub struct Site {
    /// Files of every program.
    pub office: Office,
    /// Addresses.
    pub places: Places,
    /// The company's accounting service.
    pub accounting: Accounting,
    /// The pretend phone system, unless the test brings a real one.
    pub pbx: Option<Pbx>,
    dir: TempDir,
}

/// How a site differs from the ordinary one.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Appended to the hub's configuration.
    pub more_hub: String,
    /// Put in front of the adapter's configuration.
    pub more_adapter: String,
    /// A real phone system: its address and its password.
    pub pbx: Option<(SocketAddr, String)>,
}

impl Site {
    /// The ordinary office with a pretend phone system.
    pub async fn open() -> anyhow::Result<Site> {
        Site::open_as(Wishes::default()).await
    }

    /// An office as wished.
    pub async fn open_as(wishes: Wishes) -> anyhow::Result<Site> {
        let dir = tempfile::Builder::new().prefix("pinkas-site-").tempdir()?;
        company::write(dir.path(), date(2026, 11, 20)).await?;
        let ip = own_address();
        let accounting = Accounting::start(SocketAddr::new(ip, 0), date(2026, 11, 20)).await?;
        let (pbx, (address, pbx_password)) = match wishes.pbx {
            Some(real) => (None, real),
            None => {
                let password = office::new_secret();
                let pbx = Pbx::start(office::pbx_config(SocketAddr::new(ip, 5060), &password)).await?;
                let address = pbx.address();
                (Some(pbx), (address, password))
            }
        };
        let places = Places {
            dir: dir.path().to_owned(),
            hub: SocketAddr::new(ip, 7420),
            pbx: address,
            pbx_password,
            balance_url: accounting.balance_url(),
            more_hub: wishes.more_hub,
        };
        let office = office::write(&places)?;
        if !wishes.more_adapter.is_empty() {
            let written = std::fs::read_to_string(&office.adapter)?;
            std::fs::write(&office.adapter, format!("{}\n{written}", wishes.more_adapter))?;
        }
        Ok(Site { office, places, accounting, pbx, dir })
    }

    /// Files belong here.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The pretend phone system.
    ///
    /// # Panics
    /// When the test brought a real one.
    pub fn pbx(&self) -> &Pbx {
        self.pbx.as_ref().expect("this site has a pretend phone system")
    }

    /// Starts the hub; its log goes to `hub.log`.
    pub fn hub(&self) -> anyhow::Result<Running> {
        self.start("pinkas-hub", "hub.log", &self.office.hub)
    }

    /// Starts the adapter; its log goes to `adapter.log`.
    pub fn adapter(&self) -> anyhow::Result<Running> {
        self.start("pinkas-sip-adapter", "adapter.log", &self.office.adapter)
    }

    /// Starts the hub by a clock of its own.
    pub fn hub_by(&self, clock: &Clock) -> anyhow::Result<Running> {
        start(
            clock.bounded(&program("pinkas-hub")?),
            "pinkas-hub",
            &self.office.hub,
            &self.dir().join("hub.log"),
        )
    }

    /// Starts the adapter by a clock of its own.
    pub fn adapter_by(&self, clock: &Clock) -> anyhow::Result<Running> {
        let (name, log) = ("pinkas-sip-adapter", self.dir().join("adapter.log"));
        start(clock.bounded(&program(name)?), name, &self.office.adapter, &log)
    }

    /// Starts the adapter where no file may grow beyond so many KiB: the shell lets it see that as an error,
    /// as a full disk would be.
    pub fn adapter_on_a_disk_of(&self, kib: u32) -> anyhow::Result<Running> {
        let mut command = bounded("bash");
        command
            .args(["-c", &format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" --config \"$1\"")])
            .arg(program("pinkas-sip-adapter")?)
            .arg(&self.office.adapter)
            .env("RUST_LOG", "info");
        Running::start("pinkas-sip-adapter", command, &self.dir().join("adapter.log"))
    }

    /// Logs a person in with the headless desktop.
    pub fn desktop(&self, who: &str) -> anyhow::Result<Desktop> {
        let log = self.dir().join(format!("{who}.jsonl"));
        let mut command = bounded(program("pinkas-agent")?);
        command
            .arg("--headless")
            .arg("--config")
            .arg(self.office.agents.get(who).context("nobody of that name")?);
        Ok(Desktop { _running: Running::start("pinkas-agent", command, &log)?, log, heard: Mutex::default() })
    }

    /// Hub, adapter and the desktops of these people, all connected and every line followed.
    pub async fn all(
        &self,
        people: &[&str],
    ) -> anyhow::Result<(Running, Running, BTreeMap<String, Desktop>)> {
        let (hub, adapter) = (self.hub()?, self.adapter()?);
        let mut desktops = BTreeMap::new();
        for who in people {
            let desktop = self.desktop(who)?;
            desktop.until("to be welcome", |heard| heard.role().map(|_| ())).await?;
            desktop.until("to hear of the adapter", |heard| heard.adapter_connected().then_some(())).await?;
            desktops.insert((*who).to_owned(), desktop);
        }
        if let Some(pbx) = &self.pbx {
            tokio::time::timeout(SOON, pbx.subscribed(&office::lines()))
                .await
                .context("the lines are not followed")?;
        }
        Ok((hub, adapter, desktops))
    }

    /// What a program logged so far.
    pub fn log(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir().join(name)).unwrap_or_default()).into_owned()
    }

    /// Waits until a program has logged this.
    pub async fn logs(&self, name: &str, text: &str) -> anyhow::Result<()> {
        until(format!("{name} to say {text:?}"), SOON, async || self.log(name).contains(text).then_some(()))
            .await
            .with_context(|| self.log(name))
    }

    /// The hub's call log; the hub must have ended.
    pub async fn call_log(&self) -> anyhow::Result<Vec<LogEntry>> {
        let mut command = bounded(program("pinkas-hub")?);
        command.arg("--config").arg(&self.office.hub).arg("log");
        let text = output("pinkas-hub log", command, SOON).await?;
        let entries =
            text.lines().filter(|line| line.starts_with('{')).map(|line| Ok(serde_json::from_str(line)?));
        entries.collect()
    }

    fn start(&self, name: &'static str, log: &str, config: &Path) -> anyhow::Result<Running> {
        start(bounded(program(name)?), name, config, &self.dir().join(log))
    }
}

fn start(mut command: Command, name: &'static str, config: &Path, log: &Path) -> anyhow::Result<Running> {
    command.arg("--config").arg(config).env("RUST_LOG", "info");
    Running::start(name, command, log)
}

/// A headless desktop, and what it has said so far.
pub struct Desktop {
    _running: Running,
    log: PathBuf,
    heard: Mutex<Heard>,
}

/// Everything a desktop has printed.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    /// Its lines of JSON.
    pub lines: Vec<Value>,
    /// The board after the last of them.
    pub board: Board,
    read: u64,
}

impl Desktop {
    /// Waits until `find` finds something in what was heard.
    pub async fn until<T>(&self, what: &str, mut find: impl FnMut(&Heard) -> Option<T>) -> anyhow::Result<T> {
        let name = self.log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        until(format!("{name} {what}"), SOON, async || find(&self.read())).await.with_context(|| {
            let heard = self.read();
            let last: Vec<String> = heard.lines.iter().rev().take(6).map(Value::to_string).collect();
            format!("the last lines were\n{}", last.join("\n"))
        })
    }

    /// What was heard up to now.
    pub fn heard(&self) -> Heard {
        self.read().clone()
    }

    fn read(&self) -> MutexGuard<'_, Heard> {
        let mut heard = self.heard.lock().expect("no test panics while it reads");
        let Ok(mut file) = File::open(&self.log) else { return heard };
        let mut new = Vec::new();
        let read = file.seek(SeekFrom::Start(heard.read)).and_then(|_| file.read_to_end(&mut new));
        read.expect("the desktop's lines can be read");
        // A line that is still being written waits for its end.
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in new[..whole].split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
            heard.take(serde_json::from_slice(line).expect("a line of JSON"));
        }
        heard.read += whole as u64;
        heard
    }
}

impl Heard {
    fn take(&mut self, line: Value) {
        match line["what"].as_str() {
            Some("welcome") => {
                self.board = serde_json::from_value(line["board"].clone()).expect("a board");
            }
            Some("update") => {
                let update: Update = serde_json::from_value(line["update"].clone()).expect("an update");
                self.board.apply(update);
            }
            _ => {}
        }
        self.lines.push(line);
    }

    /// What the person may see, once logged in.
    pub fn role(&self) -> Option<Role> {
        let welcome = self.lines.iter().rfind(|line| line["what"] == "welcome")?;
        serde_json::from_value(welcome["role"].clone()).ok()
    }

    /// The phone system is heard.
    pub fn adapter_connected(&self) -> bool {
        self.board.adapters.values().any(|adapter| adapter.connected)
    }

    /// The lines of one kind, such as `pop`.
    pub fn said(&self, what: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["what"] == what).collect()
    }

    /// How often a call popped.
    pub fn pops_of(&self, call: CallId) -> usize {
        self.said("pop").into_iter().filter(|line| line["call"] == call.to_string()).count()
    }

    /// Calls that popped and whose pop has not gone.
    pub fn open_pops(&self) -> BTreeSet<String> {
        let mut open = BTreeSet::new();
        for line in &self.lines {
            let call = || line["call"].as_str().unwrap_or_default().to_owned();
            match line["what"].as_str() {
                Some("pop" | "pop_answered") => drop(open.insert(call())),
                Some("pop_closed") => drop(open.remove(&call())),
                _ => {}
            }
        }
        open
    }

    /// Why a call's pop went, if it has.
    pub fn closed(&self, call: CallId) -> Option<String> {
        let line = self.said("pop_closed").into_iter().find(|line| line["call"] == call.to_string())?;
        line["why"].as_str().map(str::to_owned)
    }

    /// The newest call.
    pub fn newest(&self) -> Option<&CallView> {
        self.board.calls.values().next_back()
    }

    /// Calls that have not ended.
    pub fn live(&self) -> Vec<&CallView> {
        self.board.calls.values().filter(|view| view.ended.is_none()).collect()
    }
}

/// A line by its name.
///
/// # Panics
/// When that is no name.
pub fn line(name: &str) -> Line {
    Line::parse(name).expect("a line")
}

/// One of this workspace's programs, as the test runner built it.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().and_then(Path::parent).context("the test has no folder")?;
    let path = folder.join(name);
    ensure!(
        path.is_file(),
        "{} is not built: run the tests of the whole workspace, or cargo build --workspace --bins",
        path.display()
    );
    Ok(path)
}

/// A loopback address that no other test uses at this time.
pub fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    // 127.64.0.0/10 holds 4 million: 16 bits of the process, 6 of a counter.
    let [_, _, high, low] = pid.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64 + n % 64, high, low.clamp(1, 254)))
}
