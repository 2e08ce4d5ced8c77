//! The one door: adapters and desktops dial in here, say who they are within five seconds, and from
//! then on are two queues to the core. A link never waits for a reader: what does not fit closes it.

mod adapter;
mod agent;
pub(crate) mod entrance;
#[cfg(test)]
mod tests;
mod tls;

use std::net::IpAddr;
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
use pinkas_protocol::close::Close;
use pinkas_protocol::{AdapterId, AgentId, CallId, CustomerKey, OwnState, Private, wire};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::entrance::{Arrival, Entrance};
pub use self::tls::CertificateFiles;
use crate::access::Access;
use crate::core::{Input, Staff, ViewerId, Wish};

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
    /// Who is known.
    pub access: Arc<Access>,
    /// The core's inbox.
    pub hub: mpsc::Sender<ToHub>,
}

/// How connections come in.
#[derive(Debug, Clone, Default)]
pub struct Door {
    /// By TLS with this certificate; else in plain text.
    pub tls: Option<CertificateFiles>,
    /// Pages whose browsers are served.
    pub origins: Vec<String>,
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
        /// Lets them in again without a password.
        token: Option<Private<String>>,
        /// The way back.
        out: mpsc::Sender<ToLink>,
    },
    /// A person looks for a customer.
    FindCustomer {
        /// From which connection.
        viewer: ViewerId,
        /// Comes back with the answer.
        ask: u64,
        /// For which call.
        call: CallId,
        /// What they typed.
        text: Private<String>,
    },
    /// Its link ended.
    AgentDown {
        /// Its connection.
        viewer: ViewerId,
    },
    /// An agent says how the caller was identified.
    Identified {
        /// From which connection.
        viewer: ViewerId,
        /// On which call.
        call: CallId,
        /// In the agent's words.
        how: Private<String>,
    },
    /// A person says whether they take calls.
    OwnState {
        /// From which connection.
        viewer: ViewerId,
        /// What they say of themselves.
        state: OwnState,
    },
    /// A person finishes what is left to do after a call, or has finished.
    WrapUp {
        /// From which connection.
        viewer: ViewerId,
        /// After which call; `None`: it is finished.
        call: Option<CallId>,
    },
    /// These are the people from now on.
    Staff(Staff),
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
pub async fn serve(
    listener: TcpListener,
    door: Door,
    doors: Arc<Doors>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let tls = door.tls.map(|files| tls::acceptor(files, stop.clone())).transpose()?;
    let entry = Entry { doors, strangers: Arc::new(Semaphore::new(STRANGERS)), links: AtomicU64::new(1) };
    let router = Router::new()
        .route("/adapter", get(adapter_enters))
        .route("/agent", get(agent_enters))
        .layer(middleware::from_fn_with_state(Arc::new(door.origins), only_listed))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(Arc::new(entry));
    let gone = stop.clone();
    let router = router.into_make_service_with_connect_info::<Arrival>();
    let served = axum::serve(Entrance { listener, tls, room: None }, router)
        .with_graceful_shutdown(async move { gone.cancelled().await });
    tokio::select! {
        served = async { served.await } => served.context("the listener failed"),
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_millis(500)).await } => Ok(()),
    }
}

/// A page in a browser must not reach the hub with a user's network (CWE-1385): browsers always send
/// an Origin with a WebSocket handshake, our programs never do.
async fn only_listed(State(origins): State<Arc<Vec<String>>>, request: Request, next: Next) -> Response {
    let mut named = request.headers().get_all(header::ORIGIN).iter();
    let listed = named.all(|origin| origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes()));
    if !listed {
        return (StatusCode::FORBIDDEN, "browsers are not served here\n").into_response();
    }
    next.run(request).await
}

async fn adapter_enters(
    State(entry): State<Arc<Entry>>,
    ConnectInfo(arrival): ConnectInfo<Arrival>,
    upgrade: WebSocketUpgrade,
) -> Response {
    enter(entry, arrival, upgrade, adapter::serve)
}

async fn agent_enters(
    State(entry): State<Arc<Entry>>,
    ConnectInfo(arrival): ConnectInfo<Arrival>,
    upgrade: WebSocketUpgrade,
) -> Response {
    enter(entry, arrival, upgrade, agent::serve)
}

fn enter<F, S>(entry: Arc<Entry>, arrival: Arrival, upgrade: WebSocketUpgrade, serve: S) -> Response
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
            arrival.admitted.admit();
            let stranger = Stranger { socket, from: arrival.from.ip(), _permit: permit };
            serve(stranger, entry.doors.clone(), link)
        })
}

/// A socket that has not yet said who it is.
struct Stranger {
    socket: WebSocket,
    /// Where it comes from.
    from: IpAddr,
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

async fn say_close(socket: &mut WebSocket, close: Close) {
    let frame = CloseFrame { code: close.code(), reason: close.reason().into() };
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(Message::Close(Some(frame)))).await;
}

/// Carries frames both ways until one side ends or `over` says why it is to; `read` says what a message is to the core.
async fn carry<T: DeserializeOwned>(
    socket: &mut WebSocket,
    out: &mut mpsc::Receiver<ToLink>,
    hub: &mpsc::Sender<ToHub>,
    read: impl Fn(T) -> Result<ToHub, Close>,
    over: impl Future<Output = Close>,
) -> Option<Close> {
    tokio::pin!(over);
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
            close = &mut over => return Some(close),
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
