//! The hub program with a configuration of the measurement's own: one adapter, many people who come in by tokens as
//! desktops do after their first login, no sources. What gathering costs is measured by itself.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pinkas_link::HubUrl;
use pinkas_protocol::{AgentId, Line};
use pinkas_tests::lab::process::{Running, bounded, until};
use pinkas_tests::measure::Processes;
use pinkas_tests::site::program;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// The adapter's.
pub const SECRET: &str = "measured";
const SOON: Duration = Duration::from_secs(60);

/// How links come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Plain,
    Tls,
}

/// A hub and its folder.
pub struct House {
    pub at: SocketAddr,
    pub door: Door,
    folder: TempDir,
    file: PathBuf,
    running: Option<Running>,
}

impl House {
    /// Writes its files, for so many people; it does not run yet.
    pub fn furnish(at: SocketAddr, agents: u32, door: Door) -> anyhow::Result<House> {
        let folder = tempfile::Builder::new().prefix("pinkas-measured-").tempdir()?;
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text)?;
            // People's files are their owner's alone, or the hub says so.
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        };
        std::fs::create_dir(folder.path().join("state"))?;
        write("secret", SECRET)?;
        let mut tokens = String::new();
        let mut people = String::new();
        for n in 0..agents {
            // Nobody comes in by this password: it is no hash of any.
            writeln!(
                people,
                "[[user]]\nid = \"{}\"\nlines = [\"{}\"]\npassword = \"none\"",
                id(n)?,
                line(n)?
            )?;
            let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(token(n).as_bytes()));
            writeln!(
                tokens,
                "{{\"hash\":\"{hash}\",\"agent\":\"{}\",\"generation\":0,\"until\":\"2100-01-01T00:00:00Z\"}}",
                id(n)?
            )?;
        }
        write("users.toml", &people)?;
        write("state/tokens", &tokens)?;
        let tls = match door {
            Door::Plain => "",
            Door::Tls => {
                let made = rcgen::generate_simple_self_signed([at.ip().to_string()])?;
                write("hub.crt", &made.cert.pem())?;
                write("hub.key", &made.signing_key.serialize_pem())?;
                "[tls]\ncertificate = \"hub.crt\"\nkey = \"hub.key\"\n"
            }
        };
        let text = format!(
            "listen = \"{at}\"\nstate = \"state\"\ncountry = \"IL\"\n[[adapter]]\nname = \"main\"\nsecret_file = \"secret\"\n{tls}"
        );
        write("hub.toml", &text)?;
        let file = folder.path().join("hub.toml");
        Ok(House { at, door, folder, file, running: None })
    }

    /// Starts the program; it serves when this returns.
    pub async fn open(&mut self) -> anyhow::Result<()> {
        self.begin()?;
        until("the hub to serve", SOON, async || self.log().contains("hub listens on").then_some(()))
            .await
            .with_context(|| self.log())?;
        Ok(())
    }

    /// Starts the program.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        let mut command = bounded(program("pinkas-hub")?);
        command.current_dir(self.folder.path()).arg("--config").arg(&self.file).env("RUST_LOG", "info");
        self.running = Some(Running::start("pinkas-hub", command, &self.folder.path().join("hub.log"))?);
        Ok(())
    }

    /// Lets it end by itself, as whoever looks after it does.
    pub async fn close(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.ask("TERM");
            running.end(SOON).await?;
        }
        Ok(())
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        drop(self.running.take());
    }

    /// What it costs.
    pub fn processes(&self) -> Processes {
        Processes::with(&self.file)
    }

    /// Where links dial.
    pub fn url(&self) -> anyhow::Result<HubUrl> {
        url(self.at, self.door)
    }

    /// Where its record is.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What a client has to trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("hub.crt")
    }

    /// The last it logged.
    pub fn log(&self) -> String {
        last_of(&self.folder.path().join("hub.log"))
    }
}

fn last_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Where links to a server dial.
pub fn url(at: SocketAddr, door: Door) -> anyhow::Result<HubUrl> {
    let scheme = if door == Door::Tls { "wss" } else { "ws" };
    format!("{scheme}://{at}").parse().ok().context("no address of a hub")
}

/// The name of the agent of this number.
pub fn id(n: u32) -> anyhow::Result<AgentId> {
    Ok(AgentId::parse(&format!("agent{n}"))?)
}

/// Their phone.
pub fn line(n: u32) -> anyhow::Result<Line> {
    Ok(Line::parse(&(10_000 + n).to_string())?)
}

/// What lets them in.
pub fn token(n: u32) -> String {
    format!("pinkas_{n:043}")
}
