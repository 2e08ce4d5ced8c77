//! The shadow extension in a ring group of real Asterisks, 16 and 22: what it hears, that nobody's phone loses a
//! call to it, that it keeps away where a phone is registered, and that a queue is not mistaken for a group.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pinkas_protocol::{AdapterId, EndedHow, LineState, NumberPlan, Private};
use pinkas_sip_adapter::check::Level;
use pinkas_sip_adapter::config::{Pbx, Shadow, SipAccount, Transport};
use pinkas_sip_adapter::hear::{CallHeard, Heard, OverBy, What, shadow};
use pinkas_sip_adapter::sip::identity::Rules;
use pinkas_tests::lab::asterisk::{ADAPTER_PASSWORD, Asterisk, Plan, Version};
use pinkas_tests::lab::process::until;
use pinkas_tests::lab::sipp::{Call, Caller, Phone, Then};
use pinkas_tests::or_skip;
use pinkas_tests::site::{SOON, Site, Wishes, line};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const AGENTS: &[u16] = &[101, 102, 103];
const NUMBER: &str = "+48220000101";

struct Listening {
    heard: mpsc::Receiver<Heard>,
    stop: CancellationToken,
    hearing: JoinHandle<anyhow::Result<()>>,
}

fn config(pbx: &Asterisk) -> Shadow {
    let address = SocketAddr::V4(pbx.sip());
    let account = SipAccount {
        address,
        transport: Transport::Udp,
        domain: address.ip().to_string(),
        listen: Some(SocketAddr::new(address.ip(), 0)),
        user: "199".to_owned(),
        password: Private(ADAPTER_PASSWORD.to_owned()),
        realm: Some("asterisk".to_owned()),
    };
    let seconds = Duration::from_secs;
    Shadow { account, extension: "199".to_owned(), expires: seconds(60), ring_timeout: seconds(180) }
}

fn main_adapter() -> AdapterId {
    AdapterId::parse("main").unwrap()
}

/// The shadow extension, registered.
async fn listen(config: Shadow) -> Listening {
    let pbx = Pbx {
        lines: AGENTS.iter().map(|agent| line(&agent.to_string())).collect(),
        rules: Arc::new(Rules { numbers: NumberPlan::new("PL", 4).unwrap(), ..Rules::default() }),
    };
    let (heard_in, heard) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let hearing = tokio::spawn(shadow::run(config, pbx, main_adapter(), heard_in, stop.clone()));
    let mut listening = Listening { heard, stop, hearing };
    assert_eq!(listening.next().await, What::Up { live: Some(vec![]) });
    listening
}

impl Listening {
    async fn next(&mut self) -> What {
        tokio::time::timeout(SOON, self.heard.recv()).await.unwrap().unwrap().what
    }

    /// The next word, which is the caller.
    async fn rings(&mut self) {
        let What::Call { is: CallHeard::Facts(facts), .. } = self.next().await else { panic!("no facts") };
        assert_eq!(facts.caller.number.as_ref().and_then(|number| number.key()), Some(NUMBER));
        assert_eq!(facts.caller.name.as_ref().map(|name| name.0.as_str()), Some("דנה"));
        assert_eq!(facts.dialled, None);
    }

    /// The next word, which is the end.
    async fn is_over(&mut self, expected: OverBy) {
        let What::Call { is: CallHeard::Over { by }, .. } = self.next().await else { panic!("no end") };
        assert_eq!(by, expected);
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.hearing.await.unwrap().unwrap();
    }
}

fn call<'a>(pbx: &Asterisk, to: &'a str, then: Then) -> Call<'a> {
    let name = "דנה".as_bytes();
    Call { pbx: pbx.sip(), carrier: pbx.carrier(), to, number: NUMBER, name, headers: &[], then }
}

async fn contacts(pbx: &Asterisk) -> String {
    let shown = pbx.rx("pjsip show contacts").await.unwrap();
    shown.lines().filter(|line| line.contains("199/")).collect::<Vec<_>>().join("\n")
}

/// From here on Asterisk logs all SIP.
async fn log_sip(pbx: &Asterisk) {
    pbx.rx("core set verbose 3").await.unwrap();
    pbx.rx("pjsip set logger on").await.unwrap();
}

/// Nobody got a call from the adapter, and no call of it was answered.
fn only_listened(log: &str) {
    let from_adapter =
        log.split("<--- ").filter(|part| part.starts_with("Received SIP") && part.contains("pinkas/"));
    let mut seen = 0;
    for message in from_adapter {
        let first = message.lines().nth(1).unwrap_or_default();
        seen += 1;
        let known = ["REGISTER ", "SUBSCRIBE ", "OPTIONS ", "SIP/2.0 "];
        assert!(known.iter().any(|known| first.starts_with(known)), "{message}");
        let of_invite =
            message.lines().any(|line| line.starts_with("CSeq:") && line.trim_end().ends_with("INVITE"));
        assert!(!(first.starts_with("SIP/2.0 2") && of_invite), "{message}");
    }
    assert!(seen > 10, "the log shows only {seen} messages of the adapter");
}

