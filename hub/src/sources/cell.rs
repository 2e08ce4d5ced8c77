//! One value as a source gave it, and the strict reading of it as text, an exact number, a date, a time,
//! a count or yes/no. What cannot be read is an error in words that never quote the value.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

/// The most of one text that is taken, in bytes; far more than any field shows.
pub const LONGEST_CELL: usize = 4096;

/// One value of a record.
#[derive(Clone)]
pub enum Cell {
    /// The record has no such place: its shape is not what the configuration says.
    Missing,
    /// The place is there and says that nothing is known.
    Null,
    /// Text.
    Text(String),
    /// An exact number.
    Number(Decimal),
    /// Yes or no.
    Bool(bool),
    /// A day.
    Date(Date),
    /// A moment.
    Time(Timestamp),
    /// A value of a kind that is never used, such as a list.
    Odd,
}

/// Why a cell cannot be read, in words without its content.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong(pub &'static str);

impl Cell {
    /// A cell of text; blank text says that nothing is known.
    pub fn of_text(text: &str) -> Cell {
        // Cut before it is copied: a source may hold a whole file in one value.
        let text = text.get(..text.floor_char_boundary(LONGEST_CELL)).unwrap_or(text).trim();
        if text.is_empty() { Cell::Null } else { Cell::Text(text.to_owned()) }
    }

    /// A number from its text, so that no float ever rounds it.
    pub fn of_number(text: &str) -> Cell {
        decimal(text).map_or(Cell::Odd, Cell::Number)
    }

    /// As text; numbers count as text, for keys that are numbers.
    pub fn text(&self) -> Result<Option<String>, Wrong> {
        match self {
            Cell::Missing | Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text.clone())),
            Cell::Number(number) => Ok(Some(number.to_string())),
            Cell::Date(date) => Ok(Some(date.to_string())),
            Cell::Bool(_) | Cell::Time(_) | Cell::Odd => Err(Wrong("not text")),
        }
    }

    /// As text for a row that the configuration made up, where anything readable will do.
    pub fn shown(&self) -> Result<Option<String>, Wrong> {
        match self {
            Cell::Bool(value) => Ok(Some(if *value { "yes" } else { "no" }.to_owned())),
            Cell::Time(time) => Ok(Some(time.strftime("%Y-%m-%d %H:%M UTC").to_string())),
            _ => self.text(),
        }
    }

    /// As an exact number.
    pub fn decimal(&self) -> Result<Option<Decimal>, Wrong> {
        match self {
            Cell::Missing | Cell::Null => Ok(None),
            Cell::Number(number) => Ok(Some(*number)),
            Cell::Text(text) => decimal(text).map(Some).ok_or(Wrong("not a number")),
            _ => Err(Wrong("not a number")),
        }
    }

    /// As a count of something.
    pub fn count(&self) -> Result<Option<u32>, Wrong> {
        let Some(number) = self.decimal()? else { return Ok(None) };
        let whole = number.normalize();
        if whole.scale() != 0 {
            return Err(Wrong("not a whole number"));
        }
        u32::try_from(whole).map(Some).map_err(|_| Wrong("not a whole number from 0 up"))
    }

    /// As yes or no: `true`, `yes`, `y`, `t`, `on`, `1` and their opposites.
    pub fn yes_or_no(&self) -> Result<Option<bool>, Wrong> {
        let word = match self {
            Cell::Missing | Cell::Null => return Ok(None),
            Cell::Bool(value) => return Ok(Some(*value)),
            Cell::Number(number) => number.normalize().to_string(),
            Cell::Text(text) => text.trim().to_ascii_lowercase(),
            _ => return Err(Wrong("not yes or no")),
        };
        match word.as_str() {
            "true" | "yes" | "y" | "t" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "n" | "f" | "off" | "0" => Ok(Some(false)),
            _ => Err(Wrong("not yes or no")),
        }
    }

    /// As a day; of a moment, its day in UTC.
    pub fn date(&self) -> Result<Option<Date>, Wrong> {
        const WRONG: Wrong = Wrong("not a date such as 2026-11-22");
        match self {
            Cell::Missing | Cell::Null => Ok(None),
            Cell::Date(date) => Ok(Some(*date)),
            Cell::Time(time) => Ok(Some(TimeZone::UTC.to_datetime(*time).date())),
            Cell::Text(text) => {
                // A day with a time of day after it is as good: databases without a date type write both.
                let text = text.trim();
                let day = text.get(..10).ok_or(WRONG)?;
                if !matches!(text.as_bytes().get(10), None | Some(b' ' | b'T')) {
                    return Err(WRONG);
                }
                Date::from_str(day).map(Some).map_err(|_| WRONG)
            }
            _ => Err(WRONG),
        }
    }

    /// As a moment. Text without an offset is UTC; a day alone is its first moment in UTC.
    pub fn time(&self) -> Result<Option<Timestamp>, Wrong> {
        const WRONG: Wrong = Wrong("not a time such as 2026-11-22T10:00:00Z");
        let civil = match self {
            Cell::Missing | Cell::Null => return Ok(None),
            Cell::Time(time) => return Ok(Some(*time)),
            Cell::Date(date) => date.at(0, 0, 0, 0),
            Cell::Text(text) => match Timestamp::from_str(text) {
                Ok(time) => return Ok(Some(time)),
                Err(_) => DateTime::from_str(text).map_err(|_| WRONG)?,
            },
            _ => return Err(WRONG),
        };
        TimeZone::UTC.to_timestamp(civil).map(Some).map_err(|_| WRONG)
    }
}

