//! What a card shows, out of what its source said and the last figures it gave before: pure, and told both.
//! Old figures are never shown without saying why, and never as if they were of now.

use jiff::Timestamp;
use pinkas_protocol::{CardState, Facts, Failure};

use super::Answer;

/// What a source said before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// The figures.
    pub facts: Facts,
    /// When they were true.
    pub as_of: Timestamp,
}

/// How far a question has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Since its asking, in milliseconds.
    pub took_ms: u64,
    /// The source's deadline, in milliseconds.
    pub deadline_ms: u64,
    /// The card has shown that the deadline passed.
    pub late: bool,
    /// The time, for figures of which the source does not say when they were true.
    pub now: Timestamp,
}

/// The card's state. `answer` is `None` when none came: not by the deadline, or, once it is late, not at all.
/// `old` is looked up only where it may be shown.
pub fn shown(
    answer: Option<Result<Answer, Failure>>,
    course: Course,
    old: impl FnOnce() -> Option<Old>,
) -> CardState {
    let Course { took_ms, deadline_ms, late, now } = course;
    let waits = answer.is_none() && !late;
    let failure = match answer {
        Some(Ok(Answer::Facts { facts, as_of })) => {
            let as_of = as_of.unwrap_or(now);
            return CardState::Filled { facts, as_of, took_ms, late, old: None };
        }
        Some(Ok(Answer::Nothing)) => return CardState::Nothing { took_ms },
        Some(Ok(Answer::Customers(_))) => unfitting(),
        // There was nothing to ask it with, so what it said to another question is no answer to this one.
        Some(Err(failure @ Failure::NotAsked { .. })) => return CardState::Failed { failure, took_ms },
        Some(Err(failure)) => failure,
        None => Failure::NoAnswer { deadline_ms },
    };
    match old() {
        Some(Old { facts, as_of }) => {
            CardState::Filled { facts, as_of, took_ms, late: false, old: Some(failure) }
        }
        None if waits => CardState::Late { deadline_ms },
        None => CardState::Failed { failure, took_ms },
    }
}

/// A directory that was to give figures, or the other way round.
pub(super) fn unfitting() -> Failure {
    Failure::NotUnderstood { what: "not what this source is to give".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(product: &str) -> Facts {
        let purchase = pinkas_protocol::card::Purchase {
            date: None,
            product: product.to_owned(),
            quantity: None,
            amount: None,
        };
        Facts::Purchases { purchases: vec![purchase] }
    }

    fn line(answer: Option<Result<Answer, Failure>>, late: bool, has_old: bool) -> String {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let old = || has_old.then(|| Old { facts: facts("flour"), as_of: at(5) });
        match shown(answer, Course { took_ms: 7, deadline_ms: 800, late, now: at(11) }, old) {
            CardState::Waiting => "waiting".to_owned(),
            CardState::Late { deadline_ms } => format!("late after {deadline_ms}"),
            CardState::Nothing { took_ms } => format!("nothing in {took_ms}"),
            CardState::Failed { failure, took_ms } => format!("{failure} in {took_ms}"),
            CardState::Filled { facts: said, as_of, took_ms, late, old } => {
                let which = if said == facts("flour") { "old" } else { "new" };
                let old = old.map(|failure| format!(" because {failure}")).unwrap_or_default();
                format!("{which} of {} in {took_ms}, late {late}{old}", as_of.as_second())
            }
        }
    }

    #[test]
    fn old_figures_stand_only_where_none_came_and_say_why() {
        let new = || Some(Ok(Answer::Facts { facts: facts("salt"), as_of: Timestamp::from_second(9).ok() }));
        let failed = |failure| Some(Err(failure));
        let undated = || Some(Ok(Answer::Facts { facts: facts("salt"), as_of: None }));
        let not_asked = || failed(Failure::NotAsked { what: "no number".to_owned() });
        for (answer, late, old, expected) in [
            (new(), false, true, "new of 9 in 7, late false"),
            (new(), true, true, "new of 9 in 7, late true"),
            (undated(), false, true, "new of 11 in 7, late false"),
            (failed(Failure::NoAnswer { deadline_ms: 800 }), false, false, "no answer in 800 ms in 7"),
            (Some(Ok(Answer::Nothing)), false, true, "nothing in 7"),
            (None, false, false, "late after 800"),
            (None, false, true, "old of 5 in 7, late false because no answer in 800 ms"),
            (None, true, false, "no answer in 800 ms in 7"),
            (None, true, true, "old of 5 in 7, late false because no answer in 800 ms"),
            (failed(Failure::Unreachable), false, false, "cannot be reached in 7"),
            (failed(Failure::Unreachable), true, true, "old of 5 in 7, late false because cannot be reached"),
            (failed(Failure::Busy), false, true, "old of 5 in 7, late false because too busy"),
            (
                failed(Failure::Resting),
                false,
                true,
                "old of 5 in 7, late false because failed again and again; left alone for a while",
            ),
            (not_asked(), false, true, "not asked: no number in 7"),
            (
                Some(Ok(Answer::Customers(Vec::new()))),
                false,
                false,
                "answer not understood: not what this source is to give in 7",
            ),
        ] {
            assert_eq!(line(answer, late, old), expected);
        }
    }
}
