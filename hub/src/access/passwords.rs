//! Passwords: hashed with argon2id, memory and passes as OWASP advises (19 MiB, 2). Slow by intention:
//! never called where others wait.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

/// The shortest password that is taken, in characters.
pub const SHORTEST: usize = 10;
/// The longest, in bytes: more is work for nothing.
pub const LONGEST: usize = 256;

/// A password's hash, with its salt and parameters in it.
pub fn hash(password: &str) -> anyhow::Result<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    Ok(hashed.map_err(|e| anyhow::anyhow!("the password cannot be hashed: {e}"))?.to_string())
}

/// Memory in which passwords are hashed, kept from one to the next. Hashes come on any of the runtime's threads,
/// and an allocator keeps freed memory for each thread: many passwords, one after the other, would take as much
/// as many at once.
#[derive(Default)]
pub struct Memory {
    kept: Mutex<Vec<Vec<Block>>>,
    /// Blocks of memory that were gone through: what a password costs, whatever else the machine does.
    #[cfg(test)]
    pub(super) worked: std::sync::atomic::AtomicUsize,
}

impl Memory {
    /// Whether a password is the one that was hashed. Takes as much memory as were ever looked at together.
    pub fn matches(&self, hash: &str, password: &str) -> bool {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = kept().pop().unwrap_or_default();
        let same = matches_in(&mut blocks, hash, password);
        #[cfg(test)]
        if same.is_some() {
            self.worked.fetch_add(blocks.len(), std::sync::atomic::Ordering::Relaxed);
        }
        kept().push(blocks);
        same.unwrap_or(false)
    }
}

fn matches_in(blocks: &mut Vec<Block>, hash: &str, password: &str) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default();
    let params = Params::try_from(&hash).ok()?;
    if blocks.len() < params.block_count() {
        blocks.resize(params.block_count(), Block::default());
    }
    // Cut, not refused: a longer one takes the same time and is wrong.
    let bytes = password.as_bytes().get(..LONGEST).unwrap_or(password.as_bytes());
    let mut made = vec![0; expected.len()];
    let argon = Argon2::new(algorithm, version, params);
    argon.hash_password_into_with_memory(bytes, salt.as_ref(), &mut made, blocks.as_mut_slice()).ok()?;
    let same: bool = made.ct_eq(expected.as_bytes()).into();
    Some(same && password.len() <= LONGEST)
}

/// A new random password of 120 bits.
pub fn make() -> anyhow::Result<String> {
    let mut random = [0u8; 15];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("this machine gives no random bytes: {e}"))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// What is wrong with a password that somebody chose.
pub fn refuse(password: &str) -> Option<String> {
    if password.chars().count() < SHORTEST {
        Some(format!("this password is too short: take at least {SHORTEST} characters"))
    } else if password.len() > LONGEST {
        Some(format!("this password is too long: take at most {LONGEST} bytes"))
    } else if super::tokens::is_token(password) {
        Some("a password must not begin like a token: take another one".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;

    use super::*;

    fn matches(hash: &str, password: &str) -> bool {
        Memory::default().matches(hash, password)
    }

    #[test]
    fn only_the_password_that_was_hashed_matches() {
        let password = make().expect("random bytes");
        let hashed = hash(&password).expect("a hash");
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert!(matches(&hashed, &password));
        for wrong in ["", "x", &format!("{password} "), &format!("{password}{}", "x".repeat(300))] {
            assert!(!matches(&hashed, wrong), "{wrong}");
        }
        assert!(!matches("not a hash", &password));
        let verified = Argon2::default()
            .verify_password(password.as_bytes(), &PasswordHash::new(&hashed).expect("a hash"));
        assert!(verified.is_ok(), "as the library itself sees it");
        for cut in 1..hashed.len() {
            assert!(!matches(&hashed[..cut], &password), "{cut}");
        }
        assert_ne!(hashed, hash(&password).expect("a hash"), "each has a salt of its own");
    }

    #[test]
    fn bad_passwords_are_refused_with_the_reason() {
        for (bad, why) in
            [("tiny", "too short"), ("pinkas_0123456789", "like a token"), (&"x".repeat(300), "too long")]
        {
            let said = refuse(bad).expect("refused");
            assert!(said.contains(why) && !said.contains(bad), "{said}");
        }
        assert_eq!(refuse("long enough"), None);
    }
}
