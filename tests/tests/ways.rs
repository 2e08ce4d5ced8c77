//! One real phone system, heard in several ways at the same time: each way must tell what truly happened,
//! as far as it can know, and all of them together must tell one call. What each way can know stands in
//! `ears::Knows` and in the exceptions here, each with its reason.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pinkas_config::Secret;
use pinkas_protocol::{Line, NumberPlan, Private};
use pinkas_sip_adapter::config::{Ami, DialogEvents, Hep, Pbx, SipAccount, Transport};
use pinkas_sip_adapter::hear::{Way, ami, dialog_events, hep};
use pinkas_sip_adapter::sip::identity::Rules;
use pinkas_tests::ears::{Ear, Ears, Knows, played_text, told_text};
use pinkas_tests::lab::asterisk::{ADAPTER_PASSWORD, ADAPTER_USER, Asterisk, Plan, Version, carrier_of};
use pinkas_tests::lab::kamailio::Kamailio;
use pinkas_tests::lab::scenario::{Played, Scenario};
use pinkas_tests::or_skip;

const AGENTS: &[u16] = &[101, 102, 103];

fn secret() -> Secret {
    Private(ADAPTER_PASSWORD.to_owned())
}

fn pbx(trusted: Ipv4Addr) -> Pbx {
    let numbers = NumberPlan::new("PL", 4).unwrap();
    let rules = Rules { numbers, trusted: vec![trusted.into()], ..Rules::default() };
    Pbx {
        lines: AGENTS.iter().map(|agent| Line::parse(&agent.to_string()).unwrap()).collect(),
        rules: Arc::new(rules),
    }
}

/// Copies of the traffic, taken from this machine.
fn copies(listen: SocketAddr, pbx: Ipv4Addr, key: Option<Secret>) -> Hep {
    Hep {
        listen,
        from: vec!["127.0.0.0/8".parse().unwrap()],
        key,
        pbx: vec![pbx.into()],
        call_id_header: "X-Original-Call-ID".to_owned(),
        join_within: Duration::from_secs(5),
        give_up_after: Duration::from_secs(3600),
        most_legs: 1000,
    }
}

/// Asterisk, and ears at it that hear in these ways.
async fn office(
    version: Version,
    ip: Ipv4Addr,
    ways: &[Way],
) -> Result<(Asterisk, Ears), pinkas_tests::lab::Trouble> {
    let hep = SocketAddr::new(ip.into(), 9060);
    let with_hep = ways.contains(&Way::Hep).then_some(hep);
    let plan = Plan { version, ip, agents: AGENTS.to_vec(), hep: with_hep, more: Vec::new() };
    let asterisk = Asterisk::start_as(plan).await?;
    let mut ears = Ears::new(ways);
    let site = pbx(asterisk.carrier());
    for way in ways {
        let site = site.clone();
        match way {
            Way::DialogEvents => {
                let account = SipAccount {
                    address: asterisk.sip().into(),
                    transport: Transport::Udp,
                    domain: ip.to_string(),
                    listen: None,
                    user: ADAPTER_USER.to_owned(),
                    password: secret(),
                    realm: None,
                };
                let (expires, ping) = (Duration::from_secs(4), Duration::from_secs(5));
                let config = DialogEvents { account, expires, list: None, ping };
                ears.start(|heard, stop| dialog_events::run(config, site, heard, stop));
            }
            Way::Ami => {
                let channels = vec!["PJSIP/{line}".parse().unwrap()];
                let config = Ami {
                    address: asterisk.manager().into(),
                    user: ADAPTER_USER.to_owned(),
                    secret: secret(),
                    channels,
                };
                ears.start(|heard, stop| ami::run(config, site, heard, stop));
            }
            Way::Hep => {
                let config = copies(hep, ip, Some(secret()));
                ears.start(|heard, stop| hep::run(config, site, heard, stop));
            }
            Way::Shadow => {}
        }
    }
    ears.all_idle(AGENTS).await.unwrap();
    Ok((asterisk, ears))
}

/// What dialog events cannot tell of a scenario, with the reason; its text is then not compared.
const UNHEARD_BY_DIALOG_EVENTS: &[(Scenario, &str)] = &[
    (Scenario::AttendedTransfer, "nothing is sent when the caller is put through"),
    (Scenario::PickedUp, "the phone that takes the call never rings"),
    (Scenario::CallWaiting, "an answered second call looks like one that stopped ringing"),
    (Scenario::NobodyFree, "no phone rings"),
    (Scenario::OfferedAgain, "when nobody rings for a second the call looks given up, and the next one new"),
];

