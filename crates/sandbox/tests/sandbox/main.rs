//! Real processes in real sandboxes, as root, on a host of their own: a network and mount namespace made for the test.
//!
//! This one binary plays every part: it starts itself anew as the launcher, the launcher starts it as shims, and it is what many
//! of the sandboxed processes execute (bound at `/.dozen/dozen`). Every attempt to break out is also made outside, where it must
//! succeed: an attempt that can fail for another reason shows nothing.

#![allow(clippy::unwrap_used, reason = "a test: what is not so is a failure")]

mod attempts;
mod builds;
mod daemons;
mod disk;
mod escapes;
mod health;
mod insider;
mod launching;
mod life;
mod limits;
mod shell;
mod stdio;
mod waiting;
mod weaker;
mod world;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use world::{Case, World};

fn cases() -> Vec<Case> {
    [
        escapes::CASES,
        life::CASES,
        stdio::CASES,
        limits::CASES,
        launching::CASES,
        builds::CASES,
        daemons::CASES,
        weaker::CASES,
        disk::CASES,
        health::CASES,
    ]
    .concat()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["shim"] => sandbox::shim::run(),
        ["launcher", data] => world::be_launcher(data),
        ["daemon", what] => daemons::be_daemon(what),
        ["inside", what @ ..] => insider::act(what),
        ["attempt", what @ ..] => attempts::make(what),
        _ => run_cases(&words),
    }
}

/// Speaks as the standard harness does, so that whoever counts its lines counts these.
fn run_cases(words: &[&str]) -> ExitCode {
    let filters: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let (chosen, filtered): (Vec<Case>, Vec<Case>) = cases()
        .into_iter()
        .partition(|(name, _)| filters.is_empty() || filters.iter().any(|f| name.contains(**f)));
    if words.contains(&"--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    if !rustix::process::geteuid().is_root() {
        chosen.iter().for_each(|(name, _)| println!("test {name} ... ignored, needs root"));
        summary("ok", 0, 0, chosen.len(), filtered.len());
        return ExitCode::SUCCESS;
    }
    run_as_root(&chosen, filtered.len())
}

fn run_as_root(chosen: &[Case], filtered: usize) -> ExitCode {
    let world = World::new();
    let mut failed = Vec::new();
    for (name, case) in chosen {
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| case(&world)));
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    let left = world.end();
    if !left.is_empty() {
        println!("left behind: {left:?}");
        failed.push("nothing_is_left_behind");
    }
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    summary(
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len().min(chosen.len()),
        failed.len(),
        0,
        filtered,
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn summary(result: &str, passed: usize, failed: usize, ignored: usize, filtered: usize) {
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {filtered} filtered out\n"
    );
}
