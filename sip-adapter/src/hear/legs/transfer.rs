//! Calls that are passed on: by REFER (RFC 3515, RFC 3891) once it was accepted, by an INVITE with Replaces, by the
//! new caller that Asterisk names to the third phone, and by picking up with a feature code. A REFER that was
//! refused, or whose outcome was a failure, changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use pinkas_protocol::Line;

use super::call::{Call, Transfer};
use super::part::{Kind, Part};
use super::session::{Cancelled, Role, State};
use super::{Told, Tracker};
use crate::sip::identity;
use crate::sip::name_addr::NameAddr;

/// The most REFERs of one leg that wait for their outcome.
const MOST_ASKED: usize = 8;

/// The most legs to feature codes that are remembered, and how long before the answer elsewhere one was answered.
const MOST_CODES: usize = 64;
const PICKED_UP_WITHIN: Duration = Duration::from_secs(5);

/// Asterisk's own feature code that takes any ringing call of one's group.
const TAKES_ANY: &str = "*8";

/// What a phone asked for with REFER.
pub(super) struct Asked {
    cseq: u32,
    from_tag: String,
    to: Wish,
    /// Whether it was accepted (2xx).
    accepted: bool,
}

enum Wish {
    /// Its caller is to call somebody else.
    Blind(String),
    /// Its caller is to take its place in the leg of this Call-ID.
    Join(String),
}

impl Tracker {
    /// What a message means for calls that are passed on, beyond its own leg.
    pub(super) fn pass_on(&mut self, call: u64, leg: u64, part: &Part<'_>, told: &mut Told) {
        match part.kind {
            Kind::Refer => self.asks(call, leg, part),
            Kind::Referred(code) => {
                // By its number and its sender's tag; an answer has those of its request.
                let is = |asked: &Asked| asked.cseq == part.cseq && asked.from_tag == part.from_tag;
                match code {
                    ..=199 => {}
                    200..=299 => self.accepted(call, leg, part, told, is),
                    300.. => self.refused(call, leg, is),
                }
            }
            Kind::Notified(code) => {
                let number = part.message.header("Event").and_then(|event| {
                    event.split(';').find_map(|param| param.trim().strip_prefix("id=")?.parse::<u32>().ok())
                });
                let is = |asked: &Asked| {
                    asked.from_tag == part.to_tag && number.is_none_or(|number| number == asked.cseq)
                };
                if code >= 300 {
                    return self.refused(call, leg, is);
                }
                self.accepted(call, leg, part, told, is);
                if code >= 200 {
                    self.done(call, leg, part, told);
                }
            }
            // The phone hangs up once it is no longer needed, which tells what a NOTIFY that was lost would have.
            Kind::Bye | Kind::ByeDone => self.done(call, leg, part, told),
            Kind::Change => self.put_through(call, leg, part, told),
            Kind::Answer(200..=299) => {
                let replaces = self.session(call, leg).and_then(|session| session.replaces.clone());
                if let Some(other) = replaces
                    && let Some((other, _)) = self.legs.get(&other).copied()
                    && let Some(by) = self.calls.get(&other).and_then(|other| {
                        other.sessions.values().find(|s| s.role == Role::Caller)?.from_line.clone()
                    })
                {
                    self.join(call, other, &by, part.seen.uptime, told);
                }
                self.feature_code(call, leg, part);
            }
            Kind::Cancel => self.picked_up(call, part, told),
            _ => {}
        }
    }

    /// Notes a REFER; nothing comes of it before it was accepted.
    fn asks(&mut self, call: u64, leg: u64, part: &Part<'_>) {
        let Some(to) = part.message.header("Refer-To").and_then(NameAddr::read) else { return };
        let Some(session) = self.calls.get_mut(&call).and_then(|call| call.sessions.get_mut(&leg)) else {
            return;
        };
        let known = |asked: &Asked| asked.cseq == part.cseq && asked.from_tag == part.from_tag;
        if session.asked.len() >= MOST_ASKED || session.asked.iter().any(known) {
            return;
        }
        let to = match replaced(to.uri) {
            Some(other) => {
                self.wished.insert(other.clone(), part.call_id.to_owned());
                Wish::Join(other)
            }
            None => Wish::Blind(to.user().unwrap_or_default().into_owned()),
        };
        let (cseq, from_tag) = (part.cseq, part.from_tag.clone().into_owned());
        session.asked.push(Asked { cseq, from_tag, to, accepted: false });
    }

