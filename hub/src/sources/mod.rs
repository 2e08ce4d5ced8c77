//! Where the hub looks things up: the shape every source has, and reading `[[source]]` tables.
//! One file per kind (`http`, `sql`, `ldap`, `csv`; `sample` is there to copy). They share `template` (where
//! a question's values go), `cell` and `fields` (what an answer must look like), `sought` (whom an agent looks for)
//! and `asking` (deadlines, with `breaker`, `flights`, `fresh`, `bounds`, `searching`, and `showing` for cards).
//! A source is never trusted: it may be slow, hung, huge or wrong, and may only ever cost its own card.

pub mod sample;

pub mod csv;
pub mod http;
pub mod ldap;
pub mod sql;

pub mod asking;
pub mod bounds;
pub mod breaker;
pub mod cell;
pub mod fields;
pub mod figures;
pub mod same;
pub mod showing;
pub mod sought;
pub mod sql_query;
pub mod template;

mod address;
mod csv_table;
mod flights;
mod fresh;
mod http_auth;
mod http_body;
mod http_request;
mod json;
mod ldap_filter;
mod ldap_link;
mod searching;
mod sql_bound;
mod sql_mysql;
mod sql_values;

#[cfg(test)]
pub(crate) mod testing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use pinkas_config::Section;
use pinkas_protocol::card::{MOST_KEYS, MOST_ROWS};
use pinkas_protocol::text::{LONGEST, plain};
use pinkas_protocol::{Customer, Facts, Failure, Gives, Number, NumberPlan, Private, SourceName, TagName};
use sha2::{Digest, Sha256};

use self::bounds::Bounds;
use self::fields::{Field, Named};
use self::sought::Sought;
use self::template::Place;
use crate::core::CardPlace;
use crate::identify::Search;

/// What a source is asked: by number for a directory, by customer for everything else, or whom an agent looks for.
#[derive(Clone, Default)]
pub struct Question {
    /// The caller's number, as claimed.
    pub number: Option<Number>,
    /// The customer, as a directory said.
    pub customer: Option<Customer>,
    /// What the phone system says of the call besides, such as a customer number that was keyed in.
    pub tags: BTreeMap<TagName, Private<String>>,
    /// Whom an agent looks for; then there is nothing else.
    pub sought: Option<Sought>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Question(…)")
    }
}

/// What a source said.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// Everyone the directory has on that number, in its order; empty when the number is unknown.
    Customers(Vec<Customer>),
    /// What is known about the customer.
    Facts {
        /// See [`Facts`].
        facts: Facts,
        /// When it was true, where the source itself says so.
        as_of: Option<Timestamp>,
    },
    /// It holds nothing on this customer.
    Nothing,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Answer::Customers(_) => "Customers(…)",
            Answer::Facts { .. } => "Facts(…)",
            Answer::Nothing => "Nothing",
        })
    }
}

/// A place to look things up. See `sample.rs` for the smallest one.
pub trait Source: Send + Sync + 'static {
    /// Answers one question. It is dropped when nobody waits for it any more, and may be called many
    /// times at once; deadlines and the bound on that are the caller's.
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>>;

    /// All that it puts into what it asks: questions that bring the same for these are one to it. `None`: anything
    /// that a question holds may matter.
    fn places(&self) -> Option<Vec<Place>> {
        None
    }

    /// Finds customers by something else than a question's number, each with what ties it to the call. Only a
    /// directory that holds all of them in memory can; it is called where taking its time delays nobody.
    fn find(&self, _search: &Search) -> Vec<Customer> {
        Vec::new()
    }

    /// Whether agents can look for a customer in it.
    fn searchable(&self) -> Searchable {
        Searchable::No
    }

    /// Finds customers for an agent, each with how well it fits ([`crate::identify::fits`]). Called, dropped and
    /// bounded as [`Source::ask`] is.
    fn search<'a>(&'a self, _text: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}

/// Whether agents can look for a customer in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searchable {
    /// No.
    No,
    /// Yes: its customers are in memory.
    InMemory,
    /// Yes: it is asked the question that the configuration has for it.
    Asked,
}

impl Searchable {
    fn asked_if<T>(search: &Option<T>) -> Searchable {
        if search.is_some() { Searchable::Asked } else { Searchable::No }
    }
}

