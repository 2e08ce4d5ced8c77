//! How the record lies in sled: one tree, a letter before each key, JSON values under 32 KB. Keys that begin
//! with a call's id sort by time. Indexes have no values and are made from the calls, also on import.

use pinkas_protocol::{AgentId, CallId, Line, Number, PastCall, wire};
use uuid::Uuid;

use crate::core::{Step, Trace};

/// The call log: a number that counts up.
pub(super) const LOG: u8 = b'n';
/// A live call, or one of the last that ended: its id.
pub(super) const CALL: u8 = b'c';
/// A line: its name.
pub(super) const LINE: u8 = b'l';
/// How far an outbox is on disk: outbox, adapter.
pub(super) const DURABLE: u8 = b'd';
/// A call that is over: its id.
pub(super) const PAST: u8 = b'h';
/// What was written: call, entry.
pub(super) const ENTRY: u8 = b'e';
/// An open follow-up: its entry.
pub(super) const FOLLOW_UP: u8 = b'o';
/// A row of missed calls: its first call.
pub(super) const MISSED: u8 = b'm';
/// Who an agent said calls from a number: the number as it is on a link.
pub(super) const CHOICE: u8 = b'k';
/// What a person said of themselves: their name to log in.
pub(super) const PERSON: u8 = b'p';
/// Who was shown whose cards: a number that counts up with that of the call log.
pub(super) const SEEN: u8 = b's';
/// Steps of a call that still has its row, those that came together: the call, the first one's number.
pub(super) const STEP: u8 = b't';
/// Calls over by number, customer and line.
pub(super) const INDEX: u8 = b'x';
/// How often the store was written.
pub(super) const WRITES: &[u8] = b"w";
/// There once the calls of an older hub have their history.
pub(super) const LAYOUT: &[u8] = b"v";

/// What an index is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Number,
    Customer,
    Line,
}

pub(super) fn key(table: u8, id: Uuid) -> Vec<u8> {
    let mut key = vec![table];
    key.extend(id.as_bytes());
    key
}

pub(super) fn counted_key(table: u8, number: u64) -> Vec<u8> {
    let mut key = vec![table];
    key.extend(number.to_be_bytes());
    key
}

pub(super) fn line_key(line: &Line) -> Vec<u8> {
    let mut key = vec![LINE];
    key.extend(line.as_str().as_bytes());
    key
}

pub(super) fn person_key(person: &AgentId) -> Vec<u8> {
    let mut key = vec![PERSON];
    key.extend(person.as_str().as_bytes());
    key
}

/// Who it is, by their key.
pub(super) fn person_in(key: &[u8]) -> Option<AgentId> {
    AgentId::parse(std::str::from_utf8(key.get(1..)?).ok()?).ok()
}

pub(super) fn choice_key(number: &Number) -> Vec<u8> {
    let mut key = vec![CHOICE];
    key.extend(encode(number));
    key
}

/// Whose choice it is, by its key.
pub(super) fn number_in(key: &[u8]) -> Option<Number> {
    decode(key.get(1..)?).ok()
}

pub(super) fn entry_key(call: CallId, entry: Uuid) -> Vec<u8> {
    let mut key = key(ENTRY, call.0);
    key.extend(entry.as_bytes());
    key
}

pub(super) fn step_key(call: CallId, number: u32) -> Vec<u8> {
    let mut key = key(STEP, call.0);
    key.extend(number.to_be_bytes());
    key
}

/// Whose steps they are and the number of the first, by their key.
pub(super) fn step_in(key: &[u8]) -> Option<(CallId, u32)> {
    let number = key.get(17..)?.try_into().ok()?;
    Some((call_in(key)?, u32::from_be_bytes(number)))
}

/// The steps of a row.
pub(super) fn steps(key: &[u8], value: &[u8]) -> anyhow::Result<Trace> {
    decode(value).or_else(|not_steps| {
        // An older hub gave each step a row of its own.
        let (_, number) = step_in(key).ok_or(not_steps)?;
        Ok(Trace::from([(number, decode::<Step>(value)?)]))
    })
}

/// Everything of an index by this value; ids of calls follow. A zero ends the value, which no id holds.
pub(super) fn index_prefix(by: By, value: &str) -> Vec<u8> {
    let by = match by {
        By::Number => b'n',
        By::Customer => b'c',
        By::Line => b'l',
    };
    let mut key = vec![INDEX, by];
    key.extend(value.as_bytes());
    key.push(0);
    key
}

/// The places of a call in the indexes.
pub(super) fn index_keys(past: &PastCall) -> Vec<Vec<u8>> {
    let number = past.caller.number.as_ref().and_then(|number| number.key());
    let number = number.map(|number| index_prefix(By::Number, number));
    let customer = past.customer.as_ref().map(|c| index_prefix(By::Customer, c.key.as_str()));
    let lines = past.offers.keys().map(|line| index_prefix(By::Line, line.as_str()));
    let mut keys: Vec<Vec<u8>> = lines.chain(number).chain(customer).collect();
    for key in &mut keys {
        key.extend(past.id.0.as_bytes());
    }
    keys
}

/// The call's id at the end of a key.
pub(super) fn call_at_end(key: &[u8]) -> Option<CallId> {
    let at = key.len().checked_sub(16)?;
    Some(CallId(Uuid::from_slice(key.get(at..)?).ok()?))
}

/// The call's id after the letter of a key.
pub(super) fn call_in(key: &[u8]) -> Option<CallId> {
    Some(CallId(Uuid::from_slice(key.get(1..17)?).ok()?))
}

pub(super) fn counter(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    Ok(wire::decode(std::str::from_utf8(bytes)?)?)
}

pub(super) fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    wire::encode(value).into_bytes()
}
