//! Numbers stored one way and called another, in five countries: whoever calls is found in a real CSV file and
//! a real SQLite database as the right customer, or as a guess that is marked, and never as somebody else.
//! The numbers stand in `numbers.txt`.

use std::collections::BTreeMap;
use std::path::Path;

use pinkas_hub::gather::{Gather, LandedWhat};
use pinkas_hub::identify::{Before, Brought, Guess, Offered, Rules, offered};
use pinkas_hub::sources;
use pinkas_protocol::{CallId, Number, NumberPlan};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::mpsc;

/// One line of the table.
struct Row {
    id: String,
    stored: &'static str,
    called: &'static str,
    expected: &'static str,
    sql: bool,
}

fn by_country() -> BTreeMap<&'static str, Vec<Row>> {
    let mut countries: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    let lines = include_str!("numbers.txt").lines().zip(1..).filter(|(line, _)| !line.starts_with('#'));
    for (line, at) in lines {
        let parts: Vec<&str> = line.split('|').collect();
        let [country, stored, called, expected, sql] = parts[..] else { panic!("line {at}") };
        let row = Row { id: format!("line {at}"), stored, called, expected, sql: sql == "sql" };
        countries.entry(country).or_default().push(row);
    }
    countries
}

/// Everyone in the table, and beside each who has nearly the same number.
fn people(rows: &[Row], plan: &NumberPlan) -> Vec<(String, String)> {
    let near = rows.iter().filter_map(|row| match plan.read(row.called)? {
        Number::E164 { e164 } => {
            let at = e164.len() - 3;
            let digit = (e164.as_bytes()[at] - b'0' + 5) % 10;
            Some((format!("{digit} not {}", row.id), format!("{}{digit}{}", &e164[..at], &e164[at + 1..])))
        }
        _ => None,
    });
    rows.iter().map(|row| (row.id.clone(), row.stored.to_owned())).chain(near).collect()
}

async fn who(dir: &Path, source: &str, plan: &NumberPlan, called: &str) -> String {
    let file = dir.join("hub.toml");
    let sources = pinkas_config::parse(&file, source, |section| Some(sources::read(section, plan)));
    let sources = sources.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let (landed, mut answers) = mpsc::channel(1);
    let rules = Rules { customer_tag: None, guess: Guess { stem: 0, last_digits: 9 } };
    let call: CallId = "00000000-0000-7000-8000-000000000001".parse().expect("a call");
    let brought = Brought { number: plan.read(called), ..Brought::default() };
    // The core asks nobody about a caller who brings nothing to ask with.
    if !brought.can_be_asked(&rules) {
        return "nobody".to_owned();
    }
    let gather = Gather::new(sources, rules, landed);
    gather.ask_who(call, brought);
    let Some(LandedWhat::Who { found, .. }) = answers.recv().await.map(|landed| landed.what) else {
        panic!("who it is")
    };
    match offered(found.expect("an answer"), &Before::Nothing) {
        Offered::Nobody => "nobody".to_owned(),
        Offered::One(customer) if customer.matched.is_guess() => format!("guess {}", customer.key),
        Offered::One(customer) => format!("exact {}", customer.key),
        Offered::Several(customers) => format!("several: {} …", customers[0].key),
    }
}

/// What was found for whom, where it was not what the table says.
async fn faults(dir: &Path, source: &str, plan: &NumberPlan, rows: &[&Row]) -> Vec<String> {
    let mut faults = Vec::new();
    for row in rows {
        let found = who(dir, source, plan, row.called).await;
        let expected = match row.expected {
            "nobody" => "nobody".to_owned(),
            how => format!("{how} {}", row.id),
        };
        if found != expected {
            faults.push(format!("{}: {:?} called as {:?}: {found}", row.id, row.stored, row.called));
        }
    }
    faults
}

#[tokio::test]
async fn in_a_file_everyone_is_found_however_the_number_is_written() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (country, rows) in by_country() {
        let plan = NumberPlan::new(country, 4).expect("a country");
        let dir = tempfile::tempdir().expect("a folder");
        let file: String =
            people(&rows, &plan).iter().map(|(id, number)| format!("{number}|{id}|{id}\n")).collect();
        std::fs::write(dir.path().join("people.csv"), format!("number|id|name\n{file}")).expect("written");
        let source =
            "[[source]]\nname = \"people\"\ngives = \"customer\"\ncsv = \"people.csv\"\nseparator = \"|\"\n";
        wrong.extend(faults(dir.path(), source, &plan, &rows.iter().collect::<Vec<_>>()).await);
        checked += rows.len();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 60, "{checked}");
}

#[tokio::test]
async fn in_a_database_everyone_is_found_by_the_query_of_the_guide() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    let guide = include_str!("../../docs/sources.md");
    let query = guide.split("```sql\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a query");
    for (country, rows) in by_country() {
        let plan = NumberPlan::new(country, 4).expect("a country");
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("people.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut db: SqliteConnection = options.connect().await.expect("a database");
        sqlx::query("create table people (id text, name text, phone text)")
            .execute(&mut db)
            .await
            .expect("made");
        for (id, number) in people(&rows, &plan) {
            let insert = sqlx::query("insert into people values (?1, ?1, ?2)").bind(id).bind(number);
            insert.execute(&mut db).await.expect("inserted");
        }
        db.close().await.expect("closed");
        let code = match country {
            "IL" => "+972",
            "PL" => "+48",
            "GB" => "+44",
            "DE" => "+49",
            _ => "+1",
        };
        let source = format!(
            "[[source]]\nname = \"people\"\ngives = \"customer\"\nsql = \"sqlite:people.db\"\nquery = \"\"\"{}\"\"\"\n",
            query.replace("+972", code)
        );
        let rows: Vec<&Row> = rows.iter().filter(|row| row.sql || row.expected == "nobody").collect();
        wrong.extend(faults(dir.path(), &source, &plan, &rows).await);
        checked += rows.len();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 50, "{checked}");
}
