//! Commands that run again and again: `{"cron": [{"command": "bin/report", "schedule": "0 6 * * *"}]}`, Dokku's format with time zones.

use super::{AppJsonError, invalid};
use serde::{Deserialize, Serialize};

/// Entries at most.
pub const MAX_ENTRIES: usize = 50;
/// Longest command, in bytes.
pub const MAX_COMMAND_BYTES: usize = 16_000;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronEntry {
    pub command: String,
    /// Five fields as in `crontab(5)`, or `@daily` and its like.
    pub schedule: String,
    /// Of the IANA database: `Europe/Berlin`. `None`: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    pub concurrency: Concurrency,
}

/// What happens when the next run is due and the last one has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concurrency {
    /// Both run.
    #[default]
    Allow,
    /// The next is left out, and that is told.
    Forbid,
    /// The last one is stopped first.
    Replace,
}

/// An entry as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    command: String,
    schedule: String,
    timezone: Option<String>,
    #[serde(default, alias = "concurrency_policy")]
    concurrency: Concurrency,
}

pub(super) fn check_all(written: Vec<Written>) -> Result<Vec<CronEntry>, AppJsonError> {
    if written.len() > MAX_ENTRIES {
        return Err(invalid(
            "cron",
            format!("there are {} entries, {MAX_ENTRIES} are allowed", written.len()),
        ));
    }
    let numbered = written.into_iter().enumerate();
    numbered.map(|(at, entry)| entry.checked().map_err(|e| invalid(format!("cron[{at}]"), e))).collect()
}

impl Written {
    fn checked(self) -> Result<CronEntry, String> {
        let command = self.command.trim();
        if command.is_empty() || command.len() > MAX_COMMAND_BYTES || command.chars().any(char::is_control) {
            return Err(format!(
                "\"command\" must be one line of 1 to {MAX_COMMAND_BYTES} bytes without control characters"
            ));
        }
        let schedule = self.schedule.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(CronEntry {
            command: command.to_owned(),
            schedule,
            timezone: self.timezone,
            concurrency: self.concurrency,
        })
    }
}
