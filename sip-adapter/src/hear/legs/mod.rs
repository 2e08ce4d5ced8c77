//! What a copy of the SIP traffic tells of calls: INVITE dialogs are followed leg by leg, legs that belong
//! together are joined into one call, and what is so is said in the words of [`crate::hear`]. Pure: it takes
//! messages and the time and gives words. Late, lost and repeated messages lead to the same end.

mod call;
mod join;
mod part;
mod session;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap;
use jiff::Timestamp;
use pinkas_protocol::{CallFacts, Line, LineState, Private};

use self::call::Call;
pub use self::part::Seen;
use self::part::{Kind, Part};
use self::session::{Session, Silence};
use crate::hear::{CallHeard, CallKey, Heard, OverBy, Way, What};
use crate::sip::identity::{self, Identity, Rules};
use crate::sip::message::Message;
use crate::sip::name_addr::NameAddr;
use crate::sip::uri::Uri;

/// How legs are joined, and how long and how many are kept.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Addresses of the phone system; where none is given, they are learned from legs that one address brings
    /// on to another.
    pub pbx: Vec<IpAddr>,
    /// The header by which the phone system names the caller's leg (its Call-ID) on the phones' legs.
    pub call_id_header: String,
    /// How long after the caller's leg a leg to a phone is taken for the same call by the caller's number
    /// without doubt; later, the caller that waits longest comes first.
    pub join_within: Duration,
    /// How long a phone may ring without news (RFC 3261 section 16.6 calls it Timer C).
    pub ringing: Duration,
    /// How long a leg may be without any message before it is given up.
    pub talking: Duration,
    /// The most legs kept; beyond, what is over goes first, then the oldest call of which nothing was said, then the oldest.
    pub most_legs: usize,
    /// Which way's words these are.
    pub way: Way,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            pbx: Vec::new(),
            call_id_header: "X-Original-Call-ID".to_owned(),
            join_within: Duration::from_secs(5),
            ringing: Duration::from_secs(180),
            talking: Duration::from_secs(4 * 3600),
            most_legs: 20_000,
            way: Way::Hep,
        }
    }
}

/// How long a leg that is over is kept, because its last messages are repeated for so long (RFC 3261 Timer B).
const KEPT: Duration = Duration::from_secs(32);

/// How long, and how many, messages are kept that came before the first of their leg.
const EARLY: Duration = Duration::from_secs(1);
const MOST_EARLY: usize = 64;

/// The most legs of one call; one more is a call of its own. A ring group of phones has one for each.
const MOST_OF_A_CALL: usize = 1_024;

/// How many branches there may be for each leg that may be kept, all taken together: a leg alone may have hundreds.
const BRANCHES_PER_LEG: usize = 4;

/// How many calls of one caller a new leg is compared with.
const MOST_COMPARED: usize = 256;

/// The most callers who have just come and for whom no phone was rung yet.
const MOST_FRESH: usize = 64;

/// The most addresses learned to be the phone system's.
const MOST_LEARNED: usize = 16;

/// Follows legs and calls.
pub struct Tracker {
    lines: BTreeSet<Line>,
    rules: Arc<Rules>,
    limits: Limits,
    silence: Silence,
    pbx: BTreeSet<IpAddr>,
    calls: BTreeMap<u64, Call>,
    /// How many of them have a key.
    keys: HashMap<CallKey, u32>,
    /// Call-ID to call and leg.
    legs: HashMap<String, (u64, u64)>,
    /// How many branches those legs have.
    branches: usize,
    /// Call-IDs of callers' legs that were named before they were seen, and Session-IDs.
    expected: HashMap<String, u64>,
    by_caller: HashMap<String, BTreeSet<u64>>,
    /// Calls that a caller's own leg has just begun, the oldest first.
    fresh: VecDeque<u64>,
    /// Call-IDs of legs in whose place a caller is to be put, to that of the caller's phone.
    wished: HashMap<String, String>,
    /// Phones' legs to feature codes, and when they were answered.
    codes: VecDeque<(u64, u64, Duration)>,
    early: VecDeque<(Seen, Message)>,
    wakes: BTreeSet<(Duration, u64)>,
    wake_of: BTreeMap<u64, Duration>,
    over: BTreeSet<(Duration, u64)>,
    /// Calls of which nothing was said: nobody misses them.
    untold: BTreeSet<u64>,
    line_calls: BTreeMap<Line, BTreeMap<u64, LineState>>,
    /// The lines that do something in a call.
    lines_of: HashMap<u64, BTreeMap<Line, LineState>>,
    line_said: BTreeMap<Line, LineState>,
    next: u64,
}

