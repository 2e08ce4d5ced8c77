//! A source that is a query to PostgreSQL, MySQL, MariaDB or SQLite. What the question brings is bound as parameters, so
//! it is a value whatever it holds; the session can only read, and so can the query. Connections are made
//! when first needed: a database that is down costs its own card, not the hub's start.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use pinkas_config::{Secret, Section};
use pinkas_protocol::{Customer, Failure};
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPool};
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgStatement};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Executor, SqlSafeStr, Statement, TypeInfo};
use url::Url;

use super::fields::{self, Row};
use super::sql_query::{Dialect, Query};
use super::sql_values::{self, Columns};
use super::template::Place;
use super::{About, Answer, Needs, Question, Searchable, Source, give_up, sought, sql_bound, sql_mysql};

/// The keys of this kind of source.
pub const KEYS: &[&str] = &["sql", "query", "search", "password_env", "password_file", "fields"];

/// The most connections to one database.
const CONNECTIONS: u32 = 4;

/// How long a question waits for one of them, or for a new one to be made.
const ACQUIRE: Duration = Duration::from_secs(3);

/// How many steps SQLite takes between looking whether its answer is still wanted.
const STEPS: i32 = 10_000;

/// A query to a database.
pub struct Sql {
    about: About,
    pool: Pool,
    query: Query,
    /// Finds customers for an agent.
    search: Option<Query>,
    columns: Columns,
}

enum Pool {
    Postgres(Lazy<sqlx::Postgres>),
    MySql(Lazy<sqlx::MySql>),
    Sqlite(Lazy<sqlx::Sqlite>),
}

/// A pool that is made at the first question: sqlx can make one only inside a runtime, and a
/// configuration is read before there is one.
struct Lazy<D: sqlx::Database> {
    options: <D::Connection as sqlx::Connection>::Options,
    /// How connections are made and made ready.
    settings: PoolOptions<D>,
    pool: OnceLock<sqlx::Pool<D>>,
}

impl<D: sqlx::Database> Lazy<D> {
    fn new(options: <D::Connection as sqlx::Connection>::Options) -> Self {
        let settings = PoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE);
        Lazy { options, settings, pool: OnceLock::new() }
    }

    fn pool(&self) -> &sqlx::Pool<D> {
        self.pool.get_or_init(|| self.settings.clone().connect_lazy_with(self.options.clone()))
    }
}

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A server's address, without a password.
    Postgres(String),
    /// Likewise, of MySQL or MariaDB.
    MySql(String),
    /// A file.
    Sqlite(PathBuf),
}

/// Reads the keys of this kind, noting every mistake; `named` are the columns of what has names of its own.
pub fn read(table: &mut Section<'_>, about: About, named: Vec<String>) -> Option<(Sql, Needs)> {
    let database = match database(table) {
        Ok(database) => Some(database),
        Err(what) => {
            table.note("sql", what);
            None
        }
    };
    let password = table.secret("password");
    let example = "a query such as \"select … from … where customer_id = {customer.id}\"";
    let query = table.need_text("query", example);
    let query = query.zip(database.as_ref()).and_then(|(text, database)| {
        let query = Query::new(&text, database.dialect(), about.gives);
        query.map_err(|what| table.note("query", format!("`query` cannot be used: {what}"))).ok()
    });
    let search = sought::read(table, &about, |text| match &database {
        Some(database) => Query::search(text, database.dialect()).map(Some),
        // It has been told what is wrong with the address.
        None => Ok(None),
    });
    let mapping = super::mapping(table, about.gives, |column| Ok(column.to_owned()));
    let (query, needs) = query?;
    let search = search?.flatten();
    let columns = Columns { gives: about.gives, mapping: mapping?, named };
    let built = Sql::new(about, &database?, password.as_ref(), query, columns);
    let built = built.map_err(|what| table.note("sql", what)).ok()?;
    Some((Sql { search, ..built }, needs))
}

fn database(table: &mut Section<'_>) -> Result<Database, String> {
    const EXAMPLE: &str = "write postgres://user@host/database, mysql://user@host/database or sqlite:file.db";
    let text = table.text("sql").ok_or(EXAMPLE)?;
    if let Some(file) = text.strip_prefix("sqlite:") {
        let file = Path::new(file.strip_prefix("//").unwrap_or(file));
        // The whole text was joined to the folder of the configuration; its file belongs there instead.
        let joined = table.path("sql").unwrap_or_default();
        let folder = joined.ancestors().nth(Path::new(&text).components().count());
        let file = folder.unwrap_or(Path::new("")).join(file);
        return match file.is_file() {
            true => Ok(Database::Sqlite(file)),
            false => Err(format!("there is no database file {}", file.display())),
        };
    }
    let url = Url::parse(&text).map_err(|_| format!("`sql` is not an address: {EXAMPLE}"))?;
    let database = match url.scheme() {
        "postgres" | "postgresql" => Database::Postgres(text),
        // MariaDB is asked in MySQL's words; sqlx knows it by either name.
        "mysql" | "mariadb" => Database::MySql(text),
        _ => return Err(format!("`sql` is of an unknown kind: {EXAMPLE}")),
    };
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        return Err("do not write the password here: use `password_env` or `password_file`".to_owned());
    }
    Ok(database)
}

