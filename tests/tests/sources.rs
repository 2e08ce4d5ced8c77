//! Every kind of source against a real server of its kind: MariaDB and OpenLDAP give the facts that are in
//! them and take what is asked as a value; and whatever a server does, slow, silent, endless, down or
//! wrong, each card says so by its deadline, and the hub's memory stays.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use pinkas_hub::gather::{Gather, Landed, LandedWhat};
use pinkas_hub::identify::{Brought, Rules};
use pinkas_hub::sources::{Answer, ConfiguredSource, Question, read};
use pinkas_protocol::{
    CallId, CardState, Customer, CustomerKey, Facts, NumberPlan, Private, SourceName, TagName,
};
use pinkas_tests::lab::mariadb::{self, MariaDb};
use pinkas_tests::lab::postgres::Postgres;
use pinkas_tests::lab::process::Freeze;
use pinkas_tests::lab::slapd::{self, Slapd};
use pinkas_tests::lab::trickle::{Manner, Relay};
use pinkas_tests::or_skip;
use sqlx::Connection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A folder with the secrets of the servers in it.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mariadb"), mariadb::PASSWORD).unwrap();
    std::fs::write(dir.path().join("slapd"), slapd::PASSWORD).unwrap();
    dir
}

fn sources(dir: &Path, text: &str) -> Vec<ConfiguredSource> {
    let plan = NumberPlan::new("IL", 4).unwrap();
    let read = pinkas_config::parse(&dir.join("hub.toml"), text, |section| Some(read(section, &plan)));
    read.unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn customer(key: &str) -> Customer {
    let key = CustomerKey::parse(key).unwrap();
    Customer::new(key, "x".to_owned(), SourceName::parse("directory").unwrap())
}

fn question(key: &str) -> Question {
    let number = NumberPlan::new("IL", 4).unwrap().read("050-123-4567");
    Question { number, customer: Some(customer(key)), ..Question::default() }
}

async fn ask(source: &ConfiguredSource, question: &Question) -> String {
    match source.source.ask(question).await {
        Ok(Answer::Customers(found)) => found
            .iter()
            .map(|who| {
                let numbers: Vec<_> = who.numbers.iter().filter_map(|number| number.key()).collect();
                let keys: Vec<_> = who.keys.iter().map(|(name, key)| format!(" {name}={}", key.0)).collect();
                format!("{}={} {}{};", who.key, who.name.0, numbers.join(","), keys.concat())
            })
            .collect(),
        Ok(Answer::Facts { facts, .. }) => words(&facts),
        Ok(Answer::Nothing) => "nothing".to_owned(),
        Err(failure) => failure.to_string(),
    }
}

fn words(facts: &Facts) -> String {
    match facts {
        Facts::Purchases { purchases } => purchases
            .iter()
            .map(|sale| {
                let date = sale.date.map(|date| date.to_string()).unwrap_or_default();
                let amount = sale.amount.as_ref().map(|money| money.amount.to_string()).unwrap_or_default();
                let quantity = sale.quantity.map(|quantity| quantity.to_string()).unwrap_or_default();
                format!("{date} {} {quantity} {amount};", sale.product)
            })
            .collect(),
        Facts::Custom { rows } => rows
            .iter()
            .map(|row| format!("{}={};", row.label, row.value.as_ref().map_or("?", |value| &value.0)))
            .collect(),
        Facts::Balance(balance) => {
            balance.balance.as_ref().map(|money| money.amount.to_string()).unwrap_or_default()
        }
        facts => format!("{facts:?}"),
    }
}

fn sql(name: &str, gives: &str, url: &str, more: &str, query: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\ngives = \"{gives}\"\nsql = \"{url}\"\ndeadline = \"400ms\"\n{more}query = '''{query}'''\n"
    )
}

const MARIADB_LOGIN: &str = "password_file = \"mariadb\"\n";

fn mariadb_at(at: impl std::fmt::Display) -> String {
    format!("mysql://pinkas@{at}/customers")
}

