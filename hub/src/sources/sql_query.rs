//! A query with places for the caller's number and the customer's key. The places become parameters of
//! the database, so a value never is part of the query's text; a place where a parameter cannot stand is
//! a mistake of the configuration.

use std::sync::Arc;

use pinkas_protocol::Gives;

use super::Question;
use super::template::{self, Piece, Place};

/// Which database an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL: parameters are `$1`, `$2`, ….
    Postgres,
    /// SQLite: parameters are `?1`, `?2`, ….
    Sqlite,
}

/// A query whose places have become parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    sql: Arc<str>,
    /// What each parameter is bound to, in their order.
    places: Vec<Place>,
}

impl Query {
    /// Reads a query; the error is a sentence about what is wrong with it.
    pub fn new(text: &str, dialect: Dialect, gives: Gives) -> Result<Self, String> {
        let mut sql = String::new();
        let mut places = Vec::new();
        for (part, quoted) in by_quotes(text) {
            if quoted {
                if let Some(place) =
                    [Place::Number, Place::CustomerId].iter().find(|p| part.contains(p.written()))
                {
                    return Err(format!(
                        "{} stands inside quotes or a comment: take it out of them",
                        place.written()
                    ));
                }
                sql.push_str(part);
                continue;
            }
            for piece in template::pieces(part)? {
                match piece {
                    Piece::Text(text) => sql.push_str(&text),
                    Piece::Place(place) => {
                        places.push(place);
                        let mark = if dialect == Dialect::Postgres { '$' } else { '?' };
                        sql.push_str(&format!("{mark}{}", places.len()));
                    }
                }
            }
        }
        template::fitting(&places, gives == Gives::Customer)?;
        Ok(Query { sql: sql.into(), places })
    }

    /// The query as the database reads it.
    pub fn sql(&self) -> Arc<str> {
        self.sql.clone()
    }

    /// What to bind to its parameters; `None` when the question does not bring all of it.
    pub fn values<'a>(&self, question: &'a Question) -> Option<Vec<&'a str>> {
        self.places.iter().map(|place| place.value(question)).collect()
    }
}

/// `text` cut into what stands outside and inside of quotes and comments, where a brace is only a brace.
fn by_quotes(text: &str) -> Vec<(&str, bool)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let opens = [("'", "'"), ("\"", "\""), ("--", "\n"), ("/*", "*/")];
        let first = opens.iter().filter_map(|(open, close)| Some((rest.find(open)?, *open, *close))).min();
        let Some((at, open, close)) = first else {
            parts.push((rest, false));
            break;
        };
        let (before, from) = rest.split_at(at);
        let end = from[open.len()..].find(close).map_or(from.len(), |end| open.len() + end + close.len());
        let (quoted, after) = from.split_at(end);
        parts.extend([(before, false), (quoted, true)]);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_parameters_of_each_dialect() {
        let text =
            "select '{}' from t where a = {customer.id} and n = {number} and b = {customer.id} -- it's";
        let sql = |dialect| Query::new(text, dialect, Gives::Balance).map(|query| query.sql.to_string());
        assert_eq!(
            sql(Dialect::Postgres).as_deref(),
            Ok("select '{}' from t where a = $1 and n = $2 and b = $3 -- it's")
        );
        assert_eq!(
            sql(Dialect::Sqlite).as_deref(),
            Ok("select '{}' from t where a = ?1 and n = ?2 and b = ?3 -- it's")
        );
    }
}
