//! The languages of the screen: messages in Fluent files, a file for each language. What a language lacks is
//! said in English. Texts from outside are set apart from the sentence they stand in, so that a Hebrew name
//! in an English sentence, or a number in a Hebrew one, keeps its own direction (UAX #9, isolates).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use icu_locale::{Locale, LocaleDirectionality};

use crate::text::{self, Direction};

/// Each with its tag (BCP 47) and its messages. The first one has them all.
const FILES: [(&str, &str); 3] = [
    ("en-GB", include_str!("../../languages/en.ftl")),
    ("he", include_str!("../../languages/he.ftl")),
    ("pl", include_str!("../../languages/pl.ftl")),
];

/// One of the languages that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Language(usize);

impl Language {
    /// The one that has every message.
    pub const ENGLISH: Language = Language(0);

    /// Every language, English first.
    pub fn all() -> impl Iterator<Item = Language> {
        (0..FILES.len()).map(Language)
    }

    /// The language of the person's system where there is one for it, else English.
    pub fn of_system() -> Language {
        sys_locale::get_locales().find_map(|tag| tag.parse().ok()).unwrap_or_default()
    }

    /// Its code (ISO 639), such as `he`.
    pub fn code(self) -> &'static str {
        let tag = self.file().0;
        tag.split_once('-').map_or(tag, |(code, _)| code)
    }

    /// How lines run.
    pub fn direction(self) -> Direction {
        let right_to_left = LocaleDirectionality::new_common().is_right_to_left(&self.locale().id);
        if right_to_left { Direction::RightToLeft } else { Direction::LeftToRight }
    }

    /// By which dates and numbers are written.
    pub(super) fn locale(self) -> Locale {
        Locale::try_from_str(self.file().0).unwrap_or(Locale::UNKNOWN)
    }

    fn file(self) -> (&'static str, &'static str) {
        FILES.get(self.0).copied().unwrap_or(FILES[0])
    }
}

impl FromStr for Language {
    type Err = ();

    /// Takes `he` as well as `he-IL` or `he_IL.UTF-8`; without a file of that language it fails.
    fn from_str(text: &str) -> Result<Self, ()> {
        let code = text.split(['-', '_', '.', '@']).next().unwrap_or_default();
        Language::all().find(|language| language.code().eq_ignore_ascii_case(code)).ok_or(())
    }
}

/// What is put into a message.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// A text, set apart from the sentence.
    Text(&'a str),
    /// What is counted; decides which form of a word stands beside it.
    Count(u64),
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Arg::Text(text)
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        Arg::Text(text)
    }
}

impl From<usize> for Arg<'_> {
    fn from(count: usize) -> Self {
        Arg::Count(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

impl From<u32> for Arg<'_> {
    fn from(count: u32) -> Self {
        Arg::Count(u64::from(count))
    }
}

impl From<u64> for Arg<'_> {
    fn from(count: u64) -> Self {
        Arg::Count(count)
    }
}

/// The messages of one language.
pub(super) struct Messages {
    bundle: FluentBundle<FluentResource>,
    direction: Direction,
}

