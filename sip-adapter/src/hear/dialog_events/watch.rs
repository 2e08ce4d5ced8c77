//! What the notifications of one subscription say about lines: of one line, or of a list of them
//! (RFC 4662). Pure: bodies in, words out.

use std::collections::{BTreeMap, BTreeSet};

use pinkas_protocol::Line;

use crate::sip::identity::Rules;

use crate::hear::LineHeard;
use crate::sip::dialog_info::{self, Applied, Dialogs, News};
use crate::sip::multipart::{self, Part};
use crate::sip::rlmi::{self, InstanceState, List};

/// How deep lists of lists are followed.
const DEEPEST: u32 = 3;

/// What is watched, and what is known of it.
#[derive(Debug)]
pub(super) enum Watch {
    /// One line.
    Line(Line, Dialogs),
    /// Every line of a list.
    List(ListWatch),
}

/// A list, and what is known of its lines.
#[derive(Debug)]
pub(super) struct ListWatch {
    wanted: BTreeSet<Line>,
    known: BTreeMap<Line, Dialogs>,
    version: Option<u32>,
    unnamed_told: bool,
}

/// What one body says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Of each line it tells about.
    pub words: Vec<Word>,
    /// Something is missing: the full state must be asked for.
    pub ask_full: bool,
    /// Lines that the list does not name; told once.
    pub unnamed: Vec<Line>,
    /// What was not understood.
    pub problem: Option<Problem>,
}

/// What one body says of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Which line.
    pub line: Line,
    /// What it does.
    pub is: LineHeard,
    /// How this stands to what was said before.
    pub news: News,
}

/// What was not understood of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// In words.
    Body(String),
    /// A list was asked for, and a line answers.
    NotAList,
}

impl Watch {
    /// A list of these lines, of which nothing is known yet.
    pub(super) fn list(lines: &[Line]) -> Watch {
        let wanted = lines.iter().cloned().collect();
        Watch::List(ListWatch { wanted, known: BTreeMap::new(), version: None, unnamed_told: false })
    }

    /// Takes in the body of a NOTIFY.
    pub(super) fn take_in(&mut self, content_type: &str, body: &[u8], rules: &Rules) -> Told {
        let mut told = Told::default();
        if body.is_empty() {
            return told;
        }
        match self {
            Watch::Line(line, dialogs) => told.document(line, dialogs, body, rules),
            Watch::List(list) if multipart::is_multipart(content_type) => {
                list.take_in(content_type, body, rules, &mut told, 0);
            }
            Watch::List(_) => told.problem = Some(Problem::NotAList),
        }
        told
    }
}

impl ListWatch {
    fn take_in(&mut self, content_type: &str, body: &[u8], rules: &Rules, told: &mut Told, depth: u32) {
        let parts = match multipart::split(content_type, body) {
            Ok(parts) => parts,
            Err(e) => return told.wrong(e.to_string()),
        };
        let root =
            parts.iter().find(|part| multipart::media_type(part.content_type) == "application/rlmi+xml");
        let list = match root.map(|root| rlmi::read(root.body)) {
            Some(Ok(list)) => list,
            Some(Err(e)) => return told.wrong(e.to_string()),
            None => return told.wrong("the body holds no list of resources".to_owned()),
        };
        if depth == 0 {
            if self.skips(&list) {
                told.ask_full = true;
                // What is here is true all the same; what is not comes with the full state.
            }
            self.version = list.version.or(self.version);
        }
        let by_id: BTreeMap<&str, &Part<'_>> =
            parts.iter().filter_map(|part| Some((part.content_id?, part))).collect();
        let mut named = BTreeSet::new();
        for resource in list.resources {
            let part = resource.instance.as_ref().and_then(|i| by_id.get(i.content_id.as_deref()?));
            if let Some(part) = part.filter(|part| multipart::is_multipart(part.content_type)) {
                // Names inside count as named: the lists inside are not told apart.
                if depth < DEEPEST {
                    self.take_in(part.content_type, part.body, rules, told, depth + 1);
                }
                continue;
            }
            let line = Line::parse(&resource.user).ok().filter(|line| self.wanted.contains(line));
            let Some(line) = line else { continue };
            named.insert(line.clone());
            let Some(instance) = resource.instance else { continue };
            match (instance.state, part) {
                (InstanceState::Terminated, _) => {
                    self.known.remove(&line);
                    told.words.push(Word { line, is: LineHeard::Lost, news: News::Next });
                }
                (InstanceState::Active, Some(part)) => {
                    let dialogs = self.known.entry(line.clone()).or_default();
                    told.document(&line, dialogs, part.body, rules);
                }
                (InstanceState::Active | InstanceState::Pending, _) => {}
            }
        }
        if depth == 0 && list.full && !self.unnamed_told {
            let heard = |line: &&Line| named.contains(*line) || self.known.contains_key(*line);
            told.unnamed = self.wanted.iter().filter(|line| !heard(line)).cloned().collect();
            self.unnamed_told = !told.unnamed.is_empty();
        }
    }

    /// RFC 4662 section 5.2: versions of a list grow by one.
    fn skips(&self, list: &List) -> bool {
        let Some((old, new)) = self.version.zip(list.version) else { return false };
        !list.full && new > old.saturating_add(1)
    }
}

