//! Manager events in, what is so out. Keyed on Linkedid (call) and Uniqueid (channel), because events of
//! different kinds overtake each other. Pure: it says what to ask, the connection asks it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{Line, LineState, QueueName};

use super::call::{Call, Channels};
use super::channel::{Channel, Role, Shows, State};
use super::lines::{Lines, Source};
use super::names::{Half, Pattern, lines_of_channel};
use super::packet::Packet;
use super::queues::Queues;
use super::resync::Resync;
use crate::config::{Ami, Pbx};
use crate::hear::{CallHeard, CallKey, Heard, Way, What};
use crate::sip::identity::Rules;

/// How long the phone system has to say whether a number may be shown; then it is taken as withheld.
pub const MAY_SHOW_WITHIN: Duration = Duration::from_millis(500);

/// The most channels that are followed at a time; the oldest is forgotten for one more.
pub const MOST_CHANNELS: usize = 20_000;

/// Channels that are gone, remembered because events about them may come late or twice.
const MOST_GONE: usize = 8_192;

/// The Linkedids that one call goes by.
const MOST_NAMES: usize = 64;

/// The channels of one line that are looked at to know what it does.
const MOST_OF_A_LINE: usize = 32;

/// The longest name or number kept of a channel, in bytes: Asterisk's own are at most 149.
const LONGEST: usize = 160;

/// What is true of a phone system, as far as events are read by it.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) lines: BTreeSet<Line>,
    pub(super) rules: Arc<Rules>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) most_channels: usize,
}

impl Settings {
    /// Out of a configuration.
    pub fn new(ami: &Ami, pbx: &Pbx) -> Settings {
        Settings::of(pbx, ami.channels.clone())
    }

    /// Where only the names of channels are known: a recording is read without logging in anywhere.
    pub fn of(pbx: &Pbx, patterns: Vec<Pattern>) -> Settings {
        let lines = pbx.lines.iter().cloned().collect();
        Settings { lines, rules: pbx.rules.clone(), patterns, most_channels: MOST_CHANNELS }
    }

    /// With room for fewer channels than [`MOST_CHANNELS`], to take less memory.
    pub fn at_most(self, most_channels: usize) -> Settings {
        Settings { most_channels, ..self }
    }
}

/// A question to the phone system: `Action: Getvar`.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    /// The ActionID, which the answer carries and which says what was asked of which channel.
    pub id: String,
    /// Of which channel.
    pub channel: String,
    /// For which value.
    pub variable: &'static str,
}

impl std::fmt::Debug for Ask {
    /// A channel's name may hold a number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("variable", &self.variable).finish_non_exhaustive()
    }
}

/// What follows from a packet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// What is so.
    pub heard: Vec<Heard>,
    /// What to ask.
    pub ask: Vec<Ask>,
}

/// Everything a connection has told so far. A new connection needs a new one.
#[derive(Debug)]
pub struct Tracker {
    pub(super) settings: Settings,
    pub(super) channels: Channels,
    pub(super) calls: BTreeMap<String, Call>,
    /// Every Linkedid that was seen, to the call it is now.
    names: BTreeMap<String, String>,
    gone: BTreeSet<String>,
    gone_in_order: VecDeque<String>,
    by_age: BTreeMap<u64, String>,
    by_line: BTreeMap<Line, BTreeSet<String>>,
    pub(super) queues: Queues,
    pub(super) lines: Lines,
    pub(super) resync: Resync,
    dirty: BTreeSet<String>,
    timers: BTreeSet<(Duration, String)>,
    pub(super) ask: Vec<Ask>,
    born: u64,
    forgotten: u64,
    pub(super) now: Duration,
}

