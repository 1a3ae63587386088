//! `/account`, `/users/~`, `/account/rate-limits`: who asks.

use crate::Timestamp;
use crate::reference::NamedReference;
use domain::ids::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to `GET /account` and `GET /users/~`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Account {
    pub allow_tracking: bool,
    pub beta: bool,
    pub created_at: Timestamp,
    pub email: String,
    pub federated: bool,
    pub id: AccountId,
    /// Always null here: Dozen knows no single sign-on yet.
    pub identity_provider: Option<Value>,
    pub last_login: Option<Timestamp>,
    pub name: Option<String>,
    pub sms_number: Option<String>,
    pub suspended_at: Option<Timestamp>,
    pub delinquent_at: Option<Timestamp>,
    pub two_factor_authentication: bool,
    pub updated_at: Timestamp,
    pub verified: bool,
    pub country_of_residence: Option<String>,
    pub default_organization: Option<NamedReference>,
    pub default_team: Option<NamedReference>,
}

impl Account {
    /// An account about which nothing but the essential is known.
    pub fn new(id: AccountId, email: String, created_at: Timestamp) -> Self {
        Self {
            allow_tracking: false,
            beta: false,
            created_at,
            email,
            federated: false,
            id,
            identity_provider: None,
            last_login: None,
            name: None,
            sms_number: None,
            suspended_at: None,
            delinquent_at: None,
            two_factor_authentication: false,
            updated_at: created_at,
            verified: true,
            country_of_residence: None,
            default_organization: None,
            default_team: None,
        }
    }
}

/// The answer to `GET /account/rate-limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RateLimit {
    /// Requests that are still allowed in this hour.
    pub remaining: u64,
}
