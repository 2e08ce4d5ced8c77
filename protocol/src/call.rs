//! What an adapter says about calls and lines: the only form in which a phone system reaches the hub.
//! Nothing here names SIP; a second way of hearing must end in these same events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{CallId, Line, QueueName, TagName};
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
    /// What the carrier's cryptographic check of the number said (STIR/SHAKEN); `None`: no verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stir: Option<StirShaken>,
}

impl Caller {
    /// The carrier vouches that the number is the caller's: the check passed, and whoever signed does not say
    /// that it knows less than that (RFC 8588).
    pub fn is_verified(&self) -> bool {
        let full = |attestation| matches!(attestation, None | Some(Attestation::A));
        let passed = |stir: StirShaken| stir.verdict == Verdict::Passed && full(stir.attestation);
        !self.withheld && self.number.is_some() && self.stir.is_some_and(passed)
    }

    /// Whether two claims may be one caller's: ways of hearing differ in how they write a name.
    pub fn looks_like(&self, other: &Caller) -> bool {
        match (&self.number, &other.number) {
            (Some(one), Some(two)) => one == two,
            (None, None) => self.withheld == other.withheld && (self.withheld || self.name == other.name),
            _ => false,
        }
    }
}

/// The verdict on a caller's number by STIR/SHAKEN (RFC 8224, RFC 8588, 3GPP TS 24.229 `verstat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StirShaken {
    /// What the check of the signature gave.
    pub verdict: Verdict,
    /// How far the carrier that signed knows the caller, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// Whether a number passed its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The signature is good.
    Passed,
    /// It is not: the number may be forged.
    Failed,
    /// Signed or attested, and nobody said that the signature was checked.
    Unchecked,
}

/// RFC 8588 section 4: what the signing carrier vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attestation {
    /// Full: it knows the caller and that the number is theirs.
    A,
    /// Partial: it knows the caller, not the right to the number.
    B,
    /// Gateway: it only knows where the call entered its network.
    C,
}

/// What is known of a call as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallFacts {
    /// Who it claims to be.
    pub caller: Caller,
    /// The queue or ring group called, where the phone system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// The company's number that was dialled (DID), where the phone system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialled: Option<Number>,
    /// The number that forwarded the call here (RFC 5806 Diversion, RFC 7044 History-Info).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diverted_by: Option<Number>,
    /// What the phone system knows besides, such as the customer number keyed into a menu.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "plain_tags")]
    pub tags: BTreeMap<TagName, Private<String>>,
}

/// The most tags one call may carry.
pub const MOST_TAGS: usize = 16;

fn plain_tags<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<TagName, Private<String>>, D::Error> {
    let raw = BTreeMap::<TagName, String>::deserialize(from)?;
    let plain = |(name, value): (TagName, String)| {
        text::plain(&value, text::LONGEST + 1).map(|value| (name, Private(value)))
    };
    Ok(raw.into_iter().filter_map(plain).take(MOST_TAGS).collect())
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
    /// A line was paused or resumed as a member of a queue.
    Pause(PauseEvent),
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
    Arrived(CallFacts),
    /// It is better known now: all facts anew.
    Known(CallFacts),
    /// The caller waits in a queue; over once it is answered or ends.
    Waits {
        /// In which.
        queue: QueueName,
        /// At which place, from 1.
        position: u32,
    },
    /// A phone began to ring.
    Offered {
        /// Whose phone.
        line: Line,
        /// The colleague's phone that passed the call on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed_on_by: Option<Line>,
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
    /// A phone put the caller on hold.
    Held {
        /// Whose phone.
        line: Line,
    },
    /// A phone took the caller off hold.
    Resumed {
        /// Whose phone.
        line: Line,
    },
    /// A phone that had answered is no longer in the call, which goes on.
    Left {
        /// Whose phone.
        line: Line,
        /// Whom it passed the call on to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_to: Option<Line>,
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
    /// It was declined at this phone.
    Declined,
    /// It rang here for as long as the phone system lets it.
    NoAnswer,
    /// It stopped here while the call goes on: declined, not answered in time, or moved on.
    StoppedRinging,
}

/// In what way a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedHow {
    /// It had been answered, and was hung up.
    Completed,
    /// The caller hung up before anyone answered (abandoned).
    Abandoned,
    /// Whoever it rang declined, and the phone system sent the caller away.
    Declined,
    /// Nobody answered, or nobody was free, and the phone system sent the caller away.
    Unanswered,
    /// It was joined with another call, which goes on (attended transfer).
    Joined {
        /// That call.
        into: CallId,
    },
    /// The adapter lost sight of it: what became of it is not known.
    Lost,
}

/// A line was paused or resumed as a member of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseEvent {
    /// Which line.
    pub line: Line,
    /// In which queue.
    pub queue: QueueName,
    /// When the phone system's message reached the adapter.
    pub heard_at: Timestamp,
    /// `None`: it takes calls of the queue.
    pub pause: Option<Pause>,
}

/// A pause of a queue's member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pause {
    /// Why, in the phone system's words, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "plain_reason")]
    pub reason: Option<String>,
}

fn plain_reason<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let raw = Option::<String>::deserialize(from)?;
    Ok(raw.and_then(|raw| text::plain(&raw, text::LONGEST + 1)))
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