impl Database {
    /// How parameters are written there.
    pub fn dialect(&self) -> Dialect {
        match self {
            Database::Postgres(_) => Dialect::Postgres,
            Database::MySql(_) => Dialect::MySql,
            Database::Sqlite(_) => Dialect::Sqlite,
        }
    }
}

impl Sql {
    /// A source that asks `database`. The error is a sentence about the address.
    pub fn new(
        about: About,
        database: &Database,
        password: Option<&Secret>,
        query: Query,
        columns: Columns,
    ) -> Result<Self, String> {
        const WRONG: &str = "this address of a database cannot be understood";
        let pool = match database {
            Database::Postgres(url) => {
                let mut options: PgConnectOptions = url.parse().map_err(|_| WRONG.to_owned())?;
                if let Some(password) = password {
                    options = options.password(&password.0);
                }
                let limit_ms = give_up(about.deadline).as_millis().to_string();
                let options = options
                    .application_name("pinkas-hub")
                    .options([("default_transaction_read_only", "on"), ("statement_timeout", &limit_ms)])
                    .disable_statement_logging();
                Pool::Postgres(Lazy::new(options))
            }
            Database::MySql(url) => {
                let mut options: MySqlConnectOptions = url.parse().map_err(|_| WRONG.to_owned())?;
                if let Some(password) = password {
                    options = options.password(&password.0);
                }
                let mut lazy = Lazy::new(options.disable_statement_logging());
                let (limit, most) = (give_up(about.deadline), fields::most_rows(about.gives));
                lazy.settings = lazy.settings.after_connect(move |connection, _| {
                    Box::pin(sql_mysql::prepare(connection, limit, most))
                });
                Pool::MySql(lazy)
            }
            Database::Sqlite(file) => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .read_only(true)
                    .create_if_missing(false)
                    .busy_timeout(about.deadline)
                    .disable_statement_logging();
                Pool::Sqlite(Lazy::new(options))
            }
        };
        Ok(Sql { about, pool, query, search: None, columns })
    }

    async fn answered(&self, query: &Query, question: &Question) -> Result<Answer, Failure> {
        match self.rows(query, &query.values(question)?).await? {
            Some(rows) => fields::answer(&self.about.asked(), &rows),
            None => Ok(Answer::Nothing),
        }
    }

    async fn rows(
        &self,
        query: &Query,
        values: &[Option<Cow<'_, str>>],
    ) -> Result<Option<Vec<Row>>, Failure> {
        let most = fields::most_rows(self.about.gives);
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let values = values.as_slice();
        // One body for both drivers: their types differ, the steps do not.
        macro_rules! rows {
            ($connection:expr, $arguments:path, $cut:expr) => {{
                let sql = AssertSqlSafe(query.sql()).into_sql_str();
                let mut statement = $connection.prepare(sql).await?;
                let Some(arguments) = $arguments(&statement, values, query.asks()) else {
                    return Ok(Ok(None));
                };
                if let Some(cut) = $cut(&statement) {
                    statement = $connection.prepare(AssertSqlSafe(cut).into_sql_str()).await?;
                }
                let mut answers = statement.query_with(arguments).fetch(&mut *$connection);
                let mut rows = Vec::new();
                while rows.len() < most
                    && let Some(row) = answers.try_next().await?
                {
                    match self.columns.row(&row) {
                        Ok(row) => rows.push(row),
                        Err(failure) => return Ok(Err(failure)),
                    }
                }
                Ok(Ok(Some(rows)))
            }};
        }
        let postgres = async |pool: &PgPool| {
            let mut connection = pool.acquire().await?;
            rows!(connection, sql_values::postgres_arguments, |statement: &PgStatement| {
                let columns =
                    statement.columns().iter().map(|column| (column.name(), column.type_info().name()));
                let cuts = query.reads() && columns.len() > 0;
                cuts.then(|| sql_bound::bounded(&query.sql(), columns, most))
            })
        };
        let mysql = async |pool: &MySqlPool| {
            let mut connection = pool.acquire().await?;
            rows!(connection, sql_mysql::arguments, |_| None::<Arc<str>>)
        };
        let sqlite = async |pool: &SqlitePool| {
            let mut connection = pool.acquire().await?;
            // A server stops a query at its `statement_timeout`. SQLite is told to stop as soon as nobody
            // waits for this answer, else a few such queries would keep all connections for good.
            let wanted = Arc::new(());
            let watch = Arc::downgrade(&wanted);
            let mut handle = connection.lock_handle().await?;
            handle.set_progress_handler(STEPS, move || watch.strong_count() > 0);
            drop(handle);
            rows!(connection, sql_values::sqlite_arguments, |_| None::<Arc<str>>)
        };
        let read: Result<Result<_, Failure>, sqlx::Error> = match &self.pool {
            Pool::Postgres(lazy) => postgres(lazy.pool()).await,
            Pool::MySql(lazy) => mysql(lazy.pool()).await,
            Pool::Sqlite(lazy) => sqlite(lazy.pool()).await,
        };
        read.map_err(|error| failure(&error, self.dialect()))?
    }

    fn dialect(&self) -> Dialect {
        match self.pool {
            Pool::Postgres(_) => Dialect::Postgres,
            Pool::MySql(_) => Dialect::MySql,
            Pool::Sqlite(_) => Dialect::Sqlite,
        }
    }
}

