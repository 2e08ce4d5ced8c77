//! Reads a recorded connection again: raw bytes as the phone system sent them, to what is so. Always the
//! same result. Pure.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::packet::{Decoder, Packet, Piece};
use super::tracker::{Output, Settings, Tracker};
use crate::hear::Heard;

/// The largest part of a recording that is looked at before its packets are taken.
const PART: usize = 16 * 1024;

/// Reads a recording. Its time is that of the packets' `Timestamp` (`timestampevents = yes` in
/// `manager.conf`); a packet without one comes a millisecond after the last. Where the recording holds
/// the lists a connection begins with, nothing is told before they are complete, as when it was heard.
/// What the adapter asked is in a recording only by its answers; a caller of whom no answer tells that
/// they may be shown is told as withheld.
pub fn replay(recording: &[u8], settings: &Settings) -> Vec<Heard> {
    let mut all = Vec::new();
    let _to_its_end = replay_to(recording, settings, &mut |heard| {
        all.push(heard);
        ControlFlow::Continue(())
    });
    all
}

/// As [`replay`], word by word, for as long as they are wanted: a recording may hold more of them than fit in memory.
pub fn replay_to(
    recording: &[u8],
    settings: &Settings,
    each: &mut dyn FnMut(Heard) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut reader = Reader::new(recording, settings);
    for part in recording.chunks(PART) {
        reader.take(part);
        reader.heard.drain(..).try_for_each(&mut *each)?;
    }
    reader.finish().into_iter().try_for_each(each)
}

/// Replays any bytes and must not panic: the entry for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    let lines = ["101", "102", "103"].into_iter().filter_map(|line| line.parse().ok()).collect();
    let patterns = ["PJSIP/{line}"].into_iter().filter_map(|pattern| pattern.parse().ok()).collect();
    let settings = Settings { lines, rules: Arc::default(), patterns, most_channels: 1_000 };
    let _heard = replay(bytes, &settings);
}

struct Reader {
    decoder: Decoder,
    tracker: Tracker,
    first: Timestamp,
    at: Timestamp,
    heard: Vec<Heard>,
}

impl Reader {
    fn new(recording: &[u8], settings: &Settings) -> Reader {
        let with_lists = recording.windows(LIST.len()).any(|part| part == LIST);
        let tracker = match with_lists {
            true => Tracker::new(settings.clone()),
            false => Tracker::without_lists(settings.clone()),
        };
        let first = first_timestamp(recording);
        Reader { decoder: Decoder::new(settings.rules.charset), tracker, first, at: first, heard: Vec::new() }
    }

    fn take(&mut self, part: &[u8]) {
        self.decoder.push(part);
        while let Some(piece) = self.decoder.next_piece() {
            if let Piece::Packet(packet) = piece {
                self.packet(&packet);
            }
        }
    }

    fn packet(&mut self, packet: &Packet) {
        let said = packet.known("Timestamp").and_then(timestamp);
        let counted = self.at.saturating_add(jiff::SignedDuration::from_millis(1)).unwrap_or(self.at);
        // A clock that was set back does not make time go back.
        self.at = said.map_or(counted, |said| said.max(self.at));
        let uptime = self.uptime(self.at);
        self.tick_until(uptime);
        let output = self.tracker.take(self.at, uptime, packet);
        self.note(output);
    }

    fn tick_until(&mut self, uptime: Duration) {
        while let Some(due) = self.tracker.next_tick().filter(|due| *due <= uptime) {
            let output = self.tracker.tick(self.at, due);
            self.note(output);
        }
    }

    fn uptime(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.first)).unwrap_or_default()
    }

    fn note(&mut self, output: Output) {
        self.heard.extend(output.heard);
    }

    /// What was still to be told when the recording ended.
    fn finish(mut self) -> Vec<Heard> {
        let end = self.uptime(self.at) + Duration::from_secs(10);
        self.tick_until(end);
        self.heard
    }
}

const LIST: &[u8] = b"ActionID: sync-channels";

/// Answers at the beginning carry no time; theirs is that of the first event that does.
fn first_timestamp(recording: &[u8]) -> Timestamp {
    let at = recording.windows(STAMP.len()).position(|part| part == STAMP).map(|at| at + STAMP.len());
    let rest = at.and_then(|at| recording.get(at..)).unwrap_or_default();
    let number = rest.iter().take(20).take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let number: String = number.map(|byte| char::from(*byte)).collect();
    timestamp(&number).unwrap_or(Timestamp::UNIX_EPOCH)
}

const STAMP: &[u8] = b"\nTimestamp: ";

fn timestamp(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let micros: i32 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, micros * 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_changed_at_random_are_replayed_without_a_panic() {
        let corpus = [
            include_bytes!("../../../tests/traces/ami/22-blind.txt").as_slice(),
            include_bytes!("../../../tests/traces/ami/16-attended.txt").as_slice(),
            include_bytes!("../../../tests/traces/ami/22-resync_talking_and_ringing.txt").as_slice(),
        ];
        // A plain generator (xorshift): the same changes in every run.
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            usize::try_from(seed % below as u64).unwrap_or(0)
        };
        for round in 0..300 {
            let mut changed = corpus[round % corpus.len()].to_vec();
            for _ in 0..60 {
                let (at, from) = (random(changed.len()), random(changed.len()));
                let length = random(40).min(changed.len() - from);
                let part = changed[from..from + length].to_vec();
                match random(3) {
                    0 => changed[at] = u8::try_from(random(256)).unwrap_or(0),
                    1 => drop(changed.splice(at..at, part)),
                    _ => drop(changed.drain(from..from + length)),
                }
            }
            fuzz(&changed);
        }
    }
}
