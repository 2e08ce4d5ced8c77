//! What to do next with a subscription, decided without a socket or a clock (RFC 6665 section 4.1).

use std::time::Duration;

/// How one SUBSCRIBE ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted for so long.
    Granted(Duration),
    /// The credentials were refused.
    WrongPassword,
    /// The phone system has no such line, or will not tell about it.
    NoSuchLine,
    /// The dialog is unknown there (481): a new one is needed.
    Forgotten,
    /// Any other final answer.
    Refused(u16),
    /// No final answer within Timer F.
    NoAnswer,
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

/// Decides after an outcome; `failures` counts those in a row, this one included.
pub fn next(outcome: Outcome, failures: u32) -> Next {
    let backoff = Duration::from_millis(500).saturating_mul(1 << failures.min(6)).min(LONGEST_WAIT);
    let anew = |after| Next { after, dialog: NextDialog::New, hearing: false };
    match outcome {
        // Refreshed at half time: one lost refresh still leaves time for another.
        Outcome::Granted(expires) if !expires.is_zero() => {
            Next { after: (expires / 2).max(Duration::from_secs(1)), dialog: NextDialog::Same, hearing: true }
        }
        Outcome::Granted(_) => anew(backoff),
        Outcome::Forgotten if failures <= 1 => anew(Duration::ZERO),
        Outcome::Forgotten | Outcome::NoAnswer | Outcome::Refused(_) => anew(backoff),
        // These need a person; asking often would only lock an account or fill a log.
        Outcome::WrongPassword | Outcome::NoSuchLine => anew(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: Outcome, failures: u32, expected: (u64, NextDialog, bool)) {
        let next = next(outcome, failures);
        assert_eq!(
            (next.after.as_millis() as u64, next.dialog, next.hearing),
            expected,
            "{outcome:?} {failures}"
        );
    }

    #[test]
    fn each_outcome_has_its_next_step() {
        use NextDialog::{New, Same};
        check(Outcome::Granted(Duration::from_secs(60)), 0, (30_000, Same, true));
        check(Outcome::Granted(Duration::from_secs(1)), 0, (1_000, Same, true));
        check(Outcome::Granted(Duration::ZERO), 1, (1_000, New, false));
        check(Outcome::Forgotten, 1, (0, New, false));
        check(Outcome::Forgotten, 3, (4_000, New, false));
        check(Outcome::NoAnswer, 1, (1_000, New, false));
        check(Outcome::NoAnswer, 60, (10_000, New, false));
        check(Outcome::Refused(503), 2, (2_000, New, false));
        check(Outcome::WrongPassword, 1, (10_000, New, false));
        check(Outcome::NoSuchLine, 1, (10_000, New, false));
    }
}
