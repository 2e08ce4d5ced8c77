//! What people write about calls, who was missed, and who may look back at what. An entry is shown to all
//! who see the call at once; its writer is told "kept" only when the disk has it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::agent_link::HubToAgent;
use pinkas_protocol::board::Ended;
use pinkas_protocol::record::{
    LONGEST_FIND, LONGEST_NOTE, MOST_ENTRIES, Outcome, PastCustomer, Refusal, Settled,
};
use pinkas_protocol::{
    AgentId, Board, CallId, CallView, EndedHow, Entry, FollowUp, Line, Missed, PastCall, Private, QueueName,
    Update, Who, Written, text,
};
use uuid::Uuid;

use super::agents::Person;
use super::{Hub, Keep, KeptMissed, Outputs, Scope, ViewerId};

/// The most rows of missed calls; those handled go first, then the oldest.
pub const MOST_MISSED: usize = 1_000;
/// A row that was handled is shown for so long.
const HANDLED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// A row that nobody handles is shown for so long.
const MISSED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The most open follow-ups of one person, and of all.
const MOST_FOLLOW_UPS: usize = 500;
const MOST_FOLLOW_UPS_OF_ALL: usize = 20_000;
/// What people wrote fills at most so many bytes of one message.
pub const MOST_WRITTEN: usize = 1 << 20;

/// What a desktop may ask and say about the record.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Write something about a call.
    Write {
        /// The desktop's own name for it.
        id: Uuid,
        /// About which call.
        call: CallId,
        /// What.
        what: Written,
    },
    /// A caller who was missed has been spoken with.
    Handled {
        /// The desktop's own name for it.
        id: Uuid,
        /// Which row.
        row: CallId,
    },
    /// A follow-up is done.
    Done {
        /// The desktop's own name for it.
        id: Uuid,
        /// Which.
        follow_up: Uuid,
    },
    /// Show calls that are over.
    History {
        /// The question's number.
        ask: u64,
        /// Only those before this one.
        before: Option<CallId>,
        /// Only those in which this is found.
        find: Option<Private<String>>,
    },
    /// Show what this person still has to do.
    FollowUps {
        /// The question's number.
        ask: u64,
    },
}

impl Wish {
    /// What is answered by "kept", and so can only be said while the disk is written.
    pub fn writes(&self) -> Option<Uuid> {
        match self {
            Wish::Write { id, .. } | Wish::Handled { id, .. } | Wish::Done { id, .. } => Some(*id),
            Wish::History { .. } | Wish::FollowUps { .. } => None,
        }
    }
}

/// A look into the record, for whoever reads it beside the core.
#[derive(Debug, Clone)]
pub struct Look {
    /// Who asked.
    pub viewer: ViewerId,
    /// The question's number.
    pub ask: u64,
    /// Only calls before this one.
    pub before: Option<CallId>,
    /// Only those in which this is found: plain text.
    pub find: Option<Private<String>>,
    /// Which calls this person may see.
    pub scope: Scope,
}

impl Scope {
    /// The call with only what a person of this scope may know of it; `None` when it never concerned them.
    pub fn of(&self, mut past: PastCall) -> Option<PastCall> {
        let Scope::Lines(mine) = self else { return Some(past) };
        if !past.offers.keys().any(|line| mine.contains(line)) {
            return None;
        }
        past.offers.retain(|line, offer| mine.contains(line) || offer.answered_at.is_some());
        Some(past)
    }
}

impl Person {
    /// A missed caller concerns those who see a phone at which it rang.
    pub fn sees_missed(&self, kept: &KeptMissed) -> bool {
        *self.scope() == Scope::Everything || kept.lines.iter().any(|line| self.sees_line(line))
    }
}

impl Hub {
    /// What may come of a call, as the configuration says.
    pub fn set_outcomes(&mut self, outcomes: Vec<Outcome>) {
        self.outcomes = outcomes;
    }

