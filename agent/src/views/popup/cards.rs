//! Figures and source cards as strings. A figure that is not known is `—` and never zero; one that is
//! worked out here says so; trouble is said in words beside the source's name.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pinkas_protocol::card::{Balance, Credit, Purchase};
use pinkas_protocol::{Card, CardState, Facts, Gives, Money};

use crate::theme::Tone;
use crate::words;

/// One of the figures under the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it is.
    pub label: &'static str,
    /// How much.
    pub value: FigureValue,
    /// What has to be known with it.
    pub note: Option<String>,
    /// The colour of value and note.
    pub tone: Tone,
}

/// A figure's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FigureValue {
    /// The source has not answered yet.
    Waiting,
    /// Nothing is known.
    Unknown,
    /// As it is shown.
    Known(String),
}

/// One source's card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardData {
    /// What it is about.
    pub title: String,
    /// Whose word it is, how long it took, of when it is: `sales · 0.1 s · as of 14:02`.
    pub source: String,
    /// What is wrong, in words; shown beside the source.
    pub trouble: Option<String>,
    /// What it says.
    pub body: CardBody,
}

/// What a card says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardBody {
    /// Nothing yet: two grey bars keep the place.
    Bars,
    /// Nothing more than its title line.
    Empty,
    /// Rows.
    Rows(Vec<RowData>),
}

/// One row of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowData {
    /// In front: a day.
    pub lead: Option<String>,
    /// What it is.
    pub text: String,
    /// How many.
    pub count: Option<String>,
    /// How much, aligned at the end of the line.
    pub amount: Option<String>,
    /// The colour of text and amount.
    pub tone: Tone,
}

/// Balance, credit left and terms.
pub(super) fn figures(cards: &[Card]) -> Vec<Figure> {
    let balance = found(cards, Gives::Balance, |facts| match facts {
        Facts::Balance(balance) => Some(balance),
        _ => None,
    });
    let credit = found(cards, Gives::Credit, |facts| match facts {
        Facts::Credit(credit) => Some(credit),
        _ => None,
    });
    vec![balance_figure(&balance), credit_left(&credit, &balance), terms(&credit)]
}

enum Found<'a, T> {
    Waiting,
    Nothing,
    Facts(&'a T),
}

fn found<'a, T>(cards: &'a [Card], gives: Gives, pick: impl Fn(&'a Facts) -> Option<&'a T>) -> Found<'a, T> {
    let mut of_kind = cards.iter().filter(|card| card.gives == gives).peekable();
    let waits = of_kind.clone().any(|card| matches!(card.state, CardState::Waiting | CardState::Late { .. }));
    let facts = of_kind.find_map(|card| match &card.state {
        CardState::Filled { facts, .. } => pick(facts),
        _ => None,
    });
    match facts {
        Some(facts) => Found::Facts(facts),
        None if waits => Found::Waiting,
        None => Found::Nothing,
    }
}

fn balance_figure(balance: &Found<'_, Balance>) -> Figure {
    let label = "Balance";
    let Found::Facts(balance) = balance else { return absent(label, balance) };
    let Some(open) = &balance.balance else { return absent(label, &Found::<()>::Nothing) };
    let amount = &open.amount;
    let overdue = balance.overdue.as_ref().filter(|overdue| overdue.amount > rust_decimal::Decimal::ZERO);
    let (note, tone) = match overdue {
        Some(overdue) => (format!("{} overdue", words::money(overdue)), Tone::Bad),
        None if amount.is_zero() => ("settled".to_owned(), Tone::Text),
        None if amount.is_sign_negative() => ("in the customer's favour".to_owned(), Tone::Text),
        None => ("open".to_owned(), Tone::Text),
    };
    Figure { label, value: FigureValue::Known(words::money(open)), note: Some(note), tone }
}

fn credit_left(credit: &Found<'_, Credit>, balance: &Found<'_, Balance>) -> Figure {
    let label = "Credit left";
    let Found::Facts(credit) = credit else { return absent(label, credit) };
    let limit = credit.limit.as_ref();
    let of_limit = limit.map(|limit| format!("of {}", words::money(limit)));
    if let Some(available) = &credit.available {
        return known(label, available, of_limit);
    }
    match (limit, balance) {
        (Some(limit), Found::Facts(Balance { balance: Some(open), .. }))
            if limit.currency == open.currency =>
        {
            let left = limit.amount.checked_sub(open.amount);
            match left.map(|amount| Money { amount, currency: limit.currency.clone() }) {
                Some(left) => known(label, &left, Some("limit − balance".to_owned())),
                None => absent(label, &Found::<()>::Nothing),
            }
        }
        (Some(_), Found::Waiting) => absent(label, &Found::<()>::Waiting),
        _ => Figure { note: of_limit, ..absent(label, &Found::<()>::Nothing) },
    }
}

fn terms(credit: &Found<'_, Credit>) -> Figure {
    let label = "Terms";
    let Found::Facts(credit) = credit else { return absent(label, credit) };
    let value = credit.days.map_or(FigureValue::Unknown, |days| FigureValue::Known(words::days(days)));
    match credit.hold {
        Some(true) => Figure { label, value, note: Some("credit is stopped".to_owned()), tone: Tone::Bad },
        _ => Figure { label, value, note: None, tone: Tone::Text },
    }
}

