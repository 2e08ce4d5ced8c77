//! SIP messages as the pretend phone system reads and writes them: read with `rsip`, written as text.
//! `rsip` is another library than the adapter's on purpose: a mistake one of them makes does not hide here.
//! What cannot be read is `None` and is ignored, as a phone system ignores noise on its port.

use std::fmt::Write;
use std::net::SocketAddr;

use rsip::headers::untyped::{ToTypedHeader, UntypedHeader};
use rsip::prelude::HeadersExt;
use rsip::{Header, Method, SipMessage};

/// One message from the network.
pub enum Incoming {
    Request(Box<Request>),
    Response(Answered),
}

/// The parts of a request that are acted upon; headers that are echoed stay as they came.
pub struct Request {
    pub method: Method,
    /// The user part of the request URI: the extension asked for.
    pub user: Option<String>,
    pub to_tag: Option<String>,
    pub from_tag: String,
    pub from: String,
    pub to: String,
    pub call_id: String,
    pub cseq: u32,
    /// Of the topmost Via.
    pub branch: String,
    pub event: Option<String>,
    pub expires: Option<u32>,
    pub contact: Option<Contact>,
    pub authorization: Option<String>,
    vias: Vec<String>,
    cseq_text: String,
}

/// Where the other side wants to be reached.
pub struct Contact {
    /// As written, for the request URI.
    pub uri: String,
    /// Where that is, unless it is a name.
    pub address: Option<SocketAddr>,
}

/// A response to one of our NOTIFYs.
pub struct Answered {
    pub status: u16,
    /// Of the topmost Via: names the transaction.
    pub branch: String,
}

/// Reads a datagram. The error of `rsip` holds the whole message with its credentials, so it is dropped.
pub fn read(datagram: &[u8]) -> Option<Incoming> {
    match SipMessage::try_from(datagram).ok()? {
        SipMessage::Request(request) => read_request(&request).map(Box::new).map(Incoming::Request),
        SipMessage::Response(response) => {
            let via = response.via_header().ok()?.typed().ok()?;
            let branch = via.branch()?.value().to_owned();
            Some(Incoming::Response(Answered { status: response.status_code.code(), branch }))
        }
    }
}

fn read_request(request: &rsip::Request) -> Option<Request> {
    let from = request.from_header().ok()?;
    let to = request.to_header().ok()?;
    let cseq = request.cseq_header().ok()?;
    let via = request.via_header().ok()?.typed().ok()?;
    let contact = request.contact_header().ok().and_then(|contact| contact.typed().ok());
    let first = |pick: fn(&Header) -> Option<&str>| request.headers.iter().find_map(pick);
    let event = first(|header| match header {
        Header::Event(event) => Some(event.value()),
        _ => None,
    });
    let expires = first(|header| match header {
        Header::Expires(expires) => Some(expires.value()),
        _ => None,
    });
    let authorization = first(|header| match header {
        Header::Authorization(authorization) => Some(authorization.value()),
        _ => None,
    });
    let vias = request.headers.iter().filter_map(|header| match header {
        Header::Via(via) => Some(via.value().to_owned()),
        _ => None,
    });
    Some(Request {
        method: request.method,
        user: request.uri.auth.as_ref().map(|auth| auth.user.clone()),
        to_tag: to.tag().ok()?.map(|tag| tag.value().to_owned()),
        from_tag: from.tag().ok()??.value().to_owned(),
        from: from.value().to_owned(),
        to: to.value().to_owned(),
        call_id: request.call_id_header().ok()?.value().to_owned(),
        cseq: cseq.typed().ok()?.seq,
        branch: via.branch()?.value().to_owned(),
        // Parameters such as `;sla` do not change the package.
        event: event.map(|event| event.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()),
        expires: expires.and_then(|seconds| seconds.trim().parse().ok()),
        contact: contact.map(|contact| Contact {
            uri: contact.uri.to_string(),
            address: contact.uri.host_with_port.try_into().ok(),
        }),
        authorization: authorization.map(str::to_owned),
        vias: vias.collect(),
        cseq_text: cseq.value().to_owned(),
    })
}

impl Request {
    /// The To header of every answer and of the dialog: with our tag once there is one.
    pub fn to_with(&self, tag: &str) -> String {
        if self.to_tag.is_some() { self.to.clone() } else { format!("{};tag={tag}", self.to) }
    }

    /// The answer to this request as text. `extra` holds whole header lines, each with its line end.
    pub fn answer(&self, status: &str, to_tag: &str, extra: &str, source: SocketAddr) -> Vec<u8> {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for (place, via) in self.vias.iter().enumerate() {
            let via = if place == 0 { with_source(via, source) } else { via.clone() };
            // Writing to a String cannot fail.
            let _ = write!(text, "Via: {via}\r\n");
        }
        let _ = write!(
            text,
            "Call-ID: {}\r\nFrom: {}\r\nTo: {}\r\nCSeq: {}\r\n{extra}Server: {SERVER}\r\n\
             Content-Length: 0\r\n\r\n",
            self.call_id,
            self.from,
            self.to_with(to_tag),
            self.cseq_text,
        );
        text.into_bytes()
    }
}

/// Fills in `rport` where it was asked for (RFC 3581).
fn with_source(via: &str, source: SocketAddr) -> String {
    let parts = via.split(';').map(|part| {
        if part.trim().eq_ignore_ascii_case("rport") {
            format!("rport={};received={}", source.port(), source.ip())
        } else {
            part.to_owned()
        }
    });
    parts.collect::<Vec<_>>().join(";")
}

/// What the pretend phone system calls itself.
pub const SERVER: &str = "Asterisk PBX 22.10.1 (pretend)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_ignored() {
        let half = b"SUBSCRIBE sip:101@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n";
        for noise in [&b""[..], b"\r\n\r\n", b"\0\xff\xfe", half, &[b';'; 60_000]] {
            assert!(read(noise).is_none());
        }
    }

    #[test]
    fn rport_is_filled_in_only_where_asked_for() {
        let source = SocketAddr::from(([127, 0, 0, 1], 5070));
        let check = |via: &str, expected: &str| assert_eq!(with_source(via, source), expected);
        check(
            "SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKa",
            "SIP/2.0/UDP 127.0.0.1;rport=5070;received=127.0.0.1;branch=z9hG4bKa",
        );
        check("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa");
    }
}
