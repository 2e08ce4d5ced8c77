//! One call: the legs that belong together, and what was said of it. What is so now is worked out from the
//! legs anew after each message; only the difference to what was said is said. Knows no other call.

use std::collections::BTreeMap;
use std::time::Duration;

use pinkas_protocol::{CallFacts, Line, LineState};

use super::session::{Cancelled, Ended, Role, Session, Silence, State};
use crate::hear::{CallHeard, CallKey, Hold, OverBy, Stopped};
use crate::sip::tags;

/// How long a CANCEL without a reason waits for the caller's own, to tell the two apart.
const WAITS_FOR_REASON: Duration = Duration::from_millis(250);

/// A caller whom the phone system sends away at once is no call; who is let in is known after so long.
const SENT_AWAY_WITHIN: Duration = Duration::from_millis(200);

/// How long the phones' BYEs may follow the caller's.
const WAITS_FOR_PHONES: Duration = Duration::from_secs(1);

/// How long a transfer waits for the leg it brings.
pub(super) const TRANSFER_TAKES: Duration = Duration::from_secs(30);

/// The most transfers kept of one call.
const MOST_TRANSFERS: usize = 16;

/// One call.
pub(super) struct Call {
    pub key: CallKey,
    pub sessions: BTreeMap<u64, Session>,
    pub transfers: Vec<Transfer>,
    said: BTreeMap<Line, Said>,
    facts: Option<CallFacts>,
    /// When it was over.
    pub over: Option<Duration>,
    /// What it was entered in the register of callers by.
    pub caller: Option<String>,
    /// Names under which it is expected.
    pub names: Vec<String>,
    /// Whether the first leg came in from outside for certain, so that it is told before a phone rings.
    pub inbound: bool,
    pub began: Duration,
}

/// A transfer that a phone asked for.
pub(super) struct Transfer {
    pub by: Line,
    pub at: Duration,
    /// To whom, where that is a followed line.
    pub line: Option<Line>,
    /// The user part it goes to.
    pub target: String,
    /// Whether its leg has come.
    pub done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Ringing,
    Stopped,
    Talking(Hold),
    Left,
}

/// What a line is in this call, all its legs taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Quiet,
    Stopped(Stopped, Duration),
    Left(Duration),
    Ringing,
    Talking(Hold),
}

impl Call {
    pub fn new(key: CallKey, began: Duration) -> Call {
        Call {
            key,
            sessions: BTreeMap::new(),
            transfers: Vec::new(),
            said: BTreeMap::new(),
            facts: None,
            over: None,
            caller: None,
            names: Vec::new(),
            inbound: false,
            began,
        }
    }

    /// What is so now and was not said yet, and what each followed line does in this call.
    pub fn tell(
        &mut self,
        now: Duration,
        silence: Silence,
        window: Duration,
    ) -> (Vec<CallHeard>, BTreeMap<Line, LineState>) {
        let mut words = Vec::new();
        if self.over.is_some() {
            return (words, BTreeMap::new());
        }
        for session in self.sessions.values_mut() {
            session.pass(now, silence);
        }
        let views = self.views(now);
        let gone = self.system_gone(silence).filter(|at| now >= *at);
        let gone = gone.map(|at| Ended { by: OverBy::Unknown, at });
        let end = self.end(now, window).filter(|end| now >= end.at).or(gone);
        self.tell_facts(now, &views, &mut words);
        for (line, view) in &views {
            self.tell_line(line, *view, end, &mut words);
        }
        if let Some(end) = end {
            self.over = Some(now);
            if self.told() {
                words.push(CallHeard::Over { by: end.by });
            }
        }
        (words, self.lines(views, now))
    }

    /// The leg that brought it, else its first.
    pub fn root(&self) -> Option<&Session> {
        match self.sessions.len() {
            0 | 1 => self.sessions.values().next(),
            _ => self.sessions.values().min_by_key(|s| (s.role != Role::Caller, s.began)),
        }
    }

    /// Whether anything was said of it.
    pub fn told(&self) -> bool {
        self.facts.is_some() || !self.said.is_empty()
    }

    /// From when on a caller who was only told to wait is taken for one who waits.
    fn waits(&self) -> Duration {
        self.began.saturating_add(SENT_AWAY_WITHIN)
    }

    fn tell_facts(&mut self, now: Duration, views: &BTreeMap<Line, View>, words: &mut Vec<CallHeard>) {
        let early = self.inbound
            && self
                .sessions
                .values()
                .any(|s| s.role == Role::Caller && s.from_line.is_none() && s.taken_on(now >= self.waits()));
        if !early && views.is_empty() {
            return;
        }
        let facts = self.merged_facts();
        if self.facts.as_ref() != Some(&facts) {
            self.facts = Some(facts.clone());
            words.push(CallHeard::Facts(facts));
        }
    }

