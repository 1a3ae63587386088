//! Names that people choose, made only by parsing (in serde too), so that holding one is proof that it is well formed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Why a name was refused: what it was for, what was given, what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a valid {kind}: {expected}")]
pub struct InvalidName {
    pub kind: &'static str,
    pub given: String,
    pub expected: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let valid: fn(&str) -> bool = $valid;
                if valid(s) {
                    return Ok(Self(s.to_owned()));
                }
                Err(InvalidName { kind: $kind, given: s.chars().take(80).collect(), expected: $expected })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

name!(
    /// An app's name: a DNS label, since it becomes one (`NAME.BASE`). Source: Heroku Platform API, `app.name`.
    AppName, "app name",
    "3 to 30 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen",
    |s| (3..=30).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && s.as_bytes()[0].is_ascii_lowercase()
        && !s.ends_with('-')
);

name!(
    /// A process type of a Procfile, such as `web` or `worker`.
    ProcessType, "process type",
    "1 to 63 letters, digits, hyphens and underscores, beginning with a letter or digit",
    |s| (1..=63).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && s.as_bytes()[0].is_ascii_alphanumeric()
);

name!(
    /// The name of a config var: what POSIX shells accept as a variable's name.
    ConfigKey, "config var name",
    "1 to 255 letters, digits and underscores, not beginning with a digit",
    |s| (1..=255).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !s.as_bytes()[0].is_ascii_digit()
);

name!(
    /// A host name without port, lower-case (RFC 1123 section 2.1), a leading `*.` label allowed.
    HostName, "host name",
    "lower-case DNS labels of 1 to 63 letters, digits and hyphens joined by dots, 253 bytes at most",
    |s| s.len() <= 253 && s.strip_prefix("*.").unwrap_or(s).split('.').all(is_dns_label)
);

name!(
    /// The identity of a slug: the digest of its OCI image configuration.
    SlugId, "slug id",
    "sha256: followed by 64 lower-case hexadecimal digits",
    |s| s.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64
        && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
);

name!(
    /// A git commit: its full object id.
    CommitId, "commit id",
    "40 or 64 lower-case hexadecimal digits",
    |s| (s.len() == 40 || s.len() == 64) && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);

name!(
    /// What people call a source tree that is no commit of the app's repository: a tag, a number, a commit of elsewhere.
    SourceVersion, "version",
    "1 to 200 characters, none of them a control character",
    |s| !s.trim().is_empty() && s.chars().count() <= 200 && !s.chars().any(char::is_control)
);

name!(
    /// The digest of an archive, as Heroku's API writes it.
    SourceChecksum, "checksum",
    "SHA256: followed by 64 lower-case hexadecimal digits",
    |s| s.strip_prefix("SHA256:").is_some_and(|hex| hex.len() == 64
        && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
);

name!(
    /// A folder of a source tree, below its top.
    ProjectPath, "project path",
    "a relative path such as services/web, 200 bytes at most, without empty parts, \".\" and \"..\"",
    |s| (1..=200).contains(&s.len())
        && !s.chars().any(char::is_control)
        && s.split('/').all(|part| !matches!(part, "" | "." | ".."))
);

fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl ProcessType {
    /// The one type that the router sends requests to.
    pub const WEB: &'static str = "web";
    /// The type that runs as a job before a release serves.
    pub const RELEASE: &'static str = "release";

    pub fn is_web(&self) -> bool {
        self.0 == Self::WEB
    }

    pub fn is_release_phase(&self) -> bool {
        self.0 == Self::RELEASE
    }
}

/// Words in a config var's name that speak of something to be kept secret.
const SECRET_WORDS: &[&str] = &[
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "PRIVATE",
    "APIKEY",
    "KEY",
    "DSN",
    "SALT",
];

impl ConfigKey {
    /// Whether the name says that its value is a secret, such as `API_KEY` or `SESSION_SECRET`.
    pub fn names_a_secret(&self) -> bool {
        let upper = self.0.to_ascii_uppercase();
        upper.split('_').any(|word| SECRET_WORDS.contains(&word))
    }
}

impl SlugId {
    /// The digest's 64 hexadecimal digits: safe as a file name.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

/// A release's number within its app: v1, v2, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ReleaseVersion(pub u64);

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
        for name in good {
            assert!(name.parse::<T>().is_ok(), "should accept {name:?}");
        }
        for name in bad {
            assert!(name.parse::<T>().is_err(), "should refuse {name:?}");
        }
    }

    #[test]
    fn names_accept_and_refuse() {
        check::<AppName>(
            &["abc", "hello-1"],
            &["", "ab", "Abc", "1ab", "abc-", "a.b", "a/b", &"a".repeat(31)],
        );
        check::<ProcessType>(&["web", "worker_2", "Clock"], &["", "-web", "we b", "web.1", &"w".repeat(64)]);
        check::<ConfigKey>(&["A", "_x", "DATABASE_URL"], &["", "1A", "A-B", "A=B", "Ä"]);
        check::<HostName>(
            &["localhost", "a.b", "*.example.com"],
            &["", "A.b", "a..b", "-a.b", "a.b-", "a b", "a*.b"],
        );
        let digest = format!("sha256:{}", "0a".repeat(32));
        check::<SlugId>(&[&digest], &["", "sha256:", "sha256:../../x", &digest.to_uppercase()]);
        check::<SourceVersion>(&["v1.2", "é", &"v".repeat(200)], &["", " ", "a\nb", &"v".repeat(201)]);
        check::<ProjectPath>(
            &["web", "services/web", "a b/.c"],
            &["", "/web", "web/", "a//b", "..", "a/../b", "./a", "a\0"],
        );
        let digest = "0a".repeat(32);
        check::<SourceChecksum>(
            &[&format!("SHA256:{digest}")],
            &["", &digest, &format!("sha256:{digest}"), "SHA256:00"],
        );
        check::<CommitId>(&[&"a".repeat(40)], &["", "HEAD", &"A".repeat(40), &"a".repeat(41)]);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for (name, expected) in
            [("API_KEY", true), ("session_secret", true), ("KEYBOARD", false), ("GREETING", false)]
        {
            assert_eq!(name.parse::<ConfigKey>().unwrap().names_a_secret(), expected, "{name}");
        }
    }

    #[test]
    fn serde_validates_too() {
        assert!(serde_json::from_str::<AppName>("\"ok-name\"").is_ok());
        assert!(serde_json::from_str::<AppName>("\"../x\"").is_err());
    }
}
