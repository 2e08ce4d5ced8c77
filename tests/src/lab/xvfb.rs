//! A screen that exists only in memory, for windows of the agent program.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::lab::process::{Running, bounded, output, until};
use crate::lab::{Part, Trouble, need};

/// A screen of 1280 × 800 on a display number that was free. Gone when dropped.
#[derive(Debug)]
pub struct Xvfb {
    display: String,
    /// Before `screen`, so that it ends first.
    window_manager: Option<Running>,
    screen: Running,
    folder: tempfile::TempDir,
}

impl Xvfb {
    /// Starts a screen without a window manager: windows have no frame and no keyboard focus.
    pub async fn start() -> Result<Xvfb, Trouble> {
        let program = need(Part::Xvfb)?;
        let folder = tempfile::Builder::new().prefix("pinkas-xvfb-").tempdir()?;
        let said = folder.path().join("display");
        let mut command = bounded(program);
        command.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"]);
        let mut screen = Running::start("Xvfb", command, &said)?;
        let display = until("Xvfb to name its display", STARTING, async || {
            if let Err(error) = screen.must_run() {
                return Some(Err(error));
            }
            let said = std::fs::read_to_string(&said).unwrap_or_default();
            // Written in two pieces: only a whole line is the number.
            let line =
                said.split_inclusive('\n').find_map(|line| line.strip_suffix('\n')?.parse::<u32>().ok());
            line.map(|number| Ok(format!(":{number}")))
        })
        .await??;
        Ok(Xvfb { display, window_manager: None, screen, folder })
    }

    /// Adds openbox, and waits until it manages the screen.
    pub async fn with_window_manager(mut self) -> Result<Xvfb, Trouble> {
        let mut command = bounded("openbox");
        command.env("DISPLAY", &self.display);
        self.window_manager =
            Some(Running::start("openbox", command, &self.folder.path().join("openbox.log"))?);
        until("openbox to manage the screen", STARTING, async || self.run("wmctrl", &["-m"]).await.ok())
            .await?;
        Ok(self)
    }

    /// What programs need as DISPLAY, such as `:99`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Takes a picture of the whole screen; the ending of `path` decides the format.
    pub async fn screenshot(&self, path: &Path) -> anyhow::Result<()> {
        let path = path.to_str().context("a screenshot's path must be text")?;
        self.run("import", &["-window", "root", path]).await.map(drop)
    }

    /// Runs a program such as `xdotool` or `wmctrl` on this screen and gives what it printed.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command: Command = bounded(program);
        command.args(arguments).env("DISPLAY", &self.display);
        output(program, command, Duration::from_secs(20)).await
    }

    /// An error when the screen is gone, with the last it said.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        self.screen.must_run()
    }
}

const STARTING: Duration = Duration::from_secs(15);