impl Tracker {
    /// One that waits for the lists of [`super::resync`] before it tells anything.
    pub fn new(settings: Settings) -> Tracker {
        Tracker {
            settings,
            channels: Channels::new(),
            calls: BTreeMap::new(),
            names: BTreeMap::new(),
            gone: BTreeSet::new(),
            gone_in_order: VecDeque::new(),
            by_age: BTreeMap::new(),
            by_line: BTreeMap::new(),
            queues: Queues::default(),
            lines: Lines::default(),
            resync: Resync::started(),
            dirty: BTreeSet::new(),
            timers: BTreeSet::new(),
            ask: Vec::new(),
            born: 0,
            forgotten: 0,
            now: Duration::ZERO,
        }
    }

    /// One that tells from the first event on: for what was recorded without the lists.
    pub fn without_lists(settings: Settings) -> Tracker {
        Tracker { resync: Resync::none(), ..Tracker::new(settings) }
    }

    /// Takes one packet; `at` is when it came, `uptime` the same on a clock that never goes back.
    pub fn take(&mut self, at: Timestamp, uptime: Duration, packet: &Packet) -> Output {
        self.now = uptime;
        match packet.event() {
            Some(event) => self.take_event(event, packet),
            None => self.take_answer(packet),
        }
        self.settle(at)
    }

    /// To be called at [`Tracker::next_tick`].
    pub fn tick(&mut self, at: Timestamp, uptime: Duration) -> Output {
        self.now = uptime;
        while let Some((due, key)) = self.timers.first().cloned().filter(|(due, _)| *due <= uptime) {
            self.timers.remove(&(due, key.clone()));
            self.dirty.insert(key);
        }
        self.settle(at)
    }

    /// The uptime at which something is to be told though nothing came.
    pub fn next_tick(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether the lists that a connection begins with have all come.
    pub fn heard_lists(&self) -> bool {
        self.resync.complete()
    }

    /// How many channels were forgotten since this was asked last, because there were [`MOST_CHANNELS`].
    pub fn forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    fn settle(&mut self, at: Timestamp) -> Output {
        let mut whats = Vec::new();
        if self.resync.complete() {
            for key in std::mem::take(&mut self.dirty) {
                self.tell(&key, &mut whats);
            }
            whats.extend(self.lines.untold());
            self.tell_up(&mut whats);
        }
        let heard = whats.into_iter().map(|what| Heard { at, way: Way::Ami, what });
        Output { heard: heard.collect(), ask: std::mem::take(&mut self.ask) }
    }

    /// Once, when all that is live has been told.
    fn tell_up(&mut self, whats: &mut Vec<What>) {
        let held_back = |call: &Call| call.concerns && call.told.facts.is_none() && call.caller.is_some();
        if self.resync.told_up || self.calls.values().any(held_back) {
            return;
        }
        self.resync.told_up = true;
        let told = self.calls.values().filter(|call| call.told.facts.is_some()).map(Call::key);
        let live = self.resync.knows_channels.then(|| told.collect::<Vec<CallKey>>());
        whats.push(What::Up { live });
    }

    fn tell(&mut self, key: &str, whats: &mut Vec<What>) {
        let Some(call) = self.calls.get_mut(key) else { return };
        let waiting = call.channels.iter().find(|id| self.queues.place(id).is_some()).cloned();
        call.choose_caller(&self.channels, waiting.as_deref());
        if let Some(caller) = call.caller.clone() {
            ask_whether_shown(&mut self.channels, &mut self.ask, &caller, self.now);
        }
        let Some(call) = self.calls.get_mut(key) else { return };
        let waits = waiting.and_then(|id| self.queues.place(&id));
        let name = call.key();
        let said = call.say(&self.channels, waits, self.now, &self.settings.rules);
        let word = |is| What::Call { key: name.clone(), is };
        whats.extend(said.facts.map(CallHeard::Facts).map(word));
        let joined = |key| What::Call { key, is: CallHeard::Joined { into: name.clone() } };
        whats.extend(said.joins.into_iter().map(joined));
        whats.extend(said.words.into_iter().map(word));
        if let Some(again) = said.again {
            self.timers.insert((again, key.to_owned()));
        }
        if call.channels.is_empty()
            && let Some(call) = self.calls.remove(key)
        {
            for name in call.names {
                self.names.remove(&name);
            }
        }
    }

    /// Notes the channel that an event tells of, as far as every event tells. `None` when there is none, or it is gone.
    pub(super) fn see(&mut self, packet: &Packet, prefix: &str) -> Option<String> {
        let id = clip(packet.known_of(prefix, "Uniqueid")?);
        let name = packet.known_of(prefix, "Channel")?;
        if self.gone.contains(&id) {
            return None;
        }
        let linked = packet.known_of(prefix, "Linkedid").map(clip);
        if !self.channels.contains_key(&id) {
            self.begin(&id, name, linked.as_deref().unwrap_or(&id));
        } else if let Some(linked) = linked {
            self.link(&id, &linked);
        }
        let state = packet.known_of(prefix, "ChannelStateDesc").map_or(State::Down, State::read);
        let channel = self.channels.get_mut(&id)?;
        channel.state = channel.state.max(state);
        if channel.number.is_none() {
            channel.number = packet.known_of(prefix, "CallerIDNum").map(clip);
        }
        if channel.caller_name.is_none() {
            channel.caller_name = packet.known_of(prefix, "CallerIDName").map(clip);
        }
        self.touch(&id);
        Some(id)
    }

    fn begin(&mut self, id: &str, name: &str, linked: &str) {
        if self.channels.len() >= self.settings.most_channels
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.end(&oldest, None);
            self.forgotten += 1;
        }
        let (lines, half) = lines_of_channel(name, &self.settings.patterns);
        let line = lines.into_iter().find(|line| self.settings.lines.contains(line));
        let key = self.names.get(linked).cloned().unwrap_or_else(|| linked.to_owned());
        self.names.insert(linked.to_owned(), key.clone());
        let call = self.calls.entry(key.clone()).or_insert_with(|| Call::new(linked));
        call.channels.insert(id.to_owned());
        if let (Some(line), Half::Whole) = (&line, half) {
            call.real.insert(line.clone());
        }
        if let Some(line) = &line {
            self.by_line.entry(line.clone()).or_default().insert(id.to_owned());
        }
        self.born += 1;
        self.by_age.insert(self.born, id.to_owned());
        let channel = Channel {
            name: clip(name),
            line,
            half,
            call: key,
            state: State::Down,
            role: Role::Unknown,
            number: None,
            caller_name: None,
            joined: false,
            hold: false,
            bridge: None,
            dialler: None,
            dial_end: None,
            shows: Shows::NotAsked,
            born: self.born,
        };
        self.channels.insert(id.to_owned(), channel);
    }

