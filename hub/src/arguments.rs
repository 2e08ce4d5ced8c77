//! The command line of the hub, and which part of the program each command is.

use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pinkas_config::program;
use pinkas_protocol::AgentId;

use crate::access::command::{self, PasswordFrom, UserCommand};
use crate::admin::{Simulate, Why};
use crate::check::{self, Level};
use crate::store::RecordCommand;
use crate::{config, lookup, run};

/// Gathers what a company knows about a caller and tells the agent whose phone rings
#[derive(Debug, Parser)]
#[command(name = "pinkas-hub", version)]
pub struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, short, global = true, default_value = "hub.toml")]
    config: PathBuf,
    /// Print a commented configuration to start from, and end
    #[arg(long)]
    print_default: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the configuration and tell every mistake in it, then ask every source and tell what it answered
    Check {
        /// Ask as a call from this number would; without it, about a caller and a customer that do not exist
        #[arg(long)]
        number: Option<String>,
        /// Only read the file, its secrets and CSV files
        #[arg(long, conflicts_with = "number")]
        offline: bool,
    },
    /// Write a first configuration, an adapter's secret and an admin; changes nothing that is there
    Init {
        /// The name the first admin logs in with
        #[arg(long, default_value = "admin")]
        admin: AgentId,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Add and change people with passwords; a running hub follows within seconds
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Ask every source about a number and print what each says
    Lookup {
        /// As people write it, for example 050-123-4567
        number: String,
    },
    /// Tell what happened to a call, and why it popped or did not; the hub may run
    Why(Why),
    /// Pretend a call in the running hub, marked as a trial on the screen and left out of the record
    Simulate(Simulate),
    #[command(flatten)]
    Record(RecordCommand),
}

impl Arguments {
    /// Does what was asked.
    pub fn run(self) -> ExitCode {
        if self.print_default {
            print!("{}", config::DEFAULT);
            return ExitCode::SUCCESS;
        }
        if let Some(Command::Init { admin, password }) = &self.command {
            return ended(command::init(&self.config, admin, *password, &mut stdin().lock(), &mut stdout()));
        }
        let config = match config::load(&self.config) {
            Ok(config) => config,
            Err(mistakes) => return program::wrong(&mistakes),
        };
        match self.command {
            Some(Command::Check { number, offline }) => {
                println!("{}: no mistakes; {}", self.config.display(), config.summary());
                if offline {
                    return ExitCode::SUCCESS;
                }
                let mut worst = Level::Good;
                let ended = program::print_until_signal(async |stop| {
                    let mut out = stdout();
                    tokio::select! {
                        found = check::check(config, number.as_deref(), &mut out) => worst = found?,
                        () = stop.cancelled() => anyhow::bail!("stopped before every source was asked"),
                    }
                    Ok(())
                });
                if worst == Level::Broken { ExitCode::FAILURE } else { ended }
            }
            Some(Command::User { command }) => {
                ended(command::user(&config.access, command, &mut stdin().lock(), &mut stdout()))
            }
            Some(Command::Lookup { number }) => program::print_until_signal(async |_| {
                Ok(lookup::lookup(config, &number, &mut stdout()).await?)
            }),
            Some(Command::Why(why)) => {
                program::print_until_signal(async |_| why.run(&config, &mut stdout()).await)
            }
            Some(Command::Simulate(simulate)) => {
                program::print_until_signal(async |stop| simulate.run(&config, &mut stdout(), &stop).await)
            }
            Some(Command::Record(command)) => program::print_until_signal(async |_| {
                command.run(&config.last_known, &config.numbers, &mut stdout().lock())
            }),
            Some(Command::Init { .. }) | None => {
                program::run_on_one_thread_until_signal(async |stop| run::run_here(config, stop).await)
            }
        }
    }
}

fn ended(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:#}");
            ExitCode::FAILURE
        }
    }
}
