//! Descriptions of the types that write themselves by hand, for the published description of the API.

use crate::lenient::Quantity;
use crate::timestamp::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An instant in UTC with whole seconds: 2026-01-31T12:00:00Z",
            "type": "string",
            "format": "date-time"
        })
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, its text, or a step from the present one: 2, \"2\", \"+1\", \"-1\"",
            "oneOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^[+-]?[0-9]+$" }]
        })
    }
}
