//! SHA-256 digests in the form of the OCI image specification: `sha256:` and 64 lower-case hexadecimal digits.

use domain::names::SlugId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Write};

/// A digest of bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(SlugId);

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_sum(Sha256::digest(bytes).as_slice())
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The digest of an image configuration is a slug's identity.
    pub fn into_slug_id(self) -> SlugId {
        self.0
    }

    fn of_sum(sum: &[u8]) -> Self {
        let text = format!("sha256:{}", hex::encode(sum));
        Self(text.parse().expect("a SHA-256 sum has 64 hexadecimal digits"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Takes bytes, keeps their digest and their number.
#[derive(Default)]
pub struct Digester {
    hasher: Sha256,
    bytes: u64,
}

impl Digester {
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(self) -> Digest {
        Digest::of_sum(self.hasher.finalize().as_slice())
    }
}

impl Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums() {
        // FIPS 180-4, example "abc".
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), expected);
        let mut digester = Digester::default();
        digester.write_all(b"a").expect("cannot fail");
        digester.write_all(b"bc").expect("cannot fail");
        assert_eq!(digester.bytes(), 3);
        assert_eq!(digester.finish().as_str(), expected);
    }
}
