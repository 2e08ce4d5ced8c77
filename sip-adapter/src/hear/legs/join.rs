//! Which call a new leg belongs to. What the phone system says is believed first (a header, Session-ID, a
//! transfer), then what addresses and callers show; when in doubt it is a call of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinkas_protocol::{Caller, Line, NumberPlan};

use super::call::{Call, TRANSFER_TAKES};
use super::part::{Kind, Part};
use super::session::{Role, Session};
use super::{MOST_COMPARED, MOST_FRESH, MOST_LEARNED, Told, Tracker, dialled_digits};
use crate::sip::identity;
use crate::sip::name_addr::NameAddr;

/// How much later than the legs it brought a caller's leg may be heard.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// Where a leg goes, by the addresses of its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
    Unknown,
}

/// How a new leg stands to one that is known, by their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// The known one's receiver sends it.
    Child,
    /// It is received by the known one's sender.
    Parent,
    /// Both have one sender.
    Sibling,
    Unknown,
}

impl Tracker {
    /// Finds or makes the call of a new leg, and says what the leg is in it.
    pub(super) fn place(&mut self, part: &Part<'_>, session: &mut Session, line: Option<&Line>) -> u64 {
        let now = part.seen.uptime;
        let way = self.way(part);
        session.role = match (way, line) {
            (Way::In, _) => Role::Caller,
            (Way::Out, _) => Role::Phone,
            (Way::Unknown, Some(_)) => Role::Unsure,
            (Way::Unknown, None) => Role::Caller,
        };
        session.ends = ends(part);
        let caller = caller_key(part, session, &self.rules.numbers);
        self.fresh_until(now);
        let found = self
            .named(part, session, way, line)
            .or_else(|| self.transferred(part, session, &caller, line, now))
            .or_else(|| self.by_caller(part, session, &caller, way, line))
            .or_else(|| self.dialled_out(part, session, way, line, now));
        let number = match found {
            Some(number) => number,
            None => self.open(part, session, way),
        };
        if session.role == Role::Caller && session.from_line.is_none() {
            self.fresh.push_back(number);
        }
        if let Some(call) = self.calls.get_mut(&number)
            && call.caller.is_none()
            && call.over.is_none()
        {
            call.caller = Some(caller.clone());
            self.by_caller.entry(caller).or_default().insert(number);
        }
        number
    }

    /// Forgets the callers who came too long ago for a leg to be theirs by nothing but that, and the oldest of many.
    fn fresh_until(&mut self, now: Duration) {
        let is_old = |number: &u64| {
            let began = self.calls.get(number).map(|call| call.began);
            began.is_none_or(|began| now >= began.saturating_add(self.limits.join_within))
        };
        while self.fresh.front().is_some_and(|number| self.fresh.len() >= MOST_FRESH || is_old(number)) {
            self.fresh.pop_front();
        }
    }

    /// An INVITE may name another call, which the answer that overtook it could not.
    pub(super) fn place_again(&mut self, call: u64, part: &Part<'_>, line: Option<&Line>, told: &mut Told) {
        if self.calls.get(&call).is_none_or(|call| call.sessions.len() != 1 || call.over.is_some()) {
            return;
        }
        let (now, way) = (part.seen.uptime, self.way(part));
        let mut like = Session::new(part, None);
        like.read_invite(part, line, &self.rules);
        let caller = caller_key(part, &like, &self.rules.numbers);
        let found = self.named(part, &mut like, way, line);
        let found = found.or_else(|| self.transferred(part, &mut like, &caller, line, now));
        if let Some(into) = found.filter(|into| *into != call) {
            self.merge(into, call, told);
            self.line_states(call, BTreeMap::new(), told);
        }
    }

