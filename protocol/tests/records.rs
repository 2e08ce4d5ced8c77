//! What is read from a disk or a link though this version would not write it so: records of an older hub,
//! and texts that their sender did not make plain.

use pinkas_protocol::*;

/// What a hub wrote to its disk before calls had more than a caller and a queue, and no line a pause.
#[test]
fn a_record_of_version_1_is_still_read() {
    let view: CallView = wire::decode(
        r#"{"id":"019d0000-0000-7000-8000-000000000001","caller":{"number":{"kind":"e164","e164":"+972501234567"},"name":"Levi Bakery"},"queue":"Support","arrived_at":"2026-11-22T10:00:00.125Z","offers":{"101":{"agent":"Ana","rang_at":"2026-11-22T10:00:00.125Z","state":"answered","at":"2026-11-22T10:00:06Z"}},"who":{"who":"asking"},"cards":[],"ended":{"at":"2026-11-22T10:00:09Z","how":"completed"}}"#,
    )
    .expect("a call");
    let number = Some(Number::E164 { e164: "+972501234567".to_owned() });
    let caller = Caller { number, name: Some(Private("Levi Bakery".to_owned())), ..Caller::default() };
    let queue = QueueName::parse("Support").ok();
    assert_eq!(view.facts, CallFacts { caller, queue, ..CallFacts::default() });
    assert_eq!((view.waits, view.offers.len()), (None, 1));
    let line: LineView =
        wire::decode(r#"{"agent":"Ana","state":"idle","since":"2026-11-22T09:30:00Z"}"#).expect("a line");
    assert_eq!((line.state, line.pauses.len()), (LineState::Idle, 0));
    let event: Event = wire::decode(
        r#"{"event":"call","call":"019d0000-0000-7000-8000-000000000001","heard_at":"2026-11-22T10:00:00.125Z","change":"arrived","caller":{"withheld":true},"queue":"Support"}"#,
    )
    .expect("an event");
    let Event::Call(CallEvent { change: CallChange::Arrived(facts), .. }) = event else {
        panic!("{event:?}")
    };
    assert!(facts.caller.withheld && facts.queue.is_some());
}

#[test]
fn what_an_adapter_calls_a_fact_is_made_plain_and_bounded() {
    let tags: Vec<String> = (0..40).map(|n| format!("\"t{n}\":\"a\\u202eb\\nc\"")).collect();
    let text = format!("{{\"caller\":{{}},\"tags\":{{\"empty\":\"\\u200b\",{}}}}}", tags.join(","));
    let facts: CallFacts = wire::decode(&text).expect("facts");
    assert_eq!(facts.tags.len(), call::MOST_TAGS);
    assert!(facts.tags.values().all(|value| value.0 == "ab c"), "{:?}", facts.tags.keys());
    let pause: Pause = wire::decode("{\"reason\":\"\\u202elunch\\u0007\"}").expect("a pause");
    assert_eq!(pause.reason.as_deref(), Some("lunch"));
}
