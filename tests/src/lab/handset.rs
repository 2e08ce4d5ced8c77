//! A telephone that does what it is told, when it is told: hold, transfer, a second call beside the
//! first. sipp plays a script by the clock and cannot be told anything while it runs, nor have two calls
//! of which one speaks of the other (RFC 3891); a scenario that waits for what happens instead of for
//! time needs both. Also plays a carrier. Speaks only SIP over UDP.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::lab::handset_legs::{Leg, Legs};
use crate::lab::process::until;
use crate::lab::sip_text::Message;

/// A telephone. Dropping it is a phone that is unplugged: nothing more is sent.
#[derive(Debug)]
pub struct Handset {
    line: String,
    pbx: SocketAddrV4,
    socket: Arc<UdpSocket>,
    legs: Arc<Mutex<Legs>>,
    listening: JoinHandle<()>,
}

/// A call to be made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dial<'a> {
    /// What is dialled, such as `500`.
    pub to: &'a str,
    /// The own number, as it goes into From.
    pub number: &'a str,
    /// The own name, put between quotes as it is; empty: none.
    pub name: &'a str,
    /// More header lines, such as `Privacy: id`.
    pub headers: &'a [&'a str],
}

/// Where a call at a handset stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It came in and rings.
    Ringing,
    /// It goes out; nothing has come back but perhaps 100.
    Calling,
    /// It goes out and the other side is said to ring (180 to 189).
    HearsRinging,
    /// Answered, by either side.
    Talking,
    /// Over.
    Over(Ending),
}

/// How a call ended, as the handset saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Ended or refused at this handset.
    Here,
    /// The other side hung up.
    Other,
    /// It rang here and was withdrawn, with what `Reason` said.
    Withdrawn(String),
    /// A call from here was not put through; 487 after giving it up.
    Refused(u16),
}

/// One call at one handset, by its place among all it ever had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line(usize);

