//! One leg: all that shares a Call-ID. What is known of it only grows, and each message adds to it
//! whatever came before, so that a message that is late, lost or repeated leaves the same end.

use std::net::SocketAddr;
use std::time::Duration;

use pinkas_protocol::{CallFacts, Line, Number, Private};

use super::part::{Kind, Part, on_hold};
use super::transfer::Asked;
use crate::hear::{Hold, OverBy};
use crate::sip::identity::{self, Rules};

/// The most branches and tags kept of one leg; a ring group of a proxy has a branch for each phone.
const MOST_BRANCHES: usize = 256;
const MOST_TAGS: usize = 8;
const MOST_ACKS: usize = 8;

/// How long after a challenge or redirection the sender may try again.
const TRIES_AGAIN: Duration = Duration::from_secs(5);

/// How long after an ACK a 2xx that was not seen is taken for lost rather than late.
const LATE: Duration = Duration::from_secs(1);

/// What a leg is to its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Brings the call into the phone system.
    Caller,
    /// Goes out of it, to a phone or elsewhere.
    Phone,
    /// Names a line, and could be either: taken for a phone's until something is seen that it caused.
    Unsure,
}

/// One leg.
pub(super) struct Session {
    pub role: Role,
    /// What it is found by.
    pub call_id: String,
    /// From tag of the first INVITE.
    initiator: String,
    /// What its INVITE said; only the caller where the INVITE was not seen.
    pub facts: CallFacts,
    /// Digits of a caller who asked to be withheld: what the call's other legs must not tell.
    pub kept_back: Private<Vec<String>>,
    /// The number it was begun with, be it an extension: what was dialled, where it is the caller's leg.
    pub called: Option<Number>,
    /// The user part that its INVITE was for.
    pub target: String,
    /// Whether the INVITE was seen.
    pub invited: bool,
    /// After how many hops the INVITE was seen whose facts these are.
    pub facts_depth: usize,
    /// The followed line whose phone began it.
    pub from_line: Option<Line>,
    pub branches: Vec<Branch>,
    acks: Vec<(String, String)>,
    acked: Option<Duration>,
    pub ended: Option<Ended>,
    hold: Option<(u32, Hold)>,
    /// The order in which legs began, by the capturer's clock where there is one.
    pub began: Duration,
    pub last: Duration,
    /// A transfer's own leg: it is of no weight for whether the call is over.
    pub aside: bool,
    /// It came by a transfer or replaces another leg.
    pub follows: bool,
    /// The followed line that took another's call over with it.
    pub taken_by: Option<Line>,
    /// The Call-ID of the leg in whose place it comes, after a transfer.
    pub replaces: Option<String>,
    /// What its phone asked for with REFER and is not done yet.
    pub asked: Vec<Asked>,
    /// The last digits of what was dialled outside.
    pub dialled: Option<String>,
    /// Who sent its INVITE, and to whom.
    pub ends: (Option<SocketAddr>, Option<SocketAddr>),
}

/// One INVITE and its answers, on one hop.
pub(super) struct Branch {
    id: String,
    depth: usize,
    /// Only its CANCEL was seen yet, so that its depth is not known.
    of_cancel: bool,
    cseq: u32,
    pub line: Option<Line>,
    pub progress: Progress,
    pub cancelled: Option<Cancelled>,
    /// When it came to its end.
    pub done: Option<Duration>,
    tags: Vec<String>,
    gone: bool,
    news: Duration,
    /// It rang, and nothing was ever heard of it again.
    pub silent: bool,
}

/// How far an INVITE has come. Only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    Sent,
    /// Something answered, so that it is no longer repeated.
    Taken,
    Ringing,
    /// Refused with this code; 0 where only the ACK was seen.
    Refused(u16),
    Answered,
}

/// What was said with a CANCEL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// RFC 3326: a colleague answered.
    Elsewhere,
    /// The caller gave up, for certain.
    GaveUp,
    /// Nothing certain.
    Unsaid,
}

/// The end of a leg that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub by: OverBy,
    pub at: Duration,
}

/// What a branch is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Quiet,
    Ringing,
    Talking(Hold),
    /// Had been answered.
    Left(Duration),
    Cancelled(Cancelled, Duration),
    Refused(u16, Duration),
    /// Given up because nothing was heard of it.
    Silent(Duration),
}

