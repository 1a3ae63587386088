//! `/apps/:app/builds`: runs of a builder.

use crate::Timestamp;
use crate::reference::{AppIdReference, IdReference, ReleaseIdReference, UserReference};
use domain::ids::BuildId;
use serde::{Deserialize, Serialize};

/// The answer to `POST /apps/:app/builds` and `GET /apps/:app/builds/:id`; the item of `GET /apps/:app/builds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(rename_all = "lowercase")]
pub enum BuildStatus {
    Pending,
    Succeeded,
    Failed,
}

/// A builder or buildpack by address and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buildpack {
    pub url: String,
    pub name: String,
}

/// Where the source came from. For a push: `url` is the app's git address and `version` the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct CreateBuild {
    pub source_blob: SourceBlob,
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
