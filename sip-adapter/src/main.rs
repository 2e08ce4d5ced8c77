//! The adapter as a program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pinkas_config::program;
use pinkas_sip_adapter::{config, run};

/// Hears a phone system over SIP and tells the Pinkas hub who is calling whom.
#[derive(Parser)]
#[command(name = "pinkas-sip-adapter", version)]
struct Args {
    /// Configuration file (TOML)
    #[arg(long, short, global = true, default_value = "adapter.toml")]
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
    if let Some(Command::Check) = args.command {
        println!(
            "{}: no mistakes; {} lines at {}",
            args.config.display(),
            config.pbx.lines.len(),
            config.pbx.address
        );
        return ExitCode::SUCCESS;
    }
    program::run_until_signal(|stop| run::run(config, stop))
}
