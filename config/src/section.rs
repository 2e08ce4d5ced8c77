//! One table of a configuration file: keys are taken from it by name and type, what is wrong is noted
//! with its line, and what was never asked for is noted as unknown when the section is dropped.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Mistake, Secret, secret_from_env, secret_from_file};

/// Mistakes found so far, shared by all sections of a file.
pub(crate) struct Notes<'a> {
    dir: PathBuf,
    text: &'a str,
    mistakes: RefCell<Vec<Mistake>>,
    /// Keys of tables that were read to their end, and of which: where a key without its header belongs.
    homes: RefCell<BTreeMap<String, String>>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(file: &Path, text: &'a str) -> Self {
        let dir = file.parent().unwrap_or(Path::new("")).to_owned();
        Notes { dir, text, mistakes: RefCell::default(), homes: RefCell::default() }
    }

    pub(crate) fn add(&self, at: usize, what: String) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = 1 + before.bytes().filter(|b| *b == b'\n').count();
        self.mistakes.borrow_mut().push(Mistake { line, what });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }
}

/// One table of a configuration file.
pub struct Section<'a> {
    table: Option<&'a DeTable<'a>>,
    at: usize,
    notes: &'a Notes<'a>,
    /// As in its header, within the outer brackets; empty for the keys above every header.
    name: String,
    known: BTreeSet<String>,
    /// Known keys that are tables themselves, and that nobody should write.
    tables: BTreeSet<String>,
    unoffered: BTreeSet<String>,
}

impl<'a> Section<'a> {
    pub(crate) fn root(table: &'a DeTable<'a>, notes: &'a Notes<'a>) -> Self {
        Section::new(Some(table), 0, notes, String::new())
    }

    fn new(table: Option<&'a DeTable<'a>>, at: usize, notes: &'a Notes<'a>, name: String) -> Self {
        let (known, tables, unoffered) = Default::default();
        Section { table, at, notes, name, known, tables, unoffered }
    }

    fn find(&mut self, key: &str) -> Option<(&'a Spanned<DeValue<'a>>, usize)> {
        self.known.insert(key.to_owned());
        let (name, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some((value, name.span().start))
    }

    /// Notes a mistake at a key, or at the section's own line when the key is not there.
    pub fn note(&mut self, key: &str, what: impl Into<String>) {
        let at = self.find(key).map_or(self.at, |(_, at)| at);
        self.notes.add(at, what.into());
    }

    /// Whether the key is written at all.
    pub fn has(&mut self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Whether the key is not written, or is a list with nothing in it. Else what is wrong with it was noted when it
    /// was read.
    pub fn lacks(&mut self, key: &str) -> bool {
        self.find(key).is_none_or(|(value, _)| {
            value.get_ref().as_array().is_some_and(|array| array.iter().next().is_none())
        })
    }

    /// A text, when the key is there.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let (value, at) = self.find(key)?;
        match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            DeValue::String(_) => {
                self.notes.add(at, format!("`{key}` is empty: write a value or remove the line"));
                None
            }
            _ => {
                self.notes.add(at, format!("`{key}` must be text: write it in quotes"));
                None
            }
        }
    }

    /// A text that must be there; `example` says what to write.
    pub fn need_text(&mut self, key: &str, example: &str) -> Option<String> {
        if !self.has(key) {
            self.note(key, format!("`{key}` is missing: write {example}"));
        }
        self.text(key)
    }

