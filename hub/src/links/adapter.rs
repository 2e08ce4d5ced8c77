//! One adapter's link.

use std::sync::Arc;

use pinkas_protocol::adapter_link::AdapterSays;
use pinkas_protocol::close::Close;
use pinkas_protocol::wire;
use tokio::sync::mpsc;

use super::{Doors, LINK_QUEUE, Stranger, ToHub, carry, say_close};
use crate::core::Input;

pub(super) async fn serve(stranger: Stranger, doors: Arc<Doors>, link: u64) {
    let from = stranger.from;
    let Some((hello, mut socket)) = stranger.hello::<AdapterSays>().await else { return };
    let (adapter, outbox) = match hello {
        AdapterSays::Hello { version, adapter, .. } if version != wire::VERSION => {
            tracing::warn!(%adapter, "an adapter was refused: it speaks version {version}, this hub {}", wire::VERSION);
            return say_close(&mut socket, Close::WrongVersion).await;
        }
        AdapterSays::Hello { adapter, secret, outbox, .. } => {
            if let Err(close) = doors.access.adapter(&adapter, &secret, from) {
                tracing::warn!(%adapter, %from, "an adapter was refused: {close}");
                return say_close(&mut socket, close).await;
            }
            (adapter, outbox)
        }
        _ => return say_close(&mut socket, Close::NoHello).await,
    };
    let (out, mut frames) = mpsc::channel(LINK_QUEUE);
    let up = ToHub::AdapterUp { adapter: adapter.clone(), outbox, link, out };
    if doors.hub.send(up).await.is_err() {
        return say_close(&mut socket, Close::Stopping).await;
    }
    tracing::info!(%adapter, "adapter connected");
    let close = carry(
        &mut socket,
        &mut frames,
        &doors.hub,
        |said: AdapterSays| {
            let input = match said {
                AdapterSays::Event { sequence, event } => {
                    Input::Event { adapter: adapter.clone(), outbox, sequence, event }
                }
                AdapterSays::Lines { lines, last } => Input::Lines { adapter: adapter.clone(), lines, last },
                AdapterSays::Live { calls, last } => Input::Live { adapter: adapter.clone(), calls, last },
                AdapterSays::Hello { .. } => return Err(Close::BadMessage),
            };
            Ok(ToHub::Said { adapter: adapter.clone(), link, input: Box::new(input) })
        },
        std::future::pending(),
    )
    .await;
    if let Some(close) = close {
        say_close(&mut socket, close).await;
    }
    tracing::info!(%adapter, "adapter disconnected");
    let _ = doors.hub.send(ToHub::AdapterDown { adapter, link }).await;
}
