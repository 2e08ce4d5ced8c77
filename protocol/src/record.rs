//! What people write about a call, and what the hub remembers of calls that are over: notes, outcomes,
//! follow-ups, missed calls, pages of earlier calls. Texts are made plain and are bounded by the hub.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::board::{CallView, Ended, OfferState, Who};
use crate::call::Caller;
use crate::ids::{AgentId, CallId, CustomerKey, Line, OutcomeCode, QueueName};
use crate::private::Private;

/// The longest text a person may write, in characters.
pub const LONGEST_NOTE: usize = 4_000;

/// The most that may be written on one call, in entries.
pub const MOST_ENTRIES: usize = 32;

/// The most calls on one page.
pub const PAGE: usize = 50;

/// The longest text that may be searched for, in characters.
pub const LONGEST_FIND: usize = 120;

/// What a person writes about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Written {
    /// Something to remember.
    Note {
        /// At most [`LONGEST_NOTE`] characters; line breaks stay.
        text: Private<String>,
    },
    /// What came of the call. The last one counts.
    Outcome {
        /// One of those the hub told at the welcome.
        code: OutcomeCode,
    },
    /// Something to do later.
    FollowUp {
        /// The day it is due.
        due: Date,
        /// At most [`LONGEST_NOTE`] characters; line breaks stay.
        text: Private<String>,
    },
}

/// Something written, as the hub keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Made by the desktop that wrote it, so that a repetition is known as one.
    pub id: Uuid,
    /// When the hub was told.
    pub at: Timestamp,
    /// Who wrote it.
    pub by: AgentId,
    /// Their name, as shown to colleagues.
    pub name: String,
    /// What they wrote.
    #[serde(flatten)]
    pub what: Written,
    /// A follow-up that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Settled>,
}

/// Who settled something, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// When.
    pub at: Timestamp,
    /// Their name, as shown to colleagues; absent where the hub does not know whose phone it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What may come of a call, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What is kept.
    pub code: OutcomeCode,
    /// What is shown.
    pub label: String,
    /// Only for calls of these queues; empty: for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<QueueName>,
    /// A talk for which there is an outcome of this kind is not finished before one is said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

impl Outcome {
    /// Whether it may come of calls of this queue.
    pub fn fits(&self, queue: Option<&QueueName>) -> bool {
        self.queues.is_empty() || queue.is_some_and(|queue| self.queues.contains(queue))
    }
}

/// Why something was not written. The text is meant for the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The call is none of theirs, so old that only its record is left, or a trial, of which nothing is kept.
    #[error("this call is not on your screen any more, or it is only a trial")]
    NotYourCall,
    /// Longer than [`LONGEST_NOTE`].
    #[error("the text is longer than 4,000 characters: make it shorter")]
    TooLong,
    /// Nothing readable was written.
    #[error("the text is empty")]
    Empty,
    /// No outcome of that code, or not for calls of this queue.
    #[error("the hub knows no such outcome for this call")]
    UnknownOutcome,
    /// There are [`MOST_ENTRIES`] on this call, or too many open follow-ups of this person.
    #[error("too much is written already: nothing more can be added here")]
    Full,
    /// No such follow-up or missed call, or not theirs to settle.
    #[error("it is not there any more, or it is not yours")]
    NotYours,
    /// The hub writes nothing: its disk is full or damaged.
    #[error("the hub cannot write to its disk, so this is not kept: tell who looks after it")]
    RecordStopped,
}

/// A customer as remembered with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastCustomer {
    /// The key in the company's directory.
    pub key: CustomerKey,
    /// The name at that time.
    pub name: Private<String>,
}

/// Missed calls of one caller that nobody has spoken with since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The first of them; the row is known by it.
    pub id: CallId,
    /// Who called, as the last call said.
    pub caller: Caller,
    /// Who that is, where it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<PastCustomer>,
    /// The queue called last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// How often.
    pub count: u32,
    /// When the first call ended.
    pub first: Timestamp,
    /// When the last call ended.
    pub last: Timestamp,
    /// Who called back or answered a later call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handled: Option<Settled>,
}

/// A follow-up that is not done yet, with whom it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// On which call it was written.
    pub call: CallId,
    /// The caller.
    pub caller: Caller,
    /// Who that was, where it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<PastCustomer>,
    /// What was written; always a [`Written::FollowUp`].
    pub entry: Entry,
}

impl FollowUp {
    /// The day it is due.
    pub fn due(&self) -> Option<Date> {
        match &self.entry.what {
            Written::FollowUp { due, .. } => Some(*due),
            _ => None,
        }
    }
}

/// A call that is over, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastCall {
    /// Which call.
    pub id: CallId,
    /// Who called.
    pub caller: Caller,
    /// The queue called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// When and how it ended.
    pub ended: Ended,
    /// Who it was, where it was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<PastCustomer>,
    /// The phones it was offered to, at most [`MOST_OFFERS`].
    pub offers: BTreeMap<Line, PastOffer>,
    /// What people wrote, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
}

/// The most phones remembered of one call.
pub const MOST_OFFERS: usize = 64;

/// A call at one phone, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastOffer {
    /// Whose phone it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When it was answered there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// When that phone left the call, which went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
}

impl PastCall {
    /// What is remembered of a call that has ended; `None` while it goes on.
    pub fn of(view: &CallView) -> Option<PastCall> {
        // Those that answered before those that only rang, should there be too many.
        let answered = |state: &OfferState| match state {
            OfferState::Answered { at, .. } => (Some(*at), None),
            OfferState::Left { at, left_at, .. } => (Some(*at), Some(*left_at)),
            OfferState::Ringing | OfferState::Withdrawn { .. } => (None, None),
        };
        let mut offers: Vec<_> = view
            .offers
            .iter()
            .map(|(line, offer)| {
                let (answered_at, left_at) = answered(&offer.state);
                (line.clone(), PastOffer { agent: offer.agent.clone(), answered_at, left_at })
            })
            .collect();
        offers.sort_by_key(|(_, offer)| offer.answered_at.is_none());
        offers.truncate(MOST_OFFERS);
        Some(PastCall {
            id: view.id,
            caller: view.facts.caller.clone(),
            queue: view.facts.queue.clone(),
            arrived_at: view.arrived_at,
            ended: view.ended?,
            customer: PastCustomer::of(view),
            offers: offers.into_iter().collect(),
            entries: view.entries.clone(),
        })
    }

    /// Who answered last, by name or else by line.
    pub fn answered_by(&self) -> Option<&str> {
        let last = self.offers.iter().filter(|(_, offer)| offer.answered_at.is_some());
        let (line, offer) = last.max_by_key(|(_, offer)| offer.answered_at)?;
        Some(offer.agent.as_deref().unwrap_or_else(|| line.as_str()))
    }
}

impl PastCustomer {
    /// The customer of a call, where that is settled: a guess that nobody confirmed is not.
    pub fn of(view: &CallView) -> Option<PastCustomer> {
        let guessed = matches!(&view.who, Who::Known { customer } if customer.matched.is_guess());
        let customer = view.who.customer().filter(|_| !guessed)?;
        Some(PastCustomer { key: customer.key.clone(), name: customer.name.clone() })
    }
}

/// A search that was answered, or why it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Searched {
    /// All that there is was looked at, or the page is full.
    #[default]
    Fully,
    /// So many calls lie between that the search stopped on its way; asked again with `more` it goes on.
    Partly,
    /// Too many search at once: ask again later.
    Busy,
    /// The hub's record cannot be read.
    Failed,
}

impl Searched {
    /// What is not said on a link.
    pub fn is_fully(&self) -> bool {
        *self == Searched::Fully
    }
}
