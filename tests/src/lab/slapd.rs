//! A throw-away OpenLDAP directory on a port of its own, with the people a test gives it.

use std::net::{SocketAddrV4, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::lab::postgres::ADDRESS;
use crate::lab::process::{Freeze, Running, bounded, output, until};
use crate::lab::{Part, Trouble, need};

/// What stands above all people.
pub const BASE: &str = "dc=firm,dc=example";

/// Who may read them.
pub const USER: &str = "cn=hub,dc=firm,dc=example";

/// The password of [`USER`].
pub const PASSWORD: &str = "only-a-test";

/// A directory server. Gone when dropped.
#[derive(Debug)]
pub struct Slapd {
    at: SocketAddrV4,
    running: Running,
    // After `running`: it has to end before its files are removed.
    _files: tempfile::TempDir,
}

impl Slapd {
    /// Starts one with `people` (LDIF) below [`BASE`], readable by [`USER`] alone, and waits until it takes
    /// connections (about 1 s).
    pub async fn start(people: &str) -> Result<Slapd, Trouble> {
        let root = need(Part::Slapd)?;
        let files = tempfile::Builder::new().prefix("pinkas-slapd-").tempdir()?;
        let folder = files.path();
        std::fs::create_dir(folder.join("people"))?;
        let (etc, lib, here) = (root.join("etc/ldap/schema"), root.join("usr/lib/ldap"), folder.display());
        let schemas: String = ["core", "cosine", "inetorgperson"]
            .map(|name| format!("include {}\n", etc.join(name).with_extension("schema").display()))
            .concat();
        let config = format!(
            "{schemas}modulepath {}\nmoduleload back_mdb\npidfile {here}/pid\ndatabase mdb\nmaxsize 16777216\n\
             suffix \"{BASE}\"\nrootdn \"{USER}\"\nrootpw {PASSWORD}\naccess to * by * none\ndirectory {here}/people\n",
            lib.display()
        );
        let config_file = folder.join("slapd.conf");
        std::fs::write(&config_file, config)?;
        let firm =
            format!("dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: Firm\ndc: firm\n\n");
        std::fs::write(folder.join("people.ldif"), firm + people)?;
        let mut add = program(&root);
        // The tool it is to be has to be named first.
        add.args(["-T", "add", "-q", "-f"]).arg(&config_file).arg("-l").arg(folder.join("people.ldif"));
        output("slapd -T add", add, Duration::from_secs(30)).await?;

        let at = SocketAddrV4::new(ADDRESS, TcpListener::bind((ADDRESS, 0))?.local_addr()?.port());
        let mut server = program(&root);
        server.arg("-f").arg(&config_file).args(["-d", "0", "-h", &format!("ldap://{at}")]);
        let mut running = Running::start("slapd", server, &folder.join("log"))?;
        until("slapd to take connections", Duration::from_secs(30), async || {
            if let Err(error) = running.must_run() {
                return Some(Err(error));
            }
            TcpStream::connect(at).await.ok().map(|_| Ok(()))
        })
        .await??;
        Ok(Slapd { at, running, _files: files })
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddrV4 {
        self.at
    }

    /// Stops it where it stands, or lets it go on.
    pub fn freeze(&self, signal: Freeze) {
        self.running.freeze(signal);
    }
}

/// The program comes with its own C library, so it is started through its own loader.
fn program(root: &Path) -> Command {
    let libraries: Vec<String> = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]
        .map(|libraries| root.join(libraries).display().to_string())
        .into();
    let mut command = bounded(root.join("loader"));
    command.arg("--library-path").arg(libraries.join(":")).arg(root.join("usr/sbin/slapd"));
    command
}
