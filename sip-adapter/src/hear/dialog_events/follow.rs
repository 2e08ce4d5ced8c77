//! The task that keeps one line, or one list of lines, subscribed. What to do after each outcome is decided
//! in `policy`; here it is only done.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::policy::{self, NextDialog, Outcome};
use super::session::{ANSWER, Session, Subscription, Target, in_words};

/// A subscription that ended sooner than this counts as a failure.
const STOOD: Duration = Duration::from_secs(5);
/// A NOTIFY must come this soon after the 200.
pub(super) const NOTIFY_WITHIN: Duration = Duration::from_secs(2);
/// The full state is not asked for more often than this.
const BETWEEN_FULL: Duration = Duration::from_secs(1);

/// Why a task ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to, or the way has closed.
    Stopped,
    /// There is no such list: the lines have to be asked for one by one.
    NoList(String),
}

/// A dialog that goes on, and its last CSeq.
type Standing = (Arc<Subscription>, u32);

/// Keeps `target` subscribed until `stop` or until the way closes.
pub(super) async fn follow(session: Arc<Session>, target: Target, stop: CancellationToken) -> Ended {
    let mut failures = 0;
    let mut ended_early: u32 = 0;
    let mut knocks = false;
    let mut expires = session.config.expires;
    let mut current: Option<Standing> = None;
    let mut began = Instant::now();
    let mut stands_until = Instant::now();
    let mut alive = session.alive.subscribe();
    loop {
        // Nobody knocks at a dead door but the one who found it so, and the one who watches it.
        if !knocks {
            tokio::select! {
                () = stop.cancelled() => return leave(&session, current, 0).await,
                () = session.endpoint.closed() => return Ended::Stopped,
                () = until_alive(&mut alive) => {}
            }
        }
        let turn = tokio::select! {
            () = stop.cancelled() => return leave(&session, current, 0).await,
            () = session.endpoint.closed() => return Ended::Stopped,
            turn = session.pace.turn() => turn,
        };
        let (subscription, cseq) = current.take().unwrap_or_else(|| {
            began = Instant::now();
            stands_until = began;
            (session.open(&target), 0)
        });
        let (outcome, cseq) = tokio::select! {
            // The request may have reached it already: with a higher CSeq the dialog, if any, is ended.
            () = stop.cancelled() => return leave(&session, Some((subscription, cseq)), 2).await,
            () = session.endpoint.closed() => return Ended::Stopped,
            asked = session.subscribe(&subscription, cseq + 1, expires) => asked,
        };
        let granted = matches!(outcome, Outcome::Granted(expires) if !expires.is_zero());
        failures = if granted { 0 } else { failures + 1 };
        let left = stands_until.saturating_duration_since(Instant::now());
        let next = policy::next(&outcome, failures, left);
        match outcome {
            Outcome::NoAnswer if session.endpoint.quiet_for() >= ANSWER => {
                knocks = true;
                session.silent().await;
            }
            Outcome::NoAnswer => {}
            _ => {
                knocks = false;
                session.back();
            }
        }
        match outcome {
            Outcome::Credentials(_) | Outcome::NoAnswer => turn.went_wrong(next.after),
            Outcome::Refused { code: 503, .. } => turn.went_wrong(next.after),
            _ => turn.went_well(),
        }
        if let (Target::List(_), false) = (&target, granted)
            && matches!(outcome, Outcome::NoSuchLine | Outcome::NotTold(_))
        {
            session.close(&subscription);
            return Ended::NoList(in_words(&session.config, &target, &outcome));
        }
        session.tell(&target, &outcome);
        expires = policy::expires_after(&outcome, expires);
        if let Outcome::Granted(granted) = outcome {
            stands_until = Instant::now() + granted;
        }
        // What is tried again at once is not lost yet.
        if !next.hearing && !next.after.is_zero() {
            session.lost_target(&target).await;
        }
        let standing = match next.dialog {
            NextDialog::Same => Some((subscription.clone(), cseq)),
            NextDialog::New => {
                session.close(&subscription);
                None
            }
        };
        let until = Until { next: Instant::now() + next.after, stood: began.elapsed() >= STOOD, knocks };
        match wait(&session, &subscription, standing.is_some(), until, &mut alive, &stop).await {
            Woken::Stop => return leave(&session, standing, 1).await,
            Woken::Closed => return Ended::Stopped,
            Woken::NoList => {
                let name = format!("{target:?}");
                leave(&session, standing, 1).await;
                return Ended::NoList(format!("the phone system answers for {name} as one line"));
            }
            Woken::Due => current = standing,
            Woken::Ended(ending) => {
                session.close(&subscription);
                ended_early = if began.elapsed() < STOOD { ended_early + 1 } else { 0 };
                let after = ending.after(ended_early.saturating_sub(1));
                if !after.is_zero() {
                    session.lost_target(&target).await;
                }
                tokio::select! {
                    () = stop.cancelled() => return Ended::Stopped,
                    () = session.endpoint.closed() => return Ended::Stopped,
                    () = tokio::time::sleep(after) => {}
                }
            }
        }
    }
}

struct Until {
    /// When to send the next SUBSCRIBE.
    next: Instant,
    /// The subscription has stood for a while.
    stood: bool,
    /// It waits for a dead phone system to come back.
    knocks: bool,
}

enum Woken {
    /// It is time for the next SUBSCRIBE.
    Due,
    Ended(policy::Ending),
    NoList,
    Stop,
    Closed,
}

/// Waits until something has to be done about a subscription.
async fn wait(
    session: &Session,
    subscription: &Subscription,
    stands: bool,
    until: Until,
    alive: &mut tokio::sync::watch::Receiver<bool>,
    stop: &CancellationToken,
) -> Woken {
    let asked = Instant::now();
    let silent_at = asked + NOTIFY_WITHIN;
    let mut silence_told = until.stood;
    loop {
        let listening = stands && !silence_told && !subscription.notified();
        tokio::select! {
            () = stop.cancelled() => return Woken::Stop,
            () = session.endpoint.closed() => return Woken::Closed,
            () = subscription.changed.notified(), if stands => {
                let news = subscription.news();
                if news.not_a_list {
                    return Woken::NoList;
                }
                if let Some(ending) = news.ended {
                    return Woken::Ended(ending);
                }
                if news.ask_full {
                    let soonest = (asked + BETWEEN_FULL).min(until.next);
                    tokio::time::sleep_until(soonest).await;
                    return Woken::Due;
                }
            }
            // One that knocks goes on by its own clock.
            () = until_silent(alive), if stands && !until.knocks => {
                session.lost_target(&subscription.target).await;
                // The next SUBSCRIBE is due as soon as it is back: the outer loop waits for that.
                return Woken::Due;
            }
            () = tokio::time::sleep_until(silent_at), if listening => {
                session.tell_silence();
                silence_told = true;
            }
            () = tokio::time::sleep_until(until.next) => return Woken::Due,
        }
    }
}

/// The sender lives as long as the session.
async fn until_alive(alive: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = alive.wait_for(|alive| *alive).await;
}

async fn until_silent(alive: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = alive.wait_for(|alive| !*alive).await;
}

async fn leave(session: &Session, standing: Option<Standing>, after: u32) -> Ended {
    if let Some((subscription, cseq)) = standing {
        session.leave(&subscription, cseq + after.max(1)).await;
    }
    Ended::Stopped
}
