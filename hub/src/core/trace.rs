//! What happened to each call, and to whom it popped or why it did not: one step for each thing the hub took in
//! or decided, for the command `why`. Pure. Bounded for each call, and kept no longer than the call itself.
//! Holds no number, no name of a caller and nothing of a customer: those stand in the call beside it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pinkas_protocol::board::AdapterView;
use pinkas_protocol::{
    AdapterId, AgentId, CallChange, CallFacts, CallId, CallView, Card, CardState, Event, Failure, Line,
    LineView, Number, OfferState, SourceName, Who,
};
use serde::{Deserialize, Serialize};

use super::{Ask, Hub, Keep, Noted, Outputs, ViewerId};

/// The most steps kept of one call: its first half and its last.
pub const MOST_STEPS: usize = 200;
/// The most names in one step.
const MOST_NAMES: usize = 8;

/// One step of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, by the hub's clock.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum What {
    /// An adapter said something; who calls is left out of it.
    Heard {
        /// Which adapter.
        adapter: AdapterId,
        /// When the phone system's message reached it, by its clock.
        heard_at: Timestamp,
        /// What it said.
        #[serde(flatten)]
        change: CallChange,
        /// What came of it.
        counted: Counted,
    },
    /// Sources were asked.
    Asked {
        /// Which of them.
        whom: Whom,
    },
    /// The directories answered, or a choice was made.
    Found {
        /// What is known now.
        found: Found,
    },
    /// Directories answered about what has turned out not to be the caller's.
    Outdated,
    /// A source's card came further.
    Card {
        /// Whose.
        source: SourceName,
        /// How far.
        #[serde(flatten)]
        came: Came,
    },
    /// The call popped: it was sent to somebody at whose phone it rings or was answered.
    Popped {
        /// To whom.
        agent: AgentId,
        /// At which phone.
        line: Line,
        /// To how many desktops of theirs.
        desktops: usize,
        /// When the message that caused it reached the adapter.
        heard_at: Timestamp,
    },
    /// Somebody logged in while it was at their phone, and it popped then.
    PoppedAtLogin {
        /// To whom.
        agent: AgentId,
        /// At which phone.
        line: Line,
    },
    /// It is at a phone and popped to nobody.
    NoPop {
        /// At which phone.
        line: Line,
        /// Why.
        #[serde(flatten)]
        why: NoPop,
    },
    /// These see the call in their lists; it does not pop for them, as it is not at their phone.
    Listed {
        /// Some of them.
        agents: Vec<AgentId>,
        /// How many more.
        more: usize,
    },
    /// A desktop did not take what it was sent about the call; when it is back it gets the whole board.
    NotTaken {
        /// Whose.
        agent: AgentId,
        /// Why.
        because: NotTaken,
    },
    /// Somebody chose one of the customers found.
    Chose {
        /// Who.
        agent: AgentId,
    },
    /// Somebody said that it is none of those found.
    ChoseNone {
        /// Who.
        agent: AgentId,
    },
    /// Somebody said how the caller was identified.
    Identified {
        /// Who.
        agent: AgentId,
    },
    /// The adapter's link ended: what happens now is heard later.
    AdapterGone {
        /// Which.
        adapter: AdapterId,
    },
    /// The adapter is back.
    AdapterBack {
        /// Which.
        adapter: AdapterId,
    },
    /// Its adapter follows it no more, so the hub took it for over.
    Lost {
        /// Which adapter.
        adapter: AdapterId,
    },
}

/// Why a desktop did not take what it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotTaken {
    /// It reads too slowly, and was cut off.
    QueueFull,
    /// Its link had just ended.
    LinkEnded,
}

/// What came of something heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// It told something new.
    New,
    /// The call had ended before.
    AfterTheEnd,
}

/// Which sources were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// The directories.
    Directories,
    /// Those that need no more than the call.
    ByCall,
    /// Those that need the customer.
    ByCustomer,
}

/// What is known of who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// It is being asked.
    Asking,
    /// One customer, or several of whom one was chosen.
    One,
    /// Several, and nobody has chosen.
    Several {
        /// So many.
        customers: usize,
    },
    /// No directory knows the number.
    Unknown,
    /// None of those found.
    NoneOf,
    /// There is nothing to ask with.
    NoNumber,
    /// No directory could be asked.
    Failed {
        /// What went wrong.
        failure: Failure,
    },
}

