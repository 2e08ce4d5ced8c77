//! Dialog events at real Asterisks, 16 and 22: lists of lines, SHA-256, TCP, and what `check` says of each;
//! and how long 2,000 lines take.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pinkas_demo::pbx::{Faults, Pbx as PretendPbx, PbxConfig};
use pinkas_protocol::{Line, NumberPlan, Private};
use pinkas_sip_adapter::check::{Finding, Level};
use pinkas_sip_adapter::config::{DialogEvents, Pbx, SipAccount, Transport};
use pinkas_sip_adapter::hear::{Heard, LineHeard, What, dialog_events};
use pinkas_sip_adapter::sip::identity::Rules;
use pinkas_tests::lab::asterisk::{ADAPTER_PASSWORD, ADAPTER_USER, Asterisk, Plan, Version};
use pinkas_tests::lab::process::{Running, bounded};
use pinkas_tests::lab::sipp::{Call, Caller, Phone, Then};
use pinkas_tests::or_skip;
use pinkas_tests::site::{SOON, program};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const AGENTS: &[u16] = &[101, 102, 103];

fn plan(version: Version, last: u8, pjsip: &str) -> Plan {
    let ip = Ipv4Addr::new(127, 0, 30, last);
    let more = vec![("pjsip.conf", pjsip.to_owned())];
    Plan { version, ip, agents: AGENTS.to_vec(), hep: None, more }
}

fn config(pbx: &Asterisk, transport: Transport, list: Option<&str>) -> DialogEvents {
    let address = SocketAddr::V4(pbx.sip());
    DialogEvents {
        account: SipAccount {
            address,
            transport,
            domain: address.ip().to_string(),
            listen: None,
            user: ADAPTER_USER.to_owned(),
            password: Private(ADAPTER_PASSWORD.to_owned()),
            realm: Some("asterisk".to_owned()),
        },
        expires: Duration::from_secs(60),
        list: list.map(str::to_owned),
        ping: Duration::from_secs(15),
    }
}

fn lines(names: &[&str]) -> Pbx {
    let lines = names.iter().map(|name| name.parse().unwrap()).collect();
    let numbers = NumberPlan::new("PL", 4).unwrap();
    Pbx { lines, rules: Arc::new(Rules { numbers, ..Rules::default() }) }
}

fn found(findings: &[Finding], level: Level, words: &str) {
    let found = findings.iter().any(|finding| finding.level == level && finding.text.contains(words));
    assert!(found, "no {level:?} with {words:?} in {findings:#?}");
}

