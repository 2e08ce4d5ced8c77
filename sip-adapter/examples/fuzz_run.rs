//! Runs one fuzz target so many times in one thread, without a fuzzer: mutations of its seeds, the same in every run.
//! Says how fast, how long the slowest took, and how much memory the process ever had. `docs/fuzzing.md` has the
//! figures. Not a test: it is for the millions that a test has no time for.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pinkas_sip_adapter::fuzz;

type Target = (&'static str, &'static str, fn(&[u8]));

/// Name, folder of seeds, entry.
const TARGETS: &[Target] = &[
    ("sip", "sip", fuzz::sip),
    ("canonical", "sip", fuzz::canonical),
    ("name_addr", "name_addr", fuzz::name_addr),
    ("dialog_info", "dialog_info", fuzz::dialog_info),
    ("hep", "hep", fuzz::hep::packet),
    ("legs", "legs", fuzz::hep::legs),
    ("ami", "ami", fuzz::ami),
    ("pcap", "pcap", fuzz::pcap),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().and_then(|name| TARGETS.iter().find(|target| target.0 == name));
    let count = arguments.next().and_then(|count| count.parse::<u64>().ok());
    let seed = arguments.next().and_then(|seed| seed.parse::<u64>().ok()).unwrap_or(1);
    let (Some((name, folder, entry)), Some(count)) = (target, count) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.0).collect();
        eprintln!("usage: fuzz_run TARGET COUNT [SEED]; targets: {}", names.join(", "));
        return ExitCode::FAILURE;
    };
    let seeds = seeds(folder);
    let mut mutator = Mutator { state: 0x9E37_79B9_7F4A_7C15 ^ seed.max(1), seeds: &seeds };
    let (mut slowest, mut slow_input, mut spent) = (Duration::ZERO, Vec::new(), Duration::ZERO);
    for _ in 0..count {
        let input = mutator.next();
        let (took, ended) = timed(*entry, &input);
        if ended.is_err() {
            eprintln!("{name} fails on this input: {}", input.escape_ascii());
            return ExitCode::FAILURE;
        }
        spent += took;
        if took > slowest {
            // The machine may have paused it: the best of three more is what the input costs.
            let again = (0..3).map(|_| timed(*entry, &input).0).min().unwrap_or(took).min(took);
            if again > slowest {
                (slowest, slow_input) = (again, input);
            }
        }
    }
    println!(
        "{name}: {count} executions, {:.1} µs each, slowest {:.2} ms (an input of {} bytes), peak {} MiB",
        spent.as_secs_f64() * 1e6 / count as f64,
        slowest.as_secs_f64() * 1e3,
        slow_input.len(),
        peak_kib() / 1024,
    );
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_methods, reason = "a measurement: the time it takes is what is asked for")]
fn timed(entry: fn(&[u8]), input: &[u8]) -> (Duration, std::thread::Result<()>) {
    let started = Instant::now();
    let ended = std::panic::catch_unwind(|| entry(input));
    (started.elapsed(), ended)
}

/// The most memory this process has had; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files.iter().filter_map(|file| std::fs::read(file).ok()).collect()
}

/// Words that these languages are made of, besides what the seeds hold.
const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\r\n ",
    b": ",
    b"\"",
    b"\\\"",
    b"<",
    b">",
    b"<sip:evil@bank>",
    b";tag=",
    b"%00",
    b"SIP/2.0",
    b"HEP3",
    b"INVITE ",
    b"BYE ",
    b"CANCEL ",
    b"Privacy: id",
    b"Content-Length: 99999999999",
    b"<dialog id=\"x\">",
    b"</dialog>",
    b"<!--",
    b"]]>",
    b"&amp;",
    b"Event: Hangup\r\n",
    b"Linkedid: 1.0\r\n",
    b"Timestamp: 99999999999.9",
    b"Asterisk Call Manager/",
    b"\0\0\0\0",
    b"\xFF\xFF\xFF\xFF",
    b"\xE2\x80\xAE",
    b"=?UTF-8?B?",
    b"99999999999999999999",
    b"-1",
];

/// The longest input.
const LONGEST: usize = 64 * 1024;

struct Mutator<'a> {
    state: u64,
    seeds: &'a [Vec<u8>],
}

impl Mutator<'_> {
    fn next(&mut self) -> Vec<u8> {
        let mut input = self.seeds[self.below(self.seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        // Now and then a large part; mostly a few bytes.
        let most = [4, 4, 16, 64, 512][self.below(5)];
        let end = at + self.below((input.len() - at).min(most) + 1);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.byte(),
            2 => input.insert(at, self.byte()),
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].repeat([1, 1, 2, 40][self.below(4)]);
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            5 => drop(input.splice(at..end, WORDS[self.below(WORDS.len())].iter().copied())),
            6 => {
                let other = &self.seeds[self.below(self.seeds.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            7 => {
                let small = [0, 1, 4, 8, 20, 255][self.below(6)];
                input[at..end].fill(small);
            }
            _ => input.truncate(at.max(input.len() / 2)),
        }
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }

    /// A number below `bound`, by xorshift64* (Vigna 2016).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}
