//! Which live calls a caller may have brought: found by number, so that a word about one call costs the same
//! whether ten are live or ten thousand. Only says where to look; who is meant is for the machine to decide.

use std::collections::{BTreeMap, BTreeSet};

use pinkas_protocol::{CallId, Number};

use super::LiveCall;

/// How many of the newest calls of one caller are looked at.
const MOST_COMPARED: usize = 200;

/// The live calls by the numbers that any way says of their callers; those without one are together.
#[derive(Default)]
pub(super) struct Callers {
    calls: BTreeMap<Option<Number>, BTreeSet<CallId>>,
    numbers: BTreeMap<CallId, BTreeSet<Option<Number>>>,
}

impl Callers {
    /// Notes what is known of a call now.
    pub(super) fn note(&mut self, call: CallId, live: &LiveCall) {
        let known = self.numbers.get(&call);
        if known.is_some_and(|known| live.numbers().all(|number| known.contains(number)))
            && known.map(BTreeSet::len) == Some(live.numbers().collect::<BTreeSet<_>>().len())
        {
            return;
        }
        self.forget(call);
        let numbers: BTreeSet<Option<Number>> = live.numbers().cloned().collect();
        for number in &numbers {
            self.calls.entry(number.clone()).or_default().insert(call);
        }
        self.numbers.insert(call, numbers);
    }

    /// A call is over.
    pub(super) fn forget(&mut self, call: CallId) {
        for number in self.numbers.remove(&call).into_iter().flatten() {
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
