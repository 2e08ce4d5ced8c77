//! The adapter program with a configuration of the measurement's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pinkas_protocol::Line;
use tempfile::TempDir;

use super::Processes;
use crate::lab::process::{Running, bounded};
use crate::site::program;

/// What the pretend phone systems of measurements let in.
pub const PASSWORD: &str = "measured";

/// A running adapter and its folder.
pub struct Adapter {
    running: Running,
    file: PathBuf,
    folder: TempDir,
}

impl Adapter {
    /// Starts it; `ways` are the sections that say how it hears. It has started, not subscribed.
    pub fn start(hub: SocketAddr, lines: &[Line], ways: &str) -> anyhow::Result<Adapter> {
        let folder = tempfile::Builder::new().prefix("pinkas-measured-").tempdir()?;
        std::fs::write(folder.path().join("secret"), PASSWORD)?;
        let listed: Vec<String> = lines.iter().map(|line| format!("\"{line}\"")).collect();
        let text = format!(
            "hub = \"ws://{hub}\"\nsecret_file = \"secret\"\nstate = \"state\"\n[pbx]\nlines = [{}]\ncountry = \"IL\"\n{ways}",
            listed.join(", ")
        );
        let file = folder.path().join("adapter.toml");
        std::fs::write(&file, text)?;
        let mut command = bounded(program("pinkas-sip-adapter")?);
        command.current_dir(folder.path()).arg("--config").arg(&file).env("RUST_LOG", "info");
        let running = Running::start("adapter", command, &folder.path().join("adapter.log"))?;
        Ok(Adapter { running, file, folder })
    }

    /// What it costs.
    pub fn processes(&self) -> Processes {
        Processes::with(&self.file)
    }

    /// An error when it has ended.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        self.running.must_run()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("adapter.log")).unwrap_or_default()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The section `[dialog_events]` for a phone system with [`PASSWORD`].
pub fn dialog_events(pbx: SocketAddr, listen: SocketAddr) -> String {
    format!(
        "[dialog_events]\naddress = \"{pbx}\"\nlisten = \"{listen}\"\nuser = \"pinkas\"\npassword_file = \"secret\"\nexpires = \"10m\"\n"
    )
}

/// The section `[hep]` for copies from one address.
pub fn hep(listen: SocketAddr, from: std::net::IpAddr) -> String {
    format!("[hep]\nlisten = \"{listen}\"\nfrom = [\"{from}\"]\n")
}