impl Told {
    fn document(&mut self, line: &Line, dialogs: &mut Dialogs, body: &[u8], rules: &Rules) {
        match dialog_info::read(body, rules) {
            Ok(info) => match dialogs.apply(info) {
                Applied::Is(is, news) => self.words.push(Word { line: line.clone(), is, news }),
                Applied::AskFull => self.ask_full = true,
            },
            Err(e) => self.wrong(e.to_string()),
        }
    }

    fn wrong(&mut self, problem: String) {
        self.problem.get_or_insert(Problem::Body(problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/related;boundary=b;type=\"application/rlmi+xml\"";

    fn lines(names: &[&str]) -> Vec<Line> {
        names.iter().map(|name| Line::parse(name).expect("a line")).collect()
    }

    /// A list body as Asterisk writes it: `101:early` and the like; `-` instead of a state ends the line.
    fn body(full: &str, version: u32, lines: &[&str]) -> Vec<u8> {
        let (mut resources, mut parts) = (String::new(), String::new());
        for line in lines {
            let (user, state) = line.split_once(':').unwrap_or((line, ""));
            let instance = match state {
                "" => String::new(),
                "-" => "<instance id=\"i\" state=\"terminated\" reason=\"noresource\"/>".to_owned(),
                _ => format!("<instance id=\"i\" state=\"active\" cid=\"{user}@x\"/>"),
            };
            resources.push_str(&format!("<resource uri=\"sip:{user}@h\">{instance}</resource>"));
            parts.push_str(&format!(
                "--b\r\nContent-ID: <{user}@x>\r\nContent-Type: application/dialog-info+xml\r\n\r\n<dialog-info \
                 state=\"full\" version=\"{version}\"><dialog id=\"{user}\"><state>{state}</state></dialog></dialog-info>\r\n"
            ));
        }
        format!(
            "--b\r\nContent-ID: <r@x>\r\nContent-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n<list uri=\"sip:a@h\" \
             version=\"{version}\" fullState=\"{full}\">{resources}</list>\r\n{parts}--b--\r\n"
        )
        .into_bytes()
    }

    fn say(told: &Told) -> String {
        let words = told.words.iter().map(|word| {
            let is = match word.is {
                LineHeard::Ringing { .. } => "rings",
                LineHeard::Idle => "idle",
                LineHeard::Busy => "busy",
                LineHeard::Lost => "lost",
            };
            format!("{} {is}", word.line)
        });
        let mut said: Vec<String> = words.collect();
        said.extend(told.ask_full.then(|| "ask".to_owned()));
        said.extend(told.unnamed.iter().map(|line| format!("no {line}")));
        said.extend(told.problem.as_ref().map(|problem| format!("{problem:?}")));
        said.join(", ")
    }

    #[test]
    fn a_list_tells_all_lines_and_then_each_that_changes() {
        let plan = Rules::default();
        let mut watch = Watch::list(&lines(&["101", "102", "104"]));
        let mut take = |full: &str, version: u32, lines: &[&str]| {
            say(&watch.take_in(TYPE, &body(full, version, lines), &plan))
        };
        let first = take("true", 0, &["101:terminated", "102:confirmed", "103:early"]);
        assert_eq!(first, "101 idle, 102 busy, no 104");
        assert_eq!(take("false", 1, &["101:early"]), "101 rings");
        // What is there counts, and the rest is asked for; what is not named is told once.
        assert_eq!(take("false", 3, &["102:terminated"]), "102 idle, ask");
        assert_eq!(take("true", 4, &["101:confirmed", "102:-"]), "101 busy, 102 lost");
        assert_eq!(take("false", 5, &["102:terminated"]), "102 idle");
    }

    #[test]
    fn what_is_no_list_is_said_in_words() {
        let plan = Rules::default();
        let mut watch = Watch::list(&lines(&["101"]));
        let told = watch.take_in("application/dialog-info+xml", b"<dialog-info/>", &plan);
        assert_eq!(told.problem, Some(Problem::NotAList));
        assert_eq!(say(&watch.take_in(TYPE, b"", &plan)), "");
        let said = say(&watch.take_in(TYPE, b"--b\r\n\r\nx\r\n--b--", &plan));
        assert_eq!(said, "Body(\"the body holds no list of resources\")");
        let said = say(&watch.take_in(TYPE, b"--b\r\n", &plan));
        assert_eq!(said, "Body(\"the body is cut off or not divided by its boundary\")");
    }

    #[test]
    fn lists_of_lists_are_followed() {
        let plan = Rules::default();
        let mut watch = Watch::list(&lines(&["101"]));
        let inner = String::from_utf8(body("true", 0, &["101:early"])).expect("text");
        let outer = format!(
            "--o\r\nContent-Type: application/rlmi+xml\r\n\r\n<list version=\"0\" fullState=\"true\"><resource \
             uri=\"sip:team@h\"><instance state=\"active\" cid=\"t@x\"/></resource></list>\r\n--o\r\nContent-ID: <t@x>\r\n\
             Content-Type: {TYPE}\r\n\r\n{inner}\r\n--o--\r\n"
        );
        let told = watch.take_in("multipart/related;boundary=o", outer.as_bytes(), &plan);
        assert_eq!(say(&told), "101 rings");
    }
}
