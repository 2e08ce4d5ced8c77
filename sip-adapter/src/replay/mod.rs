//! A recording of a phone system read again: what it holds goes through the trackers that hear calls and the
//! call machine, by the recording's own clock, and gives the events the hub would have been told. Pure: the
//! same recording gives the same events. The edge that opens files is `command`.

pub mod capture;
pub mod command;
mod fragments;
pub mod frame;
pub mod kind;
mod packets;
mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::{CallFacts, CallId, Event};
use uuid::Uuid;

use crate::calls::{Calls, Decided, Now, Patience};
use crate::config::Pbx;
use crate::hear::ami::names::Pattern;
use crate::hear::ami::{replay, tracker};
use crate::hear::hep::packet as hep;
use crate::hear::legs::{Limits, Seen, Tracker};
use crate::hear::{CallHeard, Heard, Way, What};
use crate::sip::message::Message;
pub use packets::Packets;

/// What is true of the phone system that was recorded.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its lines, and how callers are read.
    pub pbx: Pbx,
    /// How legs of SIP are joined into calls.
    pub limits: Limits,
    /// How the channels of a line's phone are called in the manager interface.
    pub channels: Vec<Pattern>,
    /// How long to wait before deciding how a call ended.
    pub patience: Patience,
}

/// How far apart messages are taken to be that were recorded without their time.
const APART: SignedDuration = SignedDuration::from_millis(100);

/// How often a manager connection is looked for in a transcript: each begins with this.
const BANNER: &[u8] = b"Asterisk Call Manager/";

/// Where and when a recorded SIP message was seen; `None` where the recording does not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// When it was recorded.
    pub at: Option<Timestamp>,
    /// When whoever copied it captured it, where that is another than who recorded it.
    pub captured: Option<Duration>,
    /// Who sent it.
    pub from: Option<SocketAddr>,
    /// Whom it was sent to.
    pub to: Option<SocketAddr>,
}

/// How much of a recording was understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// SIP messages that were read.
    pub sip: u64,
    /// SIP messages and HEP packets that could not be read.
    pub unreadable: u64,
    /// Words of manager connections.
    pub ami: u64,
}

/// More words than are kept at once: a recording holds more than days of a busy phone system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it holds more than can be played at once: cut it between two calls")]
pub struct TooMany;

/// Three for each of 2,000 lines.
const MOST_CHANNELS: usize = 6_000;

/// What words may take, in bytes.
const MOST_OF_WORDS: usize = 24 << 20;

/// Words of manager connections, until they are played.
#[derive(Debug, Default)]
pub struct Words {
    #[expect(clippy::vec_box, reason = "a list that grows must not be in memory twice")]
    all: Vec<Box<Heard>>,
    weight: usize,
}

impl Words {
    /// All words of a transcript of manager connections, one after the other.
    pub fn read(&mut self, transcript: &[u8], settings: &Settings) -> Result<(), TooMany> {
        let settings = tracker::Settings::of(&settings.pbx, settings.channels.clone()).at_most(MOST_CHANNELS);
        let starts = memchr::memmem::find_iter(transcript, BANNER)
            .filter(|at| *at == 0 || transcript.get(at - 1) == Some(&b'\n'));
        let (mut from, before) = (0, self.all.len());
        for to in starts.skip(1).chain([transcript.len()]) {
            if let Some(last) = self.all.get(before..).and_then(<[_]>::last) {
                // Between two connections nothing was heard.
                let down = Heard { at: last.at, way: Way::Ami, what: What::Down };
                self.keep(down).continue_value().ok_or(TooMany)?;
            }
            let connection = transcript.get(from..to).unwrap_or_default();
            let read = replay::replay_to(connection, &settings, &mut |heard| self.keep(heard));
            read.continue_value().ok_or(TooMany)?;
            from = to;
        }
        Ok(())
    }

    fn keep(&mut self, heard: Heard) -> ControlFlow<()> {
        self.weight += weight(&heard);
        if self.weight > MOST_OF_WORDS {
            return ControlFlow::Break(());
        }
        self.all.push(Box::new(heard));
        ControlFlow::Continue(())
    }
}

/// What a word takes in memory, in bytes, about.
fn weight(heard: &Heard) -> usize {
    // A name and its place in the heap.
    const NAME: usize = 64;
    let said = match &heard.what {
        What::Call { is: CallHeard::Facts(facts), .. } => {
            let CallFacts { caller, queue, dialled, diverted_by, tags } = facts;
            let name = caller.name.as_ref().map_or(0, |name| NAME + name.0.len());
            let queue = queue.as_ref().map_or(0, |queue| NAME + queue.as_str().len());
            let numbers = [&caller.number, dialled, diverted_by].into_iter().flatten().count() * NAME;
            name + queue + numbers + tags.values().map(|tag| 2 * NAME + tag.0.len()).sum::<usize>()
        }
        What::Up { live } => live.as_ref().map_or(0, |live| live.len() * 2 * NAME),
        _ => NAME,
    };
    size_of::<Heard>() + size_of::<usize>() + 2 * NAME + said
}

/// Where events go, each as it is known: there may be more than fit in memory.
pub type Out<'a> = &'a mut dyn FnMut(Event);

