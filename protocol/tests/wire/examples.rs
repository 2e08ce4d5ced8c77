//! The examples that the messages are made of: one caller, one call, one of everything.

use super::*;

/// A caller whose number the carrier checked, with everything a phone system can tell of the call.
pub fn facts() -> CallFacts {
    let stir = StirShaken { verdict: Verdict::Passed, attestation: Some(Attestation::A) };
    CallFacts {
        caller: Caller { stir: Some(stir), ..caller() },
        queue: Some(id("Support")),
        dialled: Some(Number::E164 { e164: "+97231234567".to_owned() }),
        diverted_by: Some(Number::E164 { e164: "+97239999999".to_owned() }),
        tags: [(id("customer"), Private("1001".to_owned()))].into(),
    }
}

pub fn caller() -> Caller {
    let name = Some(Private("Levi Bakery".to_owned()));
    Caller { number: Some(number()), name, ..Caller::default() }
}

pub fn call_changes() -> Vec<CallChange> {
    let of = |caller| CallFacts { caller, ..CallFacts::default() };
    let checked =
        |verdict, attestation| Caller { stir: Some(StirShaken { verdict, attestation }), ..caller() };
    let offered = |by| CallChange::Offered { line: line("101"), passed_on_by: by };
    let left = |moved_to| CallChange::Left { line: line("101"), moved_to };
    let why = [
        Withdrawal::AnsweredElsewhere { by: line("102") },
        Withdrawal::CallerGaveUp,
        Withdrawal::Declined,
        Withdrawal::NoAnswer,
        Withdrawal::StoppedRinging,
    ];
    let mut changes = vec![
        CallChange::Arrived(CallFacts { queue: Some(id("Support")), ..of(caller()) }),
        CallChange::Arrived(of(Caller { withheld: true, ..Caller::default() })),
        CallChange::Known(facts()),
        CallChange::Known(of(checked(Verdict::Failed, Some(Attestation::B)))),
        CallChange::Known(of(checked(Verdict::Unchecked, Some(Attestation::C)))),
        CallChange::Known(of(checked(Verdict::Unchecked, None))),
        CallChange::Waits { queue: id("Support"), position: 2 },
        offered(None),
        offered(Some(line("102"))),
    ];
    changes.extend(why.map(|why| CallChange::Withdrawn { line: line("101"), why }));
    changes.extend([
        CallChange::Answered { line: line("102") },
        CallChange::Held { line: line("102") },
        CallChange::Resumed { line: line("102") },
        left(Some(line("103"))),
        left(None),
    ]);
    let joined = EndedHow::Joined { into: id("019d0000-0000-7000-8000-000000000002") };
    let ends = [
        EndedHow::Completed,
        EndedHow::Abandoned,
        EndedHow::Declined,
        EndedHow::Unanswered,
        joined,
        EndedHow::Lost,
    ];
    changes.extend(ends.map(|how| CallChange::Ended { how }));
    changes
}

