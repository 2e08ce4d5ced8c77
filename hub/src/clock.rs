//! Notices that this machine's clock was set while the hub ran, and says it once: times told before and after do not
//! fit together. What lasts is measured without that clock; what it means for a call is the core's business.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What a machine is corrected by without anybody noticing; a busy one is looked at late, which is no jump.
const MOST: SignedDuration = SignedDuration::from_secs(10);

/// The clock and the time passed, when they were last seen together.
struct Clock(Timestamp, Duration);

impl Clock {
    /// By how much the clock was set since it was last seen, if it was. `passed`: since any one moment.
    fn jumped(&mut self, now: Timestamp, passed: Duration) -> Option<SignedDuration> {
        let really = SignedDuration::try_from(passed.saturating_sub(self.1)).unwrap_or_default();
        let by = now.duration_since(self.0) - really;
        *self = Clock(now, passed);
        (by.abs() > MOST).then_some(by)
    }
}

/// In words.
fn told(by: SignedDuration) -> String {
    let way = if by.is_negative() { "back" } else { "ahead" };
    let seconds = by.abs().as_secs();
    let span = if seconds < 120 { format!("{seconds} s") } else { format!("{} min", (seconds + 30) / 60) };
    format!(
        "this machine's clock went {way} by {span}. No call lasts less than nothing because of it, and what is kept \
         stays in order, but times told before and after do not fit together: let the clock be kept by NTP"
    )
}

/// Looks until `stop`.
pub(crate) async fn watch(stop: CancellationToken) {
    let begun = Instant::now();
    let mut clock = Clock(Timestamp::now(), Duration::ZERO);
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        if let Some(by) = clock.jumped(Timestamp::now(), begun.elapsed()) {
            tracing::warn!("{}", told(by));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_told_once_and_one_that_goes_is_not() {
        let start = Timestamp::from_second(1_700_000_000).expect("a time");
        let mut clock = Clock(start, Duration::ZERO);
        let hour = SignedDuration::from_hours(1);
        let mut set = SignedDuration::ZERO;
        let mut heard = Vec::new();
        for look in 1..=12u32 {
            match look {
                3 => set -= hour,
                6 => set += hour + hour,
                // A second more is no jump.
                9 => set += SignedDuration::from_secs(1),
                _ => {}
            }
            let passed = LOOK_EVERY * look;
            let now = start + SignedDuration::try_from(passed).expect("short") + set;
            heard.extend(clock.jumped(now, passed).map(|by| (look, told(by))));
        }
        let words: Vec<(u32, &str)> =
            heard.iter().map(|(look, told)| (*look, told.split('.').next().unwrap_or_default())).collect();
        assert_eq!(
            words,
            [
                (3, "this machine's clock went back by 60 min"),
                (6, "this machine's clock went ahead by 120 min")
            ]
        );
    }
}
