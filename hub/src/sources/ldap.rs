//! A source that is a directory of people spoken to in LDAP, such as Active Directory or OpenLDAP. What
//! the question brings is a value of the filter, whatever it holds; only the attributes that the
//! configuration names are asked for, and no more entries than a card can show.

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use ldap3_proto::proto::{LdapDerefAliases, LdapSearchRequest, LdapSearchResultEntry, LdapSearchScope};
use pinkas_config::Section;
use pinkas_protocol::card::MOST_NUMBERS;
use pinkas_protocol::{Customer, Failure};
use url::Url;

use super::cell::{Cell, LONGEST_CELL};
use super::fields::{self, Field, Row};
use super::ldap_filter::Filter;
use super::ldap_link::{self, Broken, Link, Server};
use super::template::Place;
use super::{About, Answer, Needs, Question, Searchable, Source, give_up, sought};

/// The keys of this kind of source.
pub const KEYS: &[&str] = &[
    "ldap",
    "bind",
    "password_env",
    "password_file",
    "ca_file",
    "base",
    "scope",
    "filter",
    "search",
    "fields",
];

/// The most connections that are kept for the next question.
const KEPT: usize = 4;

/// A directory.
pub struct Ldap {
    about: About,
    server: Server,
    base: String,
    scope: LdapSearchScope,
    filter: Filter,
    /// Finds customers for an agent.
    search: Option<Filter>,
    /// The attributes each field is in; only numbers may be in several.
    fields: Vec<(Field, Vec<String>)>,
    named: Vec<String>,
    kept: Mutex<Vec<Link>>,
}

/// Reads the keys of this kind, noting every mistake; `named` are the attributes of what has names of its own.
pub fn read(table: &mut Section<'_>, about: About, named: Vec<String>) -> Option<(Ldap, Needs)> {
    let server = server(table);
    let base = table.need_text("base", "where people are, such as \"ou=people,dc=firm,dc=example\"");
    let scope = match table.text("scope").as_deref() {
        None | Some("sub") => Some(LdapSearchScope::Subtree),
        Some("one") => Some(LdapSearchScope::OneLevel),
        Some("base") => Some(LdapSearchScope::Base),
        Some(_) => {
            table.note(
                "scope",
                "`scope` must be \"sub\" (all below the base), \"one\" (right below it) or \"base\"",
            );
            None
        }
    };
    let filter = table.need_text("filter", "a filter such as \"(telephoneNumber={number})\"");
    let filter = filter.and_then(|text| {
        let read = Filter::new(&text, about.gives);
        read.map_err(|what| table.note("filter", format!("`filter` cannot be used: {what}"))).ok()
    });
    let search = sought::read(table, &about, Filter::search);
    let mapping = super::mapping(table, about.gives, |text| Ok(text.to_owned()))?;
    let mapped = |field: &Field| mapping.iter().any(|(mapped, _)| mapped == field);
    let missing = Field::needed(about.gives).iter().find(|field| !mapped(field));
    if (missing.is_some() || mapping.is_empty()) && !about.has_own_rows() {
        let example = missing.map_or("note", |field| field.word());
        let what =
            format!("[source.fields] does not say which attribute `{example}` is: write {example} = \"…\"");
        table.note("fields", what);
        return None;
    }
    let attributes = |(field, text): (Field, String)| match field {
        Field::Numbers => (field, text.split(',').map(|name| name.trim().to_owned()).collect()),
        _ => (field, vec![text]),
    };
    let (filter, needs) = filter?;
    let ldap = Ldap {
        server: server?,
        base: base?,
        scope: scope?,
        filter,
        search: search?,
        fields: mapping.into_iter().map(attributes).collect(),
        named,
        kept: Mutex::default(),
        about,
    };
    Some((ldap, needs))
}

