//! What is true of the whole repository and no compiler checks: how files begin, how long they are, which
//! way dependencies point, what decides without touching the world, and that the pages say what is so.
//! Each failure says what to do. This file is not checked for the words it bans.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pinkas_agent::headless::{Teller, parse_command};
use pinkas_agent::net::{Me, NetEvent};
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::board::Ended;
use pinkas_protocol::{
    Board, CallFacts, CallId, CallView, Caller, EndedHow, Line, Number, Offer, OfferState, Private, Update,
    Who,
};

const LONGEST_FILE: usize = 600;
const LONGEST_MAIN: usize = 60;
const LONGEST_HEADER: usize = 6;
const LONGEST_MAP: usize = 150;

/// What must not stand in a Rust file, and what to do instead.
const BANNED: [(&str, &str); 12] = [
    ("todo!", "write it, or leave it out"),
    ("unimplemented!", "write it, or leave it out"),
    ("dbg!(", "use tracing"),
    ("#[ignore", "a test that is not run is no test: mend it or remove it"),
    ("should_panic", "return an error and check it"),
    ("flush_async", "sled 0.34 can deadlock in it; flush from the one writer thread"),
    ("unbounded_channel", "every queue has a bound"),
    ("thread::sleep", "wait for what you wait for"),
    ("allow(dead_code", "remove what nobody uses"),
    ("allow(unused", "remove what nobody uses"),
    ("FIXME", "mend it, or say in README.md that it is not done"),
    ("XXX", "mend it, or say in README.md that it is not done"),
];

/// What belongs to one machine: its folders, and where it gets packages.
const OF_ONE_MACHINE: [&str; 8] = [
    "/root/",
    "/home/",
    "/work/",
    "deb.debian.org",
    "index.crates.io",
    "static.crates.io",
    "artifactory",
    "//mirror",
];

/// The arrows between crates: who may use whom.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("protocol", &[]),
    ("config", &["protocol"]),
    ("link", &["protocol"]),
    ("sip-adapter", &["protocol", "config", "link"]),
    ("hub", &["protocol", "config"]),
    ("agent", &["protocol", "config", "link"]),
    ("demo", &["protocol", "config", "sip-adapter", "hub", "agent"]),
    ("tests", &["protocol", "config", "link", "sip-adapter", "hub", "agent", "demo"]),
];

/// Libraries that only these crates may name.
const ONLY_IN: [(&str, &[&str]); 8] = [
    ("egui", &["agent"]),
    ("eframe", &["agent"]),
    ("rsipstack", &["sip-adapter"]),
    ("quick-xml", &["sip-adapter"]),
    ("rsip", &["demo", "sip-adapter"]),
    ("reqwest", &["hub"]),
    ("axum", &["hub", "sip-adapter", "demo"]),
    // The tests: a bare server that hub and disk are measured beside.
    ("sled", &["sip-adapter", "hub", "tests"]),
];

/// What decides: data and the time in, data out.
const PURE: [&str; 19] = [
    "protocol/src/",
    "hub/src/core/",
    "hub/src/identify.rs",
    "hub/src/identify/",
    "hub/src/last/book.rs",
    "hub/src/sources/breaker.rs",
    "hub/src/sources/flights.rs",
    "hub/src/sources/fresh.rs",
    "hub/src/sources/same.rs",
    "hub/src/sources/showing.rs",
    "sip-adapter/src/calls.rs",
    "sip-adapter/src/calls/",
    "sip-adapter/src/hear/shadow/registration.rs",
    "sip-adapter/src/hear/shadow/contacts.rs",
    "sip-adapter/src/hear/shadow/rounds.rs",
    "agent/src/drafts.rs",
    "agent/src/model.rs",
    "agent/src/model/",
    "agent/src/place.rs",
];
const WORLD: [&str; 8] =
    ["tokio::", "std::fs", "std::net", "std::env", "std::thread", "std::io", "::now()", ".await"];

// ---------------------------------------------------------------- files

#[test]
fn every_file_says_what_it_is() {
    let mut faults = Faults::new("begin the file with //! what it is, why it is there, what it must not do");
    for (file, text) in rust_files() {
        let header = text.lines().take_while(|line| line.starts_with("//!")).count();
        if header == 0 {
            faults.add(&file, "does not begin with //!");
        } else if header > LONGEST_HEADER {
            faults.add(&file, &format!("begins with {header} lines of //!, more than {LONGEST_HEADER}"));
        }
    }
    faults.none();
}

