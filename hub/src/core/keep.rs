//! What goes to the disk and comes back from it, as the core says it: rows, not files. Pure values; where and
//! how they lie is the business of `store` alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pinkas_protocol::{
    AdapterId, AgentId, CallId, CallView, Customer, CustomerKey, Entry, Event, FollowUp, Line, LineView,
    Missed, Number, PastCall,
};
use uuid::Uuid;

use super::{KeptPerson, Seen, Step, Trace, ViewerId};

/// Something to keep.
#[derive(Debug, Clone)]
pub enum Keep {
    /// An event for the call log; once it is on disk, its adapter is told.
    Noted {
        /// Who said it.
        adapter: AdapterId,
        /// Its outbox.
        outbox: Uuid,
        /// Its number there.
        sequence: u64,
        /// What was said.
        event: Event,
        /// It told nothing new: an adapter that crashed may say again, under a new number, what it had
        /// told but not yet written.
        repeated: bool,
    },
    /// An event the hub itself concluded, for the call log.
    Concluded {
        /// Whose call it was.
        adapter: AdapterId,
        /// What was concluded.
        event: Event,
    },
    /// A call as it stands, or `None` once it is no longer held.
    Call {
        /// Which.
        call: CallId,
        /// As it stands.
        kept: Option<Box<KeptCall>>,
    },
    /// A step of a call, or `None` once it is left out for later ones.
    Step {
        /// Which call.
        call: CallId,
        /// Which step of it, from 0.
        number: u32,
        /// What happened.
        step: Option<Box<Step>>,
    },
    /// Somebody was shown cards of a customer.
    Seen(Box<Seen>),
    /// A line as it stands, or `None` once nobody follows it.
    Line {
        /// Which.
        line: Line,
        /// As it stands.
        kept: Option<Box<KeptLine>>,
    },
    /// What an agent last said of who calls from a number, or `None` once it is forgotten.
    Choice {
        /// The caller's.
        number: Number,
        /// What was said.
        kept: Option<Choice>,
    },
    /// What a person said of themselves, or `None` once they are no person with a phone.
    Person {
        /// Who.
        person: AgentId,
        /// As it stands.
        kept: Option<Box<KeptPerson>>,
    },
    /// A call that is over, as it is remembered, without what was written about it.
    Past {
        /// All of it.
        past: Box<PastCall>,
    },
    /// Something a person wrote about a call.
    Entry {
        /// Which call.
        call: CallId,
        /// What; it takes the place of one with the same id.
        entry: Box<Entry>,
    },
    /// A follow-up, or `None` once it is done.
    FollowUp {
        /// The id of its entry.
        id: Uuid,
        /// As it stands.
        kept: Option<Box<FollowUp>>,
    },
    /// A row of missed calls, or `None` once it is shown no more.
    Missed {
        /// Which.
        row: CallId,
        /// As it stands.
        kept: Option<Box<KeptMissed>>,
    },
    /// Calls that are older are to be forgotten, some at a time.
    Forget {
        /// Than this.
        before: Timestamp,
    },
    /// All before this is to be on the disk; then this viewer is told that its word is kept.
    Acknowledge {
        /// Whom to tell.
        viewer: ViewerId,
        /// What the desktop called it.
        id: Uuid,
    },
}

/// What an agent said of who calls from a number: offered first the next time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Choice {
    /// This customer; absent: none of those found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerKey>,
    /// The customer as found by the agent's search: no directory knows them by this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<Box<Customer>>,
    /// Who said so.
    pub by: AgentId,
    /// When.
    pub at: Timestamp,
}

/// A call with what is not shown of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptCall {
    /// The adapter that follows it.
    pub adapter: AdapterId,
    /// All of it.
    pub view: CallView,
}

/// A line with what is not shown of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptLine {
    /// The adapter that follows it; a record of an older hub does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterId>,
    /// All of it.
    #[serde(flatten)]
    pub view: LineView,
}

/// A row of missed calls with what is not shown of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptMissed {
    /// What is shown.
    pub row: Missed,
    /// The phones at which any of its calls rang: whom it concerns.
    pub lines: BTreeSet<Line>,
    /// The last of its calls.
    pub last_call: CallId,
}

/// What a hub starts with: the disk's word.
#[derive(Debug, Default)]
pub struct Kept {
    /// Calls that have not been dropped.
    pub calls: BTreeMap<CallId, KeptCall>,
    /// Lines.
    pub lines: BTreeMap<Line, KeptLine>,
    /// The last sequence number on disk, by adapter and outbox.
    pub durable: BTreeMap<(AdapterId, Uuid), u64>,
    /// What agents said of who calls from a number.
    pub choices: BTreeMap<Number, Choice>,
    /// Missed calls.
    pub missed: BTreeMap<CallId, KeptMissed>,
    /// Open follow-ups, by the id of their entry.
    pub follow_ups: BTreeMap<Uuid, FollowUp>,
    /// What people said of themselves.
    pub people: BTreeMap<AgentId, KeptPerson>,
    /// What happened to these calls.
    pub traces: BTreeMap<CallId, Trace>,
}
