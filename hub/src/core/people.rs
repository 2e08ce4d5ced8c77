//! Whether people take calls: what each says of themselves, wrap-up, and who has gone. Only who has a phone
//! is followed; a person says it of themselves alone, and those who oversee them see it. Pure: it tells no
//! phone system anything.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::{
    AgentId, CallId, OfferState, OwnState, PersonState, PersonView, Reason, ReasonCode, Update,
};
use serde::{Deserialize, Serialize};

use super::{Hub, Keep, Kept, Outputs, ViewerId};

/// Who comes back within this time finds what they said of themselves; later, or after a night, they begin anew.
const HOLDS_WHILE_AWAY: SignedDuration = SignedDuration::from_hours(4);
/// What was said longer ago than any working day does not outlive an absence.
const HOLDS_AT_MOST: SignedDuration = SignedDuration::from_hours(16);
/// A link that broke for so long is no absence: who was ready before is so since then.
const BLINK: SignedDuration = SignedDuration::from_mins(2);

/// What a person said of themselves, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPerson {
    /// The last word.
    #[serde(flatten)]
    pub said: OwnState,
    /// Since when it counts.
    pub since: Timestamp,
    /// Since when no desktop of theirs is connected; absent while one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
}

/// A person with what ends with a connection.
#[derive(Debug, Clone)]
pub(super) struct Present {
    kept: KeptPerson,
    /// Desktops on which something is left to do after a call, since the first of them said so.
    wraps_up: BTreeSet<ViewerId>,
    wraps_since: Timestamp,
}

impl Present {
    fn of(kept: KeptPerson) -> Present {
        let wraps_since = kept.since;
        Present { kept, wraps_up: BTreeSet::new(), wraps_since }
    }

    fn shown(&self) -> (PersonState, Timestamp) {
        match (&self.kept.gone, &self.kept.said) {
            (Some(gone), _) => (PersonState::Offline, *gone),
            (None, OwnState::NotReady { reason }) => {
                (PersonState::NotReady { reason: reason.clone() }, self.kept.since)
            }
            (None, OwnState::Ready) if !self.wraps_up.is_empty() => (PersonState::WrapUp, self.wraps_since),
            (None, OwnState::Ready) => (PersonState::Ready, self.kept.since),
        }
    }

    /// A desktop of theirs connects when there was none.
    fn comes(&mut self, now: Timestamp) {
        let Some(gone) = self.kept.gone.take() else { return };
        let (away, said) = (now.duration_since(gone), now.duration_since(self.kept.since));
        let holds = away <= HOLDS_WHILE_AWAY && said <= HOLDS_AT_MOST;
        let blink = holds && away <= BLINK;
        if !holds {
            self.kept.said = OwnState::Ready;
        }
        if !blink && self.kept.said == OwnState::Ready {
            self.kept.since = now;
        }
    }
}

impl Kept {
    /// A hub starts: whoever was connected to the one before is gone.
    pub fn nobody_is_here(&mut self, now: Timestamp) {
        self.people.values_mut().for_each(|person| person.gone = person.gone.or(Some(now)));
    }
}

impl Hub {
    /// Why somebody may not take calls, as the configuration says.
    pub fn set_reasons(&mut self, reasons: Vec<Reason>) {
        self.reasons = reasons;
    }

    /// Those of whom something is kept; who has no phone any more is forgotten.
    pub(super) fn people_kept(
        &mut self,
        kept: impl IntoIterator<Item = (AgentId, KeptPerson)>,
        out: &mut Outputs,
    ) {
        for (person, kept) in kept {
            if self.has_a_phone(&person) {
                let gone = kept.gone.or(Some(kept.since));
                self.people.insert(person.clone(), Present::of(KeptPerson { gone, ..kept }));
                self.person_is(&person, out);
            } else {
                out.keep.push(Keep::Person { person, kept: None });
            }
        }
    }

    fn has_a_phone(&self, person: &AgentId) -> bool {
        self.staff.agent(person).is_some_and(|person| !person.lines.is_empty())
    }

    fn person_view(&self, person: &AgentId) -> Option<PersonView> {
        let (known, present) = (self.staff.agent(person)?, self.people.get(person)?);
        let (state, since) = present.shown();
        Some(PersonView { name: known.name.clone(), lines: known.lines.clone(), state, since })
    }

    /// A desktop of theirs connects.
    pub(super) fn person_comes(&mut self, now: Timestamp, person: &AgentId, out: &mut Outputs) {
        if !self.has_a_phone(person) {
            return;
        }
        let new = KeptPerson { said: OwnState::Ready, since: now, gone: Some(now) };
        let present = self.people.entry(person.clone()).or_insert_with(|| Present::of(new));
        present.comes(now);
        self.person_is(person, out);
    }

    /// A desktop's connection has ended. It may have been said already.
    pub(super) fn viewer_gone(&mut self, now: Timestamp, viewer: ViewerId, out: &mut Outputs) {
        let Some(person) = self.viewers.remove(viewer) else { return };
        let alone = self.viewers.of(&person).next().is_none();
        let Some(present) = self.people.get_mut(&person) else { return };
        let wrapped = present.wraps_up.remove(&viewer);
        if alone {
            present.kept.gone = Some(now);
        } else if wrapped && present.wraps_up.is_empty() {
            wrapped_up(present, now);
        }
        self.person_is(&person, out);
    }

