//! Builds: one run of a builder each, from a source tree to a slug or to a reason why there is none.

use crate::app_json::AppJson;
use crate::formation::ProcessTypes;
use crate::ids::{AccountId, AppId, BuildId, ReleaseId};
use crate::names::{CommitId, SlugId, SourceChecksum, SourceVersion};
use crate::time::WallMillis;

/// A build as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub id: BuildId,
    pub app: AppId,
    /// Grows by order of acceptance within the app.
    pub number: u64,
    /// `None`: the system.
    pub actor: Option<AccountId>,
    pub source: BuildSource,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
    pub status: BuildStatus,
}

/// What a build is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildSource {
    /// A commit of the app's repository.
    Commit(CommitId),
    /// A tree that came by itself.
    Tree(TreeSource),
}

/// A tree that was uploaded or fetched, as far as anything is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeSource {
    /// What its sender calls it.
    pub version: Option<SourceVersion>,
    /// Of the archive.
    pub checksum: Option<SourceChecksum>,
    /// Where it was fetched, without what may be secret in the address; `None`: it was uploaded.
    pub url: Option<String>,
}

impl BuildSource {
    /// The commit of the app's repository.
    pub const fn commit(&self) -> Option<&CommitId> {
        match self {
            Self::Commit(commit) => Some(commit),
            Self::Tree(_) => None,
        }
    }

    /// What its sender calls a tree.
    pub const fn version(&self) -> Option<&SourceVersion> {
        match self {
            Self::Commit(_) => None,
            Self::Tree(tree) => tree.version.as_ref(),
        }
    }

    /// The commit that a release of it names: a tree's version counts if it is one.
    pub fn named_commit(&self) -> Option<CommitId> {
        match self {
            Self::Commit(commit) => Some(commit.clone()),
            Self::Tree(tree) => tree.version.as_ref().and_then(|version| version.as_str().parse().ok()),
        }
    }
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildStatus {
    /// Accepted: its tree is kept and its turn will come.
    Waiting,
    Running,
    Succeeded {
        slug: SlugId,
        release: ReleaseId,
    },
    Failed {
        reason: String,
    },
    /// A newer deploy took its place while it waited.
    Superseded,
}

impl BuildStatus {
    pub const fn has_ended(&self) -> bool {
        match self {
            Self::Waiting | Self::Running => false,
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Superseded => true,
        }
    }

    /// The word of Heroku's API.
    pub const fn api_word(&self) -> &'static str {
        match self {
            Self::Waiting | Self::Running => "pending",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } | Self::Superseded => "failed",
        }
    }
}

/// What a builder made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltSlug {
    pub slug: SlugId,
    pub process_types: ProcessTypes,
    pub app_json: AppJson,
    pub size_bytes: u64,
    /// The builder's name, such as `rust` or `static`.
    pub builder: String,
}

/// Why a builder made nothing. `reason` is one line for the person who pushed; the output tells the rest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BuildFailure {
    pub kind: BuildFailureKind,
    pub reason: String,
    pub hint: Option<String>,
}

/// Whose fault a failed build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildFailureKind {
    /// The source: it does not compile, has no known shape, uses too much.
    Source,
    /// The platform: no disk, no launcher.
    Platform,
    /// Somebody cancelled it.
    Cancelled,
}

/// Longest commit shown in descriptions and output.
const SHORT_COMMIT_LENGTH: usize = 8;

/// `a97f3d42`
pub fn short_commit(commit: &CommitId) -> &str {
    commit.as_str().get(..SHORT_COMMIT_LENGTH).unwrap_or(commit.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_a_commit_is_named_as_one() {
        let tree = |version: &str| {
            BuildSource::Tree(TreeSource { version: version.parse().ok(), ..TreeSource::default() })
        };
        let id = "a".repeat(40);
        assert_eq!(tree(&id).named_commit().unwrap().as_str(), id);
        assert_eq!((tree(&id).commit(), tree("v1").named_commit()), (None, None));
        assert_eq!(tree("v1").version().unwrap().as_str(), "v1");
    }
}
