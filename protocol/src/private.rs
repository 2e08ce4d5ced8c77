//! A value that belongs to a caller or customer and must not reach a log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Prints `…` in every log and debug output; `.0` is the value, for screens and links only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Private<T>(pub T);

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_value_never_prints_itself() {
        let number = Private("+48123456789".to_owned());
        assert_eq!(format!("{number} {number:?}"), "… …");
    }
}
