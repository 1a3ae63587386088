//! Redis and PostgreSQL of Debian's packages, for tests: unpacked, not installed, so that the machine itself starts neither of them.

use super::kept;
use crate::shell;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Fetched with whatever they need that the machine lacks. `postgresql` is the machine's own release of it: one that is there already
/// is used where it is.
const PACKAGES: [&str; 2] = ["redis-server", "postgresql"];
const PROGRAMS: [(&str, &str); 1] = [("nsenter", "util-linux")];

/// Unpacks them into `folder`, which then looks like a root of its own. Only root runs the tests that need them.
pub fn ensure(folder: &Path) -> Result<()> {
    if !super::is_root() {
        return Ok(());
    }
    super::ensure_all(&PROGRAMS)?;
    kept::ensure(folder, PACKAGES.join(" ").as_bytes(), |new| {
        println!("fetching {} of Debian's packages", PACKAGES.join(" and "));
        let archives = new.join("archives");
        // apt wants this folder, and does not make it.
        fs::create_dir_all(archives.join("partial"))?;
        fetch(&archives)?;
        unpack(&archives, new)?;
        fs::remove_dir_all(&archives).context("cannot remove the archives")
    })
}

fn fetch(archives: &Path) -> Result<()> {
    shell::run(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut fetch = Command::new("apt-get");
    fetch.args(["install", "-y", "-qq", "--no-install-recommends", "--download-only", "--reinstall"]);
    fetch.args(["-o", "APT::Sandbox::User=root", "-o"]);
    fetch.arg(format!("Dir::Cache::archives={}", archives.display()));
    shell::run(fetch.args(PACKAGES).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn unpack(archives: &Path, root: &Path) -> Result<()> {
    for entry in fs::read_dir(archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            shell::run(Command::new("dpkg-deb").arg("--extract").arg(path).arg(root))?;
        }
    }
    Ok(())
}
