//! The card of one call, as strings in the order of reading: what is happening, who, how we stand,
//! what explains it. Everything a terminal or a window needs to show the same card; nothing is drawn here.

mod cards;
mod draw;

use jiff::Timestamp;
use pinkas_protocol::board::{CallState, Ended};
use pinkas_protocol::{
    CallId, CallView, Caller, Customer, CustomerKey, EndedHow, Line, Offer, OfferState, Verdict, Who,
};

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
    /// Whether the number is the caller's, class, country, doubt.
    pub chips: Vec<Chip>,
    /// How the call came here: who passed it on, which number was dialled, who forwarded it.
    pub routes: Vec<String>,
    /// What the phone system knows besides, such as a customer number keyed in.
    pub tags: Vec<TagData>,
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
    /// The caller is on hold here.
    Held,
    /// Over; the card stays.
    Over,
    /// Stopped ringing here; the card goes by itself.
    Fading,
}

/// One thing the phone system knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagData {
    /// What it is.
    pub name: String,
    /// Its value.
    pub value: String,
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
        let number = view.facts.caller.number.as_ref().map(|number| words::plain(&number.shown()));
        let claimed = view.facts.caller.name.as_ref().map(|name| words::plain(&name.0));
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
                (false, None) if matches!(model.here(view), Here::Answered { held: Some(_), .. }) => {
                    Mood::Held
                }
                (false, None) => Mood::Live,
            },
            status,
            clock: since.map(|since| words::elapsed(since, then)),
            notice: notice(model, now),
            claims: claimed.filter(|claimed| known && *claimed != name && Some(claimed) != number.as_ref()),
            number: number.filter(|number| *number != name),
            chips: chips(view, customer, &name),
            routes: routes(model, view),
            tags: tags(view),
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
        let empty = self.cards.is_empty() && self.choices.is_empty() && !self.has_tag_table();
        self.mood != Mood::Fading && !empty
    }

    /// Whether there are more tags than one line holds.
    pub(super) fn has_tag_table(&self) -> bool {
        self.tags.len() > TAGS_IN_A_LINE
    }
}

/// More tags than this get a part of their own.
const TAGS_IN_A_LINE: usize = 3;

/// Stands in the place of a number that the caller withheld.
pub const WITHHELD: &str = "Number withheld";

/// What a call is doing, and since when, as the person at these phones sees it.
pub(crate) fn status(model: &Model, view: &CallView) -> (String, Option<Timestamp>) {
    let queue = queue(view).map(|queue| format!(" · {queue}")).unwrap_or_default();
    let line = |line: &Line| words::plain(line.as_str());
    if let Some(ended) = view.ended {
        return (ended_words(model, view, ended), None);
    }
    match model.here(view) {
        Here::Ringing { line: at, since } => (format!("Ringing on {}{queue}", line(at)), Some(since)),
        Here::Answered { line: on, held: Some(since), .. } => {
            (format!("On hold on {}{queue}", line(on)), Some(since))
        }
        Here::Answered { line: on, at, held: None } => (format!("Talking on {}{queue}", line(on)), Some(at)),
        Here::Left { moved_to, .. } => (model.left_words(view, moved_to), None),
        Here::Withdrawn { why, .. } => (model.withdrawn_words(view, why), None),
        Here::Nothing => match view.state() {
            CallState::Ringing(_) => (format!("Ringing for others{queue}"), Some(view.arrived_at)),
            CallState::Talking { line: on, since } => match held_at(view, on) {
                Some(held) => (format!("On hold on {}{queue}", line(on)), Some(held)),
                None => (format!("Talking on {}{queue}", line(on)), Some(since)),
            },
            CallState::Waiting | CallState::Ended(_) => match &view.waits {
                Some(waits) => (format!("Waiting{queue} · place {}", waits.position), Some(waits.since)),
                None => (format!("Waiting{queue}"), Some(view.arrived_at)),
            },
        },
    }
}

fn ended_words(model: &Model, view: &CallView, ended: Ended) -> String {
    match (model.here(view), ended.how, view.answered()) {
        (_, EndedHow::Joined { .. }, _) => "Joined with another call".to_owned(),
        (Here::Withdrawn { why, .. }, ..) => model.withdrawn_words(view, why),
        (Here::Left { moved_to, .. }, ..) => model.left_words(view, moved_to),
        (_, EndedHow::Lost, _) => "Lost sight of this call".to_owned(),
        (_, _, Some((_, offer))) => format!("Ended after {}", talked(offer, ended.at)),
        (_, EndedHow::Declined, None) => "Declined, the caller was sent away".to_owned(),
        (_, EndedHow::Unanswered, None) => "Nobody answered, the caller was sent away".to_owned(),
        (_, EndedHow::Completed | EndedHow::Abandoned, None) => {
            "Nobody answered, the caller hung up".to_owned()
        }
    }
}

/// The queue called, else the one waited in.
pub(crate) fn queue(view: &CallView) -> Option<String> {
    let waits = || view.waits.as_ref().map(|waits| &waits.queue);
    view.facts.queue.as_ref().or_else(waits).map(|queue| words::plain(queue.as_str()))
}

/// Since when the caller is on hold at a phone.
pub(crate) fn held_at(view: &CallView, line: &Line) -> Option<Timestamp> {
    match view.offers.get(line)?.state {
        OfferState::Answered { held, .. } => held,
        _ => None,
    }
}

/// How long an answered offer was talked on until `end`.
pub(crate) fn talked(offer: &Offer, end: Timestamp) -> String {
    match offer.state {
        OfferState::Answered { at, .. } => words::elapsed(at, end),
        OfferState::Left { at, left_at, .. } => words::elapsed(at, left_at),
        OfferState::Ringing | OfferState::Withdrawn { .. } => words::UNKNOWN.to_owned(),
    }
}

