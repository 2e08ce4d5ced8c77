//! The disk gets full while calls go on: they still pop, nothing that was said to be on the disk is lost, and whoever
//! looks after the hub reads one line that says what to do.

use serde_json::{Value, json};

use super::office::{CALL, Office};

/// Events that are sent: more than such a disk holds.
const EVENTS: u32 = 60_000;
const DISK_KIB: u32 = 2_048;

/// The highest number that the adapter was told is on the disk.
fn durable(frame: &str) -> u64 {
    let said: Value = serde_json::from_str(frame).expect("JSON");
    said["sequence"].as_u64().or(said["durable"].as_u64()).expect("a number")
}

#[tokio::test]
async fn a_full_disk_stops_the_record_with_one_line_and_no_pop() {
    let mut office = Office::open().await;
    office.kill().await;
    office.start_on_a_disk_of(DISK_KIB).await;
    let (mut ana, mut adapter) = (office.ana().await, office.adapter().await);
    let number = json!({"number": {"kind": "e164", "e164": "+972501234567"}});
    adapter.event(1, json!({"change": "arrived", "caller": number})).await;
    let mut told = durable(&adapter.until("\"durable\"").await);
    // The phone rings and stops ringing, until the disk takes no more, and then some times.
    let (mut sent, mut after) = (1, 0);
    while after < 20 && sent < EVENTS {
        sent += 1;
        let change = if sent % 2 == 0 { "offered" } else { "withdrawn" };
        adapter.event(sent, json!({"change": change, "line": "101", "why": {"why": "no_answer"}})).await;
        let shown = ana.until(if sent == 2 { "\"update\":\"call\"" } else { "\"update\":\"offer\"" }).await;
        assert!(shown.contains(CALL), "{shown}");
        told = adapter.ready("\"durable\"").iter().map(|frame| durable(frame)).max().unwrap_or(told);
        after += u32::from(!office.logged("the store cannot be written").is_empty());
    }
    assert_eq!(after, 20, "the disk was full, and the phone still rang: {sent} events");
    assert!(told > 1 && told < u64::from(sent), "{told} of {sent} events were acknowledged");
    // For a moment another program may have had its port.
    let lines = office.logged("ERROR");
    let lines: Vec<_> = lines.iter().filter(|line| !line.contains("cannot listen on")).collect();
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert!(line.contains("make room on the disk and start the hub again"), "{line}");
    assert!(office.logged("panicked").is_empty());
    // Who writes now is told that it is not kept.
    let id = "019d0000-0000-7000-8000-0000000000ff";
    let note = json!({"say": "write", "id": id, "call": CALL, "what": "note", "text": "Wants a copy"});
    ana.say(note).await;
    let refused = ana.until(id).await;
    assert!(refused.contains("record_stopped"), "{refused}");

    // Room was made: the hub begins where the record ends, and the adapter repeats the rest.
    office.kill().await;
    office.start().await;
    assert!(office.logged("damaged").is_empty(), "{:?}", office.logged("damaged"));
    let mut adapter = office.adapter().await;
    let there = durable(&adapter.welcome);
    assert!(there >= told, "{told} were acknowledged, {there} are there");
    adapter.event(sent + 1, json!({"change": "ended", "how": "abandoned"})).await;
    adapter.until(&format!("\"durable\",\"sequence\":{}", sent + 1)).await;
    office.kill().await;
    let (fine, log) = office.asks(&["log"]).await;
    assert!(fine, "{log}");
    let kept = log.lines().filter(|line| line.starts_with('{')).count() as u64;
    assert_eq!(kept, there + 1, "each event once");
}
