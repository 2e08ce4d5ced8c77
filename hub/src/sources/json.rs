//! What a web service's JSON answer must look like: where its records are and where in a record each field
//! is, as JSONPath (RFC 9535). Numbers are taken by their text, so that no float rounds an amount.

use pinkas_protocol::Failure;
use pinkas_protocol::card::MOST_NUMBERS;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::Answer;
use super::cell::Cell;
use super::fields::{self, Asked, Field, Row};

/// Where to find what in an answer.
#[derive(Clone)]
pub struct Shape {
    /// Where the records are, when the answer is not itself one.
    pub rows: Option<Rows>,
    /// Where in a record each field is.
    pub fields: Vec<(Field, JsonPath)>,
    /// Where in a record that is which has a name of its own.
    pub named: Vec<JsonPath>,
}

impl Shape {
    /// The facts in an answer.
    pub fn answer(&self, asked: &Asked<'_>, body: &[u8]) -> Result<Answer, Failure> {
        // serde_json's own text may quote the answer; its place is enough to find the fault.
        let answer: Value = serde_json::from_slice(body).map_err(|e| Failure::NotUnderstood {
            what: format!("not JSON (line {}, column {})", e.line(), e.column()),
        })?;
        let rows = match &self.rows {
            Some(rows) => rows.select(&answer)?,
            None => vec![&answer],
        };
        let rows: Vec<Row> = rows
            .into_iter()
            .take(fields::most_rows(asked.gives))
            .map(|row| Row {
                cells: self
                    .fields
                    .iter()
                    .map(|(field, path)| (*field, field_cell(*field, path, row)))
                    .collect(),
                named: self.named.iter().map(|path| cell(path, row)).collect(),
            })
            .collect();
        fields::answer(asked, &rows)
    }
}

/// Numbers may be a list: `$.phones[*].number` finds as many as there are.
fn field_cell(field: Field, path: &JsonPath, row: &Value) -> Cell {
    if field != Field::Numbers {
        return cell(path, row);
    }
    let found = path.query(row).all();
    let items = found.iter().flat_map(|value| match value {
        Value::Array(items) => items.iter().collect::<Vec<_>>(),
        value => vec![*value],
    });
    let texts = items.filter_map(|value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    Cell::of_text(&texts.take(MOST_NUMBERS).collect::<Vec<_>>().join(";"))
}

fn cell(path: &JsonPath, row: &Value) -> Cell {
    match path.query(row).first() {
        None => Cell::Missing,
        Some(Value::Null) => Cell::Null,
        Some(Value::String(text)) => Cell::of_text(text),
        Some(Value::Bool(value)) => Cell::Bool(*value),
        Some(Value::Number(number)) => Cell::of_number(&number.to_string()),
        Some(Value::Array(_) | Value::Object(_)) => Cell::Odd,
    }
}

/// Where the records are in the answer, when it is not itself one.
#[derive(Clone)]
pub struct Rows {
    path: JsonPath,
    /// The path may rightly find nothing: it filters, or takes all of a list that may be empty.
    may_be_empty: bool,
}

impl Rows {
    /// Reads the path; the error says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let may_be_empty = text.contains(['*', '?', ':', ',']) || text.contains("..");
        Ok(Rows { path: path(text)?, may_be_empty })
    }

    fn select<'a>(&self, answer: &'a Value) -> Result<Vec<&'a Value>, Failure> {
        let found = self.path.query(answer).all();
        match found[..] {
            [] if self.may_be_empty => Ok(Vec::new()),
            [] => Err(Failure::NotUnderstood { what: "rows: missing".to_owned() }),
            // `$.items` and `$.items[*]` mean the same to whoever writes them.
            [Value::Array(items)] => Ok(items.iter().collect()),
            _ => Ok(found),
        }
    }
}

/// Reads a JSONPath; the error says what is wrong with it.
pub fn path(text: &str) -> Result<JsonPath, String> {
    JsonPath::parse(text)
        .map_err(|e| format!("{text} is not a JSONPath such as $.data.amount: {}", e.message()))
}
