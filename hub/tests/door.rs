//! A whole hub behind TLS: what a role may not see is in no byte of its socket, and a new certificate drops
//! nobody.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use pinkas_hub::{config, run};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::sync::CancellationToken;

const CALL: &str = "019d0000-0000-7000-8000-000000000001";
const SOON: Duration = Duration::from_secs(20);

/// A stream that remembers every byte it read.
struct Tapped {
    inner: TlsStream<TcpStream>,
    read: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, into);
        self.read.lock().expect("no panic").extend(&into.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, c: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(c, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, c: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(c)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, c: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(c)
    }
}

struct Link {
    socket: WebSocketStream<Tapped>,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Link {
    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// Reads until something that was read holds this text.
    async fn until(&mut self, text: &str) {
        while !self.has(text) {
            let next = tokio::time::timeout(SOON, self.socket.next()).await;
            next.unwrap_or_else(|_| panic!("no {text}")).expect("a frame").expect("a sound frame");
        }
    }

    fn has(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.read.lock().expect("no panic")).contains(text)
    }
}

/// Writes a certificate for 127.0.0.1 and gives what trusts it.
fn certificate(dir: &Path) -> TlsConnector {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(dir.join("hub.key"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(dir.join("hub.crt"), made.cert.pem()).expect("written");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A session that is resumed shows no certificate.
    config.resumption = Resumption::disabled();
    TlsConnector::from(Arc::new(config))
}

async fn dial(hub: SocketAddr, trust: &TlsConnector, path: &str) -> io::Result<Link> {
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let inner = trust.connect(name, TcpStream::connect(hub).await?).await?;
    let read = Arc::<Mutex<Vec<u8>>>::default();
    let tapped = Tapped { inner, read: read.clone() };
    let (socket, _) = client_async(format!("wss://127.0.0.1{path}"), tapped).await.expect("a handshake");
    Ok(Link { socket, read })
}

async fn person(hub: SocketAddr, trust: &TlsConnector, who: &str) -> Link {
    let mut link = dial(hub, trust, "/agent").await.expect("a link");
    let version = pinkas_protocol::wire::VERSION;
    link.say(json!({"say": "hello", "version": version, "agent": who, "secret": format!("{who}'s secret")}))
        .await;
    link.until("\"say\":\"welcome\"").await;
    link
}

const HUB: &str = r#"
[tls]
certificate = "hub.crt"
key = "hub.key"
[[adapter]]
name = "main"
secret_file = "main.secret"
[[agent]]
id = "ana"
lines = ["101"]
secret_file = "ana.secret"
[[agent]]
id = "root"
role = "admin"
secret_file = "root.secret"
[rights]
sensitive = ["credit.limit"]
[rights.agent]
hide = ["customer.place", "terms.note"]
[[source]]
name = "people"
gives = "customer"
csv = "people.csv"
[[source]]
name = "terms"
gives = "credit"
csv = "terms.csv"
currency = "ILS"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_of_a_socket_holds_what_its_person_may_not_see_and_a_new_certificate_drops_nobody() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("hub.toml", HUB);
    for name in ["main", "ana", "root"] {
        write(&format!("{name}.secret"), &format!("{name}'s secret"));
    }
    write("people.csv", "number,id,name,place\n+972501234567,K1,Levi,Canaryville\n");
    write("terms.csv", "customer_id,credit_limit,days,note\nK1,987654.25,30,a canary sings\n");
    let trust = certificate(dir.path());
    let mut config = config::load(&dir.path().join("hub.toml")).unwrap_or_else(|e| panic!("{e}"));
    config.state = dir.path().join("state");
    config.access.tokens = dir.path().join("state/tokens");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let hub = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let running = tokio::spawn(run::run(config, listener, stop.clone()));

    let (mut ana, mut root) = (person(hub, &trust, "ana").await, person(hub, &trust, "root").await);
    let mut adapter = dial(hub, &trust, "/adapter").await.expect("a link");
    let version = pinkas_protocol::wire::VERSION;
    let outbox = "019d0000-0000-7000-8000-0000000000aa";
    adapter.say(json!({"say": "hello", "version": version, "adapter": "main", "secret": "main's secret", "outbox": outbox})).await;
    adapter.until("\"say\":\"welcome\"").await;
    let event = |sequence: u32, change: Value| {
        let mut event = json!({"event": "call", "call": CALL, "heard_at": "2026-11-22T10:00:00Z"});
        event.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        json!({"say": "event", "sequence": sequence, "event": event})
    };
    let number = json!({"number": {"kind": "e164", "e164": "+972501234567"}});
    adapter.say(event(1, json!({"change": "arrived", "caller": number}))).await;
    adapter.say(event(2, json!({"change": "offered", "line": "101"}))).await;
    for link in [&mut ana, &mut root] {
        link.until("\"days\":30").await;
    }
    assert!(ana.has("Levi") && ana.has("\"folded\":[\"limit\"]"));
    for canary in ["Canaryville", "987654", "canary sings"] {
        assert!(!ana.has(canary), "{canary} reached an agent");
    }
    assert!(root.has("Canaryville") && root.has("canary sings") && !root.has("987654"));

    // The files change; the links above stay, and new ones need the new root.
    let newer = certificate(dir.path());
    let renewed = async {
        while dial(hub, &newer, "/agent").await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), renewed).await.expect("the new certificate is used");
    assert!(dial(hub, &trust, "/agent").await.is_err(), "the old root no longer does");

    adapter.say(event(3, json!({"change": "answered", "line": "101"}))).await;
    ana.until("\"state\":\"answered\"").await;
    ana.say(json!({"say": "identified", "call": CALL, "how": "asked for the tax number"})).await;
    ana.until("987654").await;
    assert!(!ana.has("Canaryville") && !ana.has("canary sings"));
    stop.cancel();
    running.await.expect("no panic").expect("an orderly end");
    let mut seen = Vec::new();
    pinkas_hub::store::print_seen(&dir.path().join("state"), &mut seen).expect("a record");
    let seen = String::from_utf8(seen).expect("text");
    let row = seen
        .lines()
        .find(|row| row.contains("\"ana\"") && row.contains("terms.limit"))
        .expect("the unfolding");
    assert!(row.contains("asked for the tax number") && row.contains("\"K1\""), "{row}");
}
