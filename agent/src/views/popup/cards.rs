//! Figures and source cards as strings. A figure that is not known is `—` and never zero; one that is
//! worked out here says so; trouble is said in words beside the source's name.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pinkas_protocol::card::{Balance, Credit, Purchase};
use pinkas_protocol::disagreement::{Disagreement, Fact, Said, disagreements};
use pinkas_protocol::{CallView, Card, CardState, Facts, Gives, Money, Private, Who};

use crate::dial;

use crate::theme::Tone;
use crate::words::{self, Words};

/// One of the figures under the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it is.
    pub label: String,
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
    /// Whose word it is.
    pub by: String,
    /// The same, how long it took, of when it is: `sales · 0.1 s · as of 14:02`.
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
    /// A page where more can be read.
    pub page: Option<Private<String>>,
}

/// Balance, credit left and terms.
pub(super) fn figures(words: &Words, cards: &[Card]) -> Vec<Figure> {
    let balance = found(cards, Gives::Balance, |facts| match facts {
        Facts::Balance(balance) => Some(balance),
        _ => None,
    });
    let credit = found(cards, Gives::Credit, |facts| match facts {
        Facts::Credit(credit) => Some(credit),
        _ => None,
    });
    let mut figures =
        vec![balance_figure(words, &balance), credit_left(words, &credit, &balance), terms(words, &credit)];
    // What is disputed is not shown as if it were certain; the cards say who says what.
    let of_figures: [&[Fact]; 3] =
        [&[Fact::Balance, Fact::Overdue], &[Fact::Limit, Fact::Available], &[Fact::Days, Fact::Hold]];
    let disputed = disagreements(cards);
    for (figure, facts) in figures.iter_mut().zip(of_figures) {
        if disputed.iter().any(|disagreement| facts.contains(&disagreement.fact)) {
            figure.note = Some(words.say("sources-disagree"));
        }
    }
    figures
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

fn balance_figure(words: &Words, balance: &Found<'_, Balance>) -> Figure {
    let label = words.say("balance");
    let Found::Facts(balance) = balance else { return absent(label, balance) };
    let Some(open) = &balance.balance else { return absent(label, &Found::<()>::Nothing) };
    let amount = &open.amount;
    let overdue = balance.overdue.as_ref().filter(|overdue| overdue.amount > rust_decimal::Decimal::ZERO);
    let (note, tone) = match overdue {
        Some(overdue) => {
            (words.tell("overdue-amount", &[("amount", (&words.money(overdue)).into())]), Tone::Bad)
        }
        None if amount.is_zero() => (words.say("settled"), Tone::Text),
        None if amount.is_sign_negative() => (words.say("in-favour"), Tone::Text),
        None => (words.say("open"), Tone::Text),
    };
    Figure { label, value: FigureValue::Known(words.money(open)), note: Some(note), tone }
}

fn credit_left(words: &Words, credit: &Found<'_, Credit>, balance: &Found<'_, Balance>) -> Figure {
    let label = words.say("credit-left");
    let Found::Facts(credit) = credit else { return absent(label, credit) };
    let limit = credit.limit.as_ref();
    let of_limit = limit.map(|limit| words.tell("of-limit", &[("amount", (&words.money(limit)).into())]));
    if let Some(available) = &credit.available {
        return known(words, label, available, of_limit);
    }
    match (limit, balance) {
        (Some(limit), Found::Facts(Balance { balance: Some(open), .. }))
            if limit.currency == open.currency =>
        {
            let left = limit.amount.checked_sub(open.amount);
            match left.map(|amount| Money { amount, currency: limit.currency.clone() }) {
                Some(left) => known(words, label, &left, Some(words.say("limit-minus-balance"))),
                None => absent(label, &Found::<()>::Nothing),
            }
        }
        (Some(_), Found::Waiting) => absent(label, &Found::<()>::Waiting),
        _ => Figure { note: of_limit, ..absent(label, &Found::<()>::Nothing) },
    }
}

fn terms(words: &Words, credit: &Found<'_, Credit>) -> Figure {
    let label = words.say("terms");
    let Found::Facts(credit) = credit else { return absent(label, credit) };
    let value = credit.days.map_or(FigureValue::Unknown, |days| FigureValue::Known(words.days(days)));
    let (note, tone) = match credit.hold {
        Some(true) => (Some(words.say("credit-stopped")), Tone::Bad),
        _ => (None, Tone::Text),
    };
    Figure { label, value, note, tone }
}

fn known(words: &Words, label: String, money: &Money, note: Option<String>) -> Figure {
    Figure { label, value: FigureValue::Known(words.money(money)), note, tone: Tone::Text }
}

fn absent<T>(label: String, found: &Found<'_, T>) -> Figure {
    let value = if matches!(found, Found::Waiting) { FigureValue::Waiting } else { FigureValue::Unknown };
    Figure { label, value, note: None, tone: Tone::Text }
}

/// Purchases last, whatever the order of the configuration: when a long list lands, no other card moves.
fn in_order(cards: &[Card]) -> impl Iterator<Item = &Card> {
    let mut cards: Vec<&Card> = cards.iter().collect();
    cards.sort_by_key(|card| card.gives);
    cards.into_iter()
}

/// When a card is looked at, where, and in which language.
pub(super) struct Reader<'a> {
    /// The language.
    pub words: &'a Words,
    /// The hub's clock.
    pub now: Timestamp,
    /// The zone in which times of day are shown.
    pub zone: &'a TimeZone,
}

