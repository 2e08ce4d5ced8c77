//! Agents look for a customer in directories of every kind that has a server: PostgreSQL, MariaDB, OpenLDAP and a web
//! service find whom the configuration's question finds, and every letter of what was typed stands for itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinkas_hub::core::{Seeker, ViewerId};
use pinkas_hub::gather::{Gather, Landed, LandedWhat};
use pinkas_hub::identify::Rules;
use pinkas_hub::sources::{ConfiguredSource, read};
use pinkas_protocol::{CallId, NumberPlan, Private};
use pinkas_tests::lab::mariadb::{self, MariaDb};
use pinkas_tests::lab::postgres::Postgres;
use pinkas_tests::lab::slapd::{self, Slapd};
use pinkas_tests::or_skip;
use sqlx::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Customers whose names hold what means something in a pattern, a filter or an address.
const PEOPLE: [(&str, &str, &str); 7] = [
    ("1001", "Levi Bakery", "+972501234567"),
    ("1002", "Bakery of Levi", "+972547654321"),
    ("1003", "100% Cotton", ""),
    ("1004", "a_b c", ""),
    ("1005", "back\\slash * star", ""),
    ("1006", "O'Hara & \"Sons\"", ""),
    ("1007", "מאפיית לוי", ""),
];

/// What an agent types, and the keys of those found.
const FOUND: [(&str, &str); 22] = [
    ("levi", "1001 1002"),
    ("LEVI B", "1001"),
    ("1003", "1003"),
    ("050-123-4567", "1001"),
    ("+972 54 765 4321", "1002"),
    ("לוי", "1007"),
    ("100%", "1003"),
    ("0%c", ""),
    ("%%", ""),
    ("a_b", "1004"),
    ("a_", "1004"),
    ("__", ""),
    ("k\\s", "1005"),
    ("\\\\", ""),
    ("* s", "1005"),
    ("le*i", ""),
    ("o'hara & \"", "1006"),
    ("' or '1'='1", ""),
    ("'; drop table people; -- ", ""),
    ("*)(objectClass=*", ""),
    ("\0\0", ""),
    ("nobody", ""),
];

struct Desk {
    gather: Gather,
    landed: mpsc::Receiver<Landed>,
    asks: u64,
}

impl Desk {
    fn at(dir: &Path, text: &str) -> Desk {
        let plan = NumberPlan::new("IL", 4).unwrap();
        let read = pinkas_config::parse(&dir.join("hub.toml"), text, |section| Some(read(section, &plan)));
        let sources: Vec<ConfiguredSource> = read.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let (answers, landed) = mpsc::channel(4);
        Desk { gather: Gather::new(sources, Rules::default(), answers), landed, asks: 0 }
    }

    /// The keys of those found, and how it went.
    async fn looks_for(&mut self, text: &str) -> (Vec<String>, String) {
        self.asks += 1;
        let call: CallId = "00000000-0000-7000-8000-000000000001".parse().unwrap();
        let seeker = Seeker { agent: "ana".parse().unwrap(), viewer: ViewerId(1), ask: self.asks };
        self.gather.search(call, seeker, &Private(text.to_owned()));
        let next = tokio::time::timeout(Duration::from_secs(30), self.landed.recv()).await.unwrap();
        let Some(Landed { what: LandedWhat::Found { found, searched, .. }, .. }) = next else {
            panic!("a search ends")
        };
        (found.iter().map(|one| one.key.to_string()).collect(), format!("{searched:?}"))
    }

    async fn finds(&mut self, expected: &[(&str, &str)]) {
        // The first one connects.
        self.looks_for("nobody").await;
        for (text, keys) in expected {
            let (mut found, went) = self.looks_for(text).await;
            found.sort_unstable();
            assert_eq!((found.join(" ").as_str(), went.as_str()), (*keys, "Fully"), "for {text:?}");
        }
    }
}

fn sql(url: &str, more: &str, search: &str) -> String {
    format!(
        "[[source]]\nname = \"crm\"\ngives = \"customer\"\nsql = \"{url}\"\n{more}search_deadline = \"10s\"\n\
         query = \"select id, name, phone as numbers from people where phone = {{number}}\"\nsearch = '''{search}'''\n"
    )
}

#[tokio::test]
async fn postgresql_finds_by_part_of_a_name_by_key_number_and_invoice() {
    let server = or_skip!(Postgres::start().await);
    let mut filling = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    let tables = "create table people (id integer primary key, name text, phone varchar(20));
        create table invoices (number text, customer integer references people)";
    sqlx::raw_sql(tables).execute(&mut filling).await.unwrap();
    for (id, name, phone) in PEOPLE {
        let insert = sqlx::query("insert into people values ($1::text::integer, $2, $3)");
        insert.bind(id).bind(name).bind(phone).execute(&mut filling).await.unwrap();
    }
    sqlx::raw_sql("insert into invoices values ('R-2026/7', 1004), ('R-2026/7b', 1004), ('%', 1005)")
        .execute(&mut filling)
        .await
        .unwrap();
    let search = "select distinct p.id, p.name, p.phone as numbers
        from people p left join invoices i on i.customer = p.id
        where p.name ilike {text.contains} or p.id = {text} or p.phone = {text.number} or i.number = {text}
        order by p.id";
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::at(dir.path(), &sql(&server.url(), "", search));
    desk.finds(&FOUND).await;
    desk.finds(&[("R-2026/7", "1004"), ("R-2026", ""), ("r-2026/7", ""), ("999999999999999999999", "")])
        .await;
    let long = "x".repeat(10_240);
    desk.finds(&[(&*long, "")]).await;
    // What is wrong with a question shows, and costs nobody else.
    let wrong = sql(&server.url(), "", "select id, name from persons where name like {text.contains}");
    let both = wrong.replace("\"crm\"", "\"wrong\"") + &sql(&server.url(), "", search);
    let mut desk = Desk::at(dir.path(), &both);
    assert_eq!(desk.looks_for("LEVI B").await, (vec!["1001".to_owned()], "Partly".to_owned()));
}

