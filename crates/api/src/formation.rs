//! `/apps/:app/formation`: how many processes of each type, and how big.

use crate::Timestamp;
use crate::lenient::Quantity;
use crate::reference::{AppReference, Identity, NamedReference};
use domain::names::ProcessType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One process type's share. `GET` and batch `PATCH /apps/:app/formation` answer with all of them, in order of type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Formation {
    pub app: AppReference,
    pub command: String,
    pub created_at: Timestamp,
    pub dyno_size: NamedReference,
    /// The same for the same app and type, always.
    pub id: Uuid,
    pub quantity: u32,
    pub size: String,
    #[serde(rename = "type")]
    pub process_type: ProcessType,
    pub updated_at: Timestamp,
}

/// The body of batch `PATCH /apps/:app/formation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UpdateFormation {
    pub updates: Vec<FormationUpdate>,
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FormationUpdate {
    /// The process type, or the id of its formation. Older clients call the field `process`.
    #[serde(rename = "type", alias = "process")]
    pub process_type: Identity,
    #[serde(flatten)]
    pub change: FormationChange,
}

/// The body of `PATCH /apps/:app/formation/:type`. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FormationChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "dyno_size")]
    pub size: Option<Identity>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_batches_clients_send() {
        for (json, quantity, size) in [
            (r#"{"updates":[{"type":"web","quantity":"2"}]}"#, Some(Quantity::Exactly(2)), None),
            (
                r#"{"updates":[{"type":"web","quantity":"+1","size":"standard"}]}"#,
                Some(Quantity::More(1)),
                Some("standard"),
            ),
            (r#"{"updates":[{"type":"web","quantity":2,"size":null}]}"#, Some(Quantity::Exactly(2)), None),
            (r#"{"updates":[{"type":"web","dyno_size":{"name":"standard"}}]}"#, None, Some("standard")),
        ] {
            let batch: UpdateFormation = serde_json::from_str(json).expect(json);
            let update = &batch.updates[0];
            assert_eq!(update.process_type.as_str(), "web");
            assert_eq!(
                (update.change.quantity, update.change.size.as_ref().map(Identity::as_str)),
                (quantity, size),
                "{json}"
            );
        }
        assert!(serde_json::from_str::<UpdateFormation>(r#"{"updates":[{"quantity":1}]}"#).is_err());
    }

    #[test]
    fn writes_what_the_schema_names() {
        let change = FormationChange { quantity: Some(Quantity::Exactly(2)), size: None };
        let update = FormationUpdate { process_type: Identity("web".to_owned()), change };
        let json = serde_json::to_string(&UpdateFormation { updates: vec![update] }).expect("serialises");
        assert_eq!(json, r#"{"updates":[{"type":"web","quantity":2}]}"#);
    }
}
