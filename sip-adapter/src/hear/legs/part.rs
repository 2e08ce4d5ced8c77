//! What a SIP message says about a leg, taken out of it once.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;

use crate::sip::message::{Message, Start};
use crate::sip::name_addr::NameAddr;
use crate::sip::uri::Uri;

/// When a message was seen, and between whom.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When it reached this program.
    pub at: Timestamp,
    /// The same, since this program started; never goes back.
    pub uptime: Duration,
    /// When it was captured, by the clock of whoever captured it: tells which of two came first.
    pub captured: Option<Duration>,
    /// Who sent it.
    pub from: Option<SocketAddr>,
    /// Whom it was sent to.
    pub to: Option<SocketAddr>,
}

/// The longest Call-ID, tag or branch that is kept; of a longer one the message is not looked at.
const LONGEST_ID: usize = 256;

/// What a message says about its leg.
pub(super) struct Part<'a> {
    pub message: &'a Message,
    pub seen: Seen,
    pub call_id: &'a str,
    pub cseq: u32,
    pub kind: Kind,
    pub from: NameAddr<'a>,
    pub to: NameAddr<'a>,
    pub from_tag: Cow<'a, str>,
    /// Empty before the other side has said anything.
    pub to_tag: Cow<'a, str>,
    /// Empty where the sender gave none.
    pub branch: &'a str,
    /// Whom a request is for, where that is a person or a phone.
    pub uri: Option<Uri<'a>>,
    /// How many hops the message has gone: the number of its Vias.
    pub depth: usize,
}

/// What a message is to the life of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The INVITE that begins a leg.
    Invite,
    /// An answer to an INVITE, the first one or a later one.
    Answer(u16),
    /// An INVITE or UPDATE within a leg that stands.
    Change,
    Ack,
    Cancel,
    /// Any final answer to a CANCEL.
    Cancelled,
    Bye,
    /// A final answer to a BYE.
    ByeDone,
    Refer,
    /// An answer to a REFER.
    Referred(u16),
    /// What became of a REFER, by a NOTIFY (RFC 3515 section 2.4.5).
    Notified(u16),
}

impl<'a> Part<'a> {
    /// `None` when the message says nothing about a leg, or does not say which.
    pub fn read(seen: Seen, message: &'a Message) -> Option<Part<'a>> {
        let (cseq, method) = message.cseq()?;
        let (from, to) = (message.from()?, message.to()?);
        let to_tag = to.kept_tag();
        let begun = !to_tag.is_empty();
        let kind = match (&message.start, method) {
            (Start::Request { .. }, "INVITE") if begun => Kind::Change,
            (Start::Request { .. }, "INVITE") => Kind::Invite,
            (Start::Request { .. }, "UPDATE") if begun => Kind::Change,
            (Start::Request { .. }, "ACK") => Kind::Ack,
            (Start::Request { .. }, "CANCEL") => Kind::Cancel,
            (Start::Request { .. }, "BYE") => Kind::Bye,
            (Start::Request { .. }, "REFER") if begun => Kind::Refer,
            (Start::Request { .. }, "NOTIFY") => Kind::Notified(outcome(message)?),
            (Start::Response { code, .. }, "REFER") => Kind::Referred(*code),
            (Start::Response { code, .. }, "INVITE") => Kind::Answer(*code),
            (Start::Response { code, .. }, "CANCEL") if *code >= 200 && *code != 481 => Kind::Cancelled,
            // A challenge is answered with another BYE.
            (Start::Response { code, .. }, "BYE") if *code >= 200 && !matches!(code, 401 | 407) => {
                Kind::ByeDone
            }
            _ => return None,
        };
        let part = Part {
            call_id: message.call_id()?,
            uri: message.request_uri().and_then(Uri::read),
            kind,
            cseq,
            from_tag: from.kept_tag(),
            to_tag,
            branch: message.branch().unwrap_or_default(),
            depth: message.headers("Via").map(|via| via.split(',').count()).sum(),
            from,
            to,
            message,
            seen,
        };
        let ids = [part.call_id, &part.from_tag, &part.to_tag, part.branch];
        ids.iter().all(|id| id.len() <= LONGEST_ID).then_some(part)
    }

    /// Who a request is for, by the user part of its URI.
    pub fn target(&self) -> Option<Cow<'a, str>> {
        self.uri?.unescaped_user()
    }
}

/// The status in the `message/sipfrag` of a NOTIFY about a REFER.
fn outcome(message: &Message) -> Option<u16> {
    let event = message.header("Event")?;
    let package = event.split(';').next()?.trim();
    let line = message.body().trim_ascii_start().strip_prefix(b"SIP/2.0 ")?;
    let code = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
    package.eq_ignore_ascii_case("refer").then_some(code)
}

/// Whether the sender of this SDP wants to hear nothing: hold. `None` where there is no audio in it.
pub(super) fn on_hold(sdp: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(sdp).ok()?;
    let (mut session, mut audio) = (Media::default(), None::<Media>);
    let mut in_audio = false;
    for line in text.lines().map(str::trim_end) {
        if let Some(kind) = line.strip_prefix("m=") {
            in_audio = kind.starts_with("audio") && audio.is_none();
            if in_audio {
                audio = Some(Media::default());
            } else if audio.is_some() {
                break;
            }
            continue;
        }
        match &mut audio {
            Some(audio) if in_audio => audio.read(line),
            None => session.read(line),
            Some(_) => {}
        }
    }
    let audio = audio?;
    let silent = audio.silent.or(session.silent).unwrap_or(false);
    Some(silent || audio.nowhere.or(session.nowhere).unwrap_or(false))
}

#[derive(Default)]
struct Media {
    /// Whether its direction lets the sender hear nothing (RFC 3264 section 8.4).
    silent: Option<bool>,
    /// Whether it is to be sent to 0.0.0.0, the older form of hold.
    nowhere: Option<bool>,
}

impl Media {
    fn read(&mut self, line: &str) {
        match line {
            "a=sendonly" | "a=inactive" => self.silent = Some(true),
            "a=sendrecv" | "a=recvonly" => self.silent = Some(false),
            _ => {}
        }
        if let Some(at) = line.strip_prefix("c=") {
            self.nowhere = Some(at.split_ascii_whitespace().nth(2) == Some("0.0.0.0"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hold_is_read_out_of_sdp() {
        let check = |sdp: &str, expected| assert_eq!(on_hold(sdp.as_bytes()), expected, "for {sdp}");
        check("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8\r\n", Some(false));
        check("v=0\r\nm=audio 4000 RTP/AVP 8\r\na=sendonly\r\n", Some(true));
        check("v=0\nm=audio 4000 RTP/AVP 8\na=inactive\n", Some(true));
        check("v=0\r\na=sendonly\r\nm=audio 4000 RTP/AVP 8\r\n", Some(true));
        check("v=0\r\na=sendonly\r\nm=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n", Some(false));
        check("v=0\r\nm=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVP 99\r\na=inactive\r\n", Some(false));
        check("v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 8\r\n", Some(true));
        check("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n", Some(true));
        check("v=0\r\nm=audio 4000 RTP/AVP 8\r\na=recvonly\r\n", Some(false));
        check("v=0\r\nm=video 4002 RTP/AVP 99\r\na=inactive\r\n", None);
        check("", None);
    }
}