/// A source with what the configuration says about it.
#[derive(Clone)]
pub struct ConfiguredSource {
    /// What the card is called.
    pub name: SourceName,
    /// What it gives.
    pub gives: Gives,
    /// What has to be known before it can be asked.
    pub needs: Needs,
    /// The card's title, where the configuration gives it one of its own.
    pub title: Option<String>,
    /// After this long its card says that it is late.
    pub deadline: Duration,
    /// How much is asked of it, and how long its answers serve.
    pub bounds: Bounds,
    /// Another one when the configuration says something else of it: figures from before are then not shown.
    pub print: u64,
    /// Whom to ask.
    pub source: Arc<dyn Source>,
}

impl ConfiguredSource {
    /// A source of which the configuration says no more than this: a directory needs the call, everything
    /// else the customer.
    pub fn new(name: SourceName, gives: Gives, deadline: Duration, source: Arc<dyn Source>) -> Self {
        let needs = if gives == Gives::Customer { Needs::Call } else { Needs::Customer };
        let bounds = Bounds::default();
        ConfiguredSource { name, gives, needs, title: None, deadline, bounds, print: 0, source }
    }

    /// Its place among the cards of a call.
    pub fn place(&self) -> CardPlace {
        let (source, gives, needs) = (self.name.clone(), self.gives, self.needs);
        CardPlace { source, gives, title: self.title.clone(), needs }
    }
}

/// What has to be known before a source can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Only what the call itself brings: number and tags.
    Call,
    /// Also who the customer is.
    Customer,
}

/// A deadline, unless the configuration says otherwise.
pub const DEADLINE: Duration = Duration::from_millis(800);

/// How long after its asking a late answer is still taken.
pub fn give_up(deadline: Duration) -> Duration {
    (deadline * 10).max(Duration::from_secs(10))
}

/// Reads all `[[source]]` tables and notes every mistake; what is returned is usable only when there was
/// none. Opens files (`csv`), but no connection: the hub starts whether its sources are up or not.
pub fn read(section: &mut Section<'_>, plan: &NumberPlan) -> Vec<ConfiguredSource> {
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    let keep_last = bounds::read_keep_last(section).unwrap_or(Some(bounds::KEEP_LAST));
    for mut table in section.tables("source") {
        let name: Option<SourceName> = table.need_parsed("name", "a short name such as \"accounting\"");
        if let Some(name) = &name
            && !names.insert(name.clone())
        {
            table.note("name", format!("another source is called {name} too: give each its own name"));
        }
        if let Some(source) = one(&mut table, name, plan, keep_last) {
            sources.push(source);
        }
    }
    sources
}

/// The keys that say where a source is, one of which each source has.
const KINDS: [&str; 4] = ["http", "sql", "ldap", "csv"];

fn one(
    table: &mut Section<'_>,
    name: Option<SourceName>,
    plan: &NumberPlan,
    keep_last: Option<Duration>,
) -> Option<ConfiguredSource> {
    let gives = gives(table);
    let deadline = table.duration("deadline").unwrap_or(DEADLINE);
    let bounds = Bounds::read(table, gives, keep_last);
    let currency = currency(table);
    let title = title(table);
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| table.has(kind)).collect();
    let kind = match kinds[..] {
        [kind] => kind,
        [] => {
            table.note("name", "this source does not say where it is: write `http`, `sql`, `ldap` or `csv`");
            return known_elsewhere(table);
        }
        [_, second, ..] => {
            table.note(second, "a source is one of `http`, `sql`, `ldap` and `csv`: make two sources of it");
            return known_elsewhere(table);
        }
    };
    sought::search_fits(table, gives, kind);
    // Which fields there are depends on what it gives: without that the rest could only be guessed at.
    let Some(gives) = gives else { return known_elsewhere(table) };
    // A missing name has been noted; the rest is read all the same, for its own mistakes.
    let named = name.clone().or_else(|| SourceName::parse(kind).ok())?;
    let (names, places) = names(table, gives);
    let shape = format!("{gives:?} {currency:?} {names:?} {places:?}");
    let about = About { name: named, gives, currency, deadline, plan: plan.clone(), named: names };
    let (source, needs): (Arc<dyn Source>, Needs) = match kind {
        "http" => shared(http::read(table, about, &places)?),
        "sql" => shared(sql::read(table, about, places)?),
        "ldap" => shared(ldap::read(table, about, places)?),
        _ => shared(csv::read(table, about, places)?),
    };
    // It has been read without a mistake.
    let print = print(kind, table.text(kind).as_deref(), &shape);
    Some(ConfiguredSource { name: name?, gives, needs, title, deadline, bounds, print, source })
}

