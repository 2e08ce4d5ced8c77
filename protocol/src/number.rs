//! The one way to read a phone number: the adapter uses it for callers, the hub for what sources hold,
//! so both sides of a comparison were read by the same rules.

mod tables;

use std::borrow::Cow;
use std::fmt;

use phonenumber::Mode;
use serde::{Deserialize, Serialize};

use self::tables::Tables;
use crate::text;

/// A phone number as far as it could be understood. Debug output hides the digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Written")]
pub enum Number {
    /// A number of the public network in E.164 form: `+` and 7 to 15 digits.
    E164 {
        /// With the leading `+`, digits only.
        e164: String,
    },
    /// A phone inside the company, by its short internal number.
    Extension {
        /// Digits only.
        digits: String,
    },
    /// Anything else a phone system sent in a number's place; shown, never looked up.
    Other {
        /// At most 40 characters of plain text.
        text: String,
    },
}

/// A number as it stands on a link, before it is believed.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Written {
    E164 { e164: String },
    Extension { digits: String },
    Other { text: String },
}

impl TryFrom<Written> for Number {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let digits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        match written {
            Written::E164 { e164 } if e164.strip_prefix('+').is_some_and(|rest| digits(rest, 15)) => {
                Ok(Number::E164 { e164 })
            }
            Written::Extension { digits: number } if digits(&number, 15) => {
                Ok(Number::Extension { digits: number })
            }
            Written::Other { text: raw } => {
                text::plain(&raw, 41).map(|text| Number::Other { text }).ok_or("a number without text")
            }
            Written::E164 { .. } | Written::Extension { .. } => Err("a number that holds more than digits"),
        }
    }
}

impl Number {
    /// The number as a key for looking things up; `None` where a lookup would be a guess.
    pub fn key(&self) -> Option<&str> {
        match self {
            Number::E164 { e164 } => Some(e164),
            Number::Extension { digits } => Some(digits),
            Number::Other { .. } => None,
        }
    }

    /// The number as a person reads it: `+972 50-123-4567`, `101`.
    pub fn shown(&self) -> String {
        match self {
            Number::E164 { e164 } => match phonenumber::parse(None, e164) {
                Ok(number) => number.format().mode(Mode::International).to_string(),
                Err(_) => e164.clone(),
            },
            Number::Extension { digits } => digits.clone(),
            Number::Other { text } => text.clone(),
        }
    }

    /// The number as people of its own country dial it, digits only (`0501234567`); of a phone of the
    /// company, its short number. `None` where a lookup would be a guess.
    pub fn national(&self) -> Option<String> {
        match self {
            Number::E164 { e164 } => {
                let number = phonenumber::parse(None, e164).ok()?;
                let written = number.format().mode(Mode::National).to_string();
                Some(written.chars().filter(char::is_ascii_digit).collect())
            }
            Number::Extension { digits } => Some(digits.clone()),
            Number::Other { .. } => None,
        }
    }

    /// The country a public number belongs to, as an ISO 3166 code (`IL`), where that is certain.
    pub fn country(&self) -> Option<String> {
        let Number::E164 { e164 } = self else { return None };
        tables::country_of(e164).map(|country| format!("{country:?}"))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Number::E164 { .. } => "Number::E164(…)",
            Number::Extension { .. } => "Number::Extension(…)",
            Number::Other { .. } => "Number::Other(…)",
        })
    }
}

/// How numbers without a country code are to be read at one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberPlan {
    tables: Tables,
    extension_digits: usize,
}

/// The longest internal number unless the configuration says otherwise, in digits.
pub const EXTENSION_DIGITS: usize = 4;

impl Default for NumberPlan {
    fn default() -> Self {
        NumberPlan { tables: Tables::default(), extension_digits: EXTENSION_DIGITS }
    }
}

impl NumberPlan {
    /// A plan for `country` (ISO 3166 code, `""` for none) in which numbers of up to
    /// `extension_digits` digits are phones of the company. `None` when the country is not known.
    pub fn new(country: &str, extension_digits: usize) -> Option<Self> {
        let country = match country {
            "" => None,
            code => Some(code.to_ascii_uppercase().parse().ok()?),
        };
        Some(NumberPlan { tables: Tables::of(country), extension_digits })
    }