    /// A call of the same caller that has just begun with a leg to this line: the leg of a transfer whose REFER it
    /// overtook.
    pub(super) fn overtook(&self, call: u64, line: &Line, now: Duration) -> Option<u64> {
        let caller = self.calls.get(&call)?.caller.as_ref()?;
        self.by_caller.get(caller)?.iter().rev().take(MOST_COMPARED).copied().find(|other| {
            *other != call
                && self.calls.get(other).is_some_and(|other| {
                    other.over.is_none()
                        && now < other.began.saturating_add(OVERTAKEN)
                        && other.sessions.len() == 1
                        && other
                            .sessions
                            .values()
                            .all(|s| s.role != Role::Caller && s.phone_line() == Some(line))
                })
        })
    }

    fn way(&self, part: &Part<'_>) -> Way {
        // An answer goes the other way.
        let (from, to) = ends(part);
        // A phone system that listens on several addresses, or all, may copy another than the messages name.
        let via = part.message.header("Via").and_then(sent_by);
        let asked = part.uri.and_then(|uri| ip_of(uri.host));
        let named =
            |ip: Option<IpAddr>| part.kind == Kind::Invite && ip.is_some_and(|ip| self.pbx.contains(&ip));
        let ours = |end: Option<SocketAddr>| end.is_some_and(|end| self.pbx.contains(&end.ip()));
        match (ours(from) || named(via), ours(to) || named(asked)) {
            (true, false) => Way::Out,
            (false, true) => Way::In,
            _ => Way::Unknown,
        }
    }

    fn open(&mut self, part: &Part<'_>, session: &Session, way: Way) -> u64 {
        let number = self.new_call(part);
        if let Some(id) = session_id(part) {
            self.expect(id, number);
        }
        if let Some(call) = self.calls.get_mut(&number) {
            call.inbound = way == Way::In && session.from_line.is_none();
        }
        number
    }

    /// What names another leg: the configured header, Replaces, Session-ID (RFC 7989).
    fn named(
        &mut self,
        part: &Part<'_>,
        session: &mut Session,
        way: Way,
        line: Option<&Line>,
    ) -> Option<u64> {
        if let Some(number) = self.expected.get(part.call_id).copied().filter(|n| self.is_live(*n)) {
            session.role = Role::Caller;
            return Some(number);
        }
        if part.kind != Kind::Invite {
            return None;
        }
        // A caller from outside could write the header as well.
        let may = way == Way::Out || (way == Way::Unknown && line.is_some());
        let original =
            part.message.header(&self.limits.call_id_header).filter(|id| may && *id != part.call_id);
        if let Some(original) = original.map(str::trim).filter(|id| !id.is_empty() && id.len() <= 256) {
            session.role = Role::Phone;
            if let Some((number, leg)) = self.legs.get(original).copied().filter(|(n, _)| self.is_live(*n)) {
                if let Some(known) = self.calls.get_mut(&number).and_then(|call| call.sessions.get_mut(&leg))
                {
                    known.role = Role::Caller;
                }
                return Some(number);
            }
            let known = self.expected.get(original).copied().filter(|n| self.is_live(*n));
            return Some(known.unwrap_or_else(|| {
                let number = self.number();
                let call = Call::new(crate::hear::CallKey::new(original), part.seen.uptime);
                self.keep_call(number, call);
                self.expect(original.to_owned(), number);
                number
            }));
        }
        let replaced =
            part.message.header("Replaces").and_then(|value| value.split(';').next()).map(str::trim);
        if let Some(replaced) = replaced
            && let Some(number) = self.takes_place(replaced, line, part.seen.uptime)
        {
            session.follows = true;
            session.replaces = Some(replaced.to_owned());
            return Some(number);
        }
        if let Some(replaced) = replaced
            && let Some((number, _)) = self.legs.get(replaced).copied().filter(|(n, _)| self.is_live(*n))
        {
            session.follows = true;
            if let (Some(line), true) = (session.from_line.clone(), way != Way::Out) {
                // A colleague takes the call over at another phone.
                session.role = Role::Phone;
                session.taken_by = Some(line);
            }
            return Some(number);
        }
        let id = session_id(part)?;
        let number = self.expected.get(&id).copied().filter(|n| self.is_live(*n))?;
        let root = self.root(number);
        if way != Way::In && root.is_some_and(|root| self.stands(part, root) != Stands::Parent) {
            self.child(number, part, session);
        }
        Some(number)
    }