async fn a_ring_group(version: Version, last: u8) {
    let pbx = or_skip!(Asterisk::start(version, Ipv4Addr::new(127, 0, 30, last), AGENTS).await);
    log_sip(&pbx).await;
    let findings = shadow::probe(&config(&pbx), &main_adapter()).await;
    assert!(findings.iter().all(|finding| finding.level != Level::Broken), "{findings:?}");
    assert_eq!(contacts(&pbx).await, "", "check registers nothing");
    let mut listening = listen(config(&pbx)).await;
    assert!(contacts(&pbx).await.contains("pinkas=main"), "{}", contacts(&pbx).await);

    // A colleague answers.
    let alice = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let bob = or_skip!(Phone::answer_after(pbx.phone(102), Duration::from_millis(700)).await);
    let carol = or_skip!(Phone::ring_only(pbx.phone(103)).await);
    let then = Then::HoldFor(Duration::from_millis(300));
    let mut caller = or_skip!(Caller::call(call(&pbx, "610", then)).await);
    listening.rings().await;
    listening.is_over(OverBy::Colleague).await;
    caller.over(SOON).await.unwrap();
    for phone in [&alice, &bob, &carol] {
        assert!(phone.messages().contains("INVITE sip:10"), "every phone rang:\n{}", phone.messages());
    }
    drop(bob);

    // The caller gives up.
    let _bob = or_skip!(Phone::ring_only(pbx.phone(102)).await);
    let then = Then::GiveUpAfter(Duration::from_millis(500));
    let mut caller = or_skip!(Caller::call(call(&pbx, "610", then)).await);
    listening.rings().await;
    listening.is_over(OverBy::Caller).await;
    caller.over(SOON).await.unwrap();

    // Calls to one person are none of its business; the ring group after it is the sentinel.
    for to in ["101", "610"] {
        let then = Then::GiveUpAfter(Duration::from_millis(300));
        or_skip!(Caller::call(call(&pbx, to, then)).await).over(SOON).await.unwrap();
    }
    listening.rings().await;
    listening.is_over(OverBy::Caller).await;

    listening.stopped().await;
    assert_eq!(contacts(&pbx).await, "", "it has left");
    only_listened(&pbx.log());
}

#[tokio::test]
async fn asterisk_22_rings_the_shadow_beside_the_phones_of_a_group() {
    a_ring_group(Version::V22, 80).await;
}

#[tokio::test]
async fn asterisk_16_rings_the_shadow_beside_the_phones_of_a_group() {
    a_ring_group(Version::V16, 81).await;
}

/// Asterisk with a phone already registered for the shadow extension, as far as its registrar knows.
async fn where_a_phone_is_registered(version: Version, last: u8) {
    let ip = Ipv4Addr::new(127, 0, 30, last);
    let phone = "\n[199](+type=aor)\ncontact=sip:199@127.0.30.89:5060\n".to_owned();
    let plan = Plan { version, ip, agents: AGENTS.to_vec(), hep: None, more: vec![("pjsip.conf", phone)] };
    let pbx = or_skip!(Asterisk::start_as(plan).await);
    let findings = shadow::probe(&config(&pbx), &main_adapter()).await;
    let told = |finding: &pinkas_sip_adapter::check::Finding| {
        finding.level == Level::Broken
            && finding.text.contains("somebody else is registered for it (127.0.30.89)")
    };
    assert!(findings.iter().any(told), "{findings:?}");
}

#[tokio::test]
async fn asterisk_22_tells_that_a_phone_is_registered_and_the_adapter_keeps_away() {
    where_a_phone_is_registered(Version::V22, 82).await;
}

#[tokio::test]
async fn asterisk_16_tells_that_a_phone_is_registered_and_the_adapter_keeps_away() {
    where_a_phone_is_registered(Version::V16, 83).await;
}

#[tokio::test]
async fn asterisk_22_a_killed_adapter_comes_back_to_its_own_registration() {
    let pbx = or_skip!(Asterisk::start(Version::V22, Ipv4Addr::new(127, 0, 30, 84), AGENTS).await);
    let killed = listen(config(&pbx)).await;
    killed.hearing.abort();
    assert!(killed.hearing.await.is_err());
    assert_ne!(contacts(&pbx).await, "");
    let again = listen(config(&pbx)).await;
    assert_eq!(contacts(&pbx).await.lines().count(), 1);
    again.stopped().await;
    assert_eq!(contacts(&pbx).await, "");
}

#[tokio::test]
async fn asterisk_22_rings_the_shadow_over_tcp() {
    let pbx = or_skip!(Asterisk::start(Version::V22, Ipv4Addr::new(127, 0, 30, 88), AGENTS).await);
    let mut over_tcp = config(&pbx);
    over_tcp.account.transport = Transport::Tcp;
    let mut listening = listen(over_tcp).await;
    let _alice = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let then = Then::GiveUpAfter(Duration::from_millis(300));
    let mut caller = or_skip!(Caller::call(call(&pbx, "610", then)).await);
    listening.rings().await;
    listening.is_over(OverBy::Caller).await;
    caller.over(SOON).await.unwrap();
    listening.stopped().await;
    assert_eq!(contacts(&pbx).await, "");
}

