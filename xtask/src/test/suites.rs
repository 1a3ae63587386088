//! The suites.

use super::count::Count;
use super::packages;
use crate::{install, shell};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seeds that the simulator plays on every run.
const SEEDS: &str = "20000";
/// Seeds within which every mutant must be caught.
const MUTANT_SEEDS: &str = "1000";

/// Some tests that are run together.
pub struct Suite {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn() -> Result<Count>,
}

pub const ALL: &[Suite] = &[
    Suite { name: "unit", about: "every crate's own tests", run: unit },
    Suite { name: "sim", about: "the simulator, 20,000 seeds", run: sim },
    Suite { name: "mutants", about: "each deliberate mistake is caught within 1,000 seeds", run: mutants },
    Suite {
        name: "e2e",
        about: "the real binary with real clients, in a network namespace of its own",
        run: e2e,
    },
];

fn unit() -> Result<Count> {
    let mut command = shell::cargo();
    command.args([
        "test",
        "--quiet",
        "--workspace",
        "--exclude",
        "cli",
        "--no-fail-fast",
        "--",
        "--show-output",
    ]);
    let mut count = counted(&mut command, "cargo test")?;
    let mut client = shell::cargo();
    client.args(["test", "--quiet", "-p", "cli", "--bins", "--no-fail-fast", "--", "--show-output"]);
    count.add(counted(&mut client, "cargo test -p cli")?);
    Ok(count)
}

fn sim() -> Result<Count> {
    shell::run(shell::cargo().args(["build", "--quiet", "--release", "-p", "sim"]))?;
    let status = Command::new(shell::target().join("release/sim")).args(["--seeds", SEEDS]).status()?;
    Ok(verdict(status.success(), "sim"))
}

/// A build of its own: the mutants must not get into any other artefact.
fn mutants() -> Result<Count> {
    let target = shell::target().join("mutants");
    let mut build = shell::cargo();
    build
        .args(["build", "--quiet", "--release", "-p", "sim", "--features", "mutants", "--target-dir"])
        .arg(&target);
    shell::run(&mut build)?;
    let sim = target.join("release/sim");
    let names = shell::capture(Command::new(&sim).arg("--mutants"))?;
    let mut count = Count::default();
    for name in names.lines() {
        let output = Command::new(&sim).args(["--mutant", name, "--seeds", MUTANT_SEEDS]).output()?;
        let caught = output.status.code() == Some(1);
        println!(
            "{name}: {}",
            String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or("(no output)")
        );
        count.add(verdict(caught, &format!("mutant {name} was not caught")));
    }
    Ok(count)
}

fn verdict(success: bool, name: &str) -> Count {
    if success { Count::one_passed() } else { Count::one_failed(name.to_owned()) }
}

/// Black-box tests of the binary with its test hooks. As root each test program has its own network namespace; as an ordinary user
/// servers share the machine's network anyway, and a test that needs root says that it is skipped.
fn e2e() -> Result<Count> {
    if let Err(error) = install::clients::ensure() {
        println!("warning: {error:#}");
    }
    let mut build = shell::cargo();
    build.args([
        "test",
        "-p",
        "cli",
        "--features",
        "test-hooks",
        "--no-run",
        "--message-format=json",
        "--quiet",
    ]);
    build.args(["--test", "*"]).stderr(Stdio::inherit());
    let messages = shell::capture(&mut build)?;
    let mut count = Count::default();
    let packages = packages::fetch_all();
    if let Err(error) = &packages {
        println!("packages for the examples cannot be had: {error:#}");
    }
    for program in test_programs(&messages) {
        println!("--> {}", program.file_name().unwrap_or_default().to_string_lossy());
        let mut command = if install::is_root() { apart(&program) } else { Command::new(&program) };
        command.args(["--test-threads=1", "--show-output"]).current_dir(shell::root().join("crates/cli"));
        command.envs(packages.iter().map(|folder| (packages::VARIABLE, folder)));
        command.env("DOZEN_TEST_CLIENTS", install::clients::folder());
        count.add(counted(&mut command, &program.to_string_lossy())?);
    }
    Ok(count)
}

fn apart(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "e2e"]).arg(program);
    command
}

fn test_programs(messages: &str) -> Vec<PathBuf> {
    let artefacts = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let tests = artefacts.filter(|artefact| artefact["target"]["kind"][0] == "test");
    tests.filter_map(|artefact| artefact["executable"].as_str().map(PathBuf::from)).collect()
}

/// Runs a test program and counts; one that dies without a result is a failure.
fn counted(command: &mut Command, name: &str) -> Result<Count> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let output = child.stdout.take().context("the child has no output")?;
    let mut count = Count::read(output, |line| println!("{line}"));
    if !child.wait()?.success() && count.failed == 0 {
        count.add(Count::one_failed(format!("{name} ended badly")));
    }
    Ok(count)
}