    /// The leg that a transfer brings.
    fn transferred(
        &mut self,
        part: &Part<'_>,
        session: &mut Session,
        caller: &str,
        line: Option<&Line>,
        now: Duration,
    ) -> Option<u64> {
        let referred = part.message.header("Referred-By").and_then(NameAddr::read);
        let by = referred.as_ref().and_then(|by| self.line_of(by));
        let target = part.target();
        let calls = self.by_caller.get(caller).into_iter();
        let calls = calls.flat_map(|calls| calls.iter().rev().take(MOST_COMPARED)).copied();
        // After a transfer the caller's own name may be written otherwise: then Referred-By must name the phone.
        let others = by.is_some().then(|| self.calls.keys().rev().take(1024).copied()).into_iter().flatten();
        let found = calls.chain(others).find(|number| {
            self.calls.get(number).is_some_and(|call| {
                let waits = call.transfers.iter().any(|t| {
                    let same = t.line.as_ref().is_some_and(|to| Some(to) == line)
                        || target.as_deref() == Some(&t.target);
                    !t.done && same && now < t.at.saturating_add(TRANSFER_TAKES)
                });
                let passed =
                    by.as_ref().is_some_and(|by| call.had(by, now)) && call.caller.as_deref() == Some(caller);
                call.over.is_none() && (waits || passed)
            })
        })?;
        let call = self.calls.get_mut(&found)?;
        let mut noted = false;
        for transfer in &mut call.transfers {
            if !transfer.done
                && (transfer.line.as_ref() == line || target.as_deref() == Some(&transfer.target))
            {
                transfer.done = true;
                noted = true;
            }
        }
        if let (false, Some(by)) = (noted, by) {
            let target = target.unwrap_or_default().into_owned();
            call.transfer(super::call::Transfer { by, at: now, line: line.cloned(), target, done: true });
        }
        session.follows = true;
        Some(found)
    }

    /// A leg with the same caller as a call that seeks an answer.
    fn by_caller(
        &mut self,
        part: &Part<'_>,
        session: &mut Session,
        caller: &str,
        way: Way,
        line: Option<&Line>,
    ) -> Option<u64> {
        let now = part.seen.uptime;
        let same =
            self.by_caller.get(caller).into_iter().flat_map(|calls| calls.iter().rev().take(MOST_COMPARED));
        let mut same: Vec<u64> = same.copied().collect();
        same.reverse();
        if way != Way::Out {
            // The caller's leg, overtaken by those it brought.
            let parent = same.iter().copied().find(|number| self.was_overtaken(*number, part, way));
            if let Some(number) = parent {
                session.role = Role::Caller;
                self.learn(session.ends.1);
                return Some(number);
            }
        }
        if way == Way::In {
            return None;
        }
        let fits = |number: &u64| self.takes(*number, part, way, line, now);
        let fitting: Vec<u64> = same.into_iter().filter(fits).collect();
        let young = |n: &&u64| {
            self.calls.get(n).is_some_and(|c| now < c.began.saturating_add(self.limits.join_within))
        };
        let best = match fitting.iter().rev().find(young).or(fitting.first()) {
            Some(best) => *best,
            None => self.only_one_that_fits(part, way, line, now)?,
        };
        self.child(best, part, session);
        Some(best)
    }

    /// Whether a call's first leg was heard a moment before the leg that brought it.
    fn was_overtaken(&self, number: u64, part: &Part<'_>, way: Way) -> bool {
        let Some(call) = self.calls.get(&number).filter(|call| call.over.is_none()) else { return false };
        let Some(root) = self.root(number).filter(|root| root.role != Role::Caller) else { return false };
        let sooner = part.seen.captured.unwrap_or(part.seen.uptime) <= root.began.saturating_add(OVERTAKEN);
        let stands = self.stands(part, root);
        let above = stands == Stands::Parent || (way == Way::In && stands != Stands::Sibling);
        above && sooner && part.seen.uptime < call.began.saturating_add(OVERTAKEN)
    }

