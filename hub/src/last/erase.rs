//! Erases one caller or customer from the last figures of a stopped hub: all others are written to a new file
//! under a new name of its own. What cannot be read is not kept: figures are only older than the sources' own.

use std::path::Path;

use anyhow::ensure;
use pinkas_protocol::CustomerKey;

use super::book::Book;
use super::keeper::{Line, lines};
use super::sealed::{self, Sealed};
use super::{FILE, Label, Place};

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Answers whose figures are gone.
    pub answers: u64,
    /// All of them are gone, because they could not be read.
    pub all: bool,
}

/// Whom to erase.
#[derive(Clone, Copy)]
pub(crate) struct Whom<'a> {
    /// The number, as [`pinkas_protocol::Number::key`] gives it.
    pub number: Option<&'a str>,
    /// The customer.
    pub customer: Option<&'a CustomerKey>,
    /// Whether figures, as text, mention them.
    pub mentioned: &'a dyn Fn(&[u8]) -> bool,
}

impl Whom<'_> {
    fn is(&self, label: &Label, facts: &[u8]) -> bool {
        let number = label.number.as_ref().and_then(|number| number.key());
        (number.is_some() && number == self.number)
            || (label.customer.is_some() && label.customer.as_ref() == self.customer)
            || (self.mentioned)(facts)
    }
}

/// Writes the figures of `place` that are not theirs to the folder `to`.
pub(crate) fn erase(place: &Place, to: &Path, whom: Whom<'_>) -> anyhow::Result<Erased> {
    let from = place.state.join(FILE);
    let mut erased = Erased::default();
    if !from.exists() {
        return Ok(erased);
    }
    let Ok(Some(key)) = sealed::read_key(&place.key) else {
        return Ok(Erased { all: true, ..erased });
    };
    let mut book = Book::default();
    let mut theirs = std::collections::BTreeSet::new();
    let read = sealed::read(&from, &key, |text| match Line::read(text) {
        Some((Line::Kept { label, .. }, facts)) if whom.is(&label, facts) => {
            book.remove(&label.slot);
            theirs.insert(label.slot);
        }
        Some((Line::Kept { label, kept_at }, facts)) => book.put(label, kept_at, facts.into()),
        Some((Line::Gone { slot }, _)) => book.remove(&slot),
        None => {}
    });
    if read.is_err() {
        return Ok(Erased { all: true, ..erased });
    }
    erased.answers = theirs.len() as u64;
    let to = to.join(FILE);
    Sealed::anew(&to, key.clone(), lines(book.all()))?;
    // The proof: nothing of them can be read there.
    let mut left = 0;
    sealed::read(&to, &key, |text| {
        left += u32::from(match Line::read(text) {
            Some((Line::Kept { label, .. }, facts)) => whom.is(&label, facts),
            _ => true,
        });
    })?;
    ensure!(left == 0, "the last figures still name them");
    Ok(erased)
}
