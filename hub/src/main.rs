//! The hub as a program.

use std::process::ExitCode;

use clap::Parser;
use pinkas_config::program;
use pinkas_hub::arguments::Arguments;

/// An event takes some hundred small pieces of memory, most for a moment.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::log_to_stderr("info");
    arguments.run()
}
