//! `pinkas-hub check`: after the file itself, asks every source at once and says in words what each answered and
//! whether the answer fits. Without a number they are asked about a caller and a customer that do not exist, which
//! shows connection, login and query; with one, as a call from it would. Needs no running hub and changes nothing.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use pinkas_protocol::{Customer, CustomerKey, Facts, Failure, Number, NumberPlan, SourceName};
use tokio::time::Instant;

use crate::config::Config;
use crate::core::fields_of;
use crate::gather::{of_answers, question};
use crate::identify::{Before, Brought, Offered, Rules, offered};
use crate::last::Last;
use crate::sources::asking::{Asked, ms};
use crate::sources::{Answer, ConfiguredSource, Needs, Question, Searchable};

/// A number that no subscriber has: it is kept free for fiction.
const NOBODYS_NUMBER: &str = "+12025550100";
/// A name that no customer has.
const NOBODYS_NAME: &str = "nobody of this name, asks pinkas-hub check";
/// A customer that no company has; a number too, as keys often are.
const NOBODYS_KEY: &str = "0";

/// How good or bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It works.
    Good,
    /// It answers, and whether it does so as wanted could not be seen.
    Unclear,
    /// It does not work.
    Broken,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Good => "good   ",
            Level::Unclear => "unclear",
            Level::Broken => "broken ",
        })
    }
}

/// Asks all sources of `config` and writes to `out` what was found. The worst of it is returned.
pub async fn check(config: Config, number: Option<&str>, out: &mut dyn Write) -> anyhow::Result<Level> {
    let number = number.map(|raw| read(raw, &config.numbers)).transpose()?;
    Ok(probe(config.sources, &config.identify, number, out).await?)
}

fn read(raw: &str, numbers: &NumberPlan) -> anyhow::Result<Number> {
    let number = numbers.read(raw).filter(|number| number.key().is_some());
    number.ok_or_else(|| {
        anyhow::anyhow!(
            "`--number`: this is no phone number; write it as people do, for example 050-123-4567"
        )
    })
}

/// With what sources are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum With {
    /// A number that was given.
    Sample,
    /// Nothing that exists.
    Nobody,
}

async fn probe(
    sources: Vec<ConfiguredSource>,
    rules: &Rules,
    number: Option<Number>,
    out: &mut dyn Write,
) -> io::Result<Level> {
    // Nothing is kept of what a trial says.
    let asked = |source| Arc::new(Asked::new(source, Last::default()));
    let sources: Vec<Arc<Asked>> = sources.into_iter().map(asked).collect();
    let mut worst = Level::Good;
    let mut tell = |source: &SourceName, (level, words): (Level, String)| {
        worst = worst.max(level);
        writeln!(out, "{level}  {source}: {words}")
    };
    let with = if number.is_some() { With::Sample } else { With::Nobody };
    let number = number.or_else(|| NumberPlan::default().read(NOBODYS_NUMBER));
    let brought = Brought { number, ..Brought::default() };
    let by_call = question(&brought, None);
    let is_first = |source: &&Arc<Asked>| source.is_directory() || source.needs() == Needs::Call;
    let (first, rest): (Vec<_>, Vec<_>) = sources.iter().partition(is_first);
    if with == With::Nobody {
        let nobody = question(&brought, nobody(&sources));
        let asked = join_all(sources.iter().map(|source| {
            let question = if is_first(&source) { &by_call } else { &nobody };
            async move { join(told(source, question, with), searched(source, NOBODYS_NAME, with)).await }
        }));
        for (source, (found, searched)) in sources.iter().zip(asked.await) {
            tell(source.name(), found.0)?;
            searched.map_or(Ok(()), |words| tell(source.name(), words))?;
        }
        return Ok(worst);
    }
    let text = brought.number.as_ref().and_then(Number::key).unwrap_or_default();
    let answers =
        join_all(first.iter().map(|source| join(told(source, &by_call, with), searched(source, text, with))));
    let mut directories = Vec::new();
    let mut found = Vec::new();
    for (source, ((words, answer), searched)) in first.into_iter().zip(answers.await) {
        tell(source.name(), words)?;
        searched.map_or(Ok(()), |words| tell(source.name(), words))?;
        if source.is_directory() {
            directories.push(source.clone());
            found.push(answer.map(|answer| match answer {
                Answer::Customers(customers) => customers,
                Answer::Facts { .. } | Answer::Nothing => Vec::new(),
            }));
        }
    }
    let found = of_answers(&directories, found, &brought, rules).await.unwrap_or_default();
    let customer = match offered(found, &Before::Nothing) {
        Offered::Nobody => None,
        Offered::One(customer) => Some(customer),
        Offered::Several(customers) => customers.into_iter().next(),
    };
    let with = if customer.is_some() { With::Sample } else { With::Nobody };
    if with == With::Nobody && !rest.is_empty() {
        let none =
            "no directory knows this number, so the others are asked about a customer that does not exist";
        writeln!(out, "{none}")?;
        worst = worst.max(Level::Unclear);
    }
    let question = question(&brought, customer.or_else(|| nobody(&sources)));
    let asked = join_all(rest.iter().map(|source| told(source, &question, with))).await;
    for (source, (words, _)) in rest.iter().zip(asked) {
        worst = worst.max(words.0);
        writeln!(out, "{}  {}: {}", words.0, source.name(), words.1)?;
    }
    Ok(worst)
}