fn known(label: &'static str, money: &Money, note: Option<String>) -> Figure {
    Figure { label, value: FigureValue::Known(words::money(money)), note, tone: Tone::Text }
}

fn absent<T>(label: &'static str, found: &Found<'_, T>) -> Figure {
    let value = if matches!(found, Found::Waiting) { FigureValue::Waiting } else { FigureValue::Unknown };
    Figure { label, value, note: None, tone: Tone::Text }
}

/// Purchases last, whatever the order of the configuration: when a long list lands, no other card moves.
pub(super) fn in_order(cards: &[Card]) -> impl Iterator<Item = &Card> {
    let mut cards: Vec<&Card> = cards.iter().collect();
    cards.sort_by_key(|card| card.gives);
    cards.into_iter()
}

/// One source's card; `now` is the hub's clock.
pub(super) fn card(card: &Card, now: Timestamp, zone: &TimeZone) -> CardData {
    let name = words::plain(card.source.as_str());
    let (source, body) = match &card.state {
        CardState::Waiting => (format!("{name} · waiting"), CardBody::Bars),
        CardState::Late { .. } => (name, CardBody::Bars),
        CardState::Filled { facts, as_of, took_ms, late, old } => {
            let took = if *late { String::new() } else { format!(" · {}", words::took(*took_ms)) };
            let as_of = words::moment(*as_of, now, zone);
            let took = if old.is_some() { String::new() } else { took };
            (format!("{name}{took} · as of {as_of}"), rows(facts, now, zone))
        }
        CardState::Nothing { took_ms } => {
            (format!("{name} · {} · no record", words::took(*took_ms)), CardBody::Empty)
        }
        CardState::Failed { .. } => (name, CardBody::Empty),
    };
    CardData { title: words::plain(card.title()), source, trouble: words::trouble(card), body }
}

fn rows(facts: &Facts, now: Timestamp, zone: &TimeZone) -> CardBody {
    let today = words::today(now, zone);
    let rows: Vec<RowData> = match facts {
        Facts::Balance(balance) => {
            let due = balance.oldest_due.map(|date| format!(" since {}", words::day(date, today)));
            let overdue = balance.overdue.as_ref().filter(|overdue| !overdue.amount.is_zero());
            let overdue = overdue.map(|money| {
                row(format!("Overdue{}", due.unwrap_or_default()), Some(words::money(money)), Tone::Bad)
            });
            let nothing = balance.overdue.as_ref().filter(|overdue| overdue.amount.is_zero());
            let nothing = nothing.map(|_| row("Nothing overdue".to_owned(), None, Tone::Dim));
            let open = balance.balance.as_ref();
            let open = open.map(|open| row("Open".to_owned(), Some(words::money(open)), Tone::Text));
            [open, overdue, nothing].into_iter().flatten().collect()
        }
        Facts::Credit(credit) => credit_rows(credit),
        Facts::Purchases { purchases } if purchases.is_empty() => {
            vec![row("No purchases on record".to_owned(), None, Tone::Dim)]
        }
        Facts::Purchases { purchases } => purchases
            .iter()
            .take(pinkas_protocol::card::MOST_PURCHASES)
            .map(|purchase| purchase_row(purchase, today))
            .collect(),
        Facts::Notes { notes } => notes
            .iter()
            .take(pinkas_protocol::card::MOST_NOTES)
            .map(|note| RowData {
                lead: note.date.map(|date| words::day(date, today)),
                // Who did not sign is no unknown figure.
                ..row(
                    words::plain(&note.text.0),
                    Some(note.by.as_deref().map_or_else(String::new, words::plain)),
                    Tone::Text,
                )
            })
            .collect(),
        Facts::Custom { rows } => rows
            .iter()
            .take(pinkas_protocol::card::MOST_ROWS)
            .map(|custom| {
                let value = custom.value.as_ref().map_or(words::UNKNOWN.to_owned(), |v| words::plain(&v.0));
                row(words::plain(&custom.label), Some(value), Tone::Text)
            })
            .collect(),
    };
    if rows.is_empty() { CardBody::Empty } else { CardBody::Rows(rows) }
}

fn credit_rows(credit: &Credit) -> Vec<RowData> {
    let limit = credit.limit.as_ref().map(|m| row("Limit".to_owned(), Some(words::money(m)), Tone::Text));
    let hold = credit.hold.filter(|hold| *hold);
    let hold = hold.map(|_| row("Sales on credit are stopped".to_owned(), None, Tone::Bad));
    let term = credit.days.map(|days| row("Payment term".to_owned(), Some(words::days(days)), Tone::Text));
    let note = credit.note.as_deref().map(|note| row(words::plain(note), None, Tone::Dim));
    let offer = credit.offer.as_deref();
    let offer = offer.map(|offer| row(format!("May be offered: {}", words::plain(offer)), None, Tone::Text));
    [limit, term, hold, offer, note].into_iter().flatten().collect()
}

fn purchase_row(purchase: &Purchase, today: jiff::civil::Date) -> RowData {
    RowData {
        lead: Some(purchase.date.map_or_else(|| words::UNKNOWN.to_owned(), |date| words::day(date, today))),
        text: words::plain(&purchase.product),
        count: purchase.quantity.map(words::quantity),
        amount: purchase.amount.as_ref().map(words::money),
        tone: Tone::Text,
    }
}

fn row(text: String, amount: Option<String>, tone: Tone) -> RowData {
    RowData { lead: None, text, count: None, amount, tone }
}
