//! What the outbox holds and what of it must go to disk next. Pure: neither disk nor clock. Events are told
//! at once and written in groups, with what was there when the group before was made: by then the hub mostly has
//! them on its disk, and they never go to this one.

use std::collections::{BTreeMap, VecDeque};

use pinkas_protocol::{CallId, Event};

use super::{BLOCK, MOST_EVENTS};
use crate::calls::LiveCall;

/// The most events held in memory besides, so that they need not be read back, and so that a full disk
/// does not stop them.
const MOST_RECENT: usize = 20_000;
/// The most events and calls told and not written; with more, whoever notes waits for the disk.
const MOST_UNWRITTEN: usize = 4_096;
/// Acknowledged events are taken off the disk with the next group, or once there are so many.
const MOST_DONE: usize = 1_024;

/// The newest events. Those from `from` on are all here; older ones are on disk.
#[derive(Debug)]
struct Recent {
    from: u64,
    events: VecDeque<(u64, Event)>,
}

/// What the outbox holds.
#[derive(Debug)]
pub(super) struct State {
    recent: Recent,
    /// No event has a higher number.
    pub latest: u64,
    /// Numbers up to this one may be used: on disk they count as used.
    reserved: u64,
    /// Numbers up to this one are wanted.
    wanted: u64,
    durable: u64,
    /// Events up to this one are on disk, or need not be.
    written: u64,
    /// Events on disk that the hub may not have, ascending.
    kept: VecDeque<u64>,
    /// Events on disk that the hub has.
    done: Vec<u64>,
    /// Calls as they are now and not yet on disk.
    calls: BTreeMap<CallId, Option<LiveCall>>,
    /// Events up to this one go with the next group.
    aged: u64,
    /// Calls as they go with the next group.
    aged_calls: BTreeMap<CallId, Option<LiveCall>>,
    /// Somebody waits for room.
    pub pressed: bool,
    /// `false` once the disk has failed: it is left alone from then on.
    pub on_disk: bool,
    full: bool,
}

/// What of it a group takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// What was there when the last group was made.
    Aged,
    /// Everything: somebody waits for room, or it is the last.
    All,
}

/// What is written together.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// New events.
    pub events: Vec<(u64, Event)>,
    /// Events to remove.
    pub done: Vec<u64>,
    /// Calls to write or to remove.
    pub calls: BTreeMap<CallId, Option<LiveCall>>,
    /// Numbers to reserve, where there are too few left.
    pub reserve: Option<u64>,
    /// The hub has events up to this one.
    pub durable: u64,
    written: u64,
}

/// See [`State::after`].
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    /// The event.
    pub event: Option<(u64, Event)>,
    /// `false`: on disk there may be one before it.
    pub all: bool,
}

impl Group {
    /// There is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        !self.says_something() && self.done.is_empty()
    }

    /// Something in it is lost if it does not reach the disk.
    pub(super) fn says_something(&self) -> bool {
        !self.events.is_empty() || !self.calls.is_empty() || self.reserve.is_some()
    }
}

impl State {
    /// As found on disk: these events are there.
    pub(super) fn new(latest: u64, durable: u64, kept: VecDeque<u64>) -> State {
        State {
            recent: Recent { from: latest + 1, events: VecDeque::new() },
            latest,
            reserved: latest,
            wanted: latest,
            durable,
            written: latest,
            kept,
            done: Vec::new(),
            calls: BTreeMap::new(),
            aged: latest,
            aged_calls: BTreeMap::new(),
            pressed: false,
            on_disk: true,
            full: false,
        }
    }

    /// How many events the hub may not have yet.
    pub(super) fn waiting(&self) -> u64 {
        let older = self.kept.partition_point(|number| *number < self.recent.from);
        u64::try_from(older + self.recent.events.len()).unwrap_or(u64::MAX)
    }

    /// Whether so many events can be added now. If not, the next group makes room.
    pub(super) fn has_room(&mut self, events: usize) -> bool {
        let last = self.latest.saturating_add(u64::try_from(events).unwrap_or(u64::MAX));
        self.wanted = self.wanted.max(last);
        let unwritten = self.recent.after(self.written).len() + self.calls.len() + self.aged_calls.len();
        let room = !self.on_disk || (unwritten < MOST_UNWRITTEN && last <= self.reserved);
        self.pressed |= !room;
        room
    }

    /// Adds events; says whether some could not be kept and this was not said before.
    pub(super) fn add(&mut self, events: Vec<Event>) -> Option<u64> {
        let most = if self.on_disk { MOST_EVENTS } else { MOST_RECENT as u64 };
        let mut lost = None;
        let mut waiting = self.waiting();
        for event in events {
            if waiting >= most {
                lost = lost.or((!self.full).then_some(most));
                self.full = true;
                continue;
            }
            waiting += 1;
            self.latest += 1;
            self.recent.push(self.latest, event);
        }
        lost
    }

