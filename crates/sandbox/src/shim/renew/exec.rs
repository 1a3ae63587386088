//! Executing a program in place of this one: which descriptors it finds, and the one right that it keeps.

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::ffi::{CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// Lets the program that is executed next find these open.
pub fn keep_open(numbers: &[RawFd]) -> std::io::Result<()> {
    let set = |number: &RawFd| fcntl_setfd(borrow(*number), FdFlags::empty());
    let outcome = numbers.iter().try_for_each(set);
    if outcome.is_err() {
        close_on_exec(numbers);
    }
    Ok(outcome?)
}

pub fn close_on_exec(numbers: &[RawFd]) {
    for number in numbers {
        let _ = fcntl_setfd(borrow(*number), FdFlags::CLOEXEC);
    }
}

fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    // SAFETY: used for one call on descriptors that their owners keep; on a number that is not open the call fails.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Becomes the program; returns only if that fails. An empty environment: nothing of ours is told by it.
pub fn execute(program: BorrowedFd<'_>, words: &[CString]) -> std::io::Error {
    let mut argv: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    argv.push(std::ptr::null());
    let environment: [*const c_char; 1] = [std::ptr::null()];
    // SAFETY: both arrays end with a null pointer, and their strings live across the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    std::io::Error::last_os_error()
}

/// The same for who is to hold the sandbox: the right to signal the app, where this process has it, outlasts the execution.
pub fn execute_with_rights(program: BorrowedFd<'_>, words: &[CString]) -> std::io::Error {
    let held =
        rustix::thread::capabilities(None).map(|sets| sets.permitted).unwrap_or(CapabilitySet::empty());
    if !held.contains(CapabilitySet::KILL) {
        return execute(program, words);
    }
    let error = match make_inheritable() {
        Ok(()) => execute(program, words),
        Err(errno) => errno.into(),
    };
    let _ = keep_to_oneself();
    error
}

fn make_inheritable() -> rustix::io::Result<()> {
    let kill = CapabilitySet::KILL;
    let sets = CapabilitySets { effective: kill, permitted: kill, inheritable: kill };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::configure_capability_in_ambient_set(kill, true)
}

/// What is executed from here on has no right of ours.
pub fn keep_to_oneself() -> rustix::io::Result<()> {
    let held = rustix::thread::capabilities(None)?;
    rustix::thread::clear_ambient_capability_set()?;
    rustix::thread::set_capabilities(None, CapabilitySets { inheritable: CapabilitySet::empty(), ..held })
}
