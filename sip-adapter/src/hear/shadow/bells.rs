//! The calls that ring at the shadow extension: which INVITE begins one, when it ends and why. Pure. Bounded
//! in number and time, because nothing here ever answers: a phone system that forgets to withdraw a call must
//! not fill the memory, nor be kept ringing for ever.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use pinkas_protocol::{CallFacts, Caller, Number};

use super::rounds::{Rounds, RungAlone};
use crate::hear::{CallKey, OverBy};
use crate::sip::identity::{self, Rules};
use crate::sip::message::Message;
use crate::sip::name_addr;

/// The most calls that ring at one time.
pub(super) const MOST: usize = 200;
/// By which a dialplan may name the caller's own call: legs that carry the same one are one call.
const ORIGINAL: &str = "X-Original-Call-ID";

/// One INVITE, as long as it is not answered finally. The number is this program's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct BellId(u64);

/// Everything that rings.
pub(super) struct Bells {
    ringing: BTreeMap<BellId, Bell>,
    last: u64,
    ring_timeout: Duration,
    rounds: Rounds,
}

struct Bell {
    key: CallKey,
    caller: Caller,
    request: RequestName,
    original: Option<String>,
    until: Duration,
}

/// What two copies of one request have in common, whichever way they came (RFC 3261 section 8.2.2.2).
#[derive(Clone, PartialEq, Eq)]
struct RequestName {
    call_id: String,
    from_tag: String,
    cseq: u32,
}

/// A call that begins to ring.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rung {
    /// This INVITE.
    pub id: BellId,
    /// Its call.
    pub key: CallKey,
    /// What it says.
    pub facts: CallFacts,
    /// It is rung as only a member of a queue is.
    pub alone: Option<RungAlone>,
}

/// A call that rings no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Over {
    /// Which.
    pub key: CallKey,
    /// Why.
    pub by: OverBy,
}

/// Why an INVITE does not ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBell {
    /// It belongs to a call that was answered here: there is none. 481.
    NoSuchCall,
    /// It has come by another way already. 482.
    Merged,
    /// It demands what is not supported. 420.
    Demands,
    /// Too much rings already. 486.
    Full,
    /// Somebody else is registered, whose call it is. 480.
    Away,
    /// It lacks what an INVITE must have. 400.
    Incomplete,
}

impl Bells {
    pub(super) fn new(ring_timeout: Duration) -> Bells {
        Bells { ringing: BTreeMap::new(), last: 0, ring_timeout, rounds: Rounds::default() }
    }

    /// An INVITE that is no repetition. `own` is the shadow extension, which is nobody's dialled number.
    pub(super) fn invited(
        &mut self,
        now: Duration,
        invite: &Message,
        peer: IpAddr,
        rules: &Rules,
        own: Option<&Number>,
    ) -> Result<Rung, NoBell> {
        if invite.to().as_ref().and_then(|to| to.tag()).is_some_and(|tag| !tag.is_empty()) {
            return Err(NoBell::NoSuchCall);
        }
        if invite.headers("Require").any(|value| !value.is_empty()) {
            return Err(NoBell::Demands);
        }
        let request = RequestName::of(invite).ok_or(NoBell::Incomplete)?;
        if self.ringing.values().any(|bell| bell.request == request) {
            return Err(NoBell::Merged);
        }
        if self.ringing.len() >= MOST {
            return Err(NoBell::Full);
        }
        let mut facts = identity::facts(invite, Some(peer), rules);
        facts.dialled = facts.dialled.filter(|dialled| Some(dialled) != own);
        let original = invite.header(ORIGINAL).filter(|id| !id.is_empty()).map(str::to_owned);
        // A name of its own for each offer: a call that comes again after it was over is heard again.
        let same = |bell: &&Bell| original.is_some() && bell.original == original;
        let beside = self.ringing.values().find(same).map(|bell| bell.key.clone());
        let key = beside.unwrap_or_else(|| CallKey::new(&request.call_id));
        self.last += 1;
        let id = BellId(self.last);
        let caller = facts.caller.clone();
        let alone = self.rounds.offered(now, &caller);
        let until = now + self.ring_timeout;
        self.ringing.insert(id, Bell { key: key.clone(), caller, request, original, until });
        Ok(Rung { id, key, facts, alone })
    }

