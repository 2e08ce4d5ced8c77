//! Answers looks into the record, beside the core and the writer: by number, customer or line through an
//! index, by text by looking at so many calls and no more. A person gets what they may see, nothing else.

use jiff::Timestamp;
use pinkas_protocol::agent_link::HubToAgent;
use pinkas_protocol::record::{PAGE, Searched};
use pinkas_protocol::{CallId, NumberPlan, PastCall, Written};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::rows::{self, By, decode, index_prefix, key};
use super::{Said, entries};
use crate::core::{Look, MOST_WRITTEN, Scope, written_bytes};

/// One look looks at no more calls than this.
const MOST_LOOKED_AT: usize = 5_000;

pub(super) struct Reader {
    db: sled::Db,
    numbers: NumberPlan,
}

type Ids = Box<dyn Iterator<Item = anyhow::Result<CallId>>>;

impl Reader {
    pub(super) fn new(db: sled::Db, numbers: NumberPlan) -> Reader {
        Reader { db, numbers }
    }

    pub(super) fn run(self, mut looks: mpsc::Receiver<Look>, said: &mpsc::Sender<Said>) {
        while let Some(look) = looks.blocking_recv() {
            let page = self.page(&look).unwrap_or_else(|e| {
                tracing::error!("the record of calls cannot be read: {e:#}");
                page_of(look.ask, Searched::Failed)
            });
            if said.blocking_send(Said::Page { viewer: look.viewer, page: Box::new(page) }).is_err() {
                return;
            }
        }
    }

    pub(super) fn page(&self, look: &Look) -> anyhow::Result<HubToAgent> {
        let (ids, text) = self.candidates(look)?;
        let (mut calls, mut left) = (Vec::<PastCall>::new(), MOST_WRITTEN);
        let (mut more, mut back_to, mut searched) = (None, None, Searched::Fully);
        let mut last: Option<(CallId, Timestamp)> = None;
        for (looked_at, id) in ids.enumerate() {
            let id = id?;
            if calls.len() == PAGE || left == 0 {
                more = last.map(|(id, _)| id);
                break;
            }
            if looked_at == MOST_LOOKED_AT {
                (more, back_to) = (last.map(|(id, _)| id), last.map(|(_, at)| at));
                searched = Searched::Partly;
                break;
            }
            let Some(value) = self.db.get(key(rows::PAST, id.0))? else { continue };
            let past: PastCall = decode(&value)?;
            last = Some((id, past.arrived_at));
            let Some(mut past) = look.scope.of(past) else { continue };
            past.entries = entries(&self.db, id)?;
            if text.as_ref().is_none_or(|text| text.is_in(&past)) {
                let size = 512 + past.entries.iter().map(written_bytes).sum::<usize>();
                left = left.saturating_sub(size);
                calls.push(past);
            }
        }
        Ok(HubToAgent::Page { ask: look.ask, calls, more, back_to, searched })
    }

    /// The calls to look at, newest first, and the text that must be in them unless an index found them.
    fn candidates(&self, look: &Look) -> anyhow::Result<(Ids, Option<Needle>)> {
        if let Some(find) = &look.find {
            let number = self.numbers.read(&find.0);
            let number = number.as_ref().and_then(|number| number.key());
            let number = number.map(|number| index_prefix(By::Number, number));
            for prefix in number.into_iter().chain([index_prefix(By::Customer, &find.0)]) {
                if self.db.scan_prefix(&prefix).next().transpose()?.is_some() {
                    return Ok((self.before(prefix, look.before), None));
                }
            }
        }
        let ids = match &look.scope {
            Scope::Everything => self.before(vec![rows::PAST], look.before),
            Scope::Lines(lines) => {
                let each = lines
                    .iter()
                    .map(|line| self.before(index_prefix(By::Line, line.as_str()), look.before).peekable());
                Box::new(Merged(each.collect()))
            }
        };
        Ok((ids, look.find.as_ref().map(|find| Needle::new(&find.0))))
    }

    /// Calls whose keys have this prefix, newest first.
    fn before(&self, prefix: Vec<u8>, before: Option<CallId>) -> Ids {
        let mut end = prefix.clone();
        end.extend(before.map_or(Uuid::max(), |call| call.0).as_bytes());
        let keys = self.db.range(prefix..end).keys().rev();
        Box::new(keys.map(|key| {
            rows::call_at_end(&key?).ok_or_else(|| anyhow::anyhow!("a key of the history is not readable"))
        }))
    }
}

fn page_of(ask: u64, searched: Searched) -> HubToAgent {
    HubToAgent::Page { ask, calls: Vec::new(), more: None, back_to: None, searched }
}

/// The answer to a look that nobody has time for.
pub(crate) fn busy(look: &Look) -> HubToAgent {
    page_of(look.ask, Searched::Busy)
}

/// Several lists of calls as one, newest first, each call once.
struct Merged(Vec<std::iter::Peekable<Ids>>);

impl Iterator for Merged {
    type Item = anyhow::Result<CallId>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut newest: Option<CallId> = None;
        for list in &mut self.0 {
            match list.peek() {
                // An error is passed on at once, as it is.
                Some(Err(_)) => return list.next(),
                Some(Ok(id)) => newest = newest.max(Some(*id)),
                None => {}
            }
        }
        let newest = newest?;
        for list in &mut self.0 {
            while list.next_if(|id| id.as_ref().is_ok_and(|id| *id == newest)).is_some() {}
        }
        Some(Ok(newest))
    }
}

/// A text to be found.
struct Needle {
    text: String,
    digits: Option<String>,
}

impl Needle {
    fn new(find: &str) -> Needle {
        let digits: String = find.chars().filter(char::is_ascii_digit).collect();
        let only_digits = find.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c));
        // A leading zero is the country's trunk prefix, which an international number has not.
        let digits = digits.trim_start_matches('0').to_owned();
        Needle { text: find.to_lowercase(), digits: (only_digits && digits.len() >= 3).then_some(digits) }
    }

    fn is_in(&self, past: &PastCall) -> bool {
        let holds = |text: &str| text.to_lowercase().contains(&self.text);
        let number = past.caller.number.as_ref().and_then(|number| number.key());
        let by_digits =
            self.digits.as_ref().zip(number).is_some_and(|(digits, n)| n.contains(digits.as_str()));
        let customer = past.customer.as_ref();
        by_digits
            || past.caller.name.as_ref().is_some_and(|name| holds(&name.0))
            || customer.is_some_and(|customer| holds(customer.key.as_str()) || holds(&customer.name.0))
            || past.entries.iter().any(|entry| match &entry.what {
                Written::Note { text } | Written::FollowUp { text, .. } => holds(&text.0),
                Written::Outcome { code } => holds(code.as_str()),
            })
    }
}
