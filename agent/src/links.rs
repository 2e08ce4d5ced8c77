//! Buttons on a card that hand the call to another program of the company: a page with the caller's number or the
//! customer's key in its address, or a program with them as arguments. Callers claim what they like: a value is
//! percent-encoded in an address and one argument of a program, never an option of it, and no shell sees it.

use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pinkas_config::Section;
use pinkas_protocol::text::plain;
use pinkas_protocol::{CallView, Private, Who};

use crate::dial;

/// More buttons would hide what the card is for.
pub const MOST_LINKS: usize = 6;
/// The longest word on one of them, in characters.
const LONGEST_LABEL: usize = 24;
/// The longest value that is put anywhere, in characters.
const LONGEST_VALUE: usize = 120;
/// The most programs of these that run at a time.
const MOST_RUNNING: usize = 32;

/// What to write where a page is wanted.
const PAGE_EXAMPLE: &str = "an address such as \"https://crm.example/new?phone={number}\"";

/// All that stays as it is in an address (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The buttons that the configuration asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// The page on which a customer is made, where nobody was found.
    new_customer: Option<Template>,
    /// The others, in their order.
    each: Vec<(String, Opens)>,
}

/// What a button opens, before anybody calls.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Opens {
    Page(Template),
    Run { program: String, arguments: Vec<Template> },
}

/// What a button opens for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This address.
    Page(Private<String>),
    /// This program, with these arguments.
    Run {
        /// Its name or path, as configured.
        program: String,
        /// Each is one argument.
        arguments: Private<Vec<String>>,
    },
}

/// A text with places.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Number,
    National,
    CustomerId,
    Name,
}

impl Links {
    /// Reads `new_customer` and every `[[open]]`, noting each mistake.
    pub fn read(section: &mut Section<'_>) -> Links {
        let page = |section: &mut Section<'_>, key: &str| {
            let text = section.text(key)?;
            page(&text).map_err(|what| section.note(key, format!("`{key}` cannot be used: {what}"))).ok()
        };
        let new_customer = page(section, "new_customer");
        if new_customer.as_ref().is_some_and(|page| page.has(Place::CustomerId)) {
            section
                .note("new_customer", "`new_customer` cannot hold {customer.id}: there is no customer yet");
        }
        let mut each: Vec<(String, Opens)> = Vec::new();
        for mut table in section.tables("open") {
            let written = table.need_text("label", "the word on the button, such as \"CRM\"");
            let label = written.and_then(|text| {
                let label = plain(&text, LONGEST_LABEL).filter(|_| text.chars().count() <= LONGEST_LABEL);
                if label.is_none() {
                    table.note(
                        "label",
                        format!("`label` must be a word or two, at most {LONGEST_LABEL} letters"),
                    );
                }
                label
            });
            let opens = match (table.has("url"), table.has("run")) {
                (true, false) => page(&mut table, "url").map(Opens::Page),
                (false, true) => {
                    let words = table.texts("run");
                    run(words).map_err(|what| table.note("run", format!("`run` cannot be used: {what}"))).ok()
                }
                (true, true) => {
                    table.note("run", "a button opens `url` or runs `run`: make two of it");
                    None
                }
                (false, false) => {
                    table.note("label", "this button does nothing: write `url` or `run`");
                    None
                }
            };
            let Some((label, opens)) = label.zip(opens) else { continue };
            if each.iter().any(|(other, _)| *other == label) {
                table.note("label", format!("another button says {label} too: give each its own word"));
            } else if each.len() == MOST_LINKS {
                table.note("label", format!("a card can have {MOST_LINKS} buttons: remove some"));
            } else {
                each.push((label, opens));
            }
        }
        Links { new_customer, each }
    }

    /// Where a customer is made for this caller; `None` too where one was found, or may have been.
    pub fn new_customer(&self, view: &CallView) -> Option<Target> {
        let nobody = matches!(view.who, Who::Unknown { .. } | Who::NoneOf { .. } | Who::NoNumber);
        let page = self.new_customer.as_ref().filter(|_| nobody && !view.trial)?;
        page.address(view).map(Target::Page)
    }

    /// The other buttons that can be offered on this call: those of which each place has a value.
    pub fn offered(&self, view: &CallView) -> Vec<(String, Target)> {
        let offered = self.each.iter().filter_map(|(label, opens)| {
            let target = match opens {
                Opens::Page(page) => Target::Page(page.address(view)?),
                Opens::Run { program, arguments } => {
                    let arguments: Option<_> = arguments.iter().map(|each| each.argument(view)).collect();
                    Target::Run { program: program.clone(), arguments: Private(arguments?) }
                }
            };
            Some((label.clone(), target))
        });
        offered.collect()
    }
}

