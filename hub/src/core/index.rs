//! Which calls there are by number, by line and which are over: found without a look at every call the hub holds. Pure.
//! Kept by [`Hub::fold`] and [`Hub::drop_call`] alone, which everything that changes a call goes through.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use pinkas_protocol::{CallId, CallView, Line, Number, Update};

use super::Hub;

/// The calls of a board, by what they are looked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    of_number: HashMap<Number, BTreeSet<CallId>>,
    at_line: HashMap<Line, BTreeSet<CallId>>,
    ended: BTreeSet<CallId>,
}

impl Index {
    /// The calls from a number, oldest first.
    pub(super) fn of_number(&self, number: &Number) -> impl DoubleEndedIterator<Item = CallId> {
        self.of_number.get(number).into_iter().flatten().copied()
    }

    /// The calls that have been at a line, oldest first.
    pub(super) fn at_line(&self, line: &Line) -> impl Iterator<Item = CallId> {
        self.at_line.get(line).into_iter().flatten().copied()
    }

    /// The oldest calls that are over, all but the last `most`.
    fn ended_before(&self, most: usize) -> Vec<CallId> {
        self.ended.iter().take(self.ended.len().saturating_sub(most)).copied().collect()
    }

    pub(super) fn put(&mut self, view: &CallView) {
        if let Some(number) = &view.facts.caller.number {
            insert(&mut self.of_number, number, view.id);
        }
        view.offers.keys().for_each(|line| insert(&mut self.at_line, line, view.id));
        if view.ended.is_some() {
            self.ended.insert(view.id);
        }
    }

    fn take(&mut self, view: &CallView) {
        if let Some(number) = &view.facts.caller.number {
            remove(&mut self.of_number, number, view.id);
        }
        view.offers.keys().for_each(|line| remove(&mut self.at_line, line, view.id));
        self.ended.remove(&view.id);
    }
}

fn insert<K: Hash + Eq + Clone>(index: &mut HashMap<K, BTreeSet<CallId>>, key: &K, call: CallId) {
    match index.get_mut(key) {
        Some(calls) => drop(calls.insert(call)),
        None => drop(index.insert(key.clone(), BTreeSet::from([call]))),
    }
}

fn remove<K: Hash + Eq>(index: &mut HashMap<K, BTreeSet<CallId>>, key: &K, call: CallId) {
    if let Some(calls) = index.get_mut(key) {
        calls.remove(&call);
        if calls.is_empty() {
            index.remove(key);
        }
    }
}

impl Hub {
    /// Applies one change to the board, which it must truly change.
    pub(super) fn fold(&mut self, update: Update) {
        self.folded = self.folded.wrapping_add(1);
        match &update {
            Update::Call { view } => {
                if let Some(old) = self.board.calls.get(&view.id) {
                    self.index.take(old);
                }
                self.index.put(view);
            }
            Update::Facts { call, facts, .. } => {
                let old = self.board.calls.get(call).map(|view| &view.facts.caller.number);
                if let Some(old) = old.filter(|old| **old != facts.caller.number) {
                    old.iter().for_each(|number| remove(&mut self.index.of_number, number, *call));
                    let new = facts.caller.number.iter();
                    new.for_each(|number| insert(&mut self.index.of_number, number, *call));
                }
            }
            Update::Offer { call, line, .. } if self.board.calls.contains_key(call) => {
                insert(&mut self.index.at_line, line, *call);
            }
            Update::Ended { call, .. } if self.board.calls.contains_key(call) => {
                self.index.ended.insert(*call);
            }
            _ => {}
        }
        self.board.fold(update);
    }

    /// Takes a call off the board, with all that is held of it.
    pub(super) fn drop_call(&mut self, call: CallId) {
        if let Some(view) = self.board.calls.remove(&call) {
            self.index.take(&view);
        }
        self.owner.remove(&call);
        self.shown.remove(&call);
        self.traces.remove(&call);
    }

    /// Drops the oldest calls that are over until no more than `most` are left, and says which.
    pub(super) fn drop_ended(&mut self, most: usize) -> Vec<CallId> {
        let gone = self.index.ended_before(most);
        gone.iter().for_each(|call| self.drop_call(*call));
        gone
    }

    /// The calls that have been at one of these lines, each once, oldest first.
    pub(super) fn calls_at<'a>(
        &'a self,
        lines: impl IntoIterator<Item = &'a Line>,
    ) -> impl Iterator<Item = &'a CallView> {
        let calls: BTreeSet<CallId> = lines.into_iter().flat_map(|line| self.index.at_line(line)).collect();
        calls.into_iter().filter_map(|call| self.board.calls.get(&call))
    }
}