/// How long silence may last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silence {
    pub ringing: Duration,
    pub talking: Duration,
}

impl Session {
    pub fn new(part: &Part<'_>, from_line: Option<Line>) -> Session {
        let now = part.seen.uptime;
        Session {
            role: Role::Unsure,
            call_id: part.call_id.to_owned(),
            initiator: part.from_tag.clone().into_owned(),
            facts: CallFacts::default(),
            kept_back: Private::default(),
            called: None,
            target: part.target().unwrap_or_default().into_owned(),
            invited: part.kind == Kind::Invite,
            facts_depth: part.depth,
            from_line,
            branches: Vec::new(),
            acks: Vec::new(),
            acked: None,
            ended: None,
            hold: None,
            began: part.seen.captured.unwrap_or(now),
            last: now,
            aside: false,
            follows: false,
            taken_by: None,
            replaces: None,
            asked: Vec::new(),
            dialled: None,
            ends: (None, None),
        }
    }

    /// Takes in what its INVITE says.
    pub fn read_invite(&mut self, part: &Part<'_>, line: Option<&Line>, rules: &Rules) {
        (self.facts, self.kept_back) = super::leg_facts(part, line, rules);
        self.target = part.target().unwrap_or_default().into_owned();
        let digits = |number: &Number| match number {
            Number::E164 { .. } | Number::Extension { .. } => true,
            Number::Other { .. } => false,
        };
        self.called = part.uri.and_then(|uri| identity::number(uri, &rules.numbers)).filter(digits);
    }

    /// Adds what one message says. `line` is the followed line it names as the one called.
    pub fn take(&mut self, part: &Part<'_>, line: Option<&Line>) {
        let now = part.seen.uptime;
        self.last = now;
        match part.kind {
            Kind::Invite => {
                if let Some(branch) = self.branch(part, line) {
                    branch.news = now;
                }
                self.read_refusals(now);
            }
            Kind::Answer(code) => self.answer(part, code, line),
            Kind::Ack => self.ack(part),
            Kind::Cancel | Kind::Cancelled => {
                let said = cancelled(part);
                // The INVITE's own answers name its branch; a CANCEL goes by the same.
                if let Some(branch) = self.branch(part, line) {
                    let known = branch.cancelled.unwrap_or(Cancelled::Unsaid);
                    branch.cancelled = Some(if known == Cancelled::Unsaid { said } else { known });
                    branch.done = branch.done.or(Some(now));
                }
            }
            Kind::Bye | Kind::ByeDone => self.bye(part),
            Kind::Change => {
                // An UPDATE may come before the answer (RFC 3311); an INVITE may not.
                if part.message.method() == Some("INVITE") {
                    self.answered_by_tags(part);
                }
                self.read_hold(part);
            }
            Kind::Refer => self.answered_by_tags(part),
            Kind::Referred(_) | Kind::Notified(_) => {}
        }
        let shallow = self.branches.iter().map(|b| b.depth).min();
        if self.role == Role::Unsure && self.branches.iter().any(|b| Some(b.depth) > shallow) {
            self.role = Role::Caller;
        }
    }

    /// The branch a message of an INVITE's transaction belongs to, made where it is not known yet.
    fn branch(&mut self, part: &Part<'_>, line: Option<&Line>) -> Option<&mut Branch> {
        // A CANCEL goes by the branch of its INVITE, but from hop to hop: it does not tell how deep that is.
        let of_cancel = matches!(part.kind, Kind::Cancel | Kind::Cancelled) && !part.branch.is_empty();
        let is_it = |b: &Branch| b.id == part.branch && (of_cancel || b.of_cancel || b.depth == part.depth);
        let known = self.branches.iter().position(is_it);
        let at = match known {
            Some(at) => at,
            None if self.branches.len() >= MOST_BRANCHES => return None,
            None => {
                self.branches.push(Branch {
                    id: part.branch.to_owned(),
                    depth: part.depth,
                    of_cancel,
                    cseq: part.cseq,
                    line: None,
                    progress: Progress::Sent,
                    cancelled: None,
                    done: None,
                    tags: Vec::new(),
                    gone: false,
                    news: part.seen.uptime,
                    silent: false,
                });
                self.branches.len() - 1
            }
        };
        let branch = self.branches.get_mut(at)?;
        if branch.of_cancel && !of_cancel {
            (branch.of_cancel, branch.depth) = (false, part.depth);
        }
        if part.kind == Kind::Invite || branch.line.is_none() {
            branch.line = line.cloned().or(branch.line.take());
        }
        Some(branch)
    }

