//! The command `explain`, as an administrator meets it: never a crash, never a hang, never a secret.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn explain(dir: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-sip-adapter"));
    command.current_dir(dir).arg("explain").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = command.spawn().expect("the adapter runs");
    // It may have read enough and gone before all is written.
    let _ = program.stdin.take().expect("its input").write_all(input);
    program.wait_with_output().expect("the adapter ends")
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/sip");
    let files = std::fs::read_dir(folder).expect("the seeds");
    files.map(|file| std::fs::read(file.expect("a seed").path()).expect("a seed")).collect()
}

const WITH_PAI: &[u8] =
    b"INVITE sip:101@x SIP/2.0\r\nFrom: <sip:102@x>\r\nP-Asserted-Identity: <sip:0501234567@x>\r\n\
    X-Customer-Number: 4711\r\n\r\n";

#[test]
fn every_seed_is_explained_or_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    for seed in seeds() {
        let out = explain(dir.path(), &["--peer", "192.0.2.1"], &seed);
        match out.status.code() {
            Some(0) => drop(serde_json::from_slice::<serde_json::Value>(&out.stdout).expect("JSON")),
            Some(1) => assert!(out.stdout.is_empty() && out.stderr.len() > 20),
            other => panic!("{other:?} for {}", seed.escape_ascii()),
        }
    }
}

#[test]
fn it_ends_whatever_it_is_fed() {
    let dir = tempfile::tempdir().expect("a folder");
    for input in
        [vec![], vec![0; 300_000], vec![b'<'; 300_000], b"\r\n".repeat(100_000), b"a: b\r\n".repeat(50_000)]
    {
        let out = explain(dir.path(), &[], &input);
        assert_eq!(out.status.code(), Some(1), "{}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn nothing_on_standard_input_is_told_with_how_to_use_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let said = String::from_utf8(explain(dir.path(), &[], b"").stderr).expect("text");
    assert!(
        said.contains("nothing came on standard input") && said.contains("explain < message.txt"),
        "{said}"
    );
}

#[test]
fn the_configuration_says_who_is_believed_and_needs_no_secret_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "[pbx]\nlines = [\"101\"]\ncountry = \"IL\"\ntrusted = [\"192.0.2.1\"]\n[pbx.tags]\ncustomer = \"X-Customer-Number\"\n";
    std::fs::write(dir.path().join("site.toml"), text).expect("written");
    let by = |peer: &str| {
        let out = explain(dir.path(), &["--config", "site.toml", "--peer", peer], WITH_PAI);
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        let said: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
        assert_eq!(said["tags"]["customer"], "4711");
        said["caller"]["number"].clone()
    };
    assert_eq!(by("192.0.2.1")["e164"], "+972501234567");
    assert_eq!(by("192.0.2.9")["digits"], "102");
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_with_its_line() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("adapter.toml"), "[pbx]\ncountry = \"Israel\"\n").expect("written");
    let out = explain(dir.path(), &[], WITH_PAI);
    assert_eq!(out.status.code(), Some(2));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("adapter.toml:2: `country`"), "{said}");
}