#[test]
fn no_file_is_too_long_to_know() {
    let mut faults = Faults::new("split it by reason to change, not by length");
    for (file, text) in rust_files() {
        let main = file.file_name().is_some_and(|name| name == "main.rs");
        let (lines, most) = (text.lines().count(), if main { LONGEST_MAIN } else { LONGEST_FILE });
        if lines > most {
            faults.add(&file, &format!("has {lines} lines, more than {most}"));
        }
    }
    faults.none();
}

#[test]
fn banned_words_stand_nowhere() {
    let mut faults = Faults::new("see the reason beside each");
    for (file, text) in rust_files() {
        for (number, line) in text.lines().enumerate() {
            for (word, instead) in BANNED.iter().filter(|(word, _)| line.contains(word)) {
                faults.add(&file, &format!("line {}: `{word}`: {instead}", number + 1));
            }
        }
    }
    faults.none();
}

#[test]
fn nothing_is_of_one_machine() {
    let mut faults = Faults::new("use a path relative to the file, or a name from the environment");
    for (file, text) in text_files().into_iter().filter(|(file, _)| !file.ends_with("Cargo.lock")) {
        for (number, line) in text.lines().enumerate() {
            for word in OF_ONE_MACHINE.iter().filter(|word| names(line, word)) {
                faults.add(&file, &format!("line {}: `{word}`", number + 1));
            }
        }
    }
    faults.none();
}

#[test]
fn the_lock_file_is_kept() {
    assert!(root().join("Cargo.lock").is_file(), "Cargo.lock is missing: everyone must build the same");
    let ignored = read(".gitignore");
    assert!(!ignored.contains("Cargo.lock"), ".gitignore names Cargo.lock: commit it instead");
}

// ---------------------------------------------------------------- arrows

#[test]
fn dependencies_point_one_way() {
    let mut faults =
        Faults::new("a new arrow is a change of design: ARCHITECTURE.md and this test change with it");
    let known: BTreeMap<_, _> = MAY_USE.into_iter().collect();
    for member in members() {
        let file = PathBuf::from(&member).join("Cargo.toml");
        let Some(may_use) = known.get(member.as_str()) else {
            faults.add(&file, "is a crate that this test does not know");
            continue;
        };
        for used in dependencies(&member) {
            if let Some(sibling) = used.strip_prefix("pinkas-")
                && !may_use.contains(&sibling)
            {
                faults.add(&file, &format!("uses `{sibling}`; `{member}` may use only {may_use:?}"));
            }
            let kept_for = ONLY_IN.iter().find(|(library, _)| *library == used);
            if let Some((library, crates)) = kept_for.filter(|(_, crates)| !crates.contains(&member.as_str()))
            {
                faults.add(&file, &format!("names `{library}`, which only {crates:?} may name"));
            }
        }
    }
    faults.none();
}

#[test]
fn servers_are_built_without_a_screen_and_words_without_a_runtime() {
    let packages = locked_packages();
    for (package, never) in [
        ("pinkas-hub", &["egui", "eframe", "winit", "rsipstack"][..]),
        ("pinkas-sip-adapter", &["egui", "eframe", "winit"]),
        ("pinkas-protocol", &["tokio", "reqwest", "sled", "axum"]),
    ] {
        let all = everything_under(package, &packages);
        assert!(all.len() > 5, "Cargo.lock was not understood: {package} uses only {all:?}");
        for library in never {
            assert!(
                !all.contains(*library),
                "{package} must not depend on {library}, not even through others"
            );
        }
    }
}

#[test]
fn what_decides_touches_no_world() {
    let mut faults =
        Faults::new("take the time and the data as arguments; do the rest in `run` or at the edge");
    for (file, text) in rust_files() {
        let name = file.to_string_lossy().replace('\\', "/");
        if PURE.iter().any(|pure| name.starts_with(pure)) {
            for (number, line) in code_lines(&text) {
                for word in WORLD.iter().filter(|word| line.contains(**word)) {
                    faults.add(&file, &format!("line {number}: `{word}`"));
                }
            }
        }
    }
    faults.none();
}

