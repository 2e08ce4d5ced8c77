//! A whole office: the real programs, a pretend phone system, a sample company.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use pinkas_demo::company::accounting::Mood;
use pinkas_demo::company::customers::{LEVI, POD_JAWOREM, ZOLKIEWSKI};
use pinkas_demo::office;
use pinkas_demo::pbx::{Pbx, PretendCaller};
use pinkas_protocol::board::CallState;
use pinkas_protocol::{CardState, EndedHow, Facts, Failure, Number, Who};
use pinkas_tests::lab::process::until;
use pinkas_tests::site::{SOON, Site, Wishes, line};

fn everyone() -> Vec<pinkas_protocol::Line> {
    office::lines()
}

#[tokio::test]
async fn ring_all_pops_once_at_each_phone_with_every_card_and_says_who_answered() {
    let site = Site::open().await.unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana", "bob", "celina", "sima"]).await.unwrap();
    let call = site.pbx().call(PretendCaller::new(LEVI.e164, LEVI.name), &everyone()).await;

    let mut ids = Vec::new();
    for (who, at) in [("ana", "101"), ("bob", "102"), ("celina", "103")] {
        let view = desks[who]
            .until("to have every card", |heard| {
                let view = heard.newest()?;
                let filled =
                    view.cards.iter().filter(|c| matches!(c.state, CardState::Filled { .. })).count();
                (filled == 3 && view.cards.len() == 3).then(|| view.clone())
            })
            .await
            .unwrap();
        assert_eq!(view.facts.caller.number, Some(Number::E164 { e164: LEVI.e164.to_owned() }));
        assert_eq!(view.facts.caller.name.as_ref().map(|name| name.0.as_str()), Some(LEVI.name));
        assert!(
            matches!(&view.who, Who::Known { customer } if customer.key.as_str() == LEVI.id),
            "{:?}",
            view.who
        );
        assert_eq!(view.offers.keys().map(|l| l.as_str()).collect::<Vec<_>>(), [at], "only the own phone");
        let kinds = view.cards.iter().map(|card| match &card.state {
            CardState::Filled { facts: Facts::Balance(_), late: false, .. } => "balance",
            CardState::Filled { facts: Facts::Credit(_), late: false, .. } => "credit",
            CardState::Filled { facts: Facts::Purchases { purchases }, late: false, .. } => {
                assert!(!purchases.is_empty());
                "purchases"
            }
            _ => "not filled in time",
        });
        assert_eq!(kinds.collect::<Vec<_>>(), ["balance", "credit", "purchases"]);
        ids.push(view.id);
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one call, not three: {ids:?}");
    let id = ids[0];

    call.answer(&line("102")).await;
    for who in ["ana", "celina"] {
        let why = desks[who].until("to be told who answered", |heard| heard.closed(id)).await.unwrap();
        assert_eq!(why, "answered by 102");
    }
    let talking = desks["sima"].until("to see who talks", |heard| {
        let view = heard.board.calls.get(&id)?;
        match view.state() {
            CallState::Talking { line, .. } => Some((line.to_string(), view.answered()?.1.agent.clone())),
            _ => None,
        }
    });
    assert_eq!(talking.await.unwrap(), ("102".to_owned(), Some("Bob".to_owned())));
    let by_name = desks["ana"].heard().board.calls[&id].answered().and_then(|(_, offer)| offer.agent.clone());
    assert_eq!(by_name.as_deref(), Some("Bob"), "so that Ana's screen can say: Answered by Bob on 102");

    call.hang_up().await;
    for desk in desks.values() {
        let ended = desk.until("to see the end", |heard| heard.board.calls.get(&id)?.ended).await.unwrap();
        assert_eq!(ended.how, EndedHow::Completed);
    }
    for who in ["ana", "bob", "celina"] {
        assert_eq!(desks[who].heard().pops_of(id), 1, "exactly one pop at {who}");
    }
    assert!(desks["sima"].heard().said("pop").is_empty(), "a supervisor watches, nothing pops");
}

#[tokio::test]
async fn an_abandoned_call_is_told_apart_and_concerns_only_the_phone_that_rang() {
    let site = Site::open().await.unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana", "bob", "sima"]).await.unwrap();
    let call = site.pbx().call(PretendCaller::new(ZOLKIEWSKI.e164, "x"), &[line("101")]).await;
    let id = desks["ana"].until("to see a pop", |heard| heard.newest().map(|view| view.id)).await.unwrap();
    call.abandon().await;
    let why = desks["ana"].until("to see it go", |heard| heard.closed(id)).await.unwrap();
    assert_eq!(why, "the caller hung up");
    let how = desks["sima"]
        .until("to see it end", |heard| Some(heard.board.calls.get(&id)?.ended?.how))
        .await
        .unwrap();
    assert_eq!(how, EndedHow::Abandoned);

    // Absence is shown by what comes after: Bob sees the next call, and that is the first he sees.
    let next = site.pbx().call(PretendCaller::new(LEVI.e164, "y"), &[line("102")]).await;
    let seen =
        desks["bob"].until("to see the next call", |heard| heard.newest().map(|view| view.id)).await.unwrap();
    assert_ne!(seen, id);
    assert_eq!(desks["bob"].heard().board.calls.len(), 1);
    next.hang_up().await;
}

#[tokio::test]
async fn a_source_that_never_answers_delays_no_other_and_says_so() {
    let site = Site::open().await.unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana"]).await.unwrap();
    site.accounting.set_mood(Mood::Silent).await.unwrap();
    let call = site.pbx().call(PretendCaller::new(LEVI.e164, "x"), &[line("101")]).await;
    let heard = desks["ana"].until("to be told that accounting is late", |heard| {
        let late =
            heard.newest()?.cards.iter().any(|card| card.state == CardState::Late { deadline_ms: 800 });
        late.then(|| heard.clone())
    });
    let heard = heard.await.unwrap();
    let filled: Vec<bool> = heard
        .newest()
        .unwrap()
        .cards
        .iter()
        .map(|card| matches!(card.state, CardState::Filled { .. }))
        .collect();
    assert_eq!(filled, [false, true, true], "the others were there before the deadline passed");
    let failure = Failure::NoAnswer { deadline_ms: 800 };
    assert_eq!(failure.to_string(), "no answer in 800 ms");
    call.hang_up().await;
}

#[tokio::test]
async fn with_every_source_down_number_and_name_still_pop_at_once() {
    let site = Site::open().await.unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana"]).await.unwrap();
    site.accounting.set_mood(Mood::Down).await.unwrap();
    std::fs::remove_file(site.dir().join("sales.db")).unwrap();
    std::fs::remove_file(site.dir().join("credit.csv")).unwrap();
    let _call = site.pbx().call(PretendCaller::new(ZOLKIEWSKI.e164, "Żółkiewski"), &[line("101")]).await;
    let heard = desks["ana"].until("to see every source settle", |heard| {
        let view = heard.newest()?;
        let settled = view.cards.len() == 3 && view.cards.iter().all(|card| card.state != CardState::Waiting);
        settled.then(|| heard.clone())
    });
    let heard = heard.await.unwrap();
    let first = heard.lines.iter().position(|line| line["update"]["update"] == "call").unwrap();
    let shown = &heard.lines[first]["update"]["view"]["caller"];
    assert_eq!(shown["number"]["e164"], ZOLKIEWSKI.e164);
    assert_eq!(shown["name"], "Żółkiewski");
    let cards = &heard.newest().unwrap().cards;
    let accounting = &cards[0].state;
    assert!(matches!(accounting, CardState::Failed { failure: Failure::Unreachable, .. }), "{accounting:?}");
}

#[tokio::test]
async fn two_customers_on_one_number_are_both_offered_and_nothing_is_fetched_before_the_choice() {
    let site = Site::open().await.unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana"]).await.unwrap();
    let _call = site.pbx().call(PretendCaller::new(POD_JAWOREM.e164, ""), &[line("101")]).await;
    let view = desks["ana"].until("to see both", |heard| {
        heard.newest().filter(|view| matches!(view.who, Who::Several { .. })).cloned()
    });
    let view = view.await.unwrap();
    let Who::Several { customers, chosen: None } = view.who else { panic!("{:?}", view.who) };
    assert_eq!(customers.len(), 2);
    assert!(view.cards.is_empty());
    assert_eq!(site.accounting.requests(), 0);
}

#[tokio::test]
async fn hostile_callers_pop_as_plain_text_choose_no_customer_and_break_no_source() {
    let site = Site::open().await.unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana"]).await.unwrap();
    let long = "A".repeat(4096);
    let spoof = format!("x <sip:{}@bank>", LEVI.e164);
    let hostile: &[(&[u8], &[u8], &str)] = &[
        (b"'; DROP TABLE sales; --", b"'; DROP TABLE sales; --", "'; DROP TABLE sales; --"),
        (b"+48999999999999999", spoof.as_bytes(), &spoof),
        (b"{{7*7}}", b"{{7*7}} Ltd", "{{7*7}} Ltd"),
        (b"%00%0d%0aX-Evil: 1", "\u{202E}evil\u{2066}\u{200F} name".as_bytes(), "evil name"),
        (b"../../admin?x=y#z", long.as_bytes(), "AAAA"),
        (b"+\xff\xfe", b"broken \xf9\xe0\xff name", "broken"),
        (b"x", b"<script>alert(1)</script>&amp;\"", "<script>alert(1)</script>&amp;\""),
    ];
    for (number, name, shown) in hostile {
        let before = desks["ana"].heard().newest().map(|view| view.id);
        let call = site.pbx().call(PretendCaller::new(number, name), &[line("101")]).await;
        let view = desks["ana"].until("to see the hostile call", |heard| {
            heard.newest().filter(|view| Some(view.id) != before && view.who != Who::Asking).cloned()
        });
        let view = view.await.unwrap();
        let name = view.facts.caller.name.map(|name| name.0).unwrap_or_default();
        assert!(name.starts_with(shown), "{name:?} for {shown:?}");
        assert!(name.chars().count() <= 121, "long names are cut: {}", name.chars().count());
        assert!(!name.chars().any(|c| c.is_control() || ('\u{202A}'..='\u{202E}').contains(&c)), "{name:?}");
        assert!(
            matches!(view.who, Who::NoNumber | Who::Unknown { .. }),
            "no customer for {number:?}: {:?}",
            view.who
        );
        call.hang_up().await;
        let id = view.id;
        desks["ana"].until("to see it go", |heard| heard.board.calls.get(&id)?.ended).await.unwrap();
    }
    assert_eq!(site.accounting.requests(), 0, "nobody was asked about them");

    // Nothing was broken: a good caller still gets every card.
    let _good = site.pbx().call(PretendCaller::new(LEVI.e164, LEVI.name), &[line("101")]).await;
    let full = desks["ana"].until("to see a good card", |heard| {
        let cards = &heard.newest()?.cards;
        (cards.len() == 3 && cards.iter().all(|c| matches!(c.state, CardState::Filled { .. }))).then_some(())
    });
    full.await.unwrap();
    for log in ["hub.log", "adapter.log"] {
        let log = site.log(log);
        for secret in [LEVI.e164, LEVI.name, &site.places.pbx_password, "DROP TABLE", "Authorization"] {
            assert!(!log.contains(secret), "{secret} must not be in a log:\n{log}");
        }
    }
}

#[tokio::test]
async fn a_hub_that_starts_last_is_found_and_gets_what_was_kept_for_it() {
    let site = Site::open().await.unwrap();
    let _adapter = site.adapter().unwrap();
    let desk = site.desktop("ana").unwrap();
    site.logs("adapter.log", "cannot be reached").await.unwrap();
    tokio::time::timeout(SOON, site.pbx().subscribed(&everyone())).await.unwrap();
    let call = site.pbx().call(PretendCaller::new(LEVI.e164, "x"), &[line("101")]).await;
    let _hub = site.hub().unwrap();
    desk.until("to see the call", |heard| heard.newest().map(|_| ())).await.unwrap();
    call.hang_up().await;
    assert_eq!(
        site.log("adapter.log").matches("cannot be reached").count(),
        1,
        "told once, not at each attempt"
    );
}

#[tokio::test]
async fn a_wrong_secret_is_one_clear_line_and_heals_when_it_is_put_right() {
    let site = Site::open().await.unwrap();
    let right = std::fs::read_to_string(site.dir().join("adapter.secret")).unwrap();
    std::fs::write(site.dir().join("adapter.secret"), "something else").unwrap();
    let mut adapter = site.adapter().unwrap();
    // The adapter has read the wrong one; the hub reads the right one.
    site.logs("adapter.log", "asking the phone system").await.unwrap();
    std::fs::write(site.dir().join("adapter.secret"), right).unwrap();
    let _hub = site.hub().unwrap();
    site.logs("adapter.log", "the hub does not know this name and secret").await.unwrap();
    site.logs("hub.log", "an adapter was refused").await.unwrap();
    adapter.kill();
    let _adapter = site.adapter().unwrap();
    site.logs("hub.log", "adapter connected").await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_one_clear_line_and_waited_for() {
    let site = Site::open().await.unwrap();
    let taken = tokio::net::TcpListener::bind(site.places.hub).await.unwrap();
    let mut hub = site.hub().unwrap();
    site.logs("hub.log", "cannot listen on").await.unwrap();
    hub.must_run().unwrap();
    drop(taken);
    site.logs("hub.log", "hub listens on").await.unwrap();
    assert_eq!(site.log("hub.log").matches("cannot listen on").count(), 1);
}

#[tokio::test]
async fn a_phone_system_that_refuses_or_is_away_is_one_clear_line_and_heard_when_it_is_there() {
    let site = Site::open().await.unwrap();
    let (address, password) = (site.places.pbx, site.places.pbx_password.clone());
    site.pbx().stop().await;
    let wrong = Pbx::start(office::pbx_config(address, "another password")).await.unwrap();
    let _adapter = site.adapter().unwrap();
    site.logs("adapter.log", "refuses user").await.unwrap();
    assert_eq!(site.log("adapter.log").matches("refuses user").count(), 1, "told once for all lines");
    wrong.stop().await;
    let right = Pbx::start(office::pbx_config(address, &password)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), right.subscribed(&everyone()))
        .await
        .expect("it is heard again");
    site.logs("adapter.log", "is heard again").await.unwrap();
}

#[tokio::test]
async fn a_phone_system_that_forgets_its_subscriptions_is_subscribed_to_anew() {
    let site = Site::open_as(Wishes::default()).await.unwrap();
    let config = std::fs::read_to_string(&site.office.adapter).unwrap();
    std::fs::write(&site.office.adapter, config + "expires = \"2s\"\n").unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana"]).await.unwrap();
    site.pbx().forget_subscriptions();
    tokio::time::timeout(SOON, site.pbx().subscribed(&everyone()))
        .await
        .expect("481 leads to a new subscription");
    let _call = site.pbx().call(PretendCaller::new(LEVI.e164, "x"), &[line("101")]).await;
    desks["ana"].until("to see a call", |heard| heard.newest().map(|_| ())).await.unwrap();
}

#[tokio::test]
async fn lost_repeated_and_overtaking_messages_change_nothing() {
    let site = Site::open().await.unwrap();
    let (address, password) = (site.places.pbx, site.places.pbx_password.clone());
    site.pbx().stop().await;
    let mut config = office::pbx_config(address, &password);
    config.faults.notify_before_200 = true;
    config.faults.duplicate_notifies = true;
    config.faults.drop_every_nth = Some(3);
    let pbx = Pbx::start(config).await.unwrap();
    let _hub = site.hub().unwrap();
    let _adapter = site.adapter().unwrap();
    let desk = site.desktop("ana").unwrap();
    tokio::time::timeout(SOON, pbx.subscribed(&everyone())).await.unwrap();
    for n in 0..4 {
        let call = pbx.call(PretendCaller::new(format!("+4822000020{n}"), "x"), &[line("101")]).await;
        let id = desk.until("to see a pop", |heard| heard.live().first().map(|view| view.id)).await.unwrap();
        call.answer(&line("101")).await;
        until("the answer", SOON, async || desk.heard().board.calls[&id].answered().map(|_| ()))
            .await
            .unwrap();
        call.hang_up().await;
        let ended = desk.until("to see the end", |heard| heard.board.calls.get(&id)?.ended).await.unwrap();
        assert_eq!(ended.how, EndedHow::Completed);
        assert_eq!(desk.heard().pops_of(id), 1);
    }
    assert_eq!(desk.heard().board.calls.len(), 4);
}

#[tokio::test]
async fn nobody_but_the_phone_system_can_make_a_pop() {
    let site = Site::open().await.unwrap();
    let (_hub, _adapter, desks) = site.all(&["ana"]).await.unwrap();
    let log = site.log("adapter.log");
    let from =
        log.split(" from ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("its address");
    let adapter: SocketAddr = from.parse().expect("an address");
    let body = "<dialog-info state=\"full\"><dialog id=\"101\" direction=\"recipient\"><state>early</state>\
                <remote><identity>sip:+97230000102@x</identity></remote></dialog></dialog-info>";
    let stranger = tokio::net::UdpSocket::bind((pinkas_tests::site::own_address(), 5060)).await.unwrap();
    let me = stranger.local_addr().unwrap();
    let forged = format!(
        "NOTIFY sip:pinkas@{adapter} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKx\r\nFrom: <sip:101@x>;tag=a\r\n\
         To: <sip:pinkas@x>;tag=b\r\nCall-ID: forged\r\nCSeq: 1 NOTIFY\r\nEvent: dialog\r\n\
         Subscription-State: active\r\nContent-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for junk in [forged.as_bytes(), b"INVITE sip:x SIP/2.0\r\n\r\n", b"\0\0\0\0", &[0xff; 1400]] {
        stranger.send_to(junk, adapter).await.unwrap();
    }
    let _real = site.pbx().call(PretendCaller::new(LEVI.e164, "x"), &[line("101")]).await;
    desks["ana"].until("to see the real call", |heard| heard.newest().map(|_| ())).await.unwrap();
    assert_eq!(desks["ana"].heard().board.calls.len(), 1);
    let mut reply = [0u8; 16];
    let silence = tokio::time::timeout(Duration::from_millis(100), stranger.recv(&mut reply)).await;
    assert!(silence.is_err(), "a stranger gets no answer, so nothing is reflected");
}
