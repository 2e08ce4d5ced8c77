//! What leaves the hub and who was shown what: every message for a desktop passes here, loses what its
//! reader may not see, and what a customer's cards told is noted for the record. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use pinkas_protocol::agent_link::{HubToAgent, Role};
use pinkas_protocol::board::Identified;
use pinkas_protocol::text;
use pinkas_protocol::{
    AgentId, CallId, CallView, Card, CardState, Customer, CustomerKey, OfferState, Private, SourceName,
    Update,
};
use serde::{Deserialize, Serialize};

use super::trace::What;
use super::{Hub, Keep, Outputs, ViewerId, rights};

/// An agent was shown cards of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub agent: AgentId,
    /// On which call.
    pub call: CallId,
    /// Whose cards.
    pub customer: CustomerKey,
    /// Those that were not shown to this person on this call before.
    pub cards: Vec<SourceName>,
    /// Fields shown only because the caller was identified, as `source.field`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unfolded: Vec<String>,
    /// Who said how the caller was identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identified: Option<Box<Identified>>,
}

/// What each person was shown of each call that the hub holds, so that the record says it once.
pub(super) type Shown = HashMap<CallId, BTreeMap<AgentId, BTreeSet<Glance>>>;

/// One card of one customer, folded or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glance {
    customer: CustomerKey,
    source: SourceName,
    /// What was unfolded, in one text.
    unfolded: Vec<String>,
}

impl Hub {
    /// Takes out of every message from the `from`th on what its readers may not see, and notes what they see.
    pub(super) fn let_out(&mut self, now: Timestamp, from: usize, out: &mut Outputs) {
        let told = out.tell.split_off(from);
        for (to, message) in told {
            match message {
                HubToAgent::Welcome {
                    name,
                    role,
                    lines,
                    now: clock,
                    token,
                    mut board,
                    outcomes,
                    reasons,
                } => {
                    for view in board.calls.values_mut() {
                        self.rights.sight(role, view).call(view);
                    }
                    let calls: Vec<CallId> = board.calls.keys().copied().collect();
                    for call in calls {
                        let cards = board.calls.get(&call).map_or(&[][..], |view| &view.cards);
                        self.note_seen(now, &to, call, cards, out);
                    }
                    let now = clock;
                    let whole =
                        HubToAgent::Welcome { name, role, lines, now, token, board, outcomes, reasons };
                    out.tell.push((to, whole));
                }
                HubToAgent::Update { update } => self.let_update_out(now, to, update, out),
                // Calls and follow-ups as they are remembered hold no card and no field of a customer that a
                // role can be without; whose they may be was decided by their reader's scope.
                said @ (HubToAgent::Kept { .. }
                | HubToAgent::Refused { .. }
                // Made for its reader in `find`.
                | HubToAgent::Customers { .. }
                | HubToAgent::Page { .. }
                | HubToAgent::FollowUps { .. }) => out.tell.push((to, said)),
            }
        }
    }

    fn let_update_out(&mut self, now: Timestamp, to: Vec<ViewerId>, update: Update, out: &mut Outputs) {
        let call = match &update {
            Update::Call { view } => view.id,
            Update::Who { call, .. } | Update::Card { call, .. } => *call,
            Update::Facts { .. }
            | Update::Offer { .. }
            | Update::Ended { .. }
            // What people write, and who was missed, goes to those who see the call or the phone, whole.
            | Update::Written { .. }
            | Update::Missed { .. }
            | Update::MissedGone { .. }
            | Update::Line { .. }
            | Update::LineGone { .. }
            | Update::Person { .. }
            | Update::PersonGone { .. }
            | Update::Adapter { .. } => return out.update(to, update),
        };
        let mut groups: BTreeMap<Role, Vec<ViewerId>> = BTreeMap::new();
        if self.rights.hides_nothing() {
            groups.insert(Role::Admin, to);
        } else {
            for viewer in to {
                let person = self.viewers.get(&viewer).and_then(|id| self.staff.agent(id));
                if let Some(person) = person {
                    groups.entry(person.role).or_default().push(viewer);
                }
            }
        }
        for (role, to) in groups {
            let Some(whole) = self.board.calls.get(&call) else { continue };
            let sight = self.rights.sight(role, whole);
            let mut update = update.clone();
            let shown = match &mut update {
                Update::Call { view } => {
                    sight.call(view);
                    view.cards.clone()
                }
                Update::Who { who, cards, .. } => {
                    sight.who(who);
                    cards.retain_mut(|card| sight.card(card));
                    cards.clone()
                }
                Update::Card { card, .. } => {
                    if !sight.card(card) {
                        continue;
                    }
                    vec![card.clone()]
                }
                _ => Vec::new(),
            };
            self.note_seen(now, &to, call, &shown, out);
            out.update(to, update);
        }
    }

