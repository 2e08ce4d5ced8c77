//! One CSV file as it stands in memory: read whole, checked whole, so that a half-copied or broken file is
//! noticed before anything of it is used. What is told of a fault is the line, never its content.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1255};
use jiff::Timestamp;
use pinkas_protocol::agent_link::MOST_FOUND;
use pinkas_protocol::card::Match;
use pinkas_protocol::{Customer, CustomerKey, Gives};

use super::cell::Cell;
use super::fields::{self, Field, MOST_CUSTOMERS, Row};
use super::template::Place;
use super::{About, Answer};
use crate::identify::{self, Search};

/// How a file is to be read.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Where it is.
    pub file: PathBuf,
    /// What stands between two values.
    pub separator: u8,
    /// How its text is written, when the configuration says.
    pub charset: Option<&'static Encoding>,
    /// The column that is looked in.
    pub key: String,
    /// What it is looked in for; numbers are read as callers' numbers are, anything else is taken as it is.
    pub by: Place,
    /// Columns named for fields; the others are looked for under the field's own name.
    pub mapping: Vec<(Field, String)>,
    /// Columns of what has names of its own.
    pub named: Vec<String>,
    /// What it gives.
    pub about: About,
}

/// A file's size and time of change: the cheap way to see that it is another file now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    len: u64,
    changed: Option<SystemTime>,
}

impl Stamp {
    /// From what the file system says.
    pub fn of(metadata: &fs::Metadata) -> Self {
        Stamp { len: metadata.len(), changed: metadata.modified().ok() }
    }
}

/// A file in memory.
pub struct Table {
    /// What the file looked like when it was read.
    pub stamp: Stamp,
    /// When the file was last written: how old what it says is.
    pub as_of: Option<Timestamp>,
    /// How many rows were left out, and the first of their lines.
    pub skipped: Option<(usize, u64)>,
    rows: Rows,
}

/// One record's values: those of the fields in their order, then those with names of their own.
type Values = Box<[Box<str>]>;

enum Rows {
    Customers(HashMap<Box<str>, Vec<Customer>>),
    Facts { fields: Vec<Field>, by_key: HashMap<Box<str>, Vec<Values>> },
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// Larger than the hub takes into memory.
    #[error("is larger than {} MiB", LARGEST / 1024 / 1024)]
    TooLarge,
    /// More rows than the hub takes.
    #[error("has more than {MOST_ROWS} rows")]
    TooManyRows,
    /// No such column in the first line.
    #[error("line 1: has no column `{0}`")]
    NoColumn(String),
    /// A line that does not fit the first one.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: u64,
        /// In words without its content.
        what: &'static str,
    },
}

/// The largest file, in bytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The most rows of a file.
pub const MOST_ROWS: usize = 1_000_000;

impl Table {
    /// Reads a file whole. Blocks.
    pub fn load(layout: &Layout) -> Result<Table, Broken> {
        let unreadable = |e: std::io::Error| Broken::Unreadable(e.kind());
        let file = fs::File::open(&layout.file).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.len() > LARGEST {
            return Err(Broken::TooLarge);
        }
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes).map_err(unreadable)?;
        let stamp = Stamp::of(&metadata);
        let as_of = stamp.changed.and_then(|changed| Timestamp::try_from(changed).ok());
        let (rows, skipped) = rows(layout, &text(&bytes, layout.charset))?;
        Ok(Table { stamp, as_of, skipped, rows })
    }

    /// Everything the file has under `key`.
    pub fn answer(&self, about: &About, key: &str) -> Result<Answer, pinkas_protocol::Failure> {
        match &self.rows {
            Rows::Customers(by_number) => {
                Ok(Answer::Customers(by_number.get(key).cloned().unwrap_or_default()))
            }
            Rows::Facts { fields, by_key } => {
                let found = by_key.get(key).map(Vec::as_slice).unwrap_or_default();
                let cells = |row: &[Box<str>]| {
                    let (cells, named) = row.split_at(fields.len().min(row.len()));
                    let cells = fields.iter().zip(cells).map(|(field, text)| (*field, Cell::of_text(text)));
                    Row {
                        cells: cells.collect(),
                        named: named.iter().map(|text| Cell::of_text(text)).collect(),
                    }
                };
                let rows: Vec<Row> = found.iter().map(|row| cells(row)).collect();
                let mut answer = fields::answer(&about.asked(), &rows)?;
                if let Answer::Facts { as_of: as_of @ None, .. } = &mut answer {
                    *as_of = self.as_of;
                }
                Ok(answer)
            }
        }
    }
}

