//! `/apps/:app/dynos`: processes, by the name Heroku gives them. Ours: process.

use crate::Timestamp;
use crate::lenient;
use crate::reference::{AppReference, ReleaseReference};
use domain::names::ProcessType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// The answer to `POST /apps/:app/dynos` and `GET /apps/:app/dynos/:id`; the item of `GET /apps/:app/dynos`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dyno {
    /// For an attached one-off: `rendezvous://HOST:PORT/SECRET`.
    pub attach_url: Option<String>,
    pub command: String,
    pub created_at: Timestamp,
    /// The process's id; for a one-off, its job's. `GET /dozen/apps/:app/processes/:id` takes either.
    pub id: Uuid,
    /// `web.1`, `run.4821`.
    pub name: String,
    pub release: ReleaseReference,
    pub app: AppReference,
    pub size: String,
    pub state: DynoState,
    /// The process type, or `run` and `release` for jobs.
    #[serde(rename = "type")]
    pub process_type: ProcessType,
    pub updated_at: Timestamp,
}

/// Where in its life a process is, in Heroku's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DynoState {
    Starting,
    Up,
    Idle,
    Crashed,
    Down,
}

/// The body of `POST /apps/:app/dynos`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateDyno {
    /// Whether the caller wants to talk to the process by `attach_url`. The process then starts when the caller has come.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::optional_flag")]
    pub attach: Option<bool>,
    /// A line for the shell, or the name of a process type.
    pub command: String,
    /// Added to the config vars for this process alone. `TERM`, `COLUMNS`, `LINES` tell of the caller's terminal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "lenient_map")]
    pub env: BTreeMap<String, String>,
    /// Set: pipes in place of a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::optional_flag")]
    pub force_no_tty: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub process_type: Option<String>,
    /// Seconds after which it is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient::optional_number")]
    pub time_to_live: Option<u64>,
}

/// A value as clients send it: Heroku's sends the window's size as numbers, and null for what it does not know.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Number(serde_json::Number),
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

fn lenient_map<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let given: Option<BTreeMap<String, Option<Value>>> = Option::deserialize(deserializer)?;
    let known = given.unwrap_or_default().into_iter().filter_map(|(name, value)| Some((name, value?)));
    Ok(known.map(|(name, value)| (name, value.to_string())).collect())
}

/// The values of `env` are secrets as config vars are: names only.
impl fmt::Debug for CreateDyno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateDyno")
            .field("attach", &self.attach)
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .field("force_no_tty", &self.force_no_tty)
            .field("size", &self.size)
            .field("process_type", &self.process_type)
            .field("time_to_live", &self.time_to_live)
            .finish()
    }
}

impl DynoState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Idle => "idle",
            Self::Crashed => "crashed",
            Self::Down => "down",
        }
    }
}

/// The answer to a restart or stop (202): an empty object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Empty {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let json = r#"{"attach":"1","command":"bash","env":null,"size":null,"time_to_live":"60","force_no_tty":null}"#;
        let request: CreateDyno = serde_json::from_str(json).expect("valid");
        assert_eq!((request.attach, request.time_to_live), (Some(true), Some(60)));
        assert!(serde_json::from_str::<CreateDyno>("{}").is_err());
    }

    #[test]
    fn a_window_may_be_told_in_numbers() {
        let json = r#"{"command":"bash","env":{"COLUMNS":100,"LINES":"30","TERM":null,"ON":true}}"#;
        let request: CreateDyno = serde_json::from_str(json).expect("valid");
        let env: Vec<_> = request.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(env, [("COLUMNS", "100"), ("LINES", "30"), ("ON", "true")]);
        assert!(serde_json::from_str::<CreateDyno>(r#"{"command":"bash","env":{"A":[]}}"#).is_err());
    }

    #[test]
    fn debug_hides_values() {
        let request =
            CreateDyno { env: [("KEY".to_owned(), "hush".to_owned())].into(), ..CreateDyno::default() };
        let shown = format!("{request:?}");
        assert!(shown.contains("KEY") && !shown.contains("hush"), "{shown}");
    }
}
