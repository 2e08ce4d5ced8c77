//! Hearing by SUBSCRIBE to dialog events (RFC 6665, RFC 4235): one subscription for each line.
//! rsipstack carries messages and transactions; dialogs are kept here, because a NOTIFY may come before
//! the 200 that opens its dialog and must still be understood. Sends nothing but SUBSCRIBE and answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use pinkas_protocol::Line;
use rsipstack::EndpointBuilder;
use rsipstack::dialog::authenticate::{AuthRetry, Credential, handle_client_authenticate};
use rsipstack::sip::{
    self, Header, HeadersExt, Method, Request, Response, SipMessage, StatusCode, StatusCodeKind, Uri,
};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportLayer};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Pbx;
use crate::hear::policy::{self, NextDialog, Outcome};
use crate::hear::{Heard, LineHeard};
use crate::sip::dialog_info::{self, Dialogs};

/// SUBSCRIBEs in flight at once: 2,000 lines must not flood a phone system that has just come back.
const AT_ONCE: usize = 32;

/// A subscription that ended sooner than this counts as a failure.
const STOOD: Duration = Duration::from_secs(5);

/// Hears until `stop`: every message about a line goes to `heard`. Returns once all is unsubscribed.
///
/// Fails only when the local socket cannot be opened.
pub async fn run(pbx: Pbx, heard: mpsc::Sender<Heard>, stop: CancellationToken) -> anyhow::Result<()> {
    let local = local_address(&pbx).await?;
    // The transport outlives `stop` a little, to unsubscribe.
    let transport_stop = CancellationToken::new();
    let udp = UdpConnection::create_connection(local, None, Some(transport_stop.child_token()))
        .await
        .with_context(|| format!("cannot listen on {local} for the phone system; is the port taken?"))?;
    let local: SocketAddr = udp.get_addr().get_socketaddr().context("the local socket has no address")?;
    let transport = TransportLayer::new(transport_stop.child_token());
    transport.add_transport(udp.clone().into());
    let endpoint = EndpointBuilder::new()
        .with_user_agent(concat!("pinkas/", env!("CARGO_PKG_VERSION")))
        .with_transport_layer(transport)
        .with_cancel_token(transport_stop.child_token())
        .build();
    let mut incoming = endpoint.incoming_transactions().context("the SIP endpoint does not start")?;
    let shared = Arc::new(Shared {
        endpoint: endpoint.inner.clone(),
        udp: udp.into(),
        local,
        heard,
        in_flight: Semaphore::new(AT_ONCE),
        by_call_id: Mutex::default(),
        trouble: Mutex::default(),
        pbx,
    });
    let tasks = TaskTracker::new();
    for line in &shared.pbx.lines {
        tasks.spawn(follow(shared.clone(), line.clone(), stop.clone()));
    }
    tasks.close();
    tracing::info!(
        lines = shared.pbx.lines.len(),
        "asking the phone system at {} from {local}",
        shared.pbx.address
    );

    let serving = endpoint.serve();
    tokio::pin!(serving);
    loop {
        tokio::select! {
            () = &mut serving => break,
            () = tasks.wait() => break,
            received = incoming.recv() => match received {
                Some(transaction) => answer(&shared, transaction).await,
                None => break,
            },
        }
    }
    endpoint.shutdown();
    transport_stop.cancel();
    Ok(())
}

/// What the receive loop and the lines' tasks share.
struct Shared {
    pbx: Pbx,
    endpoint: EndpointInnerRef,
    udp: SipConnection,
    local: SocketAddr,
    heard: mpsc::Sender<Heard>,
    in_flight: Semaphore,
    by_call_id: Mutex<BTreeMap<String, Arc<Subscription>>>,
    /// The last trouble told, so that 2,000 lines do not tell the same 2,000 times.
    trouble: Mutex<Option<String>>,
}

/// One dialog with the notifier.
struct Subscription {
    line: Line,
    local_tag: String,
    state: Mutex<SubscriptionState>,
    /// The notifier ended it, or asks to be subscribed to anew.
    ended: Notify,
}

#[derive(Default)]
struct SubscriptionState {
    remote_tag: Option<String>,
    remote_target: Option<Uri>,
    routes: Vec<String>,
    highest_cseq: Option<u32>,
    dialogs: Dialogs,
}

