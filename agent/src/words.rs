//! Figures as a person reads them, in the person's language: durations, ages, money, dates, and the words
//! for a card's trouble. Pure; the time zone comes from the caller. What is not known is `UNKNOWN`, never zero.

mod language;

use std::fmt;
use std::sync::Arc;

use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::{MD, YMD};
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal as Digits;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_experimental::displaynames::DisplayNamesOptions;
use icu_experimental::displaynames::multi::RegionDisplayNames;
use icu_locale::Locale;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff_icu::ConvertInto as _;
use pinkas_link::{Ended, SILENT_AFTER};
use pinkas_protocol::card::{Card, CardState, Match};
use pinkas_protocol::close::Close;
use pinkas_protocol::record::Refusal;
use pinkas_protocol::{Failure, Gives, Money, text};
use rust_decimal::{Decimal, RoundingStrategy};

pub use language::{Arg, Language};

use crate::drafts::Why;
use crate::text::{Direction, with_few_marks};
use language::Messages;

/// Stands where nothing is known.
pub const UNKNOWN: &str = "—";

/// The longest foreign text put on one line, in characters; what does not fit is shown on hover.
const LONGEST: usize = 400;

/// The most fields that are named as kept back: a sentence, not a list. No kind of card has so many.
const MOST_FIELDS: usize = 8;

