//! A query with places for what a question brings. The places become parameters of the database, so a value never is part of the query's text; a place where a parameter cannot stand is
//! a mistake of the configuration.

use std::borrow::Cow;
use std::sync::Arc;

use pinkas_protocol::{Failure, Gives};

use super::template::{self, Braces, Piece, Place};
use super::{Needs, Question};

/// Which database an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL: parameters are `$1`, `$2`, ….
    Postgres,
    /// SQLite: parameters are `?1`, `?2`, ….
    Sqlite,
    /// MySQL and MariaDB: every parameter is `?`.
    MySql,
}

/// A query whose places have become parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    sql: Arc<str>,
    /// What each parameter is bound to, in their order.
    places: Vec<Place>,
    /// It begins as only a query does that may stand inside another.
    reads: bool,
}

impl Query {
    /// Reads a query; the error is a sentence about what is wrong with it.
    pub fn new(text: &str, dialect: Dialect, gives: Gives) -> Result<(Self, Needs), String> {
        let mut sql = String::new();
        let mut places = Vec::new();
        let mut reads = None;
        // One statement: what ends it is not part of it.
        let text = text.trim_end().trim_end_matches(';');
        for (part, quoted) in by_quotes(text, dialect) {
            if quoted {
                let inside = template::pieces(part, Braces::Text).unwrap_or_default();
                if let Some(place) = template::places(&inside).first() {
                    return Err(format!(
                        "{} stands inside quotes or a comment: take it out of them",
                        place.written()
                    ));
                }
                sql.push_str(part);
                continue;
            }
            let first = part.split_whitespace().next();
            reads = reads.or(first.map(|word| {
                let word = word.trim_start_matches('(').to_ascii_lowercase();
                matches!(word.as_str(), "" | "select" | "with" | "values" | "table")
            }));
            for piece in template::pieces(part, Braces::Places)? {
                match piece {
                    Piece::Text(text) => sql.push_str(&text),
                    Piece::Place(place) => {
                        places.push(place);
                        sql.push_str(&match dialect {
                            Dialect::Postgres => format!("${}", places.len()),
                            Dialect::Sqlite => format!("?{}", places.len()),
                            Dialect::MySql => "?".to_owned(),
                        });
                    }
                }
            }
        }
        let needs = template::fitting(&places, gives == Gives::Customer)?;
        Ok((Query { sql: sql.into(), places, reads: reads == Some(true) }, needs))
    }

    /// What each parameter is bound to, in their order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The query as the database reads it.
    pub fn sql(&self) -> Arc<str> {
        self.sql.clone()
    }

    /// Whether it can only be a query that reads, and so may stand inside another.
    pub fn reads(&self) -> bool {
        self.reads
    }

    /// What to bind to its parameters; an error when the question does not bring all of it.
    pub fn values<'a>(&self, question: &'a Question) -> Result<Vec<Cow<'a, str>>, Failure> {
        self.places.iter().map(|place| place.value(question)).collect()
    }
}

/// `text` cut into what stands outside and inside of quotes and comments, where a brace is only a brace.
fn by_quotes(text: &str, dialect: Dialect) -> Vec<(&str, bool)> {
    let mysql = dialect == Dialect::MySql;
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let opens = [("'", "'"), ("\"", "\""), ("--", "\n"), ("/*", "*/"), ("`", "`"), ("#", "\n")];
        // PostgreSQL has operators of # and `, which begin nothing there.
        let opens = opens.iter().take(if mysql { 6 } else { 4 });
        let first = opens.filter_map(|(open, close)| Some((rest.find(open)?, *open, *close))).min();
        let Some((at, open, close)) = first else {
            parts.push((rest, false));
            break;
        };
        let (before, from) = rest.split_at(at);
        let inside = &from[open.len()..];
        let end = match mysql && matches!(open, "'" | "\"") {
            true => unescaped(inside, close),
            false => inside.find(close),
        };
        let end = end.map_or(from.len(), |end| open.len() + end + close.len());
        let (quoted, after) = from.split_at(end);
        parts.extend([(before, false), (quoted, true)]);
        rest = after;
    }
    parts
}

/// Where `close` first stands without a backslash before it, which takes its meaning in MySQL.
fn unescaped(text: &str, close: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let here = !escaped && text[at..].starts_with(close);
        escaped = c == '\\' && !escaped;
        here.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_parameters_of_each_dialect() {
        let text =
            "select '{}' from t where a = {customer.id} and n = {number} and b = {customer.id} -- it's";
        let sql = |dialect| Query::new(text, dialect, Gives::Balance).map(|(query, _)| query.sql.to_string());
        assert_eq!(
            sql(Dialect::Postgres).as_deref(),
            Ok("select '{}' from t where a = $1 and n = $2 and b = $3 -- it's")
        );
        assert_eq!(
            sql(Dialect::Sqlite).as_deref(),
            Ok("select '{}' from t where a = ?1 and n = ?2 and b = ?3 -- it's")
        );
        assert_eq!(
            sql(Dialect::MySql).as_deref(),
            Ok("select '{}' from t where a = ? and n = ? and b = ? -- it's")
        );
    }

    #[test]
    fn what_can_only_read_is_known_by_its_first_word() {
        let reads =
            |text: &str| Query::new(text, Dialect::Postgres, Gives::Balance).map(|(query, _)| query.reads());
        for text in [
            "select {customer.id}",
            " -- all\n /* x */ (SELECT {customer.id})",
            "with a as (select {customer.id}) table a",
        ] {
            assert_eq!(reads(text), Ok(true), "{text}");
        }
        for text in ["delete from t where a = {customer.id} returning b", "call x({customer.id})"] {
            assert_eq!(reads(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn mysqls_own_quotes_and_comments_are_known() {
        let sql = |text: &str| {
            Query::new(text, Dialect::MySql, Gives::Balance).map(|(query, _)| query.sql.to_string())
        };
        let right = r"select `{a}`, 'it\'s {b}' from t where a = {customer.id}; ";
        assert_eq!(sql(right).as_deref(), Ok(r"select `{a}`, 'it\'s {b}' from t where a = ?"));
        for inside in [r"select 'it\'s {number}'", "select `{number}`", "select 1 # {number}"] {
            assert!(sql(inside).is_err_and(|what| what.contains("inside quotes or a comment")), "{inside}");
        }
    }
}
