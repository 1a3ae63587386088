//! `/regions`: where apps run. A Dozen server is one region.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The item of `GET /regions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Region {
    pub country: String,
    pub created_at: Timestamp,
    pub description: String,
    pub id: Uuid,
    pub locale: String,
    pub name: String,
    pub private_capable: bool,
    pub provider: RegionProvider,
    pub updated_at: Timestamp,
}

/// Whose machines they are. Clients expect one of Amazon's region names in `region`; it means nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegionProvider {
    pub name: String,
    pub region: String,
}
