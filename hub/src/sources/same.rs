//! What makes two questions to a source the same one: all that its template puts into what it asks, or, where
//! that is not known, all that a question holds. By it answers are shared, reused and kept, so two callers
//! whose questions differ in anything the source is told never get each other's.

use std::fmt;

use pinkas_protocol::{Failure, SourceName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Question;
use super::template::Place;

/// One question to one source, as a name that tells nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Slot([u8; 16]);

impl Slot {
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Slot {
        Slot(bytes)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(…)")
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> String {
        format!("{:032x}", u128::from_be_bytes(slot.0))
    }
}

impl TryFrom<String> for Slot {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Slot, Self::Error> {
        u128::from_str_radix(&text, 16).map(|number| Slot(number.to_be_bytes()))
    }
}

/// What of a question matters to one source.
pub struct Same {
    start: Sha256,
    places: Option<Vec<Place>>,
}

impl Same {
    /// For the source of that name; `print` changes with what the configuration says about it.
    pub fn new(name: &SourceName, print: u64, places: Option<Vec<Place>>) -> Same {
        let mut start = Sha256::new();
        start.update(print.to_be_bytes());
        part(&mut start, Some(name.as_str()));
        Same { start, places }
    }

    /// What the question lacks that this source is asked with.
    pub fn lacks(&self, question: &Question) -> Option<Failure> {
        self.places.iter().flatten().find_map(|place| place.value(question).err())
    }

    /// Which question it is to this source.
    pub fn slot(&self, question: &Question) -> Slot {
        let mut hash = self.start.clone();
        match &self.places {
            Some(places) => {
                places.iter().for_each(|place| part(&mut hash, place.value(question).ok().as_deref()))
            }
            None => everything(&mut hash, question),
        }
        let mut slot = [0; 16];
        slot.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Slot(slot)
    }
}

/// A part with its length before it, so that no two texts in a row can be taken for two others.
fn part(hash: &mut Sha256, text: Option<&str>) {
    let length = text.map_or(u64::MAX, |text| text.len() as u64);
    hash.update(length.to_be_bytes());
    hash.update(text.unwrap_or_default());
}

fn everything(hash: &mut Sha256, question: &Question) {
    part(hash, question.number.as_ref().and_then(|number| number.key()));
    let customer = question.customer.as_ref();
    part(hash, customer.map(|customer| customer.key.as_str()));
    let keys = customer.map(|customer| &customer.keys);
    for names in [Some(&question.tags), keys] {
        hash.update([0xff]);
        for (name, value) in names.into_iter().flatten() {
            part(hash, Some(name.as_str()));
            part(hash, Some(&value.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use pinkas_protocol::{NumberPlan, Private, TagName};

    use crate::sources::template::{Asks, Braces, pieces, places};
    use crate::sources::testing;

    fn names(value: &str) -> std::collections::BTreeMap<TagName, Private<String>> {
        [(TagName::parse("tax_id").expect("a name"), Private(value.to_owned()))].into()
    }

    fn questions() -> Vec<Question> {
        let by =
            |number: &str| Question { number: NumberPlan::default().read(number), ..testing::question("7") };
        let about = |key: &str, tax_id: &str| {
            let mut question = testing::question(key);
            question.customer.as_mut().expect("a customer").keys = names(tax_id);
            question
        };
        let nobody = Question { customer: None, ..testing::question("7") };
        let mut all = vec![by("+972501234567"), by("+972501234568"), about("7", "1"), about("7", "2")];
        all.extend([about("8", "2"), nobody.clone(), Question { tags: names("1"), ..nobody.clone() }]);
        all.extend([Question { tags: names("2"), ..nobody.clone() }, Question { number: None, ..nobody }]);
        all
    }

    fn of(template: Option<&str>) -> Same {
        let places =
            template.map(|text| places(&pieces(text, Braces::Places, Asks::Lookup).expect("a template")));
        Same::new(&SourceName::parse("s").expect("a name"), 1, places)
    }

    #[test]
    fn no_question_is_another_that_differs_in_what_the_source_is_told() {
        for (template, different) in [
            (None, 9),
            (Some("{number}"), 3),
            (Some("{customer.id}"), 3),
            (Some("{customer.id}{customer.tax_id}"), 5),
            (Some("{number}{customer.tax_id}"), 5),
            (Some("{tag.tax_id}"), 3),
        ] {
            let same = of(template);
            let slots: std::collections::BTreeSet<Slot> = questions().iter().map(|q| same.slot(q)).collect();
            assert_eq!(slots.len(), different, "{template:?}");
        }
        let question = testing::question("7");
        let other = Same::new(&SourceName::parse("t").expect("a name"), 1, None);
        let changed = Same::new(&SourceName::parse("s").expect("a name"), 2, None);
        let slot = of(None).slot(&question);
        assert!(slot != other.slot(&question) && slot != changed.slot(&question));
        assert_eq!(Slot::try_from(String::from(slot)), Ok(slot));
    }

    #[test]
    fn what_is_lacking_is_said_before_anything_is_asked() {
        let question = testing::question("7");
        assert_eq!(of(Some("{customer.id}")).lacks(&question), None);
        let lacks = of(Some("{customer.id}{tag.x}")).lacks(&question).map(|failure| failure.to_string());
        assert_eq!(lacks.as_deref(), Some("not asked: the call brings no x"));
    }
}
