//! A source that is a CSV file: an export that someone drops beside the configuration. Held in memory and
//! read again when it changes; a broken new file changes nothing but the log.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encoding_rs::Encoding;
use futures_util::future::BoxFuture;
use pinkas_config::Section;
use pinkas_protocol::{Customer, Failure, Gives, Number};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::csv_table::{Layout, Stamp, Table};
use super::sought::Sought;
use super::template::{self, Asks, Braces, Piece, Place};
use super::{About, Answer, Needs, Question, Searchable, Source};
use crate::identify::Search;

/// The keys of this kind of source.
pub const KEYS: &[&str] = &["csv", "key", "by", "separator", "charset", "fields"];

/// A file is looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a question waits for a changed file to be read before it is answered from the old one.
const WAIT_FOR_NEW: Duration = Duration::from_millis(250);

/// How many are searched for at a time.
const SEARCHES: usize = 2;

/// A CSV file.
pub struct Csv {
    held: Arc<Held>,
}

struct Held {
    layout: Layout,
    /// For those who search it, each in a thread.
    seats: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    table: Arc<Table>,
    looked: Instant,
    /// The file as it was when it was last read, well or not: a broken one is told of once.
    tried: Stamp,
}

/// Reads the keys of this kind and the file itself, noting every mistake; `named` are the columns of what
/// has names of its own.
pub fn read(table: &mut Section<'_>, about: About, named: Vec<String>) -> Option<(Csv, Needs)> {
    let file = table.path("csv");
    let by = by(table, about.gives);
    let key = table.text("key").unwrap_or_else(|| match &by {
        Some((Place::CustomerId, _)) => "customer_id".to_owned(),
        Some((Place::CustomerKey(name) | Place::Tag(name), _)) => name.to_string(),
        _ => "number".to_owned(),
    });
    let separator = match table.text("separator").as_deref() {
        None => Some(b','),
        Some("tab" | "\\t") => Some(b'\t'),
        Some(text) if text.len() == 1 && !matches!(text, "\"" | "#") => text.bytes().next(),
        Some(_) => {
            table.note("separator", "`separator` must be one character such as \";\", or \"tab\"");
            None
        }
    };
    let charset = match table.text("charset") {
        None => Some(None),
        Some(label) => {
            let charset = Encoding::for_label(label.as_bytes());
            if charset.is_none() {
                table.note("charset", "`charset` must be a name such as \"utf-8\" or \"windows-1255\"");
            }
            charset.map(Some)
        }
    };
    let mapping = super::mapping(table, about.gives, |column| Ok(column.to_owned()));
    let (by, needs) = by?;
    let layout = Layout {
        file: file?,
        key,
        by,
        separator: separator?,
        charset: charset?,
        mapping: mapping?,
        named,
        about,
    };
    match Table::load(&layout) {
        Ok(loaded) => {
            tell_skipped(&layout, &loaded);
            Some((Csv::new(layout, loaded), needs))
        }
        Err(broken) => {
            table.note("csv", format!("{}: {broken}", layout.file.display()));
            None
        }
    }
}

/// `by`: what the key column is looked in for, and what that needs.
fn by(table: &mut Section<'_>, gives: Gives) -> Option<(Place, Needs)> {
    let text = table
        .text("by")
        .unwrap_or_else(|| if gives == Gives::Customer { "{number}" } else { "{customer.id}" }.to_owned());
    let place = match template::pieces(&text, Braces::Places, Asks::Lookup) {
        Ok(pieces) => match <[Piece; 1]>::try_from(pieces) {
            Ok([Piece::Place(place)]) => Ok(place),
            _ => Err("it must be one place and nothing else, such as \"{customer.id}\"".to_owned()),
        },
        Err(what) => Err(what),
    };
    let read = place.and_then(|place| {
        let needs = template::fitting(std::slice::from_ref(&place), gives == Gives::Customer)?;
        Ok((place, needs))
    });
    read.map_err(|what| table.note("by", format!("`by` cannot be used: {what}"))).ok()
}

impl Csv {
    fn new(layout: Layout, table: Table) -> Self {
        let state = State { looked: Instant::now(), tried: table.stamp, table: Arc::new(table) };
        Csv {
            held: Arc::new(Held {
                layout,
                seats: Arc::new(Semaphore::new(SEARCHES)),
                state: Mutex::new(state),
            }),
        }
    }
}

