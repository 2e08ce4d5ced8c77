//! What one viewer may see, and the one fold that keeps it: the hub and the desktop both apply the same
//! updates to the same board, so a snapshot plus the updates after it always equals the whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::{CallFacts, EndedHow, LineState, Pause, Withdrawal};
use crate::card::{Card, Customer, Failure};
use crate::ids::{AdapterId, AgentId, CallId, CustomerKey, Line, QueueName};
use crate::person::PersonView;
use crate::private::Private;
use crate::record::{Entry, Missed};

/// Everything a viewer sees.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Board {
    /// Live calls and the last ended ones, oldest first (ids sort by time).
    pub calls: BTreeMap<CallId, CallView>,
    /// Lines and what they do.
    pub lines: BTreeMap<Line, LineView>,
    /// The adapters and whether they are heard: without one, no call of its phone system shows.
    pub adapters: BTreeMap<AdapterId, AdapterView>,
    /// Missed calls, a row for each caller, by the first call of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missed: BTreeMap<CallId, Missed>,
    /// Who takes calls: of those who have a phone, whoever has been connected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<AgentId, PersonView>,
}

/// One call as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallView {
    /// Which call.
    pub id: CallId,
    /// Who the caller claims to be, the queue, the number that was dialled.
    #[serde(flatten)]
    pub facts: CallFacts,
    /// When the adapter heard of it.
    pub arrived_at: Timestamp,
    /// The caller waits in a queue, and nobody has answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waiting>,
    /// The phones it rang, rings or talks at; only those the viewer may know of.
    pub offers: BTreeMap<Line, Offer>,
    /// Who it is, by the company's directories.
    pub who: Who,
    /// One card per source, in the order of the configuration.
    pub cards: Vec<Card>,
    /// An agent said how the caller was identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identified: Option<Box<Identified>>,
    /// When and how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// What people wrote about it, oldest first, at most [`crate::record::MOST_ENTRIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    /// Nobody calls: whoever looks after the hub tries it out. Nothing of it is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trial: bool,
}

/// Who vouches for the caller being a customer, and why. It holds for that customer only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    /// Which customer the caller is.
    pub customer: CustomerKey,
    /// The colleague who said so.
    pub by: String,
    /// How, in the colleague's words.
    pub how: Private<String>,
    /// When.
    pub at: Timestamp,
}

/// A place in a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// In which queue.
    pub queue: QueueName,
    /// At which place, from 1.
    pub position: u32,
    /// Since when it waits in this queue.
    pub since: Timestamp,
}

/// A call's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When the adapter heard of it.
    pub at: Timestamp,
    /// In what way.
    pub how: EndedHow,
}

/// A call at one phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Whose phone it is, where the hub knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When it began to ring.
    pub rang_at: Timestamp,
    /// The colleague's phone that passed the call on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_on_by: Option<Line>,
    /// What it does now.
    #[serde(flatten)]
    pub state: OfferState,
}

/// What a call does at one phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum OfferState {
    /// Rings.
    Ringing,
    /// Was answered here.
    Answered {
        /// When.
        at: Timestamp,
        /// Since when the caller is on hold here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Timestamp>,
    },
    /// Was answered here, and this phone has left the call.
    Left {
        /// When it was answered.
        at: Timestamp,
        /// When this phone left.
        left_at: Timestamp,
        /// Whom it passed the call on to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved_to: Option<Line>,
    },
    /// Stopped ringing without an answer here.
    Withdrawn {
        /// When.
        at: Timestamp,
        /// Why.
        #[serde(flatten)]
        why: Withdrawal,
    },
}

/// Who is calling, by the company's own directories.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum Who {
    /// The directories are being asked.
    #[default]
    Asking,
    /// One customer.
    Known {
        /// Who.
        customer: Customer,
    },
    /// Several customers share the number. Their cards are asked for once one is chosen.
    Several {
        /// The likeliest first: who was chosen before, then whole numbers, then guesses. It may be one alone:
        /// an agent said before that the caller was not this customer, or confirmed a guess.
        customers: Vec<Customer>,
        /// The one an agent chose.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chosen: Option<CustomerKey>,
    },
    /// No directory knows the number.
    Unknown {
        /// ISO 3166 code of the number's country, where it is certain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
        /// Calls from this number before, newest first, at most [`MOST_EARLIER`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        earlier: Vec<Earlier>,
    },
    /// Whoever answers says that the caller is none of the customers found.
    NoneOf {
        /// Those who were found; one of them can still be chosen.
        customers: Vec<Customer>,
        /// As in `Unknown`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
        /// As in `Unknown`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        earlier: Vec<Earlier>,
    },
    /// There is no number to look up.
    NoNumber,
    /// No directory could be asked.
    Failed {
        /// What went wrong.
        failure: Failure,
    },
}

