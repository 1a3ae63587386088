//! Looks at the machine. Changes nothing.

use super::InstallError;
use super::observed::{FoundUnit, Observed, find_variable, parse_accounts, parse_shown};
use super::units;
use super::wanted::{self, Family, Known, Wanted};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our own program, whatever has become of its file.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

const FINGERPRINT_KEY_BYTES: usize = 16;

/// What settings are made of, beside what the command line says.
pub fn known() -> Result<Known, InstallError> {
    let users = accounts("/etc/passwd");
    Ok(Known {
        environment: std::fs::read_to_string(wanted::ENVIRONMENT_FILE).ok(),
        family: Some(if Path::new("/proc/net/if_inet6").exists() { Family::Both } else { Family::V4Only }),
        server_uid: users.get(wanted::SERVER_USER).copied(),
        router_uid: users.get(wanted::ROUTER_USER).copied(),
        fingerprint_key: random_text()?,
    })
}

fn random_text() -> Result<String, InstallError> {
    let mut bytes = [0; FINGERPRINT_KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(InstallError::Random)?;
    Ok(hex::encode(bytes))
}

/// `own_digest`: of the program that runs.
pub fn observe(wanted: &Wanted, own_digest: &str) -> Result<Observed, InstallError> {
    let program = read_if_present(&wanted.program)?;
    let files =
        units::ALL.iter().map(|name| wanted::unit_path(name)).chain([wanted.environment_file.clone()]);
    let mut found = BTreeMap::new();
    for path in files {
        if let Some(bytes) = read_if_present(&path)? {
            found.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    let folders = wanted.environment_file.parent().into_iter().chain([wanted.settings.data.root()]);
    Ok(Observed {
        users: accounts("/etc/passwd"),
        groups: accounts("/etc/group"),
        folders: folders.filter(|path| path.is_dir()).map(PathBuf::from).collect(),
        files: found,
        settings_are_public: is_public(&wanted.environment_file),
        program_is_current: program.as_ref().is_some_and(|bytes| units::digest(bytes) == own_digest),
        program_present: program.is_some(),
        units: units::ALL.iter().map(|name| (*name, observe_unit(name))).collect(),
        first_login: crate::daemons::first_login::is_waiting(&wanted.settings),
    })
}

/// The digest of the program that runs.
pub fn own_digest() -> Result<String, InstallError> {
    let path = PathBuf::from(OWN_PROGRAM);
    std::fs::read(&path).map(|bytes| units::digest(&bytes)).map_err(|source| InstallError::File {
        doing: "read",
        path,
        source,
    })
}

fn accounts(path: &str) -> BTreeMap<String, u32> {
    parse_accounts(&std::fs::read_to_string(path).unwrap_or_default())
}

/// A file that is not there is nobody's to read.
fn is_public(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, InstallError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(InstallError::File { doing: "read", path: path.to_owned(), source }),
    }
}

/// A machine that systemd does not run has no units.
pub fn observe_unit(name: &str) -> FoundUnit {
    let mut show = Command::new("systemctl");
    show.args(["show", "--property=ActiveState,UnitFileState,NeedDaemonReload,MainPID", name]);
    let Ok(output) = show.output() else { return FoundUnit::default() };
    let (mut found, pid) = parse_shown(&String::from_utf8_lossy(&output.stdout));
    found.fingerprint = pid.and_then(|pid| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        find_variable(&environ, units::INSTALLED_VARIABLE)
    });
    found
}
