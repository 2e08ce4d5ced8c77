//! Each fuzz entry over its seeds and 100,000 mutations of them, the same ones in every run. A parser is added
//! with one line at the top and a folder of seeds. What fails is printed in full, to be made a seed.

use std::path::Path;

use pinkas_sip_adapter::fuzz;

/// A test per parser: its name, its entry, its folder in `fuzz/seeds`.
macro_rules! fuzzed {
    ($($test:ident: $entry:path, $seeds:literal;)*) => {
        $(#[test]
        fn $test() {
            run($seeds, $entry);
        })*
    };
}

fuzzed! {
    any_sip_message_is_read_or_refused: fuzz::sip, "sip";
    any_message_becomes_canonical_once_or_is_refused: fuzz::canonical, "sip";
    no_address_is_ever_read_out_of_quotes: fuzz::name_addr, "name_addr";
    any_dialog_info_is_read_or_refused: fuzz::dialog_info, "dialog_info";
    any_hep_packet_is_read_or_refused: fuzz::hep::packet, "hep";
    whatever_is_heard_of_calls_they_end: fuzz::hep::legs, "legs";
    any_manager_connection_is_heard_and_its_calls_end: fuzz::ami, "ami";
    any_capture_is_played_and_its_calls_end: fuzz::pcap, "pcap";
}

const MUTATIONS: usize = 100_000;
const FEWEST_SEEDS: usize = 20;

fn run(folder: &str, entry: fn(&[u8])) {
    let seeds = seeds(folder);
    assert!(seeds.len() >= FEWEST_SEEDS, "{folder} has only {} seeds", seeds.len());
    for seed in &seeds {
        try_one(entry, seed);
    }
    let mut mutator = Mutator { state: 0x9E37_79B9_7F4A_7C15, seeds: &seeds };
    for _ in 0..MUTATIONS {
        try_one(entry, &mutator.next());
    }
}

fn try_one(entry: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = std::panic::catch_unwind(|| entry(input)) {
        eprintln!("this input fails: {}", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// The files of a folder in the order of their names, so that every run is the same.
fn seeds(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

/// Bytes at which parsers take a turn.
const TURNS: &[u8] = b"\r\n \t:;,<>\"\\@%=?[]/.&\0\x80\xE0\xFF";

/// What a forger or a broken phone system would write.
const PIECES: &[&str] = &[
    "\r\n\r\n",
    "\r\n ",
    "\"",
    "\\\"",
    "<sip:evil@bank>",
    ">,<",
    ";tag=",
    "%00",
    "%2B",
    "tel:+48123456789",
    ";phone-context=+48",
    "\r\nPrivacy: id\r\n",
    "\r\nX-Customer: +491701234567\r\n",
    "\r\nFrom: <sip:evil@bank>\r\n",
    "\r\ni: evil\r\n",
    "SIP/2.0",
    "anonymous@anonymous.invalid",
    "=?UTF-8?B?",
    "?=",
    "Q-support: ",
    "\u{202E}",
    "דנה",
    "99999999999999999999",
    "]]>",
    "<![CDATA[",
    "&#x0;",
    "&amp;",
    "<dialog id=\"x\">",
    "</dialog>",
    "<!--",
    "-->",
    "<?",
    ";verstat=TN-Validation-Passed-A",
];

struct Mutator<'a> {
    state: u64,
    seeds: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    fn next(&mut self) -> Vec<u8> {
        let mut input = self.seed().to_vec();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(64) + 1);
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = TURNS[self.below(TURNS.len())],
            2 => input.insert(at, TURNS[self.below(TURNS.len())]),
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            5 => {
                let piece = PIECES[self.below(PIECES.len())];
                input.splice(at..end, piece.bytes());
            }
            6 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => input.truncate(input.len() - self.below(input.len() / 8 + 1)),
        }
    }

    fn seed(&mut self) -> &'a [u8] {
        let seeds = self.seeds;
        &seeds[self.below(seeds.len())]
    }

    /// A number below `bound`, by xorshift64* (Vigna 2016).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound.max(1)
    }
}
