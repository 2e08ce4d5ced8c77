//! The record out of a stopped hub and into one: JSON lines of everything, each row by name and key, and a
//! CSV of the calls. What is there already stays as it is: importing twice is importing once.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, Read, Write};
use std::path::Path;

use anyhow::Context;
use pinkas_protocol::{EndedHow, Entry, FollowUp, PastCall, Written};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::opening::open_stopped;
use super::rows::{self, decode, encode, key};
use super::writer::{Disk, next_log_number, put_past};
use super::{LogEntry, entries};
use crate::core::{Choice, KeptCall, KeptLine, KeptMissed, KeptPerson, Seen, Step, Trace};

const VERSION: u32 = 1;
const GROUP: usize = 4_096;
/// Longer lines than any the export writes.
const LONGEST_LINE: usize = 1 << 20;

const TABLES: [(u8, &str); 12] = [
    (rows::LOG, "log"),
    (rows::CALL, "call"),
    (rows::LINE, "line"),
    (rows::DURABLE, "durable"),
    (rows::PAST, "past"),
    (rows::ENTRY, "entry"),
    (rows::FOLLOW_UP, "follow_up"),
    (rows::MISSED, "missed"),
    (rows::CHOICE, "choice"),
    (rows::PERSON, "person"),
    (rows::SEEN, "seen"),
    (rows::STEP, "step"),
];

#[derive(Serialize, Deserialize)]
struct Row {
    row: String,
    key: String,
    value: Value,
}

#[derive(Serialize, Deserialize)]
struct Head {
    pinkas: String,
    version: u32,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Rows that are new here.
    pub new: u64,
    /// Rows that were here already.
    pub known: u64,
}

/// Whether a key is made from others and not exported.
pub(super) fn derived(key: &[u8]) -> bool {
    key.first() == Some(&rows::INDEX) || key == rows::WRITES || key == rows::LAYOUT
}

/// Writes everything, one JSON line for each row.
pub fn export(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let db = open_stopped(folder)?;
    writeln!(out, "{}", json!(Head { pinkas: "record".to_owned(), version: VERSION }))?;
    for item in db.iter() {
        let (key, value) = item?;
        let Some((table, rest)) = key.split_first().filter(|_| !derived(&key)) else { continue };
        let known = TABLES.iter().find(|(letter, _)| letter == table);
        let row = known.map_or_else(|| format!("other {table}"), |(_, name)| (*name).to_owned());
        let value = match <[u8; 8]>::try_from(value.as_ref()) {
            Ok(bytes) if *table == rows::DURABLE => json!(u64::from_be_bytes(bytes)),
            _ => serde_json::from_slice(&value).context("a row is not readable")?,
        };
        writeln!(out, "{}", serde_json::to_string(&Row { row, key: hex(rest), value })?)?;
    }
    Ok(())
}

/// Writes the calls that are over, oldest first, as CSV with a first line of names.
pub fn export_csv(folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let db = open_stopped(folder)?;
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record([
        "call",
        "arrived_at",
        "ended_at",
        "how",
        "queue",
        "number",
        "name",
        "customer",
        "customer_name",
        "offered",
        "answered_by",
        "outcome",
        "notes",
    ])?;
    for item in db.scan_prefix([rows::PAST]) {
        let past: PastCall = decode(&item?.1)?;
        let written = entries(&db, past.id)?;
        let outcome = written.iter().rev().find_map(|entry| match &entry.what {
            Written::Outcome { code } => Some(code.to_string()),
            _ => None,
        });
        let notes = written.iter().filter_map(|entry| match &entry.what {
            Written::Note { text } => Some(format!("{}: {}", entry.name, text.0)),
            Written::FollowUp { due, text } => Some(format!("{}, {due}: {}", entry.name, text.0)),
            Written::Outcome { .. } => None,
        });
        let customer = past.customer.as_ref();
        let offered: Vec<&str> = past.offers.keys().map(|line| line.as_str()).collect();
        csv.write_record([
            past.id.to_string(),
            past.arrived_at.to_string(),
            past.ended.at.to_string(),
            how(past.ended.how).to_owned(),
            past.queue.as_ref().map_or_else(String::new, |queue| cell(queue.as_str())),
            past.caller
                .number
                .as_ref()
                .map_or_else(String::new, |number| number.key().unwrap_or("").to_owned()),
            past.caller.name.as_ref().map_or_else(String::new, |name| cell(&name.0)),
            customer.map_or_else(String::new, |customer| cell(customer.key.as_str())),
            customer.map_or_else(String::new, |customer| cell(&customer.name.0)),
            cell(&offered.join(" ")),
            cell(past.answered_by().unwrap_or("")),
            outcome.unwrap_or_default(),
            cell(&notes.collect::<Vec<_>>().join("\n")),
        ])?;
    }
    csv.flush()?;
    Ok(())
}

