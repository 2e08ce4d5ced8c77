//! A query to PostgreSQL made to answer within bounds. Its protocol sends a value whole, however large,
//! and its driver holds it whole; so the server is asked to cut: no more rows than a card holds, and of
//! each value no more than is ever read.

use std::sync::Arc;

use super::cell::LONGEST_CELL;

/// The query inside one that cuts. `columns` are its columns' names and types, in their order.
pub fn bounded<'a>(
    sql: &str,
    columns: impl IntoIterator<Item = (&'a str, &'a str)>,
    most_rows: usize,
) -> Arc<str> {
    let (mut inner, mut outer) = (Vec::new(), Vec::new());
    for (at, (name, kind)) in columns.into_iter().enumerate() {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        // Columns are renamed by their place: two of them may have one name.
        outer.push(format!("{} as {quoted}", cut(&format!("c{at}"), kind)));
        inner.push(format!("c{at}"));
    }
    // The query may end in a comment, which the new line ends.
    let (outer, inner) = (outer.join(", "), inner.join(", "));
    format!("select {outer} from (\n{sql}\n) as q({inner}) limit {most_rows}").into()
}

fn cut(column: &str, kind: &str) -> String {
    match kind {
        "BOOL" | "INT2" | "INT4" | "INT8" | "FLOAT4" | "FLOAT8" | "NUMERIC" | "DATE" | "TIMESTAMP"
        | "TIMESTAMPTZ" | "UUID" => column.to_owned(),
        // Never read, so only whether there is something has to be told.
        "BYTEA" | "JSONB" | "MONEY" | "TIME" | "TIMETZ" | "INTERVAL" => empty(column),
        kind if kind.ends_with("[]") => empty(column),
        // Of four bytes at most each.
        _ => format!("left({column}::text, {})", LONGEST_CELL / 4),
    }
}

fn empty(column: &str) -> String {
    format!("case when {column} is null then null else ''::bytea end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_cut_by_the_types_of_its_columns() {
        let columns = [("sold on", "DATE"), ("a\"b", "TEXT"), ("a\"b", "BYTEA")];
        assert_eq!(
            bounded("select * from t where k = $1 -- all", columns, 20).as_ref(),
            "select c0 as \"sold on\", left(c1::text, 1024) as \"a\"\"b\", \
             case when c2 is null then null else ''::bytea end as \"a\"\"b\" from (\n\
             select * from t where k = $1 -- all\n) as q(c0, c1, c2) limit 20"
        );
    }
}