    /// A channel belongs to this Linkedid now. Where that is another call, the two are one.
    fn link(&mut self, id: &str, linked: &str) {
        let Some(own) = self.channels.get(id).map(|channel| channel.call.clone()) else { return };
        match self.names.get(linked).cloned() {
            Some(other) => self.join(&own, &other),
            None if self.calls.get(&own).is_some_and(|call| call.names.len() >= MOST_NAMES) => {}
            None => {
                self.names.insert(linked.to_owned(), own.clone());
                if let Some(call) = self.calls.get_mut(&own) {
                    call.names.push(linked.to_owned());
                }
            }
        }
    }

    /// Makes two calls one. The one with a caller from outside goes on; else the older.
    pub(super) fn join(&mut self, one: &str, other: &str) {
        if one == other {
            return;
        }
        for key in [one, other] {
            if let Some(call) = self.calls.get_mut(key) {
                call.choose_caller(&self.channels, None);
            }
        }
        let (Some(a), Some(b)) = (self.calls.get(one), self.calls.get(other)) else { return };
        let age = |call: &Call| call.live(&self.channels).map(|(_, channel)| channel.born).min();
        let rank = |call: &Call| (!call.is_from_outside(), age(call).unwrap_or(u64::MAX));
        let (into, from) = if rank(a) <= rank(b) { (one, other) } else { (other, one) };
        let Some(from_call) = self.calls.remove(from) else { return };
        for id in &from_call.channels {
            if let Some(channel) = self.channels.get_mut(id) {
                into.clone_into(&mut channel.call);
            }
        }
        for name in &from_call.names {
            self.names.insert(name.clone(), into.to_owned());
        }
        self.dirty.insert(into.to_owned());
        let Some(into) = self.calls.get_mut(into) else { return };
        if from_call.told.facts.is_some() {
            into.joins.push(from_call.key());
            for (line, phone) in from_call.told.phones {
                into.told.phones.entry(line).or_insert(phone);
            }
        }
        into.joins.extend(from_call.joins);
        into.names.extend(from_call.names);
        into.channels.extend(from_call.channels);
        into.real.extend(from_call.real);
        into.answered |= from_call.answered;
        into.moves.extend(from_call.moves);
        into.facts.queue = into.facts.queue.take().or(from_call.facts.queue);
    }

