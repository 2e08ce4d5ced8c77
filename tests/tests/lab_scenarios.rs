//! The laboratory's scenarios, tested: each really happens on a real phone system, which says so itself
//! (Asterisk by its manager events, Kamailio by the SIP it mirrors), and leaves nothing behind. Where a
//! test here fails, do not look for the mistake in Pinkas.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinkas_tests::lab::asterisk::{
    ADAPTER_PASSWORD, ADAPTER_USER, Asterisk, Plan, Version, tells_whom_one_talks_to,
};
use pinkas_tests::lab::kamailio::Kamailio;
use pinkas_tests::lab::process::until;
use pinkas_tests::lab::scenario::{Ended, Happened, Played, Scenario};
use pinkas_tests::lab::sipp::Lamp;
use pinkas_tests::or_skip;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const SOON: Duration = Duration::from_secs(10);
const HALF: usize = Scenario::ON_ASTERISK.len() / 2;
const AGENTS: &[u16] = &[101, 102, 103];

// In halves, which run at the same time.
#[tokio::test]
async fn every_scenario_really_happens_on_asterisk_22() {
    on_asterisk(Version::V22, Ipv4Addr::new(127, 0, 30, 206), &[], &Scenario::ON_ASTERISK[..HALF]).await;
}

#[tokio::test]
async fn every_other_scenario_really_happens_on_asterisk_22() {
    on_asterisk(Version::V22, Ipv4Addr::new(127, 0, 30, 211), &[], &Scenario::ON_ASTERISK[HALF..]).await;
}

#[tokio::test]
async fn every_scenario_really_happens_on_asterisk_16() {
    on_asterisk(Version::V16, Ipv4Addr::new(127, 0, 30, 207), &[], &Scenario::ON_ASTERISK[..HALF]).await;
}

#[tokio::test]
async fn every_other_scenario_really_happens_on_asterisk_16() {
    on_asterisk(Version::V16, Ipv4Addr::new(127, 0, 30, 212), &[], &Scenario::ON_ASTERISK[HALF..]).await;
}

#[tokio::test]
async fn calls_move_also_where_asterisk_tells_whom_one_talks_to() {
    use Scenario::{AttendedTransfer, BlindTransfer, CallWaiting, Forwarded, PickedUp};
    let moves = [PickedUp, Forwarded, BlindTransfer, AttendedTransfer, CallWaiting];
    on_asterisk(Version::V22, Ipv4Addr::new(127, 0, 30, 208), &[tells_whom_one_talks_to(AGENTS)], &moves)
        .await;
}

#[tokio::test]
async fn people_take_their_time_so_that_dialog_events_tell_each_state() {
    let ip = Ipv4Addr::new(127, 0, 30, 213);
    let mut pbx = or_skip!(Asterisk::start(Version::V22, ip, AGENTS).await);
    let lamp = or_skip!(Lamp::watch(pbx.sip(), ip, 101, ADAPTER_USER, ADAPTER_PASSWORD).await);
    let mut wanted = vec!["terminated"];
    let rings = ["early", "terminated"];
    let talks = ["early", "confirmed", "terminated"];
    for (scenario, states) in [
        (Scenario::RingAllAnswered, &rings[..]),
        (Scenario::RingAllAbandoned, &rings),
        (Scenario::Declined, &rings),
        (Scenario::Direct, &talks),
        (Scenario::BlindTransfer, &talks),
    ] {
        scenario.on_asterisk(&mut pbx).await.unwrap();
        wanted.extend(states);
        let told = until("the lamp to be told", SOON, async || (lamp.states() == wanted).then_some(())).await;
        assert!(told.is_ok(), "{scenario:?}: told {:?}, not {wanted:?}", lamp.states());
    }
}

#[tokio::test]
async fn every_scenario_really_happens_on_kamailio() {
    let mirror = Mirror::bind(Ipv4Addr::new(127, 0, 31, 209)).await;
    let mut pbx = or_skip!(Kamailio::start(Ipv4Addr::new(127, 0, 30, 209), AGENTS, Some(mirror.at)).await);
    for scenario in Scenario::ON_KAMAILIO {
        mirror.forget();
        let played = scenario.on_kamailio(&mut pbx).await;
        let played = played.unwrap_or_else(|error| panic!("{scenario:?}: {error:#}\n{}", pbx.log()));
        tells_a_whole_story(scenario, &played);
        for word in kamailio_says(scenario) {
            mirror.said(scenario, word).await;
        }
    }
}

