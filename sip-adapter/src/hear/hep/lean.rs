//! Leaves out of a message what the tracker never asks of its kind, before it is read: three of four headers of
//! an answer only cost time. Whole lines go or stay; what a line says is for the reader alone.

use memchr::memchr;

/// What is asked of answers, ACK, BYE, CANCEL, REFER and NOTIFY. INVITE and UPDATE are read whole.
const ASKED: [&[u8]; 9] =
    [b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Reason", b"Refer-To", b"Referred-By", b"Event"];
const COMPACT: &[u8] = b"vftirbo";

/// The message, or its lean form, which is written into `room`.
pub(super) fn lean<'a>(message: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    let message = message.trim_ascii_start();
    if message.starts_with(b"INVITE ") || message.starts_with(b"UPDATE ") {
        return message;
    }
    room.clear();
    let (mut rest, mut keep) = (message, true);
    while !rest.is_empty() {
        let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(end);
        if line == b"\r\n" || line == b"\n" {
            if message.starts_with(b"NOTIFY ") {
                room.extend_from_slice(rest);
            } else {
                room.extend_from_slice(line);
            }
            return room;
        }
        // The first line stays, and a folded one goes with the one before.
        if !room.is_empty() && !line.starts_with(b" ") && !line.starts_with(b"\t") {
            keep = is_asked(line);
        }
        if keep {
            room.extend_from_slice(line);
        }
        rest = after;
    }
    room
}

fn is_asked(line: &[u8]) -> bool {
    // What has no name is for the reader to refuse.
    let Some(name) = memchr(b':', line).and_then(|end| line.get(..end)) else { return true };
    match name.trim_ascii_end() {
        [one] => COMPACT.contains(&one.to_ascii_lowercase()),
        name => ASKED.iter().any(|asked| asked.eq_ignore_ascii_case(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: &str) {
        let mut room = Vec::new();
        assert_eq!(String::from_utf8_lossy(lean(message.as_bytes(), &mut room)), expected, "for {message}");
    }

    #[test]
    fn what_is_never_asked_is_left_out_and_nothing_else() {
        let answer = "SIP/2.0 200 OK\r\nv: a\r\nVia : b\r\nAllow: INVITE\r\n folded\r\nFrom: c\r\n\td\r\nServer: x\r\n\r\nv=0\r\n";
        check(answer, "SIP/2.0 200 OK\r\nv: a\r\nVia : b\r\nFrom: c\r\n\td\r\n\r\n");
        for whole in ["INVITE x SIP/2.0\r\nAllow: x\r\n\r\nv=0", "UPDATE x SIP/2.0\r\nAllow: x\r\n\r\nv=0"] {
            check(whole, whole);
        }
        check(
            "\r\nNOTIFY x SIP/2.0\nEvent: refer\nContact: x\n\nSIP/2.0 200",
            "NOTIFY x SIP/2.0\nEvent: refer\n\nSIP/2.0 200",
        );
        check("BYE x SIP/2.0\r\nno header\r\nReason: y", "BYE x SIP/2.0\r\nno header\r\nReason: y");
        check("", "");
    }
}
