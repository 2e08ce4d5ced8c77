//! Figures for Prometheus, on a page of their own (`[metrics]`). Every name is written here once, so that
//! whoever builds a dashboard reads one file. Numbers only: nothing of a caller is in a label.

mod door;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::http::header::CONNECTION;
use jiff::Timestamp;
use metrics::{
    Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::hear::{CallHeard, LineHeard, Way, What};
use crate::outbox::Written;

const HEARD: &str = "pinkas_heard_total";
const REFUSED: &str = "pinkas_refused_total";
const UP: &str = "pinkas_way_up";
const LIVE: &str = "pinkas_calls_live";
const WAITING: &str = "pinkas_outbox_events";
const ON_DISK: &str = "pinkas_outbox_on_disk";
const LINKED: &str = "pinkas_hub_connected";
const ACKNOWLEDGED: &str = "pinkas_heard_to_acknowledged_seconds";

/// Upper bounds of the histogram, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0];

/// How often times that were measured are folded into the histogram: until then each takes room, also while nobody
/// reads the page.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to count. What is counted before, or without it, is not kept.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(ACKNOWLEDGED.to_owned()), &BOUNDS)
        .context("the figures cannot be set up")?;
    let handle = builder.install_recorder().context("the figures cannot be set up")?;
    describe_counter!(HEARD, "what was heard, by way and kind, repetitions included");
    describe_counter!(REFUSED, "what was not believed or not understood, by way and reason");
    describe_gauge!(UP, "1 while a way can hear");
    describe_gauge!(LIVE, "calls that have not ended");
    describe_gauge!(WAITING, "events the hub may not have yet");
    describe_gauge!(ON_DISK, "0 once the outbox could not be written");
    describe_gauge!(LINKED, "1 while the hub is connected");
    describe_histogram!(ACKNOWLEDGED, Unit::Seconds, "from hearing to the hub's word that it is on its disk");
    Ok(handle)
}

/// Serves the page at `/metrics` until `stop`.
pub async fn serve(at: SocketAddr, handle: PrometheusHandle, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(at)
        .await
        .with_context(|| format!("cannot listen on {at} for the figures (`listen` in [metrics])"))?;
    serve_on(listener, handle, stop).await
}

async fn serve_on(
    listener: TcpListener,
    handle: PrometheusHandle,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (kept, ended) = (handle.clone(), stop.clone());
    tokio::spawn(async move {
        let mut every = tokio::time::interval(UPKEEP);
        while ended.run_until_cancelled(every.tick()).await.is_some() {
            kept.run_upkeep();
        }
    });
    let page = axum::routing::get(move || {
        let text = handle.render();
        // Each question has a connection of its own: there are few, and none may be kept.
        async move { ([(CONNECTION, "close")], text) }
    });
    let app = axum::Router::new().route("/metrics", page);
    axum::serve(door::Door::new(listener), app).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

/// Something was heard.
pub fn heard(way: Way, what: &What) {
    let kind = match what {
        What::Line { is: LineHeard::Lost, .. } => "line_lost",
        What::Line { .. } | What::LineState { .. } => "line",
        What::Pause { .. } => "pause",
        What::Up { .. } => "up",
        What::Down => "down",
        What::Call { is, .. } => match is {
            CallHeard::Facts(_) => "facts",
            CallHeard::Waits { .. } => "waits",
            CallHeard::Rings { .. } => "rings",
            CallHeard::Stopped { .. } => "stopped",
            CallHeard::Answered { .. } => "answered",
            CallHeard::Hold { .. } => "hold",
            CallHeard::Left { .. } => "left",
            CallHeard::Joined { .. } => "joined",
            CallHeard::Over { .. } => "over",
        },
    };
    counter!(HEARD, "way" => way.name(), "kind" => kind).increment(1);
    match what {
        What::Up { .. } => gauge!(UP, "way" => way.name()).set(1.0),
        What::Down => gauge!(UP, "way" => way.name()).set(0.0),
        _ => {}
    }
}

/// A way begins and cannot hear yet.
pub fn not_heard_yet(way: Way) {
    gauge!(UP, "way" => way.name()).set(0.0);
}

/// Something from outside was refused; `why` is one of a few fixed words.
pub fn refused(way: Way, why: &'static str) {
    counter!(REFUSED, "way" => way.name(), "why" => why).increment(1);
}

/// As [`refused`], so many at once, for ways that count what comes too fast to tell each.
pub fn refused_times(way: Way, why: &'static str, times: u64) {
    if times == 0 {
        return;
    }
    counter!(REFUSED, "way" => way.name(), "why" => why).increment(times);
}

/// What a way that speaks SIP refuses; kept, as looking each up by name costs more than refusing.
pub struct Refusals {
    /// From an address that is not the phone system's.
    pub stranger: Counter,
    /// Of nothing that was begun here, and more than is read of such.
    pub unasked: Counter,
    /// A NOTIFY that lacks what it takes to answer it.
    pub unreadable: Counter,
}

impl Refusals {
    /// Those of one way.
    pub fn of(way: Way) -> Refusals {
        let counter = |why: &'static str| counter!(REFUSED, "way" => way.name(), "why" => why);
        Refusals {
            stranger: counter("stranger"),
            unasked: counter("unasked"),
            unreadable: counter("unreadable"),
        }
    }
}

/// How the outbox stands.
pub fn outbox(written: &Written) {
    gauge!(LIVE).set(as_figure(written.live.len() as u64));
    gauge!(WAITING).set(as_figure(written.waiting));
    gauge!(ON_DISK).set(if written.on_disk { 1.0 } else { 0.0 });
}

/// Whether the hub is connected.
pub fn linked(is: Linked) {
    gauge!(LINKED).set(match is {
        Linked::Yes => 1.0,
        Linked::No => 0.0,
    });
}

/// Whether the hub is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// The hub has an event on its disk.
pub fn acknowledged(heard_at: Timestamp, now: Timestamp) {
    let took = now.duration_since(heard_at);
    histogram!(ACKNOWLEDGED).record(Duration::try_from(took).unwrap_or_default().as_secs_f64());
}

/// Exact up to 2^53, far above anything counted here.
#[expect(clippy::cast_precision_loss, reason = "figures here are far below 2^53")]
fn as_figure(count: u64) -> f64 {
    count as f64
}
