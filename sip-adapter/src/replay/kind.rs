//! What a file is, by how it begins. Names of files say nothing.

/// How much of a file has to be seen.
pub const ENOUGH: usize = 4096;

/// The kinds of recordings that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// pcap or pcapng.
    Capture,
    /// What a manager connection said.
    Ami,
    /// HEP packets, each behind its length in four bytes, big end first.
    HepWithLengths,
    /// HEP packets, one after the other.
    Hep,
    /// One SIP message.
    Sip,
}

/// pcap in either byte order and either precision, the format of old Red Hats, and pcapng.
const CAPTURES: [[u8; 4]; 6] = [
    [0xA1, 0xB2, 0xC3, 0xD4],
    [0xD4, 0xC3, 0xB2, 0xA1],
    [0xA1, 0xB2, 0x3C, 0x4D],
    [0x4D, 0x3C, 0xB2, 0xA1],
    [0x34, 0xCD, 0xB2, 0xA1],
    [0x0A, 0x0D, 0x0D, 0x0A],
];

/// What begins with these bytes; `None` when it is none of them.
pub fn of(head: &[u8]) -> Option<Kind> {
    let (first, rest) = head.split_first_chunk::<4>()?;
    if CAPTURES.contains(first) {
        Some(Kind::Capture)
    } else if head.starts_with(b"Asterisk Call Manager") {
        Some(Kind::Ami)
    } else if is_hep(head) {
        Some(Kind::Hep)
    } else if is_hep(rest) {
        Some(Kind::HepWithLengths)
    } else if is_sip(head) {
        Some(Kind::Sip)
    } else {
        None
    }
}

/// Whether a HEPv3 packet begins here.
pub fn is_hep(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HEP3")
}

/// Whether a SIP message begins here: its first line ends, or begins, with the version.
pub fn is_sip(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let line = bytes.get(..bytes.len().min(ENOUGH)).unwrap_or_default();
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let version = |part: Option<&[u8]>| part.is_some_and(|part| part.eq_ignore_ascii_case(b"SIP/2.0"));
    let mut words = line.split(|byte| *byte == b' ');
    if version(words.next()) {
        return true;
    }
    version(words.next_back()) && words.next().is_some() && line.first().is_some_and(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_known_by_how_it_begins() {
        for (head, kind) in [
            (b"\xD4\xC3\xB2\xA1\x02\0\x04\0".as_slice(), Some(Kind::Capture)),
            (b"\x0A\x0D\x0D\x0A\x1C\0\0\0", Some(Kind::Capture)),
            (b"Asterisk Call Manager/5.0.2\r\nResponse: Success\r\n", Some(Kind::Ami)),
            (b"HEP3\x01\x02\0\0", Some(Kind::Hep)),
            (b"\0\0\x01\x02HEP3\x01\x02", Some(Kind::HepWithLengths)),
            (b"\r\nINVITE sip:101@x SIP/2.0\r\nVia: x", Some(Kind::Sip)),
            (b"SIP/2.0 180 Ringing\nVia: x", Some(Kind::Sip)),
            (b"HTTP/1.1 200 OK\r\n", None),
            (b"SIP/2.0", Some(Kind::Sip)),
            (b" SIP/2.0 nothing SIP/2.0", Some(Kind::Sip)),
            (b"\x1F\x8B\x08\0", None),
            (b"INVITE SIP/2.0\r\n", None),
            (b"", None),
        ] {
            assert_eq!(of(head), kind, "for {}", head.escape_ascii());
        }
    }
}
