//! What to do next with a subscription, decided without a socket or a clock (RFC 6665 sections 4.1 and 4.4.1).

use std::time::Duration;

/// How one SUBSCRIBE ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted for so long.
    Granted(Duration),
    /// The credentials were refused, or not given.
    Credentials(Credentials),
    /// The phone system has no such line (404, 410, 604).
    NoSuchLine,
    /// It does not tell what is asked for (405, 406, 415, 420, 489, 501).
    NotTold(u16),
    /// The dialog is unknown there (481): a new one is needed.
    Forgotten,
    /// So short a time is refused; this is the least (423).
    TooBrief(Duration),
    /// Any other final answer.
    Refused {
        /// Which.
        code: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// No final answer in time.
    NoAnswer,
}

/// What is wrong with the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User or password.
    Wrong,
    /// The phone system asks for those of this realm, which is not the configured one.
    Realm(String),
    /// It asks with algorithms that are not understood.
    Digest(String),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// After how long to send the next SUBSCRIBE.
    pub after: Duration,
    /// Within the dialog, or as a new one.
    pub dialog: NextDialog,
    /// The line can be heard meanwhile.
    pub hearing: bool,
}

/// Which dialog the next SUBSCRIBE belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextDialog {
    /// The one that stands.
    Same,
    /// A new one.
    New,
}

/// The longest wait between attempts: a phone system that comes back is heard within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The wait where a person has to do something: asking often would only lock an account or fill a log.
const FOR_A_PERSON: Duration = Duration::from_secs(30);
/// The wait where the phone system says that it never will.
const REJECTED: Duration = Duration::from_secs(300);
/// The longest time a phone system can keep us from asking again.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
/// The longest `Min-Expires` that is honoured.
const LONGEST_EXPIRES: Duration = Duration::from_secs(3600);

/// The wait after so many failures in a row.
pub fn backoff(failures: u32) -> Duration {
    Duration::from_millis(500).saturating_mul(1 << failures.min(6)).min(LONGEST_WAIT)
}

/// Decides after an outcome. `failures` counts those in a row, this one included; `left` is for how long
/// the dialog was granted before and still stands.
pub fn next(outcome: &Outcome, failures: u32, left: Duration) -> Next {
    let backoff = backoff(failures);
    let anew = |after| Next { after, dialog: NextDialog::New, hearing: false };
    match outcome {
        // Refreshed at half time: one lost refresh still leaves time for another.
        Outcome::Granted(expires) if !expires.is_zero() => Next {
            after: (*expires / 2).max(Duration::from_secs(1)),
            dialog: NextDialog::Same,
            hearing: true,
        },
        Outcome::Granted(_) => anew(backoff),
        Outcome::Forgotten | Outcome::TooBrief(_) if failures <= 1 => anew(Duration::ZERO),
        Outcome::Forgotten | Outcome::TooBrief(_) => anew(backoff),
        // The dialog may outlive a phone system that is silent for a while, or restarts with its memory.
        Outcome::NoAnswer if !left.is_zero() => {
            Next { after: backoff, dialog: NextDialog::Same, hearing: false }
        }
        Outcome::NoAnswer => anew(backoff),
        Outcome::Refused { code, retry_after } => {
            let after =
                retry_after.map_or(backoff, |after| after.clamp(Duration::from_secs(1), LONGEST_RETRY_AFTER));
            // RFC 6665 section 4.1.2.2: a refresh that fails so leaves the subscription as it was.
            if *code >= 500 && !left.is_zero() {
                Next { after: after.min(left), dialog: NextDialog::Same, hearing: true }
            } else {
                anew(after)
            }
        }
        Outcome::Credentials(_) | Outcome::NoSuchLine | Outcome::NotTold(_) => anew(FOR_A_PERSON),
    }
}

/// What to ask for after a refusal for asking too short.
pub fn expires_after(outcome: &Outcome, asked: Duration) -> Duration {
    match outcome {
        Outcome::TooBrief(least) => asked.max((*least).min(LONGEST_EXPIRES)),
        _ => asked,
    }
}

/// How the phone system ended a subscription: `Subscription-State: terminated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// Why.
    pub reason: Reason,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// RFC 6665 section 4.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Subscribe again at once.
    Deactivated,
    /// Subscribe again later.
    Probation,
    /// Not allowed (any more).
    Rejected,
    /// It was not refreshed in time: at once.
    Timeout,
    /// It could not find out whether it is allowed: later.
    GiveUp,
    /// What was watched is no more.
    NoResource,
    /// What was watched cannot change.
    Invariant,
    /// Not said. Quirk(asterisk 22): the hint was removed, or all were loaded anew.
    Unsaid,
}

