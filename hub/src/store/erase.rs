//! Erases one caller or customer from the record of a stopped hub. sled keeps old values in its file, so all
//! the rest is written to a new folder, looked through, and put in the place of the old one, which is deleted.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pinkas_protocol::{CallChange, CallId, CustomerKey, Event, PastCall};
use serde_json::Value;

use super::opening::{free_name, open_db, open_stopped};
use super::rows::{self, decode};
use super::transfer::{checked, derived};
use super::writer::{Disk, put_past};
use super::{LogEntry, decode as read};
use crate::admin::DOOR;
use crate::core::{Choice, KeptCall, KeptMissed, Seen};
use crate::last;
pub use crate::last::Erased as LastErased;

const GROUP: usize = 512;
/// The ending of the old folder's name, until it is deleted.
pub(super) const OLD: &str = "before-erasure";

/// Whom to erase.
#[derive(Debug, Clone, Default)]
pub struct Whom {
    /// The number, as [`pinkas_protocol::Number::key`] gives it.
    pub number: Option<String>,
    /// The customer, by the key of the company's directory.
    pub customer: Option<CustomerKey>,
}

/// What was erased.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Calls, with all that was written about them.
    pub calls: usize,
    /// Rows that are gone.
    pub rows: u64,
    /// Rows in which they were mentioned and are no more.
    pub cleaned: u64,
    /// Last figures of sources that are gone.
    pub last: LastErased,
    /// Folders and files beside the record that this did not look into, such as damaged stores.
    pub not_looked_into: Vec<PathBuf>,
}

/// Erases them; the hub must not run.
/// `last_key`: with which the last figures of the sources are encrypted.
pub fn erase(folder: &Path, last_key: &Path, whom: &Whom) -> anyhow::Result<Erased> {
    let db = open_stopped(folder)?;
    let mut erased = Erased::default();
    let calls = calls_of(&db, whom)?;
    erased.calls = calls.len();
    let new = free_name(folder, "erasing")?;
    fs::create_dir_all(&new).with_context(|| format!("cannot make the folder {}", new.display()))?;
    let copied = copy(&db, &new, whom, &calls, &mut erased);
    drop(db);
    let copied = copied.and_then(|()| {
        others(folder, &new)?;
        erased.last = last_figures(folder, last_key, &new, whom)?;
        look_through(&new, whom)
    });
    if let Err(e) = copied {
        let _ = fs::remove_dir_all(&new);
        return Err(e.context("nothing was erased and nothing was changed"));
    }
    let old = folder.with_file_name(format!("{}.{OLD}", name(folder)?));
    anyhow::ensure!(!old.exists(), "start the hub once: it ends an erasure that was interrupted");
    fs::rename(folder, &old)?;
    fs::rename(&new, folder)?;
    fs::remove_dir_all(&old)
        .with_context(|| format!("delete this folder, it holds all: {}", old.display()))?;
    let near = folder.parent().filter(|near| !near.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let begins = format!("{}.", name(folder)?);
    for entry in fs::read_dir(near)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begins)) {
            erased.not_looked_into.push(path);
        }
    }
    Ok(erased)
}

/// Ends what an erasure that was interrupted had begun.
pub(super) fn end_interrupted(folder: &Path) -> anyhow::Result<()> {
    let old = folder.with_file_name(format!("{}.{OLD}", name(folder)?));
    if !old.exists() {
        return Ok(());
    }
    anyhow::ensure!(
        folder.exists(),
        "an erasure was interrupted: rename {} to {} and erase again",
        old.display(),
        folder.display()
    );
    fs::remove_dir_all(&old).with_context(|| format!("cannot delete {}", old.display()))?;
    tracing::info!("an erasure that was interrupted is ended: {} is deleted", old.display());
    Ok(())
}

fn name(folder: &Path) -> anyhow::Result<String> {
    Ok(folder.file_name().context("the folder of the record has no name")?.to_string_lossy().into_owned())
}

