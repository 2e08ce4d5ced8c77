//! What every way that speaks SIP with an account of its own needs: the transport, requests with their
//! credentials, answers to requests, signs of life. rsipstack carries transactions, except those of NOTIFYs, which are
//! `notify`'s. Dialogs, and what a request means, belong to the way that uses this. Only the phone system's address is listened to.

mod datagrams;
mod digest;
mod door;
mod gate;
pub mod message;
mod notify;
mod ringing;
mod transport;
mod wire;

use std::hash::RandomState;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use rsipstack::EndpointBuilder;
use rsipstack::sip::{self, Header, HeadersExt, Method, Request, Response, SipMessage, StatusCode, Uri};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportLayer};
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{SipAccount, Transport};
use crate::hear::Way;
use crate::metrics::Refusals;
use digest::{Decision, Tries};
use door::{Begun, Door};
use notify::Back;
pub use notify::{Notification, Reply};
pub use ringing::{Bell, Ringing, Withdrawn};
use transport::{By, Opened, Stream, Wire};
use wire::{Piece, Pieces};

/// Requests read but not yet looked at; when it is full, reading waits and the phone system repeats.
const REQUESTS: usize = 64;
/// Answers to all but NOTIFYs are kept for 32 s to repeat them (Timer J); with more than this, requests are not taken.
const MOST_ANSWERED: usize = 20_000;
const AGENT: &str = concat!("pinkas/", env!("CARGO_PKG_VERSION"));

/// One open way to a phone system. It closes when its connection breaks, when asked to, or when dropped.
pub struct SipEndpoint {
    account: SipAccount,
    inner: EndpointInnerRef,
    connection: SipConnection,
    local: SocketAddr,
    closed: CancellationToken,
    /// When anything came from the phone system.
    heard_at: Mutex<Instant>,
    begun: Mutex<Begun>,
    /// The realm that let us in: from then on no other is answered.
    realm: OnceLock<String>,
}

/// What the phone system asks.
pub enum Asked {
    /// A NOTIFY.
    Notify(Notification),
    /// Anything else.
    Request(Box<Incoming>),
}

/// A request of the phone system.
pub struct Incoming {
    /// When it was read.
    pub at: Timestamp,
    transaction: Transaction,
    length: usize,
    datagrams: bool,
    /// An INVITE as it came.
    raw: Vec<u8>,
    closed: CancellationToken,
}

/// A request to be sent, as far as it differs from others.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What for.
    pub method: Method,
    /// Where to.
    pub uri: Uri,
    /// Our tag.
    pub from_tag: &'a str,
    /// The whole To value.
    pub to: String,
    /// The dialog's name.
    pub call_id: &'a str,
    /// The dialog's count.
    pub cseq: u32,
    /// The dialog's route set.
    pub routes: &'a [String],
    /// Headers of this method.
    pub more: Vec<Header>,
}

/// How a request ended.
#[derive(Debug)]
pub enum Answer {
    /// With a final response, other than to be asked for credentials.
    Final(Box<Response>),
    /// The credentials were refused.
    WrongPassword,
    /// Asked for the credentials of another realm, which were not given.
    ForeignRealm(String),
    /// Asked for credentials in a way that is not understood; these algorithms are named.
    UnknownDigest(String),
    /// There was none in time, or the way has closed.
    Silence,
}