/// Keeps one line subscribed until `stop`.
async fn follow(shared: Arc<Shared>, line: Line, stop: CancellationToken) {
    let (mut failures, mut ended_early) = (0, 0);
    let mut current: Option<(Arc<Subscription>, u32)> = None;
    let mut heard_since = Instant::now();
    loop {
        let (subscription, cseq) = match current.take() {
            Some(current) => current,
            None => {
                heard_since = Instant::now();
                (shared.open(&line), 0)
            }
        };
        let asked = {
            let permit = tokio::select! {
                () = stop.cancelled() => None,
                permit = shared.in_flight.acquire() => permit.ok(),
            };
            match permit {
                None => None,
                Some(_permit) => tokio::select! {
                    () = stop.cancelled() => None,
                    asked = shared.subscribe(&subscription, cseq + 1, shared.pbx.expires) => Some(asked),
                },
            }
        };
        let Some((outcome, cseq)) = asked else {
            shared.leave(&subscription, cseq + 2).await;
            return;
        };
        failures =
            if matches!(outcome, Outcome::Granted(expires) if !expires.is_zero()) { 0 } else { failures + 1 };
        shared.tell(&line, outcome);
        let next = policy::next(outcome, failures);
        if !next.hearing {
            shared.lost(&line).await;
        }
        let keep = match next.dialog {
            NextDialog::Same => Some((subscription.clone(), cseq)),
            NextDialog::New => {
                shared.close(&subscription);
                None
            }
        };
        tokio::select! {
            () = stop.cancelled() => {
                if keep.is_some() {
                    shared.leave(&subscription, cseq + 1).await;
                }
                return;
            }
            () = subscription.ended.notified(), if next.hearing => {
                shared.close(&subscription);
                shared.lost(&line).await;
                // A phone system that accepts and ends at once must not be asked hundreds of times a second.
                ended_early = if heard_since.elapsed() < STOOD { ended_early + 1 } else { 0 };
                let wait = policy::next(Outcome::Forgotten, ended_early).after;
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                continue;
            }
            () = tokio::time::sleep(next.after) => {}
        }
        current = keep;
    }
}

impl Shared {
    fn open(&self, line: &Line) -> Arc<Subscription> {
        let call_id = sip_call_id();
        let subscription = Arc::new(Subscription {
            line: line.clone(),
            local_tag: rsipstack::transaction::make_tag().to_string(),
            state: Mutex::default(),
            ended: Notify::new(),
        });
        lock(&self.by_call_id).insert(call_id, subscription.clone());
        subscription
    }

    fn close(&self, subscription: &Arc<Subscription>) {
        lock(&self.by_call_id).retain(|_, open| !Arc::ptr_eq(open, subscription));
    }

    fn call_id(&self, subscription: &Arc<Subscription>) -> Option<String> {
        lock(&self.by_call_id)
            .iter()
            .find(|(_, open)| Arc::ptr_eq(open, subscription))
            .map(|(id, _)| id.clone())
    }

    /// Sends one SUBSCRIBE, answering a challenge; gives the outcome and the last CSeq used.
    async fn subscribe(
        &self,
        subscription: &Arc<Subscription>,
        cseq: u32,
        expires: Duration,
    ) -> (Outcome, u32) {
        match self.try_subscribe(subscription, cseq, expires).await {
            Ok(done) => done,
            Err(e) => {
                tracing::debug!(line = %subscription.line, "SUBSCRIBE could not be sent: {e:#}");
                (Outcome::NoAnswer, cseq + 1)
            }
        }
    }