/// A customer that does not exist.
fn nobody(sources: &[Arc<Asked>]) -> Option<Customer> {
    let key = CustomerKey::parse(NOBODYS_KEY).ok()?;
    Some(Customer::new(key, String::new(), sources.first()?.name().clone()))
}

/// Asks one source, and once more when the first answer was late: to connect takes longer than to ask.
async fn told(
    source: &Arc<Asked>,
    question: &Question,
    with: With,
) -> ((Level, String), Result<Answer, Failure>) {
    let (mut answer, mut took) = asked(source, question).await;
    let mut slow = "";
    if matches!(answer, Err(Failure::NoAnswer { .. })) {
        (answer, took) = asked(source, question).await;
        slow = ", after a first question, which has to connect, that took longer than its deadline";
    }
    let took = ms(took);
    let words = match &answer {
        Ok(Answer::Customers(customers)) if customers.is_empty() => nothing(source, with, took, slow),
        Ok(Answer::Nothing) => nothing(source, with, took, slow),
        Ok(Answer::Customers(customers)) => {
            (Level::Good, format!("answered in {took} ms{slow}: {}", people(customers)))
        }
        Ok(Answer::Facts { facts, .. }) => {
            (Level::Good, format!("answered in {took} ms{slow}: {}", fields(facts)))
        }
        Err(failure) => failed(failure, with, took),
    };
    (words, answer)
}

/// Tries the question with which agents look for somebody, where the configuration has one. Once more when it was
/// late, as [`told`] does.
async fn searched(source: &Arc<Asked>, text: &str, with: With) -> Option<(Level, String)> {
    if source.searching().kind() != Searchable::Asked {
        return None;
    }
    let text = Arc::from(text);
    let since = Instant::now();
    let mut answer = source.searching().search(&text).await;
    if matches!(answer, Err(Failure::NoAnswer { .. })) {
        answer = source.searching().search(&text).await;
    }
    let took = ms(since.elapsed());
    let (level, words) = match (&answer, with) {
        (Ok(found), With::Nobody) if found.is_empty() => (
            Level::Good,
            format!("answered in {took} ms: finds nobody by a name that nobody has, as it should"),
        ),
        (Ok(found), With::Nobody) => (
            Level::Unclear,
            format!(
                "answered in {took} ms: finds {} by a name that nobody has; look at `search`",
                count(found.len())
            ),
        ),
        (Ok(found), With::Sample) if found.is_empty() => {
            (Level::Good, format!("answered in {took} ms: finds nobody by this number"))
        }
        (Ok(found), With::Sample) => {
            (Level::Good, format!("answered in {took} ms: finds {} by this number", count(found.len())))
        }
        (Err(failure), with) => failed(failure, with, took),
    };
    Some((level, format!("search: {}", words.replace("`deadline`", "`search_deadline`"))))
}

fn count(customers: usize) -> String {
    match customers {
        1 => "one customer".to_owned(),
        more => format!("{more} customers"),
    }
}

