//! `POST /apps/:app/log-sessions`: an address from which log lines are read.

use crate::Timestamp;
use crate::lenient;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Lines given when a request does not say how many.
pub const DEFAULT_LINES: u64 = 100;
/// Most lines that one session gives from the past.
pub const MAX_LINES: u64 = 1500;

/// The answer (201).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogSession {
    pub created_at: Timestamp,
    pub id: Uuid,
    /// Fetched without a token: it holds its own secret, and its port. `Accept: text/event-stream` gives server-sent events
    /// with ids, anything else plain lines.
    pub logplex_url: String,
    pub updated_at: Timestamp,
}

/// The body.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateLogSession {
    /// Only lines of this process (`web.1`).
    #[serde(default, alias = "dyno_name", skip_serializing_if = "Option::is_none")]
    pub dyno: Option<String>,
    /// Only lines of processes of this type (`web`).
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub process_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::optional_number")]
    pub lines: Option<u64>,
    /// Only lines of this source: `app`, or `heroku` for the platform's and the router's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether to go on with lines as they come.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::optional_flag")]
    pub tail: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        for (json, dyno, process_type) in [
            (r#"{"lines":"100","tail":true,"dyno":"web.1","source":null}"#, Some("web.1"), None),
            (r#"{"dyno_name":"web.1","lines":100,"tail":1}"#, Some("web.1"), None),
            (r#"{"type":"web","lines":100,"tail":"true"}"#, None, Some("web")),
        ] {
            let request: CreateLogSession = serde_json::from_str(json).expect(json);
            assert_eq!(
                (request.dyno.as_deref(), request.process_type.as_deref()),
                (dyno, process_type),
                "{json}"
            );
            assert_eq!((request.lines, request.tail), (Some(100), Some(true)), "{json}");
        }
    }
}
