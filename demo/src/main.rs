//! The demo as a program.

use std::process::ExitCode;

use clap::Parser;
use pinkas_config::program;
use pinkas_demo::run::{self, Demo, Screen};

/// The whole of Pinkas on this machine, with a pretend phone system and a sample company.
///
/// Opens Ana's window where there is a display; without one, shows her cards in the terminal.
#[derive(Parser)]
#[command(name = "pinkas-demo", version)]
struct Args {
    /// Show cards in the terminal even where there is a display
    #[arg(long)]
    terminal: bool,
    /// End after this many calls
    #[arg(long)]
    calls: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program::log_to_stderr("warn");
    let display = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    let screen = if display && !args.terminal { Screen::Window } else { Screen::Terminal };
    program::run_until_signal(|stop| run::run(Demo { screen, calls: args.calls }, stop))
}
