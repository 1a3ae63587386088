//! `/apps/:app/collaborators`: the people with whom an app is shared.

use crate::Timestamp;
use crate::reference::{AppReference, Identity};
use domain::ids::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The answer to `POST` and `GET|DELETE /apps/:app/collaborators/:email`; the item of the list, in which the owner comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Collaborator {
    pub app: AppReference,
    pub created_at: Timestamp,
    pub id: Uuid,
    /// Heroku's words for what the role may do.
    pub permissions: Vec<Permission>,
    /// Heroku's word for it: `owner`, `collaborator` (an operator) or `member` (a viewer).
    pub role: Option<String>,
    pub updated_at: Timestamp,
    pub user: CollaboratorUser,
}

/// One thing that a collaborator may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Permission {
    pub name: String,
    pub description: String,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollaboratorUser {
    pub email: String,
    pub federated: bool,
    pub id: AccountId,
}

/// The body of `POST /apps/:app/collaborators`. A repeat with another role changes the role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateCollaborator {
    /// An address or an id.
    pub user: Identity,
    /// `owner`, `operator` (default) or `viewer`; Heroku has no roles here. Its words for them are understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Heroku's way to the same: what the role must at least allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Identity>,
}
