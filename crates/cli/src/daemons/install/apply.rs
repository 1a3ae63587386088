//! Carries steps out, one by one. Each may be repeated after a run that was cut off.

use super::InstallError;
use super::observe::{OWN_PROGRAM, observe_unit};
use super::observed::Activity;
use super::step::{SETTINGS_MODE, Step};
use super::units;
use super::wanted::Wanted;
use crate::daemons::first_login::{self, FirstLogin};
use crate::daemons::launcher;
use sandbox::network::Network;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Apps have this long to end; their own unit gives up before.
const STOP_APPS_TIMEOUT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(200);
const TEXT_MODE: u32 = 0o644;
const PROGRAM_MODE: u32 = 0o755;
/// What `groupdel` ends with if there is no such group: it went with its user.
const NO_SUCH_GROUP: i32 = 6;
/// Lines of a failed service's log that are shown.
const LOG_LINES: &str = "--lines=15";

/// What carrying out a step brought to light.
#[derive(Default)]
pub struct Outcome {
    pub first_login: Option<FirstLogin>,
}

pub fn apply(step: &Step, wanted: &Wanted) -> Result<Outcome, InstallError> {
    let data = wanted.settings.data.root().display().to_string();
    match step {
        Step::MakeGroup { name, gid } => run("groupadd", &["--system", "--gid", &gid.to_string(), name])?,
        Step::MakeUser { name, uid, about } => {
            let id = uid.to_string();
            let fixed = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--home-dir", &data];
            run("useradd", &[&fixed[..], &["--uid", &id, "--gid", name, "--comment", about, name]].concat())?;
        }
        Step::MakeFolder { path, mode } => make_folder(path, *mode)?,
        Step::CopyProgram { to } => copy_program(to)?,
        Step::WriteFile { path, text } => write_file(path, text.as_bytes(), TEXT_MODE)?,
        Step::WriteSettings { path, text } => write_file(path, text.as_bytes(), SETTINGS_MODE)?,
        Step::Reload => systemctl(&["daemon-reload"])?,
        Step::Enable { units } => systemctl(&[&["enable", "--quiet"], &units[..]].concat())?,
        Step::Disable { units } => systemctl(&[&["disable", "--quiet"], &units[..]].concat())?,
        Step::Stop { units } => systemctl(&[&["stop"], &units[..]].concat())?,
        Step::Start { units } => with_log(systemctl(&[&["start"], &units[..]].concat()), units)?,
        Step::Restart { units } => with_log(systemctl(&[&["restart"], &units[..]].concat()), units)?,
        Step::TakeFirstLogin => return take_first_login(wanted),
        Step::StopAll => stop_all()?,
        Step::RemoveFile { path } => removed(path, std::fs::remove_file(path))?,
        Step::RemoveEmptyFolder { path } => {
            // With something of somebody else's in it, it stays.
            let _ = std::fs::remove_dir(path);
        }
        Step::RemoveNetworks => remove_networks(wanted)?,
        Step::RemoveData { path } => removed(path, std::fs::remove_dir_all(path))?,
        Step::RemoveUser { name } => run("userdel", &[name])?,
        Step::RemoveGroup { name } => remove_group(name)?,
    }
    Ok(Outcome::default())
}

fn take_first_login(wanted: &Wanted) -> Result<Outcome, InstallError> {
    let first_login = first_login::take(&wanted.settings).map_err(InstallError::FirstLogin)?;
    Ok(Outcome { first_login })
}

