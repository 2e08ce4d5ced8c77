//! The same source against SQLite and a real PostgreSQL: the same query gives the same facts, what is
//! asked stays a value, and nothing can be written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use jiff::civil::date;
use pinkas_demo::company::{self, customers::ALL};
use pinkas_hub::sources::{Answer, ConfiguredSource, Question, read};
use pinkas_protocol::{Customer, CustomerKey, Failure, NumberPlan, SourceName};
use pinkas_tests::lab::postgres::Postgres;
use pinkas_tests::or_skip;
use sqlx::{Connection, Row};

const QUERY: &str = "select sold_on, product, quantity, amount, currency from sales \
                     where customer_id = {customer.id} order by sold_on desc, product limit 5";

fn source(dir: &Path, gives: &str, sql: &str, query: &str) -> ConfiguredSource {
    let text =
        format!("[[source]]\nname = \"s\"\ngives = \"{gives}\"\nsql = \"{sql}\"\nquery = '''{query}'''\n");
    let plan = NumberPlan::default();
    let sources = pinkas_config::parse(&dir.join("hub.toml"), &text, |section| Some(read(section, &plan)));
    sources.unwrap_or_else(|e| panic!("{e}")).pop().expect("one source")
}

async fn ask(source: &ConfiguredSource, key: &str) -> Result<Answer, Failure> {
    let key = CustomerKey::parse(key).expect("a key");
    let customer = Customer::new(key, "x".to_owned(), SourceName::parse("directory").expect("a name"));
    source.source.ask(&Question { customer: Some(customer), ..Question::default() }).await
}

/// Copies the sample sales into PostgreSQL, with the types a real sales database has.
async fn copy(dir: &Path, url: &str) -> anyhow::Result<()> {
    let mut from =
        sqlx::SqliteConnection::connect(&format!("sqlite:{}", dir.join(company::SALES_DB).display())).await?;
    let mut to = sqlx::PgConnection::connect(url).await?;
    let table = "create table sales (id bigserial primary key, customer_id text not null, sold_on date not null, \
                 product text not null, quantity numeric not null, amount numeric(12,2) not null, currency char(3) not null)";
    sqlx::raw_sql(table).execute(&mut to).await?;
    let rows = sqlx::query("select customer_id, sold_on, product, quantity, amount, currency from sales");
    for row in rows.fetch_all(&mut from).await? {
        let mut insert = sqlx::query(
            "insert into sales (customer_id, sold_on, product, quantity, amount, currency) \
             values ($1, $2::text::date, $3, $4::text::numeric, $5::text::numeric, $6)",
        );
        for column in 0..6 {
            insert = insert.bind(row.try_get::<String, _>(column)?);
        }
        insert.execute(&mut to).await?;
    }
    Ok(())
}

#[tokio::test]
async fn postgresql_and_sqlite_give_the_same_facts_by_the_same_query() {
    let mut server = or_skip!(Postgres::start().await);
    let dir = tempfile::tempdir().unwrap();
    company::write(dir.path(), date(2026, 11, 20)).await.unwrap();
    copy(dir.path(), &server.url()).await.unwrap();
    let sqlite = source(dir.path(), "purchases", &format!("sqlite:{}", company::SALES_DB), QUERY);
    let postgres = source(dir.path(), "purchases", &server.url(), QUERY);
    for sample in ALL {
        let expected = ask(&sqlite, sample.id).await.unwrap();
        assert!(matches!(expected, Answer::Facts { .. }), "{} has bought something", sample.id);
        assert_eq!(ask(&postgres, sample.id).await.unwrap(), expected, "{}", sample.id);
    }
    for hostile in ["'; DROP TABLE sales; --", "K-1001' or '1'='1", "%", "{customer.id}", "$1"] {
        assert_eq!(ask(&postgres, hostile).await, Ok(Answer::Nothing), "{hostile}");
        assert_eq!(ask(&sqlite, hostile).await, Ok(Answer::Nothing), "{hostile}");
    }
    assert!(matches!(ask(&postgres, "K-1001").await, Ok(Answer::Facts { .. })), "the table is still there");

    let by_number = "select product from sales where id = {customer.id}";
    let by_number = source(dir.path(), "purchases", &server.url(), by_number);
    assert!(
        matches!(ask(&by_number, "1").await, Ok(Answer::Facts { .. })),
        "a number column is asked with a number"
    );
    for no_number in ["K-1001", "99999999999999999999", "1; delete from sales"] {
        assert_eq!(ask(&by_number, no_number).await, Ok(Answer::Nothing), "{no_number}");
    }

    for (write, sql) in [
        ("delete from sales where customer_id = {customer.id} returning product", server.url()),
        (
            "delete from sales where customer_id = {customer.id} returning product",
            format!("sqlite:{}", company::SALES_DB),
        ),
    ] {
        let refused = ask(&source(dir.path(), "purchases", &sql, write), "K-1001").await;
        assert!(matches!(refused, Err(Failure::Refused { .. })), "{sql}: {refused:?}");
    }
    server.kill();
    assert!(ask(&postgres, "K-1001").await.is_err(), "a server that is gone is a failed card, not a hang");
}
