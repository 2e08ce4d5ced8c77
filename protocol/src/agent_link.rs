//! What a desktop and the hub say to each other: one closed enum per direction.
//! After a hello comes the whole board, then changes; a desktop that falls behind is closed and gets
//! the whole board again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::board::{Board, Update};
use crate::ids::{AgentId, CallId, CustomerKey, Line, SourceName};
use crate::person::{OwnState, Reason};
use crate::private::Private;
use crate::record::{FollowUp, Outcome, PastCall, Refusal, Searched, Written};

/// From the desktop to the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum AgentSays {
    /// The first message on every link.
    Hello {
        /// [`crate::wire::VERSION`].
        version: u32,
        /// Who this is.
        agent: AgentId,
        /// Their password, or the token of an earlier welcome.
        secret: Private<String>,
    },
    /// Of the customers found, this one is calling, or none of them. May be said again: the last word counts,
    /// also the next time this number calls.
    Choose {
        /// On which call; it must be one this agent was offered.
        call: CallId,
        /// One of the customers found; absent: none of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer: Option<CustomerKey>,
    },
    /// Looks for a customer whom the directories did not find by the call; answered by `customers`. One found may
    /// then be chosen. Of one person's questions only the newest counts.
    FindCustomer {
        /// Comes back with the answer.
        ask: u64,
        /// For which call; it must be on this person's board.
        call: CallId,
        /// Part of a name, a whole key or a whole phone number: 2 to [`crate::record::LONGEST_FIND`] characters.
        text: Private<String>,
    },
    /// Writes about a call; answered by `kept` once it is on the disk, or by `refused`.
    Write {
        /// Made by the desktop (UUIDv4 or v7). Said again, it is answered again and written once.
        id: Uuid,
        /// About which call; it must be on this person's board.
        call: CallId,
        /// What.
        #[serde(flatten)]
        what: Written,
    },
    /// A caller who was missed has been spoken with, for the whole team; answered as `write` is.
    Handled {
        /// As for `write`.
        id: Uuid,
        /// Which row.
        row: CallId,
    },
    /// A follow-up is done; answered as `write` is.
    Done {
        /// As for `write`.
        id: Uuid,
        /// The id of its entry.
        follow_up: Uuid,
    },
    /// Asks for calls that are over; answered by `page`.
    History {
        /// Comes back with the answer.
        ask: u64,
        /// Only calls before this one; what an earlier page said as `more`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<CallId>,
        /// Only calls with this number, customer's key, or text in a name or note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        find: Option<Private<String>>,
    },
    /// Asks for this person's open follow-ups; answered by `follow_ups`.
    FollowUps {
        /// Comes back with the answer.
        ask: u64,
    },
    /// Whether this person takes calls from now on. It is kept over restarts of desktop and hub.
    State {
        /// What they say of themselves.
        #[serde(flatten)]
        state: OwnState,
    },
    /// This desktop's person finishes what is left to do after a call. It ends with the link, too.
    WrapUp {
        /// After which call; it must have been answered at one of their phones. Absent: it is finished.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
    },
    /// The caller was identified in the conversation: fields that were kept back may now be shown.
    Identified {
        /// On which call; it must be one this agent has talked on.
        call: CallId,
        /// How, in the agent's words; plain text, not empty.
        how: Private<String>,
    },
}

/// From the hub to the desktop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum HubToAgent {
    /// The hello was accepted; the whole board as this agent may see it.
    Welcome {
        /// The agent's own name.
        name: String,
        /// What the agent may see.
        role: Role,
        /// The agent's phones.
        lines: Vec<Line>,
        /// The hub's clock, for ages shown on a machine whose clock is wrong.
        now: Timestamp,
        /// Lets this person in again instead of the password until it expires or is revoked; only in the
        /// welcome that follows a password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Private<String>>,
        /// Everything, at this moment.
        board: Board,
        /// What may come of a call.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        outcomes: Vec<Outcome>,
        /// Why somebody may not take calls.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
    },
    /// One change.
    Update {
        /// What changed.
        update: Update,
    },
    /// Customers found for a person, the best first, at most [`MOST_FOUND`].
    Customers {
        /// The question's number.
        ask: u64,
        /// For which call.
        call: CallId,
        /// The customers.
        found: Vec<Candidate>,
        /// Whether every directory that can be searched has been.
        #[serde(default, skip_serializing_if = "Searched::is_fully")]
        searched: Searched,
    },
    /// What was written is on the disk.
    Kept {
        /// What the desktop called it.
        id: Uuid,
    },
    /// What was written is not kept.
    Refused {
        /// What the desktop called it.
        id: Uuid,
        /// Why.
        why: Refusal,
    },
    /// Calls that are over, newest first, at most [`crate::record::PAGE`].
    Page {
        /// The question's number.
        ask: u64,
        /// The calls, each as this person may see it.
        calls: Vec<PastCall>,
        /// There may be more before this call: ask again with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        more: Option<CallId>,
        /// How far back the search came, when it stopped on its way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back_to: Option<Timestamp>,
        /// How it went.
        #[serde(default, skip_serializing_if = "Searched::is_fully")]
        searched: Searched,
    },
    /// Open follow-ups, those due first at the top.
    FollowUps {
        /// The question's number.
        ask: u64,
        /// The follow-ups.
        follow_ups: Vec<FollowUp>,
    },
}

/// The most customers that one search shows: as many as there are keys 1 to 9.
pub const MOST_FOUND: usize = 9;

/// A customer who may be the caller, with what tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Their key.
    pub key: CustomerKey,
    /// Their name.
    pub name: Private<String>,
    /// Such as "VIP".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Which directory knows them.
    pub source: SourceName,
}

/// What a person may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The calls that ring at their own lines.
    Agent,
    /// Every call and every line, or those of their teams.
    Supervisor,
    /// Every call and every line; runs the hub.
    Admin,
}
