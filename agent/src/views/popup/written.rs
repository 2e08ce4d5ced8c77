//! What the person writes about a call: the unfinished note, what may come of it, when to follow it up, and
//! what has been written so far, with how far each entry has come on its way to the hub.

use jiff::ToSpan;
use jiff::civil::Date;
use pinkas_protocol::{CallView, OutcomeCode, Written};
use uuid::Uuid;

use super::cards::Reader;
use crate::drafts::Stage;
use crate::model::{Here, Model};
use crate::words;

/// The part of a card that is written on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritingData {
    /// The note as it was left.
    pub draft: String,
    /// What may come of this call.
    pub outcomes: Vec<OutcomeData>,
    /// Days on which to follow it up.
    pub days: Vec<DayData>,
    /// An outcome has to be said before the card is finished.
    pub wants_outcome: bool,
    /// Why what is written would not outlive a crash.
    pub trouble: Option<String>,
}

/// One thing that may come of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeData {
    /// What is kept.
    pub code: OutcomeCode,
    /// What is shown.
    pub label: String,
    /// It was said last.
    pub chosen: bool,
}

/// A day on which to follow a call up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayData {
    /// In words.
    pub label: String,
    /// Which.
    pub due: Date,
}

/// Something written about this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryData {
    /// Its id.
    pub id: Uuid,
    /// When and by whom: `14:02 · Ana`.
    pub lead: String,
    /// What.
    pub text: String,
    /// It is not with the hub yet.
    pub waits: bool,
    /// Why the hub does not take it.
    pub refused: Option<String>,
}

/// Days after today on which a call is followed up.
const DAYS: [(&str, i32); 3] = [("tomorrow", 1), ("in-a-week", 7), ("in-a-month", 30)];

/// What may be written about a call now; `None` while it only rings, or rings for others.
pub(super) fn writing(model: &Model, view: &CallView, reader: &Reader<'_>) -> Option<WritingData> {
    let talked = matches!(model.here(view), Here::Answered { .. } | Here::Left { .. });
    if !talked && view.ended.is_none() {
        return None;
    }
    let words = reader.words;
    let said = model.outcome(view);
    let outcomes = model.outcomes_of(view.facts.queue.as_ref()).map(|outcome| OutcomeData {
        code: outcome.code.clone(),
        label: words::plain(&outcome.label),
        chosen: said.as_ref() == Some(&outcome.code),
    });
    let today = words::today(reader.now, reader.zone);
    let day = |(id, days): &(&'static str, i32)| {
        let due = today.checked_add(days.days()).ok()?;
        Some(DayData { label: words.say(id), due })
    };
    Some(WritingData {
        draft: model.drafts().text(view.id).to_owned(),
        outcomes: outcomes.collect(),
        days: DAYS.iter().filter_map(day).collect(),
        wants_outcome: model.lacks_outcome(view),
        trouble: model.drafts().trouble().map(|_| words.say("not-kept-here")),
    })
}

/// All that was written about a call, oldest first, what the hub does not have yet last.
pub(super) fn entries(model: &Model, view: &CallView, reader: &Reader<'_>) -> Vec<EntryData> {
    let words = reader.words;
    let text = |what: &Written| match what {
        Written::Note { text } => words::plain(&text.0),
        Written::Outcome { code } => {
            let known = model.outcomes().iter().find(|outcome| outcome.code == *code);
            let label = known.map_or(code.as_str(), |outcome| &outcome.label);
            words.tell("outcome-is", &[("outcome", (&words::plain(label)).into())])
        }
        Written::FollowUp { due, text } => {
            let (day, text) = (reader.day(*due), words::plain(&text.0));
            words.tell("follow-up-on", &[("day", (&day).into()), ("text", (&text).into())])
        }
    };
    let told = view.entries.iter().map(|entry| EntryData {
        id: entry.id,
        lead: words.dots([words.moment(entry.at, reader.now, reader.zone), words::plain(&entry.name)]),
        text: text(&entry.what),
        waits: false,
        refused: None,
    });
    let here = model.drafts().of(view.id).filter(|entry| !entry.is_told(view)).filter_map(|entry| {
        let refused = match entry.stage {
            Stage::Refused(why) => Some(words.refusal(why)),
            Stage::Saving | Stage::Waiting | Stage::Kept => None,
        };
        Some(EntryData {
            id: entry.id,
            lead: words.moment(model.hub_time(entry.at), reader.now, reader.zone),
            text: text(entry.written()?),
            waits: matches!(entry.stage, Stage::Saving | Stage::Waiting),
            refused,
        })
    });
    told.chain(here).collect()
}
