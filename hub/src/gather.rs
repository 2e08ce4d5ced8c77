//! Asks all sources at once and reports each answer as it lands. A slow, hung, failing or panicking
//! source delays no other and costs bounded memory: each question is its own task with its own deadline,
//! and a source that already has its fill of questions is told busy. Holds no opinion on what is shown. What one
//! source need not be asked, and when it is left alone, is in `sources::asking`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use pinkas_protocol::agent_link::MOST_FOUND;
use pinkas_protocol::record::Searched;
use pinkas_protocol::{AgentId, CallId, Card, Customer, Failure, Private};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::core::Seeker;
use crate::identify::{self, Brought, Rules, Search};
use crate::last::{Last, LastFigures};
use crate::sources::asking::Asked;
pub use crate::sources::figures::{SourceFigures, Standing};
use crate::sources::{ConfiguredSource, Needs, Question, Searchable};

/// What came back for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// For which call it was asked.
    pub call: CallId,
    /// What it is.
    pub what: LandedWhat,
}

/// See [`Landed`]. What it was asked with may have turned out to be something else since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LandedWhat {
    /// The directories have answered.
    Who {
        /// What they were asked with.
        brought: Brought,
        /// Everyone they know by it; empty when it is unknown to all of them.
        found: Result<Vec<Customer>, Failure>,
    },
    /// One source's card has come further.
    Card {
        /// What it was asked with.
        brought: Brought,
        /// As it stands.
        card: Box<Card>,
    },
    /// The directories were searched for a person.
    Found {
        /// Who asked.
        seeker: Seeker,
        /// Who fits best.
        found: Vec<Customer>,
        /// How it went.
        searched: Searched,
    },
}

/// All sources, and the questions that are on their way.
pub struct Gather {
    sources: Vec<Arc<Asked>>,
    rules: Arc<Rules>,
    landed: mpsc::Sender<Landed>,
    last: Last,
    /// Ends with the hub; a question ends by itself when it is given up.
    running: Mutex<JoinSet<()>>,
    /// The newest search of each person.
    searching: Mutex<BTreeMap<AgentId, AbortHandle>>,
}

impl Gather {
    /// Answers go to `landed`; when it is full, the tasks of the calls concerned wait and nobody else.
    /// No last figures are kept.
    pub fn new(sources: Vec<ConfiguredSource>, rules: Rules, landed: mpsc::Sender<Landed>) -> Self {
        Gather::keeping(sources, rules, landed, Last::default())
    }

    /// As [`Gather::new`], and where a source gives none, cards show the last figures it gave.
    pub fn keeping(
        sources: Vec<ConfiguredSource>,
        rules: Rules,
        landed: mpsc::Sender<Landed>,
        last: Last,
    ) -> Self {
        let asked = |source| Arc::new(Asked::new(source, last.clone()));
        let sources = sources.into_iter().map(asked).collect();
        Gather {
            sources,
            rules: Arc::new(rules),
            landed,
            last,
            running: Mutex::default(),
            searching: Mutex::default(),
        }
    }

    /// How the sources stand and what became of their questions, for whoever shows it. Cheap to clone and to ask.
    pub fn figures(&self) -> Figures {
        Figures { sources: self.sources.clone().into(), last: self.last.clone() }
    }

    /// Asks all directories who it is. One [`LandedWhat::Who`] comes back, when each has answered or is late.
    pub fn ask_who(&self, call: CallId, brought: Brought) {
        let directories: Vec<_> = self.sources.iter().filter(|s| s.is_directory()).cloned().collect();
        let (landed, rules) = (self.landed.clone(), self.rules.clone());
        self.start(async move {
            let found = who(&directories, &brought, &rules).await;
            // The hub is ending when nobody takes it.
            let _ = landed.send(Landed { call, what: LandedWhat::Who { brought, found } }).await;
        });
    }

    /// Searches the directories for a person; one [`LandedWhat::Found`] comes back, unless the same person asks anew
    /// before: then only the newer question is answered.
    pub fn search(&self, call: CallId, seeker: Seeker, text: &Private<String>) {
        let directories: Vec<_> = self.sources.iter().filter(|s| s.is_directory()).cloned().collect();
        let (landed, agent, text) = (self.landed.clone(), seeker.agent.clone(), Arc::from(text.0.as_str()));
        let task = self.start(async move {
            let (found, searched) = searched(&directories, &text).await;
            let _ = landed.send(Landed { call, what: LandedWhat::Found { seeker, found, searched } }).await;
        });
        let mut searching = self.searching.lock().unwrap_or_else(PoisonError::into_inner);
        searching.retain(|_, task| !task.is_finished());
        if let Some(older) = searching.insert(agent, task) {
            older.abort();
        }
    }

