//! Ways of hearing a phone system, one file each. Whatever the way, it ends in [`Heard`].

pub mod dialog_events;
mod policy;

use jiff::Timestamp;
use pinkas_protocol::{Caller, Line};

/// What one line was heard to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Which line.
    pub line: Line,
    /// When the message reached this program; stamped once and carried to the screen.
    pub at: Timestamp,
    /// What it does now.
    pub what: LineHeard,
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
    },
    /// In a call; with whom is not said.
    Busy,
    /// It can no longer be heard.
    Lost,
}