#[tokio::test]
async fn kamailio_takes_its_configuration_and_comes_back_after_a_stop_and_after_a_power_cut() {
    let mut pbx = or_skip!(Kamailio::start(Ipv4Addr::new(127, 0, 30, 210), AGENTS, None).await);
    pbx.check().await.unwrap();
    let before = pbx.process().unwrap();
    pbx.stop().await.unwrap();
    assert_eq!(pbx.process(), None);
    assert!(!std::path::Path::new(&format!("/proc/{before}")).exists(), "process {before} is still there");
    pbx.start_again().await.unwrap();
    pbx.kill().await.unwrap();
    pbx.start_again().await.unwrap();
    Scenario::Direct.on_kamailio(&mut pbx).await.unwrap();
}

async fn on_asterisk(
    version: Version,
    ip: Ipv4Addr,
    more: &[(&'static str, String)],
    scenarios: &[Scenario],
) {
    let plan = Plan { version, ip, agents: AGENTS.to_vec(), hep: None, more: more.to_vec() };
    let mut pbx = or_skip!(Asterisk::start_as(plan).await);
    for &scenario in scenarios {
        let events = Events::listen(pbx.manager()).await;
        let played = scenario.on_asterisk(&mut pbx).await;
        let played = played.unwrap_or_else(|error| panic!("{scenario:?}: {error:#}\n{}", pbx.log()));
        tells_a_whole_story(scenario, &played);
        for word in asterisk_says(scenario) {
            events.said(scenario, word).await;
        }
        let quiet = until("all channels to be gone", SOON, async || {
            pbx.rx("core show channels").await.ok()?.contains("0 active channels").then_some(())
        });
        quiet.await.unwrap_or_else(|error| panic!("{scenario:?}: {error:#}\n{}", pbx.log()));
    }
}

/// What Asterisk says of a scenario that it says of no other way for it to go.
fn asterisk_says(scenario: Scenario) -> &'static [&'static str] {
    match scenario {
        Scenario::RingAllAnswered => {
            &["Event: QueueCallerJoin", "Event: AgentConnect", "Event: AgentComplete"]
        }
        Scenario::RingAllAbandoned => &["Event: QueueCallerAbandon", "DialStatus: CANCEL"],
        Scenario::Declined => &["Event: AgentRingNoAnswer", "Event: QueueCallerAbandon"],
        Scenario::NoAnswer => &["Queue: brief", "Event: AgentRingNoAnswer", "Cause: 19"],
        Scenario::SentAway => &["Cause-txt: User busy"],
        Scenario::NobodyFree => {
            &["Event: QueueMemberPause", "PausedReason: lunch", "Event: QueueCallerAbandon"]
        }
        Scenario::OfferedAgain => &["Event: AgentRingNoAnswer", "Event: AgentConnect"],
        Scenario::GroupAnswered => &["DialStatus: ANSWER", "DialStatus: CANCEL"],
        Scenario::GroupAbandoned => &["DialStatus: CANCEL"],
        Scenario::GroupDeclined => &["DialStatus: BUSY", "DialStatus: CANCEL"],
        Scenario::Hunt => &["DialStatus: NOANSWER", "DialStatus: ANSWER"],
        Scenario::Withheld => &["DialStatus: CANCEL", "+972541234567"],
        Scenario::Forwarded => &["Forward: 102", "DialStatus: ANSWER"],
        Scenario::PickedUp => &["Event: Pickup"],
        Scenario::Diverted | Scenario::Direct | Scenario::Internal => &["DialStatus: ANSWER"],
        Scenario::SecondCall => &["DialStatus: ANSWER", "DialStatus: CANCEL", "+48220000101"],
        Scenario::CallWaiting => &["Event: Hold", "Event: Unhold", "+48220000101"],
        Scenario::Hold => &["Event: Hold", "Event: Unhold"],
        Scenario::BlindTransfer => &["Event: BlindTransfer"],
        Scenario::AttendedTransfer => &["Event: AttendedTransfer"],
        Scenario::StoppedAndStarted => &["Event: Newstate"],
    }
}

/// The same for Kamailio, out of the SIP it mirrors.
fn kamailio_says(scenario: Scenario) -> &'static [&'static str] {
    match scenario {
        Scenario::RingAllAnswered => &["Reason: SIP;cause=200", "BYE sip:102@"],
        Scenario::RingAllAbandoned | Scenario::Withheld | Scenario::SecondCall => {
            &["CANCEL sip:", "SIP/2.0 487 "]
        }
        Scenario::Declined => &["SIP/2.0 486 ", "SIP/2.0 487 "],
        Scenario::NoAnswer => &["CANCEL sip:103@", "SIP/2.0 408 "],
        Scenario::SentAway => &["SIP/2.0 480 "],
        Scenario::Hunt => &["CANCEL sip:101@", "INVITE sip:102@"],
        Scenario::Diverted => &["Diversion: "],
        Scenario::Direct | Scenario::Internal => &["SIP/2.0 180 ", "BYE sip:"],
        Scenario::CallWaiting | Scenario::Hold => &["a=sendonly"],
        Scenario::BlindTransfer => &["REFER sip:", "Referred-By: "],
        Scenario::AttendedTransfer => &["REFER sip:", "Replaces: "],
        Scenario::StoppedAndStarted => &["INVITE sip:101@"],
        Scenario::NobodyFree
        | Scenario::OfferedAgain
        | Scenario::GroupAnswered
        | Scenario::GroupAbandoned
        | Scenario::GroupDeclined
        | Scenario::Forwarded
        | Scenario::PickedUp => &[],
    }
}

