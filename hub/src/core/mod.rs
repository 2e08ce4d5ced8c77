//! What the hub decides: who is told what, who is asked, what is kept. Pure: takes inputs in order,
//! does no IO, reads no clock, cannot fail; the same inputs give the same outputs.

mod agents;
mod calls;
mod cards;
mod find;
mod index;
mod keep;
mod lines;
mod people;
mod record;
mod rights;
mod seen;
#[cfg(test)]
mod tests;
pub mod trace;
mod trial;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use pinkas_protocol::agent_link::{HubToAgent, Role};
use pinkas_protocol::board::AdapterView;
use pinkas_protocol::record::{Outcome, Searched};
use pinkas_protocol::{
    AdapterId, AgentId, Board, CallFacts, CallId, CallView, Card, Customer, CustomerKey, Event, Failure,
    FollowUp, Gives, Line, Number, OwnState, PastCall, Private, Reason, SourceName, Update,
};
use uuid::Uuid;

pub use agents::{Agent, Scope, Staff, ViewerId};
pub use find::Seeker;
pub use keep::{Choice, Keep, Kept, KeptCall, KeptLine, KeptMissed};
pub use people::KeptPerson;
pub use record::{Look, MOST_MISSED, MOST_WRITTEN, Wish, written_bytes};
pub use rights::{Field, Fields, Of, Rights, fields_of};
pub use seen::Seen;
pub use trace::{Account, Step, Trace, Which};
pub use trial::MOST_TRIALS;

use self::trace::{NotTaken, What};
use crate::identify::{Brought, Rules};
use crate::sources::Needs;

/// How many ended calls the hub holds for desktops to look back at.
pub const MOST_ENDED: usize = 2_000;

/// The furthest an event's number may be ahead of the last one seen: crashes leave gaps, but not such.
const MOST_AHEAD: u64 = 1 << 40;

/// The most live calls, and the most lines, one adapter may name.
const MOST_FOLLOWED: usize = 100_000;

/// The most numbers of which it is remembered who calls from them; the oldest word is forgotten first.
pub const MOST_CHOICES: usize = 100_000;

/// One thing that happened, in the order in which it did.
#[derive(Debug, Clone)]
pub enum Input {
    /// An adapter logged in.
    AdapterUp {
        /// Which.
        adapter: AdapterId,
    },
    /// An adapter's link ended.
    AdapterDown {
        /// Which.
        adapter: AdapterId,
    },
    /// An adapter says something.
    Event {
        /// Which adapter.
        adapter: AdapterId,
        /// Its outbox.
        outbox: Uuid,
        /// Counts up within the outbox; what is not above the last one is a repetition.
        sequence: u64,
        /// What it says.
        event: Event,
    },
    /// These are the lines that an adapter follows.
    Lines {
        /// Which adapter.
        adapter: AdapterId,
        /// Its lines, or some of them.
        lines: Vec<Line>,
        /// These were the last of them.
        last: bool,
    },
    /// These are calls that an adapter still follows.
    Live {
        /// Which adapter.
        adapter: AdapterId,
        /// Its calls, or some of them.
        calls: Vec<CallId>,
        /// These were the last of them.
        last: bool,
    },
    /// A desktop logged in.
    AgentUp {
        /// Its connection.
        viewer: ViewerId,
        /// Who sits there.
        agent: AgentId,
        /// Lets them in again without a password.
        token: Option<Private<String>>,
    },
    /// A desktop's link ended.
    AgentDown {
        /// Its connection.
        viewer: ViewerId,
    },
    /// An agent says which of the customers found is calling.
    Choose {
        /// From which connection.
        viewer: ViewerId,
        /// On which call.
        call: CallId,
        /// Which of them; `None`: none of them.
        customer: Option<CustomerKey>,
    },
    /// A person looks for a customer.
    FindCustomer {
        /// Who, and their question's number.
        viewer: ViewerId,
        /// Comes back with the answer.
        ask: u64,
        /// For which call.
        call: CallId,
        /// What they typed.
        text: Private<String>,
    },
    /// The directories were searched.
    Found {
        /// For which call.
        call: CallId,
        /// Who asked.
        seeker: Seeker,
        /// Who fits, the best first.
        found: Vec<Customer>,
        /// How it went.
        searched: Searched,
    },
    /// A desktop writes into the record, or looks into it.
    Record {
        /// From which connection.
        viewer: ViewerId,
        /// What it wants.
        wish: Wish,
    },
    /// An agent says how the caller was identified.
    Identified {
        /// From which connection.
        viewer: ViewerId,
        /// On which call.
        call: CallId,
        /// In the agent's words.
        how: Private<String>,
    },
    /// A person says whether they take calls.
    OwnState {
        /// From which connection.
        viewer: ViewerId,
        /// What they say of themselves.
        state: OwnState,
    },
    /// A person finishes what is left to do after a call, or has finished.
    WrapUp {
        /// From which connection.
        viewer: ViewerId,
        /// After which call; `None`: it is finished.
        call: Option<CallId>,
    },
    /// These are the people from now on.
    Staff(Staff),
    /// A desktop did not take what it was sent, and is cut off.
    FellBehind {
        /// Its connection.
        viewer: ViewerId,
        /// The call of which it was to be told.
        call: Option<CallId>,
        /// Why it did not.
        why: NotTaken,
    },
    /// Whoever looks after the hub lets a call be pretended, of which nothing is kept.
    Trial {
        /// Its id.
        call: CallId,
        /// Who is to call.
        facts: Box<CallFacts>,
        /// The phone that is to ring, if one is.
        line: Option<Line>,
    },
    /// A pretended call hangs up.
    TrialOver {
        /// Which.
        call: CallId,
    },
    /// The directories said who it is.
    Who {
        /// For which call.
        call: CallId,
        /// What they were asked with.
        brought: Brought,
        /// Everyone found ([`crate::identify::merged`]), or why nobody could say.
        found: Result<Vec<Customer>, Failure>,
    },
    /// A source answered, was late or failed.
    Card {
        /// For which call.
        call: CallId,
        /// What it was asked with.
        brought: Brought,
        /// What to show.
        card: Card,
    },
}