/// The most earlier calls told of an unknown number.
pub const MOST_EARLIER: usize = 5;

/// A call that came from the same number before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// When it arrived.
    pub at: Timestamp,
    /// Who answered, where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
}

impl Who {
    /// The customer the cards belong to, if that is settled.
    pub fn customer(&self) -> Option<&Customer> {
        match self {
            Who::Known { customer } => Some(customer),
            Who::Several { customers, chosen: Some(key) } => customers.iter().find(|c| c.key == *key),
            _ => None,
        }
    }

    /// Everyone who was found, chosen or not.
    pub fn found(&self) -> &[Customer] {
        match self {
            Who::Known { customer } => std::slice::from_ref(customer),
            Who::Several { customers, .. } | Who::NoneOf { customers, .. } => customers,
            _ => &[],
        }
    }
}

/// A line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    /// Whose phone it is, where the hub knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What it does.
    pub state: LineState,
    /// Since when.
    pub since: Timestamp,
    /// The queues in which it takes no calls now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pauses: BTreeMap<QueueName, PauseView>,
}

/// A pause as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseView {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    #[serde(flatten)]
    pub pause: Pause,
}

/// An adapter as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterView {
    /// It is logged in.
    pub connected: bool,
    /// Since when.
    pub since: Timestamp,
}

/// One change to a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "update", rename_all = "snake_case")]
pub enum Update {
    /// A call this viewer had not seen, or the whole of it anew.
    Call {
        /// All of it.
        view: Box<CallView>,
    },
    /// It is better known who is calling and what was called, or where the caller waits.
    Facts {
        /// Which call.
        call: CallId,
        /// All that is known.
        #[serde(flatten)]
        facts: CallFacts,
        /// Where it waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits: Option<Waiting>,
    },
    /// A call at one phone changed.
    Offer {
        /// Which call.
        call: CallId,
        /// Which phone.
        line: Line,
        /// What it does there now.
        offer: Offer,
    },
    /// It is better known who is calling; the cards are those of this customer from now on.
    Who {
        /// Which call.
        call: CallId,
        /// Who.
        #[serde(flatten)]
        who: Who,
        /// The cards to expect, usually all waiting.
        cards: Vec<Card>,
    },
    /// A source answered, was late or failed.
    Card {
        /// Which call.
        call: CallId,
        /// The card.
        card: Card,
    },
    /// A call ended.
    Ended {
        /// Which call.
        call: CallId,
        /// When and how.
        ended: Ended,
    },
    /// A line changed.
    Line {
        /// Which.
        line: Line,
        /// What it does now.
        view: LineView,
    },
    /// A line is followed no more.
    LineGone {
        /// Which.
        line: Line,
    },
    /// An adapter came or went.
    Adapter {
        /// Which.
        adapter: AdapterId,
        /// What it does now.
        view: AdapterView,
    },
    /// A person takes calls or does not, came or went.
    Person {
        /// Who.
        person: AgentId,
        /// What they do now.
        view: PersonView,
    },
    /// A person is shown no more.
    PersonGone {
        /// Who.
        person: AgentId,
    },
    /// Somebody wrote about a call, or a follow-up of it is done.
    Written {
        /// Which call.
        call: CallId,
        /// What; it takes the place of an entry with the same id.
        entry: Entry,
    },
    /// A caller was missed, again or for the first time, or has been spoken with.
    Missed {
        /// The row as it is now.
        row: Box<Missed>,
    },
    /// A row of missed calls is shown no more.
    MissedGone {
        /// Which.
        row: CallId,
    },
}

impl Update {
    /// The call it is about, if it is about one.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Update::Call { view } => Some(view.id),
            Update::Facts { call, .. }
            | Update::Offer { call, .. }
            | Update::Who { call, .. }
            | Update::Card { call, .. }
            | Update::Ended { call, .. }
            | Update::Written { call, .. } => Some(*call),
            Update::Line { .. }
            | Update::LineGone { .. }
            | Update::Adapter { .. }
            | Update::Person { .. }
            | Update::PersonGone { .. }
            | Update::Missed { .. }
            | Update::MissedGone { .. } => None,
        }
    }
}

/// What a call is doing as a whole, derived from its offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallState<'a> {
    /// No phone rings and none has answered.
    Waiting,
    /// Phones ring.
    Ringing(Vec<&'a Line>),
    /// Someone talks with the caller.
    Talking {
        /// On this line.
        line: &'a Line,
        /// Since when.
        since: Timestamp,
    },
    /// Over.
    Ended(Ended),
}

