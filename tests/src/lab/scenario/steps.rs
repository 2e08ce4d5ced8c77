//! What the scenarios have in common: who calls, and the steps that occur in many.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::lab::asterisk::Asterisk;
use crate::lab::handset::{Dial, Ending, Handset, Line, Stage};
use crate::lab::process::until;
use crate::lab::scenario::{Ended, Happened, Played, Scene};

/// Every agent.
pub(super) const AGENTS: [u16; 3] = [101, 102, 103];

/// What the reason of a CANCEL holds when a colleague has answered, on either phone system.
pub(super) const ELSEWHERE: &str = "SIP;cause=200";

/// Who calls unless the scenario is about that.
pub(super) const DANA: Dial<'_> =
    Dial { to: "", number: "+972541234567", name: "דנה כהן", headers: &[] };
/// Who calls second.
pub(super) const EWA: Dial<'_> = Dial { to: "", number: "+48220000101", name: "Ewa Nowak", headers: &[] };

pub(super) fn begin(dial: Dial<'_>) -> Played {
    Played {
        number: dial.number.to_owned(),
        name: dial.name.to_owned(),
        withheld: false,
        diverted_by: None,
        dialled: dial.to.to_owned(),
        queue: None,
        happened: Vec::new(),
        ended: Ended::ByCaller,
    }
}

/// A call to one agent until it rings there and the caller hears that.
pub(super) async fn ring(
    carrier: &Handset,
    dial: Dial<'_>,
    phone: &Handset,
    known: &[Line],
) -> anyhow::Result<(Played, Line, Line)> {
    let mut played = begin(dial);
    let call = carrier.dial(dial).await?;
    let rung = phone.rings(known).await?;
    carrier.until(call, Stage::HearsRinging).await?;
    played.happened.push(Happened::Rings(agent(phone)?));
    Ok((played, call, rung))
}

/// A call to one agent until both talk.
pub(super) async fn talk(
    scene: &Scene,
    carrier: &Handset,
    dial: Dial<'_>,
    phone: &Handset,
    known: &[Line],
) -> anyhow::Result<(Played, Line, Line)> {
    let (mut played, call, rung) = ring(carrier, dial, phone, known).await?;
    scene.person().await;
    phone.answer(rung).await?;
    carrier.until(call, Stage::Talking).await?;
    phone.acknowledged(rung).await?;
    played.happened.push(Happened::Answered(agent(phone)?));
    Ok((played, call, rung))
}

pub(super) async fn all_ring(phones: &[Handset; 3], played: &mut Played) -> anyhow::Result<[Line; 3]> {
    let [alice, bob, carol] = phones;
    let rung = [alice.rings(&[]).await?, bob.rings(&[]).await?, carol.rings(&[]).await?];
    played.happened.extend(AGENTS.map(Happened::Rings));
    Ok(rung)
}

pub(super) async fn abandon(
    scene: &Scene,
    carrier: &Handset,
    call: Line,
    phones: &[Handset],
    rung: &[Line],
    played: &mut Played,
) -> anyhow::Result<()> {
    scene.person().await;
    carrier.give_up(call).await?;
    for (phone, rung) in phones.iter().zip(rung) {
        let why = withdrawn(phone, *rung).await?;
        ensure!(!why.contains(ELSEWHERE), "{why:?}, but nobody answered");
        played.happened.push(Happened::CallerGone(agent(phone)?));
    }
    played.ended = Ended::Abandoned;
    Ok(())
}

/// Waits until a ringing phone is silenced by the phone system; gives the reason it was told.
pub(super) async fn withdrawn(phone: &Handset, call: Line) -> anyhow::Result<String> {
    match phone.over(call).await? {
        Ending::Withdrawn(why) => Ok(why),
        other => bail!("the call at {} was not withdrawn but {other:?}", agent(phone)?),
    }
}

pub(super) async fn refused(carrier: &Handset, call: Line) -> anyhow::Result<()> {
    match carrier.over(call).await? {
        Ending::Refused(_) => Ok(()),
        other => bail!("the caller was not sent away: {other:?}"),
    }
}

pub(super) fn agent(phone: &Handset) -> anyhow::Result<u16> {
    phone.line().parse().context("an agent's number")
}

pub(super) async fn pause(pbx: &Asterisk, agent: u16, reason: Option<&str>) -> anyhow::Result<()> {
    let command = match reason {
        Some(reason) => format!("queue pause member PJSIP/{agent} queue support reason {reason}"),
        None => format!("queue unpause member PJSIP/{agent} queue support"),
    };
    pbx.rx(&command).await.map(|_| ())
}

/// Waits until so many callers wait in the queue.
pub(super) async fn waiting(pbx: &Asterisk, callers: usize) -> anyhow::Result<()> {
    until(format!("{callers} callers in the queue"), SOON, async || {
        let shown = pbx.rx("queue show support").await.ok()?;
        // Each caller has a line such as `1. PJSIP/trunk-00000000 (wait: 0:01, prio: 0)`.
        (shown.matches("(wait: ").count() == callers).then_some(())
    })
    .await
}

const SOON: Duration = Duration::from_secs(10);
