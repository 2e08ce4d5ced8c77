//! Whether the company's people take calls: what each says of themselves, and what the hub makes of it.
//! A phone system decides by itself whose phone rings; nothing here changes what it does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{Line, ReasonCode};

/// What a person says of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OwnState {
    /// They take calls.
    Ready,
    /// They do not.
    NotReady {
        /// Why: one of the welcome's `reasons`.
        reason: ReasonCode,
    },
}

/// What a person does, as far as they say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PersonState {
    /// They take calls.
    Ready,
    /// They do not.
    NotReady {
        /// Why; the configuration may name it no more.
        reason: ReasonCode,
    },
    /// They take calls, and still finish what is left to do after one.
    WrapUp,
    /// No desktop of theirs is connected.
    Offline,
}

/// A person as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonView {
    /// Shown to colleagues.
    pub name: String,
    /// Their phones.
    pub lines: Vec<Line>,
    /// What they do.
    #[serde(flatten)]
    pub state: PersonState,
    /// Since when.
    pub since: Timestamp,
}

/// A reason not to take calls, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What is kept.
    pub code: ReasonCode,
    /// What is shown; absent: the desktop's own word for a code it knows, else the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
