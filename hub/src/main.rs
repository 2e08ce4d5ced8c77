//! The hub as a program.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use pinkas_config::program;
use pinkas_hub::{config, lookup, run, store::RecordCommand};

/// Gathers what a company knows about a caller and tells the agent whose phone rings
#[derive(Parser)]
#[command(name = "pinkas-hub", version)]
struct Args {
    /// Configuration file (TOML)
    #[arg(long, short, global = true, default_value = "hub.toml")]
    config: PathBuf,
    /// Print a commented configuration to start from, and end
    #[arg(long)]
    print_default: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Read the configuration, tell every mistake in it, and end
    Check,
    /// Ask every source about a number and print what each says
    Lookup {
        /// As people write it, for example 050-123-4567
        number: String,
    },
    #[command(flatten)]
    Record(RecordCommand),
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::log_to_stderr("info");
    if args.print_default {
        print!("{}", config::DEFAULT);
        return ExitCode::SUCCESS;
    }
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(mistakes) => return program::wrong(&mistakes),
    };
    match args.command {
        Some(Command::Check) => {
            println!("{}: no mistakes; {}", args.config.display(), config.summary());
            ExitCode::SUCCESS
        }
        Some(Command::Lookup { number }) => program::print_until_signal(async |_| {
            Ok(lookup::lookup(config, &number, &mut std::io::stdout()).await?)
        }),
        Some(Command::Record(command)) => program::print_until_signal(async |_| {
            command.run(&config.state, &config.numbers, &mut std::io::stdout().lock())
        }),
        None => program::run_until_signal(async |stop| run::run_here(config, stop).await),
    }
}
