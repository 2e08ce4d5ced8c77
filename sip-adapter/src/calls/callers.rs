//! Which live calls a caller may have brought: found by number, so that a word about one call costs the same
//! whether ten are live or ten thousand. Only says where to look; who is meant is for the machine to decide.

use std::collections::BTreeSet;

use ahash::HashMap;
use pinkas_protocol::{CallId, Number};

use super::LiveCall;

/// How many of the newest calls of one caller are looked at.
const MOST_COMPARED: usize = 200;

/// The live calls by the numbers that any way says of their callers; those without one are together.
#[derive(Default)]
pub(super) struct Callers {
    calls: HashMap<Option<Number>, BTreeSet<CallId>>,
    numbers: HashMap<CallId, Vec<Option<Number>>>,
}

impl Callers {
    /// Notes what is known of a call now.
    pub(super) fn note(&mut self, call: CallId, live: &LiveCall) {
        let known = self.numbers.entry(call).or_default();
        let gone = match known.iter().all(|known| live.numbers().any(|n| n == known)) {
            true => Vec::new(),
            false => known.extract_if(.., |known| !live.numbers().any(|n| n == known)).collect(),
        };
        for number in live.numbers() {
            if !known.contains(number) {
                known.push(number.clone());
                self.calls.entry(number.clone()).or_default().insert(call);
            }
        }
        self.leave(call, gone);
    }

    /// A call is over.
    pub(super) fn forget(&mut self, call: CallId) {
        let gone = self.numbers.remove(&call).unwrap_or_default();
        self.leave(call, gone);
    }

    fn leave(&mut self, call: CallId, numbers: Vec<Option<Number>>) {
        for number in numbers {
            if let Some(calls) = self.calls.get_mut(&number) {
                calls.remove(&call);
                if calls.is_empty() {
                    self.calls.remove(&number);
                }
            }
        }
    }

    /// The calls of which a way says this number, or says none; the newest first.
    pub(super) fn of(&self, number: &Option<Number>) -> impl Iterator<Item = CallId> {
        self.calls.get(number).into_iter().flat_map(|calls| calls.iter().rev().take(MOST_COMPARED).copied())
    }
}
