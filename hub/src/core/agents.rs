//! Who is connected and who may see what. An update goes only to those whose phone it concerns or whose
//! role allows it; what an agent may not see is never put into a message for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use pinkas_protocol::agent_link::{HubToAgent, Role};
use pinkas_protocol::{AgentId, Board, CallId, CallView, Line, Offer, OfferState, Private, TeamName};

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
    /// Where they belong; of a supervisor: whom they see. A supervisor of no team sees everybody.
    pub teams: BTreeSet<TeamName>,
}

/// Everyone who may log in. Each event asks several times who that is, of perhaps ten thousand: what is only looked up
/// is hashed, which touches less memory than a tree does.
#[derive(Debug, Clone, Default)]
pub struct Staff {
    agents: HashMap<AgentId, Person>,
    names: HashMap<Line, String>,
    at: HashMap<Line, Vec<AgentId>>,
    /// Those who see a line because of their scope, and those who see all of them.
    see: HashMap<Line, Vec<AgentId>>,
    see_everything: Vec<AgentId>,
}

impl Staff {
    /// Where several people share a line, the first one's name is shown for it.
    pub fn new(agents: Vec<(AgentId, Agent)>) -> Staff {
        let mut names = HashMap::new();
        let mut at = HashMap::<Line, Vec<AgentId>>::new();
        for (id, agent) in &agents {
            for line in &agent.lines {
                names.entry(line.clone()).or_insert_with(|| agent.name.clone());
                at.entry(line.clone()).or_default().push(id.clone());
            }
        }
        let team = |agent: &Agent| {
            let others = agents.iter().map(|(_, other)| other);
            let others = others.filter(|other| !other.teams.is_disjoint(&agent.teams));
            others.flat_map(|other| &other.lines).chain(&agent.lines).cloned().collect()
        };
        let scope = |agent: &Agent| match agent.role {
            Role::Agent => Scope::Lines(agent.lines.iter().cloned().collect()),
            Role::Supervisor if !agent.teams.is_empty() => Scope::Lines(team(agent)),
            Role::Supervisor | Role::Admin => Scope::Everything,
        };
        let people = agents
            .iter()
            .map(|(id, agent)| (id.clone(), Person { scope: scope(agent), agent: agent.clone() }));
        let people: BTreeMap<AgentId, Person> = people.collect();
        let (mut see, mut see_everything) = (HashMap::<Line, Vec<AgentId>>::new(), Vec::new());
        for (id, person) in &people {
            match &person.scope {
                Scope::Everything => see_everything.push(id.clone()),
                Scope::Lines(lines) => {
                    lines.iter().for_each(|line| see.entry(line.clone()).or_default().push(id.clone()));
                }
            }
        }
        Staff { agents: people.into_iter().collect(), names, at, see, see_everything }
    }

    /// Whose line it is.
    pub fn name_at(&self, line: &Line) -> Option<String> {
        self.names.get(line).cloned()
    }

    /// Those who have a line.
    pub fn people_at(&self, line: &Line) -> &[AgentId] {
        self.at.get(line).map_or(&[], Vec::as_slice)
    }

    /// Those who see one of these lines, some perhaps more than once: few, however many people there are.
    pub(super) fn who_see<'a>(
        &'a self,
        lines: impl IntoIterator<Item = &'a Line>,
    ) -> impl Iterator<Item = &'a AgentId> {
        let here = lines.into_iter().filter_map(|line| self.see.get(line)).flatten();
        self.see_everything.iter().chain(here)
    }

    /// A person by their id.
    pub fn agent(&self, id: &AgentId) -> Option<&Person> {
        self.agents.get(id)
    }
}

/// Someone, and whose calls they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    agent: Agent,
    scope: Scope,
}

/// Whose calls a person sees, while they last and when they are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every call and every line.
    Everything,
    /// These lines, and calls that have rung there.
    Lines(BTreeSet<Line>),
}

impl std::ops::Deref for Person {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl Person {
    /// Whose calls they see.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether the work of `other` is theirs to settle: an admin's and a supervisor's for the people they see.
    /// Who is nobody any more is for those who see everything.
    pub fn oversees(&self, other: Option<&Person>) -> bool {
        let sees = other.is_some_and(|other| other.lines.iter().any(|line| self.sees_line(line)));
        self.role != Role::Agent && (self.scope == Scope::Everything || sees)
    }

    /// A line whose state and calls this person sees.
    pub fn sees_line(&self, line: &Line) -> bool {
        match &self.scope {
            Scope::Everything => true,
            Scope::Lines(lines) => lines.contains(line),
        }
    }

    /// A call concerns a person once it has rung at a line they see.
    pub fn sees(&self, view: &CallView) -> bool {
        self.scope == Scope::Everything || view.offers.keys().any(|line| self.sees_line(line))
    }

    /// What a call they see does at one phone: at one they see, where they passed it on to, and who took it.
    pub fn sees_offer(&self, line: &Line, offer: &Offer) -> bool {
        self.sees_line(line)
            || offer.passed_on_by.as_ref().is_some_and(|by| self.sees_line(by))
            || matches!(offer.state, OfferState::Answered { .. } | OfferState::Left { .. })
    }

    /// The call with only what this agent may know of it.
    pub fn view_of(&self, view: &CallView) -> CallView {
        let mut view = view.clone();
        view.offers.retain(|line, offer| self.sees_offer(line, offer));
        view
    }
}

/// Who is connected, found by connection and by person.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    who: HashMap<ViewerId, AgentId>,
    of: HashMap<AgentId, BTreeSet<ViewerId>>,
}

