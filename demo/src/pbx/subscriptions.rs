//! The SIP side of the pretend phone system: subscriptions to lines and the NOTIFYs on their way.
//! No socket and no clock: datagrams and the time come in, datagrams go out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use pinkas_protocol::Line;
use rsip::Method;
use tokio::time::Instant;

use super::Faults;
use super::dialog_info::{self, Shown};
use super::digest::{Door, Verdict};
use super::message::{Answered, Contact, Request, SERVER};
use super::switchboard::Switchboard;

/// A datagram and where it goes.
pub type Outgoing = (SocketAddr, Vec<u8>);

/// The moment something happens.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    /// Seconds since 1970, for nonces.
    pub unix: i64,
}

/// Every subscription, every NOTIFY not yet answered, and what is to be sent.
pub struct Subscriptions {
    address: SocketAddr,
    door: Door,
    faults: Faults,
    /// Begins every tag and branch, so that those of an earlier start are never met again.
    seed: String,
    counted: u64,
    notifies: u32,
    /// By our own tag.
    active: BTreeMap<String, Subscription>,
    /// The tags of each line's subscriptions.
    by_line: BTreeMap<Line, Vec<String>>,
    /// By the branch of the NOTIFY.
    unanswered: BTreeMap<String, Unanswered>,
    /// Nothing is due before this; at this moment there may be something.
    due: Option<Instant>,
    out: Vec<Outgoing>,
}

struct Subscription {
    line: Line,
    call_id: String,
    their_tag: String,
    /// From and To of our requests: the other way round than in theirs.
    from: String,
    to: String,
    target: String,
    address: SocketAddr,
    their_cseq: u32,
    /// The answer to that, for when it was lost.
    answer: Vec<u8>,
    our_cseq: u32,
    version: u32,
    body: Vec<u8>,
    expires_at: Instant,
    heard: bool,
}

struct Unanswered {
    subscription: String,
    to: SocketAddr,
    datagram: Vec<u8>,
    interval: Duration,
    again_at: Instant,
    give_up_at: Instant,
}

/// What a NOTIFY says of the subscription.
enum Standing {
    Active,
    Over(&'static str),
}

/// RFC 3261 section 17.1.2: first retransmission, longest interval, and the end.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const TIMER_F: Duration = Duration::from_secs(32);

/// The most subscriptions at a time; one more is refused.
const MOST_SUBSCRIPTIONS: usize = 10_000;
/// The most NOTIFYs waiting for an answer; one more is sent once and not repeated.
const MOST_UNANSWERED: usize = 20_000;
/// The longest subscription, and that of a SUBSCRIBE that does not say.
const LONGEST_SECONDS: u32 = 3600;

impl Subscriptions {
    /// None yet; `seed` must differ from one start to the next.
    pub fn new(address: SocketAddr, door: Door, faults: Faults, seed: String) -> Self {
        Subscriptions {
            address,
            door,
            faults,
            seed,
            counted: 0,
            notifies: 0,
            active: BTreeMap::new(),
            by_line: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            due: None,
            out: Vec::new(),
        }
    }

