//! The card of one call, as strings in the order of reading: what is happening, who, how we stand,
//! what explains it. Everything a terminal or a window needs to show the same card; nothing is drawn here.

mod cards;
mod draw;
mod find;
mod foot;
mod grip;
mod who;
mod written;

use jiff::Timestamp;
use pinkas_protocol::board::{CallState, Ended};
use pinkas_protocol::{CallId, CallView, CustomerKey, EndedHow, Line, Number, Offer, OfferState};

pub use written::{DayData, EntryData, OutcomeData, WritingData};

use cards::Reader;
pub use cards::{CardBody, CardData, Figure, FigureValue, RowData};
pub use draw::{by_key, height, ui};
pub use find::{FindData, Found};
pub use foot::note_id;

use crate::links::Target;
use crate::model::{Here, LinkState, Model, Pop};
use crate::place::Stand;
use crate::theme::Tone;
use crate::views::own_state;
use crate::words::{self, Words};

/// One call's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopupData {
    /// Which call.
    pub call: CallId,
    /// Whether the call goes on, is over, or only its reason still shows.
    pub mood: Mood,
    /// It rings here.
    pub rings: bool,
    /// What is happening: `Ringing on 101 · Support`.
    pub status: String,
    /// For how long.
    pub clock: Option<String>,
    /// That the hub is not heard, and for how long.
    pub notice: Option<String>,
    /// That it rings although its person has said that they take no calls.
    pub not_ready: Option<String>,
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
    /// Where somebody else can be looked for.
    pub find: Option<FindData>,
    /// Where a customer is made, when nobody was found.
    pub new_customer: Option<Target>,
    /// What else can be opened, and the words on its buttons.
    pub links: Vec<(String, Target)>,
    /// A choice can be sent now.
    pub can_choose: bool,
    /// One for each source.
    pub cards: Vec<CardData>,
    /// Further calls that ring, oldest first.
    pub banners: Vec<BannerData>,
    /// How many ring besides those: `3 more ring`.
    pub more: Option<String>,
    /// What was written on this call so far, oldest first.
    pub entries: Vec<EntryData>,
    /// What can be written on it now.
    pub writing: Option<WritingData>,
    /// The customer is shown more of once the person says how the caller was identified.
    pub can_identify: bool,
    /// How it came to stand where it stands, as the window says.
    pub stand: Stand,
    /// The person's language, for what stands on every card.
    pub words: Words,
}