#[tokio::test]
async fn mariadb_gives_what_is_in_it_exactly_and_takes_what_is_asked_as_a_value() {
    let server = or_skip!(MariaDb::start().await);
    let dir = folder();
    let mut filling = sqlx::MySqlConnection::connect(&server.url()).await.unwrap();
    // The types and character sets of old shops.
    let tables = "create table sales (customer varchar(64) primary key, number int, sold_on date, at datetime(6),
            product varchar(200) character set cp1250, quantity decimal(30,10), amount decimal(12,2), paid double,
            flag bit(1), year_of year, raw blob, word enum('a','b')) character set latin1;
        insert into sales values ('K-1', 7, '2026-11-20', '2026-11-20 10:11:12.5', 'Zażółć gęślą', 1.5000000001,
            -1250.50, 0.1, b'1', 2026, x'00ff', 'b');
        create table people (phone varchar(20), id int, name varchar(100)) character set hebrew;
        insert into people values ('+972501234567', 7, 'מאפיית לוי')";
    sqlx::raw_sql(tables).execute(&mut filling).await.unwrap();

    let one = |gives: &str, query: &str, more: &str| {
        let text = sql("s", gives, &mariadb_at(server.at()), MARIADB_LOGIN, query) + more;
        sources(dir.path(), &text).pop().unwrap()
    };
    let sales = one("purchases", "select * from sales where customer = {customer.id}; -- all", "");
    assert_eq!(ask(&sales, &question("K-1")).await, "2026-11-20 Zażółć gęślą 1.5000000001 -1250.50;");
    for hostile in ["'; drop table sales; -- ", "K-1' or '1'='1", "\\' or 1=1 #", "%", "?"] {
        assert_eq!(ask(&sales, &question(hostile)).await, "nothing", "{hostile}");
    }
    let all = "[source.show]\nYear = \"year_of\"\nFlag = \"flag\"\nPaid = \"paid\"\nAt = \"at\"\nWord = \"word\"\nNone = \"none\"\n";
    let shown = one("custom", "select *, null as `none` from sales where customer = {customer.id}", all);
    assert_eq!(
        ask(&shown, &question("K-1")).await,
        "Year=2026;Flag=1;Paid=0.1;At=2026-11-20 10:11 UTC;Word=b;None=?;"
    );
    let raw = one(
        "custom",
        "select raw from sales where customer = {customer.id}",
        "[source.show]\nRaw = \"raw\"\n",
    );
    assert_eq!(ask(&raw, &question("K-1")).await, "answer not understood: row Raw: not text");
    let people = one("customer", "select id, name, phone as numbers from people where phone = {number}", "");
    assert_eq!(ask(&people, &question("x")).await, "7=מאפיית לוי +972501234567;");
    // The guide's way of comparing a key with a column of numbers.
    let strict = "select product from sales where number = {customer.id} and {customer.id} regexp '^[0-9]+$'";
    let strict = one("purchases", strict, "");
    assert_eq!(ask(&strict, &question("7")).await, " Zażółć gęślą  ;");
    assert_eq!(ask(&strict, &question("7 or 1=1")).await, "nothing");

    for (query, expected) in [
        (
            "delete from sales where customer = {customer.id}",
            "refused: the query tries to write (error 1792)",
        ),
        ("select * from sale where customer = {customer.id}", "refused: no such table (error 1146)"),
        ("select price from sales where customer = {customer.id}", "refused: no such column (error 1054)"),
        ("selekt {customer.id}", "refused: the query is not SQL (error 1064)"),
        (
            "select product as customer from sales where customer = {customer.id}",
            "answer not understood: field product: missing",
        ),
    ] {
        assert_eq!(ask(&one("purchases", query, ""), &question("K-1")).await, expected, "{query}");
    }
    assert_eq!(ask(&sales, &question("K-1")).await.matches(';').count(), 1, "nothing was deleted");
    let wrong = sql("s", "purchases", &mariadb_at(server.at()), "", "select {customer.id} as product");
    let wrong = sources(dir.path(), &wrong).pop().unwrap();
    assert_eq!(ask(&wrong, &question("K-1")).await, "refused: the login was refused (error 1045)");
}

const PEOPLE: &str = "dn: uid=1001,dc=firm,dc=example\nobjectClass: inetOrgPerson\nuid: 1001\ncn: Levi Bakery\nsn: Levi\n\
    telephoneNumber: +972 50-123-4567\nmobile: +972 54 765 4321\nemployeeNumber: 51-4\npreferredLanguage: he\n\n\
    dn: uid=a*b,dc=firm,dc=example\nobjectClass: inetOrgPerson\nuid: a*b\ncn: Star\nsn: Star\n\n";

