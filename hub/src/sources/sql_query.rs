//! A query with places for what a question brings. The places become parameters of the database, so a value never is part of the query's text; a place where a parameter cannot stand is
//! a mistake of the configuration.

use std::borrow::Cow;
use std::sync::Arc;

use pinkas_protocol::{Failure, Gives};

use super::sought::ESCAPE;
use super::template::{self, Asks, Braces, Piece, Place};
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
    asks: Asks,
}

impl Query {
    /// Reads a query; the error is a sentence about what is wrong with it.
    pub fn new(text: &str, dialect: Dialect, gives: Gives) -> Result<(Self, Needs), String> {
        let query = Query::read(text, dialect, Asks::Lookup)?;
        let needs = template::fitting(&query.places, gives == Gives::Customer)?;
        Ok((query, needs))
    }

    /// Reads the query of a search; the error as in [`Query::new`].
    pub fn search(text: &str, dialect: Dialect) -> Result<Self, String> {
        let query = Query::read(text, dialect, Asks::Search)?;
        template::searching(&query.places)?;
        Ok(query)
    }

    fn read(text: &str, dialect: Dialect, asks: Asks) -> Result<Self, String> {
        let mut sql = String::new();
        let mut places = Vec::new();
        let mut reads = None;
        let mut like = Like::default();
        // One statement: what ends it is not part of it.
        let text = text.trim_end().trim_end_matches(';');
        for (part, quoted) in by_quotes(text, dialect) {
            if quoted {
                let inside = template::pieces(part, Braces::Text, asks).unwrap_or_default();
                if let Some(place) = template::places(&inside).first() {
                    return Err(format!(
                        "{} stands inside quotes or a comment: take it out of them",
                        place.written()
                    ));
                }
                sql.push_str(part);
                like.quoted();
                continue;
            }
            let first = part.split_whitespace().next();
            reads = reads.or(first.map(|word| {
                let word = word.trim_start_matches('(').to_ascii_lowercase();
                matches!(word.as_str(), "" | "select" | "with" | "values" | "table")
            }));
            for piece in template::pieces(part, Braces::Places, asks)? {
                match piece {
                    Piece::Text(text) => {
                        like.code(&text)?;
                        sql.push_str(&text);
                    }
                    Piece::Place(place) => {
                        like.place(&place)?;
                        let is_pattern = place.is_pattern();
                        places.push(place);
                        sql.push_str(&match dialect {
                            Dialect::Postgres => format!("${}", places.len()),
                            Dialect::Sqlite => format!("?{}", places.len()),
                            Dialect::MySql => "?".to_owned(),
                        });
                        if is_pattern {
                            // Every database has another sign of its own, or none.
                            sql.push_str(&format!(" escape '{ESCAPE}'"));
                        }
                    }
                }
            }
        }
        Ok(Query { sql: sql.into(), places, reads: reads == Some(true), asks })
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

    /// What is asked with it. Of a search, what cannot be bound is NULL: it may look for other things as well.
    pub fn asks(&self) -> Asks {
        self.asks
    }

    /// What to bind to its parameters; an error when the question does not bring all that a lookup needs.
    pub fn values<'a>(&self, question: &'a Question) -> Result<Vec<Option<Cow<'a, str>>>, Failure> {
        let values = self.places.iter().map(|place| place.value(question));
        match self.asks {
            Asks::Lookup => values.map(|value| value.map(Some)).collect(),
            Asks::Search => Ok(values.map(Result::ok).collect()),
        }
    }
}

/// Sees to it that a text is a pattern exactly where the database reads one: elsewhere a pattern would find nothing,
/// and here a plain text's `%` and `_` would be wildcards.
#[derive(Default)]
struct Like {
    /// The last word that matters begins a pattern.
    inside: bool,
    /// Nothing stands between that word and here.
    right_after: bool,
    /// What comes next follows a pattern's place.
    follows: bool,
}

/// What reads a text as a pattern.
const PATTERNS: [&str; 7] = ["like", "ilike", "similar", "regexp", "rlike", "glob", "~"];

/// What ends the value compared with.
const ENDS: [&str; 14] = [
    "and", "or", "where", "when", "then", "else", "end", "on", "as", "from", "order", "select", "union",
    "having",
];

