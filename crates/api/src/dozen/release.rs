//! `GET /dozen/apps/:app/releases/:version`: a release beyond what Heroku's shape holds.

use crate::Timestamp;
use domain::ids::{BuildId, ReleaseId};
use domain::names::{CommitId, ConfigKey, ProcessType, ReleaseVersion, SlugId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A release with its contents and its progress. `:version` is `3`, `v3`, the id, `head` or `current`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleaseReport {
    pub id: ReleaseId,
    pub version: ReleaseVersion,
    pub description: String,
    pub created_at: Timestamp,
    /// The e-mail address of who made it, or `system`.
    pub by: String,
    pub progress: Progress,
    pub slug: Option<SlugId>,
    pub commit: Option<CommitId>,
    /// The build that made the slug.
    pub build: Option<BuildId>,
    /// Process type to command.
    pub process_types: BTreeMap<ProcessType, String>,
    /// The names of the config vars that differ from the release before, never their values.
    pub config_changes: ConfigChanges,
}

/// Names of config vars by what happened to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigChanges {
    pub added: Vec<ConfigKey>,
    pub changed: Vec<ConfigKey>,
    pub removed: Vec<ConfigKey>,
}

/// How far a release is, and why it is not further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Progress {
    /// Nothing has begun.
    Pending {
        waits: Option<String>,
    },
    /// The `release:` process runs or is about to.
    PhaseRunning {
        waits: Option<String>,
    },
    /// Its web processes start; the release before it still serves.
    Starting {
        waits: Option<String>,
    },
    /// It serves, or did.
    Succeeded,
    Failed {
        reason: String,
    },
    /// A newer release came before it served.
    Superseded,
}

impl Progress {
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Pending { .. } | Self::PhaseRunning { .. } | Self::Starting { .. } => false,
            Self::Succeeded | Self::Failed { .. } | Self::Superseded => true,
        }
    }

    /// Why it waits, if it does.
    pub fn waits(&self) -> Option<&str> {
        match self {
            Self::Pending { waits } | Self::PhaseRunning { waits } | Self::Starting { waits } => {
                waits.as_deref()
            }
            Self::Succeeded | Self::Failed { .. } | Self::Superseded => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_on_the_wire() {
        let waiting = Progress::Starting { waits: Some("web.1 has not accepted on its port yet".to_owned()) };
        let json = r#"{"status":"starting","waits":"web.1 has not accepted on its port yet"}"#;
        assert_eq!(serde_json::to_string(&waiting).expect("serialises"), json);
        let failed: Progress = serde_json::from_str(r#"{"status":"failed","reason":"x"}"#).expect("valid");
        assert!(failed.is_over() && failed.waits().is_none());
    }
}
