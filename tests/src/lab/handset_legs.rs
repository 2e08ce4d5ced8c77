//! The calls that a [`Handset`](super::handset::Handset) has: takes what was received or ordered, gives
//! the messages to be sent. No socket and no clock. Sends nothing twice by itself: on loopback nothing
//! is lost; what the phone system repeats is answered with the same reply again.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::lab::handset::{Body, Dial, Ending, Stage};
use crate::lab::sip_text::{Message, tag_of, uri_of};

/// Everything a handset knows.
#[derive(Debug)]
pub(super) struct Legs {
    line: String,
    at: SocketAddrV4,
    pbx: SocketAddrV4,
    /// One per Call-ID, in order of arrival.
    pub legs: Vec<Leg>,
    /// Every message sent and received, with a line before each that says which.
    pub log: String,
}

/// One dialog, incoming or outgoing.
#[derive(Debug)]
pub(super) struct Leg {
    pub stage: Stage,
    /// The INVITE that began it.
    invite: Message,
    /// The last INVITE that came in, and what was replied last.
    heard: Option<Message>,
    incoming: bool,
    call_id: String,
    /// This side's address with its tag, and the other's as far as it is known.
    own: String,
    peer: String,
    /// Where requests of this dialog are addressed to, and through which proxies.
    target: String,
    routes: Vec<String>,
    cseq: u32,
    session: u32,
    last_reply: Option<Message>,
    /// The last final reply to a request of ours: CSeq number and status.
    pub answered: (u32, u16),
    /// An ACK came for a final reply of ours.
    pub acknowledged: bool,
    /// What NOTIFYs said of a transfer that this side asked for.
    pub transfer_says: Vec<String>,
    /// Whom the other side asked to be called (REFER).
    pub asked_to_call: Option<String>,
}

impl Legs {
    pub fn new(line: &str, at: SocketAddrV4, pbx: SocketAddrV4) -> Legs {
        Legs { line: line.to_owned(), at, pbx, legs: Vec::new(), log: String::new() }
    }

    /// Takes a message, gives the replies.
    pub fn hear(&mut self, message: Message) -> Vec<Message> {
        self.note("got", &message);
        let sent = match message.status() {
            Some(status) => self.hear_reply(status, &message),
            None => self.hear_request(message),
        };
        for message in &sent {
            self.note("sent", message);
        }
        sent
    }

    /// Begins a call.
    pub fn dial(&mut self, dial: &Dial<'_>) -> (usize, Message) {
        let unique = format!("{}-{}", self.line, unique());
        let target = format!("sip:{}@{}", dial.to, self.pbx);
        let mut invite = Message::request("INVITE", &target);
        let name = if dial.name.is_empty() { String::new() } else { format!("\"{}\" ", dial.name) };
        let own = format!("{name}<sip:{}@{}>;tag=own{unique}", dial.number, self.at.ip());
        let leg = Leg {
            stage: Stage::Calling,
            invite: invite.clone(),
            heard: None,
            incoming: false,
            call_id: format!("{unique}@{}", self.at.ip()),
            own,
            peer: format!("<{target}>"),
            target,
            routes: Vec::new(),
            cseq: 0,
            session: 1,
            last_reply: None,
            answered: (0, 0),
            acknowledged: false,
            transfer_says: Vec::new(),
            asked_to_call: None,
        };
        self.legs.push(leg);
        let index = self.legs.len() - 1;
        invite = self.request(index, "INVITE");
        for header in dial.headers {
            let (name, value) = header.split_once(": ").unwrap_or((header, ""));
            invite.put(name, value);
        }
        self.put_session(index, &mut invite, "sendrecv");
        self.legs[index].invite = invite.clone();
        self.note("sent", &invite);
        (index, invite)
    }

    /// Answers a ringing call with a final status: `200 OK` takes it, others refuse it.
    pub fn answer(&mut self, index: usize, status: &str, contact: Option<String>) -> Message {
        let leg = &mut self.legs[index];
        leg.acknowledged = false;
        let mut reply = Message::reply(&leg.invite, status, tag_of(&leg.own));
        match contact {
            Some(contact) => reply.put("Contact", &contact),
            None => reply.put("Contact", &self.contact()),
        }
        if status.starts_with('2') {
            self.put_session(index, &mut reply, "sendrecv");
            self.legs[index].stage = Stage::Talking;
        } else {
            self.legs[index].stage = Stage::Over(Ending::Here);
        }
        self.legs[index].last_reply = Some(reply.clone());
        self.note("sent", &reply);
        reply
    }

