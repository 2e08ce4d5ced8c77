//! When to register, refresh, keep away, leave. Pure: it says which REGISTER is due and takes what came of it.
//! It looks before each registration, because Asterisk rings only the newest contact of an extension: where
//! a phone is registered, registering would take its calls.

use std::fmt;
use std::time::Duration;

use super::contacts::{Contacts, plain};

/// What only a person can change is tried so seldom.
pub(super) const RARELY: Duration = Duration::from_secs(300);
/// The longest wait after other failures.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest registration accepted.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A REGISTER to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Without Contact: who is registered? (RFC 3261 section 10.2.3)
    WhoIsThere,
    /// With our contact, for so long.
    Add(Duration),
    /// What an earlier run left is not there any more.
    Clear(Vec<String>),
    /// Our contact, and what an earlier run left, is not there any more.
    Leave(Vec<String>),
}

/// What came of a REGISTER.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answered {
    /// It was accepted.
    Accepted {
        /// Everyone who is registered now.
        contacts: Contacts,
        /// For how long, by `Expires`.
        granted: Option<Duration>,
    },
    /// For so short a time it is not accepted; at least so long (423).
    TooBrief(Duration),
    /// It was not.
    Failed(Trouble),
}

/// Why it is not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Somebody else is: their hosts.
    Foreign(Vec<String>),
    /// The password or user is wrong.
    Password,
    /// Another realm asks for it.
    Realm(String),
    /// It is asked for in a way not understood.
    Digest(String),
    /// There is no such extension.
    NoExtension,
    /// Refused, for so long at least.
    Refused {
        /// The status code.
        code: u16,
        /// When to ask again.
        retry_after: Option<Duration>,
    },
    /// Nothing came back.
    Silence,
}

/// One registration.
#[derive(Debug)]
pub(super) struct Registration {
    next: Ask,
    due: Duration,
    /// Until when it stands.
    until: Option<Duration>,
    asked: Duration,
    failures: u32,
    /// Our contact was sent, and not withdrawn since: it may stand though nothing says so.
    added: bool,
    /// Somebody else was registered when it last looked.
    away: bool,
}

impl Registration {
    /// Nothing was sent yet; `expires` is how long one registration shall last.
    pub(super) fn new(expires: Duration) -> Registration {
        Registration {
            next: Ask::WhoIsThere,
            due: Duration::ZERO,
            until: None,
            asked: expires,
            failures: 0,
            added: false,
            away: false,
        }
    }

    /// What to send now, if anything.
    pub(super) fn due(&self, now: Duration) -> Option<Ask> {
        (self.due <= now).then(|| self.next.clone())
    }

    /// When to look again: something is due, or the registration has lapsed.
    pub(super) fn wake(&self, now: Duration) -> Duration {
        self.lapses(now).map_or(self.due, |until| until.min(self.due))
    }

    /// When what stands now will have lapsed.
    pub(super) fn lapses(&self, now: Duration) -> Option<Duration> {
        self.until.filter(|until| *until > now)
    }

    /// Calls that come all the same are somebody else's.
    pub(super) fn keeps_away(&self) -> bool {
        self.away
    }

    /// There may be something to withdraw.
    pub(super) fn may_stand(&self) -> bool {
        self.added || matches!(self.next, Ask::Add(_))
    }

