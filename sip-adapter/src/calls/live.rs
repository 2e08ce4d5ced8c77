//! A call that has not ended, as the machine holds it and as it is kept on disk between runs.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pinkas_protocol::call::MOST_TAGS;
use pinkas_protocol::{CallFacts, Caller, Line, Number, QueueName};
use serde::{Deserialize, Serialize};

use crate::hear::{CallKey, Way};
use crate::sip::tags;

/// Who is believed about the caller, best first: only the SIP messages themselves carry privacy, who
/// asserts the number, and its verdict.
const CALLER_BY: [Way; 4] = [Way::Hep, Way::Ami, Way::Shadow, Way::DialogEvents];
/// Who is believed about everything else that is known of a call as a whole.
const FACTS_BY: [Way; 4] = [Way::Ami, Way::Hep, Way::Shadow, Way::DialogEvents];

/// What a way calls a call.
pub(super) type Name = (Way, CallKey);

/// A call that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCall {
    /// What each way says of it.
    heard: BTreeMap<Way, CallFacts>,
    pub(super) arrived_at: Timestamp,
    /// Where it waits, until it is answered.
    pub(super) waits: Option<(QueueName, u32)>,
    pub(super) legs: BTreeMap<Line, Leg>,
    /// What the ways that name calls call it.
    pub(super) names: BTreeSet<Name>,
    /// Somebody has answered, now or earlier.
    pub(super) answered: bool,
    /// Somebody has declined.
    pub(super) declined: bool,
}

/// A call at one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Leg {
    /// Rings.
    Ringing,
    /// Stopped ringing; why is not known yet.
    Quiet,
    /// Talks.
    Talking,
    /// Talks with the caller on hold.
    Holding,
    /// Hung up; whether the call goes on elsewhere is not known yet.
    Leaving,
    /// No longer part of the call.
    Gone,
}

impl Leg {
    /// May still be answered.
    pub(super) fn seeks(self) -> bool {
        matches!(self, Leg::Ringing | Leg::Quiet)
    }

    /// Has the caller.
    pub(super) fn talks(self) -> bool {
        matches!(self, Leg::Talking | Leg::Holding)
    }
}

impl LiveCall {
    pub(super) fn new(by: Way, facts: CallFacts, arrived_at: Timestamp) -> LiveCall {
        LiveCall {
            heard: BTreeMap::from([(by, facts)]),
            arrived_at,
            waits: None,
            legs: BTreeMap::new(),
            names: BTreeSet::new(),
            answered: false,
            declined: false,
        }
    }

    /// Takes in what a way says; what it does not say leaves what it said before.
    pub(super) fn learn(&mut self, by: Way, said: CallFacts) {
        let known = self.heard.entry(by).or_default();
        let CallFacts { caller, queue, dialled, diverted_by, tags } = said;
        if caller != Caller::default() {
            known.caller = caller;
        }
        known.queue = queue.or(known.queue.take());
        known.dialled = dialled.or(known.dialled.take());
        known.diverted_by = diverted_by.or(known.diverted_by.take());
        known.tags.extend(tags);
    }

    /// What is known, each fact from the way that is best informed of it. A caller whom any way knows as
    /// withheld stays so.
    pub(super) fn facts(&self) -> CallFacts {
        let by = |order: [Way; 4]| order.into_iter().filter_map(|way| self.heard.get(&way));
        let callers = || by(CALLER_BY).map(|facts| &facts.caller);
        let caller = if callers().any(|caller| caller.withheld) {
            Caller { withheld: true, ..Caller::default() }
        } else {
            Caller {
                number: callers().find_map(|caller| caller.number.clone()),
                name: callers().find_map(|caller| caller.name.clone()),
                withheld: false,
                stir: callers().find_map(|caller| caller.stir),
            }
        };
        let mut said_of = BTreeMap::new();
        for (name, value) in by(FACTS_BY).flat_map(|facts| &facts.tags) {
            if said_of.len() < MOST_TAGS {
                said_of.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        if caller.withheld {
            // What one way keeps, the tags of another must not tell.
            let numbers = callers().filter_map(|caller| caller.number.as_ref()?.key());
            let known: Vec<String> = numbers.map(tags::digits).collect();
            said_of.retain(|_, value| !tags::tells_number(&value.0, &known));
        }
        CallFacts {
            caller,
            queue: by(FACTS_BY).find_map(|facts| facts.queue.clone()),
            dialled: by(FACTS_BY).find_map(|facts| facts.dialled.clone()),
            diverted_by: by(FACTS_BY).find_map(|facts| facts.diverted_by.clone()),
            tags: said_of,
        }
    }

    /// The numbers that the ways say of its caller; `None` where a way says none.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &Option<Number>> {
        self.heard.values().map(|facts| &facts.caller.number)
    }

    /// Whether a way has said all this before.
    pub(super) fn knows(&self, by: Way, said: &CallFacts) -> bool {
        fn adds<T: PartialEq>(said: &Option<T>, known: &Option<T>) -> bool {
            said.is_some() && said != known
        }
        let adds_to = |known: &CallFacts| {
            (said.caller != known.caller && said.caller != Caller::default())
                || adds(&said.queue, &known.queue)
                || adds(&said.dialled, &known.dialled)
                || adds(&said.diverted_by, &known.diverted_by)
                || said.tags.iter().any(|(name, value)| known.tags.get(name) != Some(value))
        };
        self.heard.get(&by).is_some_and(|known| !adds_to(known))
    }

    /// Whether a caller may be this call's, by what any way says of it.
    pub(super) fn is_from(&self, caller: &Caller) -> bool {
        self.heard.values().any(|facts| facts.caller.looks_like(caller))
    }

    pub(super) fn named_by(&self, way: Way) -> bool {
        self.names.iter().any(|(by, _)| *by == way)
    }

    pub(super) fn lines(&self, is: impl Fn(Leg) -> bool) -> Vec<Line> {
        self.legs.iter().filter(|(_, leg)| is(**leg)).map(|(line, _)| line.clone()).collect()
    }

    pub(super) fn has(&self, is: impl Fn(Leg) -> bool) -> bool {
        self.legs.values().any(|leg| is(*leg))
    }

    /// The line that has the caller, or had until a moment ago.
    pub(super) fn talker(&self) -> Option<Line> {
        let talks = self.legs.iter().find(|(_, leg)| leg.talks());
        let left = || self.legs.iter().find(|(_, leg)| **leg == Leg::Leaving);
        talks.or_else(left).map(|(line, _)| line.clone())
    }
}

#[cfg(test)]
mod tests {
    use pinkas_protocol::{NumberPlan, Private};

    use super::*;

    #[test]
    fn a_tag_never_tells_the_number_that_another_way_keeps() {
        let number = NumberPlan::new("IL", 4).expect("a plan").read("0501234567");
        let tag = |name: &str, value: &str| (name.parse().expect("a name"), Private(value.to_owned()));
        let tags = BTreeMap::from([tag("caller", "050-123-4567"), tag("customer", "4711")]);
        let open = CallFacts { caller: Caller { number, ..Caller::default() }, tags, ..CallFacts::default() };
        let mut call = LiveCall::new(Way::Hep, open, Timestamp::UNIX_EPOCH);
        assert_eq!(call.facts().tags.len(), 2);
        let kept = Caller { withheld: true, ..Caller::default() };
        call.learn(Way::Ami, CallFacts { caller: kept, ..CallFacts::default() });
        let names: Vec<String> = call.facts().tags.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["customer"]);
    }
}
