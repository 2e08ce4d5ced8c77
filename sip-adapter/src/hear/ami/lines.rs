//! What each followed line does and where it is paused, out of events that all tell it in their own
//! way. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pinkas_protocol::{Line, LineState, Pause, QueueName, text};

use super::packet::Packet;
use crate::hear::What;

/// The most memberships that are kept.
const MOST_MEMBERS: usize = 20_000;

/// Who tells what a line does; the greatest that was ever heard of a line is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Its channels.
    Channels,
    /// A queue of which it is a member.
    Queue,
    /// The hint of its extension.
    Hint,
    /// Its device.
    Device,
}

/// All followed lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: BTreeMap<Line, Known>,
    pauses: BTreeMap<(Line, QueueName), Option<Pause>>,
    untold_lines: BTreeSet<Line>,
    untold_pauses: BTreeSet<(Line, QueueName)>,
}

#[derive(Debug)]
struct Known {
    by: Source,
    state: LineState,
    told: Option<LineState>,
}

impl Lines {
    /// A source told what a line does.
    pub fn state(&mut self, line: Line, by: Source, state: LineState) {
        let known = self.lines.entry(line.clone()).or_insert(Known { by, state, told: None });
        if by >= known.by {
            known.by = by;
            known.state = state;
        }
        if known.told != Some(known.state) {
            self.untold_lines.insert(line);
        }
    }

    /// A queue told of a member.
    pub fn member(&mut self, line: Line, queue: QueueName, packet: &Packet) {
        if let Some(state) = packet.get("Status").and_then(device_status) {
            self.state(line.clone(), Source::Queue, state);
        }
        let pause = match packet.get("Paused") {
            Some("1" | "true" | "yes") => {
                let reason = packet.known("PausedReason").or_else(|| packet.known("Reason"));
                Some(Pause { reason: reason.and_then(|reason| text::plain(reason, text::LONGEST)) })
            }
            Some(_) => None,
            None => return,
        };
        self.pause(line, queue, pause);
    }

    /// A line is no member of a queue any more.
    pub fn removed(&mut self, line: Line, queue: QueueName) {
        self.pause(line, queue, None);
    }

    fn pause(&mut self, line: Line, queue: QueueName, pause: Option<Pause>) {
        let member = (line, queue);
        let known = self.pauses.get(&member);
        if known == Some(&pause) || known.is_none() && self.pauses.len() >= MOST_MEMBERS {
            return;
        }
        self.pauses.insert(member.clone(), pause);
        self.untold_pauses.insert(member);
    }

    /// What is not told yet.
    pub fn untold(&mut self) -> Vec<What> {
        let mut words = Vec::new();
        for line in std::mem::take(&mut self.untold_lines) {
            let Some(known) = self.lines.get_mut(&line) else { continue };
            if known.told != Some(known.state) {
                known.told = Some(known.state);
                words.push(What::LineState { line, state: known.state });
            }
        }
        for member in std::mem::take(&mut self.untold_pauses) {
            let pause = self.pauses.get(&member).cloned().flatten();
            let (line, queue) = member;
            words.push(What::Pause { line, queue, pause });
        }
        words
    }
}

/// The words of `DeviceStateChange`.
pub(super) fn device_word(word: &str) -> LineState {
    match word {
        // Its phone is off: as far as calls go, it is free.
        "NOT_INUSE" | "UNAVAILABLE" => LineState::Idle,
        "INUSE" | "BUSY" | "ONHOLD" | "RINGINUSE" => LineState::Busy,
        "RINGING" => LineState::Ringing,
        _ => LineState::Unknown,
    }
}

/// The numbers of a queue's `Status`: device states in the order of Asterisk's header file.
fn device_status(number: &str) -> Option<LineState> {
    Some(match number {
        "1" | "5" => LineState::Idle,
        "2" | "3" | "7" | "8" => LineState::Busy,
        "6" => LineState::Ringing,
        "0" | "4" => LineState::Unknown,
        _ => return None,
    })
}

/// The `Status` of an extension: bits for in use (1), busy (2), unavailable (4), ringing (8), on hold (16).
pub(super) fn hint_status(number: &str) -> Option<LineState> {
    let bits: i32 = number.parse().ok()?;
    Some(match bits {
        ..0 => LineState::Unknown,
        0 | 4 => LineState::Idle,
        8 => LineState::Ringing,
        _ => LineState::Busy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_informed_source_is_believed_and_repetitions_say_nothing() {
        let line = || Line::parse("101").expect("a line");
        let mut lines = Lines::default();
        let mut check = |by, state, expected: Option<LineState>| {
            lines.state(line(), by, state);
            let told = expected.map(|state| What::LineState { line: line(), state });
            assert_eq!(lines.untold(), told.into_iter().collect::<Vec<_>>(), "{by:?} {state:?}");
        };
        check(Source::Channels, LineState::Ringing, Some(LineState::Ringing));
        check(Source::Hint, LineState::Busy, Some(LineState::Busy));
        check(Source::Queue, LineState::Idle, None);
        check(Source::Device, LineState::Busy, None);
        check(Source::Hint, LineState::Idle, None);
        check(Source::Device, LineState::Idle, Some(LineState::Idle));
    }

    #[test]
    fn states_are_read_in_all_three_ways_of_writing_them() {
        assert_eq!(device_word("RINGINUSE"), LineState::Busy);
        assert_eq!(device_word("UNAVAILABLE"), LineState::Idle);
        assert_eq!(device_status("6"), Some(LineState::Ringing));
        assert_eq!(hint_status("8"), Some(LineState::Ringing));
        assert_eq!(hint_status("9"), Some(LineState::Busy));
        assert_eq!(hint_status("-1"), Some(LineState::Unknown));
        assert_eq!(hint_status("x"), None);
    }
}