/// Stands for where the source is and what it gives: what it gave before must not be shown as this.
fn print(kind: &str, place: Option<&str>, shape: &str) -> u64 {
    let hash = Sha256::digest(format!("{kind} {place:?} {shape}"));
    hash.iter().take(8).fold(0, |print, byte| print << 8 | u64::from(*byte))
}

fn shared<S: Source>((source, needs): (S, Needs)) -> (Arc<dyn Source>, Needs) {
    (Arc::new(source), needs)
}

/// What every kind of source is told about itself.
#[derive(Debug, Clone)]
pub struct About {
    /// What it is called.
    pub name: SourceName,
    /// What it gives.
    pub gives: Gives,
    /// The currency of amounts that come without one.
    pub currency: Option<String>,
    /// After this long its card says that it is late.
    pub deadline: Duration,
    /// How phone numbers are read.
    pub plan: NumberPlan,
    /// What the configuration gave names of its own.
    pub named: Named,
}

impl About {
    /// What answers are made with.
    pub fn asked(&self) -> fields::Asked<'_> {
        fields::Asked {
            gives: self.gives,
            source: &self.name,
            currency: self.currency.as_deref(),
            plan: &self.plan,
            named: &self.named,
        }
    }

    /// Whether the rows of the card are those that the configuration names.
    pub fn has_own_rows(&self) -> bool {
        matches!(&self.named, Named::Rows(labels) if !labels.is_empty())
    }
}

fn gives(table: &mut Section<'_>) -> Option<Gives> {
    let word = table.need_text(
        "gives",
        "one of \"customer\", \"balance\", \"credit\", \"purchases\", \"notes\", \"custom\"",
    )?;
    let gives = match word.as_str() {
        "customer" => Gives::Customer,
        "balance" => Gives::Balance,
        "credit" => Gives::Credit,
        "purchases" => Gives::Purchases,
        "notes" => Gives::Notes,
        "custom" => Gives::Custom,
        _ => {
            table.note("gives", "`gives` must be \"customer\", \"balance\", \"credit\", \"purchases\", \"notes\" or \"custom\"");
            return None;
        }
    };
    Some(gives)
}

fn title(table: &mut Section<'_>) -> Option<String> {
    let written = table.text("title")?;
    let title = plain(&written, LONGEST);
    if title.is_none() {
        table.note("title", "`title` must be a few words that can be read");
    }
    title
}

/// Reads `[source.keys]` of a directory or `[source.show]` of a card of the company's own: the names, and
/// for each the column or path it is at.
fn names(table: &mut Section<'_>, gives: Gives) -> (Named, Vec<String>) {
    match gives {
        Gives::Customer => {
            let mut keys = table.table("keys");
            let entries = keys.entries();
            if entries.len() > MOST_KEYS {
                keys.note("", format!("a customer can have {MOST_KEYS} keys: remove some"));
            }
            let mut read = Vec::new();
            for (written, place) in entries.into_iter().take(MOST_KEYS) {
                // What cannot be written in a place could never be asked with.
                match template::pieces(
                    &format!("{{customer.{written}}}"),
                    template::Braces::Places,
                    template::Asks::Lookup,
                )
                .as_deref()
                {
                    Ok([template::Piece::Place(template::Place::CustomerKey(name))]) => {
                        read.push((name.clone(), place));
                    }
                    _ => keys.note(
                        &written,
                        "a key's name must be of letters, digits, - and _, such as tax_id; not id or name",
                    ),
                }
            }
            let (names, places) = read.into_iter().unzip();
            (Named::Keys(names), places)
        }
        Gives::Custom => {
            let mut show = table.table("show");
            let entries = show.entries();
            if entries.len() > MOST_ROWS {
                show.note("", format!("a card can have {MOST_ROWS} rows: remove some"));
            }
            let read = entries.into_iter().take(MOST_ROWS);
            let (labels, places) =
                read.map(|(label, place)| (plain(&label, LONGEST).unwrap_or_default(), place)).unzip();
            (Named::Rows(labels), places)
        }
        _ => (Named::Keys(Vec::new()), Vec::new()),
    }
}

fn currency(table: &mut Section<'_>) -> Option<String> {
    let written = table.text("currency")?;
    let currency = fields::currency(&written);
    if currency.is_none() {
        table.note("currency", "`currency` must be a code of three letters such as \"ILS\"");
    }
    currency
}

