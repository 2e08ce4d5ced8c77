//! Asked by whoever looks after it: `why` and `simulate`, through the door in the state folder.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::office::{CALL, Office, SOON, command};

#[tokio::test]
async fn why_is_answered_by_a_hub_that_runs_and_by_the_record_of_one_that_does_not() {
    let mut office = Office::open().await;
    let (mut ana, mut adapter) = (office.ana().await, office.adapter().await);
    let number = json!({"number": {"kind": "e164", "e164": "+972501234567"}});
    adapter.event(1, json!({"change": "arrived", "caller": number})).await;
    adapter.event(2, json!({"change": "offered", "line": "101"})).await;
    adapter.event(3, json!({"change": "offered", "line": "102"})).await;
    ana.until("\"days\":30").await;
    adapter.until("\"durable\",\"sequence\":3").await;
    let expected = [
        "from +972 50-123-4567",
        "Levi (K1)",
        "card of terms: filled after",
        "101: popped at ana's desktop, ",
        "At 101 it popped for ana.",
        "At 102 it did not pop: this phone is in nobody's `lines`",
    ];
    for which in ["last", CALL, "050-123-4567"] {
        let (fine, text) = office.asks(&["why", which]).await;
        assert!(fine && expected.iter().all(|words| text.contains(words)), "{which}: {text}");
    }
    let (fine, text) = office.asks(&["why", "--line", "102", "--json"]).await;
    let account: Value = serde_json::from_str(&text).expect("one JSON object");
    assert!(fine && account["call"]["id"] == CALL && account["phone"]["line"] == "102", "{text}");
    let (fine, text) = office.asks(&["why", "no number"]).await;
    assert!(!fine && text.contains("this is no phone number"), "{text}");
    let door = std::fs::metadata(office.dir.path().join("state/admin.sock")).expect("a door");
    assert_eq!(door.permissions().mode() & 0o777, 0o600);

    // Killed, it leaves its door behind: the record answers, and the next hub has a door again.
    office.kill().await;
    let (fine, text) = office.asks(&["why", "--line", "101"]).await;
    assert!(
        fine && text.contains("At 101 it popped for ana.") && text.contains("101 belongs to ana."),
        "{text}"
    );
    let (fine, text) = office.asks(&["simulate", "--number", "050-123-4567"]).await;
    assert!(!fine && text.contains("no hub runs here"), "{text}");
    office.start().await;
    let (fine, text) = office.asks(&["why", CALL]).await;
    assert!(fine && text.contains("At 101 it popped for ana."), "{text}");
}

#[tokio::test]
async fn a_simulated_call_pops_marked_hangs_up_by_itself_and_leaves_nothing() {
    let mut office = Office::open().await;
    let mut ana = office.ana().await;
    let simulate = |lasts: &'static str| {
        let arguments = ["simulate", "--number", "050-123-4567", "--line", "101", "--queue", "Sales"];
        let mut simulate = command(office.dir.path());
        simulate.args(arguments).args(["--tag", "menu=2", "--for", lasts]).kill_on_drop(true);
        simulate.stdout(Stdio::piped()).spawn().expect("it runs")
    };
    let mut shown = simulate("700ms");
    let pop = ana.until("\"trial\":true").await;
    assert!(pop.contains("\"101\"") && pop.contains("\"menu\":\"2\"") && pop.contains("\"Sales\""), "{pop}");
    ana.until("\"days\":30").await;
    ana.until("\"update\":\"ended\"").await;
    let mut text = String::new();
    shown.stdout.take().expect("its words").read_to_string(&mut text).await.expect("read");
    assert!(shown.wait().await.expect("it ends").success(), "{text}");
    for words in ["A pretended call from +972 50-123-4567 rings at 101", "At 101 it popped for ana."] {
        assert!(text.contains(words), "{text}");
    }
    // Whoever asked for it goes away: it hangs up at once, not in ten minutes.
    let mut cut = simulate("10m");
    ana.until("\"trial\":true").await;
    ana.until("\"days\":30").await;
    cut.kill().await.expect("killed");
    ana.until("\"update\":\"ended\"").await;
    // A trial that a killed hub had is not there any more either.
    let _still_rings = simulate("10m");
    ana.until("\"trial\":true").await;
    office.kill().await;
    let (_, export) = office.asks(&["export"]).await;
    assert!(!export.contains("972501234567") && !export.contains("Sales"), "{export}");
    let (_, seen) = office.asks(&["log", "--seen"]).await;
    assert!(seen.contains("\"agent\":\"ana\"") && seen.contains("\"K1\""), "who saw a card is noted: {seen}");
}

#[tokio::test]
async fn whoever_says_nothing_or_nonsense_at_the_door_costs_little_and_is_shown_out() {
    let office = Office::open().await;
    let door = office.dir.path().join("state/admin.sock");
    let told = async |text: &[u8]| {
        let mut stream = UnixStream::connect(&door).await.expect("a door");
        // The hub may have shown us out before all of it was said.
        let _ = stream.write_all(text).await;
        let mut told = String::new();
        let _ = tokio::time::timeout(SOON, stream.read_to_string(&mut told)).await.expect("it ends");
        told
    };
    assert!(told(b"{\"ask\":\"dance\"}\n").await.contains("does not know the question"));
    assert!(
        told(&[b'x'; 100_000]).await.contains("does not know the question") || told(b"\n").await.len() > 2
    );
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(UnixStream::connect(&door).await.ok());
    }
    let since = tokio::time::Instant::now();
    let (fine, text) = office.asks(&["why"]).await;
    assert!(fine && text.contains("holds no such call"), "{text}");
    assert!(since.elapsed() < SOON, "after those before it were shown out");
    drop(silent);
}
