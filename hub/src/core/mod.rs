//! What the hub decides: who is told what, who is asked, what is kept. Pure: takes inputs in order,
//! does no IO, reads no clock, cannot fail; the same inputs give the same outputs.

mod agents;
mod calls;
mod cards;
mod lines;
mod rights;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use pinkas_protocol::agent_link::HubToAgent;
use pinkas_protocol::board::AdapterView;
use pinkas_protocol::{
    AdapterId, AgentId, Board, CallId, CallView, Card, Customer, CustomerKey, Event, Failure, Gives, Line,
    LineView, Number, Private, SourceName, Update,
};
use uuid::Uuid;

pub use agents::{Agent, Staff, ViewerId};
pub use rights::{Field, Fields, Of, Rights, fields_of};
pub use seen::Seen;

/// How many ended calls the hub holds for desktops to look back at.
pub const MOST_ENDED: usize = 2_000;

/// The furthest an event's number may be ahead of the last one seen: crashes leave gaps, but not such.
const MOST_AHEAD: u64 = 1 << 40;

/// The most live calls, and the most lines, one adapter may name.
const MOST_FOLLOWED: usize = 100_000;

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
    /// An agent says which of several customers is calling.
    Choose {
        /// From which connection.
        viewer: ViewerId,
        /// On which call.
        call: CallId,
        /// Which of them.
        customer: CustomerKey,
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
    /// The directories said who it is.
    Who {
        /// For which call.
        call: CallId,
        /// The number that was asked about.
        number: Number,
        /// All customers on the number, or why nobody could say.
        found: Result<Vec<Customer>, Failure>,
    },
    /// A source answered, was late or failed.
    Card {
        /// For which call.
        call: CallId,
        /// The caller's number when it was asked.
        number: Option<Number>,
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
}

/// A question to the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Who has this number?
    Who {
        /// For which call.
        call: CallId,
        /// The caller's.
        number: Number,
    },
    /// Everything about this customer.
    Cards {
        /// For which call.
        call: CallId,
        /// The caller's number.
        number: Option<Number>,
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
    /// Somebody was shown cards of a customer.
    Seen(Box<Seen>),
    /// A line as it stands, or `None` once nobody follows it.
    Line {
        /// Which.
        line: Line,
        /// As it stands.
        kept: Option<Box<KeptLine>>,
    },
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

/// What a hub starts with: the disk's word.
#[derive(Debug, Default)]
pub struct Kept {
    /// Calls that have not been dropped.
    pub calls: BTreeMap<CallId, KeptCall>,
    /// Lines.
    pub lines: BTreeMap<Line, KeptLine>,
    /// The last sequence number on disk, by adapter and outbox.
    pub durable: BTreeMap<(AdapterId, Uuid), u64>,
}

/// The whole state of a hub.
pub struct Hub {
    staff: Staff,
    rights: Rights,
    shown: seen::Shown,
    blank_cards: Vec<(SourceName, Gives)>,
    board: Board,
    owner: BTreeMap<CallId, AdapterId>,
    line_owner: BTreeMap<Line, AdapterId>,
    seen: BTreeMap<(AdapterId, Uuid), u64>,
    viewers: BTreeMap<ViewerId, AgentId>,
    /// Parts of an adapter's list of live calls, until its last.
    followed: BTreeMap<AdapterId, Vec<CallId>>,
    /// Parts of an adapter's list of lines, until its last.
    listed: BTreeMap<AdapterId, Vec<Line>>,
}

impl Hub {
    /// A hub for these people and sources (in the order in which cards are shown) that goes on from
    /// what was kept; `outputs` gets the questions that were open.
    pub fn new(staff: Staff, sources: Vec<(SourceName, Gives)>, kept: Kept, outputs: &mut Outputs) -> Hub {
        let blank_cards = sources.into_iter().filter(|(_, gives)| *gives != Gives::Customer).collect();
        let mut hub = Hub {
            staff,
            rights: Rights::default(),
            shown: seen::Shown::new(),
            blank_cards,
            board: Board::default(),
            owner: BTreeMap::new(),
            line_owner: BTreeMap::new(),
            seen: kept.durable,
            viewers: BTreeMap::new(),
            followed: BTreeMap::new(),
            listed: BTreeMap::new(),
        };
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
        let from = out.tell.len();
        self.decide(now, input, out);
        self.let_out(now, from, out);
    }

    fn decide(&mut self, now: Timestamp, input: Input, out: &mut Outputs) {
        match input {
            Input::AdapterUp { adapter } => {
                self.followed.remove(&adapter);
                self.listed.remove(&adapter);
                self.adapter_is(now, adapter, Presence::Connected, out);
            }
            Input::AdapterDown { adapter } => self.adapter_is(now, adapter, Presence::Gone, out),
            Input::Event { adapter, outbox, sequence, event } => {
                let seen = self.seen.entry((adapter.clone(), outbox)).or_default();
                // A number so far ahead is a fault: believed, it would silence the adapter for ever.
                if sequence > *seen && sequence - *seen <= MOST_AHEAD {
                    *seen = sequence;
                    let repeated = self.noted(&adapter, &event, out) == Noted::Known;
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
            Input::AgentUp { viewer, agent, token } => self.agent_up(now, viewer, agent, token, out),
            Input::AgentDown { viewer } => drop(self.viewers.remove(&viewer)),
            Input::Choose { viewer, call, customer } => self.chosen(viewer, call, &customer, out),
            Input::Identified { viewer, call, how } => self.identified(now, viewer, call, &how, out),
            Input::Staff(staff) => self.staff_is(now, staff, out),
            Input::Who { call, number, found } => self.who_found(call, &number, found, out),
            Input::Card { call, number, card } => self.card_landed(call, number.as_ref(), card, out),
        }
    }

    /// Everything, as a supervisor sees it.
    pub fn board(&self) -> &Board {
        &self.board
    }

    fn adapter_is(&mut self, now: Timestamp, adapter: AdapterId, presence: Presence, out: &mut Outputs) {
        let view = AdapterView { connected: presence == Presence::Connected, since: now };
        let update = Update::Adapter { adapter, view };
        self.board.fold(update.clone());
        out.update(self.viewers.keys().copied().collect(), update);
    }

    /// Puts a call on the disk as it stands now.
    fn keep_call(&self, call: CallId, out: &mut Outputs) {
        let kept = self.board.calls.get(&call).zip(self.owner.get(&call));
        let kept =
            kept.map(|(view, adapter)| Box::new(KeptCall { adapter: adapter.clone(), view: view.clone() }));
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
