//! Who waits in which queue at which place. Pure.

use std::collections::BTreeMap;

use pinkas_protocol::QueueName;

/// The most callers that are kept waiting, all queues together.
const MOST_WAITING: usize = 20_000;

/// The queues, each its waiting channels in order.
#[derive(Debug, Default)]
pub(super) struct Queues {
    waiting: BTreeMap<QueueName, Vec<String>>,
    queue_of: BTreeMap<String, QueueName>,
}

impl Queues {
    /// A channel waits at a place, from 1. Gives every channel whose place may have changed.
    pub fn join(&mut self, queue: QueueName, channel: &str, position: usize) -> Vec<String> {
        let mut moved = self.leave(channel);
        if self.queue_of.len() >= MOST_WAITING {
            return moved;
        }
        let row = self.waiting.entry(queue.clone()).or_default();
        let at = position.saturating_sub(1).min(row.len());
        row.insert(at, channel.to_owned());
        self.queue_of.insert(channel.to_owned(), queue);
        moved.extend(row.iter().skip(at).cloned());
        moved
    }

    /// A channel waits no more. Gives every channel whose place has changed.
    pub fn leave(&mut self, channel: &str) -> Vec<String> {
        let Some(queue) = self.queue_of.remove(channel) else { return Vec::new() };
        let Some(row) = self.waiting.get_mut(&queue) else { return Vec::new() };
        let at = row.iter().position(|one| one == channel).unwrap_or(row.len());
        if at < row.len() {
            row.remove(at);
        }
        let moved = row.iter().skip(at).cloned().collect();
        if row.is_empty() {
            self.waiting.remove(&queue);
        }
        moved
    }

    /// Where a channel waits.
    pub fn place(&self, channel: &str) -> Option<(QueueName, u32)> {
        let queue = self.queue_of.get(channel)?;
        let at = self.waiting.get(queue)?.iter().position(|one| one == channel)?;
        Some((queue.clone(), u32::try_from(at + 1).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_behind_move_up_when_one_leaves() {
        let queue = || QueueName::parse("support").expect("a name");
        let mut queues = Queues::default();
        assert_eq!(queues.join(queue(), "a", 1), ["a"]);
        assert_eq!(queues.join(queue(), "b", 2), ["b"]);
        // A caller with priority comes in before them.
        assert_eq!(queues.join(queue(), "c", 1), ["c", "a", "b"]);
        assert_eq!(queues.place("b"), Some((queue(), 3)));
        assert_eq!(queues.leave("c"), ["a", "b"]);
        assert_eq!(queues.place("b"), Some((queue(), 2)));
        assert_eq!(queues.leave("c"), Vec::<String>::new());
        assert_eq!(queues.leave("a"), ["b"]);
        assert_eq!(queues.place("a"), None);
    }
}
