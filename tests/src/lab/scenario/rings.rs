//! Calls that ring: at one phone or at many, answered by one of them or by nobody.

use anyhow::ensure;

use crate::lab::asterisk::Asterisk;
use crate::lab::handset::{Dial, Ending, Stage};
use crate::lab::kamailio::Kamailio;
use crate::lab::scenario::steps::{
    AGENTS, DANA, ELSEWHERE, abandon, agent, all_ring, begin, pause, refused, ring, talk, waiting, withdrawn,
};
use crate::lab::scenario::talks::direct;
use crate::lab::scenario::{Ended, Happened, Played, Scene};

/// Everybody rings, 102 answers, the caller hangs up.
pub(super) async fn ring_all_answered(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phones, carrier) = (scene.phones().await?, scene.carrier().await?);
    let mut played = begin(Dial { to: scene.all, ..DANA });
    let call = carrier.dial(Dial { to: scene.all, ..DANA }).await?;
    let rung = all_ring(&phones, &mut played).await?;
    scene.person().await;
    phones[1].answer(rung[1]).await?;
    carrier.until(call, Stage::Talking).await?;
    for other in [0, 2] {
        let why = withdrawn(&phones[other], rung[other]).await?;
        ensure!(why.contains(ELSEWHERE), "{} was told {why:?}", AGENTS[other]);
        played.happened.push(Happened::AnsweredElsewhere(AGENTS[other]));
    }
    played.happened.insert(3, Happened::Answered(102));
    scene.person().await;
    carrier.hang_up(call).await?;
    ensure!(phones[1].over(rung[1]).await? == Ending::Other, "102 hung up by itself");
    Ok(vec![played])
}

/// Everybody rings, the caller gives up.
pub(super) async fn ring_all_abandoned(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phones, carrier) = (scene.phones().await?, scene.carrier().await?);
    let mut played = begin(Dial { to: scene.all, ..DANA });
    let call = carrier.dial(Dial { to: scene.all, ..DANA }).await?;
    let rung = all_ring(&phones, &mut played).await?;
    abandon(scene, &carrier, call, &phones, &rung, &mut played).await?;
    Ok(vec![played])
}

/// Everybody rings, 101 declines, the caller gives up.
pub(super) async fn declined(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phones, carrier) = (scene.phones().await?, scene.carrier().await?);
    let mut played = begin(Dial { to: scene.all, ..DANA });
    let call = carrier.dial(Dial { to: scene.all, ..DANA }).await?;
    let rung = all_ring(&phones, &mut played).await?;
    scene.person().await;
    phones[0].decline(rung[0]).await?;
    played.happened.push(Happened::Declined(101));
    // The phone system has taken note once it has acknowledged that.
    phones[0].acknowledged(rung[0]).await?;
    abandon(scene, &carrier, call, &phones[1..], &rung[1..], &mut played).await?;
    Ok(vec![played])
}

/// Everybody is paused: the caller waits in the queue, nobody rings, the caller gives up. Asterisk only.
pub(super) async fn nobody_free(pbx: &Asterisk, scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phones, carrier) = (scene.phones().await?, scene.carrier().await?);
    for agent in AGENTS {
        pause(pbx, agent, Some("lunch")).await?;
    }
    let mut played = begin(Dial { to: "500", ..DANA });
    let call = carrier.dial(Dial { to: "500", ..DANA }).await?;
    waiting(pbx, 1).await?;
    played.happened.push(Happened::Waits);
    scene.person().await;
    carrier.give_up(call).await?;
    played.ended = Ended::Abandoned;
    waiting(pbx, 0).await?;
    for agent in AGENTS {
        pause(pbx, agent, None).await?;
    }
    ensure!(phones.iter().all(|phone| phone.calls() == 0), "a paused agent's phone rang");
    Ok(vec![played])
}

/// A queue without members lets nobody in: the caller is sent away at once. Asterisk only.
pub(super) async fn sent_away(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let carrier = scene.carrier().await?;
    let call = carrier.dial(Dial { to: "540", ..DANA }).await?;
    refused(&carrier, call).await?;
    Ok(vec![Played { ended: Ended::SentAway, ..begin(Dial { to: "540", ..DANA }) }])
}

/// Everybody rings for two seconds, then the phone system sends the caller away. Asterisk only.
pub(super) async fn no_answer(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phones, carrier) = (scene.phones().await?, scene.carrier().await?);
    let mut played = begin(Dial { to: "530", ..DANA });
    let call = carrier.dial(Dial { to: "530", ..DANA }).await?;
    let rung = all_ring(&phones, &mut played).await?;
    for (phone, (rung, agent)) in phones.iter().zip(rung.into_iter().zip(AGENTS)) {
        withdrawn(phone, rung).await?;
        played.happened.push(Happened::NotAnswered(agent));
    }
    refused(&carrier, call).await?;
    played.ended = Ended::SentAway;
    Ok(vec![played])
}

/// Everybody declines; the queue rings everybody again a second later, and 102 answers. Asterisk only.
pub(super) async fn offered_again(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phones, carrier) = (scene.phones().await?, scene.carrier().await?);
    let mut played = begin(Dial { to: scene.all, ..DANA });
    let call = carrier.dial(Dial { to: scene.all, ..DANA }).await?;
    let first = all_ring(&phones, &mut played).await?;
    for (phone, rung) in phones.iter().zip(first) {
        scene.person().await;
        phone.decline(rung).await?;
        played.happened.push(Happened::Declined(agent(phone)?));
    }
    let [alice, bob, carol] = &phones;
    let [a, b, c] = first;
    let (a, b, c) = (alice.rings(&[a]).await?, bob.rings(&[b]).await?, carol.rings(&[c]).await?);
    played.happened.extend(AGENTS.map(Happened::Rings));
    scene.person().await;
    bob.answer(b).await?;
    carrier.until(call, Stage::Talking).await?;
    withdrawn(alice, a).await?;
    withdrawn(carol, c).await?;
    use Happened::{Answered, AnsweredElsewhere};
    played.happened.extend([Answered(102), AnsweredElsewhere(101), AnsweredElsewhere(103)]);
    scene.person().await;
    carrier.hang_up(call).await?;
    bob.over(b).await?;
    Ok(vec![played])
}