impl Ending {
    /// Out of the value of a Subscription-State header; `None` when it is not an end.
    pub fn read(value: &str) -> Option<Ending> {
        let mut parts = value.split(';').map(str::trim);
        if !parts.next().is_some_and(|state| state.eq_ignore_ascii_case("terminated")) {
            return None;
        }
        let mut ending = Ending { reason: Reason::Unsaid, retry_after: None };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim();
            if name.trim().eq_ignore_ascii_case("retry-after") {
                ending.retry_after = value.parse::<u32>().ok().map(|s| Duration::from_secs(s.into()));
            } else if name.trim().eq_ignore_ascii_case("reason") {
                ending.reason = Reason::read(value);
            }
        }
        Some(ending)
    }

    /// When to subscribe again; `early` counts the endings in a row that came within seconds: a phone
    /// system that accepts and ends at once must not be asked hundreds of times a second.
    pub fn after(&self, early: u32) -> Duration {
        let later = |usual: Duration| {
            self.retry_after.unwrap_or(usual).clamp(usual.min(LONGEST_WAIT), LONGEST_RETRY_AFTER)
        };
        match self.reason {
            Reason::Deactivated | Reason::Timeout | Reason::Unsaid if early == 0 => Duration::ZERO,
            Reason::Deactivated | Reason::Timeout | Reason::Unsaid => backoff(early),
            Reason::Probation | Reason::GiveUp => later(LONGEST_WAIT),
            Reason::NoResource | Reason::Invariant => FOR_A_PERSON,
            Reason::Rejected => REJECTED,
        }
    }
}

impl Reason {
    fn read(word: &str) -> Reason {
        match word.to_ascii_lowercase().as_str() {
            "deactivated" => Reason::Deactivated,
            "probation" => Reason::Probation,
            "rejected" => Reason::Rejected,
            "timeout" => Reason::Timeout,
            "giveup" => Reason::GiveUp,
            "noresource" => Reason::NoResource,
            "invariant" => Reason::Invariant,
            _ => Reason::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: Outcome, failures: u32, left: u64, expected: (u64, NextDialog, bool)) {
        let next = next(&outcome, failures, Duration::from_secs(left));
        assert_eq!(
            (next.after.as_millis() as u64, next.dialog, next.hearing),
            expected,
            "{outcome:?} {failures} {left}"
        );
    }

    #[test]
    fn each_outcome_has_its_next_step() {
        use NextDialog::{New, Same};
        check(Outcome::Granted(Duration::from_secs(60)), 0, 0, (30_000, Same, true));
        check(Outcome::Granted(Duration::from_secs(1)), 0, 0, (1_000, Same, true));
        check(Outcome::Granted(Duration::ZERO), 1, 0, (1_000, New, false));
        check(Outcome::Forgotten, 1, 9, (0, New, false));
        check(Outcome::Forgotten, 3, 9, (4_000, New, false));
        check(Outcome::TooBrief(Duration::from_secs(90)), 1, 0, (0, New, false));
        check(Outcome::TooBrief(Duration::from_secs(90)), 2, 0, (2_000, New, false));
        check(Outcome::NoAnswer, 1, 0, (1_000, New, false));
        check(Outcome::NoAnswer, 60, 0, (10_000, New, false));
        check(Outcome::NoAnswer, 2, 9, (2_000, Same, false));
        let refused =
            |code, after: Option<u64>| Outcome::Refused { code, retry_after: after.map(Duration::from_secs) };
        check(refused(503, None), 2, 0, (2_000, New, false));
        check(refused(503, Some(20)), 2, 0, (20_000, New, false));
        check(refused(503, Some(20)), 1, 9, (9_000, Same, true));
        check(refused(503, Some(9_999)), 1, 0, (300_000, New, false));
        check(refused(400, None), 1, 9, (1_000, New, false));
        check(Outcome::Credentials(Credentials::Wrong), 1, 9, (30_000, New, false));
        check(Outcome::NoSuchLine, 1, 0, (30_000, New, false));
        check(Outcome::NotTold(489), 1, 0, (30_000, New, false));
    }

    #[test]
    fn the_least_time_the_phone_system_grants_is_asked_for() {
        let asked = Duration::from_secs(60);
        for (least, expected) in [(90, 90), (10, 60), (99_999, 3600)] {
            let outcome = Outcome::TooBrief(Duration::from_secs(least));
            assert_eq!(expires_after(&outcome, asked), Duration::from_secs(expected));
        }
    }

    #[test]
    fn each_ending_is_treated_as_the_standard_says() {
        let after = |value: &str, early| Ending::read(value).map(|ending| ending.after(early).as_millis());
        for (value, first, third) in [
            ("terminated", 0, 4_000),
            ("terminated;reason=deactivated", 0, 4_000),
            ("Terminated ; reason=Timeout;retry-after=60", 0, 4_000),
            ("terminated;reason=probation", 10_000, 10_000),
            ("terminated;reason=probation;retry-after=25", 25_000, 25_000),
            ("terminated;reason=giveup;retry-after=99999", 300_000, 300_000),
            ("terminated;reason=giveup;retry-after=0", 10_000, 10_000),
            ("terminated;reason=noresource", 30_000, 30_000),
            ("terminated;reason=invariant", 30_000, 30_000),
            ("terminated;reason=rejected", 300_000, 300_000),
            ("terminated;reason=whatever;x", 0, 4_000),
        ] {
            assert_eq!((after(value, 0), after(value, 3)), (Some(first), Some(third)), "{value}");
        }
        assert_eq!(after("active;expires=5", 0), None);
        assert_eq!(after("pending", 0), None);
    }
}
