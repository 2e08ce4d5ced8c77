//! Tokens: 256 random bits that stand for a password until they expire. The hub keeps only their hashes,
//! in a file, so that a restart logs nobody out; a stolen file lets nobody in.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use pinkas_protocol::{AgentId, Private};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::people::{self, Users};

/// How every token begins, so that none is taken for a password.
const BEGINS: &str = "pinkas_";
/// The most tokens that one person has at a time; the oldest goes first.
const MOST_EACH: usize = 16;

/// A token that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    hash: String,
    /// Whose.
    pub agent: AgentId,
    /// The person's generation when it was made.
    pub generation: u32,
    /// When it expires.
    pub until: Timestamp,
}

/// All tokens, in memory and in their file.
pub struct Tokens {
    known: HashMap<String, Token>,
    file: Option<File>,
}

/// Whether a secret is a token rather than a password.
pub fn is_token(secret: &str) -> bool {
    secret.starts_with(BEGINS)
}

impl Tokens {
    /// Reads the tokens that still stand and writes the file anew with only those.
    pub fn open(path: &Path, now: Timestamp, users: &Users) -> anyhow::Result<Tokens> {
        let mut known = HashMap::new();
        if let Ok(old) = File::open(path) {
            // A line that was cut off by a crash is nobody's token.
            let lines = BufReader::new(old).lines().map_while(Result::ok);
            let tokens = lines.filter_map(|line| serde_json::from_str::<Token>(&line).ok());
            let stand =
                tokens.filter(|token| token.until > now && users.stands(&token.agent, token.generation));
            known = stand.map(|token| (token.hash.clone(), token)).collect();
        }
        let mut text = Vec::new();
        for token in known.values() {
            serde_json::to_writer(&mut text, token)?;
            text.push(b'\n');
        }
        people::write_whole(path, &text)?;
        let file = File::options().append(true).open(path);
        let file = file.with_context(|| format!("cannot write the tokens to {}", path.display()))?;
        Ok(Tokens { known, file: Some(file) })
    }

    /// A new token. `None` when this machine gives no random bytes.
    pub fn make(&mut self, agent: &AgentId, generation: u32, until: Timestamp) -> Option<Private<String>> {
        let mut random = [0u8; 32];
        getrandom::fill(&mut random).ok()?;
        let secret = format!("{BEGINS}{}", URL_SAFE_NO_PAD.encode(random));
        let token = Token { hash: hash(&secret), agent: agent.clone(), generation, until };
        self.make_room(agent);
        self.append(&token);
        self.known.insert(token.hash.clone(), token);
        Some(Private(secret))
    }

    /// The token of this text; it may have expired or been revoked since.
    pub fn find(&self, secret: &str) -> Option<Token> {
        self.known.get(&hash(secret)).cloned()
    }

    fn make_room(&mut self, agent: &AgentId) {
        let mut theirs: Vec<(Timestamp, String)> = self
            .known
            .values()
            .filter(|token| token.agent == *agent)
            .map(|token| (token.until, token.hash.clone()))
            .collect();
        theirs.sort();
        let too_many = (theirs.len() + 1).saturating_sub(MOST_EACH);
        for (_, hash) in theirs.into_iter().take(too_many) {
            self.known.remove(&hash);
        }
    }

    fn append(&mut self, token: &Token) {
        let Some(file) = &mut self.file else { return };
        let line = serde_json::to_string(token).map(|line| line + "\n");
        let written = line.map_err(std::io::Error::from).and_then(|line| file.write_all(line.as_bytes()));
        if let Err(e) = written {
            tracing::error!(
                "tokens cannot be written: {e}. After a restart people log in with their passwords"
            );
            self.file = None;
        }
    }
}

fn hash(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}