    pub(super) fn wished(&mut self, now: Timestamp, viewer: ViewerId, wish: Wish, out: &mut Outputs) {
        let Some(who) = self.viewers.get(&viewer).cloned() else { return };
        let (id, done) = match wish {
            Wish::Write { id, call, what } => (id, self.write(now, &who, (id, call, what), out)),
            Wish::Handled { id, row } => (id, self.handled_by(now, &who, row, out)),
            Wish::Done { id, follow_up } => (id, self.done_by(now, &who, follow_up, out)),
            Wish::History { ask, before, find } => {
                let Some(person) = self.staff.agent(&who) else { return };
                let scope = person.scope().clone();
                let find = find.and_then(|find| text::plain(&find.0, LONGEST_FIND)).map(Private);
                return out.look.push(Look { viewer, ask, before, find, scope });
            }
            Wish::FollowUps { ask } => {
                let follow_ups = self.follow_ups_of(&who);
                return out.tell.push((vec![viewer], HubToAgent::FollowUps { ask, follow_ups }));
            }
        };
        match done {
            Ok(()) => out.keep.push(Keep::Acknowledge { viewer, id }),
            Err(why) => out.tell.push((vec![viewer], HubToAgent::Refused { id, why })),
        }
    }

    fn write(
        &mut self,
        now: Timestamp,
        who: &AgentId,
        (id, call, what): (Uuid, CallId, Written),
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        let person = self.staff.agent(who).ok_or(Refusal::NotYourCall)?;
        let view = self.board.calls.get(&call).filter(|view| person.sees(view) && !view.trial);
        let view = view.ok_or(Refusal::NotYourCall)?;
        // A desktop that did not hear the answer says it again.
        if view.entries.iter().any(|entry| entry.id == id) {
            return Ok(());
        }
        if view.entries.len() >= MOST_ENTRIES {
            return Err(Refusal::Full);
        }
        let what = self.checked(what, view.facts.queue.as_ref())?;
        let entry = Entry { id, at: now, by: who.clone(), name: person.name.clone(), what, done: None };
        if matches!(entry.what, Written::FollowUp { .. }) {
            let mine = self.follow_ups.values().filter(|open| open.entry.by == *who).count();
            let known = self.follow_ups.contains_key(&id);
            if known || mine >= MOST_FOLLOW_UPS || self.follow_ups.len() >= MOST_FOLLOW_UPS_OF_ALL {
                return Err(Refusal::Full);
            }
            let (caller, customer) = (view.facts.caller.clone(), PastCustomer::of(view));
            let open = FollowUp { call, caller, customer, entry: entry.clone() };
            self.follow_ups.insert(id, open.clone());
            out.keep.push(Keep::FollowUp { id, kept: Some(Box::new(open)) });
        }
        self.entry_is(call, entry, out);
        Ok(())
    }

    fn checked(&self, what: Written, queue: Option<&QueueName>) -> Result<Written, Refusal> {
        let checked = |text: Private<String>| {
            if text.0.chars().count() > LONGEST_NOTE {
                return Err(Refusal::TooLong);
            }
            text::plain_lines(&text.0, LONGEST_NOTE).map(Private).ok_or(Refusal::Empty)
        };
        Ok(match what {
            Written::Note { text } => Written::Note { text: checked(text)? },
            Written::FollowUp { due, text } => Written::FollowUp { due, text: checked(text)? },
            Written::Outcome { code } => {
                let known = self.outcomes.iter().any(|known| known.code == code && known.fits(queue));
                known.then_some(Written::Outcome { code }).ok_or(Refusal::UnknownOutcome)?
            }
        })
    }

    fn entry_is(&mut self, call: CallId, entry: Entry, out: &mut Outputs) {
        out.keep.push(Keep::Entry { call, entry: Box::new(entry.clone()) });
        let update = Update::Written { call, entry };
        self.fold(update.clone());
        out.update(self.viewers_of(call), update);
    }

    fn done_by(
        &mut self,
        now: Timestamp,
        who: &AgentId,
        follow_up: Uuid,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        // One that is not open any more is as its person wants it.
        let Some(open) = self.follow_ups.get(&follow_up) else { return Ok(()) };
        let person = self.staff.agent(who).ok_or(Refusal::NotYours)?;
        if open.entry.by != *who && !person.oversees(self.staff.agent(&open.entry.by)) {
            return Err(Refusal::NotYours);
        }
        let done = Some(Settled { at: now, name: Some(person.name.clone()) });
        let Some(FollowUp { call, entry, .. }) = self.follow_ups.remove(&follow_up) else { return Ok(()) };
        out.keep.push(Keep::FollowUp { id: follow_up, kept: None });
        self.entry_is(call, Entry { done, ..entry }, out);
        Ok(())
    }