    fn answer(&mut self, part: &Part<'_>, code: u16, line: Option<&Line>) {
        let known = self.branches.iter().any(|b| b.id == part.branch);
        let first_cseq = self.branches.iter().map(|b| b.cseq).max();
        let answered = self.answered();
        // Not the first INVITE's: one within the leg, whichever side sent it.
        let later = !known && answered && first_cseq.is_some_and(|cseq| part.cseq > cseq);
        if part.from_tag != self.initiator || later {
            return;
        }
        let now = part.seen.uptime;
        let Some(branch) = self.branch(part, line) else { return };
        branch.news = now;
        let progress = match code {
            ..=179 | 181 | 182 | 184..=199 => Progress::Taken,
            180 | 183 => Progress::Ringing,
            200..=299 => Progress::Answered,
            300.. => Progress::Refused(code),
        };
        branch.tag(&part.to_tag);
        branch.advance(progress, now);
    }

    fn ack(&mut self, part: &Part<'_>) {
        let now = part.seen.uptime;
        let ack = (part.branch.to_owned(), part.to_tag.clone().into_owned());
        if self.acks.len() < MOST_ACKS && !self.acks.contains(&ack) {
            self.acks.push(ack);
            self.acked = self.acked.or(Some(now));
        }
        self.read_refusals(now);
    }

    /// An ACK by an INVITE's own branch is for a refusal (RFC 3261 section 17.1.1.3).
    fn read_refusals(&mut self, now: Duration) {
        let branches = &mut self.branches;
        self.acks.retain(|(id, _)| {
            let mut other = true;
            for branch in branches.iter_mut().filter(|branch| branch.id == *id) {
                branch.advance(Progress::Refused(0), now);
                other = false;
            }
            other
        });
        if self.acks.is_empty() {
            self.acked = None;
        }
    }

    /// Any other ACK is for an answer (section 13.2.2.4); concluded only once an INVITE that is late must have come.
    fn read_answers(&mut self, now: Duration) {
        for (_, tag) in std::mem::take(&mut self.acks) {
            self.answered_by(&tag, now);
        }
        self.acked = None;
    }

    fn answered_by_tags(&mut self, part: &Part<'_>) {
        let other = if part.from_tag == self.initiator { &part.to_tag } else { &part.from_tag };
        self.answered_by(other, part.seen.uptime);
    }

    /// Whoever has this tag has answered; where nobody is known by it, the only one there is.
    fn answered_by(&mut self, tag: &str, now: Duration) {
        let only = self.branches.len() == 1;
        for branch in &mut self.branches {
            if branch.has(tag) || (only && branch.progress < Progress::Refused(1)) {
                branch.advance(Progress::Answered, now);
            }
        }
    }

    fn bye(&mut self, part: &Part<'_>) {
        let now = part.seen.uptime;
        // Whatever was acknowledged before the BYE had been answered.
        self.read_refusals(now);
        self.read_answers(now);
        let by = if part.from_tag == self.initiator { OverBy::Caller } else { OverBy::PhoneSystem };
        let other = if by == OverBy::Caller { &part.to_tag } else { &part.from_tag };
        let talks = |b: &Branch| b.progress == Progress::Answered && !b.gone;
        let one_of_several = self.branches.iter().any(|b| talks(b) && b.has(other))
            && self.branches.iter().any(|b| talks(b) && !b.has(other));
        if one_of_several {
            // Two phones answered at the same time (RFC 3261 section 13.2.2.4): one is let go.
            for branch in self.branches.iter_mut().filter(|b| b.has(other)) {
                branch.gone = true;
                branch.done = branch.done.or(Some(now));
            }
        } else {
            self.ended = self.ended.or(Some(Ended { by, at: now }));
        }
    }

    fn read_hold(&mut self, part: &Part<'_>) {
        // Of a call that it took over, the phone is the side that began the leg.
        let phone = (part.from_tag == self.initiator) == self.taken_by.is_some();
        if !phone || self.hold.is_some_and(|(cseq, _)| cseq > part.cseq) {
            return;
        }
        if let Some(on_hold) = on_hold(part.message.body()) {
            self.hold = Some((part.cseq, if on_hold { Hold::On } else { Hold::Off }));
        }
    }

