//! The little SIP that a [`Handset`](super::handset::Handset) speaks: reads and writes messages as text.
//! Written for this laboratory alone and sharing nothing with the adapter, so that a mistake there is
//! not repeated here. Knows only what the laboratory's phone systems send: full header names, unfolded.

use std::net::SocketAddrV4;

/// One message, received or about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The first line, without its end.
    pub first: String,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// What follows the headers.
    pub body: String,
}

impl Message {
    /// Reads a datagram; `None` when it is not SIP.
    pub fn read(datagram: &[u8]) -> Option<Message> {
        let text = String::from_utf8_lossy(datagram);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next().filter(|line| line.contains("SIP/2.0"))?.to_owned();
        // Its length is written anew by `bytes`.
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"));
        let headers =
            headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
        Some(Message { first, headers, body: body.to_owned() })
    }

    /// A request without headers.
    pub fn request(method: &str, uri: &str) -> Message {
        Message { first: format!("{method} {uri} SIP/2.0"), headers: Vec::new(), body: String::new() }
    }

    /// The reply to a request. `tag` names this side where the request did not.
    pub fn reply(to: &Message, status: &str, tag: &str) -> Message {
        let mut reply =
            Message { first: format!("SIP/2.0 {status}"), headers: Vec::new(), body: String::new() };
        for (name, value) in &to.headers {
            let copied = ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"];
            if copied.iter().any(|wanted| name.eq_ignore_ascii_case(wanted)) {
                let tagless = name.eq_ignore_ascii_case("To") && !value.contains(";tag=");
                reply.put(name, &if tagless { format!("{value};tag={tag}") } else { value.clone() });
            }
        }
        reply
    }

    /// Adds a header.
    pub fn put(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Adds a session description: one audio stream nobody listens to, going `way` (`sendrecv`, `sendonly`).
    pub fn put_session(&mut self, at: SocketAddrV4, way: &str, version: u32) {
        let ip = at.ip();
        self.put("Content-Type", "application/sdp");
        self.body = format!(
            "v=0\r\no=handset 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n\
             m=audio 9 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na={way}\r\n"
        );
    }

    /// The method of a request; `None` for a reply.
    pub fn method(&self) -> Option<&str> {
        self.first.split_once(' ').map(|(method, _)| method).filter(|method| *method != "SIP/2.0")
    }

    /// The status of a reply; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        self.first.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The first header of this name, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Every header of this name, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Number and method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.header("CSeq").split_once(' ').unwrap_or_default();
        (number.parse().unwrap_or_default(), method)
    }

    /// As it goes onto the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body));
        text.into_bytes()
    }
}

/// The URI between the angle brackets of an address, or all of it up to its parameters.
pub(super) fn uri_of(address: &str) -> &str {
    let bracketed = address.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    bracketed.map_or_else(|| address.split(';').next().unwrap_or_default(), |(uri, _)| uri)
}

/// The tag of a From or To header, or nothing.
pub(super) fn tag_of(address: &str) -> &str {
    let tag = address.split_once(";tag=").map(|(_, rest)| rest);
    tag.and_then(|rest| rest.split(';').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] =
        b"INVITE sip:101@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nvia: SIP/2.0/UDP b\r\n\
        From: \"D;x\" <sip:1@c;user=phone>;tag=f;y=1\r\nTo: <sip:101@h>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\
        Contact: <sip:1@c:5070>\r\nContent-Length: 4\r\n\r\nv=0\n";

    #[test]
    fn a_request_is_read_and_replied_to_with_what_it_came_with() {
        let invite = Message::read(INVITE).unwrap();
        assert_eq!((invite.method(), invite.status(), invite.cseq()), (Some("INVITE"), None, (7, "INVITE")));
        assert_eq!(uri_of(invite.header("contact")), "sip:1@c:5070");
        assert_eq!(tag_of(invite.header("From")), "f");
        let reply = Message::reply(&invite, "180 Ringing", "t");
        assert_eq!((reply.method(), reply.status()), (None, Some(180)));
        assert_eq!(reply.all("Via").count(), 2);
        assert_eq!(reply.header("To"), "<sip:101@h>;tag=t");
        assert_eq!(Message::read(&reply.bytes()).unwrap(), reply);
    }

    #[test]
    fn a_length_is_written_anew() {
        let mut invite = Message::read(INVITE).unwrap();
        invite.body.push_str("s=-\n");
        let text = String::from_utf8(invite.bytes()).unwrap();
        assert_eq!(text.matches("Content-Length").count(), 1);
        assert!(text.contains("Content-Length: 8\r\n\r\nv=0\n"), "{text}");
    }

    #[test]
    fn what_is_not_sip_is_no_message() {
        for datagram in
            [&b""[..], b"\r\n\r\n", b"\0\0", b"GET / HTTP/1.1\r\n\r\n", b"INVITE sip:a SIP/2.0\r\n"]
        {
            assert_eq!(Message::read(datagram), None);
        }
        for end in 0..INVITE.len() {
            let _any = Message::read(&INVITE[..end]).map(|message| (message.status(), message.bytes()));
        }
    }
}
