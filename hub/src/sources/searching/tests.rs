//! Whom agents find in each kind of directory, what is told of a wrong `search`, and that those who search cost no
//! call its answer.

use super::*;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::Uri;
use futures_util::future::{BoxFuture, join_all};
use pinkas_protocol::{CustomerKey, Gives};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::net::TcpListener;

use crate::last::Last;
use crate::sources::asking::Asked;
use crate::sources::bounds::Bounds;
use crate::sources::breaker::Rule;
use crate::sources::testing::configured;
use crate::sources::{Answer, Question};

/// What breaks whatever pastes it, and what means anything in a pattern.
const HOSTILE: [&str; 12] = [
    "'; drop table people; --",
    "' or '1'='1",
    "\"",
    "\\",
    "\\%",
    "%",
    "__",
    "*",
    "a\0b",
    "{text}",
    "!%",
    "$1 ?1 :x",
];

async fn found(source: &Arc<dyn Source>, text: &str) -> String {
    match source.search(text).await {
        Ok(found) => found.iter().map(|(fits, one)| format!("{}:{fits} ", one.key)).collect(),
        Err(failure) => failure.to_string(),
    }
}

async fn shop(dir: &Path) -> Arc<dyn Source> {
    let options = SqliteConnectOptions::new().filename(dir.join("shop.db")).create_if_missing(true);
    let mut connection = options.connect().await.expect("a new database");
    let sql = "create table people (id integer primary key, name text, phone text);
         create table invoices (number text, customer integer);
         insert into people values (1001, 'Levi Bakery', '+972501234567'), (1002, 'Bakery of Levi', ''),
             (1003, '100% Cotton', ''), (1004, '100 Cottons', ''), (1005, 'a_b\\c!d', ''), (1006, 'O''Hara \"&\" Sons', '');
         insert into invoices values ('R-2026/7', 1004), ('R-2026/8', 1001);";
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("filled");
    connection.close().await.expect("closed");
    let text = "[[source]]\nname = \"crm\"\ngives = \"customer\"\nsql = \"sqlite:shop.db\"\n\
         query = \"select id, name, phone as numbers from people where phone = {number}\"\nsearch = '''\n\
         select distinct p.id, p.name, p.phone as numbers from people p left join invoices i on i.customer = p.id\n\
         where p.name like {text.contains} or p.id = {text} or p.phone = {text.number} or i.number = {text}\n\
         order by p.id'''\n";
    configured(dir, text).expect("a right configuration")
}

#[tokio::test]
async fn a_database_is_searched_by_part_of_a_name_key_number_and_invoice() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let shop = shop(dir.path()).await;
    for (text, expected) in [
        ("levi", "1001:2 1002:3 "),
        ("1003", "1003:0 "),
        ("050-123-4567", "1001:1 "),
        ("R-2026/7", "1004:4 "),
        ("R-2026", ""),
        ("o'hara \"&\"", "1006:2 "),
        ("100%", "1003:2 "),
        ("0% c", "1003:3 "),
        ("a_b\\", "1005:2 "),
        ("c!d", "1005:3 "),
        ("", ""),
        ("\0", ""),
        ("nobody", ""),
    ] {
        assert_eq!(found(&shop, text).await, expected, "{text}");
    }
    let literally = [("%", "1003:3 "), ("\\", "1005:3 "), ("\"", "1006:3 ")];
    for text in HOSTILE.into_iter().chain([&*"x".repeat(10_240), &*"%".repeat(10_240)]) {
        let expected = literally.iter().find(|(hostile, _)| *hostile == text).map_or("", |(_, found)| found);
        assert_eq!(found(&shop, text).await, expected, "{text}");
    }
    assert_eq!(found(&shop, "levi").await, "1001:2 1002:3 ", "all is still there");
}