    /// A channel is gone.
    pub(super) fn end(&mut self, id: &str, cause: Option<&str>) {
        let Some(channel) = self.channels.remove(id) else { return };
        self.by_age.remove(&channel.born);
        self.gone.insert(id.to_owned());
        self.gone_in_order.push_back(id.to_owned());
        if self.gone_in_order.len() > MOST_GONE
            && let Some(oldest) = self.gone_in_order.pop_front()
        {
            self.gone.remove(&oldest);
        }
        self.leave_queue(id);
        if let Some(call) = self.calls.get_mut(&channel.call) {
            call.channels.remove(id);
            if let Some(line) = &channel.line
                && (channel.half == Half::Whole || !call.real.contains(line))
            {
                let why = call.why(&channel, cause);
                call.reasons.insert(line.clone(), why);
            }
        }
        self.dirty.insert(channel.call.clone());
        if let Some(line) = channel.line {
            if let Some(of_line) = self.by_line.get_mut(&line) {
                of_line.remove(id);
            }
            self.line_by_channels(line);
        }
    }

    pub(super) fn touch(&mut self, id: &str) {
        let Some(channel) = self.channels.get(id) else { return };
        self.dirty.insert(channel.call.clone());
        if let Some(line) = channel.line.clone() {
            self.line_by_channels(line);
        }
    }

    pub(super) fn call_of(&mut self, id: &str) -> Option<&mut Call> {
        self.calls.get_mut(&self.channels.get(id)?.call)
    }

    pub(super) fn join_queue(&mut self, queue: QueueName, id: &str, position: usize) {
        for moved in self.queues.join(queue, id, position) {
            self.touch(&moved);
        }
    }

    pub(super) fn leave_queue(&mut self, id: &str) {
        for moved in self.queues.leave(id) {
            self.touch(&moved);
        }
        self.touch(id);
    }

    fn line_by_channels(&mut self, line: Line) {
        // A phone holds a few calls; whatever is more tells nothing new.
        let of_line = self.by_line.get(&line).into_iter().flatten().take(MOST_OF_A_LINE);
        let whole = of_line.filter_map(|id| self.channels.get(id)).filter(|one| one.half == Half::Whole);
        let mut state = LineState::Idle;
        for channel in whole {
            state = match (channel.state, state) {
                (State::Ringing, LineState::Idle) => LineState::Ringing,
                (State::Up, _) => LineState::Busy,
                // It dials: nobody else reaches it.
                (State::Down, _) if channel.role == Role::Caller => LineState::Busy,
                (_, state) => state,
            };
        }
        self.lines.state(line, Source::Channels, state);
    }
}

/// Asks whether a channel's number may be shown, unless that was asked.
pub(super) fn ask_whether_shown(all: &mut Channels, ask: &mut Vec<Ask>, id: &str, now: Duration) {
    let Some(channel) = all.get_mut(id) else { return };
    if channel.shows == Shows::NotAsked {
        channel.shows = Shows::Asked(now + MAY_SHOW_WITHIN);
        ask.push(Ask { id: format!("pres-{id}"), channel: channel.name.clone(), variable: "CALLERID(pres)" });
    }
}

/// Ids and names as Asterisk makes them are far shorter.
pub(super) fn clip(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
