//! Releases: immutable, numbered, append-only; and the rules by which the next one follows from those before it.
//!
//! *head* is the newest release whatever its status, *current* the one that serves, *candidate* the one that may serve next. Every
//! change is a pure patch of a [`Basis`] that the op reads inside its write transaction; nothing here reads or stores anything.

use crate::app_json::AppJson;
use crate::build::short_commit;
use crate::config_vars::{ConfigPatch, ConfigRefused, ConfigVars};
use crate::formation::ProcessTypes;
use crate::ids::{AccountId, AppId, AttachmentId, BuildId, ReleaseId};
use crate::names::{CommitId, ReleaseVersion, SlugId, SourceVersion};
use crate::time::WallMillis;
use serde::{Deserialize, Serialize};

/// Longest reason kept with a failed release, in characters.
pub const REASON_LIMIT_CHARS: usize = 500;

/// A release without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: ReleaseId,
    pub app: AppId,
    pub version: ReleaseVersion,
    pub artifact: Artifact,
    pub attachments: Vec<AttachmentRef>,
    /// The number of the build that made it, if a build did.
    pub build_number: Option<u64>,
    pub description: String,
    /// `None`: the system.
    pub actor: Option<AccountId>,
    pub created_at: WallMillis,
    pub status: ReleaseStatus,
    pub status_at: WallMillis,
}

/// What runs: the part of a release that a build makes and a rollback brings back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Artifact {
    /// `None` before the first build.
    pub slug: Option<SlugId>,
    pub slug_size_bytes: u64,
    pub process_types: ProcessTypes,
    /// What the slug's `app.json` says about running them.
    pub app_json: AppJson,
    pub commit: Option<CommitId>,
    /// What the sender of an uploaded tree calls it.
    pub version: Option<SourceVersion>,
    /// The build that made the slug.
    pub build: Option<BuildId>,
}

/// A backing service as a release refers to it. The values belong to the credential and are resolved when a release is appended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRef {
    pub name: String,
    pub attachment: AttachmentId,
    pub credential: String,
}

/// How far a release is. Mutable, and kept apart from the release itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseStatus {
    Pending,
    /// Its `release:` process runs.
    PhaseRunning,
    /// Its web processes are starting.
    Starting,
    /// It was promoted.
    Succeeded,
    Failed {
        reason: String,
    },
    /// A newer release took its place before it served.
    Superseded,
}

/// What moves a release along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseStep {
    PhaseStarted,
    /// The release phase has succeeded, or there is none.
    BootStarted,
    Promoted,
    Failed {
        reason: String,
    },
    Superseded,
}

/// A step that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a release that is {} cannot become {}", from.name(), to.name())]
pub struct IllegalStep {
    pub from: ReleaseStatus,
    pub to: ReleaseStatus,
}

impl ReleaseStatus {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::PhaseRunning => "phase_running",
            Self::Starting => "starting",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Superseded => "superseded",
        }
    }

    /// The word of Heroku's API, which knows three.
    pub const fn api_word(&self) -> &'static str {
        match self {
            Self::Pending | Self::PhaseRunning | Self::Starting => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed { .. } | Self::Superseded => "failed",
        }
    }

    /// Whether nothing will change it any more.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Pending | Self::PhaseRunning | Self::Starting => false,
            Self::Succeeded | Self::Failed { .. } | Self::Superseded => true,
        }
    }

    pub const fn has_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// The status after `step`. A step that was taken already gives the same status again.
    pub fn after(&self, step: ReleaseStep) -> Result<Self, IllegalStep> {
        let to = match step {
            ReleaseStep::PhaseStarted => Self::PhaseRunning,
            ReleaseStep::BootStarted => Self::Starting,
            ReleaseStep::Promoted => Self::Succeeded,
            ReleaseStep::Failed { reason } => {
                Self::Failed { reason: reason.chars().take(REASON_LIMIT_CHARS).collect() }
            }
            ReleaseStep::Superseded => Self::Superseded,
        };
        let fits = match (self, &to) {
            (Self::Pending | Self::PhaseRunning | Self::Starting, Self::Pending) => false,
            (Self::Starting, Self::PhaseRunning) => false,
            (Self::Pending | Self::PhaseRunning | Self::Starting, _) => true,
            (Self::Succeeded | Self::Failed { .. } | Self::Superseded, to) => self == to,
        };
        if fits { Ok(to) } else { Err(IllegalStep { from: self.clone(), to }) }
    }
}

/// What the next release is made from: facts about those before it, read in the transaction that appends it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Basis {
    /// Of head.
    pub config: ConfigVars,
    /// Of head.
    pub attachments: Vec<AttachmentRef>,
    /// Of the newest release that did not fail.
    pub sound: Artifact,
    /// The greatest build number among the releases.
    pub newest_build: Option<u64>,
}