/// Names the keys of every kind, so that a source that could not be read is not also reported for keys
/// that would have been right.
fn known_elsewhere(table: &mut Section<'_>) -> Option<ConfiguredSource> {
    let kinds = [http::KEYS, http_auth::KEYS, sql::KEYS, ldap::KEYS, csv::KEYS, &["keys", "show"]];
    for key in kinds.into_iter().flatten() {
        table.has(key);
    }
    None
}

/// Reads `[source.fields]`: for each field of this kind of fact, what `read` makes of the text there.
fn mapping<T>(
    table: &mut Section<'_>,
    gives: Gives,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<(Field, T)>> {
    let mut fields = table.table("fields");
    let mut mapping = Vec::new();
    let mut complete = true;
    for field in Field::of(gives) {
        let Some(text) = fields.text(field.word()) else { continue };
        match read(&text) {
            Ok(value) => mapping.push((*field, value)),
            Err(what) => {
                fields.note(field.word(), format!("`{}`: {what}", field.word()));
                complete = false;
            }
        }
    }
    complete.then_some(mapping)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let plan = NumberPlan::default();
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("credit.csv"), "customer_id,days\n7,30\n").expect("written");
        std::fs::write(dir.path().join("sales.db"), "").expect("written");
        let file = dir.path().join("hub.toml");
        let found = match pinkas_config::parse(&file, text, |section| Some(read(section, &plan))) {
            Ok(sources) => {
                sources.iter().map(|s| format!("{} {:?} {:?}", s.name, s.gives, s.deadline)).collect()
            }
            Err(mistakes) => {
                mistakes.mistakes.iter().map(|m| format!("{}: {}", m.line, m.what)).collect::<Vec<_>>()
            }
        };
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn sources_of_every_kind_are_read_in_the_order_of_the_file() {
        check(
            r#"
[[source]]
name = "accounting"
gives = "balance"
http = "https://erp.example/api/customers/{customer.id}/balance"
deadline = "500ms"
fresh = "30s"
[source.headers]
X-Office = "7"
[source.fields]
balance = "$.data.amount"
currency = "$.data.currency"

[[source]]
name = "sales"
gives = "purchases"
sql = "sqlite:sales.db"
query = "select * from sales where customer_id = {customer.id}"

[[source]]
name = "warehouse"
gives = "purchases"
sql = "postgres://reader@db.example/sales"
query = "select * from sales where customer_id = {customer.id}"

[[source]]
name = "terms"
gives = "credit"
csv = "credit.csv"
"#,
            &[
                "accounting Balance 500ms",
                "sales Purchases 800ms",
                "warehouse Purchases 800ms",
                "terms Credit 800ms",
            ],
        );
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_source_is_told_with_its_line() {
        check(
            r#"[[source]]
name = "a"
gives = "blance"
http = "https://erp.example/{customer.id}"

[[source]]
name = "a"
gives = "balance"
http = "https://erp.example/{customer.id}"
sql = "sqlite:sales.db"

[[source]]
gives = "balance"
ldapp = "ldap://x"
"#,
            &[
                "3: `gives` must be \"customer\", \"balance\", \"credit\", \"purchases\", \"notes\" or \"custom\"",
                "7: another source is called a too: give each its own name",
                "10: a source is one of `http`, `sql`, `ldap` and `csv`: make two sources of it",
                "12: `name` is missing: write a short name such as \"accounting\"",
                "12: this source does not say where it is: write `http`, `sql`, `ldap` or `csv`",
                "14: `ldapp` is not a key here; did you mean `ldap`?",
            ],
        );
    }

    #[tokio::test]
    async fn the_guides_examples_are_right() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        std::fs::create_dir(dir.path().join("export")).expect("created");
        write("customers.csv", "number,id,name\n");
        write("export/terms.csv", "account;kredyt;termin\n");
        for secret in ["db-password", "erp-secret", "ldap-password"] {
            write(secret, "x");
        }
        write("sales.db", "");
        let guide = include_str!("../../../docs/sources.md").replace("bearer_env", "#");
        let examples: String =
            guide.split("```toml").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let file = dir.path().join("hub.toml");
        let plan = NumberPlan::default();
        match pinkas_config::parse(&file, &examples, |section| Some(read(section, &plan))) {
            Ok(sources) => assert_eq!(sources.len(), 12),
            Err(mistakes) => panic!("{mistakes}"),
        }
    }

    #[test]
    fn a_question_never_prints_what_it_holds() {
        let number = NumberPlan::default().read("+48123456789");
        let question = Question { number, ..Question::default() };
        assert_eq!(format!("{question:?}"), "Question(…)");
    }
}
