//! Who is connected and who may see what. An update goes only to those whose phone it concerns or whose
//! role allows it; what an agent may not see is never put into a message for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pinkas_protocol::agent_link::{HubToAgent, Role};
use pinkas_protocol::{AgentId, Board, CallId, CallView, Line, Offer, OfferState};

use super::record::keep_written;
use super::{Hub, Outputs};

/// One connection of a desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewerId(pub u64);

/// Someone who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Shown to colleagues.
    pub name: String,
    /// Their phones.
    pub lines: Vec<Line>,
    /// What they may see.
    pub role: Role,
}

/// Everyone who may log in.
#[derive(Debug, Clone, Default)]
pub struct Staff {
    agents: BTreeMap<AgentId, Agent>,
    names: BTreeMap<Line, String>,
}

impl Staff {
    /// Where several people share a line, the first one's name is shown for it.
    pub fn new(agents: Vec<(AgentId, Agent)>) -> Staff {
        let mut names = BTreeMap::new();
        for (_, agent) in &agents {
            for line in &agent.lines {
                names.entry(line.clone()).or_insert_with(|| agent.name.clone());
            }
        }
        Staff { agents: agents.into_iter().collect(), names }
    }

    /// Whose line it is.
    pub fn name_at(&self, line: &Line) -> Option<String> {
        self.names.get(line).cloned()
    }

    /// A person by their id.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }
}

impl Agent {
    /// A call concerns an agent once it has rung at one of their lines.
    pub fn sees(&self, view: &CallView) -> bool {
        self.role == Role::Supervisor || view.offers.keys().any(|line| self.lines.contains(line))
    }

    /// What a call they see does at one phone: at their own, where they passed it on to, and who took it.
    pub fn sees_offer(&self, line: &Line, offer: &Offer) -> bool {
        let mine = |line: &Line| self.lines.contains(line);
        self.role == Role::Supervisor
            || mine(line)
            || offer.passed_on_by.as_ref().is_some_and(mine)
            || matches!(offer.state, OfferState::Answered { .. } | OfferState::Left { .. })
    }

    /// The call with only what this agent may know of it.
    pub fn view_of(&self, view: &CallView) -> CallView {
        let mut view = view.clone();
        view.offers.retain(|line, offer| self.sees_offer(line, offer));
        view
    }
}

impl Hub {
    pub(super) fn agent_up(&mut self, now: Timestamp, viewer: ViewerId, agent: AgentId, out: &mut Outputs) {
        let Some(person) = self.staff.agent(&agent) else { return };
        let calls = self
            .board
            .calls
            .values()
            .filter(|view| person.sees(view))
            .map(|view| (view.id, person.view_of(view)));
        let all_lines = person.role == Role::Supervisor;
        let lines = self.board.lines.iter().filter(|(line, _)| all_lines || person.lines.contains(line));
        let mut board = Board {
            calls: calls.collect(),
            lines: lines.map(|(line, view)| (line.clone(), view.clone())).collect(),
            adapters: self.board.adapters.clone(),
            missed: self
                .missed
                .iter()
                .filter(|(_, kept)| person.sees_missed(kept))
                .map(|(id, kept)| (*id, kept.row.clone()))
                .collect(),
        };
        board.keep_ended(Board::MOST_ENDED);
        keep_written(&mut board);
        let welcome = HubToAgent::Welcome {
            name: person.name.clone(),
            role: person.role,
            lines: person.lines.clone(),
            now,
            board,
            outcomes: self.outcomes.clone(),
        };
        self.viewers.insert(viewer, agent);
        out.tell.push((vec![viewer], welcome));
    }

    /// The connections whose people `may` be told.
    pub(super) fn viewers_who(&self, may: impl Fn(&Agent) -> bool) -> Vec<ViewerId> {
        let allowed = |id: &AgentId| self.staff.agent(id).is_some_and(&may);
        self.viewers.iter().filter(|(_, agent)| allowed(agent)).map(|(viewer, _)| *viewer).collect()
    }

    /// The connections that see a call.
    pub(super) fn viewers_of(&self, call: CallId) -> Vec<ViewerId> {
        match self.board.calls.get(&call) {
            Some(view) => self.viewers_who(|agent| agent.sees(view)),
            None => Vec::new(),
        }
    }
}