/// What a request within a call carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// A session description with audio going this way.
    Audio(&'static str),
    /// A status line about a transfer (RFC 3420).
    Text(&'static str),
}

/// Nothing on this machine takes longer unless it is broken.
const WAIT: Duration = Duration::from_secs(10);

impl Handset {
    /// A telephone at this address that belongs to this phone system. It rings (180) whenever it is called.
    pub async fn at(line: &str, at: SocketAddrV4, pbx: SocketAddrV4) -> anyhow::Result<Handset> {
        // One that was unplugged a moment ago may still have the address.
        let socket = until(format!("{at} to be free"), WAIT, async || UdpSocket::bind(at).await.ok()).await?;
        let std::net::SocketAddr::V4(at) = socket.local_addr()? else { bail!("{at} is no IPv4 address") };
        let (socket, legs) = (Arc::new(socket), Arc::new(Mutex::new(Legs::new(line, at, pbx))));
        let listening = tokio::spawn(listen(Arc::clone(&socket), Arc::clone(&legs)));
        Ok(Handset { line: line.to_owned(), pbx, socket, legs, listening })
    }

    /// Waits for the next call to ring that is not among `known`.
    pub async fn rings(&self, known: &[Line]) -> anyhow::Result<Line> {
        self.wait("to ring", |legs| {
            let mut all = legs.legs.iter().enumerate();
            let ringing =
                |(index, leg): &(usize, &Leg)| leg.stage == Stage::Ringing && !known.contains(&Line(*index));
            all.find(ringing).map(|(index, _)| Line(index))
        })
        .await
    }

    /// Picks up.
    pub async fn answer(&self, call: Line) -> anyhow::Result<()> {
        self.reply(call, "200 OK", None).await
    }

    /// Refuses (486).
    pub async fn decline(&self, call: Line) -> anyhow::Result<()> {
        self.reply(call, "486 Busy Here", None).await
    }

    /// Sends the call to another extension (302).
    pub async fn divert(&self, call: Line, to: &str) -> anyhow::Result<()> {
        self.reply(call, "302 Moved Temporarily", Some(format!("<sip:{to}@{}>", self.pbx))).await
    }

    /// Sends the INVITE of a call. Does not wait for anything to come back.
    pub async fn dial(&self, dial: Dial<'_>) -> anyhow::Result<Line> {
        let (index, invite) = self.lock().dial(&dial);
        self.send(&invite).await?;
        Ok(Line(index))
    }

    /// Gives up a call that was not answered, and waits until the phone system says that it is over.
    pub async fn give_up(&self, call: Line) -> anyhow::Result<()> {
        // RFC 3261 9.1: no CANCEL before something came back; 100 comes at once from either phone system.
        let cancel = self.lock().cancel(call.0);
        self.send(&cancel).await?;
        match self.over(call).await? {
            // 486: a proxy passes on the best of its phones' refusals, and one may have declined before.
            Ending::Refused(486 | 487) => Ok(()),
            other => bail!("{}: the call was to be given up but ended as {other:?}", self.line),
        }
    }

    /// Hangs up a call that was answered, and waits for the phone system's reply.
    pub async fn hang_up(&self, call: Line) -> anyhow::Result<()> {
        self.ask(call, "BYE", &[], None, 200).await
    }

    /// Puts the other side on hold.
    pub async fn hold(&self, call: Line) -> anyhow::Result<()> {
        self.ask(call, "INVITE", &[], Some(Body::Audio("sendonly")), 200).await
    }

    /// Takes the other side back from hold.
    pub async fn resume(&self, call: Line) -> anyhow::Result<()> {
        self.ask(call, "INVITE", &[], Some(Body::Audio("sendrecv")), 200).await
    }

    /// Passes the call on without asking (REFER), and waits until that is accepted. This side
    /// of the call stays until the phone hangs up.
    pub async fn pass_on(&self, call: Line, to: &str) -> anyhow::Result<()> {
        let to = format!("<sip:{to}@{}>", self.pbx);
        self.refer(call, to).await
    }

    /// Passes the call on to the other side of a second call of this handset (REFER with Replaces).
    pub async fn pass_on_to(&self, call: Line, second: Line) -> anyhow::Result<()> {
        let to = self.lock().replacing(second.0);
        self.refer(call, to).await
    }

    /// Waits until the call is in this stage.
    pub async fn until(&self, call: Line, stage: Stage) -> anyhow::Result<()> {
        let what = format!("to see its call {stage:?}");
        self.wait(&what, |legs| (legs.legs.get(call.0)?.stage == stage).then_some(())).await
    }

    /// Waits until the phone system has acknowledged what this phone answered: then it has taken note.
    pub async fn acknowledged(&self, call: Line) -> anyhow::Result<()> {
        self.wait("to be acknowledged", |legs| legs.legs.get(call.0)?.acknowledged.then_some(())).await
    }

    /// Waits until the call is over.
    pub async fn over(&self, call: Line) -> anyhow::Result<Ending> {
        self.wait("to see its call end", |legs| match &legs.legs.get(call.0)?.stage {
            Stage::Over(ending) => Some(ending.clone()),
            _ => None,
        })
        .await
    }

    /// Waits until a transfer that this handset asked for is said to have gone well.
    pub async fn transferred(&self, call: Line) -> anyhow::Result<()> {
        self.wait("to hear that its transfer went well", |legs| {
            legs.legs
                .get(call.0)?
                .transfer_says
                .iter()
                .any(|said| said.starts_with("SIP/2.0 200"))
                .then_some(())
        })
        .await
    }

    /// Tells whoever asked for a transfer that it went well.
    pub async fn say_transferred(&self, call: Line) -> anyhow::Result<()> {
        let headers = [
            ("Event", "refer".to_owned()),
            ("Subscription-State", "terminated;reason=noresource".to_owned()),
        ];
        self.ask(call, "NOTIFY", &headers, Some(Body::Text("SIP/2.0 200 OK")), 200).await
    }

    /// Waits until the other side asks this one to call somebody (REFER through a proxy). Gives whom, and
    /// the `Replaces` header line of that call if it is to take another's place.
    pub async fn asked_to_call(&self, call: Line) -> anyhow::Result<(String, Option<String>)> {
        let uri =
            self.wait("to be asked to call", |legs| legs.legs.get(call.0)?.asked_to_call.clone()).await?;
        let (_, whom) = uri.split_once(':').context("a SIP URI to call")?;
        let (user, rest) = whom.split_once('@').context("a user in the URI to call")?;
        let replaces = rest.split_once("?Replaces=").map(|(_, escaped)| {
            let call = escaped.replace("%40", "@").replace("%3B", ";").replace("%3D", "=");
            format!("Replaces: {call}")
        });
        Ok((user.to_owned(), replaces))
    }

    /// The extension it was given.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// Where the call stands.
    pub fn stage(&self, call: Line) -> Option<Stage> {
        self.lock().legs.get(call.0).map(|leg| leg.stage.clone())
    }

    /// How many calls ever rang here or went out from here.
    pub fn calls(&self) -> usize {
        self.lock().legs.len()
    }

    /// Every SIP message it sent and got.
    pub fn messages(&self) -> String {
        self.lock().log.clone()
    }

    async fn refer(&self, call: Line, to: String) -> anyhow::Result<()> {
        let by = format!("<sip:{}@{}>", self.line, self.pbx.ip());
        self.ask(call, "REFER", &[("Refer-To", to), ("Referred-By", by)], None, 202).await
    }

    async fn reply(&self, call: Line, status: &str, contact: Option<String>) -> anyhow::Result<()> {
        let reply = {
            let mut legs = self.lock();
            if legs.legs.get(call.0).map(|leg| &leg.stage) != Some(&Stage::Ringing) {
                bail!("{}: no call rings that could be told {status}", self.line);
            }
            legs.answer(call.0, status, contact)
        };
        self.send(&reply).await
    }

    async fn ask(
        &self,
        call: Line,
        method: &str,
        headers: &[(&str, String)],
        body: Option<Body>,
        wanted: u16,
    ) -> anyhow::Result<()> {
        let (number, request) = self.lock().ask(call.0, method, headers, body);
        self.send(&request).await?;
        let what = format!("to have its {method} answered");
        let status = self
            .wait(&what, |legs| {
                let (answered, status) = legs.legs.get(call.0)?.answered;
                (answered == number).then_some(status)
            })
            .await?;
        if status != wanted {
            bail!("{}: {method} was answered {status}, not {wanted}", self.line);
        }
        Ok(())
    }

    async fn wait<T>(&self, what: &str, mut look: impl FnMut(&Legs) -> Option<T>) -> anyhow::Result<T> {
        let waited = until(format!("{} {what}", self.line), WAIT, async || look(&self.lock())).await;
        waited.with_context(|| {
            let log = self.messages();
            let from = log.char_indices().rev().nth(3_000).map_or(0, |(at, _)| at);
            format!("the last messages of {}:\n{}", self.line, log.get(from..).unwrap_or_default())
        })
    }

    async fn send(&self, message: &Message) -> anyhow::Result<()> {
        self.socket.send_to(&message.bytes(), self.pbx).await?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Legs> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Hears until it is aborted. Replies go back to where the message came from.
async fn listen(socket: Arc<UdpSocket>, legs: Arc<Mutex<Legs>>) {
    let mut datagram = vec![0; 65_536];
    // An error is a phone system that is not there at the moment (ICMP); the next read works.
    loop {
        let Ok((length, from)) = socket.recv_from(&mut datagram).await else { continue };
        let Some(message) = datagram.get(..length).and_then(Message::read) else { continue };
        let replies = legs.lock().unwrap_or_else(PoisonError::into_inner).hear(message);
        for reply in replies {
            let _unreachable = socket.send_to(&reply.bytes(), from).await;
        }
    }
}
