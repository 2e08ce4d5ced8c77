//! What the tasks of one open way share: subscriptions by Call-ID, the pace, what was told already. Sends
//! SUBSCRIBE and OPTIONS and answers requests, nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::Line;
use rsipstack::sip::{self, Header, Method, Response, StatusCode};
use tokio::sync::{Notify, mpsc, watch};

use super::dialog::{Dialog, Notified};
use super::pace::Pace;
use super::policy::{Credentials, Ending, Outcome};
use super::traps::{Trap, Traps};
use super::watch::{Problem, Told, Watch};
use crate::config::{DialogEvents, Pbx};
use crate::hear::sip_endpoint::message::{self, SecondsHeader};
use crate::hear::sip_endpoint::{Answer, Asked, Draft, Notification, Reply, SipEndpoint, lock};
use crate::hear::{Heard, LineHeard, Way, What};
use crate::metrics;
use crate::sip::dialog_info::Dialogs;

/// How long one SUBSCRIBE may take; a phone system that needs longer would not be heard in time anyway.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long unsubscribing may take at the end.
const LEAVE: Duration = Duration::from_millis(500);

/// What a subscription is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// One line.
    Line(Line),
    /// The list of this name.
    List(String),
}

/// One subscription.
pub(super) struct Subscription {
    /// What it is to.
    pub target: Target,
    call_id: String,
    dialog: Mutex<Dialog>,
    news: Mutex<News>,
    /// It was unsubscribed by us: that its lines end says nothing about them any more.
    left: AtomicBool,
    /// There is something in `news`.
    pub changed: Notify,
}

/// What NOTIFYs said that its task has to act upon.
#[derive(Debug, Default, Clone)]
pub(super) struct News {
    /// The first NOTIFY has come.
    pub notified: bool,
    /// The phone system ended it.
    pub ended: Option<Ending>,
    /// The full state must be asked for.
    pub ask_full: bool,
    /// A list was asked for and a line answered.
    pub not_a_list: bool,
}

/// What the tasks of one open way share.
pub(super) struct Session {
    pub config: DialogEvents,
    pub pbx: Pbx,
    pub endpoint: Arc<SipEndpoint>,
    pub pace: Pace,
    /// `false` while the phone system gives no sign of life.
    pub alive: watch::Sender<bool>,
    heard: mpsc::Sender<Heard>,
    by_call_id: Mutex<HashMap<String, Arc<Subscription>>>,
    /// What is told to whoever decides; none of it twice.
    said: Mutex<Said>,
    /// The last trouble told, so that 2,000 lines do not tell the same 2,000 times.
    trouble: Mutex<Option<String>>,
    traps: Arc<Mutex<Traps>>,
}

#[derive(Default)]
struct Said {
    up: bool,
    lost: BTreeSet<Line>,
}

impl Session {
    pub(super) fn new(
        config: DialogEvents,
        pbx: Pbx,
        endpoint: Arc<SipEndpoint>,
        heard: mpsc::Sender<Heard>,
        traps: Arc<Mutex<Traps>>,
    ) -> Session {
        Session {
            config,
            pbx,
            endpoint,
            pace: Pace::new(),
            alive: watch::Sender::new(true),
            heard,
            by_call_id: Mutex::default(),
            said: Mutex::default(),
            trouble: Mutex::default(),
            traps,
        }
    }

    /// A subscription for which nothing was sent yet.
    pub(super) fn open(&self, target: &Target) -> Arc<Subscription> {
        let watch = match target {
            Target::Line(line) => Watch::Line(line.clone(), Dialogs::default()),
            Target::List(_) => Watch::list(&self.pbx.lines),
        };
        let tag = rsipstack::transaction::make_tag().to_string();
        let subscription = Arc::new(Subscription {
            target: target.clone(),
            call_id: rsipstack::transaction::make_uuid_v4(),
            dialog: Mutex::new(Dialog::new(tag, watch)),
            news: Mutex::default(),
            left: AtomicBool::new(false),
            changed: Notify::new(),
        });
        lock(&self.by_call_id).insert(subscription.call_id.clone(), subscription.clone());
        subscription
    }

