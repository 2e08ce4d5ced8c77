//! What a desktop and the hub say to each other: one closed enum per direction.
//! After a hello comes the whole board, then changes; a desktop that falls behind is closed and gets
//! the whole board again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::board::{Board, Update};
use crate::ids::{AgentId, CallId, CustomerKey, Line};
use crate::private::Private;

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
    /// Of several customers on one number, this one is calling.
    Choose {
        /// On which call; it must be one this agent was offered.
        call: CallId,
        /// One of the customers found.
        customer: CustomerKey,
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
    },
    /// One change.
    Update {
        /// What changed.
        update: Update,
    },
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
