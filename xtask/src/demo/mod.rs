//! `cargo xtask demo`: a server in a temporary folder, a real push of `examples/hello`, and the twelve factors with evidence fetched
//! through the public API or by requests to the app.
//!
//! `--once` stops and cleans up at the end, and fails if a factor that should be shown was not; `--json` prints one object per factor.
//! A factor whose capability is not there yet says what is missing and is never dressed up.

mod factors;
pub mod http;
mod service;
mod world;

use crate::{install, shell};
use anyhow::Result;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Instant;
use world::World;

/// What is shown of one factor.
#[derive(Serialize)]
pub struct Shown {
    pub factor: &'static str,
    pub title: &'static str,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How it came out.
#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Shown { evidence: Vec<String> },
    NotYet { missing: &'static str },
    Failed { reason: String },
}

/// Whether the demo goes on until Ctrl-C.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    UntilInterrupted,
    Once,
}

pub fn run(words: &[String]) -> Result<ExitCode> {
    let has = |word: &str| words.iter().any(|given| given == word);
    let stay = if has("--once") { Stay::Once } else { Stay::UntilInterrupted };
    install::ensure()?;
    eprintln!("building Dozen (the first time takes a few minutes)");
    shell::run(shell::cargo().args(["build", "--quiet", "-p", "cli"]))?;
    let started = Instant::now();
    let mut world = World::start()?;
    let weaker = world.weaker_walls()?;
    let shown = factors::show_all(&mut world);
    let json = has("--json");
    print_all(&shown, json);
    tell_weaker(&weaker);
    let failed = shown.iter().filter(|shown| matches!(shown.outcome, Outcome::Failed { .. })).count();
    if failed > 0 {
        eprintln!("what the server printed last:\n{}", last_lines(&world.server_output(), 40));
    }
    eprintln!("{} of 12 factors shown in {:.0} s", count_shown(&shown), started.elapsed().as_secs_f64());
    if stay == Stay::UntilInterrupted {
        eprintln!("{}", world.farewell());
        world.wait_for_interrupt();
    }
    world.stop()?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `xtask demo-service ADDRESS...` does.
pub fn serve_backing_service(addresses: &[String]) -> Result<ExitCode> {
    service::serve(addresses).map(|()| ExitCode::SUCCESS)
}

/// What this run does not show, since the server runs as an ordinary user.
fn tell_weaker(weaker: &[String]) {
    if weaker.is_empty() {
        return;
    }
    eprintln!("not shown, for this server protects apps less than one that root starts:");
    weaker.iter().for_each(|wall| eprintln!("  {wall}"));
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn count_shown(shown: &[Shown]) -> usize {
    shown.iter().filter(|shown| matches!(shown.outcome, Outcome::Shown { .. })).count()
}

fn print_all(shown: &[Shown], json: bool) {
    for shown in shown {
        if json {
            println!("{}", serde_json::to_string(shown).unwrap_or_default());
        } else {
            print!("{}", render(shown));
        }
    }
}

fn render(shown: &Shown) -> String {
    let head = |word: &str| format!("{:>4}  {:<20} {word}\n", shown.factor, shown.title);
    match &shown.outcome {
        Outcome::Shown { evidence } => {
            let lines: String = evidence.iter().map(|line| format!("        {line}\n")).collect();
            head("shown") + &lines
        }
        Outcome::NotYet { missing } => head("not yet") + &format!("        {missing}\n"),
        Outcome::Failed { reason } => head("FAILED") + &format!("        {reason}\n"),
    }
}
