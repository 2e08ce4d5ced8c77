//! The last look at a message before it leaves: whatever goes wrong elsewhere, this program makes no call and
//! answers none. Pure.

/// Whether a message may be sent: no INVITE, REFER or other request that could make or change a call, and no
/// answer but a provisional or refusing one to an INVITE.
pub(super) fn may_leave(message: &[u8]) -> bool {
    let mut lines = message.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut first = lines.next().unwrap_or_default().split(|byte| *byte == b' ');
    match first.next() {
        Some(b"SIP/2.0") => {
            let good = first.next().is_some_and(|code| code.first() == Some(&b'2'));
            !good || lines.take_while(|line| !line.is_empty()).all(|line| !is_cseq_of_invite(line))
        }
        Some(method) => matches!(method, b"REGISTER" | b"SUBSCRIBE" | b"OPTIONS" | b""),
        None => false,
    }
}

fn is_cseq_of_invite(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let named = parts.next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"CSeq"));
    named && parts.next().is_some_and(|value| value.trim_ascii().to_ascii_uppercase().ends_with(b"INVITE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_make_or_take_a_call_never_leaves() {
        for (message, may) in [
            ("REGISTER sip:x SIP/2.0\r\nCSeq: 1 REGISTER\r\n\r\n", true),
            ("SUBSCRIBE sip:x SIP/2.0\r\n\r\n", true),
            ("OPTIONS sip:x SIP/2.0\r\n\r\n", true),
            ("\r\n", true),
            ("INVITE sip:x SIP/2.0\r\n\r\n", false),
            ("REFER sip:x SIP/2.0\r\n\r\n", false),
            ("ACK sip:x SIP/2.0\r\n\r\n", false),
            ("BYE sip:x SIP/2.0\r\n\r\n", false),
            ("MESSAGE sip:x SIP/2.0\r\n\r\n", false),
            ("SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n", true),
            ("SIP/2.0 487 Request Terminated\r\nCSeq: 1 INVITE\r\n\r\n", true),
            ("SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 CANCEL\r\n\r\n", true),
            ("SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 NOTIFY\r\n\r\nCSeq: 1 INVITE", true),
            ("SIP/2.0 200 OK\r\nVia: x\r\nCSeq: 1 INVITE\r\n\r\n", false),
            ("SIP/2.0 202 Accepted\ncseq :1\tinvite \n\n", false),
        ] {
            assert_eq!(may_leave(message.as_bytes()), may, "{message}");
        }
    }
}