    /// Forgets a subscription: NOTIFYs of it are refused from now on.
    pub(super) fn close(&self, subscription: &Subscription) {
        lock(&self.by_call_id).remove(&subscription.call_id);
    }

    /// Sends one SUBSCRIBE; gives the outcome and the last CSeq used.
    pub(super) async fn subscribe(&self, to: &Subscription, cseq: u32, expires: Duration) -> (Outcome, u32) {
        let request = match self.draft(to, cseq, expires) {
            Ok(request) => request,
            Err(e) => {
                tracing::debug!("SUBSCRIBE could not be made: {e:#}");
                return (Outcome::NoAnswer, cseq);
            }
        };
        let (answer, cseq) = self.endpoint.ask(request, ANSWER).await;
        let outcome = match answer {
            Answer::Final(response) => {
                if (200..300).contains(&response.status_code.code()) {
                    lock(&to.dialog).learn(&response);
                }
                outcome(&response, expires)
            }
            Answer::WrongPassword => Outcome::Credentials(Credentials::Wrong),
            Answer::ForeignRealm(realm) => Outcome::Credentials(Credentials::Realm(realm)),
            Answer::UnknownDigest(algorithms) => Outcome::Credentials(Credentials::Digest(algorithms)),
            Answer::Silence => Outcome::NoAnswer,
        };
        (outcome, cseq)
    }

    fn draft(&self, to: &Subscription, cseq: u32, expires: Duration) -> anyhow::Result<sip::Request> {
        let name = match &to.target {
            Target::Line(line) => line.as_str(),
            Target::List(list) => list.as_str(),
        };
        let aor = self.endpoint.uri_of(name);
        let step = lock(&to.dialog).step(expires);
        let uri = match step.uri {
            Some(uri) => uri,
            None => sip::parse_uri(&aor).ok().context("the line's name makes no SIP URI")?,
        };
        let to_tag = step.remote_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
        self.endpoint.request(Draft {
            method: Method::Subscribe,
            uri,
            from_tag: &step.local_tag,
            to: format!("<{aor}>{to_tag}"),
            call_id: &to.call_id,
            cseq,
            routes: &step.routes,
            more: step.headers,
        })
    }

    /// Unsubscribes, so that the phone system forgets this listener at once; bounded, as this is the end.
    pub(super) async fn leave(&self, subscription: &Subscription, cseq: u32) {
        subscription.left.store(true, Ordering::Relaxed);
        if lock(&subscription.dialog).stands() {
            let asked = self.subscribe(subscription, cseq, Duration::ZERO);
            let _ = tokio::time::timeout(LEAVE, asked).await;
        }
        self.close(subscription);
    }

    /// Asks for a sign of life; any answer is one.
    pub(super) async fn ping(&self, within: Duration) -> bool {
        let target = format!("sip:{}", self.config.account.domain);
        let Ok(uri) = sip::parse_uri(&target) else { return false };
        let (tag, id) =
            (rsipstack::transaction::make_tag().to_string(), rsipstack::transaction::make_uuid_v4());
        let draft = Draft {
            method: Method::Options,
            uri,
            from_tag: &tag,
            to: format!("<{target}>"),
            call_id: &id,
            cseq: 1,
            routes: &[],
            more: vec![Header::Accept(sip::Accept::new("application/sdp"))],
        };
        let Ok(request) = self.endpoint.request(draft) else { return false };
        !matches!(self.endpoint.ask(request, within).await.0, Answer::Silence)
    }

    /// Answers one request. Only a NOTIFY of an open subscription is believed; everything else is refused
    /// and changes nothing.
    pub(super) async fn answer(&self, asked: Asked) {
        let allow = || vec![Header::Allow(sip::Allow::new("NOTIFY, OPTIONS"))];
        match asked {
            Asked::Notify(notify) => self.answer_notify(notify).await,
            Asked::Request(incoming) if incoming.request().method == Method::Options => {
                incoming.answer(StatusCode::OK, allow()).await;
            }
            Asked::Request(incoming) => {
                metrics::refused(Way::DialogEvents, "method");
                incoming.answer(StatusCode::MethodNotAllowed, allow()).await;
            }
        }
    }

