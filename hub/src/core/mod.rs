//! What the hub decides: who is told what, who is asked, what is kept. Pure: takes inputs in order,
//! does no IO, reads no clock, cannot fail; the same inputs give the same outputs.

mod agents;
mod calls;
mod cards;
mod lines;
mod record;
mod rights;
mod seen;
#[cfg(test)]
mod tests;
pub mod trace;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pinkas_protocol::agent_link::{HubToAgent, Role};
use pinkas_protocol::board::AdapterView;
use pinkas_protocol::record::Outcome;
use pinkas_protocol::{
    AdapterId, AgentId, Board, CallFacts, CallId, CallView, Card, Customer, CustomerKey, Entry, Event,
    Failure, FollowUp, Gives, Line, LineView, Missed, Number, PastCall, Private, SourceName, Update,
};
use uuid::Uuid;

pub use agents::{Agent, Scope, Staff, ViewerId};
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

/// Something to keep.
#[derive(Debug, Clone)]
pub enum Keep {
    /// An event for the call log; once it is on disk, its adapter is told.
    Noted {
        /// Who said it.
        adapter: AdapterId,
        /// Its outbox.
        outbox: Uuid,
        /// Its number there.
        sequence: u64,
        /// What was said.
        event: Event,
        /// It told nothing new: an adapter that crashed may say again, under a new number, what it had
        /// told but not yet written.
        repeated: bool,
    },
    /// An event the hub itself concluded, for the call log.
    Concluded {
        /// Whose call it was.
        adapter: AdapterId,
        /// What was concluded.
        event: Event,
    },
    /// A call as it stands, or `None` once it is no longer held.
    Call {
        /// Which.
        call: CallId,
        /// As it stands.
        kept: Option<Box<KeptCall>>,
    },
    /// A step of a call, or `None` once it is left out for later ones.
    Step {
        /// Which call.
        call: CallId,
        /// Which step of it, from 0.
        number: u32,
        /// What happened.
        step: Option<Box<Step>>,
    },
    /// Somebody was shown cards of a customer.
    Seen(Box<Seen>),
    /// A line as it stands, or `None` once nobody follows it.
    Line {
        /// Which.
        line: Line,
        /// As it stands.
        kept: Option<Box<KeptLine>>,
    },
    /// What an agent last said of who calls from a number, or `None` once it is forgotten.
    Choice {
        /// The caller's.
        number: Number,
        /// What was said.
        kept: Option<Choice>,
    },
    /// A call that is over, as it is remembered, without what was written about it.
    Past {
        /// All of it.
        past: Box<PastCall>,
    },
    /// Something a person wrote about a call.
    Entry {
        /// Which call.
        call: CallId,
        /// What; it takes the place of one with the same id.
        entry: Box<Entry>,
    },
    /// A follow-up, or `None` once it is done.
    FollowUp {
        /// The id of its entry.
        id: Uuid,
        /// As it stands.
        kept: Option<Box<FollowUp>>,
    },
    /// A row of missed calls, or `None` once it is shown no more.
    Missed {
        /// Which.
        row: CallId,
        /// As it stands.
        kept: Option<Box<KeptMissed>>,
    },
    /// Calls that are older are to be forgotten, some at a time.
    Forget {
        /// Than this.
        before: Timestamp,
    },
    /// All before this is to be on the disk; then this viewer is told that its word is kept.
    Acknowledge {
        /// Whom to tell.
        viewer: ViewerId,
        /// What the desktop called it.
        id: Uuid,
    },
}

/// What an agent said of who calls from a number: offered first the next time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Choice {
    /// This customer; absent: none of those found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerKey>,
    /// Who said so.
    pub by: AgentId,
    /// When.
    pub at: Timestamp,
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

/// A call with what is not shown of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptCall {
    /// The adapter that follows it.
    pub adapter: AdapterId,
    /// All of it.
    pub view: CallView,
}

/// A line with what is not shown of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptLine {
    /// The adapter that follows it; a record of an older hub does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterId>,
    /// All of it.
    #[serde(flatten)]
    pub view: LineView,
}

/// A row of missed calls with what is not shown of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptMissed {
    /// What is shown.
    pub row: Missed,
    /// The phones at which any of its calls rang: whom it concerns.
    pub lines: BTreeSet<Line>,
    /// The last of its calls.
    pub last_call: CallId,
}

/// What a hub starts with: the disk's word.
#[derive(Debug, Default)]
pub struct Kept {
    /// Calls that have not been dropped.
    pub calls: BTreeMap<CallId, KeptCall>,
    /// Lines.
    pub lines: BTreeMap<Line, KeptLine>,
    /// The last sequence number on disk, by adapter and outbox.
    pub durable: BTreeMap<(AdapterId, Uuid), u64>,
    /// What agents said of who calls from a number.
    pub choices: BTreeMap<Number, Choice>,
    /// Missed calls.
    pub missed: BTreeMap<CallId, KeptMissed>,
    /// Open follow-ups, by the id of their entry.
    pub follow_ups: BTreeMap<Uuid, FollowUp>,
    /// What happened to these calls.
    pub traces: BTreeMap<CallId, Trace>,
}

/// The whole state of a hub.
pub struct Hub {
    staff: Staff,
    places: Vec<CardPlace>,
    rules: Rules,
    choices: BTreeMap<Number, Choice>,
    rights: Rights,
    shown: seen::Shown,
    board: Board,
    owner: BTreeMap<CallId, AdapterId>,
    line_owner: BTreeMap<Line, AdapterId>,
    seen: BTreeMap<(AdapterId, Uuid), u64>,
    viewers: agents::Viewers,
    /// Parts of an adapter's list of live calls, until its last.
    followed: BTreeMap<AdapterId, Vec<CallId>>,
    /// Parts of an adapter's list of lines, until its last.
    listed: BTreeMap<AdapterId, Vec<Line>>,
    outcomes: Vec<Outcome>,
    missed: BTreeMap<CallId, KeptMissed>,
    follow_ups: BTreeMap<Uuid, FollowUp>,
    traces: BTreeMap<CallId, Trace>,
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
            board: Board::default(),
            owner: BTreeMap::new(),
            line_owner: BTreeMap::new(),
            seen: kept.durable,
            viewers: agents::Viewers::default(),
            followed: BTreeMap::new(),
            listed: BTreeMap::new(),
            outcomes: Vec::new(),
            missed: kept.missed,
            follow_ups: kept.follow_ups,
            traces: kept.traces,
            trials: BTreeSet::new(),
        };
        hub.board.missed = hub.missed.iter().map(|(id, kept)| (*id, kept.row.clone())).collect();
        for (line, KeptLine { adapter, mut view }) in kept.lines {
            hub.line_owner.extend(adapter.map(|adapter| (line.clone(), adapter)));
            // Whose phone it is may have been written otherwise since.
            view.agent = hub.staff.name_at(&line);
            hub.board.lines.insert(line, view);
        }
        for (call, KeptCall { adapter, view }) in kept.calls {
            hub.owner.insert(call, adapter);
            hub.board.calls.insert(call, view);
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
            Input::AgentDown { viewer } => drop(self.viewers.remove(viewer)),
            Input::Choose { viewer, call, customer } => self.chosen(now, viewer, call, customer, out),
            Input::Record { viewer, wish } => self.wished(now, viewer, wish, out),
            Input::Who { call, brought, found } => self.who_found(now, call, &brought, found, out),
            Input::Card { call, brought, card } => self.card_landed(now, call, &brought, card, out),
            Input::Identified { viewer, call, how } => self.identified(now, viewer, call, &how, out),
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
        self.board.fold(update.clone());
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
