//! What every Pinkas program does around its work: logs to stderr, stops on a signal, and ends with one
//! clear line when it cannot go on.

use std::io::IsTerminal;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use crate::Mistakes;

/// Libraries that log whole messages, with credentials and callers: heard from `warn` up only, however
/// much is asked for.
const TALKATIVE: [&str; 8] =
    ["rsipstack", "tungstenite", "tokio_tungstenite", "axum", "hyper", "reqwest", "sqlx", "sled"];

/// Sends logs to stderr; `RUST_LOG` overrides `filter`, except for what libraries may say.
pub fn log_to_stderr(filter: &str) {
    let asked = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let quiet = filter_fn(|event| {
        !TALKATIVE.iter().any(|name| event.target().starts_with(name)) || *event.level() <= Level::WARN
    });
    // Its warnings quote SIP messages.
    let no_sip =
        filter_fn(|event| !event.target().starts_with("rsipstack") || *event.level() <= Level::ERROR);
    // What it cannot do it also gives back to whoever asked, and that is told in words.
    let no_store = filter_fn(|event| !event.target().starts_with("sled"));
    let lines = fmt::layer()
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second call in one process, as in tests, keeps the first subscriber.
    let _ =
        registry().with(EnvFilter::new(asked)).with(quiet).with(no_sip).with(no_store).with(lines).try_init();
}

/// Tells every mistake in a configuration; the exit code says that it was the configuration.
pub fn wrong(mistakes: &Mistakes) -> ExitCode {
    eprintln!("{mistakes}");
    ExitCode::from(2)
}

/// Runs `work` on a new runtime until it ends or SIGINT or SIGTERM asks it to stop.
pub fn run_until_signal<F, W>(work: W) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
    W: FnOnce(CancellationToken) -> F,
{
    run_in(tokio::runtime::Builder::new_multi_thread(), work)
}

/// As [`run_until_signal`], all of it on one thread: for work that is many small steps, each of which would cost
/// more to hand to another thread than to do.
pub fn run_on_one_thread_until_signal<F, W>(work: W) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
    W: FnOnce(CancellationToken) -> F,
{
    run_in(tokio::runtime::Builder::new_current_thread(), work)
}

fn run_in<F, W>(mut builder: tokio::runtime::Builder, work: W) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
    W: FnOnce(CancellationToken) -> F,
{
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            tracing::error!("cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let stop = CancellationToken::new();
    runtime.spawn(cancel_on_signal(stop.clone()));
    let ended = runtime.block_on(work(stop));
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e:#}");
            ExitCode::FAILURE
        }
    }
}

/// As [`run_until_signal`], for work that prints: whoever reads it may have had enough, as `head` does after
/// ten lines, and that is no failure.
pub fn print_until_signal<F, W>(work: W) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
    W: FnOnce(CancellationToken) -> F,
{
    run_until_signal(async |stop| match work(stop).await {
        Err(e) if nobody_reads(&e) => Ok(()),
        printed => printed,
    })
}

fn nobody_reads(e: &anyhow::Error) -> bool {
    let io = e.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Cancels `stop` at the first SIGINT (Ctrl-C) or SIGTERM.
pub async fn cancel_on_signal(stop: CancellationToken) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            },
            Err(_) => drop(tokio::signal::ctrl_c().await),
        }
    }
    #[cfg(not(unix))]
    drop(tokio::signal::ctrl_c().await);
    stop.cancel();
}