/// What is to be done about it.
#[derive(Debug, Default)]
pub struct Outputs {
    /// Messages, each for some desktops; encoded once however many those are.
    pub tell: Vec<(Vec<ViewerId>, HubToAgent)>,
    /// Questions to sources.
    pub ask: Vec<Ask>,
    /// What goes to disk, in this order.
    pub keep: Vec<Keep>,
    /// Looks into the record, to be answered beside the core.
    pub look: Vec<Look>,
}

/// A question to the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Who is it?
    Who {
        /// For which call.
        call: CallId,
        /// What there is to ask with.
        brought: Brought,
    },
    /// Everything that needs no more than what the call brings.
    Call {
        /// For which call.
        call: CallId,
        /// What there is to ask with.
        brought: Brought,
    },
    /// Who fits what a person looks for?
    Search {
        /// For which call.
        call: CallId,
        /// Who asks.
        seeker: Seeker,
        /// Plain text of some length.
        text: Private<String>,
    },
    /// Everything about this customer.
    Cards {
        /// For which call.
        call: CallId,
        /// What the call brings.
        brought: Brought,
        /// Who it is.
        customer: Box<Customer>,
    },
}

/// The place of a source among the cards of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardPlace {
    /// Who is asked.
    pub source: SourceName,
    /// What it gives.
    pub gives: Gives,
    /// The card's title, where it has one of its own.
    pub title: Option<String>,
    /// When it can be asked.
    pub needs: Needs,
}

/// The whole state of a hub.
pub struct Hub {
    staff: Staff,
    places: Vec<CardPlace>,
    rules: Rules,
    choices: BTreeMap<Number, Choice>,
    rights: Rights,
    shown: seen::Shown,
    searches: find::Searches,
    board: Board,
    index: index::Index,
    /// Changes of the board so far: whether an event told something.
    folded: u64,
    owner: HashMap<CallId, AdapterId>,
    line_owner: BTreeMap<Line, AdapterId>,
    seen: BTreeMap<(AdapterId, Uuid), u64>,
    viewers: agents::Viewers,
    /// Parts of an adapter's list of live calls, until its last.
    followed: BTreeMap<AdapterId, Vec<CallId>>,
    /// Parts of an adapter's list of lines, until its last.
    listed: BTreeMap<AdapterId, Vec<Line>>,
    outcomes: Vec<Outcome>,
    reasons: Vec<Reason>,
    people: BTreeMap<AgentId, people::Present>,
    missed: BTreeMap<CallId, KeptMissed>,
    follow_ups: BTreeMap<Uuid, FollowUp>,
    traces: HashMap<CallId, Trace>,
    /// Calls that are only pretended.
    trials: BTreeSet<CallId>,
}