    /// A person says of themselves whether they take calls. A reason that the configuration does not name is
    /// no word of any desktop's.
    pub(super) fn says_of_self(
        &mut self,
        now: Timestamp,
        viewer: ViewerId,
        said: OwnState,
        out: &mut Outputs,
    ) {
        let known = |code: &ReasonCode| self.reasons.iter().any(|reason| reason.code == *code);
        if matches!(&said, OwnState::NotReady { reason } if !known(reason)) {
            return;
        }
        let Some(person) = self.viewers.get(&viewer).cloned() else { return };
        let Some(present) = self.people.get_mut(&person) else { return };
        let ends_wrap_up = said == OwnState::Ready && !present.wraps_up.is_empty();
        if present.kept.said == said && !ends_wrap_up {
            return;
        }
        present.wraps_up.clear();
        (present.kept.said, present.kept.since) = (said, now);
        self.person_is(&person, out);
    }

    /// A desktop says that its person finishes what is left to do after a call of theirs, or has finished.
    pub(super) fn wraps_up(
        &mut self,
        now: Timestamp,
        viewer: ViewerId,
        call: Option<CallId>,
        out: &mut Outputs,
    ) {
        let Some(id) = self.viewers.get(&viewer).cloned() else { return };
        let theirs = |call: CallId| {
            let (view, person) = self.board.calls.get(&call).zip(self.staff.agent(&id))?;
            let talked = view.offers.iter().any(|(line, offer)| {
                let answered = matches!(offer.state, OfferState::Answered { .. } | OfferState::Left { .. });
                answered && person.lines.contains(line)
            });
            talked.then_some(())
        };
        let begins = call.is_some();
        if call.is_some_and(|call| theirs(call).is_none()) {
            return;
        }
        let Some(present) = self.people.get_mut(&id) else { return };
        if begins {
            if present.wraps_up.is_empty() {
                present.wraps_since = now;
            }
            present.wraps_up.insert(viewer);
        } else if present.wraps_up.remove(&viewer) && present.wraps_up.is_empty() {
            wrapped_up(present, now);
        }
        self.person_is(&id, out);
    }

    /// Tells what a person does now where it differs from what was told, and keeps it.
    fn person_is(&mut self, person: &AgentId, out: &mut Outputs) {
        let Some(view) = self.person_view(person) else { return };
        if self.board.people.get(person) == Some(&view) {
            return;
        }
        let update = Update::Person { person: person.clone(), view };
        self.fold(update.clone());
        out.update(self.viewers_seeing(person), update);
        self.keep_person(person, out);
    }

    fn keep_person(&self, person: &AgentId, out: &mut Outputs) {
        let kept = self.people.get(person).map(|present| Box::new(present.kept.clone()));
        out.keep.push(Keep::Person { person: person.clone(), kept });
    }

    /// Whether somebody is shown what a person does: themselves, and whoever oversees them.
    pub(super) fn sees_person(&self, who: &AgentId, person: &AgentId) -> bool {
        let seen = self.staff.agent(person);
        who == person || self.staff.agent(who).is_some_and(|who| who.oversees(seen))
    }

    fn viewers_seeing(&self, person: &AgentId) -> Vec<ViewerId> {
        let lines = self.staff.agent(person).map_or(&[][..], |person| &person.lines);
        let seeing = self.staff.who_see(lines).chain([person]).filter(|who| self.sees_person(who, person));
        let seeing: BTreeSet<&AgentId> = seeing.collect();
        seeing.into_iter().flat_map(|who| self.viewers.of(who)).collect()
    }

    /// Which connections are shown which people.
    pub(super) fn sights(&self) -> BTreeSet<(ViewerId, AgentId)> {
        let people = self.board.people.keys();
        people.flat_map(|who| self.viewers_seeing(who).into_iter().map(|v| (v, who.clone()))).collect()
    }

    /// The people are others: who has no phone any more is forgotten, and each connection is told of those it
    /// sees anew and no more.
    pub(super) fn people_are(
        &mut self,
        now: Timestamp,
        before: &BTreeSet<(ViewerId, AgentId)>,
        out: &mut Outputs,
    ) {
        let gone: Vec<AgentId> =
            self.people.keys().filter(|person| !self.has_a_phone(person)).cloned().collect();
        for person in gone {
            self.people.remove(&person);
            self.fold(Update::PersonGone { person: person.clone() });
            self.keep_person(&person, out);
        }
        let connected: BTreeSet<AgentId> = self.viewers.people().cloned().collect();
        for person in connected {
            self.person_comes(now, &person, out);
        }
        let people: Vec<AgentId> = self.people.keys().cloned().collect();
        for person in &people {
            self.person_is(person, out);
        }
        let after = self.sights();
        let lost = before.difference(&after).filter(|(viewer, _)| self.viewers.get(viewer).is_some());
        for (viewer, person) in lost {
            out.update(vec![*viewer], Update::PersonGone { person: person.clone() });
        }
        for (viewer, person) in after.difference(before) {
            if let Some(view) = self.board.people.get(person) {
                out.update(vec![*viewer], Update::Person { person: person.clone(), view: view.clone() });
            }
        }
    }
}

/// Who was ready while they wrapped up is so only from now on.
fn wrapped_up(present: &mut Present, now: Timestamp) {
    if present.kept.said == OwnState::Ready {
        present.kept.since = now;
    }
}
