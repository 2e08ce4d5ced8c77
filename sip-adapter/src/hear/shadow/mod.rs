//! Hearing by an extension of the adapter's own: it registers, rings in a ring group beside people's phones,
//! and never answers. What decides is in `registration`, `contacts`, `bells` and `rounds`, all pure; `registrar`
//! and `session` do it. It must not register where it would take a call from a phone.

mod registration;

mod contacts;

mod bells;
mod rounds;

mod registrar;
mod session;

mod probe;

use std::time::Duration;

use pinkas_protocol::AdapterId;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Pbx, Shadow, Transport};
use crate::hear::sip_endpoint::SipEndpoint;
use crate::hear::{Heard, Way};
pub use probe::probe;
use session::{Session, Told};

/// A connection that lasted so long was a good one.
const LASTED: Duration = Duration::from_secs(10);
/// The longest wait before a connection is made again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Hears until `stop`: every call that rings at the extension goes to `heard`. `adapter` tells this one's
/// registration from another's. Returns once the registration is withdrawn.
///
/// Fails only when the local socket cannot be opened. Connections that fail or break are made again.
pub async fn run(
    config: Shadow,
    pbx: Pbx,
    adapter: AdapterId,
    heard: mpsc::Sender<Heard>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut told = Told::default();
    let mut failures = 0;
    loop {
        let opening = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opening = SipEndpoint::open(&config.account, Way::Shadow) => opening,
        };
        match opening {
            Ok((endpoint, requests)) => {
                let began = Instant::now();
                let session = Session::new(&config, &pbx, &adapter, endpoint, &heard, told);
                told = session.hear(requests, &stop).await;
                if stop.is_cancelled() {
                    return Ok(());
                }
                tracing::warn!("the connection to the phone system at {} is lost", config.account.address);
                failures = if began.elapsed() >= LASTED { 0 } else { failures + 1 };
            }
            Err(e) if config.account.transport == Transport::Udp => return Err(e),
            Err(e) => {
                failures += 1;
                told.trouble(&format!("{e:#}"));
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1 << failures.min(6)).min(LONGEST_WAIT)) => {}
        }
    }
}
