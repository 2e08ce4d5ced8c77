//! Hears one phone system in several ways at the same time, each into a call machine of its own and all
//! of them into one more, as an adapter would. What each machine tells becomes text, and so does what a
//! scenario truly played, so that the two can be held side by side.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use pinkas_protocol::{
    CallChange, CallFacts, CallId, EndedHow, Event, Line, LineState, Number, NumberPlan, Withdrawal,
};
use pinkas_sip_adapter::calls::{Calls, Now, Patience};
use pinkas_sip_adapter::hear::{Heard, Way};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::lab::process::until;
use crate::lab::scenario::{Ended, Happened, Played};
use crate::site::SOON;

/// One machine: it hears one way, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ear {
    /// Only this way.
    Only(Way),
    /// Every way there is.
    All,
}

impl fmt::Display for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ear::Only(way) => way.fmt(f),
            Ear::All => f.write_str("all ways at once"),
        }
    }
}

/// Machines that listen.
pub struct Ears {
    told: Arc<Mutex<BTreeMap<Ear, Vec<Event>>>>,
    heard: mpsc::Sender<Heard>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Ears {
    /// One machine for each of these ways, and one that hears all. Nothing is heard yet.
    pub fn new(ways: &[Way]) -> Ears {
        let ears: Vec<Ear> = ways.iter().map(|way| Ear::Only(*way)).chain([Ear::All]).collect();
        let told = Arc::new(Mutex::new(ears.iter().map(|ear| (*ear, Vec::new())).collect()));
        let (heard, words) = mpsc::channel(4096);
        let stop = CancellationToken::new();
        let tasks = vec![tokio::spawn(listen(ears, words, told.clone()))];
        Ears { told, heard, stop, tasks }
    }

    /// Starts a way: `run` is given where its words go and when to end.
    pub fn start<F>(&mut self, run: impl FnOnce(mpsc::Sender<Heard>, CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let run = run(self.heard.clone(), self.stop.clone());
        self.tasks.push(tokio::spawn(async move {
            if let Err(error) = run.await {
                eprintln!("a way of hearing ended: {error:#}");
            }
        }));
    }

    /// Waits until every machine sees these lines idle.
    pub async fn all_idle(&self, lines: &[u16]) -> anyhow::Result<()> {
        until("every line to be idle", SOON, async || {
            let told = self.told();
            let idle = told.iter().all(|(ear, events)| {
                // A copy of the traffic tells nothing of a line that does nothing.
                let states = line_states(events);
                let idle = |line: &u16| states.get(&line.to_string()) == Some(&LineState::Idle);
                *ear == Ear::Only(Way::Hep) || lines.iter().all(idle)
            });
            idle.then_some(())
        })
        .await
    }

    /// Waits until this machine has told so many calls to their ends and none goes on; gives them, oldest first.
    pub async fn calls(&self, ear: Ear, count: usize) -> Vec<Told> {
        let waited = until("the calls to end", SOON, async || {
            let told = calls_of(self.told().get(&ear).map(Vec::as_slice).unwrap_or_default());
            (told.len() >= count && told.iter().all(|call| call.ended.is_some())).then_some(told)
        });
        match waited.await {
            Ok(told) => told,
            // What is missing shows in the comparison.
            Err(_) => calls_of(self.told().get(&ear).map(Vec::as_slice).unwrap_or_default()),
        }
    }

    /// Forgets what was told so far, once no call goes on, as between two scenarios.
    pub async fn forget(&self) {
        let over = until("every call to end", SOON, async || {
            let told = self.told();
            let over = |events: &Vec<Event>| calls_of(events).iter().all(|call| call.ended.is_some());
            told.values().all(over).then_some(())
        });
        // One that does not end has been compared already.
        let _ = over.await;
        for events in self.told().values_mut() {
            events.retain(|event| matches!(event, Event::Line(_)));
        }
    }

    /// Pauses that a machine was told of, as text such as `101 in support: lunch`.
    pub fn pauses(&self, ear: Ear) -> Vec<String> {
        let told = self.told();
        let pauses = told.get(&ear).into_iter().flatten().filter_map(|event| match event {
            Event::Pause(event) => {
                let why = match &event.pause {
                    None => "takes calls".to_owned(),
                    Some(pause) => pause.reason.clone().unwrap_or_default(),
                };
                Some(format!("{} in {}: {why}", event.line, event.queue))
            }
            Event::Call(_) | Event::Line(_) => None,
        });
        pauses.collect()
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<Ear, Vec<Event>>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.stop.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Runs the machines, as `pinkas_sip_adapter::run` does its one.
async fn listen(
    ears: Vec<Ear>,
    mut words: mpsc::Receiver<Heard>,
    told: Arc<Mutex<BTreeMap<Ear, Vec<Event>>>>,
) {
    let started = Instant::now();
    let now = || Now { wall: Timestamp::now(), uptime: started.elapsed() };
    let new_id = || Box::new(|_: Timestamp| CallId(Uuid::now_v7()));
    let mut machines: BTreeMap<Ear, Calls> =
        ears.iter().map(|ear| (*ear, Calls::new(BTreeMap::new(), Patience::default(), new_id()))).collect();
    let tell = |ear: Ear, events: Vec<Event>| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.entry(ear).or_default().extend(events);
    };
    loop {
        let tick = machines.values().filter_map(Calls::next_tick).min().map(|at| started + at);
        let wait = async {
            match tick {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            word = words.recv() => {
                let Some(word) = word else { return };
                for (ear, calls) in &mut machines {
                    if matches!(ear, Ear::All) || *ear == Ear::Only(word.way) {
                        tell(*ear, calls.hear(now(), word.clone()).events);
                    }
                }
            }
            () = wait => {
                for (ear, calls) in &mut machines {
                    tell(*ear, calls.tick(now()).events);
                }
            }
        }
    }
}

fn line_states(events: &[Event]) -> BTreeMap<String, LineState> {
    let states = events.iter().filter_map(|event| match event {
        Event::Line(event) => Some((event.line.to_string(), event.state)),
        Event::Call(_) | Event::Pause(_) => None,
    });
    states.collect()
}

/// One call as a machine told it in the end.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What is known of it.
    pub facts: CallFacts,
    /// It waited in this queue.
    pub waited: Option<String>,
    /// What happened at each phone, in order.
    pub phones: BTreeMap<String, Vec<String>>,
    /// How it ended.
    pub ended: Option<EndedHow>,
}

fn calls_of(events: &[Event]) -> Vec<Told> {
    let mut calls: BTreeMap<CallId, Told> = BTreeMap::new();
    for event in events {
        let Event::Call(event) = event else { continue };
        let call = calls.entry(event.call).or_default();
        let mut at = |line: &Line, what: String| call.phones.entry(line.to_string()).or_default().push(what);
        match &event.change {
            CallChange::Arrived(facts) | CallChange::Known(facts) => call.facts = facts.clone(),
            CallChange::Waits { queue, .. } => call.waited = Some(queue.to_string()),
            CallChange::Offered { line, passed_on_by: None } => at(line, "rings".to_owned()),
            CallChange::Offered { line, passed_on_by: Some(by) } => at(line, format!("rings by {by}")),
            CallChange::Answered { line } => at(line, "answers".to_owned()),
            CallChange::Held { line } => at(line, "holds".to_owned()),
            CallChange::Resumed { line } => at(line, "resumes".to_owned()),
            CallChange::Left { line, moved_to: None } => at(line, "leaves".to_owned()),
            CallChange::Left { line, moved_to: Some(to) } => at(line, format!("passes on to {to}")),
            CallChange::Withdrawn { line, why } => at(
                line,
                match why {
                    Withdrawal::AnsweredElsewhere { by } => format!("answered by {by}"),
                    Withdrawal::CallerGaveUp => "caller gave up".to_owned(),
                    Withdrawal::Declined => "declines".to_owned(),
                    Withdrawal::NoAnswer => "no answer".to_owned(),
                    Withdrawal::StoppedRinging => "stops".to_owned(),
                },
            ),
            CallChange::Ended { how } => call.ended = Some(*how),
        }
    }
    calls.into_values().collect()
}

/// What a way can know, by what the phone systems send it.
#[derive(Debug, Clone, Copy)]
pub struct Knows {
    /// The number that was dialled, and who diverted the call.
    pub route: bool,
    /// That a caller waits in a queue.
    pub waiting: bool,
    /// Why a phone stopped ringing, and how a call that nobody took ended.
    pub reasons: bool,
    /// Holds.
    pub holds: bool,
    /// Names that the phone system gives its own phones.
    pub agents: bool,
}

impl Knows {
    /// What can be known of a proxy, which gives no names.
    pub fn of_a_proxy() -> Knows {
        Knows { agents: false, ..Knows::of(Ear::Only(Way::Hep)) }
    }

    /// What a machine can know of Asterisk.
    pub fn of(ear: Ear) -> Knows {
        match ear {
            Ear::Only(Way::DialogEvents | Way::Shadow) => {
                Knows { route: false, waiting: false, reasons: false, holds: false, agents: true }
            }
            Ear::Only(Way::Hep) => {
                Knows { route: true, waiting: false, reasons: true, holds: true, agents: true }
            }
            Ear::Only(Way::Ami) => {
                Knows { route: true, waiting: true, reasons: true, holds: true, agents: true }
            }
            Ear::All => Knows { route: true, waiting: true, reasons: true, holds: true, agents: true },
        }
    }
}

/// A call as text, with what `knows` leaves out left out.
pub fn told_text(call: &Told, knows: Knows) -> String {
    let caller = &call.facts.caller;
    let mut text = match (&caller.number, caller.withheld) {
        (_, true) => "withheld".to_owned(),
        (Some(number), false) => number.key().unwrap_or("?").to_owned(),
        (None, false) => "nobody".to_owned(),
    };
    if let Some(name) = &caller.name {
        text += &format!(" {}", name.0);
    }
    if knows.route {
        let dialled = call.facts.dialled.as_ref().map(Number::shown);
        text += &format!(" → {}", dialled.as_deref().unwrap_or("?"));
        if let Some(by) = call.facts.diverted_by.as_ref().and_then(Number::key) {
            text += &format!(" diverted by {by}");
        }
    }
    if knows.waiting
        && let Some(queue) = &call.waited
    {
        text += &format!(" waits in {queue}");
    }
    let phones = call.phones.iter().map(|(line, steps)| (line.clone(), steps.clone()));
    let ended = call.ended.map_or("goes on".to_owned(), |how| how_text(how, knows));
    finish(text, phones.collect(), &ended, knows)
}

fn how_text(how: EndedHow, knows: Knows) -> String {
    match how {
        EndedHow::Joined { .. } => "joined".to_owned(),
        EndedHow::Declined | EndedHow::Unanswered if knows.reasons => "sent away".to_owned(),
        EndedHow::Declined | EndedHow::Unanswered => "Abandoned".to_owned(),
        how => format!("{how:?}"),
    }
}

fn finish(mut text: String, phones: BTreeMap<String, Vec<String>>, ended: &str, knows: Knows) -> String {
    for (line, steps) in phones {
        let steps = steps.into_iter().filter_map(|step| match step.as_str() {
            "holds" | "resumes" if !knows.holds => None,
            "declines" | "no answer" | "caller gave up" if !knows.reasons => Some("stops".to_owned()),
            // What stopped just before a colleague answered looks like it.
            step if step.starts_with("answered by") && !knows.reasons => Some("stops".to_owned()),
            // The end of the call says the same.
            "leaves" => None,
            _ => Some(step),
        });
        let mut steps: Vec<String> = steps.collect();
        // Asterisk ends a hold by itself before it puts the caller through.
        if let [.., resumes, passes_on] = steps.as_slice()
            && resumes == "resumes"
            && passes_on.starts_with("passes on")
        {
            steps.remove(steps.len() - 2);
        }
        text += &format!("\n  {line}: {}", steps.join(", "));
    }
    text + &format!("\n  {ended}")
}

/// What was played as the text that a machine who `knows` so much should tell: one for the call, and one
/// for a consultation in it.
pub fn played_text(call: &Played, knows: Knows) -> Vec<String> {
    let plan = NumberPlan::new("PL", 4).expect("a known country");
    let key = |number: &str| plan.read(number).and_then(|n| n.key().map(str::to_owned)).unwrap_or_default();
    let mut text = if call.withheld { "withheld".to_owned() } else { key(&call.number) };
    if !call.withheld && call.name.is_empty() && knows.agents {
        // Asterisk's own name for an agent.
        text += &format!(" Agent {}", call.number);
    } else if !call.withheld && !call.name.is_empty() {
        text += &format!(" {}", call.name);
    }
    if knows.route {
        text += &format!(" → {}", call.dialled);
        if let Some(by) = call.diverted_by.as_deref().map(key) {
            text += &format!(" diverted by {by}");
        }
    }
    if knows.waiting
        && let Some(queue) = call.queue.filter(|queue| *queue != "nobody")
    {
        text += &format!(" waits in {queue}");
    }
    let mut phones: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut consultation: Option<(String, BTreeMap<String, Vec<String>>)> = None;
    let answered = call.happened.iter().find_map(|step| match step {
        Happened::Answered(by) => Some(*by),
        _ => None,
    });
    let mut passed_on_by = None;
    for step in &call.happened {
        let here = match &mut consultation {
            Some((_, phones)) if !matches!(step, Happened::PutThrough { .. }) => phones,
            _ => &mut phones,
        };
        let mut at = |line: u16, what: String| here.entry(line.to_string()).or_default().push(what);
        match *step {
            Happened::Waits | Happened::SystemStopped => {}
            Happened::Rings(line) => match passed_on_by.take() {
                Some(by) => at(line, format!("rings by {by}")),
                None => at(line, "rings".to_owned()),
            },
            Happened::Declined(line) => at(line, "declines".to_owned()),
            Happened::NotAnswered(line) => at(line, "no answer".to_owned()),
            Happened::AnsweredElsewhere(line) => {
                at(line, format!("answered by {}", answered.unwrap_or_default()));
            }
            Happened::CallerGone(line) => at(line, "caller gave up".to_owned()),
            Happened::Diverted { from, .. } => at(from, "stops".to_owned()),
            Happened::Answered(line) => {
                if !here.contains_key(&line.to_string()) {
                    here.entry(line.to_string()).or_default().push("rings".to_owned());
                }
                here.entry(line.to_string()).or_default().push("answers".to_owned());
            }
            Happened::Holds(line) => at(line, "holds".to_owned()),
            Happened::Resumes(line) => at(line, "resumes".to_owned()),
            Happened::PassedOn { from, to } => {
                at(from, format!("passes on to {to}"));
                passed_on_by = Some(from);
            }
            Happened::Asks { from, to } => {
                let route = if knows.route { format!(" → {to}") } else { String::new() };
                let name = if knows.agents { format!(" Agent {from}") } else { String::new() };
                consultation = Some((format!("{from}{name}{route}"), BTreeMap::new()));
            }
            Happened::PutThrough { from, to } => {
                at(from, format!("passes on to {to}"));
                at(to, format!("rings by {from}"));
                at(to, "answers".to_owned());
            }
        }
    }
    let ended = match call.ended {
        Ended::ByCaller | Ended::ByAgent(_) => "Completed",
        Ended::Abandoned => "Abandoned",
        Ended::SentAway if knows.reasons => "sent away",
        Ended::SentAway => "Abandoned",
        Ended::Lost => "Lost",
    };
    let mut texts = vec![finish(text, phones, ended, knows)];
    texts.extend(consultation.map(|(text, phones)| finish(text, phones, "joined", knows)));
    texts
}
