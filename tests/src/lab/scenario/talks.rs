//! Calls that one agent answers: talked, held, with a second one beside the first.

use anyhow::ensure;

use crate::lab::handset::{Dial, Ending, Stage};
use crate::lab::scenario::steps::{DANA, EWA, begin, ring, talk, withdrawn};
use crate::lab::scenario::{Ended, Happened, Played, Scene};

/// 101 is called directly, answers and hangs up.
pub(super) async fn direct(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let (mut played, call, rung) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    scene.person().await;
    phone.hang_up(rung).await?;
    ensure!(carrier.over(call).await? == Ending::Other, "the caller hung up");
    played.ended = Ended::ByAgent(101);
    Ok(vec![played])
}

/// 101 calls 102, who answers; 101 hangs up.
pub(super) async fn internal(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (from, to) = (scene.phone(101).await?, scene.phone(102).await?);
    let dial = Dial { to: "102", number: "101", name: "", headers: &[] };
    let (played, call, rung) = talk(scene, &from, dial, &to, &[]).await?;
    scene.person().await;
    from.hang_up(call).await?;
    to.over(rung).await?;
    Ok(vec![played])
}

/// A second caller rings 101, who talks, and gives up; the first call goes on and ends.
pub(super) async fn second_call(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let other_carrier = scene.carrier().await?;
    let (mut first, call, talking) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    let mut second = begin(Dial { to: "101", ..EWA });
    scene.person().await;
    let waits = other_carrier.dial(Dial { to: "101", ..EWA }).await?;
    let ringing = phone.rings(&[talking]).await?;
    second.happened.push(Happened::Rings(101));
    other_carrier.until(waits, Stage::HearsRinging).await?;
    scene.person().await;
    other_carrier.give_up(waits).await?;
    withdrawn(&phone, ringing).await?;
    second.happened.push(Happened::CallerGone(101));
    second.ended = Ended::Abandoned;
    ensure!(phone.stage(talking) == Some(Stage::Talking), "the first call has gone");
    scene.person().await;
    carrier.hang_up(call).await?;
    phone.over(talking).await?;
    first.ended = Ended::ByCaller;
    Ok(vec![first, second])
}

/// A second caller rings 101, who talks: 101 holds the first, takes the second, who hangs up, and goes back to the first.
pub(super) async fn call_waiting(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let other_carrier = scene.carrier().await?;
    let (mut first, call, talking) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    let dial = Dial { to: "101", ..EWA };
    let (mut second, waits, ringing) = ring(&other_carrier, dial, &phone, &[talking]).await?;
    scene.person().await;
    phone.hold(talking).await?;
    phone.answer(ringing).await?;
    other_carrier.until(waits, Stage::Talking).await?;
    scene.person().await;
    other_carrier.hang_up(waits).await?;
    phone.over(ringing).await?;
    scene.person().await;
    phone.resume(talking).await?;
    scene.person().await;
    carrier.hang_up(call).await?;
    phone.over(talking).await?;
    first.happened.extend([Happened::Holds(101), Happened::Resumes(101)]);
    second.happened.push(Happened::Answered(101));
    Ok(vec![first, second])
}

/// 101 answers, holds the caller, takes the caller back; the caller hangs up.
pub(super) async fn hold(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let (mut played, call, rung) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    scene.person().await;
    phone.hold(rung).await?;
    scene.person().await;
    phone.resume(rung).await?;
    played.happened.extend([Happened::Holds(101), Happened::Resumes(101)]);
    scene.person().await;
    carrier.hang_up(call).await?;
    phone.over(rung).await?;
    Ok(vec![played])
}
