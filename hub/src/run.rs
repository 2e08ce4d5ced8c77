//! Wires the hub together: one task owns the core; links, sources and the store send to it and are told.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::ws::Utf8Bytes;
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use pinkas_protocol::adapter_link::HubToAdapter;
use pinkas_protocol::agent_link::HubToAgent;
use pinkas_protocol::close::Close;
use pinkas_protocol::record::Refusal;
use pinkas_protocol::{AdapterId, number, wire};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::Access;
use crate::admin::{self, ToCore};
use crate::clock;
use crate::config::Config;
use crate::core::trace::NotTaken;
use crate::core::{Ask, Hub, Input, Outputs, ViewerId, Which};
use crate::gather::{Gather, Landed, LandedWhat};
use crate::last;
use crate::links::{self, Doors, ToHub, ToLink};
use crate::metrics::{self, Figures};
use crate::sources::ConfiguredSource;
use crate::store::{self, Clerk, Durable, Said, Store, history};

/// From links to the core; when it is full, links wait, and with them whoever sends.
const INBOX: usize = 4096;
/// While so many groups wait for the disk, what links say waits too, so that an adapter that comes back with much to
/// tell does not fill the queue, which would stop the record.
const CROWDED: usize = store::QUEUE / 2;
/// But for no longer than this: a disk that stands still must not stop the calls.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOKS_AGAIN: Duration = Duration::from_millis(2);
/// So much that links said at once is decided before anybody is told.
const TOGETHER: usize = 16;
/// From sources to the core; when it is full, answers wait.
const LANDED: usize = 1024;
/// From administrators to the core; when it is full, they wait.
const ASKED: usize = 16;