impl Held {
    fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table to answer from, read again when the file has changed.
    async fn table(self: &Arc<Self>) -> Arc<Table> {
        let look = self.state(|state| {
            let look = state.looked.elapsed() >= LOOK_EVERY;
            if look {
                state.looked = Instant::now();
            }
            look
        });
        if look {
            // Its own task: it ends its work even when the question that began it is given up. A large
            // file takes longer than a deadline; this call is then answered from the old one.
            let reading = tokio::spawn(self.clone().renew());
            let _ = tokio::time::timeout(WAIT_FOR_NEW, reading).await;
        }
        self.state(|state| state.table.clone())
    }

    async fn renew(self: Arc<Self>) {
        let file: &Path = &self.layout.file;
        // A file that is gone for a moment is being replaced: most programs write a new one and rename it.
        let Ok(metadata) = tokio::fs::metadata(file).await else { return };
        let stamp = Stamp::of(&metadata);
        let changed = self.state(|state| std::mem::replace(&mut state.tried, stamp) != stamp);
        if !changed {
            return;
        }
        let held = self.clone();
        match tokio::task::spawn_blocking(move || Table::load(&held.layout)).await {
            Ok(Ok(table)) => {
                tell_skipped(&self.layout, &table);
                self.state(|state| {
                    state.tried = table.stamp;
                    state.table = Arc::new(table);
                });
            }
            Ok(Err(broken)) => {
                tracing::warn!(%broken, file = %file.display(), "the new file is broken; the old one is still used");
            }
            Err(_) => {
                tracing::error!(file = %file.display(), "reading the new file stopped; the old one is still used")
            }
        }
    }
}

fn tell_skipped(layout: &Layout, table: &Table) {
    if let Some((count, line)) = table.skipped {
        tracing::warn!(count, first_line = line, file = %layout.file.display(), "rows without a usable number or key were skipped");
    }
}

