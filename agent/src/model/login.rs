//! The login, where the configuration names no secret: found in the system's keyring, or typed. Pure: it says what the
//! keyring is to do, which attempt the link makes, and what the person is asked. A refused secret is never tried again
//! by itself, and a typed one is kept only after the hub's welcome. Until then, nothing of the link reaches the board.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pinkas_link::Ended;
use pinkas_protocol::Private;
use pinkas_protocol::close::Close;
use zeroize::Zeroizing;

use crate::net::NetEvent;

/// How long the keyring is waited for before the person is asked, too; it may show a dialog of its own meanwhile.
pub const ASKED_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// A secret in memory: never printed, and wiped when it is forgotten.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text, whose memory is wiped later.
    pub fn new(text: String) -> Secret {
        Secret(Arc::new(Zeroizing::new(text)))
    }

    /// The text, for the keyring only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A copy for a hello, to be wiped by who sends it.
    pub fn for_hello(&self) -> Private<String> {
        Private(self.0.as_str().to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// One secret to log in with, as often as the link has to be made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// No two attempts have the same.
    pub number: u64,
    /// With which secret.
    pub secret: Secret,
}

/// How long a typed secret is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// In the system's keyring, for the next time.
    #[default]
    InKeyring,
    /// Until the program ends.
    UntilClosed,
}

/// What the keyring is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Look for this person's secret.
    Find,
    /// Keep this one instead of any other.
    Keep(Secret),
    /// Keep none.
    Forget,
}

/// Why the keyring did not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// None runs on this computer.
    NoKeyring,
    /// It stayed locked: the person said so, or nobody could be asked.
    Locked,
    /// Anything else.
    Broken,
}

/// What the keyring says to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyringSays {
    /// To [`Job::Find`].
    Found(Result<Option<Secret>, Trouble>),
    /// To [`Job::Keep`].
    Kept(Result<(), Trouble>),
    /// To [`Job::Forget`].
    Forgot(Result<(), Trouble>),
}

/// What the keyring did not do, for the person to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// Open itself.
    Find,
    /// Keep the secret.
    Keep,
    /// Forget it.
    Forget,
}

/// What becomes of an event of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is for all of the model.
    Passes,
    /// Nobody is logged in: it goes no further.
    Stays,
    /// Who was logged in no longer is: what was shown goes.
    TurnedAway,
}

/// How far the login has come.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// The configuration names the secret: nothing is ever asked.
    Configured,
    /// The keyring is looking.
    Finding { since: Timestamp },
    /// The person is asked.
    Asking { refused: Option<Close>, again: Option<Secret> },
    /// The hub is asked.
    Trying { attempt: Attempt, origin: Origin, trouble: Option<Ended> },
    /// The hub knows this person.
    LoggedIn { attempt: Attempt },
}

/// Where a secret is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Keyring,
    Person(Keep),
}

/// What the person is asked, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The keyring has not answered yet.
    KeyringBusy,
    /// Nothing is known to be wrong.
    First,
    /// The hub refused a secret.
    Refused(Close),
    /// The hub is being asked.
    Trying,
    /// The hub does not answer, and is asked again by itself.
    NoAnswer(Ended),
}

/// Where the secret in use is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptWhere {
    /// In the keyring.
    Keyring,
    /// The keyring is being asked to.
    Asked,
    /// Nowhere but in memory.
    Memory,
}

/// The login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    stage: Stage,
    /// Who logs in.
    pub who: String,
    /// Where.
    pub hub: String,
    attempts: u64,
    job: Option<Job>,
    kept: KeptWhere,
    undone: Option<(Undone, Trouble)>,
}

impl Login {
    /// With a secret from the configuration, or none at all: nothing is asked.
    pub fn configured() -> Login {
        Login {
            stage: Stage::Configured,
            who: String::new(),
            hub: String::new(),
            attempts: 0,
            job: None,
            kept: KeptWhere::Memory,
            undone: None,
        }
    }

    /// The keyring is to be asked, and then the person.
    pub fn asked(who: String, hub: String, now: Timestamp) -> Login {
        Login { stage: Stage::Finding { since: now }, who, hub, job: Some(Job::Find), ..Login::configured() }
    }

    /// Whether there is a login to end.
    pub fn can_log_out(&self) -> bool {
        matches!(self.stage, Stage::LoggedIn { .. } | Stage::Trying { origin: Origin::Keyring, .. })
    }

    /// Where the secret in use is kept.
    pub fn kept(&self) -> KeptWhere {
        self.kept
    }

    /// What the keyring last did not do.
    pub fn undone(&self) -> Option<(Undone, Trouble)> {
        self.undone
    }

    /// Whether a keyring is known not to be there.
    pub fn lacks_keyring(&self) -> bool {
        matches!(self.undone, Some((_, Trouble::NoKeyring)))
    }

    /// What the person is asked now; `None`: nothing, they are logged in as far as they need to know.
    pub fn question(&self, now: Timestamp) -> Option<Question> {
        match &self.stage {
            Stage::Configured | Stage::LoggedIn { .. } => None,
            Stage::Trying { origin: Origin::Keyring, .. } => None,
            Stage::Finding { since } => {
                (now.duration_since(*since) >= ASKED_AFTER).then_some(Question::KeyringBusy)
            }
            Stage::Asking { refused, .. } => Some(refused.map_or(Question::First, Question::Refused)),
            Stage::Trying { trouble, .. } => {
                Some(trouble.clone().map_or(Question::Trying, Question::NoAnswer))
            }
        }
    }