impl Reader<'_> {
    /// One card for each source, and one for earlier calls of a caller who is no customer.
    pub(super) fn cards(&self, view: &CallView) -> Vec<CardData> {
        let disagreements = disagreements(&view.cards);
        let cards = in_order(&view.cards).map(|card| self.card(card, &disagreements));
        cards.chain(self.earlier(&view.who)).collect()
    }

    /// Earlier calls from the same number.
    fn earlier(&self, who: &Who) -> Option<CardData> {
        let (Who::Unknown { earlier, .. } | Who::NoneOf { earlier, .. }) = who else { return None };
        let rows: Vec<RowData> = earlier
            .iter()
            .map(|call| {
                let text = match call.answered_by.as_deref().map(words::plain) {
                    Some(name) => self.words.tell("answered-by", &[("name", (&name).into())]),
                    None => self.words.say("nobody-answered"),
                };
                let lead = Some(self.words.moment(call.at, self.now, self.zone));
                RowData { lead, ..row(text, None, Tone::Text) }
            })
            .collect();
        let title = self.words.say("earlier-calls");
        let (by, source) = (String::new(), String::new());
        let card = CardData { title, by, source, trouble: None, body: CardBody::Rows(rows) };
        (!earlier.is_empty()).then_some(card)
    }

    /// What other sources say that contradicts this card.
    fn contradicted(&self, card: &Card, disagreements: &[Disagreement]) -> Vec<String> {
        let mut said = Vec::new();
        for disagreement in disagreements {
            let own = disagreement.said.iter().find(|(source, _)| *source == card.source);
            let Some((_, own)) = own.filter(|_| disagreement.fact.gives() == card.gives) else { continue };
            let others = disagreement.said.iter().filter(|(_, other)| other != own);
            for (source, other) in others.take(MOST_OTHERS) {
                let (who, what) = (words::plain(source.as_str()), self.words.say(fact_id(disagreement.fact)));
                let value = self.said(other);
                let args = [("who", (&who).into()), ("what", (&what).into()), ("value", (&value).into())];
                said.push(self.words.tell("contradicts", &args));
            }
        }
        said
    }

    fn said(&self, said: &Said) -> String {
        match said {
            Said::Money(money) => self.words.money(money),
            Said::Date(date) => self.day(*date),
            Said::Days(days) => self.words.days(*days),
            Said::Hold(true) => self.words.say("yes"),
            Said::Hold(false) => self.words.say("no"),
        }
    }

    /// One source's card.
    fn card(&self, card: &Card, disagreements: &[Disagreement]) -> CardData {
        let words = self.words;
        let name = words::plain(card.source.as_str());
        let by = name.clone();
        let (source, body) = match &card.state {
            CardState::Waiting => (words.dots([name, words.say("source-waiting")]), CardBody::Bars),
            CardState::Late { .. } => (name, CardBody::Bars),
            CardState::Filled { facts, as_of, took_ms, late, old } => {
                let took = if *late || old.is_some() { String::new() } else { words.took(*took_ms) };
                let time = words.moment(*as_of, self.now, self.zone);
                let as_of = words.tell("as-of", &[("time", (&time).into())]);
                (words.dots([name, took, as_of]), self.rows(facts))
            }
            CardState::Nothing { took_ms } => {
                (words.dots([name, words.took(*took_ms), words.say("no-record")]), CardBody::Empty)
            }
            CardState::Failed { .. } => (name, CardBody::Empty),
        };
        let trouble: Vec<String> =
            words.trouble(card).into_iter().chain(self.contradicted(card, disagreements)).collect();
        let trouble = (!trouble.is_empty()).then(|| words.dots(trouble));
        CardData { title: words.title(card), by, source, trouble, body }
    }

    fn rows(&self, facts: &Facts) -> CardBody {
        let rows: Vec<RowData> = match facts {
            Facts::Balance(balance) => self.balance_rows(balance),
            Facts::Credit(credit) => self.credit_rows(credit),
            Facts::Purchases { purchases } if purchases.is_empty() => {
                vec![row(self.words.say("no-purchases"), None, Tone::Dim)]
            }
            Facts::Purchases { purchases } => {
                let shown = purchases.iter().take(pinkas_protocol::card::MOST_PURCHASES);
                shown.map(|purchase| self.purchase_row(purchase)).collect()
            }
            Facts::Notes { notes } => notes
                .iter()
                .take(pinkas_protocol::card::MOST_NOTES)
                .map(|note| RowData {
                    lead: note.date.map(|date| self.day(date)),
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
                    let value = custom.value.as_ref();
                    let value = value.map_or(words::UNKNOWN.to_owned(), |v| words::plain(&v.0));
                    let page = custom.link.clone().filter(|link| dial::is_page(&link.0));
                    RowData { page, ..row(words::plain(&custom.label), Some(value), Tone::Text) }
                })
                .collect(),
            Facts::Newer => vec![row(self.words.say("needs-a-newer-pinkas"), None, Tone::Dim)],
        };
        if rows.is_empty() { CardBody::Empty } else { CardBody::Rows(rows) }
    }

    fn balance_rows(&self, balance: &Balance) -> Vec<RowData> {
        let words = self.words;
        let overdue = balance.overdue.as_ref().map(|overdue| match balance.oldest_due {
            _ if overdue.amount.is_zero() => row(words.say("nothing-overdue"), None, Tone::Dim),
            Some(date) => {
                let text = words.tell("overdue-since", &[("date", (&self.day(date)).into())]);
                row(text, Some(words.money(overdue)), Tone::Bad)
            }
            None => row(words.say("overdue-row"), Some(words.money(overdue)), Tone::Bad),
        });
        let open = balance.balance.as_ref();
        let open = open.map(|open| row(words.say("open-row"), Some(words.money(open)), Tone::Text));
        [open, overdue].into_iter().flatten().collect()
    }

    fn credit_rows(&self, credit: &Credit) -> Vec<RowData> {
        let words = self.words;
        let limit = credit.limit.as_ref();
        let limit = limit.map(|money| row(words.say("limit-row"), Some(words.money(money)), Tone::Text));
        let hold = credit.hold.filter(|hold| *hold);
        let hold = hold.map(|_| row(words.say("sales-stopped"), None, Tone::Bad));
        let term = credit.days.map(|days| row(words.say("payment-term"), Some(words.days(days)), Tone::Text));
        let note = credit.note.as_deref().map(|note| row(words::plain(note), None, Tone::Dim));
        let offer = credit.offer.as_deref().map(words::plain);
        let offer = offer.map(|what| words.tell("may-be-offered", &[("what", (&what).into())]));
        let offer = offer.map(|offer| row(offer, None, Tone::Text));
        [limit, term, hold, offer, note].into_iter().flatten().collect()
    }

    fn purchase_row(&self, purchase: &Purchase) -> RowData {
        RowData {
            lead: Some(purchase.date.map_or_else(|| words::UNKNOWN.to_owned(), |date| self.day(date))),
            text: words::plain(&purchase.product),
            count: purchase.quantity.map(|quantity| self.words.quantity(quantity)),
            amount: purchase.amount.as_ref().map(|amount| self.words.money(amount)),
            tone: Tone::Text,
            page: None,
        }
    }

    pub(super) fn day(&self, date: jiff::civil::Date) -> String {
        self.words.day(date, words::today(self.now, self.zone))
    }
}

/// The most other sources whose word is told beside a card's own.
const MOST_OTHERS: usize = 4;

fn fact_id(fact: Fact) -> &'static str {
    match fact {
        Fact::Balance => "balance",
        Fact::Overdue => "overdue-row",
        Fact::OldestDue => "oldest-due",
        Fact::Limit => "limit-row",
        Fact::Available => "credit-left",
        Fact::Days => "terms",
        Fact::Hold => "credit-stopped",
    }
}

fn row(text: String, amount: Option<String>, tone: Tone) -> RowData {
    RowData { lead: None, text, count: None, amount, tone, page: None }
}