    /// The caller's own leg is believed first; the phones' legs fill what it leaves open.
    fn merged_facts(&self) -> CallFacts {
        let mut order: Vec<&Session> = self.sessions.values().filter(|s| !s.aside).collect();
        order.sort_by_key(|s| (s.role != Role::Caller, !s.invited, s.follows, s.began));
        let caller_seen = order.iter().any(|s| s.role == Role::Caller && s.invited);
        let mut facts = CallFacts::default();
        for session in order {
            let more = &session.facts;
            if session.role == Role::Phone && session.follows {
                // After a transfer the colleague may stand in the caller's place.
                continue;
            }
            if facts.caller == Default::default() {
                facts.caller = more.caller.clone();
            } else if facts.caller.looks_like(&more.caller) {
                facts.caller.name = facts.caller.name.or_else(|| more.caller.name.clone());
                facts.caller.stir = facts.caller.stir.or(more.caller.stir);
            }
            facts.queue = facts.queue.or_else(|| more.queue.clone());
            let called = session.called.as_ref().filter(|_| session.role == Role::Caller);
            facts.dialled = facts.dialled.or_else(|| more.dialled.clone()).or_else(|| called.cloned());
            // Where the caller's own leg is seen, a phone's leg only tells more of what happened in this company.
            if session.role == Role::Caller || !caller_seen {
                facts.diverted_by = facts.diverted_by.or_else(|| more.diverted_by.clone());
            }
            for (name, value) in &more.tags {
                if facts.tags.len() < pinkas_protocol::call::MOST_TAGS {
                    facts.tags.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
        }
        if self.sessions.values().any(|s| s.facts.caller.withheld) {
            // No leg may tell what another was asked to keep; nor may its tags.
            let numbers = self.sessions.values().filter_map(|s| s.facts.caller.number.as_ref()?.key());
            let kept_back = self.sessions.values().flat_map(|s| s.kept_back.0.iter().cloned());
            let known: Vec<String> = numbers.map(tags::digits).chain(kept_back).collect();
            tags::keep_back(&mut facts, &known);
            facts.caller.withheld = true;
            facts.caller.number = None;
            facts.caller.name = None;
        }
        facts
    }

    fn tell_line(&mut self, line: &Line, view: View, end: Option<Ended>, words: &mut Vec<CallHeard>) {
        let said = self.said.get(line).copied();
        let over = end.is_some();
        let is = match (view, said) {
            (View::Talking(_) | View::Left(_), None | Some(Said::Ringing | Said::Stopped)) => {
                words.push(CallHeard::Answered { line: line.clone() });
                Said::Talking(Hold::Off)
            }
            (View::Ringing | View::Quiet, Some(Said::Ringing)) if over => {
                let why = end.map_or(Stopped::Unknown, |end| stopped_by(end.by));
                words.push(CallHeard::Stopped { line: line.clone(), why });
                Said::Stopped
            }
            (View::Ringing, None | Some(Said::Stopped | Said::Left)) if !over => {
                words.push(CallHeard::Rings { line: line.clone(), passed_on_by: self.passed_on_by(line) });
                Said::Ringing
            }
            (View::Stopped(why, _), Some(Said::Ringing)) => {
                words.push(CallHeard::Stopped { line: line.clone(), why });
                Said::Stopped
            }
            (_, Some(said)) => said,
            (_, None) => return,
        };
        let is = match (view, is) {
            (View::Talking(hold), Said::Talking(known)) if hold != known => {
                words.push(CallHeard::Hold { line: line.clone(), hold });
                Said::Talking(hold)
            }
            (View::Left(_) | View::Ringing | View::Quiet, Said::Talking(_)) if !over => {
                let moved_to = self.transfers.iter().rev().find(|t| t.by == *line);
                words.push(CallHeard::Left {
                    line: line.clone(),
                    moved_to: moved_to.and_then(|t| t.line.clone()),
                });
                Said::Left
            }
            (_, is) => is,
        };
        self.said.insert(line.clone(), is);
        if view == View::Ringing && is == Said::Left {
            self.tell_line(line, view, end, words);
        }
    }

    fn passed_on_by(&self, line: &Line) -> Option<Line> {
        let to_it = self.transfers.iter().rev().find(|t| t.line.as_ref() == Some(line));
        to_it.map(|t| t.by.clone()).filter(|by| by != line)
    }

    fn views(&self, now: Duration) -> BTreeMap<Line, View> {
        let mut views: BTreeMap<Line, View> = BTreeMap::new();
        let answered = self.sessions.values().any(|s| s.phones(now).any(|(_, state)| talks(state)));
        let caller = self.callers_end(now);
        for (line, state) in self.sessions.values().flat_map(|s| s.phones(now)) {
            let view = match state {
                State::Quiet => View::Quiet,
                State::Ringing => View::Ringing,
                State::Talking(hold) => View::Talking(hold),
                State::Left(at) => View::Left(at),
                State::Refused(code, at) => View::Stopped(refused(code), at),
                State::Silent(at) => View::Stopped(Stopped::Unknown, at),
                State::Cancelled(said, at) => match self.cancelled(said, at, answered, caller, now) {
                    Some(why) => View::Stopped(why, at),
                    None => View::Ringing,
                },
            };
            let known = views.entry(line.clone()).or_insert(view);
            if rank(view) >= rank(*known) {
                *known = view;
            }
        }
        views
    }

    /// Why a CANCEL was sent; `None` while it is better to wait.
    fn cancelled(
        &self,
        said: Cancelled,
        at: Duration,
        answered: bool,
        caller: Callers,
        now: Duration,
    ) -> Option<Stopped> {
        match (said, caller) {
            (Cancelled::Elsewhere, _) => Some(Stopped::Elsewhere),
            _ if answered => Some(Stopped::Elsewhere),
            (_, Callers::Ended(end)) => Some(stopped_by(end.by)),
            (_, Callers::Alive) => (now >= at.saturating_add(WAITS_FOR_REASON)).then_some(Stopped::NoAnswer),
            (Cancelled::GaveUp, Callers::Unseen) => Some(Stopped::GaveUp),
            (Cancelled::Unsaid, Callers::Unseen) => Some(Stopped::Unknown),
        }
    }

    /// Whether whoever brought the call is still there.
    fn callers_end(&self, now: Duration) -> Callers {
        let mut ends = Callers::Unseen;
        let brings =
            |s: &&Session| !s.aside && (s.role == Role::Caller || (s.follows && s.role == Role::Unsure));
        for session in self.sessions.values().filter(brings) {
            match (session.over(now), ends) {
                (None, _) => return Callers::Alive,
                (Some(end), Callers::Ended(known)) if known.at >= end.at => {}
                (Some(end), _) => ends = Callers::Ended(end),
            }
        }
        ends
    }

    /// When and by whom the call is, or will be, over.
    fn end(&self, now: Duration, window: Duration) -> Option<Ended> {
        let talking = || self.sessions.values().any(|s| s.phones(now).any(|(_, state)| talks_now(state)));
        let pending = self.transfers.iter().filter(|t| !t.done).map(|t| t.at).max();
        match self.callers_end(now) {
            Callers::Alive => None,
            Callers::Ended(end) => {
                let mut at = end.at;
                if talking() {
                    at = at.saturating_add(WAITS_FOR_PHONES);
                }
                // A caller behind a proxy leaves one leg and begins another.
                if pending.is_some() && self.sessions.values().any(|s| s.role == Role::Caller && s.deep()) {
                    at = at.saturating_add(window);
                }
                Some(Ended { at, ..end })
            }
            Callers::Unseen => self.phones_end(now, window, pending.is_some()),
        }
    }

    /// When it is certain that the phone system died over this call: a phone rang, nobody cancelled or answered it
    /// for as long as a phone may ring, and nothing else was heard of the call in that time. A phone system that is
    /// alive ends the ringing itself.
    fn system_gone(&self, silence: Silence) -> Option<Duration> {
        let branches = || self.sessions.values().flat_map(|s| &s.branches);
        let talks =
            self.sessions.values().any(|s| s.taken_by.is_none() && s.role != Role::Caller && s.answered());
        let rang = branches().any(|branch| branch.silent);
        let last = self.sessions.values().map(|s| s.last).max()?;
        (rang && !talks).then(|| last.saturating_add(silence.ringing))
    }

    /// The end of a call whose caller's leg is not seen: that of its last phone.
    fn phones_end(&self, now: Duration, window: Duration, pending: bool) -> Option<Ended> {
        let mut last: Option<Ended> = None;
        let (mut answered, mut gave_up, mut elsewhere) = (false, false, false);
        let all_aside = self.sessions.values().all(|s| s.aside);
        for session in self.sessions.values().filter(|s| all_aside || !s.aside) {
            let end = session.over(now)?;
            if last.is_none_or(|known| end.at >= known.at) {
                last = Some(end);
            }
            answered |= session.answered();
            for (_, state) in session.phones(now) {
                gave_up |= matches!(state, State::Cancelled(Cancelled::GaveUp, _));
                elsewhere |= matches!(state, State::Cancelled(Cancelled::Elsewhere, _));
            }
        }
        let end = last?;
        let by = if answered || elsewhere {
            OverBy::Unknown
        } else if gave_up {
            OverBy::Caller
        } else if end.by == OverBy::PhoneSystem {
            OverBy::PhoneSystem
        } else {
            OverBy::Unknown
        };
        // It may be offered to the next phone.
        let waits = (!answered && !gave_up) || pending;
        Some(Ended { by, at: if waits { end.at.saturating_add(window) } else { end.at } })
    }

    fn lines(&self, views: BTreeMap<Line, View>, now: Duration) -> BTreeMap<Line, LineState> {
        let mut lines = BTreeMap::new();
        if self.over.is_some() {
            return lines;
        }
        for (line, view) in views {
            match view {
                View::Talking(_) => lines.insert(line, LineState::Busy),
                View::Ringing => lines.insert(line, LineState::Ringing),
                _ => None,
            };
        }
        for session in self.sessions.values().filter(|s| s.role == Role::Caller && s.over(now).is_none()) {
            if let Some(line) = &session.from_line {
                lines.insert(line.clone(), LineState::Busy);
            }
        }
        lines
    }

    /// When it has to be looked at again without a message.
    pub fn wakes(&self, now: Duration, silence: Silence, window: Duration) -> Option<Duration> {
        if self.over.is_some() {
            return None;
        }
        let silent = self.sessions.values().filter(|s| s.ended.is_none()).map(|s| s.wakes(now, silence));
        let cancelled =
            self.sessions.values().flat_map(|s| s.phones(now)).filter_map(|(_, state)| match state {
                State::Cancelled(_, at) => Some(at.saturating_add(WAITS_FOR_REASON)).filter(|at| *at > now),
                _ => None,
            });
        let end = self.end(now, window).map(|end| end.at);
        let waits = (self.inbound && self.facts.is_none()).then(|| self.waits()).filter(|at| *at > now);
        let gone = self.system_gone(silence);
        silent.chain(cancelled).chain(end).chain(waits).chain(gone).min()
    }

    /// Whether it seeks an answer: nobody talks, and the caller is not known to be gone.
    pub fn seeks(&self, now: Duration) -> bool {
        let talking = self.sessions.values().any(|s| s.phones(now).any(|(_, state)| talks_now(state)));
        self.over.is_none() && !talking && !matches!(self.callers_end(now), Callers::Ended(_))
    }

    /// The lines that ring or talk in it.
    pub fn has(&self, line: &Line, now: Duration) -> bool {
        let at = |(at, state): (&Line, State)| at == line && (state == State::Ringing || talks_now(state));
        self.sessions.values().any(|s| s.phones(now).any(at))
    }

    /// Whether a line talks, or has talked, in it.
    pub fn had(&self, line: &Line, now: Duration) -> bool {
        self.sessions.values().any(|s| s.phones(now).any(|(at, state)| at == line && talks(state)))
    }

    /// The line that talks in it, other than `but`.
    pub fn talking_line(&self, but: &Line, now: Duration) -> Option<Line> {
        let mut phones = self.sessions.values().flat_map(|s| s.phones(now));
        phones.find(|(line, state)| *line != but && talks_now(*state)).map(|(line, _)| line.clone())
    }

    /// Notes a transfer; a repetition changes nothing.
    pub fn transfer(&mut self, transfer: Transfer) {
        let known = self
            .transfers
            .iter()
            .any(|t| t.by == transfer.by && t.target == transfer.target && t.line == transfer.line);
        if !known && self.transfers.len() < MOST_TRANSFERS {
            self.transfers.push(transfer);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Callers {
    /// Their leg is not seen.
    Unseen,
    Alive,
    Ended(Ended),
}

fn talks(state: State) -> bool {
    matches!(state, State::Talking(_) | State::Left(_))
}

fn talks_now(state: State) -> bool {
    matches!(state, State::Talking(_))
}

/// Of two legs to one line the livelier counts, of two that are over the later.
fn rank(view: View) -> (u8, Duration) {
    match view {
        View::Quiet => (0, Duration::ZERO),
        View::Stopped(_, at) | View::Left(at) => (1, at),
        View::Ringing => (2, Duration::ZERO),
        View::Talking(_) => (3, Duration::ZERO),
    }
}

fn stopped_by(by: OverBy) -> Stopped {
    match by {
        OverBy::Caller => Stopped::GaveUp,
        OverBy::PhoneSystem => Stopped::NoAnswer,
        OverBy::Unknown | OverBy::Colleague => Stopped::Unknown,
    }
}

/// RFC 3261 section 21: what a phone means by refusing.
fn refused(code: u16) -> Stopped {
    match code {
        486 | 600 | 603 => Stopped::Declined,
        408 | 480 => Stopped::NoAnswer,
        _ => Stopped::Unknown,
    }
}