pub fn updates() -> Vec<Update> {
    let rang_at = at("2026-11-22T10:00:00.125Z");
    let by = |passed_on_by, state| Offer { agent: Some("Ana".to_owned()), rang_at, passed_on_by, state };
    let offer = |state| by(None, state);
    let gone = at("2026-11-22T10:00:06Z");
    let waits = Waiting { queue: id("Support"), position: 2, since: rang_at };
    let view = CallView {
        id: call(),
        facts: CallFacts { caller: caller(), ..CallFacts::default() },
        arrived_at: rang_at,
        waits: None,
        offers: [(line("101"), offer(OfferState::Ringing))].into(),
        who: Who::Asking,
        cards: Vec::new(),
        identified: None,
        ended: None,
        entries: Vec::new(),
        trial: false,
    };
    let identified = Identified {
        customer: id("1001"),
        by: "Ana".to_owned(),
        how: Private("asked for the customer number".to_owned()),
        at: gone,
    };
    let vouched = CallView { identified: Some(Box::new(identified)), ..view.clone() };
    let waiting =
        CallView { facts: facts(), waits: Some(waits.clone()), offers: BTreeMap::new(), ..view.clone() };
    let trial = CallView { trial: true, ..view.clone() };
    let of = |state| Update::Offer { call: call(), line: line("101"), offer: offer(state) };
    let passed_on = by(Some(line("102")), OfferState::Ringing);
    let withdrawn = |why| OfferState::Withdrawn { at: gone, why };
    let left_at = at("2026-11-22T10:00:30Z");
    let ended = |how| Update::Ended { call: call(), ended: Ended { at: gone, how } };
    let mut updates = vec![
        Update::Call { view: Box::new(view) },
        Update::Call { view: Box::new(waiting) },
        Update::Call { view: Box::new(vouched) },
        Update::Call { view: Box::new(trial) },
        Update::Facts { call: call(), facts: facts(), waits: Some(waits) },
        Update::Facts {
            call: call(),
            facts: CallFacts { caller: caller(), ..CallFacts::default() },
            waits: None,
        },
        of(OfferState::Ringing),
        Update::Offer { call: call(), line: line("101"), offer: passed_on },
        of(OfferState::Answered { at: gone, held: None }),
        of(OfferState::Answered { at: gone, held: Some(at("2026-11-22T10:00:20Z")) }),
        of(OfferState::Left { at: gone, left_at, moved_to: Some(line("103")) }),
        of(OfferState::Left { at: gone, left_at, moved_to: None }),
        of(withdrawn(Withdrawal::AnsweredElsewhere { by: line("102") })),
        of(withdrawn(Withdrawal::Declined)),
        Update::Who {
            call: call(),
            who: Who::Known { customer: customer("1001") },
            cards: vec![card(CardState::Waiting)],
        },
        Update::Card { call: call(), card: card(CardState::Nothing { took_ms: 12 }) },
        ended(EndedHow::Completed),
        ended(EndedHow::Joined { into: id("019d0000-0000-7000-8000-000000000002") }),
        Update::Line { line: line("101"), view: line_view(LineState::Ringing) },
        Update::Line { line: line("101"), view: paused() },
        Update::LineGone { line: line("101") },
        Update::Adapter { adapter: id("main"), view: AdapterView { connected: false, since: gone } },
    ];
    let states = [
        PersonState::Ready,
        PersonState::NotReady { reason: id("lunch") },
        PersonState::WrapUp,
        PersonState::Offline,
    ];
    updates.extend(states.map(|state| Update::Person { person: id("ana"), view: person(state) }));
    updates.push(Update::PersonGone { person: id("ana") });
    updates.extend(super::record::updates());
    updates
}

pub fn person(state: PersonState) -> PersonView {
    let since = at("2026-11-22T12:03:00Z");
    PersonView { name: "Ana".to_owned(), lines: vec![line("101")], state, since }
}

pub fn reasons() -> Vec<Reason> {
    let lunch = Reason { code: id("lunch"), label: None };
    vec![lunch, Reason { code: id("stock"), label: Some("Stocktaking".to_owned()) }]
}

pub fn paused() -> LineView {
    let since = at("2026-11-22T09:45:00Z");
    let lunch = PauseView { since, pause: Pause { reason: Some("lunch".to_owned()) } };
    let plain = PauseView { since, pause: Pause::default() };
    LineView { pauses: [(id("Support"), lunch), (id("Sales"), plain)].into(), ..line_view(LineState::Idle) }
}

pub fn whos() -> Vec<Who> {
    let both = || vec![customer("1001"), customer("1002")];
    vec![
        Who::Asking,
        Who::Known { customer: customer("1001") },
        Who::Several { customers: both(), chosen: None },
        Who::Several { customers: both(), chosen: Some(id("1002")) },
        Who::Unknown { country: Some("IL".to_owned()), earlier: Vec::new() },
        Who::Unknown {
            country: None,
            earlier: vec![Earlier { at: at("2026-11-20T08:15:00Z"), answered_by: Some("Dana".to_owned()) }],
        },
        Who::Known { customer: guessed() },
        Who::NoneOf {
            customers: vec![customer("1001")],
            country: Some("IL".to_owned()),
            earlier: Vec::new(),
        },
        Who::NoNumber,
        Who::Failed { failure: Failure::Unreachable },
    ]
}