/// Reads an address; the error says what is wrong with it.
fn page(text: &str) -> Result<Template, String> {
    let template: Template = text.parse()?;
    let fixed = match template.0.first() {
        Some(Piece::Text(text)) => text.as_str(),
        _ => return Err(format!("it must be {PAGE_EXAMPLE}")),
    };
    let (scheme, rest) = fixed.split_once(':').ok_or(format!("it must be {PAGE_EXAMPLE}"))?;
    // What these mean is run, or read from this computer.
    let runs = ["javascript", "vbscript", "data"].iter().any(|bad| scheme.eq_ignore_ascii_case(bad));
    if !dial::is_scheme(scheme) || runs || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("it must be {PAGE_EXAMPLE}"));
    }
    // With any value the button would never be offered.
    let written = template.0.iter().map(|piece| match piece {
        Piece::Text(text) => text,
        Piece::Place(_) => "x",
    });
    if climbs(&written.collect::<String>()) {
        return Err("write it without . and .. between slashes".to_owned());
    }
    match rest.strip_prefix("//") {
        // Whoever calls must not choose whom the page is asked of.
        Some(host) if template.0.len() > 1 && !host.contains(['/', '?', '#']) => {
            Err("its host must be written out, without {…}, and a / after it".to_owned())
        }
        Some(host)
            if host
                .split(['/', '?', '#'])
                .next()
                .is_none_or(|host| host.is_empty() || host.contains('@')) =>
        {
            Err("it names no host, or a user before it: remove what stands before @".to_owned())
        }
        None if dial::is_web(scheme) => Err(format!("it must be {PAGE_EXAMPLE}")),
        _ => Ok(template),
    }
}

/// Whether a part of the path means "here" or "one up" (WHATWG URL, "double-dot path segment").
fn climbs(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|part| matches!(part, "." | ".."))
}

fn run(words: Vec<String>) -> Result<Opens, String> {
    let mut words = words.into_iter();
    let program =
        words.next().ok_or("it must be a program and its arguments: [\"crm\", \"--phone={number}\"]")?;
    if program.contains('{') {
        return Err("which program it is must be written out, without {…}".to_owned());
    }
    let arguments = words.map(|word| word.parse()).collect::<Result<_, String>>()?;
    Ok(Opens::Run { program, arguments })
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let close = from.find('}').ok_or("a `{` is not closed")?;
            let (written, after) = from.split_at(close + 1);
            let place = Place::read(written).ok_or_else(|| {
                format!("{written} is not known; {{number}}, {{number.national}}, {{customer.id}} and {{name}} are")
            })?;
            pieces.push(Piece::Place(place));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Template(pieces))
    }
}

impl Template {
    fn has(&self, place: Place) -> bool {
        self.0.contains(&Piece::Place(place))
    }

    fn filled(&self, view: &CallView, value: impl Fn(&str) -> String) -> Option<String> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Place(place) => out.push_str(&value(&place.value(view)?)),
            }
        }
        Some(out)
    }

    /// The address for this call; `None` when a place has no value, or one that would make it another path.
    fn address(&self, view: &CallView) -> Option<Private<String>> {
        let address = self.filled(view, |value| utf8_percent_encode(value, ENCODED).to_string())?;
        (!climbs(&address)).then_some(Private(address))
    }

    /// The argument for this call; `None` when a place has no value, or one that could be taken for an option.
    fn argument(&self, view: &CallView) -> Option<String> {
        if let Some(Piece::Place(place)) = self.0.first() {
            let value = place.value(view)?;
            let is_number = matches!(place, Place::Number | Place::National);
            // Options begin with -, or / on Windows; @ and + name files and commands to some programs.
            if !is_number && !value.starts_with(char::is_alphanumeric) {
                return None;
            }
        }
        self.filled(view, str::to_owned)
    }
}