    /// Asks every source that needs no more than the call, at the same time as the directories. Answers come
    /// as for [`Gather::ask_cards`].
    pub fn ask_call(&self, call: CallId, brought: Brought) {
        self.ask(call, Needs::Call, brought, None);
    }

    /// Asks every other source about `customer`, at the same time. Each answer comes back as it lands;
    /// of a source that is late, first that it is, then what it says or that it is given up.
    pub fn ask_cards(&self, call: CallId, brought: Brought, customer: Customer) {
        self.ask(call, Needs::Customer, brought, Some(customer));
    }

    fn ask(&self, call: CallId, needs: Needs, brought: Brought, customer: Option<Customer>) {
        let key = customer.as_ref().map(|customer| customer.key.clone());
        let question = Arc::new(question(&brought, customer));
        let sources = self.sources.iter().filter(|asked| !asked.is_directory() && asked.needs() == needs);
        for asked in sources {
            let (asked, landed) = (asked.clone(), self.landed.clone());
            let (question, key, brought) = (question.clone(), key.clone(), brought.clone());
            self.start(async move {
                let mut waiting = asked.ask(&question);
                loop {
                    let (state, more) = waiting.next().await;
                    let card = Box::new(asked.card(key.as_ref(), state));
                    let what = LandedWhat::Card { brought: brought.clone(), card };
                    if landed.send(Landed { call, what }).await.is_err() || !more {
                        break;
                    }
                }
            });
        }
    }

    fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(work)
    }
}

/// A view of all sources that goes on while they are asked.
#[derive(Clone)]
pub struct Figures {
    sources: Arc<[Arc<Asked>]>,
    last: Last,
}

impl Figures {
    /// Of each source, in the order of the configuration, directories among them.
    pub fn sources(&self) -> Vec<SourceFigures> {
        self.sources.iter().map(|asked| asked.figures()).collect()
    }

    /// Of the last figures that are kept.
    pub fn last(&self) -> LastFigures {
        self.last.figures()
    }
}

/// What a source is asked.
pub(crate) fn question(brought: &Brought, customer: Option<Customer>) -> Question {
    Question { number: brought.number.clone(), customer, tags: brought.tags.clone(), sought: None }
}

/// Asks all directories, and makes of their answers who it may be.
async fn who(directories: &[Arc<Asked>], brought: &Brought, rules: &Rules) -> Result<Vec<Customer>, Failure> {
    let question = question(brought, None);
    let answers = join_all(directories.iter().map(|directory| directory.who(&question))).await;
    of_answers(directories, answers, brought, rules).await
}

/// Who it may be by what the directories answered. Those held in memory are also searched for what was keyed
/// in and, where all have answered and none knows anybody, for whom the rules let guess.
pub(crate) async fn of_answers(
    directories: &[Arc<Asked>],
    mut answers: Vec<Result<Vec<Customer>, Failure>>,
    brought: &Brought,
    rules: &Rules,
) -> Result<Vec<Customer>, Failure> {
    if let Some(keyed) = brought.keyed_in(rules) {
        answers.extend(found(directories, Search::Key(Private(keyed.to_owned()))).await.map(Ok));
    }
    let merged = identify::merged(answers, brought, rules)?;
    let Some(number) = brought.guessable(rules).filter(|_| merged.is_empty()) else { return Ok(merged) };
    let guessed = found(directories, Search::Like(number.clone(), rules.guess)).await;
    identify::merged(guessed.map(Ok).collect(), brought, rules)
}

/// Who fits best of all that the directories find for a person.
async fn searched(directories: &[Arc<Asked>], text: &Arc<str>) -> (Vec<Customer>, Searched) {
    let searching = directories.iter().map(|directory| directory.searching());
    let searching = searching.filter(|directory| directory.kind() != Searchable::No);
    let answers = join_all(searching.map(|directory| directory.search(text))).await;
    let (mut found, mut can, mut late) = (Vec::new(), false, false);
    for answer in answers {
        match answer {
            Ok(some) => {
                can = true;
                found.extend(some);
            }
            Err(_) => late = true,
        }
    }
    // A stable sort: of those that fit alike, the first directory's come first.
    found.sort_by_key(|(fits, _)| *fits);
    let mut found = identify::joined(found.into_iter().map(|(_, customer)| customer).collect());
    found.truncate(MOST_FOUND);
    let went = match (can, late) {
        (true, false) => Searched::Fully,
        (true, true) => Searched::Partly,
        (false, _) => Searched::Failed,
    };
    (found, went)
}

/// What each of the directories finds.
async fn found(directories: &[Arc<Asked>], search: Search) -> impl Iterator<Item = Vec<Customer>> {
    join_all(directories.iter().map(|directory| directory.find(&search))).await.into_iter()
}