    /// A request within a call: `BYE`, `REFER` with its headers, `INVITE` with a body.
    /// Gives its CSeq number too.
    pub fn ask(
        &mut self,
        index: usize,
        method: &str,
        headers: &[(&str, String)],
        body: Option<Body>,
    ) -> (u32, Message) {
        let mut request = self.request(index, method);
        for (name, value) in headers {
            request.put(name, value);
        }
        match body {
            Some(Body::Audio(way)) => self.put_session(index, &mut request, way),
            Some(Body::Text(text)) => {
                request.put("Content-Type", "message/sipfrag");
                request.body = format!("{text}\r\n");
            }
            None => {}
        }
        if method == "BYE" {
            self.legs[index].stage = Stage::Over(Ending::Here);
        }
        self.note("sent", &request);
        (self.legs[index].cseq, request)
    }

    /// Gives up a call that is not yet answered.
    pub fn cancel(&mut self, index: usize) -> Message {
        let invite = &self.legs[index].invite;
        let mut cancel = Message::request("CANCEL", &self.legs[index].target);
        for name in ["Via", "From", "To", "Call-ID"] {
            cancel.put(name, invite.header(name));
        }
        cancel.put("CSeq", &format!("{} CANCEL", invite.cseq().0));
        cancel.put("Max-Forwards", "70");
        self.note("sent", &cancel);
        cancel
    }

    /// `Refer-To` for an attended transfer: the other party of `second`, in place of this side there.
    pub fn replacing(&self, second: usize) -> String {
        let leg = &self.legs[second];
        let (call_id, to, from) = (&leg.call_id, tag_of(&leg.peer), tag_of(&leg.own));
        let replaces = format!("{call_id};to-tag={to};from-tag={from}");
        let escaped = replaces.replace('@', "%40").replace(';', "%3B").replace('=', "%3D");
        format!("<{}?Replaces={escaped}>", uri_of(&leg.peer))
    }

    fn hear_request(&mut self, message: Message) -> Vec<Message> {
        let call_id = message.header("Call-ID").to_owned();
        let known = self.legs.iter().position(|leg| leg.call_id == call_id);
        let method = message.method().unwrap_or_default().to_owned();
        match (method.as_str(), known) {
            ("ACK", Some(index)) => {
                self.legs[index].acknowledged = true;
                Vec::new()
            }
            ("ACK", None) => Vec::new(),
            ("INVITE", None) => self.ring(message),
            ("INVITE", Some(index)) if self.is_repetition(index, &message) => {
                self.legs[index].last_reply.clone().into_iter().collect()
            }
            ("INVITE", Some(index)) => {
                let mut reply = Message::reply(&message, "200 OK", "");
                reply.put("Contact", &self.contact());
                self.put_session(index, &mut reply, "sendrecv");
                let leg = &mut self.legs[index];
                leg.target = uri_of(message.header("Contact")).to_owned();
                (leg.heard, leg.last_reply) = (Some(message), Some(reply.clone()));
                vec![reply]
            }
            ("CANCEL", Some(index)) => {
                let leg = &mut self.legs[index];
                let mut replies = vec![Message::reply(&message, "200 OK", tag_of(&leg.own))];
                if leg.stage == Stage::Ringing {
                    leg.stage =
                        Stage::Over(Ending::Withdrawn(message.all("Reason").collect::<Vec<_>>().join(", ")));
                    let last = Message::reply(&leg.invite, "487 Request Terminated", tag_of(&leg.own));
                    leg.last_reply = Some(last.clone());
                    replies.push(last);
                }
                replies
            }
            ("BYE", Some(index)) => {
                self.legs[index].stage = Stage::Over(Ending::Other);
                vec![Message::reply(&message, "200 OK", "")]
            }
            ("NOTIFY", Some(index)) => {
                self.legs[index].transfer_says.push(message.body.trim().to_owned());
                vec![Message::reply(&message, "200 OK", "")]
            }
            ("REFER", Some(index)) => {
                self.legs[index].asked_to_call = Some(uri_of(message.header("Refer-To")).to_owned());
                let mut reply = Message::reply(&message, "202 Accepted", "");
                reply.put("Contact", &self.contact());
                vec![reply]
            }
            ("OPTIONS" | "UPDATE" | "INFO" | "NOTIFY", _) => vec![Message::reply(&message, "200 OK", "any")],
            _ => vec![Message::reply(&message, "481 Call/Transaction Does Not Exist", "any")],
        }
    }