fn calls_of(db: &sled::Db, whom: &Whom) -> anyhow::Result<BTreeSet<CallId>> {
    let theirs = |number: Option<&str>, customer: Option<&CustomerKey>| {
        (number.is_some() && number == whom.number.as_deref())
            || (customer.is_some() && customer == whom.customer.as_ref())
    };
    let mut calls = BTreeSet::new();
    for item in db.scan_prefix([rows::PAST]) {
        let past: PastCall = read(&item?.1)?;
        let number = past.caller.number.as_ref().and_then(|number| number.key());
        if theirs(number, past.customer.as_ref().map(|customer| &customer.key)) {
            calls.insert(past.id);
        }
    }
    for item in db.scan_prefix([rows::CALL]) {
        let view = read::<KeptCall>(&item?.1)?.view;
        let number = view.facts.caller.number.as_ref().and_then(|number| number.key());
        if theirs(number, view.who.customer().map(|customer| &customer.key)) {
            calls.insert(view.id);
        }
    }
    for item in db.scan_prefix([rows::LOG]) {
        if let Event::Call(event) = read::<LogEntry>(&item?.1)?.event
            && let CallChange::Arrived(facts) | CallChange::Known(facts) = &event.change
            && theirs(facts.caller.number.as_ref().and_then(|number| number.key()), None)
        {
            calls.insert(event.call);
        }
    }
    Ok(calls)
}

fn copy(
    db: &sled::Db,
    new: &Path,
    whom: &Whom,
    calls: &BTreeSet<CallId>,
    erased: &mut Erased,
) -> anyhow::Result<()> {
    let to = open_db(new)?;
    let mut disk = Disk::new(to.clone(), new)?;
    let (mut batch, mut in_batch) = (sled::Batch::default(), 0);
    batch.insert(rows::LAYOUT, vec![1]);
    for item in db.iter() {
        let (key, value) = item?;
        let Some(table) = key.first().copied().filter(|_| !derived(&key)) else { continue };
        if table == rows::DURABLE || table == rows::LINE {
            batch.insert(key, value);
            continue;
        }
        let Some((kept, change)) = without(table, &key, &value, whom, calls)? else {
            erased.rows += 1;
            continue;
        };
        erased.cleaned += u64::from(change == Change::Cleaned);
        match table {
            rows::PAST => put_past(&to, &decode(&kept)?, &mut batch)?,
            _ => batch.insert(key, kept),
        }
        in_batch += 1;
        if in_batch == GROUP {
            disk.write(std::mem::take(&mut batch))?;
            in_batch = 0;
        }
    }
    disk.write(batch)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Cleaned,
}

/// The value without them, or `None` when the whole row is theirs.
fn without(
    table: u8,
    key: &[u8],
    value: &[u8],
    whom: &Whom,
    calls: &BTreeSet<CallId>,
) -> anyhow::Result<Option<(Vec<u8>, Change)>> {
    let call = match table {
        rows::LOG => match read::<LogEntry>(value)?.event {
            Event::Call(event) => Some(event.call),
            Event::Line(_) | Event::Pause(_) => None,
        },
        rows::CALL | rows::PAST | rows::ENTRY | rows::STEP => rows::call_in(key),
        rows::FOLLOW_UP => Some(read::<pinkas_protocol::FollowUp>(value)?.call),
        rows::MISSED => Some(read::<KeptMissed>(value)?.last_call),
        rows::SEEN => Some(read::<Seen>(value)?.call),
        _ => None,
    };
    if call.is_some_and(|call| calls.contains(&call)) || in_key(table, key, whom) {
        return Ok(None);
    }
    if table == rows::CHOICE && chooses_them(key, &read(value)?, whom) {
        return Ok(None);
    }
    let Ok(before) = serde_json::from_slice::<Value>(value) else {
        // Not text, so none of the rows that name people.
        return Ok((!mentions_bytes(value, whom)).then(|| (value.to_vec(), Change::None)));
    };
    let mut after = before.clone();
    if clean(&mut after, whom) == Theirs::Yes {
        return Ok(None);
    }
    if after == before {
        return Ok(Some((value.to_vec(), Change::None)));
    }
    Ok(checked(table, after).ok().map(|value| (value, Change::Cleaned)))
}

/// Without its customer a choice would say that it was none of those found.
fn chooses_them(key: &[u8], choice: &Choice, whom: &Whom) -> bool {
    let number = rows::number_in(key);
    let by_number = whom.number.is_some() && number.as_ref().and_then(|n| n.key()) == whom.number.as_deref();
    by_number || (choice.customer.is_some() && choice.customer == whom.customer)
}

