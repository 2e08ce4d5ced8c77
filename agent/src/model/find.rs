//! The search for a customer whom the hub did not find by a call: which call it is for, what was asked, and who
//! was found. Of several questions only the newest one's answer counts. Pure.

use pinkas_protocol::agent_link::{AgentSays, Candidate};
use pinkas_protocol::record::Searched;
use pinkas_protocol::{CallId, Private};

/// What a person looks for now; one call at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Find {
    open: Option<CallId>,
    asks: u64,
    state: Looking,
}

/// How far a search has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Looking {
    /// Nothing was asked yet.
    #[default]
    Nothing,
    /// The hub was asked.
    Asked,
    /// The hub answered.
    Found {
        /// Who may be meant, the best first.
        found: Vec<Candidate>,
        /// Whether all directories were searched.
        searched: Searched,
    },
}

impl Find {
    /// The call for which somebody is looked for.
    pub fn call(&self) -> Option<CallId> {
        self.open
    }

    /// How far it has come.
    pub fn state(&self) -> &Looking {
        &self.state
    }

    /// The person begins to look for somebody.
    pub fn open(&mut self, call: CallId) {
        (self.open, self.state) = (Some(call), Looking::Nothing);
    }

    /// The person looks for nobody any more.
    pub fn close(&mut self) {
        (self.open, self.state) = (None, Looking::Nothing);
    }

    /// What the hub is to be asked.
    pub fn ask(&mut self, call: CallId, text: Private<String>) -> AgentSays {
        self.asks += 1;
        (self.open, self.state) = (Some(call), Looking::Asked);
        AgentSays::FindCustomer { ask: self.asks, call, text }
    }

    /// The hub answered; an older question's answer says nothing any more.
    pub fn answered(&mut self, ask: u64, call: CallId, found: Vec<Candidate>, searched: Searched) {
        if ask == self.asks && self.open == Some(call) && self.state == Looking::Asked {
            self.state = Looking::Found { found, searched };
        }
    }

    /// The link ended, and with it the question: it is asked again by the person.
    pub fn cut_off(&mut self) {
        self.state = Looking::Nothing;
    }
}
