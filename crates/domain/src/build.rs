//! Builds: one run of a builder each, from a source tree to a slug or to a reason why there is none.

use crate::formation::ProcessTypes;
use crate::ids::{AccountId, AppId, BuildId, ReleaseId};
use crate::names::{CommitId, SlugId};
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
    /// `None` for an uploaded tree.
    pub commit: Option<CommitId>,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
    pub status: BuildStatus,
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
    /// A newer push took its place while it waited.
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