#[tokio::test]
async fn a_web_service_is_searched_with_the_text_as_one_value_of_the_address_or_body() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    let answer = move |uri: Uri, body: String| {
        noted.lock().expect("no panic").push(format!("{uri} {body}").trim_end().to_owned());
        async {
            r#"{"data": [{"id": 7, "name": "Levi", "phones": ["050-123-4567"]}, {"id": 8, "name": "X"}]}"#
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let service = |search: &str| {
        let text = format!(
            "[[source]]\nname = \"crm\"\ngives = \"customer\"\nhttp = \"http://127.0.0.1:{port}/by/{{number}}\"\n{search}\n\
             [source.fields]\nid = \"$.id\"\nname = \"$.name\"\nnumbers = \"$.phones\""
        );
        configured(Path::new(""), &text).expect("a right configuration")
    };
    let at = format!("search = \"http://127.0.0.1:{port}/find");
    let by_query = service(&format!("{at}?q={{text}}&limit=9\"\nsearch_rows = \"$.data\""));
    assert_eq!(found(&by_query, "levi").await, "7:2 8:4 ");
    assert_eq!(found(&by_query, "+972 50 123 4567").await, "7:1 8:4 ");
    assert_eq!(found(&by_query, " ").await, "");
    let by_path = service(&format!("{at}/{{text}}\"\nsearch_rows = \"$.data\""));
    for text in ["..", "a/b?c#d&e=f"] {
        found(&by_path, text).await;
    }
    let posted = service(&format!(
        "{at}\"\nsearch_rows = \"$.data\"\nsearch_body = '''{{\"any\": [{{\"like\": \"{{text}}\"}}]}}'''"
    ));
    found(&posted, "\"}], \"x\": \"%").await;
    let by_number = service(&format!("{at}?n={{text.number}}\"\nsearch_rows = \"$.data\""));
    assert_eq!(found(&by_number, "levi").await, "", "not asked: it is no number");
    found(&by_number, "0501234567").await;
    assert_eq!(
        asked.lock().expect("no panic").as_slice(),
        [
            "/find?q=levi&limit=9",
            "/find?q=%2B972%2050%20123%204567&limit=9",
            "/find/a%2Fb%3Fc%23d%26e%3Df",
            r#"/find {"any":[{"like":"\"}], \"x\": \"%"}]}"#,
            "/find?n=%2B972501234567",
        ]
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_search_is_told_with_its_line() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("c.csv"), "number,id,name\n").expect("written");
    let told = |text: &str| {
        let text = format!("[[source]]\nname = \"crm\"\n{text}");
        configured(dir.path(), &text).err().unwrap_or_default()
    };
    let fields = "[source.fields]\nid = \"$.id\"\nname = \"$.name\"\n";
    let http = |more: &str| {
        told(&format!("gives = \"customer\"\nhttp = \"https://crm/{{number}}\"\n{more}{fields}"))
    };
    let ldap = |search: &str| {
        told(&format!(
            "gives = \"customer\"\nldap = \"ldap://x\"\nbase = \"dc=x\"\nfilter = \"(telephoneNumber={{number}})\"\nsearch = '{search}'\n{fields}"
        ))
    };
    let sql = |search: &str| {
        told(&format!(
            "gives = \"customer\"\nsql = \"postgres://db/x\"\nquery = \"select {{number}}\"\nsearch = '''{search}'''\n"
        ))
    };
    for (told, expected) in [
        (
            http("search = \"https://other/{text}\"\nrows = \"$.x\"\n"),
            "5: `search` cannot be used: it must be at the host of `http`",
        ),
        (
            http("search = \"https://crm/all\"\nrows = \"$.x\"\n"),
            "5: `search` cannot be used: it holds no {text}",
        ),
        (
            http("search = \"https://crm/{text}\"\n"),
            "5: a search answers with a list: say where it is, with `search_rows",
        ),
        (
            http("search = \"https://crm/{text.contains}\"\nrows = \"$.x\"\n"),
            "{text.contains} is for SQL: write {text}",
        ),
        (
            http("search = \"https://crm/{number}\"\nrows = \"$.x\"\n"),
            "{number} is not known in a search; {text}",
        ),
        (http("search = \"https://{text}/\"\nrows = \"$.x\"\n"), "its host must be written out"),
        (http("search_rows = \"$.x\"\n"), "5: `search_rows` needs `search`"),
        (
            http("search = \"https://crm/find\"\nrows = \"$.x\"\nsearch_body = '{text}'\n"),
            "7: `search_body` cannot be used: it is not JSON",
        ),
        (ldap("(cn=x)"), "7: `search` cannot be used: it holds no {text}"),
        (ldap("cn={text}"), "it is not a filter such as (cn=*{text}*)"),
        (sql("select 1"), "6: `search` cannot be used: it holds no {text}"),
        (sql("select id from t where name like {text}"), "write `like {text.contains}`"),
        (
            told(
                "gives = \"balance\"\nsql = \"postgres://db/x\"\nquery = \"select {number}\"\nsearch = \"x\"\n",
            ),
            "6: `search` is for directories",
        ),
        (
            told("gives = \"customer\"\ncsv = \"c.csv\"\nsearch = \"x\"\n"),
            "5: agents can look for everyone in a CSV file as it is",
        ),
        (
            told(
                "gives = \"customer\"\nhttp = \"https://crm/{text}\"\nsearch = \"x\"\nsearch_rows = \"$\"\n",
            ),
            "4: this address cannot be used: {text} is what an agent looks for: it belongs in `search`",
        ),
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
        assert!(!told.contains("is not a key here"), "{told}");
    }
}

/// Answers a call at once, and most searches never.
#[derive(Default)]
struct Slow {
    under_way: AtomicUsize,
    most: AtomicUsize,
}

/// A search that is under way, until it is dropped.
struct One<'a>(&'a Slow);

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Source for Slow {
    fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async { Ok(Answer::Nothing) })
    }

    fn searchable(&self) -> Searchable {
        Searchable::Asked
    }

    fn search<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
        Box::pin(async move {
            assert_ne!(text, "a fault", "inside a source");
            if text == "quick" {
                let key = CustomerKey::parse("7").expect("a key");
                return Ok(vec![(0, Customer::new(key, "x".to_owned(), "s".parse().expect("a name")))]);
            }
            let _one = One(self);
            self.most.fetch_max(1 + self.under_way.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            std::future::pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_searches_has_few_places_waits_no_longer_than_the_deadline_and_costs_no_call_its_answer() {
    let slow = Arc::new(Slow::default());
    let name = SourceName::parse("crm").expect("a name");
    let rest = Some(Rule { after: 5, lasts: Duration::from_secs(15) });
    let bounds = Bounds { at_once: 3, rest, search: Some(Duration::from_secs(2)), ..Bounds::default() };
    let source = ConfiguredSource::new(name, Gives::Customer, Duration::from_millis(100), slow.clone());
    let asked = Arc::new(Asked::new(ConfiguredSource { bounds, ..source }, Last::default()));
    let said = async |text: &str| match asked.searching().search(&text.into()).await {
        Ok(found) => format!("{} found", found.len()),
        Err(failure) => failure.to_string(),
    };
    assert_eq!(said("quick").await, "1 found");
    assert_eq!(said("a fault").await, "answer not understood: a fault inside the hub");

    let since = Instant::now();
    let all = join_all((0..9).map(|_| said("slow"))).await;
    assert_eq!(since.elapsed(), Duration::from_secs(2));
    assert_eq!(all.iter().filter(|said| *said == "no answer in 2000 ms").count(), 2);
    assert_eq!(all.iter().filter(|said| *said == "too busy").count(), 7);
    let question = Question::default();
    assert_eq!(asked.who(&question).await.map(|found| found.len()), Ok(0), "a call has a place of its own");
    // Both still work on what nobody waits for, until they are given up.
    assert_eq!(said("quick").await, "too busy");
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(said("quick").await, "1 found");

    for _ in 0..3 {
        assert_eq!(join_all([said("slow"), said("slow")]).await[0], "no answer in 2000 ms");
        tokio::time::advance(Duration::from_secs(20)).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(slow.most.load(Ordering::Relaxed), 2, "never more at a time");
}

#[tokio::test(start_paused = true)]
async fn a_directory_whose_searches_fail_rests_from_searches_and_from_nothing_else() {
    let slow = Arc::new(Slow::default());
    let name = SourceName::parse("crm").expect("a name");
    let rest = Some(Rule { after: 2, lasts: Duration::from_secs(60) });
    let bounds = Bounds { rest, ..Bounds::default() };
    let source = ConfiguredSource::new(name, Gives::Customer, Duration::from_millis(100), slow.clone());
    let asked = Arc::new(Asked::new(ConfiguredSource { bounds, ..source }, Last::default()));
    let said = async |text: &str| match asked.searching().search(&text.into()).await {
        Ok(found) => format!("{} found", found.len()),
        Err(failure) => failure.to_string(),
    };
    for _ in 0..2 {
        assert_eq!(said("slow").await, "no answer in 100 ms");
    }
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::task::yield_now().await;
    assert_eq!(said("quick").await, "failed again and again; left alone for a while");
    assert!(asked.who(&Question::default()).await.is_ok());
    tokio::time::advance(Duration::from_secs(31)).await;
    // One that is given up in the middle leaves the next one to try.
    let given_up = tokio::time::timeout(Duration::from_millis(10), said("slow")).await;
    assert!(given_up.is_err());
    assert_eq!(said("quick").await, "1 found");
    assert_eq!(said("quick").await, "1 found");
}