#[test]
fn the_adapter_only_listens() {
    let mut faults =
        Faults::new("the adapter makes and takes no call, and registers only what no phone uses");
    const SHADOW: &str = "sip-adapter/src/hear/shadow";
    const ENDPOINT: &str = "sip-adapter/src/hear/sip_endpoint";
    // Where a word may stand: an INVITE is only ever received, and one file registers.
    let words = [
        ("Method::Refer", vec![]),
        ("Method::Ack", vec![]),
        ("method: Method::Invite", vec![]),
        ("Method::Invite", vec![SHADOW, ENDPOINT]),
        ("Method::Register", vec!["sip-adapter/src/hear/shadow/registrar.rs"]),
        ("Registrar::new", vec![SHADOW]),
        (".ring(", vec![SHADOW]),
        ("rsipstack::dialog", vec![]),
    ];
    for (file, text) in rust_files().into_iter().filter(|(file, _)| file.starts_with("sip-adapter/src")) {
        for (number, line) in code_lines(&text) {
            for (word, may) in &words {
                if line.contains(word) && !may.iter().any(|place| file.starts_with(place)) {
                    faults.add(&file, &format!("line {number}: `{word}`"));
                }
            }
        }
    }
    // Whatever stands elsewhere, the one way out is guarded.
    let way_out = read(&format!("{ENDPOINT}/transport.rs"));
    let sends: Vec<&str> = way_out.split("async fn send_to").skip(1).collect();
    let guarded = |body: &&str| body.find("gate::may_leave").is_some_and(|at| at < 200);
    if sends.is_empty() || !sends.iter().all(guarded) {
        faults.add(Path::new(ENDPOINT), "`send_to` must ask `gate::may_leave` first");
    }
    faults.none();
}

// ---------------------------------------------------------------- pages

#[test]
fn the_map_names_every_room() {
    let map = read("ARCHITECTURE.md");
    let lines = map.lines().count();
    assert!(lines <= LONGEST_MAP, "ARCHITECTURE.md has {lines} lines, more than {LONGEST_MAP}: say less");
    let mut faults = Faults::new("name it in the code map of ARCHITECTURE.md, in the row of its crate");
    for member in members() {
        let begin = format!("| `{member}` |");
        let Some(row) = map.lines().find(|line| line.starts_with(&begin)) else {
            faults.add(Path::new(&member), "has no row");
            continue;
        };
        for room in rooms(&member).into_iter().filter(|room| !row.contains(&format!("`{room}`"))) {
            faults.add(Path::new(&member), &format!("`{room}` is not named in its row"));
        }
    }
    faults.none();
}

#[test]
fn the_map_names_tests_that_exist() {
    let elsewhere = rust_files().into_iter().map(|(_, text)| text);
    let code: String = elsewhere.chain([include_str!("tidy.rs").to_owned()]).collect();
    let map = read("ARCHITECTURE.md");
    let named = map.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() >= 3);
    let missing: Vec<_> = named.filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names tests that are not there: {missing:?}");
}

#[test]
fn the_readme_names_every_folder() {
    let readme = read("README.md");
    let mut faults = Faults::new("name it in README.md's table of folders");
    for entry in fs::read_dir(root()).expect("the repository can be listed") {
        let entry = entry.expect("the repository can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let ours = entry.path().is_dir() && !name.starts_with('.') && name != "target";
        if ours && !readme.contains(&format!("`{name}`")) {
            faults.add(Path::new(&name), "is not named");
        }
    }
    faults.none();
}

#[test]
fn every_link_and_path_of_a_page_leads_somewhere() {
    let mut faults = Faults::new("mend the page");
    for (file, text) in pages() {
        let beside = file.parent().unwrap_or(Path::new("")).to_owned();
        for link in links(&text) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { beside.join(path) };
            if !root().join(&target).exists() {
                faults.add(&file, &format!("links to {path}, which is not there"));
            } else if !heading.is_empty() && !headings(&target).contains(heading) {
                faults.add(&file, &format!("links to the heading #{heading} of {path}, which is not there"));
            }
        }
        let folders = members();
        for path in text.split('`').skip(1).step_by(2) {
            let ours = path.split_once('/').is_some_and(|(first, _)| folders.iter().any(|f| f == first));
            if ours && !path.contains([' ', '*', '\n']) && !root().join(path).exists() {
                faults.add(&file, &format!("names {path}, which is not there"));
            }
        }
    }
    faults.none();
}

