//! Whether a SIP message can matter to a call, seen at one glance and without reading it: nine of ten
//! messages of a phone system are REGISTER, OPTIONS, SUBSCRIBE, NOTIFY and their answers.

use memchr::memchr;

/// Methods that begin, change and end calls.
const OF_CALLS: [&[u8]; 6] = [b"INVITE", b"ACK", b"BYE", b"CANCEL", b"UPDATE", b"REFER"];

/// Of how many header lines the CSeq must be one. A message of more lines is refused when read, too.
const MOST_LINES: usize = 256;

/// Whether the message is a request of one of those methods, or an answer to one.
pub fn of_a_call(message: &[u8]) -> bool {
    let message = message.trim_ascii_start();
    let word = message.split(|byte| *byte == b' ').next().unwrap_or_default();
    if !word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return OF_CALLS.contains(&word);
    }
    answered_method(message).is_some_and(|method| OF_CALLS.contains(&method) && method != b"ACK")
}

/// The method in the CSeq of an answer.
fn answered_method(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    for _ in 0..MOST_LINES {
        rest = rest.get(memchr(b'\n', rest)? + 1..)?;
        let Some((name, after)) = rest.split_first_chunk::<4>() else { continue };
        if !name.eq_ignore_ascii_case(b"CSeq") {
            continue;
        }
        let line = after.get(..memchr(b'\n', after).unwrap_or(after.len()))?;
        let Some(value) = line.trim_ascii_start().strip_prefix(b":") else { continue };
        return value.trim_ascii().rsplit(u8::is_ascii_whitespace).next();
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
