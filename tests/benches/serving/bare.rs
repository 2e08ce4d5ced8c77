//! What the hub is measured beside: a bare tokio-tungstenite server that takes the same events as JSON and sends the
//! same frames to the same desktops. It checks no secret, asks nobody and forgets a call when it ends. On its disk it
//! has nothing, or each event as it came, which it then acknowledges.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use pinkas_link::HubUrl;
use pinkas_protocol::adapter_link::{AdapterSays, HubToAdapter};
use pinkas_protocol::agent_link::{AgentSays, HubToAgent, Role};
use pinkas_protocol::board::{Ended, Offer, OfferState};
use pinkas_protocol::call::{CallChange, CallFacts};
use pinkas_protocol::{Board, CallId, CallView, Event, Line, Update, Who, wire};
use pinkas_tests::lab::process::{Running, bounded, until};
use pinkas_tests::measure::Processes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::house::{self, Door};
use super::keeping;
use super::turns::INTERVAL;

/// This program's argument that lets it be the bare server.
pub const MODE: &str = "bare";
/// As the hub's.
const QUEUE: usize = 256;

/// The server in a process of its own.
pub struct Bare {
    at: SocketAddr,
    _running: Running,
    _folder: tempfile::TempDir,
}

/// What it has on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    Nothing,
    EachEvent,
}

impl Bare {
    /// Starts it; it serves when this returns.
    pub async fn open(at: SocketAddr, keeps: Keeps) -> anyhow::Result<Bare> {
        let folder = tempfile::tempdir()?;
        let mut command = bounded(std::env::current_exe()?);
        command.arg(MODE).arg(at.to_string());
        if keeps == Keeps::EachEvent {
            command.arg(folder.path().join("record"));
        }
        let running = Running::start("the bare server", command, &folder.path().join("bare.log"))?;
        until("the bare server", Duration::from_secs(20), async || TcpStream::connect(at).await.ok())
            .await
            .with_context(|| running.last_words())?;
        Ok(Bare { at, _running: running, _folder: folder })
    }

    /// What it costs.
    pub fn processes(&self) -> Processes {
        Processes::with(Path::new(&self.at.to_string()))
    }

    /// Where links dial.
    pub fn url(&self) -> anyhow::Result<HubUrl> {
        house::url(self.at, Door::Plain)
    }
}

type Desktops = Arc<Mutex<HashMap<Line, mpsc::Sender<Utf8Bytes>>>>;

/// Serves until it is killed; events are kept in this folder.
pub async fn serve(at: SocketAddr, folder: Option<&Path>) -> anyhow::Result<()> {
    let (acks, on_disk) = watch::channel(0);
    let keep = folder.map(|folder| keeping::begin(folder, acks)).transpose()?;
    let listener = TcpListener::bind(at).await?;
    let desktops = Desktops::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let (desktops, record) = (desktops.clone(), keep.clone().map(|keep| (keep, on_disk.clone())));
        tokio::spawn(async move {
            // A link that breaks is its client's business.
            let _over = enter(stream, desktops, record).await;
        });
    }
}

/// Where events go, and up to which one they are on the disk.
type Record = (mpsc::Sender<(u64, Utf8Bytes)>, watch::Receiver<u64>);

async fn enter(stream: TcpStream, desktops: Desktops, record: Option<Record>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut adapter = false;
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
    #[expect(clippy::result_large_err, reason = "the library says what a callback gives")]
    let path = |request: &Request, response: Response| {
        adapter = request.uri().path() == "/adapter";
        Ok(response)
    };
    let mut socket = accept_hdr_async_with_config(stream, path, Some(config)).await?;
    let hello = socket.next().await.context("no hello")??.into_text()?;
    if adapter { relay(socket, &desktops, record).await } else { show(socket, &hello, &desktops).await }
}

