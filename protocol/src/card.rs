//! What a source can say about a customer, and the state of each card on its way to the screen.
//! Money is a decimal and a currency; what is not known is absent, never zero.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::ids::{CustomerKey, SourceName, TagName};
use crate::number::Number;
use crate::private::Private;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// Exact, as the source gave it.
    pub amount: Decimal,
    /// ISO 4217 code, upper case; absent when the source does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// Who a number belongs to, as the company's own directories say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// The key every other source is asked with.
    pub key: CustomerKey,
    /// What ties this customer to the call.
    #[serde(default, skip_serializing_if = "Match::is_exact")]
    pub matched: Match,
    /// Who answered this caller before said that it was this customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chosen_before: bool,
    /// Name as written in the directory.
    pub name: Private<String>,
    /// A word such as `VIP`, where the directory has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Where the customer is, as a person would say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Private<String>>,
    /// The colleague who looks after the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_manager: Option<String>,
    /// The language to speak, as the directory writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The customer's numbers, where the directory tells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<Number>,
    /// What other systems know the customer by, such as a tax number; for asking them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<TagName, Private<String>>,
    /// The directory that said so.
    pub source: SourceName,
}

impl Customer {
    /// A customer of whom a directory says no more than this.
    pub fn new(key: CustomerKey, name: String, source: SourceName) -> Customer {
        Customer {
            key,
            matched: Match::Number,
            chosen_before: false,
            name: Private(name),
            class: None,
            place: None,
            account_manager: None,
            language: None,
            numbers: Vec::new(),
            keys: BTreeMap::new(),
            source,
        }
    }
}

/// The most keys of other systems a customer may have.
pub const MOST_KEYS: usize = 8;

/// The most numbers of a customer that are kept.
pub const MOST_NUMBERS: usize = 16;

/// What ties a customer to a call. What [`Match::is_guess`] says is one is shown as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Match {
    /// The caller keyed in the customer's number; it outranks caller ID.
    KeyedIn,
    /// The whole number is the customer's.
    #[default]
    Number,
    /// The number is an extension behind the customer's company number: it begins like it.
    CompanyNumber,
    /// Only the last digits are the same.
    LastDigits {
        /// How many.
        digits: u8,
    },
    /// An agent looked for the customer and said that it is they who call.
    Searched,
}

impl Match {
    /// By the whole number: what is not said on a link.
    pub fn is_exact(&self) -> bool {
        *self == Match::Number
    }

    /// It may well be somebody else.
    pub fn is_guess(self) -> bool {
        matches!(self, Match::CompanyNumber | Match::LastDigits { .. })
    }
}

/// The kind of fact a source gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gives {
    /// Number → who it is; every other source is asked with what this one gives.
    Customer,
    /// What the customer owes or is owed.
    Balance,
    /// Terms and limit.
    Credit,
    /// What was bought lately.
    Purchases,
    /// What people wrote about the customer.
    Notes,
    /// Anything else, as rows of label and value; also what a newer hub gives and this side does not know.
    #[serde(other)]
    Custom,
}

impl Gives {
    /// The card's title on a screen.
    pub fn title(self) -> &'static str {
        match self {
            Gives::Customer => "Customer",
            Gives::Balance => "Balance",
            Gives::Credit => "Credit terms",
            Gives::Purchases => "Recent purchases",
            Gives::Notes => "Notes",
            Gives::Custom => "More",
        }
    }
}

/// What a source answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gives", rename_all = "snake_case")]
pub enum Facts {
    /// See [`Balance`].
    Balance(Balance),
    /// See [`Credit`].
    Credit(Credit),
    /// Newest first, as the source ordered them.
    Purchases {
        /// At most [`MOST_PURCHASES`].
        purchases: Vec<Purchase>,
    },
    /// Newest first, as the source ordered them.
    Notes {
        /// At most [`MOST_NOTES`].
        notes: Vec<SourceNote>,
    },
    /// In the order of the source.
    Custom {
        /// At most [`MOST_ROWS`].
        rows: Vec<CustomRow>,
    },
    /// Of a kind that only a newer hub knows.
    #[serde(other)]
    Newer,
}

/// The most purchases a card holds.
pub const MOST_PURCHASES: usize = 20;

/// The most notes a card holds.
pub const MOST_NOTES: usize = 20;