    /// Whether a leg to a phone, or out of the phone system, may be one of this call's.
    fn takes(&self, number: u64, part: &Part<'_>, way: Way, line: Option<&Line>, now: Duration) -> bool {
        let Some(call) = self.calls.get(&number).filter(|call| call.seeks(now)) else { return false };
        let Some(root) = self.root(number) else { return false };
        let same_line = line.is_some_and(|line| root.phone_line() == Some(line));
        let stands = self.stands(part, root);
        let busy_with_it = root.role == Role::Caller && line.is_some_and(|line| call.has(line, now));
        match (stands, root.role) {
            _ if busy_with_it => false,
            (Stands::Child, Role::Caller | Role::Unsure) => true,
            // A second call of one caller is no leg of the first.
            (Stands::Sibling, Role::Caller) => false,
            (Stands::Sibling, _) => line.is_some() && !same_line,
            (Stands::Parent, _) => false,
            (Stands::Child | Stands::Unknown, Role::Phone) => line.is_some() && !same_line,
            (Stands::Unknown, _) => line.is_some() || way == Way::Out,
        }
    }

    /// The phone system may write the caller anew (a prefix, a name for a number): where only one caller has just
    /// come and no phone was rung for them yet, the leg is theirs.
    fn only_one_that_fits(
        &self,
        part: &Part<'_>,
        way: Way,
        line: Option<&Line>,
        now: Duration,
    ) -> Option<u64> {
        line?;
        let fresh = self.fresh.iter().rev().filter_map(|number| Some((number, self.calls.get(number)?)));
        let recent = fresh.filter(|(number, call)| {
            call.sessions.len() == 1
                && now < call.began.saturating_add(self.limits.join_within)
                && call.root().is_some_and(|root| {
                    root.role == Role::Caller
                        && root.from_line.is_none()
                        && !root.deep()
                        && self.stands(part, root) == Stands::Child
                })
                && self.takes(**number, part, way, line, now)
        });
        let mut numbers = recent.map(|(number, _)| *number);
        let one = numbers.next()?;
        numbers.next().is_none().then_some(one)
    }

    /// A leg to the outside that an agent's own call brought: it has another caller, but goes to what was dialled.
    fn dialled_out(
        &mut self,
        part: &Part<'_>,
        session: &mut Session,
        way: Way,
        line: Option<&Line>,
        now: Duration,
    ) -> Option<u64> {
        if way == Way::In || line.is_some() || part.kind != Kind::Invite {
            return None;
        }
        let digits = part.uri.and_then(dialled_digits)?;
        session.dialled = Some(digits.clone());
        let recent = self.calls.iter().rev().take(256).find(|(_, call)| {
            call.over.is_none()
                && now < call.began.saturating_add(self.limits.join_within)
                && call
                    .sessions
                    .values()
                    .any(|s| s.role == Role::Caller && s.dialled.as_ref() == Some(&digits))
        });
        let number = recent.map(|(number, _)| *number)?;
        let root = self.root(number)?;
        if root.from_line.is_none() || matches!(self.stands(part, root), Stands::Sibling | Stands::Parent) {
            return None;
        }
        self.child(number, part, session);
        Some(number)
    }

    /// Notes that a new leg was brought by a call's first one.
    fn child(&mut self, number: u64, part: &Part<'_>, session: &mut Session) {
        let Some(root) = self.root(number) else { return };
        let stands = self.stands(part, root);
        let same_line = root.role == Role::Unsure
            && root.phone_line().is_some()
            && root.phone_line() == self.line_called(part).as_ref();
        let brought = stands == Stands::Child
            || (stands == Stands::Unknown && (same_line || root.role == Role::Caller));
        session.role = Role::Phone;
        if brought && let Some(root) = self.root_mut(number) {
            root.role = Role::Caller;
        }
        if stands == Stands::Child {
            self.learn(ends(part).0);
        }
    }

