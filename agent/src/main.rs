//! The program `pinkas-agent`: reads the command line and starts the window or the headless loop.
//! Exit code 2 means that the command line or the configuration is wrong.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Shows who is calling and how you stand with them while the phone rings.
///
/// Secrets are never written in the configuration file itself: `secret_env` names an environment
/// variable, `secret_file` a file. PINKAS_LOG sets how much is logged to stderr (default: info).
#[derive(Parser)]
#[command(name = "pinkas-agent", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    file: Option<ConfigFile>,
    /// Show no window: print each event as one JSON line, read commands as JSON lines from stdin.
    #[arg(long, requires = "config")]
    headless: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Read the configuration and say everything that is wrong with it.
    Check(ConfigFile),
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration file (TOML): `agent`, `secret_env` or `secret_file`, `hub`, `theme`, `popup`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("PINKAS_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,winit=error,pinkas_agent=info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let done = match (cli.command, cli.file, cli.headless) {
        (Some(Command::Check(file)), ..) => pinkas_agent::config::check(&file.config),
        (None, Some(file), true) => pinkas_agent::headless::start(&file.config),
        (None, Some(file), false) => pinkas_agent::app::start(&file.config),
        (None, None, _) => Err(anyhow::anyhow!("say which configuration to use: --config FILE")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::from(if e.is::<pinkas_agent::config::Mistakes>() { 2 } else { 1 })
        }
    }
}
