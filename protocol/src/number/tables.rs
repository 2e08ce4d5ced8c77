//! What the tables of the world's numbering plans make of digits. `phonenumber` reads them, at ten times the cost
//! of the message around the number, and the same few numbers come again and again within a call: most public
//! numbers are seen at a glance to be as they should be, and what was read is remembered for a while. Neither
//! ever changes an answer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use phonenumber::PhoneNumber;
use phonenumber::country::{Id as Country, Source};
use phonenumber::metadata::{DATABASE, Metadata};

/// The most numbers remembered are two times so many.
const MOST_REMEMBERED: usize = 2_048;

/// Reads digits, optionally with a `+` before them, as one country writes its numbers.
#[derive(Clone, Default)]
pub(super) struct Tables {
    country: Option<Country>,
    known: Arc<Mutex<Known>>,
}

/// What was read lately: when there is no more room, what was not asked for since the last time goes.
#[derive(Default)]
struct Known {
    young: HashMap<Box<str>, Option<Box<str>>>,
    old: HashMap<Box<str>, Option<Box<str>>>,
}

impl Tables {
    pub(super) fn of(country: Option<Country>) -> Tables {
        Tables { country, known: Arc::default() }
    }

    pub(super) fn country(&self) -> Option<Country> {
        self.country
    }

    /// The number in E.164 form; `None` when it is none.
    pub(super) fn e164(&self, digits: &str) -> Option<String> {
        // Whoever panicked with the lock did so in another's code: then nothing is remembered.
        let known = self.known.lock().ok().and_then(|mut known| known.find(digits));
        if let Some(e164) = known {
            return e164.map(String::from);
        }
        let e164 = if stays_as_it_is(digits) { Some(digits.to_owned()) } else { read(self.country, digits) };
        if let Ok(mut known) = self.known.lock() {
            known.keep(digits, e164.as_deref());
        }
        e164
    }
}

/// Two are equal when they answer alike; what they remember is no part of that.
impl PartialEq for Tables {
    fn eq(&self, other: &Tables) -> bool {
        self.country == other.country
    }
}

impl Eq for Tables {}

impl fmt::Debug for Tables {
    /// Without the numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tables({:?})", self.country)
    }
}

impl Known {
    fn find(&mut self, digits: &str) -> Option<Option<Box<str>>> {
        if let Some(known) = self.young.get(digits) {
            return Some(known.clone());
        }
        let known = self.old.remove(digits)?;
        self.keep(digits, known.as_deref());
        Some(known)
    }

    fn keep(&mut self, digits: &str, e164: Option<&str>) {
        if self.young.len() >= MOST_REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digits.into(), e164.map(Box::from));
    }
}

/// Asks the library. It would take the prefix that `country` dials off any country's number (`1` in America, so also
/// off a Chinese mobile's): what names its country is read by that country's rules alone.
fn read(country: Option<Country>, digits: &str) -> Option<String> {
    if digits.starts_with('+') {
        return written(&with_code(digits)?);
    }
    let number = phonenumber::parse(country, digits).ok()?;
    if number.code().source() == Source::Idd
        && let Some(dialled) = DATABASE.by_id(country?.as_ref())?.international_prefix()?.find(digits)
    {
        let abroad = format!("+{}", digits.get(dialled.end()..)?);
        return with_code(&abroad).and_then(|number| written(&number));
    }
    written(&number)
}

/// A number that names its country: only the prefix that is dialled there may be too much in it, as in
/// `+44 (0)20 7946 0958`; what belongs to the number (`+39 06 …`) stays.
fn with_code(digits: &str) -> Option<PhoneNumber> {
    let number = phonenumber::parse(None, digits).ok()?;
    if phonenumber::is_valid(&number) {
        return Some(number);
    }
    let home =
        DATABASE.by_code(&number.code().value()).and_then(|countries| countries.first()?.id().parse().ok());
    let own = home.and_then(|home: Country| phonenumber::parse(Some(home), digits).ok());
    own.filter(|own| own.code().value() == number.code().value()).or(Some(number))
}

fn written(number: &PhoneNumber) -> Option<String> {
    // Its own E.164 form looks for a format to show the number in first, and uses none.
    Some(format!("+{}{}", number.code().value(), number.national()))
}

/// Whether the library would give `+` and 7 to 15 digits back unchanged: they begin with the code of a country, and
/// nothing after it can be taken for a prefix that is dialled there. Where that is not certain, it is not said.
fn stays_as_it_is(digits: &str) -> bool {
    seen_at_a_glance(digits).is_some()
}