/// A database's own message may quote a parameter; its code says enough.
fn failure(error: &sqlx::Error, dialect: Dialect) -> Failure {
    use sqlx::Error::*;
    match error {
        Database(error) => {
            let code = error.code().unwrap_or_default();
            match dialect {
                Dialect::Postgres => sql_values::postgres_failure(&code),
                Dialect::MySql => {
                    let number =
                        error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number);
                    sql_mysql::failure(number.unwrap_or_default())
                }
                Dialect::Sqlite => sql_values::sqlite_failure(&code, error.message()),
            }
        }
        Io(_) | Tls(_) | Protocol(_) | PoolTimedOut | PoolClosed | WorkerCrashed => Failure::Unreachable,
        _ => Failure::NotUnderstood { what: "the database's answer".to_owned() },
    }
}

impl Source for Sql {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.answered(&self.query, question))
    }

    fn places(&self) -> Option<Vec<Place>> {
        Some(self.query.places().to_vec())
    }

    fn searchable(&self) -> Searchable {
        Searchable::asked_if(&self.search)
    }

    fn search<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
        Box::pin(async move {
            let question = self.search.as_ref().zip(sought::question(text, &self.about.plan));
            let Some((query, question)) = question else { return Ok(Vec::new()) };
            sought::found(&question, self.answered(query, &question).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Connection;

    use crate::sources::testing::{HOSTILE, configured, line, question};

    async fn database(dir: &Path) {
        let options = SqliteConnectOptions::new().filename(dir.join("sales.db")).create_if_missing(true);
        let mut connection = options.connect().await.expect("a new database");
        let sql = "create table sales (customer_id integer, sold_on text, product text, quantity real, amount, currency text);
             insert into sales values (1001, '2026-11-20', 'flour', 2, 80.5, 'ils'), (1001, null, 'salt', 0.5, '7.10', '');
             insert into sales values (1002, '2026-11-21', 'sugar', 1, x'00ff', 'ILS');
             create table numbers (number text, id text, name text);
             insert into numbers values ('+972501234567', '007', 'Levi'), ('+972501234567', '', 'Nobody')";
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("filled");
        connection.close().await.expect("closed");
    }

    fn source(dir: &Path, gives: &str, query: &str) -> Result<Arc<dyn Source>, String> {
        let text = format!(
            "[[source]]\nname = \"sales\"\ngives = \"{gives}\"\nsql = \"sqlite:sales.db\"\nquery = '''{query}'''"
        );
        configured(dir, &text)
    }

    async fn asked(dir: &Path, gives: &str, query: &str, key: &str) -> String {
        let source = source(dir, gives, query).expect("a right configuration");
        line(source.ask(&question(key)).await)
    }

    const SALES: &str = "select * from sales where customer_id = {customer.id} order by sold_on desc";

    #[tokio::test]
    async fn rows_are_read_by_the_names_of_their_columns() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        database(dir.path()).await;
        let sales = asked(dir.path(), "purchases", SALES, "1001").await;
        assert_eq!(sales, "2026-11-20 2 flour 80.5 ILS; 0.5 salt 7.10 ?;");
        assert_eq!(asked(dir.path(), "purchases", SALES, "9").await, "nothing");
        let sum =
            "select sum(quantity) as balance, 'ILS' as currency from sales where customer_id = {customer.id}";
        assert_eq!(asked(dir.path(), "balance", sum, "1001").await, "2.5 ILS");
        assert_eq!(asked(dir.path(), "balance", sum, "9").await, "nothing");
        let who = "select * from numbers where number = {number}";
        assert_eq!(asked(dir.path(), "customer", who, "9").await, "007=Levi;");
    }

    #[tokio::test]
    async fn hostile_values_are_bound_and_leave_the_table_there() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        database(dir.path()).await;
        for key in HOSTILE {
            assert_eq!(asked(dir.path(), "purchases", SALES, key).await, "nothing", "for {key}");
            let echo = "select {customer.id} as product";
            assert_eq!(asked(dir.path(), "purchases", echo, key).await, format!("  {key} ;"));
        }
        assert!(asked(dir.path(), "purchases", SALES, "1001").await.contains("flour"));
    }

    #[tokio::test]
    async fn a_source_cannot_write_even_when_its_query_says_so() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        database(dir.path()).await;
        for write in [
            "delete from sales where customer_id = {customer.id}",
            "update sales set product = {customer.id}",
        ] {
            let said = asked(dir.path(), "purchases", write, "1001").await;
            assert_eq!(said, "refused: the query tries to write (SQLite 8)");
        }
        assert!(asked(dir.path(), "purchases", SALES, "1001").await.contains("flour"));
    }

    #[tokio::test]
    async fn a_wrong_query_is_refused_in_words_without_data() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        database(dir.path()).await;
        let wrong = "select * from sale where customer_id = {customer.id}";
        let said = asked(dir.path(), "purchases", wrong, "1001").await;
        assert_eq!(said, "refused: no such table: sale (SQLite 1)");
        assert_eq!(
            asked(dir.path(), "balance", SALES, "1001").await,
            "answer not understood: field balance: missing"
        );
        assert_eq!(
            asked(dir.path(), "purchases", SALES, "1002").await,
            "answer not understood: field amount: not a number"
        );
    }

    #[tokio::test]
    async fn only_as_many_rows_as_a_card_holds_are_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        database(dir.path()).await;
        let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select 'x' as product, {customer.id} from n";
        let said = asked(dir.path(), "purchases", endless, "1001").await;
        assert_eq!(said.matches('x').count(), 20);
    }

    #[tokio::test]
    async fn a_query_that_nobody_waits_for_is_stopped_and_gives_its_connection_back() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        database(dir.path()).await;
        let counts = "with recursive n(i) as
             (select 1 union all select i + 1 from n where i < 3 or {customer.id} = 'endless')
             select count(*) as product from n";
        let source = source(dir.path(), "purchases", counts).expect("a right configuration");
        for _ in 0..2 * CONNECTIONS {
            let asked = question("endless");
            let answer = tokio::time::timeout(Duration::from_millis(20), source.ask(&asked)).await;
            assert!(answer.is_err(), "it ends only when it is dropped");
        }
        assert_eq!(line(source.ask(&question("1001")).await), "  3 ;");
    }

    #[tokio::test]
    async fn a_server_that_is_down_cannot_be_reached_and_does_not_stop_the_start() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // It hears, and hangs up on whoever calls.
        let hangs_up =
            std::thread::Builder::new().name("server".to_owned()).spawn(move || listener.accept().map(drop));
        let text = format!(
            "[[source]]\nname = \"s\"\ngives = \"purchases\"\nsql = \"postgres://reader@127.0.0.1:{port}/sales\"\nquery = \"{SALES}\""
        );
        let source = configured(Path::new(""), &text).expect("a right configuration");
        assert_eq!(line(source.ask(&question("1001")).await), "cannot be reached");
        assert!(hangs_up.is_ok());
    }

    #[tokio::test]
    async fn mistakes_in_the_configuration_are_told_with_their_lines() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        database(dir.path()).await;
        let wrong = |gives: &str, query: &str| source(dir.path(), gives, query).err().unwrap_or_default();
        assert!(
            wrong("balance", "select '{customer.id}'")
                .starts_with("5: `query` cannot be used: {customer.id} stands inside quotes")
        );
        assert!(wrong("balance", "select {customer.name}").contains("{customer.name} is not known"));
        assert!(wrong("balance", "select 1").contains("every customer would get the same answer"));
        assert!(wrong("customer", "select {customer.id}").contains("use {number}"));
        assert!(wrong("balance", "select 1 -- {number}").contains("inside quotes or a comment"));
        let start = "[[source]]\nname = \"s\"\ngives = \"balance\"\n";
        let mistakes =
            |more: &str| configured(dir.path(), &format!("{start}{more}")).err().unwrap_or_default();
        let said = mistakes("sql = \"postgres://me:s3cret@db/x\"");
        assert!(said.contains("4: do not write the password here"), "{said}");
        assert!(said.contains("1: `query` is missing"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
        assert!(mistakes("sql = \"sqlite:gone.db\"").contains("there is no database file"));
        assert!(mistakes("sql = \"oracle://db/x\"").contains("of an unknown kind"));
    }
}
