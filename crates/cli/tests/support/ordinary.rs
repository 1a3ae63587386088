//! Tests of the form of an ordinary user. Run by one they simply run. Run by root each starts this same program again as a user that
//! nobody knows, with nothing of root's but copies of the programs under test.

use super::repository::{PROBE_VARIABLE, probe};
use super::server::{DOZEN, PROGRAM_VARIABLE};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Users from this number on have no password entry on any machine that we know, and are no apps' either.
const FIRST_UID: u32 = 3_000_000;

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// For a test that only root can run: tells so, and is counted.
pub fn needs_root(why: &str) -> bool {
    if !is_root() {
        println!("skipped: needs root {why}");
    }
    !is_root()
}

/// Whether this process is the one that plays the test. As root it is not: `test` has then been played by another user, and has
/// passed.
pub fn plays(test: &str) -> bool {
    if is_root() {
        play_as_another(test);
    }
    !is_root()
}

fn play_as_another(test: &str) {
    let uid = FIRST_UID + std::process::id();
    let place = tempfile::Builder::new().prefix("dozen-ordinary-").tempdir().expect("a temporary folder");
    open_to_all(place.path());
    let home = place.path().join("home");
    std::fs::create_dir(&home).expect("a home");
    std::os::unix::fs::chown(&home, Some(uid), Some(uid)).expect("its owner");
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new(copy(&this, place.path(), "test"));
    command.args([test, "--exact", "--show-output", "--test-threads=1"]).current_dir("/");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
    command.env("HOME", &home).env("TMPDIR", &home);
    command.env(PROGRAM_VARIABLE, copy(Path::new(DOZEN), place.path(), "dozen"));
    command.env(PROBE_VARIABLE, copy(&probe(), place.path(), "probe"));
    let output = command.uid(uid).gid(uid).stdin(Stdio::null()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    // Behind a bar, so that nobody counts its result beside this test's own.
    said.lines().for_each(|line| println!("| {line}"));
    assert!(output.status.success(), "as uid {uid} it ended with {}", output.status);
    assert!(said.contains("1 passed") && !said.contains("skipped: "), "as uid {uid} it did not run");
    assert_eq!(processes_of(uid), [""; 0], "processes of uid {uid} are left");
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
}

fn copy(from: &Path, place: &Path, name: &str) -> PathBuf {
    let to = place.join(name);
    std::fs::copy(from, &to).expect("a copy");
    open_to_all(&to);
    to
}

/// Command lines of the living processes of a user. One that has ended and that nobody has asked after has none.
pub fn processes_of(uid: u32) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let of_user = |pid: &u32| std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|found| found.uid() == uid);
    let line = |pid: u32| {
        let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (!bytes.is_empty()).then(|| format!("{pid}: {}", String::from_utf8_lossy(&bytes).replace('\0', " ")))
    };
    super::server::processes().into_iter().filter(of_user).filter_map(line).collect()
}
