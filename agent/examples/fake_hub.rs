//! A pretend hub on one machine: lets any agent in and plays the same calls to it, over and over, so that
//! the screen can be looked at without a phone system. It keeps nothing and checks no secret.
//! Usage: `cargo run -p pinkas-agent --example fake_hub [PORT] [SCENE] [agent|supervisor]`

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use pinkas_protocol::agent_link::{AgentSays, Candidate, HubToAgent, Role};
use pinkas_protocol::board::{AdapterView, LineView, PauseView, Waiting};
use pinkas_protocol::card::{CustomRow, Match, SourceNote};
use pinkas_protocol::record::{Entry, Outcome, PAGE, Refusal, Searched, Settled};
use pinkas_protocol::{
    AdapterId, AgentId, Board, CallFacts, CallId, CallView, CardState, Customer, CustomerKey, EndedHow,
    Facts, Failure, FollowUp, Gives, LineState, Number, OfferState, OwnState, Pause, PersonState, Private,
    QueueName, StirShaken, TagName, Update, Verdict, Who, wire,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

#[path = "../src/sample.rs"]
mod sample;

/// Every scene, in the order in which `all` plays them.
const SCENES: &str = "known hebrew withheld several troubled unknown long slow hostile two elsewhere answered \
                      passed_on held forged marked guesses talking identify disagree wants_outcome wrap_up refused";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let port: u16 = args.next().map_or(Ok(7420), |port| port.parse())?;
    let scene = args.next().unwrap_or_else(|| "all".to_owned());
    let role = if args.next().as_deref() == Some("supervisor") { Role::Supervisor } else { Role::Agent };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!(
        "pretend hub at ws://127.0.0.1:{port}, playing {scene}; scenes are all, quiet, {}",
        SCENES.replace(' ', ", ")
    );
    loop {
        let (stream, _) = listener.accept().await?;
        if let Err(e) = attend(stream, &scene, role).await {
            println!("the agent is gone: {e}");
        }
    }
}

struct Agent {
    socket: tokio_tungstenite::WebSocketStream<TcpStream>,
    customers: Vec<pinkas_protocol::Customer>,
    id: String,
    /// Nothing that is written is kept.
    refuses: bool,
}

async fn attend(stream: TcpStream, scene: &str, role: Role) -> anyhow::Result<()> {
    let mut agent = Agent {
        socket: tokio_tungstenite::accept_async(stream).await?,
        customers: Vec::new(),
        id: String::new(),
        refuses: false,
    };
    agent.hear(Duration::from_secs(5)).await?;
    let (now, lines) = (Timestamp::now(), vec![sample::line("101")]);
    let mut board = if role == Role::Supervisor { busy(now) } else { past(now) };
    board.apply(sample::person(&agent.id, "Dana Levi", &["101"], PersonState::Ready, now));
    agent
        .say(&HubToAgent::Welcome {
            name: "Dana Levi".to_owned(),
            role,
            lines,
            now,
            token: None,
            board,
            outcomes: vec![
                Outcome { required: scene == "wants_outcome", ..sample::outcome("ordered", "Ordered", &[]) },
                sample::outcome("complaint", "Complaint", &["Support"]),
                sample::outcome("call_back", "Wants to be called back", &[]),
            ],
            reasons: sample::reasons(),
        })
        .await?;
    loop {
        let scenes: Vec<&str> = if scene == "all" { SCENES.split(' ').collect() } else { vec![scene] };
        for scene in scenes {
            play(&mut agent, scene).await?;
        }
    }
}