impl Hub {
    /// A hub for these people and sources (in the order in which cards are shown) that goes on from
    /// what was kept; `outputs` gets the questions that were open.
    pub fn new(
        staff: Staff,
        sources: Vec<CardPlace>,
        rules: Rules,
        kept: Kept,
        outputs: &mut Outputs,
    ) -> Hub {
        let places = sources.into_iter().filter(|place| place.gives != Gives::Customer).collect();
        let mut hub = Hub {
            staff,
            places,
            rules,
            choices: kept.choices,
            rights: Rights::default(),
            shown: seen::Shown::new(),
            searches: BTreeMap::new(),
            board: Board::default(),
            index: index::Index::default(),
            folded: 0,
            owner: HashMap::new(),
            line_owner: BTreeMap::new(),
            seen: kept.durable,
            viewers: agents::Viewers::default(),
            followed: BTreeMap::new(),
            listed: BTreeMap::new(),
            outcomes: Vec::new(),
            reasons: Vec::new(),
            people: BTreeMap::new(),
            missed: kept.missed,
            follow_ups: kept.follow_ups,
            traces: kept.traces.into_iter().collect(),
            trials: BTreeSet::new(),
        };
        hub.board.missed = hub.missed.iter().map(|(id, kept)| (*id, kept.row.clone())).collect();
        hub.people_kept(kept.people, outputs);
        for (line, KeptLine { adapter, mut view }) in kept.lines {
            hub.line_owner.extend(adapter.map(|adapter| (line.clone(), adapter)));
            // Whose phone it is may have been written otherwise since.
            view.agent = hub.staff.name_at(&line);
            hub.board.lines.insert(line, view);
        }
        for (call, KeptCall { adapter, view }) in kept.calls {
            hub.owner.insert(call, adapter);
            hub.fold(Update::Call { view: Box::new(view) });
        }
        let open: Vec<CallId> =
            hub.board.calls.values().filter(|v| v.ended.is_none()).map(|v| v.id).collect();
        for call in open {
            hub.ask_again(call, outputs);
        }
        hub
    }

    /// With what roles may see; without it, every role sees every card.
    pub fn with_rights(mut self, rights: Rights) -> Hub {
        self.rights = rights;
        self
    }