fn ldap(name: &str, gives: &str, at: impl std::fmt::Display, filter: &str, fields: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\ngives = \"{gives}\"\nldap = \"ldap://{at}\"\nbind = \"{}\"\npassword_file = \"slapd\"\n\
         base = \"{}\"\nfilter = \"{filter}\"\ndeadline = \"400ms\"\n{fields}",
        slapd::USER,
        slapd::BASE
    )
}

#[tokio::test]
async fn a_directory_of_people_is_asked_by_number_and_takes_what_is_asked_as_a_value() {
    let server = or_skip!(Slapd::start(PEOPLE).await);
    let dir = folder();
    let one = |text: String| sources(dir.path(), &text).pop().unwrap();
    let who = "[source.fields]\nid = \"uid\"\nname = \"cn\"\nnumbers = \"telephoneNumber, mobile\"\nlanguage = \"preferredLanguage\"\n[source.keys]\ntax_id = \"employeeNumber\"\n";
    let people =
        one(ldap("people", "customer", server.at(), "(|(telephoneNumber={number})(mobile={number}))", who));
    let levi = "1001=Levi Bakery +972501234567,+972547654321 tax_id=51-4;";
    for _ in 0..2 {
        assert_eq!(ask(&people, &question("x")).await, levi, "also over a connection that was kept");
    }
    let rows = "[source.show]\nName = \"cn\"\nMobile = \"mobile\"\n";
    let by_key = one(ldap("crm", "custom", server.at(), "(&(objectClass=person)(uid={customer.id}))", rows));
    assert_eq!(ask(&by_key, &question("1001")).await, "Name=Levi Bakery;Mobile=+972 54 765 4321;");
    assert_eq!(ask(&by_key, &question("a*b")).await, "Name=Star;Mobile=?;");
    for hostile in ["*", "1001)(uid=*", "\\2a", "100*", "*)(objectClass=*"] {
        assert_eq!(ask(&by_key, &question(hostile)).await, "nothing", "{hostile}");
    }
    let by_tag = one(ldap("people", "customer", server.at(), "(uid={tag.customer})", who));
    let mut tagged = question("x");
    assert_eq!(ask(&by_tag, &tagged).await, "not asked: the call brings no customer");
    tagged.tags.insert(TagName::parse("customer").unwrap(), Private("1001".to_owned()));
    assert_eq!(ask(&by_tag, &tagged).await, levi);

    let no_base = ldap("p", "customer", server.at(), "(uid={number})", who)
        .replace("dc=example\"\nfilter", "dc=other\"\nfilter");
    assert_eq!(ask(&one(no_base), &question("x")).await, "refused: there is no such base (LDAP 32)");
    std::fs::write(dir.path().join("slapd"), "wrong").unwrap();
    let refused = one(ldap("p", "customer", server.at(), "(uid={number})", who));
    assert_eq!(ask(&refused, &question("x")).await, "refused: the login was refused (LDAP 49)");
    let nobody = ldap("p", "customer", server.at(), "(uid={number})", who)
        .replace(&format!("bind = \"{}\"\npassword_file = \"slapd\"\n", slapd::USER), "");
    assert_eq!(ask(&one(nobody), &question("x")).await, "refused: there is no such base (LDAP 32)");
}

/// A web service that answers each path in its own bad way.
async fn web() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let at = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((link, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Whoever asked may hang up at any time.
                let _gone = answer(link).await;
            });
        }
    });
    Ok(at)
}