/// Reads what [`export`] wrote into the record of a stopped hub; `told` gets the count of rows on the disk
/// after each group.
pub fn import(folder: &Path, mut from: impl BufRead, mut told: impl FnMut(u64)) -> anyhow::Result<Imported> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let db = open_stopped(folder)?;
    let mut disk = Disk::new(db.clone(), folder)?;
    let hasher = RandomState::new();
    let mut logged = HashSet::new();
    for table in [rows::LOG, rows::SEEN] {
        for item in db.scan_prefix([table]).values() {
            logged.insert(hasher.hash_one(item?.as_ref()));
        }
    }
    let mut done = Imported::default();
    let (mut batch, mut in_batch, mut next) = (sled::Batch::default(), 0, next_log_number(&db)?);
    if !db.contains_key(rows::LAYOUT)? {
        batch.insert(rows::LAYOUT, vec![1]);
    }
    let mut line = String::new();
    for number in 1u64.. {
        line.clear();
        if (&mut from).take(LONGEST_LINE as u64).read_line(&mut line)? == 0 {
            break;
        }
        let place = || format!("line {number}: this is no line of an export");
        if number == 1 {
            let head: Head = serde_json::from_str(&line).ok().with_context(place)?;
            anyhow::ensure!(head.pinkas == "record" && head.version == VERSION, "{}", place());
            continue;
        }
        let row: Row = serde_json::from_str(&line).ok().with_context(place)?;
        let (at, value) = read(row).with_context(place)?;
        let new = match at.first() {
            Some(table @ &(rows::LOG | rows::SEEN)) => {
                let new = logged.insert(hasher.hash_one(value.as_slice()));
                if new {
                    batch.insert(rows::counted_key(*table, next), value);
                    next += 1;
                }
                new
            }
            Some(&rows::DURABLE) => {
                let here = db.get(&at)?;
                let new = here.is_none_or(|here| here.as_ref() < value.as_slice());
                if new {
                    batch.insert(at, value);
                }
                new
            }
            // One that was done since the export stays so.
            Some(&rows::FOLLOW_UP) if is_done(&db, &value)? => false,
            _ if db.contains_key(&at)? => false,
            Some(&rows::PAST) => {
                put_past(&db, &decode(&value)?, &mut batch)?;
                true
            }
            _ => {
                batch.insert(at, value);
                true
            }
        };
        if new {
            done.new += 1;
            in_batch += 1;
        } else {
            done.known += 1;
        }
        if in_batch == GROUP {
            disk.write(std::mem::take(&mut batch))?;
            in_batch = 0;
            told(done.new);
        }
    }
    disk.write(batch)?;
    told(done.new);
    drop((disk, db));
    super::opening::prepare_next(folder);
    Ok(done)
}

fn is_done(db: &sled::Db, follow_up: &[u8]) -> anyhow::Result<bool> {
    let open: FollowUp = decode(follow_up)?;
    let here = db.get(rows::entry_key(open.call, open.entry.id))?;
    here.map_or(Ok(false), |here| Ok(decode::<Entry>(&here)?.done.is_some()))
}

/// A row's key and value as they lie in the store.
fn read(row: Row) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let known = TABLES.iter().find(|(_, name)| *name == row.row).map(|(letter, _)| *letter);
    let other = row.row.strip_prefix("other ").and_then(|letter| letter.parse().ok());
    let table = known.or(other).context("no such row")?;
    let mut at = vec![table];
    at.extend(unhex(&row.key).context("no such key")?);
    anyhow::ensure!(!derived(&at), "no such row");
    let sound = match table {
        rows::LOG | rows::SEEN => rows::counter(&at).is_some(),
        rows::CALL | rows::PAST | rows::FOLLOW_UP | rows::MISSED => at.len() == 17,
        rows::ENTRY => at.len() == 33,
        rows::CHOICE => rows::number_in(&at).is_some(),
        rows::PERSON => rows::person_in(&at).is_some(),
        rows::STEP => rows::step_in(&at).is_some(),
        _ => true,
    };
    anyhow::ensure!(sound, "no such key");
    let value = checked(table, row.value)?;
    if table == rows::PAST {
        anyhow::ensure!(key(table, decode::<PastCall>(&value)?.id.0) == at, "no such key");
    }
    Ok((at, value))
}

/// A value as its table has it; an error when it is none of that table.
pub(super) fn checked(table: u8, value: Value) -> anyhow::Result<Vec<u8>> {
    fn typed<T: serde::de::DeserializeOwned + Serialize>(value: Value) -> anyhow::Result<Vec<u8>> {
        // What is wrong with it may quote it.
        let typed: T = serde_json::from_value(value).ok().context("not a value of this row")?;
        Ok(encode(&typed))
    }
    match table {
        rows::LOG => typed::<LogEntry>(value),
        rows::CALL => typed::<KeptCall>(value),
        rows::LINE => typed::<KeptLine>(value),
        rows::DURABLE => Ok(value.as_u64().context("not a value of this row")?.to_be_bytes().to_vec()),
        rows::PAST => typed::<PastCall>(value),
        rows::ENTRY => typed::<Entry>(value),
        rows::FOLLOW_UP => typed::<FollowUp>(value),
        rows::MISSED => typed::<KeptMissed>(value),
        rows::CHOICE => typed::<Choice>(value),
        rows::PERSON => typed::<KeptPerson>(value),
        rows::SEEN => typed::<Seen>(value),
        rows::STEP => typed::<Trace>(value.clone()).or_else(|_| typed::<Step>(value)),
        _ => Ok(encode(&value)),
    }
}

fn how(how: EndedHow) -> &'static str {
    match how {
        EndedHow::Completed => "completed",
        EndedHow::Abandoned => "abandoned",
        EndedHow::Declined => "declined",
        EndedHow::Unanswered => "unanswered",
        EndedHow::Joined { .. } => "joined",
        EndedHow::Lost => "lost",
    }
}

/// A text that no spreadsheet takes for a formula.
fn cell(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}
