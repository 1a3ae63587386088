//! `GET /dozen/apps/:app/processes` and `GET /dozen/apps/:app/processes/:id`: what became of a process, exit code included.

use crate::Timestamp;
use crate::dozen::usage::Usage;
use crate::dyno::DynoState;
use crate::reference::{AppReference, ReleaseReference};
use domain::names::ProcessType;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A process or a job. `:id` is the `id` that `POST /apps/:app/dynos` or the list of dynos gave, a job's or a process's, or the
/// name (`web.1`, `run.4821`) of one that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Process {
    pub id: Uuid,
    pub name: String,
    pub app: AppReference,
    pub release: ReleaseReference,
    #[serde(rename = "type")]
    pub process_type: ProcessType,
    pub command: String,
    pub state: DynoState,
    pub created_at: Timestamp,
    /// When its child was started.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// How it ended; null while it has not.
    pub end: Option<End>,
    /// Why it has not started, or is not up, yet: one sentence.
    pub waits: Option<String>,
    /// What it uses at this moment, if it lives. Null in the list, which asks nobody: see `GET /dozen/apps/:app/usage`.
    #[serde(default)]
    pub usage: Option<Usage>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum End {
    /// It ran and ended.
    Exited {
        /// What a shell would report: the code, or 128 + the signal's number.
        code: u8,
        /// The signal that ended it.
        signal: Option<u8>,
        /// It used more memory than it may.
        out_of_memory: bool,
        /// It ended after it had been asked to.
        stop_requested: bool,
    },
    /// It was never started, with the reason.
    NotStarted { reason: String },
    /// It was started, and how it ended is not known: the machine went down, or someone killed its keeper.
    Lost,
}

/// The code that `dozen run` returns when the process never ran, as shells do for a command that cannot be found.
const NOT_STARTED_CODE: u8 = 127;

impl End {
    /// The code to return in its place; none if it is not known.
    pub const fn code(&self) -> Option<u8> {
        match self {
            Self::Exited { code, .. } => Some(*code),
            Self::NotStarted { .. } => Some(NOT_STARTED_CODE),
            Self::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_on_the_wire() {
        let exited = End::Exited { code: 137, signal: Some(9), out_of_memory: true, stop_requested: false };
        let json = r#"{"kind":"exited","code":137,"signal":9,"out_of_memory":true,"stop_requested":false}"#;
        assert_eq!(serde_json::to_string(&exited).expect("serialises"), json);
        assert_eq!(serde_json::from_str::<End>(r#"{"kind":"lost"}"#).expect("valid").code(), None);
        assert_eq!(End::NotStarted { reason: String::new() }.code(), Some(127));
    }
}