/// Another call that rings, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BannerData {
    /// Which.
    pub call: CallId,
    /// Who, and from which number.
    pub text: String,
    /// For how long.
    pub clock: String,
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Rings or talks.
    Live,
    /// The caller is on hold here.
    Held,
    /// Over; there is time for what is left to do.
    WrapUp,
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
    /// Which; `None`: none of them.
    pub customer: Option<CustomerKey>,
    /// The key that chooses it.
    pub key: Option<u8>,
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
        let (view, words) = (pop.view, &model.words);
        let then = model.hub_time(now);
        let reader = Reader { words, now: then, zone: &model.zone };
        let (mut status, since) = status(model, view);
        let mut clock = since.map(|since| words::elapsed(since, then));
        let wraps_up = model.wraps_up(view.id, now);
        if let Some(until) = wraps_up {
            status = words.dots([words.say("wrap-up"), status]);
            clock = Some(words::elapsed(now, until));
        }
        let customer = view.who.customer();
        let number = view.facts.caller.number.as_ref().map(|number| words::plain(&number.shown()));
        let claimed = view.facts.caller.name.as_ref().map(|name| words::plain(&name.0));
        let name = customer
            .map(|customer| words::plain(&customer.name.0))
            .or_else(|| claimed.clone())
            .or_else(|| number.clone())
            .unwrap_or_else(|| words.say("number-withheld"));
        let known = customer.is_some();
        let find = (!pop.fading).then(|| find::data(model, view)).flatten();
        let mut choices = who::choices(words, view);
        // The keys belong to those found.
        if find.as_ref().is_some_and(|find| find.open.is_some()) {
            choices.iter_mut().for_each(|choice| choice.key = None);
        }
        PopupData {
            call: view.id,
            rings: matches!(model.here(view), Here::Ringing { .. }),
            mood: match (pop.fading, view.ended) {
                (true, _) => Mood::Fading,
                _ if wraps_up.is_some() => Mood::WrapUp,
                (false, Some(_)) => Mood::Over,
                (false, None) if matches!(model.here(view), Here::Answered { held: Some(_), .. }) => {
                    Mood::Held
                }
                (false, None) => Mood::Live,
            },
            status,
            clock,
            notice: notice(model, now),
            not_ready: Some(())
                .filter(|()| matches!(model.here(view), Here::Ringing { .. }))
                .and_then(|()| own_state::on_card(model)),
            claims: claimed.filter(|claimed| known && *claimed != name && Some(claimed) != number.as_ref()),
            number: number.filter(|number| *number != name),
            chips: who::chips(words, view),
            routes: routes(model, view),
            tags: tags(view),
            note: who::note(words, view),
            figures: if known { cards::figures(words, &view.cards) } else { Vec::new() },
            choices,
            find,
            new_customer: Some(view).filter(|_| !pop.fading).and_then(|view| model.links.new_customer(view)),
            links: if pop.fading { Vec::new() } else { model.links.offered(view) },
            can_choose: matches!(model.link, LinkState::Connected { .. }),
            cards: reader.cards(view),
            banners: pop.others.iter().take(MOST_BANNERS).map(|other| banner(model, other, then)).collect(),
            more: (pop.others.len() > MOST_BANNERS)
                .then(|| words.tell("more-ring", &[("count", (pop.others.len() - MOST_BANNERS).into())])),
            entries: written::entries(model, view, &reader),
            writing: (!pop.fading).then(|| written::writing(model, view, &reader)).flatten(),
            can_identify: who::can_identify(model, view),
            stand: Stand::default(),
            words: words.clone(),
            name,
        }
    }

    /// Whether the card has parts below its head.
    pub fn has_body(&self) -> bool {
        let empty = self.cards.is_empty() && self.choices.is_empty() && self.entries.is_empty();
        let empty = empty
            && self.writing.is_none()
            && !self.has_tag_table()
            && !self.can_identify
            && self.find.is_none()
            && self.new_customer.is_none()
            && self.links.is_empty();
        self.mood != Mood::Fading && !empty
    }

    /// Whether there are more tags than one line holds.
    pub(super) fn has_tag_table(&self) -> bool {
        self.tags.len() > TAGS_IN_A_LINE
    }
}

/// More tags than this get a part of their own.
const TAGS_IN_A_LINE: usize = 3;

/// What a call is doing, and since when, as the person at these phones sees it.
pub(crate) fn status(model: &Model, view: &CallView) -> (String, Option<Timestamp>) {
    let words = &model.words;
    if let Some(ended) = view.ended {
        return (ended_words(model, view, ended), None);
    }
    let queued = |said: String, place: Option<String>| {
        words.dots([Some(said), queue(view), place].into_iter().flatten())
    };
    let on =
        |id, line: &Line| queued(words.tell(id, &[("line", (&words::plain(line.as_str())).into())]), None);
    match model.here(view) {
        Here::Ringing { line, since } => (on("ringing-on", line), Some(since)),
        Here::Answered { line, held: Some(since), .. } => (on("on-hold-on", line), Some(since)),
        Here::Answered { line, at, held: None } => (on("talking-on", line), Some(at)),
        Here::Left { moved_to, .. } => (model.left_words(view, moved_to), None),
        Here::Withdrawn { why, .. } => (model.withdrawn_words(view, why), None),
        Here::Nothing => match view.state() {
            CallState::Ringing(_) => (queued(words.say("ringing-for-others"), None), Some(view.arrived_at)),
            CallState::Talking { line, since } => match held_at(view, line) {
                Some(held) => (on("on-hold-on", line), Some(held)),
                None => (on("talking-on", line), Some(since)),
            },
            CallState::Waiting | CallState::Ended(_) => {
                let place = view
                    .waits
                    .as_ref()
                    .map(|waits| words.tell("place", &[("position", waits.position.into())]));
                let since = view.waits.as_ref().map_or(view.arrived_at, |waits| waits.since);
                (queued(words.say("waiting"), place), Some(since))
            }
        },
    }
}

