//! Why a link closed, and whether it is worth trying again: one table for every link.
//! Codes 4000–4999 are free for applications (RFC 6455 section 7.4.2).

use std::fmt;
use std::time::Duration;

use crate::wire;

const SPEAKS: &str = "this side speaks version ";

/// A named reason for which one side ends a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The other side stops; it will be back.
    Stopping,
    /// Name or secret is wrong.
    WrongSecret,
    /// The two sides speak different versions.
    WrongVersion,
    /// A message was not understood.
    BadMessage,
    /// No hello came in time.
    NoHello,
    /// This side read too slowly; the next hello brings the whole state.
    TooSlow,
    /// The same name logged in again, from elsewhere.
    Replaced,
    /// The token has expired or was revoked, or the person may no longer log in.
    Revoked,
    /// Too many attempts with a wrong secret.
    TooManyAttempts,
}

impl Close {
    const ALL: [Close; 9] = [
        Close::Stopping,
        Close::WrongSecret,
        Close::WrongVersion,
        Close::BadMessage,
        Close::NoHello,
        Close::TooSlow,
        Close::Replaced,
        Close::Revoked,
        Close::TooManyAttempts,
    ];

    /// The WebSocket close code.
    pub fn code(self) -> u16 {
        match self {
            Close::Stopping => 4000,
            Close::WrongSecret => 4001,
            Close::WrongVersion => 4002,
            Close::BadMessage => 4003,
            Close::NoHello => 4004,
            Close::TooSlow => 4005,
            Close::Replaced => 4006,
            Close::Revoked => 4007,
            Close::TooManyAttempts => 4008,
        }
    }

    /// The reason behind a code, if it is one of ours.
    pub fn from_code(code: u16) -> Option<Close> {
        Close::ALL.into_iter().find(|close| close.code() == code)
    }

    /// What stands in the frame that closes: of [`Close::WrongVersion`] which version the closing side speaks.
    pub fn reason(self) -> String {
        match self {
            Close::WrongVersion => format!("{SPEAKS}{}", wire::VERSION),
            other => other.to_string(),
        }
    }

    /// The version that the closing side speaks, out of [`Close::reason`].
    pub fn version_in(reason: &str) -> Option<u32> {
        reason.strip_prefix(SPEAKS)?.parse().ok()
    }

    /// How long to wait before trying again. Never "never": whoever runs the other side may mend it,
    /// and people should not have to restart a program for that.
    pub fn retry_after(self) -> Duration {
        match self {
            Close::Stopping | Close::TooSlow | Close::Revoked => Duration::from_millis(200),
            Close::BadMessage | Close::NoHello => Duration::from_secs(5),
            Close::WrongSecret | Close::WrongVersion | Close::Replaced | Close::TooManyAttempts => {
                Duration::from_secs(10)
            }
        }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Close::Stopping => "the hub is stopping",
            Close::WrongSecret => "the hub does not know this name and secret",
            Close::WrongVersion => "the two sides speak different versions; install the same version on both",
            Close::BadMessage => "a message was not understood",
            Close::NoHello => "no hello came in time",
            Close::TooSlow => "updates were not read fast enough",
            Close::Replaced => "the same name logged in from another place",
            Close::Revoked => "this login has ended; log in with the password",
            Close::TooManyAttempts => "too many attempts with a wrong secret; wait a minute",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_again_by_its_code() {
        for close in Close::ALL {
            assert_eq!(Close::from_code(close.code()), Some(close));
        }
        assert_eq!(Close::from_code(1006), None);
    }

    #[test]
    fn whoever_speaks_another_version_is_told_which() {
        assert_eq!(Close::version_in(&Close::WrongVersion.reason()), Some(wire::VERSION));
        assert_eq!(Close::version_in(&Close::TooSlow.reason()), None);
        // A frame that closes holds at most 123 bytes of reason (RFC 6455 section 5.5).
        assert!(Close::ALL.iter().all(|close| close.reason().len() <= 123));
    }
}
