//! A source that is a CSV file: an export that someone drops beside the configuration. Held in memory and
//! read again when it changes; a broken new file changes nothing but the log.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use encoding_rs::Encoding;
use futures_util::future::BoxFuture;
use pinkas_config::Section;
use pinkas_protocol::{Customer, Failure, Gives, NumberPlan};
use tokio::time::Instant;

use super::csv_table::{Layout, Stamp, Table};
use super::template::Place;
use super::{About, Answer, Question, Source};
use crate::identify::Search;

/// The keys of this kind of source.
pub const KEYS: &[&str] = &["csv", "key", "separator", "charset", "fields"];

/// A file is looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a question waits for a changed file to be read before it is answered from the old one.
const WAIT_FOR_NEW: Duration = Duration::from_millis(250);

/// A CSV file.
pub struct Csv {
    held: Arc<Held>,
}

struct Held {
    layout: Layout,
    state: Mutex<State>,
}

struct State {
    table: Arc<Table>,
    looked: Instant,
    /// The file as it was when it was last read, well or not: a broken one is told of once.
    tried: Stamp,
}

/// Reads the keys of this kind and the file itself, noting every mistake.
pub fn read(table: &mut Section<'_>, about: About, plan: &NumberPlan) -> Option<Csv> {
    let file = table.path("csv");
    let key = table.text("key").unwrap_or_else(|| {
        let key = if about.gives == Gives::Customer { "number" } else { "customer_id" };
        key.to_owned()
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
    let layout = Layout {
        file: file?,
        key,
        separator: separator?,
        charset: charset?,
        mapping: mapping?,
        about,
        plan: plan.clone(),
    };
    match Table::load(&layout) {
        Ok(loaded) => {
            tell_skipped(&layout, &loaded);
            Some(Csv::new(layout, loaded))
        }
        Err(broken) => {
            table.note("csv", format!("{}: {broken}", layout.file.display()));
            None
        }
    }
}

impl Csv {
    fn new(layout: Layout, table: Table) -> Self {
        let state = State { looked: Instant::now(), tried: table.stamp, table: Arc::new(table) };
        Csv { held: Arc::new(Held { layout, state: Mutex::new(state) }) }
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
            let about = &self.held.layout.about;
            let place = if about.gives == Gives::Customer { Place::Number } else { Place::CustomerId };
            match place.value(question) {
                Some(key) => self.held.table().await.answer(about, key),
                None => Ok(Answer::Nothing),
            }
        })
    }

    fn find(&self, search: &Search) -> Vec<Customer> {
        let table = self.held.state(|state| state.table.clone());
        table.find(search)
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
