//! The one door: adapters and desktops dial in here, say who they are within five seconds, and from
//! then on are two queues to the core. A link never waits for a reader: what does not fit closes it.

mod adapter;
mod agent;
mod entrance;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pinkas_config::Secret;
use pinkas_protocol::close::Close;
use pinkas_protocol::{AdapterId, AgentId, CallId, CustomerKey, Private, wire};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::entrance::{Admitted, Entrance};
use crate::core::{Input, ViewerId, Wish};

/// A hello must come within this time.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// How often a link is pinged; a client that hears nothing for longer dials again.
const PING_EVERY: Duration = Duration::from_secs(10);
/// A link that says nothing for so long, not even a pong, is closed.
const SILENT_AFTER: Duration = Duration::from_secs(30);
/// Frames waiting for one link; one more closes it.
const LINK_QUEUE: usize = 256;
/// Links that have not said who they are; more are turned away.
const STRANGERS: usize = 512;
/// A frame must leave within this time.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// Who may come in, and where what they say goes.
pub struct Doors {
    /// Adapters and their secrets.
    pub adapters: BTreeMap<AdapterId, Secret>,
    /// People and their secrets.
    pub agents: BTreeMap<AgentId, Secret>,
    /// The core's inbox.
    pub hub: mpsc::Sender<ToHub>,
}

/// From links to the core.
pub enum ToHub {
    /// An adapter logged in.
    AdapterUp {
        /// Which.
        adapter: AdapterId,
        /// Its outbox.
        outbox: Uuid,
        /// This connection, unlike any other.
        link: u64,
        /// The way back.
        out: mpsc::Sender<ToLink>,
    },
    /// Its link ended.
    AdapterDown {
        /// Which.
        adapter: AdapterId,
        /// Which connection.
        link: u64,
    },
    /// An adapter says something.
    Said {
        /// Which.
        adapter: AdapterId,
        /// On which connection.
        link: u64,
        /// What.
        input: Box<Input>,
    },
    /// A desktop logged in.
    AgentUp {
        /// Its connection.
        viewer: ViewerId,
        /// Who.
        agent: AgentId,
        /// The way back.
        out: mpsc::Sender<ToLink>,
    },
    /// Its link ended.
    AgentDown {
        /// Its connection.
        viewer: ViewerId,
    },
    /// An agent chose a customer.
    Chose {
        /// From which connection.
        viewer: ViewerId,
        /// On which call.
        call: CallId,
        /// Whom; `None`: none of those found.
        customer: Option<CustomerKey>,
    },
    /// A desktop writes into the record, or looks into it.
    Record {
        /// From which connection.
        viewer: ViewerId,
        /// What it wants.
        wish: Box<Wish>,
    },
}

/// From the core to one link.
pub enum ToLink {
    /// A message, already encoded.
    Frame(Utf8Bytes),
    /// The end, with its reason.
    Close(Close),
}

struct Entry {
    doors: Arc<Doors>,
    strangers: Arc<Semaphore>,
    links: AtomicU64,
}

/// Serves until `stop`, then lets links say goodbye for a moment.
pub async fn serve(listener: TcpListener, doors: Arc<Doors>, stop: CancellationToken) -> anyhow::Result<()> {
    let entry = Entry { doors, strangers: Arc::new(Semaphore::new(STRANGERS)), links: AtomicU64::new(1) };
    let router = Router::new()
        .route("/adapter", get(adapter_enters))
        .route("/agent", get(agent_enters))
        .layer(middleware::from_fn(no_browser))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(Arc::new(entry));
    let gone = stop.clone();
    let router = router.into_make_service_with_connect_info::<Admitted>();
    let served =
        axum::serve(Entrance(listener), router).with_graceful_shutdown(async move { gone.cancelled().await });
    tokio::select! {
        served = async { served.await } => served.context("the listener failed"),
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_millis(500)).await } => Ok(()),
    }
}

/// A page in a browser must not reach the hub with a user's network (CWE-1385): browsers always send
/// an Origin with a WebSocket handshake, our programs never do.
async fn no_browser(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "browsers are not served here\n").into_response();
    }
    next.run(request).await
}

