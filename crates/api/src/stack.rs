//! `/stacks`: base root file systems.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The item of `GET /stacks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Stack {
    pub default: bool,
    pub created_at: Timestamp,
    pub id: Uuid,
    pub name: String,
    /// `public`, `beta` or `deprecated`.
    pub state: String,
    pub updated_at: Timestamp,
}