    /// What is to be sent, in this order.
    pub fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.out)
    }

    /// Whether someone is subscribed to `line` and has answered a NOTIFY of it.
    pub fn heard(&self, line: &Line) -> bool {
        self.of_line(line.as_str()).any(|subscription| subscription.heard)
    }

    /// Forgets everything without a word, as a restart with a lost database does.
    pub fn forget(&mut self) {
        self.active.clear();
        self.by_line.clear();
        self.unanswered.clear();
        self.due = None;
    }

    fn of_line(&self, line: &str) -> impl Iterator<Item = &Subscription> {
        self.by_line.get(line).into_iter().flatten().filter_map(|tag| self.active.get(tag))
    }

    fn add(&mut self, tag: &str, subscription: Subscription) {
        self.remind(subscription.expires_at);
        self.by_line.entry(subscription.line.clone()).or_default().push(tag.to_owned());
        self.active.insert(tag.to_owned(), subscription);
    }

    fn remove(&mut self, tag: &str) {
        if let Some(gone) = self.active.remove(tag)
            && let Some(tags) = self.by_line.get_mut(&gone.line)
        {
            tags.retain(|other| other != tag);
        }
    }

    fn remind(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// A request came in.
    pub fn request(&mut self, request: &Request, source: SocketAddr, board: &Switchboard, now: Now) {
        match (request.method, &request.to_tag) {
            (Method::Ack, _) => {}
            (Method::Subscribe, Some(tag)) => self.refresh(request, &tag.clone(), source, now),
            (Method::Subscribe, None) => self.subscribe(request, source, board, now),
            (Method::Options, _) => self.reply(request, "200 OK", ALLOW, source),
            _ => self.reply(request, "405 Method Not Allowed", ALLOW, source),
        }
    }

    fn subscribe(&mut self, request: &Request, source: SocketAddr, board: &Switchboard, now: Now) {
        let again = self.of_line(request.user.as_deref().unwrap_or_default()).find(|known| {
            known.call_id == request.call_id
                && known.their_tag == request.from_tag
                && known.their_cseq == request.cseq
        });
        if let Some(known) = again {
            let answer = known.answer.clone();
            self.out.push((source, answer));
            return;
        }
        let verdict = self.door.check(request.authorization.as_deref(), &request.method, now.unix);
        if verdict != Verdict::Welcome {
            let challenge = self.door.challenge(now.unix, verdict);
            return self.reply(request, "401 Unauthorized", &challenge, source);
        }
        if request.event.as_deref() != Some("dialog") {
            return self.reply(request, "489 Bad Event", ALLOW_EVENTS, source);
        }
        let Some((line, shown)) = request.user.as_deref().and_then(|user| board.shown(user)) else {
            return self.reply(request, "404 Not Found", "", source);
        };
        let Some(contact) = &request.contact else {
            return self.reply(request, "400 Missing Contact", "", source);
        };
        if self.active.len() >= MOST_SUBSCRIPTIONS {
            return self.reply(request, "503 Service Unavailable", "", source);
        }
        let tag = self.fresh_name();
        let seconds = granted(request);
        let subscription = Subscription {
            line: line.clone(),
            call_id: request.call_id.clone(),
            their_tag: request.from_tag.clone(),
            from: request.to_with(&tag),
            to: request.from.clone(),
            target: contact.uri.clone(),
            address: contact.address.unwrap_or(source),
            their_cseq: request.cseq,
            answer: self.accepted(request, &tag, seconds, source),
            our_cseq: 1,
            version: 0,
            body: dialog_info::body(line, &self.address.ip().to_string(), 0, shown),
            expires_at: now.instant + Duration::from_secs(seconds.into()),
            heard: false,
        };
        self.add(&tag, subscription);
        self.answer_and_notify(&tag, seconds, source, now);
    }

    /// Quirk(asterisk 22.10.1): inside a dialog there is no challenge, and the NOTIFY repeats the last body
    /// with the same version.
    fn refresh(&mut self, request: &Request, tag: &str, source: SocketAddr, now: Now) {
        let known = self
            .active
            .get(tag)
            .filter(|known| known.call_id == request.call_id && known.their_tag == request.from_tag);
        let Some(known) = known else {
            return self.reply(request, "481 Subscription does not exist", "", source);
        };
        if request.cseq == known.their_cseq {
            self.out.push((source, known.answer.clone()));
            return;
        }
        if request.cseq < known.their_cseq {
            return self.reply(request, "500 CSeq out of order", "", source);
        }
        if request.event.as_deref() != Some("dialog") {
            return self.reply(request, "489 Bad Event", ALLOW_EVENTS, source);
        }
        let seconds = granted(request);
        let answer = self.accepted(request, tag, seconds, source);
        let expires_at = now.instant + Duration::from_secs(seconds.into());
        self.remind(expires_at);
        if let Some(known) = self.active.get_mut(tag) {
            known.their_cseq = request.cseq;
            known.answer = answer;
            known.expires_at = expires_at;
            if let Some(Contact { uri, address }) = &request.contact {
                known.target.clone_from(uri);
                known.address = address.unwrap_or(source);
            }
        }
        self.answer_and_notify(tag, seconds, source, now);
    }

    fn answer_and_notify(&mut self, tag: &str, seconds: u32, source: SocketAddr, now: Now) {
        let answer = self.active.get(tag).map(|known| (source, known.answer.clone()));
        let standing = if seconds == 0 { Standing::Over("terminated") } else { Standing::Active };
        if self.faults.notify_before_200 {
            self.notify(tag, &standing, now.instant);
            self.out.extend(answer);
        } else {
            self.out.extend(answer);
            self.notify(tag, &standing, now.instant);
        }
        if seconds == 0 {
            self.remove(tag);
        }
    }

    /// A response came in: it ends the retransmission of its NOTIFY.
    pub fn response(&mut self, answered: &Answered, now: Now) {
        let Some(waiting) = self.unanswered.get_mut(&answered.branch) else { return };
        if answered.status < 200 {
            waiting.interval = T2;
            waiting.again_at = now.instant + T2;
            return;
        }
        let subscription = std::mem::take(&mut waiting.subscription);
        self.unanswered.remove(&answered.branch);
        match answered.status {
            // RFC 6665 section 4.2.2: the other side does not know of it (any more).
            408 | 481 => self.remove(&subscription),
            _ => {
                if let Some(known) = self.active.get_mut(&subscription) {
                    known.heard = true;
                }
            }
        }
    }

    /// `line` changed: every subscriber of it is told, with a version one higher.
    pub fn changed(&mut self, line: &Line, shown: Shown<'_>, now: Instant) {
        let host = self.address.ip().to_string();
        for tag in self.by_line.get(line).cloned().unwrap_or_default() {
            if let Some(known) = self.active.get_mut(&tag) {
                known.version += 1;
                known.body = dialog_info::body(line, &host, known.version, shown);
            }
            self.notify(&tag, &Standing::Active, now);
        }
    }

    /// When [`Subscriptions::tick`] may have something to do next.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Time has passed: repeats what was not answered, gives up, ends what has expired.
    pub fn tick(&mut self, now: Instant) {
        let mut deaf = Vec::new();
        self.unanswered.retain(|_, waiting| {
            if now >= waiting.give_up_at {
                deaf.push(std::mem::take(&mut waiting.subscription));
                return false;
            }
            if now >= waiting.again_at {
                waiting.interval = (waiting.interval * 2).min(T2);
                waiting.again_at = now + waiting.interval;
                self.out.push((waiting.to, waiting.datagram.clone()));
            }
            true
        });
        // Quirk(asterisk 22.10.1): a deaf subscriber is dropped without a word.
        deaf.iter().for_each(|tag| self.remove(tag));
        let expired = self.active.iter().filter(|(_, known)| now >= known.expires_at);
        let expired: Vec<_> = expired.map(|(tag, _)| tag.clone()).collect();
        for tag in expired {
            self.notify(&tag, &Standing::Over("terminated;reason=timeout"), now);
            self.remove(&tag);
        }
        let again = self.unanswered.values().map(|waiting| waiting.again_at.min(waiting.give_up_at));
        self.due = again.chain(self.active.values().map(|known| known.expires_at)).min();
    }

    fn notify(&mut self, tag: &str, standing: &Standing, now: Instant) {
        let branch = format!("z9hG4bKPj{}", self.fresh_name());
        let address = self.address;
        let Some(known) = self.active.get_mut(tag) else { return };
        let left = known.expires_at.saturating_duration_since(now).as_secs();
        let state = match standing {
            Standing::Active => format!("active;expires={left}"),
            Standing::Over(text) => (*text).to_owned(),
        };
        let Subscription { target, from, to, call_id, our_cseq, body, .. } = &*known;
        let head = format!(
            "NOTIFY {target} SIP/2.0\r\nVia: SIP/2.0/UDP {address};rport;branch={branch}\r\n\
             From: {from}\r\nTo: {to}\r\nContact: <sip:{address}>\r\nCall-ID: {call_id}\r\n\
             CSeq: {our_cseq} NOTIFY\r\nEvent: dialog\r\nSubscription-State: {state}\r\n{ALLOW_EVENTS}\
             Max-Forwards: 70\r\nUser-Agent: {SERVER}\r\nContent-Type: application/dialog-info+xml\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let datagram = [head.as_bytes(), body].concat();
        let to = known.address;
        known.our_cseq += 1;
        self.send_notify(branch, tag, to, datagram, now);
    }

    fn send_notify(&mut self, branch: String, tag: &str, to: SocketAddr, datagram: Vec<u8>, now: Instant) {
        self.notifies = self.notifies.wrapping_add(1);
        let lost = self.faults.drop_every_nth.is_some_and(|n| n > 0 && self.notifies.is_multiple_of(n));
        let copies = match (lost, self.faults.duplicate_notifies) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 2,
        };
        self.out.extend(std::iter::repeat_n((to, datagram.clone()), copies));
        if self.unanswered.len() < MOST_UNANSWERED {
            let subscription = tag.to_owned();
            let (again_at, give_up_at) = (now + T1, now + TIMER_F);
            self.remind(again_at);
            let waiting = Unanswered { subscription, to, datagram, interval: T1, again_at, give_up_at };
            self.unanswered.insert(branch, waiting);
        }
    }

    fn reply(&mut self, request: &Request, status: &str, extra: &str, source: SocketAddr) {
        // Quirk(asterisk 22.10.1): the To tag of a refusal is the branch of the request.
        self.out.push((source, request.answer(status, &request.branch, extra, source)));
    }

    fn accepted(&self, request: &Request, tag: &str, seconds: u32, source: SocketAddr) -> Vec<u8> {
        let extra = format!("Expires: {seconds}\r\nContact: <sip:{}>\r\n{ALLOW_EVENTS}", self.address);
        request.answer("200 OK", tag, &extra, source)
    }

    /// A tag or branch never used before; they sort by age.
    fn fresh_name(&mut self) -> String {
        self.counted += 1;
        format!("{}-{:08x}", self.seed, self.counted)
    }
}

/// Quirk(asterisk 22.10.1): any shorter time is taken as asked, even 2 s; never 423.
fn granted(request: &Request) -> u32 {
    request.expires.unwrap_or(LONGEST_SECONDS).min(LONGEST_SECONDS)
}

const ALLOW: &str = "Allow: OPTIONS, SUBSCRIBE, NOTIFY\r\n";
const ALLOW_EVENTS: &str = "Allow-Events: presence, dialog, refer\r\n";