impl Agent {
    async fn say(&mut self, message: &HubToAgent) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(wire::encode(message))).await?)
    }

    async fn update(&mut self, update: Update) -> anyhow::Result<()> {
        self.say(&HubToAgent::Update { update }).await
    }

    /// Listens for this long; a choice is answered with the customer's cards.
    async fn hear(&mut self, how_long: Duration) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + how_long;
        loop {
            let frame = match tokio::time::timeout_at(until, self.socket.next()).await {
                Err(_) => return Ok(()),
                Ok(None) => anyhow::bail!("the link ended"),
                Ok(Some(frame)) => frame?,
            };
            let Message::Text(text) = frame else { continue };
            match wire::decode::<AgentSays>(&text)? {
                AgentSays::Hello { agent, .. } => {
                    println!("{agent} is here");
                    self.id = agent.to_string();
                    return Ok(());
                }
                AgentSays::Choose { call, customer: Some(customer) } => self.chosen(call, customer).await?,
                AgentSays::FindCustomer { ask, call, text } => self.found(ask, call, &text.0).await?,
                AgentSays::Write { id, .. } if self.refuses => {
                    self.say(&HubToAgent::Refused { id, why: Refusal::RecordStopped }).await?;
                }
                AgentSays::Write { id, call, what } => {
                    self.say(&HubToAgent::Kept { id }).await?;
                    let (at, by) = (Timestamp::now(), AgentId::parse("ana")?);
                    let entry = Entry { id, at, by, name: "Dana Levi".to_owned(), what, done: None };
                    self.update(Update::Written { call, entry }).await?;
                }
                AgentSays::Handled { id, .. } | AgentSays::Done { id, .. } => {
                    self.say(&HubToAgent::Kept { id }).await?;
                }
                AgentSays::State { state } => {
                    let state = match state {
                        OwnState::Ready => PersonState::Ready,
                        OwnState::NotReady { reason } => PersonState::NotReady { reason },
                    };
                    let now = Timestamp::now();
                    self.update(sample::person(&self.id, "Dana Levi", &["101"], state, now)).await?;
                }
                AgentSays::WrapUp { call } => {
                    let state = if call.is_some() { PersonState::WrapUp } else { PersonState::Ready };
                    let now = Timestamp::now();
                    self.update(sample::person(&self.id, "Dana Levi", &["101"], state, now)).await?;
                }
                AgentSays::FollowUps { ask } => {
                    let follow_ups = follow_ups(Timestamp::now());
                    self.say(&HubToAgent::FollowUps { ask, follow_ups }).await?;
                }
                AgentSays::History { ask, before, find } => {
                    self.say(&page(ask, before, find.is_some())).await?;
                }
                other => println!("said, and not answered here: {other:?}"),
            }
        }
    }

    async fn chosen(&mut self, call: CallId, customer: CustomerKey) -> anyhow::Result<()> {
        println!("{call}: {customer} was chosen");
        let cards = sample::cards(customer.as_str(), "ILS", HEBREW_PRODUCTS, Timestamp::now());
        let found = self.customers.iter().find(|one| one.key == customer && one.matched == Match::Searched);
        let who = match found {
            Some(found) => Who::Known { customer: found.clone() },
            None => Who::Several { customers: self.customers.clone(), chosen: Some(customer) },
        };
        self.update(Update::Who { call, who, cards }).await
    }

    /// Whoever is looked for, there are the same few; for `nobody` there is nobody.
    async fn found(&mut self, ask: u64, call: CallId, text: &str) -> anyhow::Result<()> {
        let nobody = text == "nobody";
        let some = [
            ("C-5", "מאפיית לוי בע\"מ", Some("VIP")),
            ("C-6", "Ruth Levi", None),
            ("C-11", "Levi & Sons, building materials", Some("Gold")),
            ("C-14", "Lewicki Budownictwo Żółkiew", None),
        ];
        let found = some.into_iter().filter(|_| !nobody).map(|(key, name, class)| Customer {
            matched: Match::Searched,
            ..sample::customer(key, name, class)
        });
        self.customers = found.collect();
        let candidate = |Customer { key, name, class, source, .. }| Candidate { key, name, class, source };
        let found = self.customers.iter().cloned().map(candidate).collect();
        let searched = if nobody { Searched::Partly } else { Searched::Fully };
        self.say(&HubToAgent::Customers { ask, call, found, searched }).await
    }
}

const PRODUCTS: [&str; 3] = ["Exterior paint, 10 l", "Deck boards, larch 4 m", "Stainless screws"];
const HEBREW_PRODUCTS: [&str; 3] = ["לכה לעץ, 5 ליטר", "קרשי אורן, 4 מ׳", "מסמרים, 5 ק״ג"];

