//! What is MySQL's and MariaDB's own: the session the hub asks in (it can only read, and no question
//! runs for ever), cells out of what these servers send, and their refusals in words.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use pinkas_protocol::Failure;
use rust_decimal::Decimal;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow, MySqlStatement, MySqlValueRef};
use sqlx::{Arguments, AssertSqlSafe, Column, Decode, Executor, MySql, Row as _, TypeInfo, ValueRef};

use super::cell::{Cell, LONGEST_CELL};
use super::sql_values::Cells;
use super::template::Asks;

/// Makes a new session one that can only read, stops a question after `limit` and gives no more than
/// `rows` rows.
pub async fn prepare(connection: &mut MySqlConnection, limit: Duration, rows: usize) -> sqlx::Result<()> {
    let version: String = sqlx::query_scalar("select version()").fetch_one(&mut *connection).await?;
    // MariaDB counts seconds and stops every statement, MySQL milliseconds and stops those that read.
    let stop = match version.to_ascii_lowercase().contains("mariadb") {
        true => format!("max_statement_time = {:.3}", limit.as_secs_f64()),
        false => format!("max_execution_time = {}", limit.as_millis()),
    };
    connection.execute("set session transaction read only").await?;
    let set = format!("set session {stop}, session sql_select_limit = {rows}");
    connection.execute(AssertSqlSafe(set)).await?;
    Ok(())
}

/// Binds `values` as text: the server does not say what type it wants. It compares text with a column
/// of numbers loosely, which the guide tells how to avoid.
pub fn arguments(_: &MySqlStatement, values: &[Option<&str>], _: Asks) -> Option<MySqlArguments> {
    let mut arguments = MySqlArguments::default();
    for value in values {
        arguments.add(*value).ok()?;
    }
    Some(arguments)
}

impl Cells for MySqlRow {
    fn names(&self) -> Vec<&str> {
        self.columns().iter().map(Column::name).collect()
    }

    fn cell(&self, column: usize) -> Cell {
        match self.try_get_raw(column) {
            Ok(value) if value.is_null() => Cell::Null,
            Ok(value) => cell(value).unwrap_or(Cell::Odd),
            Err(_) => Cell::Missing,
        }
    }
}

fn cell(value: MySqlValueRef<'_>) -> Option<Cell> {
    let kind = value.type_info().name().to_owned();
    match kind.as_str() {
        "DECIMAL" => <Decimal as Decode<MySql>>::decode(value).ok().map(Cell::Number),
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "INT" | "MEDIUMINT" | "BIGINT" => {
            <i64 as Decode<MySql>>::decode(value).ok().map(|number| Cell::Number(number.into()))
        }
        "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "INT UNSIGNED" | "MEDIUMINT UNSIGNED"
        | "BIGINT UNSIGNED" | "YEAR" => {
            <u64 as Decode<MySql>>::decode(value).ok().map(|number| Cell::Number(number.into()))
        }
        "FLOAT" => <f32 as Decode<MySql>>::decode(value).ok().map(|n| Cell::of_number(&n.to_string())),
        "DOUBLE" => <f64 as Decode<MySql>>::decode(value).ok().map(|n| Cell::of_number(&n.to_string())),
        "DATE" | "DATETIME" | "TIMESTAMP" => moment(bytes(value)?, kind == "DATE"),
        "BIT" => {
            let bits = bytes(value)?;
            let number = (bits.len() <= 8).then(|| bits.iter().fold(0, |n: u64, b| (n << 8) | u64::from(*b)));
            number.map(|number| Cell::Number(number.into()))
        }
        "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" | "SET" => {
            let bytes = bytes(value)?;
            // The connection is utf8mb4 whatever the table's character set: the server converts.
            let bytes = bytes.get(..bytes.len().min(LONGEST_CELL)).unwrap_or_default();
            let text = match std::str::from_utf8(bytes) {
                Ok(text) => text,
                // Cut in the middle of a letter.
                Err(e) if e.error_len().is_none() => {
                    std::str::from_utf8(bytes.get(..e.valid_up_to())?).ok()?
                }
                Err(_) => return None,
            };
            Some(Cell::of_text(text))
        }
        _ => None,
    }
}

fn bytes(value: MySqlValueRef<'_>) -> Option<&[u8]> {
    <&[u8] as Decode<MySql>>::decode(value).ok()
}

/// A date and time as they are on the wire: a length, the year in two bytes, month, day, and where there
/// is one the time of day. sqlx reads them only with the chrono or time crate.
fn moment(bytes: &[u8], day_only: bool) -> Option<Cell> {
    let at = |place: usize| bytes.get(place).copied();
    let signed = |place: usize| i8::try_from(at(place)?).ok();
    let year = i16::from_le_bytes([at(1)?, at(2)?]);
    let date = Date::new(year, signed(3)?, signed(4)?).ok()?;
    if day_only {
        return Some(Cell::Date(date));
    }
    let time = match bytes.len() {
        0..=5 => Time::midnight(),
        _ => {
            let micros = match bytes.get(8..12) {
                Some(micros) => i32::from_le_bytes(micros.try_into().ok()?),
                None => 0,
            };
            Time::new(signed(5)?, signed(6)?, signed(7)?, micros.checked_mul(1000)?).ok()?
        }
    };
    // The session's time zone is UTC; a DATETIME has none, and UTC is what the guide says it is.
    TimeZone::UTC.to_timestamp(DateTime::from_parts(date, time)).ok().map(Cell::Time)
}

/// A refusal in words (MariaDB and MySQL: server error reference).
pub fn failure(number: u16) -> Failure {
    let words = match number {
        1146 => "no such table",
        1054 => "no such column",
        1064 | 1305 => "the query is not SQL",
        1142 | 1143 | 1044 | 1370 => "the user may not read this",
        1045 | 1698 | 1862 | 1820 => "the login was refused",
        1049 => "no such database",
        1290 | 1792 | 1836 => "the query tries to write",
        1969 | 3024 | 1317 => "the query took too long",
        1153 => return Failure::TooLarge,
        // Too many connections, out of resources, shutting down: the server is there but not for us.
        1040 | 1041 | 1053 | 1077 | 1129 | 1130 | 1203 | 1226 => return Failure::Unreachable,
        _ => "an error of the database",
    };
    Failure::Refused { what: format!("{words} (error {number})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_off_the_wire_and_what_is_none_is_odd() {
        let said = |bytes: &[u8], day_only| match moment(bytes, day_only) {
            Some(Cell::Date(date)) => date.to_string(),
            Some(Cell::Time(time)) => time.to_string(),
            _ => "odd".to_owned(),
        };
        assert_eq!(said(&[4, 0xEA, 7, 11, 20], true), "2026-11-20");
        assert_eq!(said(&[4, 0xEA, 7, 11, 20], false), "2026-11-20T00:00:00Z");
        assert_eq!(said(&[7, 0xEA, 7, 11, 20, 23, 59, 58], false), "2026-11-20T23:59:58Z");
        assert_eq!(said(&[11, 0xEA, 7, 11, 20, 1, 2, 3, 0x40, 0x0D, 3, 0], false), "2026-11-20T01:02:03.2Z");
        for wrong in [&[][..], &[4, 0xEA, 7, 13, 1], &[4, 0xEA], &[7, 0xEA, 7, 11, 20, 25, 0, 0]] {
            assert_eq!(said(wrong, false), "odd");
        }
    }
}
