//! Settings of phone systems that hide calls, found from what is heard of lines, each told once and in
//! words. Every one was seen at a real Asterisk. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pinkas_protocol::Line;

use super::watch::Word;
use crate::hear::LineHeard;
use crate::sip::dialog_info::News;

/// So many calls must look wrong before a setting is suspected: agents who dial out look the same.
const ENOUGH: u32 = 10;

/// Something that hides calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trap {
    /// Lines become busy and none ever rings.
    NothingRings,
    /// This line becomes busy and never rings, while others do.
    NeverRings(Line),
    /// A busy line is told as busy again and again: that is a second call that is not told as ringing.
    SecondCallHidden,
    /// Lines ring, and who calls is never told.
    NoCallers,
    /// This line was in a call when it was first heard.
    JoinedLate(Line),
    /// SUBSCRIBE is accepted and nothing comes.
    Silent,
}

impl Trap {
    /// It needs nobody to do anything.
    pub(super) fn is_harmless(&self) -> bool {
        matches!(self, Trap::JoinedLate(_))
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trap::NothingRings => f.write_str(
                "no line ever rings, lines are busy at once, so callers stay unknown: on Asterisk remove \
                 device_state_busy_at from the agents' endpoints; phones that answer by themselves, or agents \
                 who only dial out, look the same",
            ),
            Trap::NeverRings(line) => write!(
                f,
                "line {line} never rings and is busy at once, so its callers stay unknown: on Asterisk remove \
                 device_state_busy_at from its endpoint; a phone that answers by itself looks the same"
            ),
            Trap::SecondCallHidden => f.write_str(
                "a second call at a phone in use is not told as ringing: on Asterisk set \
                 notify_early_inuse_ringing=yes at the endpoint of this adapter's user",
            ),
            Trap::NoCallers => {
                f.write_str("lines ring, but the phone system does not tell who calls: calls pop without a caller")
            }
            Trap::JoinedLate(line) => write!(
                f,
                "line {line} was in a call when it was first heard: with whom is told only while a phone rings"
            ),
            Trap::Silent => f.write_str(
                "the phone system accepts SUBSCRIBE and sends no NOTIFY: over TCP or TLS on Asterisk remove the \
                 `transport=` line from the endpoint of this adapter's user; over UDP a firewall or NAT keeps \
                 its messages from coming here (see `listen`)",
            ),
        }
    }
}

/// What was heard so far, as far as traps are concerned.
#[derive(Debug, Default)]
pub(super) struct Traps {
    lines: BTreeMap<Line, Seen>,
    rang: u32,
    rang_with_caller: bool,
    straight: u32,
    repeated_busy: u32,
    second_rang: bool,
    told: BTreeSet<Trap>,
}

#[derive(Debug, Default)]
struct Seen {
    is: Option<Is>,
    rang: bool,
    straight: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Idle,
    Ringing,
    Busy,
}

impl Traps {
    /// Takes in what was heard of a line, and says what that shows for the first time.
    pub(super) fn hear(&mut self, word: &Word) -> Option<Trap> {
        let seen = self.lines.entry(word.line.clone()).or_default();
        let was = seen.is;
        let is = match &word.is {
            LineHeard::Idle => Is::Idle,
            LineHeard::Busy => Is::Busy,
            LineHeard::Ringing { .. } => Is::Ringing,
            LineHeard::Lost => {
                seen.is = None;
                return None;
            }
        };
        seen.is = Some(is);
        match (was, is) {
            (None, Is::Busy) => return self.tell(Trap::JoinedLate(word.line.clone())),
            (Some(Is::Idle), Is::Busy) => {
                seen.straight += 1;
                self.straight += 1;
                if self.rang == 0 && self.straight >= ENOUGH {
                    return self.tell(Trap::NothingRings);
                }
                if self.rang >= ENOUGH && !seen.rang && seen.straight >= ENOUGH {
                    return self.tell(Trap::NeverRings(word.line.clone()));
                }
            }
            // A refresh repeats the version; a new one with nothing new hides what it is about.
            (Some(Is::Busy), Is::Busy) if word.news == News::Next => {
                self.repeated_busy += 1;
                if self.repeated_busy >= 2 && !self.second_rang {
                    return self.tell(Trap::SecondCallHidden);
                }
            }
            (was, Is::Ringing) if was != Some(Is::Ringing) => {
                seen.rang = true;
                self.rang += 1;
                self.second_rang |= was == Some(Is::Busy);
                if let LineHeard::Ringing { caller, .. } = &word.is {
                    self.rang_with_caller |=
                        caller.withheld || caller.number.is_some() || caller.name.is_some();
                }
                if !self.rang_with_caller && self.rang >= ENOUGH {
                    return self.tell(Trap::NoCallers);
                }
            }
            _ => {}
        }
        None
    }

