//! Two servers in turn: while calls go through one, the other stands with its desktops connected, so that each
//! interval gives what calls cost the one and what standing costs the other.

use std::time::Duration;

use anyhow::ensure;
use pinkas_tests::measure::Processes;
use tokio::time::Instant;

use super::calls::{Phones, RATE};
use super::crowd::Crowd;

/// One interval: as long as links are left alone between two pings, so that each holds as many of them.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// For so long of it calls begin; the rest lets them end and their disk work be done.
const CALLS_FOR: Duration = Duration::from_secs(9);

/// A server with its desktops and its adapter.
pub struct Side {
    /// For people.
    pub name: &'static str,
    /// What it costs.
    pub processes: Processes,
    /// Its adapter.
    pub phones: Phones,
    /// Its desktops.
    pub crowd: Crowd,
}

/// What an interval of calls gave.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    /// Frames delivered.
    pub frames: usize,
    /// Processor time in it.
    pub busy: Duration,
    /// Processor time of an interval without calls.
    pub idle: Duration,
    /// How long each change took until it was at its desktop, µs.
    pub took_us: Vec<f64>,
    /// The latest that one was sent, by this program's own fault.
    pub late: Duration,
}

impl Turn {
    /// Processor time that an event delivered takes, beyond what links cost that only stand, µs.
    pub fn each_us(&self) -> f64 {
        self.busy.saturating_sub(self.idle).as_secs_f64() * 1e6 / self.frames.max(1) as f64
    }
}

/// So many turns of each, in turn.
pub async fn in_turn(
    one: &mut Side,
    other: &mut Side,
    turns: usize,
) -> anyhow::Result<(Vec<Turn>, Vec<Turn>)> {
    // What is made once is made now.
    for side in [&mut *one, &mut *other] {
        side.phones.calls(&side.crowd.heard, side.crowd.agents, Duration::from_secs(1)).await?;
        side.crowd.heard.take();
    }
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        let (first, others_idle) = turn(one, other).await?;
        let (second, ones_idle) = turn(other, one).await?;
        ones.push(Turn { idle: ones_idle, ..first });
        others.push(Turn { idle: others_idle, ..second });
    }
    Ok((ones, others))
}

/// One interval of calls at the one; gives it, and what the other spent standing.
async fn turn(busy: &mut Side, idle: &mut Side) -> anyhow::Result<(Turn, Duration)> {
    let (began, before) = (Instant::now(), (busy.processes.cpu(), idle.processes.cpu()));
    let rings = async {
        let late = busy.phones.calls(&busy.crowd.heard, busy.crowd.agents, CALLS_FOR).await?;
        busy.phones.listen_until(began + INTERVAL).await.map(|()| late)
    };
    let (late, stood) = tokio::join!(rings, idle.phones.listen_until(began + INTERVAL));
    stood?;
    let late = late?;
    let spent = |side: &Side, before: Duration| side.processes.cpu().saturating_sub(before);
    let (took_us, lost) = busy.crowd.heard.take();
    let all = CALLS_FOR.as_millis() as usize * RATE as usize / 1000 * 3;
    ensure!(lost == 0 && took_us.len() == all, "{}: {} of {all} changes arrived", busy.name, took_us.len());
    let turn = Turn { frames: took_us.len(), busy: spent(busy, before.0), took_us, late, ..Turn::default() };
    Ok((turn, spent(idle, before.1)))
}
