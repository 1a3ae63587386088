//! Before this process gives itself up: a child executes the other program, which takes the very state over that it would find, does
//! nothing with it, and says whether it could. The child has copies of every descriptor, so it dies with this process: a lock that it
//! holds would show a dead shim as alive.

use super::exec;
use super::resume::EXIT_COULD;
use crate::shim::clone::{Init, clone_child};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest wait for the answer, during which the app's output waits in its pipes and a stop in its socket.
const ANSWER_SECONDS: i64 = 5;
/// As much of a reason is read.
const MAX_REASON_BYTES: usize = 1024;
/// What the child exits with if there was nothing to execute.
const EXIT_NOT_EXECUTED: i32 = 127;

/// `Ok` if the program could take over; else its reason.
pub fn make(program: BorrowedFd<'_>, words: &[CString]) -> Result<(), String> {
    let in_words = |error: std::io::Error| format!("it could not be tried: {error}");
    let (reading, writing) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| in_words(errno.into()))?;
    let parent = rustix::process::getpid();
    let child = clone_child(|| be_the_trial(parent, program, words, &writing)).map_err(in_words)?;
    drop(writing);
    let answered = wait(&child);
    if !answered {
        let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
    }
    let code = reap(&child);
    match (answered, code) {
        (true, Some(EXIT_COULD)) => Ok(()),
        (true, _) => Err(read_reason(&reading).unwrap_or_else(|| match code {
            Some(code) => format!("it does not know how (it ended with {code})"),
            None => "it ended by a signal".to_owned(),
        })),
        (false, _) => Err(format!("it did not answer within {ANSWER_SECONDS} s")),
    }
}

fn be_the_trial(parent: Pid, program: BorrowedFd<'_>, words: &[CString], writing: &OwnedFd) {
    let tied = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // A parent that died before that is not told of.
    if tied.is_err() || rustix::process::getppid() != Some(parent) {
        crate::inside::exit(EXIT_NOT_EXECUTED);
    }
    let _ = rustix::stdio::dup2_stdout(writing);
    let error = exec::execute(program, words);
    let _ = rustix::io::write(writing, format!("it cannot be executed: {error}").as_bytes());
    crate::inside::exit(EXIT_NOT_EXECUTED);
}

fn wait(child: &Init) -> bool {
    let mut fds = [PollFd::new(&child.pidfd, PollFlags::IN)];
    let timeout = Timespec { tv_sec: ANSWER_SECONDS, tv_nsec: 0 };
    matches!(rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&timeout))), Ok(1))
}

/// The code that it ended with, unless a signal ended it.
fn reap(child: &Init) -> Option<i32> {
    let waited = rustix::process::waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED);
    waited.ok().flatten().and_then(|status| status.exit_status())
}

fn read_reason(reading: &OwnedFd) -> Option<String> {
    let mut bytes = [0; MAX_REASON_BYTES];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(reading, &mut bytes)).ok()?;
    let reason = String::from_utf8_lossy(&bytes[..count]).trim().to_owned();
    (!reason.is_empty()).then_some(reason)
}
