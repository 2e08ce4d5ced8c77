//! All that the desktop knows and the rules by which a call pops, fades and goes: pure, told the time.
//! The board is the hub's; what is kept here beside it is only what this person saw and closed.
//! Moments on the board are the hub's clock, so that a desktop with a wrong clock shows right ages.

pub mod find;
pub mod login;
mod own;
pub mod past;
mod pop;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pinkas_link::Ended;
use pinkas_protocol::agent_link::{AgentSays, Role};
use pinkas_protocol::record::Outcome;
use pinkas_protocol::{
    Board, CallId, CallView, EndedHow, FollowUp, Line, Missed, PastCall, QueueName, Reason, Update, Written,
};

pub use past::Past;
pub use pop::{Here, Pop};

use crate::drafts::Drafts;
use crate::links::Links;
use crate::net::{Me, NetEvent};
use crate::words::{Language, Words};
use login::{Heard, Login};

/// How long a card whose call stopped ringing here stays, dim, with the reason.
pub const FADES_FOR: SignedDuration = SignedDuration::from_secs(4);

/// Whether the hub is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// The first attempt is under way.
    Dialling,
    /// It is.
    Connected {
        /// Since when, by the desktop's clock.
        since: Timestamp,
    },
    /// It is not.
    Disconnected {
        /// Since when, by the desktop's clock.
        since: Timestamp,
        /// The last reason.
        why: Ended,
    },
}

/// When a call's card shows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pops {
    /// As soon as it rings here.
    #[default]
    AtRing,
    /// Once it was answered here.
    AtAnswer,
    /// Only when it is opened from a list.
    Never,
}

/// How this person works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Habits {
    /// When a card shows by itself.
    pub pops: Pops,
    /// How long a card stays after a talk, for what is left to do; `None`: until it is closed or gives way
    /// to another call.
    pub wrap_up: Option<SignedDuration>,
}

/// What is left to do after a talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WrapUp {
    call: CallId,
    /// By the desktop's clock.
    until: Timestamp,
}

/// By how much a wrap-up is made longer at once.
pub const EXTENDS_BY: SignedDuration = SignedDuration::from_secs(30);

/// All that is shown.
#[derive(Debug, Clone)]
pub struct Model {
    /// How this person works.
    pub habits: Habits,
    /// What the hub lets us see.
    pub board: Board,
    /// Whether it is up to date.
    pub link: LinkState,
    /// Who we are, once the hub has said so.
    pub me: Option<Me>,
    /// The zone in which times of day are shown.
    pub zone: TimeZone,
    /// The person's language.
    pub words: Words,
    /// What buttons on a card open.
    pub links: Links,
    /// The hub's clock minus ours.
    skew: SignedDuration,
    /// Cards the person closed.
    dismissed: BTreeSet<CallId>,
    /// Calls that just stopped ringing here, until when they still show.
    fading: BTreeMap<CallId, Timestamp>,
    /// The card that stays: answered here, or opened by hand.
    kept: Option<CallId>,
    /// The ringing call that the person wants to see, whatever else rings or is talked on.
    wanted: Option<CallId>,
    /// The talk that has just ended here.
    wrap_up: Option<WrapUp>,
    /// What this person wrote and the hub may not have yet.
    drafts: Drafts,
    outcomes: Vec<Outcome>,
    reasons: Vec<Reason>,
    /// The call of which the hub knows that it leaves something to do.
    wrap_up_told: Option<CallId>,
    past: Past,
    login: Login,
    find: find::Find,
}

impl Model {
    /// Nothing known yet; in English until `words` is set.
    pub fn new(zone: TimeZone) -> Self {
        Model {
            words: Words::of(Language::default()),
            board: Board::default(),
            link: LinkState::Dialling,
            me: None,
            zone,
            skew: SignedDuration::ZERO,
            dismissed: BTreeSet::new(),
            fading: BTreeMap::new(),
            kept: None,
            wanted: None,
            wrap_up: None,
            habits: Habits::default(),
            links: Links::default(),
            drafts: Drafts::default(),
            outcomes: Vec::new(),
            reasons: Vec::new(),
            wrap_up_told: None,
            past: Past::default(),
            login: Login::configured(),
            find: find::Find::default(),
        }
    }

