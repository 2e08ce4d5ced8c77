//! Whether this person takes calls, as the hub says, and what of their work the hub is to hear: that a talk
//! still leaves something to do, and that it no longer does.

use jiff::Timestamp;
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::{CallId, Number, PersonState, PersonView, Reason, ReasonCode};

use super::Model;
use crate::words;

impl Model {
    /// What this person does, as the hub says; nothing of who has no phone.
    pub fn own_state(&self) -> Option<&PersonView> {
        self.board.people.get(&self.me.as_ref()?.id)
    }

    /// Why somebody may not take calls, as the hub told.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// A reason in words: the company's own, else this desktop's for the usual ones, else its code.
    pub fn reason_words(&self, code: &ReasonCode) -> String {
        let known = self.reasons.iter().find(|reason| reason.code == *code);
        let label = known.and_then(|reason| reason.label.as_deref()).map(words::plain);
        label.unwrap_or_else(|| match code.as_str() {
            "break" => self.words.say("reason-break"),
            "lunch" => self.words.say("reason-lunch"),
            "training" => self.words.say("reason-training"),
            "back_office" => self.words.say("reason-back-office"),
            other => words::plain(other),
        })
    }

    /// Why this person does not take calls, where they have said so.
    pub fn not_ready_because(&self) -> Option<String> {
        match &self.own_state()?.state {
            PersonState::NotReady { reason } => Some(self.reason_words(reason)),
            PersonState::Ready | PersonState::WrapUp | PersonState::Offline => None,
        }
    }

    /// Whether a call that rings here makes itself heard: not one of a colleague, and none while this person takes no
    /// calls.
    pub fn is_heard(&self, call: CallId) -> bool {
        let caller = self.board.calls.get(&call).and_then(|view| view.facts.caller.number.as_ref());
        let inside = matches!(caller, Some(Number::Extension { .. }));
        !inside && self.not_ready_because().is_none()
    }

    fn wrapping(&self, now: Timestamp) -> Option<CallId> {
        self.wrap_up.filter(|wrap_up| now < wrap_up.until).map(|wrap_up| wrap_up.call)
    }

    /// What the hub does not know yet of a talk's rest; asked again until there is nothing.
    pub fn wrap_up_to_tell(&mut self, now: Timestamp) -> Option<AgentSays> {
        let wrapping = self.wrapping(now);
        if !self.connected() || self.wrap_up_told == wrapping {
            return None;
        }
        self.wrap_up_told = wrapping;
        Some(AgentSays::WrapUp { call: wrapping })
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use jiff::tz::TimeZone;
    use pinkas_link::Ended;
    use pinkas_protocol::Board;

    use super::*;
    use crate::net::NetEvent;
    use crate::sample::{self, at, call};

    #[test]
    fn the_hub_hears_once_that_a_talk_leaves_something_to_do_and_once_that_it_no_longer_does() {
        let mut model = Model::new(TimeZone::UTC);
        model.habits.wrap_up = Some(SignedDuration::from_secs(30));
        model.apply(sample::welcome(0, Board::default()));
        model.apply(sample::update(1, sample::rings(call(1), "101")));
        model.apply(sample::update(2, sample::answered(call(1), "101")));
        assert_eq!(model.wrap_up_to_tell(at(3)), None);
        model.apply(sample::update(10, sample::ended(call(1), 10)));
        let wraps = Some(AgentSays::WrapUp { call: Some(call(1)) });
        assert_eq!([model.wrap_up_to_tell(at(11)), model.wrap_up_to_tell(at(12))], [wraps.clone(), None]);
        // The hub forgets it with the link.
        let board = model.board.clone();
        model.apply(NetEvent::Disconnected { at: at(13), why: Ended::Broken });
        assert_eq!(model.wrap_up_to_tell(at(13)), None);
        model.apply(sample::welcome(14, board));
        assert_eq!([model.wrap_up_to_tell(at(15)), model.wrap_up_to_tell(at(16))], [wraps, None]);
        let over = Some(AgentSays::WrapUp { call: None });
        assert_eq!([model.wrap_up_to_tell(at(41)), model.wrap_up_to_tell(at(42))], [over, None]);
    }
}
