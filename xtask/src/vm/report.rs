//! What is printed: each step with its time, and the count at the end.

use anyhow::Result;
use std::process::ExitCode;
use std::time::Instant;

pub struct Report {
    started: Instant,
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    pub fn new() -> Self {
        Self { started: Instant::now(), passed: 0, failed: Vec::new() }
    }

    /// Something that must be there before any case. It is no case itself.
    pub fn prepare<T>(&mut self, name: &str, make: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let made = make();
        let word = if made.is_ok() { "ready" } else { "FAILED" };
        println!("{name:<28} {word} {:>6.1} s", started.elapsed().as_secs_f64());
        if made.is_err() {
            self.failed.push(name.to_owned());
        }
        made
    }

    /// Runs a case; what it returns is what was seen.
    pub fn case(&mut self, name: &str, run: impl FnOnce() -> Result<Vec<String>>) -> bool {
        let started = Instant::now();
        let outcome = run();
        let seconds = started.elapsed().as_secs_f64();
        match &outcome {
            Ok(seen) => {
                self.passed += 1;
                println!("{name:<28} passed {seconds:>5.1} s");
                seen.iter().for_each(|line| println!("    {line}"));
            }
            Err(error) => {
                self.failed.push(name.to_owned());
                println!(
                    "{name:<28} FAILED {seconds:>5.1} s\n    {}",
                    format!("{error:#}").replace('\n', "\n    ")
                );
            }
        }
        outcome.is_ok()
    }

    /// `all`: cases that there are; those that were not reached, or not chosen, count as skipped.
    pub fn end(&self, all: usize) -> ExitCode {
        println!("\n{:.0} s in all", self.started.elapsed().as_secs_f64());
        self.failed.iter().for_each(|name| println!("failed: {name}"));
        let skipped = all.saturating_sub(self.passed + self.failed.len());
        println!("{} passed, {} failed, {skipped} skipped", self.passed, self.failed.len());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
