//! Passwords: hashed with argon2id, memory and passes as OWASP advises (19 MiB, 2). Slow by intention:
//! never called where others wait.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The shortest password that is taken, in characters.
pub const SHORTEST: usize = 10;
/// The longest, in bytes: more is work for nothing.
pub const LONGEST: usize = 256;

/// A password's hash, with its salt and parameters in it.
pub fn hash(password: &str) -> anyhow::Result<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    Ok(hashed.map_err(|e| anyhow::anyhow!("the password cannot be hashed: {e}"))?.to_string())
}

/// Whether a password is the one that was hashed.
pub fn matches(hash: &str, password: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    // Cut, not refused: a longer one takes the same time and is wrong.
    let bytes = password.as_bytes().get(..LONGEST).unwrap_or(password.as_bytes());
    Argon2::default().verify_password(bytes, &hash).is_ok() && password.len() <= LONGEST
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
    use super::*;

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
