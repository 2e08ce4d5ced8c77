//! What the link logs in with: one secret from the configuration, or one after the other as they are asked for.
//! A refused one that was asked for is no key again: only the person, or their keyring, gives another.

use pinkas_protocol::Private;
use tokio::sync::watch;

use crate::model::login::Attempt;

/// What the link logs in with.
#[derive(Debug, Clone)]
pub enum Pass {
    /// This secret. A hub that refuses it is asked again: whoever runs it may mend that.
    Configured(Private<String>),
    /// Whatever stands here, each once; without one there is no link, and a link made with another ends.
    Asked(watch::Receiver<Option<Attempt>>),
}

/// The secret of one link.
pub(super) enum Key {
    Configured(Private<String>),
    Attempt(Attempt),
}

impl Pass {
    /// The next secret to log in with, other than the attempt that was refused; `None`: none will come.
    pub(super) async fn key(&mut self, refused: Option<u64>) -> Option<Key> {
        match self {
            Pass::Configured(secret) => Some(Key::Configured(secret.clone())),
            Pass::Asked(asked) => {
                let fresh = |attempt: &Option<Attempt>| {
                    attempt.as_ref().is_some_and(|attempt| Some(attempt.number) != refused)
                };
                let attempt = asked.wait_for(fresh).await.ok()?.clone()?;
                Some(Key::Attempt(attempt))
            }
        }
    }

    /// Ends when this key is no longer the one to log in with.
    pub(super) async fn replaced(&mut self, key: &Key) {
        let (Pass::Asked(asked), Key::Attempt(key)) = (self, key) else {
            return std::future::pending().await;
        };
        let other = |attempt: &Option<Attempt>| attempt.as_ref().map(|now| now.number) != Some(key.number);
        // Whoever asks has ended, and so will the program.
        if asked.wait_for(other).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Key {
    pub(super) fn for_hello(&self) -> Private<String> {
        match self {
            Key::Configured(secret) => secret.clone(),
            Key::Attempt(attempt) => attempt.secret.for_hello(),
        }
    }

    pub(super) fn attempt(&self) -> Option<u64> {
        match self {
            Key::Configured(_) => None,
            Key::Attempt(attempt) => Some(attempt.number),
        }
    }
}
