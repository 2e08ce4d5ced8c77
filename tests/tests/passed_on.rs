//! Everything an adapter can say of a call, said to a real hub by the test itself, as the desktops then have
//! it: a caller who waits, is held, and is passed on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use pinkas_demo::company::customers::LEVI;
use pinkas_protocol::adapter_link::{AdapterSays, HubToAdapter};
use pinkas_protocol::{
    CallChange, CallEvent, CallFacts, CallId, Caller, CardState, EndedHow, Event, Line, LineEvent, LineState,
    Number, OfferState, Pause, PauseEvent, Private, QueueName, TagName, wire,
};
use pinkas_tests::site::{Heard, Site, line};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// An adapter that says what the test tells it to.
struct Adapter {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    sequence: u64,
    call: CallId,
}

impl Adapter {
    async fn logs_in(site: &Site, call: CallId, lines: &[&str]) -> Adapter {
        let secret = std::fs::read_to_string(site.dir().join("adapter.secret")).unwrap();
        let (socket, _) = connect_async(format!("ws://{}/adapter", site.places.hub)).await.unwrap();
        let mut adapter = Adapter { socket, sequence: 0, call };
        adapter
            .says(AdapterSays::Hello {
                version: wire::VERSION,
                adapter: "main".parse().unwrap(),
                secret: Private(secret.trim().to_owned()),
                outbox: "019d0000-0000-7000-8000-0000000000aa".parse().unwrap(),
            })
            .await;
        assert!(matches!(adapter.hears().await, HubToAdapter::Welcome { durable: 0 }));
        adapter.follows(lines).await;
        adapter.says(AdapterSays::Live { calls: vec![], last: true }).await;
        adapter
    }

    async fn says(&mut self, message: AdapterSays) {
        self.socket.send(Message::text(wire::encode(&message))).await.unwrap();
    }

    async fn hears(&mut self) -> HubToAdapter {
        loop {
            if let Message::Text(text) = self.socket.next().await.unwrap().unwrap() {
                return wire::decode(&text).unwrap();
            }
        }
    }

    async fn follows(&mut self, lines: &[&str]) {
        self.says(AdapterSays::Lines { lines: lines.iter().map(|name| line(name)).collect(), last: true })
            .await;
    }

    async fn event(&mut self, event: Event) {
        self.sequence += 1;
        self.says(AdapterSays::Event { sequence: self.sequence, event }).await;
    }

    async fn call(&mut self, change: CallChange) {
        let event = CallEvent { call: self.call, heard_at: Timestamp::now(), change };
        self.event(Event::Call(event)).await;
    }
}

fn state(heard: &Heard, call: CallId, at: &str) -> Option<OfferState> {
    Some(heard.board.calls.get(&call)?.offers.get(&line(at))?.state.clone())
}

fn filled(heard: &Heard, call: CallId) -> bool {
    let cards = heard.board.calls.get(&call).map(|view| view.cards.as_slice()).unwrap_or_default();
    !cards.is_empty() && cards.iter().all(|card| matches!(card.state, CardState::Filled { .. }))
}

