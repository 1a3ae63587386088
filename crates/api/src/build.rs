//! `/apps/:app/builds`: runs of a builder.

use crate::Timestamp;
use crate::reference::{AppIdReference, IdReference, ReleaseIdReference, UserReference};
use domain::ids::BuildId;
use serde::{Deserialize, Serialize};

/// The answer to `POST /apps/:app/builds` and `GET /apps/:app/builds/:id`; the item of `GET /apps/:app/builds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Build {
    pub app: AppIdReference,
    pub buildpacks: Option<Vec<Buildpack>>,
    pub created_at: Timestamp,
    /// `cedar`, as [`crate::app::App::generation`].
    pub generation: String,
    pub id: BuildId,
    /// Where the output is streamed as text while the build runs and kept afterwards. Holds its own secret and its port;
    /// fetched without a token.
    pub output_stream_url: String,
    /// The release that the build became, once there is one.
    pub release: Option<ReleaseIdReference>,
    pub slug: Option<IdReference>,
    pub source_blob: SourceBlob,
    pub stack: String,
    pub status: BuildStatus,
    pub updated_at: Timestamp,
    pub user: UserReference,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum BuildStatus {
    Pending,
    Succeeded,
    Failed,
}

/// A builder or buildpack by address and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Buildpack {
    pub url: String,
    pub name: String,
}

/// Where the source came from. A commit of the app's repository: `url` is the app's git address and `version` the commit. A tree:
/// `url` is where it was fetched (without its query), or the server's place for uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceBlob {
    #[serde(default)]
    pub checksum: Option<String>,
    pub url: String,
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub version_description: Option<String>,
}

/// The body of `POST /apps/:app/builds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateBuild {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buildpacks: Option<Vec<WantedBuildpack>>,
    pub source_blob: CreateSourceBlob,
}

/// What to build: an upload (`url` is its `get_url`), a commit (`url` is the app's git address, `version` the commit), or a
/// gzipped tar at any https address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateSourceBlob {
    /// `SHA256:` and the digest of the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The address may hold a secret.
impl std::fmt::Debug for CreateSourceBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateSourceBlob").field("version", &self.version).finish_non_exhaustive()
    }
}

/// A buildpack that a build asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WantedBuildpack {
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
}

impl BuildStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    pub const fn is_over(self) -> bool {
        match self {
            Self::Pending => false,
            Self::Succeeded | Self::Failed => true,
        }
    }
}