async fn play(agent: &mut Agent, scene: &str) -> anyhow::Result<()> {
    if scene == "quiet" {
        return agent.hear(Duration::from_secs(60)).await;
    }
    let call = CallId(Uuid::now_v7());
    let now = Timestamp::now();
    let known = |key, name, class| Who::Known { customer: sample::customer(key, name, class) };
    let mut view = match scene {
        "hebrew" => {
            let who = known("C-2", "דוד כהן — חומרי בניין בע\"מ", Some("VIP"));
            let mut view = sample::arrived(call, "+972501234567", Some("David Cohen"), who, now);
            view.cards = sample::cards("C-2", "ILS", HEBREW_PRODUCTS, now);
            view
        }
        "marked" | "identify" => marked(call, now),
        "disagree" => disagree(call, now),
        "guesses" => {
            let digits = Match::LastDigits { digits: 9 };
            let before = Customer { chosen_before: true, ..sample::customer("C-5", "Ruth Levi", None) };
            let guess = Customer {
                matched: digits,
                ..sample::customer("C-6", "מאפיית לוי בע\"מ", Some("VIP"))
            };
            agent.customers = vec![before, guess];
            let who = Who::Several { customers: agent.customers.clone(), chosen: None };
            sample::arrived(call, "+972501234567", None, who, now)
        }
        "withheld" => sample::arrived(call, "", None, Who::NoNumber, now),
        "several" => {
            let (levi, ruth) = ("מאפיית לוי בע\"מ", "Ruth Levi");
            agent.customers =
                vec![sample::customer("C-5", levi, Some("VIP")), sample::customer("C-6", ruth, None)];
            let who = Who::Several { customers: agent.customers.clone(), chosen: None };
            sample::arrived(call, "+972501234567", None, who, now)
        }
        "troubled" => {
            let mut view =
                sample::arrived(call, "+48601234567", None, known("C-1", "Zofia Wiśniewska", None), now);
            view.cards = sample::troubled_cards("C-1");
            view
        }
        "unknown" => {
            let who = Who::Unknown { country: Some("GB".to_owned()), earlier: Vec::new() };
            sample::arrived(call, "+442079460958", None, who, now)
        }
        "passed_on" | "forged" => told_all(scene, call, now),
        "hostile" => hostile(call, now),
        "long" => long(call, now),
        "slow" => {
            let mut view =
                sample::arrived(call, "+48601234567", None, known("C-1", "Zofia Wiśniewska", None), now);
            view.cards = sample::cards("C-1", "PLN", PRODUCTS, now);
            view.cards.iter_mut().for_each(|card| card.state = CardState::Waiting);
            view
        }
        _ => {
            let who = known("C-1", "Zofia Wiśniewska", Some("Gold"));
            let mut view = sample::arrived(call, "+48601234567", Some("Z. Wisniewska"), who, now);
            view.cards = sample::cards("C-1", "PLN", PRODUCTS, now);
            view
        }
    };
    view.facts.queue = QueueName::parse("Support").ok();
    if scene == "passed_on" {
        agent.update(passed_on(view, now)).await?;
    } else {
        agent.update(sample::rings_as(view, "101", now)).await?;
    }
    if scene == "slow" {
        for card in sample::cards("C-1", "PLN", PRODUCTS, now) {
            agent.hear(Duration::from_secs(2)).await?;
            agent.update(Update::Card { call, card }).await?;
        }
    }
    let second = CallId(Uuid::now_v7());
    if scene == "two" {
        agent.hear(Duration::from_secs(1)).await?;
        let view = sample::arrived(
            second,
            "+442079460958",
            None,
            Who::Unknown { country: None, earlier: Vec::new() },
            now,
        );
        agent.update(sample::rings_as(view, "101", Timestamp::now())).await?;
    }
    agent.refuses = scene == "refused";
    if ["talking", "identify", "wants_outcome", "wrap_up", "refused"].contains(&scene) {
        agent.hear(Duration::from_secs(1)).await?;
        agent.update(sample::answered_at(call, "101", Some("Dana Levi"), Timestamp::now())).await?;
        if ["wants_outcome", "wrap_up"].contains(&scene) {
            agent.hear(Duration::from_secs(2)).await?;
            agent.update(sample::ended_at(call, EndedHow::Completed, Timestamp::now())).await?;
        }
        agent.hear(Duration::from_secs(30)).await?;
    }
    agent.hear(Duration::from_secs(8)).await?;
    let now = Timestamp::now();
    if scene == "held" {
        let answered = now - SignedDuration::from_secs(80);
        agent.update(sample::held_at(call, "101", answered, now)).await?;
        agent.hear(Duration::from_secs(6)).await?;
        let ringing = sample::offer(Some("Ana"), now, OfferState::Ringing);
        agent.update(Update::Offer { call, line: sample::line("102"), offer: ringing }).await?;
        agent.update(sample::left_at(call, "101", Some("102"), answered, Timestamp::now())).await?;
        agent.hear(Duration::from_secs(6)).await?;
        agent.update(sample::ended_at(call, EndedHow::Completed, Timestamp::now())).await?;
    } else if scene == "answered" {
        agent.update(sample::answered_at(call, "101", Some("Dana Levi"), now)).await?;
        agent.hear(Duration::from_secs(6)).await?;
        agent.update(sample::ended_at(call, EndedHow::Completed, Timestamp::now())).await?;
    } else {
        agent.update(sample::answered_at(call, "102", Some("Ana"), now)).await?;
        agent.update(sample::withdrawn_at(call, "101", Some("102"), now)).await?;
        agent.hear(Duration::from_secs(6)).await?;
        agent.update(sample::ended_at(call, EndedHow::Completed, Timestamp::now())).await?;
        agent.update(sample::ended_at(second, EndedHow::Abandoned, Timestamp::now())).await?;
    }
    agent.hear(Duration::from_secs(3)).await
}

