//! Searching one directory for an agent: how many at a time, how long somebody waits, when it is left alone. Apart from
//! what calls ask, so that people who search, or a search that is slow, never cost a call its answer: of the places
//! that the source has, searches take at most [`SEATS`], and they have a breaker of their own.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinkas_protocol::{Customer, Failure, SourceName};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::asking::{locked, ms};
use super::breaker::{Breaker, Change, Outcome, Ticket};
use super::{ConfiguredSource, Searchable, Source, give_up};

/// The most searches that one source has at a time; the next ones wait for their turn. A database has twice as many
/// connections.
const SEATS: usize = 2;

/// A directory for those who search it.
pub(crate) struct Searching {
    name: SourceName,
    source: Arc<dyn Source>,
    deadline: Duration,
    seats: Arc<Semaphore>,
    /// For whatever the source is asked.
    places: Arc<Semaphore>,
    began: Instant,
    breaker: Mutex<Breaker>,
}

impl Searching {
    /// `places`: for all questions that the source has at a time.
    pub(super) fn new(source: &ConfiguredSource, places: Arc<Semaphore>) -> Self {
        Searching {
            name: source.name.clone(),
            source: source.source.clone(),
            deadline: source.bounds.search.unwrap_or(source.deadline),
            seats: Arc::new(Semaphore::new(SEATS)),
            places,
            began: Instant::now(),
            breaker: Mutex::new(Breaker::new(source.bounds.rest)),
        }
    }

    /// Whether it can be searched.
    pub(crate) fn kind(&self) -> Searchable {
        self.source.searchable()
    }

    /// Those who fit `text`, each with how well; waits no longer than the deadline.
    pub(crate) async fn search(&self, text: &Arc<str>) -> Result<Vec<(u8, Customer)>, Failure> {
        let until = Instant::now() + self.deadline;
        let seat = timeout_at(until, self.seats.clone().acquire_owned()).await;
        let Ok(Ok(seat)) = seat else { return Err(Failure::Busy) };
        let Ok(place) = self.places.clone().try_acquire_owned() else { return Err(Failure::Busy) };
        let ticket = locked(&self.breaker).may_ask(self.began.elapsed());
        let mut under_way = UnderWay { searching: self, ticket: Some(ticket.ok_or(Failure::Resting)?) };
        let (source, text, deadline) = (self.source.clone(), text.clone(), self.deadline);
        let no_answer = move || Err(Failure::NoAnswer { deadline_ms: ms(deadline) });
        // A task of its own, so that a panic in a source is an answer like any other, and so that it has its seat for
        // as long as the source works on it: a database does not stop when nobody waits any more.
        let task = tokio::spawn(async move {
            let _taken = (seat, place);
            timeout(give_up(deadline), source.search(&text)).await.unwrap_or_else(|_| no_answer())
        });
        let said = match timeout_at(until, task).await {
            Err(_) => no_answer(),
            Ok(Ok(said)) => said,
            Ok(Err(_)) => {
                tracing::error!(source = %self.name, "a search failed inside the hub; this is a fault of the program");
                Err(Failure::NotUnderstood { what: "a fault inside the hub".to_owned() })
            }
        };
        under_way.told(Outcome::of(said.as_ref().err()));
        if let Err(failure) = &said {
            tracing::debug!(source = %self.name, "a search failed: {failure}");
        }
        said
    }
}

/// A search that is with the source. Whoever begins another one gives it up, which says nothing of the source.
struct UnderWay<'a> {
    searching: &'a Searching,
    ticket: Option<Ticket>,
}

impl UnderWay<'_> {
    fn told(&mut self, outcome: Outcome) {
        let Some(ticket) = self.ticket.take() else { return };
        let searching = self.searching;
        match locked(&searching.breaker).ended(searching.began.elapsed(), ticket, outcome) {
            Change::Same => {}
            Change::Rests => tracing::warn!(
                "source {}: several searches in a row failed or were late. It is left alone by those who search, calls \
                 ask it as before. Where it is only slow, give it a longer `search_deadline`, or an index",
                searching.name
            ),
            Change::Back => tracing::info!("source {} can be searched again", searching.name),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.told(Outcome::Neither);
    }
}
