//! Asks all sources at once and reports each answer as it lands. A slow, hung, failing or panicking
//! source delays no other and costs bounded memory: each question is its own task with its own deadline,
//! and a source that already has its fill of questions is told busy. Holds no opinion on what is shown.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use pinkas_protocol::{CallId, Card, Customer, Failure, Private};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::identify::{self, Brought, Rules, Search};
use crate::sources::asking::Asked;
use crate::sources::{ConfiguredSource, Needs, Question};

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
}

/// All sources, and the questions that are on their way.
pub struct Gather {
    sources: Vec<Arc<Asked>>,
    rules: Arc<Rules>,
    landed: mpsc::Sender<Landed>,
    /// Ends with the hub; a question ends by itself when it is given up.
    running: Mutex<JoinSet<()>>,
}

impl Gather {
    /// Answers go to `landed`; when it is full, the tasks of the calls concerned wait and nobody else.
    pub fn new(sources: Vec<ConfiguredSource>, rules: Rules, landed: mpsc::Sender<Landed>) -> Self {
        let sources = sources.into_iter().map(|source| Arc::new(Asked::new(source))).collect();
        Gather { sources, rules: Arc::new(rules), landed, running: Mutex::default() }
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

    fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn(work);
    }
}

/// What a source is asked.
pub(crate) fn question(brought: &Brought, customer: Option<Customer>) -> Question {
    Question { number: brought.number.clone(), customer, tags: brought.tags.clone() }
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

/// What each of the directories finds.
async fn found(directories: &[Arc<Asked>], search: Search) -> impl Iterator<Item = Vec<Customer>> {
    join_all(directories.iter().map(|directory| directory.find(&search))).await.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use futures_util::future::BoxFuture;
    use pinkas_protocol::{CardState, CustomerKey, Facts, Gives, SourceName};
    use tokio::time::Instant;

    use crate::sources::asking::{MOST_AT_ONCE, ms};
    use crate::sources::{Answer, Source};

    /// What a pretend source does when asked.
    #[derive(Clone)]
    enum Does {
        After(u64, Result<Answer, Failure>),
        Never,
        Panics,
    }

    impl Source for Does {
        fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
            Box::pin(async {
                match self {
                    Does::After(ms, answer) => {
                        tokio::time::sleep(Duration::from_millis(*ms)).await;
                        answer.clone()
                    }
                    Does::Never => std::future::pending().await,
                    Does::Panics => panic!("a fault in a source"),
                }
            })
        }
    }

    fn source(name: &str, gives: Gives, does: Does) -> ConfiguredSource {
        let name = SourceName::parse(name).expect("a name");
        ConfiguredSource::new(name, gives, Duration::from_millis(800), Arc::new(does))
    }

    fn call(n: u8) -> CallId {
        format!("00000000-0000-7000-8000-0000000000{n:02}").parse().expect("a call")
    }

    fn customer(key: &str) -> Customer {
        let source = SourceName::parse("directory").expect("a name");
        Customer::new(CustomerKey::parse(key).expect("a key"), "Levi".to_owned(), source)
    }

    fn sales() -> Result<Answer, Failure> {
        Ok(Answer::Facts { facts: Facts::Purchases { purchases: Vec::new() }, as_of: None })
    }

    fn people(keys: &[&str]) -> Result<Answer, Failure> {
        Ok(Answer::Customers(keys.iter().map(|key| customer(key)).collect()))
    }

    /// What landed and when, in milliseconds since the asking.
    async fn next(landed: &mut mpsc::Receiver<Landed>, since: Instant) -> String {
        let Some(landed) = landed.recv().await else { return "the end".to_owned() };
        let at = ms(since.elapsed());
        match landed.what {
            LandedWhat::Who { found: Ok(who), .. } => {
                let keys: Vec<_> = who.iter().map(|customer| customer.key.as_str()).collect();
                format!("{at}: {}", keys.join(" "))
            }
            LandedWhat::Who { found: Err(failure), .. } => format!("{at}: {failure}"),
            LandedWhat::Card { card, .. } => {
                let state = match card.state {
                    CardState::Waiting => "waiting".to_owned(),
                    CardState::Late { deadline_ms } => format!("late after {deadline_ms}"),
                    CardState::Filled { took_ms, late, .. } => format!("filled in {took_ms}, late {late}"),
                    CardState::Nothing { took_ms } => format!("nothing in {took_ms}"),
                    CardState::Failed { failure, took_ms } => format!("{failure} after {took_ms}"),
                };
                format!("{at}: {} {state}", card.source)
            }
        }
    }

    fn gather(sources: Vec<ConfiguredSource>) -> (Gather, mpsc::Receiver<Landed>) {
        let (landed, receiver) = mpsc::channel(64);
        (Gather::new(sources, Rules::default(), landed), receiver)
    }

    async fn cards(sources: Vec<ConfiguredSource>, expected: &[&str]) {
        let (gather, mut landed) = gather(sources);
        let since = Instant::now();
        gather.ask_cards(call(1), Brought::default(), customer("7"));
        for expected in expected {
            assert_eq!(next(&mut landed, since).await, *expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_that_never_answers_delays_no_other_and_is_late_exactly_at_its_deadline() {
        let sources = vec![
            source("hung", Gives::Balance, Does::Never),
            source("quick", Gives::Purchases, Does::After(0, sales())),
            source("down", Gives::Credit, Does::After(5, Err(Failure::Unreachable))),
            source("slow", Gives::Purchases, Does::After(2000, sales())),
        ];
        cards(
            sources,
            &[
                "0: quick filled in 0, late false",
                "5: down cannot be reached after 5",
                "800: hung late after 800",
                "800: slow late after 800",
                "2000: slow filled in 2000, late true",
                "10000: hung no answer in 800 ms after 10000",
            ],
        )
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_source_is_a_failed_card() {
        let sources = vec![
            source("faulty", Gives::Balance, Does::Panics),
            source("empty", Gives::Credit, Does::After(1, Ok(Answer::Nothing))),
            source("lying", Gives::Credit, Does::After(2, people(&["7"]))),
        ];
        cards(
            sources,
            &[
                "0: faulty answer not understood: a fault inside the hub after 0",
                "1: empty nothing in 1",
                "2: lying answer not understood: not what this source is to give after 2",
            ],
        )
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_with_its_fill_of_questions_is_busy_at_once() {
        let (gather, mut landed) = gather(vec![source("hung", Gives::Balance, Does::Never)]);
        let since = Instant::now();
        for _ in 0..=MOST_AT_ONCE {
            gather.ask_cards(call(1), Brought::default(), customer("7"));
        }
        assert_eq!(next(&mut landed, since).await, "0: hung too busy after 0");
        assert_eq!(next(&mut landed, since).await, "800: hung late after 800");
        while landed.try_recv().is_ok() {}
        // Once they are given up there is room again.
        tokio::time::sleep(Duration::from_secs(10)).await;
        while landed.try_recv().is_ok() {}
        gather.ask_cards(call(2), Brought::default(), customer("7"));
        assert_eq!(next(&mut landed, since).await, "11600: hung late after 800");
    }

    async fn who(sources: Vec<ConfiguredSource>, expected: &str) {
        let (gather, mut landed) = gather(sources);
        let number = pinkas_protocol::NumberPlan::default().read("+48123456789").expect("a number");
        gather.ask_who(call(1), Brought { number: Some(number), ..Brought::default() });
        assert_eq!(next(&mut landed, Instant::now()).await, expected);
        drop(gather);
        assert_eq!(next(&mut landed, Instant::now()).await, "the end", "one result and no other");
    }

    #[tokio::test(start_paused = true)]
    async fn who_it_is_comes_once_merged_in_the_order_of_the_configuration() {
        let directory = |does: Does| source("d", Gives::Customer, does);
        let slow = || directory(Does::After(300, people(&["1", "2"])));
        let quick = || directory(Does::After(0, people(&["3", "2"])));
        let down = || directory(Does::After(0, Err(Failure::Unreachable)));
        let nobody = || directory(Does::After(0, Ok(Answer::Nothing)));
        who(vec![slow(), quick()], "300: 1 2 3").await;
        who(vec![down(), quick()], "0: 3 2").await;
        who(vec![directory(Does::Never), quick()], "800: 3 2").await;
        who(vec![directory(Does::Never), nobody()], "800: no answer in 800 ms").await;
        who(vec![nobody(), down()], "0: cannot be reached").await;
        who(vec![nobody()], "0: ").await;
        who(vec![source("card", Gives::Credit, Does::Panics)], "0: ").await;
    }

    /// A directory held in memory: it answers nobody's question and finds these.
    struct Held(Vec<Customer>, bool);

    impl Source for Held {
        fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
            Box::pin(async { Ok(Answer::Nothing) })
        }

        fn find(&self, search: &Search) -> Vec<Customer> {
            assert!(!self.1, "a fault in a source");
            let finds = |customer: &&Customer| search.finds(customer, "+48123456700").is_some();
            let matched = |customer: &Customer| search.finds(customer, "+48123456700").unwrap_or_default();
            self.0.iter().filter(finds).map(|c| Customer { matched: matched(c), ..c.clone() }).collect()
        }
    }

    #[tokio::test]
    async fn a_directory_in_memory_is_searched_for_what_was_keyed_in_and_for_a_guess_only_as_a_last_resort() {
        let held = |faulty| {
            let name = SourceName::parse("held").expect("a name");
            let source = Arc::new(Held(vec![customer("7"), customer("8")], faulty));
            ConfiguredSource::new(name, Gives::Customer, Duration::from_secs(9), source)
        };
        let rules = Rules {
            customer_tag: Some("customer".parse().expect("a name")),
            guess: identify::Guess { stem: 2, last_digits: 0 },
        };
        let known = || source("d", Gives::Customer, Does::After(0, people(&["3"])));
        let down = || source("d", Gives::Customer, Does::After(0, Err(Failure::Unreachable)));
        let number = "+48123456789";
        for (sources, number, keyed, rules, expected) in [
            (vec![held(false)], number, None, &rules, "7 8"),
            (vec![held(false)], number, None, &Rules::default(), ""),
            (vec![held(false), known()], number, None, &rules, "3"),
            (vec![held(false), down()], number, None, &rules, "cannot be reached"),
            (vec![held(true)], number, None, &rules, ""),
            (vec![held(false)], "+48123450000", None, &rules, ""),
            (vec![held(false)], "101", None, &rules, ""),
            (vec![held(false)], "", None, &rules, ""),
            (vec![held(false)], "", Some("8"), &rules, "8"),
            (vec![held(false), known()], number, Some("8"), &rules, "3 8"),
            (vec![down(), held(false)], number, Some("8"), &rules, "8"),
            (vec![held(false)], "+48123450000", Some("9"), &rules, ""),
        ] {
            let (landed, mut answers) = mpsc::channel(4);
            let tags = keyed.map(|key| ("customer".parse().expect("a name"), Private(key.to_owned())));
            let brought = Brought {
                number: pinkas_protocol::NumberPlan::default().read(number),
                tags: tags.into_iter().collect(),
            };
            let gather = Gather::new(sources, rules.clone(), landed);
            gather.ask_who(call(1), brought);
            let Some(Landed { what: LandedWhat::Who { found, .. }, .. }) = answers.recv().await else {
                panic!("who it is")
            };
            let found = found.map_or_else(
                |failure| failure.to_string(),
                |who| who.iter().map(|c| c.key.as_str()).collect::<Vec<_>>().join(" "),
            );
            assert_eq!(found, expected, "{number} {keyed:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_needs_only_the_call_is_asked_by_it_and_by_nothing_else() {
        let by_call = ConfiguredSource {
            needs: Needs::Call,
            ..source("tickets", Gives::Custom, Does::After(3, Ok(Answer::Nothing)))
        };
        let by_customer = source("books", Gives::Balance, Does::After(1, Ok(Answer::Nothing)));
        let (gather, mut landed) = gather(vec![by_call, by_customer]);
        let since = Instant::now();
        gather.ask_call(call(1), Brought::default());
        assert_eq!(next(&mut landed, since).await, "3: tickets nothing in 3");
        gather.ask_cards(call(1), Brought::default(), customer("7"));
        assert_eq!(next(&mut landed, since).await, "4: books nothing in 1");
        drop(gather);
        assert_eq!(next(&mut landed, since).await, "the end");
    }
}
