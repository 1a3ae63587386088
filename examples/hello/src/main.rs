//! A small twelve-factor app. One binary, one word on the command line for each kind of process:
//!
//! * `web` answers HTTP on `PORT`; * `worker` does a round of work every few seconds; * `release` runs before a release serves;
//! * `task NAME` is an admin task, run once by hand.

mod backing;
mod config;
mod log;
mod stop;
mod task;
mod web;
mod worker;

use config::Config;
use std::process::ExitCode;

const USAGE: &str = "usage: hello web | worker | release | task NAME (tasks: greet, env, backing, fail)";
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let config = match Config::read(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(problem) => return refuse(&problem),
    };
    match words.as_slice() {
        ["web"] => web::run(&config),
        ["worker"] => worker::run(&config),
        ["release"] => task::release(&config),
        ["task", name] => task::run(&config, name).unwrap_or_else(|| refuse(USAGE)),
        _ => refuse(USAGE),
    }
}

fn refuse(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(EXIT_USAGE)
}