async fn show(
    mut socket: WebSocketStream<TcpStream>,
    hello: &str,
    desktops: &Desktops,
) -> anyhow::Result<()> {
    let AgentSays::Hello { agent, .. } = wire::decode(hello)? else { anyhow::bail!("no hello") };
    let number: u32 = agent.as_str().trim_start_matches("agent").parse()?;
    let line = house::line(number)?;
    let (out, mut frames) = mpsc::channel(QUEUE);
    let welcome = HubToAgent::Welcome {
        name: agent.to_string(),
        role: Role::Agent,
        lines: vec![line.clone()],
        now: Timestamp::now(),
        token: None,
        board: Board::default(),
        outcomes: Vec::new(),
        reasons: Vec::new(),
    };
    socket.send(Message::text(wire::encode(&welcome))).await?;
    desktops.lock().unwrap_or_else(PoisonError::into_inner).insert(line, out);
    let mut ping = tokio::time::interval_at(Instant::now() + INTERVAL, INTERVAL);
    loop {
        tokio::select! {
            _ = ping.tick() => socket.send(Message::Ping(Default::default())).await?,
            frame = frames.recv() => match frame {
                Some(frame) => socket.send(Message::Text(frame)).await?,
                None => return Ok(()),
            },
            said = socket.next() => if said.transpose()?.is_none() {
                return Ok(());
            },
        }
    }
}

async fn relay(
    mut socket: WebSocketStream<TcpStream>,
    desktops: &Desktops,
    mut record: Option<Record>,
) -> anyhow::Result<()> {
    socket.send(Message::text(wire::encode(&HubToAdapter::Welcome { durable: 0 }))).await?;
    let mut calls = HashMap::<CallId, (CallFacts, Line)>::new();
    loop {
        let said = tokio::select! {
            said = socket.next() => said,
            sequence = on_disk(record.as_mut()) => {
                socket.send(Message::text(wire::encode(&HubToAdapter::Durable { sequence }))).await?;
                continue;
            }
        };
        let Some(said) = said else { return Ok(()) };
        let Message::Text(text) = said? else { continue };
        let AdapterSays::Event { event, sequence } = wire::decode(&text)? else { continue };
        if let Some((keep, _)) = &record {
            keep.send((sequence, text)).await?;
        }
        let Event::Call(event) = event else { continue };
        let (call, at) = (event.call, event.heard_at);
        let offer = |line: &Line, state| Offer {
            agent: Some(line.to_string()),
            rang_at: at,
            passed_on_by: None,
            state,
        };
        let (line, update) = match event.change {
            CallChange::Arrived(facts) => {
                calls.insert(call, (facts, house::line(0)?));
                continue;
            }
            CallChange::Offered { line, .. } => {
                let Some((facts, at_line)) = calls.get_mut(&call) else { continue };
                *at_line = line.clone();
                let view = CallView {
                    id: call,
                    facts: facts.clone(),
                    arrived_at: at,
                    waits: None,
                    offers: BTreeMap::from([(line.clone(), offer(&line, OfferState::Ringing))]),
                    who: Who::Unknown { country: Some("IL".to_owned()), earlier: Vec::new() },
                    cards: Vec::new(),
                    identified: None,
                    ended: None,
                    entries: Vec::new(),
                    trial: false,
                };
                (line, Update::Call { view: Box::new(view) })
            }
            CallChange::Answered { line } => {
                let offer = offer(&line, OfferState::Answered { at, held: None });
                (line.clone(), Update::Offer { call, line, offer })
            }
            CallChange::Ended { how } => {
                let Some((_, line)) = calls.remove(&call) else { continue };
                (line, Update::Ended { call, ended: Ended { at, how } })
            }
            _ => continue,
        };
        let desktop = desktops.lock().unwrap_or_else(PoisonError::into_inner).get(&line).cloned();
        if let Some(desktop) = desktop {
            let frame = Utf8Bytes::from(wire::encode(&HubToAgent::Update { update }));
            // A desktop that is gone hears nothing.
            let _gone = desktop.try_send(frame);
        }
    }
}

/// The next number up to which everything is on the disk.
async fn on_disk(record: Option<&mut Record>) -> u64 {
    if let Some((_, on_disk)) = record
        && on_disk.changed().await.is_ok()
    {
        return *on_disk.borrow_and_update();
    }
    std::future::pending().await
}
