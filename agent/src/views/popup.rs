//! The card of one call, as strings in the order of reading: what is happening, who, how we stand,
//! what explains it. Everything a terminal or a window needs to show the same card; nothing is drawn here.

mod cards;
mod draw;

use jiff::Timestamp;
use pinkas_protocol::board::CallState;
use pinkas_protocol::{CallId, CallView, Customer, CustomerKey, EndedHow, Who};

pub use cards::{CardBody, CardData, Figure, FigureValue, RowData};
pub use draw::{height, ui};

use crate::model::{Here, LinkState, Model, Pop};
use crate::theme::Tone;
use crate::words;

/// One call's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopupData {
    /// Which call.
    pub call: CallId,
    /// Whether the call goes on, is over, or only its reason still shows.
    pub mood: Mood,
    /// What is happening: `Ringing on 101 · Support`.
    pub status: String,
    /// For how long.
    pub clock: Option<String>,
    /// That the hub is not heard, and for how long.
    pub notice: Option<String>,
    /// The largest text: customer, else the caller's own name, else the number.
    pub name: String,
    /// The caller's own name, when it differs from the customer's: a claim.
    pub claims: Option<String>,
    /// The number as people write it, unless it is already the name.
    pub number: Option<String>,
    /// Class, country, doubt.
    pub chips: Vec<Chip>,
    /// In words, what is known of who it is, when there is no customer.
    pub note: Option<Note>,
    /// Balance, credit left, terms; empty when there is no customer to have them.
    pub figures: Vec<Figure>,
    /// The customers who share the number.
    pub choices: Vec<ChoiceData>,
    /// A choice can be sent now.
    pub can_choose: bool,
    /// One for each source.
    pub cards: Vec<CardData>,
    /// Further calls that ring: `1 more call rings: +48 12 345 67 89`.
    pub others: Option<String>,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Rings or talks.
    Live,
    /// Over; the card stays.
    Over,
    /// Stopped ringing here; the card goes by itself.
    Fading,
}

/// A small word on a coloured ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chip {
    /// The word.
    pub text: String,
    /// Its colour.
    pub tone: Tone,
}

/// A sentence in a colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The sentence.
    pub text: String,
    /// Its colour.
    pub tone: Tone,
}

/// One of several customers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceData {
    /// Which.
    pub customer: CustomerKey,
    /// Name.
    pub name: String,
    /// What tells them apart: key, class, place.
    pub detail: String,
    /// The one chosen.
    pub chosen: bool,
}

impl PopupData {
    /// The card on the screen now, if there is one.
    pub fn now(model: &Model, now: Timestamp) -> Option<Self> {
        model.pop(now).map(|pop| PopupData::of(model, &pop, now))
    }

    fn of(model: &Model, pop: &Pop<'_>, now: Timestamp) -> Self {
        let view = pop.view;
        let then = model.hub_time(now);
        let (status, since) = status(model, view);
        let customer = view.who.customer();
        let number = view.caller.number.as_ref().map(|number| words::plain(&number.shown()));
        let claimed = view.caller.name.as_ref().map(|name| words::plain(&name.0));
        let name = customer
            .map(|customer| words::plain(&customer.name.0))
            .or_else(|| claimed.clone())
            .or_else(|| number.clone())
            .unwrap_or_else(|| WITHHELD.to_owned());
        let known = customer.is_some();
        PopupData {
            call: view.id,
            mood: match (pop.fading, view.ended) {
                (true, _) => Mood::Fading,
                (false, Some(_)) => Mood::Over,
                (false, None) => Mood::Live,
            },
            status,
            clock: since.map(|since| words::elapsed(since, then)),
            notice: notice(model, now),
            claims: claimed.filter(|claimed| known && *claimed != name && Some(claimed) != number.as_ref()),
            number: number.filter(|number| *number != name),
            chips: chips(view, customer, &name),
            note: note(view),
            figures: if known { cards::figures(&view.cards) } else { Vec::new() },
            choices: choices(view),
            can_choose: matches!(model.link, LinkState::Connected { .. }),
            cards: cards::in_order(&view.cards).map(|card| cards::card(card, then, &model.zone)).collect(),
            others: others(&pop.others),
            name,
        }
    }

    /// Whether the card has parts below its head.
    pub fn has_body(&self) -> bool {
        self.mood != Mood::Fading && !(self.cards.is_empty() && self.choices.is_empty())
    }
}

/// Stands in the place of a number that the caller withheld.
pub const WITHHELD: &str = "Number withheld";

