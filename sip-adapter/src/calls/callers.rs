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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pinkas_protocol::{CallFacts, Caller};
    use uuid::Uuid;

    use super::*;
    use crate::hear::Way;

    fn said(digits: &str) -> CallFacts {
        let number = Some(Number::Extension { digits: digits.to_owned() });
        CallFacts { caller: Caller { number, ..Caller::default() }, ..CallFacts::default() }
    }

    #[test]
    fn a_call_is_found_by_what_each_way_says_now_however_often_it_is_said() {
        let mut callers = Callers::default();
        let call = CallId(Uuid::from_u128(7));
        let found = |callers: &Callers, digits: &str| callers.of(&said(digits).caller.number).count();
        let mut live = LiveCall::new(Way::DialogEvents, said("101"), Timestamp::UNIX_EPOCH);
        for _ in 0..3 {
            callers.note(call, &live);
            assert_eq!(found(&callers, "101"), 1);
        }
        live.learn(Way::Shadow, said("102"));
        callers.note(call, &live);
        assert_eq!((found(&callers, "101"), found(&callers, "102")), (1, 1));
        live.learn(Way::DialogEvents, said("103"));
        callers.note(call, &live);
        assert_eq!(["101", "102", "103"].map(|digits| found(&callers, digits)), [0, 1, 1]);
        callers.forget(call);
        assert_eq!(["101", "102", "103"].map(|digits| found(&callers, digits)), [0; 3]);
        assert!(callers.calls.is_empty() && callers.numbers.is_empty());
    }
}
