//! The command `explain`: one message from standard input, what was understood to standard output.
//! Reads at most one byte more than the largest message, so it ends whatever it is fed.

use std::io::{Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use pinkas_config::program;

use crate::config;
use crate::sip::canonical::LARGEST;
use crate::sip::identity::Rules;

const USAGE: &str = "nothing came on standard input: put one SIP message into a file, as it was on the wire, and write \
     `pinkas-sip-adapter explain < message.txt`; --peer 192.0.2.10 says who sent it";

/// Explains what comes from standard input, by the `[pbx]` of `file` where that file is there.
pub fn explain(file: &Path, peer: Option<IpAddr>) -> ExitCode {
    let (rules, hep) = if file.exists() {
        match config::load_described(file) {
            Ok((described, mistakes)) => {
                if mistakes.is_some() {
                    tell(&format!("{} has mistakes (see `check`); its [pbx] is used", file.display()));
                }
                (described.pbx.rules, described.hep)
            }
            Err(mistakes) => return program::wrong(&mistakes),
        }
    } else {
        tell(&format!("there is no {}: explained as without a configuration", file.display()));
        (Arc::new(Rules::default()), None)
    };
    let joined_by = hep.map_or_else(|| config::CALL_ID_HEADER.to_owned(), |hep| hep.call_id_header);
    let mut bytes = Vec::new();
    // One byte more than allowed: enough to be refused as too large.
    if let Err(e) = std::io::stdin().take(LARGEST as u64 + 1).read_to_end(&mut bytes) {
        tell(&format!("cannot read standard input: {e}"));
        return ExitCode::FAILURE;
    }
    if bytes.is_empty() {
        tell(USAGE);
        return ExitCode::FAILURE;
    }
    match super::explain(&bytes, peer, &rules, &joined_by) {
        Ok(said) => {
            let told = writeln!(std::io::stdout(), "{said:#}");
            if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            tell(&why.to_string());
            ExitCode::FAILURE
        }
    }
}

/// A line to standard error; `eprintln!` would panic where nobody listens.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
