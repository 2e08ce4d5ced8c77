//! What the hub's task remembers of its dealings with the record: who waits to hear "kept", who has asked
//! how much, and when to forget old calls. A clock that jumps ahead must not empty the record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use uuid::Uuid;

use crate::core::{Keep, ViewerId};

/// The most looks of one desktop at once.
const LOOKS_OF_ONE: u32 = 4;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two parts of the work.
const BETWEEN: Duration = Duration::from_millis(200);
/// How far the clock may differ from what time has passed, before nothing is forgotten for a day.
const MOST_DRIFT: SignedDuration = SignedDuration::from_hours(1);

/// A longer time without any entry may be a wrong clock.
const MOST_AWAY: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(crate) struct Clerk {
    waiting: BTreeSet<(ViewerId, Uuid)>,
    looking: BTreeMap<ViewerId, u32>,
    keep_days: Option<i64>,
    /// When to forget next.
    next: Instant,
    /// The clock and the time passed, when they were last seen together.
    seen: (Timestamp, Instant),
}

impl Clerk {
    /// `keep_days`: for how long calls are kept, `None` for ever. `last_written`: by the record's last entry.
    pub(crate) fn new(keep_days: Option<i64>, now: Timestamp, last_written: Option<Timestamp>) -> Clerk {
        let here = Instant::now();
        let away = last_written.is_some_and(|last| now.duration_since(last) > MOST_AWAY);
        if away && keep_days.is_some() {
            tracing::warn!(
                "the record was last written {} days ago by this machine's clock: no old calls are forgotten for a \
                 day. If the clock is wrong, set it right before then",
                last_written.map_or(0, |last| now.duration_since(last).as_hours() / 24)
            );
        }
        let next = here + if away { DAY } else { BETWEEN };
        Clerk { waiting: BTreeSet::new(), looking: BTreeMap::new(), keep_days, next, seen: (now, here) }
    }

    pub(crate) fn waits_for(&mut self, keep: &[Keep]) {
        self.waiting.extend(keep.iter().filter_map(|keep| match keep {
            Keep::Acknowledge { viewer, id } => Some((*viewer, *id)),
            _ => None,
        }));
    }

    pub(crate) fn kept(&mut self, viewer: ViewerId, id: Uuid) {
        self.waiting.remove(&(viewer, id));
    }

    /// Everyone who waits for what will not be kept.
    pub(crate) fn gives_up(&mut self) -> BTreeSet<(ViewerId, Uuid)> {
        std::mem::take(&mut self.waiting)
    }

    /// Whether this desktop may look, too; if so, it does now.
    pub(crate) fn looks(&mut self, viewer: ViewerId) -> bool {
        let looking = self.looking.entry(viewer).or_default();
        let may = *looking < LOOKS_OF_ONE;
        *looking += u32::from(may);
        may
    }

    pub(crate) fn looked(&mut self, viewer: ViewerId) {
        if let Some(looking) = self.looking.get_mut(&viewer) {
            *looking = looking.saturating_sub(1);
            if *looking == 0 {
                self.looking.remove(&viewer);
            }
        }
    }

    /// When it is time to forget.
    pub(crate) fn forgets_at(&self) -> Instant {
        self.next
    }

    /// Some of what is too old, unless the clock has jumped since it was last looked at.
    pub(crate) fn forget(&mut self, now: Timestamp) -> Option<Keep> {
        let here = Instant::now();
        let days = self.keep_days;
        self.next = here + DAY;
        let passed = SignedDuration::try_from(here - self.seen.1).unwrap_or_default();
        let drift = now.duration_since(self.seen.0) - passed;
        self.seen = (now, here);
        if days.is_some() && drift > MOST_DRIFT {
            tracing::warn!(
                "this machine's clock went ahead by {} hours: no old calls are forgotten for a day. \
                 If the clock is wrong, set it right before then",
                drift.as_hours()
            );
            return None;
        }
        let before = now.checked_sub(SignedDuration::from_hours(days?.saturating_mul(24))).ok()?;
        Some(Keep::Forget { before })
    }

    pub(crate) fn forgot(&mut self, more: bool) {
        if more {
            self.next = Instant::now() + BETWEEN;
        }
    }
}