impl Tracker {
    /// Follows these lines.
    pub fn new(lines: impl IntoIterator<Item = Line>, rules: Arc<Rules>, limits: Limits) -> Tracker {
        Tracker {
            lines: lines.into_iter().collect(),
            rules,
            silence: Silence { ringing: limits.ringing, talking: limits.talking },
            pbx: limits.pbx.iter().copied().collect(),
            limits,
            calls: BTreeMap::new(),
            keys: HashMap::default(),
            legs: HashMap::default(),
            branches: 0,
            expected: HashMap::default(),
            by_caller: HashMap::default(),
            fresh: VecDeque::new(),
            wished: HashMap::default(),
            codes: VecDeque::new(),
            early: VecDeque::new(),
            wakes: BTreeSet::new(),
            wake_of: BTreeMap::new(),
            over: BTreeSet::new(),
            untold: BTreeSet::new(),
            line_calls: BTreeMap::new(),
            lines_of: HashMap::default(),
            line_said: BTreeMap::new(),
            next: 0,
        }
    }

    /// Takes one message and says what is so because of it.
    pub fn take(&mut self, seen: Seen, message: &Message) -> Vec<Heard> {
        let Some(part) = Part::read(seen, message) else { return Vec::new() };
        let mut told = Told { at: seen.at, way: self.limits.way, words: Vec::new() };
        let line = self.line_called(&part);
        let known = self.legs.get(part.call_id).copied();
        let leg = match known {
            Some(leg) => self.again(leg, &part, line.as_ref(), &mut told),
            None => self.first(&part, line.as_ref(), &mut told),
        };
        let Some((call, leg)) = leg else {
            self.keep_early(seen, message);
            return told.words;
        };
        if let Some(session) = self.calls.get_mut(&call).and_then(|call| call.sessions.get_mut(&leg)) {
            let before = session.branches.len();
            session.take(&part, line.as_ref());
            self.branches += session.branches.len().saturating_sub(before);
            let first = part.kind == Kind::Invite && !session.invited;
            if first || (part.kind == Kind::Invite && part.depth < session.facts_depth) {
                session.invited = true;
                // What a proxy passes on is heard before what it was given, at times.
                session.facts_depth = part.depth;
                session.read_invite(&part, line.as_ref(), &self.rules);
            }
            if first {
                self.place_again(call, &part, line.as_ref(), &mut told);
            }
        }
        if self.branches > self.most_branches() {
            // This call may be among those that go.
            self.make_room(&mut told);
        }
        self.pass_on(call, leg, &part, &mut told);
        // A transfer may have moved the leg into another call.
        let call = self.legs.get(part.call_id).map_or(call, |(call, _)| *call);
        self.tell(call, seen.uptime, &mut told);
        if known.is_none() {
            for (seen, message) in self.early_of(part.call_id, seen.uptime) {
                told.words.extend(self.take(seen, &message));
            }
        }
        told.words
    }

    /// Keeps a message of a leg whose INVITE may be overtaken by it.
    fn keep_early(&mut self, seen: Seen, message: &Message) {
        if self.early.len() >= MOST_EARLY {
            self.early.pop_front();
        }
        self.early.push_back((seen, message.clone()));
    }

    /// Messages that overtook the first of their leg, in the order in which they came, as if they came `now`.
    fn early_of(&mut self, call_id: &str, now: Duration) -> Vec<(Seen, Message)> {
        if self.early.is_empty() {
            return Vec::new();
        }
        self.early.retain(|(seen, _)| now < seen.uptime.saturating_add(EARLY));
        let is_it = |message: &Message| message.call_id() == Some(call_id);
        let (its, others) = self.early.drain(..).partition(|(_, message)| is_it(message));
        self.early = others;
        let its: VecDeque<(Seen, Message)> = its;
        its.into_iter().map(|(seen, message)| (Seen { uptime: now, ..seen }, message)).collect()
    }

