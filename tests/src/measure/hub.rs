//! Something that an adapter takes for a hub: it says welcome, says of events that they are on its disk when the real
//! hub would (in groups, no closer than its own), and counts. For measurements in which a real hub's work would be in the way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use pinkas_protocol::adapter_link::{AdapterSays, HubToAdapter};
use pinkas_protocol::{CallChange, CallId, Event, wire};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// What it was told.
#[derive(Debug, Default, Clone)]
pub struct Told {
    /// Every event, of calls and of lines.
    pub events: u64,
    /// When a phone began to ring for a caller, by the caller's number; the first time counts.
    pub rang: BTreeMap<String, Timestamp>,
    /// Callers whose call has ended.
    pub ended: BTreeMap<String, Timestamp>,
    numbers: BTreeMap<CallId, String>,
}

/// The hub. It ends when dropped.
pub struct CountingHub {
    /// Where it listens.
    pub address: SocketAddr,
    told: Arc<Mutex<Told>>,
    task: tokio::task::JoinHandle<()>,
}

impl CountingHub {
    /// Listens.
    pub async fn start(listen: SocketAddr) -> anyhow::Result<CountingHub> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let told = Arc::new(Mutex::new(Told::default()));
        let counting = told.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One adapter at a time; when its link breaks it dials again.
                let _broken = talk(stream, &counting).await;
            }
        });
        Ok(CountingHub { address, told, task })
    }

    /// What it was told up to now.
    pub fn told(&self) -> Told {
        lock(&self.told).clone()
    }

    /// How many events it was told.
    pub fn events(&self) -> u64 {
        lock(&self.told).events
    }
}

impl Drop for CountingHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// From an event to the word that it is on disk, with all that came meanwhile: what a sync costs on a disk of today.
const DISK: Duration = Duration::from_millis(1);
/// Between two such words: the hub writes no closer.
const BETWEEN: Duration = Duration::from_millis(50);

async fn talk(stream: TcpStream, told: &Mutex<Told>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    let mut unsaid: Option<(Instant, u64)> = None;
    let mut next = Instant::now();
    loop {
        let synced = async {
            match unsaid {
                Some((since, sequence)) => {
                    tokio::time::sleep_until(next.max(since) + DISK).await;
                    sequence
                }
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            message = socket.next() => {
                let Some(message) = message else { return Ok(()) };
                let Message::Text(text) = message? else { continue };
                match wire::decode(&text)? {
                    AdapterSays::Hello { .. } => HubToAdapter::Welcome { durable: 0 },
                    AdapterSays::Event { sequence, event } => {
                        lock(told).take(event);
                        unsaid = Some((unsaid.map_or_else(Instant::now, |(since, _)| since), sequence));
                        continue;
                    }
                    AdapterSays::Lines { .. } | AdapterSays::Live { .. } => continue,
                }
            }
            sequence = synced => {
                unsaid = None;
                next = Instant::now() + BETWEEN;
                HubToAdapter::Durable { sequence }
            }
        };
        socket.send(Message::text(wire::encode(&answer))).await?;
    }
}

impl Told {
    fn take(&mut self, event: Event) {
        self.events += 1;
        let Event::Call(event) = event else { return };
        match event.change {
            CallChange::Arrived(facts) | CallChange::Known(facts) => {
                let number = facts.caller.number.as_ref().and_then(|number| number.key());
                if let Some(number) = number {
                    self.numbers.insert(event.call, number.to_owned());
                }
            }
            CallChange::Offered { .. } => {
                if let Some(number) = self.numbers.get(&event.call) {
                    self.rang.entry(number.clone()).or_insert_with(Timestamp::now);
                }
            }
            CallChange::Ended { .. } => {
                if let Some(number) = self.numbers.remove(&event.call) {
                    self.ended.entry(number).or_insert_with(Timestamp::now);
                }
            }
            _ => {}
        }
    }
}

fn lock(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
