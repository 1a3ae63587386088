//! `/apps/:app/releases`: slug, config and process types under a number, never changed again.

use crate::Timestamp;
use crate::reference::{AppReference, IdReference, Identity, UserReference};
use domain::ids::ReleaseId;
use domain::names::ReleaseVersion;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The answer to `POST /apps/:app/releases` and `GET /apps/:app/releases/:id`; the item of `GET /apps/:app/releases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Release {
    pub addon_plan_names: Vec<String>,
    pub artifacts: Vec<Artifact>,
    pub app: AppReference,
    pub created_at: Timestamp,
    /// `Deploy a97f3d42`, `Set FOO config vars`, `Rollback to v2`.
    pub description: String,
    pub id: ReleaseId,
    pub updated_at: Timestamp,
    /// Null for a release made by config before the first build.
    pub slug: Option<IdReference>,
    pub status: ReleaseStatus,
    pub user: UserReference,
    pub version: ReleaseVersion,
    /// Whether it is the one that serves.
    pub current: bool,
    /// The release phase's output; null if there is no such phase. 404 there: not started yet. Fetched without a token.
    pub output_stream_url: Option<String>,
    pub eligible_for_rollback: bool,
}

/// What a release runs, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Artifact {
    /// `slug` or `oci-image`.
    #[serde(rename = "type")]
    pub kind: String,
    pub id: Uuid,
}

/// How a release fares, in Heroku's words. `GET /dozen/apps/:app/releases/:version` tells more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ReleaseStatus {
    Pending,
    Succeeded,
    Failed,
    /// Superseded by a newer release before it served.
    Expired,
}

/// The body of `POST /apps/:app/releases`: a rollback with `release`, or a release of a slug.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateRelease {
    /// Roll back to this release: its id, `v2` or `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl ReleaseStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_names_its_release_in_any_form() {
        for json in [r#"{"release":"v2"}"#, r#"{"release":2}"#, r#"{"release":{"version":2}}"#] {
            let request: CreateRelease = serde_json::from_str(json).expect(json);
            let version = request.release.and_then(|release| release.as_release_version());
            assert_eq!(version, Some(ReleaseVersion(2)), "{json}");
        }
    }
}