async fn asked(source: &Arc<Asked>, question: &Question) -> (Result<Answer, Failure>, Duration) {
    let since = Instant::now();
    (source.in_time(question).await, since.elapsed())
}

fn nothing(source: &Arc<Asked>, with: With, took: u64, slow: &str) -> (Level, String) {
    let words = match (with, source.is_directory()) {
        (With::Nobody, true) => "knows nobody by a number that nobody has, as it should",
        (With::Nobody, false) => "has nothing on a customer that does not exist, as it should",
        (With::Sample, true) => "does not know this number",
        (With::Sample, false) => "has nothing on this customer",
    };
    (Level::Good, format!("answered in {took} ms{slow}: {words}"))
}

fn failed(failure: &Failure, with: With, took: u64) -> (Level, String) {
    match failure {
        Failure::Unreachable => (
            Level::Broken,
            format!("cannot be reached ({took} ms): look at its address, whether it runs, and at firewalls"),
        ),
        Failure::NoAnswer { deadline_ms } => (
            Level::Broken,
            format!(
                "no answer in {deadline_ms} ms, twice: it is too slow, or `deadline` is too short for it"
            ),
        ),
        Failure::NotAsked { what } => (
            Level::Unclear,
            format!(
                "not asked: {what}; `check --number` with the number of a customer who has it would show more"
            ),
        ),
        Failure::Refused { what } if with == With::Nobody && is_about_the_key(what) => (
            Level::Unclear,
            format!(
                "answered in {took} ms with {what} to a customer or caller that does not exist, which may be its way to say so; \
                 `check --number` with the number of a customer would show more"
            ),
        ),
        Failure::Refused { what } => {
            let login = ["HTTP 401", "HTTP 403", "no token"].iter().any(|sign| what.starts_with(sign));
            let hint = if login { ": its user, password, key or token is not accepted" } else { "" };
            (Level::Broken, format!("was reached and refused in {took} ms: {what}{hint}"))
        }
        Failure::NotUnderstood { what } => (
            Level::Broken,
            format!("answered in {took} ms, and its answer does not fit the configuration: {what}"),
        ),
        Failure::TooLarge => {
            (Level::Broken, format!("answered more than the hub takes ({took} ms): ask it for less"))
        }
        Failure::Busy | Failure::Resting => (Level::Broken, format!("{failure} ({took} ms)")),
    }
}

/// A refusal of what was asked with rather than of who asked.
fn is_about_the_key(what: &str) -> bool {
    let http = what.strip_prefix("HTTP ").and_then(|code| code.parse().ok());
    http.is_some_and(|code: u16| matches!(code, 400 | 409 | 410 | 422)) || what.contains("SQLSTATE 22")
}

/// Which fields of the answer were there, and which were not.
fn fields(facts: &Facts) -> String {
    let (rows, there): (Option<usize>, Vec<(&str, bool)>) = match facts {
        Facts::Balance(found) => (
            None,
            vec![
                ("balance", found.balance.is_some()),
                ("overdue", found.overdue.is_some()),
                ("oldest_due", found.oldest_due.is_some()),
            ],
        ),
        Facts::Credit(found) => (
            None,
            vec![
                ("limit", found.limit.is_some()),
                ("available", found.available.is_some()),
                ("days", found.days.is_some()),
                ("hold", found.hold.is_some()),
                ("offer", found.offer.is_some()),
                ("note", found.note.is_some()),
            ],
        ),
        Facts::Purchases { purchases } => (
            Some(purchases.len()),
            vec![
                ("date", purchases.iter().any(|one| one.date.is_some())),
                ("product", !purchases.is_empty()),
                ("quantity", purchases.iter().any(|one| one.quantity.is_some())),
                ("amount", purchases.iter().any(|one| one.amount.is_some())),
            ],
        ),
        Facts::Notes { notes } => (
            Some(notes.len()),
            vec![
                ("date", notes.iter().any(|one| one.date.is_some())),
                ("text", !notes.is_empty()),
                ("by", notes.iter().any(|one| one.by.is_some())),
            ],
        ),
        Facts::Custom { rows } => {
            (None, rows.iter().map(|row| (row.label.as_str(), row.value.is_some())).collect())
        }
        Facts::Newer => (None, Vec::new()),
    };
    let rows = rows.map_or_else(String::new, |rows| format!("rows: {rows}, "));
    format!("{rows}{}", with_and_without(&there))
}