    /// Reads a number as a person or a phone system wrote it; `None` when nothing is there.
    ///
    /// Spaces, dots, dashes and brackets are ignored, `00` reads as `+`, and a number without a
    /// country code belongs to the plan's country. What cannot be a number is kept as text.
    pub fn read(&self, raw: &str) -> Option<Number> {
        let raw = plain(raw)?;
        let raw = raw.as_ref();
        let other = || Some(Number::Other { text: raw.to_owned() });
        let Some(digits) = digits(raw) else { return other() };
        let significant = digits.trim_start_matches('+').len();
        if significant == 0 {
            return other();
        }
        if !digits.starts_with('+') && significant <= self.extension_digits {
            return Some(Number::Extension { digits: digits.into_owned() });
        }
        if !(7..=15).contains(&significant) {
            return other();
        }
        if !digits.starts_with('+') && self.tables.country().is_none() {
            return other();
        }
        let plausible = |e164: &String| (8..=16).contains(&e164.len());
        match self.tables.e164(&digits).filter(plausible) {
            Some(e164) => Some(Number::E164 { e164 }),
            None => other(),
        }
    }
}

/// The longest text read as a number, in characters.
const LONGEST: usize = 40;

/// [`text::plain`], which gives digits back as they are.
fn plain(raw: &str) -> Option<Cow<'_, str>> {
    let is_digits = raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+');
    if is_digits && (1..=LONGEST).contains(&raw.len()) {
        return Some(Cow::Borrowed(raw));
    }
    text::plain(raw, LONGEST).map(Cow::Owned)
}

/// The digits of a number with a `+` where it has one; `None` where anything stands between them that is none of
/// the signs people write there.
fn digits(raw: &str) -> Option<Cow<'_, str>> {
    let after_plus = raw.strip_prefix('+').unwrap_or(raw);
    if after_plus.bytes().all(|byte| byte.is_ascii_digit()) && !raw.starts_with("00") {
        return Some(Cow::Borrowed(raw));
    }
    let mut digits = String::with_capacity(raw.len());
    for c in raw.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() => digits.push('+'),
            ' ' | '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}' => {}
            _ => return None,
        }
    }
    if let Some(rest) = digits.strip_prefix("00") {
        digits = format!("+{rest}");
    }
    Some(Cow::Owned(digits))
}

