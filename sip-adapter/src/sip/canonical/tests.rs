//! The canonical layer beside a plain one that copies each line and looks at every character: whatever is sent,
//! both let the same through and refuse the same. And each of its quick ways is taken.

use proptest::prelude::*;

use super::*;

/// The message as [`Canonical::to_bytes`] writes it, each step for itself.
fn plainly(bytes: &[u8], fallback: Option<Charset>) -> Result<Vec<u8>, Refused> {
    if bytes.len() > LARGEST {
        return Err(Refused::Large);
    }
    let mut lines = Lines { text: "", length: bytes.len(), rest: bytes, number: 0 };
    let mut first = lines.next().ok_or(Refused::KeepAlive)?;
    // RFC 3261 section 7.5: line ends before the first line are ignored.
    while first.is_empty() {
        first = lines.next().ok_or(Refused::KeepAlive)?;
    }
    if first.len() > LONGEST_LINE {
        return Err(Refused::Long { line: lines.number });
    }
    let first = charset::decode(first, fallback);
    // As UTF-8 it may have become longer.
    if first.len() > LONGEST_LINE {
        return Err(Refused::Long { line: lines.number });
    }
    let start = start(&first)?;
    let headers = once(plain_headers(&mut lines, fallback)?)?;
    let length = headers.iter().find(|(name, _)| name == "Content-Length");
    let length = length.and_then(|(_, value)| value.parse::<usize>().ok());
    let body = length.and_then(|length| lines.rest.get(..length)).unwrap_or(lines.rest);
    let mut out = match start {
        Start::Request { method, uri } => format!("{method} {uri} SIP/2.0"),
        Start::Response { code, reason } => format!("SIP/2.0 {code} {reason}"),
    };
    for (name, value) in headers {
        out += &format!("\r\n{name}: {value}");
    }
    out += "\r\n\r\n";
    Ok([out.as_bytes(), body].concat())
}

/// Header lines up to the empty one, unfolded (RFC 3261 section 7.3.1).
fn plain_headers(lines: &mut Lines<'_>, fallback: Option<Charset>) -> Result<Vec<(String, String)>, Refused> {
    let mut headers = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    let mut opened_at = 0;
    loop {
        let line = lines.next().unwrap_or_default();
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            if open.is_empty() {
                return Err(Refused::Header { line: lines.number });
            }
            open.push(b' ');
            open.extend_from_slice(line.trim_ascii());
        } else {
            if !open.is_empty() {
                headers.push(plain_header(&open, opened_at, fallback)?);
            }
            if line.is_empty() {
                return Ok(headers);
            }
            if headers.len() >= MOST_HEADERS {
                return Err(Refused::Many);
            }
            open.clear();
            open.extend_from_slice(line);
            opened_at = lines.number;
        }
        if open.len() > LONGEST_LINE {
            return Err(Refused::Long { line: opened_at });
        }
    }
}

fn plain_header(line: &[u8], number: usize, fallback: Option<Charset>) -> Result<(String, String), Refused> {
    let refused = Refused::Header { line: number };
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Err(refused) };
    let (name, value) = line.split_at(colon);
    // `Name :` is allowed by RFC 3261 section 7.3.1.
    let Some(name) = std::str::from_utf8(name).ok().map(str::trim_ascii).filter(|name| token(name)) else {
        return Err(refused);
    };
    let name = long_name(name).to_owned();
    let value = clean(&charset::decode(value.get(1..).unwrap_or_default(), fallback));
    // As UTF-8 it may have become longer.
    let long = name.len() + 2 + value.len() > LONGEST_LINE;
    if long { Err(Refused::Long { line: number }) } else { Ok((name, value)) }
}

/// One value for each header that may stand once.
fn once(headers: Vec<(String, String)>) -> Result<Vec<(String, String)>, Refused> {
    let mut seen: [Option<usize>; ONCE.len()] = [None; ONCE.len()];
    let mut kept: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let single = ONCE.iter().position(|once| once.eq_ignore_ascii_case(&name));
        if let Some((name, first)) = single.and_then(|i| Some((ONCE.get(i)?, seen.get_mut(i)?))) {
            match *first {
                None => *first = Some(kept.len()),
                Some(at) if kept.get(at).is_some_and(|(_, first)| *first == value) => continue,
                Some(_) => return Err(Refused::Twice { name }),
            }
            kept.push(((*name).to_owned(), value));
        } else {
            kept.push((name, value));
        }
    }
    Ok(kept)
}

fn check(bytes: &[u8]) {
    for fallback in [None, Charset::named("iso-8859-2")] {
        let read = read(bytes, fallback).map(|read| read.to_bytes());
        assert_eq!(read, plainly(bytes, fallback), "for {:?}", String::from_utf8_lossy(bytes));
    }
}

