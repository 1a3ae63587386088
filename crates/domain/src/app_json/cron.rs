//! Commands that run again and again: `{"cron": [{"command": "bin/report", "schedule": "0 6 * * *"}]}`, Dokku's format with time zones.

use super::{AppJsonError, invalid};
use crate::cron::{Schedule, ScheduleError, UnknownZone, Zone};
use serde::{Deserialize, Serialize};

/// Entries at most.
pub const MAX_ENTRIES: usize = 50;
/// Longest command, in bytes.
pub const MAX_COMMAND_BYTES: usize = 16_000;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronEntry {
    pub command: String,
    pub schedule: Schedule,
    #[serde(default, skip_serializing_if = "Zone::is_utc")]
    pub timezone: Zone,
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

impl Concurrency {
    pub const ALL: [Self; 3] = [Self::Allow, Self::Forbid, Self::Replace];

    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Forbid => "forbid",
            Self::Replace => "replace",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_word() == word)
    }
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
        CronEntry::checked(&self.command, &self.schedule, self.timezone.as_deref(), self.concurrency)
    }
}

impl CronEntry {
    /// From words of people; the error says what is wrong with which of them.
    pub fn checked(
        command: &str,
        schedule: &str,
        timezone: Option<&str>,
        concurrency: Concurrency,
    ) -> Result<Self, String> {
        let command = command.trim();
        if command.is_empty() || command.len() > MAX_COMMAND_BYTES || command.chars().any(char::is_control) {
            return Err(format!(
                "\"command\" must be one line of 1 to {MAX_COMMAND_BYTES} bytes without control characters"
            ));
        }
        let schedule = schedule.parse().map_err(|error: ScheduleError| error.to_string())?;
        let timezone = match timezone {
            Some(name) => name.parse().map_err(|error: UnknownZone| error.to_string())?,
            None => Zone::UTC,
        };
        Ok(Self { command: command.to_owned(), schedule, timezone, concurrency })
    }
}