async fn answer(mut link: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < 4096 {
        request.push(link.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let ok = |body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    let balance = ok(r#"{"amount": 7}"#);
    let pause = |ms| tokio::time::sleep(Duration::from_millis(ms));
    match path.trim_start_matches('/').split('?').next().unwrap_or_default() {
        "10ms" => pause(10).await,
        "800ms" => pause(800).await,
        "never" => std::future::pending().await,
        "trickle" => {
            for byte in balance.bytes() {
                link.write_u8(byte).await?;
                pause(1000).await;
            }
        }
        "huge" => {
            link.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n[").await?;
            let blanks = vec![b' '; 64 * 1024];
            for _ in 0..16 * 1024 {
                link.write_all(&blanks).await?;
            }
        }
        "500" => return link.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await,
        "redirect" => {
            return link.write_all(b"HTTP/1.1 302 Go\r\nlocation: /10ms\r\ncontent-length: 0\r\n\r\n").await;
        }
        "not-json" => return link.write_all(ok("<html>").as_bytes()).await,
        "types" => return link.write_all(ok(r#"{"amount": "much"}"#).as_bytes()).await,
        _ => {}
    }
    link.write_all(balance.as_bytes()).await
}

/// What each card of the matrix must say: first by its deadline, and in the end.
struct Expected(&'static str, &'static str, &'static str);

/// Asks all sources at once and gives what each said, with the time of the first word.
async fn gathered(sources: Vec<ConfiguredSource>) -> Vec<(String, Vec<(Duration, String)>)> {
    let mut said: Vec<(String, Vec<(Duration, String)>)> =
        sources.iter().map(|source| (source.name.to_string(), Vec::new())).collect();
    let (landed, mut receiver) = mpsc::channel(256);
    let gather = Gather::new(sources, Rules::default(), landed);
    let call: CallId = "00000000-0000-7000-8000-000000000001".parse().unwrap();
    let since = Instant::now();
    gather.ask_cards(call, Brought::default(), customer("1"));
    let mut open = said.len();
    while open > 0 {
        let next = tokio::time::timeout(Duration::from_secs(30), receiver.recv()).await;
        let Some(Landed { what: LandedWhat::Card { card, .. }, .. }) = next.expect("every card ends") else {
            break;
        };
        let (state, last) = match card.state {
            CardState::Late { .. } => ("late".to_owned(), false),
            CardState::Filled { facts, late, .. } => {
                (format!("{}{}", words(&facts), if late { " late" } else { "" }), true)
            }
            CardState::Nothing { .. } => ("nothing".to_owned(), true),
            CardState::Failed { failure, .. } => (failure.to_string(), true),
            CardState::Waiting => ("waiting".to_owned(), false),
        };
        open -= usize::from(last);
        let card = said.iter_mut().find(|(name, _)| name == card.source.as_str()).unwrap();
        card.1.push((since.elapsed(), state));
    }
    said
}

/// The most memory this process has had, in MiB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

async fn matrix(sources: Vec<ConfiguredSource>, expected: &[Expected]) {
    let before = most_memory();
    let said = gathered(sources).await;
    assert_eq!(said.len(), expected.len());
    for Expected(name, first, last) in expected {
        let (_, states) = said.iter().find(|(found, _)| found == name).unwrap();
        let (at, word) = states.first().unwrap();
        assert!(
            *at < Duration::from_millis(1500),
            "{name} said nothing for {at:?}, with a deadline of 400 ms"
        );
        // On a machine with other work even a quick server may be late; a slow one is never in time.
        assert!(word == first || word == "late", "{name} said {word} by its deadline");
        let end = states.last().map(|(_, word)| word.trim_end_matches(" late"));
        assert_eq!(end, Some(last.trim_end_matches(" late")), "{name}, in the end");
    }
    let grown = most_memory() - before;
    assert!(grown < 96, "memory grew by {grown} MiB");
}

#[tokio::test]
async fn whatever_a_web_service_does_its_card_says_so_by_its_deadline() {
    let at = web().await.unwrap();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let dir = folder();
    let paths = ["10ms", "800ms", "never", "trickle", "huge", "500", "redirect", "not-json", "types"];
    let source = |name: &str, at: SocketAddr| {
        format!(
            "[[source]]\nname = \"{name}\"\ngives = \"balance\"\nhttp = \"http://{at}/{name}?c={{customer.id}}\"\ndeadline = \"400ms\"\n[source.fields]\nbalance = \"$.amount\"\n"
        )
    };
    let mut text: String = paths.iter().map(|name| source(name, at)).collect();
    text += &source("refused", closed);
    let expected = [
        Expected("10ms", "7", "7"),
        Expected("800ms", "late", "7 late"),
        Expected("never", "late", "no answer in 400 ms"),
        Expected("trickle", "late", "no answer in 400 ms"),
        Expected("huge", "answer too large", "answer too large"),
        Expected("500", "refused: HTTP 500", "refused: HTTP 500"),
        Expected("redirect", "refused: redirect", "refused: redirect"),
        Expected(
            "not-json",
            "answer not understood: not JSON (line 1, column 1)",
            "answer not understood: not JSON (line 1, column 1)",
        ),
        Expected(
            "types",
            "answer not understood: field balance: not a number",
            "answer not understood: field balance: not a number",
        ),
        Expected("refused", "cannot be reached", "cannot be reached"),
    ];
    matrix(sources(dir.path(), &text), &expected).await;
}

#[tokio::test]
async fn whatever_a_postgresql_does_its_card_says_so_by_its_deadline() {
    let server = or_skip!(Postgres::start().await);
    let relay = Relay::start(server.at()).await.unwrap();
    let dir = folder();
    let through = format!("postgres://pinkas@{}/customers", relay.at());
    let query = |name: &str, url: &str, query: &str| sql(name, "balance", url, "", query);
    let plain = "select 7 as balance where {customer.id} = '1'";
    let url = server.url();
    let text = [
        query("10ms", &url, "select 7 as balance from pg_sleep(0.01) where {customer.id} = '1'"),
        query("800ms", &url, "select 7 as balance from pg_sleep(0.8) where {customer.id} = '1'"),
        query("never", &url, "select 7 as balance from pg_sleep(1000) where {customer.id} = '1'"),
        query("endless", &url, "with recursive n(i) as (select 1 union all select i + 1 from n) select 7 as balance, {customer.id} from n"),
        // A gigabyte is more than the server itself makes; this is as much as this machine should.
        query(
            "huge",
            &url,
            "select 7 as balance, repeat('x', 100000000) as currency where {customer.id} = '1'",
        ),
        query("error", &url, "select 1 / 0 as balance where {customer.id} = '1'"),
        query("types", &url, "select 'much' as balance where {customer.id} = '1'"),
        query("refused", "postgres://pinkas@127.0.30.254:9/customers", plain),
        query("trickle", &through, plain),
    ]
    .concat();
    let expected = [
        Expected("10ms", "7", "7"),
        Expected("800ms", "late", "7 late"),
        Expected("never", "late", "no answer in 400 ms"),
        Expected("endless", "7", "7"),
        Expected("huge", "7", "7"),
        Expected(
            "error",
            "refused: an error of the database (SQLSTATE 22012)",
            "refused: an error of the database (SQLSTATE 22012)",
        ),
        Expected(
            "types",
            "answer not understood: field balance: not a number",
            "answer not understood: field balance: not a number",
        ),
        Expected("refused", "cannot be reached", "cannot be reached"),
        // It never comes as far as to be asked.
        Expected("trickle", "late", "cannot be reached"),
    ];
    relay.set(Manner::Trickle);
    matrix(sources(dir.path(), &text), &expected).await;
}

#[tokio::test]
async fn whatever_a_mariadb_does_its_card_says_so_by_its_deadline() {
    let server = or_skip!(MariaDb::start().await);
    let relay = Relay::start(server.at()).await.unwrap();
    let dir = folder();
    let query =
        |name: &str, at: SocketAddr, query: &str| sql(name, "balance", &mariadb_at(at), MARIADB_LOGIN, query);
    let direct = SocketAddr::V4(server.at());
    let plain = "select 7 as balance from dual where {customer.id} = '1'";
    let text = [
        query("10ms", direct, "select 7 as balance, sleep(0.01) from dual where {customer.id} = '1'"),
        query("800ms", direct, "select 7 as balance, sleep(0.8) from dual where {customer.id} = '1'"),
        query("never", direct, "select 7 as balance, sleep(1000) from dual where {customer.id} = '1'"),
        query("endless", direct, "select 7 as balance from seq_1_to_1000000000 where {customer.id} = '1'"),
        query(
            "huge",
            direct,
            "select 7 as balance, repeat('x', 15000000) as currency from dual where {customer.id} = '1'",
        ),
        query("error", direct, "select 7 as balance from nowhere where {customer.id} = '1'"),
        query("types", direct, "select 'much' as balance from dual where {customer.id} = '1'"),
        query("refused", "127.0.30.254:9".parse().unwrap(), plain),
        query("trickle", relay.at(), plain),
    ]
    .concat();
    let expected = [
        Expected("10ms", "7", "7"),
        Expected("800ms", "late", "7 late"),
        Expected("never", "late", "no answer in 400 ms"),
        Expected("endless", "7", "7"),
        Expected("huge", "7", "7"),
        Expected("error", "refused: no such table (error 1146)", "refused: no such table (error 1146)"),
        Expected(
            "types",
            "answer not understood: field balance: not a number",
            "answer not understood: field balance: not a number",
        ),
        Expected("refused", "cannot be reached", "cannot be reached"),
        // It never comes as far as to be asked.
        Expected("trickle", "late", "cannot be reached"),
    ];
    relay.set(Manner::Trickle);
    matrix(sources(dir.path(), &text), &expected).await;
}

#[tokio::test]
async fn whatever_a_directory_does_its_card_says_so_by_its_deadline() {
    let server = or_skip!(Slapd::start(&PEOPLE.replace("uid: 1001", "uid: 1")).await);
    let dir = folder();
    let fields = "[source.fields]\nbalance = \"employeeNumber\"\n";
    let people = |name: &str, at: SocketAddr, fields: &str| {
        ldap(name, "balance", at, "(&(uid={customer.id})(sn=Levi))", fields)
    };
    let relays = [
        ("800ms", Manner::Delay(Duration::from_millis(400))),
        ("silent", Manner::Silent),
        ("trickle", Manner::Trickle),
        // The beginning of a message of a gigabyte, of which so much comes.
        ("huge", Manner::Flood(&[0x30, 0x84, 0x40, 0, 0, 0, 2, 1, 1])),
        ("junk", Manner::Flood(b"<html>")),
    ];
    let mut text = people("types", SocketAddr::V4(server.at()), "[source.fields]\nbalance = \"cn\"\n");
    text += &people("quick", SocketAddr::V4(server.at()), fields).replace("employeeNumber", "uid");
    text += &people("no base", SocketAddr::V4(server.at()), fields)
        .replace("dc=example\"\nfilter", "dc=other\"\nfilter");
    text += &people("refused", "127.0.30.254:9".parse().unwrap(), fields);
    let mut running = Vec::new();
    for (name, manner) in relays {
        let relay = Relay::start(server.at()).await.unwrap();
        relay.set(manner);
        text += &people(name, relay.at(), fields).replace("employeeNumber", "uid");
        running.push(relay);
    }
    let expected = [
        Expected(
            "types",
            "answer not understood: field balance: not a number",
            "answer not understood: field balance: not a number",
        ),
        Expected("quick", "1", "1"),
        Expected(
            "no base",
            "refused: there is no such base (LDAP 32)",
            "refused: there is no such base (LDAP 32)",
        ),
        Expected("refused", "cannot be reached", "cannot be reached"),
        Expected("800ms", "late", "1 late"),
        Expected("silent", "late", "no answer in 400 ms"),
        Expected("trickle", "late", "no answer in 400 ms"),
        Expected("huge", "answer too large", "answer too large"),
        Expected("junk", "answer not understood: not LDAP", "answer not understood: not LDAP"),
    ];
    matrix(sources(dir.path(), &text), &expected).await;
}

#[tokio::test]
async fn a_server_that_stands_still_costs_its_own_card_and_serves_again_when_it_goes_on() {
    let database = or_skip!(MariaDb::start().await);
    let people = or_skip!(Slapd::start(&PEOPLE.replace("uid: 1001", "uid: 1")).await);
    let dir = folder();
    let plain = "select 7 as balance from dual where {customer.id} = '1'";
    let text = sql("sql", "balance", &mariadb_at(database.at()), MARIADB_LOGIN, plain)
        + &ldap(
            "ldap",
            "balance",
            people.at(),
            "(uid={customer.id})",
            "[source.fields]\nbalance = \"uid\"\n",
        );
    let all = sources(dir.path(), &text);
    let good = [Expected("sql", "7", "7"), Expected("ldap", "1", "1")];
    matrix(all.clone(), &good).await;
    database.freeze(Freeze::Stop);
    people.freeze(Freeze::Stop);
    // A pool tries the connection it has before it gives it out.
    let still =
        [Expected("sql", "late", "cannot be reached"), Expected("ldap", "late", "no answer in 400 ms")];
    matrix(all.clone(), &still).await;
    database.freeze(Freeze::GoOn);
    people.freeze(Freeze::GoOn);
    let again = async {
        loop {
            let said = gathered(all.clone()).await;
            if said
                .iter()
                .all(|(_, states)| states.last().is_some_and(|(_, word)| word == "7" || word == "1"))
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), again).await.context("they serve again").unwrap();
}
