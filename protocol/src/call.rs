//! What an adapter says about calls and lines: the only form in which a phone system reaches the hub.
//! Nothing here names SIP; a second way of hearing must end in these same events.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{CallId, Line, QueueName};
use crate::number::Number;
use crate::private::Private;
use crate::text;

/// Who a caller claims to be. Caller ID is a claim, not an identity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Caller {
    /// The number, when one was given and it is not withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Number>,
    /// The display name as plain text ([`crate::text::plain`]).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "plain_name")]
    pub name: Option<Private<String>>,
    /// The caller asked for the number not to be shown (RFC 3323); `number` and `name` are then empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

/// A name on a link is made plain again: whoever sent it may not have done so.
fn plain_name<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Private<String>>, D::Error> {
    let raw = Option::<String>::deserialize(from)?;
    Ok(raw.and_then(|raw| text::plain(&raw, text::LONGEST + 1)).map(Private))
}

/// One thing an adapter noted, in the order in which it noted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A call changed.
    Call(CallEvent),
    /// A line changed, with or without a call that is known.
    Line(LineEvent),
}

/// One step in the life of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// Which call.
    pub call: CallId,
    /// When the phone system's message reached the adapter; carried to the screen, so that every
    /// pop can be timed.
    pub heard_at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub change: CallChange,
}

/// What happened to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum CallChange {
    /// A caller is there; no phone need ring yet.
    Arrived {
        /// Who it claims to be.
        caller: Caller,
        /// The queue or ring group called, where the phone system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<QueueName>,
    },
    /// A phone began to ring.
    Offered {
        /// Whose phone.
        line: Line,
    },
    /// A phone stopped ringing without answering.
    Withdrawn {
        /// Whose phone.
        line: Line,
        /// Why, as far as it can be known.
        why: Withdrawal,
    },
    /// A phone answered.
    Answered {
        /// Whose phone.
        line: Line,
    },
    /// The call is over.
    Ended {
        /// In what way.
        how: EndedHow,
    },
}

/// Why a phone stopped ringing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Withdrawal {
    /// A colleague took the call.
    AnsweredElsewhere {
        /// On this line.
        by: Line,
    },
    /// The caller hung up before anyone answered.
    CallerGaveUp,
    /// It stopped here while the call goes on: declined, not answered in time, or moved on.
    StoppedRinging,
}

/// In what way a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedHow {
    /// It had been answered, and was hung up.
    Completed,
    /// Nobody had answered (abandoned).
    Abandoned,
    /// The adapter lost sight of it: what became of it is not known.
    Lost,
}

/// A line's state changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineEvent {
    /// Which line.
    pub line: Line,
    /// When the phone system's message reached the adapter.
    pub heard_at: Timestamp,
    /// What it is now.
    pub state: LineState,
}

/// What a line is doing, as far as its phone system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// Nothing is heard of it: not yet, or no longer.
    Unknown,
    /// Free, or its phone is off: a phone system's dialog events do not tell these apart.
    Idle,
    /// Ringing.
    Ringing,
    /// In a call, incoming or outgoing.
    Busy,
}
