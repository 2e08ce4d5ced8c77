//! Where and as whom to speak SIP with a phone system: the keys that every way with an account of its
//! own has in common.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use pinkas_config::{Secret, Section};

/// An account at a phone system.
#[derive(Debug, Clone)]
pub struct SipAccount {
    /// The phone system's SIP address.
    pub address: SocketAddr,
    /// How messages travel.
    pub transport: Transport,
    /// The host in SIP URIs.
    pub domain: String,
    /// Where messages shall come to; found by route when absent. Of TCP and TLS only the address counts:
    /// each connection has a port of its own.
    pub listen: Option<SocketAddr>,
    /// The account's name.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Only challenges of this realm are answered, when given; else only of the first that let us in.
    pub realm: Option<String>,
}

/// How messages travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// One connection for both directions.
    Tcp,
    /// The same, encrypted, with the phone system's certificate checked.
    Tls(Tls),
}

/// How the phone system's certificate is checked. There is no way not to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates (PEM) of those who may vouch for it; this machine's own when absent.
    pub ca_file: Option<PathBuf>,
    /// The name or address it must be made out to.
    pub name: String,
}

impl SipAccount {
    /// As in messages to people: `udp`, `tcp`, `tls`.
    pub fn transport_name(&self) -> &'static str {
        match self.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls(_) => "tls",
        }
    }
}

/// Reads the keys; `user` says what kind of account is wanted.
pub(super) fn read(section: &mut Section<'_>, user: &str) -> Option<SipAccount> {
    let address = section.need_parsed::<SocketAddr>(
        "address",
        "the phone system's IP address and SIP port such as \"192.0.2.10:5060\"",
    );
    let domain = section.text("domain");
    let listen = section
        .parsed::<SocketAddr>("listen", "an address and port of this machine such as \"192.0.2.20:5062\"");
    let user = section.need_text("user", user);
    let password = section.need_secret("password");
    let realm = section.text("realm");
    let (named, ca_file) = (section.text("tls_name"), section.path("ca_file"));
    let host = domain.clone().or_else(|| address.map(|address| uri_host(address.ip())));
    let transport = match section.text("transport").as_deref() {
        None | Some("udp") => Some(Transport::Udp),
        Some("tcp") => Some(Transport::Tcp),
        Some("tls") => {
            let name = named.clone().or_else(|| domain.clone()).or_else(|| Some(address?.ip().to_string()));
            name.map(|name| Transport::Tls(Tls { ca_file: ca_file.clone(), name }))
        }
        Some(_) => {
            section.note("transport", "`transport` must be \"udp\", \"tcp\" or \"tls\"");
            None
        }
    };
    if matches!(transport, Some(Transport::Udp | Transport::Tcp)) {
        for (key, written) in [("tls_name", named.is_some()), ("ca_file", ca_file.is_some())] {
            if written {
                section.note(key, format!("`{key}` means nothing without transport = \"tls\""));
            }
        }
    }
    if let Some(name) = &named
        && rustls::pki_types::ServerName::try_from(name.as_str()).is_err()
    {
        section.note("tls_name", "`tls_name` must be a host name or an IP address");
    }
    if let Some(file) = ca_file.filter(|file| !file.is_file()) {
        section.note("ca_file", format!("`ca_file`: there is no file {}", file.display()));
    }
    Some(SipAccount {
        address: address?,
        transport: transport?,
        domain: host?,
        listen,
        user: user?,
        password: password?,
        realm,
    })
}

fn uri_host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
