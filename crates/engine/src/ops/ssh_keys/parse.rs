//! A line of an OpenSSH public key file (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options; RFC 4253 section 6.6). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// Longer lines are no keys: an RSA key of 16,384 bits takes less than 3,000 characters.
const LINE_LIMIT_BYTES: usize = 8 * 1024;
const COMMENT_LIMIT_CHARS: usize = 200;
/// Smaller RSA keys are within reach of who can pay.
const RSA_LEAST_BITS: usize = 2048;
const RSA: &str = "ssh-rsa";
/// What we take; DSA is left out because it is broken.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    RSA,
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

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
    #[error("keys of the kind \"{0}\" are not taken")]
    Algorithm(String),
    #[error("its middle part is not the base64 form of a key of the kind it says")]
    Blob,
    #[error("it has {0} bits; RSA keys need {RSA_LEAST_BITS} at least")]
    Small(usize),
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
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (field, after) = take_string(rest).ok_or(KeyRefused::Blob)?;
        fields.push(field);
        rest = after;
    }
    match (algorithm, fields.as_slice()) {
        (RSA, [_exponent, modulus]) => check_modulus(modulus),
        (RSA, _) | (_, []) => Err(KeyRefused::Blob),
        (_, _) => Ok(()),
    }
}

fn check_modulus(modulus: &[u8]) -> Result<(), KeyRefused> {
    let digits = modulus.iter().position(|byte| *byte != 0).map_or(&[][..], |start| &modulus[start..]);
    let bits = digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize);
    if bits < RSA_LEAST_BITS { Err(KeyRefused::Small(bits)) } else { Ok(()) }
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
    /// Of 1024 bits.
    const SMALL_RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC+PGl5LLGfJ/7n2KcHgsqUuZ9CkpXAStwTbwdfOwcLVKDJ4xZP+LX7ydf1eIYyWxP4TbmMTJ5Rgy+FVotA5VNti27kcE6FYpz0e8nBa9ZM6XAm2yxShGiBvkyhHz0jAEasQ0LhrPColDxR72QK7LcBqb+L0NdkxmWWXVsRaW9BSQ==";

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
            (&format!("ssh-rsa {blob}"), KeyRefused::Blob),
            (SMALL_RSA, KeyRefused::Small(1024)),
        ] {
            assert_eq!(PublicKey::parse(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(text in "(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]{0,80}.{0,40}") {
            if let Ok(key) = PublicKey::parse(&text) {
                prop_assert_eq!(PublicKey::parse(&key.line), Ok(key));
            }
        }
    }
}
