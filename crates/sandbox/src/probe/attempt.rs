//! Trying something in a child that ends right after, so that nothing of it stays behind.
//!
//! The child is a bare fork: the caller may have threads, so between fork and exit it makes system calls and nothing else; it
//! allocates nothing and takes no lock.

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// What the child may do: system calls on what it was made with. A plain function, so that it captures nothing by accident.
pub(super) type Steps = fn(u32) -> Result<(), Errno>;

/// The child's exit status when it went wrong in a way that has no error number.
const UNEXPECTED: Errno = Errno::EPROTO;
/// How often the wait for the child is taken up again after a signal.
const MAX_INTERRUPTS: u32 = 100;

/// Runs the steps in a child of their own, and tells the error that stopped them.
pub(super) fn in_a_child(argument: u32, steps: Steps) -> Result<(), Errno> {
    // SAFETY: the child only runs `steps`, which makes system calls and nothing else, and then `_exit`; it does not return from here.
    match unsafe { fork() }? {
        ForkResult::Child => exit_with(steps(argument)),
        ForkResult::Parent { child } => outcome(child),
    }
}

/// Waits for the child's end. It makes a few system calls that do not block.
fn outcome(child: Pid) -> Result<(), Errno> {
    let mut interrupts = 0;
    loop {
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
            Ok(WaitStatus::Exited(_, code)) => return Err(Errno::from_raw(code)),
            Ok(_) => return Err(UNEXPECTED),
            Err(Errno::EINTR) if interrupts < MAX_INTERRUPTS => interrupts += 1,
            Err(errno) => return Err(errno),
        }
    }
}

fn exit_with(result: Result<(), Errno>) -> ! {
    let code = match result {
        Ok(()) => 0,
        Err(errno) => errno as i32,
    };
    // SAFETY: `_exit` ends the process at once, without running anything of the parent's.
    unsafe { nix::libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_childs_error_is_told() {
        assert_eq!(in_a_child(0, |_| Ok(())), Ok(()));
        assert_eq!(in_a_child(0, |_| Err(Errno::EPERM)), Err(Errno::EPERM));
        assert_eq!(
            in_a_child(Errno::ENOSPC as u32, |code| Err(Errno::from_raw(code.cast_signed()))),
            Err(Errno::ENOSPC)
        );
        assert_eq!(in_a_child(0, |_| in_a_child(0, |_| Err(Errno::ENOSYS))), Err(Errno::ENOSYS));
    }

    #[test]
    fn a_child_that_is_killed_is_no_success() {
        let killed = |_| {
            nix::sys::signal::raise(nix::sys::signal::SIGKILL)?;
            Ok(())
        };
        assert_eq!(in_a_child(0, killed), Err(UNEXPECTED));
    }
}
