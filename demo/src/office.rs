//! A whole installation in one folder: configuration files and secrets for a hub, an adapter and the
//! people of a small office, as an administrator would write them. The demo runs it in one process,
//! the tests as separate programs.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pinkas_protocol::Line;
use uuid::Uuid;

use crate::company;
use crate::pbx::{Faults, PbxConfig};

/// The people of the office: id, name, lines, role.
pub const PEOPLE: [(&str, &str, &[&str], &str); 4] = [
    ("ana", "Ana", &["101"], "agent"),
    ("bob", "Bob", &["102"], "agent"),
    ("celina", "Celina", &["103"], "agent"),
    ("sima", "Sima", &[], "supervisor"),
];

/// The account that may subscribe at the pretend phone system.
pub const PBX_USER: &str = "pinkas";
/// Its realm; Asterisk's is the same.
pub const PBX_REALM: &str = "asterisk";

/// Where the parts of an office are.
#[derive(Debug, Clone)]
pub struct Places {
    /// The folder of everything.
    pub dir: PathBuf,
    /// Where the hub listens.
    pub hub: SocketAddr,
    /// Where the phone system is.
    pub pbx: SocketAddr,
    /// The phone system's password for [`PBX_USER`].
    pub pbx_password: String,
    /// Where balances are asked: a URL with `{customer.id}`.
    pub balance_url: String,
    /// Further lines of the hub's configuration.
    pub more_hub: String,
}

/// The files of an office.
#[derive(Debug, Clone)]
pub struct Office {
    /// The hub's configuration.
    pub hub: PathBuf,
    /// The adapter's.
    pub adapter: PathBuf,
    /// The desktops', by person.
    pub agents: BTreeMap<&'static str, PathBuf>,
}

/// A secret nobody else has.
pub fn new_secret() -> String {
    Uuid::now_v7().simple().to_string() + &Uuid::now_v7().simple().to_string()
}

/// Every line of [`PEOPLE`].
pub fn lines() -> Vec<Line> {
    PEOPLE
        .iter()
        .flat_map(|(_, _, lines, _)| lines.iter())
        .filter_map(|line| Line::parse(line).ok())
        .collect()
}

/// The pretend phone system that belongs to an office.
pub fn pbx_config(listen: SocketAddr, password: &str) -> PbxConfig {
    let agents = PEOPLE.iter().flat_map(|(_, name, lines, _)| lines.iter().map(move |line| (line, name)));
    PbxConfig {
        listen,
        realm: PBX_REALM.to_owned(),
        user: PBX_USER.to_owned(),
        password: password.to_owned(),
        lines: agents
            .filter_map(|(line, name)| Some((Line::parse(line).ok()?, (*name).to_owned())))
            .collect(),
        faults: Faults::default(),
    }
}

/// Writes the files. The sample company's own files ([`company::write`]) belong into the same folder.
pub fn write(places: &Places) -> io::Result<Office> {
    let dir = &places.dir;
    let secret = |name: &str, value: &str| write_secret(&dir.join(format!("{name}.secret")), value);
    secret("pbx", &places.pbx_password)?;
    secret("adapter", &new_secret())?;
    let mut people = String::new();
    let mut agents = BTreeMap::new();
    for (id, name, lines, role) in PEOPLE {
        secret(id, &new_secret())?;
        people += &format!(
            "[[agent]]\nid = \"{id}\"\nname = \"{name}\"\nlines = {lines:?}\nrole = \"{role}\"\nsecret_file = \"{id}.secret\"\n\n"
        );
        let file = dir.join(format!("{id}.toml"));
        std::fs::write(
            &file,
            format!(
                "hub = \"ws://{}\"\nagent = \"{id}\"\nsecret_file = \"{id}.secret\"\ndata = \"{id}-data\"\nlanguage = \"en\"\n",
                places.hub
            ),
        )?;
        agents.insert(id, file);
    }
    let hub = dir.join("hub.toml");
    std::fs::write(&hub, hub_file(places, &people))?;
    let adapter = dir.join("adapter.toml");
    std::fs::write(&adapter, adapter_file(places))?;
    Ok(Office { hub, adapter, agents })
}

fn hub_file(places: &Places, people: &str) -> String {
    let Places { hub, balance_url, more_hub, .. } = places;
    let (customers, credit, sales) = (company::CUSTOMERS_CSV, company::CREDIT_CSV, company::SALES_DB);
    format!(
        r#"listen  = "{hub}"
state   = "hub-state"
country = "PL"

[[adapter]]
name        = "main"
secret_file = "adapter.secret"

{people}[[source]]
name  = "customers"
gives = "customer"
csv   = "{customers}"
separator = ";"

[[source]]
name     = "accounting"
gives    = "balance"
http     = "{balance_url}"
deadline = "800ms"
[source.fields]
balance    = "$.data.amount"
currency   = "$.data.currency"
overdue    = "$.data.overdue"
oldest_due = "$.data.oldest_due"
as_of      = "$.data.as_of"

[[source]]
name      = "credit"
gives     = "credit"
csv       = "{credit}"
separator = ";"

[[source]]
name  = "sales"
gives = "purchases"
sql   = "sqlite:{sales}"
query = "select sold_on, product, quantity, amount, currency from sales where customer_id = {{customer.id}} order by sold_on desc limit 5"

{more_hub}"#
    )
}

fn adapter_file(places: &Places) -> String {
    format!(
        r#"name        = "main"
hub         = "ws://{hub}"
secret_file = "adapter.secret"
state       = "adapter-state"

[pbx]
lines         = {lines:?}
country       = "PL"

[dialog_events]
address       = "{pbx}"
user          = "{PBX_USER}"
password_file = "pbx.secret"
realm         = "{PBX_REALM}"
"#,
        hub = places.hub,
        pbx = places.pbx,
        lines = lines().iter().map(Line::as_str).collect::<Vec<_>>(),
    )
}

/// Only the owner may read it.
fn write_secret(path: &Path, value: &str) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(value.as_bytes())
    }
    #[cfg(not(unix))]
    std::fs::write(path, value)
}