/// A release to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub artifact: Artifact,
    pub config: ConfigVars,
    pub attachments: Vec<AttachmentRef>,
    pub build_number: Option<u64>,
    pub description: String,
}

/// Why a change cannot become a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRefused {
    #[error(transparent)]
    Config(#[from] ConfigRefused),
    #[error("build {build} is older than build {newest}, which is released already")]
    OlderBuild { build: u64, newest: u64 },
    #[error("{version} cannot be rolled back to: {why}")]
    NotEligible { version: ReleaseVersion, why: &'static str },
}

/// A build's result: artifact from the build, all else from head.
pub fn draft_from_build(basis: &Basis, number: u64, artifact: Artifact) -> Result<Draft, ReleaseRefused> {
    if let Some(newest) = basis.newest_build.filter(|newest| *newest >= number) {
        return Err(ReleaseRefused::OlderBuild { build: number, newest });
    }
    let description = match (&artifact.commit, &artifact.version) {
        (Some(commit), _) => format!("Deploy {}", short_commit(commit)),
        (None, Some(version)) => format!("Deploy {version}"),
        (None, None) => format!("Deploy build {number}"),
    };
    let (config, attachments) = (basis.config.clone(), basis.attachments.clone());
    Ok(Draft { artifact, config, attachments, build_number: Some(number), description })
}

/// A config change: `None` if it changes nothing. The artifact is that of the newest release that did not fail.
pub fn draft_from_config(basis: &Basis, patch: &ConfigPatch) -> Result<Option<Draft>, ReleaseRefused> {
    let patched = basis.config.patched(patch)?;
    if patched.change.is_empty() {
        return Ok(None);
    }
    Ok(Some(Draft {
        artifact: basis.sound.clone(),
        config: patched.vars,
        attachments: basis.attachments.clone(),
        build_number: None,
        description: patched.change.to_string(),
    }))
}

/// A rollback: artifact and config of the old release, attachments of head.
pub fn draft_from_rollback(
    basis: &Basis,
    target: &Release,
    config: ConfigVars,
) -> Result<Draft, ReleaseRefused> {
    if let Err(why) = rollback_eligibility(&target.status, &target.artifact) {
        return Err(ReleaseRefused::NotEligible { version: target.version, why });
    }
    Ok(Draft {
        artifact: target.artifact.clone(),
        config,
        attachments: basis.attachments.clone(),
        build_number: None,
        description: format!("Rollback to {}", target.version),
    })
}

/// May a release be rolled back to? It must have served and have something to run.
pub const fn rollback_eligibility(status: &ReleaseStatus, artifact: &Artifact) -> Result<(), &'static str> {
    match status {
        ReleaseStatus::Succeeded if artifact.slug.is_some() => Ok(()),
        ReleaseStatus::Succeeded => Err("it has no slug, it was made before the first deploy"),
        ReleaseStatus::Failed { .. } => Err("it failed"),
        ReleaseStatus::Superseded => Err("it never served, a newer release took its place"),
        ReleaseStatus::Pending | ReleaseStatus::PhaseRunning | ReleaseStatus::Starting => {
            Err("it has not served yet")
        }
    }
}

/// A release as far as [`head`], [`sound`], [`candidate`] and [`superseded`] care.
pub trait Numbered {
    fn version(&self) -> ReleaseVersion;
    fn status(&self) -> &ReleaseStatus;
}

impl Numbered for Release {
    fn version(&self) -> ReleaseVersion {
        self.version
    }

    fn status(&self) -> &ReleaseStatus {
        &self.status
    }
}

impl Numbered for (ReleaseVersion, ReleaseStatus) {
    fn version(&self) -> ReleaseVersion {
        self.0
    }

    fn status(&self) -> &ReleaseStatus {
        &self.1
    }
}

/// The newest release, whatever its status.
pub fn head<R: Numbered>(releases: &[R]) -> Option<&R> {
    releases.iter().max_by_key(|release| release.version())
}

/// The newest release that did not fail: where a config-only release takes its slug from.
pub fn sound<R: Numbered>(releases: &[R]) -> Option<&R> {
    releases.iter().filter(|release| !release.status().has_failed()).max_by_key(|release| release.version())
}

/// The release that may serve next: head, unless its fate is decided.
pub fn candidate<R: Numbered>(releases: &[R]) -> Option<&R> {
    head(releases).filter(|head| !head.status().is_final())
}

/// Releases whose place a newer one has taken before they served.
pub fn superseded<R: Numbered>(releases: &[R]) -> impl Iterator<Item = &R> {
    let newest = head(releases).map(Numbered::version);
    releases.iter().filter(move |release| !release.status().is_final() && Some(release.version()) != newest)
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;
