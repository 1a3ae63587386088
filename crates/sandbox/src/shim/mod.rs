//! The shim: one small process per app process. It starts the sandbox, holds the ends of its pipes, writes its log, watches its
//! readiness and its end, and stops it when asked. Everything else may die meanwhile.
//!
//! ```text
//! launcher --exec, descriptors--> [root] orders, limits, network, clone of the sandbox
//!                                 [uid dozen, CAP_KILL] one poll loop until the sandbox has ended --> `exit` in the run folder
//! ```
//!
//! It is the same binary as everything else, executed anew before any thread exists, and stays single-threaded. It never reads
//! the environment's values and never restarts its app. A log that cannot be written, a run folder that has gone or a server
//! that is away do not hurt the app: the shim goes on.

mod clone;
mod control;
mod facts;
mod journal;
pub(crate) mod lines;
pub(crate) mod orders;
mod readiness;
mod start;
mod stdio;
mod stop;
mod streams;
mod supervise;

use crate::inside;
use orders::Inherited;
pub(crate) use start::chain;
use std::process::ExitCode;

/// What this process exits with when it was started by hand or cannot do its duty.
const EXIT_USAGE: u8 = 64;
const EXIT_FAILED: u8 = 70;

/// The whole life of a shim. Called by the binary's `main` when its first argument is `shim`, before anything else.
///
/// Its input comes by inherited descriptors only, from the launcher.
pub fn run() -> ExitCode {
    match Inherited::take() {
        Ok(inherited) => hold(inherited),
        Err(problem) => {
            report(&format!("shim: {problem}"));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn hold(inherited: Inherited) -> ExitCode {
    let Inherited { orders, lock, environment, control, passed } = inherited;
    let started = start::start(&orders, environment, passed);
    if let Err(error) = inside::become_shim(orders.shim) {
        // Nothing may go on with root's rights; the sandbox dies with this process.
        report(&format!("shim of {}: {error}", orders.spec.process));
        return ExitCode::from(EXIT_FAILED);
    }
    silence_standard_descriptors();
    supervise::supervise(&orders, started, control);
    // Held until here: whoever finds it free finds the exit record as well.
    drop(lock);
    ExitCode::SUCCESS
}

/// One line to the launcher's log. Nobody may be reading any more.
fn report(line: &str) {
    // SAFETY: descriptor 2 is borrowed for one write; if it is closed, the write fails.
    let stderr = unsafe { std::os::fd::BorrowedFd::borrow_raw(2) };
    let _ = rustix::io::write(stderr, format!("{line}\n").as_bytes());
}

/// Lets go of the launcher's standard error, so that its reader sees the launcher's end and not that of the last app.
fn silence_standard_descriptors() {
    use rustix::fs::{Mode, OFlags};
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