fn ended_words(model: &Model, view: &CallView, ended: Ended) -> String {
    let words = &model.words;
    match (model.here(view), ended.how, view.answered()) {
        (_, EndedHow::Joined { .. }, _) => words.say("joined"),
        (Here::Withdrawn { why, .. }, ..) => model.withdrawn_words(view, why),
        (Here::Left { moved_to, .. }, ..) => model.left_words(view, moved_to),
        (_, EndedHow::Lost, _) => words.say("lost-sight"),
        (_, _, Some((_, offer))) => words.tell("ended-after", &[("time", (&talked(offer, ended.at)).into())]),
        (_, EndedHow::Declined, None) => words.say("declined-sent-away"),
        (_, EndedHow::Unanswered, None) => words.say("nobody-sent-away"),
        (_, EndedHow::Completed | EndedHow::Abandoned, None) => words.say("nobody-hung-up"),
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
pub(crate) fn caller_name(words: &Words, view: &CallView) -> String {
    let customer = view.who.customer().map(|customer| words::plain(&customer.name.0));
    let claimed = || view.facts.caller.name.as_ref().map(|name| words::plain(&name.0));
    customer.or_else(claimed).unwrap_or_else(|| caller_number(words, view))
}

/// The number in one line of a list.
pub(crate) fn caller_number(words: &Words, view: &CallView) -> String {
    let number = view.facts.caller.number.as_ref();
    number.map_or_else(|| words.say("number-withheld"), |number| words::plain(&number.shown()))
}

fn notice(model: &Model, now: Timestamp) -> Option<String> {
    let LinkState::Disconnected { since, .. } = model.link else { return None };
    let age = model.words.age(since, now);
    Some(model.words.tell("not-connected", &[("age", (&age).into())]))
}

fn routes(model: &Model, view: &CallView) -> Vec<String> {
    let words = &model.words;
    let by = view.offers.iter().filter(|(line, _)| model.lines().contains(line));
    let by = by.filter(|(_, offer)| !matches!(offer.state, OfferState::Withdrawn { .. }));
    let by = by.filter_map(|(_, offer)| offer.passed_on_by.as_ref()).next();
    let by = by.map(|by| words.tell("passed-on-by", &[("name", (&model.person_at(view, by)).into())]));
    let number = |id, number: &Number| words.tell(id, &[("number", (&words::plain(&number.shown())).into())]);
    let came = match (model.dialled(view), &view.facts.diverted_by) {
        (Some(dialled), Some(by)) => {
            Some(words.dots([number("dialled", dialled), number("forwarded-by-too", by)]))
        }
        (None, Some(by)) => Some(number("forwarded-by", by)),
        (dialled, None) => dialled.map(|dialled| number("dialled", dialled)),
    };
    [by, came].into_iter().flatten().collect()
}

fn tags(view: &CallView) -> Vec<TagData> {
    let tags = view.facts.tags.iter();
    tags.map(|(name, value)| TagData { name: words::plain(name.as_str()), value: words::plain(&value.0) })
        .collect()
}

/// The most calls that wait below the card by name.
const MOST_BANNERS: usize = 5;

fn banner(model: &Model, view: &CallView, now: Timestamp) -> BannerData {
    let words = &model.words;
    let (name, number) = (caller_name(words, view), caller_number(words, view));
    let since = match model.here(view) {
        Here::Ringing { since, .. } => since,
        _ => view.arrived_at,
    };
    // A caller without a name is shown by number: once is enough.
    let number = if number == name { String::new() } else { number };
    BannerData { call: view.id, text: words.dots([name, number]), clock: words::elapsed(since, now) }
}
