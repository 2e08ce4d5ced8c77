//! What adapters say of lines: which there are, what a phone does, and in which queues it is paused.

use std::collections::BTreeSet;

use pinkas_protocol::board::PauseView;
use pinkas_protocol::{AdapterId, Line, LineEvent, LineState, LineView, PauseEvent, Update};

use super::{Hub, Keep, KeptLine, Noted, Outputs, ViewerId};

/// The most queues in which one line can be paused; a company has a few.
const MOST_PAUSES: usize = 64;

impl Hub {
    /// Lines of this adapter that it no longer follows are shown no more.
    pub(super) fn only_lines(&mut self, adapter: &AdapterId, lines: &BTreeSet<Line>, out: &mut Outputs) {
        for line in lines.iter().filter(|line| self.board.lines.contains_key(*line)) {
            // Kept by an older hub, which did not note whose line it is.
            self.line_owner.entry(line.clone()).or_insert_with(|| adapter.clone());
        }
        let mine = self.line_owner.iter().filter(|(_, owner)| *owner == adapter);
        let gone: Vec<Line> =
            mine.map(|(line, _)| line).filter(|line| !lines.contains(*line)).cloned().collect();
        for line in gone {
            self.line_owner.remove(&line);
            let update = Update::LineGone { line: line.clone() };
            self.fold(update.clone());
            out.update(self.viewers_at(&line), update);
            out.keep.push(Keep::Line { line, kept: None });
        }
    }

    pub(super) fn line_changed(
        &mut self,
        adapter: &AdapterId,
        event: &LineEvent,
        out: &mut Outputs,
    ) -> Noted {
        let before = self.board.lines.get(&event.line);
        if before.is_some_and(|view| view.state == event.state) {
            return Noted::Known;
        }
        let view = LineView {
            agent: self.staff.name_at(&event.line),
            state: event.state,
            since: event.heard_at,
            pauses: before.map(|view| view.pauses.clone()).unwrap_or_default(),
        };
        self.line_is(adapter, &event.line, view, out);
        Noted::New
    }

    pub(super) fn pause_changed(
        &mut self,
        adapter: &AdapterId,
        event: &PauseEvent,
        out: &mut Outputs,
    ) -> Noted {
        let before = self.board.lines.get(&event.line).cloned();
        let mut view = before.unwrap_or_else(|| LineView {
            agent: self.staff.name_at(&event.line),
            state: LineState::Unknown,
            since: event.heard_at,
            pauses: Default::default(),
        });
        let paused = view.pauses.get(&event.queue);
        match &event.pause {
            Some(pause) if paused.is_some_and(|paused| paused.pause == *pause) => return Noted::Known,
            Some(_) if paused.is_none() && view.pauses.len() >= MOST_PAUSES => return Noted::Known,
            None if paused.is_none() => return Noted::Known,
            Some(pause) => {
                let paused = PauseView { since: event.heard_at, pause: pause.clone() };
                view.pauses.insert(event.queue.clone(), paused);
            }
            None => drop(view.pauses.remove(&event.queue)),
        }
        self.line_is(adapter, &event.line, view, out);
        Noted::New
    }

    fn line_is(&mut self, adapter: &AdapterId, line: &Line, view: LineView, out: &mut Outputs) {
        self.line_owner.insert(line.clone(), adapter.clone());
        let update = Update::Line { line: line.clone(), view: view.clone() };
        self.fold(update.clone());
        out.update(self.viewers_at(line), update);
        let kept = KeptLine { adapter: Some(adapter.clone()), view };
        out.keep.push(Keep::Line { line: line.clone(), kept: Some(Box::new(kept)) });
    }

    /// The connections that see a line.
    fn viewers_at(&self, line: &Line) -> Vec<ViewerId> {
        self.viewers_who([line], |person| person.sees_line(line))
    }
}