    /// The phone system sends calls here.
    pub(super) fn stands(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Takes what came of the last that was due. Gives the trouble, if it is one.
    pub(super) fn hear(&mut self, now: Duration, answered: Answered) -> Result<(), Trouble> {
        match self.next {
            Ask::Add(_) => self.added = true,
            Ask::Leave(_) if matches!(answered, Answered::Accepted { .. }) => self.added = false,
            Ask::WhoIsThere | Ask::Clear(_) | Ask::Leave(_) => {}
        }
        match answered {
            Answered::Accepted { contacts, granted } => self.accepted(now, contacts, granted),
            Answered::TooBrief(least)
                if matches!(self.next, Ask::Add(_))
                    && self.failures == 0
                    && (self.asked..=LONGEST).contains(&least) =>
            {
                (self.asked, self.failures, self.due) = (least, 1, now);
                self.next = Ask::Add(least);
                Ok(())
            }
            Answered::TooBrief(_) => self.failed(now, Trouble::Refused { code: 423, retry_after: None }),
            Answered::Failed(trouble) => self.failed(now, trouble),
        }
    }

    fn accepted(
        &mut self,
        now: Duration,
        contacts: Contacts,
        granted: Option<Duration>,
    ) -> Result<(), Trouble> {
        let sent = std::mem::replace(&mut self.next, Ask::WhoIsThere);
        self.due = now;
        if !matches!(sent, Ask::Leave(_)) {
            self.away = !contacts.foreign.is_empty();
        }
        match sent {
            Ask::Leave(_) => self.due = now + RARELY,
            Ask::WhoIsThere | Ask::Clear(_) | Ask::Add(_) if !contacts.foreign.is_empty() => {
                // It was registered just now, or came to stand beside somebody: away at once.
                if self.added || contacts.ours.is_some() || !contacts.left.is_empty() {
                    self.next = Ask::Leave(contacts.left);
                } else {
                    self.due = now + RARELY;
                }
                self.until = None;
                return Err(Trouble::Foreign(contacts.foreign));
            }
            Ask::WhoIsThere if !contacts.left.is_empty() => self.next = Ask::Clear(contacts.left),
            Ask::WhoIsThere | Ask::Clear(_) => self.next = Ask::Add(self.asked),
            Ask::Add(asked) => {
                let granted = contacts.ours.flatten().or(granted).unwrap_or(asked).min(LONGEST);
                if granted.is_zero() {
                    return self.failed(now, Trouble::Refused { code: 200, retry_after: None });
                }
                self.failures = 0;
                self.until = Some(now + granted);
                self.due = now + (granted / 2).max(Duration::from_secs(1));
            }
        }
        Ok(())
    }

    fn failed(&mut self, now: Duration, trouble: Trouble) -> Result<(), Trouble> {
        self.failures = self.failures.saturating_add(1);
        let backoff = Duration::from_secs(1 << self.failures.min(6)).min(LONGEST_WAIT);
        let leaving = matches!(self.next, Ask::Leave(_));
        let wait = match &trouble {
            // Somebody's calls are at stake; what cannot be withdrawn lapses by itself.
            _ if leaving && self.failures < 4 => Duration::from_secs(2),
            Trouble::Foreign(_)
            | Trouble::Password
            | Trouble::Realm(_)
            | Trouble::Digest(_)
            | Trouble::NoExtension => RARELY,
            Trouble::Refused { code: 400..500, retry_after: None } => RARELY,
            Trouble::Refused { retry_after, .. } => retry_after.unwrap_or(backoff).clamp(backoff, RARELY),
            Trouble::Silence => backoff,
        };
        if !(leaving && self.failures < 4) {
            self.next = Ask::WhoIsThere;
        }
        self.due = now + wait;
        Err(trouble)
    }
}

impl fmt::Display for Trouble {
    /// Goes on from "extension 199 is not registered: ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Foreign(hosts) => write!(
                f,
                "somebody else is registered for it ({}), and would lose calls to the adapter. Give the adapter an \
                 extension of its own that no phone uses",
                hosts.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ")
            ),
            Trouble::Password => f.write_str("the phone system refuses it: check `user` and the password"),
            Trouble::Realm(realm) => write!(
                f,
                "the phone system asks for another realm, {:?}: nothing was sent; if that is right, write it as `realm`",
                plain(realm)
            ),
            Trouble::Digest(algorithms) => write!(
                f,
                "the phone system asks for a password in a way that is not understood ({}): allow MD5 or SHA-256 there",
                plain(algorithms)
            ),
            Trouble::NoExtension => {
                f.write_str("the phone system does not know it, or lets nobody register for it")
            }
            Trouble::Refused { code: 200, .. } => {
                f.write_str("the phone system registers it for no time at all")
            }
            Trouble::Refused { code, .. } => write!(f, "the phone system refuses REGISTER with {code}"),
            Trouble::Silence => f.write_str("the phone system does not answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn contacts(ours: Option<u64>, left: &[&str], foreign: &[&str]) -> Answered {
        let all = |from: &[&str]| from.iter().map(|text| (*text).to_owned()).collect();
        let contacts = Contacts { ours: ours.map(|s| Some(at(s))), left: all(left), foreign: all(foreign) };
        Answered::Accepted { contacts, granted: None }
    }