impl SipEndpoint {
    /// Opens the way, which counts as `way` what it refuses; requests of the phone system come out of the receiver. The error says what to look at.
    pub async fn open(
        account: &SipAccount,
        way: Way,
    ) -> anyhow::Result<(Arc<SipEndpoint>, mpsc::Receiver<Asked>)> {
        let Opened { local, by } = transport::open(account).await?;
        let closed = CancellationToken::new();
        let (wire, reading) = match by {
            By::Datagrams(socket) => {
                let reading = Reading::Datagrams(socket.incoming());
                (Wire::Datagrams(socket, local), reading)
            }
            By::Stream(stream) => {
                let (read, write) = tokio::io::split(stream);
                let (out, queue) = transport::out_queue();
                tokio::spawn(transport::write(write, queue, closed.clone()));
                (Wire::Stream(out.clone(), local), Reading::Stream(read, out))
            }
        };
        let wire = Arc::new(wire);
        let connection = UdpConnection::from_socket(wire.clone(), None, Some(closed.child_token()))
            .await
            .context("the SIP endpoint does not start")?;
        let mut builder = EndpointBuilder::new();
        builder
            .with_user_agent(AGENT)
            .with_transport_layer(TransportLayer::new(closed.child_token()))
            .with_cancel_token(closed.child_token());
        if account.transport != Transport::Udp {
            // Connections repeat for themselves (RFC 3261 section 17.1.2.1): Timer E never fires.
            let never = Duration::from_secs(24 * 3600);
            builder.with_option(rsipstack::transaction::endpoint::EndpointOption {
                t1: never,
                ..Default::default()
            });
        }
        let endpoint = builder.build();
        let incoming = endpoint.incoming_transactions().context("the SIP endpoint does not start")?;
        let endpoint = Arc::new(SipEndpoint {
            account: account.clone(),
            inner: endpoint.inner.clone(),
            connection: connection.into(),
            local,
            closed,
            heard_at: Mutex::new(Instant::now()),
            begun: Mutex::default(),
            realm: OnceLock::new(),
        });
        let (out, requests) = mpsc::channel(REQUESTS);
        let reader = Reader {
            endpoint: Arc::downgrade(&endpoint),
            incoming,
            out,
            wire,
            tags: RandomState::new(),
            refusals: Refusals::of(way),
            closed: endpoint.closed.clone(),
        };
        tokio::spawn(reader.run(reading));
        let (inner, stop) = (endpoint.inner.clone(), endpoint.closed.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = inner.process_timer() => {}
                () = stop.cancelled() => {}
            }
        });
        Ok((endpoint, requests))
    }

    /// The address at this end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The value of a Contact header that leads here.
    pub fn contact(&self) -> String {
        let transport = match self.account.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls(_) => ";transport=tls",
        };
        format!("<sip:{}@{}{transport}>", message::escape(&self.account.user), self.local)
    }

    /// `user@domain` of a name at the phone system, as a SIP URI.
    pub fn uri_of(&self, user: &str) -> String {
        format!("sip:{}@{}", message::escape(user), self.account.domain)
    }

    /// Returns once the way is closed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Closes the way.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// How long ago anything came from the phone system.
    pub fn quiet_for(&self) -> Duration {
        lock(&self.heard_at).elapsed()
    }

    /// A request out of a draft.
    pub fn request(&self, draft: Draft<'_>) -> anyhow::Result<Request> {
        let Draft { method, uri, from_tag, to, call_id, cseq, routes, more } = draft;
        lock(&self.begun).note(call_id, Instant::now());
        let mut headers = vec![
            Header::Via(sip::Via::new(self.via())),
            Header::MaxForwards(70.into()),
            Header::From(sip::From::new(format!("<{}>;tag={from_tag}", self.uri_of(&self.account.user)))),
            Header::To(sip::To::new(to)),
            Header::CallId(sip::CallId::new(call_id)),
            Header::CSeq(sip::CSeq::new(format!("{cseq} {method}"))),
            Header::Contact(sip::Contact::new(self.contact())),
            Header::UserAgent(sip::UserAgent::new(AGENT)),
        ];
        headers.extend(routes.iter().map(|route| Header::Route(sip::Route::new(route))));
        headers.extend(more);
        Ok(Request { method, uri, version: sip::Version::V2, headers: headers.into(), body: Vec::new() })
    }

    /// Sends a request and waits for its final answer, giving credentials when asked for them; says also
    /// the last CSeq used.
    pub async fn ask(&self, mut request: Request, within: Duration) -> (Answer, u32) {
        let until = Instant::now() + within;
        let mut cseq = request.cseq_header().ok().and_then(|cseq| cseq.seq().ok()).unwrap_or(1);
        let mut tries = Tries::default();
        let mut offered: Option<String> = None;
        loop {
            let exchange = tokio::time::timeout_at(until, self.exchange(request.clone()));
            let response = tokio::select! {
                () = self.closed.cancelled() => None,
                response = exchange => response.ok().flatten(),
            };
            let Some(response) = response else { return (Answer::Silence, cseq) };
            if !matches!(response.status_code.code(), 401 | 407) {
                if let Some(realm) = offered {
                    let _ = self.realm.set(realm);
                }
                return (Answer::Final(Box::new(response)), cseq);
            }
            let realm = self.account.realm.as_deref().or(self.realm.get().map(String::as_str));
            let challenge = match tries.decide(digest::Asked::of(&response), realm) {
                Decision::Answer(challenge) => challenge,
                Decision::Refused => return (Answer::WrongPassword, cseq),
                Decision::Foreign { realm } => return (Answer::ForeignRealm(realm), cseq),
                Decision::Unsupported { algorithms } => return (Answer::UnknownDigest(algorithms), cseq),
            };
            offered = Some(challenge.realm().to_owned());
            cseq = cseq.saturating_add(1);
            let cnonce = rsipstack::transaction::make_uuid_v4().replace('-', "");
            let (user, password) = (&self.account.user, &self.account.password.0);
            let credentials = challenge.answer(user, password, &request.method, &request.uri, &cnonce);
            let method = request.method;
            request
                .headers
                .retain(|header| !matches!(header, Header::Authorization(_) | Header::ProxyAuthorization(_)));
            request.headers.unique_push(Header::CSeq(sip::CSeq::new(format!("{cseq} {method}"))));
            request.headers.unique_push(credentials);
            // A new transaction needs a new branch.
            request.headers.unique_push(Header::Via(sip::Via::new(self.via())));
        }
    }

    fn via(&self) -> String {
        let transport = self.account.transport_name().to_ascii_uppercase();
        let branch = rsipstack::transaction::make_uuid_v4().replace('-', "");
        format!("SIP/2.0/{transport} {};rport;branch=z9hG4bK{branch}", self.local)
    }

    async fn exchange(&self, request: Request) -> Option<Response> {
        let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
        let mut transaction =
            Transaction::new_client(key, request, self.inner.clone(), Some(self.connection.clone()));
        transaction.destination = Some(self.peer(self.account.address));
        transaction.send().await.ok()?;
        loop {
            match transaction.receive().await? {
                // A 408 is also how rsipstack reports Timer F (RFC 3261 section 17.1.2.2).
                SipMessage::Response(response) if response.status_code.code() == 408 => return None,
                SipMessage::Response(response) if response.status_code.code() >= 200 => {
                    return Some(response);
                }
                _ => {}
            }
        }
    }

    fn peer(&self, address: SocketAddr) -> SipAddr {
        let transport = match self.account.transport {
            Transport::Udp => sip::Transport::Udp,
            Transport::Tcp => sip::Transport::Tcp,
            Transport::Tls(_) => sip::Transport::Tls,
        };
        SipAddr { r#type: Some(transport), addr: address.into() }
    }

    /// Gives one canonical message to rsipstack. Its errors quote the message, so they are not logged.
    async fn take_in(&self, bytes: &[u8], from: SocketAddr) {
        let Ok(message) = SipMessage::try_from(bytes) else {
            tracing::debug!("a message of the phone system is no SIP");
            return;
        };
        let peer = self.peer(from);
        let transport = peer.r#type.unwrap_or_default();
        let Ok(message) = SipConnection::update_msg_received(message, from, transport) else { return };
        *lock(&self.heard_at) = Instant::now();
        if matches!(message, SipMessage::Request(_))
            && self.inner.finished_transactions.len() >= MOST_ANSWERED
        {
            tracing::debug!("more requests than can be answered: one was dropped");
            return;
        }
        if self.inner.on_received_message(message, self.connection.clone(), &peer).await.is_err() {
            tracing::debug!("a message of the phone system could not be dealt with");
        }
    }
}