/// One agent after the other: 101 rings in vain, 102 answers and hangs up.
pub(super) async fn hunt(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phones, carrier) = (scene.phones().await?, scene.carrier().await?);
    let mut played = begin(Dial { to: scene.hunt, ..DANA });
    let call = carrier.dial(Dial { to: scene.hunt, ..DANA }).await?;
    let first = phones[0].rings(&[]).await?;
    withdrawn(&phones[0], first).await?;
    let second = phones[1].rings(&[]).await?;
    scene.person().await;
    phones[1].answer(second).await?;
    carrier.until(call, Stage::Talking).await?;
    scene.person().await;
    phones[1].hang_up(second).await?;
    ensure!(carrier.over(call).await? == Ending::Other, "the caller hung up");
    use Happened::{Answered, NotAnswered, Rings};
    played.happened = vec![Rings(101), NotAnswered(101), Rings(102), Answered(102)];
    played.ended = Ended::ByAgent(102);
    Ok(vec![played])
}

/// A caller who asked to stay unknown, though the carrier names the number to the phone system; 101 rings, the caller gives up.
pub(super) async fn withheld(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let asserted = format!("P-Asserted-Identity: <sip:{}@carrier.invalid>", DANA.number);
    let headers = ["Privacy: id", asserted.as_str()];
    let dial = Dial { to: "101", number: "anonymous", name: "Anonymous", headers: &headers };
    let (mut played, call, rung) = ring(&carrier, dial, &phone, &[]).await?;
    scene.person().await;
    carrier.give_up(call).await?;
    withdrawn(&phone, rung).await?;
    played.happened.push(Happened::CallerGone(101));
    Ok(vec![Played { number: DANA.number.into(), withheld: true, ended: Ended::Abandoned, ..played }])
}

/// A call that the carrier says another number diverted to here; 101 answers, the caller hangs up.
pub(super) async fn diverted(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let by = "+97231234567";
    let header = format!("Diversion: <sip:{by}@carrier.invalid>;reason=no-answer");
    let headers = [header.as_str()];
    let (played, call, rung) =
        talk(scene, &carrier, Dial { to: "101", headers: &headers, ..DANA }, &phone, &[]).await?;
    scene.person().await;
    carrier.hang_up(call).await?;
    phone.over(rung).await?;
    Ok(vec![Played { diverted_by: Some(by.into()), ..played }])
}

/// The phone of 101 sends the call to 102 (302), who answers; the caller hangs up.
pub(super) async fn forwarded(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let other = scene.phone(102).await?;
    let (mut played, call, rung) = ring(&carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    scene.person().await;
    phone.divert(rung, "102").await?;
    let arrived = other.rings(&[]).await?;
    scene.person().await;
    other.answer(arrived).await?;
    carrier.until(call, Stage::Talking).await?;
    scene.person().await;
    carrier.hang_up(call).await?;
    other.over(arrived).await?;
    let diverted = Happened::Diverted { from: 101, to: 102 };
    played.happened.extend([diverted, Happened::Rings(102), Happened::Answered(102)]);
    Ok(vec![played])
}

/// 101 rings, 103 picks the call up from there (*8101); the caller hangs up. Asterisk only.
pub(super) async fn picked_up(scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let other = scene.phone(103).await?;
    let (mut played, call, rung) = ring(&carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    scene.person().await;
    let takes = other.dial(Dial { to: "*8101", number: "103", name: "", headers: &[] }).await?;
    other.until(takes, Stage::Talking).await?;
    withdrawn(&phone, rung).await?;
    carrier.until(call, Stage::Talking).await?;
    scene.person().await;
    carrier.hang_up(call).await?;
    other.over(takes).await?;
    played.happened.extend([Happened::Answered(103), Happened::AnsweredElsewhere(101)]);
    Ok(vec![played])
}

/// 101 rings when Asterisk loses its power; after the start a second call goes as it should.
pub(super) async fn stopped_and_started(pbx: &mut Asterisk, scene: &Scene) -> anyhow::Result<Vec<Played>> {
    let first = cut_off(scene).await?;
    pbx.kill().await?;
    pbx.start_again().await?;
    Ok([vec![first], direct(scene).await?].concat())
}

/// The same on Kamailio.
pub(super) async fn kamailio_stopped_and_started(
    pbx: &mut Kamailio,
    scene: &Scene,
) -> anyhow::Result<Vec<Played>> {
    let first = cut_off(scene).await?;
    pbx.kill().await?;
    pbx.start_again().await?;
    Ok([vec![first], direct(scene).await?].concat())
}

/// A call that rings, with phone and carrier unplugged in the middle of it, so that nobody sends more.
async fn cut_off(scene: &Scene) -> anyhow::Result<Played> {
    let (phone, carrier) = (scene.phone(101).await?, scene.carrier().await?);
    let (mut played, _, _) = ring(&carrier, Dial { to: "101", ..DANA }, &phone, &[]).await?;
    played.happened.push(Happened::SystemStopped);
    played.ended = Ended::Lost;
    Ok(played)
}