/// Each example begins with a line that names its file, such as `# hub.toml`. Those of docs/sources.md are parts of
/// one, and checked in the hub.
#[tokio::test]
async fn every_configuration_example_is_right() {
    let mut seen = BTreeSet::new();
    for (file, text) in pages().into_iter().filter(|(file, _)| !file.ends_with("sources.md")) {
        for block in blocks(&text, "toml") {
            let name = block.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
            let dir = tempfile::tempdir().expect("a folder");
            let path = dir.path().join(name);
            for (key, value) in block.lines().filter_map(|line| line.split_once(" = \"")) {
                let value = value.split('"').next().unwrap_or_default();
                if key.trim().ends_with("_file") {
                    fs::write(dir.path().join(value), "a secret").expect("written");
                } else if key.trim() == "csv" {
                    fs::write(dir.path().join(value), "number,id,name\n").expect("written");
                }
            }
            fs::write(&path, block).expect("written");
            let mistakes = match name {
                "hub.toml" => pinkas_hub::config::load(&path).err(),
                "adapter.toml" => pinkas_sip_adapter::config::load(&path).err(),
                "agent.toml" => pinkas_agent::config::load(&path).err(),
                _ => panic!(
                    "{}: an example must begin with `# hub.toml` or the like:\n{block}",
                    file.display()
                ),
            };
            if let Some(mistakes) = mistakes {
                panic!("{}: {mistakes}\nin:\n{block}", file.display());
            }
            seen.insert(name.to_owned());
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["adapter.toml", "agent.toml", "hub.toml"]);
}

#[test]
fn the_json_lines_of_the_page_are_those_a_script_reads() {
    let mut teller = Teller::new(TimeZone::UTC);
    let told = story().into_iter().flat_map(|event| teller.tell(event)).map(|line| line.to_string() + "\n");
    let told: String = told.collect();
    let page = read("docs/protocol.md");
    let shown = blocks(&page, "jsonl").concat();
    assert!(shown == told, "docs/protocol.md must show:\n{told}");
    for command in blocks(&page, "jsonl-command").concat().lines() {
        assert!(parse_command(command).is_ok(), "{command}");
    }
}

/// A call rings at Ana's phone, she answers, it ends.
fn story() -> Vec<NetEvent> {
    let at = |second: i64| Timestamp::new(1_795_341_600 + second, 0).expect("a moment");
    let call: CallId = "019d0000-0000-7000-8000-000000000001".parse().expect("an id");
    let line: Line = "101".parse().expect("a line");
    let offer = |state| Offer { agent: Some("Ana".to_owned()), rang_at: at(5), passed_on_by: None, state };
    let caller = Caller {
        number: Some(Number::E164 { e164: "+972501234567".to_owned() }),
        name: Some(Private("Levi Bakery".to_owned())),
        ..Caller::default()
    };
    let view = CallView {
        id: call,
        facts: CallFacts { caller, ..CallFacts::default() },
        arrived_at: at(5),
        waits: None,
        offers: [(line.clone(), offer(OfferState::Ringing))].into(),
        who: Who::Asking,
        cards: Vec::new(),
        identified: None,
        ended: None,
        entries: Vec::new(),
        trial: false,
    };
    let id = "ana".parse().expect("a name");
    let me = Me { id, name: "Ana".to_owned(), role: Role::Agent, lines: vec![line.clone()] };
    let answered = offer(OfferState::Answered { at: at(9), held: None });
    let ended = Ended { at: at(60), how: EndedHow::Completed };
    vec![
        NetEvent::Welcome {
            at: at(0),
            me,
            hub_now: at(0),
            board: Board::default(),
            outcomes: Vec::new(),
            reasons: Vec::new(),
        },
        NetEvent::Update { at: at(5), update: Update::Call { view: Box::new(view) } },
        NetEvent::Update { at: at(9), update: Update::Offer { call, line, offer: answered } },
        NetEvent::Update { at: at(60), update: Update::Ended { call, ended } },
    ]
}

// ---------------------------------------------------------------- reading the repository

/// What was found wrong; a test ends by asking for none.
struct Faults {
    advice: &'static str,
    found: Vec<String>,
}

impl Faults {
    fn new(advice: &'static str) -> Self {
        Faults { advice, found: Vec::new() }
    }

    fn add(&mut self, file: &Path, what: &str) {
        self.found.push(format!("{}: {what}", file.display()));
    }

    fn none(self) {
        assert!(self.found.is_empty(), "{}\n→ {}", self.found.join("\n"), self.advice);
    }
}

/// A folder of a machine begins where a path begins: `"$x"/root/` is a folder of `$x`.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let mut before = line.get(..at).unwrap_or_default().chars().rev();
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '}' | ')' | '.' | '_' | '-');
        match before.next() {
            Some('"') => !before.next().is_some_and(inside),
            Some(c) => !(word.starts_with('/') && inside(c)),
            None => true,
        }
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in a folder of the repository")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every file that is text, but this one and what a build leaves behind.
fn text_files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("the repository can be listed").path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                if !matches!(name.as_str(), ".git" | "target") {
                    folders.push(path);
                }
            } else if name != "tidy.rs" && !name.ends_with(".snap.new") {
                let short = path.strip_prefix(root()).unwrap_or(&path).to_owned();
                // What is not UTF-8 is a picture or a recording.
                files.extend(fs::read_to_string(&path).ok().map(|text| (short, text)));
            }
        }
    }
    files.sort();
    files
}

