//! `/dozen/accounts`: who may use a server. For its administrator.

use crate::{Timestamp, Token};
use domain::ids::AccountId;
use serde::{Deserialize, Serialize};

/// The item of `GET /dozen/accounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountEntry {
    pub id: AccountId,
    pub email: String,
    /// Over the installation: `admin`, `owner` (may create apps), `operator`, `viewer`, `none`.
    pub role: String,
    pub created_at: Timestamp,
}

/// The body of `POST /dozen/accounts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateAccount {
    pub email: String,
    /// Default: `owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// The answer: the account, and the token by which its owner gets in. It is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedAccount {
    #[serde(flatten)]
    pub account: AccountEntry,
    pub token: Token,
}