impl Viewers {
    pub(super) fn get(&self, viewer: &ViewerId) -> Option<&AgentId> {
        self.who.get(viewer)
    }

    /// All connections, in the order in which they came.
    pub(super) fn all(&self) -> Vec<ViewerId> {
        let mut all: Vec<ViewerId> = self.who.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Whose each connection is, in no order.
    pub(super) fn people(&self) -> impl Iterator<Item = &AgentId> {
        self.who.values()
    }

    /// The connections of a person.
    pub(super) fn of(&self, agent: &AgentId) -> impl Iterator<Item = ViewerId> {
        self.of.get(agent).into_iter().flatten().copied()
    }

    pub(super) fn remove(&mut self, viewer: ViewerId) -> Option<AgentId> {
        let agent = self.who.remove(&viewer)?;
        if let Some(theirs) = self.of.get_mut(&agent) {
            theirs.remove(&viewer);
            if theirs.is_empty() {
                self.of.remove(&agent);
            }
        }
        Some(agent)
    }

    fn insert(&mut self, viewer: ViewerId, agent: AgentId) {
        self.remove(viewer);
        self.of.entry(agent.clone()).or_default().insert(viewer);
        self.who.insert(viewer, agent);
    }

    fn retain(&mut self, stays: impl Fn(&AgentId) -> bool) {
        self.who.retain(|_, agent| stays(agent));
        self.of.retain(|agent, _| stays(agent));
    }
}

impl Hub {
    pub(super) fn agent_up(
        &mut self,
        now: Timestamp,
        viewer: ViewerId,
        agent: AgentId,
        token: Option<Private<String>>,
        out: &mut Outputs,
    ) {
        // Their other desktops hear of it by itself, this one with the whole board.
        self.person_comes(now, &agent, out);
        let Some(person) = self.staff.agent(&agent) else { return };
        let of = |view: &CallView| (view.id, person.view_of(view));
        let calls = match person.scope() {
            Scope::Everything => self.board.calls.values().map(of).collect(),
            Scope::Lines(lines) => self.calls_at(lines).map(of).collect(),
        };
        let lines = match person.scope() {
            Scope::Everything => self.board.lines.clone(),
            Scope::Lines(mine) => {
                let here =
                    mine.iter().filter_map(|line| Some((line.clone(), self.board.lines.get(line)?.clone())));
                here.collect()
            }
        };
        // Whoever oversees nobody is shown themselves alone, without a look at everyone.
        let people = match person.role {
            Role::Agent => {
                let own = self.board.people.get(&agent);
                own.map(|view| (agent.clone(), view.clone())).into_iter().collect()
            }
            Role::Supervisor | Role::Admin => {
                let seen = self.board.people.iter().filter(|(who, _)| self.sees_person(&agent, who));
                seen.map(|(who, view)| (who.clone(), view.clone())).collect()
            }
        };
        let mut board = Board {
            calls,
            lines,
            adapters: self.board.adapters.clone(),
            missed: self
                .missed
                .iter()
                .filter(|(_, kept)| person.sees_missed(kept))
                .map(|(id, kept)| (*id, kept.row.clone()))
                .collect(),
            people,
        };
        board.keep_ended(Board::MOST_ENDED);
        keep_written(&mut board);
        let welcome = HubToAgent::Welcome {
            name: person.name.clone(),
            role: person.role,
            lines: person.lines.clone(),
            now,
            token,
            board,
            outcomes: self.outcomes.clone(),
            reasons: self.reasons.clone(),
        };
        self.viewers.insert(viewer, agent);
        out.tell.push((vec![viewer], welcome));
    }

    /// Who may see what changed: those it concerns get their whole board anew, and who is nobody any more
    /// hears nothing more.
    pub(super) fn staff_is(&mut self, now: Timestamp, staff: Staff, out: &mut Outputs) {
        let seen = self.sights();
        let old = std::mem::replace(&mut self.staff, staff);
        let (staff, viewers) = (&self.staff, &mut self.viewers);
        viewers.retain(|id| staff.agent(id).is_some());
        self.people_are(now, &seen, out);
        let (staff, viewers) = (&self.staff, &mut self.viewers);
        let changed = viewers.who.iter().filter(|(_, id)| staff.agent(id) != old.agent(id));
        let mut changed: Vec<_> = changed.map(|(viewer, id)| (*viewer, id.clone())).collect();
        changed.sort_unstable();
        for (viewer, agent) in changed {
            self.agent_up(now, viewer, agent, None, out);
        }
    }

    /// Of those who see one of these lines, the connections whose people `may` be told.
    pub(super) fn viewers_who<'a>(
        &'a self,
        lines: impl IntoIterator<Item = &'a Line>,
        may: impl Fn(&Person) -> bool,
    ) -> Vec<ViewerId> {
        let allowed = |id: &&AgentId| self.staff.agent(id).is_some_and(&may);
        let people = self.staff.who_see(lines).filter(allowed);
        let mut viewers: Vec<ViewerId> = people.flat_map(|id| self.viewers.of(id)).collect();
        viewers.sort_unstable();
        viewers.dedup();
        viewers
    }

    /// The connections that see a call.
    pub(super) fn viewers_of(&self, call: CallId) -> Vec<ViewerId> {
        match self.board.calls.get(&call) {
            Some(view) => self.viewers_who(view.offers.keys(), |agent| agent.sees(view)),
            None => Vec::new(),
        }
    }
}
