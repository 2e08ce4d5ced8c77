//! What a captured frame carries: the link layer, VLAN tags, IPv4 and IPv6 down to UDP and TCP. Reads any bytes
//! without a panic and without copying. Checksums are not looked at: a machine that captures what it sends
//! itself sees them before they are computed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How frames of a capture begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Ethernet.
    Ethernet,
    /// Linux "cooked", as of the interface `any`.
    Sll,
    /// The same, version 2.
    Sll2,
    /// IP at once.
    Ip,
    /// Four bytes, then IP: the loopback of BSD and macOS.
    Loopback,
}

impl Link {
    /// By the number that captures write (tcpdump.org/linktypes.html).
    pub fn numbered(number: i32) -> Option<Link> {
        match number {
            0 | 108 => Some(Link::Loopback),
            1 => Some(Link::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Link::Ip),
            113 => Some(Link::Sll),
            276 => Some(Link::Sll2),
            _ => None,
        }
    }
}

/// An IP packet, or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip<'a> {
    /// Who sent it.
    pub from: IpAddr,
    /// Whom to.
    pub to: IpAddr,
    /// What it carries (6 is TCP, 17 is UDP).
    pub protocol: u8,
    /// Which part it is, where it was sent in parts.
    pub fragment: Option<Fragment>,
    /// What comes after its headers.
    pub payload: &'a [u8],
}

/// Which part of a packet that was sent in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// The packet's number.
    pub id: u32,
    /// Where the part belongs, in bytes.
    pub at: usize,
    /// Whether others come after it.
    pub last: bool,
}

/// What UDP and TCP say before their data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried<'a> {
    /// A datagram.
    Udp {
        /// The sender's port.
        from: u16,
        /// The receiver's.
        to: u16,
        /// What it holds.
        data: &'a [u8],
    },
    /// A part of a stream.
    Tcp {
        /// The sender's port.
        from: u16,
        /// The receiver's.
        to: u16,
        /// The place of its first byte in the stream.
        sequence: u32,
        /// Whether the stream begins (SYN), ends (FIN, RST) or goes on.
        step: Step,
        /// What it holds.
        data: &'a [u8],
    },
}

/// What a TCP segment does to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It begins.
    Begins,
    /// It goes on.
    GoesOn,
    /// Nothing comes after this.
    Ends,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;
const VLANS: [u16; 3] = [0x8100, 0x88A8, 0x9100];
/// More tags than any network puts around each other.
const MOST_TAGS: usize = 4;
/// More extension headers than any packet has.
const MOST_EXTENSIONS: usize = 8;

/// The IP packet in a frame; `None` for anything else, such as ARP.
pub fn ip(link: Link, frame: &[u8]) -> Option<Ip<'_>> {
    let mut kind;
    let mut rest;
    match link {
        Link::Ip => return network(frame),
        Link::Loopback => return network(frame.get(4..)?),
        Link::Ethernet => (kind, rest) = (two(frame, 12)?, frame.get(14..)?),
        Link::Sll => (kind, rest) = (two(frame, 14)?, frame.get(16..)?),
        Link::Sll2 => (kind, rest) = (two(frame, 0)?, frame.get(20..)?),
    }
    for _ in 0..MOST_TAGS {
        if !VLANS.contains(&kind) {
            break;
        }
        (kind, rest) = (two(rest, 2)?, rest.get(4..)?);
    }
    if matches!(kind, IPV4 | IPV6) { network(rest) } else { None }
}

fn network(bytes: &[u8]) -> Option<Ip<'_>> {
    match bytes.first()? >> 4 {
        4 => version_4(bytes),
        6 => version_6(bytes),
        _ => None,
    }
}

/// RFC 791 section 3.1.
fn version_4(bytes: &[u8]) -> Option<Ip<'_>> {
    let (head, _) = bytes.split_first_chunk::<20>()?;
    let length = usize::from(two(head, 2)?);
    // A machine whose network card cuts packets for it captures them whole, with no length.
    let length = if length == 0 { bytes.len() } else { length };
    let begins = usize::from(head[0] & 0x0F) * 4;
    let payload = bytes.get(..length.min(bytes.len()))?.get(begins.max(20)..)?;
    let (id, part) = (two(head, 4)?, two(head, 6)?);
    let (at, more) = (usize::from(part & 0x1FFF) * 8, part & 0x2000 != 0);
    let [.., a, b, c, d, e, f, g, h] = *head;
    Some(Ip {
        from: Ipv4Addr::new(a, b, c, d).into(),
        to: Ipv4Addr::new(e, f, g, h).into(),
        protocol: head[9],
        fragment: (more || at > 0).then_some(Fragment { id: id.into(), at, last: !more }),
        payload,
    })
}

/// RFC 8200 sections 3 and 4.
fn version_6(bytes: &[u8]) -> Option<Ip<'_>> {
    let (head, _) = bytes.split_first_chunk::<40>()?;
    let length = usize::from(two(head, 4)?);
    let mut payload = bytes.get(40..)?;
    if length > 0 {
        payload = payload.get(..length.min(payload.len()))?;
    }
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(head.get(at..at + 16)?).ok()?));
    let (from, to) = (address(8)?, address(24)?);
    let mut protocol = head[6];
    let mut fragment = None;
    for _ in 0..MOST_EXTENSIONS {
        match protocol {
            // Hop by hop, routing, destination: their length is in units of eight bytes beyond the first.
            0 | 43 | 60 => {
                let length = usize::from(*payload.get(1)?) * 8 + 8;
                (protocol, payload) = (*payload.first()?, payload.get(length..)?);
            }
            44 => {
                let (part, rest) = payload.split_first_chunk::<8>()?;
                let place = two(part, 2)?;
                let id = u32::from_be_bytes([part[4], part[5], part[6], part[7]]);
                let found = Fragment { id, at: usize::from(place & 0xFFF8), last: place & 1 == 0 };
                fragment = Some(found).filter(|found| found.at > 0 || !found.last);
                (protocol, payload) = (part[0], rest);
                if fragment.is_some() {
                    break;
                }
            }
            _ => break,
        }
    }
    Some(Ip { from: from.into(), to: to.into(), protocol, fragment, payload })
}

/// What a whole IP packet carries; `None` for anything but UDP and TCP.
pub fn carried(protocol: u8, payload: &[u8]) -> Option<Carried<'_>> {
    let (from, to) = (two(payload, 0)?, two(payload, 2)?);
    match protocol {
        // RFC 768. A length of nothing is as good as none.
        17 => {
            let length = usize::from(two(payload, 4)?);
            let end = if length < 8 { payload.len() } else { length.min(payload.len()) };
            Some(Carried::Udp { from, to, data: payload.get(8..end)? })
        }
        // RFC 9293 section 3.1.
        6 => {
            let (head, _) = payload.split_first_chunk::<20>()?;
            let begins = usize::from(head[12] >> 4) * 4;
            let data = payload.get(begins.max(20)..)?;
            let sequence = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
            let (fin, syn, rst) = (head[13] & 1 != 0, head[13] & 2 != 0, head[13] & 4 != 0);
            let step = match (syn, fin || rst) {
                (true, _) => Step::Begins,
                (false, true) => Step::Ends,
                (false, false) => Step::GoesOn,
            };
            Some(Carried::Tcp { from, to, sequence, step, data })
        }
        _ => None,
    }
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at.checked_add(1)?)?]))
}
