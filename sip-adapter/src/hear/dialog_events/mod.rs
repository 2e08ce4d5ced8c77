//! Hearing by SUBSCRIBE to dialog events (RFC 6665, RFC 4235): one subscription for each line, or one for a
//! list of them (RFC 4662). What decides is in `policy`, `dialog`, `watch` and `traps`, all pure; `follow`
//! and `session` do it. Sends SUBSCRIBE, OPTIONS and answers, nothing else.

mod policy;

mod dialog;
mod watch;

mod traps;

mod follow;
mod pace;
mod probe;
mod session;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{DialogEvents, Pbx, Transport};
use crate::hear::sip_endpoint::{Asked, SipEndpoint};
use crate::hear::{Heard, Way};
use follow::{Ended, follow};
pub use probe::probe;
use session::{Session, Target};
use traps::Traps;

/// How long a sign of life may take.
const PONG: Duration = Duration::from_secs(10);
/// How often a silent phone system is asked whether it is back.
const KNOCK: Duration = Duration::from_secs(5);
/// A connection that lasted so long was a good one.
const LASTED: Duration = Duration::from_secs(10);

/// Hears until `stop`: every message about a line goes to `heard`. Returns once all is unsubscribed.
///
/// Fails only when the local socket cannot be opened. Connections that fail or break are made again.
pub async fn run(
    config: DialogEvents,
    pbx: Pbx,
    heard: mpsc::Sender<Heard>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let traps = Arc::new(Mutex::new(Traps::default()));
    let mut failures = 0;
    let mut told = None;
    loop {
        let opening = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opening = SipEndpoint::open(&config.account, Way::DialogEvents) => opening,
        };
        match opening {
            Ok((endpoint, requests)) => {
                told = None;
                tracing::info!(
                    lines = pbx.lines.len(),
                    "asking the phone system at {} from {}",
                    config.account.address,
                    endpoint.local()
                );
                let began = Instant::now();
                let session =
                    Session::new(config.clone(), pbx.clone(), endpoint, heard.clone(), traps.clone());
                hear(Arc::new(session), requests, &stop).await;
                if stop.is_cancelled() {
                    return Ok(());
                }
                tracing::warn!("the connection to the phone system at {} is lost", config.account.address);
                failures = if began.elapsed() >= LASTED { 0 } else { failures + 1 };
            }
            Err(e) if config.account.transport == Transport::Udp => return Err(e),
            Err(e) => {
                failures += 1;
                let trouble = format!("{e:#}");
                if told.as_ref() != Some(&trouble) {
                    tracing::warn!("{trouble}; trying again");
                    told = Some(trouble);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(policy::backoff(failures)) => {}
        }
    }
}

/// Hears until `stop` or until the way closes.
async fn hear(session: Arc<Session>, requests: mpsc::Receiver<Asked>, stop: &CancellationToken) {
    let tasks = TaskTracker::new();
    match session.config.list.clone() {
        Some(list) => {
            let (session, tracker, stop) = (session.clone(), tasks.clone(), stop.clone());
            tasks.spawn(async move {
                let ended = follow(session.clone(), Target::List(list), stop.clone()).await;
                if let Ended::NoList(why) = ended {
                    tracing::warn!("{why}; asking for each line instead");
                    each_line(&session, &tracker, &stop);
                }
            });
        }
        None => each_line(&session, &tasks, stop),
    }
    tasks.close();
    tokio::select! {
        () = answer(&session, requests) => {}
        () = tasks.wait() => {}
        () = watch_life(&session) => {}
    }
    let broken = !stop.is_cancelled();
    session.endpoint.close();
    if broken {
        tasks.wait().await;
        session.lost_all().await;
        session.down().await;
    }
}

fn each_line(session: &Arc<Session>, tasks: &TaskTracker, stop: &CancellationToken) {
    for line in &session.pbx.lines {
        tasks.spawn(follow(session.clone(), Target::Line(line.clone()), stop.clone()));
    }
}

/// Answers requests until the way closes.
async fn answer(session: &Session, mut requests: mpsc::Receiver<Asked>) {
    while let Some(asked) = requests.recv().await {
        session.answer(asked).await;
    }
}

/// Notices a phone system that died silently: whoever says nothing for a while is asked. One that never
/// answers OPTIONS is judged by its answers to SUBSCRIBE alone. Returns when the connection is given up.
async fn watch_life(session: &Session) {
    let every = session.config.ping;
    let mut answers = false;
    loop {
        let quiet = session.endpoint.quiet_for();
        if quiet < every {
            tokio::time::sleep(every - quiet).await;
            continue;
        }
        let asked = Instant::now();
        if session.ping(every.min(PONG)).await {
            answers = true;
            continue;
        }
        if session.endpoint.quiet_for() < asked.elapsed() {
            // It said something else meanwhile.
            continue;
        }
        if !answers {
            tokio::time::sleep(every).await;
            continue;
        }
        session.silent().await;
        if session.config.account.transport != Transport::Udp {
            return;
        }
        let silent = Instant::now();
        while session.endpoint.quiet_for() >= silent.elapsed() {
            session.ping(every.min(KNOCK)).await;
        }
        session.back();
    }
}