fn of_kind(extension: &str) -> Vec<(PathBuf, String)> {
    text_files().into_iter().filter(|(file, _)| file.extension().is_some_and(|e| e == extension)).collect()
}

fn rust_files() -> Vec<(PathBuf, String)> {
    of_kind("rs")
}

fn pages() -> Vec<(PathBuf, String)> {
    of_kind("md")
}

/// Lines with their numbers, without those that are only a comment.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The folders of the crates, from the workspace's own list.
fn members() -> Vec<String> {
    let cargo = read("Cargo.toml");
    let list =
        cargo.split_once("members = [").and_then(|(_, rest)| rest.split_once(']')).map(|(list, _)| list);
    list.expect("Cargo.toml lists the members").split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What a crate names under any heading of dependencies.
fn dependencies(member: &str) -> Vec<String> {
    let cargo = read(&format!("{member}/Cargo.toml"));
    let mut named = Vec::new();
    let mut listed = false;
    for line in cargo.lines() {
        if line.starts_with('[') {
            listed = line.ends_with("dependencies]");
        } else if listed && !line.starts_with('#') {
            named.extend(line.split(['.', ' ', '=']).next().filter(|n| !n.is_empty()).map(str::to_owned));
        }
    }
    named
}

/// The modules that a crate's `lib.rs` names; of the crate `tests` also its test programs.
fn rooms(member: &str) -> Vec<String> {
    let lib = read(&format!("{member}/src/lib.rs"));
    let named = lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let mut rooms: Vec<String> = named.filter_map(|rest| rest.strip_suffix(';')).map(str::to_owned).collect();
    for (file, _) in rust_files().into_iter().filter(|_| member == "tests") {
        if file.parent().is_some_and(|folder| folder.ends_with("tests/tests")) {
            rooms.extend(file.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    rooms
}

/// Each package of Cargo.lock with what it uses.
fn locked_packages() -> BTreeMap<String, Vec<String>> {
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in read("Cargo.lock").split("[[package]]").skip(1) {
        let name = package.lines().find_map(|line| line.strip_prefix("name = ")).unwrap_or_default();
        let used = package.lines().filter_map(|line| line.strip_prefix(" \""));
        let used = used.filter_map(|line| line.split(['"', ' ']).next()).map(str::to_owned);
        packages.entry(name.trim_matches('"').to_owned()).or_default().extend(used);
    }
    packages
}

fn everything_under(package: &str, packages: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut next = vec![package.to_owned()];
    while let Some(package) = next.pop() {
        for used in packages.get(&package).into_iter().flatten() {
            if all.insert(used.clone()) {
                next.push(used.clone());
            }
        }
    }
    all
}

/// Where a page leads, without what is on the internet.
fn links(page: &str) -> Vec<&str> {
    let in_brackets = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let pictures = page.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    in_brackets.chain(pictures).filter(|link| !link.contains("://")).collect()
}

/// A page's headings as a link names them.
fn headings(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(page)).unwrap_or_default();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    headings.map(slug).collect()
}

/// The fenced blocks of a language in a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("\n```{language}\n");
    let blocks = page.split(&begin).skip(1);
    blocks.filter_map(|rest| rest.find("\n```").and_then(|end| rest.get(..=end))).collect()
}
