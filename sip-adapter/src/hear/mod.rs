//! Ways of hearing a phone system, one room each. Whatever the way, it ends in [`Heard`].
//! Every word here says what *is so*, not what just happened: a repetition changes nothing.

pub mod ami;
pub mod dialog_events;
pub mod hep;
pub mod legs;
pub mod shadow;
pub mod sip_endpoint;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use pinkas_protocol::{CallFacts, Caller, Line, LineState, Pause, QueueName};
use serde::{Deserialize, Serialize};

/// One thing that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// When the message reached this program; stamped once and carried to the screen.
    pub at: Timestamp,
    /// How it was heard.
    pub way: Way,
    /// What.
    pub what: What,
}

/// A way of hearing. Where two say different things of one fact, [`crate::calls`] knows who is better informed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// SIP SUBSCRIBE to dialog events (RFC 4235).
    DialogEvents,
    /// An extension of our own in a ring group.
    Shadow,
    /// A copy of the SIP traffic (HEPv3).
    Hep,
    /// Asterisk's manager interface.
    Ami,
}

impl Way {
    /// It tells which phones a call rings at; what it says of them goes before what lines tell.
    pub fn knows_phones(self) -> bool {
        matches!(self, Way::Hep | Way::Ami)
    }

    /// As in configuration files, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Way::DialogEvents => "dialog_events",
            Way::Shadow => "shadow",
            Way::Hep => "hep",
            Way::Ami => "ami",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The whole state of a line, by a way that names no calls: calls are concluded from it.
    Line {
        /// Which line.
        line: Line,
        /// What it does now.
        is: LineHeard,
    },
    /// A line's state, by a way that names calls: nothing is concluded from it.
    LineState {
        /// Which line.
        line: Line,
        /// What it does now.
        state: LineState,
    },
    /// Something about a call that this way tells apart from every other.
    Call {
        /// The way's own name for the call.
        key: CallKey,
        /// What is so.
        is: CallHeard,
    },
    /// A line is paused, or not, as a member of a queue.
    Pause {
        /// Which line.
        line: Line,
        /// In which queue.
        queue: QueueName,
        /// `None`: it takes calls.
        pause: Option<Pause>,
    },
    /// The way can hear now. These calls are live (their words were said before this one); any other
    /// call it named earlier is over. `None`: the way cannot tell which calls are live.
    Up {
        /// The calls that are live.
        live: Option<Vec<CallKey>>,
    },
    /// The way can no longer hear.
    Down,
}

/// The whole state of a line, as one message told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineHeard {
    /// Free, or its phone is off.
    Idle,
    /// Ringing.
    Ringing {
        /// Who calls.
        caller: Caller,
        /// The queue that the phone system wrote before the caller's name.
        queue: Option<QueueName>,
    },
    /// In a call; with whom is not said.
    Busy,
    /// It can no longer be heard.
    Lost,
}

/// What a way calls a call: Linkedid of AMI, Call-ID of the leg that brought it. Unique within the way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct CallKey(Arc<str>);

impl CallKey {
    /// The longest key kept, in bytes. A longer name keeps its end, where ids differ.
    pub const LONGEST: usize = 128;

    /// A key out of a name that a phone system made.
    pub fn new(name: &str) -> CallKey {
        let mut from = name.len().saturating_sub(CallKey::LONGEST);
        while !name.is_char_boundary(from) {
            from += 1;
        }
        CallKey(name.get(from..).unwrap_or_default().into())
    }
}

impl From<String> for CallKey {
    fn from(name: String) -> CallKey {
        CallKey(name.into())
    }
}

impl From<CallKey> for String {
    fn from(key: CallKey) -> String {
        String::from(&*key.0)
    }
}

impl fmt::Debug for CallKey {
    /// Phone systems put addresses into it: not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallKey(…)")
    }
}

/// What is so about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallHeard {
    /// It exists, and this much is known of it. What is `None` or empty here leaves what is known.
    /// A caller that asked to be withheld is told as withheld, without number and name.
    Facts(CallFacts),
    /// It waits in a queue.
    Waits {
        /// In which.
        queue: QueueName,
        /// At which place, from 1.
        position: u32,
    },
    /// It rings at a phone.
    Rings {
        /// Whose phone.
        line: Line,
        /// The colleague who passed it on.
        passed_on_by: Option<Line>,
    },
    /// It does not ring at a phone any more, and was not answered there.
    Stopped {
        /// Whose phone.
        line: Line,
        /// Why.
        why: Stopped,
    },
    /// A phone has answered.
    Answered {
        /// Whose phone.
        line: Line,
    },
    /// A phone that answered has the caller on hold, or not.
    Hold {
        /// Whose phone.
        line: Line,
        /// Which of the two.
        hold: Hold,
    },
    /// A phone that had answered is no longer in the call.
    Left {
        /// Whose phone.
        line: Line,
        /// Whom it passed the call on to.
        moved_to: Option<Line>,
    },
    /// It is one with another call from now on (attended transfer): this one's phones belong to that.
    Joined {
        /// That call, by the same way.
        into: CallKey,
    },
    /// It is over.
    Over {
        /// Who ended it, where nobody had answered.
        by: OverBy,
    },
}

/// Why a phone stopped ringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The person there declined.
    Declined,
    /// It rang its time.
    NoAnswer,
    /// A colleague has answered.
    Elsewhere,
    /// The caller hung up.
    GaveUp,
    /// Not said.
    Unknown,
}

/// Whether the caller is on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Yes.
    On,
    /// No.
    Off,
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverBy {
    /// The caller hung up.
    Caller,
    /// The phone system sent the caller away.
    PhoneSystem,
    /// Nobody: somebody has answered, and this way cannot follow the call any further.
    Colleague,
    /// Not said.
    Unknown,
}
