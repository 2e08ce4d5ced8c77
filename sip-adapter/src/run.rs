//! Wires the adapter together: what is heard goes through the call machine into the outbox, and the
//! uplink tells the hub.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::{CallId, number};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::calls::{Calls, Now};
use crate::config::Config;
use crate::hear::{Heard, dialog_events};
use crate::{outbox, uplink};

/// Heard but not yet decided; when it is full, hearing waits and the phone system repeats.
const HEARD_QUEUE: usize = 4096;

/// How long to wait before trying again to open the phone system's socket.
const REOPEN_AFTER: Duration = Duration::from_secs(3);

/// Runs until `stop`. Fails when the outbox cannot be used; everything else recovers by itself.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    number::warm_up();
    let outbox::Opened { outbox, live, writer } = outbox::open(&config.state)?;
    let mut calls = Calls::new(live, config.patience, Box::new(new_call_id));
    let (heard_in, mut heard) = mpsc::channel(HEARD_QUEUE);
    let hearing = tokio::spawn(hear(config.clone(), heard_in, stop.clone()));
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
                    Some(heard) => calls.hear(now(started), heard),
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
    hearing.await.context("hearing the phone system failed")?;
    link.await.context("the link to the hub failed")?;
    drop(outbox);
    tokio::task::spawn_blocking(move || writer.join()).await?.ok().context("the outbox's writer failed")?;
    decided
}

async fn hear(config: Config, heard: mpsc::Sender<Heard>, stop: CancellationToken) {
    let mut told = None;
    while !stop.is_cancelled() {
        match dialog_events::run(config.pbx.clone(), heard.clone(), stop.clone()).await {
            Ok(()) if stop.is_cancelled() => return,
            Ok(()) => tracing::warn!("the SIP socket closed; opening it again"),
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
