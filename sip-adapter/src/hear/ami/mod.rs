//! Hearing by Asterisk's manager interface (AMI), with an account that may only look. Here is the task
//! that keeps one connection; what its events mean is decided by `tracker`, which knows no socket.

pub mod packet;

pub mod names;

mod call;
mod channel;
mod events;
mod lines;
mod queues;
mod resync;
pub mod tracker;

mod connection;
mod ears;
pub mod probe;
pub mod replay;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::{Ami, Pbx};
use crate::hear::{Heard, Way, What};
use crate::metrics;
use connection::{Connection, Reading, Trouble};
use ears::{Ears, Shown};
use packet::Packet;
use resync::LISTS;
use tracker::{Output, Settings, Tracker};

/// The first and the longest wait between two attempts.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// How often the phone system is asked whether it is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(10);
const PONG_WITHIN: Duration = Duration::from_secs(5);

/// How long the lists may take.
const LISTS_WITHIN: Duration = Duration::from_secs(15);

/// Words that were not taken yet. With more the connection is not read: the phone system waits, and where
/// it will not, it closes, and everything is learned anew.
const MOST_UNTAKEN: usize = 10_000;

/// Keeps a connection and tells what it hears, until `stop`. A connection that does not stand is tried
/// again for ever; each change of trouble is logged once.
pub async fn run(
    config: Ami,
    pbx: Pbx,
    heard: mpsc::Sender<Heard>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let settings = Settings::new(&config, &pbx);
    let mut hearing = Hearing {
        config,
        settings,
        heard,
        started: Instant::now(),
        untaken: VecDeque::new(),
        up: Up::No,
        told: None,
        told_denied: false,
        told_deaf: false,
    };
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = hearing.keep() => Ok(()),
    }
}

/// Whether this connection could be heard, and whether anyone was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Up {
    No,
    Yes,
}

struct Hearing {
    config: Ami,
    settings: Settings,
    heard: mpsc::Sender<Heard>,
    started: Instant,
    untaken: VecDeque<Heard>,
    up: Up,
    told: Option<Trouble>,
    told_denied: bool,
    told_deaf: bool,
}