fn server(table: &mut Section<'_>) -> Option<Server> {
    const EXAMPLE: &str = "write ldaps://directory.example or ldap://directory.example:389";
    let url = table.text("ldap").and_then(|text| {
        let url = Url::parse(&text).ok().filter(|url| {
            let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
            bare && url.host_str().is_some_and(|host| !host.is_empty())
                && matches!(url.scheme(), "ldap" | "ldaps")
        });
        if url.is_none() {
            table.note("ldap", format!("`ldap` must be a server and nothing else: {EXAMPLE}"));
        }
        url
    });
    let safe = url.as_ref().is_some_and(|url| url.scheme() == "ldaps");
    let ca_file = table.path("ca_file");
    if ca_file.is_some() && url.is_some() && !safe {
        table.note("ca_file", "`ca_file` is for ldaps:// addresses");
        return None;
    }
    let tls = match safe {
        true => match ldap_link::tls(ca_file.as_ref()) {
            Ok(tls) => Some(Some(tls)),
            Err(what) => {
                table.note("ca_file", what);
                None
            }
        },
        false => Some(None),
    };
    let bind = table.text("bind");
    let password = table.secret("password");
    let has_password = table.has("password_env") || table.has("password_file");
    let login = match (bind, password) {
        (Some(bind), Some(password)) => Some(Some((bind, password))),
        (None, None) if !has_password => Some(None),
        (Some(_), None) if !has_password => {
            table.note("bind", "`bind` needs `password_env` or `password_file`");
            None
        }
        (None, Some(_)) => {
            table.note("ldap", "a password needs `bind`: the distinguished name it belongs to");
            None
        }
        _ => None,
    };
    let url = url?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port().unwrap_or(if safe { 636 } else { 389 });
    Some(Server { host, port, tls: tls?, login: login? })
}

impl Ldap {
    async fn answered(&self, filter: &Filter, question: &Question) -> Result<Answer, Failure> {
        let rows = self.rows(filter, question).await?;
        fields::answer(&self.about.asked(), &rows)
    }

    async fn rows(&self, filter: &Filter, question: &Question) -> Result<Vec<Row>, Failure> {
        let most = fields::most_rows(self.about.gives);
        let seconds = give_up(self.about.deadline).as_secs();
        let mut attrs: Vec<String> = self.fields.iter().flat_map(|(_, names)| names.clone()).collect();
        attrs.extend(self.named.iter().cloned());
        let request = LdapSearchRequest {
            base: self.base.clone(),
            scope: self.scope.clone(),
            aliases: LdapDerefAliases::Never,
            sizelimit: i32::try_from(most).unwrap_or(i32::MAX),
            timelimit: i32::try_from(seconds).unwrap_or(i32::MAX),
            typesonly: false,
            filter: filter.for_question(question)?,
            attrs,
        };
        // One that was kept may have been closed by the server meanwhile; then a new one is made.
        if let Some(link) = self.kept(Vec::pop) {
            match self.search(link, &request, most).await {
                Err(Broken::Connection) => {}
                done => return done.map_err(failure),
            }
        }
        let link = self.server.connect().await.map_err(failure)?;
        self.search(link, &request, most).await.map_err(failure)
    }

    async fn search(
        &self,
        mut link: Link,
        request: &LdapSearchRequest,
        most: usize,
    ) -> Result<Vec<Row>, Broken> {
        let mut rows = Vec::new();
        let again = link.search(request.clone(), most, |entry| rows.push(self.row(&entry))).await?;
        if again {
            self.kept(|kept| {
                if kept.len() < KEPT {
                    kept.push(link);
                }
            });
        }
        Ok(rows)
    }