fn run(program: &str, words: &[&str]) -> Result<(), InstallError> {
    let shown = || format!("{program} {}", words.join(" "));
    let output = Command::new(program)
        .args(words)
        .output()
        .map_err(|source| InstallError::Start { command: shown(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(InstallError::Command { command: shown(), code: output.status.code().unwrap_or(-1), told })
}

fn systemctl(words: &[&str]) -> Result<(), InstallError> {
    run("systemctl", words)
}

/// A service that does not start says why in its log.
fn with_log(result: Result<(), InstallError>, names: &[&str]) -> Result<(), InstallError> {
    let Err(error) = result else { return Ok(()) };
    let services: Vec<_> =
        names.iter().filter(|name| name.ends_with(".service")).flat_map(|name| ["--unit", name]).collect();
    let mut journal = Command::new("journalctl");
    journal.args(["--no-pager", "--output=cat", LOG_LINES]).args(services);
    let log = journal.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    Err(InstallError::Service { log: log.unwrap_or_default(), source: Box::new(error) })
}

fn make_folder(path: &Path, mode: u32) -> Result<(), InstallError> {
    let failed = |source| InstallError::File { doing: "make", path: path.to_owned(), source };
    std::fs::create_dir_all(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)
}

fn copy_program(to: &Path) -> Result<(), InstallError> {
    let program = std::fs::read(OWN_PROGRAM).map_err(|source| InstallError::File {
        doing: "read",
        path: OWN_PROGRAM.into(),
        source,
    })?;
    write_file(to, &program, PROGRAM_MODE)
}

/// Appears whole or not at all, whatever runs from the old file or reads it.
fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), InstallError> {
    let failed = |source| InstallError::File { doing: "write", path: path.to_owned(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".dozen-new");
    let new = path.with_file_name(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new).map_err(failed)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    drop(file);
    std::fs::rename(&new, path).map_err(failed)
}

/// What is gone already is fine.
fn removed(path: &Path, result: std::io::Result<()>) -> Result<(), InstallError> {
    match result {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(InstallError::File { doing: "remove", path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The service of the apps cannot be told by its name: it goes with the target, and is waited for.
fn stop_all() -> Result<(), InstallError> {
    let named: Vec<_> = units::ALL.into_iter().filter(|name| *name != units::APPS).collect();
    systemctl(&[&["stop"], &named[..]].concat())?;
    let deadline = Instant::now() + STOP_APPS_TIMEOUT;
    while observe_unit(units::APPS).activity == Activity::Active || is_stopping(units::APPS) {
        if Instant::now() >= deadline {
            return Err(InstallError::AppsRun);
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn is_stopping(name: &str) -> bool {
    let output = Command::new("systemctl").args(["show", "--property=ActiveState", name]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "ActiveState=deactivating")
}

fn remove_networks(wanted: &Wanted) -> Result<(), InstallError> {
    if !wanted.settings.data.networks().is_dir() {
        return Ok(());
    }
    let network = Network::new(launcher::network(&wanted.settings));
    for found in network.list().map_err(InstallError::Network)? {
        network.remove(found.app).map_err(InstallError::Network)?;
    }
    network.uninstall().map_err(InstallError::Network)
}

fn remove_group(name: &str) -> Result<(), InstallError> {
    match run("groupdel", &[name]) {
        Err(InstallError::Command { code: NO_SUCH_GROUP, .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_with_their_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.service");
        write_file(&path, b"one", 0o600).unwrap();
        let running = std::fs::File::open(&path).unwrap();
        write_file(&path, b"two", TEXT_MODE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, TEXT_MODE);
        let settings =
            Step::WriteSettings { path: folder.path().join("dozen.env"), text: "A=1\n".to_owned() };
        let wanted = super::super::tests::wanted();
        apply(&settings, &wanted).unwrap();
        let metadata = std::fs::metadata(folder.path().join("dozen.env")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        std::fs::remove_file(folder.path().join("dozen.env")).unwrap();
        assert_eq!(std::io::read_to_string(running).unwrap(), "one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        removed(&path, std::fs::remove_file(&path)).unwrap();
        removed(&path, std::fs::remove_file(&path)).unwrap();
    }

    #[test]
    fn a_command_that_fails_says_what_it_said() {
        let error = run("sh", &["-c", "echo no >&2; exit 3"]).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c echo no >&2; exit 3` ended with 3: no");
        assert!(matches!(run("/no/such/program", &[]), Err(InstallError::Start { .. })));
    }
}