    fn failed(trouble: Trouble) -> Answered {
        Answered::Failed(trouble)
    }

    /// When something is sent, what, what comes of it, and whether it is registered afterwards.
    fn check(story: Vec<(u64, Ask, Answered, bool)>) -> Registration {
        let mut registration = Registration::new(at(60));
        let mut now = at(0);
        for (when, ask, answered, stands) in story {
            while registration.due(now).is_none() {
                let wake = registration.wake(now);
                assert!(wake > now, "it wakes again and again at {now:?}");
                now = wake;
            }
            assert_eq!((now, registration.due(now)), (at(when), Some(ask)));
            let _ = registration.hear(now, answered);
            assert_eq!(registration.stands(now), stands, "at {now:?}");
        }
        registration
    }

    const NONE: &[&str] = &[];

    #[test]
    fn it_looks_first_then_registers_and_refreshes_at_half_time_after_looking_again() {
        let registration = check(vec![
            (0, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
            (0, Ask::Add(at(60)), contacts(Some(60), NONE, NONE), true),
            (30, Ask::WhoIsThere, contacts(Some(30), NONE, NONE), true),
            (30, Ask::Add(at(60)), contacts(Some(20), NONE, NONE), true),
            (40, Ask::WhoIsThere, contacts(None, NONE, NONE), true),
            (40, Ask::Add(at(60)), contacts(None, NONE, NONE), true),
        ]);
        // A phone system that lists nobody and says no time grants what was asked.
        assert!(registration.stands(at(99)) && !registration.stands(at(100)));
    }

    #[test]
    fn where_a_phone_is_registered_it_keeps_away_and_looks_rarely() {
        check(vec![
            (0, Ask::WhoIsThere, contacts(None, NONE, &["192.0.2.7"]), false),
            (300, Ask::WhoIsThere, contacts(None, NONE, &["192.0.2.7"]), false),
            (600, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
            (600, Ask::Add(at(60)), contacts(Some(60), NONE, NONE), true),
        ]);
    }

    #[test]
    fn a_phone_that_appears_beside_it_makes_it_leave_at_once() {
        check(vec![
            (0, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
            (0, Ask::Add(at(60)), contacts(Some(60), NONE, &["192.0.2.7"]), false),
            (0, Ask::Leave(vec![]), failed(Trouble::Silence), false),
            (2, Ask::Leave(vec![]), contacts(None, NONE, &["192.0.2.7"]), false),
            (302, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
            (302, Ask::Add(at(60)), contacts(Some(60), NONE, NONE), true),
            (332, Ask::WhoIsThere, contacts(Some(30), NONE, &["192.0.2.7"]), false),
            (332, Ask::Leave(vec![]), contacts(None, NONE, &["192.0.2.7"]), false),
            (632, Ask::WhoIsThere, contacts(None, NONE, &["192.0.2.7"]), false),
        ]);
        // It pushed us out: there is nothing to withdraw, but what an earlier run left.
        check(vec![
            (0, Ask::WhoIsThere, contacts(None, &["sip:old"], &["192.0.2.7"]), false),
            (0, Ask::Leave(vec!["sip:old".to_owned()]), contacts(None, NONE, &["192.0.2.7"]), false),
        ]);
    }

    #[test]
    fn what_an_earlier_run_left_is_cleared_and_is_nobody_elses() {
        check(vec![
            (0, Ask::WhoIsThere, contacts(None, &["sip:old"], NONE), false),
            (0, Ask::Clear(vec!["sip:old".to_owned()]), contacts(None, NONE, NONE), false),
            (0, Ask::Add(at(60)), contacts(Some(60), NONE, NONE), true),
        ]);
    }

    #[test]
    fn a_longer_time_is_taken_once_when_it_is_demanded() {
        check(vec![
            (0, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
            (0, Ask::Add(at(60)), Answered::TooBrief(at(120)), false),
            (0, Ask::Add(at(120)), contacts(Some(120), NONE, NONE), true),
            (60, Ask::WhoIsThere, contacts(Some(60), NONE, NONE), true),
            (60, Ask::Add(at(120)), Answered::TooBrief(at(240)), true),
            (60, Ask::Add(at(240)), Answered::TooBrief(at(480)), true),
            (360, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
        ]);
    }

    #[test]
    fn silence_is_met_with_longer_waits_and_the_registration_stands_until_it_lapses() {
        check(vec![
            (0, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
            (0, Ask::Add(at(60)), contacts(Some(60), NONE, NONE), true),
            (30, Ask::WhoIsThere, failed(Trouble::Silence), true),
            (32, Ask::WhoIsThere, failed(Trouble::Silence), true),
            (36, Ask::WhoIsThere, failed(Trouble::Silence), true),
            (44, Ask::WhoIsThere, failed(Trouble::Silence), true),
            (60, Ask::WhoIsThere, failed(Trouble::Silence), false),
            (92, Ask::WhoIsThere, failed(Trouble::Silence), false),
            (152, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
        ]);
    }

    #[test]
    fn what_only_a_person_can_change_is_tried_rarely() {
        let refused = |code, retry_after| Trouble::Refused { code, retry_after };
        for (trouble, again) in [
            (Trouble::Password, 300),
            (Trouble::Realm("x".to_owned()), 300),
            (Trouble::Digest("x".to_owned()), 300),
            (Trouble::NoExtension, 300),
            (refused(400, None), 300),
            (refused(403, Some(at(20))), 20),
            (refused(503, None), 2),
            (refused(503, Some(at(7))), 7),
            (refused(503, Some(at(100_000))), 300),
        ] {
            check(vec![
                (0, Ask::WhoIsThere, failed(trouble), false),
                (again, Ask::WhoIsThere, contacts(None, NONE, NONE), false),
            ]);
        }
    }

    fn any_answer() -> impl Strategy<Value = Answered> {
        let seconds = 0..4000u64;
        let hosts = prop::collection::vec(Just("192.0.2.7".to_owned()), 0..2);
        let all = (
            prop::option::of(prop::option::of(seconds.clone())),
            hosts.clone(),
            hosts,
            prop::option::of(seconds.clone()),
        );
        prop_oneof![
            4 => all.prop_map(|(ours, left, foreign, granted)| Answered::Accepted {
                contacts: Contacts { ours: ours.map(|s| s.map(at)), left, foreign },
                granted: granted.map(at),
            }),
            1 => seconds.prop_map(|s| Answered::TooBrief(at(s))),
            1 => Just(Answered::Failed(Trouble::Silence)),
            1 => Just(Answered::Failed(Trouble::Password)),
        ]
    }

    proptest! {
        #[test]
        fn it_never_stands_beside_a_phone_and_never_registers_without_looking(answers in prop::collection::vec(any_answer(), 1..60)) {
            let (mut registration, mut now, mut looked) = (Registration::new(at(60)), at(0), false);
            for (count, answer) in answers.into_iter().enumerate() {
                while registration.due(now).is_none() {
                    let wake = registration.wake(now);
                    prop_assert!(wake > now);
                    now = wake;
                }
                let ask = registration.due(now).expect("something is due");
                let listed = !matches!(ask, Ask::Leave(_));
                if matches!(ask, Ask::Add(_)) {
                    prop_assert!(looked, "step {}", count);
                }
                let foreign = matches!(&answer, Answered::Accepted { contacts, .. } if !contacts.foreign.is_empty());
                let accepted = matches!(answer, Answered::Accepted { .. });
                match ask {
                    Ask::WhoIsThere => looked = accepted && !foreign,
                    Ask::Clear(_) | Ask::Add(_) => {}
                    Ask::Leave(_) => looked = false,
                }
                let _ = registration.hear(now, answer);
                if foreign && listed {
                    prop_assert!(!registration.stands(now) && registration.keeps_away());
                }
                prop_assert!(!(registration.stands(now) && registration.keeps_away()));
            }
        }
    }
}