    /// Lets time pass: what can no longer be expected is given up.
    pub fn pass(&mut self, now: Duration, silence: Silence) {
        if self.acked.is_some_and(|at| now >= at.saturating_add(LATE)) {
            self.read_answers(now);
        }
        let from = self.impatient_from();
        for branch in self.branches.iter_mut().filter(|b| b.depth >= from) {
            if branch.progress < Progress::Refused(0) && now >= branch.news.saturating_add(silence.ringing) {
                branch.silent = branch.progress == Progress::Ringing && branch.cancelled.is_none();
                branch.advance(Progress::Refused(408), now);
            }
        }
        if self.ended.is_none() && now >= self.last.saturating_add(silence.talking) {
            self.ended = Some(Ended { by: OverBy::Unknown, at: now });
        }
    }

    /// When [`Session::pass`] has something to do next, at the latest.
    pub fn wakes(&self, now: Duration, silence: Silence) -> Duration {
        let mut wakes = self.last.saturating_add(silence.talking);
        if let Some(acked) = self.acked {
            wakes = wakes.min(acked.saturating_add(LATE));
        }
        for branch in &self.branches {
            if branch.progress < Progress::Refused(0) {
                let patience = branch.news.saturating_add(silence.ringing);
                if branch.depth >= self.impatient_from() {
                    wakes = wakes.min(patience);
                }
            } else if let Some(done) = branch.done {
                let waits = match branch.progress {
                    Progress::Refused(0) => LATE,
                    _ if branch.may_try_again() => TRIES_AGAIN,
                    _ => continue,
                };
                // What is past was taken into account already.
                let until = done.saturating_add(waits);
                wakes = if until > now { wakes.min(until) } else { wakes };
            }
        }
        wakes
    }

    /// From which depth on branches end in phones. A caller may wait for longer than a phone may ring.
    fn impatient_from(&self) -> usize {
        if self.role == Role::Caller && self.from_line.is_none() { self.shallow() + 1 } else { 0 }
    }

    fn shallow(&self) -> usize {
        self.branches.iter().map(|b| b.depth).min().unwrap_or(0)
    }

    /// Whether it was seen before and after a proxy: both sides are in it then.
    pub fn deep(&self) -> bool {
        let shallow = self.shallow();
        self.branches.iter().any(|b| b.depth > shallow)
    }

    pub fn answered(&self) -> bool {
        self.branches.iter().any(|b| b.progress == Progress::Answered)
    }

    /// Whether the phone system has taken it on, which it does not with a stranger's.
    pub fn taken_on(&self, waited: bool) -> bool {
        self.branches.iter().any(|b| match b.progress {
            Progress::Sent | Progress::Refused(_) => false,
            Progress::Taken => waited && b.cancelled.is_none(),
            Progress::Ringing | Progress::Answered => true,
        })
    }

    /// The branches that go to phones, with what each is now.
    pub fn phones(&self, now: Duration) -> impl Iterator<Item = (&Line, State)> {
        let from = if self.role == Role::Caller { self.shallow() + 1 } else { 0 };
        self.branches
            .iter()
            .filter(move |b| b.depth >= from)
            .filter_map(move |b| Some((self.taken_by.as_ref().or(b.line.as_ref())?, self.state(b, now))))
    }

    /// The followed line it goes to.
    pub fn phone_line(&self) -> Option<&Line> {
        let from = if self.role == Role::Caller { self.shallow() + 1 } else { 0 };
        let mut phones = self.branches.iter().filter(|b| b.depth >= from);
        // Behind a proxy that rang several, the one that answered.
        let answered = phones.clone().find(|b| b.progress == Progress::Answered && b.line.is_some());
        answered.or_else(|| phones.find(|b| b.line.is_some())).and_then(|b| b.line.as_ref())
    }

    /// The tag of whoever began it.
    pub fn initiator(&self) -> &str {
        &self.initiator
    }

    /// The number of its newest INVITE.
    pub fn newest(&self) -> Option<u32> {
        self.branches.iter().map(|b| b.cseq).max()
    }

