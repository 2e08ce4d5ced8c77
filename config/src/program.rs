//! What every Pinkas program does around its work: logs to stderr, stops on a signal, and ends with one
//! clear line when it cannot go on.

use std::io::IsTerminal;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::Mistakes;

/// Sends logs to stderr; `RUST_LOG` overrides `filter`.
///
/// Some libraries log whole messages, with credentials and callers: what they may say is bounded
/// whatever is asked for.
pub fn log_to_stderr(filter: &str) {
    let asked = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::new(format!(
        "{asked},rsipstack=error,tungstenite=warn,tokio_tungstenite=warn,axum=warn,hyper=warn,reqwest=warn,sqlx=warn,sled=warn"
    ));
    // A second call in one process, as in tests, keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
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
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
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
