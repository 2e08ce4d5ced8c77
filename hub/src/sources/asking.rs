//! Asking one source: what need not be asked, its bound on questions at a time, its deadline, when it is left
//! alone, and what its card says meanwhile. A question is its own task, so that a source that hangs or panics
//! costs its own card and nothing else; whoever asks the same at the same time waits for the same task.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use jiff::Timestamp;
use pinkas_protocol::{Card, CardState, Customer, CustomerKey, Failure, Gives, SourceName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::breaker::{Breaker, Change, Outcome, Standing, Ticket};
use super::fields::not_in_the_future;
use super::figures::{SourceFigures, Tally};
use super::flights::{Flights, Turn};
use super::fresh::Fresh;
use super::same::{Same, Slot};
use super::searching::Searching;
use super::showing::{Course, shown, unfitting};
use super::{Answer, ConfiguredSource, Needs, Question, give_up};
use crate::identify::Search;
use crate::last::{Label, Last};
use crate::metrics;

type Said = Result<Answer, Failure>;
/// A question that is under way, for each of those who wait for it; given up when nobody does.
type Flight = Shared<BoxFuture<'static, Said>>;

/// A source and the questions it has.
pub(crate) struct Asked {
    source: ConfiguredSource,
    same: Same,
    places: Arc<Semaphore>,
    began: Instant,
    breaker: Mutex<Breaker>,
    flights: Mutex<Flights<Option<WeakShared<BoxFuture<'static, Said>>>>>,
    fresh: Option<Mutex<Fresh>>,
    last: Last,
    tally: Tally,
    searching: Searching,
}

impl Asked {
    /// `last`: where its last figures are kept.
    pub(crate) fn new(source: ConfiguredSource, last: Last) -> Self {
        let places = Arc::new(Semaphore::new(source.bounds.at_once));
        Asked {
            same: Same::new(&source.name, source.print, source.source.places()),
            searching: Searching::new(&source, places.clone()),
            places,
            began: Instant::now(),
            breaker: Mutex::new(Breaker::new(source.bounds.rest)),
            flights: Mutex::default(),
            fresh: source.bounds.fresh.map(|lasts| Mutex::new(Fresh::new(lasts))),
            last,
            tally: Tally::default(),
            source,
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.source.gives == Gives::Customer
    }

    pub(crate) fn name(&self) -> &SourceName {
        &self.source.name
    }

    /// What its card is called.
    pub(crate) fn title(&self) -> &str {
        self.source.title.as_deref().unwrap_or(self.source.gives.title())
    }

    pub(crate) fn needs(&self) -> Needs {
        self.source.needs
    }

    /// The source's card, about a customer or about the call itself.
    pub(crate) fn card(&self, customer: Option<&CustomerKey>, state: CardState) -> Card {
        let title = self.source.title.clone();
        Card { title, ..Card::new(self.source.name.clone(), self.source.gives, customer.cloned(), state) }
    }

    /// What became of its questions until now, and how it stands.
    pub(crate) fn figures(&self) -> SourceFigures {
        // One after the other: neither lock is held while the other is taken.
        let standing = locked(&self.breaker).standing(self.began.elapsed());
        let under_way = locked(&self.flights).count();
        SourceFigures {
            source: self.source.name.clone(),
            gives: self.source.gives,
            standing,
            under_way,
            asked: self.tally.asked.now(),
            answered: self.tally.answered.now(),
            failed: self.tally.failed.now(),
            late: self.tally.late.now(),
            joined: self.tally.joined.now(),
            reused: self.tally.reused.now(),
            busy: self.tally.busy.now(),
            resting: self.tally.resting.now(),
            rests: self.tally.rests.now(),
            old: self.tally.old.now(),
        }
    }

    /// Searches a directory that is held in memory, on a thread of its own; one that takes longer than its
    /// deadline, fails inside or has its fill of questions finds nobody.
    pub(crate) async fn find(&self, search: &Search) -> Vec<Customer> {
        let Ok(place) = self.places.clone().try_acquire_owned() else { return Vec::new() };
        let (source, search) = (self.source.source.clone(), search.clone());
        let finding = tokio::task::spawn_blocking(move || {
            let _place = place;
            source.find(&search)
        });
        match tokio::time::timeout(self.source.deadline, finding).await {
            Ok(Ok(found)) => found,
            _ => Vec::new(),
        }
    }

    /// For agents who look for a customer in it.
    pub(crate) fn searching(&self) -> &Searching {
        &self.searching
    }

    /// Starts asking. Must be called inside a Tokio runtime.
    pub(crate) fn ask(self: &Arc<Self>, question: &Question) -> Waiting {
        let since = Instant::now();
        let slot = self.same.slot(question);
        Waiting { asked: self.clone(), slot, since, late: false, answer: self.answer(slot, question, since) }
    }

    /// Asks and waits until nothing more can come: the last state of the card.
    pub(crate) async fn settled(self: &Arc<Self>, question: &Question) -> CardState {
        let mut waiting = self.ask(question);
        loop {
            let (state, more) = waiting.next().await;
            if !more {
                return state;
            }
        }
    }

    /// Asks, and waits no longer than the deadline, for the answer as it was given.
    pub(crate) async fn in_time(self: &Arc<Self>, question: &Question) -> Result<Answer, Failure> {
        let late = || Err(Failure::NoAnswer { deadline_ms: ms(self.source.deadline) });
        self.ask(question).answer().await.unwrap_or_else(late)
    }

    /// Asks a directory and waits for it no longer than its deadline.
    pub(crate) async fn who(self: &Arc<Self>, question: &Question) -> Result<Vec<Customer>, Failure> {
        match self.ask(question).answer().await {
            None => Err(Failure::NoAnswer { deadline_ms: ms(self.source.deadline) }),
            Some(Ok(Answer::Customers(customers))) => Ok(customers),
            Some(Ok(Answer::Nothing)) => Ok(Vec::new()),
            Some(Ok(Answer::Facts { .. })) => Err(unfitting()),
            Some(Err(failure)) => Err(failure),
        }
    }

    /// The answer where it is there already, else the question that is under way, else a new one where the
    /// source takes one.
    fn answer(self: &Arc<Self>, slot: Slot, question: &Question, since: Instant) -> Awaited {
        if let Some(failure) = self.same.lacks(question) {
            return Awaited::Known(Err(failure));
        }
        let now = self.began.elapsed();
        if let Some(answer) = self.fresh.as_ref().and_then(|fresh| locked(fresh).reuse(now, &slot)) {
            self.tally.reused.one_more();
            return Awaited::Known(Ok(answer));
        }
        let mut flights = locked(&self.flights);
        if let Some(flight) = flights.under_way(&slot).and_then(|flight| flight.as_ref()?.upgrade()) {
            self.tally.joined.one_more();
            return Awaited::Flight(flight);
        }
        let mut breaker = locked(&self.breaker);
        let place = self.places.clone().try_acquire_owned();
        let Ok(place) = place else {
            let (count, failure) = match breaker.standing(now) {
                Standing::Asked => (&self.tally.busy, Failure::Busy),
                Standing::Rests { .. } | Standing::Tried => (&self.tally.resting, Failure::Resting),
            };
            count.one_more();
            return Awaited::Known(Err(failure));
        };
        let Some(ticket) = breaker.may_ask(now) else {
            self.tally.resting.one_more();
            return Awaited::Known(Err(Failure::Resting));
        };
        drop(breaker);
        self.tally.asked.one_more();
        // It ends only after this: to end it takes the same lock.
        let mut flight = None;
        flights.begins(slot, |turn| {
            let under_way = UnderWay { asked: self.clone(), slot, turn, ticket: Some(ticket) };
            flight.insert(begin(under_way, place, question.clone(), since)).downgrade()
        });
        flight.map_or(Awaited::Known(Err(Failure::Busy)), Awaited::Flight)
    }

    /// The breaker has changed: one line for people.
    fn changed(&self, change: Change, last: &Failure) {
        let (source, rest) = (&self.source.name, self.source.bounds.rest);
        match (change, rest) {
            (Change::Rests, Some(rule)) => {
                self.tally.rests.one_more();
                tracing::warn!(
                    "source {source}: {} questions in a row without an answer in time, the last: {last}. It is left \
                     alone for {} s, then one question tries it. Where it is only slow, give it a longer `deadline`",
                    rule.after,
                    rule.lasts.as_secs_f32()
                );
            }
            (Change::Back, _) => tracing::info!("source {source} answers again"),
            _ => {}
        }
    }
}

/// A question that is with the source. However it ends, dropped in the middle too, the breaker is told and
/// nobody joins it any more.
struct UnderWay {
    asked: Arc<Asked>,
    slot: Slot,
    turn: Turn,
    ticket: Option<Ticket>,
}

impl UnderWay {
    /// Says once what the question tells of the source: the first that is said counts.
    fn told(&mut self, outcome: Outcome, failure: &Failure) {
        let Some(ticket) = self.ticket.take() else { return };
        let asked = &self.asked;
        let change = locked(&asked.breaker).ended(asked.began.elapsed(), ticket, outcome);
        asked.changed(change, failure);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let failure = Failure::NoAnswer { deadline_ms: ms(self.asked.source.deadline) };
        self.told(Outcome::Bad, &failure);
        locked(&self.asked.flights).ended(&self.slot, self.turn);
    }
}

/// Sends a question on its way: a task of its own, so that a panic in a source is an answer like any other.
fn begin(under_way: UnderWay, place: OwnedSemaphorePermit, question: Question, since: Instant) -> Flight {
    let name = under_way.asked.source.name.clone();
    let task = AbortOnDropHandle::new(tokio::spawn(async move {
        let _place = place;
        run(under_way, &question, since).await
    }));
    let flight = async move {
        task.await.unwrap_or_else(|_| {
            tracing::error!(source = %name, "the source failed inside the hub; this is a fault of the program");
            Err(Failure::NotUnderstood { what: "a fault inside the hub".to_owned() })
        })
    };
    flight.boxed().shared()
}

/// One question from its asking to its end, and what is kept of the answer.
async fn run(mut under_way: UnderWay, question: &Question, since: Instant) -> Said {
    let asked = under_way.asked.clone();
    let deadline = asked.source.deadline;
    let no_answer = Failure::NoAnswer { deadline_ms: ms(deadline) };
    let asking = asked.source.source.ask(question);
    tokio::pin!(asking);
    let mut said = match timeout_at(since + deadline, &mut asking).await {
        Ok(said) => {
            let failure = said.as_ref().err();
            under_way.told(Outcome::of(failure), failure.unwrap_or(&no_answer));
            said
        }
        Err(_) => {
            asked.tally.late.one_more();
            under_way.told(Outcome::Bad, &no_answer);
            timeout_at(since + give_up(deadline), asking).await.unwrap_or(Err(no_answer))
        }
    };
    match &mut said {
        Err(_) => asked.tally.failed.one_more(),
        Ok(answer) => {
            asked.tally.answered.one_more();
            asked.keep(under_way.slot, answer, question);
        }
    }
    said
}

impl Asked {
    /// Keeps an answer for those who ask the same later.
    fn keep(&self, slot: Slot, answer: &mut Answer, question: &Question) {
        let keeps_last = self.source.bounds.keep_last.is_some();
        match answer {
            Answer::Facts { facts, as_of } => {
                let now = Timestamp::now();
                let true_at = as_of.map_or(now, |as_of| not_in_the_future(as_of, now));
                // All who share the answer are told the same age.
                *as_of = Some(true_at);
                if keeps_last {
                    self.last.keep(self.label(slot, question, true_at), facts);
                }
            }
            // What it does not hold any more must not come up again.
            Answer::Nothing if keeps_last => self.last.forget(slot),
            Answer::Nothing | Answer::Customers(_) => {}
        }
        if let Some(fresh) = &self.fresh {
            locked(fresh).keep(self.began.elapsed(), slot, answer.clone());
        }
    }

    fn label(&self, slot: Slot, question: &Question, as_of: Timestamp) -> Label {
        Label {
            slot,
            source: self.source.name.clone(),
            print: self.source.print,
            customer: question.customer.as_ref().map(|customer| customer.key.clone()),
            number: question.number.clone(),
            as_of,
        }
    }
}

/// A question of one asker.
pub(crate) struct Waiting {
    asked: Arc<Asked>,
    slot: Slot,
    since: Instant,
    late: bool,
    answer: Awaited,
}

enum Awaited {
    Known(Said),
    Flight(Flight),
}

impl Waiting {
    /// The card's next state, and whether another will follow.
    pub(crate) async fn next(&mut self) -> (CardState, bool) {
        let answer = self.answer().await;
        let more = answer.is_none() && !self.late;
        let course = Course {
            took_ms: ms(self.since.elapsed()),
            deadline_ms: ms(self.asked.source.deadline),
            late: self.late,
            now: Timestamp::now(),
        };
        self.late |= more;
        let old = || {
            let keep = self.asked.source.bounds.keep_last?;
            let old = self.asked.last.find(&self.slot, keep, course.now)?;
            self.asked.tally.old.one_more();
            Some(old)
        };
        (shown(answer, course, old), more)
    }

    /// The answer, or `None` when it does not come in time: by the deadline, and once that has passed,
    /// by when it is given up.
    async fn answer(&mut self) -> Option<Said> {
        let answer = self.awaited().await;
        metrics::asked(&self.asked.source.name, answer.as_ref(), self.since.elapsed());
        answer
    }

    async fn awaited(&mut self) -> Option<Said> {
        let deadline = self.asked.source.deadline;
        let until = if self.late { give_up(deadline) } else { deadline };
        match &mut self.answer {
            Awaited::Known(said) => Some(said.clone()),
            Awaited::Flight(flight) => timeout_at(self.since + until, flight).await.ok(),
        }
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whole milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
