//! HEPv3 packets: a copy of one SIP message with its addresses and time, as chunks in any order.
//! Reads any bytes without a panic and without copying; what is missing is `None`, what is not known is
//! skipped. The first of two chunks of one kind counts. Also writes them, for tests and measurements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Bytes before the first chunk: `HEP3` and the length of the whole packet.
pub const HEAD: usize = 6;

/// One packet. Borrowed from the datagram or stream it came in.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Packet<'a> {
    /// Who sent the SIP message (chunks 3 or 5, and 7).
    pub from: Option<SocketAddr>,
    /// Whom it was sent to (chunks 4 or 6, and 8).
    pub to: Option<SocketAddr>,
    /// When it was captured, since 1970 by the sender's clock (chunks 9 and 10).
    pub captured: Option<Duration>,
    /// The sender's key (chunk 14).
    pub key: Option<&'a [u8]>,
    /// What the sender calls the call (chunk 17): with Asterisk the Call-ID of this leg.
    pub correlation: Option<&'a [u8]>,
    /// The SIP message (chunk 15).
    pub payload: &'a [u8],
}

impl std::fmt::Debug for Packet<'_> {
    /// Key and payload are secrets or a customer's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packet({} bytes)", self.payload.len())
    }
}

/// Why a packet is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It does not begin with `HEP3`: another version or another protocol.
    #[error("it is no HEPv3 packet; set the sender to HEP version 3")]
    NotHep,
    /// It is shorter than it says.
    #[error("it is shorter than it says: it was cut on its way")]
    Cut,
    /// A chunk is shorter than its own head, or longer than the packet.
    #[error("the length of a chunk is wrong")]
    Chunk,
    /// It carries something else than SIP, such as RTCP (chunk 11 is not 1).
    #[error("it carries another protocol than SIP")]
    NotSip,
    /// Its payload is compressed (chunk 16).
    #[error("its payload is compressed; switch compression off at the sender")]
    Compressed,
    /// It has no payload.
    #[error("it has no payload")]
    Empty,
}

/// The length that a packet says it has, from its first [`HEAD`] bytes.
pub fn length(head: [u8; HEAD]) -> Result<usize, Refused> {
    let [h, e, p, three, high, low] = head;
    if [h, e, p, three] != *b"HEP3" {
        return Err(Refused::NotHep);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length < HEAD { Err(Refused::Cut) } else { Ok(length) }
}

/// Reads a packet. What follows it in `bytes` is ignored.
pub fn read(bytes: &[u8]) -> Result<Packet<'_>, Refused> {
    let (head, _) = bytes.split_first_chunk::<HEAD>().ok_or(Refused::NotHep)?;
    let mut rest = bytes.get(HEAD..length(*head)?).ok_or(Refused::Cut)?;
    let mut chunks = Chunks::default();
    // Each chunk takes at least six bytes off, so a packet holds at most 10,922 of them.
    while let Some((head, after)) = rest.split_first_chunk::<6>() {
        let [vendor_high, vendor_low, kind_high, kind_low, length_high, length_low] = *head;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let value = after.get(..length.checked_sub(6).ok_or(Refused::Chunk)?).ok_or(Refused::Chunk)?;
        rest = after.get(value.len()..).unwrap_or_default();
        if [vendor_high, vendor_low] == [0, 0] {
            chunks.take(u16::from_be_bytes([kind_high, kind_low]), value);
        }
    }
    if chunks.protocol.is_some_and(|protocol| protocol != 1) {
        return Err(Refused::NotSip);
    }
    match (chunks.payload, chunks.compressed) {
        (Some(payload), _) if !payload.is_empty() => Ok(chunks.packet(payload)),
        (_, Some(_)) => Err(Refused::Compressed),
        _ => Err(Refused::Empty),
    }
}

#[derive(Default)]
struct Chunks<'a> {
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    from_port: Option<u16>,
    to_port: Option<u16>,
    seconds: Option<u32>,
    micros: Option<u32>,
    protocol: Option<u8>,
    key: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
    compressed: Option<&'a [u8]>,
    correlation: Option<&'a [u8]>,
}