    /// When [`Login::question`] changes by itself.
    pub fn changes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let Stage::Finding { since } = self.stage else { return None };
        since.checked_add(ASKED_AFTER).ok().filter(|at| *at > now)
    }

    /// Whether there is a secret to be tried once more without its being typed.
    pub fn has_again(&self) -> bool {
        matches!(self.stage, Stage::Asking { again: Some(_), .. })
    }

    /// What the link is to log in with.
    pub fn attempt(&self) -> Option<&Attempt> {
        match &self.stage {
            Stage::Trying { attempt, .. } | Stage::LoggedIn { attempt } => Some(attempt),
            Stage::Configured | Stage::Finding { .. } | Stage::Asking { .. } => None,
        }
    }

    /// What the keyring is to do next.
    pub fn next_job(&mut self) -> Option<Job> {
        self.job.take()
    }

    /// The keyring did not take a job: it is offered again, unless there is a newer one.
    pub fn not_taken(&mut self, job: Job) {
        self.job.get_or_insert(job);
    }

    /// The person wants to log in with this secret; an empty one: with the same again, if it was not wrong.
    pub fn enter(&mut self, secret: Secret, keep: Keep) {
        let origin = Origin::Person(keep);
        match &self.stage {
            Stage::Configured | Stage::LoggedIn { .. } => {}
            Stage::Asking { again: Some(again), .. } if secret.reveal().is_empty() => {
                self.attempt_with(again.clone(), origin);
            }
            _ if secret.reveal().is_empty() => {}
            _ => self.attempt_with(secret, origin),
        }
    }

    fn attempt_with(&mut self, secret: Secret, origin: Origin) {
        self.attempts += 1;
        let attempt = Attempt { number: self.attempts, secret };
        self.stage = Stage::Trying { attempt, origin, trouble: None };
    }

    /// The person no longer wants to be logged in here, nor to be by themselves the next time.
    pub fn log_out(&mut self) {
        if self.can_log_out() {
            self.stage = Stage::Asking { refused: None, again: None };
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.kept = KeptWhere::Memory;
        // Where there is no keyring, nothing can lie in it.
        if !self.lacks_keyring() {
            self.job = Some(Job::Forget);
        }
    }

    /// Takes in what the keyring says.
    pub fn keyring_says(&mut self, said: KeyringSays) {
        let (undone, result) = match said {
            KeyringSays::Found(Ok(found)) => {
                self.undone = None;
                self.found(found);
                return;
            }
            KeyringSays::Found(Err(trouble)) => {
                self.found(None);
                (Undone::Find, Err(trouble))
            }
            KeyringSays::Kept(result) => {
                // Forgotten meanwhile, when it is no longer waited for.
                if self.kept == KeptWhere::Asked {
                    self.kept = if result.is_ok() { KeptWhere::Keyring } else { KeptWhere::Memory };
                }
                (Undone::Keep, result)
            }
            KeyringSays::Forgot(result) => (Undone::Forget, result),
        };
        self.undone = result.err().map(|trouble| (undone, trouble));
    }

    fn found(&mut self, found: Option<Secret>) {
        if !matches!(self.stage, Stage::Finding { .. }) {
            return;
        }
        match found {
            Some(secret) => {
                self.kept = KeptWhere::Keyring;
                self.attempt_with(secret, Origin::Keyring);
            }
            None => self.stage = Stage::Asking { refused: None, again: None },
        }
    }

    /// Takes in what came over the link, and says what becomes of it.
    pub fn hear(&mut self, event: &NetEvent) -> Heard {
        match (&mut self.stage, event) {
            (Stage::Configured, _) => Heard::Passes,
            (_, NetEvent::Login { attempt, refused, .. }) => self.answered(*attempt, *refused),
            (Stage::LoggedIn { .. }, _) => Heard::Passes,
            // What was written without a link can be seen, and why there is none.
            (Stage::Trying { origin: Origin::Keyring, .. }, NetEvent::Disconnected { .. }) => Heard::Passes,
            (Stage::Trying { trouble, .. }, NetEvent::Disconnected { why, .. }) => {
                *trouble = Some(why.clone());
                Heard::Stays
            }
            _ => Heard::Stays,
        }
    }

    fn answered(&mut self, number: u64, refused: Option<Close>) -> Heard {
        let (attempt, origin) = match &self.stage {
            Stage::Trying { attempt, origin, .. } if attempt.number == number => {
                (attempt.clone(), Some(*origin))
            }
            Stage::LoggedIn { attempt } if attempt.number == number => (attempt.clone(), None),
            _ => return Heard::Stays,
        };
        let Some(close) = refused else {
            match origin {
                Some(Origin::Person(Keep::InKeyring)) if !self.lacks_keyring() => {
                    self.kept = KeptWhere::Asked;
                    self.job = Some(Job::Keep(attempt.secret.clone()));
                }
                // An older one is not what this person wants to be found the next time.
                Some(Origin::Person(_)) => self.forget(),
                Some(Origin::Keyring) | None => {}
            }
            self.stage = Stage::LoggedIn { attempt };
            return Heard::Stays;
        };
        // Too early is not wrong.
        let again = (close == Close::TooManyAttempts).then_some(attempt.secret);
        self.stage = Stage::Asking { refused: Some(close), again };
        Heard::TurnedAway
    }
}

#[cfg(test)]
mod tests;
