//! How fast a phone system is asked: so many requests at once, so many a second, and one at a time while
//! it refuses or is silent, so that thousands of lines neither flood one that has just come back nor lock
//! an account.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex as Single, MutexGuard, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::hear::sip_endpoint::lock;

/// Requests in flight at once.
const AT_ONCE: usize = 32;
/// The least time between two: 1,000 a second.
const BETWEEN: Duration = Duration::from_millis(1);

/// The pace of one phone system.
pub(super) struct Pace {
    in_flight: Semaphore,
    next: Mutex<Instant>,
    trouble: AtomicBool,
    single: Single<()>,
}

/// Leave to send one request; held until it is answered.
pub(super) struct Turn<'a> {
    pace: &'a Pace,
    _in_flight: Option<SemaphorePermit<'a>>,
    _single: Option<MutexGuard<'a, ()>>,
}

impl Pace {
    /// A pace at which nothing was asked yet. It begins with one at a time: the first answer shows whether
    /// the credentials are right.
    pub(super) fn new() -> Pace {
        Pace {
            in_flight: Semaphore::new(AT_ONCE),
            next: Mutex::new(Instant::now()),
            trouble: AtomicBool::new(true),
            single: Single::new(()),
        }
    }

    /// Waits for the turn to send.
    pub(super) async fn turn(&self) -> Turn<'_> {
        let mut single = None;
        if self.trouble.load(Ordering::Relaxed) {
            let alone = self.single.lock().await;
            // Whoever went before may have found that all is well.
            single = self.trouble.load(Ordering::Relaxed).then_some(alone);
        }
        let in_flight = self.in_flight.acquire().await.ok();
        let at = {
            let mut next = lock(&self.next);
            let at = (*next).max(Instant::now());
            *next = at + BETWEEN;
            at
        };
        tokio::time::sleep_until(at).await;
        Turn { pace: self, _in_flight: in_flight, _single: single }
    }
}

impl Turn<'_> {
    /// The phone system answered as it should.
    pub(super) fn went_well(self) {
        self.pace.trouble.store(false, Ordering::Relaxed);
    }

    /// It refused the account or was silent. Nobody else is asked for before `wait` is over.
    pub(super) fn went_wrong(self, wait: Duration) {
        self.pace.trouble.store(true, Ordering::Relaxed);
        let mut next = lock(&self.pace.next);
        *next = (*next).max(Instant::now() + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_trouble_one_asks_at_a_time_and_after_success_all() {
        let pace = Pace::new();
        let began = Instant::now();
        pace.turn().await.went_wrong(Duration::from_secs(5));
        let first = pace.turn().await;
        assert_eq!(began.elapsed().as_secs(), 5);
        let second = tokio::time::timeout(Duration::from_secs(60), pace.turn()).await;
        assert!(second.is_err(), "a second request must wait for the first");
        first.went_well();
        let turns: Vec<_> = futures_of(&pace, AT_ONCE).await;
        assert_eq!(turns.len(), AT_ONCE);
        assert!(tokio::time::timeout(Duration::from_secs(60), pace.turn()).await.is_err());
    }

    async fn futures_of(pace: &Pace, count: usize) -> Vec<Turn<'_>> {
        let mut turns = Vec::new();
        for _ in 0..count {
            turns.push(pace.turn().await);
        }
        turns
    }

    #[tokio::test(start_paused = true)]
    async fn two_thousand_lines_are_asked_for_in_two_seconds() {
        let pace = Pace::new();
        let began = Instant::now();
        for _ in 0..2000 {
            pace.turn().await.went_well();
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(1900) && took <= Duration::from_millis(2500), "{took:?}");
    }
}
