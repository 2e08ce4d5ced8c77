//! What can be told about the questions to each source: how many there were, what became of them, and how it
//! stands. For whoever shows figures; it holds no answers and nothing of any customer.

use std::sync::atomic::{AtomicU64, Ordering};

use pinkas_protocol::{Gives, SourceName};

pub use super::breaker::Standing;

/// One source's figures, since the hub started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFigures {
    /// Which source.
    pub source: SourceName,
    /// What it gives.
    pub gives: Gives,
    /// Whether it is asked, rests, or is being tried.
    pub standing: Standing,
    /// Questions that are with it now.
    pub under_way: usize,
    /// Questions it was sent.
    pub asked: u64,
    /// Of those, answered with something or with nothing, in time or late.
    pub answered: u64,
    /// Of those, failed, among them those that never were answered.
    pub failed: u64,
    /// Of those, not answered by the deadline.
    pub late: u64,
    /// Askers who got the answer to the same question that was under way already.
    pub joined: u64,
    /// Askers who got an answer again that was given not long ago.
    pub reused: u64,
    /// Askers who were told that it is busy.
    pub busy: u64,
    /// Askers who were told that it rests.
    pub resting: u64,
    /// How often it was left alone.
    pub rests: u64,
    /// Cards that showed old figures in place of an answer.
    pub old: u64,
}

/// The counters behind them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub asked: Count,
    pub answered: Count,
    pub failed: Count,
    pub late: Count,
    pub joined: Count,
    pub reused: Count,
    pub busy: Count,
    pub resting: Count,
    pub rests: Count,
    pub old: Count,
}

/// One counter.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