/// How far a card came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "card", rename_all = "snake_case")]
pub enum Came {
    /// It is asked anew.
    Waiting,
    /// The deadline passed.
    Late {
        /// In milliseconds.
        deadline_ms: u64,
    },
    /// Filled.
    Filled {
        /// In milliseconds.
        took_ms: u64,
        /// After the deadline.
        late: bool,
        /// With what the source gave earlier, as it fails now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<Failure>,
    },
    /// The source has nothing.
    Nothing {
        /// In milliseconds.
        took_ms: u64,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// In milliseconds.
        took_ms: u64,
    },
}

/// Why a call at a phone popped to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum NoPop {
    /// The phone is in nobody's `lines`.
    NobodyHasThisPhone,
    /// Nobody who has this phone was logged in.
    NotLoggedIn {
        /// Who has it.
        agents: Vec<AgentId>,
    },
}

/// The steps of one call, by their numbers; a number that is missing was left out.
pub type Trace = BTreeMap<u32, Step>;

/// Which calls `why` is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// This one.
    Call(CallId),
    /// The last from this number.
    Number(Number),
    /// The last of all; with a line, the last that was at that phone.
    Last,
}

/// What there is to say about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The call, unless none was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<CallView>>,
    /// What happened to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steps: Trace,
    /// Earlier calls from the same number that the hub still holds, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<CallId>,
    /// Whether adapters are connected; empty of a hub that does not run.
    pub adapters: BTreeMap<AdapterId, AdapterView>,
    /// The phone that was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
}

/// A phone that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// Which.
    pub line: Line,
    /// What an adapter says of it; `None`: no adapter follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<LineView>,
    /// Who has it.
    pub agents: Vec<AgentId>,
}

/// What is to be known before an event is taken in, to say what came of it.
pub(super) struct Before {
    ended: Option<bool>,
    found: Option<Found>,
    at_line: Option<bool>,
}

impl Hub {
    /// What there is to say about a call.
    pub fn why(&self, which: &Which, line: Option<&Line>) -> Account {
        let newest = || self.board.calls.values().rev();
        let here = |view: &&CallView| line.is_none_or(|line| view.offers.contains_key(line));
        let from = |view: &&CallView, number: &Number| view.facts.caller.number.as_ref() == Some(number);
        let call = match which {
            Which::Call(call) => self.board.calls.get(call),
            Which::Number(number) => {
                let mine = || newest().filter(|view| from(view, number));
                mine().find(here).or_else(|| mine().next())
            }
            Which::Last => newest().find(here).or_else(|| newest().next()),
        };
        let earlier = call.and_then(|view| {
            let number = view.facts.caller.number.as_ref()?;
            let before = self.board.calls.range(..view.id).rev().map(|(_, view)| view);
            Some(before.filter(|view| from(view, number)).take(MOST_NAMES).map(|view| view.id).collect())
        });
        Account {
            call: call.cloned().map(Box::new),
            steps: call.and_then(|view| self.traces.get(&view.id)).cloned().unwrap_or_default(),
            earlier: earlier.unwrap_or_default(),
            adapters: self.board.adapters.clone(),
            phone: line.map(|line| Phone {
                line: line.clone(),
                view: self.board.lines.get(line).cloned(),
                agents: self.staff.people_at(line).to_vec(),
            }),
        }
    }

    /// Takes one step down.
    pub(super) fn step(&mut self, now: Timestamp, call: CallId, what: What, out: &mut Outputs) {
        if !self.board.calls.contains_key(&call) {
            return;
        }
        let trace = self.traces.entry(call).or_default();
        let number = trace.last_key_value().map_or(0, |(number, _)| number.saturating_add(1));
        let step = Step { at: now, what };
        trace.insert(number, step.clone());
        out.keep.push(Keep::Step { call, number, step: Some(Box::new(step)) });
        if trace.len() > MOST_STEPS
            && let Some(oldest) = trace.keys().nth(MOST_STEPS / 2).copied()
        {
            trace.remove(&oldest);
            out.keep.push(Keep::Step { call, number: oldest, step: None });
        }
    }