impl Hearing {
    /// Ends only when nobody listens any more.
    async fn keep(&mut self) {
        let mut wait = WAITS.0;
        while !self.heard.is_closed() {
            let trouble = match Connection::open(&self.config, self.settings.rules.charset).await {
                Ok(connection) => self.listen(connection).await,
                Err(trouble) => trouble,
            };
            if self.told.as_ref() != Some(&trouble) {
                tracing::warn!("{trouble}; trying again until it stands");
                self.told = Some(trouble.clone());
            }
            if self.up == Up::Yes {
                wait = WAITS.0;
                self.go_down().await;
            }
            // A person has to change something: asking often would only fill the phone system's log.
            let next = if matches!(trouble, Trouble::Refused(_)) { WAITS.1 } else { wait };
            tokio::time::sleep(next).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    async fn listen(&mut self, mut connection: Connection) -> Trouble {
        let mut tracker = Tracker::new(self.settings.clone());
        let mut ears = Ears::default();
        for (id, action) in LISTS {
            connection.send(action, &[("ActionID", id)]);
        }
        let taker = self.heard.clone();
        let mut alive = Alive {
            lists_by: Some(Instant::now() + LISTS_WITHIN),
            pong_by: None,
            ping_at: Instant::now() + PING_EVERY,
        };
        loop {
            while let Some(packet) = connection.next_packet() {
                self.note_denied(&packet);
                if packet.get("ActionID") == Some("ping") {
                    alive.pong_by = None;
                }
                if ears.take(&packet) == Shown::Deaf {
                    self.note_deaf();
                }
                if packet.get("ActionID") == Some(ears::LOOK) {
                    continue;
                }
                let output = tracker.take(Timestamp::now(), self.started.elapsed(), &packet);
                self.pass_on(output, &mut connection);
            }
            metrics::refused_times(Way::Ami, "too_long", connection.dropped());
            metrics::refused_times(Way::Ami, "too_many", tracker.forgotten());
            if tracker.heard_lists() {
                alive.lists_by = None;
            }
            let reading = if self.untaken.len() < MOST_UNTAKEN { Reading::Now } else { Reading::Paused };
            let tick = tracker.next_tick().map(|at| self.started + at);
            let next = alive.next(reading).min(tick.unwrap_or_else(|| Instant::now() + PING_EVERY));
            tokio::select! {
                progress = connection.progress(reading) => if let Err(trouble) = progress {
                    return trouble;
                },
                room = taker.reserve(), if !self.untaken.is_empty() => match (room, self.untaken.pop_front()) {
                    (Ok(room), Some(heard)) => room.send(heard),
                    _ => return Trouble::Closed(connection.peer()),
                },
                () = sleep_until(next) => {
                    if tick.is_some_and(|tick| tick <= Instant::now()) {
                        let output = tracker.tick(Timestamp::now(), self.started.elapsed());
                        self.pass_on(output, &mut connection);
                    }
                    match alive.check(reading, &mut connection) {
                        Err(trouble) => return trouble,
                        // An account that is known to hear need not be asked.
                        Ok(Asked::Ping) if !ears.hears() => {
                            connection.send("CoreShowChannels", &[("ActionID", ears::LOOK)]);
                        }
                        Ok(_) => {}
                    }
                }
            }
        }
    }

    fn pass_on(&mut self, output: Output, connection: &mut Connection) {
        for ask in output.ask {
            let fields =
                [("ActionID", ask.id.as_str()), ("Channel", &ask.channel), ("Variable", ask.variable)];
            connection.send("Getvar", &fields);
        }
        if output.heard.iter().any(|heard| matches!(heard.what, What::Up { .. })) {
            self.up = Up::Yes;
            self.told = None;
            tracing::info!("the phone system is heard by its manager interface");
        }
        self.untaken.extend(output.heard);
    }

    /// What was heard before is told before.
    async fn go_down(&mut self) {
        self.up = Up::No;
        self.untaken.push_back(Heard { at: Timestamp::now(), way: Way::Ami, what: What::Down });
        while let Some(heard) = self.untaken.pop_front() {
            if self.heard.send(heard).await.is_err() {
                return;
            }
        }
    }

    fn note_deaf(&mut self) {
        if !std::mem::replace(&mut self.told_deaf, true) {
            tracing::warn!("{MAY_NOT_HEAR}");
        }
    }

    fn note_denied(&mut self, packet: &Packet) {
        if !self.told_denied && packet.get("Message") == Some("Permission denied") {
            self.told_denied = true;
            tracing::warn!("{MAY_NOT_ASK}");
        }
    }
}

/// Said by the running adapter and by its check.
const MAY_NOT_ASK: &str = "the account may not ask: without write=reporting in manager.conf every caller is shown as \
     withheld, and calls that are under way when the adapter connects are not known";

/// As [`MAY_NOT_ASK`].
const MAY_NOT_HEAR: &str = "calls come and go, and the manager interface tells nothing of them: write read=agent,call for the \
     account in manager.conf";

/// What was asked because it was time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Ping,
}

/// When the other side has to have shown that it is there.
struct Alive {
    lists_by: Option<Instant>,
    pong_by: Option<Instant>,
    ping_at: Instant,
}

impl Alive {
    fn next(&self, reading: Reading) -> Instant {
        let by = [self.lists_by, self.pong_by].into_iter().flatten().filter(|_| reading == Reading::Now);
        by.min().map_or(self.ping_at, |by| by.min(self.ping_at))
    }

    fn check(&mut self, reading: Reading, connection: &mut Connection) -> Result<Asked, Trouble> {
        let now = Instant::now();
        if reading == Reading::Paused {
            // The answer may be there, unread.
            self.pong_by = self.pong_by.map(|_| now + PONG_WITHIN);
            self.lists_by = self.lists_by.map(|_| now + LISTS_WITHIN);
        }
        if self.pong_by.is_some_and(|by| by <= now) {
            return Err(Trouble::Silent(connection.peer()));
        }
        if self.lists_by.is_some_and(|by| by <= now) {
            return Err(Trouble::NoLists(connection.peer()));
        }
        if self.ping_at <= now {
            self.ping_at = now + PING_EVERY;
            if self.pong_by.is_none() {
                connection.send("Ping", &[("ActionID", "ping")]);
                self.pong_by = Some(now + PONG_WITHIN);
                return Ok(Asked::Ping);
            }
        }
        Ok(Asked::Nothing)
    }
}
