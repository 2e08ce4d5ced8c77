//! What is not asked, and what stands in for an answer, against real servers: the same question goes out once,
//! a source that fails is left alone and tried by one question, and figures from before are shown with their
//! age while it is away, after a restart of the hub as well, by the same rights as new ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_demo::company::accounting::Mood;
use pinkas_demo::company::customers::LEVI;
use pinkas_demo::pbx::PretendCaller;
use pinkas_hub::gather::{Gather, Landed, LandedWhat, Standing};
use pinkas_hub::identify::{Brought, Rules};
use pinkas_hub::last::{self, Keeper, Place};
use pinkas_hub::sources::read;
use pinkas_protocol::card::Balance;
use pinkas_protocol::{
    CallId, Card, CardState, Customer, CustomerKey, Facts, Failure, NumberPlan, SourceName,
};
use pinkas_tests::lab::postgres::Postgres;
use pinkas_tests::lab::process::until;
use pinkas_tests::or_skip;
use pinkas_tests::site::{SOON, Site, Wishes, line};
use sqlx::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// What a web service does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Tells this balance.
    Tells(u32),
    /// Answers with this status.
    Refuses(u16),
    /// Holds the question until it does something else.
    Holds,
}

/// A web service that counts its questions. Gone, with all its connections, when dropped.
struct Web {
    at: SocketAddr,
    asked: Arc<AtomicUsize>,
    does: watch::Sender<Does>,
    _running: JoinSet<()>,
}

impl Web {
    async fn start(at: SocketAddr, does: Does) -> Web {
        let listener = TcpListener::bind(at).await.unwrap();
        let (at, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (does, seen) = watch::channel(does);
        let (counts, mut running) = (asked.clone(), JoinSet::new());
        running.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((link, _)) = listener.accept().await {
                links.spawn(answer(link, counts.clone(), seen.clone()));
            }
        });
        Web { at, asked, does, _running: running }
    }

    async fn anywhere(does: Does) -> Web {
        Web::start((Ipv4Addr::LOCALHOST, 0).into(), does).await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn does(&self, does: Does) {
        self.does.send_replace(does);
    }
}

