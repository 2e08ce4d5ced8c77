//! IP packets that were sent in parts, put together: an INVITE with many headers is longer than a frame. Bounded:
//! beyond so many unfinished packets the oldest is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::frame::{Fragment, Ip};

/// How many packets are put together at once; each holds at most [`LONGEST`] bytes.
const MOST_OPEN: usize = 64;
/// The longest IP packet.
const LONGEST: usize = 65_535;
/// The most parts of one packet.
const MOST_PARTS: usize = 64;

type Name = (IpAddr, IpAddr, u8, u32);

#[derive(Default)]
pub(super) struct Fragments {
    open: BTreeMap<Name, Open>,
    in_order: VecDeque<Name>,
}

#[derive(Default)]
struct Open {
    parts: BTreeMap<usize, Vec<u8>>,
    held: usize,
    end: Option<usize>,
}

impl Fragments {
    /// Takes a part; gives the payload when it is whole. Parts that overlap give nothing: nobody who means well
    /// sends them (RFC 5722).
    pub(super) fn take(&mut self, ip: &Ip<'_>, part: Fragment) -> Option<Vec<u8>> {
        let name = (ip.from, ip.to, ip.protocol, part.id);
        let end = part.at.checked_add(ip.payload.len()).filter(|end| *end <= LONGEST)?;
        if ip.payload.is_empty() {
            return None;
        }
        if !self.open.contains_key(&name) {
            if self.in_order.len() >= MOST_OPEN
                && let Some(oldest) = self.in_order.pop_front()
            {
                self.open.remove(&oldest);
            }
            self.in_order.push_back(name);
        }
        let open = self.open.entry(name).or_default();
        if part.last {
            open.end = Some(end);
        }
        if open.parts.len() < MOST_PARTS && open.held + ip.payload.len() <= LONGEST {
            // The same part may be captured twice, on two interfaces.
            open.parts.entry(part.at).or_insert_with(|| {
                open.held += ip.payload.len();
                ip.payload.to_vec()
            });
        }
        if open.end != Some(open.held) {
            return None;
        }
        let open = self.open.remove(&name)?;
        self.in_order.retain(|other| *other != name);
        let mut whole = Vec::with_capacity(open.held);
        for (at, bytes) in open.parts {
            if at != whole.len() {
                return None;
            }
            whole.extend(bytes);
        }
        Some(whole)
    }
}
