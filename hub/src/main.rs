//! The hub as a program.

use std::process::ExitCode;

use clap::Parser;
use pinkas_config::program;
use pinkas_hub::arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::log_to_stderr("info");
    arguments.run()
}