    async fn answer_notify(&self, notify: Notification) {
        let Some((subscription, notified)) = self.notified(&notify) else {
            metrics::refused(Way::DialogEvents, "no_subscription");
            return notify.answer(Reply::NoSubscription).await;
        };
        if notified.reply == Reply::BadEvent {
            metrics::refused(Way::DialogEvents, "bad_event");
        }
        if !subscription.left.load(Ordering::Relaxed) {
            let news = News {
                notified: true,
                ended: notified.ended,
                ask_full: notified.told.ask_full,
                not_a_list: notified.told.problem == Some(Problem::NotAList),
            };
            // Told first, answered after: the pop does not wait for a reply to leave. And whoever acts upon
            // an end finds that what came with it was told before.
            self.tell_lines(notify.at, notified.told).await;
            subscription.add(news);
        }
        notify.answer(notified.reply).await;
    }

    /// `None`: of no open subscription.
    fn notified(&self, notify: &Notification) -> Option<(Arc<Subscription>, Notified)> {
        let subscription = lock(&self.by_call_id).get(notify.call_id()).cloned()?;
        let notified = lock(&subscription.dialog).notified(notify, &self.pbx.rules)?;
        Some((subscription, notified))
    }

    async fn tell_lines(&self, at: Timestamp, told: Told) {
        if let Some(Problem::Body(problem)) = told.problem {
            tracing::warn!("a NOTIFY was not understood: {problem}");
        }
        for line in &told.unnamed {
            tracing::warn!("the phone system's list does not name line {line}: it is not heard");
        }
        for word in told.words {
            let trap = lock(&self.traps).hear(&word);
            tell_trap(trap);
            if word.is == LineHeard::Lost {
                self.lost(&word.line).await;
                continue;
            }
            let first = {
                let mut said = lock(&self.said);
                said.lost.remove(&word.line);
                !std::mem::replace(&mut said.up, true)
            };
            if first {
                self.say(at, What::Up { live: None }).await;
            }
            self.say(at, What::Line { line: word.line, is: word.is }).await;
        }
    }

    /// A line cannot be heard any more; said once.
    pub(super) async fn lost(&self, line: &Line) {
        if lock(&self.said).lost.insert(line.clone()) {
            let what = What::Line { line: line.clone(), is: LineHeard::Lost };
            self.say(Timestamp::now(), what).await;
        }
    }

    /// What a subscription is to cannot be heard any more.
    pub(super) async fn lost_target(&self, target: &Target) {
        match target {
            Target::Line(line) => self.lost(line).await,
            Target::List(_) => self.lost_all().await,
        }
    }

    /// Nothing can be heard any more.
    pub(super) async fn lost_all(&self) {
        for line in &self.pbx.lines {
            self.lost(line).await;
        }
    }

    /// The way as a whole cannot hear; said once.
    pub(super) async fn down(&self) {
        if std::mem::replace(&mut lock(&self.said).up, false) {
            self.say(Timestamp::now(), What::Down).await;
        }
    }

    /// The phone system gives no sign of life: all is lost, and everyone waits until it is back.
    pub(super) async fn silent(&self) {
        if self.alive.send_replace(false) {
            tracing::warn!("the phone system at {} gives no sign of life", self.config.account.address);
        }
        self.lost_all().await;
        self.down().await;
    }

    /// It does: everyone asks for the state of their lines.
    pub(super) fn back(&self) {
        if !self.alive.send_replace(true) {
            tracing::info!("the phone system at {} is back", self.config.account.address);
        }
    }

    async fn say(&self, at: Timestamp, what: What) {
        // Only at the end of the program there is nobody to tell.
        let _ = self.heard.send(Heard { at, way: Way::DialogEvents, what }).await;
    }

    /// A subscription was accepted and no NOTIFY came.
    pub(super) fn tell_silence(&self) {
        tell_trap(lock(&self.traps).silence());
    }

    /// One line in the log when things change, not one for each attempt.
    pub(super) fn tell(&self, target: &Target, outcome: &Outcome) {
        let trouble = match outcome {
            Outcome::Granted(_) => None,
            // Usual after a restart of the phone system: it is subscribed to anew at once.
            Outcome::Forgotten | Outcome::TooBrief(_) => return,
            outcome => Some(in_words(&self.config, target, outcome)),
        };
        let mut last = lock(&self.trouble);
        if *last != trouble {
            match (&trouble, last.is_some()) {
                (Some(trouble), _) => tracing::warn!("{trouble}"),
                (None, true) => {
                    tracing::info!("the phone system at {} is heard again", self.config.account.address);
                }
                (None, false) => {}
            }
            *last = trouble;
        }
    }
}

