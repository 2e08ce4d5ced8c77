//! A throw-away PostgreSQL on a port of its own: an empty database that nobody else sees.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use crate::lab::process::{Running, bounded, output, until};
use crate::lab::{Part, Trouble, need};
use crate::measure::Processes;

/// A database server with one database, `customers`, and one user, `pinkas`. Gone when dropped.
#[derive(Debug)]
pub struct Postgres {
    at: SocketAddrV4,
    programs: Programs,
    running: Running,
}

impl Postgres {
    /// Starts one and waits until it takes connections (about 2 s).
    pub async fn start() -> Result<Postgres, Trouble> {
        let programs = Programs::with_own_folder(need(Part::Postgres)?)?;
        // Not synced to the disk: it is thrown away.
        let mut initdb = programs.command("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--username=pinkas", "--encoding=UTF8", "--locale=C"]);
        output("initdb", initdb, Duration::from_secs(60)).await?;

        let at = SocketAddrV4::new(ADDRESS, TcpListener::bind((ADDRESS, 0))?.local_addr()?.port());
        let mut server = programs.command("postgres");
        server.args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "unix_socket_directories="]);
        server.args(["-c", &format!("listen_addresses={ADDRESS}"), "-p", &at.port().to_string()]);
        server.args(["-c", &format!("cluster_name={}", cluster(at))]);
        let running = Running::start("PostgreSQL", server, &programs.folder.path().join("log"))?;
        let mut postgres = Postgres { at, programs, running };
        postgres.create_database().await?;
        Ok(postgres)
    }

    /// For a source's configuration, or for sqlx.
    pub fn url(&self) -> String {
        format!("postgres://pinkas@{}/customers", self.at)
    }

    /// What it costs: the server and those it has started until now, one for each connection among them.
    pub fn processes(&self) -> Processes {
        Processes::with(Path::new(&cluster(self.at)))
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddrV4 {
        self.at
    }

    /// Ends it at once, without a word to who is connected.
    pub fn kill(&mut self) {
        // Through its own program, since a killed server leaves shared memory behind for ever.
        let mut stop = self.programs.command("pg_ctl");
        stop.args(["stop", "--silent", "--mode=immediate", "--timeout=5"]);
        let _gone_already = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        self.running.kill();
    }

    async fn create_database(&mut self) -> anyhow::Result<()> {
        let (host, port) = (self.at.ip().to_string(), self.at.port().to_string());
        until("PostgreSQL to take connections", Duration::from_secs(30), async || {
            if let Err(error) = self.running.must_run() {
                return Some(Err(error));
            }
            let mut create = self.programs.command("createdb");
            create.args(["-h", &host, "-p", &port, "-U", "pinkas", "customers"]);
            output("createdb", create, Duration::from_secs(10)).await.ok().map(|_| Ok(()))
        })
        .await?
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address for the databases of all tests; each takes a free port.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 30, 254);

/// Every process of a server shows this name on its command line.
fn cluster(at: SocketAddrV4) -> String {
    format!("pinkas-at-{}-", at.port())
}

/// PostgreSQL's programs and the folder they work in. They refuse to run as root: then the user that
/// the package made runs them and owns the folder.
#[derive(Debug)]
struct Programs {
    place: PathBuf,
    folder: tempfile::TempDir,
    as_postgres: bool,
}

impl Programs {
    fn with_own_folder(place: PathBuf) -> anyhow::Result<Programs> {
        let folder = tempfile::Builder::new().prefix("pinkas-postgres-").tempdir()?;
        let as_postgres = std::fs::metadata(folder.path())?.uid() == 0;
        if as_postgres {
            let users = std::fs::read_to_string("/etc/passwd")?;
            let user = users.lines().find_map(|line| line.strip_prefix("postgres:"));
            let id = user.and_then(|rest| rest.split(':').nth(1)?.parse().ok());
            chown(folder.path(), Some(id.context("the package made no user postgres")?), None)?;
        }
        Ok(Programs { place, folder, as_postgres })
    }

    fn command(&self, program: &str) -> Command {
        let program = self.place.join(program);
        let mut command = if self.as_postgres { bounded("setpriv") } else { bounded(&program) };
        if self.as_postgres {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        }
        // The folder a test runs in may be closed to that user.
        command.current_dir(self.folder.path()).env("PGDATA", self.folder.path().join("data"));
        command
    }
}
