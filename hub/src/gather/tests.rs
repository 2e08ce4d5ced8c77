//! All sources at once: who is late, who is busy, who rests, and that none delays another.

use super::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use pinkas_protocol::{CardState, CustomerKey, Facts, Gives, SourceName};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::last;
use crate::sources::asking::ms;
use crate::sources::bounds::Bounds;
use crate::sources::breaker::Rule;
use crate::sources::template::Place;
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
        LandedWhat::Found { .. } => "found".to_owned(),
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
    let mut hung = source("hung", Gives::Balance, Does::Never);
    hung.bounds = Bounds { at_once: 3, rest: None, ..Bounds::default() };
    let (gather, mut landed) = gather(vec![hung]);
    let since = Instant::now();
    for key in ["1", "2", "3", "4"] {
        gather.ask_cards(call(1), Brought::default(), customer(key));
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

/// A source that counts its questions and answers them once it is let.
struct Counting {
    asked: AtomicUsize,
    is_up: AtomicBool,
    is_empty: AtomicBool,
    open: Semaphore,
}

impl Counting {
    fn new(is_up: bool) -> Arc<Counting> {
        let open = Semaphore::new(0);
        let (asked, is_up) = (AtomicUsize::new(0), AtomicBool::new(is_up));
        Arc::new(Counting { asked, is_up, is_empty: AtomicBool::new(false), open })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Source for Counting {
    fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            if !self.is_up.load(Ordering::Relaxed) {
                return Err(Failure::Unreachable);
            }
            // Each may answer once.
            if let Ok(one) = self.open.acquire().await {
                one.forget();
            }
            if self.is_empty.load(Ordering::Relaxed) { Ok(Answer::Nothing) } else { sales() }
        })
    }

    fn places(&self) -> Option<Vec<Place>> {
        Some(vec![Place::CustomerId])
    }
}

fn counting(counting: &Arc<Counting>, bounds: Bounds) -> ConfiguredSource {
    let never = source("books", Gives::Purchases, Does::Never);
    ConfiguredSource { source: counting.clone(), bounds, ..never }
}

#[tokio::test(start_paused = true)]
async fn the_same_question_is_asked_once_and_everyone_gets_the_answer() {
    let books = Counting::new(true);
    let (gather, mut landed) = gather(vec![counting(&books, Bounds { at_once: 2, ..Bounds::default() })]);
    let since = Instant::now();
    for n in 0..30 {
        // From another number and on another call: the source is not told of these.
        let number = pinkas_protocol::NumberPlan::default().read(&format!("+972501234{n:03}"));
        gather.ask_cards(call(n), Brought { number, ..Brought::default() }, customer("7"));
    }
    gather.ask_cards(call(30), Brought::default(), customer("8"));
    tokio::time::sleep(Duration::from_millis(5)).await;
    books.open.add_permits(2);
    for _ in 0..=30 {
        assert_eq!(next(&mut landed, since).await, "5: books filled in 5, late false");
    }
    assert_eq!(books.asked(), 2);
    // What has ended is not joined.
    books.open.add_permits(1);
    gather.ask_cards(call(31), Brought::default(), customer("7"));
    assert_eq!(next(&mut landed, since).await, "5: books filled in 0, late false");
    assert_eq!(books.asked(), 3);
    let figures = gather.figures().sources();
    assert_eq!((figures[0].asked, figures[0].joined, figures[0].answered), (3, 29, 3));
    assert_eq!((figures[0].under_way, figures[0].standing), (0, Standing::Asked));
}