/// Loads the number tables (about a tenth of a second), so that the first call does not wait.
pub fn warm_up() {
    let _ = Number::E164 { e164: "+12015550123".to_owned() }.shown();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(country: &str, raw: &str, expected: &str) {
        let plan = NumberPlan::new(country, 4).expect("a known country");
        let read = match plan.read(raw) {
            None => "nothing".to_owned(),
            Some(Number::E164 { e164 }) => e164,
            Some(Number::Extension { digits }) => format!("ext {digits}"),
            Some(Number::Other { text }) => format!("other {text}"),
        };
        assert_eq!(read, expected, "{raw:?} read in {country:?}");
    }

    #[test]
    fn the_same_phone_written_differently_is_one_number() {
        for raw in ["+972501234567", "050-123-4567", "050 1234567", "00972 50 123 4567"] {
            check("IL", raw, "+972501234567");
        }
        check("PL", "12 345 67 89", "+48123456789");
        check("PL", "+48 12 345 67 89", "+48123456789");
        check("DE", "0170 1234567", "+491701234567");
    }

    #[test]
    fn a_foreign_number_keeps_each_of_its_digits() {
        for number in [
            // Where numbers begin with a zero after the country's code.
            "+390612345678",  // Rome
            "+390212345678",  // Milan
            "+3906698123456", // the Vatican
            "+2250701020304", // Ivory Coast
            "+2250161234567",
            "+242061234567",  // Congo
            "+3780549886377", // San Marino
            // Where they begin with what others dial before their own.
            "+8613812345678", // China
            "+12015550123",
            "+48123456789",
            "+79161234567",
            "+36301234567",
        ] {
            for country in ["IL", "PL", "DE", "US", "HU", "RU", "IT", "FR", "GB", "CI", "CN", ""] {
                check(country, number, number);
                check(country, &format!("00{}", &number[1..]), number);
            }
        }
        check("US", "011 39 06 12345678", "+390612345678");
        check("US", "011 86 10 1234 5678", "+861012345678");
        check("US", "1 201 555 0123", "+12015550123");
        check("IL", "+972 (0) 50 123 4567", "+972501234567");
        check("US", "+44 (0) 20 7946 0958", "+442079460958");
        // The prefix dialled at home, as it is written for those who call from there.
        check("PL", "+44 (0)20 7946 0958", "+442079460958");
        check("GB", "+44 (0)7700 900103", "+447700900103");
        check("US", "+49 (0)30 901820", "+4930901820");
        check("PL", "+972 (0)50-1234567", "+972501234567");
        check("IT", "06 12345678", "+390612345678");
        check("IT", "02 12345678", "+390212345678");
    }

    #[test]
    fn internal_numbers_and_short_codes_are_never_customers() {
        check("IL", "101", "ext 101");
        check("IL", "20100", "other 20100");
        check("", "0501234567", "other 0501234567");
    }

    #[test]
    fn hostile_numbers_are_kept_as_text_and_never_looked_up() {
        check("IL", "'; DROP TABLE", "other '; DROP TABLE");
        check("IL", "{{7*7}}", "other {{7*7}}");
        check("IL", "\u{202E}\u{0007}", "nothing");
        check("IL", "+", "other +");
        check("IL", &"9".repeat(60), &format!("other {}…", "9".repeat(40)));
        let kept = NumberPlan::default().read("anonymous").expect("text is kept");
        assert_eq!(kept.key(), None);
    }

    #[test]
    fn a_number_is_shown_as_people_write_it_and_hidden_in_logs() {
        let number = NumberPlan::default().read("+48123456789").expect("a number");
        assert_eq!(number.shown(), "+48 12 345 67 89");
        assert_eq!(number.country().as_deref(), Some("PL"));
        assert_eq!(format!("{number:?}"), "Number::E164(…)");
    }

    #[test]
    fn a_number_is_known_as_its_own_country_dials_it() {
        let national = |raw: &str| NumberPlan::new("IL", 4)?.read(raw)?.national();
        assert_eq!(national("+972 50-123-4567").as_deref(), Some("0501234567"));
        assert_eq!(national("03 555 0100").as_deref(), Some("035550100"));
        assert_eq!(national("+48 12 345 67 89").as_deref(), Some("123456789"));
        assert_eq!(national("+44 20 7946 0018").as_deref(), Some("02079460018"));
        assert_eq!(national("+1 201 555 0123").as_deref(), Some("2015550123"));
        assert_eq!(national("101").as_deref(), Some("101"));
        assert_eq!(national("anonymous"), None);
    }

    #[test]
    fn a_number_on_a_link_is_checked_before_it_is_believed() {
        let read = |json: &str| serde_json::from_str::<Number>(json).ok();
        let good = Number::E164 { e164: "+48123456789".to_owned() };
        assert_eq!(read(r#"{"kind":"e164","e164":"+48123456789"}"#), Some(good));
        assert_eq!(read(r#"{"kind":"e164","e164":"'; DROP"}"#), None);
        assert_eq!(read(r#"{"kind":"extension","digits":"+1"}"#), None);
        let cleaned = Number::Other { text: "ab".to_owned() };
        assert_eq!(read(r#"{"kind":"other","text":"a\u202eb"}"#), Some(cleaned));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_reading_again_changes_nothing(raw in ".{0,60}") {
            let plan = NumberPlan::new("IL", 4).expect("a known country");
            if let Some(Number::E164 { e164 }) = plan.read(&raw) {
                proptest::prop_assert_eq!(plan.read(&e164), Some(Number::E164 { e164 }));
            }
        }
    }
}