/// Waits until every one of these lines is heard to be so, in any order.
async fn all(heard: &mut mpsc::Receiver<Heard>, names: &[&str], wanted: LineHeard) {
    let waiting = async {
        let mut missing: Vec<&str> = names.to_vec();
        while !missing.is_empty() {
            if let What::Line { line, is } = heard.recv().await.unwrap().what
                && is == wanted
            {
                missing.retain(|name| *name != line.as_str());
            }
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("{names:?} are not all {wanted:?}"));
}

/// Waits until a line is heard to be so.
async fn until(heard: &mut mpsc::Receiver<Heard>, line: &str, wanted: impl Fn(&LineHeard) -> bool) {
    let waiting = async {
        loop {
            if let What::Line { line: of, is } = heard.recv().await.unwrap().what
                && of.as_str() == line
                && wanted(&is)
            {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, waiting).await.unwrap_or_else(|_| panic!("line {line} is not heard so"));
}

async fn a_list(version: Version, last: u8) {
    let pbx = or_skip!(Asterisk::start_as(plan(version, last, "")).await);
    let (way, three) = (config(&pbx, Transport::Udp, Some("agents")), lines(&["101", "102", "103"]));
    let findings = dialog_events::probe(&way, &three).await;
    found(&findings, Level::Good, "3 of 3 lines are heard");
    found(&findings, Level::Good, "the list \"agents\" works");
    let findings =
        dialog_events::probe(&config(&pbx, Transport::Udp, Some("nobody")), &lines(&["101", "109"])).await;
    found(&findings, Level::Trap, "has no list \"nobody\"");
    found(&findings, Level::Broken, "does not know line 109");
    found(&findings, Level::Good, "1 of 2 lines are heard");

    let (heard_in, mut heard) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let way = config(&pbx, Transport::Udp, Some("agents"));
    let hearing = tokio::spawn(dialog_events::run(way, lines(&["101", "102"]), heard_in, stop.clone()));
    all(&mut heard, &["101", "102"], LineHeard::Idle).await;
    let _phone = or_skip!(Phone::answer_after(pbx.phone(102), Duration::from_millis(600)).await);
    let call = Call {
        pbx: pbx.sip(),
        carrier: pbx.carrier(),
        to: "102",
        number: "+48220000101",
        name: b"Erika",
        headers: &[],
        then: Then::HoldFor(Duration::from_millis(500)),
    };
    let mut caller = or_skip!(Caller::call(call).await);
    until(&mut heard, "102", |is| {
        matches!(is, LineHeard::Ringing { caller, .. } if caller.number.as_ref().and_then(|n| n.key()) == Some("+48220000101"))
    })
    .await;
    until(&mut heard, "102", |is| *is == LineHeard::Busy).await;
    caller.over(SOON).await.unwrap();
    until(&mut heard, "102", |is| *is == LineHeard::Idle).await;
    stop.cancel();
    hearing.await.unwrap().unwrap();
}

#[tokio::test]
async fn asterisk_22_tells_all_lines_by_one_list() {
    a_list(Version::V22, 60).await;
}

#[tokio::test]
async fn asterisk_16_tells_all_lines_by_one_list() {
    a_list(Version::V16, 61).await;
}

#[tokio::test]
async fn asterisk_22_lets_us_in_by_sha_256() {
    let sha = "\n[adapter-auth](+)\nsupported_algorithms_uas=SHA-256\n";
    let pbx = or_skip!(Asterisk::start_as(plan(Version::V22, 62, sha)).await);
    let shown = pbx.rx("pjsip show auth adapter-auth").await.unwrap();
    assert!(shown.contains("SHA-256") && !shown.contains("MD5,"), "{shown}");
    let findings = dialog_events::probe(&config(&pbx, Transport::Udp, None), &lines(&["101", "102"])).await;
    found(&findings, Level::Good, "2 of 2 lines are heard");
    let mut wrong = config(&pbx, Transport::Udp, None);
    wrong.account.password = Private("guess".to_owned());
    found(
        &dialog_events::probe(&wrong, &lines(&["101", "102"])).await,
        Level::Broken,
        "check `user` and the password",
    );
    let mut foreign = config(&pbx, Transport::Udp, None);
    foreign.account.realm = Some("office".to_owned());
    found(
        &dialog_events::probe(&foreign, &lines(&["101"])).await,
        Level::Broken,
        "asks for the realm \"asterisk\"",
    );
}

async fn over_tcp(version: Version, last: u8) {
    let pbx = or_skip!(Asterisk::start_as(plan(version, last, "")).await);
    let findings =
        dialog_events::probe(&config(&pbx, Transport::Tcp, Some("agents")), &lines(&["101"])).await;
    found(&findings, Level::Good, "1 of 1 lines are heard");
    let findings = dialog_events::probe(&config(&pbx, Transport::Tcp, None), &lines(&["101", "102"])).await;
    found(&findings, Level::Good, "2 of 2 lines are heard");
    assert!(findings.iter().all(|finding| finding.level != Level::Broken), "{findings:#?}");

    let trap = format!("\n[{ADAPTER_USER}](+type=endpoint)\ntransport=transport-udp\n");
    drop(pbx);
    let pbx = or_skip!(Asterisk::start_as(plan(version, last + 1, &trap)).await);
    let findings = dialog_events::probe(&config(&pbx, Transport::Tcp, None), &lines(&["101", "102"])).await;
    found(&findings, Level::Broken, "accepts SUBSCRIBE and sends no NOTIFY");
    found(&findings, Level::Broken, "`transport=` line");
}

#[tokio::test]
async fn asterisk_22_over_tcp_is_heard_and_its_silent_setting_is_told() {
    over_tcp(Version::V22, 63).await;
}

#[tokio::test]
async fn asterisk_16_over_tcp_is_heard_and_its_silent_setting_is_told() {
    over_tcp(Version::V16, 65).await;
}

async fn killed_and_started(transport: Transport, last: u8) {
    let mut pbx = or_skip!(Asterisk::start_as(plan(Version::V22, last, "")).await);
    let (heard_in, mut heard) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let way = DialogEvents { ping: Duration::from_secs(5), ..config(&pbx, transport, None) };
    let hearing = tokio::spawn(dialog_events::run(way, lines(&["101", "102"]), heard_in, stop.clone()));
    all(&mut heard, &["101", "102"], LineHeard::Idle).await;
    // It has to answer one sign of life, so that silence means something: a call makes the time pass.
    let phone = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let call = Call {
        pbx: pbx.sip(),
        carrier: pbx.carrier(),
        to: "101",
        number: "+48220000101",
        name: b"Erika",
        headers: &[],
        then: Then::GiveUpAfter(Duration::from_secs(7)),
    };
    let mut caller = or_skip!(Caller::call(call).await);
    until(&mut heard, "101", |is| matches!(is, LineHeard::Ringing { .. })).await;
    caller.over(SOON).await.unwrap();
    drop(phone);
    pbx.kill().await.unwrap();
    all(&mut heard, &["101", "102"], LineHeard::Lost).await;
    pbx.start_again().await.unwrap();
    all(&mut heard, &["101", "102"], LineHeard::Idle).await;
    stop.cancel();
    hearing.await.unwrap().unwrap();
}

#[tokio::test]
async fn asterisk_22_killed_without_a_word_is_noticed_and_heard_again() {
    killed_and_started(Transport::Udp, 67).await;
}

#[tokio::test]
async fn asterisk_22_over_tcp_killed_is_noticed_and_heard_again() {
    killed_and_started(Transport::Tcp, 68).await;
}

/// The figure is printed; the limits are those that an administrator was promised, and this build is not optimised.
#[tokio::test]
async fn two_thousand_lines_are_heard_within_seconds_and_in_little_memory() {
    let names: Vec<Line> = (2000..4000).map(|n| Line::parse(&n.to_string()).unwrap()).collect();
    let pbx = PretendPbx::start(PbxConfig {
        listen: "127.0.30.70:5060".parse().unwrap(),
        realm: "asterisk".to_owned(),
        user: ADAPTER_USER.to_owned(),
        password: ADAPTER_PASSWORD.to_owned(),
        lines: names.iter().map(|line| (line.clone(), "Agent".to_owned())).collect(),
        faults: Faults::default(),
    })
    .await
    .unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), ADAPTER_PASSWORD).unwrap();
    let listed: Vec<String> = names.iter().map(|line| format!("\"{line}\"")).collect();
    let text = format!(
        "hub = \"ws://127.0.30.70:9\"\nsecret_file = \"secret\"\nstate = \"state\"\n[pbx]\nlines = [{}]\ncountry = \"PL\"\n\
         [dialog_events]\naddress = \"127.0.30.70:5060\"\nuser = \"{ADAPTER_USER}\"\npassword_file = \"secret\"\n",
        listed.join(", ")
    );
    let file = dir.path().join("adapter.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = bounded(program("pinkas-sip-adapter").unwrap());
    command.current_dir(dir.path()).arg("--config").arg(&file);
    let began = tokio::time::Instant::now();
    let running = Running::start("adapter", command, &dir.path().join("adapter.log")).unwrap();
    tokio::time::timeout(SOON, pbx.subscribed(&names)).await.expect("every line is subscribed");
    let took = began.elapsed();
    let memory = peak_memory_kib("pinkas-sip-ad", &file);
    println!("2,000 lines subscribed in {} ms, peak memory {memory:?} KiB", took.as_millis());
    // On two cores shared with other tests and a phone system that is not optimised either; 2.2 s alone.
    assert!(took < Duration::from_secs(15), "{took:?}");
    let kib = memory.expect("the adapter runs");
    assert!(kib < 64 * 1024, "{kib} KiB");
    drop(running);
}

/// VmHWM of the program of this name that was started with this file.
fn peak_memory_kib(name: &str, file: &std::path::Path) -> Option<u64> {
    let file = file.display().to_string();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let read = |what: &str| std::fs::read_to_string(process.path().join(what)).unwrap_or_default();
        if read("comm").starts_with(name) && read("cmdline").contains(&file) {
            let status = read("status");
            let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
            return line.split_whitespace().nth(1)?.parse().ok();
        }
    }
    None
}