impl Drop for SipEndpoint {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl Incoming {
    /// What is asked.
    pub fn request(&self) -> &Request {
        &self.transaction.original
    }

    /// Answers it. Over UDP, where the sender's address proves nothing, no answer is longer than its request, so that
    /// nobody is flooded by way of us.
    pub async fn answer(mut self, status: StatusCode, mut more: Vec<Header>) {
        if !self.fits(status.clone(), &more) {
            // What it adds is of use, the answer itself of more.
            more.clear();
            if !self.fits(status.clone(), &more) {
                tracing::debug!("an answer longer than its request was not sent");
                return;
            }
        }
        if self.transaction.reply_with(status, more, None).await.is_err() {
            tracing::debug!("an answer could not be sent");
        }
    }

    /// An answer is not longer than the request, or goes back by a connection.
    fn fits(&self, status: StatusCode, more: &[Header]) -> bool {
        let mut answer =
            self.transaction.endpoint_inner.make_response(&self.transaction.original, status, None);
        answer.headers.extend(more.to_vec());
        // The tag that is added to To.
        const TAG: usize = 40;
        !self.datagrams || SipMessage::Response(answer).to_bytes().len() + TAG <= self.length
    }
}

enum Reading {
    Datagrams(datagrams::Incoming),
    Stream(ReadHalf<Box<dyn Stream>>, mpsc::Sender<Vec<u8>>),
}

/// Reads, and hands on requests in the order they came.
struct Reader {
    /// Weak: an endpoint that nobody uses any more closes.
    endpoint: std::sync::Weak<SipEndpoint>,
    incoming: TransactionReceiver,
    out: mpsc::Sender<Asked>,
    wire: Arc<Wire>,
    tags: RandomState,
    refusals: Refusals,
    closed: CancellationToken,
}

impl Reader {
    async fn run(mut self, reading: Reading) {
        let closed = self.closed.clone();
        let reading = async {
            match reading {
                Reading::Datagrams(socket) => self.datagrams(socket).await,
                Reading::Stream(stream, out) => self.stream(stream, &out).await,
            }
        };
        tokio::select! {
            _ = reading => {}
            () = closed.cancelled() => {}
        }
        closed.cancel();
    }