async fn adapter_enters(
    State(entry): State<Arc<Entry>>,
    ConnectInfo(admitted): ConnectInfo<Admitted>,
    upgrade: WebSocketUpgrade,
) -> Response {
    enter(entry, admitted, upgrade, adapter::serve)
}

async fn agent_enters(
    State(entry): State<Arc<Entry>>,
    ConnectInfo(admitted): ConnectInfo<Admitted>,
    upgrade: WebSocketUpgrade,
) -> Response {
    enter(entry, admitted, upgrade, agent::serve)
}

fn enter<F, S>(entry: Arc<Entry>, admitted: Admitted, upgrade: WebSocketUpgrade, serve: S) -> Response
where
    F: Future<Output = ()> + Send + 'static,
    S: FnOnce(Stranger, Arc<Doors>, u64) -> F + Send + 'static,
{
    let Ok(permit) = entry.strangers.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many are logging in at once\n").into_response();
    };
    let link = entry.links.fetch_add(1, Ordering::Relaxed);
    // tungstenite's default buffers are 128 KiB for each connection.
    upgrade
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(wire::LARGEST_UP)
        .max_frame_size(wire::LARGEST_UP)
        .on_upgrade(move |socket| {
            admitted.admit();
            let stranger = Stranger { socket, _permit: permit };
            serve(stranger, entry.doors.clone(), link)
        })
}

/// A socket that has not yet said who it is.
struct Stranger {
    socket: WebSocket,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Stranger {
    /// The first message, or the socket is closed.
    async fn hello<T: DeserializeOwned>(mut self) -> Option<(T, WebSocket)> {
        let close = match tokio::time::timeout(HELLO_WITHIN, self.socket.recv()).await {
            Err(_) => Close::NoHello,
            Ok(Some(Ok(Message::Text(text)))) => match wire::decode(&text) {
                Ok(hello) => return Some((hello, self.socket)),
                Err(_) => Close::BadMessage,
            },
            Ok(Some(Ok(_))) => Close::BadMessage,
            Ok(None | Some(Err(_))) => return None,
        };
        say_close(&mut self.socket, close).await;
        None
    }
}

/// Compares in constant time; an unknown name takes as long as a wrong secret.
fn secret_matches(known: Option<&Secret>, given: &Private<String>) -> bool {
    let nobody = Private(String::new());
    let expected = known.unwrap_or(&nobody);
    let equal: bool = expected.0.as_bytes().ct_eq(given.0.as_bytes()).into();
    equal && known.is_some() && !given.0.is_empty()
}

async fn say_close(socket: &mut WebSocket, close: Close) {
    let frame = CloseFrame { code: close.code(), reason: close.to_string().into() };
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(Message::Close(Some(frame)))).await;
}

/// Carries frames both ways until one side ends; `read` says what a message is to the core.
async fn carry<T: DeserializeOwned>(
    socket: &mut WebSocket,
    out: &mut mpsc::Receiver<ToLink>,
    hub: &mpsc::Sender<ToHub>,
    read: impl Fn(T) -> Result<ToHub, Close>,
) -> Option<Close> {
    let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut heard_at = Instant::now();
    loop {
        let frame = tokio::select! {
            next = out.recv() => match next {
                Some(ToLink::Frame(text)) => Message::Text(text),
                Some(ToLink::Close(close)) => return Some(close),
                // The core dropped this link because its queue was full.
                None => return Some(Close::TooSlow),
            },
            received = socket.recv() => {
                heard_at = Instant::now();
                match received {
                    None | Some(Err(_)) | Some(Ok(Message::Close(_))) => return None,
                    Some(Ok(Message::Text(text))) => {
                        let said = wire::decode(&text).map_err(|_| Close::BadMessage).and_then(&read);
                        let close = match said {
                            Ok(said) => hub.send(said).await.err().map(|_| Close::Stopping),
                            Err(close) => Some(close),
                        };
                        if close.is_some() {
                            return close;
                        }
                        continue;
                    }
                    Some(Ok(Message::Binary(_))) => return Some(Close::BadMessage),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                }
            }
            _ = ping.tick() => {
                if heard_at.elapsed() > SILENT_AFTER {
                    return None;
                }
                Message::Ping(Default::default())
            }
        };
        match tokio::time::timeout(SEND_WITHIN, socket.send(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(Close::TooSlow),
        }
    }
}