    /// Those due first at the top, as many as one message holds.
    fn follow_ups_of(&self, who: &AgentId) -> Vec<FollowUp> {
        let mut mine: Vec<&FollowUp> =
            self.follow_ups.values().filter(|open| open.entry.by == *who).collect();
        mine.sort_by_key(|open| (open.due(), open.entry.at));
        let mut left = MOST_WRITTEN;
        let fits = |open: &&&FollowUp| {
            let size = 512 + written_bytes(&open.entry);
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        };
        mine.iter().take_while(fits).map(|open| (*open).clone()).collect()
    }

    /// A call that was joined with another goes on as that one: with its notes, and with the customer who
    /// was chosen, unless somebody has chosen there.
    pub(super) fn joined(&mut self, call: CallId, how: EndedHow, out: &mut Outputs) {
        let EndedHow::Joined { into } = how else { return };
        let Some((from, to)) = self.board.calls.get(&call).zip(self.board.calls.get(&into)) else { return };
        if into == call || to.ended.is_some() {
            return;
        }
        let room = MOST_ENTRIES.saturating_sub(to.entries.len());
        let new = from.entries.iter().filter(|entry| to.entries.iter().all(|old| old.id != entry.id));
        let new: Vec<Entry> = new.take(room).cloned().collect();
        let chosen = match (&from.who, &to.who) {
            (Who::Several { chosen: Some(key), .. }, Who::Several { chosen: None, customers })
                if customers.iter().any(|customer| customer.key == *key) =>
            {
                Some(Who::Several { customers: customers.clone(), chosen: Some(key.clone()) })
            }
            _ => None,
        };
        for entry in new {
            self.entry_is(into, entry, out);
        }
        if let Some(who) = chosen {
            self.who_is(into, who, out);
        }
    }

    /// A call that nobody answered makes or lengthens a row.
    pub(super) fn missed(&mut self, call: CallId, ended: Ended, out: &mut Outputs) {
        let gone = matches!(ended.how, EndedHow::Abandoned | EndedHow::Declined | EndedHow::Unanswered);
        let Some(view) = self.board.calls.get(&call).filter(|view| gone && view.answered().is_none()) else {
            return;
        };
        let again = self.missed_from(view).into_iter().next_back();
        let lines = view.offers.keys().cloned();
        let kept = match again.and_then(|row| self.missed.get(&row)) {
            Some(old) => {
                let mut kept = KeptMissed { last_call: call, ..old.clone() };
                kept.lines.extend(lines);
                kept.row.caller = view.facts.caller.clone();
                kept.row.customer = PastCustomer::of(view).or(kept.row.customer);
                kept.row.queue = view.facts.queue.clone().or(kept.row.queue);
                kept.row.count = kept.row.count.saturating_add(1);
                kept.row.last = ended.at;
                kept
            }
            None => {
                let row = Missed {
                    id: call,
                    caller: view.facts.caller.clone(),
                    customer: PastCustomer::of(view),
                    queue: view.facts.queue.clone(),
                    count: 1,
                    first: ended.at,
                    last: ended.at,
                    handled: None,
                };
                KeptMissed { row, lines: lines.collect(), last_call: call }
            }
        };
        self.missed_is(kept, out);
        self.keep_missed(ended.at, out);
    }

    /// Somebody speaks with a caller who was missed before.
    pub(super) fn spoken(&mut self, call: CallId, line: &Line, at: Timestamp, out: &mut Outputs) {
        let Some(view) = self.board.calls.get(&call) else { return };
        for row in self.missed_from(view) {
            let settled = Settled { at, name: self.staff.name_at(line) };
            self.missed_settled(row, settled, out);
        }
    }

