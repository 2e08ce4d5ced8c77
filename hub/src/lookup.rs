//! `pinkas-hub lookup NUMBER`: asks every source as a call from that number would, and prints what each
//! said, how long it took and how old it is. For whoever connects a system and wants to see it work;
//! needs no running hub and changes nothing.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use jiff::Timestamp;
use pinkas_protocol::{
    CardState, Customer, Disagreement, Fact, Facts, Failure, Money, NumberPlan, Said, disagreements,
};
use tokio::time::Instant;

use crate::config::Config;
use crate::gather::{of_answers, question};
use crate::identify::{Before, Brought, Offered, Rules, offered, reason};
use crate::last::Last;
use crate::sources::asking::Asked;
use crate::sources::{ConfiguredSource, Needs, Question};

/// Asks all sources of `config` about `raw_number`, all at once and each with its own deadline, and writes
/// what they said to `out` in plain words: who it may be, in the order in which an agent would be offered them, and of
/// each what the other sources say. What comes long after a deadline is waited for, and marked late.
pub async fn lookup(config: Config, raw_number: &str, out: &mut dyn Write) -> io::Result<()> {
    ask(config.sources, config.identify, &config.numbers, raw_number, out).await
}

async fn ask(
    sources: Vec<ConfiguredSource>,
    rules: Rules,
    plan: &NumberPlan,
    raw_number: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(number) = plan.read(raw_number) else {
        return writeln!(out, "That is no number.");
    };
    writeln!(out, "{}", number.shown())?;
    if number.key().is_none() {
        return writeln!(out, "This cannot be read as a phone number, so no source is asked.");
    }
    let sources: Vec<Arc<Asked>> =
        sources.into_iter().map(|source| Arc::new(Asked::new(source, Last::default()))).collect();
    let brought = Brought { number: Some(number), ..Brought::default() };
    let directories: Vec<_> = sources.iter().filter(|source| source.is_directory()).cloned().collect();
    if directories.is_empty() {
        return writeln!(out, "No source gives \"customer\", so nobody can be found.");
    }
    let question = question(&brought, None);
    let asked = join_all(directories.iter().map(|directory| async {
        let since = Instant::now();
        (directory.who(&question).await, since.elapsed())
    }));
    let (answers, by_call) = join(asked, cards(&sources, Needs::Call, &question)).await;
    let lines = directories.iter().zip(&answers).flat_map(|(directory, (answer, took))| {
        who(answer).into_iter().map(|said| line(directory, said, took_words(*took), ""))
    });
    let lines = lines.chain(by_call.iter().flat_map(|(source, state)| card(source, state, Timestamp::now())));
    table(out, lines.collect())?;

    let answers = answers.into_iter().map(|(answer, _)| answer).collect();
    let found = of_answers(&directories, answers, &brought, &rules).await.unwrap_or_default();
    let customers = match offered(found, &Before::Nothing) {
        Offered::Nobody => Vec::new(),
        Offered::One(customer) => vec![customer],
        Offered::Several(customers) => customers,
    };
    for customer in customers {
        let reason = reason(customer.matched).map(|reason| format!(", {reason}")).unwrap_or_default();
        writeln!(out, "\n{} ({}){reason}", customer.name.0, customer.key)?;
        let key = customer.key.clone();
        let question = Question { customer: Some(customer), ..question.clone() };
        let states = cards(&sources, Needs::Customer, &question).await;
        let now = Timestamp::now();
        table(out, states.iter().flat_map(|(source, state)| card(source, state, now)).collect())?;
        let shown = states.into_iter().map(|(source, state)| source.card(Some(&key), state));
        let shown: Vec<_> =
            shown.chain(by_call.iter().map(|(source, state)| source.card(None, state.clone()))).collect();
        for disagreement in disagreements(&shown) {
            writeln!(out, "  {}", differ(&disagreement))?;
        }
    }
    Ok(())
}

/// What the sources that need this say in the end.
async fn cards<'a>(
    sources: &'a [Arc<Asked>],
    needs: Needs,
    question: &Question,
) -> Vec<(&'a Asked, CardState)> {
    let asked = sources.iter().filter(|source| !source.is_directory() && source.needs() == needs);
    join_all(asked.map(|source| async { (&**source, source.settled(question).await) })).await
}

fn differ(disagreement: &Disagreement) -> String {
    let fact = match disagreement.fact {
        Fact::Balance => "balance",
        Fact::Overdue => "overdue part",
        Fact::OldestDue => "oldest due date",
        Fact::Limit => "limit",
        Fact::Available => "what is left of the limit",
        Fact::Days => "days",
        Fact::Hold => "hold",
    };
    let said = disagreement.said.iter().map(|(source, said)| {
        let said = match said {
            Said::Money(amount) => money(amount),
            Said::Date(date) => date.to_string(),
            Said::Days(days) => days.to_string(),
            Said::Hold(hold) => if *hold { "on hold" } else { "not on hold" }.to_owned(),
        };
        format!("{source} says {said}")
    });
    format!("The sources disagree on {fact}: {}.", said.collect::<Vec<_>>().join(", "))
}