/// What a call is doing, and since when, as the person at these phones sees it.
pub(crate) fn status(model: &Model, view: &CallView) -> (String, Option<Timestamp>) {
    let queue = view.queue.as_ref().map(|queue| format!(" · {}", words::plain(queue.as_str())));
    let queue = queue.unwrap_or_default();
    let line = |line: &pinkas_protocol::Line| words::plain(line.as_str());
    if let Some(ended) = view.ended {
        return match (model.here(view), ended.how, view.answered()) {
            (Here::Withdrawn { why, .. }, ..) => (model.withdrawn_words(view.id, why), None),
            (_, EndedHow::Lost, _) => ("Lost sight of this call".to_owned(), None),
            (_, _, Some((_, offer))) => (format!("Ended after {}", talked(offer, ended.at)), None),
            (_, _, None) => ("Nobody answered, the caller hung up".to_owned(), None),
        };
    }
    match model.here(view) {
        Here::Ringing { line: at, since } => (format!("Ringing on {}{queue}", line(at)), Some(since)),
        Here::Answered { line: on, at } => (format!("Talking on {}{queue}", line(on)), Some(at)),
        Here::Withdrawn { why, .. } => (model.withdrawn_words(view.id, why), None),
        Here::Nothing => match view.state() {
            CallState::Ringing(_) => (format!("Ringing for others{queue}"), Some(view.arrived_at)),
            CallState::Talking { line: on, since } => {
                (format!("Talking on {}{queue}", line(on)), Some(since))
            }
            CallState::Waiting | CallState::Ended(_) => (format!("Waiting{queue}"), Some(view.arrived_at)),
        },
    }
}

/// How long an answered offer was talked on until `end`.
pub(crate) fn talked(offer: &pinkas_protocol::Offer, end: Timestamp) -> String {
    match offer.state {
        pinkas_protocol::OfferState::Answered { at } => words::elapsed(at, end),
        _ => words::UNKNOWN.to_owned(),
    }
}

/// Who calls, in one line of a list: customer, else the caller's own name, else the number.
pub(crate) fn caller_name(view: &CallView) -> String {
    let customer = view.who.customer().map(|customer| words::plain(&customer.name.0));
    let claimed = || view.caller.name.as_ref().map(|name| words::plain(&name.0));
    customer.or_else(claimed).unwrap_or_else(|| caller_number(view))
}

/// The number in one line of a list.
pub(crate) fn caller_number(view: &CallView) -> String {
    view.caller.number.as_ref().map_or_else(|| WITHHELD.to_owned(), |number| words::plain(&number.shown()))
}

fn notice(model: &Model, now: Timestamp) -> Option<String> {
    let LinkState::Disconnected { since, .. } = model.link else { return None };
    Some(format!("Not connected for {} · what you see may be old", words::age(since, now)))
}

fn chips(view: &CallView, customer: Option<&Customer>, name: &str) -> Vec<Chip> {
    let mut chips = Vec::new();
    let mut add = |text: String, tone| chips.push(Chip { text, tone });
    if let Some(class) = customer.and_then(|customer| customer.class.as_deref()) {
        add(words::plain(class), Tone::Good);
    }
    if view.caller.withheld && name != WITHHELD {
        add(WITHHELD.to_owned(), Tone::Warn);
    }
    match &view.who {
        Who::Several { customers, .. } if customers.len() > 1 => add(sharers(customers.len()), Tone::Warn),
        Who::Unknown { country: Some(code) } => add(words::country(code), Tone::Dim),
        _ => {}
    }
    if let Some(place) = customer.and_then(|customer| customer.place.as_ref()) {
        add(words::plain(&place.0), Tone::Dim);
    }
    chips
}

fn sharers(count: usize) -> String {
    match count {
        2 => "Two customers share this number".to_owned(),
        more => format!("{more} customers share this number"),
    }
}

fn note(view: &CallView) -> Option<Note> {
    let (text, tone) = match &view.who {
        Who::Asking => ("Looking up…".to_owned(), Tone::Dim),
        Who::Unknown { .. } => ("No customer has this number".to_owned(), Tone::Dim),
        Who::NoNumber => ("Ask for the customer or invoice number".to_owned(), Tone::Dim),
        Who::Failed { failure } => {
            (format!("Customer not looked up: {}", words::plain(&failure.to_string())), Tone::Warn)
        }
        Who::Known { customer } => {
            let manager = customer.account_manager.as_deref()?;
            (format!("Looked after by {}", words::plain(manager)), Tone::Dim)
        }
        Who::Several { .. } => return None,
    };
    Some(Note { text, tone })
}

fn choices(view: &CallView) -> Vec<ChoiceData> {
    let Who::Several { customers, chosen } = &view.who else { return Vec::new() };
    customers
        .iter()
        .map(|customer| {
            let class = customer.class.as_deref().map(words::plain);
            let place = customer.place.as_ref().map(|place| words::plain(&place.0));
            let key = words::plain(customer.key.as_str());
            let details: Vec<String> = [class, place, Some(key)].into_iter().flatten().collect();
            ChoiceData {
                customer: customer.key.clone(),
                name: words::plain(&customer.name.0),
                detail: details.join(" · "),
                chosen: chosen.as_ref() == Some(&customer.key),
            }
        })
        .collect()
}

fn others(others: &[&CallView]) -> Option<String> {
    let first = others.first()?;
    let who = caller_number(first);
    Some(match others.len() {
        1 => format!("1 more call rings: {who}"),
        more => format!("{more} more calls ring, first {who}"),
    })
}
