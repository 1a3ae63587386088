//! How the entries of an app follow its app.json from release to release: one that stays keeps its identity and with it its history.

use crate::app_json::cron::CronEntry;
use crate::ids::CronId;

/// Where an entry comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the app.json of the release that serves, which alone changes it.
    AppJson,
    /// Added by somebody; it stays until somebody removes it.
    Added,
}

impl Origin {
    pub const ALL: [Self; 2] = [Self::AppJson, Self::Added];

    pub const fn as_word(self) -> &'static str {
        match self {
            Self::AppJson => "app_json",
            Self::Added => "added",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.as_word() == word)
    }
}

/// What is to be done so that the entries are those of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    pub added: Vec<CronEntry>,
    /// With the new content.
    pub changed: Vec<(CronId, CronEntry)>,
    pub removed: Vec<CronId>,
}

/// The entries there are against those of the file. An entry is the same if nothing about it differs; else if its command is.
pub fn plan_entries(present: &[(CronId, CronEntry)], wanted: &[CronEntry]) -> Changes {
    let mut left: Vec<_> = present.iter().collect();
    let mut take = |fits: &dyn Fn(&CronEntry) -> bool| {
        let at = left.iter().position(|(_, entry)| fits(entry))?;
        Some(left.remove(at).0)
    };
    let unlike: Vec<_> = wanted.iter().filter(|entry| take(&|present| present == *entry).is_none()).collect();
    let mut changes = Changes::default();
    for entry in unlike {
        match take(&|present| present.command == entry.command) {
            Some(id) => changes.changed.push((id, entry.clone())),
            None => changes.added.push(entry.clone()),
        }
    }
    changes.removed = left.iter().map(|(id, _)| *id).collect();
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_json::cron::Concurrency;

    fn entry(command: &str, schedule: &str) -> CronEntry {
        CronEntry::checked(command, schedule, None, Concurrency::Allow).unwrap()
    }

    #[test]
    fn what_stays_keeps_its_identity() {
        let id = CronId::from_u128;
        let present = [
            (id(1), entry("report", "@daily")),
            (id(2), entry("sweep", "@hourly")),
            (id(3), entry("sweep", "@daily")),
            (id(4), entry("old", "@daily")),
        ];
        let same: Vec<_> = present.iter().rev().map(|(_, entry)| entry.clone()).collect();
        assert_eq!(plan_entries(&present, &same), Changes::default());
        let wanted = [
            entry("sweep", "@weekly"),
            entry("sweep", "@hourly"),
            entry("report", "@daily"),
            entry("report", "@daily"),
        ];
        let expected = Changes {
            added: vec![entry("report", "@daily")],
            changed: vec![(id(3), entry("sweep", "@weekly"))],
            removed: vec![id(4)],
        };
        assert_eq!(plan_entries(&present, &wanted), expected);
        assert_eq!(plan_entries(&present, &[]).removed.len(), 4);
    }
}
