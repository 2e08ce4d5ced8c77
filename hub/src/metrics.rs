//! Figures for Prometheus, on a page of their own (`[metrics]`). Every name is written here once, so that whoever
//! builds a dashboard reads one file. Numbers only: nothing of a caller or a customer is in a label.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::http::header::CONNECTION;
use jiff::Timestamp;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::{AdapterId, CallChange, EndedHow, Failure, SourceName};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::admin::ToCore;
use crate::core::Keep;
use crate::core::trace::{Counted, NoPop, NotTaken, What};
use crate::links::entrance::Entrance;
use crate::sources::Answer;

const CALLS: &str = "pinkas_hub_calls_total";
const ENDED: &str = "pinkas_hub_calls_ended_total";
const LIVE: &str = "pinkas_hub_calls_live";
const POPS: &str = "pinkas_hub_pops_total";
const NO_POPS: &str = "pinkas_hub_no_pops_total";
const TO_TOLD: &str = "pinkas_hub_heard_to_told_seconds";
const TO_HUB: &str = "pinkas_hub_heard_to_hub_seconds";
const ANSWERED: &str = "pinkas_hub_source_seconds";
const ANSWERS: &str = "pinkas_hub_source_answers_total";
const RESTS: &str = "pinkas_hub_source_rests";
const DESKTOPS: &str = "pinkas_hub_desktops";
const ADAPTERS: &str = "pinkas_hub_adapters";
const BEHIND: &str = "pinkas_hub_unacknowledged_events";
const TO_WRITE: &str = "pinkas_hub_store_waiting";
const WRITTEN: &str = "pinkas_hub_store_written_total";
const WRITING: &str = "pinkas_hub_store_write_seconds";
const STOPPED: &str = "pinkas_hub_store_stopped";

/// Upper bounds of the histograms, in seconds.
const BOUNDS: [f64; 14] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 2.0, 5.0, 10.0];

/// The most visitors of the page at once; the others wait.
const MOST: usize = 16;
/// What the core does not say within this time is shown as it was.
const SAYS_WITHIN: Duration = Duration::from_secs(2);
/// How often what was counted is put in order, scraped or not: until then each time taken is kept by itself.
const UPKEEP: Duration = Duration::from_secs(5);

/// How the hub stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that go on.
    pub calls: usize,
    /// Desktops, by their people's role.
    pub people: BTreeMap<Role, usize>,
    /// Adapters that are connected, and how many of their events are not on the disk yet.
    pub behind: BTreeMap<AdapterId, u64>,
    /// Groups that wait for the disk.
    pub to_write: usize,
    /// What happens goes to the disk.
    pub recording: bool,
}

/// Begins to count. What is counted before, or without it, is not kept.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for name in [TO_TOLD, TO_HUB, ANSWERED, WRITING] {
        builder = builder
            .set_buckets_for_metric(Matcher::Full(name.to_owned()), &BOUNDS)
            .context("the figures cannot be set up")?;
    }
    let handle = builder.install_recorder().context("the figures cannot be set up")?;
    describe_counter!(CALLS, "calls that arrived");
    describe_counter!(ENDED, "calls that ended, by how");
    describe_gauge!(LIVE, "calls that have not ended");
    describe_counter!(POPS, "pops sent, by why then: at a phone, or at a login while it was at one");
    describe_counter!(
        NO_POPS,
        "calls at a phone that popped to nobody, or did not reach a desktop, by reason"
    );
    describe_histogram!(TO_TOLD, Unit::Seconds, "from hearing at the adapter to sending the pop");
    describe_histogram!(TO_HUB, Unit::Seconds, "from hearing at the adapter to the hub");
    describe_histogram!(ANSWERED, Unit::Seconds, "how long each source took to answer or fail");
    describe_counter!(ANSWERS, "what came of asking, by source");
    describe_gauge!(RESTS, "1 while a source is left alone because it failed again and again");
    describe_gauge!(DESKTOPS, "desktops that are connected, by role");
    describe_gauge!(ADAPTERS, "adapters that are connected");
    describe_gauge!(BEHIND, "events of an adapter that are not on the hub's disk yet");
    describe_gauge!(TO_WRITE, "groups that wait for the disk");
    describe_counter!(WRITTEN, "what was written to the record");
    describe_histogram!(WRITING, Unit::Seconds, "how long each write to the record took, synced");
    describe_gauge!(STOPPED, "1 once the record could not be written");
    Ok(handle)
}

/// Serves the page at `/metrics` until `stop`.
pub(crate) async fn serve(
    at: SocketAddr,
    handle: PrometheusHandle,
    core: mpsc::Sender<ToCore>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("cannot listen on {at} for the figures (`listen` in [metrics])"))?;
    let (kept, ended) = (handle.clone(), stop.clone());
    tokio::spawn(async move {
        let mut every = tokio::time::interval(UPKEEP);
        while ended.run_until_cancelled(every.tick()).await.is_some() {
            kept.run_upkeep();
        }
    });
    let page = axum::routing::get(move || {
        let (handle, core) = (handle.clone(), core.clone());
        async move {
            let (answer, answered) = oneshot::channel();
            let asked = async {
                core.send(ToCore::Figures { answer }).await.ok()?;
                answered.await.ok()
            };
            if let Ok(Some(figures)) = tokio::time::timeout(SAYS_WITHIN, asked).await {
                stands(&figures);
            }
            // Each question has a connection of its own: there are few, and none may be kept.
            ([(CONNECTION, "close")], handle.render())
        }
    });
    let app = axum::Router::new().route("/metrics", page);
    let entrance = Entrance { listener, tls: None, room: Some(Arc::new(Semaphore::new(MOST))) };
    axum::serve(entrance, app).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