/// The most rows of label and value a card holds.
pub const MOST_ROWS: usize = 20;

/// An accounting balance. Positive: the customer owes the company.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Balance {
    /// All that is open; absent only where the viewer may not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Money>,
    /// The part that is past its due date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue: Option<Money>,
    /// The oldest due date among the overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_due: Option<Date>,
}

/// Terms on which a customer buys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Credit {
    /// The most the customer may owe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Money>,
    /// What is left of the limit, where the source itself says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Money>,
    /// Days until an invoice is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// Sales on credit are stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<bool>,
    /// What may be offered to this customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
    /// Anything else the source says about the terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One line of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Day of the sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// What was sold.
    pub product: String,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Decimal>,
    /// For how much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
}

/// Something people wrote about a customer in another system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceNote {
    /// Day of the note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
    /// What was written.
    pub text: Private<String>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// A row that the configuration made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomRow {
    /// What it is.
    pub label: String,
    /// What it says; absent where the source has nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Private<String>>,
    /// Where more can be read: an `http` or `https` address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Private<String>>,
}

/// One source's place on a call's pop-up, filled or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Who was asked.
    pub source: SourceName,
    /// What it gives.
    pub gives: Gives,
    /// The card's title, where the configuration gives it one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For which customer it was asked; absent when it was asked by what the call itself brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerKey>,
    /// Fields kept back until it is noted how the caller was identified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<String>,
    /// How far it has come.
    #[serde(flatten)]
    pub state: CardState,
}

/// How far a card has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CardState {
    /// Asked; no answer yet.
    Waiting,
    /// The deadline has passed; an answer that still comes will be shown, marked late.
    Late {
        /// The deadline that passed, in milliseconds.
        deadline_ms: u64,
    },
    /// Answered.
    Filled {
        /// What it said.
        facts: Facts,
        /// When the figures were true: the source's own word where it gives one, else when it answered.
        as_of: Timestamp,
        /// From asking to the answer, in milliseconds.
        took_ms: u64,
        /// It came after the deadline.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        late: bool,
        /// The source gave no answer now, and why: these are the last figures it gave, as of then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<Failure>,
    },
    /// Answered: it holds nothing on this customer.
    Nothing {
        /// From asking to the answer, in milliseconds.
        took_ms: u64,
    },
    /// No answer, and why.
    Failed {
        /// What went wrong.
        failure: Failure,
        /// From asking to giving up, in milliseconds.
        took_ms: u64,
    },
}

/// Why a source gave no answer. `Display` is what the agent reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// Nothing came, not even long after the deadline.
    NoAnswer {
        /// The deadline, in milliseconds.
        deadline_ms: u64,
    },
    /// It could not be reached.
    Unreachable,
    /// It refused; an HTTP status or a database's refusal.
    Refused {
        /// In a few words, without any of the customer's data.
        what: String,
    },
    /// It answered something that is not what the configuration says.
    NotUnderstood {
        /// Which part, in a few words, without any of the customer's data.
        what: String,
    },
    /// It answered more than the hub takes.
    TooLarge,
    /// Too many questions are already waiting for it.
    Busy,
    /// It failed again and again, so it is left alone for a while.
    Resting,
    /// It was not asked, because there is nothing to ask it with.
    NotAsked {
        /// What is lacking, in a few words, without any of the customer's data.
        what: String,
    },
}

impl Card {
    /// A source's card with the configuration's usual title and nothing kept back.
    pub fn new(source: SourceName, gives: Gives, customer: Option<CustomerKey>, state: CardState) -> Card {
        Card { source, gives, title: None, customer, folded: Vec::new(), state }
    }

    /// The card's title on a screen.
    pub fn title(&self) -> &str {
        self.title.as_deref().unwrap_or_else(|| self.gives.title())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoAnswer { deadline_ms } => write!(f, "no answer in {deadline_ms} ms"),
            Failure::Unreachable => f.write_str("cannot be reached"),
            Failure::Refused { what } => write!(f, "refused: {what}"),
            Failure::NotUnderstood { what } => write!(f, "answer not understood: {what}"),
            Failure::TooLarge => f.write_str("answer too large"),
            Failure::Busy => f.write_str("too busy"),
            Failure::NotAsked { what } => write!(f, "not asked: {what}"),
            Failure::Resting => f.write_str("failed again and again; left alone for a while"),
        }
    }
}
