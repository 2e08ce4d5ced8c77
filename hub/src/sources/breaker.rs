//! When a source is left alone: after so many questions in a row without an answer in time it rests, then one
//! question tries whether it is back. Pure: it is told the time, as what has passed since some beginning.

use std::time::Duration;

use pinkas_protocol::Failure;

/// When a source is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// After so many questions in a row that failed or were late; at least 1.
    pub after: u32,
    /// For so long.
    pub lasts: Duration,
}

/// What a question says about the source's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered in time.
    Good,
    /// It failed, or had not answered at its deadline.
    Bad,
    /// Nothing: what went wrong was in this one question.
    Neither,
}

impl Outcome {
    /// What an answer that came in time says: none of its failures, or this one.
    pub fn of(failure: Option<&Failure>) -> Outcome {
        match failure {
            None => Outcome::Good,
            // It is there and answers; that the answer is of no use is for the card to say, each time.
            Some(Failure::NotUnderstood { what }) if what != BROKE_OFF => Outcome::Good,
            Some(Failure::Refused { what }) if is_of_one_question(what) => Outcome::Neither,
            Some(Failure::NotAsked { .. } | Failure::Busy | Failure::Resting) => Outcome::Neither,
            Some(_) => Outcome::Bad,
        }
    }
}

/// How a source says that an answer broke off.
pub(super) const BROKE_OFF: &str = "the answer broke off";

/// Refusals that what one caller keyed in can bring about: with them, nobody must be able to have a source
/// left alone for everybody else.
fn is_of_one_question(what: &str) -> bool {
    ["HTTP 400", "HTTP 410", "HTTP 414", "HTTP 422"].contains(&what) || what.contains("(SQLSTATE 22")
}

/// How a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is asked.
    Asked,
    /// It is left alone for so long still; zero: the next question tries whether it is back.
    Rests {
        /// How long still.
        left: Duration,
    },
    /// One question is under way to try it.
    Tried,
}

/// What became of it with an outcome, for whoever tells people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It stands as before.
    Same,
    /// It is left alone from now on.
    Rests,
    /// It answers again.
    Back,
}

/// Leave to ask once. What becomes of the question is said with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    epoch: u64,
}

/// The breaker of one source.
#[derive(Debug)]
pub struct Breaker {
    /// `None`: the source is always asked.
    rule: Option<Rule>,
    state: State,
    /// Counts changes of the state, so that what was asked before one says nothing after it.
    epoch: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asked { bad: u32 },
    Rests { until: Duration },
    Tried,
}

impl Breaker {
    /// A breaker that knows nothing bad yet.
    pub fn new(rule: Option<Rule>) -> Breaker {
        Breaker { rule, state: State::Asked { bad: 0 }, epoch: 0 }
    }

    /// Leave to ask now, unless the source rests. After its rest only the first gets it, until that is over.
    pub fn may_ask(&mut self, now: Duration) -> Option<Ticket> {
        match self.state {
            State::Asked { .. } => {}
            State::Rests { until } if now >= until => self.becomes(State::Tried),
            State::Rests { .. } | State::Tried => return None,
        }
        Some(Ticket { epoch: self.epoch })
    }

    /// Takes in what became of a question.
    pub fn ended(&mut self, now: Duration, ticket: Ticket, outcome: Outcome) -> Change {
        let Some(rule) = self.rule.filter(|_| ticket.epoch == self.epoch) else { return Change::Same };
        let rests = State::Rests { until: now.saturating_add(rule.lasts) };
        match (self.state, outcome) {
            (State::Asked { .. }, Outcome::Good) => self.state = State::Asked { bad: 0 },
            (State::Asked { bad }, Outcome::Bad) if bad + 1 >= rule.after => {
                self.becomes(rests);
                return Change::Rests;
            }
            (State::Asked { bad }, Outcome::Bad) => self.state = State::Asked { bad: bad + 1 },
            (State::Tried, Outcome::Good) => {
                self.becomes(State::Asked { bad: 0 });
                return Change::Back;
            }
            (State::Tried, Outcome::Bad) => self.becomes(rests),
            // The next one tries.
            (State::Tried, Outcome::Neither) => self.becomes(State::Rests { until: now }),
            (State::Asked { .. }, Outcome::Neither) | (State::Rests { .. }, _) => {}
        }
        Change::Same
    }

    /// How the source stands.
    pub fn standing(&self, now: Duration) -> Standing {
        match self.state {
            State::Asked { .. } => Standing::Asked,
            State::Rests { until } => Standing::Rests { left: until.saturating_sub(now) },
            State::Tried => Standing::Tried,
        }
    }