impl Place {
    fn read(written: &str) -> Option<Place> {
        match written {
            "{number}" => Some(Place::Number),
            "{number.national}" => Some(Place::National),
            "{customer.id}" => Some(Place::CustomerId),
            "{name}" => Some(Place::Name),
            _ => None,
        }
    }

    fn value(self, view: &CallView) -> Option<String> {
        let caller = &view.facts.caller;
        let number = caller.number.as_ref().filter(|_| !caller.withheld);
        let dialled = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | '+' | '*' | '#'));
        match self {
            Place::Number => {
                number.and_then(|number| number.key()).filter(|text| dialled(text)).map(str::to_owned)
            }
            Place::National => number.and_then(|number| number.national()).filter(|text| dialled(text)),
            Place::CustomerId => view.who.customer().map(|customer| customer.key.to_string()),
            Place::Name => {
                let customer = view.who.customer().map(|customer| &customer.name);
                customer.or(caller.name.as_ref()).and_then(|name| plain(&name.0, LONGEST_VALUE))
            }
        }
    }
}

/// Opens what buttons ask for. Waits for nothing.
#[derive(Debug, Default)]
pub struct Opener {
    running: Vec<Child>,
}

impl Opener {
    /// Opens it with the person's browser or whatever the system has for the address, or runs it.
    pub fn open(&mut self, target: &Target) {
        match target {
            Target::Page(address) => {
                // The error may quote the address.
                if let Err(e) = open::that_detached(&address.0) {
                    tracing::warn!("no program was found for what a button opens: {:?}", e.kind());
                }
            }
            Target::Run { program, arguments } => self.run(program, &arguments.0),
        }
    }

