//! Notices that the shadow extension is rung like a member of a queue. A queue takes it for a free agent: while
//! everyone is busy it rings there alone, gives up after some seconds, and offers the same caller again. A ring
//! group offers a call once. That it rings long says nothing: with nobody at their desks so does a ring group.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use pinkas_protocol::Caller;

use crate::hear::OverBy;

/// A queue offers a caller again after at most so long (Asterisk's `retry` is 5 s when not written).
const AGAIN_WITHIN: Duration = Duration::from_secs(10);
/// After so many times in a row it is no caller who dials again.
const ROUNDS: u8 = 3;
/// The most callers remembered.
const MOST: usize = 256;

/// The shadow extension is rung like a member of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RungAlone;

impl fmt::Display for RungAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the shadow extension is offered the same caller again and again, as a member of a queue is: callers then \
             ring there, where nobody answers, instead of waiting for a person, and the queue's figures count it. \
             Take it out of every queue and put it into a ring group only",
        )
    }
}

/// Who was withdrawn lately, and how often.
#[derive(Default)]
pub(super) struct Rounds {
    lately: BTreeMap<String, (u8, Duration)>,
}

impl Rounds {
    /// A caller rings. Tells once for each row of rounds.
    pub(super) fn offered(&mut self, now: Duration, caller: &Caller) -> Option<RungAlone> {
        self.lately.retain(|_, (_, at)| now.saturating_sub(*at) <= AGAIN_WITHIN);
        let (rounds, _) = self.lately.get_mut(&name(caller)?)?;
        *rounds = rounds.saturating_add(1);
        (*rounds == ROUNDS).then_some(RungAlone)
    }

    /// A caller rings no more.
    pub(super) fn withdrawn(&mut self, now: Duration, caller: &Caller, by: OverBy) {
        let Some(name) = name(caller) else { return };
        if by == OverBy::Colleague {
            self.lately.remove(&name);
        } else if self.lately.len() < MOST || self.lately.contains_key(&name) {
            self.lately.entry(name).or_default().1 = now;
        }
    }
}

/// Callers without a number look alike, so nothing is concluded from them.
fn name(caller: &Caller) -> Option<String> {
    caller.number.as_ref()?.key().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use pinkas_protocol::NumberPlan;

    use super::*;

    enum Step {
        Offered(&'static str),
        Withdrawn(&'static str, OverBy),
    }
    use Step::{Offered, Withdrawn};

    /// Seconds and what happens then; gives when it is told.
    fn check(story: &[(u64, Step)], told_at: &[u64]) {
        let caller =
            |number: &str| Caller { number: NumberPlan::default().read(number), ..Caller::default() };
        let mut rounds = Rounds::default();
        let mut told = Vec::new();
        for (second, step) in story {
            let now = Duration::from_secs(*second);
            match step {
                Offered(number) => told.extend(rounds.offered(now, &caller(number)).map(|_| *second)),
                Withdrawn(number, by) => rounds.withdrawn(now, &caller(number), *by),
            }
        }
        assert_eq!(told, told_at);
    }

    const A: &str = "+972541234567";
    const B: &str = "+48221234567";

    fn turns(number: &'static str, times: u64, ringing: u64, pause: u64) -> Vec<(u64, Step)> {
        let turn = |n: u64| {
            let begin = n * (ringing + pause);
            [(begin, Offered(number)), (begin + ringing, Withdrawn(number, OverBy::Caller))]
        };
        (0..times).flat_map(turn).collect()
    }

    #[test]
    fn a_queue_that_offers_a_caller_again_and_again_is_told_once() {
        check(&turns(A, 4, 15, 5), &[60]);
        check(&turns(A, 40, 15, 1), &[48]);
        check(&turns(A, 40, 15, 10), &[75]);
    }

    #[test]
    fn a_ring_group_is_not_told() {
        check(&turns(A, 1, 180, 0), &[]);
        check(&turns(A, 3, 20, 5), &[]);
        check(&turns(A, 40, 15, 11), &[]);
        // One call after the other, each answered.
        let answered =
            (0..20).flat_map(|n| [(n * 5, Offered(A)), (n * 5 + 4, Withdrawn(A, OverBy::Colleague))]);
        check(&answered.collect::<Vec<_>>(), &[]);
        // Many callers.
        let mixed = (0..20).flat_map(|n| {
            let who = if n % 2 == 0 { A } else { B };
            [(n * 10, Offered(who)), (n * 10 + 9, Withdrawn(who, OverBy::Caller))]
        });
        check(&mixed.collect::<Vec<_>>(), &[]);
        // Callers who tell no number.
        check(&turns("", 40, 5, 1), &[]);
    }

    #[test]
    fn a_colleague_who_answers_ends_the_count() {
        let mut story = turns(A, 3, 5, 5);
        story.extend([(30, Offered(A)), (31, Withdrawn(A, OverBy::Colleague)), (35, Offered(A))]);
        check(&story, &[30]);
        let mut story = turns(A, 2, 5, 5);
        story.extend([(20, Offered(A)), (21, Withdrawn(A, OverBy::Colleague))]);
        story.extend([(25, Offered(A)), (26, Withdrawn(A, OverBy::Caller)), (27, Offered(A))]);
        check(&story, &[]);
    }
}