/// An exact decimal from `1250`, `-1250.50`, `.5` or `1.2505e3`. Thousands separators, currency signs
/// and digits beyond 28 are refused rather than guessed at.
fn decimal(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') && digits.bytes().any(|b| b.is_ascii_digit());
    if !plain || mantissa.len() > 64 {
        return None;
    }
    match exponent {
        None => Decimal::from_str_exact(mantissa).ok(),
        Some(exponent) if exponent.len() <= 4 => Decimal::from_scientific(text).ok(),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<String> {
        decimal(text).map(|d| d.to_string())
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        assert_eq!(number("1250.50").as_deref(), Some("1250.50"));
        assert_eq!(number(" -0.1 ").as_deref(), Some("-0.1"));
        assert_eq!(number("1.2505e3").as_deref(), Some("1250.5"));
        assert_eq!(
            number("0.1234567890123456789012345678").as_deref(),
            Some("0.1234567890123456789012345678")
        );
        for wrong in [
            "", "-", ".", "1,250.50", "1_000", "NaN", "inf", "₪5", "5 ILS", "1e999999", "1e", "0x10", "--1",
            "1.2.3",
        ] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
        assert_eq!(number(&"9".repeat(40)), None);
    }

    #[test]
    fn dates_and_times_are_read_in_iso_form_only() {
        let date = |text: &str| Cell::of_text(text).date().map(|d| d.map(|d| d.to_string()));
        assert_eq!(date("2026-11-22"), Ok(Some("2026-11-22".to_owned())));
        assert_eq!(date("2026-11-22T23:59:59+02:00"), Ok(Some("2026-11-22".to_owned())));
        for wrong in ["22/11/2026", "2026-13-01", "2026-11-2", "yesterday", "2026-11-223", "אבגדהוזחטי"]
        {
            assert!(date(wrong).is_err(), "{wrong:?}");
        }
        let time = |text: &str| Cell::of_text(text).time().map(|d| d.map(|d| d.to_string()));
        assert_eq!(time("2026-11-22T12:00:00+02:00"), Ok(Some("2026-11-22T10:00:00Z".to_owned())));
        assert_eq!(time("2026-11-22 10:00:00"), Ok(Some("2026-11-22T10:00:00Z".to_owned())));
        assert_eq!(time("2026-11-22"), Ok(Some("2026-11-22T00:00:00Z".to_owned())));
        assert!(time("noon").is_err());
    }

    #[test]
    fn counts_are_whole() {
        assert_eq!(Cell::of_text("30.0").count(), Ok(Some(30)));
        assert!(Cell::of_text("30.5").count().is_err());
        assert!(Cell::of_text("-1").count().is_err());
        assert!(Cell::of_text("99999999999").count().is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,80}") {
            let cell = Cell::of_text(&text);
            let _ = (cell.text(), cell.decimal(), cell.count(), cell.yes_or_no(), cell.date(), cell.time());
        }
    }
}
