//! What an agent looks for in the directories, how the question for it is read from the configuration, and in which
//! order what they find is offered. Pure. The text is what anybody may have typed: it is put into a question as a
//! value, and where SQL's `like` would take a letter of it for a wildcard, that letter is escaped.

use pinkas_config::Section;
use pinkas_protocol::record::LONGEST_FIND;
use pinkas_protocol::{Customer, Failure, Gives, Number, NumberPlan, text};

use super::showing::unfitting;
use super::{About, Answer, Question};
use crate::identify;

/// What takes a wildcard's meaning in a pattern; said with each `like`, because databases differ in what they
/// take for it otherwise.
pub const ESCAPE: char = '!';

/// A directory may find people by what the hub does not see, such as an invoice: those fit least.
const FOR_ANOTHER_REASON: u8 = 4;

/// What an agent looks for.
#[derive(Clone)]
pub struct Sought {
    text: String,
    number: Option<Number>,
}

impl Sought {
    /// `None` when nothing is left of what was typed.
    pub fn new(typed: &str, plan: &NumberPlan) -> Option<Sought> {
        let text = text::plain(typed, LONGEST_FIND)?;
        Some(Sought { number: plan.read(&text), text })
    }

    /// One line of plain text, at most [`LONGEST_FIND`] characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The phone number it reads as.
    pub fn number(&self) -> Option<&Number> {
        self.number.as_ref()
    }

    /// How well each fits, as [`identify::fits`] says; they stay in the directory's order.
    fn fitting(&self, found: Vec<Customer>) -> Vec<(u8, Customer)> {
        let text = self.text.to_lowercase();
        let number = self.number.as_ref().and_then(Number::key);
        let fits = |customer: &Customer| {
            let theirs = customer.numbers.iter().filter_map(Number::key).chain([""]);
            theirs.filter_map(|theirs| identify::fits(customer, theirs, &text, number)).min()
        };
        found.into_iter().map(|one| (fits(&one).unwrap_or(FOR_ANOTHER_REASON), one)).collect()
    }
}

/// The question to a directory; `None` when there is nothing to look for.
pub fn question(typed: &str, plan: &NumberPlan) -> Option<Question> {
    Some(Question { sought: Some(Sought::new(typed, plan)?), ..Question::default() })
}

/// Whom the answer to [`question`] offers.
pub fn found(question: &Question, answer: Result<Answer, Failure>) -> Result<Vec<(u8, Customer)>, Failure> {
    match (answer, &question.sought) {
        (Ok(Answer::Customers(found)), Some(sought)) => Ok(sought.fitting(found)),
        // A search by phone number, of a text that is none.
        (Ok(Answer::Customers(_) | Answer::Nothing) | Err(Failure::NotAsked { .. }), _) => Ok(Vec::new()),
        (Ok(Answer::Facts { .. }), _) => Err(unfitting()),
        (Err(failure), _) => Err(failure),
    }
}

/// Notes a `search` where there can be none.
pub(super) fn search_fits(table: &mut Section<'_>, gives: Option<Gives>, kind: &str) {
    for key in ["search", "search_deadline"] {
        let what = match (gives, kind) {
            (Some(Gives::Customer), "csv") if key == "search" => {
                "agents can look for everyone in a CSV file as it is: remove `search`".to_owned()
            }
            (Some(Gives::Customer), "csv") => continue,
            (Some(Gives::Customer), _) if key == "search" || table.has("search") => continue,
            (Some(Gives::Customer), _) => "`search_deadline` needs `search`".to_owned(),
            (Some(_), _) => format!("`{key}` is for directories (gives = \"customer\"): remove it here"),
            (None, _) => continue,
        };
        if table.has(key) {
            table.note(key, what);
        }
    }
}

/// Reads `search`, the question of a directory for whom an agent looks; the outer `None`: it was noted as a mistake.
pub(super) fn read<T>(
    table: &mut Section<'_>,
    about: &About,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Option<Option<T>> {
    if about.gives != Gives::Customer {
        return Some(None);
    }
    let Some(text) = table.text("search") else { return (!table.has("search")).then_some(None) };
    read(&text)
        .map_err(|what| table.note("search", format!("`search` cannot be used: {what}")))
        .ok()
        .map(Some)
}

/// `text` for a pattern of SQL's `like` in which it stands for itself and nothing else.
pub fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinkas_protocol::{CustomerKey, SourceName};

    fn plan() -> NumberPlan {
        NumberPlan::new("IL", 4).expect("a known country")
    }

    fn customer(key: &str, name: &str, number: &str) -> Customer {
        let key = CustomerKey::parse(key).expect("a key");
        let source = SourceName::parse("s").expect("a name");
        let numbers = plan().read(number).into_iter().collect();
        Customer { numbers, ..Customer::new(key, name.to_owned(), source) }
    }

    #[test]
    fn what_is_typed_is_one_bounded_line_or_nothing() {
        for nothing in ["", "  ", "\0\0", "\u{202e}\n"] {
            assert!(Sought::new(nothing, &plan()).is_none(), "{nothing:?}");
        }
        let read = |typed: &str| Sought::new(typed, &plan()).map(|sought| sought.text).unwrap_or_default();
        assert_eq!(read(" O'Hara\0;\n --"), "O'Hara; --");
        assert_eq!(read(&"x".repeat(10_000)).chars().count(), LONGEST_FIND + 1, "cut, and marked as cut");
    }

    #[test]
    fn every_letter_of_a_pattern_stands_for_itself() {
        for (text, pattern) in [
            ("Levi", "Levi"),
            ("100%", "100!%"),
            ("a_b", "a!_b"),
            ("now!", "now!!"),
            (r"\%*'", r"\!%*'"),
            ("לוי", "לוי"),
        ] {
            assert_eq!(like(text), pattern);
        }
    }

    #[test]
    fn who_fits_best_is_told_by_key_number_and_name() {
        let found = vec![
            customer("7", "Bakery of Levi", ""),
            customer("8", "Levi Bakery", ""),
            customer("levi", "x", ""),
            customer("9", "Cohen", "050-123-4567"),
        ];
        let order = |typed: &str| {
            let asked = question(typed, &plan()).expect("a question");
            let said = super::found(&asked, Ok(Answer::Customers(found.clone()))).unwrap_or_default();
            said.iter().map(|(fits, one)| format!("{}:{fits} ", one.key)).collect::<String>()
        };
        assert_eq!(order("LEVI"), "7:3 8:2 levi:0 9:4 ");
        assert_eq!(order("+972 50 123 45 67"), "7:4 8:4 levi:4 9:1 ");
    }
}
