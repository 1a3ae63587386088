//! `GET /dozen/doctor`: whether the server's machine has what apps need.

use serde::{Deserialize, Serialize};

/// All checks, in the order in which to read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// Whether apps may be started.
    pub can_start_apps: bool,
    pub checks: Vec<Check>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// The area: `sandbox`, `network`, `limits`, `ledger`, `router`, `launcher`, `disk`, `builders`, `systemd`.
    pub area: String,
    /// The thing looked at, such as `pid namespace`.
    pub name: String,
    pub outcome: Outcome,
    /// What was found: one sentence.
    pub detail: String,
    /// What to do about it, when something is to be done.
    #[serde(default)]
    pub hint: Option<String>,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Ok,
    /// It works, with less than it should have.
    Warning,
    /// Something does not work.
    Failure,
}

impl DoctorReport {
    pub fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}
