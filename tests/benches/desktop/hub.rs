//! A stand-in for the hub: lets one desktop in, says to it what the measurement wants said, and notes when that
//! reached the socket. It pings as the hub does and answers no question with more than it must.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use pinkas_protocol::agent_link::{AgentSays, HubToAgent, Role};
use pinkas_protocol::record::Searched;
use pinkas_protocol::{Board, Update, wire};
use pinkas_tests::site::line;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// As often as the hub pings.
const PING: Duration = Duration::from_secs(10);

/// The hub's side.
pub struct Hub {
    /// Where it listens.
    pub address: SocketAddr,
    say: mpsc::Sender<(Vec<Message>, oneshot::Sender<Instant>)>,
    arrived: mpsc::Receiver<()>,
}

impl Hub {
    /// Listens on a port that was free.
    pub async fn open() -> anyhow::Result<Hub> {
        let listener = TcpListener::bind((pinkas_tests::site::own_address(), 0)).await?;
        let address = listener.local_addr()?;
        let (say, mut said) = mpsc::channel(16);
        let (here, arrived) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A desktop that ends takes its link along; the next one begins anew.
                let _ended = attend(stream, &mut said, &here).await;
            }
        });
        Ok(Hub { address, say, arrived })
    }

    /// Waits until a desktop has been welcomed.
    pub async fn welcomed(&mut self) -> anyhow::Result<()> {
        let here = tokio::time::timeout(Duration::from_secs(30), self.arrived.recv()).await;
        here.context("no desktop logged in")?.context("the hub has ended")
    }

    /// Says updates, one frame each; when the first was given to the socket.
    pub async fn tell(&self, updates: Vec<Update>) -> anyhow::Result<Instant> {
        let frames =
            updates.into_iter().map(|update| Message::text(wire::encode(&HubToAgent::Update { update })));
        let (sent, at) = oneshot::channel();
        self.say.send((frames.collect(), sent)).await.context("the hub has ended")?;
        at.await.context("the desktop has gone")
    }
}

async fn attend(
    stream: TcpStream,
    said: &mut mpsc::Receiver<(Vec<Message>, oneshot::Sender<Instant>)>,
    here: &mpsc::Sender<()>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    let mut pings = tokio::time::interval_at(Instant::now() + PING, PING);
    loop {
        tokio::select! {
            Some((frames, sent)) = said.recv() => {
                let at = Instant::now();
                for frame in frames {
                    socket.send(frame).await?;
                }
                let _nobody_asks = sent.send(at);
            }
            frame = socket.next() => {
                if let Message::Text(text) = frame.context("the link ended")?? {
                    answer(&mut socket, wire::decode(&text)?, here).await?;
                }
            }
            _ = pings.tick() => socket.send(Message::Ping(Vec::new().into())).await?,
        }
    }
}

async fn answer(
    socket: &mut WebSocketStream<TcpStream>,
    said: AgentSays,
    here: &mpsc::Sender<()>,
) -> anyhow::Result<()> {
    let answer = match said {
        AgentSays::Hello { .. } => HubToAgent::Welcome {
            name: "Ana".to_owned(),
            role: Role::Agent,
            lines: vec![line("101")],
            now: Timestamp::now(),
            token: None,
            board: Board::default(),
            outcomes: Vec::new(),
            reasons: Vec::new(),
        },
        AgentSays::FollowUps { ask } => HubToAgent::FollowUps { ask, follow_ups: Vec::new() },
        AgentSays::History { ask, .. } => {
            HubToAgent::Page { ask, calls: Vec::new(), more: None, back_to: None, searched: Searched::Fully }
        }
        _ => return Ok(()),
    };
    let welcomes = matches!(answer, HubToAgent::Welcome { .. });
    socket.send(Message::text(wire::encode(&answer))).await?;
    if welcomes {
        let _full = here.try_send(());
    }
    Ok(())
}