impl<'a> Chunks<'a> {
    /// A value of the wrong length says nothing, as if it were not there.
    fn take(&mut self, kind: u16, value: &'a [u8]) {
        match kind {
            3 | 5 => self.from = self.from.or_else(|| address(kind == 3, value)),
            4 | 6 => self.to = self.to.or_else(|| address(kind == 4, value)),
            7 => self.from_port = self.from_port.or_else(|| two(value)),
            8 => self.to_port = self.to_port.or_else(|| two(value)),
            9 => self.seconds = self.seconds.or_else(|| four(value)),
            10 => self.micros = self.micros.or_else(|| four(value)),
            11 => self.protocol = self.protocol.or_else(|| value.first().copied()),
            14 => self.key = self.key.or(Some(value)),
            15 => self.payload = self.payload.or(Some(value)),
            16 => self.compressed = self.compressed.or(Some(value)),
            17 => self.correlation = self.correlation.or(Some(value)),
            _ => {}
        }
    }

    fn packet(&self, payload: &'a [u8]) -> Packet<'a> {
        let end = |ip: Option<IpAddr>, port: Option<u16>| Some(SocketAddr::new(ip?, port.unwrap_or(0)));
        let captured = self.seconds.map(|seconds| {
            let micros = self.micros.filter(|micros| *micros < 1_000_000).unwrap_or(0);
            Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into())
        });
        Packet {
            from: end(self.from, self.from_port),
            to: end(self.to, self.to_port),
            captured,
            key: self.key,
            correlation: self.correlation,
            payload,
        }
    }
}

fn address(version_4: bool, value: &[u8]) -> Option<IpAddr> {
    if version_4 {
        Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into())
    } else {
        // A socket that hears both writes an IPv4 address as an IPv6 one.
        Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)).to_canonical())
    }
}

fn two(value: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(value.try_into().ok()?))
}

