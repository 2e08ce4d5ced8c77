//! Who rings, who talks: the pretend phone system's calls, without any SIP.
//! Every change is returned in the order in which subscribers are told.

use std::collections::BTreeMap;

use pinkas_protocol::Line;

use super::PretendCaller;
use super::dialog_info::Shown;

/// Names one call.
pub type CallNumber = u64;

/// All lines and what they do.
pub struct Switchboard {
    lines: BTreeMap<Line, Phone>,
    calls: CallNumber,
    /// Quirk(asterisk 22.10.1): after a ring-all the phones that lost may be reported before the one that
    /// answered, or after it. Here the order alternates, so that every run meets both.
    winner_first: bool,
}

struct Phone {
    agent: String,
    state: PhoneState,
}

enum PhoneState {
    Idle,
    Rings { call: CallNumber, caller: PretendCaller },
    Talks { call: CallNumber },
}

impl Phone {
    fn rings_for(&self, number: CallNumber) -> bool {
        matches!(self.state, PhoneState::Rings { call, .. } if call == number)
    }

    fn talks_in(&self, number: CallNumber) -> bool {
        matches!(self.state, PhoneState::Talks { call } if call == number)
    }
}

impl Switchboard {
    /// All phones idle; each line has its agent's display name.
    pub fn new(lines: Vec<(Line, String)>) -> Self {
        let phone = |agent| Phone { agent, state: PhoneState::Idle };
        let lines = lines.into_iter().map(|(line, agent)| (line, phone(agent))).collect();
        Switchboard { lines, calls: 0, winner_first: false }
    }

    /// What subscribers of `line` are told; `None` for a line there is not.
    pub fn shown(&self, line: &str) -> Option<(&Line, Shown<'_>)> {
        let (line, phone) = self.lines.get_key_value(line)?;
        let shown = match &phone.state {
            PhoneState::Idle => Shown::Terminated,
            PhoneState::Rings { caller, .. } => Shown::Early { caller, agent: &phone.agent },
            PhoneState::Talks { .. } => Shown::Confirmed,
        };
        Some((line, shown))
    }

    /// A call arrives and rings at those of `lines` that exist and are idle.
    pub fn call(&mut self, caller: &PretendCaller, lines: &[Line]) -> (CallNumber, Vec<Line>) {
        self.calls += 1;
        let mut rang = Vec::new();
        for line in lines {
            if let Some(phone) = self.lines.get_mut(line)
                && matches!(phone.state, PhoneState::Idle)
            {
                phone.state = PhoneState::Rings { call: self.calls, caller: caller.clone() };
                rang.push(line.clone());
            }
        }
        (self.calls, rang)
    }

    /// `line` picks up, if it rings for this call; the others stop ringing.
    pub fn answer(&mut self, call: CallNumber, line: &Line) -> Vec<Line> {
        let Some(phone) = self.lines.get_mut(line).filter(|phone| phone.rings_for(call)) else {
            return Vec::new();
        };
        phone.state = PhoneState::Talks { call };
        let mut changed = self.stop_ringing(call);
        let place = if self.winner_first { 0 } else { changed.len() };
        self.winner_first = !self.winner_first;
        changed.insert(place, line.clone());
        changed
    }

    /// `line` refuses; the others go on ringing.
    pub fn decline(&mut self, call: CallNumber, line: &Line) -> Vec<Line> {
        self.idle(|at, phone| at == line && phone.rings_for(call))
    }

    /// The caller gives up before anyone answered.
    pub fn stop_ringing(&mut self, call: CallNumber) -> Vec<Line> {
        self.idle(|_, phone| phone.rings_for(call))
    }

    /// The call ends, whatever it did.
    pub fn hang_up(&mut self, call: CallNumber) -> Vec<Line> {
        self.idle(|_, phone| phone.rings_for(call) || phone.talks_in(call))
    }

    fn idle(&mut self, which: impl Fn(&Line, &Phone) -> bool) -> Vec<Line> {
        let mut changed = Vec::new();
        for (line, phone) in &mut self.lines {
            if which(line, phone) {
                phone.state = PhoneState::Idle;
                changed.push(line.clone());
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(text).expect("a line")
    }

    fn board() -> Switchboard {
        Switchboard::new(["101", "102", "103"].map(|text| (line(text), format!("Agent {text}"))).to_vec())
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(Line::as_str).collect()
    }

    #[test]
    fn the_phone_that_answers_is_told_last_and_first_in_turn() {
        let mut board = board();
        let all = ["101", "102", "103"].map(line);
        let caller = PretendCaller::new("+48220000101", "A");
        let (call, rang) = board.call(&caller, &all);
        assert_eq!(texts(&rang), ["101", "102", "103"]);
        assert_eq!(texts(&board.answer(call, &line("102"))), ["101", "103", "102"]);
        assert_eq!(texts(&board.hang_up(call)), ["102"]);
        let (call, _) = board.call(&caller, &all);
        assert_eq!(texts(&board.answer(call, &line("102"))), ["102", "101", "103"]);
    }

    #[test]
    fn a_busy_phone_stays_busy() {
        let mut board = board();
        let caller = PretendCaller::new("+48220000101", "A");
        let (first, _) = board.call(&caller, &[line("101")]);
        let (second, rang) = board.call(&caller, &["101", "102", "999"].map(line));
        assert_eq!(texts(&rang), ["102"]);
        assert!(board.answer(second, &line("101")).is_empty(), "it rings for another call");
        assert_eq!(texts(&board.decline(second, &line("102"))), ["102"]);
        assert_eq!(texts(&board.stop_ringing(first)), ["101"]);
        assert!(matches!(board.shown("101"), Some((_, Shown::Terminated))));
        assert!(board.shown("999").is_none());
    }
}