    /// A text read as `T`; `example` says what to write when it is not one.
    pub fn parsed<T: FromStr>(&mut self, key: &str, example: &str) -> Option<T> {
        let text = self.text(key)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.note(key, format!("`{key}` must be {example}"));
        }
        value
    }

    /// As [`Section::parsed`], and the key must be there.
    pub fn need_parsed<T: FromStr>(&mut self, key: &str, example: &str) -> Option<T> {
        if !self.has(key) {
            self.note(key, format!("`{key}` is missing: write {example}"));
        }
        self.parsed(key, example)
    }

    /// A duration such as `"800ms"`, `"30s"`, `"5m"`; not zero.
    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        let text = self.text(key)?;
        let duration = duration(&text);
        if duration.is_none() {
            self.note(key, format!("`{key}` must be a duration such as \"800ms\", \"30s\" or \"5m\""));
        }
        duration
    }

    /// A whole number between `least` and `most`.
    pub fn integer(&mut self, key: &str, least: i64, most: i64) -> Option<i64> {
        let (value, at) = self.find(key)?;
        let number =
            value.get_ref().as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        let number = number.filter(|n| (least..=most).contains(n));
        if number.is_none() {
            self.notes
                .add(at, format!("`{key}` must be a whole number from {least} to {most}, without quotes"));
        }
        number
    }

    /// `true` or `false`, when the key is there.
    pub fn flag(&mut self, key: &str) -> Option<bool> {
        let (value, at) = self.find(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.notes.add(at, format!("`{key}` must be true or false, without quotes"));
        }
        flag
    }

    /// A list of texts; empty when the key is not there.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let Some((value, at)) = self.find(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.notes.add(at, format!("`{key}` must be a list such as [\"…\", \"…\"]"));
            return Vec::new();
        };
        let texts: Vec<String> = array
            .iter()
            .filter_map(|item| item.get_ref().as_str())
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect();
        if texts.len() < array.iter().count() {
            self.notes.add(at, format!("`{key}` holds something that is not text: write it in quotes"));
        }
        texts
    }

    /// A list of texts, each read as `T`; `example` says what one looks like.
    pub fn parsed_list<T: FromStr>(&mut self, key: &str, example: &str) -> Vec<T> {
        let texts = self.texts(key);
        let values: Vec<T> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        if values.len() < texts.len() {
            self.note(key, format!("`{key}` must hold only {example}"));
        }
        values
    }

    /// A path, relative to the configuration file.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key).map(|text| self.notes.dir.join(text))
    }

    /// A path beside the configuration file.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.notes.dir.join(name)
    }

    /// A secret, from `<key>_env` (name of an environment variable) or `<key>_file`; `None` without a
    /// note when neither is there.
    pub fn secret(&mut self, key: &str) -> Option<Secret> {
        let (from_env, from_file) = (format!("{key}_env"), format!("{key}_file"));
        self.unoffered.insert(key.to_owned());
        if self.has(key) {
            let hint = format!("use `{from_env}` or `{from_file}`");
            self.note(key, format!("do not write the secret here: {hint}"));
            return None;
        }
        if self.has(&from_env) && self.has(&from_file) {
            self.note(&from_file, format!("write either `{from_env}` or `{from_file}`, not both"));
            return None;
        }
        let (place, read) = if let Some(name) = self.text(&from_env) {
            (from_env, secret_from_env(&name))
        } else if let Some(path) = self.path(&from_file) {
            (from_file, secret_from_file(&path))
        } else {
            return None;
        };
        match read {
            Ok(secret) => Some(secret),
            Err(what) => {
                self.note(&place, what);
                None
            }
        }
    }

    /// As [`Section::secret`], and one of the two keys must be there.
    pub fn need_secret(&mut self, key: &str) -> Option<Secret> {
        let (from_env, from_file) = (format!("{key}_env"), format!("{key}_file"));
        if !self.has(&from_env) && !self.has(&from_file) && !self.has(key) {
            self.note(key, format!("`{from_env}` or `{from_file}` is missing: say where the secret is kept"));
        }
        self.secret(key)
    }

    /// A table under this one; an empty one when it is not there.
    pub fn table(&mut self, key: &str) -> Section<'a> {
        let found = self.find(key);
        self.tables.insert(key.to_owned());
        let table = found.and_then(|(value, at)| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.notes.add(at, format!("`{key}` must be a table: write [{key}] above its keys"));
            }
            table
        });
        let at = found.map_or(self.at, |(_, at)| at);
        Section::new(table, at, self.notes, self.path_of(key))
    }

    /// A table under this one, where it is written.
    pub fn table_if_written(&mut self, key: &str) -> Option<Section<'a>> {
        self.tables.insert(key.to_owned());
        self.has(key).then(|| self.table(key))
    }

    fn path_of(&self, key: &str) -> String {
        let own = self.name.trim_matches(['[', ']']);
        if own.is_empty() { key.to_owned() } else { format!("{own}.{key}") }
    }

    /// The tables of a list written as `[[key]]`.
    pub fn tables(&mut self, key: &str) -> Vec<Section<'a>> {
        let Some((value, at)) = self.find(key) else { return Vec::new() };
        let (notes, name) = (self.notes, format!("[{}]", self.path_of(key)));
        let items = value.get_ref().as_array().map(|array| array.iter().collect::<Vec<_>>());
        let sections: Option<Vec<_>> = items.and_then(|items| {
            items
                .into_iter()
                .map(|item| {
                    let table = item.get_ref().as_table();
                    table.map(|table| Section::new(Some(table), item.span().start, notes, name.clone()))
                })
                .collect()
        });
        sections.unwrap_or_else(|| {
            self.notes.add(at, format!("`{key}` must be written as [[{key}]], once for each"));
            Vec::new()
        })
    }

    /// Every key of this section with its text, in the order they are written in, for tables whose keys
    /// are names chosen by the writer. Keys asked for before are left out.
    pub fn entries(&mut self) -> Vec<(String, String)> {
        let mut keys: Vec<(usize, String)> = self
            .table
            .into_iter()
            .flat_map(|table| table.keys().map(|key| (key.span().start, key.get_ref().to_string())))
            .filter(|(_, key)| !self.known.contains(key))
            .collect();
        keys.sort();
        keys.into_iter()
            .map(|(_, key)| key)
            .filter_map(|key| self.text(&key).map(|text| (key, text)))
            .collect()
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for (name, _) in self.table.into_iter().flat_map(|table| table.iter()) {
            let key = name.get_ref().as_ref();
            if !self.known.contains(key) {
                let hint = self.hint(key);
                self.notes.add(name.span().start, format!("`{key}` is not a key here; {hint}"));
            }
        }
        let mut homes = self.notes.homes.borrow_mut();
        for key in self.known.difference(&self.unoffered).filter(|_| !self.name.is_empty()) {
            homes.entry(key.clone()).or_insert_with(|| self.name.clone());
        }
    }
}