    /// An INVITE that could not be made to ring after all.
    pub(super) fn forget(&mut self, id: BellId) {
        self.ringing.remove(&id);
    }

    /// The phone system withdrew a call. Gives its end, unless another leg of it still rings.
    pub(super) fn withdrawn(&mut self, now: Duration, id: BellId, cancel: Option<&Message>) -> Option<Over> {
        let bell = self.ringing.remove(&id)?;
        let by = if cancel.is_some_and(says_elsewhere) { OverBy::Colleague } else { OverBy::Caller };
        self.rounds.withdrawn(now, &bell.caller, by);
        self.ended(bell.key, by)
    }

    /// What has rung its time.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(BellId, Option<Over>)> {
        let due: Vec<_> =
            self.ringing.iter().filter(|(_, bell)| bell.until <= now).map(|(id, _)| *id).collect();
        let over = |id: BellId| {
            (id, self.ringing.remove(&id).and_then(|bell| self.ended(bell.key, OverBy::Unknown)))
        };
        due.into_iter().map(over).collect()
    }

    /// Nothing rings here any more; how it ends is not known.
    pub(super) fn silenced(&mut self) -> Vec<Over> {
        let keys = self.live();
        self.ringing.clear();
        keys.into_iter().map(|key| Over { key, by: OverBy::Unknown }).collect()
    }

    /// When [`Bells::due`] has something to do next.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.ringing.values().map(|bell| bell.until).min()
    }

    /// The calls that ring.
    pub(super) fn live(&self) -> Vec<CallKey> {
        let mut keys: Vec<_> = self.ringing.values().map(|bell| bell.key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn ended(&self, key: CallKey, by: OverBy) -> Option<Over> {
        let rings_still = self.ringing.values().any(|bell| bell.key == key);
        (!rings_still).then_some(Over { key, by })
    }
}

impl RequestName {
    fn of(invite: &Message) -> Option<RequestName> {
        Some(RequestName {
            call_id: invite.call_id()?.to_owned(),
            from_tag: invite.from()?.tag()?.to_owned(),
            cseq: invite.cseq()?.0,
        })
    }
}

/// A colleague answered: `SIP;cause=200` or `Q.850;cause=26` (RFC 3326; Asterisk sends both).
fn says_elsewhere(cancel: &Message) -> bool {
    cancel.headers("Reason").flat_map(name_addr::elements).any(|reason| {
        let protocol = name_addr::before_params(reason).trim();
        let cause = name_addr::value_param(reason, "cause").map(str::trim);
        (protocol.eq_ignore_ascii_case("SIP") && cause == Some("200"))
            || (protocol.eq_ignore_ascii_case("Q.850") && cause == Some("26"))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PBX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn invite(call_id: &str, more: &str) -> Message {
        let text = format!(
            "INVITE sip:199@192.0.2.20:5062 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{call_id}\r\n\
             From: \"Dana\" <sip:+972541234567@192.0.2.1>;tag=f\r\nTo: <sip:199@192.0.2.20>\r\n\
             Call-ID: {call_id}\r\nCSeq: 7 INVITE\r\n{more}\r\n"
        );
        Message::read(text.as_bytes()).expect("a message")
    }

    fn cancel(more: &str) -> Message {
        Message::read(format!("CANCEL sip:199@192.0.2.20 SIP/2.0\r\nCall-ID: a\r\n{more}\r\n").as_bytes())
            .expect("a message")
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ring(bells: &mut Bells, now: u64, call_id: &str, more: &str) -> Result<Rung, NoBell> {
        bells.invited(at(now), &invite(call_id, more), PBX, &Rules::default(), None)
    }

    fn bells() -> Bells {
        Bells::new(at(180))
    }

    #[test]
    fn a_call_rings_once_with_all_that_it_says_and_ends_once() {
        let mut bells = bells();
        let rung = ring(&mut bells, 0, "a", "X-Queue: Support\r\n").expect("it rings");
        assert_eq!(rung.key, CallKey::new("a"));
        assert_eq!(rung.facts.caller.name.as_ref().map(|name| name.0.as_str()), Some("Dana"));
        assert_eq!(rung.facts.queue.as_ref().map(|queue| queue.as_str()), Some("Support"));
        assert_eq!(bells.live(), [CallKey::new("a")]);
        let over = Over { key: rung.key, by: OverBy::Caller };
        assert_eq!(bells.withdrawn(at(3), rung.id, Some(&cancel(""))), Some(over));
        assert_eq!(bells.withdrawn(at(3), rung.id, Some(&cancel(""))), None);
        assert_eq!((bells.live(), bells.next_due()), (Vec::new(), None));
    }

    #[test]
    fn a_cancel_tells_whether_a_colleague_answered() {
        for (reasons, by) in [
            (
                "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\nReason: Q.850;cause=26\r\n",
                OverBy::Colleague,
            ),
            ("Reason: Q.850;cause=26\r\n", OverBy::Colleague),
            ("Reason: q.850 ; cause = 26\r\n", OverBy::Colleague),
            ("Reason: Q.850;cause=16, SIP ;cause=200 ;text=\"x, y\"\r\n", OverBy::Colleague),
            ("Reason: Q.850;cause=127\r\n", OverBy::Caller),
            ("Reason: Q.850;cause=0\r\n", OverBy::Caller),
            ("Reason: Q.850;cause=16;text=\"SIP;cause=200\"\r\n", OverBy::Caller),
            ("Reason: SIP;cause=26, Q.850;cause=200\r\n", OverBy::Caller),
            ("", OverBy::Caller),
        ] {
            let mut bells = bells();
            let rung = ring(&mut bells, 0, "a", "").expect("it rings");
            let over = bells.withdrawn(at(1), rung.id, Some(&cancel(reasons)));
            assert_eq!(over.map(|over| over.by), Some(by), "{reasons}");
        }
    }

    #[test]
    fn what_is_no_new_call_does_not_ring() {
        let mut bells = bells();
        let again = || invite("a", "");
        assert!(bells.invited(at(0), &again(), PBX, &Rules::default(), None).is_ok());
        let merged = bells.invited(at(0), &again(), PBX, &Rules::default(), None);
        assert_eq!(merged, Err(NoBell::Merged));
        assert_eq!(ring(&mut bells, 0, "b", "Require: 100rel\r\n"), Err(NoBell::Demands));
        let within = String::from(
            "INVITE sip:199@x SIP/2.0\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:199@x>;tag=t\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n",
        );
        let read = |text: &str| Message::read(text.as_bytes()).expect("a message");
        let mut check = |text: &str| bells.invited(at(0), &read(text), PBX, &Rules::default(), None);
        assert_eq!(check(&within), Err(NoBell::NoSuchCall));
        assert_eq!(check(&within.replace(";tag=t", "").replace(";tag=f", "")), Err(NoBell::Incomplete));
        assert_eq!(
            check(&within.replace(";tag=t", "").replace("Call-ID: c\r\n", "")),
            Err(NoBell::Incomplete)
        );
        assert_eq!(bells.live().len(), 1);
    }

    #[test]
    fn so_many_ring_and_no_more_and_none_for_ever() {
        let mut bells = bells();
        for n in 0..MOST {
            assert!(ring(&mut bells, n as u64 % 60, &format!("c{n}"), "").is_ok());
        }
        assert_eq!(ring(&mut bells, 60, "more", ""), Err(NoBell::Full));
        assert_eq!(bells.next_due(), Some(at(180)));
        assert_eq!(bells.due(at(179)), []);
        let over = bells.due(at(239));
        assert_eq!((over.len(), bells.silenced()), (MOST, Vec::new()));
        assert!(over.iter().all(|(_, over)| over.as_ref().is_some_and(|over| over.by == OverBy::Unknown)));
        assert!(ring(&mut bells, 240, "more", "").is_ok());
    }

    #[test]
    fn legs_that_name_one_original_call_are_one_until_the_last_has_ended() {
        let mut bells = bells();
        let original = "X-Original-Call-ID: trunk-1\r\n";
        let first = ring(&mut bells, 0, "a", original).expect("it rings");
        let second = ring(&mut bells, 0, "b", original).expect("it rings");
        let other = ring(&mut bells, 0, "c", "X-Original-Call-ID: trunk-2\r\n").expect("it rings");
        let over = |key: &str| Over { key: CallKey::new(key), by: OverBy::Unknown };
        let mut silenced = super::tests::bells();
        for (call_id, more) in [("a", original), ("b", original), ("c", "")] {
            assert!(ring(&mut silenced, 0, call_id, more).is_ok());
        }
        assert_eq!((silenced.silenced(), silenced.live()), (vec![over("a"), over("c")], vec![]));
        assert_eq!((&first.key, &other.key), (&second.key, &CallKey::new("c")));
        assert_eq!(bells.withdrawn(at(1), first.id, None), None);
        assert!(bells.withdrawn(at(1), second.id, None).is_some());
        // It comes again: words about its first name would be late ones.
        let again = ring(&mut bells, 2, "d", original).expect("it rings");
        assert_eq!(again.key, CallKey::new("d"));
    }

    #[test]
    fn the_shadow_extension_is_nobodys_dialled_number() {
        let mut bells = bells();
        let invite = Message::read(
            b"INVITE sip:5551999@192.0.2.20 SIP/2.0\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:5551999@x>\r\nCall-ID: c\r\n\
              CSeq: 1 INVITE\r\n\r\n",
        );
        let invite = invite.expect("a message");
        let rules = Rules::default();
        let own = rules.numbers.read("5551999");
        let seen = bells.invited(at(0), &invite, PBX, &rules, None).expect("it rings");
        assert_eq!(seen.facts.dialled, own);
        bells.withdrawn(at(0), seen.id, None);
        let seen = bells.invited(at(0), &invite, PBX, &rules, own.as_ref()).expect("it rings");
        assert_eq!(seen.facts.dialled, None);
    }

    proptest! {
        #[test]
        fn whatever_comes_each_call_begins_once_and_ends_once(steps in prop::collection::vec((0..4u8, 0..6u64, 0..100u64), 1..300)) {
            let (mut bells, mut now, mut live) = (bells(), 0, std::collections::BTreeMap::new());
            for (what, which, pause) in steps {
                now += pause;
                match what {
                    0 | 1 => {
                        let more = if what == 0 { "" } else { "X-Original-Call-ID: o\r\n" };
                        if let Ok(rung) = ring(&mut bells, now, &format!("{now}-{which}"), more) {
                            live.entry(rung.key).or_insert_with(Vec::new).push(rung.id);
                        }
                    }
                    2 => {
                        let id = live.values().flatten().nth(which as usize).copied();
                        if let Some(over) = id.and_then(|id| bells.withdrawn(at(now), id, None)) {
                            prop_assert!(live.remove(&over.key).is_some());
                        }
                    }
                    _ => for (_, over) in bells.due(at(now)) {
                        if let Some(over) = over {
                            prop_assert!(live.remove(&over.key).is_some());
                        }
                    }
                }
                prop_assert_eq!(bells.live(), live.keys().cloned().collect::<Vec<_>>());
            }
        }
    }
}