    fn note_seen(
        &mut self,
        now: Timestamp,
        to: &[ViewerId],
        call: CallId,
        cards: &[Card],
        out: &mut Outputs,
    ) {
        let Some(view) = self.board.calls.get(&call) else { return };
        let customer = view.who.customer().map(|customer| customer.key.clone());
        let Some(customer) = customer else { return };
        let vouched = view.identified.as_ref().filter(|said| said.customer == customer);
        let vouched = vouched.filter(|_| !rights::is_verified(view)).cloned();
        let filled = |card: &&Card| matches!(card.state, CardState::Filled { .. });
        let looks: Vec<Glance> = cards
            .iter()
            .filter(filled)
            .map(|card| {
                let unfolded = vouched.as_ref().map_or(Vec::new(), |_| self.rights.unfolded(card));
                Glance { customer: customer.clone(), source: card.source.clone(), unfolded }
            })
            .collect();
        if looks.is_empty() {
            return;
        }
        let agents: BTreeSet<AgentId> =
            to.iter().filter_map(|viewer| self.viewers.get(viewer)).cloned().collect();
        let shown = self.shown.entry(call).or_default();
        for agent in agents {
            let known = shown.entry(agent.clone()).or_default();
            let new: Vec<&Glance> = looks.iter().filter(|look| known.insert((*look).clone())).collect();
            if new.is_empty() {
                continue;
            }
            let unfolded: Vec<String> = new
                .iter()
                .flat_map(|look| look.unfolded.iter().map(|field| format!("{}.{field}", look.source)))
                .collect();
            let identified = vouched.clone().filter(|_| !unfolded.is_empty());
            let cards = new.iter().map(|look| look.source.clone()).collect();
            let seen = Seen { at: now, agent, call, customer: customer.clone(), cards, unfolded, identified };
            out.keep.push(Keep::Seen(Box::new(seen)));
        }
    }

    /// Somebody was shown customers whom they looked for.
    pub(super) fn note_found(
        &mut self,
        now: Timestamp,
        agent: &AgentId,
        call: CallId,
        found: &[Customer],
        out: &mut Outputs,
    ) {
        let known = self.shown.entry(call).or_default().entry(agent.clone()).or_default();
        for Customer { key, source, .. } in found {
            let look = Glance { customer: key.clone(), source: source.clone(), unfolded: Vec::new() };
            if !known.insert(look) {
                continue;
            }
            let (agent, customer, cards) = (agent.clone(), key.clone(), vec![source.clone()]);
            let (unfolded, identified) = (Vec::new(), None);
            let seen = Seen { at: now, agent, call, customer, cards, unfolded, identified };
            out.keep.push(Keep::Seen(Box::new(seen)));
        }
    }

    /// An agent says how the caller was identified: believed only of a person at whose own phone the call was
    /// answered, and only once it is settled which customer it is.
    pub(super) fn identified(
        &mut self,
        now: Timestamp,
        viewer: ViewerId,
        call: CallId,
        how: &Private<String>,
        out: &mut Outputs,
    ) {
        let person = self.viewers.get(&viewer).and_then(|id| self.staff.agent(id));
        let (Some(person), Some(view)) = (person, self.board.calls.get(&call)) else { return };
        let Some(how) = text::plain(&how.0, text::LONGEST) else { return };
        let talked = view.offers.iter().any(|(line, offer)| {
            let answered = matches!(offer.state, OfferState::Answered { .. } | OfferState::Left { .. });
            answered && person.lines.contains(line)
        });
        let Some(customer) = view.who.customer().filter(|_| talked) else { return };
        let said = Identified {
            customer: customer.key.clone(),
            by: person.name.clone(),
            how: Private(how),
            at: now,
        };
        let view = CallView { identified: Some(Box::new(said)), ..view.clone() };
        self.fold(Update::Call { view: Box::new(view) });
        if let Some(agent) = self.viewers.get(&viewer).cloned() {
            self.step(now, call, What::Identified { agent }, out);
        }
        self.keep_call(call, out);
        self.tell_whole(call, out);
    }

    /// Gives a call anew to everybody who sees it.
    pub(super) fn tell_whole(&self, call: CallId, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        for viewer in self.viewers_of(call) {
            let person = self.viewers.get(&viewer).and_then(|id| self.staff.agent(id));
            if let Some(person) = person {
                out.update(vec![viewer], Update::Call { view: Box::new(person.view_of(view)) });
            }
        }
    }

    /// Whether fields of this call's cards are kept back.
    pub(super) fn keeps_back(&self, call: CallId) -> bool {
        let view = self.board.calls.get(&call);
        !self.rights.sensitive.is_empty() && view.is_some_and(|view| !rights::is_open(view))
    }
}
