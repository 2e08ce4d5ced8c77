//! JSON text frames: the one way in and out of a link, with its size limits and version.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version both sides of a link must share.
pub const VERSION: u32 = 5;

/// The largest frame an adapter or agent may send to the hub, in bytes.
pub const LARGEST_UP: usize = 64 * 1024;

/// The largest frame the hub sends, in bytes: a whole board.
pub const LARGEST_DOWN: usize = 4 * 1024 * 1024;

/// A frame that is not a message of this link. The text names the place, never the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this link (line {line}, column {column})")]
pub struct WireError {
    /// Line in the frame, from 1.
    pub line: usize,
    /// Column in that line, from 1.
    pub column: usize,
}

/// A message as the text of one frame.
pub fn encode<T: Serialize>(message: &T) -> String {
    // Our own types have string keys and finite numbers only: serialising them cannot fail.
    serde_json::to_string(message).unwrap_or_default()
}

/// The message in the text of one frame.
pub fn decode<T: DeserializeOwned>(frame: &str) -> Result<T, WireError> {
    // serde_json's own text may quote the frame, which may hold a caller's data: only the place is kept.
    serde_json::from_str(frame).map_err(|e| WireError { line: e.line(), column: e.column() })
}