/// A guessed customer whose cards hold what is rare: old figures, fields kept back, notes, rows of one's own.
fn marked(call: CallId, now: Timestamp) -> CallView {
    let customer = sample::customer("C-9", "Zofia Wiśniewska", Some("Gold"));
    let customer = Customer { matched: Match::CompanyNumber, ..customer };
    let mut view = sample::arrived(call, "+48221234507", None, Who::Known { customer }, now);
    view.cards = sample::cards("C-9", "PLN", PRODUCTS, now);
    let [balance, credit, _] = &mut view.cards[..] else { return view };
    if let CardState::Filled { as_of, old, .. } = &mut balance.state {
        *as_of = now - SignedDuration::from_hours(5);
        *old = Some(Failure::Unreachable);
    }
    credit.folded = vec!["limit".to_owned(), "offer".to_owned()];
    if let CardState::Filled { facts: Facts::Credit(credit), .. } = &mut credit.state {
        credit.limit = None;
    }
    let note = |day: &str, text: &str, by: Option<&str>| SourceNote {
        date: day.parse().ok(),
        text: Private(text.to_owned()),
        by: by.map(str::to_owned),
    };
    let notes = vec![
        note("2026-11-20", "Asks for delivery before eight", Some("Dana")),
        note("2026-10-02", "מעדיפה שיחה בבוקר", None),
    ];
    let row = |label: &str, value: Option<&str>| CustomRow {
        label: label.to_owned(),
        value: value.map(|value| Private(value.to_owned())),
        link: None,
    };
    let rows = vec![
        row("Open order", Some("4711")),
        row("Contract until", Some("2027-03-31")),
        row("Referee", None),
    ];
    let notes = sample::filled(Facts::Notes { notes }, now, 12);
    let rows = sample::filled(Facts::Custom { rows }, now, 31);
    view.cards.push(sample::card("crm", Gives::Notes, "C-9", notes));
    let mut orders = sample::card("shop", Gives::Custom, "C-9", rows);
    orders.title = Some("Orders".to_owned());
    view.cards.push(orders);
    view
}

/// Two systems give different figures for one customer.
fn disagree(call: CallId, now: Timestamp) -> CallView {
    let who = Who::Known { customer: sample::customer("C-1", "Zofia Wiśniewska", Some("Gold")) };
    let mut view = sample::arrived(call, "+48601234567", None, who, now);
    view.cards = sample::cards("C-1", "PLN", PRODUCTS, now);
    let others = sample::cards("C-1", "PLN", PRODUCTS, now).into_iter().take(2).map(|mut card| {
        card.source = "warehouse".parse().unwrap_or(card.source);
        match &mut card.state {
            CardState::Filled { facts: Facts::Balance(balance), .. } => {
                balance.balance = Some(sample::money("980.5", "PLN"));
            }
            CardState::Filled { facts: Facts::Credit(credit), .. } => credit.days = Some(14),
            _ => {}
        }
        card
    });
    view.cards.extend(others);
    view
}