impl CallView {
    /// What the call is doing now.
    pub fn state(&self) -> CallState<'_> {
        if let Some(ended) = self.ended {
            return CallState::Ended(ended);
        }
        let answered = self.offers.iter().find_map(|(line, offer)| match offer.state {
            OfferState::Answered { at, .. } => Some(CallState::Talking { line, since: at }),
            _ => None,
        });
        answered.unwrap_or_else(|| {
            let ringing: Vec<_> = self
                .offers
                .iter()
                .filter(|(_, offer)| offer.state == OfferState::Ringing)
                .map(|(line, _)| line)
                .collect();
            if ringing.is_empty() { CallState::Waiting } else { CallState::Ringing(ringing) }
        })
    }

    /// The line that answered and its offer, also after the call's end; of several one still in it, else the last that left.
    pub fn answered(&self) -> Option<(&Line, &Offer)> {
        let here = self.offers.iter().find(|(_, offer)| matches!(offer.state, OfferState::Answered { .. }));
        here.or_else(|| {
            let left = self.offers.iter().filter_map(|(line, offer)| match offer.state {
                OfferState::Left { left_at, .. } => Some((left_at, (line, offer))),
                _ => None,
            });
            left.max_by_key(|(left_at, _)| *left_at).map(|(_, last)| last)
        })
    }

    fn end_offers(&mut self, ended: Ended) {
        let why = match ended.how {
            EndedHow::Abandoned => Withdrawal::CallerGaveUp,
            EndedHow::Declined => Withdrawal::Declined,
            EndedHow::Unanswered => Withdrawal::NoAnswer,
            EndedHow::Completed | EndedHow::Joined { .. } | EndedHow::Lost => Withdrawal::StoppedRinging,
        };
        for offer in self.offers.values_mut() {
            if offer.state == OfferState::Ringing {
                offer.state = OfferState::Withdrawn { at: ended.at, why: why.clone() };
            }
        }
        self.waits = None;
        self.ended = Some(ended);
    }
}

impl Board {
    /// How many ended calls one viewer's board keeps; the oldest are dropped first.
    pub const MOST_ENDED: usize = 50;

    /// Applies one change to a viewer's board. A change of a call that is not on it is ignored: that
    /// call was dropped.
    pub fn apply(&mut self, update: Update) {
        self.fold(update);
        self.keep_ended(Board::MOST_ENDED);
    }

    /// Drops the oldest ended calls until at most `most` are left, and says which.
    pub fn keep_ended(&mut self, most: usize) -> Vec<CallId> {
        let ended = self.calls.values().filter(|view| view.ended.is_some());
        let too_many = ended.clone().count().saturating_sub(most);
        let drop: Vec<CallId> = ended.take(too_many).map(|view| view.id).collect();
        for call in &drop {
            self.calls.remove(call);
        }
        drop
    }

    /// Applies one change and drops nothing; for the hub, which bounds its board by itself.
    pub fn fold(&mut self, update: Update) {
        match update {
            Update::Call { view } => {
                self.calls.insert(view.id, *view);
            }
            Update::Facts { call, facts, waits } => {
                if let Some(view) = self.calls.get_mut(&call) {
                    view.facts = facts;
                    view.waits = waits;
                }
            }
            Update::Offer { call, line, offer } => {
                if let Some(view) = self.calls.get_mut(&call) {
                    if matches!(offer.state, OfferState::Answered { .. }) {
                        view.waits = None;
                    }
                    view.offers.insert(line, offer);
                }
            }
            Update::Who { call, who, cards } => {
                if let Some(view) = self.calls.get_mut(&call) {
                    view.who = who;
                    view.cards = cards;
                }
            }
            Update::Card { call, card } => {
                let place = self.calls.get_mut(&call).and_then(|view| {
                    view.cards.iter_mut().find(|c| {
                        (&c.source, c.gives, &c.customer) == (&card.source, card.gives, &card.customer)
                    })
                });
                if let Some(place) = place {
                    *place = card;
                }
            }
            Update::Ended { call, ended } => {
                if let Some(view) = self.calls.get_mut(&call) {
                    view.end_offers(ended);
                }
            }
            Update::Line { line, view } => {
                self.lines.insert(line, view);
            }
            Update::LineGone { line } => drop(self.lines.remove(&line)),
            Update::Adapter { adapter, view } => {
                self.adapters.insert(adapter, view);
            }
            Update::Person { person, view } => {
                self.people.insert(person, view);
            }
            Update::PersonGone { person } => drop(self.people.remove(&person)),
            Update::Written { call, entry } => {
                if let Some(view) = self.calls.get_mut(&call) {
                    match view.entries.iter_mut().find(|old| old.id == entry.id) {
                        Some(old) => *old = entry,
                        None => view.entries.push(entry),
                    }
                }
            }
            Update::Missed { row } => {
                self.missed.insert(row.id, *row);
            }
            Update::MissedGone { row } => drop(self.missed.remove(&row)),
        }
    }
}
