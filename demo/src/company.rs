//! The sample company of the demo and the tests: a wholesaler of flour and bakery supplies, all invented.
//! It keeps what it knows in four places, as companies do: two spreadsheets, a sales database and an
//! accounting service. Its customers' dates move with the day it is written on.

pub mod accounting;
pub mod customers;

use std::path::Path;

use anyhow::Context;
use jiff::ToSpan;
use jiff::civil::Date;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use customers::{ALL, Sample};

/// The spreadsheet of who has which number: `number;id;name;class;place;account_manager`.
pub const CUSTOMERS_CSV: &str = "customers.csv";
/// The spreadsheet of terms: `customer_id;credit_limit;available;days;hold;currency;note`.
pub const CREDIT_CSV: &str = "credit.csv";
/// The SQLite database with the table `sales(customer_id, sold_on, product, quantity, amount, currency)`.
/// Every column is text: SQLite has no exact decimals, and money must not become a float on the way.
pub const SALES_DB: &str = "sales.db";

/// Writes [`CUSTOMERS_CSV`], [`CREDIT_CSV`] and [`SALES_DB`] into `dir`, replacing what is there.
pub async fn write(dir: &Path, today: Date) -> anyhow::Result<()> {
    for (name, text) in [(CUSTOMERS_CSV, customers_csv()), (CREDIT_CSV, credit_csv())] {
        tokio::fs::write(dir.join(name), text).await.with_context(|| format!("writing {name}"))?;
    }
    write_sales(&dir.join(SALES_DB), today).await.with_context(|| format!("writing {SALES_DB}"))
}

fn customers_csv() -> String {
    let mut csv = row(&["number", "id", "name", "class", "place", "account_manager"]);
    for Sample { id, name, class, place, account_manager, .. } in ALL {
        let numbers = customers::numbers(id);
        csv.extend(numbers.map(|number| row(&[number, id, name, class, place, account_manager])));
    }
    csv
}

fn credit_csv() -> String {
    let mut csv = row(&["customer_id", "credit_limit", "available", "days", "hold", "currency", "note"]);
    for Sample { id, currency, terms, .. } in ALL {
        let hold = if terms.hold { "yes" } else { "no" };
        csv += &row(&[id, terms.limit, terms.available, terms.days, hold, currency, terms.note]);
    }
    csv
}

/// One line of a spreadsheet; quoted where it must be (RFC 4180, with semicolons).
fn row(cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| {
        if cell.contains([';', '"', '\n']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            (*cell).to_owned()
        }
    });
    cells.collect::<Vec<_>>().join(";") + "\n"
}

async fn write_sales(path: &Path, today: Date) -> anyhow::Result<()> {
    let mut db = SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await?;
    sqlx::query("drop table if exists sales").execute(&mut db).await?;
    sqlx::query(
        "create table sales (customer_id text not null, sold_on text not null, product text not null,
         quantity text not null, amount text not null, currency text not null)",
    )
    .execute(&mut db)
    .await?;
    sqlx::query("create index sales_of_customer on sales (customer_id, sold_on)").execute(&mut db).await?;
    let mut all_or_none = db.begin().await?;
    for sample in ALL {
        insert_sales(&mut all_or_none, sample, today).await?;
    }
    all_or_none.commit().await?;
    Ok(db.close().await?)
}

async fn insert_sales(db: &mut SqliteConnection, sample: &Sample, today: Date) -> anyhow::Result<()> {
    for sale in sample.sales {
        sqlx::query("insert into sales values (?, ?, ?, ?, ?, ?)")
            .bind(sample.id)
            .bind(today.checked_sub(sale.days_ago.days())?.to_string())
            .bind(sale.product)
            .bind(sale.quantity)
            .bind(sale.amount)
            .bind(sample.currency)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use sqlx::Row;

    use super::*;

    #[tokio::test]
    async fn the_company_can_be_written_twice_and_read() {
        let dir = tempfile::tempdir().expect("a folder");
        for _ in 0..2 {
            write(dir.path(), date(2026, 3, 2)).await.expect("written");
        }
        let csv = std::fs::read_to_string(dir.path().join(CUSTOMERS_CSV)).expect("a file");
        assert!(
            csv.starts_with("number;id;name;class;place;account_manager\n+48 22 000 01 01;K-1001;"),
            "{csv}"
        );
        let credit = std::fs::read_to_string(dir.path().join(CREDIT_CSV)).expect("a file");
        assert!(credit.contains("\nK-1004;3000.00;"), "{credit}");
        let options = SqliteConnectOptions::new().filename(dir.path().join(SALES_DB)).read_only(true);
        let mut db = options.connect().await.expect("a database");
        let newest = "select sold_on, product, quantity, amount, currency from sales
                      where customer_id = ? order by sold_on desc limit 20";
        let rows = sqlx::query(newest).bind("K-1001").fetch_all(&mut db).await.expect("rows");
        assert_eq!(rows.len(), customers::ZOLKIEWSKI.sales.len(), "written twice, there once");
        assert_eq!(rows[0].get::<String, _>("sold_on"), "2026-02-27");
    }

    #[test]
    fn a_cell_that_would_break_its_row_is_quoted() {
        assert_eq!(row(&["a;b", "say \"hi\"", "c"]), "\"a;b\";\"say \"\"hi\"\"\";c\n");
    }
}
