//! `/generations`: forms of Heroku's own platform. We keep the contract of one.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The answer to `GET /generations/:generation`; the item of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Generation {
    pub created_at: Timestamp,
    pub id: Uuid,
    pub name: String,
    pub updated_at: Timestamp,
}
