//! Real builds through the real launcher, as root, on a host of their own: a network and mount namespace made for the test, in
//! which no package registry can be reached.
//!
//! This one binary plays every part: launcher, shim, the step inside the sandbox, the static file server, and, under the server's
//! own uid, the one who builds.

#![allow(clippy::unwrap_used, reason = "a test whose main is its own: clippy cannot tell")]

mod building;
mod cases;
mod files;
mod world;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use world::World;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["shim"] => sandbox::shim::run(),
        ["launcher", data] => world::be_launcher(data),
        ["build", data, request] => building::be_server(data, request),
        ["clean", data] => building::be_cleaner(data),
        ["build-step", ..] => builder::step::run(&arguments[1..]),
        ["static-server", words @ ..] => world::be_static_server(words),
        _ => run_cases(&words),
    }
}

/// Speaks as the standard harness does, so that whoever counts its lines counts these.
fn run_cases(words: &[&str]) -> ExitCode {
    let filters: Vec<&&str> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let is_chosen = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(**filter));
    let chosen: Vec<_> = cases::CASES.iter().filter(|(name, _)| is_chosen(name)).collect();
    let filtered = cases::CASES.len() - chosen.len();
    if words.contains(&"--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    if chosen.is_empty() || !rustix::process::geteuid().is_root() {
        chosen.iter().for_each(|(name, _)| println!("test {name} ... ignored, needs root"));
        summary("ok", 0, 0, chosen.len(), filtered);
        return ExitCode::SUCCESS;
    }
    let world = World::new();
    let mut failed = Vec::new();
    for (name, case) in &chosen {
        let is_ok = std::panic::catch_unwind(AssertUnwindSafe(|| case(&world))).is_ok();
        println!("test {name} ... {}", if is_ok { "ok" } else { "FAILED" });
        if !is_ok {
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
    let passed = chosen.len() - failed.len().min(chosen.len());
    summary(if failed.is_empty() { "ok" } else { "FAILED" }, passed, failed.len(), 0, filtered);
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn summary(result: &str, passed: usize, failed: usize, ignored: usize, filtered: usize) {
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {filtered} filtered out\n"
    );
}
