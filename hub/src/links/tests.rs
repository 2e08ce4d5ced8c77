//! The one door from outside: who says what before and after a hello, who is too slow to come in, and which pages
//! of browsers may. The core is played by the test: whatever reaches it was let through.

use std::net::SocketAddr;
use std::sync::Mutex;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use pinkas_protocol::agent_link::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;
use crate::access::testing;
use crate::core::Agent;

const SOON: Duration = Duration::from_secs(20);
const CALL: &str = "019d0000-0000-7000-8000-000000000001";

/// A door, and what reached the core through it.
struct Gate {
    at: SocketAddr,
    reached: Arc<Mutex<Vec<&'static str>>>,
    _dir: tempfile::TempDir,
}

async fn gate(door: Door) -> Gate {
    let dir = tempfile::tempdir().expect("a folder");
    let mut settings = testing::settings(dir.path());
    for (name, role) in [("ana", Role::Agent), ("sima", Role::Supervisor), ("root", Role::Admin)] {
        let id: AgentId = name.parse().expect("an id");
        settings.agents.insert(id.clone(), Private(format!("{name}'s secret")));
        let agent = Agent { name: name.to_owned(), lines: Vec::new(), role, teams: Default::default() };
        settings.people.push((id, agent));
    }
    settings.adapters.insert("main".parse().expect("an id"), Private("main's secret".to_owned()));
    let access = Arc::new(Access::open(settings).expect("opened"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let at = listener.local_addr().expect("an address");
    let (hub, mut inbox) = mpsc::channel(64);
    tokio::spawn(serve(listener, door, Arc::new(Doors { access, hub }), CancellationToken::new()));
    let reached = Arc::<Mutex<Vec<&'static str>>>::default();
    let noted = reached.clone();
    tokio::spawn(async move {
        let mut ways_back = Vec::new();
        while let Some(said) = inbox.recv().await {
            let name = match said {
                ToHub::AdapterUp { out, .. } | ToHub::AgentUp { out, .. } => {
                    let _ = out.try_send(ToLink::Frame("{\"say\":\"welcome\"}".into()));
                    ways_back.push(out);
                    continue;
                }
                ToHub::AdapterDown { .. } | ToHub::AgentDown { .. } | ToHub::Staff(_) => continue,
                ToHub::Said { .. } => "an adapter's word",
                ToHub::Identified { .. }
                | ToHub::Chose { .. }
                | ToHub::FindCustomer { .. }
                | ToHub::OwnState { .. }
                | ToHub::WrapUp { .. }
                | ToHub::Record { .. } => "a desktop's word",
            };
            noted.lock().expect("no panic").push(name);
        }
    });
    Gate { at, reached, _dir: dir }
}

impl Gate {
    fn reached(&self) -> Vec<&'static str> {
        self.reached.lock().expect("no panic").clone()
    }

    async fn dials(&self, path: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        connect_async(format!("ws://{}{path}", self.at)).await.expect("a link").0
    }
}

fn hello_of_adapter(name: &str) -> String {
    let outbox = "019d0000-0000-7000-8000-0000000000aa";
    let version = wire::VERSION;
    format!(
        "{{\"say\":\"hello\",\"version\":{version},\"adapter\":\"{name}\",\"secret\":\"{name}'s secret\",\"outbox\":\"{outbox}\"}}"
    )
}

fn hello_of(who: &str) -> String {
    let version = wire::VERSION;
    format!("{{\"say\":\"hello\",\"version\":{version},\"agent\":\"{who}\",\"secret\":\"{who}'s secret\"}}")
}

/// All that an adapter may say after its hello.
fn words_of_an_adapter() -> Vec<String> {
    vec![
        format!(
            "{{\"say\":\"event\",\"sequence\":1,\"event\":{{\"event\":\"call\",\"call\":\"{CALL}\",\"heard_at\":\"2026-11-22T10:00:00Z\",\"change\":\"offered\",\"line\":\"101\"}}}}"
        ),
        "{\"say\":\"lines\",\"lines\":[\"101\"],\"last\":true}".to_owned(),
        "{\"say\":\"live\",\"calls\":[],\"last\":true}".to_owned(),
    ]
}

/// All that a desktop may say after its hello.
fn words_of_a_desktop() -> Vec<String> {
    [
        "\"say\":\"choose\",\"call\":\"CALL\",\"customer\":\"1001\"",
        "\"say\":\"choose\",\"call\":\"CALL\"",
        "\"say\":\"identified\",\"call\":\"CALL\",\"how\":\"asked\"",
        "\"say\":\"write\",\"id\":\"CALL\",\"call\":\"CALL\",\"what\":\"note\",\"text\":\"a note\"",
        "\"say\":\"handled\",\"id\":\"CALL\",\"row\":\"CALL\"",
        "\"say\":\"done\",\"id\":\"CALL\",\"follow_up\":\"CALL\"",
        "\"say\":\"history\",\"ask\":1",
        "\"say\":\"follow_ups\",\"ask\":1",
        "\"say\":\"state\",\"state\":\"not_ready\",\"reason\":\"lunch\"",
        "\"say\":\"state\",\"state\":\"ready\"",
        "\"say\":\"wrap_up\",\"call\":\"CALL\"",
        "\"say\":\"wrap_up\"",
    ]
    .map(|word| format!("{{{}}}", word.replace("CALL", CALL)))
    .to_vec()
}

/// What nobody may say to the hub.
fn words_of_nobody() -> Vec<String> {
    [
        "{\"say\":\"welcome\",\"durable\":0}",
        "{\"say\":\"durable\",\"sequence\":7}",
        "{\"say\":\"kept\",\"id\":\"019d0000-0000-7000-8000-000000000001\"}",
        "{\"say\":\"update\",\"update\":{\"update\":\"line_gone\",\"line\":\"101\"}}",
        "{\"say\":\"dance\"}",
        "{}",
        "",
        "null",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// With which code the hub closes, or `None` when it goes on: then it answers a ping.
async fn closes(socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>) -> Option<u16> {
    let told = async {
        // Written when the socket may be closed already.
        let _ = socket.send(Frame::Ping("still there?".into())).await;
        loop {
            match socket.next().await {
                Some(Ok(Frame::Pong(said))) if said == "still there?" => return None,
                Some(Ok(Frame::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Some(0),
            }
        }
    };
    tokio::time::timeout(SOON, told).await.expect("it answers or closes")
}

#[tokio::test]
async fn a_link_takes_the_words_of_its_side_from_every_role_and_no_others() {
    let gate = gate(Door::default()).await;
    let adapters = ("/adapter", "an adapter's word", vec![hello_of_adapter("main")], words_of_an_adapter());
    let people = ["ana", "sima", "root"].map(hello_of).to_vec();
    let desktops = ("/agent", "a desktop's word", people, words_of_a_desktop());
    let hellos = [hello_of_adapter("main"), hello_of("ana")].to_vec();
    let everything = [words_of_an_adapter(), words_of_a_desktop(), words_of_nobody(), hellos].concat();
    for (path, its, hellos, own) in [adapters, desktops] {
        for hello in hellos {
            for word in &everything {
                let mut socket = gate.dials(path).await;
                socket.send(Frame::text(hello.clone())).await.expect("sent");
                assert_eq!(closes(&mut socket).await, None, "{hello}");
                gate.reached.lock().expect("no panic").clear();
                socket.send(Frame::text(word.clone())).await.expect("sent");
                let closed = closes(&mut socket).await;
                let taken = own.contains(word);
                let expected = if taken { None } else { Some(Close::BadMessage.code()) };
                assert_eq!(closed, expected, "{hello} then {word}");
                let reached = if taken { vec![its] } else { Vec::new() };
                assert_eq!(gate.reached(), reached, "{hello} then {word}");
            }
        }
    }
}

#[tokio::test]
async fn a_secret_of_one_side_opens_nothing_on_the_other() {
    let gate = gate(Door::default()).await;
    let version = wire::VERSION;
    let outbox = "\"outbox\":\"019d0000-0000-7000-8000-0000000000aa\"";
    for (path, hello, code) in [
        ("/adapter", hello_of_adapter("ana"), Close::WrongSecret),
        ("/adapter", hello_of("ana"), Close::BadMessage),
        ("/agent", hello_of("main"), Close::WrongSecret),
        ("/agent", hello_of_adapter("main"), Close::BadMessage),
        (
            "/agent",
            format!(
                "{{\"say\":\"hello\",\"version\":{version},\"agent\":\"ana\",\"secret\":\"sima's secret\"}}"
            ),
            Close::WrongSecret,
        ),
        (
            "/agent",
            format!("{{\"say\":\"hello\",\"version\":{version},\"agent\":\"ana\",\"secret\":\"\"}}"),
            Close::WrongSecret,
        ),
        (
            "/agent",
            "{\"say\":\"hello\",\"version\":1,\"agent\":\"ana\",\"secret\":\"ana's secret\"}".to_owned(),
            Close::WrongVersion,
        ),
        (
            "/adapter",
            format!(
                "{{\"say\":\"hello\",\"version\":1,\"adapter\":\"main\",\"secret\":\"main's secret\",{outbox}}}"
            ),
            Close::WrongVersion,
        ),
    ] {
        let mut socket = gate.dials(path).await;
        socket.send(Frame::text(hello.clone())).await.expect("sent");
        assert_eq!(closes(&mut socket).await, Some(code.code()), "{path}: {hello}");
    }
    assert!(gate.reached().is_empty());
}

#[tokio::test]
async fn before_a_hello_nothing_is_heard_and_whoever_says_anything_else_is_closed_at_once() {
    let gate = gate(Door::default()).await;
    let words = [words_of_an_adapter(), words_of_a_desktop(), words_of_nobody()].concat();
    let mut frames: Vec<Frame> = words.into_iter().map(Frame::text).collect();
    frames.push(Frame::binary(hello_of("ana").into_bytes()));
    frames.push(Frame::Ping("here".into()));
    frames.push(Frame::Pong("here".into()));
    frames.push(Frame::text("x".repeat(wire::LARGEST_UP + 1)));
    let since = Instant::now();
    for path in ["/adapter", "/agent"] {
        let closed = join_all(frames.iter().map(async |frame| {
            let mut socket = gate.dials(path).await;
            // What is too large may be cut off while it is sent.
            let _ = socket.send(frame.clone()).await;
            // A hello that comes after it is not heard either.
            let _ = socket.send(Frame::text(hello_of("ana"))).await;
            closes(&mut socket).await
        }));
        for (frame, code) in frames.iter().zip(closed.await) {
            let refused = [Close::BadMessage.code(), Close::NoHello.code(), 0];
            assert!(code.is_some_and(|code| refused.contains(&code)), "{path} {frame:?}: {code:?}");
        }
    }
    assert!(gate.reached().is_empty(), "{:?}", gate.reached());
    assert!(since.elapsed() < SOON);
}

#[tokio::test(start_paused = true)]
async fn whoever_never_ends_a_hello_is_closed_after_its_time() {
    let gate = gate(Door::default()).await;
    for path in ["/adapter", "/agent"] {
        for half in [false, true] {
            let mut socket = gate.dials(path).await;
            let since = Instant::now();
            if half {
                use tokio_tungstenite::tungstenite::protocol::frame::Frame as Part;
                let part =
                    Part::message("{\"say\":\"hel".as_bytes().to_vec(), OpCode::Data(Data::Text), false);
                socket.send(Frame::Frame(part)).await.expect("sent");
            }
            let code = loop {
                match socket.next().await {
                    Some(Ok(Frame::Close(frame))) => break frame.map(|frame| u16::from(frame.code)),
                    Some(Ok(_)) => {}
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(code, Some(Close::NoHello.code()), "{path}, half a hello: {half}");
            assert!(since.elapsed() < HELLO_WITHIN + Duration::from_secs(2), "{:?}", since.elapsed());
        }
    }
    assert!(gate.reached().is_empty());
}

/// What an HTTP request for a link is answered with, with these lines added to its head.
async fn asked(gate: &Gate, path: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(gate.at).await.expect("it lets in");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut told = vec![0; 12];
    let read = tokio::time::timeout(SOON, stream.read_exact(&mut told)).await;
    read.expect("in time").expect("an answer");
    String::from_utf8_lossy(&told).split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn only_pages_that_are_listed_get_a_link_whatever_their_origin_looks_like() {
    let listed = vec!["https://crm.example".to_owned(), "http://10.0.0.5:8080".to_owned()];
    let gate = gate(Door { origins: listed, ..Door::default() }).await;
    for path in ["/agent", "/adapter"] {
        for (origins, answer) in [
            (&[][..], "101"),
            (&["https://crm.example"], "101"),
            (&["http://10.0.0.5:8080"], "101"),
            (&["https://crm.example", "https://crm.example"], "101"),
            (&["https://evil.example"], "403"),
            (&["http://crm.example"], "403"),
            (&["https://crm.example:8443"], "403"),
            (&["https://crm.example.evil.example"], "403"),
            (&["https://crm.example/"], "403"),
            (&["HTTPS://CRM.EXAMPLE"], "403"),
            (&["null"], "403"),
            (&[""], "403"),
            (&["https://crm.example, https://evil.example"], "403"),
            (&["https://crm.example", "https://evil.example"], "403"),
            (&["https://evil.example", "https://crm.example"], "403"),
        ] {
            let lines: String = origins.iter().map(|origin| format!("Origin: {origin}\r\n")).collect();
            assert_eq!(asked(&gate, path, &lines).await, answer, "{path} {origins:?}");
        }
    }
    assert_eq!(asked(&gate, "/healthz", "Origin: https://evil.example\r\n").await, "200", "it says nothing");
    let unlisted = super::tests::gate(Door::default()).await;
    assert_eq!(asked(&unlisted, "/agent", "Origin: https://crm.example\r\n").await, "403", "by default none");
}
