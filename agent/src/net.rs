//! The link to the hub as the desktop lives it: dial, hello, the whole board, then changes; when it
//! ends, say why once, wait, dial again. It never gives up and knows nothing of windows.

mod pass;

use std::sync::Arc;

use jiff::Timestamp;
use pinkas_link::{Backoff, Ended, Link};
use pinkas_protocol::agent_link::{AgentSays, Candidate, HubToAgent, Role};
use pinkas_protocol::close::Close;
use pinkas_protocol::record::{Outcome, Refusal, Searched};
use pinkas_protocol::{AgentId, Board, CallId, FollowUp, Line, PastCall, Private, Reason, Update, wire};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroize;

use crate::config::Config;
use pass::Key;
pub use pass::Pass;

/// How many events wait for a busy screen. When full, the link is not read; a hub that finds this too
/// slow closes it, and the next welcome brings the whole board.
pub const MOST_EVENTS: usize = 256;

/// How many messages wait for the link. When full, a further one is refused by the sender.
pub const MOST_SAID: usize = 64;

/// Called after each event, so that a sleeping screen looks.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A [`Wake`] for readers that wait on the channel itself.
pub fn nobody_sleeps() -> Wake {
    Arc::new(|| {})
}

/// What reached the desktop, and when by the desktop's own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetEvent {
    /// The hub knows us; everything is as the board says.
    Welcome {
        /// When it came.
        at: Timestamp,
        /// Who we are and what we may see.
        me: Me,
        /// The hub's clock at that moment.
        hub_now: Timestamp,
        /// Everything we may see.
        board: Board,
        /// What may come of a call.
        outcomes: Vec<Outcome>,
        /// Why somebody may not take calls.
        reasons: Vec<Reason>,
    },
    /// One change.
    Update {
        /// When it came.
        at: Timestamp,
        /// What changed.
        update: Update,
    },
    /// What was written is on the hub's disk.
    Kept {
        /// When it came.
        at: Timestamp,
        /// What we called it.
        id: Uuid,
    },
    /// What was written is not kept.
    Refused {
        /// When it came.
        at: Timestamp,
        /// What we called it.
        id: Uuid,
        /// Why.
        why: Refusal,
    },
    /// Calls that are over.
    Page {
        /// When it came.
        at: Timestamp,
        /// The question's number.
        ask: u64,
        /// What was found.
        page: Page,
    },
    /// Customers found.
    Customers {
        /// When it came.
        at: Timestamp,
        /// The question's number.
        ask: u64,
        /// For which call.
        call: CallId,
        /// Who may be meant, the best first.
        found: Vec<Candidate>,
        /// Whether all directories were searched.
        searched: Searched,
    },
    /// Our open follow-ups.
    FollowUps {
        /// When it came.
        at: Timestamp,
        /// The question's number.
        ask: u64,
        /// The follow-ups.
        follow_ups: Vec<FollowUp>,
    },
    /// The hub answers to a secret that was asked for; after a welcome it is told before that.
    Login {
        /// When it came.
        at: Timestamp,
        /// [`crate::model::login::Attempt::number`].
        attempt: u64,
        /// Why not, or `None`: it knows us.
        refused: Option<Close>,
    },
    /// There is no link; said again only when the reason changes.
    Disconnected {
        /// When it ended or could not be made.
        at: Timestamp,
        /// Why.
        why: Ended,
    },
}

impl NetEvent {
    /// When it reached the desktop.
    pub fn at(&self) -> Timestamp {
        match self {
            NetEvent::Welcome { at, .. }
            | NetEvent::Update { at, .. }
            | NetEvent::Kept { at, .. }
            | NetEvent::Refused { at, .. }
            | NetEvent::Page { at, .. }
            | NetEvent::Customers { at, .. }
            | NetEvent::FollowUps { at, .. }
            | NetEvent::Login { at, .. }
            | NetEvent::Disconnected { at, .. } => *at,
        }
    }
}

/// The agent, as the hub knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The name we log in with.
    pub id: AgentId,
    /// Own name.
    pub name: String,
    /// What the agent may see.
    pub role: Role,
    /// Own phones.
    pub lines: Vec<Line>,
}

