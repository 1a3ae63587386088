//! `cargo xtask bench NAME [--json]`: measurements of the release build, each beside a peer of the same run or beside its goal.
//!
//! Every bench gives rows ([`rows`]): a table for people, one JSON object for programs. No test asserts a figure; a machine that
//! is busy with something else gives other ones, so the load average stands beside each table.
//!
//! A bench runs in a network namespace of its own, so that its servers meet nobody else's addresses, links and packet rules.

mod deploy;
mod examples;
mod footprint;
mod http;
#[path = "../../../crates/cli/tests/support/locks.rs"]
mod locks;
mod memory;
#[allow(dead_code, reason = "tests use its other half")]
#[path = "../../../crates/cli/tests/support/outside.rs"]
mod outside;
#[allow(dead_code, reason = "tests use its other half")]
#[path = "../../../crates/cli/tests/support/registry.rs"]
mod registry;
mod repository;
mod rows;
mod server;
mod start;

use crate::{install, shell};
use anyhow::{Context, Result, bail};
use rows::Row;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// What the half that runs in the namespace is started with.
const INSIDE: &str = "--inside";

/// One bench.
struct Bench {
    name: &'static str,
    run: fn() -> Result<Vec<Row>>,
}

const ALL: &[Bench] = &[
    Bench { name: "start", run: start::run },
    Bench { name: "deploy", run: deploy::run },
    Bench { name: "footprint", run: footprint::run },
];

/// Who reads the result.
#[derive(Clone, Copy)]
enum Form {
    Table,
    Json,
}

pub fn run(words: &[String]) -> Result<ExitCode> {
    let has = |word: &str| words.iter().any(|given| given == word);
    let form = if has("--json") { Form::Json } else { Form::Table };
    let name = words.iter().find(|word| !word.starts_with("--")).map(String::as_str);
    let Some(bench) = ALL.iter().find(|bench| Some(bench.name) == name) else {
        bail!("name a bench: {}", ALL.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", "));
    };
    if has(INSIDE) { measure(bench, form) } else { prepare(words) }
}

/// Builds everything, then goes on in a network namespace of its own.
fn prepare(words: &[String]) -> Result<ExitCode> {
    if !install::is_root() {
        bail!(
            "benches need root for now: apps get user ids and networks of their own\n  hint: sudo -E cargo xtask bench"
        );
    }
    install::ensure()?;
    eprintln!("building the release (the first time takes many minutes)");
    shell::run(shell::cargo().args(["build", "--quiet", "--release", "-p", "cli"]))?;
    shell::run(shell::cargo().args([
        "build",
        "--quiet",
        "--release",
        "-p",
        "sandbox",
        "--example",
        "start_cost",
    ]))?;
    let packages = crate::test::packages::fetch();
    if let Err(error) = &packages {
        eprintln!("packages for the examples cannot be had: {error:#}");
    }
    let mut inside = Command::new("unshare");
    inside.envs(packages.iter().map(|folder| (crate::test::packages::VARIABLE, folder)));
    inside.args(["--net", "--", "sh", "-c", "ip link set lo up && exec \"$@\"", "bench"]);
    inside.arg(std::env::current_exe()?).arg("bench").args(words).arg(INSIDE);
    let status = inside.status().context("cannot run unshare")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(bench: &Bench, form: Form) -> Result<ExitCode> {
    let before = load_average();
    let rows = (bench.run)()?;
    eprintln!("load average {before} at the start, {} at the end", load_average());
    match form {
        Form::Table => print!("{}", rows::render_table(bench.name, &rows)),
        Form::Json => println!("{}", rows::render_json(bench.name, &rows)),
    }
    Ok(ExitCode::SUCCESS)
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// The program under measurement.
fn dozen() -> PathBuf {
    shell::target().join("release/dozen")
}
