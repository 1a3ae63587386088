//! Every suite, one after the other, with one count at the end.
//!
//! A test that cannot run here prints a line `skipped: REASON`; those are counted and listed. With `--strict` (CI) a skip of
//! something that must be present is a failure.

pub mod count;
pub mod packages;
mod suites;

use crate::{install, shell};
use anyhow::Result;
use count::Count;
use std::process::ExitCode;
use std::time::Instant;

/// What a skipped test means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Skips {
    Allowed,
    Forbidden,
}

pub fn run(words: &[String]) -> Result<ExitCode> {
    let strict = words.iter().any(|word| word == "--strict");
    let skips = if strict { Skips::Forbidden } else { Skips::Allowed };
    let chosen: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    if let Err(error) = install::ensure() {
        println!("warning: {error:#}");
    }
    let mut total = Count::default();
    for suite in suites::ALL.iter().filter(|suite| chosen.is_empty() || chosen.contains(&suite.name)) {
        println!("\n==> {}: {}", suite.name, suite.about);
        let started = Instant::now();
        let count = (suite.run)()?;
        println!("==> {}: {count} in {:.0} s", suite.name, started.elapsed().as_secs_f64());
        total.add(count);
    }
    report(&total, skips)
}

fn report(total: &Count, skips: Skips) -> Result<ExitCode> {
    println!();
    total.reasons.iter().for_each(|reason| println!("skipped: {reason}"));
    total.failures.iter().for_each(|name| println!("failed: {name}"));
    let forbidden = skips == Skips::Forbidden && total.skipped > 0;
    if forbidden {
        println!("a skipped test counts as failed here");
    }
    println!("(from {})", shell::root().display());
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    Ok(if total.failed == 0 && !forbidden { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
