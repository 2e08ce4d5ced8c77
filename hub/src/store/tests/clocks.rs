//! Clocks are set back and ahead by an hour while calls go on: no call lasts less than nothing, and the record keeps
//! the order in which things were said.

use super::*;
use crate::core::{Agent, Hub, Input, Outputs, Staff};
use crate::identify::Rules;

const CALLS: u64 = 40;

/// The steps of one call and how far each is from the one before by a right clock, in seconds.
fn steps(line: &Line) -> [CallChange; 6] {
    let line = || line.clone();
    [
        CallChange::Arrived(CallFacts::default()),
        CallChange::Offered { line: line(), passed_on_by: None },
        CallChange::Answered { line: line() },
        CallChange::Held { line: line() },
        CallChange::Resumed { line: line() },
        CallChange::Ended { how: EndedHow::Completed },
    ]
}

#[tokio::test]
async fn clocks_that_jump_by_an_hour_make_no_call_shorter_than_nothing_and_keep_the_order_of_the_record() {
    let shelf = Shelf::new();
    let line: Line = id("101");
    let ana = Agent {
        name: "Ana".to_owned(),
        lines: vec![line.clone()],
        role: agent_link::Role::Agent,
        teams: Default::default(),
    };
    let staff = Staff::new(vec![(id("ana"), ana)]);
    let mut out = Outputs::default();
    let mut hub = Hub::new(staff, Vec::new(), Rules::default(), Kept::default(), &mut out);
    let (mut said, mut sequence) = (Vec::new(), 0);
    for n in 0..CALLS {
        for (step, change) in (0u64..).zip(steps(&line)) {
            // Before each step of some call, the clock of the adapter or of the hub is an hour off, either way.
            let jumped = |place: u64| (n + step) % 6 >= place;
            let off = |jumped: bool, ahead: bool| match (jumped, ahead) {
                (false, _) => SignedDuration::ZERO,
                (true, true) => SignedDuration::from_hours(1),
                (true, false) => SignedDuration::from_hours(-1),
            };
            let right = at(n * 60 + step * 5);
            let heard_at = right + off(jumped(3), n % 2 == 0);
            let now = right + off(jumped(4), n % 3 == 0);
            sequence += 1;
            let event = Event::Call(CallEvent { call: call(n), heard_at, change });
            said.push(event.clone());
            let input = Input::Event { adapter: id("main"), outbox: Uuid::nil(), sequence, event };
            hub.handle(now, input, &mut out);
        }
    }
    for view in hub.board().calls.values() {
        let ended = view.ended.expect("it is over").at;
        let (_, offer) = view.answered().expect("it was answered");
        let OfferState::Answered { at: answered, .. } = offer.state else { panic!("{:?}", offer.state) };
        assert!(view.arrived_at <= offer.rang_at, "{view:?}");
        assert!(offer.rang_at <= answered && answered <= ended, "{view:?}");
    }
    shelf.keeps(out.keep).await;
    let mut log = Vec::new();
    print_log(&shelf.folder, &mut log).expect("a log");
    let log: Vec<LogEntry> = String::from_utf8(log)
        .expect("text")
        .lines()
        .map(|line| wire::decode(line).expect("an entry"))
        .collect();
    assert_eq!(log.iter().map(|entry| &entry.event).collect::<Vec<_>>(), said.iter().collect::<Vec<_>>());
    let (store, kept) = shelf.open();
    assert_eq!(kept.durable.values().copied().collect::<Vec<_>>(), [sequence]);
    assert_eq!(
        &kept
            .calls
            .into_iter()
            .map(|(call, kept)| (call, kept.view))
            .collect::<std::collections::BTreeMap<_, _>>(),
        &hub.board().calls
    );
    store.close().await.expect("it closes");
}
