//! What an adapter and the hub say to each other: one closed enum per direction.
//! An event is sent at once and repeated after every reconnect until the hub says it is durable.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::call::Event;
use crate::ids::{AdapterId, CallId, Line};
use crate::private::Private;

/// From the adapter to the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum AdapterSays {
    /// The first message on every link.
    Hello {
        /// [`crate::wire::VERSION`].
        version: u32,
        /// Who this is.
        adapter: AdapterId,
        /// Its secret.
        secret: Private<String>,
        /// Made when the outbox was made. Sequence numbers count within one outbox, so an adapter
        /// that starts with an empty disk is not taken for one that repeats itself.
        outbox: Uuid,
    },
    /// One event.
    Event {
        /// Counts up by one within the outbox, from 1.
        sequence: u64,
        /// What was noted.
        event: Event,
    },
    /// These are the lines the adapter follows, in one or more messages: after the last, any other line of
    /// this adapter is forgotten, as it was taken out of the adapter's configuration.
    Lines {
        /// Lines.
        lines: Vec<Line>,
        /// No more follow.
        last: bool,
    },
    /// All that was kept has been repeated, and these are the calls the adapter still follows, in one or
    /// more messages: after the last, any other call of this adapter is over.
    Live {
        /// Calls not ended.
        calls: Vec<CallId>,
        /// No more follow.
        last: bool,
    },
}

/// From the hub to the adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum HubToAdapter {
    /// The hello was accepted.
    Welcome {
        /// The highest sequence number of this outbox that is durable here, 0 for none.
        durable: u64,
    },
    /// Everything up to and with this sequence number is on disk.
    Durable {
        /// A sequence number of this outbox.
        sequence: u64,
    },
}