/// The countries that share the code of such a number.
fn seen_at_a_glance(digits: &str) -> Option<Vec<&'static Metadata>> {
    let digits = digits.strip_prefix('+').filter(|digits| !digits.starts_with('0'))?;
    let of_code = |length: usize| {
        let (code, national) = digits.split_at_checked(length)?;
        Some((DATABASE.by_code(&code.parse::<u16>().ok()?)?, national))
    };
    let (countries, national) = (1..=3).find_map(of_code)?;
    let dials = |home: &&Metadata| {
        let found = home.national_prefix_for_parsing().and_then(|prefix| prefix.find(national));
        home.national_prefix().is_some_and(|prefix| national.starts_with(prefix))
            || found.is_some_and(|found| found.start() == 0)
    };
    let stays = national.len() > 3 && !national.starts_with('0') && !countries.iter().any(dials);
    stays.then_some(countries)
}

/// The country of an E.164 number, where that is certain.
pub(super) fn country_of(e164: &str) -> Option<Country> {
    match seen_at_a_glance(e164).as_deref() {
        Some([only]) => only.id().parse().ok(),
        _ => phonenumber::parse(None, e164).ok()?.country().id(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Without what is seen at a glance or remembered.
    fn plainly(country: Option<Country>, digits: &str) -> Option<String> {
        match digits.starts_with('+') {
            true => read(None, digits),
            false => read(country, digits),
        }
    }

    fn countries() -> Vec<Option<Country>> {
        let mut known: Vec<&str> = DATABASE.iter().map(|meta| meta.id()).collect();
        known.sort_unstable();
        std::iter::once(None).chain(known.into_iter().map(|id| id.parse().ok())).collect()
    }

    /// Twice, so that it is remembered the second time.
    fn check(tables: &Tables, digits: &str) {
        let expected = plainly(tables.country, digits);
        for _ in 0..2 {
            assert_eq!(tables.e164(digits), expected, "{digits} read in {:?}", tables.country);
        }
    }

    fn countrys(e164: &str) -> Option<Country> {
        phonenumber::parse(None, e164).ok()?.country().id()
    }

    /// Numbers of every country.
    fn examples() -> Vec<String> {
        let mut examples: Vec<String> = DATABASE
            .iter()
            .flat_map(|meta| {
                let kinds = [Some(meta.descriptors().general()), meta.descriptors().mobile()];
                let kinds = kinds.into_iter().chain([meta.descriptors().fixed_line()]).flatten();
                let national: Vec<&str> = kinds.filter_map(|kind| kind.example()).collect();
                national.into_iter().map(|national| format!("+{}{national}", meta.country_code()))
            })
            .collect();
        examples.sort_unstable();
        examples.dedup();
        assert!(examples.len() > 300, "only {} examples", examples.len());
        examples
    }

    #[test]
    fn the_country_of_every_example_is_as_the_library_says() {
        for example in examples() {
            assert_eq!(country_of(&example), countrys(&example), "{example}");
        }
    }

    #[test]
    fn every_countrys_example_is_read_as_the_library_reads_it_in_every_country() {
        let examples = examples();
        for (at, country) in countries().into_iter().enumerate() {
            let tables = Tables::of(country);
            // All of them in each country would take minutes; each country sees others.
            for example in examples.iter().skip(at % 61).step_by(61) {
                check(&tables, example);
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_asked_again_stays() {
        let tables = Tables::of(Some(phonenumber::country::IL));
        for number in 0..3 * MOST_REMEMBERED {
            let _ = (tables.e164(&format!("+97250{number:07}")), tables.e164("+972541234567"));
        }
        let known = tables.known.lock().expect("a lock");
        assert!(known.young.len() <= MOST_REMEMBERED && known.old.len() <= MOST_REMEMBERED);
        assert!(known.young.contains_key("+972541234567"));
        assert_eq!(format!("{tables:?}"), "Tables(Some(IL))");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn any_digits_are_read_as_the_library_reads_them(
            country in prop::sample::select(countries()),
            digits in "(\\+|\\+[0189]{1,4}|)[0-9]{7,11}",
        ) {
            let e164 = Tables::of(country).e164(&digits);
            prop_assert_eq!(&e164, &plainly(country, &digits));
            if let Some(e164) = e164 {
                prop_assert_eq!(country_of(&e164), countrys(&e164), "{}", e164);
            }
        }
    }
}
