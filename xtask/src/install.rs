//! Installs what the tests need, if it is missing: from Debian's packages here, from npm and PyPI in `clients` and `managers`. What is
//! for tests alone goes into folders of the target folder (`kept`).

pub mod clients;
pub mod kept;
pub mod managers;
pub mod services;

use crate::shell;
use anyhow::{Context, Result};
use std::process::Command;

/// A program that tests use and the package that brings it.
const NEEDED: &[(&str, &str)] =
    &[("git", "git"), ("unshare", "util-linux"), ("cc", "gcc"), ("ssh", "openssh-client")];
/// The same, of those that only root can use.
const NEEDED_BY_ROOT: &[(&str, &str)] = &[("ip", "iproute2")];

/// Installs missing packages; as an ordinary user through sudo. What cannot be installed is told, not fatal: the suites that need
/// it then say that they are skipped.
pub fn ensure() -> Result<()> {
    let of_root = if is_root() { NEEDED_BY_ROOT } else { &[] };
    ensure_all(&[NEEDED, of_root].concat())
}

/// The same for programs, and the packages that bring them, that not every test needs.
pub fn ensure_all(needed: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        needed.iter().filter(|(program, _)| !shell::is_installed(program)).map(|(_, p)| *p).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {} from Debian's packages", missing.join(", "));
    let mut update = privileged("apt-get");
    let updated = shell::run(update.args(["update", "-qq"]));
    let mut install = privileged("apt-get");
    install
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive");
    updated
        .and_then(|()| shell::run(&mut install))
        .with_context(|| format!("cannot install {}", missing.join(", ")))
}

fn privileged(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-n").arg(program);
    command
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    uid == Some("0")
}
