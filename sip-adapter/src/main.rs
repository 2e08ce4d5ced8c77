//! The adapter as a program.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pinkas_config::program;
use pinkas_protocol::Line;
use pinkas_sip_adapter::{check, config, explain, replay, run};

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
    /// Read recordings of a phone system again and print the events the hub would have been told, as JSON lines
    ///
    /// What is printed holds callers' numbers and names: treat it as you treat the recording.
    ///
    /// A recording is a pcap or pcapng file, a transcript of a manager connection (it begins with "Asterisk Call
    /// Manager"), a file of HEP packets (one after the other, or each behind its length in four bytes), a SIP message,
    /// or a folder of such files, which are read in the order of their names. What a file is, is found out from its
    /// content. All that is named is taken for one recording: manager connections are played in between the SIP
    /// messages by their time, captures one after the other as they are named.
    ///
    /// In captures SIP and HEP are found on any port, over UDP (also in fragments) and TCP, with IPv4 and IPv6,
    /// on Ethernet, Linux cooked, loopback and raw IP. TLS, WebSocket and tunnels are not read. SIP messages without a time of
    /// their own are taken to be 100 ms apart; transcripts need timestampevents = yes in manager.conf.
    ///
    /// Time is the recording's; after its end it goes on until every call has ended. The same recording always
    /// gives the same output. Lines and how callers are read come from the configuration, if there is one.
    #[command(verbatim_doc_comment)]
    Replay {
        /// The recordings
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The lines to follow, instead of those in the configuration
        #[arg(long, value_delimiter = ',', value_name = "LINE,…")]
        lines: Vec<Line>,
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
    if let Some(Command::Replay { paths, lines }) = args.command {
        return replay::command::replay(&args.config, &paths, lines);
    }
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(mistakes) => return program::wrong(&mistakes),
    };
    if let Some(Command::Check { offline }) = args.command {
        println!("{}: no mistakes; {} lines", args.config.display(), config.pbx.lines.len());
        return if offline { ExitCode::SUCCESS } else { program::run_until_signal(|_| check::print(config)) };
    }
    program::run_until_signal(|stop| run::run(config, stop))
}
