//! One channel of the phone system and what its events have told of it. Pure.

use std::time::Duration;

use pinkas_protocol::{Caller, Line, Private, QueueName, text};

use super::names::Half;
use crate::sip::display;
use crate::sip::identity::Rules;

/// What is known of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// As the phone system calls it; needed to ask about it.
    pub name: String,
    /// Whose phone it is, where that line is followed.
    pub line: Option<Line>,
    pub half: Half,
    /// The call it is part of: a key of the tracker's calls.
    pub call: String,
    pub state: State,
    pub role: Role,
    /// As the phone system writes it.
    pub number: Option<String>,
    pub caller_name: Option<String>,
    /// Its dial was answered, or it talks: a phone that is merely off hook has not taken the call.
    pub joined: bool,
    pub hold: bool,
    /// Which channel dialled it.
    pub dialler: Option<String>,
    /// The bridge it is in.
    pub bridge: Option<String>,
    pub dial_end: Option<DialEnd>,
    pub shows: Shows,
    /// Where in the order of channels it came, to find the oldest.
    pub born: u64,
}

/// How far a channel got. It only grows: events of different kinds overtake each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Down,
    Ringing,
    Up,
}

impl State {
    /// As in `ChannelStateDesc`.
    pub fn read(text: &str) -> State {
        match text {
            "Ringing" => State::Ringing,
            "Up" => State::Up,
            _ => State::Down,
        }
    }
}

/// Which side of a dial a channel is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Not told yet.
    Unknown,
    /// It came in and dials.
    Caller,
    /// It was dialled.
    Called,
}

/// How the dial of a channel ended, where it was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DialEnd {
    Busy,
    NoAnswer,
}

/// Whether a channel's number may be shown. Events carry the number and not this, so it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shows {
    NotAsked,
    /// No answer yet; at this uptime it is taken as withheld.
    Asked(Duration),
    Number,
    /// It may be shown and is not there.
    NoNumber,
    Withheld,
}

impl Shows {
    /// As `CALLERID(pres)` gives it.
    pub fn read(text: &str) -> Shows {
        if text.starts_with("allowed") {
            Shows::Number
        } else if text == "unavailable" {
            Shows::NoNumber
        } else {
            Shows::Withheld
        }
    }

    /// As in `CID-CallingPres: 32 (Presentation Prohibited, …)`; Q.931 section 4.5.10, bits 7 and 6.
    pub fn read_code(text: &str) -> Option<Shows> {
        let code: u32 = text.split_whitespace().next()?.parse().ok()?;
        Some(match code & 0x60 {
            0x00 => Shows::Number,
            0x40 => Shows::NoNumber,
            _ => Shows::Withheld,
        })
    }
}

impl Channel {
    /// The caller this channel stands for, and the queue where the phone system wrote it before the
    /// name; `None` while it is not known whether the caller may be shown.
    pub fn caller(&self, now: Duration, rules: &Rules) -> Option<(Caller, Option<QueueName>)> {
        let shows = match self.shows {
            Shows::Asked(until) if now < until => return None,
            Shows::Asked(_) => Shows::Withheld,
            other => other,
        };
        let says_withheld = |text: &Option<String>| {
            text.as_deref().is_some_and(|text| {
                ["anonymous", "restricted", "private", "withheld"]
                    .iter()
                    .any(|w| text.eq_ignore_ascii_case(w))
            })
        };
        let name = self.caller_name.as_deref().and_then(display::read);
        let prefixes = rules.queue_prefixes.iter();
        let split = name.as_deref().and_then(|name| prefixes.clone().find_map(|prefix| prefix.split(name)));
        let (queue, name) = match split {
            Some((queue, name)) => (Some(queue), Some(name.to_owned())),
            None => (None, name),
        };
        let nobody = self.number.is_none() && says_withheld(&name);
        if shows == Shows::Withheld || says_withheld(&self.number) || nobody {
            return Some((Caller { withheld: true, ..Caller::default() }, queue));
        }
        let number = match shows {
            Shows::NoNumber => None,
            _ => self.number.as_deref().and_then(|number| rules.numbers.read(number)),
        };
        let name = name.and_then(|name| text::plain(&name, text::LONGEST));
        let name = name.filter(|name| display::names_someone(name, number.as_ref(), &rules.numbers));
        Some((Caller { number, name: name.map(Private), ..Caller::default() }, queue))
    }

    /// Whether it is a phone that rings or talks in its call, and not who calls.
    pub fn is_phone(&self, root: bool) -> bool {
        let called = match self.role {
            Role::Called => true,
            Role::Caller => false,
            Role::Unknown => !root,
        };
        called && self.line.is_some() && self.half != Half::Two
    }

    /// Whether it is somebody who came in: no half of a Local channel and not dialled.
    pub fn is_caller(&self, root: bool) -> bool {
        let calls = match self.role {
            Role::Caller => true,
            Role::Called => false,
            Role::Unknown => root,
        };
        calls && self.half == Half::Whole
    }
}