impl Source for Csv {
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            let layout = &self.held.layout;
            // Both ways of writing the caller's number find it: the file's numbers are read as numbers.
            let place = match &layout.by {
                Place::National => &Place::Number,
                place => place,
            };
            let key = place.value(question)?;
            self.held.table().await.answer(&layout.about, &key)
        })
    }

    fn places(&self) -> Option<Vec<Place>> {
        Some(vec![self.held.layout.by.clone()])
    }

    fn find(&self, search: &Search) -> Vec<Customer> {
        let table = self.held.state(|state| state.table.clone());
        table.find(search)
    }

    fn searchable(&self) -> Searchable {
        match self.held.layout.about.gives {
            Gives::Customer => Searchable::InMemory,
            _ => Searchable::No,
        }
    }

    fn search<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Vec<(u8, Customer)>, Failure>> {
        Box::pin(async move {
            let Some(sought) = Sought::new(text, &self.held.layout.about.plan) else { return Ok(Vec::new()) };
            // Held until it is through every row, also when nobody waits for it any more.
            let Ok(seat) = self.held.seats.clone().acquire_owned().await else { return Ok(Vec::new()) };
            let table = self.held.state(|state| state.table.clone());
            let searching = tokio::task::spawn_blocking(move || {
                let _seat = seat;
                let number = sought.number().and_then(Number::key);
                table.search(&sought.text().to_lowercase(), number)
            });
            let fault = |_| Failure::NotUnderstood { what: "a fault inside the hub".to_owned() };
            searching.await.map_err(fault)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use crate::sources::testing::{HOSTILE, configured, line, question};

    const CREDIT: &str =
        "[[source]]\nname = \"terms\"\ngives = \"credit\"\ncsv = \"c.csv\"\ncurrency = \"ILS\"\n";
    const CUSTOMERS: &str = "[[source]]\nname = \"people\"\ngives = \"customer\"\ncsv = \"c.csv\"\n";

    async fn asked(config: &str, file: &[u8], key: &str) -> String {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("c.csv"), file).expect("written");
        match configured(dir.path(), config) {
            Ok(source) => line(source.ask(&question(key)).await),
            Err(mistakes) => mistakes.replace(&format!("{}/", dir.path().display()), ""),
        }
    }

    async fn check(config: &str, file: &str, expected: &str) {
        assert_eq!(asked(config, file.as_bytes(), "1001").await, expected, "for {file}");
    }

    #[tokio::test]
    async fn terms_are_found_by_the_customers_key() {
        let file = "\u{FEFF}Customer_ID,credit_limit,days,hold,note\n1002,1,2,no,\n 1001 ,5000.50,30,yes,\"pays, late\"\n1001,9,9,no,\n";
        check(CREDIT, file, "Some(\"5000.50 ILS\") Some(30) Some(true) Some(\"pays, late\")").await;
        check(CREDIT, "customer_id,days\n7,30\n", "nothing").await;
        check(CREDIT, "customer_id,days\n1001,soon\n", "answer not understood: field days: not a number")
            .await;
        let mapped = format!("{CREDIT}key = \"kod\"\nseparator = \";\"\n[source.fields]\ndays = \"dni\"\n");
        check(&mapped, "kod;dni\n1001;14\n", "None Some(14) None None").await;
        for key in HOSTILE {
            assert_eq!(asked(CREDIT, b"customer_id,days\n1001,30\n", key).await, "nothing");
        }
    }

    #[tokio::test]
    async fn a_directorys_numbers_are_read_as_callers_numbers_are() {
        let file = "number,id,name,class,place,account_manager\n\
                    050-123-4567; 03 555 0100,1001,Levi,VIP,Haifa,Dana\n\
                    00972501234567,1002,Cohen,,,\n\
                    050 1234567,1001,Levi again,,,\n\
                    not a number,1003,Nobody,,,\n\
                    050-123-4567,,No key,,,\n";
        check(CUSTOMERS, file, "1001=Levi VIP Haifa Dana;1002=Cohen;").await;
    }

    #[tokio::test]
    async fn a_file_may_be_looked_in_by_anything_the_question_brings() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let said = async |config: &str, file: &str| {
            fs::write(dir.path().join("c.csv"), file).expect("written");
            let mut asked = question("7");
            let name = |name: &str| pinkas_protocol::TagName::parse(name).expect("a name");
            let value = |value: &str| pinkas_protocol::Private(value.to_owned());
            asked.tags.insert(name("customer"), value("1001"));
            asked.customer.as_mut().expect("a customer").keys.insert(name("tax_id"), value("51"));
            match configured(dir.path(), config) {
                Ok(source) => line(source.ask(&asked).await),
                Err(mistakes) => mistakes,
            }
        };
        let by_tax = format!("{CREDIT}by = \"{{customer.tax_id}}\"\n");
        assert_eq!(said(&by_tax, "tax_id,days\n51,30\n").await, "None Some(30) None None");
        let by_number = format!("{CREDIT}by = \"{{number.national}}\"\n");
        let numbers = "number,days\n050-123-4567;03 555 0100,60\n1,2\n";
        assert_eq!(said(&by_number, numbers).await, "None Some(60) None None");
        let by_tag = format!("{CUSTOMERS}by = \"{{tag.customer}}\"\nkey = \"id\"\n");
        assert_eq!(said(&by_tag, "id,name\n1001,Levi\n1002,Cohen\n").await, "1001=Levi;");
        for (by, wrong) in
            [("x", "one place"), ("{number}{number}", "one place"), ("{customer.name}", "not known")]
        {
            let told = said(&format!("{CREDIT}by = \"{by}\"\n"), "customer_id,days\n").await;
            assert!(told.starts_with("6: `by` cannot be used") && told.contains(wrong), "{told}");
        }
        let told = said(&format!("{CUSTOMERS}by = \"{{customer.id}}\"\n"), "id,name\n").await;
        assert!(told.contains("not known yet when a directory is asked"), "{told}");
    }

    #[tokio::test]
    async fn a_directory_gives_numbers_and_keys_and_a_file_may_be_shown_as_rows() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = "number,id,name,VAT\n050-123-4567;03 555 0100,1001,Levi, 51-4 \n";
        fs::write(dir.path().join("c.csv"), file).expect("written");
        let config = format!("{CUSTOMERS}[source.keys]\ntax_id = \"vat\"\n");
        let source = configured(dir.path(), &config).expect("right");
        let Ok(Answer::Customers(found)) = source.ask(&question("1")).await else { panic!("customers") };
        assert_eq!(found[0].numbers.len(), 2);
        assert_eq!(found[0].keys.values().next().map(|key| key.0.as_str()), Some("51-4"));
        let missing = configured(dir.path(), &config.replace("\"vat\"", "\"tax\"")).err().unwrap_or_default();
        assert!(missing.contains("has no column `tax`"), "{missing}");

        fs::write(dir.path().join("c.csv"), "customer_id,tickets,tier\n1,3,gold\n").expect("written");
        let show = "[[source]]\nname = \"crm\"\ngives = \"custom\"\ncsv = \"c.csv\"\n[source.show]\nTier = \"tier\"\n\"Open tickets\" = \"tickets\"\n";
        let source = configured(dir.path(), show).expect("right");
        assert_eq!(line(source.ask(&question("1")).await), "Tier=gold;Open tickets=3;");
    }

    #[tokio::test]
    async fn an_older_files_hebrew_is_read_and_so_is_what_a_mark_announces() {
        let text = "number,id,name\n0501234567,1,מאפיית לוי\n";
        let (old, _, _) = encoding_rs::WINDOWS_1255.encode(text);
        assert_eq!(asked(CUSTOMERS, &old, "1").await, "1=מאפיית לוי;");
        let utf16: Vec<u8> =
            [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(asked(CUSTOMERS, &utf16, "1").await, "1=מאפיית לוי;");
        let polish = "number,id,name\n0501234567,1,Zażółć\n";
        let (old, _, _) = encoding_rs::WINDOWS_1250.encode(polish);
        let config = format!("{CUSTOMERS}charset = \"windows-1250\"\n");
        assert_eq!(asked(&config, &old, "1").await, "1=Zażółć;");
    }

    #[tokio::test]
    async fn mistakes_are_told_with_the_files_line_and_never_its_content() {
        check(
            CREDIT,
            "customer_id,days\n1001,30\nsecret\n",
            "4: c.csv: line 3: has more or fewer values than the first line\n",
        )
        .await;
        check(CREDIT, "id,days\n", "4: c.csv: line 1: has no column `customer_id`\n").await;
        check(CREDIT, "customer_id,x\n", "4: c.csv: line 1: has no column `limit`\n").await;
        check(CUSTOMERS, "number,id\n", "4: c.csv: line 1: has no column `name`\n").await;
        check(&CREDIT.replace("c.csv", "gone.csv"), "", "4: gone.csv: cannot be read: entity not found\n")
            .await;
        check(
            &format!("{CREDIT}separator = \"::\"\n"),
            "",
            "6: `separator` must be one character such as \";\", or \"tab\"\n",
        )
        .await;
        check(
            &format!("{CREDIT}charset = \"latin-99\"\n"),
            "",
            "6: `charset` must be a name such as \"utf-8\" or \"windows-1255\"\n",
        )
        .await;
    }

    #[tokio::test]
    async fn a_changed_file_is_read_again_and_a_broken_one_is_not_used() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("c.csv");
        fs::write(&file, "customer_id,days\n1001,30\n").expect("written");
        let source = configured(dir.path(), CREDIT).expect("a right configuration");
        let days = async || line(source.ask(&question("1001")).await);
        let second_later = async || {
            tokio::time::pause();
            tokio::time::advance(LOOK_EVERY).await;
            tokio::time::resume();
        };
        fs::write(&file, "customer_id,days\n1001,60 \n").expect("written");
        assert_eq!(days().await, "None Some(30) None None", "not looked at again within a second");
        for broken in [&b"customer_id,days\n1001\n"[..], b"", b"\xFF\x00\"", b"x,y\n1,2\n"] {
            fs::write(&file, broken).expect("written");
            second_later().await;
            assert_eq!(days().await, "None Some(30) None None", "the old one is kept");
        }
        fs::remove_file(&file).expect("removed");
        second_later().await;
        assert_eq!(days().await, "None Some(30) None None", "the old one is kept");
        fs::write(&file, "customer_id,days\n1001,90\n").expect("written");
        second_later().await;
        while days().await != "None Some(90) None None" {
            tokio::task::yield_now().await;
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_file_or_a_mistake(bytes in proptest::collection::vec(0u8..=255, 0..300)) {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let start: &[u8] = b"number,id,name\n0501234567,1,x\n";
            fs::write(dir.path().join("c.csv"), [start, &bytes].concat()).expect("written");
            let _ = configured(dir.path(), CUSTOMERS);
        }
    }
}