    /// Lets time pass until `now`: says what can be said without a message, and forgets what is long over.
    pub fn tick(&mut self, at: Timestamp, now: Duration) -> Vec<Heard> {
        let mut told = Told { at, way: self.limits.way, words: Vec::new() };
        while let Some(&(wake, call)) = self.wakes.first() {
            if wake > now {
                break;
            }
            self.tell(call, now, &mut told);
        }
        while let Some(&(at, call)) = self.over.first() {
            if at.saturating_add(KEPT) > now {
                break;
            }
            self.forget(call);
        }
        told.words
    }

    /// When [`Tracker::tick`] has something to do next.
    pub fn next_tick(&self) -> Option<Duration> {
        let forget = self.over.first().map(|(at, _)| at.saturating_add(KEPT));
        self.wakes.first().map(|(at, _)| *at).into_iter().chain(forget).min()
    }

    fn session(&self, call: u64, leg: u64) -> Option<&Session> {
        self.calls.get(&call)?.sessions.get(&leg)
    }

    /// How many legs are kept.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// How many calls are not over.
    pub fn live(&self) -> usize {
        self.calls.len() - self.over.len()
    }

    /// The followed line that a message names as the one called. A phone's registered contact may carry another
    /// user part than its line (WebRTC does); To then still names the line.
    fn line_called(&self, part: &Part<'_>) -> Option<Line> {
        if !matches!(part.kind, Kind::Invite | Kind::Answer(_) | Kind::Cancel | Kind::Cancelled) {
            return None;
        }
        let target = part.target();
        target.as_deref().and_then(|user| self.line(user)).or_else(|| self.line_of(&part.to))
    }

    fn line_of(&self, address: &NameAddr) -> Option<Line> {
        self.line(&address.user()?)
    }

    fn line(&self, user: &str) -> Option<Line> {
        self.lines.get(user).cloned()
    }

    /// A message of a leg that is known.
    fn again(
        &mut self,
        (call, leg): (u64, u64),
        part: &Part<'_>,
        line: Option<&Line>,
        told: &mut Told,
    ) -> Option<(u64, u64)> {
        let known = self.calls.get(&call)?;
        let session = known.sessions.get(&leg)?;
        let renewed = part.kind == Kind::Invite
            && known.over.is_some()
            && session.ended.is_none()
            && session.newest().is_some_and(|cseq| part.cseq > cseq);
        if renewed {
            // The same caller tries again under the same Call-ID, after the first try was over.
            self.legs.remove(part.call_id);
            return self.first(part, line, told);
        }
        Some((call, leg))
    }

    /// The first message of a leg.
    fn first(&mut self, part: &Part<'_>, line: Option<&Line>, told: &mut Told) -> Option<(u64, u64)> {
        match part.kind {
            // A 2xx may as well answer an INVITE within a leg that began before this program did.
            Kind::Answer(200..=299) | Kind::Ack | Kind::Change | Kind::Refer => return None,
            Kind::Referred(_) | Kind::Notified(_) => return None,
            Kind::Invite | Kind::Answer(_) | Kind::Cancel | Kind::Cancelled | Kind::Bye | Kind::ByeDone => {}
        }
        self.make_room(told);
        let from_line = self.line_of(&part.from);
        let mut session = Session::new(part, from_line);
        if part.kind == Kind::Invite {
            session.read_invite(part, line, &self.rules);
        }
        let call = match part.kind {
            Kind::Bye | Kind::ByeDone => {
                // A call from before this program's start, or whose INVITE is still to come.
                told.call(&CallKey::new(part.call_id), CallHeard::Over { by: OverBy::Unknown });
                self.new_call(part)
            }
            _ => self.place(part, &mut session, line),
        };
        let full = self.calls.get(&call).is_some_and(|call| call.sessions.len() >= MOST_OF_A_CALL);
        let call = if full { self.new_call(part) } else { call };
        let leg = self.number();
        self.calls.get_mut(&call)?.sessions.insert(leg, session);
        self.legs.insert(part.call_id.to_owned(), (call, leg));
        Some((call, leg))
    }