fn people(customers: &[Customer]) -> String {
    let any = |there: fn(&Customer) -> bool| customers.iter().any(there);
    let there = fields_of(pinkas_protocol::Gives::Customer).iter().map(|field| {
        let is = match *field {
            "class" => any(|one| one.class.is_some()),
            "place" => any(|one| one.place.is_some()),
            "account_manager" => any(|one| one.account_manager.is_some()),
            "language" => any(|one| one.language.is_some()),
            "numbers" => any(|one| !one.numbers.is_empty()),
            _ => any(|one| !one.keys.is_empty()),
        };
        (*field, is)
    });
    let there: Vec<_> = there.collect();
    format!("{}, {}", count(customers.len()), with_and_without(&there))
}

fn with_and_without(there: &[(&str, bool)]) -> String {
    let named = |is: bool| -> Vec<&str> {
        there.iter().filter(|(_, there)| *there == is).map(|(name, _)| *name).collect()
    };
    match (named(true), named(false)) {
        (with, without) if without.is_empty() => format!("with {}", with.join(", ")),
        (with, without) if with.is_empty() => format!("without {}", without.join(", ")),
        (with, without) => format!("with {}; without {}", with.join(", "), without.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use futures_util::future::BoxFuture;
    use pinkas_protocol::Gives;
    use pinkas_protocol::card::{Balance, Purchase};

    use crate::sources::Source;

    /// Answers after so many milliseconds, the first time after so many more.
    struct Says(u64, std::sync::atomic::AtomicU64, Result<Answer, Failure>);

    impl Source for Says {
        fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
            Box::pin(async {
                let more = self.1.swap(0, std::sync::atomic::Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(self.0 + more)).await;
                match (&self.2, &question.customer) {
                    (Ok(Answer::Facts { .. }), Some(customer)) if customer.key.as_str() == NOBODYS_KEY => {
                        Ok(Answer::Nothing)
                    }
                    (Ok(Answer::Customers(_)), _)
                        if question.number.as_ref().and_then(Number::key) == Some(NOBODYS_NUMBER) =>
                    {
                        Ok(Answer::Nothing)
                    }
                    (answer, _) => answer.clone(),
                }
            })
        }
    }

    fn source(name: &str, gives: Gives, after: [u64; 2], says: Result<Answer, Failure>) -> ConfiguredSource {
        let [after, first] = after;
        let name = SourceName::parse(name).expect("a name");
        let source = Arc::new(Says(after, first.into(), says));
        ConfiguredSource::new(name, gives, Duration::from_millis(800), source)
    }

    fn sources() -> Vec<ConfiguredSource> {
        let facts = |facts| Ok(Answer::Facts { facts, as_of: None });
        let refused = |what: &str| Err(Failure::Refused { what: what.to_owned() });
        let levi = Customer {
            class: Some("VIP".to_owned()),
            ..Customer::new("7".parse().expect("a key"), "Levi".to_owned(), "people".parse().expect("a name"))
        };
        let balance = Facts::Balance(Balance {
            oldest_due: jiff::civil::Date::new(2026, 1, 2).ok(),
            ..Balance::default()
        });
        let bread = Purchase { product: "bread".to_owned(), date: None, quantity: None, amount: None };
        vec![
            source("people", Gives::Customer, [12, 0], Ok(Answer::Customers(vec![levi]))),
            source("old people", Gives::Customer, [5_000, 0], Ok(Answer::Nothing)),
            source("books", Gives::Balance, [40, 900], facts(balance)),
            source("till", Gives::Purchases, [3, 0], facts(Facts::Purchases { purchases: vec![bread] })),
            source("down", Gives::Credit, [1, 0], Err(Failure::Unreachable)),
            source("locked", Gives::Credit, [1, 0], refused("HTTP 401")),
            source("picky", Gives::Credit, [2, 0], refused("HTTP 422")),
            source(
                "wrong",
                Gives::Notes,
                [1, 0],
                Err(Failure::NotUnderstood { what: "field text: not a text".to_owned() }),
            ),
            source(
                "by tax",
                Gives::Notes,
                [0, 0],
                Err(Failure::NotAsked { what: "this customer has no tax_id".to_owned() }),
            ),
        ]
    }

    async fn found(number: Option<&str>, sources: Vec<ConfiguredSource>) -> (Level, String, u64) {
        let number = number.map(|number| NumberPlan::default().read(number).expect("a number"));
        let (mut out, since) = (Vec::new(), Instant::now());
        let worst = probe(sources, &Rules::default(), number, &mut out).await.expect("written");
        (worst, String::from_utf8(out).expect("text"), ms(since.elapsed()))
    }

    #[tokio::test(start_paused = true)]
    async fn each_source_is_told_in_words_all_are_asked_at_once_and_none_is_waited_for_longer_than_its_deadlines()
     {
        let (worst, text, took) = found(None, sources()).await;
        insta::assert_snapshot!(text);
        assert_eq!((worst, took), (Level::Broken, 1_600));
        let (worst, text, took) = found(Some("+972501234567"), sources()).await;
        insta::assert_snapshot!(text);
        assert_eq!((worst, took), (Level::Broken, 1_600 + 840));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_seen_is_no_failure_and_what_works_is_good() {
        let pick = |names: &[&str]| {
            sources().into_iter().filter(|source| names.contains(&source.name.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(found(None, pick(&["people", "till"])).await.0, Level::Good);
        assert_eq!(found(None, pick(&["people", "picky"])).await.0, Level::Unclear);
        assert_eq!(found(Some("+972501234567"), pick(&["people", "picky"])).await.0, Level::Broken);
        let (worst, text, _) = found(Some("+12025550100"), pick(&["people", "till"])).await;
        assert!(worst == Level::Unclear && text.contains("no directory knows this number"), "{text}");
        assert_eq!(found(None, Vec::new()).await, (Level::Good, String::new(), 0));
    }

    /// A directory that agents can search, which says this when they do.
    struct Found(Result<Vec<&'static str>, Failure>);

    impl Source for Found {
        fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
            Box::pin(async { Ok(Answer::Nothing) })
        }

        fn searchable(&self) -> Searchable {
            Searchable::Asked
        }

        fn search<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
            let one = |key: &&str| {
                let key = CustomerKey::parse(key).expect("a key");
                (0, Customer::new(key, String::new(), SourceName::parse("s").expect("a name")))
            };
            Box::pin(async move { self.0.clone().map(|keys| keys.iter().map(one).collect()) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_question_of_a_search_is_tried_as_well() {
        let number = Some("+972501234567");
        let no_column = Failure::Refused { what: "no such column".to_owned() };
        let late = Failure::NoAnswer { deadline_ms: 800 };
        for (says, number, level, words) in [
            (Ok(vec![]), None, Level::Good, "answered in 0 ms: finds nobody by a name that nobody has"),
            (
                Ok(vec!["7"]),
                None,
                Level::Unclear,
                "finds one customer by a name that nobody has; look at `search`",
            ),
            (Ok(vec!["7", "8"]), number, Level::Good, "answered in 0 ms: finds 2 customers by this number"),
            (Ok(vec![]), number, Level::Good, "answered in 0 ms: finds nobody by this number"),
            (Err(no_column), None, Level::Broken, "was reached and refused in 0 ms: no such column"),
            (
                Err(late),
                None,
                Level::Broken,
                "no answer in 800 ms, twice: it is too slow, or `search_deadline` is",
            ),
        ] {
            let name = SourceName::parse("people").expect("a name");
            let source = Arc::new(Found(says));
            let source = ConfiguredSource::new(name, Gives::Customer, Duration::from_millis(800), source);
            let (worst, text, _) = found(number, vec![source]).await;
            let expected = format!("{level}  people: search: ");
            assert!(text.contains(&expected) && text.contains(words), "{text}");
            assert_eq!(worst, level);
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_an_example() {
        let said = read("dough", &NumberPlan::default()).expect_err("no number").to_string();
        assert!(said.contains("050-123-4567"), "{said}");
    }
}