/// Foreign text as one plain line.
pub fn plain(raw: &str) -> String {
    text::plain(raw, LONGEST).map_or_else(|| UNKNOWN.to_owned(), with_few_marks)
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

/// The day it is.
pub fn today(now: Timestamp, zone: &TimeZone) -> Date {
    now.to_zoned(zone.clone()).date()
}

/// What a person reads, in one language. A copy costs nothing.
#[derive(Clone)]
pub struct Words(Arc<Spoken>);

struct Spoken {
    language: Language,
    locale: Locale,
    messages: Messages,
}

impl Words {
    /// Those of a language.
    pub fn of(language: Language) -> Words {
        let (locale, messages) = (language.locale(), Messages::of(language));
        Words(Arc::new(Spoken { language, locale, messages }))
    }

    /// Which language it is.
    pub fn language(&self) -> Language {
        self.0.language
    }

    /// How its lines run.
    pub fn direction(&self) -> Direction {
        self.0.language.direction()
    }

    /// A message into which nothing is put.
    pub fn say(&self, id: &'static str) -> String {
        self.0.messages.say(id, &[])
    }

    /// A message with what it is about.
    pub fn tell(&self, id: &'static str, args: &[(&'static str, Arg<'_>)]) -> String {
        self.0.messages.say(id, args)
    }

    /// Texts beside each other, with a dot between them; empty ones are left out.
    pub fn dots(&self, texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
        self.0.messages.joined(texts, " · ")
    }

    /// A list of texts.
    pub fn list(&self, texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
        self.0.messages.joined(texts, ", ")
    }

    /// An age in a sentence: `14 s`, `3 min`, `2 h`.
    pub fn age(&self, start: Timestamp, end: Timestamp) -> String {
        let seconds = end.as_second().saturating_sub(start.as_second()).max(0).unsigned_abs();
        match seconds {
            s @ 0..120 => self.tell("seconds", &[("count", s.into())]),
            s @ 120..7200 => self.tell("minutes", &[("count", (s / 60).into())]),
            s => self.tell("hours", &[("count", (s / 3600).into())]),
        }
    }

    /// How long an answer took: `at once`, `12 ms`, `0.1 s`, `4.2 s`.
    pub fn took(&self, ms: u64) -> String {
        match ms {
            0 => self.say("at-once"),
            1..100 => self.tell("milliseconds", &[("count", ms.into())]),
            _ => {
                let seconds = Decimal::from(ms.saturating_add(50) / 100) / Decimal::TEN;
                self.tell("seconds-part", &[("amount", (&self.digits(seconds, 1)).into())])
            }
        }
    }

    /// How long an answer was waited for: `800 ms`, `15 s`.
    fn waited(&self, ms: u64) -> String {
        match ms {
            0..1000 => self.tell("milliseconds", &[("count", ms.into())]),
            _ if ms.is_multiple_of(1000) => self.tell("seconds", &[("count", (ms / 1000).into())]),
            _ => self.took(ms),
        }
    }

    /// An amount with two decimals, grouped as the language does, with its currency where one is known.
    pub fn money(&self, money: &Money) -> String {
        let amount = to_cents(money.amount);
        let code = money.currency.as_deref().and_then(|code| text::plain(code, 8)).unwrap_or_default();
        let iso = || {
            let currency = code.parse().ok()?;
            let prefs = (&self.0.locale).into();
            CurrencyFormatter::try_new_symbol_narrow(prefs, currency, Default::default()).ok()
        };
        match iso() {
            Some(formatter) => formatter.format_fixed_decimal(&digits(amount, 2)).to_string(),
            None if code.is_empty() => self.digits(amount, 2),
            None => self.0.messages.joined([self.digits(amount, 2), code], " "),
        }
    }

    /// A quantity without needless zeros: `×12`, `×0.5`.
    pub fn quantity(&self, quantity: Decimal) -> String {
        let quantity = quantity.normalize();
        format!("×{}", self.digits(quantity, quantity.scale()))
    }

    fn digits(&self, number: Decimal, decimals: u32) -> String {
        match DecimalFormatter::try_new((&self.0.locale).into(), Default::default()) {
            Ok(formatter) => formatter.format(&digits(number, decimals)).to_string(),
            Err(_) => number.to_string(),
        }
    }

    /// A number of days: `1 day`, `30 days`.
    pub fn days(&self, count: u32) -> String {
        self.tell("days", &[("count", count.into())])
    }

    /// A day, without its year while that is this year: `14 Nov`, `2 Dec 2024`.
    pub fn day(&self, date: Date, today: Date) -> String {
        let day: icu_datetime::input::Date<_> = date.convert_into();
        let prefs = (&self.0.locale).into();
        let said = if date.year() == today.year() {
            DateTimeFormatter::try_new(prefs, MD::medium())
                .map(|formatter| formatter.format(&day).to_string())
        } else {
            DateTimeFormatter::try_new(prefs, YMD::medium())
                .map(|formatter| formatter.format(&day).to_string())
        };
        said.unwrap_or_else(|_| date.to_string())
    }

    /// A moment: the time of day, with its day when that is not today.
    pub fn moment(&self, at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
        let (at, today) = (at.to_zoned(zone.clone()), today(now, zone));
        let time = at.strftime("%H:%M").to_string();
        if at.date() == today {
            time
        } else {
            self.0.messages.joined([self.day(at.date(), today), time], " ")
        }
    }

    /// That a customer is only guessed, and by what; `None` when it is no guess.
    pub fn guess(&self, matched: Match) -> Option<String> {
        match matched {
            Match::KeyedIn | Match::Number | Match::Searched => None,
            Match::CompanyNumber => Some(self.say("guess-company")),
            Match::LastDigits { digits } => {
                Some(self.tell("guess-digits", &[("digits", u32::from(digits).into())]))
            }
        }
    }

    /// What is wrong with a card; `None` when nothing is.
    pub fn trouble(&self, card: &Card) -> Option<String> {
        match &card.state {
            CardState::Late { deadline_ms } => {
                Some(self.tell("no-answer-waiting", &[("time", (&self.waited(*deadline_ms)).into())]))
            }
            CardState::Failed { failure, .. } => Some(self.failure(failure)),
            CardState::Filled { old: Some(failure), .. } => {
                Some(self.tell("old-figures", &[("why", (&self.failure(failure)).into())]))
            }
            CardState::Filled { .. } if !card.folded.is_empty() => {
                let fields = card.folded.iter().take(MOST_FIELDS).map(|field| self.field(field));
                let more = (card.folded.len() > MOST_FIELDS).then(|| "…".to_owned());
                let fields = self.list(fields.chain(more));
                Some(self.tell("kept-back", &[("what", (&fields).into())]))
            }
            CardState::Filled { late: true, took_ms, .. } => {
                Some(self.tell("came-late", &[("time", (&self.took(*took_ms)).into())]))
            }
            CardState::Waiting | CardState::Filled { .. } | CardState::Nothing { .. } => None,
        }
    }

    /// What a card calls one of its fields; what a company named itself is said as it is.
    fn field(&self, name: &str) -> String {
        self.say(match name {
            "balance" => "open-row",
            "overdue" => "overdue-row",
            "oldest_due" => "oldest-due",
            "limit" => "limit-row",
            "available" => "credit-left",
            "days" => "payment-term",
            "hold" => "credit-stopped",
            "offer" => "field-offer",
            "note" => "field-note",
            own => return plain(&own.replace('_', " ")),
        })
    }

    /// Why there is no link to the hub.
    pub fn link_ended(&self, why: &Ended) -> String {
        match why {
            Ended::Unreachable(why) => self.tell("link-unreachable", &[("why", (&plain(why)).into())]),
            Ended::OtherVersion(_) | Ended::Closed(Close::WrongVersion) => self.say("link-other-version"),
            Ended::Broken => self.say("link-broken"),
            Ended::Silent => self.tell("link-silent", &[("count", SILENT_AFTER.as_secs().into())]),
            Ended::NotUnderstood(_) | Ended::Closed(Close::BadMessage) => self.say("link-not-understood"),
            Ended::Closed(close) => self.say(match close {
                Close::Stopping => "link-stopping",
                Close::WrongSecret => "link-wrong-secret",
                Close::NoHello => "link-no-hello",
                Close::TooSlow => "link-too-slow",
                Close::Replaced => "link-replaced",
                Close::Revoked => "link-login-ended",
                Close::TooManyAttempts => "link-too-many",
                Close::WrongVersion | Close::BadMessage => "link-broken",
            }),
        }
    }

    /// Why a source says nothing.
    pub fn failure(&self, failure: &Failure) -> String {
        let what = |id, what: &String| self.tell(id, &[("what", (&plain(what)).into())]);
        match failure {
            Failure::NoAnswer { deadline_ms } => {
                self.tell("failure-no-answer", &[("time", (&self.waited(*deadline_ms)).into())])
            }
            Failure::Unreachable => self.say("failure-unreachable"),
            Failure::Refused { what: why } => what("failure-refused", why),
            Failure::NotUnderstood { what: why } => what("failure-not-understood", why),
            Failure::TooLarge => self.say("failure-too-large"),
            Failure::Busy => self.say("failure-busy"),
            Failure::Resting => self.say("failure-resting"),
            Failure::NotAsked { what: why } => what("failure-not-asked", why),
        }
    }

    /// Why something written is not taken.
    pub fn refusal(&self, why: Why) -> String {
        self.say(match why {
            Why::TooMuchWaits => "refused-too-much-waits",
            Why::Hub(Refusal::NotYourCall) => "refused-not-your-call",
            Why::Hub(Refusal::TooLong) => "refused-too-long",
            Why::Hub(Refusal::Empty) => "refused-empty",
            Why::Hub(Refusal::UnknownOutcome) => "refused-unknown-outcome",
            Why::Hub(Refusal::Full) => "refused-full",
            Why::Hub(Refusal::NotYours) => "refused-not-yours",
            Why::Hub(Refusal::RecordStopped) => "refused-record-stopped",
        })
    }

    /// A card's title: as the configuration says, else what it is about.
    pub fn title(&self, card: &Card) -> String {
        match (&card.title, card.gives) {
            (Some(title), _) => plain(title),
            (None, Gives::Customer) => self.say("customer"),
            (None, Gives::Balance) => self.say("balance"),
            (None, Gives::Credit) => self.say("credit-terms"),
            (None, Gives::Purchases) => self.say("recent-purchases"),
            (None, Gives::Notes) => self.say("notes"),
            (None, Gives::Custom) => self.say("more"),
        }
    }

    /// A country by its ISO 3166 code, as people call it; the code itself where it has no name.
    pub fn country(&self, code: &str) -> String {
        let names = RegionDisplayNames::try_new((&self.0.locale).into(), DisplayNamesOptions::default());
        let name = || names.ok()?.of(code.parse().ok()?).map(str::to_owned);
        name().unwrap_or_else(|| plain(code))
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Words").field(&self.0.language.code()).finish()
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.0.language == other.0.language
    }
}

impl Eq for Words {}

fn to_cents(amount: Decimal) -> Decimal {
    let amount = amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
    // A rounded cent is no debt.
    if amount.is_zero() { Decimal::ZERO } else { amount }
}

/// The digits of a number, for what writes it in a language.
fn digits(number: Decimal, decimals: u32) -> Digits {
    let decimals = usize::try_from(decimals).unwrap_or(2);
    // Digits with a sign and a point are what it reads.
    Digits::try_from_str(&format!("{number:.decimals$}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::card::Balance;
    use pinkas_protocol::{Facts, Failure, Gives, SourceName};

    fn english() -> Words {
        Words::of(Language::default())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn paid(amount: &str, currency: &str) -> String {
        let currency = (!currency.is_empty()).then(|| currency.to_owned());
        english().money(&Money { amount: amount.parse().expect("an amount"), currency })
    }

    #[test]
    fn money_has_sign_separators_two_decimals_and_its_currency() {
        assert_eq!(paid("1250", "PLN"), "zł\u{a0}1,250.00");
        assert_eq!(paid("1250", "ILS"), "₪1,250.00");
        assert_eq!(paid("-1234567.5", "EUR"), "-€1,234,567.50");
        assert_eq!(paid("1250.005", "CHF"), "Fr.1,250.01");
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
        assert_eq!(english().age(start, at("2026-11-22T10:00:14Z")), "14 s");
        assert_eq!(english().age(start, at("2026-11-22T10:05:00Z")), "5 min");
        assert_eq!(
            [english().took(0), english().took(12), english().took(100), english().took(4180)],
            ["at once", "12 ms", "0.1 s", "4.2 s"]
        );
        assert!(!english().took(u64::MAX).is_empty());
    }

    #[test]
    fn a_moment_has_its_day_only_when_it_is_not_today() {
        let now = at("2026-11-22T10:00:00Z");
        assert_eq!(english().moment(at("2026-11-22T08:05:00Z"), now, &TimeZone::UTC), "08:05");
        assert_eq!(english().moment(at("2026-11-03T08:05:00Z"), now, &TimeZone::UTC), "3 Nov 08:05");
        assert_eq!(english().moment(at("2025-11-03T08:05:00Z"), now, &TimeZone::UTC), "3 Nov 2025 08:05");
    }

    fn card(state: CardState, folded: &[&str]) -> Card {
        let source = SourceName::parse("accounting").expect("a name");
        let folded = folded.iter().map(|field| (*field).to_owned()).collect();
        Card { folded, ..Card::new(source, Gives::Balance, None, state) }
    }

    #[test]
    fn a_guess_and_what_is_kept_back_are_said() {
        assert_eq!(english().guess(Match::Number).or(english().guess(Match::KeyedIn)), None);
        assert_eq!(english().guess(Match::LastDigits { digits: 9 }).as_deref(), Some("guess: last 9 digits"));
        assert_eq!(english().guess(Match::CompanyNumber).as_deref(), Some("guess: company's number"));
        let facts = Facts::Balance(Balance::default());
        let state = CardState::Filled {
            facts,
            as_of: at("2026-11-22T10:00:00Z"),
            took_ms: 3,
            late: false,
            old: None,
        };
        let said = english().trouble(&card(state, &["overdue", "oldest_due", "our_own"]));
        let expected = "kept back until identified: Overdue, oldest due date, our own";
        assert_eq!(said.as_deref(), Some(expected));
    }

    #[test]
    fn a_cards_trouble_is_said_in_words() {
        let check = |state: CardState, expected: Option<&str>| {
            assert_eq!(english().trouble(&card(state, &[])).as_deref(), expected);
        };
        check(CardState::Waiting, None);
        check(CardState::Late { deadline_ms: 800 }, Some("no answer in 800 ms, still waiting"));
        check(CardState::Late { deadline_ms: 15_000 }, Some("no answer in 15 s, still waiting"));
        check(CardState::Late { deadline_ms: 2_540 }, Some("no answer in 2.5 s, still waiting"));
        let failure = Failure::Refused { what: "HTTP 403".to_owned() };
        check(CardState::Failed { failure, took_ms: 3 }, Some("refused: HTTP 403"));
        check(CardState::Nothing { took_ms: 3 }, None);
    }
}
