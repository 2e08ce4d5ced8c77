//! One open way of the shadow extension: does what `registration` and `bells` decide, answers what the phone
//! system asks, and says what is so. Owns all of it in one task; each INVITE that rings has one of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::{AdapterId, Number};
use rsipstack::sip::{self, Header, Method, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bells::{BellId, Bells, NoBell, Over, Rung};
use super::registrar::Registrar;
use super::registration::{Answered, Ask, Registration, Trouble};
use crate::config::{Pbx, Shadow};
use crate::hear::sip_endpoint::{self, Bell, Incoming, Reply, SipEndpoint, Withdrawn};
use crate::hear::{CallHeard, Heard, Way, What};
use crate::metrics;
use crate::sip::message::Message;

/// CANCELs on their way to the session; when it is full, their answers wait and the phone system repeats.
const WITHDRAWN: usize = 64;
/// The most INVITEs not acknowledged to their end, ringing ones included: each holds about 30 KB.
const MOST_OPEN: usize = 2 * super::bells::MOST;
/// How long leaving may take at the end.
const LEAVE: Duration = Duration::from_millis(800);
/// How long phones may take to hear that nothing rings here any more.
const SILENCE: Duration = Duration::from_millis(300);
const METHODS: &str = "INVITE, ACK, CANCEL, OPTIONS";

/// What the log says already.
#[derive(Default)]
pub(super) struct Told {
    trouble: Option<String>,
    alone: bool,
}

impl Told {
    /// Tells a trouble once.
    pub(super) fn trouble(&mut self, trouble: &str) {
        if self.trouble.as_deref() != Some(trouble) {
            tracing::warn!("{trouble}");
            self.trouble = Some(trouble.to_owned());
        }
    }
}

pub(super) struct Session {
    config: Shadow,
    pbx: Pbx,
    own: Option<Number>,
    endpoint: Arc<SipEndpoint>,
    heard: mpsc::Sender<Heard>,
    told: Told,
    began: Instant,
    registration: Registration,
    /// `None` while a REGISTER is under way.
    registrar: Option<Registrar>,
    asking: Option<JoinHandle<(Registrar, Answered)>>,
    contact: String,
    bells: Bells,
    silencers: BTreeMap<BellId, Bell>,
    up: bool,
    open: TaskTracker,
    withdrawn_in: mpsc::Sender<(BellId, Withdrawn)>,
    withdrawn: mpsc::Receiver<(BellId, Withdrawn)>,
}

/// What happened.
enum Next {
    Stop,
    Asked(Box<sip_endpoint::Asked>),
    Withdrawn(BellId, Withdrawn),
    Registered(Option<Box<(Registrar, Answered)>>),
    Time,
}

impl Session {
    pub(super) fn new(
        config: &Shadow,
        pbx: &Pbx,
        adapter: &AdapterId,
        endpoint: Arc<SipEndpoint>,
        heard: &mpsc::Sender<Heard>,
        told: Told,
    ) -> Session {
        let registrar = Registrar::new(config, adapter.as_str(), endpoint.clone());
        let (withdrawn_in, withdrawn) = mpsc::channel(WITHDRAWN);
        Session {
            config: config.clone(),
            own: pbx.rules.numbers.read(&config.extension),
            pbx: pbx.clone(),
            endpoint,
            heard: heard.clone(),
            told,
            began: Instant::now(),
            registration: Registration::new(config.expires),
            contact: registrar.contact(),
            registrar: Some(registrar),
            asking: None,
            bells: Bells::new(config.ring_timeout),
            silencers: BTreeMap::new(),
            up: false,
            open: TaskTracker::new(),
            withdrawn_in,
            withdrawn,
        }
    }

    /// Hears until `stop` or until the way closes.
    pub(super) async fn hear(
        mut self,
        mut requests: mpsc::Receiver<sip_endpoint::Asked>,
        stop: &CancellationToken,
    ) -> Told {
        loop {
            self.ask_what_is_due();
            match self.next(&mut requests, stop).await {
                Next::Stop => break,
                Next::Asked(incoming) => self.answer(*incoming).await,
                Next::Withdrawn(id, withdrawn) => self.withdrawn(id, withdrawn).await,
                Next::Registered(Some(registered)) => {
                    let (registrar, answered) = *registered;
                    self.registrar = Some(registrar);
                    let came = self.registration.hear(self.began.elapsed(), answered);
                    self.tell(came);
                    if self.registration.keeps_away() {
                        self.leave_to_others().await;
                    }
                }
                // It panicked, which it does not: the way is opened anew.
                Next::Registered(None) => break,
                Next::Time => {}
            }
            self.pass_time().await;
        }
        self.end(stop).await;
        self.told
    }

    async fn next(
        &mut self,
        requests: &mut mpsc::Receiver<sip_endpoint::Asked>,
        stop: &CancellationToken,
    ) -> Next {
        let now = self.began.elapsed();
        let wake = if self.asking.is_some() { None } else { Some(self.registration.wake(now)) };
        // While one is asked, only the end of what stands matters.
        let lapses = self.registration.lapses(now);
        let at = [wake, lapses, self.bells.next_due()].into_iter().flatten().min();
        let time = async {
            match at {
                Some(at) => tokio::time::sleep_until(self.began + at).await,
                None => std::future::pending().await,
            }
        };
        let asked = async {
            match &mut self.asking {
                Some(asking) => asking.await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The end of a call before the next one begins.
            biased;
            () = stop.cancelled() => Next::Stop,
            () = self.endpoint.closed() => Next::Stop,
            Some((id, withdrawn)) = self.withdrawn.recv() => Next::Withdrawn(id, withdrawn),
            incoming = requests.recv() => incoming.map_or(Next::Stop, |incoming| Next::Asked(Box::new(incoming))),
            registered = asked => {
                self.asking = None;
                Next::Registered(registered.map(Box::new))
            }
            () = time => Next::Time,
        }
    }

    fn ask_what_is_due(&mut self) {
        let Some(ask) = self.registration.due(self.began.elapsed()) else { return };
        let Some(mut registrar) = self.registrar.take() else { return };
        self.asking = Some(tokio::spawn(async move {
            let answered = registrar.ask(&ask).await;
            (registrar, answered)
        }));
    }

    /// Refuses what has rung its time, and says whether the way can hear.
    async fn pass_time(&mut self) {
        let now = self.began.elapsed();
        for (id, over) in self.bells.due(now) {
            if let Some(bell) = self.silencers.remove(&id) {
                bell.silence();
            }
            self.over(Timestamp::now(), over).await;
        }
        let stands = self.registration.stands(now);
        if stands != self.up {
            self.up = stands;
            let what = if stands { What::Up { live: Some(self.bells.live()) } } else { What::Down };
            self.say(Timestamp::now(), what).await;
        }
    }

    /// Somebody else is registered: what rings here may be theirs.
    async fn leave_to_others(&mut self) {
        for bell in std::mem::take(&mut self.silencers).into_values() {
            bell.silence();
        }
        for over in self.bells.silenced() {
            self.over(Timestamp::now(), Some(over)).await;
        }
    }

    fn tell(&mut self, came: Result<(), Trouble>) {
        let (extension, pbx) = (&self.config.extension, self.config.account.address);
        match came {
            Err(trouble) => {
                self.told.trouble(&format!("extension {extension} is not registered at {pbx}: {trouble}"));
            }
            Ok(()) if self.registration.stands(self.began.elapsed()) => {
                if !self.up || self.told.trouble.is_some() {
                    tracing::info!(
                        "extension {extension} is registered at {pbx}; it rings there and never answers"
                    );
                }
                self.told.trouble = None;
            }
            Ok(()) => {}
        }
    }

    async fn answer(&mut self, asked: sip_endpoint::Asked) {
        let incoming = match asked {
            sip_endpoint::Asked::Request(incoming) => *incoming,
            // Nothing is subscribed to here.
            sip_endpoint::Asked::Notify(notify) => return notify.answer(Reply::NoSubscription).await,
        };
        let allow = || vec![Header::Allow(sip::Allow::new(METHODS))];
        match incoming.request().method {
            Method::Invite => self.invited(incoming).await,
            Method::Options => incoming.answer(StatusCode::OK, allow()).await,
            // Of calls that were answered here: there are none.
            Method::Bye | Method::Update | Method::PRack | Method::Info => {
                incoming.answer(StatusCode::CallTransactionDoesNotExist, Vec::new()).await;
            }
            _ => incoming.answer(StatusCode::MethodNotAllowed, allow()).await,
        }
    }

    async fn invited(&mut self, incoming: Incoming) {
        let (at, now) = (incoming.at, self.began.elapsed());
        let rules = &self.pbx.rules;
        let Ok(invite) = Message::read_in(incoming.raw(), rules.charset) else {
            metrics::refused(Way::Shadow, "not_understood");
            return incoming.answer(StatusCode::BadRequest, Vec::new()).await;
        };
        let rung = if self.registration.keeps_away() {
            Err(NoBell::Away)
        } else if self.open.len() < MOST_OPEN {
            self.bells.invited(now, &invite, self.config.account.address.ip(), rules, self.own.as_ref())
        } else {
            Err(NoBell::Full)
        };
        let Rung { id, key, facts, alone } = match rung {
            Ok(rung) => rung,
            Err(no) => return refuse(incoming, no, &invite).await,
        };
        let Some((ringing, bell)) = incoming.ring(&self.contact).await else {
            self.bells.forget(id);
            return;
        };
        self.silencers.insert(id, bell);
        let withdrawn = self.withdrawn_in.clone();
        self.open.spawn(ringing.wait(move |cancel| async move {
            // Only at the end of the session there is nobody to tell.
            let _ = withdrawn.send((id, cancel)).await;
        }));
        self.say(at, What::Call { key, is: CallHeard::Facts(facts) }).await;
        if let Some(alone) = alone
            && !std::mem::replace(&mut self.told.alone, true)
        {
            tracing::warn!("extension {}: {alone}", self.config.extension);
        }
    }

    async fn withdrawn(&mut self, id: BellId, withdrawn: Withdrawn) {
        self.silencers.remove(&id);
        let cancel = Message::read(&withdrawn.cancel).ok();
        let over = self.bells.withdrawn(self.began.elapsed(), id, cancel.as_ref());
        self.over(withdrawn.at, over).await;
    }

    async fn over(&self, at: Timestamp, over: Option<Over>) {
        if let Some(Over { key, by }) = over {
            self.say(at, What::Call { key, is: CallHeard::Over { by } }).await;
        }
    }

    async fn say(&self, at: Timestamp, what: What) {
        // Only at the end of the program there is nobody to tell.
        let _ = self.heard.send(Heard { at, way: Way::Shadow, what }).await;
    }

    /// Leaves: no more calls shall come here, and what rings here rings elsewhere only. How those calls end
    /// is not known.
    async fn end(&mut self, stop: &CancellationToken) {
        if stop.is_cancelled() {
            let _ = tokio::time::timeout(LEAVE, self.leave()).await;
        }
        for bell in std::mem::take(&mut self.silencers).into_values() {
            bell.silence();
        }
        self.open.close();
        let _ = tokio::time::timeout(SILENCE, self.open.wait()).await;
        self.endpoint.close();
        if std::mem::replace(&mut self.up, false) {
            self.say(Timestamp::now(), What::Down).await;
        }
    }

    async fn leave(&mut self) {
        let mut registrar = self.registrar.take();
        if let Some(asking) = self.asking.take() {
            registrar = asking.await.ok().map(|(registrar, _)| registrar);
        }
        if let Some(registrar) = &mut registrar
            && self.registration.may_stand()
        {
            registrar.ask(&Ask::Leave(Vec::new())).await;
        }
    }
}

async fn refuse(incoming: Incoming, no: NoBell, invite: &Message) {
    let (status, why) = match no {
        NoBell::NoSuchCall => (StatusCode::CallTransactionDoesNotExist, "no_such_call"),
        NoBell::Merged => (StatusCode::LoopDetected, "merged"),
        NoBell::Demands => (StatusCode::BadExtension, "demands"),
        NoBell::Full => (StatusCode::BusyHere, "full"),
        NoBell::Away => (StatusCode::TemporarilyUnavailable, "away"),
        NoBell::Incomplete => (StatusCode::BadRequest, "incomplete"),
    };
    metrics::refused(Way::Shadow, why);
    let demanded = invite.header("Require").filter(|_| no == NoBell::Demands);
    let more = demanded.map(|what| Header::Unsupported(sip::Unsupported::new(what)));
    incoming.answer(status, more.into_iter().collect()).await;
}