    /// The directories said who it was only after the caller had hung up.
    pub(super) fn missed_known(&mut self, call: CallId, out: &mut Outputs) {
        let customer = self.board.calls.get(&call).and_then(PastCustomer::of);
        let row = self.missed.values().find(|kept| kept.last_call == call && kept.row.customer != customer);
        if let Some((kept, customer)) = row.cloned().zip(customer) {
            let row = Missed { customer: Some(customer), ..kept.row };
            self.missed_is(KeptMissed { row, ..kept }, out);
        }
    }

    fn handled_by(
        &mut self,
        now: Timestamp,
        who: &AgentId,
        row: CallId,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        let person = self.staff.agent(who).ok_or(Refusal::NotYours)?;
        let kept = self.missed.get(&row).filter(|kept| person.sees_missed(kept)).ok_or(Refusal::NotYours)?;
        if kept.row.handled.is_none() {
            let settled = Settled { at: now, name: Some(person.name.clone()) };
            self.missed_settled(row, settled, out);
        }
        Ok(())
    }

    /// The open rows of this caller, by number or customer.
    fn missed_from(&self, view: &CallView) -> Vec<CallId> {
        let number = view.facts.caller.number.as_ref();
        let customer = PastCustomer::of(view).map(|customer| customer.key);
        let same = |kept: &&KeptMissed| {
            let by_number = number.is_some() && kept.row.caller.number.as_ref() == number;
            let theirs = kept.row.customer.as_ref().map(|customer| &customer.key);
            kept.row.handled.is_none() && (by_number || (customer.is_some() && theirs == customer.as_ref()))
        };
        self.missed.values().filter(same).map(|kept| kept.row.id).collect()
    }

    fn missed_settled(&mut self, row: CallId, settled: Settled, out: &mut Outputs) {
        let Some(kept) = self.missed.get(&row).cloned() else { return };
        let row = Missed { handled: Some(settled), ..kept.row };
        self.missed_is(KeptMissed { row, ..kept }, out);
    }

    fn missed_is(&mut self, kept: KeptMissed, out: &mut Outputs) {
        let (id, row) = (kept.row.id, Box::new(kept.row.clone()));
        let update = Update::Missed { row };
        self.fold(update.clone());
        out.update(self.viewers_who(&kept.lines, |agent| agent.sees_missed(&kept)), update);
        out.keep.push(Keep::Missed { row: id, kept: Some(Box::new(kept.clone())) });
        self.missed.insert(id, kept);
    }

    /// Drops rows handled long ago, and the oldest when there are too many.
    fn keep_missed(&mut self, now: Timestamp, out: &mut Outputs) {
        let old = |kept: &KeptMissed| match &kept.row.handled {
            Some(handled) => now.duration_since(handled.at) > HANDLED_FOR,
            None => now.duration_since(kept.row.last) > MISSED_FOR,
        };
        let mut gone: BTreeSet<CallId> =
            self.missed.values().filter(|kept| old(kept)).map(|kept| kept.row.id).collect();
        let too_many = (self.missed.len() - gone.len()).saturating_sub(MOST_MISSED);
        if too_many > 0 {
            let mut rest: Vec<&KeptMissed> = self.missed.values().filter(|kept| !old(kept)).collect();
            rest.sort_by_key(|kept| (kept.row.handled.is_none(), kept.row.last));
            gone.extend(rest.iter().take(too_many).map(|kept| kept.row.id));
        }
        for row in gone {
            let Some(kept) = self.missed.remove(&row) else { continue };
            let update = Update::MissedGone { row };
            self.fold(update.clone());
            out.update(self.viewers_who(&kept.lines, |agent| agent.sees_missed(&kept)), update);
            out.keep.push(Keep::Missed { row, kept: None });
        }
    }
}

/// Leaves out what was written about the oldest calls when all of it would not fit one message; a desktop
/// finds it in the history.
pub(super) fn keep_written(board: &mut Board) {
    let mut left = MOST_WRITTEN;
    for view in board.calls.values_mut().rev() {
        let size: usize = view.entries.iter().map(written_bytes).sum();
        if size > left {
            view.entries.clear();
        }
        left = left.saturating_sub(size);
    }
}

/// About how many bytes an entry is on a link.
pub fn written_bytes(entry: &Entry) -> usize {
    256 + match &entry.what {
        Written::Note { text } | Written::FollowUp { text, .. } => text.0.len(),
        Written::Outcome { .. } => 0,
    }
}
