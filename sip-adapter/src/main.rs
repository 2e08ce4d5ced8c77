//! The adapter as a program.

use std::process::ExitCode;

use clap::Parser;
use pinkas_config::program;
use pinkas_sip_adapter::arguments::{Args, Command};
use pinkas_sip_adapter::{check, config, explain, replay, run};

/// Reading a message takes a hundred small pieces of memory, each for a moment, on one thread.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    // A check says itself what it finds.
    program::log_to_stderr(if matches!(args.command, Some(Command::Check { .. })) { "off" } else { "info" });
    if args.print_default {
        print!("{}", config::DEFAULT);
        return ExitCode::SUCCESS;
    }
    if let Some(Command::Explain { peer }) = args.command {
        return explain::command::explain(&args.config, peer);
    }
    if let Some(Command::Replay { paths, lines }) = args.command {
        return replay::command::replay(&args.config, &paths, lines);
    }
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(mistakes) => return program::wrong(&mistakes),
    };
    if let Some(Command::Check { offline }) = args.command {
        println!("{}: no mistakes; {} lines", args.config.display(), config.pbx.lines.len());
        return if offline { ExitCode::SUCCESS } else { check::command(&config) };
    }
    program::run_on_one_thread_until_signal(|stop| run::run(config, stop))
}
