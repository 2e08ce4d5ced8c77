//! What the person in front of the screen asked for. Views only say it; `app` does it.

use pinkas_protocol::{CallId, CustomerKey};

use crate::settings::Settings;

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Of several customers on one number, this one is calling: goes to the hub.
    Choose(Choice),
    /// Take this call's card off the screen.
    Close(CallId),
    /// More time for what is left to do after this call.
    Extend(CallId),
    /// Put the pop-up at the other edge of the screen: it covers what is worked on.
    Aside,
    /// Show this call's card again.
    Open(CallId),
    /// From now on these settings.
    Set(Settings),
}

/// Which of several customers is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// On which call.
    pub call: CallId,
    /// Who it is.
    pub customer: CustomerKey,
}
