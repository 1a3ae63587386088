//! What a build needs to know, and what it comes to.

use domain::app_json::AppJson;
use domain::buildpack::Buildpack;
use domain::ids::{AppId, BuildId, ProcessId};
use domain::names::{CommitId, ProcessType, SlugId};
use domain::process::Limits;
use std::collections::BTreeMap;
use std::fmt;

/// One build. Its source lies at `DATA/builds/<build>/src`, put there by [`blobs::tree::extract()`]; it is gone afterwards.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    pub app: AppId,
    /// The app's number on this host.
    pub app_index: u32,
    pub build: BuildId,
    /// The identity of the process in which the build's own code runs, should it need one: fresh, never used before.
    pub process: ProcessId,
    /// The builders that people chose; the last of ours decides. None: the one that fits the source.
    pub buildpacks: Vec<Buildpack>,
    /// Told to the build as `SOURCE_VERSION`.
    pub commit: Option<CommitId>,
    /// What the app was built by before.
    pub previous: Option<PreviousBuild>,
    /// The app's config vars. A native builder passes on only those that it declares; none reaches a file or a line of output.
    pub environment: BuildEnvironment,
    /// The request that led to this build, for tracing.
    pub request_id: Option<String>,
}

/// The app's last build that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousBuild {
    pub builder: String,
    pub slug: SlugId,
}

/// Config vars: names and values. Debug shows the names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BuildEnvironment {
    values: BTreeMap<String, String>,
}

impl BuildEnvironment {
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self { values }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for BuildEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// What a build may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildLimits {
    pub process: Limits,
    pub time_seconds: u64,
    /// Bytes of output passed on; the rest is counted and told.
    pub output_bytes: u64,
}

impl BuildLimits {
    pub const DEFAULT: Self = Self {
        process: Limits {
            memory_bytes: 2 * 1024 * 1024 * 1024,
            cpu_weight: 50,
            processes: 1024,
            ..Limits::DEFAULT
        },
        time_seconds: 15 * 60,
        output_bytes: 10 * 1024 * 1024,
    };
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltSlug {
    pub slug: SlugId,
    /// `rust`, `static`, `procfile`.
    pub builder: String,
    pub processes: BTreeMap<ProcessType, String>,
    pub app_json: AppJson,
    pub files: u64,
    pub bytes: u64,
}