/// Source, title, what was said, how long it took, how old it is.
type Line = [String; 5];

fn line(source: &Asked, said: String, took: String, age: &str) -> Line {
    [source.name().to_string(), source.title().to_owned(), said, took, age.to_owned()]
}

fn who(answer: &Result<Vec<Customer>, Failure>) -> Vec<String> {
    match answer {
        Ok(customers) if customers.is_empty() => vec!["does not know this number".to_owned()],
        Ok(customers) => customers.iter().map(customer).collect(),
        Err(failure) => vec![failure.to_string()],
    }
}

fn customer(customer: &Customer) -> String {
    let mut said = format!("{} ({})", customer.name.0, customer.key);
    let place = customer.place.as_ref().map(|place| &place.0);
    for more in [customer.class.as_ref(), place, customer.account_manager.as_ref()].into_iter().flatten() {
        said.push_str(", ");
        said.push_str(more);
    }
    said
}

fn card(source: &Asked, state: &CardState, now: Timestamp) -> Vec<Line> {
    let one = |said: String, took_ms: u64| vec![line(source, said, format!("{took_ms} ms"), "")];
    match state {
        CardState::Waiting => one("still waiting".to_owned(), 0),
        CardState::Late { deadline_ms } => one(format!("no answer in {deadline_ms} ms"), *deadline_ms),
        CardState::Nothing { took_ms } => one("holds nothing on this customer".to_owned(), *took_ms),
        CardState::Failed { failure, took_ms } => one(failure.to_string(), *took_ms),
        CardState::Filled { facts: found, as_of, took_ms, late, old } => {
            let took = format!("{took_ms} ms");
            let age = match old {
                Some(failure) => format!("{}: {failure}", age(now, *as_of)),
                None if *late => format!("{}, late", age(now, *as_of)),
                None => age(now, *as_of),
            };
            let mut said = facts(found).into_iter();
            let first = line(source, said.next().unwrap_or_default(), took, &age);
            let more = said.map(|said| [String::new(), String::new(), said, String::new(), String::new()]);
            std::iter::once(first).chain(more).collect()
        }
    }
}

fn facts(facts: &Facts) -> Vec<String> {
    match facts {
        Facts::Balance(found) => {
            let mut said = found.balance.as_ref().map_or_else(|| "—".to_owned(), money);
            if let Some(overdue) = &found.overdue {
                said.push_str(&format!("; overdue {}", money(overdue)));
            }
            if let Some(due) = found.oldest_due {
                said.push_str(&format!("; oldest due {due}"));
            }
            vec![said]
        }
        Facts::Credit(found) => {
            let parts = [
                found.limit.as_ref().map(|limit| format!("limit {}", money(limit))),
                found.available.as_ref().map(|available| format!("available {}", money(available))),
                found.days.map(|days| format!("{days} days")),
                found.hold.map(|hold| if hold { "on hold" } else { "not on hold" }.to_owned()),
                found.offer.as_ref().map(|offer| format!("may be offered: {offer}")),
                found.note.clone(),
            ];
            vec![parts.into_iter().flatten().collect::<Vec<_>>().join("; ")]
        }
        Facts::Purchases { purchases } => purchases
            .iter()
            .map(|purchase| {
                let parts = [
                    purchase.date.map(|date| date.to_string()),
                    purchase.quantity.map(|quantity| format!("{quantity} ×")),
                    Some(purchase.product.clone()),
                    purchase.amount.as_ref().map(money),
                ];
                parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
            })
            .collect(),
        Facts::Notes { notes } => notes
            .iter()
            .map(|note| {
                let parts =
                    [note.date.map(|date| date.to_string()), note.by.clone(), Some(note.text.0.clone())];
                parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
            })
            .collect(),
        Facts::Custom { rows } => rows
            .iter()
            .map(|row| {
                let value = row.value.as_ref().map_or("—", |value| value.0.as_str());
                let link = row.link.as_ref().map(|link| format!("  {}", link.0)).unwrap_or_default();
                format!("{}: {value}{link}", row.label)
            })
            .collect(),
        // What a newer hub kept.
        Facts::Newer => Vec::new(),
    }
}

fn money(money: &Money) -> String {
    match &money.currency {
        Some(currency) => format!("{} {currency}", money.amount),
        None => money.amount.to_string(),
    }
}