    fn learn(&mut self, pbx: Option<SocketAddr>) {
        if let Some(pbx) = pbx
            && self.limits.pbx.is_empty()
            && self.pbx.len() < MOST_LEARNED
        {
            self.pbx.insert(pbx.ip());
        }
    }

    fn is_live(&self, number: u64) -> bool {
        self.calls.get(&number).is_some_and(|call| call.over.is_none())
    }

    /// The leg that brought a call, else its first.
    fn root(&self, number: u64) -> Option<&Session> {
        self.calls.get(&number)?.root()
    }

    fn root_mut(&mut self, number: u64) -> Option<&mut Session> {
        let sessions = &mut self.calls.get_mut(&number)?.sessions;
        sessions.values_mut().min_by_key(|s| (s.role != Role::Caller, s.began))
    }

    fn stands(&self, part: &Part<'_>, root: &Session) -> Stands {
        let (Some(from), Some(to)) = ends(part) else { return Stands::Unknown };
        let (Some(root_from), Some(root_to)) = root.ends else { return Stands::Unknown };
        // On one machine ports tell who is who.
        let one_machine = root_from.ip() == root_to.ip() || from.ip() == to.ip();
        let same = |a: SocketAddr, b: SocketAddr| if one_machine { a == b } else { a.ip() == b.ip() };
        match () {
            () if same(root_to, from) && !same(root_from, from) => Stands::Child,
            () if same(root_from, to) && !same(root_to, to) => Stands::Parent,
            () if same(root_from, from) => Stands::Sibling,
            () => Stands::Unknown,
        }
    }
}

/// Who sent the INVITE that a message belongs to, and to whom.
fn ends(part: &Part<'_>) -> (Option<SocketAddr>, Option<SocketAddr>) {
    match part.kind {
        Kind::Invite | Kind::Cancel => (part.seen.from, part.seen.to),
        _ if part.message.method().is_none() => (part.seen.to, part.seen.from),
        _ => (part.seen.from, part.seen.to),
    }
}

/// The address in a Via, such as `SIP/2.0/UDP 192.0.2.1:5060;branch=x`.
fn sent_by(via: &str) -> Option<IpAddr> {
    let host = via.split(';').next()?.split_ascii_whitespace().nth(1)?;
    ip_of(host).or_else(|| ip_of(host.rsplit_once(':')?.0))
}

fn ip_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// What calls of one caller have in common. Of an answer only From is known, which may hold a number that was to
/// be kept: it is compared, never told.
fn caller_key(part: &Part<'_>, session: &Session, plan: &NumberPlan) -> String {
    let caller = &session.facts.caller;
    if *caller == Caller::default() {
        let user = part.from.user().unwrap_or_default();
        let anonymous =
            part.from.host() == Some("anonymous.invalid") || user.eq_ignore_ascii_case("anonymous");
        let number = || part.from.parts().and_then(|uri| identity::number(uri, plan));
        return match anonymous {
            true => "withheld".to_owned(),
            false => number().map_or_else(
                || user.into_owned(),
                |number| number.key().map_or_else(|| number.shown(), str::to_owned),
            ),
        };
    }
    match (caller.withheld, caller.number.as_ref()) {
        (true, _) => "withheld".to_owned(),
        (false, Some(number)) => number.key().map_or_else(|| number.shown(), str::to_owned),
        (false, None) => String::new(),
    }
}

/// The Session-ID of whoever began it (RFC 7989 section 5): intermediaries pass it on.
fn session_id(part: &Part<'_>) -> Option<String> {
    let id = part.message.header("Session-ID")?.split(';').next()?.trim().to_ascii_lowercase();
    let is_one = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0');
    (part.kind == Kind::Invite && is_one).then(|| format!("session-id {id}"))
}