impl Messages {
    pub(super) fn of(language: Language) -> Messages {
        let code = language.code().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![code]);
        // Done here instead, where nothing is set apart that needs it not.
        bundle.set_use_isolating(false);
        for (_, file) in [FILES[0], language.file()] {
            // What cannot be read is left out; a test reads each file whole.
            let resource = FluentResource::try_new(file.to_owned()).unwrap_or_else(|(read, _)| read);
            bundle.add_resource_overriding(resource);
        }
        Messages { bundle, direction: language.direction() }
    }

    pub(super) fn say(&self, id: &str, args: &[(&'static str, Arg<'_>)]) -> String {
        let Some(pattern) = self.bundle.get_message(id).and_then(|message| message.value()) else {
            return id.to_owned();
        };
        let args: FluentArgs<'_> = args
            .iter()
            .map(|(name, arg)| match arg {
                Arg::Text(text) => (*name, FluentValue::String(self.apart(text))),
                // Counts are small, and Fluent's numbers are floats.
                Arg::Count(count) => (*name, FluentValue::from(*count)),
            })
            .collect();
        self.bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }

    /// A text that keeps its own direction beside others.
    pub(super) fn apart<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text::apart(text, self.direction)
    }

    /// Texts beside each other.
    pub(super) fn joined(&self, texts: impl IntoIterator<Item = impl AsRef<str>>, between: &str) -> String {
        let mut out = String::new();
        for text in texts.into_iter().filter(|text| !text.as_ref().is_empty()) {
            let before = if out.is_empty() { "" } else { between };
            // Writing to a string does not fail.
            let _ = write!(out, "{before}{}", self.apart(text.as_ref()));
        }
        // Where every text is set apart, nothing else says which way the line runs.
        if self.direction == Direction::RightToLeft {
            out.insert(0, text::RUNS_FROM_THE_RIGHT);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// Of each message of a file the names of what is put in.
    fn messages(file: &str) -> BTreeMap<String, BTreeSet<String>> {
        let read = FluentResource::try_new(file.to_owned());
        assert!(read.is_ok(), "{:?}", read.err().map(|(_, why)| why));
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut id = String::new();
        for line in file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if !line.starts_with([' ', '}']) {
                let name = line.split_once(" =").map(|(name, _)| name);
                id = name.unwrap_or_else(|| panic!("{line} begins no message")).to_owned();
                assert!(!found.contains_key(&id), "{id} is there twice");
            }
            let names = line.split('$').skip(1);
            let names = names.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect());
            found.entry(id.clone()).or_default().extend(names);
        }
        found
    }

    #[test]
    fn every_language_says_everything_with_the_same_particulars() {
        let english = messages(FILES[0].1);
        for (tag, file) in FILES {
            let found = messages(file);
            let ids = |of: &BTreeMap<String, BTreeSet<String>>| of.keys().cloned().collect::<BTreeSet<_>>();
            let missing: Vec<_> = ids(&english).symmetric_difference(&ids(&found)).cloned().collect();
            assert!(missing.is_empty(), "{tag} and English differ in {missing:?}");
            for (id, names) in &found {
                assert_eq!(names, &english[id], "{id} in {tag}");
            }
        }
    }

    /// All of this crate's own code but its tests' expectations.
    fn code(folder: &Path, out: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                code(&path, out);
            } else if !path.ends_with("tests.rs") {
                out.push_str(&std::fs::read_to_string(&path).expect("a file"));
            }
        }
    }

    #[test]
    fn what_the_code_says_is_in_the_files_and_nothing_else_is() {
        let mut code_of_all = String::new();
        code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code_of_all);
        let english = messages(FILES[0].1);
        for said in [".say(\"", ".tell(\""] {
            for rest in code_of_all.split(said).skip(1) {
                let id = rest.split('"').next().unwrap_or_default();
                // This test holds the marks it looks for.
                let known = english.contains_key(id) || id.starts_with('\\') || id.is_empty();
                assert!(known, "{id} is in no file");
            }
        }
        let unused: Vec<_> =
            english.keys().filter(|id| !code_of_all.contains(&format!("\"{id}\""))).collect();
        assert!(unused.is_empty(), "said nowhere: {unused:?}");
    }

    #[test]
    fn a_system_names_its_language_in_several_ways() {
        for (tag, code) in [("he", "he"), ("he_IL.UTF-8", "he"), ("PL", "pl"), ("en-US", "en")] {
            assert_eq!(tag.parse().map(Language::code), Ok(code), "{tag}");
        }
        assert!("xx".parse::<Language>().is_err() && "C".parse::<Language>().is_err());
    }

    #[test]
    fn words_are_bent_by_what_is_counted() {
        let said = |code: &str, count: usize| {
            let messages = Messages::of(code.parse().expect("a language"));
            messages.say("days", &[("count", count.into())])
        };
        assert_eq!([said("en", 1), said("en", 30)], ["1 day", "30 days"]);
        assert_eq!([said("pl", 1), said("pl", 30)], ["1 dzień", "30 dni"]);
        assert_eq!([said("he", 1), said("he", 2), said("he", 30)], ["יום אחד", "יומיים", "30 ימים"]);
    }

    #[test]
    fn names_keep_their_direction_in_a_sentence_of_another() {
        let said = |code: &str, name: &str| {
            let messages = Messages::of(code.parse().expect("a language"));
            let said = messages.say("answered-by-on", &[("name", name.into()), ("line", "102".into())]);
            text::visual(&said)
        };
        assert_eq!(said("en", "Ana"), "Answered by Ana on 102");
        assert_eq!(said("en", "דוד כהן"), "Answered by כהן דוד on 102");
        assert_eq!(said("he", "דוד כהן"), "102-ב כהן דוד ידי על נענה");
        assert_eq!(said("he", "Ana Lis"), "102-ב Ana Lis ידי על נענה");
        let messages = Messages::of(Language::default());
        assert_eq!(text::visual(&messages.joined(["דוד", "", "1001"], " · ")), "דוד · 1001");
    }
}
