//! The command `replay`, as an administrator meets it: recordings of real phone systems, with pretend numbers, in
//! every form in which they can be kept, and what is broken or no recording at all.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pinkas_sip_adapter::replay::capture;

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

fn recording(name: &str) -> PathBuf {
    traces().join("replay").join(name)
}

fn replay(dir: &Path, arguments: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pinkas-sip-adapter"));
    command.current_dir(dir).arg("replay").args(arguments).args(paths);
    command.output().expect("the adapter runs")
}

const LINES: [&str; 2] = ["--lines", "101,102,103"];

/// What is printed of recordings that are right; the same when it is done again.
fn played(paths: &[&Path]) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let out = replay(dir.path(), &LINES, paths);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert_eq!(out.stdout, replay(dir.path(), &LINES, paths).stdout, "another run, another output");
    let events = String::from_utf8(out.stdout).expect("text");
    for line in events.lines() {
        serde_json::from_str::<pinkas_protocol::Event>(line).expect("an event");
    }
    events
}

#[test]
fn a_call_is_the_same_however_it_was_recorded() {
    let whole = played(&[&recording("direct/lengths.hep")]);
    insta::assert_snapshot!("direct", whole);
    let forms = std::fs::read_dir(recording("direct")).expect("the recordings");
    let forms: Vec<PathBuf> = forms.map(|entry| entry.expect("a recording").path()).collect();
    assert_eq!(forms.len(), 9);
    for form in forms {
        assert_eq!(played(&[&form]), whole, "as {}", form.display());
    }
}

#[test]
fn each_kind_of_recording_is_played() {
    insta::assert_snapshot!("ring_all_abandoned", played(&[&recording("ring_all_abandoned.hep")]));
    insta::assert_snapshot!("declined_without_time", played(&[&recording("declined_without_time")]));
    insta::assert_snapshot!("queue_answered_ami", played(&[&traces().join("ami/22-queue_answered.txt")]));
}

#[test]
fn several_recordings_are_one_and_manager_connections_are_played_by_their_time() {
    let (ami, hep) = (traces().join("ami/22-hold.txt"), recording("direct/lengths.hep"));
    let (one, other) = (played(&[&ami, &hep]), played(&[&hep, &ami]));
    assert_eq!(one, other);
    let ended = one.lines().filter(|line| line.contains("\"change\":\"ended\"")).count();
    assert_eq!(ended, 2, "{one}");
    let dir = tempfile::tempdir().expect("a folder");
    let transcript = dir.path().join("manager.txt");
    let read = |name: &str| std::fs::read(traces().join("ami").join(name)).expect("a transcript");
    // The program was started again: two connections in one transcript.
    std::fs::write(&transcript, [read("22-direct.txt"), read("22-queue_answered.txt")].concat())
        .expect("written");
    let both = played(&[&transcript]);
    let ended = both.lines().filter(|line| line.contains("\"how\":\"completed\"")).count();
    assert_eq!(ended, 2, "{both}");
}

#[test]
fn what_a_transcript_that_was_only_listened_to_lacks_is_told() {
    let whole = std::fs::read_to_string(traces().join("ami/22-direct.txt")).expect("a transcript");
    let told = |transcript: &str| {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("manager.txt"), transcript).expect("written");
        let out = replay(dir.path(), &LINES, &[Path::new("manager.txt")]);
        assert_eq!(out.status.code(), Some(0));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let listened: String = whole
        .lines()
        .filter(|line| !line.starts_with("ActionID") && !line.starts_with("Timestamp"))
        .fold(String::new(), |all, line| all + line + "\r\n");
    for expected in [
        "manager.txt: it holds no times",
        "manager.txt: nobody asked for CALLERID(pres) in it, as the adapter does: every caller is told as withheld",
        "manager.txt: it does not begin with the lists that the adapter asks for",
    ] {
        assert!(told(&listened).contains(expected) && !told(&whole).contains(expected), "{expected}");
    }
}

