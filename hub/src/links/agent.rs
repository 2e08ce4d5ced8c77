//! One desktop's link.

use std::sync::Arc;

use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::close::Close;
use pinkas_protocol::wire;
use tokio::sync::mpsc;

use super::{Doors, LINK_QUEUE, Stranger, ToHub, carry, say_close};
use crate::core::{ViewerId, Wish};

pub(super) async fn serve(stranger: Stranger, doors: Arc<Doors>, link: u64) {
    let from = stranger.from;
    let Some((hello, mut socket)) = stranger.hello::<AgentSays>().await else { return };
    let (agent, session) = match hello {
        AgentSays::Hello { version, agent, .. } if version != wire::VERSION => {
            tracing::warn!(%agent, "a desktop was refused: it speaks version {version}, this hub {}", wire::VERSION);
            return say_close(&mut socket, Close::WrongVersion).await;
        }
        AgentSays::Hello { agent, secret, .. } => match doors.access.login(&agent, &secret, from).await {
            Ok(session) => (agent, session),
            Err(close) => {
                tracing::warn!(%agent, %from, "a desktop was refused: {close}");
                return say_close(&mut socket, close).await;
            }
        },
        _ => return say_close(&mut socket, Close::NoHello).await,
    };
    let viewer = ViewerId(link);
    let (out, mut frames) = mpsc::channel(LINK_QUEUE);
    if doors
        .hub
        .send(ToHub::AgentUp { viewer, agent: agent.clone(), token: session.token.clone(), out })
        .await
        .is_err()
    {
        return say_close(&mut socket, Close::Stopping).await;
    }
    tracing::info!(%agent, "desktop connected");
    let close = carry(
        &mut socket,
        &mut frames,
        &doors.hub,
        |said: AgentSays| match said {
            AgentSays::Choose { call, customer } => Ok(ToHub::Chose { viewer, call, customer }),
            AgentSays::FindCustomer { ask, call, text } => {
                Ok(ToHub::FindCustomer { viewer, ask, call, text })
            }
            AgentSays::Identified { call, how } => Ok(ToHub::Identified { viewer, call, how }),
            AgentSays::State { state } => Ok(ToHub::OwnState { viewer, state }),
            AgentSays::WrapUp { call } => Ok(ToHub::WrapUp { viewer, call }),
            AgentSays::Write { id, call, what } => record(viewer, Wish::Write { id, call, what }),
            AgentSays::Handled { id, row } => record(viewer, Wish::Handled { id, row }),
            AgentSays::Done { id, follow_up } => record(viewer, Wish::Done { id, follow_up }),
            AgentSays::History { ask, before, find } => record(viewer, Wish::History { ask, before, find }),
            AgentSays::FollowUps { ask } => record(viewer, Wish::FollowUps { ask }),
            AgentSays::Hello { .. } => Err(Close::BadMessage),
        },
        session.ended(),
    )
    .await;
    if let Some(close) = close {
        say_close(&mut socket, close).await;
    }
    tracing::info!(%agent, "desktop disconnected");
    let _ = doors.hub.send(ToHub::AgentDown { viewer }).await;
}

fn record(viewer: ViewerId, wish: Wish) -> Result<ToHub, Close> {
    Ok(ToHub::Record { viewer, wish: Box::new(wish) })
}
