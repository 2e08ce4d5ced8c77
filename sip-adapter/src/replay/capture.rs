//! Packets out of a capture file, pcap or pcapng, one at a time: no more of the file than one packet is in memory.
//! The formats are read by pcap-parser; what times mean and where a file is broken is told here.

use std::io::Read;

use jiff::Timestamp;
use pcap_parser::pcapng::Block;
use pcap_parser::{PcapBlockOwned, PcapError, create_reader};

use super::packets::moment;

/// The longest block that is read: more than any packet, or comment in the file, has.
const LONGEST: usize = 4 << 20;
/// What is read at once.
const PART: usize = 128 << 10;
/// More interfaces than any machine has.
const MOST_INTERFACES: usize = 4096;

/// One packet as it was captured.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// When; `None` where the file does not say.
    pub at: Option<Timestamp>,
    /// Its link type, by number.
    pub link: i32,
    /// The frame.
    pub bytes: &'a [u8],
}

/// Where and why a capture cannot be read on. What came before it was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}, after {packets} packets, at byte {byte}")]
pub struct Broken {
    /// Of the file.
    pub byte: u64,
    /// How many packets were read.
    pub packets: u64,
    /// What is wrong.
    pub why: Why,
}

/// What can be wrong with a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The file was cut, or is still being written.
    #[error("it ends in the middle of a packet")]
    Cut,
    /// A length in it cannot be.
    #[error("a packet says that it is longer than {} MiB", LONGEST >> 20)]
    TooLong,
    /// Something else than the format.
    #[error("what stands there is no packet")]
    Nonsense,
    /// The disk.
    #[error("the file cannot be read")]
    Unreadable,
}

#[derive(Clone, Copy)]
struct Interface {
    link: i32,
    /// As the file writes it: 10 to the minus this, or 2 where the highest bit is set.
    resolution: u8,
    offset: i64,
}

impl Interface {
    fn moment(&self, high: u32, low: u32) -> Option<Timestamp> {
        let units = (u64::from(high) << 32) | u64::from(low);
        let (power, base) =
            (u32::from(self.resolution & 0x7F), if self.resolution < 0x80 { 10u64 } else { 2 });
        let in_second = base.checked_pow(power)?;
        let seconds = i64::try_from(units / in_second).ok()?.checked_add(self.offset)?;
        let nanoseconds = u128::from(units % in_second) * 1_000_000_000 / u128::from(in_second);
        moment(seconds, u64::try_from(nanoseconds).ok()?)
    }
}

/// Gives each packet of a capture to `each`, and how many there were.
pub fn read(source: impl Read + Send, mut each: impl FnMut(Packet<'_>)) -> Result<u64, Broken> {
    let mut packets = 0;
    let mut reader = match create_reader(PART, source) {
        Ok(reader) => reader,
        Err(why) => return Err(Broken { byte: 0, packets, why: reason(&why) }),
    };
    let mut capacity = PART;
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut nanoseconds = 1_000;
    loop {
        let byte = reader.consumed() as u64;
        let need = match reader.next() {
            Ok((length, block)) => {
                if let Some(packet) = packet(&block, &mut interfaces, &mut nanoseconds) {
                    packets += 1;
                    each(packet);
                }
                if length == 0 {
                    return Err(Broken { byte, packets, why: Why::Nonsense });
                }
                reader.consume(length);
                continue;
            }
            Err(PcapError::Eof) => return Ok(packets),
            Err(PcapError::BufferTooSmall) => Need::Room,
            Err(PcapError::Incomplete(_)) => Need::Bytes,
            Err(why) => return Err(Broken { byte, packets, why: reason(&why) }),
        };
        if need == Need::Room {
            capacity *= 2;
            if capacity > LONGEST || !reader.grow(capacity) {
                return Err(Broken { byte, packets, why: Why::TooLong });
            }
        }
        if reader.refill().is_err() {
            return Err(Broken { byte, packets, why: Why::Unreadable });
        }
    }
}

#[derive(PartialEq, Eq)]
enum Need {
    Room,
    Bytes,
}

fn reason<I>(why: &PcapError<I>) -> Why {
    match why {
        PcapError::Eof | PcapError::UnexpectedEof | PcapError::Incomplete(_) => Why::Cut,
        PcapError::BufferTooSmall => Why::TooLong,
        PcapError::ReadError => Why::Unreadable,
        PcapError::HeaderNotRecognized | PcapError::NomError(..) | PcapError::OwnedNomError(..) => {
            Why::Nonsense
        }
    }
}

/// The packet in a block, if that is one. Blocks about interfaces are kept in mind.
fn packet<'a>(
    block: &PcapBlockOwned<'a>,
    interfaces: &mut Vec<Interface>,
    nanoseconds: &mut u64,
) -> Option<Packet<'a>> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            *nanoseconds = if header.is_nanosecond_precision() { 1 } else { 1_000 };
            // The upper bits tell of checksums at the end of frames.
            let link = header.network.0 & 0x0FFF;
            interfaces.push(Interface { link, resolution: 6, offset: 0 });
            None
        }
        PcapBlockOwned::Legacy(block) => Some(Packet {
            at: moment(block.ts_sec.into(), u64::from(block.ts_usec) * *nanoseconds),
            link: interfaces.first()?.link,
            bytes: block.data,
        }),
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(about)) => {
            if interfaces.len() < MOST_INTERFACES {
                let (resolution, offset) = (about.if_tsresol, about.if_tsoffset);
                interfaces.push(Interface { link: about.linktype.0, resolution, offset });
            }
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(block)) => {
            let interface = interfaces.get(usize::try_from(block.if_id).ok()?)?;
            let captured = usize::try_from(block.caplen).ok()?.min(block.data.len());
            Some(Packet {
                at: interface.moment(block.ts_high, block.ts_low),
                link: interface.link,
                bytes: block.data.get(..captured)?,
            })
        }
        PcapBlockOwned::NG(Block::SimplePacket(block)) => {
            Some(Packet { at: None, link: interfaces.first()?.link, bytes: block.data })
        }
        PcapBlockOwned::NG(_) => None,
    }
}