#[tokio::test]
async fn mariadb_finds_by_part_of_a_name_by_key_number_and_invoice() {
    let server = or_skip!(MariaDb::start().await);
    let mut filling = sqlx::MySqlConnection::connect(&server.url()).await.unwrap();
    let tables = "create table people (id varchar(20) primary key, name varchar(100), phone varchar(20)) charset utf8mb4;
        create table invoices (number varchar(20), customer varchar(20))";
    sqlx::raw_sql(tables).execute(&mut filling).await.unwrap();
    for (id, name, phone) in PEOPLE {
        let insert = sqlx::query("insert into people values (?, ?, ?)");
        insert.bind(id).bind(name).bind(phone).execute(&mut filling).await.unwrap();
    }
    sqlx::raw_sql("insert into invoices values ('R-2026/7', '1004')").execute(&mut filling).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mariadb"), mariadb::PASSWORD).unwrap();
    let search = "select distinct p.id, p.name, p.phone as numbers
        from people p left join invoices i on i.customer = p.id
        where p.name like {text.contains} or p.id = {text} or p.phone = {text.number} or i.number = {text}";
    let url = format!("mysql://pinkas@{}/customers", server.at());
    let mut desk = Desk::at(dir.path(), &sql(&url, "password_file = \"mariadb\"\n", search));
    desk.finds(&FOUND).await;
    desk.finds(&[("R-2026/7", "1004"), ("R-2026", "")]).await;
}

#[tokio::test]
async fn a_directory_of_people_finds_by_part_of_a_name_by_key_and_number() {
    let people: String = PEOPLE
        .iter()
        .map(|(id, name, phone)| {
            let phone = if phone.is_empty() { String::new() } else { format!("telephoneNumber: {phone}\n") };
            format!(
                "dn: uid={id},{}\nobjectClass: inetOrgPerson\nuid: {id}\ncn: {name}\nsn: x\n{phone}\n",
                slapd::BASE
            )
        })
        .collect();
    let server = or_skip!(Slapd::start(&people).await);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("slapd"), slapd::PASSWORD).unwrap();
    let text = format!(
        "[[source]]\nname = \"people\"\ngives = \"customer\"\nldap = \"ldap://{}\"\nbind = \"{}\"\npassword_file = \"slapd\"\n\
         base = \"{}\"\nfilter = \"(telephoneNumber={{number}})\"\nsearch_deadline = \"10s\"\n\
         search = \"(&(objectClass=person)(|(cn=*{{text}}*)(uid={{text}})(telephoneNumber={{text.number}})))\"\n\
         [source.fields]\nid = \"uid\"\nname = \"cn\"\nnumbers = \"telephoneNumber\"\n",
        server.at(),
        slapd::USER,
        slapd::BASE
    );
    Desk::at(dir.path(), &text).finds(&FOUND).await;
}

/// A web service that finds whoever has `q` in the name, as the key or, unpunctuated, as the number.
async fn web(asked: Arc<Mutex<Vec<String>>>) -> std::net::SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut link, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && request.len() < 8192 {
                let Ok(byte) = link.read_u8().await else { break };
                request.push(byte);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split_whitespace().nth(1).unwrap_or_default();
            let url = url::Url::parse(&format!("http://x{path}")).unwrap();
            let q = url.query_pairs().find(|(name, _)| name == "q").map(|(_, value)| value.to_lowercase());
            let q = q.unwrap_or_default();
            asked.lock().unwrap().push(url.path().to_owned());
            let number = NumberPlan::new("IL", 4).unwrap().read(&q);
            let fits = |(id, name, phone): &&(&str, &str, &str)| {
                let same = number.as_ref().is_some_and(|number| number.key() == Some(*phone));
                name.to_lowercase().contains(&q) || *id == q || same
            };
            let found = PEOPLE
                .iter()
                .filter(fits)
                .map(|(id, name, phone)| serde_json::json!({"id": id, "name": name, "phones": [phone]}));
            let body = serde_json::json!({"people": found.collect::<Vec<_>>()}).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // Whoever asked may be gone.
            let _gone = link.write_all((head + &body).as_bytes()).await;
        }
    });
    at
}

#[tokio::test]
async fn a_web_service_is_asked_with_the_text_as_one_value() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let at = web(asked.clone()).await;
    let text = format!(
        "[[source]]\nname = \"crm\"\ngives = \"customer\"\nhttp = \"http://{at}/by-number/{{number}}\"\n\
         search = \"http://{at}/people?q={{text}}&limit=9\"\nsearch_rows = \"$.people\"\nsearch_deadline = \"10s\"\n\
         [source.fields]\nid = \"$.id\"\nname = \"$.name\"\nnumbers = \"$.phones\"\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::at(dir.path(), &text);
    desk.finds(&FOUND).await;
    assert!(asked.lock().unwrap().iter().all(|path| path == "/people"));
    // Beside a file: one list, the better first, and the same person once.
    std::fs::write(
        dir.path().join("c.csv"),
        "number,id,name\n050-999-9999,2001,Levi\n0501234567,1001,Levi Bakery\n",
    )
    .unwrap();
    let both = format!("[[source]]\nname = \"file\"\ngives = \"customer\"\ncsv = \"c.csv\"\n\n{text}");
    let (found, went) = Desk::at(dir.path(), &both).looks_for("levi").await;
    assert_eq!((found.join(" ").as_str(), went.as_str()), ("2001 1001 1002", "Fully"));
}
