//! Real processes in real sandboxes, as root, on a host of their own: a network and mount namespace made for the test.
//!
//! This one binary plays every part: it starts itself anew as the launcher, the launcher starts it as shims, and it is what many
//! of the sandboxed processes execute (bound at `/.dozen/dozen`). Every attempt to break out is also made outside, where it must
//! succeed: an attempt that can fail for another reason shows nothing.

#![allow(clippy::unwrap_used, reason = "a test: what is not so is a failure")]

mod builds;
mod daemons;
mod disk;
mod escapes;
mod health;
mod hostile;
mod insider;
mod launching;
mod life;
mod limits;
mod renewal;
mod stdio;
mod waiting;
mod weaker;
mod world;

use std::collections::BTreeMap;
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
        renewal::CASES,
        hostile::bombs::CASES,
        hostile::takeover::CASES,
        hostile::walk::CASES,
    ]
    .concat()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["shim"] => sandbox::shim::run(),
        ["shim-resume", ..] => sandbox::shim::resume(),
        ["order", socket, program] => renewal::be_orderer(socket, program),
        ["launcher", data] => world::be_launcher(data),
        ["daemon", what] => daemons::be_daemon(what),
        ["inside", what @ ..] => insider::act(what),
        ["attempt", what @ ..] => hostile::make(what),
        _ => run_cases(&words),
    }
}

/// Speaks as the standard harness does, so that whoever counts its lines counts these.
fn run_cases(words: &[&str]) -> ExitCode {
    let filters: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(**filter));
    let (chosen, filtered): (Vec<Case>, Vec<Case>) = cases().into_iter().partition(|(name, _)| wanted(name));
    let (attempts, left): (Vec<String>, Vec<String>) =
        hostile::test_names().into_iter().partition(|name| wanted(name));
    let names: Vec<&str> =
        chosen.iter().map(|(name, _)| *name).chain(attempts.iter().map(String::as_str)).collect();
    if words.contains(&"--list") {
        names.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", names.len());
    let filtered = filtered.len() + left.len();
    if !rustix::process::geteuid().is_root() {
        names.iter().for_each(|name| println!("test {name} ... ignored, needs root"));
        summary("ok", 0, 0, names.len(), filtered);
        return ExitCode::SUCCESS;
    }
    run_as_root(&chosen, &attempts, filtered)
}

fn run_as_root(chosen: &[Case], attempts: &[String], filtered: usize) -> ExitCode {
    let world = World::new();
    let mut outcomes: Vec<(String, bool)> = Vec::new();
    for (name, case) in chosen {
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| case(&world)));
        println!("test {name} ... {}", verdict(outcome.is_ok()));
        outcomes.push(((*name).to_owned(), outcome.is_ok()));
    }
    outcomes.extend(run_attempts(&world, attempts));
    let left = world.end();
    if !left.is_empty() {
        println!("left behind: {left:?}");
        outcomes.push(("nothing_is_left_behind".to_owned(), false));
    }
    let failed: Vec<&String> = outcomes.iter().filter(|(_, held)| !held).map(|(name, _)| name).collect();
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    summary(
        if failed.is_empty() { "ok" } else { "FAILED" },
        outcomes.len() - failed.len(),
        failed.len(),
        0,
        filtered,
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// All attempts of a form are made together if any of them was chosen, which are then told apart.
fn run_attempts(world: &World, chosen: &[String]) -> Vec<(String, bool)> {
    let mut outcomes = Vec::new();
    for form in hostile::Form::ALL {
        let of_form: Vec<&String> = chosen.iter().filter(|name| hostile::is_of(form, name)).collect();
        if of_form.is_empty() {
            continue;
        }
        let made =
            std::panic::catch_unwind(AssertUnwindSafe(|| hostile::c_141_no_attempt_gets_out(world, form)));
        let made: BTreeMap<String, bool> = made.unwrap_or_default().into_iter().collect();
        for name in of_form {
            let held = made.get(name).copied().unwrap_or(false);
            println!("test {name} ... {}", verdict(held));
            outcomes.push((name.clone(), held));
        }
    }
    outcomes
}

const fn verdict(held: bool) -> &'static str {
    if held { "ok" } else { "FAILED" }
}

fn summary(result: &str, passed: usize, failed: usize, ignored: usize, filtered: usize) {
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {filtered} filtered out\n"
    );
}