    fn refused(&mut self, call: u64, leg: u64, is: impl Fn(&Asked) -> bool) {
        let Some(call) = self.calls.get_mut(&call) else { return };
        let Some(session) = call.sessions.get_mut(&leg) else { return };
        let (refused, others) = std::mem::take(&mut session.asked).into_iter().partition(is);
        session.asked = others;
        let refused: Vec<Asked> = refused;
        for asked in refused {
            match asked.to {
                Wish::Join(other) => drop(self.wished.remove(&other)),
                Wish::Blind(target) => call.transfers.retain(|t| t.done || t.target != target),
            }
        }
    }

    fn accepted(
        &mut self,
        call: u64,
        leg: u64,
        part: &Part<'_>,
        told: &mut Told,
        is: impl Fn(&Asked) -> bool,
    ) {
        let now = part.seen.uptime;
        let Some(session) = self.calls.get_mut(&call).and_then(|call| call.sessions.get_mut(&leg)) else {
            return;
        };
        let by = session.phone_line().or(session.from_line.as_ref()).cloned();
        let mut blind = Vec::new();
        for asked in session.asked.iter_mut().filter(|asked| !asked.accepted && is(asked)) {
            asked.accepted = true;
            if let Wish::Blind(target) = &asked.to {
                blind.push(target.clone());
            }
        }
        let Some(by) = by else { return };
        for target in blind {
            let line = self.line(&target).filter(|line| *line != by);
            let overtook = line.as_ref().and_then(|line| self.overtook(call, line, now));
            if let Some(call) = self.calls.get_mut(&call) {
                let by = by.clone();
                call.transfer(Transfer { by, at: now, line, target, done: overtook.is_some() });
            }
            if let Some(overtook) = overtook {
                self.merge(call, overtook, told);
                self.line_states(overtook, BTreeMap::new(), told);
            }
        }
    }

    /// Whoever asked for two legs to be joined, and was not refused, has what was asked for.
    fn done(&mut self, call: u64, leg: u64, part: &Part<'_>, told: &mut Told) {
        let Some(session) = self.calls.get_mut(&call).and_then(|call| call.sessions.get_mut(&leg)) else {
            return;
        };
        if session.asked.is_empty() {
            return;
        }
        let by = session.phone_line().or(session.from_line.as_ref()).cloned();
        let is_done = |asked: &Asked| asked.accepted && matches!(asked.to, Wish::Join(_));
        let (done, others) = std::mem::take(&mut session.asked).into_iter().partition(is_done);
        session.asked = others;
        let done: Vec<Asked> = done;
        for asked in done {
            let Wish::Join(other) = asked.to else { continue };
            let wished = self.wished.remove(&other);
            let other = self.legs.get(&other).map(|(other, _)| *other);
            if let (Some(by), Some(other), Some(_)) = (&by, other, wished) {
                self.join(call, other, by, part.seen.uptime, told);
            }
        }
    }

    /// The call whose phone asked for its caller to take the place in the leg that an INVITE replaces: whoever was
    /// asked does it now.
    pub(super) fn takes_place(&mut self, replaced: &str, line: Option<&Line>, now: Duration) -> Option<u64> {
        let (call, leg) = self.legs.get(self.wished.get(replaced)?).copied()?;
        let session = self.session(call, leg)?;
        let is_it =
            |asked: &Asked| asked.accepted && matches!(&asked.to, Wish::Join(other) if other == replaced);
        let by = session.phone_line().or(session.from_line.as_ref()).cloned()?;
        if !session.asked.iter().any(is_it) {
            return None;
        }
        let call_ = self.calls.get_mut(&call).filter(|call| call.over.is_none())?;
        let (line, target) = (line.cloned(), String::new());
        call_.transfer(Transfer { by, at: now, line, target, done: true });
        Some(call)
    }

    /// An INVITE within a phone's leg that names another caller: after an attended transfer whose REFER was not
    /// seen, this is how Asterisk tells the third phone whom it talks to.
    fn put_through(&mut self, call: u64, leg: u64, part: &Part<'_>, told: &mut Told) {
        let now = part.seen.uptime;
        if part.message.header("P-Asserted-Identity").is_none() {
            return;
        }
        let Some(consult) = self.calls.get(&call).filter(|call| call.over.is_none()) else { return };
        let Some(session) = consult.sessions.get(&leg).filter(|s| s.role == Role::Phone) else { return };
        if session.initiator() != part.from_tag {
            return;
        }
        let facts = identity::facts(part.message, part.seen.from.map(|from| from.ip()), &self.rules);
        // Only compared, never told: an untrusted header may do.
        let asserted = part.message.header("P-Asserted-Identity").and_then(NameAddr::read);
        let asserted = asserted.and_then(|by| identity::number(by.parts()?, &self.rules.numbers));
        let number = asserted.or(facts.caller.number);
        let Some(number) = number.filter(|number| Some(number) != session.facts.caller.number.as_ref())
        else {
            return;
        };
        let Some(by) = consult.sessions.values().find_map(|s| s.from_line.clone()) else { return };
        let Some(calls) = number.key().and_then(|key| self.by_caller.get(key)) else { return };
        let held = calls.iter().rev().take(super::MOST_COMPARED).copied().find(|other| {
            *other != call && self.calls.get(other).is_some_and(|c| c.over.is_none() && c.had(&by, now))
        });
        if let Some(held) = held {
            self.join(held, call, &by, now, told);
        }
    }

