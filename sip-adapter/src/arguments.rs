//! What the program can be asked on its command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use pinkas_protocol::Line;

/// Hears a phone system and tells the Pinkas hub who is calling whom. Without a command it runs until Ctrl-C
#[derive(Parser)]
#[command(name = "pinkas-sip-adapter", version)]
pub struct Args {
    /// Configuration file (TOML)
    #[arg(long, short, global = true, default_value = "adapter.toml")]
    pub config: PathBuf,
    /// Print a commented configuration to start from, and end
    #[arg(long)]
    pub print_default: bool,
    /// What to do instead of hearing
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of hearing.
#[derive(Subcommand)]
pub enum Command {
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
