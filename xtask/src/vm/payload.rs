//! What is carried into the machine: the program, a second one to upgrade to, two apps, the contract's vectors, and test programs that
//! need real control groups of version 2. A disk of its own, made anew for each run.

use crate::shell;
use anyhow::{Context, Result};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Room beside the files themselves.
const SPARE_BYTES: u64 = 64 << 20;
/// Test programs of the sandbox that run in the machine.
const TEST_PROGRAMS: &[&str] = &["cgroup", "sandbox", "network"];

pub fn make(folder: &Path) -> Result<PathBuf> {
    let staged = folder.join("payload");
    if staged.exists() {
        fs::remove_dir_all(&staged)?;
    }
    fs::create_dir_all(staged.join("app"))?;
    stage_program(&staged)?;
    stage_app(&staged.join("app"))?;
    stage_python(&staged)?;
    stage_tests(&staged)?;
    stage_contract(&staged)?;
    let disk = folder.join("payload.raw");
    make_disk(&staged, &disk)?;
    fs::remove_dir_all(&staged)?;
    Ok(disk)
}

fn stage_program(staged: &Path) -> Result<()> {
    shell::run(shell::cargo().args(["build", "--quiet", "-p", "cli"]))?;
    // Without the names for debuggers: half the bytes to carry and to hash.
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(staged.join("dozen")).arg(shell::target().join("debug/dozen"));
    shell::run(&mut strip)?;
    // The same program in another file: bytes behind its end are nothing to the kernel.
    fs::copy(staged.join("dozen"), staged.join("dozen-newer"))?;
    let mut newer = fs::OpenOptions::new().append(true).open(staged.join("dozen-newer"))?;
    Ok(newer.write_all(b"newer")?)
}

fn stage_app(app: &Path) -> Result<()> {
    let mut compile = Command::new("rustc");
    compile
        .args(["--edition=2024", "-O", "-o"])
        .arg(app.join("limits"))
        .arg(shell::root().join("xtask/apps/limits.rs"));
    shell::run(&mut compile)?;
    Ok(fs::write(app.join("Procfile"), "web: ./limits\n")?)
}

/// As it is; what it needs beside Python's own library is made in the machine.
fn stage_python(staged: &Path) -> Result<()> {
    shell::run(Command::new("cp").arg("-r").arg(shell::root().join("xtask/apps/snake")).arg(staged))
}

fn stage_tests(staged: &Path) -> Result<()> {
    let mut build = shell::cargo();
    build.args(["test", "--quiet", "-p", "sandbox", "--no-run", "--message-format=json"]);
    build.args(TEST_PROGRAMS.iter().flat_map(|name| ["--test", name]));
    let messages = shell::capture(&mut build)?;
    for name in TEST_PROGRAMS {
        let program =
            find_program(&messages, name).with_context(|| format!("cargo built no test program {name}"))?;
        fs::copy(program, staged.join(format!("test-{name}")))?;
    }
    Ok(())
}

/// The vectors and the app that they deploy.
fn stage_contract(staged: &Path) -> Result<()> {
    shell::run(shell::cargo().args(["build", "--quiet", "-p", "contract", "--bins"]))?;
    for name in ["contract", "contract-app"] {
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(staged.join(name)).arg(shell::target().join("debug").join(name));
        shell::run(&mut strip)?;
    }
    Ok(())
}

fn find_program(messages: &str, name: &str) -> Option<PathBuf> {
    let artefacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut named = artefacts
        .filter(|artefact| artefact["target"]["name"] == name && artefact["target"]["kind"][0] == "test");
    named.find_map(|artefact| artefact["executable"].as_str().map(PathBuf::from))
}

fn make_disk(staged: &Path, disk: &Path) -> Result<()> {
    let mut bytes = SPARE_BYTES;
    for entry in fs::read_dir(staged)?.chain(fs::read_dir(staged.join("app"))?) {
        bytes += entry?.metadata()?.len();
    }
    if disk.exists() {
        fs::remove_file(disk)?;
    }
    let mut make = Command::new("mke2fs");
    make.args(["-q", "-F", "-t", "ext4", "-d"]).arg(staged).arg(disk).arg(format!("{}k", bytes / 1024));
    shell::capture(&mut make).map(drop).context("cannot make the payload's disk")
}
