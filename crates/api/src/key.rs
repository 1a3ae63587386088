//! `/account/keys`: public keys by which an account is known over SSH.

use crate::Timestamp;
use domain::ids::KeyId;
use serde::{Deserialize, Serialize};

/// The answer to `POST`, `GET`, `DELETE /account/keys[/:id_or_fingerprint]`; the item of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Key {
    pub comment: String,
    pub created_at: Timestamp,
    /// Heroku's older name for the comment.
    pub email: String,
    /// `SHA256:...`
    pub fingerprint: String,
    pub id: KeyId,
    /// `ssh-ed25519 AAAA... comment`
    pub public_key: String,
    pub updated_at: Timestamp,
}

/// The body of `POST /account/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateKey {
    pub public_key: String,
}