/// Everything a phone system can tell of a call; some of it, when the number is forged.
fn told_all(scene: &str, call: CallId, now: Timestamp) -> CallView {
    let forged = scene == "forged";
    let (name, number) = if forged {
        ("Zofia Wiśniewska", "+48601234567")
    } else {
        ("דוד כהן — חומרי בניין", "+972501234567")
    };
    let who = Who::Known { customer: sample::customer("C-1", name, Some("VIP")) };
    let mut view = sample::arrived(call, number, None, who, now);
    view.cards = sample::cards("C-1", "PLN", PRODUCTS, now);
    let verdict = if forged { Verdict::Failed } else { Verdict::Passed };
    view.facts.caller.stir = Some(StirShaken { verdict, attestation: None });
    view.facts.diverted_by = Some(sample::number("+48123456789"));
    let tags = [("customer", "1001"), ("language", "עברית"), ("menu", "2"), ("order", "PO-2026-1177")];
    for (name, value) in tags.into_iter().take(if forged { 4 } else { 3 }) {
        view.facts.tags.extend(TagName::parse(name).ok().map(|name| (name, Private(value.to_owned()))));
    }
    view
}

/// The call rings here because a colleague who had answered it passed it on.
fn passed_on(mut view: CallView, now: Timestamp) -> Update {
    let by = sample::line("102");
    let answered = OfferState::Answered { at: now, held: Some(now) };
    view.offers.insert(by.clone(), sample::offer(Some("Ana Nowak"), now, answered));
    let mut here = sample::offer(Some("Dana Levi"), now, OfferState::Ringing);
    here.passed_on_by = Some(by);
    view.offers.insert(sample::line("101"), here);
    Update::Call { view: Box::new(view) }
}

fn hostile(call: CallId, now: Timestamp) -> CallView {
    let name = "'; DROP TABLE customers; -- {{7*7}} \u{202E}gpj.exe ".repeat(60);
    let mut view =
        sample::arrived(call, "+1", Some(&name), Who::Unknown { country: None, earlier: Vec::new() }, now);
    view.facts.caller.number = Some(Number::Other { text: "anonymous@<script>alert(1)</script>".to_owned() });
    view.facts.caller.name = Some(Private(name.clone()));
    view.who = Who::Known {
        customer: sample::customer("C-9", &"שלום (עולם) ".repeat(40), Some(&name[..40])),
    };
    view.cards = sample::cards("C-9", "XTREMELONG", [&name, "x", &"ארוך מאוד ".repeat(30)], now);
    view
}

/// A long name, amounts of twelve digits and as many purchases as a card holds.
fn long(call: CallId, now: Timestamp) -> CallView {
    let name = "Przedsiębiorstwo Handlowo-Usługowe Wiśniewska, Nowak i Wspólnicy Sp. z o.o. Sp. k.";
    let mut customer = sample::customer("C-7", name, Some("Wholesale, framework agreement"));
    customer.place = Some(Private("Konstancin-Jeziorna".to_owned()));
    customer.account_manager = Some("Aleksandra Brzęczyszczykiewicz".to_owned());
    let mut view =
        sample::arrived(call, "+48601234567", Some("PHU WISNIEWSKA NOWAK"), Who::Known { customer }, now);
    view.cards = sample::cards("C-7", "PLN", PRODUCTS, now);
    for card in &mut view.cards {
        let CardState::Filled { facts, .. } = &mut card.state else { continue };
        match facts {
            Facts::Balance(balance) => balance.balance = Some(sample::money("-123456789012.5", "PLN")),
            Facts::Credit(credit) => credit.limit = Some(sample::money("999999999999", "PLN")),
            Facts::Purchases { purchases } => {
                *purchases = purchases.iter().cycle().take(20).cloned().collect();
                purchases[1].product = "Deck boards, larch, oiled twice, 4 m, with hidden fixings".to_owned();
                purchases[2].amount = Some(sample::money("123456789012.5", "PLN"));
            }
            Facts::Notes { .. } | Facts::Custom { .. } | Facts::Newer => {}
        }
    }
    view
}