    /// A call is so now, or is over.
    pub(super) fn call(&mut self, call: CallId, record: Option<LiveCall>) {
        if self.on_disk {
            if record.is_none() {
                self.aged_calls.remove(&call);
            }
            self.calls.insert(call, record);
        }
    }

    /// The hub has everything up to this event on disk.
    pub(super) fn durable(&mut self, number: u64) {
        if number > self.latest || number <= self.durable {
            return;
        }
        self.durable = number;
        self.full = false;
        let dropped = self.recent.events.partition_point(|(found, _)| *found <= number);
        self.recent.events.drain(..dropped);
        self.recent.from = self.recent.from.max(number.saturating_add(1));
        let done = self.kept.partition_point(|found| *found <= number);
        self.done.extend(self.kept.drain(..done));
    }

    /// Numbering goes on above this one. One that is absurd is not followed.
    pub(super) fn skip_to(&mut self, number: u64) {
        if number.saturating_sub(self.latest) < 1 << 40 {
            self.latest = self.latest.max(number);
            self.wanted = self.wanted.max(self.latest);
        }
    }

    /// The first event in memory after this one.
    pub(super) fn after(&self, number: u64) -> Found {
        let event = self.recent.after(number).next().cloned();
        Found { event, all: number.saturating_add(1) >= self.recent.from }
    }

    /// There is something to write.
    pub(super) fn is_due(&self) -> bool {
        self.on_disk
            && (!self.calls.is_empty()
                || !self.aged_calls.is_empty()
                || self.recent.events.back().is_some_and(|(number, _)| *number > self.written)
                || self.done.len() >= MOST_DONE
                || self.reserve().is_some())
    }

    /// Half a block ahead, so that nobody waits for it.
    fn reserve(&self) -> Option<u64> {
        let ahead = self.latest.max(self.wanted) + BLOCK / 2;
        (ahead > self.reserved).then(|| ahead.next_multiple_of(BLOCK))
    }

    /// What is to be written now.
    pub(super) fn group(&mut self, take: Take) -> Group {
        self.pressed = false;
        if !self.on_disk {
            return Group::default();
        }
        let mut calls = std::mem::take(&mut self.aged_calls);
        let newer = std::mem::take(&mut self.calls);
        let written = match take {
            Take::Aged => {
                self.aged_calls = newer;
                std::mem::replace(&mut self.aged, self.latest)
            }
            Take::All => {
                calls.extend(newer);
                self.aged = self.latest;
                self.latest
            }
        };
        let aged = self.recent.after(self.written).take_while(|(number, _)| *number <= written);
        Group {
            events: aged.cloned().collect(),
            done: std::mem::take(&mut self.done),
            calls,
            reserve: self.reserve(),
            durable: self.durable,
            written,
        }
    }

    /// A group is on disk.
    pub(super) fn wrote(&mut self, group: &Group) {
        self.written = self.written.max(group.written);
        self.reserved = self.reserved.max(group.reserve.unwrap_or(0));
        for (number, _) in &group.events {
            // It may have been acknowledged meanwhile.
            if *number <= self.durable { self.done.push(*number) } else { self.kept.push_back(*number) }
        }
    }

    /// The disk has failed.
    pub(super) fn failed(&mut self) {
        self.on_disk = false;
        self.calls.clear();
        self.aged_calls.clear();
        self.done.clear();
    }
}

impl Recent {
    fn after(&self, number: u64) -> impl ExactSizeIterator<Item = &(u64, Event)> {
        let at = self.events.partition_point(|(found, _)| *found <= number);
        self.events.range(at..)
    }