/// One answer about calls that are over; as in [`HubToAgent::Page`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The calls, newest first.
    pub calls: Vec<PastCall>,
    /// There may be more before this call.
    pub more: Option<CallId>,
    /// How far back the search came, when it stopped on its way.
    pub back_to: Option<Timestamp>,
    /// How it went.
    pub searched: Searched,
}

/// Keeps the link, tells the hub what comes out of `says` once it knows us, until `stop`, or until nobody reads `out` any more.
pub async fn run(
    config: Config,
    mut pass: Pass,
    out: mpsc::Sender<NetEvent>,
    mut says: mpsc::Receiver<AgentSays>,
    wake: Wake,
    stop: CancellationToken,
) {
    let screen = Screen { out, wake };
    let mut backoff = Backoff::default();
    let mut told = None;
    let mut token: Option<Private<String>> = None;
    let mut refused = None;
    loop {
        let key = tokio::select! {
            () = stop.cancelled() => return,
            key = pass.key(refused) => match key {
                Some(key) => key,
                None => return,
            },
        };
        let mut stood = false;
        let by_token = token.is_some();
        let over = stop.child_token();
        let outcome = {
            let attending = attend(&config, &key, &screen, &mut says, &over, (&mut stood, &mut token));
            tokio::pin!(attending);
            tokio::select! {
                outcome = &mut attending => Some(outcome),
                () = pass.replaced(&key) => {
                    over.cancel();
                    let _ = attending.await;
                    None
                }
            }
        };
        let ended = match outcome {
            Some(Stop::Wanted) => return,
            Some(Stop::Ended(ended)) => ended,
            None => {
                (token, told) = (None, None);
                backoff.reset();
                continue;
            }
        };
        if let (Some(attempt), false, Some(close)) = (key.attempt(), by_token || stood, refusal(&ended)) {
            tracing::error!(
                "hub at {}: {close} (agent {}); asking for the password",
                config.hub,
                config.agent
            );
            let event = NetEvent::Login { at: Timestamp::now(), attempt, refused: Some(close) };
            if screen.tell(event).await.is_err() {
                return;
            }
            (refused, told) = (Some(attempt), None);
            backoff.reset();
            continue;
        }
        if stood {
            backoff.reset();
            told = None;
        }
        if told.as_ref() != Some(&ended) {
            report(&config, &ended);
            let event = NetEvent::Disconnected { at: Timestamp::now(), why: ended.clone() };
            if screen.tell(event).await.is_err() {
                return;
            }
            told = Some(ended.clone());
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff.after(&ended)) => {}
            () = pass.replaced(&key) => {
                (token, told) = (None, None);
                backoff.reset();
            }
        }
    }
}

/// As [`run`], in a thread of its own with a small runtime: for a program whose main thread is a window.
pub fn spawn(
    config: Config,
    pass: Pass,
    out: mpsc::Sender<NetEvent>,
    says: mpsc::Receiver<AgentSays>,
    wake: Wake,
    stop: CancellationToken,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("net".to_owned())
        .spawn(move || runtime.block_on(run(config, pass, out, says, wake, stop)))
}

struct Screen {
    out: mpsc::Sender<NetEvent>,
    wake: Wake,
}

impl Screen {
    async fn tell(&self, event: NetEvent) -> Result<(), Stop> {
        self.out.send(event).await.map_err(|_| Stop::Wanted)?;
        (self.wake)();
        Ok(())
    }
}

enum Stop {
    /// The program ends, or nobody looks any more.
    Wanted,
    /// The link ended by itself.
    Ended(Ended),
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        Stop::Ended(ended)
    }
}

