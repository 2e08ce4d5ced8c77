//! Names of things, parsed once at the door: calls, agents, lines, queues, customers, sources.
//! An id is plain text ([`crate::text::plain`]), trimmed, and at most 64 characters long.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One call from its arrival to its end, whoever it rings: a UUIDv7 made by the adapter that first
/// heard it, so ids sort by time (RFC 9562 section 5.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub Uuid);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({})", self.0)
    }
}

impl FromStr for CallId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Uuid::parse_str(text).map(CallId).map_err(|_| IdError::NotACall)
    }
}

/// Why a text is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing is left after trimming.
    #[error("is empty")]
    Empty,
    /// Longer than [`LONGEST`] characters.
    #[error("is longer than 64 characters")]
    Long,
    /// Holds a control character or one that changes direction or cannot be seen.
    #[error("holds a character that cannot be shown")]
    Control,
    /// Not a UUID.
    #[error("is not a call id (a UUID)")]
    NotACall,
}

/// The longest id, in characters.
pub const LONGEST: usize = 64;

fn checked(text: &str) -> Result<Arc<str>, IdError> {
    // Mostly it is a short number or word, which is seen at a glance.
    if (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Arc::from(text));
    }
    let text = text.trim();
    if text.is_empty() {
        Err(IdError::Empty)
    } else if text.chars().count() > LONGEST {
        Err(IdError::Long)
    } else if crate::text::plain(text, LONGEST).as_deref() != Some(text) {
        Err(IdError::Control)
    } else {
        Ok(Arc::from(text))
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads an id; the error says what is wrong with the text.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                checked(text).map(Self)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                String::from(&*id.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id!(
    /// A person who logs in to the hub from the desktop.
    AgentId
);
text_id!(
    /// An adapter that logs in to the hub.
    AdapterId
);
text_id!(
    /// A phone of the company as its phone system calls it, for example the extension `101`.
    Line
);
text_id!(
    /// A queue or ring group of the phone system, for example `Support`.
    QueueName
);
text_id!(
    /// A team of the company's people, for example `support`.
    TeamName
);
text_id!(
    /// What the company's own systems call a customer: the key the other sources are asked with.
    CustomerKey
);
text_id!(
    /// A configured source, for example `accounting`.
    SourceName
);
text_id!(
    /// What a configuration calls an outcome of a call, for example `ordered`.
    OutcomeCode
);
text_id!(
    /// What a configuration calls a reason not to take calls, for example `lunch`.
    ReasonCode
);
text_id!(
    /// What a configuration calls something a phone system tells of a call, for example `customer`.
    TagName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_trimmed_and_refuse_what_is_no_name() {
        assert_eq!(Line::parse(" 101 ").map(String::from), Ok("101".to_owned()));
        assert_eq!(Line::parse("  "), Err(IdError::Empty));
        assert_eq!(Line::parse("a\nb"), Err(IdError::Control));
        assert_eq!(Line::parse("a\u{202E}b"), Err(IdError::Control));
        assert_eq!(Line::parse(&"1".repeat(65)), Err(IdError::Long));
    }

    #[test]
    fn a_bad_id_on_the_wire_is_an_error_not_a_value() {
        assert!(serde_json::from_str::<Line>("\"\"").is_err());
        assert!(serde_json::from_str::<CallId>("\"101\"").is_err());
    }
}