async fn answer(mut link: TcpStream, asked: Arc<AtomicUsize>, mut does: watch::Receiver<Does>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < 4096 {
        match link.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let Ok(now) = does.wait_for(|does| *does != Does::Holds).await.map(|does| *does) else { return };
    let (status, body) = match now {
        Does::Tells(amount) => (200, format!(r#"{{"amount": {amount}}}"#)),
        Does::Refuses(status) => (status, String::new()),
        Does::Holds => return,
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} .\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // Whoever asked may hang up at any time.
    let _gone = link.write_all(head.as_bytes()).await;
}

/// A hub's gathering, as the hub itself makes it.
struct Gathering {
    gather: Gather,
    landed: mpsc::Receiver<Landed>,
    keeper: Option<Keeper>,
    last: last::Last,
}

impl Gathering {
    fn open(dir: &Path, text: &str) -> Gathering {
        let plan = NumberPlan::new("IL", 4).unwrap();
        let read = pinkas_config::parse(&dir.join("hub.toml"), text, |section| Some(read(section, &plan)));
        let sources = read.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        std::fs::create_dir_all(dir.join("state")).unwrap();
        let place = Place { state: dir.join("state"), key: dir.join("last-known.key") };
        let (last, keeper) = last::open(&place, &sources).unwrap();
        let (landed_in, landed) = mpsc::channel(256);
        let gather = Gather::keeping(sources, Rules::default(), landed_in, last.clone());
        Gathering { gather, landed, keeper, last }
    }

    fn ask(&self, key: &str) {
        let call: CallId = "00000000-0000-7000-8000-000000000001".parse().unwrap();
        let directory = SourceName::parse("directory").unwrap();
        let customer = Customer::new(CustomerKey::parse(key).unwrap(), "x".to_owned(), directory);
        self.gather.ask_cards(call, Brought::default(), customer);
    }

    /// The next word on any card.
    async fn next(&mut self) -> Said {
        let next = tokio::time::timeout(Duration::from_secs(40), self.landed.recv()).await;
        match next.expect("every card says something") {
            Some(Landed { what: LandedWhat::Card { card, .. }, .. }) => Said::of(&card.state),
            other => panic!("a card, not {other:?}"),
        }
    }

    async fn said(&mut self, key: &str) -> Said {
        self.ask(key);
        self.next().await
    }

    fn standing(&self) -> Standing {
        self.gather.figures().sources()[0].standing
    }

    async fn rested(&self) {
        let over = async || (self.standing() == Standing::Rests { left: Duration::ZERO }).then_some(());
        until("its rest to be over", SOON, over).await.unwrap();
    }

    /// Ends as the hub does.
    async fn close(self) {
        drop(self.gather);
        self.keeper.unwrap().close().await.unwrap();
    }
}

/// What a card says, and of when its figures are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said(String, Option<Timestamp>);

impl Said {
    fn of(state: &CardState) -> Said {
        match state {
            CardState::Filled { facts: Facts::Balance(balance), as_of, late, old, .. } => {
                let amount = balance.balance.as_ref().map(|money| money.amount.to_string());
                let old = old.as_ref().map(|failure| format!(" old: {failure}")).unwrap_or_default();
                let late = if *late { " late" } else { "" };
                Said(format!("{}{late}{old}", amount.unwrap_or_default()), Some(*as_of))
            }
            CardState::Late { .. } => Said("late".to_owned(), None),
            CardState::Failed { failure, .. } => Said(failure.to_string(), None),
            other => Said(format!("{other:?}"), None),
        }
    }
}

const RESTS: &str = "failed again and again; left alone for a while";

fn web(at: SocketAddr, more: &str) -> String {
    format!(
        "[[source]]\nname = \"books\"\ngives = \"balance\"\nhttp = \"http://{at}/{{customer.id}}\"\n{more}\
         [source.fields]\nbalance = \"$.amount\"\n"
    )
}

#[tokio::test]
async fn a_service_that_is_down_leaves_its_last_figures_with_their_age_across_a_restart() {
    let service = Web::anywhere(Does::Tells(7)).await;
    let (dir, at) = (tempfile::tempdir().unwrap(), service.at);
    let text = web(at, "deadline = \"400ms\"\nrest_after = 0\n");
    let mut hub = Gathering::open(dir.path(), &text);
    let Said(words, true_at) = hub.said("1").await;
    assert_eq!((words.as_str(), true_at.is_some()), ("7", true));
    let kept = async || (hub.last.figures().entries == 1).then_some(());
    until("the figures to be kept", SOON, kept).await.unwrap();

    drop(service);
    let old = |why: &str| Said(format!("7 old: {why}"), true_at);
    assert_eq!(hub.said("1").await, old("cannot be reached"));
    assert_eq!(hub.said("2").await, Said("cannot be reached".to_owned(), None), "never another's figures");
    hub.close().await;

    let mut hub = Gathering::open(dir.path(), &text);
    assert_eq!(hub.said("1").await, old("cannot be reached"), "after a restart");
    // It refuses, it is silent and then late, it is back.
    let service = Web::start(at, Does::Refuses(503)).await;
    assert_eq!(hub.said("1").await, old("refused: HTTP 503"));
    service.does(Does::Holds);
    assert_eq!(hub.said("1").await, old("no answer in 400 ms"), "at its deadline");
    service.does(Does::Tells(8));
    let Said(words, new_at) = hub.next().await;
    assert_eq!(words, "8 late");
    assert!(new_at > true_at);
    drop(service);
    until("the new figures to be kept", SOON, async || {
        let Said(words, at) = hub.said("1").await;
        (words.starts_with("8 old: ") && at == new_at).then_some(())
    })
    .await
    .unwrap();
    hub.close().await;
    // What is configured not to be kept is not.
    let mut hub = Gathering::open(dir.path(), &format!("keep_last = \"off\"\n{text}"));
    assert_eq!(hub.said("1").await.0, "cannot be reached");
    assert!(hub.keeper.is_none());
    assert!(!dir.path().join("state/last-known").exists());
}

#[tokio::test]
async fn a_database_that_is_down_leaves_its_last_figures_with_their_age_across_a_restart() {
    let mut server = or_skip!(Postgres::start().await);
    let mut filling = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    let table =
        "create table books (customer text, balance numeric); insert into books values ('1', 1250.50)";
    sqlx::raw_sql(table).execute(&mut filling).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "[[source]]\nname = \"books\"\ngives = \"balance\"\nsql = \"{}\"\ndeadline = \"20s\"\nrest_after = 2\n\
         rest = \"1h\"\nquery = \"select balance from books where customer = {{customer.id}}\"\n",
        server.url()
    );
    let mut hub = Gathering::open(dir.path(), &text);
    let Said(words, true_at) = hub.said("1").await;
    assert_eq!(words, "1250.50");
    drop(filling);
    server.kill();
    // The end of a connection may be seen in one way or another.
    let Said(words, at) = hub.said("1").await;
    assert!(words.starts_with("1250.50 old: ") && at == true_at, "{words}");
    hub.close().await;
    let mut hub = Gathering::open(dir.path(), &text);
    for expected in ["cannot be reached", "cannot be reached", RESTS] {
        assert_eq!(hub.said("1").await, Said(format!("1250.50 old: {expected}"), true_at));
    }
    hub.close().await;
}

#[tokio::test]
async fn a_hundred_equal_questions_at_once_cost_the_service_one() {
    let service = Web::anywhere(Does::Holds).await;
    let dir = tempfile::tempdir().unwrap();
    let mut hub = Gathering::open(dir.path(), &web(service.at, "deadline = \"20s\"\n"));
    (0..100).for_each(|_| hub.ask("1"));
    hub.ask("2");
    let joined = async || (hub.gather.figures().sources()[0].joined == 99).then_some(());
    until("all to have asked", SOON, joined).await.unwrap();
    service.does(Does::Tells(7));
    for _ in 0..101 {
        assert_eq!(hub.next().await.0, "7");
    }
    assert_eq!(service.asked(), 2, "one for each customer");
    assert_eq!(hub.said("1").await.0, "7");
    assert_eq!(service.asked(), 3, "what has ended is asked anew");
    hub.close().await;
}

#[tokio::test]
async fn a_service_that_fails_is_left_alone_and_tried_by_one_question() {
    let service = Web::anywhere(Does::Refuses(500)).await;
    let dir = tempfile::tempdir().unwrap();
    let more = "deadline = \"20s\"\nrest_after = 3\nrest = \"2s\"\n";
    let mut hub = Gathering::open(dir.path(), &web(service.at, more));
    for key in ["1", "2", "3"] {
        assert_eq!(hub.said(key).await.0, "refused: HTTP 500");
    }
    for n in 0..50 {
        assert_eq!(hub.said(&format!("r{n}")).await.0, RESTS);
    }
    assert_eq!(service.asked(), 3, "while it rests no question goes out, however many ask");
    hub.rested().await;
    service.does(Does::Holds);
    (0..20).for_each(|n| hub.ask(&format!("t{n}")));
    for _ in 0..19 {
        assert_eq!(hub.next().await.0, RESTS);
    }
    assert_eq!(hub.standing(), Standing::Tried);
    service.does(Does::Refuses(500));
    assert_eq!(hub.next().await.0, "refused: HTTP 500");
    assert_eq!(service.asked(), 4);
    hub.rested().await;
    service.does(Does::Tells(7));
    for (n, key) in ["1", "2", "3", "4"].into_iter().enumerate() {
        assert_eq!(hub.said(key).await.0, "7");
        assert_eq!(service.asked(), 5 + n);
    }
    hub.close().await;
}

fn balance(card: &Card) -> Option<(&Balance, Option<&Failure>, Timestamp)> {
    match &card.state {
        CardState::Filled { facts: Facts::Balance(balance), old, as_of, .. } => {
            Some((balance, old.as_ref(), *as_of))
        }
        _ => None,
    }
}

#[tokio::test]
async fn old_figures_reach_each_desktop_by_the_same_rights_as_new_ones() {
    let rights = "[rights.agent]\nhide = [\"accounting.overdue\"]\n";
    let site = Site::open_as(Wishes { more_hub: rights.to_owned(), ..Wishes::default() }).await.unwrap();
    let (mut hub, _adapter, desks) = site.all(&["ana", "sima"]).await.unwrap();
    // What each sees of one call, once its balance has come: new, or old and why.
    let seen = async |what: &str, old: Option<&Failure>| {
        let call = site.pbx().call(PretendCaller::new(LEVI.e164, LEVI.name), &[line("101")]).await;
        let mut ages = Vec::new();
        for (who, overdue) in [("ana", false), ("sima", true)] {
            let card = desks[who].until(what, |heard| {
                let [view] = heard.live()[..] else { return None };
                let card = view.cards.iter().find(|card| card.source.as_str() == "accounting")?;
                balance(card).filter(|(_, why, _)| *why == old).map(|_| card.clone())
            });
            let card = card.await.unwrap();
            let (balance, _, as_of) = balance(&card).unwrap();
            assert_eq!(
                (balance.balance.is_some(), balance.overdue.is_some()),
                (true, overdue),
                "{who}: {what}"
            );
            ages.push(as_of);
        }
        call.hang_up().await;
        for desk in desks.values() {
            desk.until("to hear that it ended", |heard| heard.live().is_empty().then_some(())).await.unwrap();
        }
        assert_eq!(ages[0], ages[1]);
        ages[0]
    };
    let true_at = seen("to see the balance", None).await;
    site.accounting.set_mood(Mood::Down).await.unwrap();
    let down = Some(&Failure::Unreachable);
    assert_eq!(seen("to see the old balance", down).await, true_at);
    hub.ask("TERM");
    until("the hub to end", SOON, async || hub.ended().ok().flatten()).await.unwrap();
    let _hub = site.hub().unwrap();
    for desk in desks.values() {
        desk.until("to be back", |heard| {
            let welcomes = heard.lines.iter().filter(|line| line["what"] == "welcome").count();
            (welcomes == 2 && heard.adapter_connected()).then_some(())
        })
        .await
        .unwrap();
    }
    assert_eq!(seen("to see the old balance after a restart", down).await, true_at);
    let file = std::fs::read(site.dir().join("hub-state/last-known")).unwrap();
    assert!(file.len() > 200 && !file.windows(7).any(|window| window == b"balance"));
}
