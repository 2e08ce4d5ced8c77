//! How long to wait before dialling again: doubling, bounded, with jitter, so that a thousand desktops
//! do not come back in the same millisecond after the hub was restarted.

use std::time::Duration;

use pinkas_protocol::close::Close;

use crate::Ended;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3);

/// Counts failed attempts.
#[derive(Debug, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// A link stood: the next wait is short again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The wait after a link ended for this reason: half of it certain, half of it random.
    pub fn after(&mut self, ended: &Ended) -> Duration {
        let mut random = [0u8; 1];
        // Without randomness there is no jitter; the wait is still right.
        let _ = getrandom::fill(&mut random);
        self.wait(ended, f64::from(random[0]) / 255.0)
    }

    fn wait(&mut self, ended: &Ended, jitter: f64) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.attempts.min(10)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        let whole = match ended {
            Ended::Closed(close) => doubled.max(close.retry_after()),
            Ended::OtherVersion(_) => doubled.max(Close::WrongVersion.retry_after()),
            _ => doubled,
        };
        whole / 2 + (whole / 2).mul_f64(jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_start_again_after_a_good_link() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..7).map(|_| backoff.wait(&Ended::Broken, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3000, 3000]);
        backoff.reset();
        assert_eq!(backoff.wait(&Ended::Broken, 0.0).as_millis(), 50);
    }

    #[test]
    fn a_wrong_secret_is_tried_again_but_seldom() {
        let wait = Backoff::default().wait(&Ended::Closed(Close::WrongSecret), 1.0);
        assert_eq!(wait, Duration::from_secs(10));
    }
}