/// Holds what each machine told beside what was played; gives what differs.
async fn compare(
    scenario: Scenario,
    ears: &Ears,
    ways: &[Way],
    knows: impl Fn(Ear) -> Knows,
    played: &[Played],
) -> Vec<String> {
    let mut faults = Vec::new();
    for ear in ways.iter().map(|way| Ear::Only(*way)).chain([Ear::All]) {
        let unheard = UNHEARD_BY_DIALOG_EVENTS.iter().any(|(unheard, _)| *unheard == scenario);
        if ear == Ear::Only(Way::DialogEvents) && unheard {
            continue;
        }
        let knows = knows(ear);
        let mut wanted: Vec<String> = played.iter().flat_map(|call| played_text(call, knows)).collect();
        let told = ears.calls(ear, wanted.len()).await;
        let mut told: Vec<String> = told.iter().map(|call| told_text(call, knows)).collect();
        wanted.sort();
        told.sort();
        if told != wanted {
            faults.push(format!(
                "== {scenario:?}, heard by {ear}: told\n{}\n-- but it was\n{}",
                told.join("\n"),
                wanted.join("\n")
            ));
        }
    }
    ears.forget().await;
    faults
}

/// After a power cut: no call goes on, and the next one is heard as ever.
async fn heard_again(asterisk: &mut Asterisk, ears: &Ears, ways: &[Way]) -> Vec<String> {
    let mut faults = Vec::new();
    for ear in ways.iter().map(|way| Ear::Only(*way)).chain([Ear::All]) {
        let told = ears.calls(ear, 1).await;
        // Whoever only sees messages cannot know that none will come: three minutes bound such a call.
        if ear != Ear::Only(Way::Hep) && told.iter().any(|call| call.ended.is_none()) {
            faults.push(format!("== a call goes on after the phone system's end, heard by {ear}"));
        }
    }
    ears.all_idle(AGENTS).await.unwrap();
    ears.forget().await;
    let played = Scenario::RingAllAnswered.on_asterisk(asterisk).await.unwrap();
    faults.extend(compare(Scenario::RingAllAnswered, ears, ways, Knows::of, &played).await);
    faults
}

async fn every_scenario(version: Version, ip: Ipv4Addr, ways: &[Way]) {
    let (mut asterisk, ears) = or_skip!(office(version, ip, ways).await);
    let mut faults = Vec::new();
    for scenario in Scenario::ON_ASTERISK {
        let played = scenario.on_asterisk(&mut asterisk).await;
        let played = played.unwrap_or_else(|error| panic!("{scenario:?} could not be played: {error:#}"));
        // A caller whom no queue lets in and no phone rings for is no call yet.
        if scenario == Scenario::SentAway {
            continue;
        }
        if scenario == Scenario::StoppedAndStarted {
            faults.extend(heard_again(&mut asterisk, &ears, ways).await);
            continue;
        }
        faults.extend(compare(scenario, &ears, ways, Knows::of, &played).await);
    }
    assert!(faults.is_empty(), "{}\n\n{} faults", faults.join("\n\n"), faults.len());
}

#[tokio::test]
async fn asterisk_22_is_heard_as_it_was_by_every_way() {
    every_scenario(Version::V22, Ipv4Addr::new(127, 0, 30, 90), &[Way::DialogEvents, Way::Hep, Way::Ami])
        .await;
}

#[tokio::test]
async fn asterisk_16_is_heard_as_it_was_by_every_way() {
    every_scenario(Version::V16, Ipv4Addr::new(127, 0, 30, 91), &[Way::DialogEvents, Way::Hep, Way::Ami])
        .await;
}

#[tokio::test]
async fn kamailio_is_heard_as_it_was_by_hep() {
    let ip = Ipv4Addr::new(127, 0, 30, 92);
    let listen = SocketAddr::new(ip.into(), 9060);
    let ways = &[Way::Hep];
    let mut ears = Ears::new(ways);
    let site = pbx(carrier_of(ip));
    ears.start(|heard, stop| hep::run(copies(listen, ip, None), site, heard, stop));
    let mut kamailio = or_skip!(Kamailio::start(ip, AGENTS, Some(listen)).await);
    let mut faults = Vec::new();
    for scenario in Scenario::ON_KAMAILIO {
        let played = scenario.on_kamailio(&mut kamailio).await;
        let played = played.unwrap_or_else(|error| panic!("{scenario:?} could not be played: {error:#}"));
        // Nothing says that the proxy died in the middle of a call but that no message comes: three minutes
        // bound such a call.
        if scenario == Scenario::StoppedAndStarted {
            break;
        }
        // A caller whom no phone rings for is no call yet.
        if scenario == Scenario::SentAway {
            continue;
        }
        faults.extend(compare(scenario, &ears, ways, |_| Knows::of_a_proxy(), &played).await);
    }
    assert!(faults.is_empty(), "{}\n\n{} faults", faults.join("\n\n"), faults.len());
}
