//! The command `replay`: opens recordings, prints events. Reads captures and packets in parts; only a manager's
//! transcript is in memory as a whole, up to a bound. Tells counts and reasons, never what a recording holds.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use pinkas_config::program;
use pinkas_protocol::{Event, Line};

use super::kind::{self, Kind};
use super::{Packets, Place, Replay, Settings, Words, capture};
use crate::calls::Patience;
use crate::check;
use crate::config::{self, Described, Pbx};
use crate::hear::hep::{self, packet};
use crate::hear::legs::Limits;
use crate::sip::canonical::LARGEST;
use crate::sip::identity::Rules;

/// The longest transcript: days of a busy phone system.
const LONGEST_TRANSCRIPT: u64 = 256 << 20;

/// Plays recordings by the configuration `file` where it is there, following `lines` where any are given.
pub fn replay(file: &Path, paths: &[PathBuf], lines: Vec<Line>) -> ExitCode {
    let mut described = if file.exists() {
        match config::load_described(file) {
            Ok((described, None)) => described,
            Ok((described, Some(_))) => {
                tell(&format!(
                    "{} has mistakes (see `check`); what it says of the phone system is used",
                    file.display()
                ));
                described
            }
            Err(mistakes) => return program::wrong(&mistakes),
        }
    } else {
        let pbx = Pbx { lines: Vec::new(), rules: Arc::new(Rules::default()) };
        let channels = config::usual_channels();
        Described { pbx, hep: None, channels, patience: Patience::default() }
    };
    if !lines.is_empty() {
        described.pbx.lines = lines;
    }
    if described.pbx.lines.is_empty() {
        tell(&format!(
            "no lines to follow: name them with --lines 101,102 or write them into [pbx] of {}",
            file.display()
        ));
        return ExitCode::FAILURE;
    }
    let settings = Settings {
        limits: described.hep.as_ref().map_or_else(Limits::default, hep::limits),
        pbx: described.pbx,
        channels: described.channels,
        patience: described.patience,
    };
    match play(settings, paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tell(&check::in_words(&e));
            ExitCode::FAILURE
        }
    }
}

/// What is broken in a recording is told at the end; what came before it is played.
fn play(settings: Settings, paths: &[PathBuf]) -> anyhow::Result<()> {
    // All are known before anything is printed: a wrong path should not be found out half way.
    let files = files(paths)?;
    let mut words = Words::default();
    for (path, _) in files.iter().filter(|(_, kind)| *kind == Kind::Ami) {
        let transcript = transcript(path)?;
        for lack in lacks(&transcript) {
            tell(&format!("{}: {lack}", path.display()));
        }
        words.read(&transcript, &settings).with_context(|| path.display().to_string())?;
    }
    let mut player = Player {
        replay: Replay::new(settings, words),
        packets: Packets::default(),
        printer: Printer { out: BufWriter::new(io::stdout().lock()), printed: Ok(()) },
    };
    let mut broken = Ok(());
    for (path, kind) in &files {
        let played = player.file(path, *kind).with_context(|| path.display().to_string());
        player.printer.check()?;
        if played.is_err() && broken.is_ok() {
            broken = played.context("what came before was played");
        }
    }
    let Player { replay, mut printer, .. } = player;
    let counts = replay.finish(&mut |event| printer.print(&event));
    printer.check()?;
    printer.out.flush().context("cannot write")?;
    tell(&format!(
        "{} SIP messages, {} words of manager connections, {} messages not readable",
        counts.sip, counts.ami, counts.unreadable
    ));
    broken
}

/// What a transcript does not hold, because whoever recorded it only listened, and what that does to what is played.
fn lacks(transcript: &[u8]) -> impl Iterator<Item = &'static str> + '_ {
    let lacks = |line: &[u8]| memchr::memmem::find(transcript, line).is_none();
    let told = [
        (
            lacks(b"\nTimestamp: "),
            "it holds no times (timestampevents = yes in manager.conf writes them): its packets are taken to be a millisecond \
             apart from 1970 on, and what is decided by waiting may come out otherwise",
        ),
        (
            lacks(b"\nActionID: pres-"),
            "nobody asked for CALLERID(pres) in it, as the adapter does: every caller is told as withheld. Only a recording of the \
             adapter's own connection (tcpdump of the manager's port) shows who called",
        ),
        (
            lacks(b"\nActionID: sync-channels"),
            "it does not begin with the lists that the adapter asks for: calls that were under way before it are not known, and \
             may look abandoned",
        ),
    ];
    told.into_iter().filter_map(|(lacks, words)| lacks.then_some(words))
}

/// Every file that was named, or stands in a folder that was, with its kind.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<(PathBuf, Kind)>> {
    let mut files = Vec::new();
    for path in paths {
        let named = path.display();
        let cannot = || format!("cannot read {named}");
        if !std::fs::metadata(path).with_context(cannot)?.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            if entry.file_type().with_context(cannot)?.is_dir() {
                bail!("{named} has a folder in it: name the folder itself that holds the messages");
            }
            inside.push(entry.path());
        }
        if inside.is_empty() {
            bail!("{named} is empty");
        }
        inside.sort();
        files.extend(inside);
    }
    files
        .into_iter()
        .map(|path| Ok((kind_of(&path)?, path)))
        .map(|found| found.map(|(kind, path)| (path, kind)))
        .collect()
}

