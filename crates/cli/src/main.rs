//! The binary `dozen`: the command line and, with feature `server`, the daemons.
//!
//! The first argument decides, before anything else is done: a shim must become one before a thread, a runtime or an allocation
//! that could stay exists. Whatever is not a daemon's word is a command of the client.

mod commands;
mod credentials;
#[cfg(feature = "server")]
mod daemons;
mod environment;
mod exit;
mod failure;
mod git;
mod output;
mod pack;
mod prompt;
mod session;
mod suggest;
mod terminal;
mod text;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "server")]
    if let Some(code) = daemons::dispatch() {
        return code;
    }
    commands::run()
}
