//! Asking one source: its bound on questions at a time, its deadline, and what its card says meanwhile.
//! A question is its own task, so that a source that hangs or panics costs its own card and nothing else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{Card, CardState, Customer, CustomerKey, Failure, Gives, SourceName};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::fields::not_in_the_future;
use super::{Answer, ConfiguredSource, Needs, Question, give_up};
use crate::identify::Search;
use crate::metrics;

/// The most questions one source has at a time, waiting or running; the next one is told busy.
pub const MOST_AT_ONCE: usize = 16;

/// A source and the questions it has.
pub(crate) struct Asked {
    source: ConfiguredSource,
    places: Arc<Semaphore>,
}

impl Asked {
    pub(crate) fn new(source: ConfiguredSource) -> Self {
        Asked { source, places: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
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

    /// Starts asking. Must be called inside a Tokio runtime.
    pub(crate) fn ask(&self, question: &Question) -> Waiting {
        let since = Instant::now();
        let task = self.places.clone().try_acquire_owned().ok().map(|place| {
            let (source, question) = (self.source.source.clone(), question.clone());
            // Its own task, so that a panic in a source is an answer like any other.
            AbortOnDropHandle::new(tokio::spawn(async move {
                let _place = place;
                source.ask(&question).await
            }))
        });
        Waiting { name: self.source.name.clone(), since, deadline: self.source.deadline, late: false, task }
    }

    /// Asks and waits until nothing more can come: the last state of the card.
    pub(crate) async fn settled(&self, question: &Question) -> CardState {
        let mut waiting = self.ask(question);
        loop {
            let (state, more) = waiting.next().await;
            if !more {
                return state;
            }
        }
    }

    /// Asks, and waits no longer than the deadline, for the answer as it was given.
    pub(crate) async fn in_time(&self, question: &Question) -> Result<Answer, Failure> {
        let late = || Err(Failure::NoAnswer { deadline_ms: ms(self.source.deadline) });
        self.ask(question).answer().await.unwrap_or_else(late)
    }

    /// Asks a directory and waits for it no longer than its deadline.
    pub(crate) async fn who(&self, question: &Question) -> Result<Vec<Customer>, Failure> {
        match self.ask(question).answer().await {
            None => Err(Failure::NoAnswer { deadline_ms: ms(self.source.deadline) }),
            Some(Ok(Answer::Customers(customers))) => Ok(customers),
            Some(Ok(Answer::Nothing)) => Ok(Vec::new()),
            Some(Ok(Answer::Facts { .. })) => Err(unfitting()),
            Some(Err(failure)) => Err(failure),
        }
    }
}

/// A question that is on its way.
pub(crate) struct Waiting {
    name: SourceName,
    since: Instant,
    deadline: Duration,
    late: bool,
    /// `None` when the source had no place for it.
    task: Option<AbortOnDropHandle<Result<Answer, Failure>>>,
}

impl Waiting {
    /// The card's next state, and whether another will follow.
    pub(crate) async fn next(&mut self) -> (CardState, bool) {
        let answer = self.answer().await;
        let took_ms = ms(self.since.elapsed());
        let deadline_ms = ms(self.deadline);
        let state = match answer {
            None if !self.late => {
                self.late = true;
                return (CardState::Late { deadline_ms }, true);
            }
            None => CardState::Failed { failure: Failure::NoAnswer { deadline_ms }, took_ms },
            Some(Ok(Answer::Facts { facts, as_of })) => {
                let now = Timestamp::now();
                let as_of = as_of.map_or(now, |as_of| not_in_the_future(as_of, now));
                CardState::Filled { facts, as_of, took_ms, late: self.late, old: None }
            }
            Some(Ok(Answer::Nothing)) => CardState::Nothing { took_ms },
            Some(Ok(Answer::Customers(_))) => CardState::Failed { failure: unfitting(), took_ms },
            Some(Err(failure)) => CardState::Failed { failure, took_ms },
        };
        (state, false)
    }

    /// The answer, or `None` when it does not come in time: by the deadline, and once that has passed,
    /// by when it is given up.
    async fn answer(&mut self) -> Option<Result<Answer, Failure>> {
        let answer = self.awaited().await;
        metrics::asked(&self.name, answer.as_ref(), self.since.elapsed());
        answer
    }

    async fn awaited(&mut self) -> Option<Result<Answer, Failure>> {
        let Some(task) = &mut self.task else { return Some(Err(Failure::Busy)) };
        let until = if self.late { give_up(self.deadline) } else { self.deadline };
        match timeout_at(self.since + until, task).await {
            Err(_) => None,
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) => {
                tracing::error!(source = %self.name, "the source failed inside the hub; this is a fault of the program");
                Some(Err(Failure::NotUnderstood { what: "a fault inside the hub".to_owned() }))
            }
        }
    }
}

fn unfitting() -> Failure {
    Failure::NotUnderstood { what: "not what this source is to give".to_owned() }
}

/// Whole milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