    async fn try_subscribe(
        &self,
        subscription: &Arc<Subscription>,
        mut cseq: u32,
        expires: Duration,
    ) -> anyhow::Result<(Outcome, u32)> {
        let request = self.request(subscription, cseq, expires)?;
        let key = TransactionKey::from_request(&request, TransactionRole::Client)?;
        let mut transaction =
            Transaction::new_client(key, request, self.endpoint.clone(), Some(self.udp.clone()));
        transaction.destination = Some(self.destination());
        transaction.send().await?;
        let mut retry = AuthRetry::new();
        loop {
            let response = match transaction.receive().await {
                Some(SipMessage::Response(response)) => response,
                Some(SipMessage::Request(_)) => continue,
                None => return Ok((Outcome::NoAnswer, cseq)),
            };
            match response.status_code.kind() {
                StatusCodeKind::Provisional => continue,
                StatusCodeKind::Successful => {
                    let granted = granted(&response, expires);
                    learn(subscription, &response);
                    return Ok((Outcome::Granted(granted), cseq));
                }
                _ => {}
            }
            let code = response.status_code.code();
            if matches!(code, 401 | 407) {
                // Only the configured realm is answered: a challenge from elsewhere could collect digests.
                let foreign = self
                    .pbx
                    .realm
                    .as_ref()
                    .is_some_and(|realm| challenge_realm(&response).as_ref() != Some(realm));
                if foreign || !retry.should_answer(&response) {
                    return Ok((Outcome::WrongPassword, cseq));
                }
                cseq += 1;
                let credential = Credential {
                    username: self.pbx.user.clone(),
                    password: self.pbx.password.0.clone(),
                    realm: None,
                    auth_username: None,
                };
                transaction = handle_client_authenticate(cseq, &transaction, response, &credential).await?;
                transaction.send().await?;
                continue;
            }
            let outcome = match code {
                481 => Outcome::Forgotten,
                // A local 408 is how rsipstack reports Timer F (RFC 3261 section 17.1.2.2).
                408 => Outcome::NoAnswer,
                403 => Outcome::WrongPassword,
                404 | 489 => Outcome::NoSuchLine,
                code => Outcome::Refused(code),
            };
            return Ok((outcome, cseq));
        }
    }

    fn request(
        &self,
        subscription: &Arc<Subscription>,
        cseq: u32,
        expires: Duration,
    ) -> anyhow::Result<Request> {
        let call_id = self.call_id(subscription).context("the subscription is closed")?;
        let line = escape(subscription.line.as_str());
        let aor = format!("sip:{line}@{}", self.pbx.domain);
        let (target, remote_tag, routes) = {
            let state = lock(&subscription.state);
            (state.remote_target.clone(), state.remote_tag.clone(), state.routes.clone())
        };
        let uri = match target {
            Some(target) => target,
            None => sip::parse_uri(&aor).map_err(|e| anyhow::anyhow!("{aor} is no SIP URI: {e}"))?,
        };
        let user = escape(&self.pbx.user);
        let via = self.endpoint.get_via(Some(self.udp.get_addr().clone()), None)?;
        let to_tag = remote_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let mut headers = vec![
            Header::Via(via.into()),
            Header::MaxForwards(70.into()),
            Header::From(sip::From::new(format!(
                "<sip:{user}@{}>;tag={}",
                self.pbx.domain, subscription.local_tag
            ))),
            Header::To(sip::To::new(format!("<{aor}>{to_tag}"))),
            Header::CallId(sip::CallId::new(call_id)),
            Header::CSeq(sip::CSeq::new(format!("{cseq} SUBSCRIBE"))),
            Header::Contact(sip::Contact::new(format!("<sip:{user}@{}>", self.local))),
            Header::Event(sip::Event::new("dialog")),
            Header::Accept(sip::Accept::new("application/dialog-info+xml")),
            Header::Expires(sip::Expires::new(expires.as_secs().to_string())),
            Header::UserAgent(sip::UserAgent::new(concat!("pinkas/", env!("CARGO_PKG_VERSION")))),
        ];
        headers.extend(routes.into_iter().map(|route| Header::Route(sip::Route::new(route))));
        Ok(Request {
            method: Method::Subscribe,
            uri,
            version: sip::Version::V2,
            headers: headers.into(),
            body: Vec::new(),
        })
    }

