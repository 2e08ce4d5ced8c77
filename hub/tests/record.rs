//! The record's commands as an administrator meets them: killed while they write, on a full disk, and what
//! they say.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HUB: &str = env!("CARGO_BIN_EXE_pinkas-hub");

/// A folder with a configuration and an export of so many notes.
fn office(notes: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("hub.toml"), "country = \"PL\"\nstate = \"state\"\n").expect("written");
    let mut text = "{\"pinkas\":\"record\",\"version\":1}\n".to_owned();
    for n in 0..notes {
        let note = format!(
            "{{\"row\":\"entry\",\"key\":\"018bcfe5680070008000{n:012x}018bcfe5680070008000{n:012x}\",\"value\":{{\"id\":\
             \"018bcfe5-6800-7000-8000-{n:012x}\",\"at\":\"2026-11-22T10:00:00Z\",\"by\":\"ana\",\"name\":\"Ana\",\
             \"what\":\"note\",\"text\":\"note {n} {}\"}}}}",
            "x".repeat(100)
        );
        writeln!(text, "{note}").expect("a text takes all");
    }
    fs::write(dir.path().join("rows.jsonl"), text).expect("written");
    dir
}

fn hub(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(HUB).current_dir(dir).args(arguments).output().expect("the hub runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The number of rows that a command said were on the disk.
fn told(line: &str) -> Option<usize> {
    line.strip_prefix("on the disk: ")?.strip_suffix(" rows")?.parse().ok()
}

fn notes_in(dir: &Path) -> usize {
    let out = hub(dir, &["export"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    text(&out.stdout).lines().filter(|line| line.contains("\"row\":\"entry\"")).count()
}

#[test]
fn what_was_said_to_be_on_the_disk_is_there_after_a_kill_at_any_moment() {
    let dir = office(30_000);
    for kill_after in 1..6 {
        let mut import = Command::new(HUB)
            .current_dir(dir.path())
            .args(["import", "rows.jsonl"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the hub runs");
        let lines = BufReader::new(import.stdout.take().expect("a pipe")).lines();
        let told = lines.map_while(Result::ok).filter_map(|line| told(&line)).take(kill_after).last();
        import.kill().expect("killed");
        import.wait().expect("it ended");
        let there = notes_in(dir.path());
        assert!(there >= told.unwrap_or(0), "{told:?} were said, {there} are there");
        if kill_after < 5 {
            fs::remove_dir_all(dir.path().join("state")).expect("removed");
        }
    }
    let out = hub(dir.path(), &["import", "rows.jsonl"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(notes_in(dir.path()), 30_000, "and the import goes on to its end");
}

#[test]
fn a_full_disk_is_one_clear_line_and_loses_nothing_that_was_said_to_be_there() {
    let dir = office(30_000);
    let script = "trap '' XFSZ; ulimit -f 6144; exec \"$0\" import rows.jsonl";
    let out =
        Command::new("bash").current_dir(dir.path()).args(["-c", script, HUB]).output().expect("it runs");
    assert!(!out.status.success());
    let said = text(&out.stderr);
    assert!(said.contains("rows.jsonl cannot be imported to its end"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let told = text(&out.stdout).lines().filter_map(told).next_back().unwrap_or(0);
    let there = notes_in(dir.path());
    assert!(there >= told && told > 0, "{told} were said, {there} are there");
}

#[test]
fn erasing_wants_somebody_and_says_what_it_did() {
    let dir = office(3);
    let nobody = hub(dir.path(), &["erase"]);
    assert_eq!(nobody.status.code(), Some(2), "{}", text(&nobody.stderr));
    let wrong = hub(dir.path(), &["erase", "--number", "x"]);
    assert!(text(&wrong.stderr).contains("this is no phone number"), "{}", text(&wrong.stderr));
    let empty = hub(dir.path(), &["erase", "--number", "123 456 789"]);
    assert!(text(&empty.stderr).contains("there is no record in"), "{}", text(&empty.stderr));
    assert!(hub(dir.path(), &["import", "rows.jsonl"]).status.success());
    let out = hub(dir.path(), &["erase", "--number", "123 456 789", "--customer", "C1"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stdout).starts_with("erased: 0 calls, 0 rows"), "{}", text(&out.stdout));
    assert_eq!(notes_in(dir.path()), 3);
    let csv = hub(dir.path(), &["export", "--csv"]);
    assert!(text(&csv.stdout).starts_with("call,arrived_at,"), "{}", text(&csv.stdout));
}
