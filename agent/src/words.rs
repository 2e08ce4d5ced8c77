//! Figures as a person reads them: durations, ages, money, dates, and the words for a card's trouble.
//! Pure; the time zone comes from the caller. What is not known is `UNKNOWN`, never zero.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use pinkas_protocol::card::{Card, CardState, Match};
use pinkas_protocol::{Money, text};
use rust_decimal::{Decimal, RoundingStrategy};

/// Stands where nothing is known.
pub const UNKNOWN: &str = "—";

/// The longest foreign text put on one line, in characters; what does not fit is shown on hover.
const LONGEST: usize = 400;

/// Foreign text as one plain line.
pub fn plain(raw: &str) -> String {
    text::plain(raw, LONGEST).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// From `start` to `end` as `0:04`, `12:30` or `1:02:03`; a start in the future counts as now.
pub fn elapsed(start: Timestamp, end: Timestamp) -> String {
    let seconds = end.as_second().saturating_sub(start.as_second()).max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// An age in a sentence: `14 s`, `3 min`, `2 h`.
pub fn age(start: Timestamp, end: Timestamp) -> String {
    match end.as_second().saturating_sub(start.as_second()).max(0) {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

/// How long an answer took: `at once`, `12 ms`, `0.1 s`, `4.2 s`.
pub fn took(ms: u64) -> String {
    match ms {
        0 => "at once".to_owned(),
        1..100 => format!("{ms} ms"),
        _ => {
            let tenths = ms.saturating_add(50) / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
    }
}

/// An amount with sign, thousands separators and two decimals, with its currency where one is known.
pub fn money(money: &Money) -> String {
    let (sign, figures) = figures(money.amount);
    let code = money.currency.as_deref().and_then(|code| text::plain(code, 8)).unwrap_or_default();
    match code.as_str() {
        "" => format!("{sign}{figures}"),
        "PLN" => format!("{sign}{figures} zł"),
        "ILS" => format!("{sign}₪{figures}"),
        "EUR" => format!("{sign}€{figures}"),
        "USD" => format!("{sign}${figures}"),
        "GBP" => format!("{sign}£{figures}"),
        code => format!("{sign}{figures} {code}"),
    }
}

fn figures(amount: Decimal) -> (&'static str, String) {
    let amount = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    let sign = if amount.is_sign_negative() && !amount.is_zero() { "−" } else { "" };
    let text = format!("{:.2}", amount.abs());
    let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    (sign, format!("{out}.{cents}"))
}

/// A quantity without needless zeros: `×12`, `×0.5`.
pub fn quantity(quantity: Decimal) -> String {
    format!("×{}", quantity.normalize())
}

/// A number of days: `1 day`, `30 days`.
pub fn days(count: u32) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// A day, without its year while that is this year: `14 Nov`, `2 Dec 2024`.
pub fn day(date: Date, today: Date) -> String {
    if date.year() == today.year() {
        date.strftime("%-d %b").to_string()
    } else {
        date.strftime("%-d %b %Y").to_string()
    }
}

/// A moment: the time of day, with its day when that is not today.
pub fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, today) = (at.to_zoned(zone.clone()), today(now, zone));
    let time = at.strftime("%H:%M");
    if at.date() == today { time.to_string() } else { format!("{} {time}", day(at.date(), today)) }
}

/// The day it is.
pub fn today(now: Timestamp, zone: &TimeZone) -> Date {
    now.to_zoned(zone.clone()).date()
}

/// That a customer is only guessed, and by what; `None` when it is no guess.
pub fn guess(matched: Match) -> Option<String> {
    match matched {
        Match::KeyedIn | Match::Number => None,
        Match::CompanyNumber => Some("guess: company's number".to_owned()),
        Match::LastDigits { digits } => Some(format!("guess: last {digits} digits")),
    }
}

/// What is wrong with a card, in words; `None` when nothing is.
pub fn trouble(card: &Card) -> Option<String> {
    match &card.state {
        CardState::Late { deadline_ms } => Some(format!("no answer in {deadline_ms} ms, still waiting")),
        CardState::Failed { failure, .. } => Some(plain(&failure.to_string())),
        CardState::Filled { old: Some(failure), .. } => {
            Some(format!("old figures: {}", plain(&failure.to_string())))
        }
        CardState::Filled { .. } if !card.folded.is_empty() => {
            let fields: Vec<String> =
                card.folded.iter().map(|field| plain(&field.replace('_', " "))).collect();
            Some(format!("kept back until identified: {}", fields.join(", ")))
        }
        CardState::Filled { late: true, took_ms, .. } => Some(format!("came late, {}", took(*took_ms))),
        CardState::Waiting | CardState::Filled { .. } | CardState::Nothing { .. } => None,
    }
}

/// A country by its ISO 3166 code, as people call it; the code itself where no name is kept here.
pub fn country(code: &str) -> String {
    let name = match code {
        "AT" => "Austria",
        "AU" => "Australia",
        "BE" => "Belgium",
        "BR" => "Brazil",
        "CH" => "Switzerland",
        "CN" => "China",
        "CY" => "Cyprus",
        "CZ" => "Czechia",
        "DE" => "Germany",
        "DK" => "Denmark",
        "ES" => "Spain",
        "FR" => "France",
        "GB" => "United Kingdom",
        "GR" => "Greece",
        "HU" => "Hungary",
        "IE" => "Ireland",
        "IL" => "Israel",
        "IN" => "India",
        "IT" => "Italy",
        "JP" => "Japan",
        "LT" => "Lithuania",
        "NL" => "Netherlands",
        "NO" => "Norway",
        "PL" => "Poland",
        "PT" => "Portugal",
        "RO" => "Romania",
        "SE" => "Sweden",
        "SK" => "Slovakia",
        "TR" => "Türkiye",
        "UA" => "Ukraine",
        "US" => "United States",
        other => return plain(other),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::card::Balance;
    use pinkas_protocol::{Facts, Failure, Gives, SourceName};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn paid(amount: &str, currency: &str) -> String {
        let currency = (!currency.is_empty()).then(|| currency.to_owned());
        money(&Money { amount: amount.parse().expect("an amount"), currency })
    }

    #[test]
    fn money_has_sign_separators_two_decimals_and_its_currency() {
        assert_eq!(paid("1250", "PLN"), "1,250.00 zł");
        assert_eq!(paid("1250", "ILS"), "₪1,250.00");
        assert_eq!(paid("-1234567.5", "EUR"), "−€1,234,567.50");
        assert_eq!(paid("1250.005", "CHF"), "1,250.01 CHF");
        assert_eq!(paid("999", ""), "999.00");
        assert_eq!(paid("-0.001", "USD"), "$0.00");
        assert_eq!(paid("100000", "GBP"), "£100,000.00");
    }

    #[test]
    fn durations_are_short_and_never_negative() {
        let start = at("2026-11-22T10:00:00Z");
        assert_eq!(elapsed(start, at("2026-11-22T10:00:04Z")), "0:04");
        assert_eq!(elapsed(start, at("2026-11-22T11:02:03Z")), "1:02:03");
        assert_eq!(elapsed(start, at("2026-11-22T09:00:00Z")), "0:00");
        assert_eq!(age(start, at("2026-11-22T10:00:14Z")), "14 s");
        assert_eq!(age(start, at("2026-11-22T10:05:00Z")), "5 min");
        assert_eq!([took(0), took(12), took(100), took(4180)], ["at once", "12 ms", "0.1 s", "4.2 s"]);
        assert!(!took(u64::MAX).is_empty());
    }

    #[test]
    fn a_moment_has_its_day_only_when_it_is_not_today() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(moment(at("2026-11-22T08:05:00Z"), now, &TimeZone::UTC), "08:05");
        assert_eq!(moment(at("2026-11-03T08:05:00Z"), now, &TimeZone::UTC), "3 Nov 08:05");
        assert_eq!(moment(at("2025-11-03T08:05:00Z"), now, &TimeZone::UTC), "3 Nov 2025 08:05");
    }

    fn card(state: CardState, folded: &[&str]) -> Card {
        let source = SourceName::parse("accounting").expect("a name");
        let folded = folded.iter().map(|field| (*field).to_owned()).collect();
        Card { folded, ..Card::new(source, Gives::Balance, None, state) }
    }

    #[test]
    fn a_guess_and_what_is_kept_back_are_said() {
        assert_eq!(guess(Match::Number).or(guess(Match::KeyedIn)), None);
        assert_eq!(guess(Match::LastDigits { digits: 9 }).as_deref(), Some("guess: last 9 digits"));
        assert_eq!(guess(Match::CompanyNumber).as_deref(), Some("guess: company's number"));
        let facts = Facts::Balance(Balance::default());
        let state = CardState::Filled {
            facts,
            as_of: at("2026-11-22T10:00:00Z"),
            took_ms: 3,
            late: false,
            old: None,
        };
        let said = trouble(&card(state, &["balance", "oldest_due"]));
        assert_eq!(said.as_deref(), Some("kept back until identified: balance, oldest due"));
    }

    #[test]
    fn a_cards_trouble_is_said_in_words() {
        let check = |state: CardState, expected: Option<&str>| {
            assert_eq!(trouble(&card(state, &[])).as_deref(), expected);
        };
        check(CardState::Waiting, None);
        check(CardState::Late { deadline_ms: 800 }, Some("no answer in 800 ms, still waiting"));
        let failure = Failure::Refused { what: "HTTP 403".to_owned() };
        check(CardState::Failed { failure, took_ms: 3 }, Some("refused: HTTP 403"));
        check(CardState::Nothing { took_ms: 3 }, None);
    }
}
