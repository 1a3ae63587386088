//! What a look at the machine finds. Values only.

use super::{units, wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Everything that installing compares with what is wanted.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// By name, with their numbers.
    pub users: BTreeMap<String, u32>,
    pub groups: BTreeMap<String, u32>,
    pub folders: BTreeSet<PathBuf>,
    /// Those of ours that exist, with their text.
    pub files: BTreeMap<PathBuf, String>,
    /// Whether others than root may read the file of settings.
    pub settings_are_public: bool,
    /// Whether the installed program is the one that runs.
    pub program_is_current: bool,
    pub program_present: bool,
    pub units: BTreeMap<&'static str, FoundUnit>,
    /// Whether the first administrator's token waits to be taken.
    pub first_login: bool,
}

/// A unit as systemd tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundUnit {
    pub activity: Activity,
    pub enabled: bool,
    /// Its file has changed since systemd read it.
    pub outdated: bool,
    /// What its process shows.
    pub fingerprint: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activity {
    /// On its way counts: a service that fails and is tried again, too.
    Active,
    #[default]
    Inactive,
}

impl Observed {
    pub fn unit(&self, name: &str) -> FoundUnit {
        self.units.get(name).cloned().unwrap_or_default()
    }

    /// Whether anything of an installation runs.
    pub fn is_anything_active(&self) -> bool {
        self.units.values().any(|unit| unit.activity == Activity::Active)
    }

    /// What a unit's file, as found, sets a property to.
    pub fn unit_property(&self, name: &str, property: &str) -> Option<&str> {
        let text = self.files.get(&wanted::unit_path(name))?;
        text.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix('='))
    }

    /// Whether the server runs, from this installation or an earlier one.
    pub fn is_installed(&self) -> bool {
        self.unit(units::SERVER).activity == Activity::Active
    }
}

/// Reads what `systemctl show --property=ActiveState,UnitFileState,NeedDaemonReload,MainPID` prints of one unit. The second value is
/// the pid of its main process.
pub fn parse_shown(text: &str) -> (FoundUnit, Option<u32>) {
    let property = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let activity = match property("ActiveState") {
        Some("active" | "activating" | "reloading") => Activity::Active,
        Some(_) | None => Activity::Inactive,
    };
    let found = FoundUnit {
        activity,
        enabled: property("UnitFileState") == Some("enabled"),
        outdated: property("NeedDaemonReload") == Some("yes"),
        fingerprint: None,
    };
    (found, property("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0))
}

/// The value of a variable in the text of `/proc/PID/environ`.
pub fn find_variable(environ: &[u8], wanted: &str) -> Option<String> {
    environ.split(|byte| *byte == 0).find_map(|entry| {
        let entry = std::str::from_utf8(entry).ok()?;
        entry.strip_prefix(wanted)?.strip_prefix('=').map(str::to_owned)
    })
}

/// Names and numbers of `/etc/passwd` or `/etc/group`.
pub fn parse_accounts(text: &str) -> BTreeMap<String, u32> {
    let accounts = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        Some((name.to_owned(), number.parse().ok()?))
    });
    accounts.collect()
}

/// The same machine once everything that is wanted is there and runs: for tests of what is planned next.
#[cfg(test)]
pub fn settled(wanted: &super::wanted::Wanted, all: &[units::Unit]) -> Observed {
    let files = all.iter().map(|unit| (super::wanted::unit_path(unit.name), unit.text.clone()));
    let environment = (wanted.environment_file.clone(), wanted.environment.render());
    let unit = |unit: &units::Unit| {
        let found = FoundUnit {
            activity: Activity::Active,
            enabled: true,
            outdated: false,
            fingerprint: unit.fingerprint.clone(),
        };
        (unit.name, found)
    };
    let accounts: BTreeMap<_, _> =
        units::users(&wanted.settings).into_iter().map(|(name, id, _)| (name.to_owned(), id)).collect();
    let folders = wanted.environment_file.parent().into_iter().chain([wanted.settings.data.root()]);
    Observed {
        users: accounts.clone(),
        groups: accounts,
        folders: folders.map(PathBuf::from).collect(),
        files: files.chain([environment]).collect(),
        settings_are_public: false,
        program_is_current: true,
        program_present: true,
        units: all.iter().map(unit).collect(),
        first_login: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows_is_read() {
        let text = "MainPID=42\nActiveState=active\nUnitFileState=enabled\nNeedDaemonReload=no\n";
        let (found, pid) = parse_shown(text);
        assert_eq!(
            (found.activity, found.enabled, found.outdated, pid),
            (Activity::Active, true, false, Some(42))
        );
        let text = "MainPID=0\nActiveState=activating\nUnitFileState=\nNeedDaemonReload=yes\n";
        let (found, pid) = parse_shown(text);
        assert_eq!(
            (found.activity, found.enabled, found.outdated, pid),
            (Activity::Active, false, true, None)
        );
        assert_eq!(parse_shown("ActiveState=failed\n").0.activity, Activity::Inactive);
        assert_eq!(parse_shown(""), (FoundUnit::default(), None));
    }

    #[test]
    fn variables_and_accounts_are_found() {
        let environ = b"DOZEN_INSTALLED_X=1\0DOZEN_INSTALLED=abc\0PATH=/bin\0";
        assert_eq!(find_variable(environ, "DOZEN_INSTALLED").as_deref(), Some("abc"));
        assert_eq!(find_variable(environ, "DOZEN"), None);
        let accounts = parse_accounts("root:x:0:0:root:/root:/bin/bash\nbroken\ndozen:x:64990:64990::/:/x\n");
        assert_eq!(
            accounts.into_iter().collect::<Vec<_>>(),
            [("dozen".to_owned(), 64_990), ("root".to_owned(), 0)]
        );
    }
}