    fn destination(&self) -> SipAddr {
        SipAddr { r#type: Some(sip::Transport::Udp), addr: self.pbx.address.into() }
    }

    /// Unsubscribes, so that the phone system forgets this listener at once; bounded, as this is the end.
    async fn leave(&self, subscription: &Arc<Subscription>, cseq: u32) {
        if lock(&subscription.state).remote_tag.is_some() {
            let asked = self.subscribe(subscription, cseq, Duration::ZERO);
            let _ = tokio::time::timeout(Duration::from_millis(500), asked).await;
        }
        self.close(subscription);
    }

    async fn lost(&self, line: &Line) {
        let heard = Heard { line: line.clone(), at: Timestamp::now(), what: LineHeard::Lost };
        let _ = self.heard.send(heard).await;
    }

    /// One line in the log when things change, not one for each attempt.
    fn tell(&self, line: &Line, outcome: Outcome) {
        let pbx = self.pbx.address;
        let trouble = match outcome {
            Outcome::Granted(_) => None,
            Outcome::WrongPassword => Some(format!(
                "the phone system at {pbx} refuses user {:?}: check `user`, the password and `realm`",
                self.pbx.user
            )),
            Outcome::NoSuchLine => Some(format!(
                "the phone system at {pbx} does not tell about line {line}: does it exist and have a hint?"
            )),
            Outcome::Refused(code) => {
                Some(format!("the phone system at {pbx} refuses SUBSCRIBE with {code}"))
            }
            Outcome::NoAnswer => Some(format!("the phone system at {pbx} does not answer; trying again")),
            // Usual after a restart of the phone system: it is subscribed to anew at once.
            Outcome::Forgotten => return,
        };
        let mut last = lock(&self.trouble);
        if *last != trouble {
            match (&trouble, last.is_some()) {
                (Some(trouble), _) => tracing::warn!("{trouble}"),
                (None, true) => tracing::info!("the phone system at {pbx} is heard again"),
                (None, false) => {}
            }
            *last = trouble;
        }
    }
}

/// Answers one request from outside. Only a NOTIFY of an open subscription, from the phone system's own
/// address, is believed; everything else is refused and changes nothing.
async fn answer(shared: &Arc<Shared>, mut transaction: Transaction) {
    let at = Timestamp::now();
    let from = transaction
        .connection
        .as_ref()
        .and_then(|c| c.get_remote_addr())
        .and_then(|a| a.get_socketaddr().ok());
    let known = from.is_some_and(|from| same_host(from.ip(), shared.pbx.address.ip()));
    if !known {
        // Not even answered: a forged source address must not turn this into a reflector.
        tracing::debug!("a request from an address that is not the phone system's was dropped");
        return;
    }
    let (status, heard) = match transaction.original.method {
        Method::Notify => notified(shared, &transaction.original, at),
        Method::Options => (StatusCode::OK, None),
        _ => (StatusCode::MethodNotAllowed, None),
    };
    // Told first, answered after: the pop does not wait for a reply to leave.
    if let Some(heard) = heard {
        let _ = shared.heard.send(heard).await;
    }
    if let Err(e) = transaction.reply(status).await {
        tracing::debug!("an answer could not be sent: {e}");
    }
}

fn notified(shared: &Shared, request: &Request, at: Timestamp) -> (StatusCode, Option<Heard>) {
    let unknown = (StatusCode::CallTransactionDoesNotExist, None);
    let Ok(call_id) = request.call_id_header().map(|id| id.value().to_owned()) else { return unknown };
    let Some(subscription) = lock(&shared.by_call_id).get(&call_id).cloned() else { return unknown };
    let to_tag = request.to_header().ok().and_then(|to| tag_of(to.value()));
    let from_tag = request.from_header().ok().and_then(|from| tag_of(from.value()));
    if to_tag.as_deref() != Some(subscription.local_tag.as_str()) || from_tag.is_none() {
        return unknown;
    }
    let mut state = lock(&subscription.state);
    if state.remote_tag.is_some() && state.remote_tag != from_tag {
        return unknown;
    }
    // Before the 200 to the SUBSCRIBE, the first NOTIFY opens the dialog (RFC 6665 section 4.4.1).
    state.remote_tag = from_tag;
    let cseq = request.cseq_header().ok().and_then(|cseq| cseq.seq().ok());
    if cseq.zip(state.highest_cseq).is_some_and(|(new, highest)| new < highest) {
        // An older message that was overtaken: understood, but no longer true.
        return (StatusCode::OK, None);
    }
    state.highest_cseq = cseq.or(state.highest_cseq);
    if let Some(target) = request.contact_header().ok().and_then(|c| target_of(c.value())) {
        state.remote_target = Some(target);
    }
    let ended = header(&request.headers, "Subscription-State")
        .is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("terminated"));
    let heard = if request.body.is_empty() {
        None
    } else {
        match dialog_info::read(&request.body, &shared.pbx.numbers) {
            Ok(info) => {
                let what = state.dialogs.apply(info);
                Some(Heard { line: subscription.line.clone(), at, what })
            }
            Err(e) => {
                tracing::warn!(line = %subscription.line, "a NOTIFY was not understood: {e}");
                None
            }
        }
    };
    if ended {
        subscription.ended.notify_one();
    }
    (StatusCode::OK, heard)
}

