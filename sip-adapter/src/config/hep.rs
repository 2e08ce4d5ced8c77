//! `[hep]`: hearing by a copy of the SIP traffic (HEPv3).

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use pinkas_config::{Secret, Section};

use crate::sip::tags::HeaderName;

/// The header in which a phone's leg names the caller's Call-ID where nothing else is written: as our guide for
/// Asterisk's dialplan names it.
pub const CALL_ID_HEADER: &str = "X-Original-Call-ID";

/// How to take in copies of the SIP traffic.
#[derive(Debug, Clone)]
pub struct Hep {
    /// Where copies come to, over UDP and TCP.
    pub listen: SocketAddr,
    /// From where they are taken; never empty.
    pub from: Vec<Network>,
    /// What each must carry (chunk 14), where the sender can send one.
    pub key: Option<Secret>,
    /// Addresses of the phone system; learned when none is given.
    pub pbx: Vec<IpAddr>,
    /// The header that names the caller's leg on the phones' legs.
    pub call_id_header: String,
    /// How long after the caller's leg a phone's leg is joined with it by the caller's number without doubt.
    pub join_within: Duration,
    /// How long a talking leg may be without any message.
    pub give_up_after: Duration,
    /// The most legs followed at once.
    pub most_legs: usize,
}

/// An address, or all addresses of a network, as in `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is one of it. An IPv4 address written as an IPv6 one is the IPv4 one.
    pub fn holds(&self, ip: IpAddr) -> bool {
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(own) & mask == u32::from(ip) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(own) & mask == u128::from(ip) & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.trim().parse().map_err(|_| NoNetwork)?;
        let ip = ip.to_canonical();
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.trim().parse::<u8>()).map_err(|_| NoNetwork)?;
        if bits > most { Err(NoNetwork) } else { Ok(Network { ip, bits }) }
    }
}

/// The text is neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is neither an IP address nor a network such as 192.0.2.0/24")]
pub struct NoNetwork;

pub(super) fn read(section: &mut Section<'_>) -> Option<Hep> {
    let listen = section.need_parsed::<SocketAddr>(
        "listen",
        "an address of this machine and a port such as \"192.0.2.20:9060\"",
    );
    let from = section.parsed_list::<Network>(
        "from",
        "IP addresses or networks such as \"192.0.2.10\" or \"192.0.2.0/24\"",
    );
    if section.lacks("from") {
        section.note(
            "from",
            "`from` is missing or empty: write who may send copies of the traffic, such as [\"192.0.2.10\"]",
        );
    }
    let key_written = ["key", "key_env", "key_file"].map(|key| section.has(key)).contains(&true);
    let key = section.secret("key");
    if let (Some(listen), false) = (listen, key_written)
        && !private(listen.ip())
    {
        section.note(
            "listen",
            "without a key, `listen` must be an address that cannot be reached from outside, such as \"127.0.0.1:9060\" or \
             \"10.0.0.5:9060\": write that, or `key_env` where the sender can send a key",
        );
    }
    let pbx = section.parsed_list::<IpAddr>("pbx", "IP addresses such as \"192.0.2.10\"");
    let header =
        section.parsed::<HeaderName>("call_id_header", "the name of a header such as \"X-Original-Call-ID\"");
    let join_within = section.duration("join_within").unwrap_or(Duration::from_secs(5));
    if join_within > Duration::from_secs(60) {
        section.note(
            "join_within",
            "`join_within` must be at most \"1m\": later, another call of the same number is meant",
        );
    }
    let give_up_after = section.duration("give_up_after").unwrap_or(Duration::from_secs(4 * 3600));
    if give_up_after < Duration::from_secs(600) {
        section.note(
            "give_up_after",
            "`give_up_after` must be at least \"10m\": people talk without a message on the wire",
        );
    }
    let most_legs = section.integer("most_legs", 100, 1_000_000).and_then(|n| usize::try_from(n).ok());
    if (key_written && key.is_none()) || from.is_empty() {
        return None;
    }
    Some(Hep {
        listen: listen?,
        from,
        key,
        pbx,
        call_id_header: header.map_or(CALL_ID_HEADER.to_owned(), |header| header.as_str().to_owned()),
        join_within,
        give_up_after,
        most_legs: most_legs.unwrap_or(20_000),
    })
}

/// Whether an address is reached from this machine or a private network alone (RFC 1918, RFC 4193).
fn private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let check = |network: &str, ip: &str, expected: bool| {
            let network: Network = network.parse().expect("a network");
            assert_eq!(network.holds(ip.parse().expect("an address")), expected, "{network:?} {ip}");
        };
        check("127.0.0.1", "127.0.0.1", true);
        check("127.0.0.1", "::ffff:127.0.0.1", true);
        check("127.0.0.1", "127.0.0.2", false);
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.77/24", "192.0.3.1", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        for none in ["", "x", "192.0.2.1/33", "192.0.2.1/x", "2001:db8::/129", "192.0.2/24"] {
            assert_eq!(none.parse::<Network>(), Err(NoNetwork), "{none}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_what_to_write() {
        let text = "listen = \"0.0.0.0:9060\"\nfrom = [\"192.0.2.0/33\"]\npbx = [\"pbx\"]\ncall_id_header = \"X Call\"\n\
            join_within = \"2m\"\ngive_up_after = \"1s\"\nmost_legs = 5\nport = 1\n";
        let mistakes =
            pinkas_config::parse(Path::new("a.toml"), text, read).expect_err("mistakes").to_string();
        insta::assert_snapshot!(mistakes);
    }

    #[test]
    fn a_key_or_a_private_address_is_enough() {
        let check = |text: &str, right: bool| {
            let read = pinkas_config::parse(Path::new("a.toml"), text, read);
            assert_eq!(read.is_ok(), right, "{text}: {:?}", read.err());
        };
        check("listen = \"127.0.0.1:9060\"\nfrom = [\"127.0.0.1\"]\n", true);
        check("listen = \"[fd00::1]:9060\"\nfrom = [\"fd00::/8\"]\n", true);
        check("listen = \"203.0.113.5:9060\"\nfrom = [\"203.0.113.6\"]\n", false);
        check("listen = \"203.0.113.5:9060\"\nfrom = [\"203.0.113.6\"]\nkey_env = \"PATH\"\n", true);
        check("listen = \"127.0.0.1:9060\"\n", false);
    }
}