    pub(super) fn before(&self, event: &Event) -> Before {
        let Event::Call(event) = event else { return Before { ended: None, found: None, at_line: None } };
        let view = self.board.calls.get(&event.call);
        let line = line_of(&event.change);
        Before {
            ended: view.map(|view| view.ended.is_some()),
            found: view.map(|view| found(&view.who)),
            at_line: view.zip(line).map(|(view, line)| is_at(view, line)),
        }
    }

    /// An adapter's word on a call was taken in.
    pub(super) fn heard(
        &mut self,
        now: Timestamp,
        adapter: &AdapterId,
        event: &Event,
        (before, noted): (Before, Noted),
        out: &mut Outputs,
    ) {
        let Event::Call(event) = event else { return };
        let counted = match (before.ended, noted) {
            // That would have been a pop; whatever else is said again tells nothing.
            (Some(true), _) if line_of(&event.change).is_some() => Counted::AfterTheEnd,
            (_, Noted::Known) => return,
            (_, Noted::New) => Counted::New,
        };
        let heard = What::Heard {
            adapter: adapter.clone(),
            heard_at: event.heard_at,
            change: without_caller(&event.change),
            counted,
        };
        self.step(now, event.call, heard, out);
        let Some(view) = self.board.calls.get(&event.call) else { return };
        let known = found(&view.who);
        // That sources are asked is a step of its own.
        if counted == Counted::New && before.found.as_ref() != Some(&known) && known != Found::Asking {
            self.step(now, event.call, What::Found { found: known }, out);
        }
        let line = line_of(&event.change).filter(|_| counted == Counted::New);
        let Some((view, line)) = self.board.calls.get(&event.call).zip(line) else { return };
        if is_at(view, line) && before.at_line != Some(true) {
            self.pops(now, event.call, line, event.heard_at, out);
        }
    }

    /// The call has come to a phone: who is shown it there, and who is not.
    fn pops(&mut self, now: Timestamp, call: CallId, line: &Line, heard_at: Timestamp, out: &mut Outputs) {
        let people = self.staff.people_at(line).to_vec();
        let desktops = |agent: &AgentId| self.viewers.of(agent).count();
        let at: Vec<(AgentId, usize)> =
            people.into_iter().map(|agent| (agent.clone(), desktops(&agent))).collect();
        let others = self.viewers_of(call).into_iter().filter_map(|viewer| self.viewers.get(&viewer));
        let others = others.filter(|agent| at.iter().all(|(here, _)| here != *agent));
        let others: std::collections::BTreeSet<AgentId> = others.cloned().collect();
        if at.is_empty() {
            let why = NoPop::NobodyHasThisPhone;
            self.step(now, call, What::NoPop { line: line.clone(), why }, out);
        } else if at.iter().all(|(_, desktops)| *desktops == 0) {
            let agents = at.iter().take(MOST_NAMES).map(|(agent, _)| agent.clone()).collect();
            self.step(now, call, What::NoPop { line: line.clone(), why: NoPop::NotLoggedIn { agents } }, out);
        }
        for (agent, desktops) in at.into_iter().filter(|(_, desktops)| *desktops > 0).take(MOST_NAMES) {
            self.step(now, call, What::Popped { agent, line: line.clone(), desktops, heard_at }, out);
        }
        let told = |step: &Step| matches!(step.what, What::Listed { .. });
        if !others.is_empty() && !self.traces.get(&call).is_some_and(|trace| trace.values().any(told)) {
            let more = others.len().saturating_sub(MOST_NAMES);
            let agents = others.into_iter().take(MOST_NAMES).collect();
            self.step(now, call, What::Listed { agents, more }, out);
        }
    }

    /// Somebody logged in: what is at their phones pops now.
    pub(super) fn pops_at_login(&mut self, now: Timestamp, agent: &AgentId, out: &mut Outputs) {
        let Some(person) = self.staff.agent(agent) else { return };
        let live = self.calls_at(&person.lines).filter(|view| view.ended.is_none());
        let here = live.filter_map(|view| {
            let line = person.lines.iter().find(|line| is_at(view, line))?;
            Some((view.id, line.clone()))
        });
        for (call, line) in here.collect::<Vec<_>>() {
            self.step(now, call, What::PoppedAtLogin { agent: agent.clone(), line }, out);
        }
    }

