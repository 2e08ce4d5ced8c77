//! A running hub asked by whoever looks after it: `why` and `simulate` with real programs, through the door in
//! the state folder.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SOON: Duration = Duration::from_secs(20);
const CALL: &str = "019d0000-0000-7000-8000-000000000001";
const HUB: &str = r#"
country = "IL"
state = "state"
[[adapter]]
name = "main"
secret_file = "main.secret"
[[agent]]
id = "ana"
lines = ["101"]
secret_file = "ana.secret"
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

/// A folder with a configuration, and a hub that runs there.
struct Office {
    dir: tempfile::TempDir,
    hub: Option<Child>,
    at: String,
    /// Where its figures are.
    figures: String,
}

impl Office {
    async fn open() -> Office {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        for name in ["main", "ana"] {
            write(&format!("{name}.secret"), &format!("{name}'s secret"));
        }
        write("people.csv", "number,id,name\n+972501234567,K1,Levi\n");
        write("terms.csv", "customer_id,credit_limit,days\nK1,5000,30\n");
        let mut office = Office { dir, hub: None, at: String::new(), figures: free_port() };
        office.start().await;
        office
    }

    async fn start(&mut self) {
        let at = free_port();
        let config = format!("listen = \"{at}\"\n{HUB}[metrics]\nlisten = \"{}\"\n", self.figures);
        std::fs::write(self.dir.path().join("hub.toml"), config).expect("written");
        let mut hub = command(self.dir.path());
        let hub = hub.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the hub runs");
        self.hub = Some(hub);
        self.at = at;
        self.says("hub listens on").await;
    }

    async fn says(&mut self, word: &str) {
        let hub = self.hub.as_mut().expect("a hub");
        let mut lines = BufReader::new(hub.stderr.take().expect("its log")).lines();
        let found = async {
            while let Some(line) = lines.next_line().await.expect("a log") {
                if line.contains(word) {
                    return;
                }
            }
            panic!("the hub ended without saying {word}");
        };
        tokio::time::timeout(SOON, found).await.expect("in time");
        // Its log is read on, so that it never waits.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    }

    /// Runs a command beside the hub to its end.
    async fn asks(&self, arguments: &[&str]) -> (bool, String) {
        let out = command(self.dir.path()).args(arguments).output();
        let out = tokio::time::timeout(SOON, out).await.expect("in time").expect("it runs");
        let text = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8(text).expect("text"))
    }

    async fn links(&self, path: &str, hello: Value) -> Link {
        let (socket, _) = connect_async(format!("ws://{}{path}", self.at)).await.expect("a link");
        let mut link = Link(socket);
        link.say(hello).await;
        link.until("welcome").await;
        link
    }

    async fn ana(&self) -> Link {
        self.links("/agent", json!({"say": "hello", "version": 3, "agent": "ana", "secret": "ana's secret"}))
            .await
    }

    async fn adapter(&self) -> Link {
        let outbox = "019d0000-0000-7000-8000-0000000000aa";
        let hello = json!({"say": "hello", "version": 3, "adapter": "main", "secret": "main's secret", "outbox": outbox});
        self.links("/adapter", hello).await
    }

    /// The page of figures.
    async fn figures(&self) -> String {
        let mut stream = tokio::net::TcpStream::connect(&self.figures).await.expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
        let mut told = String::new();
        let read = tokio::time::timeout(SOON, stream.read_to_string(&mut told)).await;
        read.expect("in time").expect("a page");
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
        told
    }

    fn kill(&mut self) -> impl Future<Output = ()> {
        let mut hub = self.hub.take().expect("a hub");
        async move { hub.kill().await.expect("killed") }
    }
}

