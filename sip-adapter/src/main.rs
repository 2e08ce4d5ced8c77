//! The adapter as a program.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pinkas_config::program;
use pinkas_sip_adapter::{check, config, explain, run};

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
    /// Read the configuration, connect to the phone system, tell what works and what does not, and end
    Check {
        /// Only read the configuration
        #[arg(long)]
        offline: bool,
    },
    /// Read one SIP message from standard input and tell as JSON what is understood of it
    Explain {
        /// The address it came from, to see what is believed from there
        #[arg(long, value_name = "IP")]
        peer: Option<IpAddr>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::log_to_stderr("info");
    if args.print_default {
        print!("{}", config::DEFAULT);
        return ExitCode::SUCCESS;
    }
    if let Some(Command::Explain { peer }) = args.command {
        return explain::command::explain(&args.config, peer);
    }
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(mistakes) => return program::wrong(&mistakes),
    };
    if let Some(Command::Check { offline }) = args.command {
        println!("{}: no mistakes; {} lines", args.config.display(), config.pbx.lines.len());
        return if offline { ExitCode::SUCCESS } else { program::run_until_signal(|_| check::run(config)) };
    }
    program::run_until_signal(|stop| run::run(config, stop))
}
