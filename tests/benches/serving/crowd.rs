//! Many desktops, each no more than a link: it logs in by its token, dials again as the real one does, and notes when
//! a change of a call arrives.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use pinkas_link::{Backoff, Ended, HubUrl, Link};
use pinkas_protocol::agent_link::{AgentSays, HubToAgent};
use pinkas_protocol::{CallId, Private, Update, wire};
use pinkas_tests::lab::process::until;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::house::{self, Door};

/// This program's argument that lets it be a crowd at a hub with TLS: what that trusts is read from the environment.
pub const MODE: &str = "crowd";
/// As many dial at the same time when the crowd comes the first time.
const AT_ONCE: usize = 100;
const ALL_WITHIN: Duration = Duration::from_secs(60);
/// The longest that a crowd of its own process stands.
const STANDS: Duration = Duration::from_secs(120);

/// Which change of a call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Rings,
    Answered,
    Ended,
}

/// What was sent and not yet shown, and how long others took.
#[derive(Debug, Default)]
pub struct Times {
    sent: HashMap<(CallId, Kind), Instant>,
    took_us: Vec<f64>,
}

/// What a crowd hears, together.
#[derive(Debug, Default)]
pub struct Heard {
    welcome: AtomicU32,
    times: Mutex<Times>,
}

impl Heard {
    /// This change is sent now.
    pub fn sends(&self, call: CallId, kind: Kind) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).sent.insert((call, kind), Instant::now());
    }

    /// How long each took that has arrived, in µs, and how many have not; begins anew.
    pub fn take(&self) -> (Vec<f64>, usize) {
        let times = std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner));
        (times.took_us, times.sent.len())
    }

    fn shown(&self, update: &Update) {
        let now = Instant::now();
        let kind = match update {
            Update::Call { .. } => Kind::Rings,
            Update::Offer { .. } => Kind::Answered,
            Update::Ended { .. } => Kind::Ended,
            _ => return,
        };
        let Some(call) = update.call() else { return };
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sent) = times.sent.remove(&(call, kind)) {
            let took = now.duration_since(sent).as_secs_f64() * 1e6;
            times.took_us.push(took);
        }
    }
}

/// The desktops; they go when it is dropped.
pub struct Crowd {
    /// How many.
    pub agents: u32,
    /// What they hear.
    pub heard: Arc<Heard>,
    _tasks: JoinSet<()>,
}

impl Crowd {
    /// They come in; all are there when this returns.
    pub async fn gather(hub: &HubUrl, agents: u32) -> anyhow::Result<Crowd> {
        let (heard, turn) = (Arc::new(Heard::default()), Arc::new(Semaphore::new(AT_ONCE)));
        let mut tasks = JoinSet::new();
        for n in 0..agents {
            let hello = AgentSays::Hello {
                version: wire::VERSION,
                agent: house::id(n)?,
                secret: Private(house::token(n)),
            };
            tasks.spawn(desktop(hub.clone(), hello, heard.clone(), turn.clone()));
        }
        let crowd = Crowd { agents, heard, _tasks: tasks };
        crowd.all_there().await?;
        Ok(crowd)
    }

    /// Waits until all are logged in.
    pub async fn all_there(&self) -> anyhow::Result<()> {
        let there = || self.heard.welcome.load(Ordering::Relaxed);
        let all = until("all desktops to be logged in", ALL_WITHIN, async || {
            (there() == self.agents).then_some(())
        });
        all.await.with_context(|| format!("{} of {} are", there(), self.agents))
    }
}

async fn desktop(hub: HubUrl, hello: AgentSays, heard: Arc<Heard>, turn: Arc<Semaphore>) {
    let mut backoff = Backoff::default();
    let mut first = turn.acquire_owned().await.ok();
    loop {
        let ended = match Link::dial(&hub, "/agent").await {
            Ok(mut link) => {
                let ended = talk(&mut link, &hello, &heard, || {
                    first = None;
                    backoff.reset();
                });
                ended.await
            }
            Err(ended) => ended,
        };
        tokio::time::sleep(backoff.after(&ended)).await;
    }
}

async fn talk(link: &mut Link, hello: &AgentSays, heard: &Heard, mut welcome: impl FnMut()) -> Ended {
    let mut there = false;
    let mut said = match link.send(hello).await {
        Ok(()) => link.next().await,
        Err(ended) => return ended,
    };
    let ended = loop {
        match said {
            Ok(HubToAgent::Welcome { .. }) if !there => {
                there = true;
                heard.welcome.fetch_add(1, Ordering::Relaxed);
                welcome();
            }
            Ok(HubToAgent::Update { update }) => heard.shown(&update),
            Ok(_) => {}
            Err(ended) => break ended,
        }
        said = link.next().await;
    };
    if there {
        heard.welcome.fetch_sub(1, Ordering::Relaxed);
    }
    ended
}

/// A crowd in a process of its own, which says when all are there and stands until it is killed.
pub async fn stand(at: SocketAddr, agents: u32) -> anyhow::Result<()> {
    let _crowd = Crowd::gather(&house::url(at, Door::Tls)?, agents).await?;
    println!("all are there");
    tokio::time::sleep(STANDS).await;
    Ok(())
}