    fn new_call(&mut self, part: &Part<'_>) -> u64 {
        let number = self.number();
        let key = CallKey::new(part.call_id);
        // A caller who tries again under the same Call-ID.
        let tried_before = self.keys.contains_key(&key);
        let key = if tried_before { CallKey::new(&format!("{}#{}", part.call_id, part.cseq)) } else { key };
        self.keep_call(number, Call::new(key, part.seen.uptime));
        number
    }

    fn keep_call(&mut self, number: u64, call: Call) {
        *self.keys.entry(call.key.clone()).or_default() += 1;
        self.calls.insert(number, call);
    }

    fn drop_call(&mut self, number: u64) -> Option<Call> {
        let call = self.calls.remove(&number)?;
        if let Some(times) = self.keys.get_mut(&call.key) {
            *times -= 1;
            if *times == 0 {
                self.keys.remove(&call.key);
            }
        }
        Some(call)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Puts the legs of one call into another, which goes on.
    fn merge(&mut self, into: u64, gone: u64, told: &mut Told) {
        if into == gone || !self.calls.contains_key(&into) {
            return;
        }
        let Some(moved) = self.drop_call(gone) else { return };
        self.unregister(gone, &moved);
        let Some(call) = self.calls.get_mut(&into) else { return };
        if moved.told() {
            told.call(&moved.key, CallHeard::Joined { into: call.key.clone() });
        }
        for (leg, mut session) in moved.sessions {
            session.follows = true;
            if let Some(place) = self.legs.get_mut(&session.call_id).filter(|(call, _)| *call == gone) {
                place.0 = into;
            }
            call.sessions.insert(leg, session);
        }
    }

    /// Says what is new of a call, and notes when to look at it again.
    fn tell(&mut self, number: u64, now: Duration, told: &mut Told) {
        let Some(call) = self.calls.get_mut(&number) else {
            self.wake(number, None);
            return;
        };
        let was_over = call.over.is_some();
        let (words, lines) = call.tell(now, self.silence, self.limits.join_within);
        for word in words {
            told.call(&call.key, word);
        }
        match call.told() {
            true => self.untold.remove(&number),
            false => self.untold.insert(number),
        };
        let wakes = call.wakes(now, self.silence, self.limits.join_within);
        if let (false, Some(at)) = (was_over, call.over) {
            self.over.insert((at, number));
            if let Some(caller) = call.caller.take() {
                self.unlist(&caller, number);
            }
        }
        self.wake(number, wakes.map(|at| at.max(now + Duration::from_millis(1))));
        self.line_states(number, lines, told);
    }

    fn wake(&mut self, call: u64, at: Option<Duration>) {
        if let Some(before) = self.wake_of.remove(&call) {
            self.wakes.remove(&(before, call));
        }
        if let Some(at) = at {
            self.wake_of.insert(call, at);
            self.wakes.insert((at, call));
        }
    }

    /// Notes what the lines do in one call, and says what they do in all.
    fn line_states(&mut self, call: u64, now: BTreeMap<Line, LineState>, told: &mut Told) {
        let before = match self.lines_of.get(&call) {
            Some(before) if *before == now => return,
            None if now.is_empty() => return,
            _ => self.lines_of.remove(&call),
        };
        if !now.is_empty() {
            self.lines_of.insert(call, now.clone());
        }
        let before = before.into_iter().flat_map(BTreeMap::into_keys);
        let touched: BTreeSet<Line> = before.chain(now.keys().cloned()).collect();
        for line in touched {
            let calls = self.line_calls.entry(line.clone()).or_default();
            match now.get(&line) {
                Some(state) => calls.insert(call, *state),
                None => calls.remove(&call),
            };
            let does = |wanted| calls.values().any(|state| *state == wanted);
            let state = match () {
                () if does(LineState::Busy) => LineState::Busy,
                () if does(LineState::Ringing) => LineState::Ringing,
                () => LineState::Idle,
            };
            if calls.is_empty() {
                self.line_calls.remove(&line);
            }
            if self.line_said.insert(line.clone(), state) != Some(state) {
                told.say(What::LineState { line, state });
            }
        }
    }

    fn most_branches(&self) -> usize {
        self.limits.most_legs.max(1).saturating_mul(BRANCHES_PER_LEG)
    }

    /// Forgets what is over, then the oldest call of which nothing was said, then the oldest, until one more leg has
    /// room: strangers whom the phone system asks for credentials must not drive out people who talk.
    fn make_room(&mut self, told: &mut Told) {
        let most = self.limits.most_legs.max(1);
        // A caller who tries again under the same Call-ID is one leg and many calls.
        while self.legs.len().max(self.calls.len()) >= most || self.branches > self.most_branches() {
            if let Some(&(_, over)) = self.over.first() {
                self.forget(over);
            } else if let Some(&untold) = self.untold.first() {
                self.line_states(untold, BTreeMap::new(), told);
                self.forget(untold);
            } else if let Some((&oldest, call)) = self.calls.first_key_value() {
                if call.told() {
                    told.call(&call.key, CallHeard::Over { by: OverBy::Unknown });
                }
                self.line_states(oldest, BTreeMap::new(), told);
                self.forget(oldest);
            } else {
                return;
            }
        }
    }

    fn forget(&mut self, number: u64) {
        let Some(call) = self.drop_call(number) else { return };
        self.unregister(number, &call);
        for session in call.sessions.values() {
            self.branches = self.branches.saturating_sub(session.branches.len());
            if self.legs.get(&session.call_id).is_some_and(|(call, _)| *call == number) {
                self.legs.remove(&session.call_id);
            }
            if !session.asked.is_empty() {
                self.wished.retain(|_, by| *by != session.call_id);
            }
        }
    }

    fn unregister(&mut self, number: u64, call: &Call) {
        self.wake(number, None);
        self.untold.remove(&number);
        if let Some(caller) = &call.caller {
            self.unlist(caller, number);
        }
        if let Some(at) = call.over {
            self.over.remove(&(at, number));
        }
        for name in &call.names {
            if self.expected.get(name) == Some(&number) {
                self.expected.remove(name);
            }
        }
    }

    /// Notes by which other name a call's first leg will be told, or was.
    fn expect(&mut self, name: String, number: u64) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.names.push(name.clone());
            self.expected.insert(name, number);
        }
    }

    fn unlist(&mut self, caller: &str, number: u64) {
        if let Some(calls) = self.by_caller.get_mut(caller) {
            calls.remove(&number);
            if calls.is_empty() {
                self.by_caller.remove(caller);
            }
        }
    }
}

