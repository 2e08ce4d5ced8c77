//! Wires the adapter together: what is heard goes through the call machine into the outbox, and the
//! uplink tells the hub.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::{CallId, number};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::calls::{Calls, Now};
use crate::config::Config;
use crate::hear::{Heard, Way, ami, dialog_events, hep, shadow};
use crate::{metrics, outbox, uplink};

/// Heard but not yet decided; when it is full, hearing waits and the phone system repeats.
const HEARD_QUEUE: usize = 4096;

/// How long to wait before trying again to open a way of hearing.
const REOPEN_AFTER: Duration = Duration::from_secs(3);

/// Runs until `stop`. Fails when the outbox cannot be opened; everything else recovers by itself.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    number::warm_up();
    let shown = config.metrics.is_some();
    if let Some(at) = config.metrics {
        let handle = metrics::install()?;
        let stop = stop.clone();
        tokio::spawn(async move {
            if let Err(e) = metrics::serve(at, handle, stop).await {
                tracing::error!("{e:#}; going on without figures");
            }
        });
    }
    let outbox::Opened { outbox, live, writer } = outbox::open(&config.state)?;
    if shown {
        tokio::spawn(show_figures(outbox.written.clone(), stop.clone()));
    }
    let mut calls = Calls::new(live, config.patience, Box::new(new_call_id));
    let (heard_in, mut heard) = mpsc::channel(HEARD_QUEUE);
    let hearing = hear(&config, &heard_in, &stop);
    drop(heard_in);
    let link = {
        let (config, outbox, stop) = (config.clone(), outbox.clone(), stop.clone());
        tokio::spawn(async move { uplink::run(&config, outbox, stop).await })
    };
    let started = Instant::now();
    let deciding = async {
        loop {
            let tick = calls.next_tick().map(|at| started + at);
            let wait = async {
                match tick {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let decided = tokio::select! {
                // What was heard comes first: a timer must not decide against a word already here.
                biased;
                next = heard.recv() => match next {
                    Some(heard) => {
                        metrics::heard(heard.way, &heard.what);
                        calls.hear(now(started), heard)
                    }
                    None => return anyhow::Ok(()),
                },
                () = wait => calls.tick(now(started)),
            };
            if !decided.events.is_empty() || !decided.live.is_empty() {
                outbox.note(decided).await?;
            }
        }
    };
    let decided = tokio::select! {
        decided = deciding => decided,
        () = stop.cancelled() => Ok(()),
    };
    stop.cancel();
    for way in hearing {
        way.await.context("hearing the phone system failed")?;
    }
    link.await.context("the link to the hub failed")?;
    drop(outbox);
    tokio::task::spawn_blocking(move || writer.join()).await?.ok().context("the outbox's writer failed")?;
    decided
}

/// How often the figures of the outbox are brought up to date.
const FIGURES: Duration = Duration::from_millis(500);

/// Keeps the figures of the outbox, whether the hub is there or not.
async fn show_figures(written: watch::Receiver<outbox::Written>, stop: CancellationToken) {
    loop {
        metrics::outbox(&written.borrow());
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(FIGURES) => {}
        }
    }
}

/// Starts every way of hearing that the configuration names, one task each.
fn hear(config: &Config, heard: &mpsc::Sender<Heard>, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let mut ways = Vec::new();
    if let Some(way) = config.dialog_events.clone() {
        let (pbx, heard, stop) = (config.pbx.clone(), heard.clone(), stop.clone());
        let once = {
            let stop = stop.clone();
            move || dialog_events::run(way.clone(), pbx.clone(), heard.clone(), stop.clone())
        };
        ways.push(tokio::spawn(keep_hearing(Way::DialogEvents, once, stop)));
    }
    if let Some(way) = config.ami.clone() {
        let (pbx, heard, stop) = (config.pbx.clone(), heard.clone(), stop.clone());
        let once = {
            let stop = stop.clone();
            move || ami::run(way.clone(), pbx.clone(), heard.clone(), stop.clone())
        };
        ways.push(tokio::spawn(keep_hearing(Way::Ami, once, stop)));
    }
    if let Some(way) = config.hep.clone() {
        let (pbx, heard, stop) = (config.pbx.clone(), heard.clone(), stop.clone());
        let once = {
            let stop = stop.clone();
            move || hep::run(way.clone(), pbx.clone(), heard.clone(), stop.clone())
        };
        ways.push(tokio::spawn(keep_hearing(Way::Hep, once, stop)));
    }
    if let Some(way) = config.shadow.clone() {
        let (pbx, name, heard, stop) = (config.pbx.clone(), config.name.clone(), heard.clone(), stop.clone());
        let once = {
            let stop = stop.clone();
            move || shadow::run(way.clone(), pbx.clone(), name.clone(), heard.clone(), stop.clone())
        };
        ways.push(tokio::spawn(keep_hearing(Way::Shadow, once, stop)));
    }
    ways
}

/// Opens a way again after a while whenever it closes; the trouble is told once.
async fn keep_hearing<F: Future<Output = anyhow::Result<()>>>(
    way: Way,
    once: impl Fn() -> F,
    stop: CancellationToken,
) {
    let mut told = None;
    metrics::not_heard_yet(way);
    while !stop.is_cancelled() {
        match once().await {
            Ok(()) if stop.is_cancelled() => return,
            Ok(()) => tracing::warn!("hearing by {way} ended; opening it again"),
            Err(e) => {
                let trouble = format!("{e:#}");
                if told.as_ref() != Some(&trouble) {
                    tracing::error!("{trouble}; trying again every {} s", REOPEN_AFTER.as_secs());
                    told = Some(trouble);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(REOPEN_AFTER) => {}
        }
    }
}

fn now(started: Instant) -> Now {
    Now { wall: Timestamp::now(), uptime: started.elapsed() }
}

fn new_call_id(at: Timestamp) -> CallId {
    let (seconds, nanos) = (at.as_second().unsigned_abs(), at.subsec_nanosecond().unsigned_abs());
    CallId(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
}
