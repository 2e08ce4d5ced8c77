//! Whether an adapter with the same configuration is running: it has the ports and the hub's link, and a check must
//! not take them from it. Seen by the lock on its outbox; nothing is changed.

use std::fs::{File, TryLockError};
use std::path::Path;

/// What runs beside the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing that is known of.
    Nobody,
    /// An adapter that has this `state`.
    Adapter,
}

impl Beside {
    pub(super) fn of(state: &Path) -> Beside {
        // Where sled keeps its lock; taken and given back at once, and shared, so that it disturbs nobody.
        let Ok(file) = File::open(state.join("db")) else { return Beside::Nobody };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Beside::Adapter,
            Ok(()) | Err(TryLockError::Error(_)) => Beside::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_running_adapter_is_seen_by_its_outbox() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(Beside::of(dir.path()), Beside::Nobody);
        let opened = crate::outbox::open(dir.path()).expect("an outbox");
        assert_eq!(Beside::of(dir.path()), Beside::Adapter);
        drop(opened.outbox);
        opened.writer.join().expect("the writer ends");
        // sled's threads let go of it by themselves, a moment later.
        let looks = std::iter::repeat_with(|| {
            std::thread::park_timeout(Duration::from_millis(10));
            Beside::of(dir.path())
        });
        assert!(looks.take(500).any(|beside| beside == Beside::Nobody));
    }
}
