//! Calls that an agent passes on to a colleague, by a phone system that does it itself (Asterisk) and by
//! one that relays the wish to the caller's side (any proxy).

use anyhow::{Context, ensure};

use crate::lab::handset::{Dial, Ending, Handset, Line, Stage};
use crate::lab::scenario::steps::{DANA, talk};
use crate::lab::scenario::{Ended, Happened, Played, Scene};

/// 101 answers and passes the caller on to 103, who answers; the caller hangs up. Asterisk only.
pub(super) async fn blind_transfer(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let target = scene.phone(103).await?;
    let (mut played, call, rung) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    scene.person().await;
    phone.pass_on(rung, "103").await?;
    let arrived = target.rings(&[]).await?;
    scene.person().await;
    target.answer(arrived).await?;
    phone.transferred(rung).await?;
    phone.hang_up(rung).await?;
    target.acknowledged(arrived).await?;
    scene.person().await;
    carrier.hang_up(call).await?;
    target.over(arrived).await?;
    let passed = Happened::PassedOn { from: 101, to: 103 };
    played.happened.extend([passed, Happened::Rings(103), Happened::Answered(103)]);
    Ok(vec![played])
}

/// The same through a proxy, which relays the wish to the caller's side: that calls 103. Kamailio only.
pub(super) async fn relayed_transfer(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let target = scene.phone(103).await?;
    let (mut played, call, rung) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    scene.person().await;
    phone.pass_on(rung, "103").await?;
    let (to, _) = carrier.asked_to_call(call).await?;
    let by = format!("Referred-By: <sip:101@{}>", scene.pbx.ip());
    let headers = [by.as_str()];
    let again = carrier.dial(Dial { to: &to, headers: &headers, ..DANA }).await?;
    let arrived = target.rings(&[]).await?;
    scene.person().await;
    target.answer(arrived).await?;
    carrier.until(again, Stage::Talking).await?;
    carrier.say_transferred(call).await?;
    phone.transferred(rung).await?;
    scene.person().await;
    phone.hang_up(rung).await?;
    carrier.over(call).await?;
    scene.person().await;
    carrier.hang_up(again).await?;
    target.over(arrived).await?;
    let passed = Happened::PassedOn { from: 101, to: 103 };
    played.happened.extend([passed, Happened::Rings(103), Happened::Answered(103)]);
    Ok(vec![played])
}

/// 101 answers, holds the caller, calls 103 and puts the caller through; 103 hangs up. Asterisk only.
pub(super) async fn attended_transfer(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let target = scene.phone(103).await?;
    let (played, call, rung) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    let (asks, asked) = consulted(scene, &phone, rung, &target).await?;
    phone.transferred(rung).await?;
    phone.hang_up(rung).await?;
    phone.over(asks).await?;
    ensure!(target.stage(asked) == Some(Stage::Talking), "103 was cut off");
    scene.person().await;
    target.hang_up(asked).await?;
    ensure!(carrier.over(call).await? == Ending::Other, "the caller hung up");
    scene.person().await;
    Ok(vec![put_through(played)])
}

/// The same through a proxy: the caller's side calls 103 in the place of 101. Kamailio only.
pub(super) async fn relayed_attended_transfer(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let target = scene.phone(103).await?;
    let (played, call, rung) = talk(scene, &carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    let (_, asked) = consulted(scene, &phone, rung, &target).await?;
    let (to, replaces) = carrier.asked_to_call(call).await?;
    let replaces = replaces.context("a call to replace")?;
    let by = format!("Referred-By: <sip:101@{}>", scene.pbx.ip());
    let headers = [replaces.as_str(), by.as_str()];
    let again = carrier.dial(Dial { to: &to, headers: &headers, ..DANA }).await?;
    // RFC 3891 section 3: taken without ringing, then the replaced call is ended. Ours says 180 before.
    let arrived = target.rings(&[asked]).await?;
    target.answer(arrived).await?;
    carrier.until(again, Stage::Talking).await?;
    target.hang_up(asked).await?;
    carrier.say_transferred(call).await?;
    phone.transferred(rung).await?;
    phone.hang_up(rung).await?;
    carrier.over(call).await?;
    scene.person().await;
    target.hang_up(arrived).await?;
    carrier.over(again).await?;
    Ok(vec![put_through(played)])
}

/// 101 holds the caller, calls 103, who answers, and asks for the two to be joined; gives the consultation at both phones.
async fn consulted(
    scene: &Scene,
    phone: &Handset,
    rung: Line,
    target: &Handset,
) -> anyhow::Result<(Line, Line)> {
    scene.person().await;
    phone.hold(rung).await?;
    scene.person().await;
    let asks = phone.dial(Dial { to: "103", number: "101", name: "", headers: &[] }).await?;
    let asked = target.rings(&[]).await?;
    scene.person().await;
    target.answer(asked).await?;
    phone.until(asks, Stage::Talking).await?;
    scene.person().await;
    phone.pass_on_to(rung, asks).await?;
    Ok((asks, asked))
}

/// What an attended transfer from 101 to 103 is, after which 103 hangs up.
fn put_through(mut played: Played) -> Played {
    let asks = Happened::Asks { from: 101, to: 103 };
    let put_through = Happened::PutThrough { from: 101, to: 103 };
    played.happened.extend([
        Happened::Holds(101),
        asks,
        Happened::Rings(103),
        Happened::Answered(103),
        put_through,
    ]);
    played.ended = Ended::ByAgent(103);
    played
}
