//! The words that start a daemon or a helper of one. They are no commands for people and appear in no help text.
//!
//! `shim` comes first: it is looked for before the arguments are even collected.

use std::ffi::OsStr;
use std::process::ExitCode;

/// What a word starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Daemon {
    Shim,
    Launcher,
    Router,
    Server,
    GitHook,
    BuildStep,
    StaticServer,
}

fn parse_word(word: &OsStr) -> Option<Daemon> {
    match word.to_str()? {
        "shim" => Some(Daemon::Shim),
        "launcher" => Some(Daemon::Launcher),
        "router" => Some(Daemon::Router),
        "server" => Some(Daemon::Server),
        "git-hook" => Some(Daemon::GitHook),
        "build-step" => Some(Daemon::BuildStep),
        "static-server" => Some(Daemon::StaticServer),
        _ => None,
    }
}

/// Runs the daemon that the first argument names; `None` if it names none.
pub fn dispatch() -> Option<ExitCode> {
    let word = std::env::args_os().nth(1)?;
    let daemon = parse_word(&word)?;
    Some(start(daemon))
}

fn start(daemon: Daemon) -> ExitCode {
    match daemon {
        Daemon::Shim
        | Daemon::Launcher
        | Daemon::Router
        | Daemon::Server
        | Daemon::GitHook
        | Daemon::BuildStep
        | Daemon::StaticServer => {
            eprintln!("error: this build of dozen holds no {daemon:?}");
            crate::exit::Code::Failed.into()
        }
    }
}
