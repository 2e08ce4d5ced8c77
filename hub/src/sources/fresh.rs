//! Good answers that are used again for a while (`fresh = "30s"`), for systems that must not be asked on
//! every call. A reused answer keeps the time it was first given, so its age shows.

use std::collections::HashMap;
use std::time::Duration;

use super::Answer;
use super::same::Slot;

/// See the file's own comment. It is told the time, as what has passed since some beginning.
pub struct Fresh {
    lasts: Duration,
    kept: HashMap<Slot, Kept>,
}

struct Kept {
    since: Duration,
    answer: Answer,
}

/// The most answers kept; the oldest goes when it is full.
const MOST_KEPT: usize = 1000;

impl Fresh {
    /// Answers are used again for as long as `lasts`.
    pub fn new(lasts: Duration) -> Self {
        Fresh { lasts, kept: HashMap::new() }
    }

    /// The answer to this question, where one was given not long ago.
    pub fn reuse(&self, now: Duration, slot: &Slot) -> Option<Answer> {
        let kept = self.kept.get(slot)?;
        (now.saturating_sub(kept.since) < self.lasts).then(|| kept.answer.clone())
    }

    /// Takes note of a good answer.
    pub fn keep(&mut self, now: Duration, slot: Slot, answer: Answer) {
        if self.kept.len() >= MOST_KEPT && !self.kept.contains_key(&slot) {
            self.kept.retain(|_, kept| now.saturating_sub(kept.since) < self.lasts);
            if self.kept.len() >= MOST_KEPT {
                let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.since).map(|(slot, _)| *slot);
                oldest.and_then(|oldest| self.kept.remove(&oldest));
            }
        }
        self.kept.insert(slot, Kept { since: now, answer });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u32) -> Slot {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Slot::from_bytes(bytes)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_is_used_again_until_it_is_stale_and_only_for_its_own_question() {
        let mut fresh = Fresh::new(at(30));
        fresh.keep(at(5), slot(1), Answer::Nothing);
        for (now, question, expected) in
            [(5, 1, Some(Answer::Nothing)), (34, 1, Some(Answer::Nothing)), (35, 1, None), (6, 2, None)]
        {
            assert_eq!(fresh.reuse(at(now), &slot(question)), expected, "{question} at {now}");
        }
    }

    #[test]
    fn no_more_than_a_bounded_number_of_answers_is_kept_and_the_oldest_goes() {
        let mut fresh = Fresh::new(at(5000));
        for number in 0..1100 {
            fresh.keep(at(number.into()), slot(number), Answer::Nothing);
        }
        assert_eq!(fresh.kept.len(), MOST_KEPT);
        assert_eq!(fresh.reuse(at(1100), &slot(99)), None);
        assert!(fresh.reuse(at(1100), &slot(100)).is_some());
    }
}