fn stands(figures: &Figures) {
    gauge!(LIVE).set(as_figure(figures.calls));
    for (role, count) in &figures.people {
        let role = match role {
            Role::Agent => "agent",
            Role::Supervisor => "supervisor",
            Role::Admin => "admin",
        };
        gauge!(DESKTOPS, "role" => role).set(as_figure(*count));
    }
    gauge!(ADAPTERS).set(as_figure(figures.behind.len()));
    for (adapter, events) in &figures.behind {
        let events = usize::try_from(*events).unwrap_or(usize::MAX);
        gauge!(BEHIND, "adapter" => adapter.to_string()).set(as_figure(events));
    }
    gauge!(TO_WRITE).set(as_figure(figures.to_write));
    gauge!(STOPPED).set(if figures.recording { 0.0 } else { 1.0 });
}

/// A step of a call, which is also kept for `why`; pretended calls leave none.
pub(crate) fn happened(keep: &Keep) {
    let Keep::Step { step: Some(step), .. } = keep else { return };
    match &step.what {
        What::Heard { heard_at, change, counted: Counted::New, adapter } => {
            let took = seconds(*heard_at, step.at);
            histogram!(TO_HUB, "adapter" => adapter.to_string()).record(took);
            match change {
                CallChange::Arrived(_) => counter!(CALLS).increment(1),
                CallChange::Ended { how } => counter!(ENDED, "how" => ended(*how)).increment(1),
                _ => {}
            }
        }
        What::Lost { .. } => counter!(ENDED, "how" => ended(EndedHow::Lost)).increment(1),
        What::Popped { heard_at, .. } => {
            counter!(POPS, "at" => "phone").increment(1);
            histogram!(TO_TOLD).record(seconds(*heard_at, step.at));
        }
        What::PoppedAtLogin { .. } => counter!(POPS, "at" => "login").increment(1),
        What::NoPop { why, .. } => {
            let why = match why {
                NoPop::NobodyHasThisPhone => "nobody_has_this_phone",
                NoPop::NotLoggedIn { .. } => "not_logged_in",
            };
            counter!(NO_POPS, "why" => why).increment(1);
        }
        What::NotTaken { because, .. } => {
            let why = match because {
                NotTaken::QueueFull => "queue_full",
                NotTaken::LinkEnded => "link_ended",
            };
            counter!(NO_POPS, "why" => why).increment(1);
        }
        _ => {}
    }
}

fn ended(how: EndedHow) -> &'static str {
    match how {
        EndedHow::Completed => "completed",
        EndedHow::Abandoned => "abandoned",
        EndedHow::Declined => "declined",
        EndedHow::Unanswered => "unanswered",
        EndedHow::Joined { .. } => "joined",
        EndedHow::Lost => "lost",
    }
}

/// A source answered or failed; `None`: it let a deadline pass, or the time after which it is given up.
pub(crate) fn asked(source: &SourceName, answer: Option<&Result<Answer, Failure>>, took: Duration) {
    let came = match answer {
        None => "late",
        Some(Ok(Answer::Nothing)) => "nothing",
        Some(Ok(Answer::Customers(found))) if found.is_empty() => "nothing",
        Some(Ok(Answer::Customers(_) | Answer::Facts { .. })) => "filled",
        Some(Err(failure)) => match failure {
            Failure::NoAnswer { .. } => "no_answer",
            Failure::Unreachable => "unreachable",
            Failure::Refused { .. } => "refused",
            Failure::NotUnderstood { .. } => "not_understood",
            Failure::TooLarge => "too_large",
            Failure::Busy => "busy",
            Failure::Resting => "resting",
            Failure::NotAsked { .. } => "not_asked",
        },
    };
    counter!(ANSWERS, "source" => source.to_string(), "came" => came).increment(1);
    // What is late counts as having taken so long, so that a source that hangs does not look quick.
    let was_asked = !matches!(came, "busy" | "resting" | "not_asked");
    if was_asked {
        histogram!(ANSWERED, "source" => source.to_string()).record(took.as_secs_f64());
    }
    if was_asked || came == "resting" {
        gauge!(RESTS, "source" => source.to_string()).set(if came == "resting" { 1.0 } else { 0.0 });
    }
}

/// So much was written to the record at once, in so long.
pub(crate) fn written(words: usize, took: Duration) {
    counter!(WRITTEN).increment(words as u64);
    histogram!(WRITING).record(took.as_secs_f64());
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    Duration::try_from(to.duration_since(from)).unwrap_or_default().as_secs_f64()
}

/// Exact up to 2^53, far above anything counted here.
#[expect(clippy::cast_precision_loss, reason = "figures here are far below 2^53")]
fn as_figure(count: usize) -> f64 {
    count as f64
}
