//! Secrets that open one thing for a while: a log stream, a build's output, a rendezvous, a push. The table keeps digests, so a
//! look-up by a stranger's guess compares nothing secret byte by byte; entries expire and their number is bounded.
//!
//! Must not: persist anything. A secret dies with the server, and whoever held it asks for another.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Hexadecimal digits of a secret: 256 random bits.
pub const SECRET_DIGITS: usize = 64;

/// A table that cannot take another entry.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    #[error("{limit} {kind} are open already; close one or try again in a minute")]
    Full { kind: &'static str, limit: usize },
    #[error("the operating system gave no randomness for a {kind} secret")]
    NoRandomness { kind: &'static str },
}

/// Values behind secrets.
pub struct SecretTable<T> {
    kind: &'static str,
    limit: usize,
    lifetime: Duration,
    entries: Mutex<HashMap<[u8; 32], Entry<T>>>,
}

struct Entry<T> {
    value: T,
    expires: Instant,
}

impl<T: Clone> SecretTable<T> {
    /// `kind` is a plural noun for messages; an entry lives for `lifetime` after it was made or last looked up.
    pub fn new(kind: &'static str, limit: usize, lifetime: Duration) -> Self {
        Self { kind, limit, lifetime, entries: Mutex::new(HashMap::new()) }
    }

    /// Stores a value and returns its fresh secret.
    pub fn insert(&self, value: T) -> Result<String, SecretError> {
        let secret = random_hex().ok_or(SecretError::NoRandomness { kind: self.kind })?;
        let now = Instant::now();
        let mut entries = self.lock();
        if entries.len() >= self.limit {
            entries.retain(|_, entry| entry.expires > now);
        }
        if entries.len() >= self.limit {
            return Err(SecretError::Full { kind: self.kind, limit: self.limit });
        }
        entries.insert(digest(&secret), Entry { value, expires: now + self.lifetime });
        Ok(secret)
    }

    /// The value behind a secret, whose life begins anew.
    pub fn touch(&self, secret: &str) -> Option<T> {
        let now = Instant::now();
        let mut entries = self.lock();
        let entry = entries.get_mut(&digest(secret)).filter(|entry| entry.expires > now)?;
        entry.expires = now + self.lifetime;
        Some(entry.value.clone())
    }

    /// The value behind a secret, which opens nothing from now on.
    pub fn take(&self, secret: &str) -> Option<T> {
        let entry = self.lock().remove(&digest(secret))?;
        (entry.expires > Instant::now()).then_some(entry.value)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry<T>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// 64 random hexadecimal digits, unless the operating system has none to give.
pub fn random_hex() -> Option<String> {
    let mut bytes = [0u8; SECRET_DIGITS / 2];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

/// Whether a string has the shape of a secret of this module.
pub fn is_secret_shape(text: &[u8]) -> bool {
    text.len() == SECRET_DIGITS && text.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_secret_opens_nothing() {
        let table = SecretTable::new("things", 2, Duration::from_secs(60));
        let secret = table.insert(7).unwrap();
        assert!(is_secret_shape(secret.as_bytes()));
        assert_eq!(table.touch(&secret), Some(7));
        assert_eq!(table.touch("nonsense"), None);
        assert_eq!(table.take(&secret), Some(7));
        assert_eq!((table.take(&secret), table.touch(&secret)), (None, None));
    }

    #[test]
    fn expired_entries_make_room_and_living_ones_do_not() {
        let table = SecretTable::new("things", 1, Duration::ZERO);
        let old = table.insert(1).unwrap();
        assert_eq!(table.touch(&old), None, "expired at once");
        assert!(table.insert(2).is_ok(), "room was made");

        let table = SecretTable::new("things", 1, Duration::from_secs(60));
        table.insert(1).unwrap();
        assert_eq!(table.insert(2), Err(SecretError::Full { kind: "things", limit: 1 }));
    }
}
