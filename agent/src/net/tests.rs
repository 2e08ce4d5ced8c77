//! The link against a hub of this test's own, over a real socket: what is told, and what is told once.

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::*;
use crate::model::login::{Attempt, Secret};
use crate::sample;
use crate::settings::{Settings, Shade};
use pinkas_protocol::{AgentId, CustomerKey, Private, Written};

struct Desk {
    listener: TcpListener,
    events: mpsc::Receiver<NetEvent>,
    says: mpsc::Sender<AgentSays>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

async fn desk() -> Desk {
    desk_with(Pass::Configured(Private("s3cret".to_owned()))).await
}

async fn desk_with(pass: Pass) -> Desk {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let config = Config {
        hub: format!("ws://127.0.0.1:{port}").parse().expect("an address"),
        agent: AgentId::parse("dana").expect("a name"),
        secret: None,
        settings: Settings {
            shade: Shade::Dark,
            edge: Default::default(),
            language: Default::default(),
            habits: Default::default(),
            sound: Default::default(),
            flash: Default::default(),
            notify: Default::default(),
            tray: Default::default(),
        },
        call_back: Default::default(),
        links: Default::default(),
        data: Default::default(),
        sound: Default::default(),
        shortcuts: Default::default(),
        file: Default::default(),
    };
    let (out, events) = mpsc::channel(MOST_EVENTS);
    let (says, says_out) = mpsc::channel(MOST_SAID);
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(config, pass, out, says_out, nobody_sleeps(), stop.clone()));
    Desk { listener, events, says, stop, running }
}

impl Desk {
    /// The next link, after its hello.
    async fn hub(&self) -> WebSocketStream<TcpStream> {
        self.hub_with("s3cret").await
    }

    async fn hub_with(&self, expected: &str) -> WebSocketStream<TcpStream> {
        let (stream, _) = self.listener.accept().await.expect("a connection");
        let mut socket = accept_async(stream).await.expect("a handshake");
        let AgentSays::Hello { version, agent, secret } = said(&mut socket).await else { panic!("a hello") };
        assert_eq!((version, agent.as_str(), secret.0.as_str()), (wire::VERSION, "dana", expected));
        socket
    }

    async fn event(&mut self) -> NetEvent {
        self.events.recv().await.expect("an event")
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.expect("an orderly end");
    }
}

