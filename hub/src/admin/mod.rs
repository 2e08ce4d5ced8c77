//! What whoever looks after a running hub asks it on its own machine: `why` and `simulate`. The door is a Unix
//! socket in the state folder that only the hub's user may open, so it needs no password; a question and its
//! answers are one line of JSON each. Decides nothing: the core answers.

mod command;
#[cfg(unix)]
mod dial;
#[cfg(unix)]
mod door;
mod words;

use std::path::Path;

use jiff::Timestamp;
use pinkas_protocol::{CallFacts, CallId, Line};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use command::{Simulate, Why};
pub use words::told;

use crate::core::{Account, Which};
use crate::metrics::Figures;

/// The socket's name in the state folder.
pub const DOOR: &str = "admin.sock";

/// The longest that a pretended call may ring, in milliseconds.
pub const LONGEST_TRIAL_MS: u64 = 10 * 60 * 1_000;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Asked {
    /// What happened to a call?
    Why {
        /// Which.
        which: Which,
        /// At which phone above all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<Line>,
    },
    /// Pretend a call until that long has passed or the socket is closed.
    Simulate {
        /// Who is to call.
        facts: Box<CallFacts>,
        /// The phone that is to ring.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<Line>,
        /// For so long; at most [`LONGEST_TRIAL_MS`].
        for_ms: u64,
    },
}

/// What is answered.
#[cfg(unix)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answered {
    /// What there is to say about a call.
    Account {
        /// All of it.
        account: Box<Account>,
    },
    /// The pretended call is there.
    Rings {
        /// Its id.
        call: CallId,
    },
    /// No.
    Refused {
        /// Why, and what to do.
        what: String,
    },
}

/// From the door, and from the page of figures, to the core.
pub enum ToCore {
    /// What happened to a call?
    Why {
        /// Which.
        which: Which,
        /// At which phone above all.
        line: Option<Line>,
        /// Where the answer goes.
        answer: oneshot::Sender<Account>,
    },
    /// How does it stand?
    Figures {
        /// Where the answer goes.
        answer: oneshot::Sender<Figures>,
    },
    /// Pretend this call.
    Trial {
        /// Its id.
        call: CallId,
        /// Who is to call.
        facts: Box<CallFacts>,
        /// The phone that is to ring.
        line: Option<Line>,
        /// Whether it is there now.
        answer: oneshot::Sender<bool>,
    },
    /// It hangs up.
    TrialOver {
        /// Which.
        call: CallId,
        /// What happened to it.
        answer: oneshot::Sender<Account>,
    },
}

/// Opens the door in the state folder of a hub that holds its store, until `stop`. Without it the hub goes on.
pub(crate) fn open(folder: &Path, hub: mpsc::Sender<ToCore>, stop: &CancellationToken) {
    #[cfg(unix)]
    door::open(folder, hub, stop);
    #[cfg(not(unix))]
    let _ = (folder, hub, stop);
}

/// A moment for people, to the millisecond.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S.%3f UTC").to_string()
}