    /// Takes in what came over the link.
    pub fn apply(&mut self, event: NetEvent) {
        match self.login.hear(&event) {
            Heard::Passes => {}
            Heard::Stays => return,
            Heard::TurnedAway => return self.show_nothing(),
        }
        let now = event.at();
        match event {
            NetEvent::Welcome { at, me, hub_now, board, outcomes, reasons } => {
                (self.outcomes, self.reasons) = (outcomes, reasons);
                self.wrap_up_told = None;
                self.drafts.connected();
                self.past.connected();
                self.me = Some(me);
                self.skew = hub_now.duration_since(at);
                self.board = board;
                self.link = LinkState::Connected { since: at };
                self.see_all(at);
            }
            NetEvent::Update { at, update } => {
                let call = update.call();
                let before = call.map_or(Phase::Nothing, |call| self.phase(call));
                let joined = matches!(&update, Update::Ended { ended, .. } if joined(ended.how));
                let ends = matches!(&update, Update::Ended { .. });
                if let Update::Written { call, entry } = &update {
                    self.past.written(*call, entry);
                    if matches!(entry.what, Written::FollowUp { .. }) {
                        self.past.follow_ups_changed();
                    }
                }
                let oldest = ended_first(&self.board).filter(|_| ends).map(|view| view.id);
                let falls = oldest.and_then(|call| self.board.calls.get(&call)).and_then(PastCall::of);
                self.board.apply(update);
                if let Some(fell) = falls.filter(|past| !self.board.calls.contains_key(&past.id)) {
                    self.past.fell(fell);
                }
                if let Some(call) = call.filter(|_| ends && !joined) {
                    self.wrap_up(at, call);
                }
                if let Some(call) = call.filter(|_| joined) {
                    self.gone_over(call);
                } else if let Some(call) = call {
                    self.turn(at, call, before);
                }
            }
            NetEvent::Kept { id, .. } => {
                let says = self.drafts.all().find(|entry| entry.id == id).map(|entry| &entry.says);
                if matches!(says, Some(AgentSays::Done { .. })) {
                    self.past.follow_ups_changed();
                }
                self.drafts.kept(id);
            }
            NetEvent::Refused { id, why, .. } => self.drafts.refused(id, why),
            NetEvent::Login { .. } => {}
            NetEvent::Page { ask, page, .. } => {
                self.past.page_is(ask, page, |call| self.board.calls.contains_key(&call));
            }
            NetEvent::Customers { ask, call, found, searched, .. } => {
                self.find.answered(ask, call, found, searched);
            }
            NetEvent::FollowUps { ask, follow_ups, .. } => self.past.follow_ups_are(ask, follow_ups),
            NetEvent::Disconnected { at, why } => {
                let since = match self.link {
                    LinkState::Disconnected { since, .. } => since,
                    _ => at,
                };
                self.find.cut_off();
                self.link = LinkState::Disconnected { since, why };
            }
        }
        self.forget(now);
    }

    /// Nobody is logged in any more: calls and names go from the screen; what was written stays.
    fn show_nothing(&mut self) {
        *self = Model {
            words: self.words.clone(),
            habits: self.habits,
            links: self.links.clone(),
            drafts: std::mem::take(&mut self.drafts),
            login: self.login.clone(),
            ..Model::new(self.zone.clone())
        };
    }

    /// The person no longer wants to be logged in here.
    pub fn log_out(&mut self) {
        if self.login.can_log_out() {
            self.login.log_out();
            self.show_nothing();
        }
    }

    /// Who logs in, and with what.
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// The same, to go on with it.
    pub fn login_mut(&mut self) -> &mut Login {
        &mut self.login
    }

    /// Takes a call's card off the screen, unless an outcome has to be said first.
    pub fn close(&mut self, call: CallId) {
        if self.board.calls.get(&call).is_some_and(|view| self.lacks_outcome(view)) {
            return;
        }
        self.dismissed.insert(call);
        if self.find.call() == Some(call) {
            self.find.close();
        }
        self.fading.remove(&call);
        self.wrap_up = self.wrap_up.filter(|wrap_up| wrap_up.call != call);
        self.wanted = self.wanted.filter(|wanted| *wanted != call);
        if self.kept == Some(call) {
            self.kept = None;
        }
    }