    /// Makes room for one more by leaving the oldest to the disk.
    fn push(&mut self, number: u64, event: Event) {
        while self.events.len() >= MOST_RECENT {
            if let Some((oldest, _)) = self.events.pop_front() {
                self.from = oldest + 1;
            }
        }
        self.events.push_back((number, event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::{Line, LineEvent, LineState};

    fn events(count: usize) -> Vec<Event> {
        let event = LineEvent {
            line: Line::parse("101").expect("a line"),
            heard_at: "2026-01-01T00:00:00Z".parse().expect("a time"),
            state: LineState::Idle,
        };
        vec![Event::Line(event); count]
    }

    fn fresh() -> State {
        let mut state = State::new(0, 0, VecDeque::new());
        let group = state.group(Take::All);
        assert_eq!(group.reserve, Some(BLOCK));
        state.wrote(&group);
        state
    }

    fn numbers(group: &Group) -> Vec<u64> {
        group.events.iter().map(|(number, _)| *number).collect()
    }

    #[test]
    fn what_the_hub_has_before_its_group_is_written_never_is() {
        let mut state = fresh();
        assert!(state.has_room(5) && state.add(events(5)).is_none());
        state.durable(3);
        let group = state.group(Take::All);
        assert_eq!((numbers(&group), group.done.len()), (vec![4, 5], 0));
        // Acknowledged while the group is on its way.
        state.durable(4);
        state.wrote(&group);
        assert_eq!((state.waiting(), state.is_due()), (1, false));
        state.durable(5);
        let group = state.group(Take::All);
        assert_eq!((numbers(&group), &group.done[..]), (vec![], &[4, 5][..]));
        assert!(!group.says_something() && state.waiting() == 0);
    }

    #[test]
    fn a_group_leaves_what_is_new_to_the_next_unless_somebody_waits_for_room() {
        let mut state = fresh();
        assert!(state.has_room(3) && state.add(events(3)).is_none());
        let group = state.group(Take::Aged);
        assert!(group.is_empty() && state.is_due());
        state.wrote(&group);
        state.add(events(2));
        state.durable(1);
        let group = state.group(Take::Aged);
        assert_eq!(numbers(&group), [2, 3]);
        state.wrote(&group);
        state.durable(5);
        assert!(!state.is_due() && !state.pressed);
        while state.has_room(1) {
            state.add(events(1));
        }
        assert!(state.pressed);
        let group = state.group(Take::All);
        assert_eq!((group.events.len(), state.pressed), (MOST_UNWRITTEN, false));
    }

    #[test]
    fn a_call_that_is_over_before_its_group_is_never_written_as_live() {
        let mut state = fresh();
        let call = |n| CallId(uuid::Uuid::from_u128(n));
        let live = r#"{"heard":{},"arrived_at":"2026-01-01T00:00:00Z","waits":null,"legs":{},"names":[],"answered":false,"declined":false}"#;
        let live: LiveCall = serde_json::from_str(live).expect("a call as it is kept");
        state.call(call(1), Some(live.clone()));
        state.call(call(2), Some(live.clone()));
        assert!(state.group(Take::Aged).calls.is_empty());
        state.call(call(1), None);
        let group = state.group(Take::Aged);
        assert_eq!(group.calls.into_iter().collect::<Vec<_>>(), [(call(2), Some(live))]);
        assert_eq!(state.group(Take::Aged).calls.into_iter().collect::<Vec<_>>(), [(call(1), None)]);
        assert!(!state.is_due());
    }

    #[test]
    fn no_number_is_used_before_it_is_reserved() {
        let mut state = fresh();
        let most = usize::try_from(BLOCK).expect("small");
        for _ in 0..most {
            assert!(state.has_room(1));
            state.add(events(1));
            state.durable(state.latest);
        }
        assert!(!state.has_room(1) && state.is_due());
        let group = state.group(Take::All);
        assert_eq!(group.reserve, Some(2 * BLOCK));
        assert!(!state.has_room(1), "it is not on disk yet");
        state.wrote(&group);
        assert!(state.has_room(1));
        assert!(!state.has_room(3 * most));
        let group = state.group(Take::All);
        state.wrote(&group);
        assert!(state.has_room(3 * most));
    }

    #[test]
    fn whoever_notes_waits_for_a_slow_disk_and_not_for_one_that_failed() {
        let mut state = fresh();
        let mut added = 0;
        while state.has_room(1) {
            state.add(events(1));
            added += 1;
        }
        assert_eq!(added, MOST_UNWRITTEN);
        state.failed();
        while state.add(events(1)).is_none() {
            assert!(state.has_room(1) && !state.is_due());
            added += 1;
        }
        assert_eq!(added, MOST_RECENT);
        assert_eq!(state.add(events(1)), None, "it is said once");
    }

    #[test]
    fn memory_holds_the_newest_and_the_disk_the_rest() {
        let mut state = fresh();
        while state.waiting() < MOST_EVENTS {
            assert!(state.has_room(1_000));
            state.add(events(1_000));
            let group = state.group(Take::All);
            state.wrote(&group);
        }
        assert_eq!(state.recent.events.len(), MOST_RECENT);
        assert!(!state.after(0).all && state.after(MOST_EVENTS - 1).event.is_some());
        assert!(state.has_room(1));
        assert_eq!((state.add(events(2)), state.add(events(1))), (Some(MOST_EVENTS), None));
        state.durable(150_000);
        assert_eq!(state.waiting(), 50_000);
        state.durable(MOST_EVENTS);
        assert_eq!((state.waiting(), state.group(Take::All).done.len()), (0, 200_000));
    }
}