    fn kept<T>(&self, with: impl FnOnce(&mut Vec<Link>) -> T) -> T {
        with(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn row(&self, entry: &LdapSearchResultEntry) -> Row {
        let cell = |(field, names): &(Field, Vec<String>)| {
            let cell = match field {
                Field::Numbers => {
                    let values = names.iter().flat_map(|name| values(entry, name));
                    let texts = values.filter_map(|value| std::str::from_utf8(value).ok());
                    Cell::of_text(&texts.take(MOST_NUMBERS).collect::<Vec<_>>().join(";"))
                }
                _ => names.first().map_or(Cell::Null, |name| first(entry, name)),
            };
            (*field, cell)
        };
        Row {
            cells: self.fields.iter().map(cell).collect(),
            named: self.named.iter().map(|name| first(entry, name)).collect(),
        }
    }
}

fn failure(broken: Broken) -> Failure {
    match broken {
        Broken::Connection => Failure::Unreachable,
        Broken::Said(failure) => failure,
    }
}

/// All values of an attribute; RFC 4512 section 2.5: names do not differ by case.
fn values<'a>(entry: &'a LdapSearchResultEntry, name: &str) -> &'a [Vec<u8>] {
    let found = entry.attributes.iter().find(|attribute| attribute.atype.eq_ignore_ascii_case(name));
    found.map_or(&[], |attribute| attribute.vals.as_slice())
}

/// The first value of an attribute. A directory leaves out attributes that have none, so one that is
/// written wrongly looks the same as one that is empty.
fn first(entry: &LdapSearchResultEntry, name: &str) -> Cell {
    if name.eq_ignore_ascii_case("dn") {
        return Cell::of_text(&entry.dn);
    }
    let Some(value) = values(entry, name).first() else { return Cell::Null };
    let value = value.get(..value.len().min(LONGEST_CELL)).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(value) else { return Cell::Odd };
    generalized_time(text).map_or_else(|| Cell::of_text(text), Cell::Time)
}

/// RFC 4517 section 3.3.13, of which directories write `20261122100000Z`, with or without a fraction.
fn generalized_time(text: &str) -> Option<jiff::Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if whole.len() != 14 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", whole).ok()?;
    jiff::tz::TimeZone::UTC.to_timestamp(time).ok()
}

impl Source for Ldap {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(self.answered(&self.filter, question))
    }

    fn places(&self) -> Option<Vec<Place>> {
        Some(self.filter.places().to_vec())
    }

    fn searchable(&self) -> Searchable {
        Searchable::asked_if(&self.search)
    }

    fn search<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
        Box::pin(async move {
            let question = self.search.as_ref().zip(sought::question(text, &self.about.plan));
            let Some((filter, question)) = question else { return Ok(Vec::new()) };
            sought::found(&question, self.answered(filter, &question).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::sources::testing::configured;

    #[tokio::test]
    async fn mistakes_in_the_configuration_are_told_with_their_lines() {
        let start = "[[source]]\nname = \"people\"\ngives = \"customer\"\n";
        let mistakes =
            |more: &str| configured(Path::new(""), &format!("{start}{more}")).err().unwrap_or_default();
        let told = mistakes(
            "ldap = \"http://x\"\nbind = \"cn=hub\"\nscope = \"all\"\nfilter = \"x\"\n[source.fields]\nid = \"uid\"\n",
        );
        for expected in [
            "4: `ldap` must be a server and nothing else",
            "5: `bind` needs `password_env` or `password_file`",
            "6: `scope` must be",
            "7: `filter` cannot be used: it is not a filter",
            "1: `base` is missing",
            "8: [source.fields] does not say which attribute `name` is",
        ] {
            assert!(told.contains(expected), "{expected} is not in\n{told}");
        }
        for address in ["ldap://u@x", "ldap://x/dc=y", "ldap://", "x"] {
            assert!(mistakes(&format!("ldap = \"{address}\"\n")).contains("must be a server"), "{address}");
        }
    }

    #[test]
    fn times_of_directories_are_read() {
        let read = |text: &str| generalized_time(text).map(|time| time.to_string());
        assert_eq!(read("20261122100000Z").as_deref(), Some("2026-11-22T10:00:00Z"));
        assert_eq!(read("20261122100000.0Z").as_deref(), Some("2026-11-22T10:00:00Z"));
        for none in ["20261322100000Z", "2026112210Z", "20261122100000", "x"] {
            assert_eq!(read(none), None);
        }
    }
}
