//! Calls that are only pretended, for `simulate`: they pop as any other, marked, and nothing of them is kept but
//! who was shown whose cards, as those are real. Pure.

use jiff::Timestamp;
use pinkas_protocol::board::Ended;
use pinkas_protocol::{AdapterId, CallChange, CallEvent, CallFacts, CallId, EndedHow, Event, Line, Update};

use super::{Hub, Keep, Noted, Outputs};

/// The most pretended calls at once.
pub const MOST_TRIALS: usize = 8;

/// What a pretended call is heard from.
const NOBODY: &str = "simulate";

impl Hub {
    /// Whether one more call can be pretended now.
    pub fn has_room_for_a_trial(&self) -> bool {
        self.trials.len() < MOST_TRIALS
    }

    pub(super) fn trial(
        &mut self,
        now: Timestamp,
        call: CallId,
        facts: CallFacts,
        line: Option<Line>,
        out: &mut Outputs,
    ) {
        let Ok(adapter) = AdapterId::parse(NOBODY) else { return };
        if !self.has_room_for_a_trial() || self.board.calls.contains_key(&call) || !self.trials.insert(call) {
            return;
        }
        let offered = line.map(|line| CallChange::Offered { line, passed_on_by: None });
        for change in std::iter::once(CallChange::Arrived(facts)).chain(offered) {
            let event = CallEvent { call, heard_at: now, change };
            let whole = Event::Call(event.clone());
            let before = self.before(&whole);
            self.call_changed(&adapter, &event, out);
            // It is no adapter's: none may say that it is over.
            self.owner.remove(&call);
            self.heard(now, &adapter, &whole, (before, Noted::New), out);
        }
    }

    /// Gone as if it had never been; only the desktops that saw it keep it for a moment.
    pub(super) fn trial_over(&mut self, now: Timestamp, call: CallId, out: &mut Outputs) {
        if !self.trials.remove(&call) {
            return;
        }
        let ended = Ended { at: now, how: EndedHow::Abandoned };
        out.update(self.viewers_of(call), Update::Ended { call, ended });
        self.drop_call(call);
    }

    /// Takes out of what is kept, from the `from`th on, whatever a pretended call brought.
    pub(super) fn keep_no_trial(&self, from: usize, out: &mut Outputs) {
        if self.trials.is_empty() {
            return;
        }
        let trial = |keep: &Keep| match keep {
            Keep::Call { call, .. } | Keep::Step { call, .. } | Keep::Entry { call, .. } => {
                self.trials.contains(call)
            }
            Keep::Past { past } => self.trials.contains(&past.id),
            Keep::FollowUp { kept: Some(kept), .. } => self.trials.contains(&kept.call),
            Keep::Missed { kept: Some(kept), .. } => self.trials.contains(&kept.last_call),
            // Whose cards an agent saw is noted whatever they were shown for.
            Keep::Seen(_)
            | Keep::FollowUp { kept: None, .. }
            | Keep::Missed { kept: None, .. }
            | Keep::Noted { .. }
            | Keep::Concluded { .. }
            | Keep::Line { .. }
            | Keep::Person { .. }
            | Keep::Choice { .. }
            | Keep::Forget { .. }
            | Keep::Acknowledge { .. } => false,
        };
        let kept = out.keep.split_off(from);
        out.keep.extend(kept.into_iter().filter(|keep| !trial(keep)));
    }
}
