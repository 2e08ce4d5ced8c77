//! Calls that are over, as far as the hub was asked: pages that can be asked for again, of which only those
//! near what is looked at are held, so that a record of any length is scrolled in bounded memory. Beside it
//! the one call that was opened, and the open follow-ups. Pure: it says what to ask and takes the answers.

use std::collections::VecDeque;

use jiff::Timestamp;
use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::record::{LONGEST_FIND, Searched};
use pinkas_protocol::{CallId, Entry, FollowUp, PastCall, Private, text};
use uuid::Uuid;

use crate::net::Page;

/// The most pages whose calls are held.
pub const MOST_HELD: usize = 40;
/// The most calls remembered that have left the board since the first page came.
const MOST_FALLEN: usize = 500;

/// What is known of calls that are over.
#[derive(Debug, Clone, Default)]
pub struct Past {
    find: Option<Private<String>>,
    /// Newest first; none until the list is looked at.
    pages: Vec<Held>,
    /// Calls that left the board after the first page came, newest first.
    fallen: VecDeque<PastCall>,
    asked: Option<Asked>,
    asks: u64,
    trouble: Option<Trouble>,
    opened: Option<Opened>,
    follow_ups: FollowUps,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// What to ask it with.
    before: Option<CallId>,
    /// How many rows it has, also while its calls are not held.
    len: usize,
    calls: Option<Vec<PastCall>>,
    /// Somebody looks at it.
    wanted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Page { ask: u64, before: Option<CallId> },
    One { ask: u64, call: CallId },
}

/// A call that was opened beside a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Opened {
    call: CallId,
    found: Looked,
}

/// How far a look at one call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The hub is being asked.
    Asking,
    /// This is it.
    Found(Box<PastCall>),
    /// The hub shows no such call.
    NotThere,
}

#[derive(Debug, Clone, Default)]
struct FollowUps {
    list: Option<Vec<FollowUp>>,
    stale: bool,
    asked: Option<u64>,
}

/// A row of the list of calls that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastRow<'a> {
    /// A call.
    Call(&'a PastCall),
    /// A call of a page that is not held; look at it and it comes.
    OfPage(usize),
    /// The end of what is known; this page comes next.
    Next(usize),
}

/// What stands below the last call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// More is being asked for, or will be once the hub is heard.
    Asking,
    /// That was all.
    End,
    /// The search stopped on its way, here.
    Stopped(Option<Timestamp>),
    /// Too many search at once.
    Busy,
    /// The hub's record cannot be read.
    Failed,
}

impl Past {
    /// Only calls with this number, customer's key or text from now on; blank: every call.
    pub fn find(&mut self, words: &str) {
        let find = text::plain(words, LONGEST_FIND).map(Private);
        if find != self.find {
            self.find = find;
            self.start_over();
        }
    }

    /// What is searched for.
    pub fn found_by(&self) -> Option<&Private<String>> {
        self.find.as_ref()
    }

    /// There is a new link: what is known may have changed, and what was asked is not answered any more.
    pub(super) fn connected(&mut self) {
        self.start_over();
        self.follow_ups.asked = None;
        self.follow_ups.stale = true;
        if self.opened.as_ref().is_some_and(|opened| opened.found == Looked::NotThere) {
            self.opened = None;
        }
    }

    fn start_over(&mut self) {
        self.asked = None;
        self.fallen.clear();
        self.pages.clear();
        self.trouble = None;
    }

    /// How many rows there are, with the one that asks for more.
    pub fn len(&self) -> usize {
        let known: usize = self.pages.iter().map(|page| page.len).sum();
        self.fallen.len() + known + usize::from(self.has_next())
    }

