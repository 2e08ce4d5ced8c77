//! From a SIP message that was let in to words: reads it in the charset of the phone system and hands it to
//! [`crate::hear::legs`]. Pure, so that recordings go the way of the wire. Knows no socket.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::gate::Counts;
use super::lean::lean;
use crate::config::{Hep, Pbx};
use crate::hear::legs::{Limits, Seen, Tracker};
use crate::hear::{Heard, Way};
use crate::sip::charset::Charset;
use crate::sip::message::Message;

/// Takes messages in, one after the other.
pub struct Intake {
    tracker: Tracker,
    charset: Option<Charset>,
    room: Vec<u8>,
    counts: Arc<Counts>,
}

impl Intake {
    /// Follows the lines of this phone system, counting what it reads.
    pub fn new(config: &Hep, pbx: &Pbx, counts: Arc<Counts>) -> Intake {
        let limits = limits(config);
        let tracker = Tracker::new(pbx.lines.iter().cloned(), pbx.rules.clone(), limits);
        Intake { tracker, charset: pbx.rules.charset, room: Vec::new(), counts }
    }

    /// Takes one message, and says what is so because of it.
    pub fn take(&mut self, seen: Seen, payload: &[u8]) -> Vec<Heard> {
        let Ok(message) = Message::read_in(lean(payload, &mut self.room), self.charset) else {
            Counts::add(&self.counts.unreadable);
            return Vec::new();
        };
        Counts::add(&self.counts.read);
        self.tracker.take(seen, &message)
    }

    /// As [`Tracker::tick`].
    pub fn tick(&mut self, at: Timestamp, now: Duration) -> Vec<Heard> {
        self.tracker.tick(at, now)
    }

    /// As [`Tracker::next_tick`].
    pub fn next_tick(&self) -> Option<Duration> {
        self.tracker.next_tick()
    }

    /// How many legs are kept.
    pub fn legs(&self) -> usize {
        self.tracker.legs()
    }
}

/// How legs are joined by a configuration.
pub(crate) fn limits(config: &Hep) -> Limits {
    Limits {
        pbx: config.pbx.clone(),
        call_id_header: config.call_id_header.clone(),
        join_within: config.join_within,
        talking: config.give_up_after,
        most_legs: config.most_legs,
        way: Way::Hep,
        ..Limits::default()
    }
}