/// The kernel names one; the hub is told before another program can be.
fn free_port() -> String {
    let free = std::net::TcpListener::bind("127.0.31.1:0").expect("a free port");
    free.local_addr().expect("an address").to_string()
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-hub"));
    command.current_dir(dir).env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

struct Link(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Link {
    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// The next message in which this text stands.
    async fn until(&mut self, text: &str) -> String {
        let found = async {
            loop {
                let frame = self.0.next().await.expect("a frame").expect("a sound frame");
                if let Message::Text(said) = frame
                    && said.contains(text)
                {
                    return said.to_string();
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("no {text}"))
    }

    async fn event(&mut self, sequence: u32, change: Value) {
        let now = jiff::Timestamp::now().to_string();
        let mut event = json!({"event": "call", "call": CALL, "heard_at": now});
        event.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        self.say(json!({"say": "event", "sequence": sequence, "event": event})).await;
    }
}

#[tokio::test]
async fn why_is_answered_by_a_hub_that_runs_and_by_the_record_of_one_that_does_not() {
    let mut office = Office::open().await;
    let (mut ana, mut adapter) = (office.ana().await, office.adapter().await);
    let number = json!({"number": {"kind": "e164", "e164": "+972501234567"}});
    adapter.event(1, json!({"change": "arrived", "caller": number})).await;
    adapter.event(2, json!({"change": "offered", "line": "101"})).await;
    adapter.event(3, json!({"change": "offered", "line": "102"})).await;
    ana.until("\"days\":30").await;
    adapter.until("\"durable\",\"sequence\":3").await;
    let expected = [
        "from +972 50-123-4567",
        "Levi (K1)",
        "card of terms: filled after",
        "101: popped at ana's desktop, ",
        "At 101 it popped for ana.",
        "At 102 it did not pop: this phone is in nobody's `lines`",
    ];
    for which in ["last", CALL, "050-123-4567"] {
        let (fine, text) = office.asks(&["why", which]).await;
        assert!(fine && expected.iter().all(|words| text.contains(words)), "{which}: {text}");
    }
    let (fine, text) = office.asks(&["why", "--line", "102", "--json"]).await;
    let account: Value = serde_json::from_str(&text).expect("one JSON object");
    assert!(fine && account["call"]["id"] == CALL && account["phone"]["line"] == "102", "{text}");
    let (fine, text) = office.asks(&["why", "no number"]).await;
    assert!(!fine && text.contains("this is no phone number"), "{text}");
    let door = std::fs::metadata(office.dir.path().join("state/admin.sock")).expect("a door");
    assert_eq!(door.permissions().mode() & 0o777, 0o600);

    // Killed, it leaves its door behind: the record answers, and the next hub has a door again.
    office.kill().await;
    let (fine, text) = office.asks(&["why", "--line", "101"]).await;
    assert!(
        fine && text.contains("At 101 it popped for ana.") && text.contains("101 belongs to ana."),
        "{text}"
    );
    let (fine, text) = office.asks(&["simulate", "--number", "050-123-4567"]).await;
    assert!(!fine && text.contains("no hub runs here"), "{text}");
    office.start().await;
    let (fine, text) = office.asks(&["why", CALL]).await;
    assert!(fine && text.contains("At 101 it popped for ana."), "{text}");
}

#[tokio::test]
async fn a_simulated_call_pops_marked_hangs_up_by_itself_and_leaves_nothing() {
    let mut office = Office::open().await;
    let mut ana = office.ana().await;
    let simulate = |lasts: &'static str| {
        let arguments = ["simulate", "--number", "050-123-4567", "--line", "101", "--queue", "Sales"];
        let mut simulate = command(office.dir.path());
        simulate.args(arguments).args(["--tag", "menu=2", "--for", lasts]).kill_on_drop(true);
        simulate.stdout(Stdio::piped()).spawn().expect("it runs")
    };
    let mut shown = simulate("700ms");
    let pop = ana.until("\"trial\":true").await;
    assert!(pop.contains("\"101\"") && pop.contains("\"menu\":\"2\"") && pop.contains("\"Sales\""), "{pop}");
    ana.until("\"days\":30").await;
    ana.until("\"update\":\"ended\"").await;
    let mut text = String::new();
    shown.stdout.take().expect("its words").read_to_string(&mut text).await.expect("read");
    assert!(shown.wait().await.expect("it ends").success(), "{text}");
    for words in ["A pretended call from +972 50-123-4567 rings at 101", "At 101 it popped for ana."] {
        assert!(text.contains(words), "{text}");
    }
    // Whoever asked for it goes away: it hangs up at once, not in ten minutes.
    let mut cut = simulate("10m");
    ana.until("\"trial\":true").await;
    ana.until("\"days\":30").await;
    cut.kill().await.expect("killed");
    ana.until("\"update\":\"ended\"").await;
    // A trial that a killed hub had is not there any more either.
    let _still_rings = simulate("10m");
    ana.until("\"trial\":true").await;
    office.kill().await;
    let (_, export) = office.asks(&["export"]).await;
    assert!(!export.contains("972501234567") && !export.contains("Sales"), "{export}");
    let (_, seen) = office.asks(&["log", "--seen"]).await;
    assert!(seen.contains("\"agent\":\"ana\"") && seen.contains("\"K1\""), "who saw a card is noted: {seen}");
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_at_the_door_costs_little_and_is_shown_out() {
    let office = Office::open().await;
    let door = office.dir.path().join("state/admin.sock");
    let told = async |text: &[u8]| {
        let mut stream = UnixStream::connect(&door).await.expect("a door");
        // The hub may have shown us out before all of it was said.
        let _ = stream.write_all(text).await;
        let mut told = String::new();
        let _ = tokio::time::timeout(SOON, stream.read_to_string(&mut told)).await.expect("it ends");
        told
    };
    assert!(told(b"{\"ask\":\"dance\"}\n").await.contains("does not know the question"));
    assert!(
        told(&[b'x'; 100_000]).await.contains("does not know the question") || told(b"\n").await.len() > 2
    );
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(UnixStream::connect(&door).await.ok());
    }
    let since = tokio::time::Instant::now();
    let (fine, text) = office.asks(&["why"]).await;
    assert!(fine && text.contains("holds no such call"), "{text}");
    assert!(since.elapsed() < SOON, "after those before it were shown out");
    drop(silent);
}

#[tokio::test]
async fn the_page_of_figures_counts_what_happens_names_nobody_and_is_that_of_the_guide() {
    let office = Office::open().await;
    let (mut ana, mut adapter) = (office.ana().await, office.adapter().await);
    let number = json!({"number": {"kind": "e164", "e164": "+972501234567"}, "name": "Canary"});
    adapter.event(1, json!({"change": "arrived", "caller": number})).await;
    adapter.event(2, json!({"change": "offered", "line": "101"})).await;
    adapter.event(3, json!({"change": "offered", "line": "102"})).await;
    ana.until("\"days\":30").await;
    adapter.until("\"durable\",\"sequence\":3").await;
    let (fine, text) =
        office.asks(&["simulate", "--number", "050-123-4567", "--line", "101", "--for", "50ms"]).await;
    assert!(fine, "{text}");
    let page = office.figures().await;
    for figure in [
        "pinkas_hub_calls_total 1",
        "pinkas_hub_calls_live 1",
        "pinkas_hub_pops_total{at=\"phone\"} 1",
        "pinkas_hub_no_pops_total{why=\"nobody_has_this_phone\"} 1",
        "pinkas_hub_heard_to_told_seconds_count 1",
        "pinkas_hub_heard_to_hub_seconds_count{adapter=\"main\"} 3",
        // A trial asks real sources.
        "pinkas_hub_source_answers_total{source=\"terms\",came=\"filled\"} 2",
        "pinkas_hub_source_seconds_count{source=\"people\"} 2",
        "pinkas_hub_source_rests{source=\"terms\"} 0",
        "pinkas_hub_desktops{role=\"agent\"} 1",
        "pinkas_hub_desktops{role=\"supervisor\"} 0",
        "pinkas_hub_adapters 1",
        "pinkas_hub_unacknowledged_events{adapter=\"main\"} 0",
        "pinkas_hub_store_waiting 0",
        "pinkas_hub_store_stopped 0",
    ] {
        assert!(page.lines().any(|line| line == figure), "{figure}: {page}");
    }
    for word in ["972501234567", "501234567", "Canary", "Levi", "K1", CALL] {
        assert!(!page.contains(word), "{word}: {page}");
    }
    adapter.event(4, json!({"change": "ended", "how": "completed"})).await;
    adapter.until("\"durable\",\"sequence\":4").await;
    let page = office.figures().await;
    assert!(page.contains("pinkas_hub_calls_ended_total{how=\"completed\"} 1"), "{page}");
    assert!(page.contains("\npinkas_hub_calls_live 0\n"), "{page}");
    let guide = include_str!("../../docs/running.md");
    let shown = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<_> = shown.filter(|name| !guide.contains(&format!("`{name}"))).collect();
    assert!(missing.is_empty(), "docs/running.md does not explain {missing:?}");
}
