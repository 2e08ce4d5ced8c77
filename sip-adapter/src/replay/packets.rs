//! Captured packets, down to the SIP messages and HEP packets in them, whatever their ports. Pure; what it keeps
//! of packets that are not whole is bounded.

use std::net::SocketAddr;

use jiff::Timestamp;

use super::capture::Packet;
use super::fragments::Fragments;
use super::frame::{self, Carried, Link};
use super::stream::Streams;
use super::{Out, Place, Replay, kind};

/// What is kept between the packets of one or more captures.
#[derive(Default)]
pub struct Packets {
    fragments: Fragments,
    streams: Streams,
}

impl Packets {
    /// Plays what a packet holds, if that is anything.
    pub fn take(&mut self, packet: &Packet<'_>, replay: &mut Replay, out: Out<'_>) {
        let Some(ip) = Link::numbered(packet.link).and_then(|link| frame::ip(link, packet.bytes)) else {
            return;
        };
        let whole;
        let payload = match ip.fragment {
            None => ip.payload,
            Some(part) => {
                let Some(together) = self.fragments.take(&ip, part) else { return };
                whole = together;
                &whole
            }
        };
        let mut play = |from: u16, to: u16, message: &[u8]| {
            let place = Place {
                at: packet.at,
                captured: None,
                from: Some(SocketAddr::new(ip.from.to_canonical(), from)),
                to: Some(SocketAddr::new(ip.to.to_canonical(), to)),
            };
            replay.message(place, message, out);
        };
        match frame::carried(ip.protocol, payload) {
            Some(Carried::Udp { from, to, data }) if kind::is_hep(data) || kind::is_sip(data) => {
                play(from, to, data)
            }
            Some(Carried::Tcp { from, to, sequence, step, data }) => {
                let ends = (SocketAddr::new(ip.from, from), SocketAddr::new(ip.to, to));
                self.streams.take(ends, sequence, step, data, |message| play(from, to, message));
            }
            // Neither SIP nor a copy of it.
            Some(Carried::Udp { .. }) | None => {}
        }
    }
}

/// A moment as captures write it; `None` where no clock can have shown it.
pub(super) fn moment(seconds: i64, nanoseconds: u64) -> Option<Timestamp> {
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}
