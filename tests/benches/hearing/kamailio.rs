//! Small Kamailios as rulers: one that answers each request statelessly, and two that take HEP with sipcapture and
//! write each message away, into a file or into a database. Written for this measurement.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use pinkas_tests::lab::kamailio::program;
use pinkas_tests::lab::process::{Running, udp_bound, until};
use pinkas_tests::lab::{Part, Skip, Trouble, need};
use pinkas_tests::measure::Processes;

/// As many as sipcapture's own sample configuration for Homer starts.
const DATABASE_WORKERS: u8 = 5;

/// The table that sipcapture writes into: its columns, and the keys by which Homer finds a call again.
pub const TABLE: &str = "
create table sip_capture (
    id bigserial primary key, date timestamp not null, micro_ts bigint not null,
    method text, reply_reason text, ruri text, ruri_user text, ruri_domain text,
    from_user text, from_domain text, from_tag text, to_user text, to_domain text, to_tag text,
    pid_user text, contact_user text, auth_user text, callid text, callid_aleg text,
    via_1 text, via_1_branch text, cseq text, diversion text, reason text, content_type text, auth text, user_agent text,
    source_ip text, source_port integer, destination_ip text, destination_port integer,
    contact_ip text, contact_port integer, originator_ip text, originator_port integer, correlation_id text,
    proto integer, family integer, rtp_stat text, type integer, node text,
    custom_field1 text, custom_field2 text, custom_field3 text, msg text
);
create index on sip_capture (date);
create index on sip_capture (callid);
";

/// A running one.
pub struct Ruler {
    running: Running,
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
        Ruler::start(listen, 1, text).await
    }

    /// Writes every message that comes by HEP into a file.
    pub async fn into_file(listen: SocketAddrV4) -> Result<Ruler, Trouble> {
        let text = |folder: &Path| {
            let more = "modparam(\"db_flatstore\", \"flush\", 0)\n";
            capture("db_flatstore", more, &format!("flatstore:{}", folder.display()))
        };
        Ruler::start(listen, 1, text).await
    }

    /// Writes every message that comes by HEP as a row into a PostgreSQL, in [`TABLE`]; each worker waits for its row.
    pub async fn into_database(listen: SocketAddrV4, url: &str) -> Result<Ruler, Trouble> {
        if !need(Part::Kamailio)?.join("modules/db_postgres.so").is_file() {
            let reason = "it is from before db_postgres was needed: run tests/setup/setup.sh".to_owned();
            return Err(Skip { part: Part::Kamailio, reason }.into());
        }
        Ruler::start(listen, DATABASE_WORKERS, |_| capture("db_postgres", "", url)).await
    }

    async fn start(
        listen: SocketAddrV4,
        workers: u8,
        routes: impl FnOnce(&Path) -> String,
    ) -> Result<Ruler, Trouble> {
        let root = need(Part::Kamailio)?;
        let folder = tempfile::Builder::new().prefix("pinkas-ruler-").tempdir()?;
        let file = folder.path().join("kamailio.cfg");
        let text = format!(
            "#!KAMAILIO\ndebug=0\nlog_stderror=yes\nchildren={workers}\ndisable_tcp=yes\nauto_aliases=no\nlisten=udp:{listen}\n\
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
        Ok(Ruler { running, file, folder })
    }

    /// What it costs.
    pub fn processes(&self) -> Processes {
        Processes::with(&self.file)
    }

    /// What it logged, the end of it.
    pub fn log(&self) -> String {
        self.running.last_words()
    }

    /// How many bytes it has written into files of its capture.
    pub fn written(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let captured = files.filter(|file| file.file_name().to_string_lossy().starts_with("sip_capture"));
        captured.filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
    }
}

/// A configuration that hands every message to sipcapture.
fn capture(database: &str, more: &str, url: &str) -> String {
    format!(
        "loadmodule \"pv.so\"\nloadmodule \"{database}.so\"\nloadmodule \"sipcapture.so\"\n{more}\
         modparam(\"sipcapture\", \"db_url\", \"{url}\")\n\
         modparam(\"sipcapture\", \"hep_capture_on\", 1)\nmodparam(\"sipcapture\", \"capture_on\", 1)\n\
         modparam(\"sipcapture\", \"table_name\", \"sip_capture\")\n\
         request_route {{\n  sip_capture();\n  drop;\n}}\nonreply_route {{\n  sip_capture();\n  drop;\n}}\n"
    )
}
