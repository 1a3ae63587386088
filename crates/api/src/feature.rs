//! `/apps/:app/features` and `/account/features`: behaviour that can be turned on and off.

use crate::{Timestamp, lenient};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The answer to `GET|PATCH` of one feature; the item of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Feature {
    pub created_at: Timestamp,
    pub description: String,
    pub doc_url: String,
    pub enabled: bool,
    pub id: Uuid,
    pub name: String,
    /// `general`: anybody may use it.
    pub state: String,
    pub updated_at: Timestamp,
    pub display_name: String,
    pub feedback_email: String,
}

/// The body of `PATCH`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateFeature {
    #[serde(default, deserialize_with = "lenient::optional_flag")]
    pub enabled: Option<bool>,
}
