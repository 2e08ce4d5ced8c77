//! The laboratory itself, tested: what it starts is real, behaves as our other tests rely on, and is
//! gone afterwards. Where a test here fails, do not look for the mistake in Pinkas.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::time::Duration;

use pinkas_tests::lab::asterisk::{ADAPTER_PASSWORD, ADAPTER_USER, Asterisk, Version};
use pinkas_tests::lab::postgres::Postgres;
use pinkas_tests::lab::process::until;
use pinkas_tests::lab::sipp::{Call, Caller, Lamp, Phone, Then};
use pinkas_tests::lab::xvfb::Xvfb;
use pinkas_tests::or_skip;

const SOON: Duration = Duration::from_secs(10);
const AGENTS: &[u16] = &[101, 102, 103];

#[tokio::test]
async fn a_real_asterisk_16_rings_three_phones_and_says_so_by_dialog_events() {
    rings_three_phones(Version::V16, Ipv4Addr::new(127, 0, 30, 201)).await;
}

#[tokio::test]
async fn a_real_asterisk_22_rings_three_phones_and_says_so_by_dialog_events() {
    rings_three_phones(Version::V22, Ipv4Addr::new(127, 0, 30, 202)).await;
}

async fn rings_three_phones(version: Version, ip: Ipv4Addr) {
    let pbx = or_skip!(Asterisk::start(version, ip, AGENTS).await);
    let _alice = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let bob = or_skip!(Phone::answer_after(pbx.phone(102), Duration::from_millis(500)).await);
    let _carol = or_skip!(Phone::ring_only(pbx.phone(103)).await);
    let alice_lamp = or_skip!(Lamp::watch(pbx.sip(), ip, 101, ADAPTER_USER, ADAPTER_PASSWORD).await);
    let bob_lamp = or_skip!(Lamp::watch(pbx.sip(), ip, 102, ADAPTER_USER, ADAPTER_PASSWORD).await);

    let answered = Call { then: Then::HoldFor(SOON * 10), ..call(&pbx) };
    let mut caller = or_skip!(Caller::call(answered).await);
    all_hints(&pbx, ["Idle", "InUse", "Idle"]).await;
    pbx.rx("channel request hangup all").await.expect("Asterisk hangs up");
    caller.over(SOON).await.expect("the call goes as planned");
    all_hints(&pbx, ["Idle", "Idle", "Idle"]).await;
    told(&alice_lamp, &["terminated", "early", "terminated"]).await;
    told(&bob_lamp, &["terminated", "early", "confirmed", "terminated"]).await;

    drop(bob);
    let _bob = or_skip!(Phone::ring_only(pbx.phone(102)).await);
    let given_up = Call { then: Then::GiveUpAfter(Duration::from_millis(1500)), ..call(&pbx) };
    let mut caller = or_skip!(Caller::call(given_up).await);
    all_hints(&pbx, ["Ringing", "Ringing", "Ringing"]).await;
    caller.over(SOON).await.expect("the call goes as planned");
    all_hints(&pbx, ["Idle", "Idle", "Idle"]).await;
    told(&alice_lamp, &["terminated", "early", "terminated", "early", "terminated"]).await;
    told(&bob_lamp, &["terminated", "early", "confirmed", "terminated", "early", "terminated"]).await;

    let said = alice_lamp.messages();
    assert!(said.contains("display=\"דנה כהן\""), "{said}");
    assert!(said.contains("sip:+972541234567@"), "{said}");
}

#[tokio::test]
async fn asterisk_comes_back_after_a_stop_and_after_a_power_cut() {
    let mut pbx = or_skip!(Asterisk::start(Version::V22, Ipv4Addr::new(127, 0, 30, 203), AGENTS).await);
    pbx.stop().await.unwrap();
    pbx.rx("core show uptime").await.unwrap_err();
    pbx.start_again().await.unwrap();
    pbx.kill().await.unwrap();
    pbx.start_again().await.unwrap();
    all_hints(&pbx, ["Idle", "Idle", "Idle"]).await;
}

#[tokio::test]
async fn an_agent_may_decline_and_may_hang_up_first() {
    let pbx = or_skip!(Asterisk::start(Version::V22, Ipv4Addr::new(127, 0, 30, 204), AGENTS).await);
    let soon = Duration::from_millis(100);
    let alice = or_skip!(Phone::decline_after(pbx.phone(101), soon).await);
    let bob = or_skip!(Phone::talk(pbx.phone(102), soon, soon).await);

    let declined = Call { to: "101", then: Then::HoldFor(SOON), ..call(&pbx) };
    or_skip!(Caller::call(declined).await).over(SOON).await.unwrap();
    assert!(alice.messages().contains("SIP/2.0 486 "), "{}", alice.messages());

    let hung_up_on = Call { to: "102", then: Then::HoldFor(SOON * 10), ..call(&pbx) };
    or_skip!(Caller::call(hung_up_on).await).over(SOON).await.unwrap();
    assert!(bob.messages().contains("BYE sip:"), "{}", bob.messages());
}

#[tokio::test]
async fn callers_have_any_bytes_for_a_name() {
    let pbx = or_skip!(Asterisk::start(Version::V22, Ipv4Addr::new(127, 0, 30, 205), AGENTS).await);
    let phone = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let long = "ארוך ".repeat(800);
    let names: [&[u8]; 6] = [
        b"",
        b"a [b] c",
        br#"Joe \"the\" O'Brien <x>; & 100%"#,
        b"\xff\xfe\x80",
        long.as_bytes(),
        b"a\x01\tb",
    ];
    for (i, name) in names.into_iter().enumerate() {
        let then = Then::GiveUpAfter(Duration::from_millis(100));
        let mut caller = or_skip!(Caller::call(Call { to: "101", name, then, ..call(&pbx) }).await);
        caller.over(SOON).await.expect("the call goes as planned");
        assert!(caller.messages().contains(&*String::from_utf8_lossy(name)), "{}", caller.messages());
        let rung = phone.messages().matches("INVITE sip:101@").count();
        assert!(rung > i, "the phone rang {rung} times after call {i}: {}", pbx.log());
    }
}

#[tokio::test]
async fn a_screen_can_be_photographed() {
    let screen = or_skip!(Xvfb::start().await);
    let screen = or_skip!(screen.with_window_manager().await);
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("screen.png");
    screen.screenshot(&picture).await.unwrap();
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn a_database_takes_connections_and_is_gone_when_dropped() {
    let mut database = or_skip!(Postgres::start().await);
    let at = database.url().split(['@', '/']).nth(3).unwrap().to_owned();
    tokio::net::TcpStream::connect(&at).await.unwrap();
    database.kill();
    tokio::net::TcpStream::connect(&at).await.unwrap_err();
}

/// A call to the queue by someone with a Hebrew name.
fn call(pbx: &Asterisk) -> Call<'static> {
    Call {
        pbx: pbx.sip(),
        carrier: pbx.carrier(),
        to: "500",
        number: "+972541234567",
        name: "דנה כהן".as_bytes(),
        headers: &[],
        then: Then::HoldFor(SOON),
    }
}

async fn all_hints(pbx: &Asterisk, [alice, bob, carol]: [&str; 3]) {
    if let Err(error) = pbx.hints(&[(101, alice), (102, bob), (103, carol)], SOON).await {
        panic!("{error:#}\n{}", pbx.log());
    }
}

async fn told(lamp: &Lamp, wanted: &[&str]) {
    let waited = until("the lamp to be told", SOON, async || (lamp.states() == wanted).then_some(())).await;
    assert!(waited.is_ok(), "told {:?}, not {wanted:?}", lamp.states());
}
