//! Who and what is let in: the sender's address, the packet's form, its key, and whether its message can matter
//! to a call. Everything else is counted and forgotten without being copied.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use subtle::ConstantTimeEq;

use super::glance;
use super::packet::{self, Packet, Refused};
use crate::config::{Hep, Network};

/// What came, and what became of it. Each only grows.
#[derive(Debug, Default)]
pub struct Counts {
    /// Packets that came, over UDP and TCP.
    pub packets: AtomicU64,
    /// From an address that may not send.
    pub strangers: AtomicU64,
    /// Without the key, or with a wrong one.
    pub wrong_key: AtomicU64,
    /// Not HEPv3, cut, or with a chunk of a wrong length.
    pub malformed: AtomicU64,
    /// Compressed.
    pub compressed: AtomicU64,
    /// Not SIP, or without a message.
    pub not_sip: AtomicU64,
    /// SIP that is not of a call, dropped before it was read.
    pub not_of_a_call: AtomicU64,
    /// Of a call, but not readable as SIP.
    pub unreadable: AtomicU64,
    /// Of a call, and read.
    pub read: AtomicU64,
    /// Dropped by the kernel because this program was too slow; Linux only.
    pub overrun: AtomicU64,
    /// TCP connections refused because there were too many, or closed because nothing came or what came was no HEP.
    pub closed: AtomicU64,
}

impl Counts {
    /// One more.
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What of [`Counts`] was told to the program's figures already.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told: [u64; 8],
}

impl Refusals {
    /// Why packets were refused, and how many since the last time.
    pub fn since(&mut self, counts: &Counts) -> Vec<(&'static str, u64)> {
        let now = [
            ("stranger", &counts.strangers),
            ("wrong_key", &counts.wrong_key),
            ("malformed", &counts.malformed),
            ("compressed", &counts.compressed),
            ("not_sip", &counts.not_sip),
            ("unreadable", &counts.unreadable),
            ("overrun", &counts.overrun),
            ("closed", &counts.closed),
        ];
        let mut new = Vec::new();
        for ((why, counter), told) in now.into_iter().zip(&mut self.told) {
            let count = counter.load(Ordering::Relaxed);
            if count > *told {
                new.push((why, count - *told));
                *told = count;
            }
        }
        new
    }
}

/// Decides what is let in.
pub struct Gate {
    from: Vec<Network>,
    key: Option<String>,
}

impl Gate {
    /// As configured.
    pub fn new(config: &Hep) -> Gate {
        Gate { from: config.from.clone(), key: config.key.as_ref().map(|key| key.0.clone()) }
    }

    /// One that asks for no key, for packets whose sender needs no check; it knows no sender.
    pub fn open() -> Gate {
        Gate { from: Vec::new(), key: None }
    }

    /// Whether this address may send.
    pub fn knows(&self, sender: IpAddr, counts: &Counts) -> bool {
        let known = self.from.iter().any(|network| network.holds(sender));
        if !known {
            Counts::add(&counts.strangers);
        }
        known
    }

    /// The packet, when its message has to be looked at.
    pub fn admits<'a>(&self, bytes: &'a [u8], counts: &Counts) -> Option<Packet<'a>> {
        Counts::add(&counts.packets);
        let refused = match packet::read(bytes) {
            Ok(packet) if !self.fits(packet.key) => &counts.wrong_key,
            Ok(packet) if !glance::of_a_call(packet.payload) => &counts.not_of_a_call,
            Ok(packet) => return Some(packet),
            Err(Refused::NotHep | Refused::Cut | Refused::Chunk) => &counts.malformed,
            Err(Refused::Compressed) => &counts.compressed,
            Err(Refused::NotSip | Refused::Empty) => &counts.not_sip,
        };
        Counts::add(refused);
        None
    }

    /// Whether these bytes are a packet with the right key, whatever its message is about.
    pub fn trusts(&self, bytes: &[u8]) -> bool {
        packet::read(bytes).is_ok_and(|packet| self.fits(packet.key))
    }

    fn fits(&self, key: Option<&[u8]>) -> bool {
        match &self.key {
            None => true,
            // Some senders end it with a NUL.
            Some(own) => key.is_some_and(|key| {
                let key = key.strip_suffix(b"\0").unwrap_or(key);
                bool::from(own.as_bytes().ct_eq(key))
            }),
        }
    }
}