impl Subscription {
    fn add(&self, fresh: News) {
        let to_act_upon = {
            let mut news = lock(&self.news);
            let first = fresh.notified && !news.notified;
            news.notified |= fresh.notified;
            news.ended = fresh.ended.or(news.ended);
            news.ask_full |= fresh.ask_full;
            news.not_a_list |= fresh.not_a_list;
            first || fresh.ended.is_some() || fresh.ask_full || fresh.not_a_list
        };
        // Its task need not wake for each word about a line.
        if to_act_upon {
            self.changed.notify_one();
        }
    }

    /// What came since this was last asked; `notified` stays.
    pub(super) fn news(&self) -> News {
        let mut news = lock(&self.news);
        let fresh = news.clone();
        *news = News { notified: fresh.notified, ..News::default() };
        fresh
    }

    /// The first NOTIFY has come.
    pub(super) fn notified(&self) -> bool {
        lock(&self.news).notified
    }
}

fn tell_trap(trap: Option<Trap>) {
    match trap {
        Some(trap) if trap.is_harmless() => tracing::info!("{trap}"),
        Some(trap) => tracing::warn!("{trap}"),
        None => {}
    }
}

fn outcome(response: &Response, asked: Duration) -> Outcome {
    let seconds = |name| message::seconds_of(&response.headers, name);
    match response.status_code.code() {
        // Never longer than asked.
        200..300 => Outcome::Granted(seconds(SecondsHeader::Expires).unwrap_or(asked).min(asked)),
        403 => Outcome::Credentials(Credentials::Wrong),
        404 | 410 | 604 => Outcome::NoSuchLine,
        405 | 406 | 415 | 420 | 489 | 501 => Outcome::NotTold(response.status_code.code()),
        423 => Outcome::TooBrief(seconds(SecondsHeader::MinExpires).unwrap_or(asked.saturating_mul(2))),
        481 => Outcome::Forgotten,
        code => Outcome::Refused { code, retry_after: seconds(SecondsHeader::RetryAfter) },
    }
}

/// An outcome that is none to be glad of, and what to look at.
pub(super) fn in_words(config: &DialogEvents, target: &Target, outcome: &Outcome) -> String {
    let account = &config.account;
    let pbx = account.address;
    let what = match target {
        Target::Line(line) => format!("line {line}"),
        Target::List(list) => format!("the list {list:?}"),
    };
    match outcome {
        Outcome::Granted(_) => format!("the phone system at {pbx} tells about {what}"),
        Outcome::Credentials(Credentials::Wrong) => format!(
            "the phone system at {pbx} refuses user {:?}: check `user` and the password",
            account.user
        ),
        Outcome::Credentials(Credentials::Realm(realm)) => format!(
            "the phone system at {pbx} asks for the realm {:?} and not {:?}: nothing was sent; if that is right, write it as `realm`",
            plain(realm),
            account.realm.as_deref().unwrap_or("the one before"),
        ),
        Outcome::Credentials(Credentials::Digest(algorithms)) => format!(
            "the phone system at {pbx} asks for a password in a way that is not understood ({}): allow MD5 or SHA-256 there",
            plain(algorithms)
        ),
        Outcome::NoSuchLine => {
            format!("the phone system at {pbx} does not know {what}: does it exist, and have a hint?")
        }
        Outcome::NotTold(code) => {
            format!("the phone system at {pbx} does not tell about {what} by dialog events ({code})")
        }
        Outcome::Refused { code, .. } => format!("the phone system at {pbx} refuses SUBSCRIBE with {code}"),
        Outcome::NoAnswer => format!(
            "the phone system at {pbx} does not answer over {}: look at `address`, at a firewall between, and whether it listens there",
            account.transport_name()
        ),
        Outcome::Forgotten | Outcome::TooBrief(_) => {
            format!("the phone system at {pbx} wants to be asked anew about {what}")
        }
    }
}

/// What a phone system wrote, for a line of a log.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
