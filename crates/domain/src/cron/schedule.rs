//! What a schedule is and how it is read.

use super::field::{DAY, Field, HOUR, MINUTE, MONTH, Values, WEEKDAY};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest schedule, in bytes: every value of every field written out is shorter.
pub const MAX_BYTES: usize = 600;
/// Most of what an error repeats, in characters.
const SHOWN: usize = 60;
/// The longest that each month can be.
const MONTH_DAYS: [u8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Five fields as in `crontab(5)`, or `@daily` and its like. It prints as it was written, with single spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Schedule {
    text: String,
    pub(super) minutes: Values,
    pub(super) hours: Values,
    pub(super) days: Values,
    pub(super) months: Values,
    pub(super) weekdays: Values,
}

/// Why a schedule was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "a schedule has five fields (minute, hour, day of month, month, day of week), and \"{given}\" has {found}. Fix: write for \
         example \"0 6 * * *\" for six o'clock every day, or @daily"
    )]
    Fields { given: String, found: usize },
    #[error(
        "a schedule has at most {MAX_BYTES} bytes, and this one has {bytes}. Fix: use ranges and steps, such as 0-30/5"
    )]
    TooLong { bytes: usize },
    #[error("the {field} of the schedule, \"{given}\": {problem}")]
    Field { field: &'static str, given: String, problem: String },
    #[error(
        "there is no schedule \"{given}\". Fix: use one of @hourly, @daily, @weekly, @monthly, @yearly, or five fields"
    )]
    Nickname { given: String },
    #[error(
        "the schedule \"{given}\" is never due: none of its months has such a day. Fix: change the day of month or the month"
    )]
    Never { given: String },
}

impl Schedule {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is due by elapsed time: whenever a clock shows a time that fits.
    pub(super) const fn goes_by_elapsed_time(&self) -> bool {
        self.minutes.starred || self.hours.starred
    }

    fn read(text: String, fields: &str) -> Result<Self, ScheduleError> {
        let words: Vec<_> = fields.split(' ').collect();
        let [minute, hour, day, month, weekday] = words[..] else {
            let found = if fields.is_empty() { 0 } else { words.len() };
            return Err(ScheduleError::Fields { given: shown(&text), found });
        };
        let read = |field: &Field, word: &str| field.read(word);
        let schedule = Self {
            minutes: read(&MINUTE, minute)?,
            hours: read(&HOUR, hour)?,
            days: read(&DAY, day)?,
            months: read(&MONTH, month)?,
            weekdays: read(&WEEKDAY, weekday)?,
            text,
        };
        if schedule.is_ever_due() {
            Ok(schedule)
        } else {
            Err(ScheduleError::Never { given: shown(&schedule.text) })
        }
    }

    /// The thirtieth of February is not.
    fn is_ever_due(&self) -> bool {
        let by_weekday = !self.days.starred && !self.weekdays.starred;
        let first = self.days.at_least(1).unwrap_or(u8::MAX);
        by_weekday || self.months.all().any(|month| first <= MONTH_DAYS[usize::from(month) - 1])
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(given: &str) -> Result<Self, Self::Err> {
        if given.len() > MAX_BYTES {
            return Err(ScheduleError::TooLong { bytes: given.len() });
        }
        let text = given.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.starts_with('@') {
            let fields = text.clone();
            return Self::read(text, &fields);
        }
        let named = NICKNAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
        match named {
            Some((name, fields)) => Self::read((*name).to_owned(), fields),
            None => Err(ScheduleError::Nickname { given: shown(&text) }),
        }
    }
}

impl TryFrom<String> for Schedule {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.text
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A stranger's words, fit to be printed.
pub(super) fn shown(given: &str) -> String {
    let printable = |character: char| {
        if character.is_control() { character.escape_debug().collect() } else { vec![character] }
    };
    given.chars().take(SHOWN).flat_map(printable).collect()
}
