//! `check` for dialog events: asks for every line once, as the adapter would, and says in words what came
//! of it. Unsubscribes from all again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pinkas_protocol::Line;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::follow::NOTIFY_WITHIN;
use super::policy::Outcome;
use super::session::{Session, Target, in_words};
use super::traps::{Trap, Traps};
use crate::check::{Finding, in_words as in_words_of};
use crate::config::{DialogEvents, Pbx};
use crate::hear::sip_endpoint::SipEndpoint;
use crate::hear::{Heard, LineHeard, Way, What};

/// How long all of it may take.
const LONGEST: Duration = Duration::from_secs(60);
/// Why not everything was asked.
const LATE: &str = "answers so slowly that not every line could be asked for within a minute";
const BROKE: &str = "closed the connection while it was asked for lines";
/// The most lines named in one sentence.
const NAMED: usize = 10;

/// Connects, subscribes for a few seconds, and says what works and what does not.
pub async fn probe(config: &DialogEvents, pbx: &Pbx) -> Vec<Finding> {
    let account = &config.account;
    let began = Instant::now();
    let (endpoint, mut requests) = match SipEndpoint::open(account, Way::DialogEvents).await {
        Ok(opened) => opened,
        Err(e) => return vec![Finding::broken(format!("dialog events: {}", in_words_of(&e)))],
    };
    let (heard_in, mut heard) = mpsc::channel(256);
    let session = Session::new(
        config.clone(),
        pbx.clone(),
        endpoint.clone(),
        heard_in,
        Arc::new(Mutex::new(Traps::default())),
    );
    let session = Arc::new(session);
    let mut lines = BTreeMap::new();
    let asked = {
        let answering = async {
            while let Some(asked) = requests.recv().await {
                session.answer(asked).await;
            }
        };
        let listening = async {
            while let Some(heard) = heard.recv().await {
                note(&mut lines, heard);
            }
        };
        tokio::select! {
            asked = tokio::time::timeout(LONGEST, ask_all(&session)) => asked.map_err(|_| LATE),
            () = answering => Err(BROKE),
            () = listening => Err(BROKE),
        }
    };
    // What was told before a subscription was found to work may still be on its way here.
    while let Ok(heard) = heard.try_recv() {
        note(&mut lines, heard);
    }
    endpoint.close();
    match asked {
        Ok(asked) => findings(config, pbx, &asked, &lines, began.elapsed()),
        Err(why) => {
            vec![Finding::broken(format!("dialog events: the phone system at {} {why}", account.address))]
        }
    }
}

fn note(lines: &mut BTreeMap<Line, LineHeard>, heard: Heard) {
    if let What::Line { line, is } = heard.what {
        lines.insert(line, is);
    }
}

/// What came of asking.
#[derive(Default)]
struct Asked {
    /// Of the list, when there is one in the configuration.
    list: Option<Tried>,
    /// Of each line that was asked for by itself.
    lines: Vec<(Line, Tried)>,
}

struct Tried {
    outcome: Outcome,
    notified: bool,
    is_list: bool,
}

async fn ask_all(session: &Arc<Session>) -> Asked {
    let mut asked = Asked::default();
    // One first: it shows whether the account works, and a wrong password must not be tried a thousand times.
    let mut lines = session.pbx.lines.iter();
    if let Some(list) = &session.config.list {
        let tried = try_one(session.clone(), Target::List(list.clone())).await;
        let works = tried.notified && tried.is_list;
        let hopeless = stops_all(&tried.outcome);
        asked.list = Some(tried);
        if works || hopeless {
            return asked;
        }
    }
    if let Some(first) = lines.next() {
        let tried = try_one(session.clone(), Target::Line(first.clone())).await;
        let hopeless = stops_all(&tried.outcome);
        asked.lines.push((first.clone(), tried));
        if hopeless {
            return asked;
        }
    }
    let mut trying = JoinSet::new();
    for line in lines {
        let (session, line) = (session.clone(), line.clone());
        trying.spawn(async move { (line.clone(), try_one(session, Target::Line(line)).await) });
    }
    while let Some(tried) = trying.join_next().await {
        asked.lines.extend(tried.ok());
    }
    asked.lines.sort_by(|a, b| a.0.cmp(&b.0));
    asked
}

/// It would be the same for every line.
fn stops_all(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Credentials(_) | Outcome::NoAnswer)
}

