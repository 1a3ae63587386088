//! `/oauth/authorizations`: access tokens and what they are for.

use crate::reference::IdReference;
use crate::{Timestamp, Token, lenient};
use domain::ids::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The answer to `POST`, `GET`, `DELETE /oauth/authorizations[/:id]`; the item of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Authorization {
    /// The token's text is whole only in the answer that makes it; later it is `prefix**********suffix`.
    pub access_token: Option<AccessToken>,
    pub client: Option<OauthClient>,
    pub created_at: Timestamp,
    pub description: String,
    pub grant: Option<Grant>,
    pub id: Uuid,
    pub refresh_token: Option<AccessToken>,
    pub scope: Vec<String>,
    pub session: Option<IdReference>,
    pub updated_at: Timestamp,
    pub user: AuthorizationUser,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessToken {
    /// Seconds until it ends; null for never.
    pub expires_in: Option<u64>,
    pub id: Uuid,
    pub token: Token,
}

/// A registered program. Dozen has none; the field is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OauthClient {
    pub id: Uuid,
    pub name: String,
    pub redirect_uri: String,
}

/// An exchange code. Dozen gives none; the field is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Grant {
    pub code: String,
    pub expires_in: u64,
    pub id: Uuid,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuthorizationUser {
    pub id: AccountId,
    pub email: String,
    pub full_name: Option<String>,
}

/// The body of `PATCH /oauth/authorizations/:id`. Heroku's clients also send `client`, which means nothing here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateAuthorization {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The body of `POST /oauth/authorizations`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateAuthorization {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::optional_number")]
    pub expires_in: Option<u64>,
    /// `global`, or narrower words.
    #[serde(default)]
    pub scope: Vec<String>,
}