fn took_words(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

fn age(now: Timestamp, as_of: Timestamp) -> String {
    match now.duration_since(as_of).as_secs() {
        ..5 => "as of now".to_owned(),
        secs @ 5..120 => format!("{secs} s old"),
        secs @ 120..7200 => format!("{} min old", secs / 60),
        secs @ 7200..172_800 => format!("{} h old", secs / 3600),
        secs => format!("{} days old", secs / 86_400),
    }
}

fn table(out: &mut dyn Write, lines: Vec<Line>) -> io::Result<()> {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for [source, title, said, took, age] in lines {
        let [w0, w1, w2, w3] = widths;
        let text = format!("  {source:w0$}  {title:w1$}  {said:w2$}  {took:>w3$}  {age}");
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use futures_util::future::BoxFuture;
    use pinkas_protocol::card::{Balance, Match, Purchase};
    use pinkas_protocol::{CustomerKey, Gives, SourceName};

    use crate::sources::{Answer, Source};

    struct After(Duration, Result<Answer, Failure>);

    impl Source for After {
        fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
            Box::pin(async {
                tokio::time::sleep(self.0).await;
                self.1.clone()
            })
        }
    }

    fn source(name: &str, gives: Gives, after_ms: u64, answer: Result<Answer, Failure>) -> ConfiguredSource {
        let name = SourceName::parse(name).expect("a name");
        let source = Arc::new(After(Duration::from_millis(after_ms), answer));
        ConfiguredSource::new(name, gives, Duration::from_millis(800), source)
    }

    fn levi() -> Customer {
        let key = CustomerKey::parse("1001").expect("a key");
        let directory = SourceName::parse("directory").expect("a name");
        Customer { class: Some("VIP".to_owned()), ..Customer::new(key, "Levi Bakery".to_owned(), directory) }
    }

    fn ils(amount: i64) -> Money {
        Money { amount: amount.into(), currency: Some("ILS".to_owned()) }
    }

    async fn printed(sources: Vec<ConfiguredSource>, number: &str) -> String {
        let plan = NumberPlan::new("IL", 4).expect("a known country");
        let mut out = Vec::new();
        ask(sources, Rules::default(), &plan, number, &mut out).await.expect("written");
        String::from_utf8(out).expect("text")
    }

    #[tokio::test(start_paused = true)]
    async fn every_sources_answer_is_printed_with_its_time_and_age() {
        let as_of = Timestamp::now().checked_sub(jiff::SignedDuration::from_mins(3)).ok();
        let balance = Balance { balance: Some(ils(1250)), overdue: Some(ils(300)), oldest_due: None };
        let bread = Purchase {
            date: Some(jiff::civil::date(2026, 11, 20)),
            product: "flour".to_owned(),
            quantity: Some(2.into()),
            amount: Some(ils(80)),
        };
        let purchases = Facts::Purchases { purchases: vec![bread.clone(), bread] };
        let sources = vec![
            source("directory", Gives::Customer, 12, Ok(Answer::Customers(vec![levi()]))),
            source("old directory", Gives::Customer, 5000, Ok(Answer::Nothing)),
            source(
                "accounting",
                Gives::Balance,
                40,
                Ok(Answer::Facts { facts: Facts::Balance(balance), as_of }),
            ),
            source("sales", Gives::Purchases, 900, Ok(Answer::Facts { facts: purchases, as_of: None })),
            source("terms", Gives::Credit, 7, Err(Failure::Unreachable)),
            source("more terms", Gives::Credit, 3_600_000, Ok(Answer::Nothing)),
        ];
        let expected = "\
+972 50-123-4567
  directory      Customer  Levi Bakery (1001), VIP   12 ms
  old directory  Customer  no answer in 800 ms      800 ms

Levi Bakery (1001)
  accounting  Balance           1250 ILS; overdue 300 ILS          40 ms  3 min old
  sales       Recent purchases  2026-11-20  2 ×  flour  80 ILS    900 ms  as of now, late
                                2026-11-20  2 ×  flour  80 ILS
  terms       Credit terms      cannot be reached                   7 ms
  more terms  Credit terms      no answer in 800 ms             10000 ms
";
        assert_eq!(printed(sources, "050-123-4567").await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guess_is_marked_and_sources_that_disagree_are_told() {
        let balance = |amount| {
            let balance = Balance { balance: Some(ils(amount)), ..Balance::default() };
            Ok(Answer::Facts { facts: Facts::Balance(balance), as_of: None })
        };
        let guess = Customer { matched: Match::CompanyNumber, ..levi() };
        let tickets = source("tickets", Gives::Custom, 3, Ok(Answer::Nothing));
        let sources = vec![
            source("directory", Gives::Customer, 12, Ok(Answer::Customers(vec![guess]))),
            source("accounting", Gives::Balance, 1, balance(10)),
            source("old books", Gives::Balance, 1, balance(11)),
            ConfiguredSource { needs: Needs::Call, ..tickets },
        ];
        let expected = "\
+972 50-123-4567
  directory  Customer  Levi Bakery (1001), VIP         12 ms
  tickets    More      holds nothing on this customer   3 ms

Levi Bakery (1001), a guess: the number begins like theirs
  accounting  Balance  10 ILS  1 ms  as of now
  old books   Balance  11 ILS  1 ms  as of now
  The sources disagree on balance: accounting says 10 ILS, old books says 11 ILS.
";
        assert_eq!(printed(sources, "050-123-4567").await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_number_asks_nobody() {
        assert!(printed(Vec::new(), "'; DROP TABLE").await.contains("no source is asked"));
        assert!(printed(Vec::new(), " ").await.contains("no number"));
        assert!(printed(Vec::new(), "0501234567").await.contains("nobody can be found"));
    }
}