/// Words with the time at which they were heard.
struct Told {
    at: Timestamp,
    way: Way,
    words: Vec<Heard>,
}

impl Told {
    fn call(&mut self, key: &CallKey, is: CallHeard) {
        self.say(What::Call { key: key.clone(), is });
    }

    fn say(&mut self, what: What) {
        self.words.push(Heard { at: self.at, way: self.way, what });
    }
}

/// What an INVITE says; on a phone's own leg the line it goes to is not what the caller dialled.
/// With the digits that a withheld caller's leg keeps back.
fn leg_facts(part: &Part<'_>, line: Option<&Line>, rules: &Rules) -> (CallFacts, Private<Vec<String>>) {
    let Identity { mut facts, kept_back, .. } =
        identity::between(part.message, (&part.from, &part.to), part.seen.from.map(|from| from.ip()), rules);
    let is_line =
        |number: &pinkas_protocol::Number| line.is_some_and(|line| number.key() == Some(line.as_str()));
    facts.dialled = facts.dialled.filter(|number| !is_line(number));
    (facts, kept_back)
}

/// The digits at the end of a user part, to compare numbers that a phone system wrote anew.
fn dialled_digits(uri: Uri<'_>) -> Option<String> {
    let user = uri.unescaped_user()?;
    let digits: String = user.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= 6).then(|| digits[digits.len().saturating_sub(9)..].to_owned())
}

#[cfg(test)]
mod tests;