    fn run(&mut self, program: &str, arguments: &[String]) {
        self.running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if self.running.len() >= MOST_RUNNING {
            tracing::warn!("{program} was not run: {MOST_RUNNING} programs that buttons began still run");
            return;
        }
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => self.running.push(child),
            Err(e) => tracing::warn!("what a button runs cannot be run (`run`): {program}: {:?}", e.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::Path;

    use crate::sample::{self, at, call};

    fn links(text: &str) -> Result<Links, String> {
        let read = pinkas_config::parse(Path::new("agent.toml"), text, |section| Some(Links::read(section)));
        read.map_err(|told| told.mistakes.iter().map(|m| format!("{}: {}\n", m.line, m.what)).collect())
    }

    fn caller(number: &str, name: &str, who: Who) -> CallView {
        sample::arrived(call(1), number, Some(name), who, at(0))
    }

    fn known(key: &str) -> Who {
        Who::Known { customer: sample::customer(key, "Levi", None) }
    }

    fn unknown() -> Who {
        Who::Unknown { country: None, earlier: Vec::new() }
    }

    fn words(target: &Target) -> String {
        match target {
            Target::Page(address) => address.0.clone(),
            Target::Run { program, arguments } => format!("{program} {:?}", arguments.0),
        }
    }

    const NUMBER: &str = "+972501234567";
    const HOSTILE: [&str; 8] =
        ["a b&c=d", "'; rm -rf / #", "x?y#z", "$(id)", "a/../b", "\"`|>", "{number}", "לוי"];

    #[test]
    fn a_customer_is_made_where_nobody_was_found_and_with_what_the_call_brings() {
        let page = links("new_customer = \"https://crm/new?phone={number}\"").expect("right");
        let new = |page: &Links, view: &CallView| page.new_customer(view).map(|target| words(&target));
        let expected = Some("https://crm/new?phone=%2B972501234567".to_owned());
        let none_of = Who::NoneOf { customers: Vec::new(), country: None, earlier: Vec::new() };
        for (who, expected) in [
            (unknown(), &expected),
            (none_of, &expected),
            (known("7"), &None),
            (Who::Asking, &None),
            (Who::Several { customers: Vec::new(), chosen: None }, &None),
            (Who::Failed { failure: pinkas_protocol::Failure::Unreachable }, &None),
        ] {
            assert_eq!(&new(&page, &caller(NUMBER, "x", who.clone())), expected, "{who:?}");
        }
        assert_eq!(new(&page, &caller("", "x", Who::NoNumber)), None, "withheld");
        let mut withheld = caller(NUMBER, "x", unknown());
        withheld.facts.caller.withheld = true;
        assert_eq!(new(&page, &withheld), None, "a number that is not to be shown");
        let bare = links("new_customer = \"https://crm/new\"").expect("right");
        assert_eq!(new(&bare, &caller("", "x", Who::NoNumber)).as_deref(), Some("https://crm/new"));
        let mut trial = caller(NUMBER, "x", unknown());
        trial.trial = true;
        assert_eq!(new(&page, &trial), None);
        let more = links("new_customer = \"https://crm/new?n={number.national}&who={name}\"").expect("right");
        let said = new(&more, &caller(NUMBER, "A & B", unknown()));
        assert_eq!(said.as_deref(), Some("https://crm/new?n=0501234567&who=A%20%26%20B"));
        assert_eq!(new(&Links::default(), &caller(NUMBER, "x", unknown())), None);
    }

    #[test]
    fn a_value_stays_one_value_of_an_address_and_one_argument_of_a_program() {
        let links = links(
            "[[open]]\nlabel = \"CRM\"\nurl = \"https://crm/c/{customer.id}/card?n={number}\"\n\
             [[open]]\nlabel = \"Own\"\nurl = \"crm:open/{customer.id}\"\n\
             [[open]]\nlabel = \"Run\"\nrun = [\"crm\", \"--customer={customer.id}\", \"{number}\", \"{name}\"]\n",
        )
        .expect("right");
        let said = |view: &CallView| -> Vec<String> {
            links.offered(view).iter().map(|(label, target)| format!("{label} {}", words(target))).collect()
        };
        assert_eq!(
            said(&caller(NUMBER, "x", known("C-1"))),
            [
                "CRM https://crm/c/C-1/card?n=%2B972501234567",
                "Own crm:open/C-1",
                "Run crm [\"--customer=C-1\", \"+972501234567\", \"Levi\"]"
            ]
        );
        for hostile in HOSTILE {
            let view = caller(NUMBER, "x", known(hostile));
            let offered = links.offered(&view);
            let Target::Page(address) = &offered[0].1 else { panic!("a page") };
            let inner = address.0.strip_prefix("https://crm/c/").and_then(|rest| rest.split_once("/card?n="));
            let value = inner.expect("the template's shape").0;
            assert!(value.bytes().all(|b| b.is_ascii_alphanumeric() || b"%-._~".contains(&b)), "{value}");
            let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            assert_eq!(decoded, hostile);
            let Target::Run { arguments, .. } = &offered[2].1 else { panic!("a program") };
            assert_eq!(arguments.0, [format!("--customer={hostile}").as_str(), NUMBER, "Levi"]);
        }
        for dots in [".", ".."] {
            assert_eq!(said(&caller(NUMBER, "x", known(dots))).len(), 1, "no other path than the template's");
        }
        assert!(said(&caller(NUMBER, "x", unknown())).is_empty(), "no customer, no key");
    }

    #[test]
    fn nothing_a_caller_claims_becomes_an_option() {
        let links = links("[[open]]\nlabel = \"Run\"\nrun = [\"crm\", \"{name}\"]\n").expect("right");
        let offers = |name: &str| links.offered(&caller(NUMBER, name, unknown())).len();
        for option in ["-rf", "--help", "/quiet", "@file", "+wq", "", "\0", "\u{202e}-x"] {
            assert_eq!(offers(option), 0, "{option}");
        }
        assert_eq!((offers("Levi -x"), offers("לוי")), (1, 1));
    }

    #[test]
    fn the_guides_example_is_right() {
        let guide = include_str!("../../docs/desktop.md");
        let blocks = guide.split("```conf\n").filter_map(|rest| rest.split("```").next());
        let example: Vec<&str> =
            blocks.filter(|block| block.contains("[[open]]\n") || block.contains("[[open]] ")).collect();
        let found = example.first().map(|text| links(text).map(|links| links.each.len()));
        assert_eq!(found, Some(Ok(2)));
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        let told = |text: &str| links(text).err().unwrap_or_default();
        for (text, expected) in [
            (
                "new_customer = \"crm.example\"",
                "1: `new_customer` cannot be used: it must be an address such as",
            ),
            ("new_customer = \"https://crm/{customer.id}\"", "1: `new_customer` cannot hold {customer.id}"),
            ("new_customer = \"https://{number}/\"", "its host must be written out"),
            ("new_customer = \"https://crm.{number}\"", "its host must be written out"),
            ("new_customer = \"https://me:pw@crm/\"", "a user before it"),
            ("new_customer = \"https:///x\"", "it names no host"),
            ("new_customer = \"http:crm/{number}\"", "it must be an address such as"),
            ("new_customer = \"{name}:x\"", "it must be an address such as"),
            ("new_customer = \"file:///etc/{name}\"", "it must be an address such as"),
            ("new_customer = \"javascript:x('{name}')\"", "it must be an address such as"),
            ("new_customer = \"https://crm/../{name}\"", "without . and .. between slashes"),
            ("new_customer = \"https://crm/{phone}\"", "{phone} is not known; {number}"),
            ("new_customer = \"https://crm/{number\"", "a `{` is not closed"),
            ("[[open]]\nurl = \"https://crm/\"", "1: `label` is missing"),
            ("[[open]]\nlabel = \"x\"", "2: this button does nothing: write `url` or `run`"),
            (
                "[[open]]\nlabel = \"x\"\nurl = \"https://x/\"\nrun = [\"x\"]",
                "4: a button opens `url` or runs `run`",
            ),
            ("[[open]]\nlabel = \"x\"\nrun = []", "3: `run` cannot be used: it must be a program"),
            ("[[open]]\nlabel = \"x\"\nrun = [\"{name}\"]", "which program it is must be written out"),
            ("[[open]]\nlabel = \"x\"\nrun = [\"x\", \"{id}\"]", "{id} is not known"),
            (
                "[[open]]\nlabel = \"a label that is much too long\"\nrun = [\"x\"]",
                "2: `label` must be a word or two",
            ),
            (
                "[[open]]\nlabel = \"x\"\nrun = [\"x\"]\n[[open]]\nlabel = \"x\"\nrun = [\"y\"]",
                "5: another button says x too",
            ),
        ] {
            assert!(told(text).contains(expected), "{expected} is not in\n{}", told(text));
        }
        let many: String =
            (0..=MOST_LINKS).map(|n| format!("[[open]]\nlabel = \"{n}\"\nrun = [\"x\"]\n")).collect();
        assert!(told(&many).contains("a card can have 6 buttons"));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_gets_its_arguments_as_they_are_and_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let out = dir.path().join("out");
        let hostile = "a b; touch x `id` $(id) \"'";
        let arguments = [
            "-c",
            "printf '%s|' \"$@\" > \"$0\".part && mv \"$0\".part \"$0\"",
            &out.to_string_lossy(),
            hostile,
            "second",
        ];
        let arguments = Private(arguments.map(str::to_owned).to_vec());
        let mut opener = Opener::default();
        opener.open(&Target::Run { program: "sh".to_owned(), arguments });
        opener.open(&Target::Run {
            program: "/nowhere/no-such-program".to_owned(),
            arguments: Private(Vec::new()),
        });
        assert_eq!(opener.running.len(), 1);
        let ended = opener.running[0].wait().expect("it ends");
        assert!(ended.success());
        assert_eq!(std::fs::read_to_string(&out).expect("written"), format!("{hostile}|second|"));
        // Those that have ended are forgotten with the next one.
        opener.open(&Target::Run { program: "true".to_owned(), arguments: Private(Vec::new()) });
        assert_eq!(opener.running.len(), 1);
        opener.running[0].wait().expect("it ends");
    }
}