    /// A subscription was accepted and nothing came.
    pub(super) fn silence(&mut self) -> Option<Trap> {
        self.tell(Trap::Silent)
    }

    fn tell(&mut self, trap: Trap) -> Option<Trap> {
        self.told.insert(trap.clone()).then_some(trap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::{Caller, Private};

    /// Words as `LINE:idle|busy|again|rings|rings?|lost`; `again` is busy with a version of its own.
    fn check(story: &str, expected: &[&str]) {
        let mut traps = Traps::default();
        let told: Vec<String> = story
            .split_whitespace()
            .filter_map(|word| {
                let (line, is) = word.split_once(':').expect("LINE:WORD");
                let known = Caller { name: Some(Private("Levi".to_owned())), ..Caller::default() };
                let (is, news) = match is {
                    "idle" => (LineHeard::Idle, News::Next),
                    "busy" => (LineHeard::Busy, News::Next),
                    "refresh" => (LineHeard::Busy, News::Repeated),
                    "rings" => (LineHeard::Ringing { caller: known, queue: None }, News::Next),
                    "rings?" => (LineHeard::Ringing { caller: Caller::default(), queue: None }, News::Next),
                    _ => (LineHeard::Lost, News::Next),
                };
                traps.hear(&Word { line: Line::parse(line).expect("a line"), is, news })
            })
            .map(|trap| format!("{trap:?}"))
            .collect();
        assert_eq!(told, expected, "{story}");
    }

    #[test]
    fn each_trap_is_found_in_its_story_and_told_once() {
        let straight = |line: u32, times: usize| format!("{line}:idle {line}:busy ").repeat(times);
        let rings = |line: u32, times: usize| format!("{line}:idle {line}:rings {line}:busy ").repeat(times);
        check(&straight(101, 9), &[]);
        check(&straight(101, 30), &["NothingRings"]);
        check(&(straight(101, 5) + &straight(102, 5)), &["NothingRings"]);
        check(&(rings(101, 1) + &straight(101, 30)), &[]);
        check(&(rings(101, 10) + &straight(102, 10)), &["NeverRings(Line(102))"]);
        check("101:idle 101:rings 101:busy 101:busy 101:busy 101:busy", &["SecondCallHidden"]);
        check("101:idle 101:rings 101:busy 101:rings 101:busy 101:busy 101:busy", &[]);
        check("101:idle 101:busy 101:refresh 101:refresh 101:refresh", &[]);
        check("101:busy 101:lost 101:busy 102:busy", &["JoinedLate(Line(101))", "JoinedLate(Line(102))"]);
        check(&"101:rings? 101:idle ".repeat(20), &["NoCallers"]);
        check(&("101:rings 101:idle ".to_owned() + &"101:rings? 101:idle ".repeat(20)), &[]);
    }

    #[test]
    fn every_trap_says_what_to_do() {
        let line = || Line::parse("101").expect("a line");
        let traps = [Trap::NothingRings, Trap::NeverRings(line()), Trap::SecondCallHidden, Trap::Silent];
        for trap in traps {
            assert!(trap.to_string().contains("Asterisk"), "{trap}");
        }
        assert!(Trap::JoinedLate(line()).is_harmless());
    }
}
