//! What builds are tried with, fetched by the machine's own clients before tests go into networks of their own, and kept as long as
//! the lock files stay as they are: packages of the examples and of tests, package managers, backing services.

use crate::install::{kept, managers, services};
use crate::shell;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tests look for the folder by this variable.
pub const VARIABLE: &str = "DOZEN_TEST_PACKAGES";

/// The folder with all of them. An error if the registries cannot be reached.
pub fn fetch_all() -> Result<PathBuf> {
    let folder = fetch()?;
    managers::ensure(&folder.join("managers"), &shell::root().join("crates/cli/tests/builds/managers"))?;
    services::ensure(&folder.join("services"))?;
    Ok(folder)
}

/// The folder with the packages alone.
pub fn fetch() -> Result<PathBuf> {
    let folder = shell::target().join("test-packages");
    let examples = shell::root().join("examples");
    let more = shell::root().join("crates/cli/tests/builds/requirements.txt");
    let wheels = [examples.join("flask/requirements.txt"), more];
    keep(&folder.join("pypi"), &wheels, fetch_wheels)?;
    keep(&folder.join("npm"), &[examples.join("express/package-lock.json")], fetch_tarballs)?;
    Ok(folder)
}

fn keep(folder: &Path, locks: &[PathBuf], fetch: fn(&Path, &Path) -> Result<()>) -> Result<()> {
    let read =
        |lock: &PathBuf| std::fs::read(lock).with_context(|| format!("cannot read {}", lock.display()));
    let wanted = locks.iter().map(read).collect::<Result<Vec<_>>>()?.concat();
    kept::ensure(folder, &wanted, |new| {
        locks.iter().try_for_each(|lock| {
            println!("fetching what {} locks", lock.display());
            fetch(new, lock)
        })
    })
}

fn fetch_wheels(folder: &Path, lock: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]);
    shell::run(pip.arg("-r").arg(lock).arg("-d").arg(folder))
}

fn fetch_tarballs(folder: &Path, lock: &Path) -> Result<()> {
    let lock: serde_json::Value = serde_json::from_slice(&std::fs::read(lock)?)?;
    let packages = lock["packages"].as_object().context("the lock file has no packages")?;
    let named = packages.iter().filter_map(|(path, package)| {
        let name = path.rsplit_once("node_modules/")?.1;
        Some(format!("{name}@{}", package["version"].as_str()?))
    });
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--pack-destination"]).arg(folder).args(named);
    shell::run(npm.stdout(Stdio::null()))
}