    /// Shows a call's card: while it rings, or else until it is closed or another call rings.
    pub fn open(&mut self, call: CallId) {
        if self.board.calls.contains_key(&call) {
            self.dismissed.remove(&call);
            match self.phase(call) {
                Phase::Ringing => self.wanted = Some(call),
                _ => self.kept = Some(call),
            }
        }
    }

    /// A talk has ended: if it was ours, there may be something left to do.
    fn wrap_up(&mut self, at: Timestamp, call: CallId) {
        let Some(lasts) = self.habits.wrap_up.filter(|_| self.phase(call) == Phase::Answered) else { return };
        if !self.dismissed.contains(&call) {
            self.wrap_up = Some(WrapUp { call, until: at.checked_add(lasts).unwrap_or(at) });
        }
    }

    /// Gives more time to what is left to do after a talk.
    pub fn extend(&mut self, call: CallId) {
        if let Some(wrap_up) = self.wrap_up.as_mut().filter(|wrap_up| wrap_up.call == call) {
            wrap_up.until = wrap_up.until.checked_add(EXTENDS_BY).unwrap_or(wrap_up.until);
        }
    }

    /// The hub's clock when ours says `now`.
    pub fn hub_time(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.skew).unwrap_or(now)
    }

    /// Whether every call and line is shown to this person.
    pub fn supervises(&self) -> bool {
        self.me.as_ref().is_some_and(|me| me.role != Role::Agent)
    }

    /// Whether the hub is heard.
    pub fn connected(&self) -> bool {
        matches!(self.link, LinkState::Connected { .. })
    }

    /// What this person wrote and the hub may not have yet.
    pub fn drafts(&self) -> &Drafts {
        &self.drafts
    }

    /// The same, to enter and to settle.
    pub fn drafts_mut(&mut self) -> &mut Drafts {
        &mut self.drafts
    }

    /// Calls that are over, and follow-ups, as far as the hub was asked.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// The same, to ask for more.
    pub fn past_mut(&mut self) -> &mut Past {
        &mut self.past
    }

    /// The customer who is looked for.
    pub fn find(&self) -> &find::Find {
        &self.find
    }

    /// The same, to ask.
    pub fn find_mut(&mut self) -> &mut find::Find {
        &mut self.find
    }

    /// The callers who were missed, the last call first.
    pub fn missed(&self) -> Vec<&Missed> {
        let mut rows: Vec<&Missed> = self.board.missed.values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.last, row.id)));
        rows
    }

    /// Whether nobody has spoken with a caller who was missed, as far as is known here.
    pub fn is_open(&self, row: &Missed) -> bool {
        row.handled.is_none() && !self.drafts.is_handled(row.id)
    }

    /// This person's open follow-ups without those ticked off here, those due first at the top; `None` until
    /// the hub has said.
    pub fn follow_ups(&self) -> Option<Vec<&FollowUp>> {
        let open = |follow_up: &&FollowUp| !self.drafts.is_done(follow_up.entry.id);
        Some(self.past.follow_ups()?.iter().filter(open).collect())
    }

    /// What may come of a call, as the hub told.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// What may come of a call of this queue.
    pub fn outcomes_of(&self, queue: Option<&QueueName>) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(move |outcome| outcome.fits(queue))
    }

    /// What the hub is to be told next; asked again until there is nothing.
    pub fn next_told(&mut self) -> Option<AgentSays> {
        if !self.connected() {
            return None;
        }
        self.drafts.next_told().or_else(|| self.past.next_told())
    }

    /// Something could not be sent: it is told another time.
    pub fn not_told(&mut self, says: &AgentSays) {
        self.drafts.not_told(says);
        self.past.not_told(says);
    }

    /// This person's phones.
    pub fn lines(&self) -> &[Line] {
        self.me.as_ref().map_or(&[], |me| &me.lines)
    }

    /// A whole board came: what faded or was answered while we were away is not shown as if it happened now.
    fn see_all(&mut self, at: Timestamp) {
        let now = self.hub_time(at);
        self.fading.clear();
        let mut fading = Vec::new();
        let mut talking = None;
        for view in self.board.calls.values() {
            match self.here(view) {
                Here::Withdrawn { .. } if view.ended.is_some_and(|ended| joined(ended.how)) => {}
                Here::Withdrawn { at: gone, .. } | Here::Left { left_at: gone, .. } => {
                    let left = FADES_FOR.saturating_sub(now.duration_since(gone));
                    if left > SignedDuration::ZERO {
                        fading.push((view.id, left.min(FADES_FOR)));
                    }
                }
                Here::Answered { .. } if view.ended.is_none() => talking = Some(view.id),
                Here::Answered { .. } | Here::Ringing { .. } | Here::Nothing => {}
            }
        }
        for (call, left) in fading {
            if !self.dismissed.contains(&call) {
                self.fading.insert(call, at.checked_add(left).unwrap_or(at));
            }
        }
        self.kept = self.kept.or(talking.filter(|call| !self.dismissed.contains(call)));
    }

    /// A call has become one with another, which has its own card.
    fn gone_over(&mut self, call: CallId) {
        self.fading.remove(&call);
        if self.kept == Some(call) {
            self.kept = None;
        }
    }

    /// One call changed from `before` to what it is now.
    fn turn(&mut self, at: Timestamp, call: CallId, before: Phase) {
        match (before, self.phase(call)) {
            (Phase::Nothing | Phase::Answered | Phase::Left | Phase::Withdrawn, Phase::Ringing) => {
                // A queue may ring the same phone again: that is a new ringing, closed or not before.
                self.dismissed.remove(&call);
                self.fading.remove(&call);
            }
            (Phase::Ringing, Phase::Withdrawn | Phase::Left) | (Phase::Answered, Phase::Left) => {
                // Kept because it was answered here, which is no longer so.
                if before == Phase::Answered && self.kept == Some(call) {
                    self.kept = None;
                }
                let shown = self.habits.pops == Pops::AtRing || before == Phase::Answered;
                if shown && !self.dismissed.contains(&call) {
                    self.fading.insert(call, at.checked_add(FADES_FOR).unwrap_or(at));
                }
            }
            (Phase::Nothing | Phase::Ringing | Phase::Left | Phase::Withdrawn, Phase::Answered) => {
                // Who picks up wants the card, also after closing it while it rang.
                self.dismissed.remove(&call);
                self.fading.remove(&call);
                if self.habits.pops != Pops::Never || self.wanted == Some(call) {
                    self.kept = Some(call);
                }
            }
            (Phase::Ringing, Phase::Ringing | Phase::Nothing)
            | (Phase::Answered, Phase::Answered | Phase::Withdrawn | Phase::Nothing)
            | (
                Phase::Withdrawn | Phase::Left | Phase::Nothing,
                Phase::Withdrawn | Phase::Left | Phase::Nothing,
            ) => {}
        }
    }

    /// Drops what is about calls no longer on the board, and a finished card once another call rings.
    fn forget(&mut self, now: Timestamp) {
        let calls = &self.board.calls;
        self.dismissed.retain(|call| calls.contains_key(call));
        self.fading.retain(|call, _| calls.contains_key(call));
        self.wanted = self.wanted.filter(|call| self.phase(*call) == Phase::Ringing);
        self.wrap_up = self.wrap_up.filter(|wrap_up| self.board.calls.contains_key(&wrap_up.call));
        if let Some(kept) = self.kept {
            let over = self.board.calls.get(&kept).is_none_or(|view| view.ended.is_some());
            let gone = !self.board.calls.contains_key(&kept);
            let in_use = self.wraps_up(kept, now).is_some() || self.is_unfinished(kept);
            if gone || over && !self.ringing().is_empty() && !in_use {
                self.kept = None;
            }
        }
    }

    fn phase(&self, call: CallId) -> Phase {
        self.board.calls.get(&call).map_or(Phase::Nothing, |view| match self.here(view) {
            Here::Nothing => Phase::Nothing,
            Here::Ringing { .. } => Phase::Ringing,
            Here::Answered { .. } => Phase::Answered,
            Here::Left { .. } => Phase::Left,
            Here::Withdrawn { .. } => Phase::Withdrawn,
        })
    }
}

/// [`Here`] without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Nothing,
    Ringing,
    Answered,
    Left,
    Withdrawn,
}

fn ended_first(board: &Board) -> Option<&CallView> {
    board.calls.values().find(|view| view.ended.is_some())
}

fn joined(how: EndedHow) -> bool {
    matches!(how, EndedHow::Joined { .. })
}

#[cfg(test)]
mod tests;