async fn said(socket: &mut WebSocketStream<TcpStream>) -> AgentSays {
    loop {
        let frame = socket.next().await.expect("a frame").expect("a sound frame");
        if let Message::Text(text) = frame {
            return wire::decode(&text).expect("a message");
        }
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, message: HubToAgent) {
    socket.send(Message::text(wire::encode(&message))).await.expect("sent");
}

fn welcome() -> HubToAgent {
    let (now, lines) = (sample::at(0), vec![sample::line("101")]);
    HubToAgent::Welcome {
        name: "Dana".to_owned(),
        role: Role::Agent,
        lines,
        now,
        token: None,
        board: Board::default(),
        outcomes: vec![sample::outcome("ordered", "Ordered", &[])],
        reasons: sample::reasons(),
    }
}

#[tokio::test]
async fn a_lost_link_is_told_and_dialled_again_until_the_hub_is_back() {
    let mut desk = desk().await;
    let mut hub = desk.hub().await;
    say(&mut hub, welcome()).await;
    say(&mut hub, HubToAgent::Update { update: sample::rings(sample::call(1), "101") }).await;
    assert!(matches!(desk.event().await, NetEvent::Welcome { .. }));
    assert!(matches!(desk.event().await, NetEvent::Update { .. }));
    drop(hub);
    assert!(matches!(desk.event().await, NetEvent::Disconnected { why: Ended::Broken, .. }));
    let mut hub = desk.hub().await;
    say(&mut hub, welcome()).await;
    assert!(matches!(desk.event().await, NetEvent::Welcome { .. }));
    desk.end().await;
}

#[tokio::test]
async fn the_same_reason_is_told_once_however_often_it_is_tried() {
    let mut desk = desk().await;
    for _ in 0..3 {
        drop(desk.hub().await);
    }
    let mut hub = desk.hub().await;
    say(&mut hub, welcome()).await;
    assert!(matches!(desk.event().await, NetEvent::Disconnected { why: Ended::Broken, .. }));
    assert!(matches!(desk.event().await, NetEvent::Welcome { .. }));
    desk.end().await;
}

#[tokio::test]
async fn a_wrong_secret_is_told_as_such() {
    let mut desk = desk().await;
    let mut hub = desk.hub().await;
    let frame = CloseFrame { code: Close::WrongSecret.code().into(), reason: "".into() };
    hub.close(Some(frame)).await.expect("closed");
    let NetEvent::Disconnected { why, .. } = desk.event().await else { panic!("no link") };
    assert_eq!(why, Ended::Closed(Close::WrongSecret));
    desk.end().await;
}

#[tokio::test]
async fn a_choice_made_while_there_is_no_link_reaches_the_hub_after_the_welcome() {
    let desk = desk().await;
    let customer = CustomerKey::parse("C-2").ok();
    let choice = AgentSays::Choose { call: sample::call(1), customer };
    desk.says.send(choice.clone()).await.expect("room");
    let mut hub = desk.hub().await;
    say(&mut hub, welcome()).await;
    assert_eq!(said(&mut hub).await, choice);
    desk.end().await;
}

#[tokio::test]
async fn what_the_hub_answers_reaches_the_screen_with_the_number_of_its_question() {
    let mut desk = desk().await;
    let mut hub = desk.hub().await;
    say(&mut hub, welcome()).await;
    assert!(matches!(desk.event().await, NetEvent::Welcome { outcomes, .. } if outcomes.len() == 1));
    let id = Uuid::from_u128(7);
    let what = Written::Note { text: Private("call back".to_owned()) };
    let asked = [
        AgentSays::Write { id, call: sample::call(1), what },
        AgentSays::Handled { id, row: sample::call(1) },
        AgentSays::Done { id, follow_up: Uuid::from_u128(8) },
        AgentSays::History { ask: 3, before: Some(sample::call(9)), find: None },
        AgentSays::FollowUps { ask: 4 },
        AgentSays::Identified { call: sample::call(1), how: Private("date of birth".to_owned()) },
        AgentSays::Choose { call: sample::call(1), customer: None },
    ];
    for message in asked {
        desk.says.send(message.clone()).await.expect("room");
        assert_eq!(said(&mut hub).await, message);
    }
    let page = Page { more: Some(sample::call(2)), searched: Searched::Partly, ..Page::default() };
    let Page { calls, more, back_to, searched } = page.clone();
    for answer in [
        HubToAgent::Kept { id },
        HubToAgent::Refused { id, why: Refusal::Full },
        HubToAgent::Page { ask: 3, calls, more, back_to, searched },
        HubToAgent::FollowUps { ask: 4, follow_ups: Vec::new() },
    ] {
        say(&mut hub, answer).await;
    }
    assert!(matches!(desk.event().await, NetEvent::Kept { id: found, .. } if found == id));
    assert!(matches!(desk.event().await, NetEvent::Refused { why: Refusal::Full, .. }));
    let NetEvent::Page { ask, page: found, .. } = desk.event().await else { panic!("a page") };
    assert_eq!((ask, found), (3, page));
    assert!(matches!(desk.event().await, NetEvent::FollowUps { ask: 4, .. }));
    desk.end().await;
}

#[tokio::test]
async fn nonsense_from_a_hub_ends_the_link_and_not_the_program() {
    let mut desk = desk().await;
    let mut hub = desk.hub().await;
    hub.send(Message::text("{\"say\":\"surprise\"}")).await.expect("sent");
    assert!(matches!(desk.event().await, NetEvent::Disconnected { why: Ended::NotUnderstood(_), .. }));
    desk.end().await;
}

#[tokio::test]
async fn a_token_stands_for_the_password_until_the_hub_ends_it() {
    let mut desk = desk().await;
    let mut hub = desk.hub().await;
    let HubToAgent::Welcome { name, role, lines, now, board, outcomes, reasons, .. } = welcome() else {
        panic!("a welcome")
    };
    let token = Some(Private("pinkas_token".to_owned()));
    say(&mut hub, HubToAgent::Welcome { name, role, lines, now, token, board, outcomes, reasons }).await;
    assert!(matches!(desk.event().await, NetEvent::Welcome { .. }));
    drop(hub);
    let mut hub = desk.hub_with("pinkas_token").await;
    let frame = CloseFrame { code: Close::Revoked.code().into(), reason: "".into() };
    hub.close(Some(frame)).await.expect("closed");
    drop(hub);
    drop(desk.hub().await);
    desk.end().await;
}

fn asks() -> (watch::Sender<Option<Attempt>>, Pass) {
    let (attempts, asked) = watch::channel(None);
    (attempts, Pass::Asked(asked))
}

fn attempt(number: u64, secret: &str) -> Option<Attempt> {
    Some(Attempt { number, secret: Secret::new(secret.to_owned()) })
}

async fn refuse(mut hub: WebSocketStream<TcpStream>, close: Close) {
    let frame = CloseFrame { code: close.code().into(), reason: "".into() };
    hub.close(Some(frame)).await.expect("closed");
}

#[test]
fn a_refused_password_that_was_asked_for_is_no_key_a_second_time() {
    let (attempts, mut pass) = asks();
    let mut number = |refused| {
        let key = pass.key(refused).now_or_never()?;
        key.and_then(|key| key.attempt())
    };
    assert_eq!(number(None), None, "without a password nothing is dialled");
    attempts.send_replace(attempt(1, "wrong"));
    assert_eq!((number(None), number(Some(1))), (Some(1), None));
    attempts.send_replace(attempt(2, "wrong"));
    assert_eq!(number(Some(1)), Some(2), "typed once more it is another");
}

#[tokio::test]
async fn why_the_hub_refuses_a_password_that_was_asked_for_is_told_and_the_next_one_is_sent() {
    let (attempts, pass) = asks();
    let mut desk = desk_with(pass).await;
    for (number, close) in [(1, Close::WrongSecret), (2, Close::TooManyAttempts), (3, Close::Revoked)] {
        let secret = format!("wrong {number}");
        attempts.send_replace(attempt(number, &secret));
        refuse(desk.hub_with(&secret).await, close).await;
        let NetEvent::Login { attempt, refused, .. } = desk.event().await else { panic!("an answer") };
        assert_eq!((attempt, refused), (number, Some(close)));
    }
    attempts.send_replace(attempt(4, "s3cret"));
    let mut hub = desk.hub().await;
    say(&mut hub, welcome()).await;
    assert!(matches!(desk.event().await, NetEvent::Login { attempt: 4, refused: None, .. }));
    assert!(matches!(desk.event().await, NetEvent::Welcome { .. }));
    desk.end().await;
}

/// As after a password.
fn welcome_with_token() -> HubToAgent {
    let mut welcome = welcome();
    if let HubToAgent::Welcome { token, .. } = &mut welcome {
        *token = Some(Private("pinkas_token".to_owned()));
    }
    welcome
}

#[tokio::test]
async fn who_logs_out_has_no_link_and_who_logs_in_anew_has_one_with_the_new_password() {
    let (attempts, pass) = asks();
    let mut desk = desk_with(pass).await;
    attempts.send_replace(attempt(1, "s3cret"));
    let mut hub = desk.hub().await;
    say(&mut hub, welcome_with_token()).await;
    assert!(matches!(desk.event().await, NetEvent::Login { refused: None, .. }));
    assert!(matches!(desk.event().await, NetEvent::Welcome { .. }));
    attempts.send_replace(None);
    assert!(matches!(hub.next().await, Some(Ok(Message::Close(_)))), "the link is closed");
    attempts.send_replace(attempt(2, "other"));
    // Not the token of the login before.
    drop(desk.hub_with("other").await);
    desk.end().await;
}

#[tokio::test]
async fn an_ended_token_is_followed_by_the_password_that_was_asked_for() {
    let (attempts, pass) = asks();
    let mut desk = desk_with(pass).await;
    attempts.send_replace(attempt(1, "s3cret"));
    let mut hub = desk.hub().await;
    say(&mut hub, welcome_with_token()).await;
    drop(hub);
    refuse(desk.hub_with("pinkas_token").await, Close::Revoked).await;
    let mut hub = desk.hub().await;
    say(&mut hub, welcome()).await;
    let mut refused = 0;
    loop {
        match desk.event().await {
            NetEvent::Login { refused: Some(_), .. } => refused += 1,
            NetEvent::Disconnected { why: Ended::Closed(Close::Revoked), .. } => break,
            _ => {}
        }
    }
    assert_eq!(refused, 0, "nobody is asked");
    desk.end().await;
}
