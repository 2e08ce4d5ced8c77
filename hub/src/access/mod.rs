//! Who may log in: people with passwords, tokens that stand for a password for a while, and how often a
//! wrong secret may be tried. What somebody may see afterwards is the core's business.

mod attempts;
pub mod command;
mod passwords;
mod people;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;
mod watch;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pinkas_config::Secret;
use pinkas_protocol::close::Close;
use pinkas_protocol::{AdapterId, AgentId, Private};
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, watch as latest};
use tokio::time::Instant;

use self::attempts::Attempts;
pub use self::people::{User, Users, read_role};
pub(crate) use self::people::{warn_if_others_can_read, write_whole};
use self::tokens::Tokens;
use self::watch::Mark;
use crate::core::{Agent, Staff};

/// Passwords waiting to be checked; more are turned away.
const WAITING: usize = 256;
/// A password that could not be checked within this time is turned away.
const CHECKED_WITHIN: Duration = Duration::from_secs(10);

/// What the configuration says of people and tokens.
pub struct Settings {
    /// People of the configuration itself and their secrets.
    pub agents: BTreeMap<AgentId, Secret>,
    /// The same people and what they may see.
    pub people: Vec<(AgentId, Agent)>,
    /// Adapters and their secrets.
    pub adapters: BTreeMap<AdapterId, Secret>,
    /// The file of people with passwords.
    pub users: PathBuf,
    /// How long a token lets someone in again.
    pub token_lasts: Duration,
    /// Where tokens are kept, hashed.
    pub tokens: PathBuf,
}

/// The door's memory: who is known, which tokens stand, who tries too often.
pub struct Access {
    settings: Settings,
    users: latest::Sender<Arc<Users>>,
    /// The file of people as it was when they were read first.
    read_at: Option<Mark>,
    tokens: Mutex<Tokens>,
    attempts: Mutex<Attempts>,
    begun: Instant,
    /// Few passwords are checked at a time, so that a flood of them leaves the cores to the calls.
    hashing: Semaphore,
    waiting: Semaphore,
    memory: Arc<passwords::Memory>,
    /// The hash of a password that nobody has: an unknown name takes as long as a wrong password.
    nobody: Arc<str>,
}

/// Somebody who was let in.
pub struct Session {
    /// Lets them in again; only after a password.
    pub token: Option<Private<String>>,
    ends: Option<Ends>,
}

struct Ends {
    agent: AgentId,
    generation: u32,
    left: Duration,
    users: latest::Receiver<Arc<Users>>,
}

impl Session {
    /// Waits until the login is over: its token has expired or was revoked, or the person is gone.
    pub async fn ended(self) -> Close {
        let Some(mut ends) = self.ends else { return std::future::pending().await };
        let expired = tokio::time::sleep(ends.left);
        tokio::pin!(expired);
        loop {
            if !ends.users.borrow_and_update().stands(&ends.agent, ends.generation) {
                return Close::Revoked;
            }
            tokio::select! {
                () = &mut expired => return Close::Revoked,
                changed = ends.users.changed() => if changed.is_err() { return Close::Stopping },
            }
        }
    }
}

/// Everybody who may log in, of a hub that does not run.
pub(crate) fn staff_of(settings: &Settings) -> anyhow::Result<Staff> {
    let users = people::load(&settings.users, &settings.agents)?;
    Ok(Staff::new(settings.people.iter().cloned().chain(users.people()).collect()))
}

