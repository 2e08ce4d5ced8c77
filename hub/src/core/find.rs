//! An agent looks for the customer whom the directories did not find by the call: who may, what they are shown of
//! whom, and which of those found may then be chosen. Pure; the directories are searched in `gather`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pinkas_protocol::agent_link::{Candidate, HubToAgent, MOST_FOUND};
use pinkas_protocol::card::Match;
use pinkas_protocol::record::{LONGEST_FIND, Searched};
use pinkas_protocol::{AgentId, CallId, Customer, Private, Who, text};

use super::{Ask, Hub, Outputs, ViewerId};

/// Shorter texts fit too many.
const SHORTEST: usize = 2;

/// Who asked, and with which question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeker {
    /// Who.
    pub agent: AgentId,
    /// At which desktop.
    pub viewer: ViewerId,
    /// The desktop's number for it.
    pub ask: u64,
}

/// The newest search of one person.
pub(super) struct Search {
    seeker: Seeker,
    call: CallId,
    /// Whoever was shown; `None` until the directories have answered.
    found: Option<Vec<Customer>>,
}

pub(super) type Searches = BTreeMap<AgentId, Search>;

impl Hub {
    pub(super) fn looks_for(
        &mut self,
        viewer: ViewerId,
        ask: u64,
        call: CallId,
        typed: &Private<String>,
        out: &mut Outputs,
    ) {
        let Some(agent) = self.viewers.get(&viewer).cloned() else { return };
        let text = text::plain(&typed.0, LONGEST_FIND).filter(|text| text.chars().count() >= SHORTEST);
        let Some(text) = text.filter(|_| self.may_search(&agent, call)) else {
            return answer(viewer, ask, call, Vec::new(), Searched::Fully, out);
        };
        let seeker = Seeker { agent: agent.clone(), viewer, ask };
        let search = Search { seeker: seeker.clone(), call, found: None };
        // Another desktop of the same person must not wait for ever.
        if let Some(Search { seeker: Seeker { viewer: other, ask, .. }, call, found: None }) =
            self.searches.insert(agent, search)
            && other != viewer
        {
            answer(other, ask, call, Vec::new(), Searched::Busy, out);
        }
        out.ask.push(Ask::Search { call, seeker, text: Private(text) });
    }

    pub(super) fn found_some(
        &mut self,
        now: Timestamp,
        call: CallId,
        seeker: Seeker,
        mut found: Vec<Customer>,
        searched: Searched,
        out: &mut Outputs,
    ) {
        let newest = self
            .searches
            .get(&seeker.agent)
            .is_some_and(|search| search.seeker == seeker && search.call == call && search.found.is_none());
        if !newest {
            return;
        }
        // They may have lost the right meanwhile.
        let (Some(person), Some(view)) = (self.staff.agent(&seeker.agent), self.board.calls.get(&call))
        else {
            return;
        };
        found.truncate(MOST_FOUND);
        if !self.may_search(&seeker.agent, call) {
            found.clear();
        }
        for customer in &mut found {
            customer.matched = Match::Searched;
        }
        let mut seen = Who::Several { customers: found.clone(), chosen: None };
        self.rights.sight(person.role, view).who(&mut seen);
        let candidates = seen.found().iter().map(|customer| Candidate {
            key: customer.key.clone(),
            name: customer.name.clone(),
            class: customer.class.clone(),
            source: customer.source.clone(),
        });
        answer(seeker.viewer, seeker.ask, call, candidates.collect(), searched, out);
        self.note_found(now, &seeker.agent, call, &found, out);
        self.searches.entry(seeker.agent).and_modify(|search| search.found = Some(found));
    }

    /// Whom this desktop's person was shown for this call.
    pub(super) fn shown_to(&self, viewer: ViewerId, call: CallId) -> &[Customer] {
        let search = self.viewers.get(&viewer).and_then(|agent| self.searches.get(agent));
        let found = search.filter(|search| search.call == call).and_then(|search| search.found.as_deref());
        found.unwrap_or_default()
    }

    /// As for what is written about a call.
    fn may_search(&self, agent: &AgentId, call: CallId) -> bool {
        let (person, view) = (self.staff.agent(agent), self.board.calls.get(&call));
        person.zip(view).is_some_and(|(person, view)| person.sees(view) && !view.trial)
    }
}

fn answer(
    viewer: ViewerId,
    ask: u64,
    call: CallId,
    found: Vec<Candidate>,
    searched: Searched,
    out: &mut Outputs,
) {
    out.tell.push((vec![viewer], HubToAgent::Customers { ask, call, found, searched }));
}
