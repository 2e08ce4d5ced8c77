//! Many passwords at once: each costs memory and time by intention, and pops must not wait for them.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use pinkas_protocol::close::Close;
use serde_json::json;
use tokio::net::TcpSocket;
use tokio::time::Instant;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

use super::office::Office;

const LOGINS: u8 = 50;
/// One password's memory, in KiB.
const ONE_HASH: u64 = 19 * 1024;

/// The most memory the hub has had so far, in KiB.
fn peak(office: &Office) -> u64 {
    let hub = office.hub.as_ref().and_then(tokio::process::Child::id).expect("a hub");
    let status = std::fs::read_to_string(format!("/proc/{hub}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A login with a password that is wrong, from an address of its own; gives the hub's answer.
async fn login(office: &Office, n: u8) -> Option<u16> {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 32, n], 0).into()).expect("an address");
    let stream = socket.connect(office.at.parse().expect("an address")).await.expect("it lets in");
    let (mut socket, _) = client_async(format!("ws://{}/agent", office.at), stream).await.expect("a link");
    // A name that nobody has costs the same as one that somebody has.
    let version = pinkas_protocol::wire::VERSION;
    let hello = json!({"say": "hello", "version": version, "agent": format!("nobody {n}"), "secret": "a wrong password"});
    socket.send(Message::text(hello.to_string())).await.expect("sent");
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
            Some(Ok(_)) => {}
            _ => return None,
        }
    }
}

#[tokio::test]
async fn fifty_passwords_at_once_delay_no_pop_and_take_the_memory_of_a_few() {
    let office = Office::open().await;
    let (mut ana, mut adapter) = (office.ana().await, office.adapter().await);
    let number = json!({"number": {"kind": "e164", "e164": "+972501234567"}});
    adapter.event(1, json!({"change": "arrived", "caller": number})).await;
    adapter.event(2, json!({"change": "offered", "line": "101"})).await;
    ana.until("\"days\":30").await;
    let before = peak(&office);
    let flood = join_all((1..=LOGINS).map(|n| login(&office, n)));
    tokio::pin!(flood);
    let (mut slowest, mut pops, mut sequence) = (Duration::ZERO, 0, 2);
    // The phone rings and stops ringing for as long as passwords are looked at.
    let answers = loop {
        let change = if sequence % 2 == 0 { "withdrawn" } else { "offered" };
        sequence += 1;
        let since = Instant::now();
        let turn = json!({"change": change, "line": "101", "why": {"why": "no_answer"}});
        let told = async {
            adapter.event(sequence, turn).await;
            ana.until("\"update\":\"offer\"").await
        };
        tokio::select! {
            answers = &mut flood => break answers,
            _ = told => {
                slowest = slowest.max(since.elapsed());
                pops += 1;
            }
        }
    };
    assert!(pops >= 5, "{pops} pops while passwords were looked at, the slowest in {slowest:?}");
    // All passwords together take longer; the bound is wide because other tests share the machine.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
    let refused = [Close::WrongSecret.code(), Close::TooManyAttempts.code()].map(Some);
    assert!(answers.iter().all(|answer| refused.contains(answer)), "{answers:?}");
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let (grew, most) = (peak(&office) - before, (cores / 2).max(1) * ONE_HASH + 24 * 1024);
    assert!(grew < most, "{grew} KiB more than before, at most {most}");
    assert!(u64::from(LOGINS) * ONE_HASH > 2 * most, "all at once would have been seen");
    println!("{pops} pops, the slowest in {slowest:?}; {grew} KiB more than before");
}
