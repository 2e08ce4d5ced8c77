//! The body of a NOTIFY for `Event: dialog` (RFC 4235), byte for byte in the shape Asterisk 22 sends it.
//! One dialog per line, always the full state, and a caller only while the phone rings.

use pinkas_protocol::Line;

use super::PretendCaller;

/// What a line does, as far as its subscribers are told.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// Nothing, or the phone is not even registered.
    Terminated,
    /// Rings.
    Early {
        caller: &'a PretendCaller,
        /// The agent's display name.
        agent: &'a str,
    },
    /// Talks. Quirk(asterisk 22.10.1): neither caller nor direction is sent.
    Confirmed,
}

/// The document for `line`; `host` is the phone system's address without port.
pub fn body(line: &Line, host: &str, version: u32, shown: Shown<'_>) -> Vec<u8> {
    let mut xml = Vec::with_capacity(768);
    let id = escaped(line.as_str().as_bytes());
    let own = [b"sip:", &id[..], b"@", host.as_bytes()].concat();
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| xml.extend_from_slice(part));
    put(&[b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"]);
    put(&[b"<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\""]);
    put(&[version.to_string().as_bytes(), b"\" state=\"full\" entity=\"", &own, b"\">\n"]);
    put(&[b" <dialog id=\"", &id, b"\""]);
    let state: &[u8] = match shown {
        Shown::Terminated => b"terminated",
        Shown::Confirmed => b"confirmed",
        Shown::Early { .. } => b"early",
    };
    if let Shown::Early { caller, agent } = shown {
        let (name, number) = caller.written();
        // Quirk(asterisk 22.10.1): the number is not %-escaped in the URI (`sip:0170 1234@…`).
        let remote = [b"sip:", &number[..], b"@", caller.host().unwrap_or(host).as_bytes()].concat();
        let agent = escaped(agent.as_bytes());
        put(&[b" direction=\"recipient\">\n"]);
        for (party, display, uri) in [("remote", &name, &remote), ("local", &agent, &own)] {
            put(&[b"  <", party.as_bytes(), b">\n   <identity display=\"", display, b"\">", uri]);
            put(&[b"</identity>\n   <target uri=\"", uri, b"\" />\n  </", party.as_bytes(), b">\n"]);
        }
    } else {
        put(&[b">\n"]);
    }
    put(&[b"  <state>", state, b"</state>\n </dialog>\n</dialog-info>\n"]);
    xml
}

/// Bytes as XML text or attribute value; anything but the five special characters stays as it is.
pub fn escaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    for &byte in raw {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&apos;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shown: Shown<'_>, expected: &str) {
        let line = Line::parse("101").expect("a line");
        let text = String::from_utf8(body(&line, "127.0.10.1", 3, shown)).expect("plain text");
        assert_eq!(text.lines().map(str::trim_start).collect::<String>(), expected);
    }

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><dialog-info \
        xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"3\" state=\"full\" entity=\"sip:101@127.0.10.1\">";

    #[test]
    fn a_caller_is_told_only_while_the_phone_rings() {
        let caller = PretendCaller::new("0170 1234", "Tom & \"Jerry\"");
        let early = "<dialog id=\"101\" direction=\"recipient\"><remote><identity display=\"Tom &amp; \
            &quot;Jerry&quot;\">sip:0170 1234@127.0.10.1</identity><target uri=\"sip:0170 1234@127.0.10.1\" />\
            </remote><local><identity display=\"Alice Agent\">sip:101@127.0.10.1</identity><target \
            uri=\"sip:101@127.0.10.1\" /></local><state>early</state></dialog></dialog-info>";
        check(Shown::Early { caller: &caller, agent: "Alice Agent" }, &format!("{HEAD}{early}"));
        for (shown, word) in [(Shown::Confirmed, "confirmed"), (Shown::Terminated, "terminated")] {
            let rest = format!("<dialog id=\"101\"><state>{word}</state></dialog></dialog-info>");
            check(shown, &format!("{HEAD}{rest}"));
        }
    }

    #[test]
    fn a_withheld_caller_is_anonymous_at_a_host_that_is_none() {
        let line = Line::parse("101").expect("a line");
        let caller = PretendCaller::withheld();
        let text = body(&line, "127.0.10.1", 0, Shown::Early { caller: &caller, agent: "Alice" });
        let text = String::from_utf8(text).expect("plain text");
        let expected = "<identity display=\"Anonymous\">sip:anonymous@anonymous.invalid</identity>";
        assert!(text.contains(expected), "{text}");
    }
}
