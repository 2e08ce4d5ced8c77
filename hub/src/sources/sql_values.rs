//! Values on their way to and from the two databases: parameters in the types a query wants, cells out of
//! what it gave, and error codes in words. Numbers are never read through a float of another size, and a
//! type nobody thought of is an odd cell, not an error.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use pinkas_protocol::text::plain;
use pinkas_protocol::{Failure, Gives};
use rust_decimal::Decimal;
use sqlx::postgres::{PgArguments, PgRow, PgStatement, PgValueRef};
use sqlx::sqlite::{SqliteArguments, SqliteRow, SqliteStatement, SqliteValueRef};
use sqlx::{Arguments, Column, Decode, Either, Postgres, Row as _, Sqlite, Statement, TypeInfo, ValueRef};

use super::cell::Cell;
use super::fields::{Field, Row};
use super::template::Asks;

/// Which columns hold which fields.
pub struct Columns {
    /// What the source gives.
    pub gives: Gives,
    /// Columns named in the configuration.
    pub mapping: Vec<(Field, String)>,
    /// Columns of what has names of its own.
    pub named: Vec<String>,
}

/// A row of either database.
pub trait Cells {
    /// The columns' names, in their order.
    fn names(&self) -> Vec<&str>;
    /// The value in a column.
    fn cell(&self, column: usize) -> Cell;
}

impl Columns {
    /// The fields of a row. A column that the configuration names must be there.
    pub fn row(&self, row: &impl Cells) -> Result<Row, Failure> {
        let names = row.names();
        let find = |name: &str| names.iter().position(|column| column.eq_ignore_ascii_case(name));
        let mut cells = Vec::new();
        for field in Field::of(self.gives) {
            let mapped = self.mapping.iter().find(|(mapped, _)| mapped == field);
            let at = match mapped {
                Some((_, column)) => match find(column) {
                    Some(at) => Some(at),
                    None => return Err(Failure::NotUnderstood { what: format!("no column {column}") }),
                },
                None => find(field.word()).or_else(|| find(field.other_word()?)),
            };
            if let Some(at) = at {
                cells.push((*field, row.cell(at)));
            }
        }
        let named = self.named.iter().map(|name| match find(name) {
            Some(at) => Ok(row.cell(at)),
            None => Err(Failure::NotUnderstood { what: format!("no column {name}") }),
        });
        Ok(Row { cells, named: named.collect::<Result<_, _>>()? })
    }
}

impl Cells for PgRow {
    fn names(&self) -> Vec<&str> {
        self.columns().iter().map(Column::name).collect()
    }

    fn cell(&self, column: usize) -> Cell {
        match self.try_get_raw(column) {
            Ok(value) if value.is_null() => Cell::Null,
            Ok(value) => postgres_cell(value).unwrap_or(Cell::Odd),
            Err(_) => Cell::Missing,
        }
    }
}

impl Cells for SqliteRow {
    fn names(&self) -> Vec<&str> {
        self.columns().iter().map(Column::name).collect()
    }

    fn cell(&self, column: usize) -> Cell {
        match self.try_get_raw(column) {
            Ok(value) if value.is_null() => Cell::Null,
            Ok(value) => sqlite_cell(value).unwrap_or(Cell::Odd),
            Err(_) => Cell::Missing,
        }
    }
}

fn postgres_cell(value: PgValueRef<'_>) -> Option<Cell> {
    // sqlx can decode dates only with the chrono or time crate; on the wire they are whole numbers
    // counted from the first day of 2000 (PostgreSQL, src/include/datatype/timestamp.h).
    const EPOCH_DAY: Date = jiff::civil::date(2000, 1, 1);
    const EPOCH_MICROS: i64 = 946_684_800_000_000;
    let kind = value.type_info().name().to_owned();
    let bytes = value.as_bytes().ok()?;
    match kind.as_str() {
        "NUMERIC" => <Decimal as Decode<Postgres>>::decode(value).ok().map(Cell::Number),
        "INT2" => bytes.try_into().ok().map(|b| Cell::Number(i16::from_be_bytes(b).into())),
        "INT4" => bytes.try_into().ok().map(|b| Cell::Number(i32::from_be_bytes(b).into())),
        "INT8" => bytes.try_into().ok().map(|b| Cell::Number(i64::from_be_bytes(b).into())),
        "FLOAT4" => bytes.try_into().ok().map(|b| Cell::of_number(&f32::from_be_bytes(b).to_string())),
        "FLOAT8" => bytes.try_into().ok().map(|b| Cell::of_number(&f64::from_be_bytes(b).to_string())),
        "BOOL" => bytes.first().map(|b| Cell::Bool(*b != 0)),
        "DATE" => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?);
            EPOCH_DAY.checked_add(Span::new().try_days(days).ok()?).ok().map(Cell::Date)
        }
        "TIMESTAMP" | "TIMESTAMPTZ" => {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?).checked_add(EPOCH_MICROS)?;
            Timestamp::from_microsecond(micros).ok().map(Cell::Time)
        }
        "UUID" => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            let parts = [hex.get(..8)?, hex.get(8..12)?, hex.get(12..16)?, hex.get(16..20)?, hex.get(20..)?];
            Some(Cell::Text(parts.join("-")))
        }
        "BYTEA" | "JSONB" | "MONEY" | "TIME" | "INTERVAL" => None,
        // Text of every kind, and what a database's own types (enums, citext) send in text's form.
        _ => {
            let text = std::str::from_utf8(bytes).ok()?;
            (!text.contains('\0')).then(|| Cell::of_text(text))
        }
    }
}