/// The whole adapter, by dialog events and the shadow at once.
async fn both_ways(version: Version, last: u8) {
    let pbx = or_skip!(Asterisk::start(version, Ipv4Addr::new(127, 0, 30, last), AGENTS).await);
    log_sip(&pbx).await;
    let address = SocketAddr::V4(pbx.sip());
    let wishes = Wishes { pbx: Some((address, ADAPTER_PASSWORD.to_owned())), ..Wishes::default() };
    let site = Site::open_as(wishes).await.unwrap();
    let written = std::fs::read_to_string(&site.office.adapter).unwrap();
    let shadow =
        format!("\n[shadow]\naddress = \"{address}\"\nuser = \"199\"\npassword_file = \"pbx.secret\"\n");
    std::fs::write(&site.office.adapter, written + &shadow).unwrap();
    let (_hub, adapter, desks) = site.all(&["ana", "sima"]).await.unwrap();
    site.logs("adapter.log", "extension 199 is registered").await.unwrap();
    let idle = desks["sima"].until("to see every line free", |heard| {
        let lines = &heard.board.lines;
        (lines.len() == 3 && lines.values().all(|view| view.state == LineState::Idle)).then_some(())
    });
    idle.await.unwrap();

    let _alice = or_skip!(Phone::ring_only(pbx.phone(101)).await);
    let bob = or_skip!(Phone::answer_after(pbx.phone(102), Duration::from_millis(900)).await);
    let _carol = or_skip!(Phone::ring_only(pbx.phone(103)).await);
    let mut before = None;
    let mut bob = Some(bob);
    let answered = (Then::HoldFor(Duration::from_millis(500)), "answered by 102", EndedHow::Completed);
    let abandoned =
        (Then::GiveUpAfter(Duration::from_millis(900)), "the caller hung up", EndedHow::Abandoned);
    for (then, why, how) in [answered, abandoned] {
        let mut caller = or_skip!(Caller::call(call(&pbx, "610", then)).await);
        let id = desks["ana"].until("to see a new call", |heard| {
            heard.newest().map(|view| view.id).filter(|id| Some(*id) > before)
        });
        let id = id.await.unwrap();
        let closed = desks["ana"].until("to see it go", |heard| heard.closed(id)).await.unwrap();
        assert_eq!(closed, why);
        caller.over(SOON).await.unwrap();
        let ended = desks["sima"].until("to see the end", |heard| heard.board.calls.get(&id)?.ended);
        assert_eq!(ended.await.unwrap().how, how);
        assert_eq!(desks["ana"].heard().pops_of(id), 1);
        before = Some(id);
        drop(bob.take());
        bob = Some(or_skip!(Phone::ring_only(pbx.phone(102)).await));
    }
    assert_eq!(desks["sima"].heard().board.calls.len(), 2, "two calls and no more");

    let mut adapter = adapter;
    adapter.ask("TERM");
    adapter.end(SOON).await.unwrap();
    until("the registration to be gone", SOON, async || contacts(&pbx).await.is_empty().then_some(()))
        .await
        .unwrap();
    only_listened(&pbx.log());
}

#[tokio::test]
async fn asterisk_22_a_group_with_the_shadow_shows_each_caller_once() {
    both_ways(Version::V22, 85).await;
}

#[tokio::test]
async fn asterisk_16_a_group_with_the_shadow_shows_each_caller_once() {
    both_ways(Version::V16, 86).await;
}

#[tokio::test]
async fn asterisk_22_a_queue_that_has_the_shadow_for_a_member_is_told() {
    let ip = Ipv4Addr::new(127, 0, 30, 87);
    let queue = "[wrong]\nstrategy=ringall\ntimeout=2\nretry=1\nmember => PJSIP/199\n".to_owned();
    let number = "[from-trunk](+)\nexten => 590,1,Queue(wrong,,,,30)\n".to_owned();
    let more = vec![("queues.conf", queue), ("extensions.conf", number)];
    let plan = Plan { version: Version::V22, ip, agents: AGENTS.to_vec(), hep: None, more };
    let pbx = or_skip!(Asterisk::start_as(plan).await);
    let address = SocketAddr::V4(pbx.sip());
    let wishes = Wishes { pbx: Some((address, ADAPTER_PASSWORD.to_owned())), ..Wishes::default() };
    let site = Site::open_as(wishes).await.unwrap();
    let written = std::fs::read_to_string(&site.office.adapter).unwrap();
    let shadow =
        format!("\n[shadow]\naddress = \"{address}\"\nuser = \"199\"\npassword_file = \"pbx.secret\"\n");
    std::fs::write(&site.office.adapter, written + &shadow).unwrap();
    let _adapter = site.adapter().unwrap();
    site.logs("adapter.log", "extension 199 is registered").await.unwrap();
    let _caller = or_skip!(Caller::call(call(&pbx, "590", Then::GiveUpAfter(SOON))).await);
    site.logs("adapter.log", "Take it out of every queue").await.unwrap();
}
