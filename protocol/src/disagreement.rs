//! Where the cards of one call contradict each other: two sources that give different values for one fact.
//! Both are shown; which of them is right is for people to find out, never for the program.

use jiff::civil::Date;

use crate::card::{Card, CardState, Facts, Gives, Money};
use crate::ids::SourceName;

/// A fact that more than one source can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// All that is open.
    Balance,
    /// The part past its due date.
    Overdue,
    /// The oldest due date among the overdue.
    OldestDue,
    /// The most the customer may owe.
    Limit,
    /// What is left of the limit.
    Available,
    /// Days until an invoice is due.
    Days,
    /// Whether sales on credit are stopped.
    Hold,
}

impl Fact {
    /// The kind of card that gives it.
    pub fn gives(self) -> Gives {
        match self {
            Fact::Balance | Fact::Overdue | Fact::OldestDue => Gives::Balance,
            Fact::Limit | Fact::Available | Fact::Days | Fact::Hold => Gives::Credit,
        }
    }
}

/// What a source says of it. Values of different kinds or currencies are never compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// An amount.
    Money(Money),
    /// A day.
    Date(Date),
    /// A number of days.
    Days(u32),
    /// Yes or no.
    Hold(bool),
}

/// One fact on which sources disagree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Which.
    pub fact: Fact,
    /// What each source says, in the order of the cards; at least two of them differ.
    pub said: Vec<(SourceName, Said)>,
}

/// The facts on which the cards of one call disagree, in the order of [`Fact`]. Amounts count as the same
/// however many noughts follow the point. What is marked as old is left out: it is expected to differ.
pub fn disagreements(cards: &[Card]) -> Vec<Disagreement> {
    let mut all: Vec<Disagreement> = Vec::new();
    for card in cards {
        let CardState::Filled { facts, old: None, .. } = &card.state else { continue };
        for (fact, said) in said(facts) {
            let said = (card.source.clone(), said);
            let known = all.iter_mut().find(|d| d.fact == fact && d.said[0].1.compares_with(&said.1));
            match known {
                Some(known) => known.said.push(said),
                None => all.push(Disagreement { fact, said: vec![said] }),
            }
        }
    }
    all.retain(|found| found.said.iter().any(|(_, said)| *said != found.said[0].1));
    all.sort_by_key(|found| found.fact);
    all
}

impl Said {
    fn compares_with(&self, other: &Said) -> bool {
        match (self, other) {
            (Said::Money(one), Said::Money(two)) => one.currency == two.currency,
            _ => true,
        }
    }
}

fn said(facts: &Facts) -> Vec<(Fact, Said)> {
    let money = |fact, money: &Option<Money>| Some((fact, Said::Money(money.clone()?)));
    let found = match facts {
        Facts::Balance(found) => vec![
            money(Fact::Balance, &found.balance),
            money(Fact::Overdue, &found.overdue),
            found.oldest_due.map(|due| (Fact::OldestDue, Said::Date(due))),
        ],
        Facts::Credit(found) => vec![
            money(Fact::Limit, &found.limit),
            money(Fact::Available, &found.available),
            found.days.map(|days| (Fact::Days, Said::Days(days))),
            found.hold.map(|hold| (Fact::Hold, Said::Hold(hold))),
        ],
        // Lists complement each other.
        Facts::Purchases { .. } | Facts::Notes { .. } | Facts::Custom { .. } | Facts::Newer => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::{Balance, Credit, Failure};

    fn card(source: &str, facts: Facts, old: Option<Failure>) -> Card {
        let as_of = jiff::Timestamp::UNIX_EPOCH;
        let state = CardState::Filled { facts, as_of, took_ms: 1, late: false, old };
        Card::new(SourceName::parse(source).expect("a name"), Gives::Balance, None, state)
    }

    fn money(text: &str) -> Option<Money> {
        let (amount, currency) = text.split_once(' ').unwrap_or((text, ""));
        let currency = (!currency.is_empty()).then(|| currency.to_owned());
        Some(Money { amount: amount.parse().expect("an amount"), currency })
    }

    fn balance(source: &str, balance: &str) -> Card {
        card(source, Facts::Balance(Balance { balance: money(balance), ..Balance::default() }), None)
    }

    fn credit(source: &str, days: u32, hold: bool) -> Card {
        let credit = Credit { days: Some(days), hold: Some(hold), ..Credit::default() };
        card(source, Facts::Credit(credit), None)
    }

    fn check(cards: &[Card], expected: &[(Fact, &str)]) {
        let found = disagreements(cards);
        let found: Vec<(Fact, String)> = found
            .into_iter()
            .map(|d| (d.fact, d.said.iter().map(|(source, _)| source.as_str()).collect::<Vec<_>>().join(" ")))
            .collect();
        let expected: Vec<(Fact, String)> = expected.iter().map(|(f, s)| (*f, (*s).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn different_values_of_one_fact_are_told_with_everyone_who_gave_it() {
        check(&[balance("a", "10 ILS"), balance("b", "11 ILS")], &[(Fact::Balance, "a b")]);
        check(
            &[balance("a", "10 ILS"), balance("b", "10 ILS"), balance("c", "9 ILS")],
            &[(Fact::Balance, "a b c")],
        );
        check(
            &[credit("a", 30, false), credit("b", 60, true), balance("c", "1 ILS")],
            &[(Fact::Days, "a b"), (Fact::Hold, "a b")],
        );
    }

    #[test]
    fn what_is_the_same_or_cannot_be_compared_is_no_disagreement() {
        check(&[balance("a", "10.5 ILS"), balance("b", "10.50 ILS")], &[]);
        check(&[balance("a", "10 ILS"), balance("b", "11 USD"), balance("c", "12")], &[]);
        check(&[balance("a", "10 ILS"), credit("b", 30, true)], &[]);
        check(&[balance("a", "10 ILS")], &[]);
        let nothing = Balance { balance: None, ..Balance::default() };
        check(&[balance("a", "10 ILS"), card("b", Facts::Balance(nothing), None)], &[]);
        let old = Facts::Balance(Balance { balance: money("9 ILS"), ..Balance::default() });
        check(&[balance("a", "10 ILS"), card("b", old, Some(Failure::Unreachable))], &[]);
        let waiting = Card { state: CardState::Waiting, ..balance("b", "1") };
        check(&[balance("a", "10 ILS"), waiting], &[]);
    }
}