    fn ring(&mut self, invite: Message) -> Vec<Message> {
        let tag = format!("{}-{}", self.line, unique());
        let mut ringing = Message::reply(&invite, "180 Ringing", &tag);
        ringing.put("Contact", &self.contact());
        self.legs.push(Leg {
            stage: Stage::Ringing,
            incoming: true,
            call_id: invite.header("Call-ID").to_owned(),
            own: format!("{};tag={tag}", invite.header("To")),
            peer: invite.header("From").to_owned(),
            target: uri_of(invite.header("Contact")).to_owned(),
            routes: invite.all("Record-Route").map(str::to_owned).collect(),
            cseq: 0,
            session: 0,
            last_reply: Some(ringing.clone()),
            answered: (0, 0),
            acknowledged: false,
            transfer_says: Vec::new(),
            asked_to_call: None,
            heard: Some(invite.clone()),
            invite,
        });
        vec![ringing]
    }

    fn is_repetition(&self, index: usize, message: &Message) -> bool {
        self.legs[index].heard.as_ref().is_some_and(|heard| heard.cseq() == message.cseq())
    }

    fn hear_reply(&mut self, status: u16, message: &Message) -> Vec<Message> {
        let call_id = message.header("Call-ID");
        let Some(index) = self.legs.iter().position(|leg| leg.call_id == call_id) else { return Vec::new() };
        let (number, method) = message.cseq();
        let leg = &mut self.legs[index];
        let first = method == "INVITE" && !leg.incoming && number == leg.invite.cseq().0;
        if first && !tag_of(message.header("To")).is_empty() {
            leg.peer = message.header("To").to_owned();
        }
        if status < 200 {
            if status >= 180 && first && leg.stage == Stage::Calling {
                leg.stage = Stage::HearsRinging;
            }
            return Vec::new();
        }
        leg.answered = (number, status);
        if method != "INVITE" {
            return Vec::new();
        }
        match status {
            ..300 => {
                if !message.header("Contact").is_empty() {
                    leg.target = uri_of(message.header("Contact")).to_owned();
                }
                if first {
                    leg.routes = message.all("Record-Route").map(str::to_owned).collect();
                    leg.routes.reverse();
                    if !matches!(leg.stage, Stage::Over(_)) {
                        leg.stage = Stage::Talking;
                    }
                }
                vec![self.acknowledge(index, number)]
            }
            _ => {
                if first {
                    leg.stage = Stage::Over(Ending::Refused(status));
                }
                // RFC 3261 17.1.1.3: in the transaction of the INVITE, to the same URI.
                let mut ack = Message::request("ACK", &leg.target);
                ack.put("Via", message.header("Via"));
                for name in ["From", "To", "Call-ID"] {
                    ack.put(name, message.header(name));
                }
                ack.put("CSeq", &format!("{number} ACK"));
                ack.put("Max-Forwards", "70");
                vec![ack]
            }
        }
    }

    fn acknowledge(&mut self, index: usize, number: u32) -> Message {
        let before = self.legs[index].cseq;
        self.legs[index].cseq = number.saturating_sub(1);
        let ack = self.request(index, "ACK");
        self.legs[index].cseq = before;
        ack
    }

    /// The next request of a dialog, without a body.
    fn request(&mut self, index: usize, method: &str) -> Message {
        let contact = self.contact();
        let leg = &mut self.legs[index];
        leg.cseq += 1;
        let mut request = Message::request(method, &leg.target);
        request.put("Via", &format!("SIP/2.0/UDP {};branch=z9hG4bKhs{}", self.at, unique()));
        for route in &leg.routes {
            request.put("Route", route);
        }
        request.put("From", &leg.own);
        request.put("To", &leg.peer);
        request.put("Call-ID", &leg.call_id);
        request.put("CSeq", &format!("{} {method}", leg.cseq));
        request.put("Contact", &contact);
        request.put("Max-Forwards", "70");
        request.put("Allow", "INVITE, ACK, BYE, CANCEL, NOTIFY, REFER, OPTIONS, UPDATE");
        request.put("Supported", "replaces");
        request
    }

    fn put_session(&mut self, index: usize, message: &mut Message, way: &str) {
        self.legs[index].session += 1;
        message.put_session(self.at, way, self.legs[index].session);
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.line, self.at)
    }

    fn note(&mut self, which: &str, message: &Message) {
        self.log.push_str(&format!("---- {which}\n{}\n", String::from_utf8_lossy(&message.bytes())));
    }
}

/// Never the same twice: a phone system remembers what another handset at the same address said.
fn unique() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("{}x{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}