const MESSAGES: [&str; 4] = [
    "INVITE sip:101@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: \"Dana\" \
     <sip:+972501234567@trunk>;tag=f\r\nTo: <sip:101@192.0.2.1>\r\nCall-ID: c1@trunk\r\nCSeq: 7 INVITE\r\n\
     Content-Length: 3\r\n\r\nv=0\r\n",
    "\r\n\nSIP/2.0 180  Ringing\nv: a\nVia : b\nf : \"דנה\" <sip:1@x>\r\n\t;tag=1\n i: no\n\nx",
    "BYE sip:1@[::1] sip/2.0\r\ni: 1\r\nCALL-id: 1\r\nl: 0\r\nX:\r\nY:  \r\n  folded\r\n \r\n\r\nrest",
    "NOTIFY tel:+1 SIP/2.0\r\nTo: a\r\nt: b\r\nbad line\r\n\r\n",
];

#[test]
fn every_quick_way_says_what_the_plain_one_says() {
    for message in MESSAGES {
        check(message.as_bytes());
        for end in 0..message.len() {
            check(&message.as_bytes()[..end]);
        }
    }
    let long = |length: usize| format!("BYE a SIP/2.0\r\nl{}: {}", "x".repeat(4), "y".repeat(length));
    for length in LONGEST_LINE - 20..LONGEST_LINE + 5 {
        check(long(length).as_bytes());
        check(long(length).replace("lxxxx", "l").as_bytes());
        check(format!("{}\r\n z", long(length)).as_bytes());
        check(format!("{}\r\nnone", long(length)).as_bytes());
        check(format!("{}é", long(length)).as_bytes());
        check(&[long(length).as_bytes(), b"\xE9\xE9"].concat());
    }
    for many in MOST_HEADERS - 1..MOST_HEADERS + 2 {
        check(format!("BYE a SIP/2.0\r\n{}", "x: y\r\n".repeat(many)).as_bytes());
        check(format!("BYE a SIP/2.0\r\n{}\r\n", "To: y\r\n".repeat(many)).as_bytes());
    }
}

#[test]
fn a_header_is_found_by_any_of_its_names_and_none_like_it() {
    let head = read(b"BYE a SIP/2.0\r\nf: 1\r\nForm: 2\r\nFROM: 1\r\nx-a: 3\r\nX-A: 4\r\nX-B:\r\n\r\n", None);
    let head = head.expect("a message").head;
    let values = |name: &str| head.values(name).collect::<Vec<_>>().join(" ");
    assert_eq!([values("From"), values("F"), values("form")], ["1", "1", "2"]);
    assert_eq!((values("X-A"), head.value("X-B"), head.value("X-C")), ("3 4".to_owned(), Some(""), None));
    assert_eq!(head.text(), "From: 1\r\nForm: 2\r\nx-a: 3\r\nX-A: 4\r\nX-B: \r\n\r\n");
}

#[test]
fn the_length_of_the_body_can_be_written_anew() {
    for (message, expected) in [
        ("BYE a SIP/2.0\nl: 1\nTo: x\n\nbody", "BYE a SIP/2.0\r\nTo: x\r\nContent-Length: 1\r\n\r\nb"),
        ("SIP/2.0 200 OK\r\nTo: x\r\n\r\nbody", "SIP/2.0 200 OK\r\nTo: x\r\nContent-Length: 4\r\n\r\nbody"),
        ("BYE a SIP/2.0\r\n\r\n", "BYE a SIP/2.0\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let counted = read(message.as_bytes(), None).expect("a message").to_counted_bytes();
        assert_eq!(String::from_utf8_lossy(&counted), expected);
    }
    let large = [b"BYE a SIP/2.0\r\nTo: x\r\n\r\n", vec![b'x'; LARGEST + 1].as_slice()].concat();
    assert_eq!(read(&large, None).err(), Some(Refused::Large));
    assert_eq!(read_head(&large, None).map(|(_, _, rest)| rest.len()), Ok(LARGEST + 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn whatever_is_sent_the_quick_and_the_plain_way_agree(
        message in prop::sample::select(&MESSAGES[..]),
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(&b"\r\n\t :\x00\x7f\xc2\x85\xa0\xe0aFl;"[..]), any::<bool>()),
            0..8,
        ),
    ) {
        let mut bytes = message.as_bytes().to_vec();
        for (at, byte, insert) in damage {
            let at = at.index(bytes.len());
            match insert {
                true => bytes.insert(at, byte),
                false => bytes[at] = byte,
            }
        }
        check(&bytes);
    }
}

#[test]
fn what_is_let_through_is_never_too_long_when_it_is_read_again() {
    for (name, byte) in [("Via", b'x'), ("v", b'x'), ("Subject", b'\xff')] {
        for length in LONGEST_LINE / 2 - 10..=LONGEST_LINE {
            // Only around the two lengths at which it may become too long.
            if (LONGEST_LINE / 2 + 10..LONGEST_LINE - 10).contains(&length) {
                continue;
            }
            let value = vec![byte; length - name.len()];
            let message = [b"SIP/2.0 200 OK\r\n", name.as_bytes(), b":", &value, b"\r\n\r\n"].concat();
            let Ok(first) = read(&message, None) else { continue };
            assert!(read(&first.to_bytes(), None).as_ref() == Ok(&first), "{name} of {length}");
        }
    }
}