/// Serves where the configuration says until `stop`. A port that is taken is waited for, with one line.
pub async fn run_here(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    config.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let figures = config.metrics.map(|at| metrics::install().map(|handle| (at, handle))).transpose()?;
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(config.listen).await {
            Ok(listener) => break listener,
            Err(e) if !told => {
                tracing::error!(
                    "cannot listen on {}: {e}; is another hub running? Trying again",
                    config.listen
                );
                told = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    };
    serve(config, listener, figures, stop).await
}

/// Serves on `listener` until `stop`, without figures: those are one set for a whole program.
pub async fn run(config: Config, listener: TcpListener, stop: CancellationToken) -> anyhow::Result<()> {
    serve(config, listener, None, stop).await
}

async fn serve(
    config: Config,
    listener: TcpListener,
    figures: Option<(SocketAddr, PrometheusHandle)>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    number::warm_up();
    let (store, mut kept) = store::open(&config.state, config.numbers)?;
    kept.nobody_is_here(Timestamp::now());
    let (inbox_in, mut inbox) = mpsc::channel(INBOX);
    let (landed_in, mut landed) = mpsc::channel(LANDED);
    let (asked_in, mut asked) = mpsc::channel(ASKED);
    admin::open(&config.state, asked_in.clone(), &stop);
    if let Some((at, handle)) = figures {
        let stop = stop.clone();
        tokio::spawn(async move {
            if let Err(e) = metrics::serve(at, handle, asked_in, stop).await {
                tracing::error!("{e:#}; calls go on without figures");
            }
        });
    }
    let places = config.sources.iter().map(ConfiguredSource::place).collect();
    let (last, keeper) = last::open(&config.last_known, &config.sources)?;
    let gather = Gather::keeping(config.sources, config.identify.clone(), landed_in, last);
    let mut outputs = Outputs::default();
    let access = Arc::new(Access::open(config.access)?);
    let mut hub =
        Hub::new(access.staff(), places, config.identify, kept, &mut outputs).with_rights(config.rights);
    hub.set_outcomes(config.outcomes);
    hub.set_reasons(config.reasons);
    let durable = store.durable.clone();
    let clerk = Clerk::new(config.keep_days, Timestamp::now(), store.last_written);
    let mut desk = Desk {
        hub,
        gather,
        store,
        viewers: HashMap::new(),
        cut_off: Vec::new(),
        adapters: BTreeMap::new(),
        recording: true,
        crowded: None,
        clerk,
    };
    desk.carry_out(outputs);

    let address = listener.local_addr()?;
    let people = access.clone();
    let (news, stopped) = (inbox_in.clone(), stop.clone());
    tokio::spawn(async move { people.keep_current(news, stopped).await });
    tokio::spawn(clock::watch(stop.clone()));
    let doors = Doors { access, hub: inbox_in };
    let serving = tokio::spawn(links::serve(listener, config.door, Arc::new(doors), stop.clone()));
    tracing::info!("hub listens on {address}");
    let worked = desk.work(&mut inbox, &mut landed, &mut asked, durable, &stop).await;
    desk.close_all();
    stop.cancel();
    desk.store.close().await?;
    if let Some(keeper) = keeper {
        keeper.close().await?;
    }
    worked?;
    serving.await.context("the listener failed")?
}

/// The core and the ends of everything it talks to.
struct Desk {
    hub: Hub,
    gather: Gather,
    store: Store,
    viewers: HashMap<ViewerId, mpsc::Sender<ToLink>>,
    /// Desktops that did not take an answer, and of which the core does not know yet.
    cut_off: Vec<ViewerId>,
    adapters: BTreeMap<AdapterId, AdapterLink>,
    /// What happens still goes to the store.
    recording: bool,
    /// Since when so much waits for the disk that links wait, too.
    crowded: Option<Instant>,
    clerk: Clerk,
}

struct AdapterLink {
    link: u64,
    outbox: Uuid,
    told: u64,
    out: mpsc::Sender<ToLink>,
}

impl Desk {
    async fn work(
        &mut self,
        inbox: &mut mpsc::Receiver<ToHub>,
        landed: &mut mpsc::Receiver<Landed>,
        asked: &mut mpsc::Receiver<ToCore>,
        mut durable: tokio::sync::watch::Receiver<Durable>,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut stopped = pin!(stop.cancelled());
        let mut forgets = pin!(tokio::time::sleep_until(self.clerk.forgets_at()));
        loop {
            let mut outputs = Outputs::default();
            let waits = self.waits_for_the_disk();
            if forgets.deadline() != self.clerk.forgets_at() {
                forgets.as_mut().reset(self.clerk.forgets_at());
            }
            tokio::select! {
                () = &mut stopped => return Ok(()),
                () = tokio::time::sleep(LOOKS_AGAIN), if waits => {}
                said = inbox.recv(), if !waits => match said {
                    Some(said) => self.hear_all(said, inbox, &mut outputs),
                    None => return Ok(()),
                },
                Some(landed) = landed.recv() => {
                    let call = landed.call;
                    let input = match landed.what {
                        LandedWhat::Who { brought, found } => Input::Who { call, brought, found },
                        LandedWhat::Found { seeker, found, searched } => {
                            Input::Found { call, seeker, found, searched }
                        }
                        LandedWhat::Card { brought, card } => Input::Card { call, brought, card: *card },
                    };
                    self.hub.handle(Timestamp::now(), input, &mut outputs);
                }
                changed = durable.changed(), if self.recording => match changed {
                    Ok(()) => {
                        let now = durable.borrow_and_update().clone();
                        self.tell_durable(&now);
                    }
                    Err(_) => self.record_stopped(),
                },
                Some(said) = self.store.said.recv() => self.store_said(said),
                Some(asked) = asked.recv() => self.asked(asked, &mut outputs),
                () = &mut forgets, if self.recording => {
                    outputs.keep.extend(self.clerk.forget(Timestamp::now()));
                }
            }
            self.carry_out(outputs);
            while let Some(viewer) = self.cut_off.pop() {
                let mut outputs = Outputs::default();
                self.hub.handle(Timestamp::now(), Input::AgentDown { viewer }, &mut outputs);
                self.carry_out(outputs);
            }
        }
    }

    fn waits_for_the_disk(&mut self) -> bool {
        let crowded = self.recording && self.store.keep.capacity() < store::QUEUE - CROWDED;
        self.crowded = crowded.then(|| self.crowded.unwrap_or_else(Instant::now));
        self.crowded.is_some_and(|since| since.elapsed() < PATIENCE)
    }

    /// What has come meanwhile is decided together.
    fn hear_all(&mut self, first: ToHub, inbox: &mut mpsc::Receiver<ToHub>, outputs: &mut Outputs) {
        self.hear(first, outputs);
        for _ in 1..TOGETHER {
            let Ok(said) = inbox.try_recv() else { return };
            self.hear(said, outputs);
        }
    }

    fn hear(&mut self, said: ToHub, outputs: &mut Outputs) {
        let now = Timestamp::now();
        match said {
            ToHub::AdapterUp { adapter, outbox, link, out } => {
                let durable =
                    self.store.durable.borrow().get(&(adapter.clone(), outbox)).copied().unwrap_or(0);
                send(&out, &HubToAdapter::Welcome { durable });
                let new = AdapterLink { link, outbox, told: durable, out };
                if let Some(old) = self.adapters.insert(adapter.clone(), new) {
                    let _ = old.out.try_send(ToLink::Close(Close::Replaced));
                }
                self.hub.handle(now, Input::AdapterUp { adapter }, outputs);
            }
            ToHub::AdapterDown { adapter, link } => {
                if self.adapters.get(&adapter).is_some_and(|current| current.link == link) {
                    self.adapters.remove(&adapter);
                    self.hub.handle(now, Input::AdapterDown { adapter }, outputs);
                }
            }
            ToHub::AgentUp { viewer, agent, token, out } => {
                self.viewers.insert(viewer, out);
                self.hub.handle(now, Input::AgentUp { viewer, agent, token }, outputs);
            }
            ToHub::AgentDown { viewer } => {
                self.viewers.remove(&viewer);
                self.hub.handle(now, Input::AgentDown { viewer }, outputs);
            }
            ToHub::Said { adapter, link, input } => {
                // What a replaced link still sends is not heard: its successor repeats it.
                if self.adapters.get(&adapter).is_some_and(|current| current.link == link) {
                    self.hub.handle(now, *input, outputs);
                }
            }
            ToHub::Identified { viewer, call, how } => {
                self.hub.handle(now, Input::Identified { viewer, call, how }, outputs);
            }
            ToHub::OwnState { viewer, state } => {
                self.hub.handle(now, Input::OwnState { viewer, state }, outputs);
            }
            ToHub::WrapUp { viewer, call } => self.hub.handle(now, Input::WrapUp { viewer, call }, outputs),
            ToHub::Staff(staff) => self.hub.handle(now, Input::Staff(staff), outputs),
            ToHub::Chose { viewer, call, customer } => {
                self.hub.handle(now, Input::Choose { viewer, call, customer }, outputs);
            }
            ToHub::FindCustomer { viewer, ask, call, text } => {
                self.hub.handle(now, Input::FindCustomer { viewer, ask, call, text }, outputs);
            }
            ToHub::Record { viewer, wish } => match wish.writes() {
                Some(id) if !self.recording => self.tell(viewer, &refused(id)),
                _ => self.hub.handle(now, Input::Record { viewer, wish: *wish }, outputs),
            },
        }
    }

    /// An administrator asks. Who has gone away meanwhile hears nothing.
    fn asked(&mut self, asked: ToCore, outputs: &mut Outputs) {
        let now = Timestamp::now();
        match asked {
            ToCore::Why { which, line, answer } => {
                let _ = answer.send(self.hub.why(&which, line.as_ref()));
            }
            ToCore::Figures { answer } => {
                let _ = answer.send(self.figures());
            }
            ToCore::Trial { call, facts, line, answer } => {
                let room = self.hub.has_room_for_a_trial();
                self.hub.handle(now, Input::Trial { call, facts, line }, outputs);
                let _ = answer.send(room);
            }
            ToCore::TrialOver { call, answer } => {
                let _ = answer.send(self.hub.why(&Which::Call(call), None));
                self.hub.handle(now, Input::TrialOver { call }, outputs);
            }
        }
    }

    fn figures(&self) -> Figures {
        let (calls, people) = self.hub.counts();
        let behind = self.adapters.iter().map(|(adapter, link)| {
            let seen = self.hub.last_seen(adapter, link.outbox);
            (adapter.clone(), seen.saturating_sub(link.told))
        });
        Figures {
            calls,
            people,
            behind: behind.collect(),
            to_write: self.store.keep.max_capacity() - self.store.keep.capacity(),
            recording: self.recording,
        }
    }

    /// Tells first, asks next, and hands the rest to the disk.
    fn carry_out(&mut self, mut outputs: Outputs) {
        // Who is cut off may be somebody of whom others are told.
        while !outputs.tell.is_empty() {
            for (to, message) in std::mem::take(&mut outputs.tell) {
                self.tell_all(to, &message, &mut outputs);
            }
        }
        for ask in outputs.ask {
            match ask {
                Ask::Who { call, brought } => self.gather.ask_who(call, brought),
                Ask::Search { call, seeker, text } => self.gather.search(call, seeker, &text),
                Ask::Call { call, brought } => self.gather.ask_call(call, brought),
                Ask::Cards { call, brought, customer } => self.gather.ask_cards(call, brought, *customer),
            }
        }
        // The core never waits for the disk. Once the record has stopped it stays so: what comes later
        // must not be called durable while something before it is missing.
        for look in outputs.look {
            let (viewer, busy) = (look.viewer, history::busy(&look));
            if !self.clerk.looks(viewer) {
                self.tell(viewer, &busy);
            } else if self.store.look.try_send(look).is_err() {
                self.clerk.looked(viewer);
                self.tell(viewer, &busy);
            }
        }
        outputs.keep.iter().for_each(metrics::happened);
        if self.recording && !outputs.keep.is_empty() {
            self.clerk.waits_for(&outputs.keep);
            let kept = self.store.keep.try_send(outputs.keep);
            if kept.is_err() {
                self.record_stopped();
            }
            // A store that failed has said so itself.
            if let Err(TrySendError::Full(_)) = kept {
                tracing::error!("the disk does not keep up, so the record has stopped: start the hub again");
            }
        }
    }

    fn tell_all(&mut self, to: Vec<ViewerId>, message: &HubToAgent, outputs: &mut Outputs) {
        let frame = Utf8Bytes::from(wire::encode(message));
        for viewer in to {
            let told = self.viewers.get(&viewer).map(|out| out.try_send(ToLink::Frame(frame.clone())));
            if let Some(Err(not_taken)) = told {
                // Its queue is full or its link is gone: the next hello brings the whole board.
                self.viewers.remove(&viewer);
                let call = match message {
                    HubToAgent::Update { update } => update.call(),
                    _ => None,
                };
                let why = match not_taken {
                    TrySendError::Full(_) => NotTaken::QueueFull,
                    TrySendError::Closed(_) => NotTaken::LinkEnded,
                };
                self.hub.handle(Timestamp::now(), Input::FellBehind { viewer, call, why }, outputs);
            }
        }
    }

    fn store_said(&mut self, said: Said) {
        match said {
            Said::Kept { viewer, id } => {
                self.clerk.kept(viewer, id);
                self.tell(viewer, &HubToAgent::Kept { id });
            }
            Said::Page { viewer, page } => {
                self.clerk.looked(viewer);
                self.tell(viewer, &page);
            }
            Said::Forgot { more } => self.clerk.forgot(more),
        }
    }

    /// Who still waits to hear that a word of theirs is kept hears that it is not.
    fn record_stopped(&mut self) {
        self.recording = false;
        for (viewer, id) in self.clerk.gives_up() {
            self.tell(viewer, &refused(id));
        }
    }

    fn tell(&mut self, viewer: ViewerId, message: &HubToAgent) {
        let frame = ToLink::Frame(Utf8Bytes::from(wire::encode(message)));
        if let Some(Err(_)) = self.viewers.get(&viewer).map(|out| out.try_send(frame)) {
            self.viewers.remove(&viewer);
            self.cut_off.push(viewer);
        }
    }

    fn tell_durable(&mut self, durable: &Durable) {
        for (adapter, link) in &mut self.adapters {
            let now = durable.get(&(adapter.clone(), link.outbox)).copied().unwrap_or(0);
            if now > link.told {
                link.told = now;
                send(&link.out, &HubToAdapter::Durable { sequence: now });
            }
        }
    }

    fn close_all(&mut self) {
        let adapters = self.adapters.values().map(|link| &link.out);
        for out in self.viewers.values().chain(adapters) {
            let _ = out.try_send(ToLink::Close(Close::Stopping));
        }
    }
}

fn refused(id: Uuid) -> HubToAgent {
    HubToAgent::Refused { id, why: Refusal::RecordStopped }
}

/// A full queue only delays an acknowledgement: the next one covers it.
fn send(out: &mpsc::Sender<ToLink>, message: &HubToAdapter) {
    let _ = out.try_send(ToLink::Frame(Utf8Bytes::from(wire::encode(message))));
}