    /// Whether nothing is known, and nothing can be asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn has_next(&self) -> bool {
        self.pages.last().is_none_or(|page| page.calls.is_none() && page.len == 0)
    }

    /// The row at a place, newest first.
    pub fn row(&self, place: usize) -> Option<PastRow<'_>> {
        if let Some(call) = self.fallen.get(place) {
            return Some(PastRow::Call(call));
        }
        let mut left = place - self.fallen.len();
        for (number, page) in self.pages.iter().enumerate() {
            if left < page.len {
                let held = page.calls.as_ref().and_then(|calls| calls.get(left));
                return Some(held.map_or(PastRow::OfPage(number), PastRow::Call));
            }
            left -= page.len;
        }
        (left == 0 && self.has_next()).then_some(PastRow::Next(self.pages.len().saturating_sub(1)))
    }

    /// Somebody looks at this page.
    pub fn want(&mut self, page: usize) {
        if self.pages.is_empty() {
            self.pages.push(Held { before: None, len: 0, calls: None, wanted: false });
        }
        if let Some(page) = self.pages.get_mut(page).filter(|page| page.calls.is_none()) {
            page.wanted = true;
        }
    }

    /// What stands below the last call.
    pub fn tail(&self) -> Tail {
        match self.trouble {
            Some(Trouble { searched: Searched::Busy, .. }) => Tail::Busy,
            Some(Trouble { searched: Searched::Failed, .. }) => Tail::Failed,
            Some(Trouble { back_to, .. }) => Tail::Stopped(back_to),
            None if self.has_next() => Tail::Asking,
            None => Tail::End,
        }
    }

    /// The person wants the search to go on where it stopped, or to be tried again.
    pub fn go_on(&mut self) {
        self.trouble = None;
    }

    /// A call has left the board.
    pub(super) fn fell(&mut self, call: PastCall) {
        // Before the first page came, that page will hold it; a search does not change while it is read.
        let came = self.pages.first().is_some_and(|page| page.calls.is_some() || page.len > 0);
        if came && self.find.is_none() && !self.holds(call.id) {
            let place = self.fallen.partition_point(|other| other.id > call.id);
            self.fallen.insert(place, call);
            self.fallen.truncate(MOST_FALLEN);
        }
    }

    fn holds(&self, call: CallId) -> bool {
        self.calls().any(|held| held.id == call)
    }

    fn calls(&self) -> impl Iterator<Item = &PastCall> {
        self.fallen.iter().chain(self.pages.iter().filter_map(|page| page.calls.as_ref()).flatten())
    }

    /// Something was written about a call, or a follow-up of it is done.
    pub(super) fn written(&mut self, call: CallId, entry: &Entry) {
        let opened = self.opened.iter_mut().filter_map(|opened| match &mut opened.found {
            Looked::Found(found) => Some(&mut **found),
            _ => None,
        });
        let held = self.pages.iter_mut().filter_map(|page| page.calls.as_mut()).flatten();
        for past in self.fallen.iter_mut().chain(held).chain(opened).filter(|past| past.id == call) {
            match past.entries.iter_mut().find(|old| old.id == entry.id) {
                Some(old) => *old = entry.clone(),
                None => past.entries.push(entry.clone()),
            }
        }
    }

    /// Looks at one call: one that is held, else the hub is asked.
    pub fn open(&mut self, call: CallId) {
        if self.opened.as_ref().is_none_or(|opened| opened.call != call) {
            let held = self.calls().find(|held| held.id == call).cloned();
            let found = held.map_or(Looked::Asking, |held| Looked::Found(Box::new(held)));
            self.opened = Some(Opened { call, found });
        }
    }

    /// The call that was opened, if it is this one.
    pub fn opened(&self, call: CallId) -> Option<&Looked> {
        self.opened.as_ref().filter(|opened| opened.call == call).map(|opened| &opened.found)
    }

    /// Follow-ups may have changed.
    pub(super) fn follow_ups_changed(&mut self) {
        self.follow_ups.stale = true;
    }

    /// This person's open follow-ups, those due first at the top; `None` until the hub has said.
    pub fn follow_ups(&self) -> Option<&[FollowUp]> {
        self.follow_ups.list.as_deref()
    }

    /// What the hub is to be asked next.
    pub(super) fn next_told(&mut self) -> Option<AgentSays> {
        if self.follow_ups.stale && self.follow_ups.asked.is_none() {
            self.asks += 1;
            self.follow_ups = FollowUps { stale: false, asked: Some(self.asks), ..self.follow_ups.clone() };
            return Some(AgentSays::FollowUps { ask: self.asks });
        }
        if self.asked.is_some() {
            return None;
        }
        if let Some(Opened { call, found: Looked::Asking }) = self.opened {
            self.asks += 1;
            self.asked = Some(Asked::One { ask: self.asks, call });
            // Of the calls before the next possible one it is the first.
            let next = CallId(Uuid::from_u128(call.0.as_u128().saturating_add(1)));
            return Some(AgentSays::History { ask: self.asks, before: Some(next), find: None });
        }
        if self.trouble.is_some() {
            return None;
        }
        let before = self.pages.iter().find(|page| page.wanted && page.calls.is_none())?.before;
        self.asks += 1;
        self.asked = Some(Asked::Page { ask: self.asks, before });
        Some(AgentSays::History { ask: self.asks, before, find: self.find.clone() })
    }

    /// A question could not be sent: it is asked another time.
    pub(super) fn not_told(&mut self, says: &AgentSays) {
        match says {
            AgentSays::History { .. } => self.asked = None,
            AgentSays::FollowUps { .. } => {
                self.follow_ups.asked = None;
                self.follow_ups.stale = true;
            }
            _ => {}
        }
    }

    /// The hub told the open follow-ups.
    pub(super) fn follow_ups_are(&mut self, ask: u64, list: Vec<FollowUp>) {
        if self.follow_ups.asked == Some(ask) {
            self.follow_ups.asked = None;
            self.follow_ups.list = Some(list);
        }
    }

    /// The hub answered; `on_board` are shown above already.
    pub(super) fn page_is(&mut self, ask: u64, page: Page, on_board: impl Fn(CallId) -> bool) {
        match self.asked {
            Some(Asked::One { ask: this, call }) if this == ask => {
                self.asked = None;
                let Some(opened) = self.opened.as_mut().filter(|opened| opened.call == call) else { return };
                let found = page.calls.into_iter().next().filter(|found| found.id == call);
                opened.found = found.map_or(Looked::NotThere, |found| Looked::Found(Box::new(found)));
            }
            Some(Asked::Page { ask: this, before }) if this == ask => {
                self.asked = None;
                self.take(before, page, on_board);
            }
            _ => {}
        }
    }

    fn take(&mut self, before: Option<CallId>, page: Page, on_board: impl Fn(CallId) -> bool) {
        let Some(place) = self.pages.iter().position(|held| held.before == before) else { return };
        let Page { calls, more, back_to, searched } = page;
        if matches!(searched, Searched::Busy | Searched::Failed) {
            self.trouble = Some(Trouble { searched, back_to });
            return;
        }
        let next = self.pages.get(place + 1).and_then(|next| next.before);
        let hidden = |call: CallId| {
            self.find.is_none() && (on_board(call) || self.fallen.iter().any(|fallen| fallen.id == call))
        };
        let fits = |call: &PastCall| next.is_none_or(|next| call.id >= next) && !hidden(call.id);
        let calls: Vec<PastCall> = calls.into_iter().filter(fits).collect();
        // A hub that names no earlier call would be asked for the same page for ever.
        let more = more.filter(|more| before.is_none_or(|before| *more < before));
        if let Some(more) = more.filter(|more| next.is_none_or(|next| *more > next)) {
            // One between two others, or after one without rows, is not seen until it is there.
            let next =
                Held { before: Some(more), len: 0, calls: None, wanted: calls.is_empty() || next.is_some() };
            self.pages.insert(place + 1, next);
        }
        if let Some(held) = self.pages.get_mut(place) {
            *held = Held { before, len: calls.len(), calls: Some(calls), wanted: false };
        }
        if searched == Searched::Partly && next.is_none() {
            self.trouble = Some(Trouble { searched, back_to });
        }
        self.let_go(place);
    }

    /// Lets the calls go of the pages that are farthest from where somebody looks.
    fn let_go(&mut self, near: usize) {
        let held = self.pages.iter().filter(|page| page.len > 0 && page.calls.is_some()).count();
        for _ in MOST_HELD..held {
            let far = |(place, _): &(usize, &mut Held)| place.abs_diff(near);
            let pages = self.pages.iter_mut().enumerate();
            // A page without rows holds nothing, and without its calls would be taken for the next one.
            let farthest = pages.filter(|(_, page)| page.len > 0 && page.calls.is_some()).max_by_key(far);
            if let Some((_, page)) = farthest {
                page.calls = None;
                page.wanted = false;
            }
        }
    }
}

/// Why the list does not go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trouble {
    searched: Searched,
    back_to: Option<Timestamp>,
}

#[cfg(test)]
mod tests;
