//! The program `pinkas-agent`: reads the command line and starts the window or the headless loop.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pinkas_agent::{app, config, headless};
use pinkas_config::program;

/// Shows who is calling and how you stand with them while the phone rings.
#[derive(Parser)]
#[command(name = "pinkas-agent", version)]
struct Args {
    /// Configuration file (TOML)
    #[arg(long, short, global = true, default_value = "agent.toml")]
    config: PathBuf,
    /// Print a commented configuration to start from, and end
    #[arg(long)]
    print_default: bool,
    /// Show no window: print each event as one JSON line, read commands as JSON lines from stdin
    #[arg(long)]
    headless: bool,
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
    program::log_to_stderr("info,winit=error,eframe=warn,egui=warn");
    if args.print_default {
        print!("{}", config::DEFAULT);
        return ExitCode::SUCCESS;
    }
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(mistakes) => return program::wrong(&mistakes),
    };
    let done = match args.command {
        Some(Command::Check) => {
            println!("{}: no mistakes; {} at {}", args.config.display(), config.agent, config.hub);
            Ok(())
        }
        None if args.headless => headless::start(config),
        None => app::start(config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e:#}");
            ExitCode::FAILURE
        }
    }
}
