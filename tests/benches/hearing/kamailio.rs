//! Two small Kamailios as rulers: one that answers each request statelessly, and one that takes HEP and writes
//! each message into a file. One worker each. Written for this measurement.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use pinkas_tests::lab::kamailio::program;
use pinkas_tests::lab::process::{Running, udp_bound, until};
use pinkas_tests::lab::{Part, Trouble, need};
use pinkas_tests::measure::Processes;

/// A running one.
pub struct Ruler {
    _running: Running,
    file: std::path::PathBuf,
    folder: tempfile::TempDir,
}

impl Ruler {
    /// Answers every request with 200.
    pub async fn stateless(listen: SocketAddrV4) -> Result<Ruler, Trouble> {
        let text = |_: &Path| {
            "loadmodule \"sl.so\"\nrequest_route {\n  sl_send_reply(\"200\", \"OK\");\n  exit;\n}\n"
                .to_owned()
        };
        Ruler::start(listen, text).await
    }

    /// Writes every message that comes by HEP into a file.
    pub async fn capture(listen: SocketAddrV4) -> Result<Ruler, Trouble> {
        let text = |folder: &Path| {
            format!(
                "loadmodule \"pv.so\"\nloadmodule \"db_flatstore.so\"\nloadmodule \"sipcapture.so\"\n\
                 modparam(\"db_flatstore\", \"flush\", 0)\nmodparam(\"sipcapture\", \"db_url\", \"flatstore:{}\")\n\
                 modparam(\"sipcapture\", \"hep_capture_on\", 1)\nmodparam(\"sipcapture\", \"capture_on\", 1)\n\
                 modparam(\"sipcapture\", \"table_name\", \"sip_capture\")\n\
                 request_route {{\n  sip_capture();\n  drop;\n}}\nonreply_route {{\n  sip_capture();\n  drop;\n}}\n",
                folder.display()
            )
        };
        Ruler::start(listen, text).await
    }

    async fn start(listen: SocketAddrV4, routes: impl FnOnce(&Path) -> String) -> Result<Ruler, Trouble> {
        let root = need(Part::Kamailio)?;
        let folder = tempfile::Builder::new().prefix("pinkas-ruler-").tempdir()?;
        let file = folder.path().join("kamailio.cfg");
        let text = format!(
            "#!KAMAILIO\ndebug=0\nlog_stderror=yes\nchildren=1\ndisable_tcp=yes\nauto_aliases=no\nlisten=udp:{listen}\n\
             mpath=\"{}/\"\n{}",
            root.join("modules").display(),
            routes(folder.path())
        );
        std::fs::write(&file, text)?;
        let mut command = program(&root);
        let path = folder.path().display().to_string();
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-w", &path, "-Y", &path]);
        command.args(["-P", &format!("{path}/kamailio.pid")]).arg("-f").arg(&file);
        let mut running = Running::start("Kamailio", command, &folder.path().join("console.log"))?;
        until("Kamailio to listen", Duration::from_secs(30), async || {
            if let Err(error) = running.must_run() {
                return Some(Err(error));
            }
            udp_bound(SocketAddr::V4(listen)).then_some(Ok(()))
        })
        .await??;
        // Bound before the worker runs; it reads what came meanwhile.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(Ruler { _running: running, file, folder })
    }

    /// What it costs.
    pub fn processes(&self) -> Processes {
        Processes::with(&self.file)
    }

    /// How many bytes it has written into files of its capture.
    pub fn written(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let captured = files.filter(|file| file.file_name().to_string_lossy().starts_with("sip_capture"));
        captured.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
    }
}