fn kind_of(path: &Path) -> anyhow::Result<Kind> {
    let named = path.display();
    let mut head = Vec::new();
    let about = std::fs::metadata(path).with_context(|| format!("cannot open {named}"))?;
    if !about.is_file() {
        bail!(
            "{named} is no file: a pipe or a device cannot be read as a recording, so save it to a file first"
        );
    }
    let file = File::open(path).with_context(|| format!("cannot open {named}"))?;
    file.take(kind::ENOUGH as u64).read_to_end(&mut head).with_context(|| format!("cannot read {named}"))?;
    if head.starts_with(&[0x1F, 0x8B]) {
        bail!("{named} is compressed: unpack it first (gunzip)");
    }
    kind::of(&head).with_context(|| {
        format!(
            "{named} is no recording that can be read: neither pcap or pcapng, nor a transcript that begins with \
             \"Asterisk Call Manager\", nor HEP version 3, nor a SIP message"
        )
    })
}

fn transcript(path: &Path) -> anyhow::Result<Vec<u8>> {
    let named = path.display();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot open {named}"))?;
    file.take(LONGEST_TRANSCRIPT + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {named}"))?;
    if bytes.len() as u64 > LONGEST_TRANSCRIPT {
        bail!("{named} is longer than {} MiB: cut it between two calls", LONGEST_TRANSCRIPT >> 20);
    }
    Ok(bytes)
}

struct Player<W: Write> {
    replay: Replay,
    packets: Packets,
    printer: Printer<W>,
}

/// Prints events as they come, until it cannot.
struct Printer<W: Write> {
    out: W,
    printed: anyhow::Result<()>,
}

impl<W: Write> Printer<W> {
    fn print(&mut self, event: &Event) {
        if self.printed.is_ok() {
            let written = serde_json::to_writer(&mut self.out, event).map_err(io::Error::from);
            self.printed = written.and_then(|()| self.out.write_all(b"\n")).context("cannot write");
        }
    }

    fn check(&mut self) -> anyhow::Result<()> {
        std::mem::replace(&mut self.printed, Ok(()))
    }
}

impl<W: Write> Player<W> {
    fn file(&mut self, path: &Path, kind: Kind) -> anyhow::Result<()> {
        if kind == Kind::Ami {
            return Ok(());
        }
        let mut file = File::open(path)?;
        file.rewind()?;
        match kind {
            Kind::Capture => self.capture(file),
            Kind::HepWithLengths => self.with_lengths(BufReader::new(file)),
            Kind::Hep => self.hep(BufReader::new(file)),
            Kind::Sip | Kind::Ami => {
                let mut message = Vec::new();
                // One byte more than allowed: enough to be refused as too large.
                file.take(LARGEST as u64 + 1).read_to_end(&mut message)?;
                self.message(&message)
            }
        }
    }

    fn capture(&mut self, file: File) -> anyhow::Result<()> {
        let Player { replay, packets, printer } = self;
        capture::read(file, |packet| packets.take(&packet, replay, &mut |event| printer.print(&event)))?;
        Ok(())
    }

    fn with_lengths(&mut self, mut file: impl Read) -> anyhow::Result<()> {
        let (mut at, mut packets) = (0u64, 0u64);
        let broken = |why: &str, at: u64, packets: u64| {
            anyhow::anyhow!("{why}, after {packets} packets, at byte {at}")
        };
        let mut bytes = Vec::new();
        while let Some(head) =
            next::<4>(&mut file).map_err(|_| broken("it ends in the middle of a packet", at, packets))?
        {
            let length = u32::from_be_bytes(head);
            if length > u32::from(u16::MAX) {
                return Err(broken("a packet says that it is longer than 65,535 bytes", at, packets));
            }
            bytes.clear();
            bytes.resize(usize::try_from(length)?, 0);
            file.read_exact(&mut bytes)
                .map_err(|_| broken("it ends in the middle of a packet", at, packets))?;
            if !kind::is_hep(&bytes) {
                return Err(broken("what stands there is no HEP packet", at, packets));
            }
            self.message(&bytes)?;
            at += 4 + u64::from(length);
            packets += 1;
        }
        Ok(())
    }

    fn hep(&mut self, mut file: impl Read) -> anyhow::Result<()> {
        let (mut at, mut packets) = (0u64, 0u64);
        let broken = |why: &str, at: u64, packets: u64| {
            anyhow::anyhow!("{why}, after {packets} packets, at byte {at}")
        };
        let mut bytes = Vec::new();
        while let Some(head) = next::<{ packet::HEAD }>(&mut file)
            .map_err(|_| broken("it ends in the middle of a packet", at, packets))?
        {
            let length = packet::length(head)
                .map_err(|_| broken("what stands there is no HEP packet", at, packets))?;
            bytes.clear();
            bytes.resize(length, 0);
            let (start, rest) = bytes.split_at_mut(packet::HEAD);
            start.copy_from_slice(&head);
            file.read_exact(rest).map_err(|_| broken("it ends in the middle of a packet", at, packets))?;
            self.message(&bytes)?;
            at += length as u64;
            packets += 1;
        }
        Ok(())
    }

    fn message(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let Player { replay, printer, .. } = self;
        replay.message(Place::default(), bytes, &mut |event| printer.print(&event));
        printer.check()
    }
}

/// So many bytes; `None` at the end of the file.
fn next<const N: usize>(file: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut head = [0; N];
    if file.read(head.get_mut(..1).unwrap_or_default())? == 0 {
        return Ok(None);
    }
    file.read_exact(head.get_mut(1..).unwrap_or_default())?;
    Ok(Some(head))
}

/// A line to standard error; `eprintln!` would panic where nobody listens.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
