//! One call of the phone system: its channels, what was told of it, and what is to be told next.
//! Words come from comparing what is so with what was told, so events may repeat and overtake. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pinkas_protocol::{CallFacts, Line, Number, QueueName};

use super::channel::{Channel, DialEnd, Shows, State};
use super::names::Half;
use crate::hear::{CallHeard, CallKey, Hold, OverBy, Stopped};
use crate::sip::identity::Rules;

/// All channels, by Uniqueid.
pub(super) type Channels = BTreeMap<String, Channel>;

/// How long a phone that hung up is waited for: the call may be over at once, and then it left nothing.
const LEFT_AFTER: Duration = Duration::from_millis(300);

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    /// Its Linkedid, and those of the calls that were joined to it.
    pub names: Vec<String>,
    pub channels: BTreeSet<String>,
    /// Whose number and name are the caller's.
    pub caller: Option<String>,
    /// The caller is a followed line.
    pub caller_inside: bool,
    /// What is known of it.
    pub facts: CallFacts,
    /// Who forwarded it here, until it is known that this may be shown.
    pub diverted: Option<Number>,
    /// Who forwarded it was asked for a second time.
    pub asked_again: bool,
    /// A line's phone whose channel is gone is not looked for behind a Local channel.
    pub real: BTreeSet<Line>,
    pub answered: bool,
    pub gave_up: bool,
    /// Why a phone stopped, from its channel's end.
    pub reasons: BTreeMap<Line, Stopped>,
    pub passed_on_by: Option<Line>,
    /// Those who passed the call on, and to whom where that is a followed line.
    pub moves: BTreeMap<Line, Option<Line>>,
    pub joins: Vec<CallKey>,
    pub told: Told,
    /// A followed phone rang or somebody waited in a queue.
    pub concerns: bool,
}

/// What was told of a call.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub facts: Option<CallFacts>,
    pub phones: BTreeMap<Line, Phone>,
    pub waits: Option<(QueueName, u32)>,
    /// Phones that hung up, and at which uptime that is told.
    pub leaving: BTreeMap<Line, Duration>,
}

/// What a phone does in a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phone {
    Rings { passed_on_by: Option<Line> },
    Talks { hold: Hold },
}

/// What there is to say of a call.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The facts, where they changed.
    pub facts: Option<CallFacts>,
    /// Calls that are one with this from now on.
    pub joins: Vec<CallKey>,
    /// What is so besides, in order.
    pub words: Vec<CallHeard>,
    /// Look again at this uptime.
    pub again: Option<Duration>,
}

impl Call {
    pub fn new(name: &str) -> Call {
        Call {
            names: vec![name.to_owned()],
            channels: BTreeSet::new(),
            caller: None,
            caller_inside: false,
            facts: CallFacts::default(),
            diverted: None,
            asked_again: false,
            real: BTreeSet::new(),
            answered: false,
            gave_up: false,
            reasons: BTreeMap::new(),
            passed_on_by: None,
            moves: BTreeMap::new(),
            joins: Vec::new(),
            told: Told::default(),
            concerns: false,
        }
    }

    /// The name it is told by.
    pub fn key(&self) -> CallKey {
        CallKey::new(self.names.first().map_or("", String::as_str))
    }

    /// Who forwarded it is known, though perhaps not yet whether that may be shown.
    pub fn knows_who_diverted(&self) -> bool {
        self.diverted.is_some() || self.facts.diverted_by.is_some()
    }

    fn is_root(&self, uniqueid: &str) -> bool {
        self.names.iter().any(|name| name == uniqueid)
    }

