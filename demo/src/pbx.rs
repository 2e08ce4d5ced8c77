//! A pretend phone system: real SIP over UDP on a loopback address, behaving as Asterisk 22 was seen to behave
//! for `SUBSCRIBE`/`NOTIFY` of dialog events. The demo rings it, the whole-system tests ring and torment it.
//! IPv4 only: `rsip` refuses a message whose request URI holds an IPv6 address.

mod dialog_info;
mod digest;
mod message;
mod subscriptions;
mod switchboard;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_protocol::Line;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use digest::Door;
use message::Incoming;
use subscriptions::{Now, Outgoing, Subscriptions};
use switchboard::{CallNumber, Switchboard};

/// What a pretend phone system is started with.
#[derive(Clone)]
pub struct PbxConfig {
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// The realm of its challenges; Asterisk's is `asterisk`.
    pub realm: String,
    /// The one account that may subscribe.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The lines there are, each with its agent's display name.
    pub lines: Vec<(Line, String)>,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

/// What goes wrong on purpose; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// The NOTIFY overtakes the 200 of its SUBSCRIBE.
    pub notify_before_200: bool,
    /// The first transmission of every nth NOTIFY is lost; it is repeated after 500 ms.
    pub drop_every_nth: Option<u32>,
    /// Every NOTIFY arrives twice.
    pub duplicate_notifies: bool,
}

/// Who calls. Bytes, because what phone systems send need not be text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PretendCaller {
    /// The number, as it stands in the URI.
    pub number: Vec<u8>,
    /// The display name, with a queue's prefix where the phone system adds one (`Support: …`).
    pub name: Vec<u8>,
    /// Number and name go into the XML as they are, even if they break it.
    pub raw: bool,
}

impl PretendCaller {
    /// A caller with a number and a name, properly escaped on the wire.
    pub fn new(number: impl AsRef<[u8]>, name: impl AsRef<[u8]>) -> Self {
        PretendCaller { number: number.as_ref().to_vec(), name: name.as_ref().to_vec(), raw: false }
    }

    /// A caller who withholds the number: `sip:anonymous@anonymous.invalid`, "Anonymous" (RFC 3323).
    pub fn withheld() -> Self {
        PretendCaller::new(ANONYMOUS, "Anonymous")
    }

    /// The same caller, written into the XML without escaping.
    pub fn raw(self) -> Self {
        PretendCaller { raw: true, ..self }
    }

    /// Name and number as they go into the XML.
    fn written(&self) -> (Vec<u8>, Vec<u8>) {
        if self.raw {
            (self.name.clone(), self.number.clone())
        } else {
            (dialog_info::escaped(&self.name), dialog_info::escaped(&self.number))
        }
    }

    /// The host of the caller's URI where it is not the phone system.
    fn host(&self) -> Option<&'static str> {
        (self.number == ANONYMOUS.as_bytes()).then_some("anonymous.invalid")
    }
}

const ANONYMOUS: &str = "anonymous";

/// A running pretend phone system. Clones are the same one; when the last is dropped it stops.
#[derive(Clone)]
pub struct Pbx {
    shared: Arc<Shared>,
    _stops_when_dropped: Arc<DropGuard>,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// The loop must look at its deadlines again.
    wake: Notify,
    /// A NOTIFY was answered, or the phone system stopped.
    heard: Notify,
    stop: CancellationToken,
}

struct State {
    board: Switchboard,
    subscriptions: Subscriptions,
    /// `None` once stopped, so that the port is free for the next start.
    socket: Option<Arc<UdpSocket>>,
    task: Option<JoinHandle<()>>,
}