/// Follow-ups that are overdue, due and to come.
fn follow_ups(now: Timestamp) -> Vec<FollowUp> {
    let today = now.to_zoned(jiff::tz::TimeZone::system()).date();
    let due =
        [(-3, "Ask whether the paint arrived"), (0, "לשלוח הצעת מחיר לקרשים"), (9, "Renew the contract")];
    let rows = due.into_iter().enumerate().map(|(n, (days, text))| {
        let day = today.saturating_add(jiff::Span::new().days(days)).to_string();
        sample::follow_up(n as u128 + 1, CallId(Uuid::from_u128(900_000 - n as u128)), &day, text, now)
    });
    rows.collect()
}

/// A page of a hundred thousand earlier calls; of a search only some, stopped on its way.
fn page(ask: u64, before: Option<CallId>, search: bool) -> HubToAgent {
    const COUNT: u128 = 100_000;
    let newest = before.map_or(COUNT, |before| before.0.as_u128().saturating_sub(800_000).min(COUNT));
    let names =
        [("Zofia Wiśniewska", "+48601234567"), ("דוד כהן", "+972501234567"), ("Marek Nowak", "+48123456789")];
    let calls: Vec<_> = (0..newest)
        .rev()
        .take(if search { 7 } else { PAGE })
        .map(|n| {
            let (name, number) = names[n as usize % 3];
            let began = Timestamp::now() - SignedDuration::from_mins(((COUNT - n) * 7) as i64);
            sample::past(CallId(Uuid::from_u128(800_000 + n)), number, name, began)
        })
        .collect();
    let last = calls.last().map(|last| (last.id, last.arrived_at));
    let more = last.map(|(id, _)| id).filter(|id| id.0.as_u128() > 800_000);
    let searched = if search { Searched::Partly } else { Searched::Fully };
    HubToAgent::Page { ask, calls, more, back_to: last.map(|(_, at)| at).filter(|_| search), searched }
}

/// Callers who were missed, one of them settled by a colleague.
fn missed(board: &mut Board, now: Timestamp) {
    let ago = |minutes| now - SignedDuration::from_mins(minutes);
    let names = [Some("Zofia Wiśniewska"), Some("מאפיית לוי בע\"מ"), None, None];
    let numbers = ["+48601234567", "+972501234567", "+442079460958", ""];
    for (n, (name, number)) in names.into_iter().zip(numbers).enumerate() {
        let (first, last) = (ago(170 - 20 * n as i64), ago(12 + 15 * n as i64));
        let id = CallId(Uuid::from_u128(700 + n as u128));
        let mut row = sample::missed(id, number, name, if n == 0 { 3 } else { 1 }, (first, last));
        if n == 2 {
            row.handled = Some(Settled { at: ago(5), name: Some("Ana Nowak".to_owned()) });
        }
        board.apply(Update::Missed { row: Box::new(row) });
    }
}

/// An agent's board with three calls of the past.
fn past(now: Timestamp) -> Board {
    let mut board = Board::default();
    let names =
        [("Zofia Wiśniewska", "+48601234567"), ("דוד כהן", "+972501234567"), ("Marek Nowak", "+48123456789")];
    for (n, (name, number)) in names.into_iter().enumerate() {
        let began = now - SignedDuration::from_mins(60 - 13 * n as i64);
        let call = CallId(Uuid::from_u128(n as u128 + 1));
        let who = Who::Known { customer: sample::customer("C-1", name, None) };
        board.apply(sample::rings_as(sample::arrived(call, number, None, who, began), "101", began));
        let answered = began + SignedDuration::from_secs(9);
        match n {
            0 => board.apply(sample::answered_at(call, "101", Some("Dana Levi"), answered)),
            1 => {
                board.apply(sample::answered_at(call, "102", Some("Ana"), answered));
                board.apply(sample::withdrawn_at(call, "101", Some("102"), answered));
            }
            _ => {}
        }
        let how = if n == 2 { EndedHow::Abandoned } else { EndedHow::Completed };
        board.apply(sample::ended_at(call, how, began + SignedDuration::from_secs(201 + n as i64)));
    }
    missed(&mut board, now);
    board
}