#[tokio::test(start_paused = true)]
async fn a_good_answer_is_used_again_with_its_own_time_until_it_is_stale_and_a_failure_never_is() {
    let books = Counting::new(false);
    books.open.add_permits(9);
    let bounds = Bounds { fresh: Some(Duration::from_secs(30)), ..Bounds::default() };
    let (gather, mut landed) = gather(vec![counting(&books, bounds)]);
    let mut ages = Vec::new();
    for (after, up, asked) in [(0, false, 1), (0, true, 2), (29, true, 2), (2, false, 3), (0, true, 4)] {
        tokio::time::sleep(Duration::from_secs(after)).await;
        books.is_up.store(up, Ordering::Relaxed);
        gather.ask_cards(call(1), Brought::default(), customer("7"));
        if let Some(Landed { what: LandedWhat::Card { card, .. }, .. }) = landed.recv().await
            && let CardState::Filled { as_of, .. } = card.state
        {
            ages.push(as_of);
        }
        assert_eq!(books.asked(), asked, "after {after} s");
    }
    assert_eq!(ages.len(), 3);
    assert!(ages[0] == ages[1] && ages[1] <= ages[2], "a reused answer keeps its age");
    assert_eq!(gather.figures().sources()[0].reused, 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_again_and_again_rests_and_then_one_question_tries_it() {
    let books = Counting::new(false);
    books.open.add_permits(99);
    let rest = Some(Rule { after: 3, lasts: Duration::from_secs(15) });
    let (gather, mut landed) = gather(vec![counting(&books, Bounds { rest, ..Bounds::default() })]);
    let since = Instant::now();
    let ask = |key: &str| gather.ask_cards(call(1), Brought::default(), customer(key));
    let resting = "books failed again and again; left alone for a while after 0";
    for (wait, up, asked, expected) in [
        (0, false, 1, "0: books cannot be reached after 0".to_owned()),
        (0, false, 2, "0: books cannot be reached after 0".to_owned()),
        (0, false, 3, "0: books cannot be reached after 0".to_owned()),
        (0, true, 3, format!("0: {resting}")),
        (14, true, 3, format!("14000: {resting}")),
        (1, false, 4, "15000: books cannot be reached after 0".to_owned()),
        (14, true, 4, format!("29000: {resting}")),
        (1, true, 5, "30000: books filled in 0, late false".to_owned()),
        (0, true, 6, "30000: books filled in 0, late false".to_owned()),
    ] {
        tokio::time::sleep(Duration::from_secs(wait)).await;
        books.is_up.store(up, Ordering::Relaxed);
        ask("7");
        assert_eq!(next(&mut landed, since).await, expected);
        assert_eq!(books.asked(), asked);
    }
    let figures = gather.figures().sources();
    assert_eq!((figures[0].rests, figures[0].resting, figures[0].failed), (1, 3, 4));
}

#[tokio::test(start_paused = true)]
async fn late_answers_in_a_row_let_a_source_rest_and_while_one_tries_it_the_others_are_not_asked() {
    let books = Counting::new(true);
    let rest = Some(Rule { after: 2, lasts: Duration::from_secs(15) });
    let (gather, mut landed) = gather(vec![counting(&books, Bounds { rest, ..Bounds::default() })]);
    let since = Instant::now();
    let ask = |key: &str| gather.ask_cards(call(1), Brought::default(), customer(key));
    let mut said = async |expected: &str| assert_eq!(next(&mut landed, since).await, expected);
    ask("1");
    ask("2");
    said("800: books late after 800").await;
    said("800: books late after 800").await;
    ask("3");
    said("800: books failed again and again; left alone for a while after 0").await;
    // What was asked before still comes, and says nothing of how the source is now.
    books.open.add_permits(2);
    said("800: books filled in 800, late true").await;
    said("800: books filled in 800, late true").await;
    assert_eq!(gather.figures().sources()[0].standing, Standing::Rests { left: Duration::from_secs(15) });
    tokio::time::sleep(Duration::from_secs(15)).await;
    ask("4");
    tokio::task::yield_now().await;
    assert_eq!(gather.figures().sources()[0].standing, Standing::Tried);
    ask("5");
    said("15800: books failed again and again; left alone for a while after 0").await;
    // The same as the one that tries is joined to it.
    ask("4");
    books.open.add_permits(1);
    said("15800: books filled in 0, late false").await;
    said("15800: books filled in 0, late false").await;
    assert_eq!(books.asked(), 3);
    assert_eq!(gather.figures().sources()[0].standing, Standing::Asked);
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_question_that_nobody_waits_for_count_as_failures() {
    let rest = Some(Rule { after: 2, lasts: Duration::from_secs(15) });
    let with = |does| {
        let mut source = source("d", Gives::Customer, does);
        source.bounds.rest = rest;
        source
    };
    for does in [Does::Panics, Does::Never] {
        let (gather, mut landed) = gather(vec![with(does)]);
        for _ in 0..3 {
            gather.ask_who(call(1), Brought::default());
            landed.recv().await.expect("an answer");
        }
        // A task that is ended is gone a moment later.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let figures = gather.figures().sources();
        assert_eq!((figures[0].asked, figures[0].rests, figures[0].under_way), (2, 1, 0));
    }
}

#[tokio::test]
async fn old_figures_stand_in_for_a_source_that_gives_none_and_go_when_it_holds_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = last::Place { state: dir.path().to_owned(), key: dir.path().join("key") };
    let books = Counting::new(true);
    books.open.add_permits(9);
    let source = counting(&books, Bounds { rest: None, ..Bounds::default() });
    let (last, keeper) = last::open(&place, std::slice::from_ref(&source)).expect("a thread");
    let (landed_in, mut landed) = mpsc::channel(4);
    let gather = Gather::keeping(vec![source], Rules::default(), landed_in, last.clone());
    let mut state = async |key: &str| {
        gather.ask_cards(call(1), Brought::default(), customer(key));
        match landed.recv().await {
            Some(Landed { what: LandedWhat::Card { card, .. }, .. }) => card.state,
            other => panic!("a card, not {other:?}"),
        }
    };
    let CardState::Filled { as_of: true_at, old: None, .. } = state("7").await else { panic!("new figures") };
    while last.figures().entries == 0 {
        tokio::task::yield_now().await;
    }
    books.is_up.store(false, Ordering::Relaxed);
    let CardState::Filled { as_of, old: Some(Failure::Unreachable), late: false, .. } = state("7").await
    else {
        panic!("old figures")
    };
    assert_eq!(as_of, true_at);
    assert!(matches!(state("8").await, CardState::Failed { failure: Failure::Unreachable, .. }));
    assert_eq!(gather.figures().sources()[0].old, 1);
    books.is_up.store(true, Ordering::Relaxed);
    books.is_empty.store(true, Ordering::Relaxed);
    assert!(matches!(state("7").await, CardState::Nothing { .. }));
    while last.figures().entries > 0 {
        tokio::task::yield_now().await;
    }
    books.is_up.store(false, Ordering::Relaxed);
    assert!(matches!(state("7").await, CardState::Failed { failure: Failure::Unreachable, .. }));
    keeper.expect("one").close().await.expect("it ends");
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

/// A directory that agents can search and that nothing else finds anybody in.
struct Searched(u64, Result<Vec<(u8, &'static str)>, Failure>);

impl Source for Searched {
    fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async { Ok(Answer::Nothing) })
    }

    fn searchable(&self) -> Searchable {
        Searchable::Asked
    }

    fn search<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(self.0)).await;
            let found = self.1.clone()?;
            Ok(found.into_iter().map(|(fits, key)| (fits, customer(key))).collect())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn what_all_directories_find_for_an_agent_is_one_list_the_best_first() {
    let directory = |name: &str, after, says| {
        let name = SourceName::parse(name).expect("a name");
        ConfiguredSource::new(
            name,
            Gives::Customer,
            Duration::from_millis(800),
            Arc::new(Searched(after, says)),
        )
    };
    let one = || directory("one", 300, Ok(vec![(2, "1"), (3, "2"), (4, "3")]));
    let other = || directory("other", 10, Ok(vec![(0, "4"), (3, "5"), (1, "1")]));
    let many = || directory("many", 10, Ok(["1", "2", "3", "4", "5", "6", "7"].map(|key| (2, key)).to_vec()));
    let more = || directory("more", 10, Ok(["11", "12", "13", "14", "15"].map(|key| (2, key)).to_vec()));
    let late = || directory("late", 900, Ok(vec![(0, "6")]));
    let down = || directory("down", 0, Err(Failure::Unreachable));
    let cannot = || source("cannot", Gives::Customer, Does::Never);
    for (sources, expected) in [
        (vec![one(), other()], "4 1 2 5 3 Fully"),
        (vec![other(), one()], "4 1 5 2 3 Fully"),
        (vec![one(), cannot()], "1 2 3 Fully"),
        (vec![one(), late()], "1 2 3 Partly"),
        (vec![down(), other()], "4 1 5 Partly"),
        (vec![down(), cannot()], " Failed"),
        (vec![many(), more()], "1 2 3 4 5 6 7 11 12 Fully"),
    ] {
        let (gather, mut landed) = gather(sources);
        let seeker =
            Seeker { agent: "ana".parse().expect("a name"), viewer: crate::core::ViewerId(1), ask: 1 };
        gather.search(call(1), seeker, &Private("levi".to_owned()));
        let Some(Landed { what: LandedWhat::Found { found, searched, .. }, .. }) = landed.recv().await else {
            panic!("an answer")
        };
        let keys: Vec<_> = found.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(format!("{} {searched:?}", keys.join(" ")), expected);
    }
}
