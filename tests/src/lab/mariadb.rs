//! A throw-away MariaDB on a port of its own: an empty database that nobody else sees.

use std::net::{SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use sqlx::{Connection, MySqlConnection};

use crate::lab::postgres::ADDRESS;
use crate::lab::process::{Freeze, Running, bounded, output, until};
use crate::lab::{Part, Trouble, need};

/// The password of its one user, `pinkas`.
pub const PASSWORD: &str = "only-a-test";

/// A database server with one database, `customers`. Gone when dropped.
#[derive(Debug)]
pub struct MariaDb {
    at: SocketAddrV4,
    running: Running,
    // After `running`: it has to end before its files are removed.
    _files: tempfile::TempDir,
}

impl MariaDb {
    /// Starts one and waits until it takes connections (about 2 s).
    pub async fn start() -> Result<MariaDb, Trouble> {
        let root = need(Part::MariaDb)?;
        let files = tempfile::Builder::new().prefix("pinkas-mariadb-").tempdir()?;
        let folder = files.path();
        std::fs::create_dir(folder.join("data"))?;
        let share = root.join("usr/share/mysql");
        // What its own installation script feeds it, one statement a line where it wants that.
        let mut tables = "create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n".to_owned();
        for name in ["mysql_system_tables", "mysql_performance_tables", "mysql_system_tables_data"] {
            tables += &std::fs::read_to_string(share.join(name).with_extension("sql"))
                .context("a file of MariaDB")?;
        }
        std::fs::write(folder.join("tables.sql"), tables)?;
        let mut bootstrap = Command::new("sh");
        bootstrap.args(["-c", "exec \"$@\" <\"$0\""]).arg(folder.join("tables.sql"));
        let server = program(&root, folder);
        bootstrap.arg(server.get_program()).args(server.get_args()).arg("--bootstrap");
        output("mariadbd --bootstrap", bootstrap, Duration::from_secs(60)).await?;

        let user = format!(
            "create database customers character set utf8mb4;\ncreate user pinkas@'%' identified by '{PASSWORD}';\n\
             grant all on customers.* to pinkas@'%';\n"
        );
        std::fs::write(folder.join("user.sql"), user)?;
        let at = SocketAddrV4::new(ADDRESS, TcpListener::bind((ADDRESS, 0))?.local_addr()?.port());
        let mut server = program(&root, folder);
        server.arg(format!("--bind-address={ADDRESS}")).arg(format!("--port={}", at.port()));
        server.arg(format!("--socket={}", folder.join("socket").display()));
        server.arg(format!("--pid-file={}", folder.join("pid").display()));
        server.arg(format!("--init-file={}", folder.join("user.sql").display()));
        let mut running = Running::start("MariaDB", server, &folder.join("log"))?;
        until("MariaDB to take connections", Duration::from_secs(30), async || {
            if let Err(error) = running.must_run() {
                return Some(Err(error));
            }
            MySqlConnection::connect(&url(at, PASSWORD)).await.ok().map(|_| Ok(()))
        })
        .await??;
        Ok(MariaDb { at, running, _files: files })
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddrV4 {
        self.at
    }

    /// For sqlx, with the password.
    pub fn url(&self) -> String {
        url(self.at, PASSWORD)
    }

    /// Stops it where it stands, or lets it go on.
    pub fn freeze(&self, signal: Freeze) {
        self.running.freeze(signal);
    }
}

fn url(at: SocketAddrV4, password: &str) -> String {
    format!("mysql://pinkas:{password}@{at}/customers")
}

/// The program comes with its own C library, so it is started through its own loader. As root it wants
/// to be told that it may be; as anybody else it says so and goes on.
fn program(root: &Path, folder: &Path) -> Command {
    let libraries: Vec<String> = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]
        .map(|libraries| root.join(libraries).display().to_string())
        .into();
    let share: PathBuf = root.join("usr/share/mysql");
    let mut command = bounded(root.join("loader"));
    command.arg("--library-path").arg(libraries.join(":")).arg(root.join("usr/sbin/mariadbd"));
    command.args([
        "--no-defaults",
        "--user=root",
        "--innodb-buffer-pool-size=16M",
        "--innodb-log-file-size=4M",
    ]);
    // Not synced to the disk: it is thrown away.
    command.args(["--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]);
    command.arg(format!("--datadir={}", folder.join("data").display()));
    command.arg(format!("--tmpdir={}", folder.display()));
    command.arg(format!("--plugin-dir={}", folder.display()));
    command.arg(format!("--lc-messages-dir={}", share.display()));
    command.arg(format!("--character-sets-dir={}", share.join("charsets").display()));
    command
}