impl Table {
    /// Everyone `search` finds, each once and with the reason; looks at every number of the file.
    pub fn find(&self, search: &Search) -> Vec<Customer> {
        let Rows::Customers(by_number) = &self.rows else { return Vec::new() };
        let mut found: BTreeMap<&CustomerKey, (Match, &Customer)> = BTreeMap::new();
        for (number, customers) in by_number {
            for customer in customers {
                let Some(matched) = search.finds(customer, number) else { continue };
                // No order of numbers decides which of two reasons is told.
                let known = found.entry(&customer.key).or_insert((matched, customer));
                known.0 = known.0.min(matched);
            }
        }
        let found = found.into_values().take(MOST_CUSTOMERS);
        found.map(|(matched, customer)| Customer { matched, ..customer.clone() }).collect()
    }

    /// The customers who fit best what an agent looks for, at most [`MOST_FOUND`]. Looks at every
    /// number of the file.
    pub fn search(&self, text: &str, number: Option<&str>) -> Vec<(u8, Customer)> {
        let Rows::Customers(by_number) = &self.rows else { return Vec::new() };
        let mut found: BTreeMap<&CustomerKey, (u8, &Customer)> = BTreeMap::new();
        for (theirs, customers) in by_number {
            for customer in customers {
                let Some(fits) = identify::fits(customer, theirs, text, number) else { continue };
                let known = found.entry(&customer.key).or_insert((fits, customer));
                known.0 = known.0.min(fits);
            }
        }
        let mut found: Vec<(u8, &Customer)> = found.into_values().collect();
        found.sort_by_key(|(fits, customer)| (*fits, customer.name.0.as_str(), &customer.key));
        found.into_iter().take(MOST_FOUND).map(|(fits, found)| (fits, found.clone())).collect()
    }
}

/// The file's text. A byte order mark says how it is written; without one it is as configured, else
/// UTF-8, and where it is not that, Windows-1255: what older Israeli office programs still export.
fn text(bytes: &[u8], charset: Option<&'static Encoding>) -> String {
    let encoding = match charset {
        Some(charset) => charset,
        None if Encoding::for_bom(bytes).is_some() || std::str::from_utf8(bytes).is_ok() => UTF_8,
        None => WINDOWS_1255,
    };
    encoding.decode(bytes).0.into_owned()
}

type Skipped = Option<(usize, u64)>;

fn rows(layout: &Layout, text: &str) -> Result<(Rows, Skipped), Broken> {
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(layout.separator)
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| line_of(&e))?.clone();
    let columns = Columns::find(layout, &header)?;
    let mut customers: HashMap<Box<str>, Vec<Customer>> = HashMap::new();
    let mut facts: HashMap<Box<str>, Vec<Values>> = HashMap::new();
    let mut skipped: Skipped = None;
    let most = fields::most_rows(layout.about.gives);
    for (count, record) in reader.records().enumerate() {
        let record = record.map_err(|e| line_of(&e))?;
        if count >= MOST_ROWS {
            return Err(Broken::TooManyRows);
        }
        let key = record.get(columns.key).unwrap_or_default();
        let keys = keys(layout, key);
        let kept = if keys.is_empty() {
            false
        } else if layout.about.gives == Gives::Customer {
            keep_customer(layout, &columns, &record, keys, &mut customers)
        } else {
            let places = columns.fields.iter().map(|(_, at)| at).chain(&columns.named);
            let values: Values = places.map(|at| record.get(*at).unwrap_or_default().into()).collect();
            for key in keys {
                let rows = facts.entry(key).or_default();
                if rows.len() < most {
                    rows.push(values.clone());
                }
            }
            true
        };
        if !kept {
            let line = record.position().map_or(0, ::csv::Position::line);
            let (count, first) = skipped.unwrap_or((0, line));
            skipped = Some((count + 1, first));
        }
    }
    let rows = if layout.about.gives == Gives::Customer {
        Rows::Customers(customers)
    } else {
        let fields = columns.fields.iter().map(|(field, _)| *field).collect();
        Rows::Facts { fields, by_key: facts }
    };
    Ok((rows, skipped))
}

