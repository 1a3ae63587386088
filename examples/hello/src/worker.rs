//! Work in the background: a round every few seconds, each small, so that ending is never far away.

use crate::config::Config;
use crate::log;
use crate::stop::Stop;
use std::process::ExitCode;

pub fn run(config: &Config) -> ExitCode {
    let stop = match Stop::watch(|| {}) {
        Ok(stop) => stop,
        Err(error) => {
            log::event("failed", &[("what", "watching for signals"), ("error", &error.to_string())]);
            return ExitCode::FAILURE;
        }
    };
    log::event("worker-started", &[("process", &config.process), ("release", &config.release)]);
    let mut round: u64 = 0;
    loop {
        round += 1;
        log::event("round", &[("number", &round.to_string()), ("greeting", &config.greeting)]);
        if stop.within(config.worker_pause) {
            log::event("worker-stopped", &[("rounds", &round.to_string())]);
            return ExitCode::SUCCESS;
        }
    }
}
