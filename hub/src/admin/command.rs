//! The commands `why` and `simulate`: asks the hub that runs, or for `why` reads the record of one that does
//! not, and prints it for a person or as JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use pinkas_protocol::{
    CallFacts, CallId, Caller, Line, Number, NumberPlan, Private, QueueName, TagName, wire,
};
use tokio_util::sync::CancellationToken;

use super::Asked;
use super::words::told;
#[cfg(unix)]
use super::{Answered, dial};
use crate::access;
use crate::config::Config;
use crate::core::{Account, Hub, Outputs, Which};
use crate::store;

/// What happened to a call, and why it popped or did not.
#[derive(Debug, Args)]
pub struct Why {
    /// A call's id, a number as people write it, or `last`
    #[arg(default_value = "last")]
    which: String,
    /// Above all at this phone; of `last` and a number: the last call there
    #[arg(long)]
    line: Option<Line>,
    /// For programs: all of it as one JSON object
    #[arg(long)]
    json: bool,
}

/// A pretended call in a running hub, to see a pop without a phone.
#[derive(Debug, Args)]
pub struct Simulate {
    /// Who is to call, as people write numbers
    #[arg(long)]
    number: String,
    /// The phone that is to ring; without it only supervisors see the call
    #[arg(long)]
    line: Option<Line>,
    /// The queue that is called
    #[arg(long)]
    queue: Option<QueueName>,
    /// What the phone system would say besides, such as customer=1001; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Vec<String>,
    /// How long it rings, such as 20s or 2m
    #[arg(long = "for", value_name = "TIME", default_value = "20s")]
    lasts: String,
    /// For programs: what happened as one JSON object
    #[arg(long)]
    json: bool,
}

impl Why {
    /// Prints it.
    pub async fn run(self, config: &Config, out: &mut impl Write) -> anyhow::Result<()> {
        let which = which(&self.which, &config.numbers)?;
        let account = match running(config, &which, self.line.as_ref()).await? {
            Some(account) => account,
            None => stopped(config, &which, self.line.as_ref())?,
        };
        print(&account, self.json, out)
    }
}

fn print(account: &Account, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    match json {
        true => writeln!(out, "{}", wire::encode(account))?,
        false => write!(out, "{}", told(account))?,
    }
    Ok(())
}

fn which(text: &str, numbers: &NumberPlan) -> anyhow::Result<Which> {
    if text == "last" {
        return Ok(Which::Last);
    }
    if let Ok(call) = text.parse::<CallId>() {
        return Ok(Which::Call(call));
    }
    Ok(Which::Number(number(text, numbers)?))
}

fn number(text: &str, numbers: &NumberPlan) -> anyhow::Result<Number> {
    let number = numbers.read(text).filter(|number| number.key().is_some());
    number.context("this is no phone number: write it as people do, for example 050-123-4567")
}

#[cfg(unix)]
async fn running(config: &Config, which: &Which, line: Option<&Line>) -> anyhow::Result<Option<Account>> {
    let question = Asked::Why { which: which.clone(), line: line.cloned() };
    let Some(mut dialled) = dial::ask(&config.state, &question).await? else { return Ok(None) };
    Ok(Some(dialled.account(Duration::ZERO).await?))
}

#[cfg(not(unix))]
async fn running(_: &Config, _: &Which, _: Option<&Line>) -> anyhow::Result<Option<Account>> {
    Ok(None)
}

/// The same core answers, from what is on the disk.
fn stopped(config: &Config, which: &Which, line: Option<&Line>) -> anyhow::Result<Account> {
    let kept = store::kept_by_stopped(&config.state).context("no hub runs here")?;
    let staff = access::staff_of(&config.access)?;
    let hub = Hub::new(staff, Vec::new(), config.identify.clone(), kept, &mut Outputs::default());
    Ok(hub.why(which, line))
}

impl Simulate {
    /// Lets the call ring and says what came of it.
    pub async fn run(
        self,
        config: &Config,
        out: &mut impl Write,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let lasts =
            pinkas_config::duration(&self.lasts).context("`--for` must be a time such as 20s or 2m")?;
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        anyhow::ensure!(
            (1..=super::LONGEST_TRIAL_MS).contains(&lasts_ms),
            "`--for` must be at most ten minutes"
        );
        let number = number(&self.number, &config.numbers)?;
        let shown = number.shown();
        let caller = Caller { number: Some(number), ..Caller::default() };
        let tags = tags(&self.tag)?;
        let facts = CallFacts { caller, queue: self.queue, tags, ..CallFacts::default() };
        let at = self.line.as_ref().map_or_else(
            || "reaches the hub and rings nowhere (`--line` names a phone)".to_owned(),
            |line| format!("rings at {line}"),
        );
        let rings = || {
            let seconds = lasts.as_secs_f64();
            format!("A pretended call from {shown} {at}, for {seconds} s; Ctrl-C hangs up.")
        };
        let question = Asked::Simulate { facts: Box::new(facts), line: self.line.clone(), for_ms: lasts_ms };
        let account = simulate(config, &question, lasts, stop, || {
            if self.json {
                return Ok(());
            }
            writeln!(out, "{}", rings())?;
            Ok(out.flush()?)
        });
        let account = account.await?;
        print(&account, self.json, out)
    }
}

fn tags(written: &[String]) -> anyhow::Result<BTreeMap<TagName, Private<String>>> {
    let one = |tag: &String| {
        let (name, value) =
            tag.split_once('=').context("`--tag` must be NAME=VALUE, such as customer=1001")?;
        let name = name.parse().context("the name of a tag")?;
        Ok((name, Private(value.to_owned())))
    };
    written.iter().map(one).collect()
}

#[cfg(unix)]
async fn simulate(
    config: &Config,
    question: &Asked,
    lasts: Duration,
    stop: &CancellationToken,
    rings: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Account> {
    let Some(mut dialled) = dial::ask(&config.state, question).await? else {
        bail!("no hub runs here with this configuration: start it first")
    };
    match dialled.answer(Duration::ZERO).await? {
        Answered::Rings { .. } => rings()?,
        Answered::Refused { what } => bail!(what),
        Answered::Account { .. } => bail!("the hub answered something else"),
    }
    tokio::select! {
        () = stop.cancelled() => dialled.hang_up(),
        account = dialled.account(lasts) => return account,
    }
    dialled.account(Duration::ZERO).await
}

#[cfg(not(unix))]
async fn simulate(
    _: &Config,
    _: &Asked,
    _: Duration,
    _: &CancellationToken,
    _: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Account> {
    bail!("this needs a hub on a system with Unix sockets")
}