impl Like {
    fn code(&mut self, text: &str) -> Result<(), String> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = text.split_inclusive(|c: char| !is_word(c)).flat_map(|part| {
            let end = part.trim_end_matches(|c: char| !is_word(c)).len();
            let (word, sign) = part.split_at(end);
            [word, sign.trim()]
        });
        if std::mem::take(&mut self.follows)
            && words
                .clone()
                .find(|word| !word.is_empty())
                .is_some_and(|word| word.eq_ignore_ascii_case("escape"))
        {
            return Err(
                "`escape` after {text.contains} or {text.begins} is written by the hub: remove it".to_owned()
            );
        }
        for word in words.by_ref().filter(|word| !word.is_empty()) {
            let among = |list: &[&str]| list.iter().any(|one| word.eq_ignore_ascii_case(one));
            self.right_after = ["like", "ilike"].iter().any(|one| word.eq_ignore_ascii_case(one));
            self.inside = among(&PATTERNS) || self.inside && !among(&ENDS);
        }
        Ok(())
    }

    fn quoted(&mut self) {
        (self.right_after, self.follows) = (false, false);
    }

    fn place(&mut self, place: &Place) -> Result<(), String> {
        let (written, right_after) = (place.written(), std::mem::take(&mut self.right_after));
        match (place.is_pattern(), right_after, self.inside) {
            (true, false, _) => Err(format!(
                "{written} must stand right after `like` (in PostgreSQL also `ilike`), such as: name like {written}"
            )),
            (false, _, true) if *place == Place::Text => Err(
                "{text} would be read as a pattern there, with wildcards: write `like {text.contains}` or `like {text.begins}`"
                    .to_owned(),
            ),
            _ => {
                self.follows = place.is_pattern();
                Ok(())
            }
        }
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
    fn a_search_has_its_patterns_where_the_database_reads_one_and_nowhere_else() {
        let sql = |text: &str, dialect| Query::search(text, dialect).map(|query| query.sql.to_string());
        let text = "select * from t where (name ilike {text.contains} or short LIKE\n{text.begins}) \
                    and (k = {text} or phone in ({text.number}, {text.number.national}))";
        let expected = "select * from t where (name ilike $1 escape '!' or short LIKE\n$2 escape '!') \
                        and (k = $3 or phone in ($4, $5))";
        assert_eq!(sql(text, Dialect::Postgres).as_deref(), Ok(expected));
        let short = |dialect| sql("select * from t where name like {text.contains}", dialect);
        assert_eq!(short(Dialect::Sqlite).as_deref(), Ok("select * from t where name like ?1 escape '!'"));
        assert_eq!(short(Dialect::MySql).as_deref(), Ok("select * from t where name like ? escape '!'"));
        for (wrong, told) in [
            ("select 1", "holds no {text}"),
            ("select * from t where n = {number}", "{number} is not known in a search"),
            ("select * from t where n = '{text}'", "{text} stands inside quotes"),
            ("select * from t where n = {text.contains}", "{text.contains} must stand right after `like`"),
            ("select * from t where n like lower({text.begins})", "{text.begins} must stand right after"),
            ("select * from t where n like 'x' || {text.contains}", "must stand right after `like`"),
            ("select * from t where n like {text}", "{text} would be read as a pattern"),
            ("select * from t where n like '%' || {text} || '%'", "{text} would be read as a pattern"),
            ("select * from t where n like concat('%', {text}, '%')", "{text} would be read as a pattern"),
            ("select * from t where n ~* {text}", "{text} would be read as a pattern"),
            ("select * from t where n like {text.contains} ESCAPE '#'", "is written by the hub: remove it"),
        ] {
            let said = sql(wrong, Dialect::Postgres).err().unwrap_or_default();
            assert!(said.contains(told), "{wrong}: {said}");
        }
        for right in [
            "select * from t where n like 'A%' and k = {text}",
            "select case when n like 'A%' then 1 end, {text} from t",
            "select n like 'A%' as a, {text} as b from t",
            "select * from t where match(n) against({text})",
        ] {
            assert!(sql(right, Dialect::MySql).is_ok(), "{right}");
        }
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