fn four(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// Writes a packet in the order of Asterisk's chunks; `None` when it would be longer than 65,535 bytes.
pub fn write(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let mut out = b"HEP3\0\0".to_vec();
    let four =
        !matches!((packet.from, packet.to), (Some(SocketAddr::V6(_)), _) | (_, Some(SocketAddr::V6(_))));
    chunk(&mut out, 1, &[if four { 2 } else { 10 }])?;
    chunk(&mut out, 2, &[17])?;
    for (kind, end) in [(7, packet.from), (8, packet.to)] {
        if let Some(end) = end {
            chunk(&mut out, kind, &end.port().to_be_bytes())?;
        }
    }
    if let Some(captured) = packet.captured {
        chunk(&mut out, 9, &u32::try_from(captured.as_secs()).ok()?.to_be_bytes())?;
        chunk(&mut out, 10, &captured.subsec_micros().to_be_bytes())?;
    }
    chunk(&mut out, 11, &[1])?;
    for (kind, end) in [(3, packet.from), (4, packet.to)] {
        match end.map(|end| end.ip()) {
            Some(IpAddr::V4(ip)) if four => chunk(&mut out, kind, &ip.octets())?,
            Some(IpAddr::V4(ip)) => chunk(&mut out, kind + 2, &ip.to_ipv6_mapped().octets())?,
            Some(IpAddr::V6(ip)) => chunk(&mut out, kind + 2, &ip.octets())?,
            None => {}
        }
    }
    if let Some(key) = packet.key {
        chunk(&mut out, 14, key)?;
    }
    if let Some(correlation) = packet.correlation {
        chunk(&mut out, 17, correlation)?;
    }
    chunk(&mut out, 15, packet.payload)?;
    let length = u16::try_from(out.len()).ok()?;
    out.get_mut(4..6)?.copy_from_slice(&length.to_be_bytes());
    Some(out)
}

fn chunk(out: &mut Vec<u8>, kind: u16, value: &[u8]) -> Option<()> {
    out.extend([0, 0]);
    out.extend(kind.to_be_bytes());
    out.extend(u16::try_from(value.len() + 6).ok()?.to_be_bytes());
    out.extend(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(payload: &[u8]) -> Packet<'_> {
        Packet {
            from: Some("192.0.2.1:5060".parse().expect("an address")),
            to: Some("192.0.2.2:5080".parse().expect("an address")),
            captured: Some(Duration::new(1_700_000_000, 123_456_000)),
            key: Some(b"key"),
            correlation: Some(b"call-id@host"),
            payload,
        }
    }

    fn of_chunks(chunks: &[(u16, u16, &[u8])]) -> Vec<u8> {
        let mut out = b"HEP3\0\0".to_vec();
        for (vendor, kind, value) in chunks {
            out.extend(vendor.to_be_bytes());
            out.extend(kind.to_be_bytes());
            out.extend((value.len() as u16 + 6).to_be_bytes());
            out.extend(*value);
        }
        let length = (out.len() as u16).to_be_bytes();
        out[4..6].copy_from_slice(&length);
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let four = packet(b"INVITE");
        assert_eq!(read(&write(&four).expect("it fits")), Ok(four));
        let six = Packet { from: Some("[2001:db8::1]:5060".parse().expect("an address")), ..four };
        assert_eq!(read(&write(&six).expect("it fits")), Ok(six));
        assert_eq!(write(&packet(&vec![0; 65_535])), None);
    }

    #[test]
    fn chunks_come_in_any_order_some_missing_some_unknown_some_twice() {
        let read =
            |chunks: &[(u16, u16, &[u8])]| read(&of_chunks(chunks)).map(|p| (p.from, p.payload.to_vec()));
        let alone = Ok((None, b"x".to_vec()));
        assert_eq!(read(&[(0, 15, b"x")]), alone);
        assert_eq!(read(&[(0, 15, b"x"), (0, 15, b"y"), (0, 99, b"z"), (7, 15, b"v")]), alone);
        assert_eq!(read(&[(7, 15, b"v"), (0, 3, b"too long"), (0, 15, b"x")]), alone);
        let at = Some("192.0.2.1:0".parse().expect("an address"));
        assert_eq!(read(&[(0, 15, b"x"), (0, 3, &[192, 0, 2, 1])]), Ok((at, b"x".to_vec())));
    }

    #[test]
    fn what_is_no_packet_is_refused_with_the_reason() {
        for (bytes, why) in [
            (b"".to_vec(), Refused::NotHep),
            (b"\x01\x10\x02\x11".to_vec(), Refused::NotHep),
            (b"HEP3\0\x07".to_vec(), Refused::Cut),
            (b"HEP3\0\0".to_vec(), Refused::Cut),
            (b"HEP3\0\x06".to_vec(), Refused::Empty),
            (of_chunks(&[(0, 11, &[5]), (0, 15, b"x")]), Refused::NotSip),
            (of_chunks(&[(0, 11, &[1]), (0, 16, b"x")]), Refused::Compressed),
            (of_chunks(&[(0, 15, b"")]), Refused::Empty),
            (b"HEP3\0\x0c\0\0\0\x0f\0\x05".to_vec(), Refused::Chunk),
            (b"HEP3\0\x0c\0\0\0\x0f\0\x07".to_vec(), Refused::Chunk),
        ] {
            assert_eq!(read(&bytes).map(|_| ()), Err(why), "for {bytes:?}");
        }
    }

    /// The entry for a fuzzer: any bytes; what is read lies within them.
    fn any_bytes(bytes: &[u8]) {
        if let Ok(packet) = read(bytes) {
            let all = bytes.as_ptr_range();
            let part = packet.payload.as_ptr_range();
            assert!(all.start <= part.start && part.end <= all.end);
            assert!(!packet.payload.is_empty());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            any_bytes(&bytes);
            any_bytes(&[b"HEP3".as_slice(), &bytes].concat());
        }

        #[test]
        fn a_damaged_packet_is_read_without_a_panic(
            damage in prop::collection::vec((0usize..160, any::<u8>()), 1..6),
            cut in 0usize..160,
        ) {
            let mut bytes = write(&packet(b"INVITE sip:101@192.0.2.1 SIP/2.0\r\n\r\n")).expect("it fits");
            for (at, value) in damage {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            any_bytes(&bytes);
            any_bytes(bytes.get(..cut).unwrap_or(&bytes));
        }
    }
}