    /// Its channels that still exist.
    pub fn live<'a>(&'a self, all: &'a Channels) -> impl Iterator<Item = (&'a String, &'a Channel)> {
        self.channels.iter().filter_map(|uniqueid| all.get_key_value(uniqueid))
    }

    /// Chooses whose number is the caller's. Who was chosen stays chosen while there.
    pub fn choose_caller(&mut self, all: &Channels, waits: Option<&str>) {
        let gone = self.caller.as_ref().is_some_and(|caller| !all.contains_key(caller));
        let better = |call: &Call| {
            let mut callers: Vec<_> =
                call.live(all).filter(|(id, channel)| channel.is_caller(call.is_root(id))).collect();
            // Somebody from outside, then whoever came first.
            callers.sort_by_key(|(_, channel)| (channel.line.is_some(), channel.born));
            callers.first().map(|(id, channel)| ((*id).clone(), channel.line.is_some()))
        };
        match (&self.caller, better(self)) {
            (None, Some((id, _))) => self.caller = Some(id),
            // Out of a transfer: the one who asked for it has left, the one from outside is here.
            (Some(_), Some((id, false))) if gone || self.caller_inside => self.caller = Some(id),
            // The phone system called first: somebody it connects to a queue, or a phone that dials on.
            (None, None) => self.caller = waits.map(str::to_owned).or_else(|| self.first_dialler(all)),
            // An agent had called out and passed it on: whom they had called is the caller now.
            (Some(_), _) if gone && self.caller_inside && self.passed_on_by.is_some() => {
                let outside = self.live(all).find(|(_, channel)| {
                    channel.line.is_none() && channel.half == Half::Whole && channel.state == State::Up
                });
                self.caller = outside.map(|(id, _)| id.clone()).or(self.caller.take());
            }
            (Some(_), _) => {}
        }
        if let Some(channel) = self.caller.as_ref().and_then(|id| all.get(id)) {
            self.caller_inside = channel.line.is_some();
        }
    }

    fn first_dialler(&self, all: &Channels) -> Option<String> {
        let phones = self.live(all).filter(|(_, channel)| channel.line.is_some());
        let mut diallers = phones.filter_map(|(_, channel)| channel.dialler.clone());
        diallers.find(|id| all.get(id).is_some_and(|channel| channel.half == Half::Whole))
    }

    /// Whether its caller is somebody from outside, as far as is known.
    pub fn is_from_outside(&self) -> bool {
        self.caller.is_some() && !self.caller_inside
    }

    /// Whether a phone rings now.
    pub fn rings_somewhere(&self, all: &Channels) -> bool {
        self.phones(all).values().any(|phone| matches!(phone, Phone::Rings { .. }))
    }

    fn phones(&self, all: &Channels) -> BTreeMap<Line, Phone> {
        let mut phones = BTreeMap::new();
        for (id, channel) in self.live(all) {
            let Some(line) = &channel.line else { continue };
            let behind_local = channel.half == Half::One && self.real.contains(line);
            if !channel.is_phone(self.is_root(id)) || behind_local || self.caller.as_ref() == Some(id) {
                continue;
            }
            let phone = match channel.state {
                State::Up if channel.joined => {
                    Phone::Talks { hold: if channel.hold { Hold::On } else { Hold::Off } }
                }
                State::Ringing => self.rings(line),
                // Off hook, and the phone system has not yet said whether it gets the call.
                State::Up if matches!(self.told.phones.get(line), Some(Phone::Rings { .. })) => {
                    self.rings(line)
                }
                _ => continue,
            };
            let talks = matches!(phones.get(line), Some(Phone::Talks { .. }));
            if !talks {
                phones.insert(line.clone(), phone);
            }
        }
        phones
    }

    fn rings(&self, line: &Line) -> Phone {
        Phone::Rings { passed_on_by: self.passed_on_by.clone().filter(|by| by != line) }
    }

    /// Why a channel that never talked is gone.
    pub fn why(&self, channel: &Channel, cause: Option<&str>) -> Stopped {
        let declined = matches!(cause, Some("17" | "21")) || channel.dial_end == Some(DialEnd::Busy);
        if cause == Some("26") || self.answered {
            Stopped::Elsewhere
        } else if self.gave_up && channel.dial_end.is_none() {
            // Quirk(Asterisk 16, 22): once one phone of a ring group was busy, all are hung up with its cause.
            Stopped::GaveUp
        } else if declined {
            Stopped::Declined
        } else if channel.dial_end == Some(DialEnd::NoAnswer) {
            Stopped::NoAnswer
        } else if self.gave_up {
            Stopped::GaveUp
        } else {
            Stopped::Unknown
        }
    }

    /// What is to be told now. Notes it as told.
    pub fn say(
        &mut self,
        all: &Channels,
        waits: Option<(QueueName, u32)>,
        now: Duration,
        rules: &Rules,
    ) -> Said {
        let mut said = Said::default();
        let phones = self.phones(all);
        let alive = self.live(all).next().is_some();
        self.answered |= phones.values().any(|phone| matches!(phone, Phone::Talks { .. }));
        self.concerns |= !phones.is_empty() || waits.is_some() || !self.joins.is_empty();
        let told_before = self.told.facts.is_some();
        if !self.concerns || self.caller.is_none() && !told_before && self.joins.is_empty() {
            return said;
        }
        let caller_channel = self.caller.as_ref().and_then(|id| all.get(id));
        match caller_channel.map(|channel| channel.caller(now, rules)) {
            Some(Some((caller, queue))) => {
                self.facts.caller = caller;
                self.facts.queue = self.facts.queue.take().or(queue);
            }
            // Not known whether it may be shown: nothing is told of the call until then.
            Some(None) if !told_before => {
                if let Some(Shows::Asked(until)) = caller_channel.map(|channel| channel.shows) {
                    said.again = Some(until);
                }
                return said;
            }
            Some(None) => {}
            None if !told_before && !alive => {
                self.facts.caller.withheld = self.facts.caller == Default::default()
            }
            None => {}
        }
        // Who withholds a number has not forwarded from it for all to see.
        if self.facts.caller.withheld
            && let (Some(channel), Some(by)) = (caller_channel, &self.facts.diverted_by)
            && channel.number.as_deref().and_then(|number| rules.numbers.read(number)).as_ref() == Some(by)
        {
            self.facts.diverted_by = None;
        }
        if self.told.facts.as_ref() != Some(&self.facts) {
            said.facts = Some(self.facts.clone());
            self.told.facts = Some(self.facts.clone());
        }
        said.joins = std::mem::take(&mut self.joins);
        if let Some((queue, position)) = waits.clone().filter(|_| waits != self.told.waits) {
            said.words.push(CallHeard::Waits { queue, position });
        }
        self.told.waits = waits;
        self.say_phones(phones, now, &mut said);
        if !alive {
            let by = if self.gave_up { OverBy::Caller } else { OverBy::PhoneSystem };
            said.words.push(CallHeard::Over { by });
        }
        said
    }

    fn say_phones(&mut self, mut phones: BTreeMap<Line, Phone>, now: Duration, said: &mut Said) {
        let lines: BTreeSet<Line> = phones.keys().chain(self.told.phones.keys()).cloned().collect();
        // Who answered comes first: it is why the others stopped.
        let mut stopped = Vec::new();
        for line in lines {
            let (told, is) = (self.told.phones.get(&line).cloned(), phones.remove(&line));
            if is.is_some() {
                self.told.leaving.remove(&line);
            }
            match (told, &is) {
                (told, is) if told.as_ref() == is.as_ref() => {}
                (_, Some(Phone::Rings { passed_on_by })) => {
                    let passed_on_by = passed_on_by.clone();
                    said.words.push(CallHeard::Rings { line: line.clone(), passed_on_by });
                }
                (Some(Phone::Talks { .. }), Some(Phone::Talks { hold })) => {
                    said.words.push(CallHeard::Hold { line: line.clone(), hold: *hold });
                }
                (_, Some(Phone::Talks { hold })) => {
                    said.words.push(CallHeard::Answered { line: line.clone() });
                    if *hold == Hold::On {
                        said.words.push(CallHeard::Hold { line: line.clone(), hold: *hold });
                    }
                    if self.passed_on_by.as_ref() != Some(&line) {
                        self.passed_on_by = None;
                    }
                }
                (Some(Phone::Rings { .. }), None) => {
                    let why = self.reasons.remove(&line).unwrap_or(Stopped::Unknown);
                    stopped.push(CallHeard::Stopped { line: line.clone(), why });
                }
                (Some(Phone::Talks { .. }), None) => {
                    let moved_to = self.moves.get(&line);
                    let at = *self.told.leaving.entry(line.clone()).or_insert(now + LEFT_AFTER);
                    if moved_to.is_none() && now < at {
                        said.again = Some(said.again.map_or(at, |again| again.min(at)));
                        continue;
                    }
                    said.words
                        .push(CallHeard::Left { line: line.clone(), moved_to: moved_to.cloned().flatten() });
                    self.told.leaving.remove(&line);
                    self.moves.remove(&line);
                }
                (None, None) => {}
            }
            match is {
                Some(phone) => self.told.phones.insert(line, phone),
                None => self.told.phones.remove(&line),
            };
        }
        said.words.extend(stopped);
    }
}