    fn becomes(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const RULE: Rule = Rule { after: 3, lasts: Duration::from_secs(15) };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn asks(breaker: &mut Breaker, now: u64, outcome: Outcome) -> Option<Change> {
        let ticket = breaker.may_ask(at(now))?;
        Some(breaker.ended(at(now), ticket, outcome))
    }

    #[test]
    fn a_source_rests_after_so_many_in_a_row_is_tried_once_and_is_back_when_it_answers() {
        use Outcome::{Bad, Good, Neither};
        let mut breaker = Breaker::new(Some(RULE));
        for (now, outcome, expected) in [
            (0, Bad, Some(Change::Same)),
            (0, Bad, Some(Change::Same)),
            (1, Good, Some(Change::Same)),
            (2, Bad, Some(Change::Same)),
            (2, Neither, Some(Change::Same)),
            (3, Bad, Some(Change::Same)),
            (4, Bad, Some(Change::Rests)),
            (4, Good, None),
            (18, Good, None),
            (19, Bad, Some(Change::Same)),
            (33, Good, None),
            (34, Neither, Some(Change::Same)),
            (34, Good, Some(Change::Back)),
            (34, Bad, Some(Change::Same)),
            (35, Good, Some(Change::Same)),
        ] {
            assert_eq!(asks(&mut breaker, now, outcome), expected, "at {now}: {outcome:?}");
        }
    }

    #[test]
    fn while_one_tries_nobody_else_does_and_what_was_asked_before_the_rest_says_nothing() {
        let mut breaker = Breaker::new(Some(RULE));
        let old = [breaker.may_ask(at(0)), breaker.may_ask(at(0))].map(|ticket| ticket.expect("asked"));
        for _ in 0..3 {
            assert!(asks(&mut breaker, 1, Outcome::Bad).is_some());
        }
        assert_eq!(breaker.standing(at(6)), Standing::Rests { left: at(10) });
        let [one, two] = old;
        assert_eq!(breaker.ended(at(2), one, Outcome::Good), Change::Same);
        let tries = breaker.may_ask(at(16)).expect("one tries");
        assert_eq!(breaker.standing(at(16)), Standing::Tried);
        assert_eq!(breaker.ended(at(17), two, Outcome::Good), Change::Same, "it is not the one that tries");
        assert_eq!((breaker.may_ask(at(17)), breaker.may_ask(at(1000))), (None, None));
        assert_eq!(breaker.ended(at(1000), tries, Outcome::Good), Change::Back);
        assert_eq!(breaker.standing(at(1000)), Standing::Asked);
    }

    #[test]
    fn without_a_rule_a_source_is_always_asked() {
        let mut breaker = Breaker::new(None);
        for now in 0..1000 {
            assert_eq!(asks(&mut breaker, now, Outcome::Bad), Some(Change::Same));
        }
    }

    #[test]
    fn what_a_failure_says_about_the_source() {
        let refused = |what: &str| Failure::Refused { what: what.to_owned() };
        let not_understood = |what: &str| Failure::NotUnderstood { what: what.to_owned() };
        for (failure, expected) in [
            (None, Outcome::Good),
            (Some(not_understood("field balance: not a number")), Outcome::Good),
            (Some(not_understood(BROKE_OFF)), Outcome::Bad),
            (Some(refused("HTTP 500")), Outcome::Bad),
            (Some(refused("HTTP 401")), Outcome::Bad),
            (Some(refused("HTTP 429")), Outcome::Bad),
            (Some(refused("HTTP 400")), Outcome::Neither),
            (Some(refused("an error of the database (SQLSTATE 22P02)")), Outcome::Neither),
            (Some(refused("no such table (SQLSTATE 42P01)")), Outcome::Bad),
            (Some(Failure::Unreachable), Outcome::Bad),
            (Some(Failure::TooLarge), Outcome::Bad),
            (Some(Failure::NoAnswer { deadline_ms: 800 }), Outcome::Bad),
            (Some(Failure::NotAsked { what: String::new() }), Outcome::Neither),
        ] {
            assert_eq!(Outcome::of(failure.as_ref()), expected, "{failure:?}");
        }
    }

    proptest! {
        /// Questions begin and end in any order at any time. Beside the breaker stands its rule in other words:
        /// what counts since the last change is kept as a list.
        #[test]
        fn in_any_story_it_rests_by_its_rule_and_never_more_than_one_tries(
            after in 1u32..6,
            story in proptest::collection::vec((0u8..5, 0u64..9, 0usize..8), 0..400),
        ) {
            let lasts = at(15);
            let mut breaker = Breaker::new(Some(Rule { after, lasts }));
            // Each open ticket, and in which time between two changes it was given out.
            let mut open: Vec<(Ticket, usize)> = Vec::new();
            let (mut now, mut time, mut bad) = (at(0), 0usize, 0u32);
            let mut rests_until: Option<Duration> = None;
            let mut tries = false;
            for (what, passes, which) in story {
                now += at(passes);
                if what < 2 {
                    let given = breaker.may_ask(now);
                    match rests_until {
                        None => prop_assert!(given.is_some()),
                        Some(until) if now >= until && !tries => {
                            prop_assert!(given.is_some(), "its rest is over");
                            tries = true;
                            time += 1;
                        }
                        Some(_) => prop_assert!(given.is_none(), "it rests, or one tries already"),
                    }
                    open.extend(given.map(|ticket| (ticket, time)));
                } else if !open.is_empty() {
                    let (ticket, given_in) = open.swap_remove(which % open.len());
                    let outcome = [Outcome::Good, Outcome::Bad, Outcome::Neither][usize::from(what - 2)];
                    let change = breaker.ended(now, ticket, outcome);
                    let mut expected = Change::Same;
                    if given_in == time {
                        match (rests_until, outcome) {
                            (None, Outcome::Good) => bad = 0,
                            (None, Outcome::Bad) if bad + 1 == after => {
                                (rests_until, bad, expected) = (Some(now + lasts), 0, Change::Rests);
                                time += 1;
                            }
                            (None, Outcome::Bad) => bad += 1,
                            (None, Outcome::Neither) => {}
                            (Some(_), ended) => {
                                tries = false;
                                time += 1;
                                match ended {
                                    Outcome::Good => (rests_until, expected) = (None, Change::Back),
                                    Outcome::Bad => rests_until = Some(now + lasts),
                                    Outcome::Neither => rests_until = Some(now),
                                }
                            }
                        }
                    }
                    prop_assert_eq!(change, expected);
                }
                let trying = open.iter().filter(|(_, given)| *given == time).count();
                prop_assert!(rests_until.is_none() || trying <= 1);
                let standing = match rests_until {
                    None => Standing::Asked,
                    Some(_) if tries => Standing::Tried,
                    Some(until) => Standing::Rests { left: until.saturating_sub(now) },
                };
                prop_assert_eq!(breaker.standing(now), standing);
            }
        }
    }
}
