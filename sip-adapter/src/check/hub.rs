//! `check` for the hub: dials it and says hello, as the adapter would, and says what it answered. Where an adapter
//! with this name is running it is only dialled: the hub closes one link of a name for another.

use pinkas_link::{Ended, Link};
use pinkas_protocol::adapter_link::{AdapterSays, HubToAdapter};
use pinkas_protocol::close::Close;
use pinkas_protocol::wire;
use uuid::Uuid;

use super::Finding;
use super::beside::Beside;
use crate::config::Config;

/// Dials, says hello, and says what came of it.
pub(super) async fn probe(config: &Config, beside: Beside) -> Finding {
    let (hub, name) = (&config.hub, &config.name);
    match ask(config, beside).await {
        Ok(Answer::There) => Finding::good(format!(
            "hub: it is there at {hub}; the adapter that is running has the link, and its log says how that stands"
        )),
        Ok(Answer::Welcome) => Finding::good(format!(
            "hub: it is there at {hub} and knows the adapter \"{name}\" and its secret"
        )),
        Err(Ended::Closed(Close::WrongSecret)) => Finding::broken(format!(
            "hub: it is there at {hub} and does not know the adapter \"{name}\" with this secret: `name` and the secret must be \
             those of an [[adapter]] in hub.toml"
        )),
        Err(ended @ (Ended::Unreachable(_) | Ended::Silent)) => Finding::broken(format!(
            "hub: {hub} {ended}: is the hub running there, does its `listen` let this machine in, and no firewall stand between?"
        )),
        Err(ended) => Finding::broken(format!("hub: at {hub}: {ended}")),
    }
}

enum Answer {
    There,
    Welcome,
}

async fn ask(config: &Config, beside: Beside) -> Result<Answer, Ended> {
    let mut link = Link::dial(&config.hub, "/adapter").await?;
    if beside == Beside::Adapter {
        link.close().await;
        return Ok(Answer::There);
    }
    let hello = AdapterSays::Hello {
        version: wire::VERSION,
        adapter: config.name.clone(),
        secret: config.secret.clone(),
        // An outbox that nothing is ever sent from.
        outbox: Uuid::nil(),
    };
    link.send(&hello).await?;
    match link.next::<HubToAdapter>().await? {
        HubToAdapter::Welcome { .. } => {
            link.close().await;
            Ok(Answer::Welcome)
        }
        HubToAdapter::Durable { .. } => Err(Ended::Broken),
    }
}
