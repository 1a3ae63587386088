//! Accounts and the tokens that act for them.

use crate::ids::{AccountId, KeyId, TokenId};
use crate::names::AppName;
use crate::policy::Role;
use crate::scope::Scope;
use crate::time::WallMillis;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest address, RFC 5321 section 4.5.3.1.
const EMAIL_LIMIT_BYTES: usize = 254;

/// An electronic mail address, lower-case: what people call an account by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// A string that is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not an email address: expected something like ada@example.com")]
pub struct InvalidEmail {
    given: String,
}

impl Email {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let well_formed = s.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty()
                && !host.is_empty()
                && !host.contains('@')
                && !host.starts_with('.')
                && !host.ends_with('.')
        });
        let printable = s.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\,;:()[]".contains(&b));
        if well_formed && printable && s.len() <= EMAIL_LIMIT_BYTES {
            return Ok(Self(s.to_ascii_lowercase()));
        }
        Err(InvalidEmail { given: s.chars().take(80).collect() })
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A person or machine user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub email: Email,
    /// Over the installation; rights over an app come from owning it or from a grant.
    pub role: Role,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
}

/// How an account is named where it is only mentioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRef {
    pub id: AccountId,
    pub email: Email,
}

impl Account {
    pub fn reference(&self) -> AccountRef {
        AccountRef { id: self.id, email: self.email.clone() }
    }
}

/// An access token without its secret, which is shown once and never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub id: TokenId,
    pub account: AccountRef,
    pub description: String,
    /// The first characters of the token, which say nothing about its secret part.
    pub prefix: String,
    pub scope: Scope,
    /// The name of the app of a deploy token.
    pub deploys: Option<AppName>,
    pub created_at: WallMillis,
    pub expires_at: Option<WallMillis>,
}

/// A public key by which its account is known over SSH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshKey {
    pub id: KeyId,
    pub account: AccountRef,
    /// `ssh-ed25519 AAAA... comment`
    pub public_key: String,
    /// `SHA256:...`, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    pub comment: String,
    pub created_at: WallMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@b", "Ada@Example.com", "x+y@z.example"] {
            assert_eq!(good.parse::<Email>().unwrap().as_str(), good.to_ascii_lowercase());
        }
        let long = format!("{}@example.com", "a".repeat(250));
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@.b", "<a@b>", &long] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