impl Access {
    /// Reads the people with passwords and the tokens that stand.
    pub fn open(settings: Settings) -> anyhow::Result<Access> {
        let read_at = Mark::before_reading(&settings.users);
        let users = people::load(&settings.users, &settings.agents)?;
        let tokens = Tokens::open(&settings.tokens, Timestamp::now(), &users)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Access {
            settings,
            users: latest::Sender::new(Arc::new(users)),
            read_at,
            tokens: Mutex::new(tokens),
            attempts: Mutex::new(Attempts::default()),
            begun: Instant::now(),
            hashing: Semaphore::new((cores / 2).max(1)),
            waiting: Semaphore::new(WAITING),
            memory: Arc::default(),
            nobody: passwords::hash(&passwords::make()?)?.into(),
        })
    }

    /// Everybody who may log in now.
    pub fn staff(&self) -> Staff {
        self.staff_with(&self.users.borrow())
    }

    fn staff_with(&self, users: &Users) -> Staff {
        Staff::new(self.settings.people.iter().cloned().chain(users.people()).collect())
    }

    /// Lets somebody in by a password or a token. An unknown name and a wrong password are told alike, after
    /// the same time.
    pub async fn login(
        &self,
        agent: &AgentId,
        secret: &Private<String>,
        from: IpAddr,
    ) -> Result<Session, Close> {
        if tokens::is_token(&secret.0) {
            return self.resume(agent, secret);
        }
        let name = format!("person {agent}");
        if !locked(&self.attempts).may(&name, from, self.begun.elapsed()) {
            return Err(Close::TooManyAttempts);
        }
        if secret_matches(self.settings.agents.get(agent), secret) {
            locked(&self.attempts).succeeded(&name);
            return Ok(Session { token: None, ends: None });
        }
        // Counted before it is checked: many at once are no way around the limit.
        locked(&self.attempts).tries(&name, self.begun.elapsed());
        let receiver = self.users.subscribe();
        let known = receiver.borrow().enabled(agent).cloned();
        let hash = known.as_ref().map_or_else(|| self.nobody.clone(), |user| user.password.0.as_str().into());
        let right = self.checked(hash, secret).await?;
        let Some(user) = known.filter(|_| right) else {
            locked(&self.attempts).failed(from, self.begun.elapsed());
            return Err(Close::WrongSecret);
        };
        locked(&self.attempts).succeeded(&name);
        let left = self.settings.token_lasts;
        let until = Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX);
        let token = locked(&self.tokens).make(agent, user.generation, until);
        let ends = Ends { agent: agent.clone(), generation: user.generation, left, users: receiver };
        Ok(Session { token, ends: Some(ends) })
    }

    fn resume(&self, agent: &AgentId, secret: &Private<String>) -> Result<Session, Close> {
        let token = locked(&self.tokens).find(&secret.0).filter(|token| token.agent == *agent);
        let token = token.ok_or(Close::Revoked)?;
        let left = token.until.duration_since(Timestamp::now());
        let left = Duration::try_from(left).map_err(|_| Close::Revoked)?;
        let users = self.users.subscribe();
        if !users.borrow().stands(agent, token.generation) {
            return Err(Close::Revoked);
        }
        let ends = Ends { agent: agent.clone(), generation: token.generation, left, users };
        Ok(Session { token: None, ends: Some(ends) })
    }

    /// Whether an adapter is who it says; wrong secrets are counted as a person's are.
    pub fn adapter(&self, adapter: &AdapterId, secret: &Private<String>, from: IpAddr) -> Result<(), Close> {
        let name = format!("adapter {adapter}");
        let mut attempts = locked(&self.attempts);
        let now = self.begun.elapsed();
        if !attempts.may(&name, from, now) {
            return Err(Close::TooManyAttempts);
        }
        if secret_matches(self.settings.adapters.get(adapter), secret) {
            attempts.succeeded(&name);
            return Ok(());
        }
        attempts.tries(&name, now);
        attempts.failed(from, now);
        Err(Close::WrongSecret)
    }

    async fn checked(&self, hash: Arc<str>, secret: &Private<String>) -> Result<bool, Close> {
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Close::TooManyAttempts) };
        let turn = tokio::time::timeout(CHECKED_WITHIN, self.hashing.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Close::TooManyAttempts) };
        let (secret, memory) = (secret.clone(), self.memory.clone());
        let checked = tokio::task::spawn_blocking(move || memory.matches(&hash, &secret.0));
        Ok(checked.await.unwrap_or(false))
    }
}

/// Compares in constant time; an unknown name takes as long as a wrong secret.
fn secret_matches(known: Option<&Secret>, given: &Private<String>) -> bool {
    let nobody = Private(String::new());
    let expected = known.unwrap_or(&nobody);
    let equal: bool = expected.0.as_bytes().ct_eq(given.0.as_bytes()).into();
    equal && known.is_some() && !given.0.is_empty()
}

/// What is behind these locks is whole after every step, also if one of them panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