/// One link from dialling to its end.
async fn attend(
    config: &Config,
    key: &Key,
    screen: &Screen,
    says: &mut mpsc::Receiver<AgentSays>,
    stop: &CancellationToken,
    (stood, token): (&mut bool, &mut Option<Private<String>>),
) -> Stop {
    let mut link = tokio::select! {
        () = stop.cancelled() => return Stop::Wanted,
        dialled = Link::dial(&config.hub, "/agent") => match dialled {
            Ok(link) => link,
            Err(ended) => return ended.into(),
        },
    };
    match talk(&mut link, config, key, screen, says, stop, (stood, token)).await {
        Ok(()) | Err(Stop::Wanted) => {
            link.close().await;
            Stop::Wanted
        }
        // Whatever was wrong with the token, the password is asked for next.
        Err(Stop::Ended(ended @ Ended::Closed(Close::WrongSecret | Close::Revoked))) => {
            *token = None;
            ended.into()
        }
        Err(ended) => ended,
    }
}

async fn talk(
    link: &mut Link,
    config: &Config,
    key: &Key,
    screen: &Screen,
    says: &mut mpsc::Receiver<AgentSays>,
    stop: &CancellationToken,
    (stood, token): (&mut bool, &mut Option<Private<String>>),
) -> Result<(), Stop> {
    let agent = config.agent.clone();
    let secret = token.clone().unwrap_or_else(|| key.for_hello());
    let mut hello = AgentSays::Hello { version: wire::VERSION, agent, secret };
    let sent = link.send(&hello).await;
    if let AgentSays::Hello { secret, .. } = &mut hello {
        secret.0.zeroize();
    }
    sent?;
    loop {
        // What was said while there was no link waits in its channel until the hub knows us again.
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            said = link.next::<HubToAgent>() => match said? {
                HubToAgent::Welcome { name, role, lines, now: hub_now, token: new, board, outcomes, reasons } => {
                    if !*stood {
                        tracing::info!("connected to the hub at {}", config.hub);
                        if let Some(attempt) = key.attempt() {
                            let event = NetEvent::Login { at: Timestamp::now(), attempt, refused: None };
                            screen.tell(event).await?;
                        }
                    }
                    *stood = true;
                    // Without the password's work on the hub's side, a whole office is back at once.
                    if new.is_some() {
                        *token = new;
                    }
                    let me = Me { id: config.agent.clone(), name, role, lines };
                    let at = Timestamp::now();
                    screen.tell(NetEvent::Welcome { at, me, hub_now, board, outcomes, reasons }).await?;
                }
                // The welcome brings the whole board: what comes before it has no place yet.
                HubToAgent::Update { .. } if !*stood => {}
                HubToAgent::Update { update } => {
                    screen.tell(NetEvent::Update { at: Timestamp::now(), update }).await?;
                }
                HubToAgent::Kept { id } => {
                    screen.tell(NetEvent::Kept { at: Timestamp::now(), id }).await?;
                }
                HubToAgent::Refused { id, why } => {
                    screen.tell(NetEvent::Refused { at: Timestamp::now(), id, why }).await?;
                }
                HubToAgent::Page { ask, calls, more, back_to, searched } => {
                    let page = Page { calls, more, back_to, searched };
                    screen.tell(NetEvent::Page { at: Timestamp::now(), ask, page }).await?;
                }
                HubToAgent::Customers { ask, call, found, searched } => {
                    let at = Timestamp::now();
                    screen.tell(NetEvent::Customers { at, ask, call, found, searched }).await?;
                }
                HubToAgent::FollowUps { ask, follow_ups } => {
                    screen.tell(NetEvent::FollowUps { at: Timestamp::now(), ask, follow_ups }).await?;
                }
            },
            Some(said) = says.recv(), if *stood => link.send(&said).await?,
        }
    }
}

/// Why the hub takes this secret not, if that is why the link ended.
fn refusal(ended: &Ended) -> Option<Close> {
    match ended {
        Ended::Closed(close @ (Close::WrongSecret | Close::TooManyAttempts | Close::Revoked)) => Some(*close),
        _ => None,
    }
}

fn report(config: &Config, ended: &Ended) {
    let hub = &config.hub;
    match ended {
        Ended::OtherVersion(_)
        | Ended::Closed(
            Close::WrongSecret | Close::WrongVersion | Close::Replaced | Close::TooManyAttempts,
        ) => {
            tracing::error!("hub at {hub}: {ended} (agent {}); trying again", config.agent);
        }
        _ => tracing::warn!("hub at {hub}: {ended}; trying again"),
    }
}

#[cfg(test)]
mod tests;