    /// Takes in one input.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Outputs) {
        let (told, asked, kept) = (out.tell.len(), out.ask.len(), out.keep.len());
        self.decide(now, input, out);
        self.asked_steps(now, asked, out);
        self.let_out(now, told, out);
        self.keep_no_trial(kept, out);
    }

    fn decide(&mut self, now: Timestamp, input: Input, out: &mut Outputs) {
        match input {
            Input::AdapterUp { adapter } => {
                self.followed.remove(&adapter);
                self.listed.remove(&adapter);
                self.adapter_turned(now, &adapter, &What::AdapterBack { adapter: adapter.clone() }, out);
                self.adapter_is(now, adapter, Presence::Connected, out);
            }
            Input::AdapterDown { adapter } => {
                self.adapter_turned(now, &adapter, &What::AdapterGone { adapter: adapter.clone() }, out);
                self.adapter_is(now, adapter, Presence::Gone, out);
            }
            Input::Event { adapter, outbox, sequence, event } => {
                let seen = self.seen.entry((adapter.clone(), outbox)).or_default();
                // A number so far ahead is a fault: believed, it would silence the adapter for ever.
                if sequence > *seen && sequence - *seen <= MOST_AHEAD {
                    *seen = sequence;
                    let before = self.before(&event);
                    let noted = self.noted(&adapter, &event, out);
                    self.heard(now, &adapter, &event, (before, noted), out);
                    let repeated = noted == Noted::Known;
                    out.keep.push(Keep::Noted { adapter, outbox, sequence, event, repeated });
                }
            }
            Input::Lines { adapter, lines, last } => {
                let listed = self.listed.entry(adapter.clone()).or_default();
                listed.extend(lines.into_iter().take(MOST_FOLLOWED.saturating_sub(listed.len())));
                if last {
                    let listed = self.listed.remove(&adapter).unwrap_or_default();
                    self.only_lines(&adapter, &listed.into_iter().collect(), out);
                }
            }
            Input::Live { adapter, calls, last } => {
                let followed = self.followed.entry(adapter.clone()).or_default();
                followed.extend(calls.into_iter().take(MOST_FOLLOWED.saturating_sub(followed.len())));
                if last {
                    let followed = self.followed.remove(&adapter).unwrap_or_default();
                    self.only_live(now, &adapter, &followed, out);
                }
            }
            Input::AgentUp { viewer, agent, token } => {
                self.agent_up(now, viewer, agent.clone(), token, out);
                self.pops_at_login(now, &agent, out);
            }
            Input::AgentDown { viewer } => self.viewer_gone(now, viewer, out),
            Input::Choose { viewer, call, customer } => self.chosen(now, viewer, call, customer, out),
            Input::FindCustomer { viewer, ask, call, text } => self.looks_for(viewer, ask, call, &text, out),
            Input::Found { call, seeker, found, searched } => {
                self.found_some(now, call, seeker, found, searched, out)
            }
            Input::Record { viewer, wish } => self.wished(now, viewer, wish, out),
            Input::Who { call, brought, found } => self.who_found(now, call, &brought, found, out),
            Input::Card { call, brought, card } => self.card_landed(now, call, &brought, card, out),
            Input::Identified { viewer, call, how } => self.identified(now, viewer, call, &how, out),
            Input::OwnState { viewer, state } => self.says_of_self(now, viewer, state, out),
            Input::WrapUp { viewer, call } => self.wraps_up(now, viewer, call, out),
            Input::Staff(staff) => self.staff_is(now, staff, out),
            Input::FellBehind { viewer, call, why } => self.fell_behind(now, viewer, (call, why), out),
            Input::Trial { call, facts, line } => self.trial(now, call, *facts, line, out),
            Input::TrialOver { call } => self.trial_over(now, call, out),
        }
    }

    /// Everything, as a supervisor sees it.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// How many calls go on, and how many desktops are connected, by their people's role.
    pub fn counts(&self) -> (usize, BTreeMap<Role, usize>) {
        let live = self.board.calls.values().filter(|view| view.ended.is_none() && !view.trial).count();
        let mut people = BTreeMap::from([Role::Agent, Role::Supervisor, Role::Admin].map(|role| (role, 0)));
        for person in self.viewers.people().filter_map(|id| self.staff.agent(id)) {
            *people.entry(person.role).or_default() += 1;
        }
        (live, people)
    }

    /// The last number heard of an adapter's outbox.
    pub fn last_seen(&self, adapter: &AdapterId, outbox: Uuid) -> u64 {
        self.seen.get(&(adapter.clone(), outbox)).copied().unwrap_or(0)
    }

    fn adapter_is(&mut self, now: Timestamp, adapter: AdapterId, presence: Presence, out: &mut Outputs) {
        let view = AdapterView { connected: presence == Presence::Connected, since: now };
        let update = Update::Adapter { adapter, view };
        self.fold(update.clone());
        out.update(self.viewers.all(), update);
    }

    /// Puts a call on the disk as it stands now.
    fn keep_call(&self, call: CallId, out: &mut Outputs) {
        let kept = self.board.calls.get(&call).zip(self.owner.get(&call));
        if let Some(past) = kept.and_then(|(view, _)| PastCall::of(view)) {
            // What was written is kept by itself, entry for entry.
            out.keep.push(Keep::Past { past: Box::new(PastCall { entries: Vec::new(), ..past }) });
        }
        let kept = kept.map(|(view, adapter)| {
            let view = CallView { entries: Vec::new(), ..view.clone() };
            Box::new(KeptCall { adapter: adapter.clone(), view })
        });
        out.keep.push(Keep::Call { call, kept });
    }
}

impl Outputs {
    fn update(&mut self, to: Vec<ViewerId>, update: Update) {
        if !to.is_empty() {
            self.tell.push((to, HubToAgent::Update { update }));
        }
    }
}

/// Whether an event told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    New,
    Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Connected,
    Gone,
}
