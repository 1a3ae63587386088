//! `/dyno-sizes`: what a process may use.

use crate::reference::NamedReference;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// The answer to `GET /dyno-sizes/:size`; the item of the lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DynoSize {
    pub architecture: String,
    /// Its share of the processor in relation to the smallest size.
    pub compute: u32,
    /// Always null here: nothing is billed.
    pub cost: Option<Value>,
    pub dedicated: bool,
    pub precise_dyno_units: f64,
    pub generation: NamedReference,
    pub id: Uuid,
    /// In GB.
    pub memory: f64,
    pub name: String,
    pub private_space_only: bool,
}