/// Remembers what a 2xx says about the dialog.
fn learn(subscription: &Subscription, response: &Response) {
    let mut state = lock(&subscription.state);
    if let Some(tag) = response.to_header().ok().and_then(|to| tag_of(to.value())) {
        state.remote_tag = Some(tag);
    }
    if let Some(target) = response.contact_header().ok().and_then(|contact| target_of(contact.value())) {
        state.remote_target = Some(target);
    }
    // RFC 3261 section 12.1.2: the route set is the Record-Route values in reverse order.
    let routes = response.headers.iter().filter_map(|h| match h {
        Header::RecordRoute(route) => Some(route.value().to_owned()),
        _ => None,
    });
    let mut routes: Vec<String> = routes.collect();
    routes.reverse();
    if !routes.is_empty() {
        state.routes = routes;
    }
}

/// The granted duration; never longer than asked.
fn granted(response: &Response, asked: Duration) -> Duration {
    let seconds = header(&response.headers, "Expires").and_then(|value| value.trim().parse().ok());
    seconds.map_or(asked, Duration::from_secs).min(asked)
}

fn header(headers: &sip::Headers, name: &str) -> Option<String> {
    headers.iter().find_map(|h| match h {
        Header::Expires(value) if name == "Expires" => Some(value.value().to_owned()),
        Header::SubscriptionState(value) if name == "Subscription-State" => Some(value.value().to_owned()),
        _ => None,
    })
}

/// The tag parameter after the address, which ends at the last `>`.
fn tag_of(value: &str) -> Option<String> {
    let after = value.rsplit_once('>').map_or(value, |(_, after)| after);
    let tag = after.split(';').skip(1).find_map(|p| p.trim().strip_prefix("tag="))?;
    (!tag.is_empty() && tag.len() <= 128).then(|| tag.trim().to_owned())
}

fn target_of(contact: &str) -> Option<Uri> {
    let uri = match contact.rfind('<') {
        Some(start) => contact[start + 1..].split('>').next()?,
        None => contact.split(';').next()?.trim(),
    };
    sip::parse_uri(uri).ok()
}

fn challenge_realm(response: &Response) -> Option<String> {
    let value = response.headers.iter().find_map(|h| match h {
        Header::WwwAuthenticate(value) => Some(value.value().to_owned()),
        Header::ProxyAuthenticate(value) => Some(value.value().to_owned()),
        _ => None,
    })?;
    let (_, after) = value.split_once("realm=\"")?;
    after.split('"').next().map(str::to_owned)
}

fn sip_call_id() -> String {
    rsipstack::transaction::make_uuid_v4()
}

/// A name as the user part of a SIP URI (RFC 3261 section 25.1).
fn escape(user: &str) -> String {
    let mut out = String::new();
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The address that NOTIFYs shall come to: as configured, else the one this machine uses towards the
/// phone system.
async fn local_address(pbx: &Pbx) -> anyhow::Result<SocketAddr> {
    if let Some(listen) = pbx.listen.filter(|listen| !listen.ip().is_unspecified()) {
        return Ok(listen);
    }
    let any: SocketAddr = if pbx.address.is_ipv6() { "[::]:0".parse()? } else { "0.0.0.0:0".parse()? };
    let probe = tokio::net::UdpSocket::bind(any).await.context("cannot open a UDP socket")?;
    probe
        .connect(pbx.address)
        .await
        .with_context(|| format!("there is no route to the phone system at {}", pbx.address))?;
    let ip = probe.local_addr()?.ip();
    Ok(SocketAddr::new(ip, pbx.listen.map_or(0, |listen| listen.port())))
}

fn same_host(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

/// No code panics while it holds one of these, so a poisoned lock is still whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