pub fn cards() -> Vec<Card> {
    let money =
        |amount: &str| Money { amount: amount.parse().expect("an amount"), currency: Some("ILS".to_owned()) };
    let balance =
        Balance { balance: Some(money("1250.50")), overdue: Some(money("300")), oldest_due: Some(day()) };
    let credit = Credit {
        limit: Some(money("5000")),
        available: None,
        days: Some(30),
        hold: Some(false),
        offer: Some("3 % for cash".to_owned()),
        note: Some("Cash on Fridays".to_owned()),
    };
    let purchase = Purchase {
        date: Some(day()),
        product: "Flour".to_owned(),
        quantity: Some("2.5".parse().expect("a quantity")),
        amount: Some(Money { currency: None, ..money("80.00") }),
    };
    let filled = |facts, late| CardState::Filled {
        facts,
        as_of: at("2026-11-22T09:59:00Z"),
        took_ms: 41,
        late,
        old: None,
    };
    let note = SourceNote {
        date: Some(day()),
        text: Private("Moves in May".to_owned()),
        by: Some("Dana".to_owned()),
    };
    let order = CustomRow {
        label: "Open order".to_owned(),
        value: Some(Private("4711".to_owned())),
        link: Some(Private("https://shop.example/orders/4711".to_owned())),
    };
    let known = Balance { balance: Some(money("900")), ..Balance::default() };
    let old = CardState::Filled {
        facts: Facts::Balance(known),
        as_of: at("2026-11-21T16:00:00Z"),
        took_ms: 800,
        late: false,
        old: Some(Failure::Unreachable),
    };
    let states = [
        CardState::Waiting,
        CardState::Late { deadline_ms: 800 },
        filled(Facts::Balance(balance), false),
        filled(Facts::Credit(credit), false),
        filled(Facts::Purchases { purchases: vec![purchase] }, true),
        filled(Facts::Notes { notes: vec![note] }, false),
        filled(Facts::Custom { rows: vec![order] }, false),
        filled(Facts::Balance(Balance { oldest_due: Some(day()), ..Balance::default() }), false),
        old,
        CardState::Nothing { took_ms: 12 },
        CardState::Failed { failure: Failure::Unreachable, took_ms: 3 },
    ];
    states.map(card).into()
}

pub fn failures() -> Vec<Failure> {
    vec![
        Failure::NoAnswer { deadline_ms: 800 },
        Failure::Unreachable,
        Failure::Refused { what: "HTTP 500".to_owned() },
        Failure::NotUnderstood { what: "field balance: not a number".to_owned() },
        Failure::TooLarge,
        Failure::Busy,
        Failure::Resting,
        Failure::NotAsked { what: "this customer has no tax_id".to_owned() },
    ]
}

pub fn card(state: CardState) -> Card {
    let gives = match &state {
        CardState::Filled { facts: Facts::Credit(_), .. } => Gives::Credit,
        CardState::Filled { facts: Facts::Purchases { .. }, .. } => Gives::Purchases,
        CardState::Filled { facts: Facts::Notes { .. }, .. } => Gives::Notes,
        CardState::Filled { facts: Facts::Custom { .. }, .. } => Gives::Custom,
        _ => Gives::Balance,
    };
    let folded = match &state {
        CardState::Filled { facts: Facts::Balance(Balance { balance: None, .. }), .. } => {
            vec!["balance".to_owned(), "overdue".to_owned()]
        }
        _ => Vec::new(),
    };
    // What the call brought, not who it is, was asked about.
    let customer = (gives != Gives::Custom).then(|| id("1001"));
    let title = (gives == Gives::Custom).then(|| "Orders".to_owned());
    Card { source: id("accounting"), gives, title, customer, folded, state }
}

pub fn customer(key: &str) -> Customer {
    Customer {
        class: Some("VIP".to_owned()),
        place: Some(Private("Haifa".to_owned())),
        account_manager: Some("Dana".to_owned()),
        ..Customer::new(id(key), "Levi Bakery".to_owned(), id("customers"))
    }
}

pub fn guessed() -> Customer {
    Customer {
        matched: Match::LastDigits { digits: 9 },
        chosen_before: true,
        language: Some("he".to_owned()),
        numbers: vec![Number::E164 { e164: "+972501234567".to_owned() }],
        keys: [(id("tax_id"), Private("514000000".to_owned()))].into(),
        ..customer("1003")
    }
}

pub fn line_view(state: LineState) -> LineView {
    let since = at("2026-11-22T09:30:00Z");
    LineView { agent: Some("Ana".to_owned()), state, since, pauses: BTreeMap::new() }
}

pub fn number() -> Number {
    Number::E164 { e164: "+972501234567".to_owned() }
}

pub fn call() -> CallId {
    id("019d0000-0000-7000-8000-000000000001")
}

pub fn line(name: &str) -> Line {
    id(name)
}

pub fn id<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

pub fn at(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

pub fn day() -> jiff::civil::Date {
    jiff::civil::date(2026, 11, 1)
}