/// What every script has to keep to, so that who compares with it may rely on it.
fn tells_a_whole_story(scenario: Scenario, played: &[Played]) {
    assert!(!played.is_empty(), "{scenario:?} tells of no call");
    for call in played {
        let count = |wanted: fn(&Happened) -> bool| call.happened.iter().filter(|one| wanted(one)).count();
        let answered = count(|one| matches!(one, Happened::Answered(_)));
        let over_unanswered = matches!(call.ended, Ended::Abandoned | Ended::SentAway | Ended::Lost);
        assert_eq!(answered == 0, over_unanswered, "{scenario:?}: {call:?}");
        assert_eq!(
            count(|one| matches!(one, Happened::Holds(_))) > 0,
            matches!(scenario, Scenario::Hold | Scenario::AttendedTransfer)
                || (scenario == Scenario::CallWaiting && call.number.starts_with("+972")),
            "{scenario:?}: {call:?}"
        );
        let rings = count(|one| matches!(one, Happened::Rings(_)));
        let silent = matches!(scenario, Scenario::NobodyFree | Scenario::SentAway);
        assert_eq!(rings == 0, silent, "{scenario:?}: {call:?}");
    }
}

/// Everything a manager connection says.
struct Events {
    said: Arc<Mutex<String>>,
    reading: tokio::task::JoinHandle<()>,
}

impl Events {
    /// Logs in and waits until that is confirmed.
    async fn listen(manager: SocketAddrV4) -> Events {
        let mut link = TcpStream::connect(manager).await.unwrap();
        let login =
            format!("Action: Login\r\nUsername: {ADAPTER_USER}\r\nSecret: {ADAPTER_PASSWORD}\r\n\r\n");
        link.write_all(login.as_bytes()).await.unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let reading = tokio::spawn(async move {
            let mut bytes = vec![0; 65_536];
            while let Ok(length @ 1..) = link.read(&mut bytes).await {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        let events = Events { said, reading };
        events.said("the login", "Authentication accepted").await;
        events
    }

    async fn said(&self, what: impl std::fmt::Debug, word: &str) {
        let waited = until(word, SOON, async || self.said.lock().unwrap().contains(word).then_some(())).await;
        assert!(waited.is_ok(), "{what:?} without {word:?}:\n{}", self.said.lock().unwrap());
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// Everything a phone system mirrors, as text.
struct Mirror {
    at: SocketAddr,
    said: Arc<Mutex<String>>,
    reading: tokio::task::JoinHandle<()>,
}

impl Mirror {
    async fn bind(ip: Ipv4Addr) -> Mirror {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let at = socket.local_addr().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        let reading = tokio::spawn(async move {
            let mut bytes = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut bytes).await {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Mirror { at, said, reading }
    }

    fn forget(&self) {
        self.said.lock().unwrap().clear();
    }

    async fn said(&self, what: Scenario, word: &str) {
        let waited = until(word, SOON, async || self.said.lock().unwrap().contains(word).then_some(())).await;
        assert!(waited.is_ok(), "{what:?} without {word:?}:\n{}", self.said.lock().unwrap());
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
