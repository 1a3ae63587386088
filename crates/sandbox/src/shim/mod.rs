//! The shim: one small process per app process. It starts the sandbox, holds the ends of its pipes, writes its log, watches its
//! readiness and its end, and stops it when asked. Everything else may die meanwhile.
//!
//! ```text
//! launcher --orders, descriptors--> template --clone--> [root] limits, network, clone of the sandbox
//!                                                       [uid dozen, CAP_KILL] one poll loop until the sandbox has ended
//! ```
//!
//! The template is the same binary as everything else, executed anew before any thread exists; the shim stays
//! single-threaded. It never reads the environment's values and never restarts its app. A log that cannot be written, a run
//! folder that has gone or a server that is away do not hurt the app: the shim goes on.

mod clone;
mod control;
mod facts;
mod health;
mod journal;
pub(crate) mod lines;
mod meter;
pub(crate) mod orders;
mod readiness;
mod renew;
mod start;
mod stdio;
mod stop;
mod streams;
mod supervise;
pub(crate) mod template;

pub use renew::{RESUME_WORD, resume};

use crate::inside;
use orders::Given;
use std::process::ExitCode;

/// What this program exits with if somebody else than the launcher starts it so.
const EXIT_USAGE: u8 = 64;
/// What a shim exits with that cannot do its duty.
const EXIT_FAILED: i32 = 70;

/// Becomes the template of all shims. Called by the binary's `main` when its first argument is `shim`, before anything else.
///
/// Its input comes over one inherited socket, from the launcher.
pub fn run() -> ExitCode {
    match template::take_socket() {
        Some(socket) => {
            template::serve(socket, hold);
            ExitCode::SUCCESS
        }
        None => {
            report("this form of the program is started by the launcher only");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// The whole life of a shim.
fn hold(given: Given) {
    let Given { orders, lock, environment, control, passed } = given;
    let started = start::start(&orders, environment, passed);
    if let Err(error) = inside::become_shim(&orders) {
        // Nothing may go on with more rights than a shim needs; the sandbox dies with this process.
        return report(&format!("shim of {}: {error}", orders.spec.process));
    }
    silence_standard_descriptors();
    supervise::supervise(&orders, &lock, started, control);
    // Held until here: whoever finds it free finds the exit record as well.
    drop(lock);
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
