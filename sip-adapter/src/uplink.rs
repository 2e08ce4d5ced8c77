//! The link to the hub: repeats what the hub does not have, then tells each event as soon as it is noted. What is ready at the
//! same time leaves together; nothing waits for more.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_link::{Backoff, Ended, Link};
use pinkas_protocol::adapter_link::{AdapterSays, HubToAdapter};
use pinkas_protocol::{CallId, Event, wire};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::metrics::{self, Linked};
use crate::outbox::Outbox;

/// How many live calls or lines one message names, so that it stays far below the hub's limit.
const LIVE_PART: usize = 500;

/// How many events are timed until they are acknowledged; during a storm of repetitions not all are.
const MOST_TIMED: usize = 10_000;

/// A link that ended sooner than this counts as a failed attempt.
const STOOD: Duration = Duration::from_secs(5);

/// Keeps a link to the hub until `stop`.
pub async fn run(config: &Config, mut outbox: Outbox, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let mut told: Option<Ended> = None;
    metrics::linked(Linked::No);
    loop {
        let dialled_at = Instant::now();
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = one_link(config, &mut outbox, &mut told, &stop) => ended,
        };
        metrics::linked(Linked::No);
        let Some(ended) = ended else { return };
        if dialled_at.elapsed() > STOOD {
            backoff.reset();
        }
        if told.as_ref() != Some(&ended) {
            tracing::warn!("hub at {}: {ended}; events are kept and the link is tried again", config.hub);
            told = Some(ended.clone());
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff.after(&ended)) => {}
        }
    }
}

/// One link from dialling to its end; `None` when told to stop.
async fn one_link(
    config: &Config,
    outbox: &mut Outbox,
    told: &mut Option<Ended>,
    stop: &CancellationToken,
) -> Option<Ended> {
    let mut link = match Link::dial(&config.hub, "/adapter").await {
        Ok(link) => link,
        Err(ended) => return Some(ended),
    };
    match talk(config, outbox, &mut link, told, stop).await {
        Ok(()) => {
            link.close().await;
            None
        }
        Err(ended) => Some(ended),
    }
}

/// Events that follow each other closer than this share a write, and the hub's word that it has them: where
/// thousands come in a second, each for itself costs more than hearing them.
const TOGETHER: Duration = Duration::from_millis(1);

async fn talk(
    config: &Config,
    outbox: &mut Outbox,
    link: &mut Link,
    told: &mut Option<Ended>,
    stop: &CancellationToken,
) -> Result<(), Ended> {
    link.send(&AdapterSays::Hello {
        version: wire::VERSION,
        adapter: config.name.clone(),
        secret: config.secret.clone(),
        outbox: outbox.id,
    })
    .await?;
    let mut sent = match link.next().await? {
        HubToAdapter::Welcome { durable } => durable,
        HubToAdapter::Durable { .. } => return Err(Ended::Broken),
    };
    if sent > outbox.written.borrow().latest {
        tracing::warn!(
            "the folder `state` is an older copy: the hub has later events than it; numbering goes on from there"
        );
        outbox.skip_to(sent);
    }
    outbox.durable(sent);
    tracing::info!("hub at {}: connected", config.hub);
    metrics::linked(Linked::Yes);
    let mut unacknowledged = VecDeque::new();
    *told = None;
    let mut caught_up = false;
    let mut flushed = Instant::now();
    loop {
        let (latest, live) = {
            let written = outbox.written.borrow_and_update();
            (written.latest, (!caught_up).then(|| written.live.clone()))
        };
        let told_before = sent;
        while sent < latest {
            // What the hub already has was dropped here: the next kept event is the next to send.
            let next = outbox.after(sent).unwrap_or_else(|e| {
                tracing::error!("the outbox cannot be read: {e:#}");
                None
            });
            let Some((sequence, event)) = next else { break };
            if unacknowledged.len() < MOST_TIMED {
                unacknowledged.push_back((sequence, heard_at(&event)));
            }
            link.feed(&AdapterSays::Event { sequence, event }).await?;
            sent = sequence;
        }
        if let Some(live) = live {
            let mut parts = config.pbx.lines.chunks(LIVE_PART).peekable();
            while let Some(part) = parts.next() {
                let last = parts.peek().is_none();
                link.send(&AdapterSays::Lines { lines: part.to_vec(), last }).await?;
            }
            let calls: Vec<CallId> = live.iter().copied().collect();
            let parts = calls.len().div_ceil(LIVE_PART).max(1);
            for part in 0..parts {
                let from = part * LIVE_PART;
                let some = calls[from..calls.len().min(from + LIVE_PART)].to_vec();
                link.send(&AdapterSays::Live { calls: some, last: part + 1 == parts }).await?;
            }
            caught_up = true;
        }
        link.flush().await?;
        if sent != told_before {
            flushed = Instant::now();
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = outbox.written.changed() => {
                if changed.is_err() {
                    // The writer has stopped; run ends the program, and nothing more can be told.
                    stop.cancelled().await;
                    return Ok(());
                }
                // The first event after a silence leaves at once; what follows on its heels leaves together.
                tokio::time::sleep_until(flushed + TOGETHER).await;
            }
            said = link.next::<HubToAdapter>() => match said? {
                HubToAdapter::Durable { sequence } => {
                    let mut sequence = sequence;
                    while let Some(more) = link.ready()? {
                        match more {
                            HubToAdapter::Durable { sequence: later } => sequence = sequence.max(later),
                            HubToAdapter::Welcome { .. } => {}
                        }
                    }
                    let now = Timestamp::now();
                    while let Some((_, heard_at)) = unacknowledged.pop_front_if(|(number, _)| *number <= sequence) {
                        metrics::acknowledged(heard_at, now);
                    }
                    outbox.durable(sequence);
                }
                HubToAdapter::Welcome { .. } => {}
            },
        }
    }
}

fn heard_at(event: &Event) -> Timestamp {
    match event {
        Event::Call(event) => event.heard_at,
        Event::Line(event) => event.heard_at,
        Event::Pause(event) => event.heard_at,
    }
}