impl Pbx {
    /// Listens, and answers from then on.
    pub async fn start(config: PbxConfig) -> io::Result<Pbx> {
        let socket = Arc::new(UdpSocket::bind(config.listen).await?);
        // `try_send_to` fails until the runtime has seen once that the socket is writable.
        socket.writable().await?;
        let address = socket.local_addr()?;
        let secret = format!("{:016x}", RandomState::new().build_hasher().finish());
        let PbxConfig { realm, user, password, lines, faults, .. } = config;
        let door = Door { realm, user, password, secret: secret.clone() };
        let subscriptions = Subscriptions::new(address, door, faults, secret);
        let stop = CancellationToken::new();
        let state = State {
            board: Switchboard::new(lines),
            subscriptions,
            socket: Some(Arc::clone(&socket)),
            task: None,
        };
        let (wake, heard) = (Notify::new(), Notify::new());
        let shared = Shared { address, state: Mutex::new(state), wake, heard, stop: stop.clone() };
        let shared = Arc::new(shared);
        let task = tokio::spawn(listen(Arc::clone(&shared), socket));
        shared.lock().task = Some(task);
        Ok(Pbx { shared, _stops_when_dropped: Arc::new(stop.drop_guard()) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// A call arrives and rings at all of `rings` at once; a line that is busy or does not exist is left out.
    pub async fn call(&self, caller: PretendCaller, rings: &[Line]) -> PretendCall {
        let (number, sent_at) = self.shared.change(|board| board.call(&caller, rings));
        PretendCall { pbx: self.clone(), number, sent_at }
    }

    /// Waits until every one of `lines` has a subscriber that has answered a NOTIFY, or the phone system stops.
    pub async fn subscribed(&self, lines: &[Line]) {
        // One line after the other: each answer is held against one line, not against thousands.
        for line in lines {
            self.heard(line).await;
        }
    }

    async fn heard(&self, line: &Line) {
        loop {
            let heard = self.shared.heard.notified();
            tokio::pin!(heard);
            // From here on no answer is missed, even one that comes before the wait below.
            heard.as_mut().enable();
            {
                let state = self.shared.lock();
                if state.socket.is_none() || state.subscriptions.heard(line) {
                    return;
                }
            }
            heard.await;
        }
    }

    /// Forgets every subscription without a word, as after a restart with a lost database: the next refresh
    /// is answered 481.
    pub fn forget_subscriptions(&self) {
        self.shared.lock().subscriptions.forget();
        self.shared.wake.notify_one();
    }

    /// Stops silently, as a real one does: nobody is told, the port is free. Calls made later go nowhere.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        let task = {
            let mut state = self.shared.lock();
            state.socket = None;
            state.task.take()
        };
        if let Some(task) = task {
            // An error here is a panic of the loop, which has already been printed.
            let _ = task.await;
        }
    }
}

/// A call in the pretend phone system. Dropping it does not end it.
#[derive(Clone)]
pub struct PretendCall {
    pbx: Pbx,
    number: CallNumber,
    sent_at: Timestamp,
}

impl PretendCall {
    /// `line` picks up; nothing happens if it does not ring for this call.
    pub async fn answer(&self, line: &Line) {
        self.change(|board, call| board.answer(call, line));
    }

    /// The conversation ends, or the caller is cut off.
    pub async fn hang_up(&self) {
        self.change(|board, call| board.hang_up(call));
    }

    /// The caller gives up while phones ring; a conversation goes on.
    pub async fn abandon(&self) {
        self.change(|board, call| board.stop_ringing(call));
    }

    /// `line` refuses; the other phones go on ringing.
    pub async fn decline(&self, line: &Line) {
        self.change(|board, call| board.decline(call, line));
    }

    /// When the first NOTIFY of the call left.
    pub fn sent_at(&self) -> Timestamp {
        self.sent_at
    }

    fn change(&self, change: impl FnOnce(&mut Switchboard, CallNumber) -> Vec<Line>) {
        self.pbx.shared.change(|board| ((), change(board, self.number)));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere must not hide behind a second one here: the state is plain data.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the switchboard and tells the subscribers of the lines that changed, in that order.
    fn change<T>(&self, change: impl FnOnce(&mut Switchboard) -> (T, Vec<Line>)) -> (T, Timestamp) {
        let now = now();
        let mut state = self.lock();
        let State { board, subscriptions, .. } = &mut *state;
        let (result, lines) = change(board);
        for line in lines {
            if let Some((line, shown)) = board.shown(line.as_str()) {
                subscriptions.changed(line, shown, now.instant);
            }
        }
        let sent_at = Timestamp::now();
        state.flush();
        drop(state);
        self.wake.notify_one();
        (result, sent_at)
    }

    fn receive(&self, datagram: &[u8], source: SocketAddr) {
        let Some(incoming) = message::read(datagram) else { return };
        let mut state = self.lock();
        let State { board, subscriptions, .. } = &mut *state;
        match incoming {
            Incoming::Request(request) => subscriptions.request(&request, source, board, now()),
            Incoming::Response(answered) => {
                subscriptions.response(&answered, now());
                self.heard.notify_waiters();
            }
        }
        state.flush();
    }
}

impl State {
    /// Sends what waits. What the system does not take now is lost, which SIP over UDP makes good.
    fn flush(&mut self) {
        let outgoing: Vec<Outgoing> = self.subscriptions.take_outgoing();
        if let Some(socket) = &self.socket {
            for (to, datagram) in outgoing {
                if let Err(error) = socket.try_send_to(&datagram, to) {
                    tracing::debug!(%error, %to, "a datagram was lost");
                }
            }
        }
    }
}

async fn listen(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; LARGEST];
    loop {
        let next = shared.lock().subscriptions.due().unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            () = shared.stop.cancelled() => break,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep_until(next) => {
                let mut state = shared.lock();
                state.subscriptions.tick(Instant::now());
                state.flush();
            }
            received = socket.recv_from(&mut buffer) => match received {
                Ok((length, source)) => shared.receive(&buffer[..length], source),
                // Windows reports here that an earlier datagram was refused. Not to spin if it lasts:
                Err(_) => tokio::time::sleep(PAUSE_AFTER_ERROR).await,
            },
        }
    }
    shared.lock().socket = None;
    shared.heard.notify_waiters();
}

fn now() -> Now {
    Now { instant: Instant::now(), unix: Timestamp::now().as_second() }
}

/// The largest message read, in bytes; UDP has none larger.
const LARGEST: usize = 64 * 1024;
/// How long the loop sleeps with nothing to do.
const IDLE: Duration = Duration::from_secs(3600);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(10);
