//! Package managers that builds are tried with, each beside an interpreter, as an installation that Dozen is told of: `node` with pnpm
//! and both kinds of Yarn, `python` with uv. Locked with hashes under `crates/cli/tests/builds/managers`.

use super::clients::{install_npm, install_python};
use super::kept;
use crate::shell;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Within the folder of locks.
const LOCKS: [&str; 2] = ["package-lock.json", "requirements.txt"];
/// Debian's own programs, by their full names: this user's may be others.
const PROGRAMS: [(&str, &str); 2] = [(PYTHON, "python3"), ("/usr/bin/pip3", "python3-pip")];
const PYTHON: &str = "/usr/bin/python3";
/// Prints where the standard library is.
const LIBRARY: &str = "import sysconfig; print(sysconfig.get_path('stdlib'))";
const SYSTEM: &str = "/usr";

/// Installs them below `folder`.
pub fn ensure(folder: &Path, locks: &Path) -> Result<()> {
    super::ensure_all(&PROGRAMS)?;
    let node = shell::capture(Command::new("node").args(["-p", "process.execPath + ' ' + process.version"]))?;
    let library = shell::capture(Command::new(PYTHON).args(["-c", LIBRARY]))?;
    let mut wanted = format!("{node}{library}");
    for name in LOCKS {
        wanted += &fs::read_to_string(locks.join(name)).with_context(|| format!("cannot read {name}"))?;
    }
    kept::ensure(folder, wanted.as_bytes(), |new| {
        println!("installing package managers into {}", folder.display());
        let program = node.split(' ').next().unwrap_or_default();
        make_node(&new.join("node"), locks, Path::new(program))?;
        make_python(&new.join("python"), locks, Path::new(library.trim()))
    })
}

fn make_node(prefix: &Path, locks: &Path, program: &Path) -> Result<()> {
    install_npm(locks, prefix)?;
    let bin = prefix.join("bin");
    fs::create_dir(&bin)?;
    bring(program, &bin.join("node"))?;
    for (name, script) in [("pnpm", "pnpm/bin/pnpm.cjs"), ("yarn", "yarn/bin/yarn.js")] {
        symlink(PathBuf::from("../node_modules").join(script), bin.join(name))?;
    }
    Ok(())
}

/// Debian's Python under a prefix of its own: what is in `/usr` is seen by every sandbox.
fn make_python(prefix: &Path, locks: &Path, library: &Path) -> Result<()> {
    install_python(&locks.join("requirements.txt"), prefix)?;
    fs::create_dir_all(prefix.join("lib"))?;
    symlink(library, prefix.join("lib").join(library.file_name().context("a library has a name")?))?;
    bring(Path::new(PYTHON), &prefix.join("bin/python3"))
}

fn bring(program: &Path, to: &Path) -> Result<()> {
    if program.starts_with(SYSTEM) {
        return Ok(symlink(program, to)?);
    }
    fs::copy(program, to).with_context(|| format!("cannot copy {}", program.display()))?;
    Ok(())
}
