//! One desktop's link.

use std::sync::Arc;

use pinkas_protocol::agent_link::AgentSays;
use pinkas_protocol::close::Close;
use pinkas_protocol::wire;
use tokio::sync::mpsc;

use super::{Doors, LINK_QUEUE, Stranger, ToHub, carry, say_close, secret_matches};
use crate::core::ViewerId;

pub(super) async fn serve(stranger: Stranger, doors: Arc<Doors>, link: u64) {
    let Some((hello, mut socket)) = stranger.hello::<AgentSays>().await else { return };
    let agent = match hello {
        AgentSays::Hello { version, agent, .. } if version != wire::VERSION => {
            tracing::warn!(%agent, "a desktop was refused: it speaks version {version}, this hub {}", wire::VERSION);
            return say_close(&mut socket, Close::WrongVersion).await;
        }
        AgentSays::Hello { agent, secret, .. } if secret_matches(doors.agents.get(&agent), &secret) => agent,
        AgentSays::Hello { agent, .. } => {
            tracing::warn!(%agent, "a desktop was refused: unknown name or wrong secret");
            return say_close(&mut socket, Close::WrongSecret).await;
        }
        AgentSays::Choose { .. } => return say_close(&mut socket, Close::NoHello).await,
    };
    let viewer = ViewerId(link);
    let (out, mut frames) = mpsc::channel(LINK_QUEUE);
    if doors.hub.send(ToHub::AgentUp { viewer, agent: agent.clone(), out }).await.is_err() {
        return say_close(&mut socket, Close::Stopping).await;
    }
    tracing::info!(%agent, "desktop connected");
    let close = carry(&mut socket, &mut frames, &doors.hub, |said: AgentSays| match said {
        AgentSays::Choose { call, customer } => Ok(ToHub::Chose { viewer, call, customer }),
        AgentSays::Hello { .. } => Err(Close::BadMessage),
    })
    .await;
    if let Some(close) = close {
        say_close(&mut socket, close).await;
    }
    tracing::info!(%agent, "desktop disconnected");
    let _ = doors.hub.send(ToHub::AgentDown { viewer }).await;
}
