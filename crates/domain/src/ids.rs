//! Typed identifiers. Every one is a UUID on the outside (lower-case, hyphenated) and a distinct type on the inside, made only by
//! parsing, by [`Ids`], or by the store reading back what it wrote.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// What is wrong with a string that should have been an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a {kind} id: expected a UUID such as 01234567-89ab-4cde-8f01-23456789abcd")]
pub struct InvalidId {
    kind: &'static str,
    given: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is already known to name a thing of this kind.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            pub const fn from_u128(value: u128) -> Self {
                Self(Uuid::from_u128(value))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let hyphenated = s.len() == 36;
                match Uuid::try_parse(s) {
                    Ok(uuid) if hyphenated => Ok(Self(uuid)),
                    _ => Err(InvalidId { kind: $kind, given: s.chars().take(64).collect() }),
                }
            }
        }
    };
}

id!(
    /// A public key for SSH.
    KeyId, "key"
);
id!(
    /// An upload that builds are made from.
    SourceId, "source"
);
id!(
    /// An app.
    AppId, "app"
);
id!(
    /// A command that runs again and again.
    CronId, "cron entry"
);
id!(
    /// An account: a person or a machine user that owns apps and tokens.
    AccountId, "account"
);
id!(
    /// One run of a builder.
    BuildId, "build"
);
id!(
    /// A release of an app. People use its number, [`crate::names::ReleaseVersion`].
    ReleaseId, "release"
);
id!(
    /// A running instance of a process type. `web.1` is only its display name.
    ProcessId, "process"
);
id!(
    /// A job: one-off process or release phase.
    JobId, "job"
);
id!(
    /// A router instance; two live side by side during a hand-over.
    RouterId, "router"
);
id!(
    /// A writer of journal segments: a shim (its process id), a router thread or the server.
    WriterId, "writer"
);
id!(
    /// An access token's public identity; its secret is never an id.
    TokenId, "token"
);
id!(
    /// A machine that runs processes.
    HostId, "host"
);
id!(
    /// A backing service attached to an app.
    AttachmentId, "attachment"
);
id!(
    /// A host name that leads to an app.
    DomainId, "domain"
);

impl WriterId {
    /// A shim writes under the identity of the process that it holds.
    pub const fn of_process(process: ProcessId) -> Self {
        Self(process.0)
    }
}

/// A seeded source of identifiers (SplitMix64): the same seed gives the same sequence.
///
/// `plan` takes one by `&mut`, so that a plan is a function of its inputs. Seeds come from the operating system's random source
/// in the server and from the run's seed in the simulator.
#[derive(Debug, Clone)]
pub struct Ids {
    state: u64,
    stream: u64,
}

impl Ids {
    pub const fn seeded(seed: u128) -> Self {
        Self { state: seed as u64, stream: (seed >> 64) as u64 }
    }

    fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state ^ self.stream;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A version 4 (random) UUID by layout, RFC 9562 section 5.4.
    pub fn next_uuid(&mut self) -> Uuid {
        let raw = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        let versioned = (raw & !(0xf << 76)) | (0x4 << 76);
        let variant = (versioned & !(0b11 << 62)) | (0b10 << 62);
        Uuid::from_u128(variant)
    }

    pub fn next_process(&mut self) -> ProcessId {
        ProcessId(self.next_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_ids_and_all_distinct() {
        let (mut a, mut b) = (Ids::seeded(7), Ids::seeded(7));
        let first: Vec<_> = (0..1000).map(|_| a.next_uuid()).collect();
        let second: Vec<_> = (0..1000).map(|_| b.next_uuid()).collect();
        assert_eq!(first, second);
        assert_eq!(first.iter().collect::<std::collections::BTreeSet<_>>().len(), 1000);
        assert!(first.iter().all(|uuid| uuid.get_version_num() == 4));
    }

    #[test]
    fn parses_only_the_hyphenated_form() {
        let text = "01234567-89ab-4cde-8f01-23456789abcd";
        assert_eq!(text.parse::<AppId>().map(|id| id.to_string()), Ok(text.to_owned()));
        for bad in [
            "",
            "x",
            "0123456789ab4cde8f0123456789abcd",
            "../../etc/passwd",
            "{01234567-89ab-4cde-8f01-23456789abcd}",
        ] {
            assert!(bad.parse::<AppId>().is_err(), "{bad}");
        }
    }
}