/// Who calls, in one line of a list: customer, else the caller's own name, else the number.
pub(crate) fn caller_name(view: &CallView) -> String {
    let customer = view.who.customer().map(|customer| words::plain(&customer.name.0));
    let claimed = || view.facts.caller.name.as_ref().map(|name| words::plain(&name.0));
    customer.or_else(claimed).unwrap_or_else(|| caller_number(view))
}

/// The number in one line of a list.
pub(crate) fn caller_number(view: &CallView) -> String {
    let number = view.facts.caller.number.as_ref();
    number.map_or_else(|| WITHHELD.to_owned(), |number| words::plain(&number.shown()))
}

fn notice(model: &Model, now: Timestamp) -> Option<String> {
    let LinkState::Disconnected { since, .. } = model.link else { return None };
    Some(format!("Not connected for {} · what you see may be old", words::age(since, now)))
}

fn chips(view: &CallView, customer: Option<&Customer>, name: &str) -> Vec<Chip> {
    let mut chips = Vec::new();
    let mut add = |text: String, tone| chips.push(Chip { text, tone });
    if view.trial {
        add("trial: nobody calls".to_owned(), Tone::Warn);
    }
    match trust(&view.facts.caller) {
        Some(Verdict::Passed) => add("number verified".to_owned(), Tone::Dim),
        Some(Verdict::Failed) => add("number may be forged".to_owned(), Tone::Warn),
        Some(Verdict::Unchecked) | None => {}
    }
    if let Some(guess) = customer.and_then(|customer| words::guess(customer.matched)) {
        add(guess, Tone::Warn);
    }
    if let Some(class) = customer.and_then(|customer| customer.class.as_deref()) {
        add(words::plain(class), Tone::Good);
    }
    if view.facts.caller.withheld && name != WITHHELD {
        add(WITHHELD.to_owned(), Tone::Warn);
    }
    match &view.who {
        Who::Several { customers, .. } if customers.len() > 1 => add(sharers(customers), Tone::Warn),
        Who::Unknown { country: Some(code), .. } | Who::NoneOf { country: Some(code), .. } => {
            add(words::country(code), Tone::Dim)
        }
        _ => {}
    }
    if let Some(place) = customer.and_then(|customer| customer.place.as_ref()) {
        add(words::plain(&place.0), Tone::Dim);
    }
    chips
}

/// What may be said of the number: a good signature is worth a word only where it vouches for the number.
fn trust(caller: &Caller) -> Option<Verdict> {
    let said = caller.stir.filter(|_| caller.number.is_some())?;
    (said.verdict != Verdict::Passed || caller.is_verified()).then_some(said.verdict)
}

fn routes(model: &Model, view: &CallView) -> Vec<String> {
    let by = view.offers.iter().filter(|(line, _)| model.lines().contains(line));
    let by = by.filter(|(_, offer)| !matches!(offer.state, OfferState::Withdrawn { .. }));
    let by = by.filter_map(|(_, offer)| offer.passed_on_by.as_ref()).next();
    let by = by.map(|by| format!("Passed on by {}", model.person_at(view, by)));
    let dialled = model.dialled(view).map(|number| format!("Dialled {}", words::plain(&number.shown())));
    let diverted = view.facts.diverted_by.as_ref().map(|number| words::plain(&number.shown()));
    let came = match (dialled, diverted) {
        (Some(dialled), Some(by)) => Some(format!("{dialled} · forwarded by {by}")),
        (None, Some(by)) => Some(format!("Forwarded by {by}")),
        (dialled, None) => dialled,
    };
    [by, came].into_iter().flatten().collect()
}

fn tags(view: &CallView) -> Vec<TagData> {
    let tags = view.facts.tags.iter();
    tags.map(|(name, value)| TagData { name: words::plain(name.as_str()), value: words::plain(&value.0) })
        .collect()
}

fn sharers(customers: &[Customer]) -> String {
    // Of a guess the number is not known to be theirs.
    let certain = customers.iter().all(|customer| !customer.matched.is_guess());
    let what = if certain { "share this number" } else { "may be calling" };
    match customers.len() {
        2 => format!("Two customers {what}"),
        more => format!("{more} customers {what}"),
    }
}

fn note(view: &CallView) -> Option<Note> {
    let (text, tone) = match &view.who {
        Who::Asking => ("Looking up…".to_owned(), Tone::Dim),
        Who::Unknown { .. } => ("No customer has this number".to_owned(), Tone::Dim),
        Who::NoneOf { .. } => ("None of the customers on this number".to_owned(), Tone::Dim),
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
    let (customers, chosen) = match &view.who {
        Who::Several { customers, chosen } => (customers, chosen.as_ref()),
        // It may have been a mistake.
        Who::NoneOf { customers, .. } => (customers, None),
        _ => return Vec::new(),
    };
    customers
        .iter()
        .map(|customer| {
            let class = customer.class.as_deref().map(words::plain);
            let place = customer.place.as_ref().map(|place| words::plain(&place.0));
            let key = words::plain(customer.key.as_str());
            let guess = words::guess(customer.matched);
            let before = customer.chosen_before.then(|| "chosen before".to_owned());
            let details: Vec<String> =
                [guess, before, class, place, Some(key)].into_iter().flatten().collect();
            ChoiceData {
                customer: customer.key.clone(),
                name: words::plain(&customer.name.0),
                detail: details.join(" · "),
                chosen: chosen == Some(&customer.key),
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