    /// A desktop did not take a message, perhaps one about a call, and is cut off.
    pub(super) fn fell_behind(
        &mut self,
        now: Timestamp,
        viewer: ViewerId,
        (call, because): (Option<CallId>, NotTaken),
        out: &mut Outputs,
    ) {
        let agent = self.viewers.get(&viewer).cloned();
        self.viewer_gone(now, viewer, out);
        if let Some((agent, call)) = agent.zip(call) {
            self.step(now, call, What::NotTaken { agent, because }, out);
        }
    }

    /// The adapter came or went: every call of it that goes on says so.
    pub(super) fn adapter_turned(
        &mut self,
        now: Timestamp,
        adapter: &AdapterId,
        what: &What,
        out: &mut Outputs,
    ) {
        let mine = |view: &&CallView| view.ended.is_none() && self.owner.get(&view.id) == Some(adapter);
        let calls: Vec<CallId> = self.board.calls.values().filter(mine).map(|view| view.id).collect();
        for call in calls {
            self.step(now, call, what.clone(), out);
        }
    }

    pub(super) fn card_step(&mut self, now: Timestamp, call: CallId, card: &Card, out: &mut Outputs) {
        let came = match &card.state {
            CardState::Waiting => Came::Waiting,
            CardState::Late { deadline_ms } => Came::Late { deadline_ms: *deadline_ms },
            CardState::Filled { took_ms, late, old, .. } => {
                Came::Filled { took_ms: *took_ms, late: *late, old: old.clone() }
            }
            CardState::Nothing { took_ms } => Came::Nothing { took_ms: *took_ms },
            CardState::Failed { failure, took_ms } => {
                Came::Failed { failure: failure.clone(), took_ms: *took_ms }
            }
        };
        self.step(now, call, What::Card { source: card.source.clone(), came }, out);
    }

    pub(super) fn asked_steps(&mut self, now: Timestamp, from: usize, out: &mut Outputs) {
        let asked: Vec<(CallId, Whom)> = out
            .ask
            .iter()
            .skip(from)
            .filter_map(|ask| match ask {
                Ask::Who { call, .. } => Some((*call, Whom::Directories)),
                Ask::Call { call, .. } => Some((*call, Whom::ByCall)),
                Ask::Cards { call, .. } => Some((*call, Whom::ByCustomer)),
                // Nothing of the call hangs on it.
                Ask::Search { .. } => None,
            })
            .collect();
        for (call, whom) in asked {
            self.step(now, call, What::Asked { whom }, out);
        }
    }
}

/// What is known of who calls, without who it is.
pub(super) fn found(who: &Who) -> Found {
    match who {
        Who::Asking => Found::Asking,
        Who::Known { .. } | Who::Several { chosen: Some(_), .. } => Found::One,
        Who::Several { customers, chosen: None } => Found::Several { customers: customers.len() },
        Who::Unknown { .. } => Found::Unknown,
        Who::NoneOf { .. } => Found::NoneOf,
        Who::NoNumber => Found::NoNumber,
        Who::Failed { failure } => Found::Failed { failure: failure.clone() },
    }
}

fn line_of(change: &CallChange) -> Option<&Line> {
    match change {
        CallChange::Offered { line, .. } | CallChange::Answered { line } => Some(line),
        _ => None,
    }
}

fn is_at(view: &CallView, line: &Line) -> bool {
    let state = view.offers.get(line).map(|offer| &offer.state);
    matches!(state, Some(OfferState::Ringing | OfferState::Answered { .. }))
}

fn without_caller(change: &CallChange) -> CallChange {
    let known = |facts: &CallFacts| CallFacts { queue: facts.queue.clone(), ..CallFacts::default() };
    match change {
        CallChange::Arrived(facts) => CallChange::Arrived(known(facts)),
        CallChange::Known(facts) => CallChange::Known(known(facts)),
        other => other.clone(),
    }
}