fn sqlite_cell(value: SqliteValueRef<'_>) -> Option<Cell> {
    // SQLite types values, not columns: what is stored decides.
    let kind: Cow<'_, _> = value.type_info();
    match kind.name() {
        "TEXT" => <&str as Decode<Sqlite>>::decode(value).ok().map(Cell::of_text),
        "REAL" => {
            let number = <f64 as Decode<Sqlite>>::decode(value).ok()?;
            Some(Cell::of_number(&number.to_string()))
        }
        "INTEGER" | "BOOLEAN" => {
            <i64 as Decode<Sqlite>>::decode(value).ok().map(|number| Cell::Number(number.into()))
        }
        _ => None,
    }
}

/// Binds `values` in the types the server wants; where one cannot be of its type, so that no record can have it (a key
/// with letters in a column of integers), it is NULL in a search and `None` comes back otherwise.
pub fn postgres_arguments(
    statement: &PgStatement,
    values: &[Option<&str>],
    asks: Asks,
) -> Option<PgArguments> {
    let types = match statement.parameters() {
        Some(Either::Left(types)) => types,
        _ => &[],
    };
    let mut arguments = PgArguments::default();
    for (i, value) in values.iter().enumerate() {
        let kind = types.get(i).map(TypeInfo::name);
        match (value.and_then(|value| add(&mut arguments, kind, value)), asks) {
            (Some(()), _) => {}
            (None, Asks::Lookup) => return None,
            (None, Asks::Search) => arguments.add(None::<&str>).ok()?,
        }
    }
    Some(arguments)
}

fn add(arguments: &mut PgArguments, kind: Option<&str>, value: &str) -> Option<()> {
    let added = match kind {
        Some("INT2") => arguments.add(value.parse::<i16>().ok()?),
        Some("INT4") => arguments.add(value.parse::<i32>().ok()?),
        Some("INT8") => arguments.add(value.parse::<i64>().ok()?),
        Some("NUMERIC") => arguments.add(Cell::of_text(value).decimal().ok()??),
        _ if value.contains('\0') => return None,
        _ => arguments.add(value),
    };
    added.ok()
}

/// Binds `values` as text; SQLite itself compares them as numbers where the column holds numbers.
pub fn sqlite_arguments(_: &SqliteStatement, values: &[Option<&str>], _: Asks) -> Option<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        arguments.add(value.map(str::to_owned)).ok()?;
    }
    Some(arguments)
}

/// A refusal of PostgreSQL in words (its manual, appendix A: error codes).
pub fn postgres_failure(code: &str) -> Failure {
    let words = match code {
        "42P01" => "no such table",
        "42703" => "no such column",
        "42601" => "the query is not SQL",
        "42501" => "the user may not read this",
        "42883" => "types do not match",
        "25006" => "the query tries to write",
        "22P02" | "22P03" => "the key is not of the column's type",
        "57014" => "the query took too long",
        "3D000" => "no such database",
        _ if code.starts_with("28") => "the login was refused",
        // Connection lost, no more connections, shutting down: the server is there but not for us.
        _ if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => {
            return Failure::Unreachable;
        }
        _ => "an error of the database",
    };
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(5).collect();
    Failure::Refused { what: format!("{words} (SQLSTATE {code})") }
}

/// A refusal of SQLite in words (sqlite.org/rescode.html; the low byte is the primary code).
pub fn sqlite_failure(code: &str, message: &str) -> Failure {
    let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
    // Only these messages surely name nothing but parts of the query.
    let names_query = ["no such table:", "no such column:", "no such function:"];
    let words = match primary {
        1 if names_query.iter().any(|start| message.starts_with(start)) => plain(message, 60),
        5 | 6 => Some("the database is locked".to_owned()),
        8 => Some("the query tries to write".to_owned()),
        10 | 14 => return Failure::Unreachable,
        11 | 26 => Some("the file is not a sound database".to_owned()),
        _ => None,
    };
    let words = words.unwrap_or_else(|| "an error of the database".to_owned());
    Failure::Refused { what: format!("{words} (SQLite {primary})") }
}
