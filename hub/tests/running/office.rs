//! An office for tests of a running hub: a folder with a configuration, the real program, links to it and commands
//! beside it.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub const SOON: Duration = Duration::from_secs(20);
pub const CALL: &str = "019d0000-0000-7000-8000-000000000001";
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
pub struct Office {
    pub dir: tempfile::TempDir,
    pub hub: Option<Child>,
    pub at: String,
    /// Where its figures are.
    figures_at: String,
    /// What the hub has logged, over all its starts.
    logged: Arc<Mutex<Vec<String>>>,
}

impl Office {
    pub async fn open() -> Office {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        for name in ["main", "ana"] {
            write(&format!("{name}.secret"), &format!("{name}'s secret"));
        }
        write("people.csv", "number,id,name\n+972501234567,K1,Levi\n");
        write("terms.csv", "customer_id,credit_limit,days\nK1,5000,30\n");
        let mut office =
            Office { dir, hub: None, at: String::new(), figures_at: free_port(), logged: Arc::default() };
        office.start().await;
        office
    }

    pub async fn start(&mut self) {
        self.start_as(command(self.dir.path())).await;
    }

    /// Starts the hub where no file may grow beyond so many KiB: the shell lets it see that as an error, as a full
    /// disk would be.
    pub async fn start_on_a_disk_of(&mut self, kib: u32) {
        let mut command = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_pinkas-hub")]);
        command.current_dir(self.dir.path()).env("RUST_LOG", "info").stdin(Stdio::null());
        self.start_as(command).await;
    }

    async fn start_as(&mut self, mut hub: Command) {
        let at = free_port();
        let config = format!("listen = \"{at}\"\n{HUB}[metrics]\nlisten = \"{}\"\n", self.figures_at);
        std::fs::write(self.dir.path().join("hub.toml"), config).expect("written");
        let hub = hub.stderr(Stdio::piped()).kill_on_drop(true).spawn().expect("the hub runs");
        self.hub = Some(hub);
        self.at = at;
        self.says("hub listens on").await;
    }

    async fn says(&mut self, word: &str) {
        let hub = self.hub.as_mut().expect("a hub");
        let mut lines = BufReader::new(hub.stderr.take().expect("its log")).lines();
        let logged = self.logged.clone();
        let found = async {
            while let Some(line) = lines.next_line().await.expect("a log") {
                let found = line.contains(word);
                logged.lock().expect("no panic").push(line);
                if found {
                    return;
                }
            }
            panic!("the hub ended without saying {word}");
        };
        tokio::time::timeout(SOON, found).await.expect("in time");
        // Its log is read on, so that it never waits.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                logged.lock().expect("no panic").push(line);
            }
        });
    }

    /// The lines of the hub's log in which this stands.
    pub fn logged(&self, text: &str) -> Vec<String> {
        self.logged.lock().expect("no panic").iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Runs a command beside the hub to its end.
    pub async fn asks(&self, arguments: &[&str]) -> (bool, String) {
        let out = command(self.dir.path()).args(arguments).output();
        let out = tokio::time::timeout(SOON, out).await.expect("in time").expect("it runs");
        let text = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8(text).expect("text"))
    }

    async fn links(&self, path: &str, hello: Value) -> Link {
        let (socket, _) = connect_async(format!("ws://{}{path}", self.at)).await.expect("a link");
        let mut link = Link { socket, welcome: String::new() };
        link.say(hello).await;
        link.welcome = link.until("welcome").await;
        link
    }

    pub async fn ana(&self) -> Link {
        let hello = json!({"say": "hello", "version": 5, "agent": "ana", "secret": "ana's secret"});
        self.links("/agent", hello).await
    }

    pub async fn adapter(&self) -> Link {
        let outbox = "019d0000-0000-7000-8000-0000000000aa";
        let hello = json!({"say": "hello", "version": 5, "adapter": "main", "secret": "main's secret", "outbox": outbox});
        self.links("/adapter", hello).await
    }

    /// The page of figures.
    pub async fn figures(&self) -> String {
        let mut stream = tokio::net::TcpStream::connect(&self.figures_at).await.expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
        let mut told = String::new();
        let read = tokio::time::timeout(SOON, stream.read_to_string(&mut told)).await;
        read.expect("in time").expect("a page");
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
        told
    }

    pub fn kill(&mut self) -> impl Future<Output = ()> {
        let mut hub = self.hub.take().expect("a hub");
        async move { hub.kill().await.expect("killed") }
    }
}

/// The kernel names one; the hub is told before another program can be.
fn free_port() -> String {
    let free = std::net::TcpListener::bind("127.0.31.1:0").expect("a free port");
    free.local_addr().expect("an address").to_string()
}

pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-hub"));
    command.current_dir(dir).env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

pub struct Link {
    socket: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    /// What the hub answered to the hello.
    pub welcome: String,
}

impl Link {
    pub async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// The next message in which this text stands.
    pub async fn until(&mut self, text: &str) -> String {
        let found = async {
            loop {
                let frame = self.socket.next().await.expect("a frame").expect("a sound frame");
                if let Message::Text(said) = frame
                    && said.contains(text)
                {
                    return said.to_string();
                }
            }
        };
        tokio::time::timeout(SOON, found).await.unwrap_or_else(|_| panic!("no {text}"))
    }

    /// Those messages in which this text stands that have come already.
    pub fn ready(&mut self, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(Some(frame)) = self.socket.next().now_or_never() {
            if let Message::Text(said) = frame.expect("a sound frame")
                && said.contains(text)
            {
                found.push(said.to_string());
            }
        }
        found
    }

    pub async fn event(&mut self, sequence: u32, change: Value) {
        let now = jiff::Timestamp::now().to_string();
        let mut event = json!({"event": "call", "call": CALL, "heard_at": now});
        event.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        self.say(json!({"say": "event", "sequence": sequence, "event": event})).await;
    }
}