/// Plays what was recorded, in order, and gives events.
pub struct Replay {
    settings: Settings,
    tracker: Tracker,
    calls: Calls,
    ami: VecDeque<Box<Heard>>,
    now: Timestamp,
    hears_sip: bool,
    hears_ami: bool,
    /// What was understood until now.
    pub counts: Counts,
}

impl Replay {
    /// With the words of manager connections, which are taken in between the SIP messages by their time.
    pub fn new(settings: Settings, words: Words) -> Replay {
        let mut ami = words.all;
        ami.sort_by_key(|heard| heard.at);
        let tracker = Tracker::new(
            settings.pbx.lines.iter().cloned(),
            settings.pbx.rules.clone(),
            settings.limits.clone(),
        );
        let mut made = 0u128;
        let new_id = move |_: Timestamp| {
            made += 1;
            CallId(Uuid::from_u128(made))
        };
        let calls = Calls::new(BTreeMap::new(), settings.patience, Box::new(new_id));
        Replay {
            settings,
            tracker,
            calls,
            ami: ami.into(),
            now: Timestamp::UNIX_EPOCH,
            hears_sip: false,
            hears_ami: false,
            counts: Counts::default(),
        }
    }

    /// Takes one message as it was on the wire: SIP, or SIP in a HEP packet. What happened until then goes first.
    pub fn message(&mut self, place: Place, bytes: &[u8], out: Out<'_>) {
        if !kind::is_hep(bytes) {
            self.sip(place, bytes, out);
            return;
        }
        match hep::read(bytes) {
            Ok(packet) => {
                let captured = packet.captured.and_then(|at| Timestamp::UNIX_EPOCH.checked_add(at).ok());
                let place = Place {
                    at: place.at.or(captured),
                    captured: packet.captured,
                    from: packet.from,
                    to: packet.to,
                };
                self.sip(place, packet.payload, out);
            }
            Err(hep::Refused::NotSip) => {}
            Err(_) => self.counts.unreadable += 1,
        }
    }

    fn sip(&mut self, place: Place, bytes: &[u8], out: Out<'_>) {
        // A clock that was set back does not make time go back.
        let later = self.now.checked_add(APART).unwrap_or(self.now);
        let at = place.at.map_or(later, |at| at.max(self.now));
        self.pass_until(at, out);
        self.now = at;
        let Ok(message) = Message::read_in(bytes, self.settings.pbx.rules.charset) else {
            self.counts.unreadable += 1;
            return;
        };
        self.counts.sip += 1;
        if !self.hears_sip {
            self.hears_sip = true;
            self.hear(Heard { at, way: self.settings.limits.way, what: What::Up { live: None } }, out);
        }
        let uptime = uptime(at);
        let captured = place.captured.or(place.at.map(self::uptime));
        let seen = Seen { at, uptime, captured, from: place.from, to: place.to };
        for heard in self.tracker.take(seen, &message) {
            self.hear(heard, out);
        }
    }

    /// What is decided when nothing more comes: time passes until every call has ended.
    pub fn finish(mut self, out: Out<'_>) -> Counts {
        self.pass_until(Timestamp::MAX, out);
        // A way whose calls did not end by what was recorded is not heard any more.
        if self.calls.live().next().is_some() {
            for (way, hears) in [(self.settings.limits.way, self.hears_sip), (Way::Ami, self.hears_ami)] {
                if hears {
                    self.hear(Heard { at: self.now, way, what: What::Down }, out);
                }
            }
            self.pass_until(Timestamp::MAX, out);
        }
        self.counts
    }

    /// Lets time pass: each word and each timer in its turn, a word before a timer of the same moment.
    fn pass_until(&mut self, end: Timestamp, out: Out<'_>) {
        loop {
            let word = self.ami.front().map(|heard| heard.at);
            let leg = self.tracker.next_tick().and_then(moment);
            let call = self.calls.next_tick().and_then(moment);
            let Some(at) = [word, leg, call].into_iter().flatten().min().filter(|at| *at <= end) else {
                return;
            };
            self.now = self.now.max(at);
            if word == Some(at) {
                let Some(heard) = self.ami.pop_front() else { return };
                self.counts.ami += 1;
                self.hears_ami = true;
                self.hear(*heard, out);
            } else if leg == Some(at) {
                for heard in self.tracker.tick(self.now, uptime(self.now)) {
                    self.hear(heard, out);
                }
            } else {
                let decided = self.calls.tick(self.clock());
                told(decided, out);
            }
        }
    }

    fn hear(&mut self, heard: Heard, out: Out<'_>) {
        let decided = self.calls.hear(self.clock(), heard);
        told(decided, out);
    }

    fn clock(&self) -> Now {
        Now { wall: self.now, uptime: uptime(self.now) }
    }
}

fn told(decided: Decided, out: Out<'_>) {
    decided.events.into_iter().for_each(out);
}

/// The recording's clock as one that only counts: since 1970.
fn uptime(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap_or_default()
}

/// `None`: later than any clock can tell.
fn moment(uptime: Duration) -> Option<Timestamp> {
    Timestamp::UNIX_EPOCH.checked_add(uptime).ok()
}

#[cfg(test)]
mod tests;