    fn state(&self, branch: &Branch, now: Duration) -> State {
        let done = branch.done.unwrap_or(now);
        match (branch.progress, branch.cancelled) {
            (Progress::Answered, _) if branch.gone => State::Left(done),
            (Progress::Answered, _) => match self.ended {
                Some(ended) => State::Left(ended.at),
                None => State::Talking(self.hold.map_or(Hold::Off, |(_, hold)| hold)),
            },
            (_, Some(cancelled)) => State::Cancelled(cancelled, done),
            (Progress::Refused(487), None) => State::Cancelled(Cancelled::Unsaid, done),
            (Progress::Refused(0), None) if branch.is_unsaid(now) => State::Quiet,
            (Progress::Refused(_), None) if branch.silent => State::Silent(done),
            (Progress::Refused(code), None) => State::Refused(code, done),
            _ if self.ended.is_some() => {
                State::Cancelled(Cancelled::Unsaid, self.ended.map_or(done, |ended| ended.at))
            }
            (Progress::Ringing, None) => State::Ringing,
            (Progress::Sent | Progress::Taken, None) => State::Quiet,
        }
    }

    /// Whether nothing more is to come, and when it came to that; on the caller's side of a proxy only.
    pub fn over(&self, now: Duration) -> Option<Ended> {
        if let Some(ended) = self.ended {
            return Some(ended);
        }
        let shallow = self.shallow();
        let mut last: Option<(u32, Ended)> = None;
        for branch in self.branches.iter().filter(|b| b.depth == shallow) {
            let by = match (branch.progress, branch.cancelled) {
                (Progress::Answered, _) => return None,
                (_, Some(_)) | (Progress::Refused(487), None) => OverBy::Caller,
                (Progress::Refused(0), None) if branch.is_unsaid(now) => return None,
                (Progress::Refused(0), None) => OverBy::Unknown,
                (Progress::Refused(_), None) => OverBy::PhoneSystem,
                _ => return None,
            };
            let at = branch.done.unwrap_or(now);
            if branch.may_try_again() && now < at.saturating_add(TRIES_AGAIN) {
                return None;
            }
            if last.is_none_or(|(cseq, _)| branch.cseq >= cseq) {
                last = Some((branch.cseq, Ended { by, at }));
            }
        }
        // Where a phone behind a proxy talks, the answer to the caller was lost.
        last.map(|(_, ended)| ended).filter(|_| !self.answered())
    }
}

impl Branch {
    fn advance(&mut self, progress: Progress, now: Duration) {
        // Of two refusals the first counts, unless only its ACK was seen.
        let refused = matches!(self.progress, Progress::Refused(code) if code != 0);
        if progress > self.progress && !(refused && progress != Progress::Answered) {
            self.progress = progress;
            if matches!(progress, Progress::Refused(_)) {
                self.done = self.done.or(Some(now));
            }
        }
    }

    fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|known| known == tag)
    }

    fn tag(&mut self, tag: &str) {
        if !tag.is_empty() && self.tags.len() < MOST_TAGS && !self.has(tag) {
            self.tags.push(tag.to_owned());
        }
    }

    /// Whether only the ACK of a refusal is here yet, which may have overtaken it.
    fn is_unsaid(&self, now: Duration) -> bool {
        self.progress == Progress::Refused(0) && self.done.is_some_and(|done| now < done.saturating_add(LATE))
    }

    fn may_try_again(&self) -> bool {
        self.cancelled.is_none() && matches!(self.progress, Progress::Refused(401 | 407 | 300..=399))
    }
}

/// RFC 3326: why a CANCEL was sent. Asterisk writes two, and 127 for a caller that hung up.
fn cancelled(part: &Part<'_>) -> Cancelled {
    let mut said = Cancelled::Unsaid;
    for reason in part.message.headers("Reason").flat_map(|value| value.split(',')) {
        let (protocol, params) = reason.split_once(';').unwrap_or((reason, ""));
        let cause = params.split(';').find_map(|param| param.trim().strip_prefix("cause="));
        let cause = cause.and_then(|cause| cause.trim().parse::<u16>().ok());
        match (protocol.trim().to_ascii_uppercase().as_str(), cause) {
            ("SIP", Some(200)) | ("Q.850", Some(26)) => return Cancelled::Elsewhere,
            ("Q.850", Some(127 | 16)) | ("SIP", Some(487)) => said = Cancelled::GaveUp,
            _ => {}
        }
    }
    said
}
