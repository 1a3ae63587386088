//! `/apps`: apps, created, listed, changed and destroyed.

use crate::Timestamp;
use crate::lenient;
use crate::reference::{Identity, NamedReference, UserReference};
use domain::ids::AppId;
use domain::names::AppName;
use serde::{Deserialize, Serialize};

/// The answer to `POST /apps`, `GET|PATCH|DELETE /apps/:app`; the item of `GET /apps` and `GET /users/~/apps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct App {
    /// Whether certificates are managed for the app's domains.
    pub acm: bool,
    pub archived_at: Option<Timestamp>,
    /// The builder that made the newest slug, such as `Rust`.
    pub buildpack_provided_description: Option<String>,
    pub build_stack: NamedReference,
    pub created_at: Timestamp,
    /// Always `cedar`: clients branch on it, and that is the contract we keep.
    pub generation: NamedReference,
    /// Where to push, with the port: `https://HOST:PORT/NAME.git`.
    pub git_url: String,
    pub id: AppId,
    pub internal_routing: Option<bool>,
    pub maintenance: bool,
    pub name: AppName,
    pub owner: UserReference,
    pub organization: Option<NamedReference>,
    pub team: Option<NamedReference>,
    pub region: NamedReference,
    /// When the newest release was made.
    pub released_at: Option<Timestamp>,
    /// Bytes of the git repository.
    pub repo_size: Option<u64>,
    /// Bytes of the newest slug.
    pub slug_size: Option<u64>,
    pub space: Option<SpaceReference>,
    pub stack: NamedReference,
    pub updated_at: Timestamp,
    /// Where the app answers, with the port if it is not the scheme's own, and a final slash.
    pub web_url: Option<String>,
}

/// A private space. Dozen has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SpaceReference {
    pub id: uuid::Uuid,
    pub name: String,
    pub shield: bool,
}

/// The body of `POST /apps`. Also sent empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateApp {
    /// Absent: the server makes one up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<AppName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Identity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Identity>,
}

/// The body of `PATCH /apps/:app`. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateApp {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<AppName>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::optional_flag")]
    pub maintenance: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_stack: Option<Identity>,
}