/// What a record is found by; nothing when it holds nothing that can be looked up.
fn keys(layout: &Layout, written: &str) -> Vec<Box<str>> {
    match layout.by {
        _ if layout.by.is_number() => {
            let numbers = fields::split_numbers(&layout.about.plan, written);
            numbers.iter().filter_map(|number| number.key().map(Into::into)).collect()
        }
        _ if written.is_empty() => Vec::new(),
        _ => vec![written.into()],
    }
}

/// Puts a customer under each of the keys; `false` when there is none.
fn keep_customer(
    layout: &Layout,
    columns: &Columns,
    record: &::csv::StringRecord,
    keys: Vec<Box<str>>,
    customers: &mut HashMap<Box<str>, Vec<Customer>>,
) -> bool {
    let cell = |at: &usize| Cell::of_text(record.get(*at).unwrap_or_default());
    let row = Row {
        cells: columns.fields.iter().map(|(field, at)| (*field, cell(at))).collect(),
        named: columns.named.iter().map(cell).collect(),
    };
    let Ok(Answer::Customers(read)) = fields::answer(&layout.about.asked(), &[row]) else { return false };
    let Some(mut customer) = read.into_iter().next() else { return false };
    if customer.numbers.is_empty() && layout.by.is_number() {
        customer.numbers =
            fields::split_numbers(&layout.about.plan, record.get(columns.key).unwrap_or_default());
    }
    for key in keys {
        let known = customers.entry(key).or_default();
        if known.len() < MOST_CUSTOMERS && !known.iter().any(|other| other.key == customer.key) {
            known.push(customer.clone());
        }
    }
    true
}

/// Where in a record things are.
struct Columns {
    key: usize,
    fields: Vec<(Field, usize)>,
    named: Vec<usize>,
}

impl Columns {
    fn find(layout: &Layout, header: &::csv::StringRecord) -> Result<Self, Broken> {
        let find = |name: &str| header.iter().position(|column| column.eq_ignore_ascii_case(name));
        let key = find(&layout.key).ok_or_else(|| Broken::NoColumn(layout.key.clone()))?;
        let mut fields = Vec::new();
        for field in Field::of(layout.about.gives) {
            let mapped = layout.mapping.iter().find(|(mapped, _)| mapped == field);
            let at = match mapped {
                Some((_, column)) => Some(find(column).ok_or_else(|| Broken::NoColumn(column.clone()))?),
                None => find(field.word()).or_else(|| find(field.other_word()?)),
            };
            match at {
                Some(at) => fields.push((*field, at)),
                None if layout.about.has_own_rows() => {}
                None if Field::needed(layout.about.gives).contains(field) => {
                    return Err(Broken::NoColumn(field.word().to_owned()));
                }
                None => {}
            }
        }
        let says = fields.iter().any(|(field, _)| *field != Field::Currency && *field != Field::AsOf);
        if !says && !layout.about.has_own_rows() {
            return Err(Broken::NoColumn("limit".to_owned()));
        }
        let named = layout.named.iter();
        let named = named.map(|column| find(column).ok_or_else(|| Broken::NoColumn(column.clone())));
        Ok(Columns { key, fields, named: named.collect::<Result<_, _>>()? })
    }
}

fn line_of(error: &::csv::Error) -> Broken {
    let what = match error.kind() {
        ::csv::ErrorKind::UnequalLengths { .. } => "has more or fewer values than the first line",
        _ => "is not CSV",
    };
    Broken::Line { line: error.position().map_or(1, ::csv::Position::line), what }
}