async fn try_one(session: Arc<Session>, target: Target) -> Tried {
    let subscription = session.open(&target);
    let mut expires = session.config.expires;
    let mut cseq = 0;
    let mut outcome = Outcome::NoAnswer;
    for _ in 0..2 {
        let turn = session.pace.turn().await;
        (outcome, cseq) = session.subscribe(&subscription, cseq + 1, expires).await;
        turn.went_well();
        if !matches!(outcome, Outcome::TooBrief(_)) {
            break;
        }
        expires = super::policy::expires_after(&outcome, expires);
    }
    let mut is_list = true;
    if matches!(outcome, Outcome::Granted(_)) {
        let waiting = async {
            while !subscription.notified() {
                subscription.changed.notified().await;
            }
        };
        let _ = tokio::time::timeout(NOTIFY_WITHIN, waiting).await;
        is_list = !subscription.news().not_a_list;
    }
    let notified = subscription.notified();
    session.leave(&subscription, cseq + 1).await;
    Tried { outcome, notified, is_list }
}

fn findings(
    config: &DialogEvents,
    pbx: &Pbx,
    asked: &Asked,
    lines: &BTreeMap<Line, LineHeard>,
    took: Duration,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let account = &config.account;
    if let Some((list, tried)) = config.list.as_ref().zip(asked.list.as_ref()) {
        findings.push(list_finding(config, list, tried));
    }
    let mut silent = Vec::new();
    let mut told: BTreeMap<String, Vec<&Line>> = BTreeMap::new();
    for (line, tried) in &asked.lines {
        match &tried.outcome {
            Outcome::Granted(_) if tried.notified => {}
            Outcome::Granted(_) => silent.push(line),
            Outcome::NoSuchLine => told.entry("no line with a hint".to_owned()).or_default().push(line),
            outcome => {
                told.entry(in_words(config, &Target::Line(line.clone()), outcome)).or_default().push(line)
            }
        }
    }
    for (trouble, lines) in told {
        let text = match trouble.as_str() {
            "no line with a hint" => format!(
                "dialog events: the phone system does not know {}: does it exist, and have a hint?",
                names(&lines)
            ),
            trouble => format!("dialog events: {trouble}"),
        };
        findings.push(Finding::broken(text));
    }
    if !silent.is_empty() {
        findings.push(Finding::broken(format!("dialog events: {}: {}", names(&silent), Trap::Silent)));
    }
    let of_list = asked.list.as_ref().is_some_and(|tried| tried.notified && tried.is_list);
    let missing: Vec<_> = pbx.lines.iter().filter(|line| !lines.contains_key(*line)).collect();
    if of_list && !missing.is_empty() {
        findings.push(Finding::broken(format!(
            "dialog events: the list does not tell about {}",
            names(&missing)
        )));
    }
    let heard = lines.values().filter(|is| **is != LineHeard::Lost).count();
    if heard > 0 {
        findings.insert(
            0,
            Finding::good(format!(
                "dialog events: {heard} of {} lines are heard from {} over {}, {} ms after starting",
                pbx.lines.len(),
                account.address,
                account.transport_name(),
                took.as_millis()
            )),
        );
        findings.push(Finding::trap(
            "dialog events: who calls is told only while a phone rings, and a second call at a phone in use only \
             with notify_early_inuse_ringing=yes on Asterisk; device_state_busy_at hides both. None of this shows \
             before calls come: the adapter tells it then",
        ));
    }
    findings
}

fn list_finding(config: &DialogEvents, list: &str, tried: &Tried) -> Finding {
    match &tried.outcome {
        Outcome::Granted(_) if tried.notified && tried.is_list => {
            Finding::good(format!("dialog events: the list {list:?} works: one subscription for all lines"))
        }
        Outcome::Granted(_) if tried.notified => Finding::trap(format!(
            "dialog events: {list:?} is one line there and no list; each line is asked for instead"
        )),
        Outcome::Granted(_) => Finding::broken(format!("dialog events: the list {list:?}: {}", Trap::Silent)),
        outcome if stops_all(outcome) => {
            let target = Target::List(list.to_owned());
            Finding::broken(format!("dialog events: {}", in_words(config, &target, outcome)))
        }
        _ => Finding::trap(format!(
            "dialog events: the phone system has no list {list:?}; each line is asked for instead"
        )),
    }
}

fn names(lines: &[&Line]) -> String {
    let named: Vec<&str> = lines.iter().take(NAMED).map(|line| line.as_str()).collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    match lines.len().saturating_sub(NAMED) {
        0 => format!("{word} {}", named.join(", ")),
        more => format!("{word} {} and {more} more", named.join(", ")),
    }
}
