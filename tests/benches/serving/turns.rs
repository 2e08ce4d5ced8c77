//! Servers in turn: while calls go through one, the others stand with their desktops connected, so that each
//! interval gives what calls cost the one and what standing costs the others.

use std::time::Duration;

use anyhow::{Context, ensure};
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
#[derive(Debug, Clone)]
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
    const EMPTY: Turn = Turn {
        frames: 0,
        busy: Duration::ZERO,
        idle: Duration::ZERO,
        took_us: Vec::new(),
        late: Duration::ZERO,
    };

    /// Processor time that an event delivered takes, beyond what links cost that only stand, µs.
    pub fn each_us(&self) -> f64 {
        self.busy.saturating_sub(self.idle).as_secs_f64() * 1e6 / self.frames.max(1) as f64
    }
}

/// So many turns of each, in turn.
pub async fn in_turn<const N: usize>(
    mut sides: [&mut Side; N],
    turns: usize,
) -> anyhow::Result<[Vec<Turn>; N]> {
    // What is made once is made now.
    for side in &mut sides {
        side.phones.calls(&side.crowd.heard, side.crowd.agents, Duration::from_secs(1)).await?;
        side.crowd.heard.take();
    }
    let mut all = [const { Vec::new() }; N];
    for _ in 0..turns {
        let mut round = [const { Turn::EMPTY }; N];
        for busy in 0..N {
            let (turn, spent) = turn(&mut sides, busy).await?;
            let idle = round.iter().map(|turn| turn.idle).collect::<Vec<_>>();
            round[busy] = turn;
            for ((of, idle), spent) in round.iter_mut().zip(idle).zip(spent) {
                of.idle = spent.unwrap_or(idle);
            }
        }
        all.iter_mut().zip(round).for_each(|(turns, turn)| turns.push(turn));
    }
    Ok(all)
}

/// One interval of calls at one of them; gives it, and what each of the others spent standing.
async fn turn<const N: usize>(
    sides: &mut [&mut Side; N],
    busy: usize,
) -> anyhow::Result<(Turn, [Option<Duration>; N])> {
    let began = Instant::now();
    let before = sides.each_ref().map(|side| side.processes.cpu());
    let (mut standing, mut late) = (Vec::new(), None);
    for (n, side) in sides.iter_mut().enumerate() {
        let Side { phones, crowd, .. } = &mut **side;
        if n == busy {
            late = Some(async {
                let late = phones.calls(&crowd.heard, crowd.agents, CALLS_FOR).await?;
                phones.listen_until(began + INTERVAL).await.map(|()| late)
            });
        } else {
            standing.push(phones.listen_until(began + INTERVAL));
        }
    }
    let late = late.context("one of them is busy")?;
    let (late, stood) = tokio::join!(late, futures_util::future::try_join_all(standing));
    let (late, _) = (late?, stood?);
    let mut spent = [None; N];
    for ((n, side), before) in sides.iter().enumerate().zip(before) {
        spent[n] = Some(side.processes.cpu().saturating_sub(before));
    }
    let cpu = spent[busy].take().unwrap_or_default();
    let (took_us, lost) = sides[busy].crowd.heard.take();
    let all = CALLS_FOR.as_millis() as usize * RATE as usize / 1000 * 3;
    let name = sides[busy].name;
    ensure!(lost == 0 && took_us.len() == all, "{name}: {} of {all} changes arrived", took_us.len());
    let turn = Turn { frames: took_us.len(), busy: cpu, took_us, late, ..Turn::EMPTY };
    Ok((turn, spent))
}
