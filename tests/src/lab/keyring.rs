//! A session bus and a keyring of a test's own, with nothing of this machine's: GNOME's, which speaks the Secret
//! Service as desktops have it. A keyring that is unlocked at the start asks nobody anything.

use std::process::Command;
use std::time::Duration;

use crate::lab::process::{Running, bounded, until};
use crate::lab::{Part, Trouble, need};

const STARTING: Duration = Duration::from_secs(15);

/// The bus, and the keyring on it once it was started. Gone when dropped, with all that was kept.
#[derive(Debug)]
pub struct Keyring {
    /// Before `bus`, so that it ends first.
    daemon: Option<Running>,
    bus: Running,
    folder: tempfile::TempDir,
}

impl Keyring {
    /// Starts a bus on which no keyring is, and that starts none by itself.
    pub async fn none_on_a_bus() -> Result<Keyring, Trouble> {
        let program = need(Part::Keyring)?;
        let folder = tempfile::Builder::new().prefix("pinkas-keyring-").tempdir()?;
        let (config, socket) = (folder.path().join("bus.conf"), folder.path().join("bus"));
        // Debian's own configuration would start whatever keyring is installed.
        let rules =
            "<allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/><allow own=\"*\"/>";
        let said = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n<busconfig><type>session</type>\
             <listen>unix:path={}</listen><policy context=\"default\">{rules}</policy></busconfig>\n",
            socket.display()
        );
        std::fs::write(&config, said)?;
        let mut command = bounded(program.with_file_name("dbus-daemon"));
        command.arg("--config-file").arg(&config).arg("--nofork");
        let mut bus = Running::start("dbus-daemon", command, &folder.path().join("bus.log"))?;
        until("the bus to listen", STARTING, async || {
            if let Err(error) = bus.must_run() {
                return Some(Err(error));
            }
            socket.exists().then_some(Ok(()))
        })
        .await??;
        Ok(Keyring { daemon: None, bus, folder })
    }

    /// Starts the keyring, unlocked; what was kept before is there. It takes a moment to be on the bus.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let mut command = bounded("sh");
        // The password of the keyring itself; its end of file is the end of the password.
        let script =
            "printf only-a-test | exec gnome-keyring-daemon --foreground --unlock --components=secrets";
        command.args(["-c", script]);
        self.reach(&mut command);
        self.daemon =
            Some(Running::start("gnome-keyring-daemon", command, &self.folder.path().join("keyring.log"))?);
        Ok(())
    }

    /// Kills it, as the end of a person's session would.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Lets a program use this bus, and this test's own folders.
    pub fn reach(&self, command: &mut Command) {
        let folder = self.folder.path();
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", folder.join("bus").display()));
        for name in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"] {
            command.env(name, folder);
        }
    }

    /// The end of what bus and keyring printed, for error messages.
    pub fn last_words(&self) -> String {
        let keyring = self.daemon.as_ref().map(Running::last_words).unwrap_or_default();
        format!("{}\n{keyring}", self.bus.last_words())
    }
}
