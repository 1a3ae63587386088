//! A line of an OpenSSH public key file (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options; RFC 4253 section 6.6). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// Longer lines are no keys: the largest takes less than 400 characters.
const LINE_LIMIT_BYTES: usize = 8 * 1024;
const COMMENT_LIMIT_CHARS: usize = 200;
/// What we take. Others, RSA among them, would each need a library of their own that parses what strangers send.
const ALGORITHMS: [&str; 4] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];

/// A public key that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `ssh-ed25519 AAAA... comment`
    pub line: String,
    /// `SHA256:...`
    pub fingerprint: String,
    pub comment: String,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    #[error(
        "it is a PRIVATE key; nobody else may ever see it. The public half is in the file that ends in .pub"
    )]
    Private,
    #[error("it is not one line of the form ALGORITHM BASE64 COMMENT")]
    Form,
    #[error("keys of the kind \"{0}\" are not taken, only Ed25519 and ECDSA")]
    Algorithm(String),
    #[error("its middle part is not the base64 form of a key of the kind it says")]
    Blob,
}

impl PublicKey {
    pub fn parse(text: &str) -> Result<Self, KeyRefused> {
        let line = text.trim();
        if line.contains("PRIVATE KEY") {
            return Err(KeyRefused::Private);
        }
        if line.len() > LINE_LIMIT_BYTES || line.chars().any(|c| c.is_control() && c != '\t') {
            return Err(KeyRefused::Form);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(algorithm), Some(encoded)) = (words.next(), words.next()) else {
            return Err(KeyRefused::Form);
        };
        if !ALGORITHMS.contains(&algorithm) {
            return Err(KeyRefused::Algorithm(algorithm.chars().take(60).collect()));
        }
        let blob = STANDARD.decode(encoded).map_err(|_| KeyRefused::Blob)?;
        check_blob(algorithm, &blob)?;
        let comment: String = words.collect::<Vec<_>>().join(" ").chars().take(COMMENT_LIMIT_CHARS).collect();
        let line = format!("{algorithm} {encoded} {comment}").trim_end().to_owned();
        Ok(Self { line, fingerprint: fingerprint(&blob), comment })
    }
}

/// `SHA256:...` of a key's wire form.
pub fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

fn check_blob(algorithm: &str, blob: &[u8]) -> Result<(), KeyRefused> {
    let (name, mut rest) = take_string(blob).ok_or(KeyRefused::Blob)?;
    if name != algorithm.as_bytes() {
        return Err(KeyRefused::Blob);
    }
    if rest.is_empty() {
        return Err(KeyRefused::Blob);
    }
    while !rest.is_empty() {
        rest = take_string(rest).ok_or(KeyRefused::Blob)?.1;
    }
    Ok(())
}

fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made by `ssh-keygen -t ed25519`; the fingerprint is what `ssh-keygen -l` says.
    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm0Tv/lhuRxAnjJfUx46ceAzPyXIlotmEohm3ktXtPt";
    const ED25519_FINGERPRINT: &str = "SHA256:ZyXNo2/4bhBbq0hNzE5dc5xB/2h1qPXdDaH9W5hnsLo";

    #[test]
    fn a_key_is_read_as_openssh_reads_it() {
        let key = PublicKey::parse(&format!("  {ED25519} ada  lovelace\n")).unwrap();
        assert_eq!(key.fingerprint, ED25519_FINGERPRINT);
        assert_eq!((key.comment.as_str(), key.line), ("ada lovelace", format!("{ED25519} ada lovelace")));
        assert_eq!(PublicKey::parse(ED25519).unwrap().comment, "");
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        let blob = ED25519.split(' ').nth(1).unwrap();
        for (text, expected) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nx", KeyRefused::Private),
            ("", KeyRefused::Form),
            ("ssh-ed25519", KeyRefused::Form),
            (&format!("{ED25519}\n{ED25519}"), KeyRefused::Form),
            ("ssh-dss AAAA x", KeyRefused::Algorithm("ssh-dss".to_owned())),
            ("command=\"sh\" ssh-ed25519 AAAA", KeyRefused::Algorithm("command=\"sh\"".to_owned())),
            ("ssh-ed25519 ****", KeyRefused::Blob),
            ("ssh-ed25519 AAAA", KeyRefused::Blob),
            (&format!("ecdsa-sha2-nistp256 {blob}"), KeyRefused::Blob),
            ("ssh-rsa AAAA", KeyRefused::Algorithm("ssh-rsa".to_owned())),
        ] {
            assert_eq!(PublicKey::parse(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(text in "(ssh-ed25519|ecdsa-sha2-nistp256) [A-Za-z0-9+/=]{0,80}.{0,40}") {
            if let Ok(key) = PublicKey::parse(&text) {
                prop_assert_eq!(PublicKey::parse(&key.line), Ok(key));
            }
        }
    }
}