    async fn datagrams(&mut self, mut socket: datagrams::Incoming) -> Option<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut door = Door::new(Instant::now());
        loop {
            let Ok((length, from)) = socket.next(&mut buffer).await else {
                // Some systems report here that an earlier datagram was refused. Not to spin if it lasts:
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let endpoint = self.endpoint.upgrade()?;
            if !same_host(from.ip(), endpoint.account.address.ip()) {
                // Not even answered: a forged source address must not turn this into a reflector.
                self.refusals.stranger.increment(1);
                tracing::debug!("a datagram from an address that is not the phone system's was dropped");
                continue;
            }
            let datagram = buffer.get(..length).unwrap_or_default();
            if !door.lets_in(datagram, |call_id| lock(&endpoint.begun).has(call_id), Instant::now()) {
                tracing::debug!("a datagram that belongs to nothing begun here was dropped");
                self.refusals.unasked.increment(1);
                continue;
            }
            drop(endpoint);
            match wire::parts(datagram) {
                Some((head, body)) if notify::is_notify(head) => {
                    self.hand_on_notify(head, body, from, Some(length)).await?;
                }
                Some(_) => {
                    if let Some(message) = wire::datagram(datagram) {
                        self.hand_on(&message, datagram, from).await?;
                    }
                }
                None => {}
            }
        }
    }

    async fn stream(
        &mut self,
        mut stream: ReadHalf<Box<dyn Stream>>,
        out: &mpsc::Sender<Vec<u8>>,
    ) -> Option<()> {
        let from = self.endpoint.upgrade()?.account.address;
        let mut buffer = vec![0; 16 * 1024];
        let mut pieces = Pieces::default();
        loop {
            let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
            pieces.push(buffer.get(..length).unwrap_or_default());
            loop {
                match pieces.next() {
                    Ok(None) => break,
                    Ok(Some(Piece::Message { canonical, raw })) => match wire::parts(&canonical) {
                        Some((head, body)) if notify::is_notify(head) => {
                            self.hand_on_notify(head, body, from, None).await?;
                        }
                        _ => self.hand_on(&canonical, &raw, from).await?,
                    },
                    Ok(Some(Piece::Ping)) => out.send(b"\r\n".to_vec()).await.ok()?,
                    Err(e) => {
                        tracing::warn!("the connection to the phone system is given up: {e}");
                        return None;
                    }
                }
            }
        }
    }

    /// `length`: of a datagram.
    async fn hand_on_notify(
        &mut self,
        head: &[u8],
        body: &[u8],
        from: SocketAddr,
        length: Option<usize>,
    ) -> Option<()> {
        let back = Back { wire: self.wire.clone(), from, length, tags: self.tags.clone() };
        let Some(notify) = Notification::read(Timestamp::now(), head, body, back) else {
            tracing::debug!("a NOTIFY that cannot be answered was dropped");
            self.refusals.unreadable.increment(1);
            return Some(());
        };
        *lock(&self.endpoint.upgrade()?.heard_at) = Instant::now();
        self.out.send(Asked::Notify(notify)).await.ok()
    }

    async fn hand_on(&mut self, message: &[u8], raw: &[u8], from: SocketAddr) -> Option<()> {
        let at = Timestamp::now();
        let endpoint = self.endpoint.upgrade()?;
        let datagrams = endpoint.account.transport == Transport::Udp;
        endpoint.take_in(message, from).await;
        drop(endpoint);
        while let Ok(transaction) = self.incoming.try_recv() {
            let kept = if transaction.original.method == Method::Invite { raw } else { &[] };
            let (length, raw, closed) = (raw.len(), kept.to_vec(), self.closed.clone());
            let incoming = Incoming { at, transaction, length, datagrams, raw, closed };
            self.out.send(Asked::Request(Box::new(incoming))).await.ok()?;
        }
        Some(())
    }
}

fn same_host(a: IpAddr, b: IpAddr) -> bool {
    a.to_canonical() == b.to_canonical()
}

/// No code panics while it holds one of these, so a poisoned lock is still whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