/// Rows of other rooms may have a number or a customer's key in theirs.
fn in_key(table: u8, key: &[u8], whom: &Whom) -> bool {
    let own = matches!(
        table,
        rows::LOG | rows::CALL | rows::PAST | rows::ENTRY | rows::FOLLOW_UP | rows::MISSED | rows::SEEN
    ) || matches!(table, rows::CHOICE | rows::STEP | rows::PERSON);
    let customer = whom.customer.as_ref().map(|customer| customer.as_str().as_bytes());
    !own && (mentions_bytes(key, whom) || customer.is_some_and(|customer| key.ends_with(customer)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Theirs {
    Yes,
    No,
}

/// Takes out what is theirs; `Yes` when the value as a whole is, and whoever holds it must drop it.
fn clean(value: &mut Value, whom: &Whom) -> Theirs {
    let customer = whom.customer.as_ref().map(|customer| customer.as_str());
    let is_customer = |value: Option<&Value>| customer.is_some() && value.and_then(Value::as_str) == customer;
    match value {
        Value::String(text) => {
            if let Some(number) = &whom.number {
                let bare = number.trim_start_matches('+');
                if text == number || text == bare {
                    return Theirs::Yes;
                }
                if bare.len() >= MOST_COMMON && text.contains(bare) {
                    *text = text.replace(number.as_str(), "…").replace(bare, "…");
                }
            }
        }
        Value::Array(items) => items.retain_mut(|item| clean(item, whom) == Theirs::No),
        Value::Object(fields) => {
            if is_customer(fields.get("key")) {
                return Theirs::Yes;
            }
            // A number is an object of its kind and its digits: without these it is nothing.
            let is_number = fields.contains_key("kind");
            let before = fields.len();
            fields.retain(|name, field| {
                let names_them = matches!(name.as_str(), "customer" | "chosen") && is_customer(Some(&*field));
                !names_them && clean(field, whom) == Theirs::No
            });
            if is_number && fields.len() < before {
                return Theirs::Yes;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Theirs::No
}

/// Shorter numbers, such as extensions, stand by chance in other texts.
const MOST_COMMON: usize = 7;

fn mentions_bytes(bytes: &[u8], whom: &Whom) -> bool {
    let bare = whom.number.as_ref().map(|number| number.trim_start_matches('+').as_bytes());
    let bare = bare.filter(|bare| bare.len() >= MOST_COMMON);
    bare.is_some_and(|bare| bytes.windows(bare.len()).any(|window| window == bare))
}

fn last_figures(folder: &Path, key: &Path, new: &Path, whom: &Whom) -> anyhow::Result<LastErased> {
    let place = last::Place { state: folder.to_owned(), key: key.to_owned() };
    let theirs = last::Whom {
        number: whom.number.as_deref(),
        customer: whom.customer.as_ref(),
        mentioned: &|facts| mentions_bytes(facts, whom),
    };
    last::erase(&place, new, theirs).context("the last figures of the sources")
}

/// Brings along what is not sled's, except the last figures of sources.
fn others(folder: &Path, new: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry.file_name();
        let file_name = file.to_string_lossy();
        let of_sled = matches!(file_name.as_ref(), "db" | "conf" | "blobs" | "writes")
            || file_name.starts_with("snap.");
        // A hub that was killed leaves its door for administrators, through which nobody comes any more.
        if of_sled || file_name == DOOR || file_name.starts_with(last::FILE) {
            continue;
        }
        anyhow::ensure!(
            entry.file_type()?.is_file(),
            "the folder of the record holds another folder, {}: move it elsewhere first",
            entry.path().display()
        );
        fs::copy(entry.path(), new.join(&file))?;
    }
    Ok(())
}

/// The proof: no row and no byte of the new folder names them.
fn look_through(new: &Path, whom: &Whom) -> anyhow::Result<()> {
    for entry in fs::read_dir(new)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let mut bytes = Vec::new();
        let mut file = fs::File::open(&path)?;
        // Parts overlap, so that a number on the border is found.
        loop {
            let tail = bytes.len().saturating_sub(64);
            bytes.drain(..tail);
            if file.by_ref().take(1 << 20).read_to_end(&mut bytes)? == 0 {
                break;
            }
            if mentions_bytes(&bytes, whom) {
                bail!("{} would still name them: move that file elsewhere first", path.display());
            }
        }
    }
    let db = open_stopped(new)?;
    for item in db.iter() {
        let (key, value) = item?;
        if derived(&key) {
            let customer = whom.customer.as_ref().map(|c| rows::index_prefix(rows::By::Customer, c.as_str()));
            anyhow::ensure!(
                customer.is_none_or(|prefix| !key.starts_with(&prefix)),
                "an index still names them"
            );
        } else if let Ok(mut value) = serde_json::from_slice::<Value>(&value) {
            let before = value.clone();
            anyhow::ensure!(
                clean(&mut value, whom) == Theirs::No && value == before,
                "a row still names them"
            );
        }
    }
    Ok(())
}
