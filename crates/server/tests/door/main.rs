//! The front door, black box: a server on port 0 over the real engine, TLS clients, a real git.
//!
//! Git starts this very program as its hook, which is why it has a `main` of its own.

#![allow(clippy::unwrap_used, reason = "a test without the harness that clippy knows by")]

mod attach;
mod backend;
mod client;
mod contract;
mod coverage;
mod described;
mod git;
mod heads;
mod hostile;
mod http;
mod limits;
mod logs;
mod openapi;
mod pushes;
mod roles;
mod schema;
mod scopes;
mod sources;
mod ssh;
mod streams;
mod world;

use libtest_mimic::{Arguments, Trial};
use server::git::{HookKind, hook};
use std::process::ExitCode;

fn main() -> ExitCode {
    let program = std::env::args_os().next().unwrap_or_default();
    if let Some(kind) = HookKind::from_program(&program) {
        return hook::run(kind, |name| std::env::var_os(name));
    }
    let mut arguments = Arguments::from_args();
    // Each test has a server and git children of its own.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let tables = [
        http::CASES,
        limits::CASES,
        pushes::CASES,
        sources::CASES,
        ssh::CASES,
        scopes::CASES,
        heads::CASES,
        hostile::CASES,
        streams::CASES,
        attach::CASES,
        contract::CASES,
        coverage::CASES,
        described::CASES,
        openapi::CASES,
        roles::CASES,
    ];
    let trials = tables.into_iter().flatten().map(|(name, case)| {
        Trial::test(*name, move || {
            case();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A test by name.
type Case = (&'static str, fn());
