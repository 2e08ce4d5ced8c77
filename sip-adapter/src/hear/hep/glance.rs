//! Whether a SIP message can matter to a call, seen at one glance and without reading it: nine of ten
//! messages of a phone system are REGISTER, OPTIONS, SUBSCRIBE, NOTIFY and their answers.

use memchr::memchr;

/// Methods that begin, change and end calls.
const OF_CALLS: [&[u8]; 6] = [b"INVITE", b"ACK", b"BYE", b"CANCEL", b"UPDATE", b"REFER"];

/// Of how many header lines the CSeq must be one. A message of more lines is refused when read, too.
const MOST_LINES: usize = 256;

/// Whether the message is a request of one of those methods, an answer to one, or tells what became of a REFER.
pub fn of_a_call(message: &[u8]) -> bool {
    let message = message.trim_ascii_start();
    let word = message.split(|byte| *byte == b' ').next().unwrap_or_default();
    if word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        let method =
            header(message, b"CSeq", None).and_then(|value| value.rsplit(u8::is_ascii_whitespace).next());
        return method.is_some_and(|method| OF_CALLS.contains(&method) && method != b"ACK");
    }
    let about = || header(message, b"Event", Some(b'o')).and_then(|value| value.get(..5));
    OF_CALLS.contains(&word)
        || (word == b"NOTIFY" && about().is_some_and(|about| about.eq_ignore_ascii_case(b"refer")))
}

/// The first value of a header, by its name or its compact form.
fn header<'a>(message: &'a [u8], name: &[u8], compact: Option<u8>) -> Option<&'a [u8]> {
    let mut rest = message;
    for _ in 0..MOST_LINES {
        rest = rest.get(memchr(b'\n', rest)? + 1..)?;
        let first = *rest.first()?;
        let is_it =
            |name: &[u8]| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let length = match compact {
            _ if is_it(name) => name.len(),
            Some(compact) if first.eq_ignore_ascii_case(&compact) => 1,
            // The body begins.
            _ if first == b'\r' || first == b'\n' => return None,
            _ => continue,
        };
        let after = rest.get(length..)?;
        let line = after.get(..memchr(b'\n', after).unwrap_or(after.len()))?;
        let Some(value) = line.trim_ascii_start().strip_prefix(b":") else { continue };
        return Some(value.trim_ascii());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: bool) {
        assert_eq!(of_a_call(message.as_bytes()), expected, "for {message}");
    }

    #[test]
    fn only_what_can_matter_to_a_call_is_read() {
        for method in ["INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "REFER"] {
            check(&format!("{method} sip:101@x SIP/2.0\r\nCSeq: 1 {method}\r\n\r\n"), true);
            check(&format!("\r\n{method} sip:101@x SIP/2.0\r\n\r\n"), true);
            check(&format!("SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 {method}\r\n\r\n"), method != "ACK");
            check(&format!("SIP/2.0 200 OK\nVia: x\ncseq :1  {method}\n\n"), method != "ACK");
        }
        for method in
            ["REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "MESSAGE", "PUBLISH", "PRACK", "INFO", "invite"]
        {
            check(&format!("{method} sip:101@x SIP/2.0\r\nCSeq: 1 {method}\r\n\r\n"), false);
            check(&format!("SIP/2.0 200 OK\r\nCSeq: 1 {method}\r\n\r\nCSeq: 1 INVITE"), false);
        }
        check("NOTIFY sip:101@x SIP/2.0\r\nVia: x\r\nEvent: refer;id=2\r\n\r\nSIP/2.0 200 OK", true);
        check("NOTIFY sip:101@x SIP/2.0\r\no : Refer\r\n\r\n", true);
        check("NOTIFY sip:101@x SIP/2.0\r\nEvent: dialog\r\n\r\nEvent: refer", false);
        check("NOTIFY sip:101@x SIP/2.0\r\nVia: x\r\n\r\nEvent: refer", false);
        for none in [
            "",
            "SIP/2.0 200 OK",
            "SIP/2.0 200 OK\r\n\r\n",
            "SIP/2.0 200 OK\r\nCSeq",
            "INVITES x",
            "\r\n\r\n",
        ] {
            check(none, false);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_seen_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = of_a_call(&bytes);
            let _ = of_a_call(&[b"SIP/2.0 200\nCSeq".as_slice(), &bytes].concat());
        }
    }
}
