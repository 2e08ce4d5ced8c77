//! The commands an administrator has for the record of a hub that does not run.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use pinkas_protocol::{CustomerKey, NumberPlan};

use super::{LastErased, Whom, erase, export, export_csv, import, print_log, print_seen};
use crate::last;

/// What can be done with the record.
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Print the call log of a stopped hub, one JSON line for each event
    Log {
        /// Print instead who was shown which customer's cards on which call
        #[arg(long)]
        seen: bool,
    },
    /// Print the whole record of a stopped hub as JSON lines, or its calls as CSV
    Export {
        /// The calls that are over, as CSV
        #[arg(long)]
        csv: bool,
    },
    /// Read what `export` printed into the record of a stopped hub; twice is as once
    Import {
        /// The file
        file: PathBuf,
    },
    /// Erase one caller or customer from the record of a stopped hub, with all calls and notes
    #[command(group(clap::ArgGroup::new("whom").required(true).multiple(true)))]
    Erase {
        /// As people write it, for example 050-123-4567
        #[arg(long, group = "whom")]
        number: Option<String>,
        /// The key in the company's directory
        #[arg(long, group = "whom")]
        customer: Option<CustomerKey>,
    },
}

impl RecordCommand {
    /// Does it, and says on `out` what was done.
    pub fn run(self, place: &last::Place, numbers: &NumberPlan, out: &mut impl Write) -> anyhow::Result<()> {
        let state = &place.state;
        match self {
            RecordCommand::Log { seen: true } => print_seen(state, out),
            RecordCommand::Log { seen: false } => print_log(state, out),
            RecordCommand::Export { csv: true } => export_csv(state, out),
            RecordCommand::Export { csv: false } => export(state, out),
            RecordCommand::Import { file } => {
                let from = File::open(&file).with_context(|| format!("cannot read {}", file.display()))?;
                let mut said = Ok(());
                let told = |rows| {
                    if said.is_ok() {
                        said = writeln!(out, "on the disk: {rows} rows").and_then(|()| out.flush());
                    }
                };
                let done = import(state, BufReader::new(from), told)
                    .with_context(|| format!("{} cannot be imported to its end", file.display()))?;
                said?;
                writeln!(out, "new: {}, known already: {}", done.new, done.known)?;
                Ok(())
            }
            RecordCommand::Erase { number, customer } => {
                let number = number
                    .map(|number| {
                        let read = numbers.read(&number);
                        let key = read.as_ref().and_then(|number| number.key());
                        key.map(str::to_owned)
                            .context("this is no phone number: write it with its country code")
                    })
                    .transpose()?;
                let erased = erase(state, &place.key, &Whom { number, customer })?;
                writeln!(
                    out,
                    "erased: {} calls, {} rows; mentions taken out of {} rows. Backups and earlier exports are not touched",
                    erased.calls, erased.rows, erased.cleaned
                )?;
                match erased.last {
                    LastErased { all: true, .. } => {
                        writeln!(
                            out,
                            "the last figures of the sources could not be read, so all are deleted"
                        )?;
                    }
                    LastErased { answers, .. } => {
                        writeln!(out, "last figures of sources: {answers} answers")?
                    }
                }
                for beside in erased.not_looked_into {
                    writeln!(out, "not looked into: {}", beside.display())?;
                }
                Ok(())
            }
        }
    }
}