#[test]
fn the_configuration_says_which_lines_and_needs_no_secret_for_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let text =
        "[pbx]\nlines = [\"101\"]\ncountry = \"IL\"\n[ami]\naddress = \"192.0.2.10:5038\"\nuser = \"x\"\n";
    std::fs::write(dir.path().join("site.toml"), text).expect("written");
    let path = recording("ring_all_abandoned.hep");
    let out = replay(dir.path(), &["--config", "site.toml"], &[&path]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(said.contains("\"line\":\"101\"") && !said.contains("\"line\":\"102\""), "{said}");
    let out = replay(dir.path(), &[], &[&path]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--lines 101,102"));
}

/// Runs on bytes in a file called `recording`; gives what is printed and what is told.
fn refused(bytes: &[u8]) -> (String, String) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("recording"), bytes).expect("written");
    let out = replay(dir.path(), &LINES, &[Path::new("recording")]);
    let said = String::from_utf8(out.stderr).expect("text");
    assert_eq!(out.status.code(), Some(1), "{said}");
    (String::from_utf8(out.stdout).expect("text"), said)
}

#[test]
fn what_is_no_recording_is_told_so() {
    for bytes in [b"".as_slice(), b"\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 9000], b"{\"event\":1}"] {
        let (printed, said) = refused(bytes);
        assert!(printed.is_empty() && said.contains("recording is no recording that can be read"), "{said}");
    }
    assert!(refused(b"\x1F\x8B\x08\0").1.contains("unpack it first"));
    let dir = tempfile::tempdir().expect("a folder");
    let out = replay(dir.path(), &LINES, &[Path::new(".")]);
    assert!(String::from_utf8_lossy(&out.stderr).contains(". is empty"));
    let out = replay(dir.path(), &LINES, &[Path::new("missing")]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("cannot read missing"));
}

#[test]
fn a_broken_recording_is_played_up_to_where_it_is_broken_and_told_where() {
    let read = |name: &str| std::fs::read(recording(name)).expect("a recording");
    for (name, cut, expected) in [
        ("direct/ethernet.pcap", 3000, "it ends in the middle of a packet, after 4 packets, at byte "),
        ("direct/hep_sll2.pcapng", 3000, "it ends in the middle of a packet, after 3 packets, at byte "),
        ("direct/lengths.hep", 3000, "it ends in the middle of a packet, after 4 packets, at byte "),
        (
            "direct/one_after_the_other.hep",
            3000,
            "it ends in the middle of a packet, after 4 packets, at byte ",
        ),
    ] {
        let bytes = read(name);
        let (printed, said) = refused(bytes.get(..cut).expect("longer"));
        assert!(said.contains(expected) && said.contains("what came before was played"), "{name}: {said}");
        assert!(printed.contains("arrived") && printed.contains("ended"), "{name}: {printed}");
    }
    let mut bytes = read("direct/ethernet.pcap");
    bytes.truncate(24);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10]);
    assert!(refused(&bytes).1.contains("it ends in the middle of a packet, after 0 packets, at byte 24"));
    let bytes = [read("direct/lengths.hep"), b"\0\0\0\x04ABCD".to_vec()].concat();
    assert!(refused(&bytes).1.contains("what stands there is no HEP packet, after 13 packets"));
}

#[test]
fn a_capture_cut_anywhere_gives_what_came_before() {
    for name in ["direct/ethernet.pcap", "direct/hep_sll2.pcapng", "direct/tcp_ipv6_nanoseconds.pcapng"] {
        let bytes = std::fs::read(recording(name)).expect("a recording");
        let whole = capture::read(bytes.as_slice(), |_| {}).expect("a capture");
        let mut before = 0;
        for cut in 0..bytes.len() {
            let mut seen = 0;
            let part = bytes.get(..cut).expect("shorter");
            let packets = match capture::read(part, |_| seen += 1) {
                Ok(packets) => packets,
                Err(broken) => {
                    assert!(broken.byte <= cut as u64, "{name} cut at {cut}: {broken}");
                    // Of a file that is shorter than its head it cannot be said what it is.
                    let cut_in_head = cut < 28 && broken.why == capture::Why::Nonsense;
                    assert!(broken.why == capture::Why::Cut || cut_in_head, "{name} cut at {cut}: {broken}");
                    broken.packets
                }
            };
            assert_eq!(packets, seen);
            assert!((before..=before + 1).contains(&packets) && packets <= whole, "{name} cut at {cut}");
            before = packets;
        }
    }
}