impl Section<'_> {
    /// What to do about a key that is not known here.
    fn hint(&self, key: &str) -> String {
        let offered: Vec<&String> = self.known.difference(&self.unoffered).collect();
        if let Some(home) = self.notes.homes.borrow().get(key).filter(|home| **home != self.name) {
            return format!("it belongs under [{home}]: is that line missing above it?");
        }
        if let Some(near) = offered.iter().find(|known| near(known, key)) {
            return format!("did you mean {}?", self.shown(near));
        }
        if offered.is_empty() {
            return "remove it".to_owned();
        }
        let keys: Vec<_> = offered.iter().map(|key| self.shown(key)).collect();
        format!("keys here are {}", keys.join(", "))
    }

    /// A key as it is written: above every header, a table with its brackets.
    fn shown(&self, key: &str) -> String {
        let table = self.name.is_empty() && self.tables.contains(key);
        if table { format!("[{key}]") } else { format!("`{key}`") }
    }
}

/// A duration as people write it, such as `800ms`, `30s` or `5m`; not zero.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..digits].parse().ok()?;
    let unit_ms = match text[digits..].trim() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // A year is longer than any duration that makes sense here, and far from overflowing a timer.
    let ms = count.checked_mul(unit_ms)?;
    (1..=366 * 86_400_000).contains(&ms).then(|| Duration::from_millis(ms))
}

/// At most two letters added, left out, changed or swapped; of a short word one, or every short word is near every other.
fn near(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(40).collect(), b.chars().take(40).collect());
    let most = if a.len().min(b.len()) <= 4 { 1 } else { 2 };
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()] <= most
}
