//! `/dozen/apps/:app/cron`: commands that run again and again, when they run next, and what became of the times before.

use crate::Timestamp;
use crate::dozen::process::End;
use domain::ids::{CronId, JobId};
use serde::{Deserialize, Serialize};

/// The item of `GET /dozen/apps/:app/cron`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CronEntry {
    pub id: CronId,
    pub command: String,
    /// Five fields as in `crontab(5)`, or `@daily` and its like.
    pub schedule: String,
    /// Of the IANA database.
    pub timezone: String,
    /// `allow`, `forbid` or `replace`.
    pub concurrency: String,
    /// `app_json`: from the app.json of the release that serves; `added`: by somebody.
    pub origin: String,
    pub created_at: Timestamp,
    /// The next three.
    pub next_runs: Vec<Timestamp>,
    /// The newest of its history; null before the first.
    pub last_run: Option<CronRun>,
}

/// The body of `POST /dozen/apps/:app/cron`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateCronEntry {
    pub command: String,
    pub schedule: String,
    /// Default: `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Default: `allow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<String>,
}

/// What became of an instant at which a command was due, or of a run that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CronRun {
    /// Of the recurring command, which may have been removed since.
    pub cron: CronId,
    pub command: String,
    /// Null: somebody asked for it.
    pub due_at: Option<Timestamp>,
    pub recorded_at: Timestamp,
    pub outcome: CronOutcome,
}

/// Whether something was started, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CronOutcome {
    /// A process was made for it: `GET /dozen/apps/:app/processes/:id` knows it by both.
    Started {
        id: JobId,
        /// `cron.12`
        name: String,
        /// Null while it has not ended.
        end: Option<End>,
    },
    /// Nothing was started, for this reason.
    Skipped { reason: String },
    /// That many instants, from `due_at` on, went by while nobody looked at the time.
    Missed { count: u32 },
}
