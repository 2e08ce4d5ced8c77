//! Questions to one source that are under way, so that the same one is asked only once: whoever asks it
//! meanwhile gets the answer to the first. Pure: it only knows what is under way and what has ended.

use std::collections::HashMap;

use super::same::Slot;

/// What is under way; `T` is what an asker waits on.
#[derive(Debug)]
pub struct Flights<T> {
    by_slot: HashMap<Slot, (Turn, T)>,
    next: u64,
}

/// Tells one question from another that was the same, earlier or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Flights { by_slot: HashMap::new(), next: 0 }
    }
}

impl<T> Flights<T> {
    /// The same question, where it is under way.
    pub fn under_way(&self, slot: &Slot) -> Option<&T> {
        self.by_slot.get(slot).map(|(_, waits)| waits)
    }

    /// A question begins, in the place of one that nobody waits for any more.
    pub fn begins(&mut self, slot: Slot, start: impl FnOnce(Turn) -> T) {
        let turn = Turn(self.next);
        self.next += 1;
        self.by_slot.insert(slot, (turn, start(turn)));
    }

    /// A question has ended, or was given up.
    pub fn ended(&mut self, slot: &Slot, turn: Turn) {
        if self.by_slot.get(slot).is_some_and(|(current, _)| *current == turn) {
            self.by_slot.remove(slot);
        }
    }

    /// How many are under way.
    pub fn count(&self) -> usize {
        self.by_slot.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    proptest! {
        /// Four questions are asked, end and are given up in any order: of each at most one is under way, and
        /// the end of an earlier one never ends a later one.
        #[test]
        fn in_any_story_each_question_is_under_way_once_until_it_ends(
            story in proptest::collection::vec((0u8..3, 0u8..4, 0usize..8), 0..300),
        ) {
            let mut flights = Flights::default();
            let mut model: BTreeMap<u8, u64> = BTreeMap::new();
            let mut begun: Vec<(u8, Turn, u64)> = Vec::new();
            let mut number = 0;
            for (what, question, which) in story {
                let slot = Slot::from_bytes([question; 16]);
                prop_assert_eq!(flights.under_way(&slot), model.get(&question));
                match what {
                    // Asked: joined, unless it begins.
                    0 if model.contains_key(&question) => {}
                    // Nobody waits for it any more, and it is asked anew.
                    0 | 1 => {
                        number += 1;
                        flights.begins(slot, |turn| {
                            begun.push((question, turn, number));
                            number
                        });
                        model.insert(question, number);
                    }
                    _ if begun.is_empty() => {}
                    _ => {
                        let (question, turn, number) = begun.swap_remove(which % begun.len());
                        flights.ended(&Slot::from_bytes([question; 16]), turn);
                        if model.get(&question) == Some(&number) {
                            model.remove(&question);
                        }
                    }
                }
                prop_assert_eq!(flights.count(), model.len());
            }
        }
    }
}
