//! When legs are to be decided on. In the order of time besides, so that what is next costs the same whether ten wait
//! or ten thousand. Pure: knows neither the time nor what is decided.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{CallId, Line};

/// A call at one line.
pub(super) type Place = (CallId, Line);

/// By leg: when it is decided on, as uptime, and since when it is as it is.
#[derive(Default)]
pub(super) struct Timers {
    due: BTreeMap<Place, (Duration, Timestamp)>,
    in_order: BTreeSet<(Duration, Place)>,
}

impl Timers {
    /// In the place of what was set before.
    pub(super) fn insert(&mut self, place: Place, due: (Duration, Timestamp)) {
        self.remove(&place);
        self.in_order.insert((due.0, place.clone()));
        self.due.insert(place, due);
    }

    /// Unless it is set.
    pub(super) fn insert_first(&mut self, place: Place, due: (Duration, Timestamp)) {
        if !self.due.contains_key(&place) {
            self.insert(place, due);
        }
    }

    pub(super) fn remove(&mut self, place: &Place) -> Option<(Duration, Timestamp)> {
        if self.due.is_empty() {
            return None;
        }
        let (place, due) = self.due.remove_entry(place)?;
        self.in_order.remove(&(due.0, place));
        Some(due)
    }

    /// What is due now, by call and line.
    pub(super) fn due(&self, now: Duration) -> Vec<Place> {
        let due = self.in_order.iter().take_while(|(at, _)| *at <= now);
        let mut places: Vec<Place> = due.map(|(_, place)| place.clone()).collect();
        places.sort_unstable();
        places
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.in_order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_set_anew_is_due_once_and_at_the_new_time() {
        let place = |call, line: &str| (CallId(Uuid::from_u128(call)), Line::parse(line).expect("a line"));
        let at = |ms| (Duration::from_millis(ms), Timestamp::UNIX_EPOCH);
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.insert(place(2, "101"), at(10));
        timers.insert(place(1, "102"), at(20));
        timers.insert(place(2, "101"), at(30));
        timers.insert_first(place(1, "102"), at(5));
        assert_eq!(timers.next(), Some(Duration::from_millis(20)));
        assert_eq!(timers.due(Duration::from_millis(19)), []);
        assert_eq!(timers.due(Duration::from_millis(30)), [place(1, "102"), place(2, "101")]);
        assert_eq!(timers.remove(&place(1, "102")), Some(at(20)));
        assert_eq!(timers.remove(&place(1, "102")), None);
        assert_eq!(timers.due(Duration::from_secs(1)), [place(2, "101")]);
    }
}
