//! Packages that the examples lock, fetched by the machine's own clients before tests go into networks of their own, and kept as
//! long as the lock files stay as they are.

use crate::shell;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tests look for the folder by this variable.
pub const VARIABLE: &str = "DOZEN_TEST_PACKAGES";

/// The folder with all of them. An error if the registries cannot be reached.
pub fn fetch() -> Result<PathBuf> {
    let folder = shell::target().join("test-packages");
    let examples = shell::root().join("examples");
    keep(&folder.join("pypi"), &examples.join("flask/requirements.txt"), fetch_wheels)?;
    keep(&folder.join("npm"), &examples.join("express/package-lock.json"), fetch_tarballs)?;
    Ok(folder)
}

/// Fetches into a folder of its own and gives it its name once it is whole.
fn keep(folder: &Path, lock: &Path, fetch: fn(&Path, &Path) -> Result<()>) -> Result<()> {
    let mark = folder.with_extension("lock");
    let wanted = std::fs::read(lock).with_context(|| format!("cannot read {}", lock.display()))?;
    if folder.is_dir() && std::fs::read(&mark).is_ok_and(|known| known == wanted) {
        return Ok(());
    }
    for old in [folder, &folder.with_extension("new")] {
        let _never_there = std::fs::remove_dir_all(old);
    }
    let new = folder.with_extension("new");
    std::fs::create_dir_all(&new)?;
    println!("fetching what {} locks", lock.display());
    fetch(&new, lock)?;
    std::fs::rename(&new, folder)?;
    Ok(std::fs::write(mark, wanted)?)
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