#[tokio::test]
async fn a_caller_who_waits_is_held_and_passed_on_is_one_call_with_its_cards_on_every_desktop() {
    let site = Site::open().await.unwrap();
    let hub = site.hub().unwrap();
    site.logs("hub.log", "hub listens").await.unwrap();
    let call: CallId = "019d0000-0000-7000-8000-000000000001".parse().unwrap();
    let mut adapter = Adapter::logs_in(&site, call, &["101", "102", "103"]).await;
    let [ana, bob, sima] = ["ana", "bob", "sima"].map(|who| site.desktop(who).unwrap());
    for desk in [&ana, &bob, &sima] {
        desk.until("to be welcome", |heard| heard.role().map(drop)).await.unwrap();
    }
    let (queue, now): (QueueName, _) = ("Support".parse().unwrap(), Timestamp::now());
    for name in ["102", "103"] {
        let idle = LineEvent { line: line(name), heard_at: now, state: LineState::Idle };
        adapter.event(Event::Line(idle)).await;
    }
    let lunch = Some(Pause { reason: Some("lunch".to_owned()) });
    let paused = PauseEvent { line: line("103"), queue: queue.clone(), heard_at: now, pause: lunch.clone() };
    adapter.event(Event::Pause(paused)).await;

    // Nobody's phone rings yet: a supervisor sees the caller wait, and the sources answer meanwhile.
    let mut facts = CallFacts { queue: Some(queue.clone()), ..CallFacts::default() };
    adapter.call(CallChange::Arrived(facts.clone())).await;
    let number = Some(Number::E164 { e164: LEVI.e164.to_owned() });
    facts.caller = Caller { number, ..Caller::default() };
    facts.dialled = Some(Number::E164 { e164: "+97231234567".to_owned() });
    facts.tags.insert(TagName::parse("customer").unwrap(), Private("1001".to_owned()));
    adapter.call(CallChange::Known(facts.clone())).await;
    adapter.call(CallChange::Waits { queue: queue.clone(), position: 2 }).await;
    let waits = sima.until("to see the caller wait with every card", |heard| {
        let waits = heard.board.calls.get(&call)?.waits.clone()?;
        filled(heard, call).then_some(waits)
    });
    assert_eq!(waits.await.unwrap().position, 2);
    let pause = sima.heard().board.lines[&line("103")].pauses[&queue].pause.clone();
    assert_eq!(Some(pause), lunch);
    assert!(ana.heard().board.calls.is_empty(), "nothing rang at Ana's phone");

    let offered = |at: &str, passed_on_by: Option<Line>| CallChange::Offered { line: line(at), passed_on_by };
    adapter.call(offered("101", None)).await;
    let first = ana.until("to see a pop", |heard| (heard.pops_of(call) == 1).then(|| heard.clone()));
    let first = first.await.unwrap();
    assert!(filled(&first, call), "every card was there at the first ring");
    assert_eq!(first.board.calls[&call].facts, facts);

    adapter.call(CallChange::Answered { line: line("101") }).await;
    adapter.call(CallChange::Held { line: line("101") }).await;
    let held = |heard: &Heard| match state(heard, call, "101")? {
        OfferState::Answered { held: Some(_), .. } => heard.board.calls[&call].waits.is_none().then_some(()),
        _ => None,
    };
    ana.until("to have the caller on hold", held).await.unwrap();
    sima.until("to see the hold", held).await.unwrap();

    adapter.call(offered("102", Some(line("101")))).await;
    let rings = bob.until("to see a pop", |heard| (heard.pops_of(call) == 1).then(|| heard.clone()));
    let rings = rings.await.unwrap();
    assert!(filled(&rings, call), "the cards came along");
    let view = &rings.board.calls[&call];
    assert_eq!(view.offers[&line("102")].passed_on_by, Some(line("101")));
    assert_eq!(
        view.offers[&line("101")].agent.as_deref(),
        Some("Ana"),
        "so that it can say who passed it on"
    );
    adapter.call(CallChange::Answered { line: line("102") }).await;
    adapter.call(CallChange::Left { line: line("101"), moved_to: Some(line("102")) }).await;
    let why = ana.until("to see her card go", |heard| heard.closed(call)).await.unwrap();
    assert_eq!(why, "passed on to 102");
    assert_eq!(bob.heard().closed(call), None);

    adapter.call(CallChange::Ended { how: EndedHow::Completed }).await;
    for desk in [&ana, &bob, &sima] {
        let how = desk.until("to see the end", |heard| Some(heard.board.calls.get(&call)?.ended?.how));
        assert_eq!(how.await.unwrap(), EndedHow::Completed);
    }
    // A line that was taken out of the adapter's file.
    adapter.follows(&["101", "102"]).await;
    let gone = |heard: &Heard| (!heard.board.lines.contains_key(&line("103"))).then_some(());
    sima.until("to see the line no more", gone).await.unwrap();
    let latest = adapter.sequence;
    while adapter.hears().await != (HubToAdapter::Durable { sequence: latest }) {}
    drop(hub);
}
