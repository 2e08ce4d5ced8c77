//! What the tests of all kinds of source share: a question, sources out of a configuration text, and an
//! answer as one line to compare.

use std::path::Path;
use std::sync::Arc;

use pinkas_protocol::{Customer, CustomerKey, Facts, Failure, Number, NumberPlan, SourceName};

use super::{Answer, Question, Source};

/// Values that break whatever pastes them.
pub(crate) const HOSTILE: [&str; 6] = [
    "'; DROP TABLE sales; --",
    "../../admin",
    "{{7*7}}",
    "x?y=z#",
    "1001 OR 1=1",
    "9999999999999999999999999999999999999999999999999999999999999999",
];

/// A question about the customer `key`, who calls from +972 50-123-4567.
pub(crate) fn question(key: &str) -> Question {
    let key = CustomerKey::parse(key).expect("a key");
    let customer = Customer::new(key, "Levi".to_owned(), SourceName::parse("directory").expect("a name"));
    Question {
        number: Some(Number::E164 { e164: "+972501234567".to_owned() }),
        customer: Some(customer),
        ..Question::default()
    }
}

/// The one source in a configuration, or its mistakes; files are relative to `dir`.
pub(crate) fn configured(dir: &Path, text: &str) -> Result<Arc<dyn Source>, String> {
    let plan = NumberPlan::new("IL", 4).expect("a known country");
    let sources =
        pinkas_config::parse(&dir.join("hub.toml"), text, |section| Some(super::read(section, &plan)));
    let found = sources.map_err(|mistakes| {
        mistakes.mistakes.iter().map(|m| format!("{}: {}\n", m.line, m.what)).collect::<String>()
    })?;
    Ok(found.into_iter().next().expect("a source").source)
}

/// An answer in one line.
pub(crate) fn line(answer: Result<Answer, Failure>) -> String {
    let money = |money: &pinkas_protocol::Money| {
        format!("{} {}", money.amount, money.currency.as_deref().unwrap_or("?"))
    };
    match answer {
        Ok(Answer::Customers(customers)) => customers
            .iter()
            .map(|c| {
                let more = [
                    c.class.as_deref(),
                    c.place.as_ref().map(|p| p.0.as_str()),
                    c.account_manager.as_deref(),
                ];
                let more: String = more.into_iter().flatten().map(|more| format!(" {more}")).collect();
                format!("{}={}{more};", c.key, c.name.0)
            })
            .collect(),
        Ok(Answer::Facts { facts: Facts::Balance(found), .. }) => {
            let overdue = found.overdue.as_ref().map(money).unwrap_or_default();
            let due = found.oldest_due.map(|due| due.to_string()).unwrap_or_default();
            format!("{} {overdue} {due}", found.balance.as_ref().map(money).unwrap_or_default())
                .trim_end()
                .to_owned()
        }
        Ok(Answer::Facts { facts: Facts::Credit(found), .. }) => {
            let limit = found.limit.as_ref().map(money);
            format!("{limit:?} {:?} {:?} {:?}", found.days, found.hold, found.note)
        }
        Ok(Answer::Facts { facts: Facts::Purchases { purchases }, .. }) => purchases
            .iter()
            .map(|p| {
                let date = p.date.map(|date| date.to_string()).unwrap_or_default();
                let quantity = p.quantity.map(|quantity| quantity.to_string()).unwrap_or_default();
                let amount = p.amount.as_ref().map(money).unwrap_or_default();
                format!("{date} {quantity} {} {amount};", p.product)
            })
            .collect(),
        Ok(Answer::Facts { facts: Facts::Custom { rows }, .. }) => rows
            .iter()
            .map(|row| format!("{}={};", row.label, row.value.as_ref().map_or("?", |value| &value.0)))
            .collect(),
        Ok(Answer::Facts { facts, .. }) => format!("{facts:?}"),
        Ok(Answer::Nothing) => "nothing".to_owned(),
        Err(failure) => failure.to_string(),
    }
}