/// A supervisor's board: calls that wait, ring and talk, and lines of every state.
fn busy(now: Timestamp) -> Board {
    let mut board = past(now);
    let ago = |seconds| now - SignedDuration::from_secs(seconds);
    let id = |n: u128| CallId(Uuid::from_u128(n + 100));
    let known = |name| Who::Known { customer: sample::customer("C-1", name, None) };
    let waits = sample::arrived(id(1), "+48601234567", None, known("Zofia Wiśniewska"), ago(82));
    board.apply(Update::Call { view: Box::new(waits) });
    for (n, number, since) in [(4, "+48123456789", 61), (5, "+442079460958", 12)] {
        let mut waits = sample::arrived(
            id(n),
            number,
            None,
            Who::Unknown { country: None, earlier: Vec::new() },
            ago(since + 20),
        );
        let position = n as u32 - 3;
        waits.waits = waits.facts.queue.clone().map(|queue| Waiting { queue, position, since: ago(since) });
        board.apply(Update::Call { view: Box::new(waits) });
    }
    let mut held = sample::arrived(id(6), "+48601234567", None, known("Marek Nowak"), ago(400));
    held.facts = CallFacts { queue: QueueName::parse("Sales").ok(), ..held.facts };
    let on_hold = OfferState::Answered { at: ago(380), held: Some(ago(45)) };
    held.offers.insert(sample::line("105"), sample::offer(Some("Piotr Zieliński"), ago(390), on_hold));
    board.apply(Update::Call { view: Box::new(held) });
    let mut rings = sample::arrived(id(2), "+972501234567", None, known("דוד כהן — חומרי בניין"), ago(14));
    rings.offers.insert(sample::line("101"), sample::offer(Some("Dana Levi"), ago(7), OfferState::Ringing));
    rings.offers.insert(sample::line("103"), sample::offer(None, ago(7), OfferState::Ringing));
    board.apply(Update::Call { view: Box::new(rings) });
    let mut talks = sample::arrived(id(3), "", None, Who::NoNumber, ago(200));
    let answered = OfferState::Answered { at: ago(192), held: None };
    talks.offers.insert(sample::line("102"), sample::offer(Some("Bob"), ago(199), answered));
    board.apply(Update::Call { view: Box::new(talks) });
    for (line, agent, state, since) in [
        ("101", Some("Dana Levi"), LineState::Ringing, 7),
        ("102", Some("Bob"), LineState::Busy, 192),
        ("103", None, LineState::Ringing, 7),
        ("104", Some("דנה לוי"), LineState::Idle, 1330),
        ("105", Some("Piotr Zieliński"), LineState::Unknown, 4000),
    ] {
        let lunch = |queue: &str| {
            let pause = Pause { reason: Some("lunch".to_owned()) };
            Some((QueueName::parse(queue).ok()?, PauseView { since: ago(1330), pause }))
        };
        let pauses = if line == "104" {
            ["Support", "Sales"].into_iter().filter_map(lunch).collect()
        } else {
            [].into()
        };
        let view = LineView { agent: agent.map(str::to_owned), state, since: ago(since), pauses };
        board.apply(Update::Line { line: sample::line(line), view });
    }
    for (who, name, lines, state, since) in [
        ("bob", "Bob", ["102"], PersonState::Ready, 192),
        ("dana", "דנה לוי", ["104"], PersonState::Ready, 2210),
        ("piotr", "Piotr Zieliński", ["105"], sample::not_ready("lunch"), 1260),
        ("ewa", "Ewa Lis", ["106"], PersonState::Offline, 5400),
    ] {
        board.apply(sample::person(who, name, &lines, state, ago(since)));
    }
    if let Ok(adapter) = AdapterId::parse("office") {
        board.apply(Update::Adapter { adapter, view: AdapterView { connected: false, since: ago(44) } });
    }
    board
}
