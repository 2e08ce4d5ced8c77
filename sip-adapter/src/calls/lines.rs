//! What each line does, by the way that is best informed of lines. Told when it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use pinkas_protocol::{Line, LineState};

use crate::hear::Way;

/// Who is believed about a line, best first: dialog events are the phone system's own word on it.
const LINE_BY: [Way; 4] = [Way::DialogEvents, Way::Ami, Way::Hep, Way::Shadow];

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    known: BTreeMap<Line, LineNow>,
    /// Those that dialog events lost sight of and that were not given up, and when, as uptime.
    lost: BTreeMap<Line, Duration>,
}

#[derive(Debug, Default)]
struct LineNow {
    by: BTreeMap<Way, LineState>,
    told: Option<LineState>,
}

impl LineNow {
    fn state(&self) -> LineState {
        let known = LINE_BY.into_iter().filter_map(|way| self.by.get(&way).copied());
        known.into_iter().find(|state| *state != LineState::Unknown).unwrap_or(LineState::Unknown)
    }

    fn news(&mut self) -> Option<LineState> {
        let state = self.state();
        // After a restart the hub may hold an old state: the first word about a line is always told.
        let news = (self.told != Some(state)).then_some(state);
        self.told = Some(state);
        news
    }
}

impl Lines {
    /// A line that was part of a call before a restart and was not heard of since.
    pub(super) fn not_heard_yet(&mut self, line: Line) {
        self.lost.insert(line, Duration::ZERO);
    }

    /// Takes in one way's word; gives the state to tell, if that changed.
    pub(super) fn take(
        &mut self,
        way: Way,
        line: &Line,
        state: LineState,
        uptime: Duration,
    ) -> Option<LineState> {
        if way == Way::DialogEvents {
            match state {
                LineState::Unknown => drop(self.lost.entry(line.clone()).or_insert(uptime)),
                _ => drop(self.lost.remove(line)),
            }
        }
        let now = match self.known.get_mut(line) {
            Some(now) => now,
            None => self.known.entry(line.clone()).or_default(),
        };
        now.by.insert(way, state);
        now.news()
    }

    /// A way can no longer hear: gives the lines whose state to tell is another now.
    pub(super) fn lose(&mut self, way: Way) -> Vec<(Line, LineState)> {
        let lost = |(line, now): (&Line, &mut LineNow)| {
            now.by.remove(&way)?;
            Some((line.clone(), now.news()?))
        };
        self.known.iter_mut().filter_map(lost).collect()
    }

    /// What dialog events say of a line; `Unknown` where they do not.
    pub(super) fn by_dialog_events(&self, line: &Line) -> LineState {
        let now = self.known.get(line);
        now.and_then(|now| now.by.get(&Way::DialogEvents).copied()).unwrap_or(LineState::Unknown)
    }

    /// Lines that dialog events lost sight of and that were not given up yet, with the moment.
    pub(super) fn lost(&self) -> impl Iterator<Item = (&Line, Duration)> {
        self.lost.iter().map(|(line, at)| (line, *at))
    }

    /// Not to be given up again.
    pub(super) fn given_up(&mut self, line: &Line) {
        self.lost.remove(line);
    }
}