    /// Two calls become one: the one in which `by` was called goes on, the one in which `by` asked a colleague ends.
    fn join(&mut self, one: u64, two: u64, by: &Line, now: Duration, told: &mut Told) {
        if one == two {
            return;
        }
        let asks = |call: &Call| {
            call.sessions.values().any(|s| s.role == Role::Caller && s.from_line.as_ref() == Some(by))
        };
        let (Some(first), Some(second)) = (self.calls.get(&one), self.calls.get(&two)) else { return };
        if first.over.is_some() || second.over.is_some() {
            return;
        }
        let (into, gone) = match (asks(first), asks(second)) {
            (true, false) => (two, one),
            (false, true) => (one, two),
            _ => (one.min(two), one.max(two)),
        };
        // Said in full before the two are one.
        self.tell(gone, now, told);
        let line = self.calls.get(&gone).and_then(|call| call.talking_line(by, now));
        let transfer = Transfer { by: by.clone(), at: now, line, target: String::new(), done: true };
        if let Some(call) = self.calls.get_mut(&into) {
            call.transfer(transfer);
        }
        self.merge(into, gone, told);
        if let Some(call) = self.calls.get_mut(&into) {
            for session in call.sessions.values_mut() {
                session.aside |= session.role == Role::Caller && session.from_line.as_ref() == Some(by);
            }
        }
        self.tell(into, now, told);
        self.line_states(gone, BTreeMap::new(), told);
    }

    /// Remembers a phone's leg to a feature code that was answered, for a while.
    fn feature_code(&mut self, call: u64, leg: u64, part: &Part<'_>) {
        let Some(session) = self.session(call, leg) else { return };
        if session.from_line.is_none() || !session.target.starts_with('*') {
            return;
        }
        if !self.codes.iter().any(|(known, ..)| *known == call) {
            if self.codes.len() >= MOST_CODES {
                self.codes.pop_front();
            }
            self.codes.push_back((call, leg, part.seen.uptime));
        }
    }

    /// A colleague answered, says a CANCEL, and no phone of this call has: somebody took the call with a feature
    /// code such as *8 and, mostly, the line it rings at.
    fn picked_up(&mut self, call: u64, part: &Part<'_>, told: &mut Told) {
        let now = part.seen.uptime;
        if self.codes.is_empty() {
            return;
        }
        let Some(rings) = self.calls.get(&call).filter(|call| call.over.is_none()) else { return };
        let mut elsewhere = Vec::new();
        for (line, state) in rings.sessions.values().flat_map(|s| s.phones(now)) {
            match state {
                State::Cancelled(Cancelled::Elsewhere, _) => elsewhere.push(line.clone()),
                State::Talking(_) | State::Left(_) => return,
                _ => {}
            }
        }
        if elsewhere.is_empty() {
            return;
        }
        let alone = |code: u64, leg: u64| {
            let code =
                self.calls.get(&code).filter(|code| code.over.is_none() && code.sessions.len() == 1)?;
            code.sessions.get(&leg).filter(|s| s.ended.is_none() && s.answered())
        };
        let named = |target: &str| elsewhere.iter().any(|line| target.ends_with(line.as_str()));
        let mut takers = self.codes.iter().filter(|(code, leg, at)| {
            *code != call
                && now < at.saturating_add(PICKED_UP_WITHIN)
                && alone(*code, *leg).is_some_and(|s| s.target == TAKES_ANY || named(&s.target))
        });
        let (Some((code, leg, _)), None) = (takers.next().copied(), takers.next()) else { return };
        if let Some(session) = self.calls.get_mut(&code).and_then(|code| code.sessions.get_mut(&leg)) {
            session.role = Role::Phone;
            session.taken_by = session.from_line.clone();
        }
        self.merge(call, code, told);
        self.tell(call, now, told);
        self.line_states(code, BTreeMap::new(), told);
    }
}

/// The Call-ID in `Replaces` of a Refer-To URI (RFC 3891), unescaped.
fn replaced(uri: &str) -> Option<String> {
    let headers = uri.split_once('?')?.1;
    let value = headers.split('&').find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case("Replaces").then_some(value)
    })?;
    let value = crate::sip::uri::unescape(value);
    Some(value.split(';').next()?.trim().to_owned())
}
