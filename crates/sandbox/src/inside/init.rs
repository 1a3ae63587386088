//! Pid 1 of the sandbox: starts the app, reaps what the app leaves behind, passes stop signals on, and ends with the app's
//! first process; the kernel then kills whatever else is left in the namespace.
//!
//! It has the app's uid and the app's filter: taking it over gains nothing. It is not dumpable, so that the app cannot try.

use super::exec::{self, Descriptors};
use super::link::{FromInit, InitLink, ToInit};
use super::{InsideError, exit, listening};
use crate::message::MessageError;
use crate::spec::Command;
use domain::process::{ExitStatus, StopSignal, StopTarget};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use std::convert::Infallible;
use std::os::fd::{FromRawFd, OwnedFd};

/// Longest reason of a failed exec that is passed on.
const MAX_REPORT_BYTES: usize = 1024;

/// Never returns but by an error before the app was started.
pub fn run(
    command: &Command,
    link: &InitLink,
    stdio: Descriptors,
    environment: OwnedFd,
) -> Result<Infallible, InsideError> {
    let children = watch_children().map_err(InsideError::at("watch for children"))?;
    let leader = start(command, stdio, environment)?;
    link.tell(&FromInit::Started);
    loop {
        wait(link, &children);
        if let Some(status) = reap(leader) {
            link.tell(&FromInit::Exited(status));
            exit(0);
        }
        answer(link, leader);
    }
}

/// Forks the app's process and waits until it has been executed.
fn start(command: &Command, stdio: Descriptors, environment: OwnedFd) -> Result<Pid, InsideError> {
    let failed = InsideError::at("make a pipe");
    let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    // SAFETY: this process has one thread; the child only runs `exec::run`, which never returns.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(InsideError::new("start a process", std::io::Error::last_os_error())),
        0 => {
            let writing = above_standard(writing);
            exec::run(&command.argv, &stdio, environment, writing)
        }
        pid => pid,
    };
    // Only the app holds these from here on: their other ends see an end of file when the app closes them.
    drop((stdio, environment, writing));
    let problem = read_report(&reading);
    if !problem.is_empty() {
        return Err(InsideError::new(format!("start \"{}\"", command.shown), problem));
    }
    Pid::from_raw(pid).ok_or_else(|| InsideError::new("start a process", "fork returned no pid"))
}

fn above_standard(descriptor: OwnedFd) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(&descriptor, 10).unwrap_or(descriptor)
}

/// Empty if the exec closed the pipe: then the app runs.
fn read_report(reading: &OwnedFd) -> String {
    let mut bytes = [0; MAX_REPORT_BYTES];
    match rustix::io::retry_on_intr(|| rustix::io::read(reading, &mut bytes)) {
        Ok(count) => String::from_utf8_lossy(&bytes[..count]).into_owned(),
        Err(errno) => errno.to_string(),
    }
}

/// A descriptor that is readable when a child has changed state; the signal itself is blocked.
fn watch_children() -> std::io::Result<OwnedFd> {
    // SAFETY: the set is a local that is filled in before it is read; the new descriptor belongs to nobody else.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let descriptor = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 {
            Err(std::io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(descriptor))
        }
    }
}

fn wait(link: &InitLink, children: &OwnedFd) {
    let mut fds = [PollFd::new(link, PollFlags::IN), PollFd::new(children, PollFlags::IN)];
    let _ = rustix::event::poll(&mut fds, None);
    // Its content does not matter: `reap` asks for every child.
    let mut discarded = [0; 1024];
    let _ = rustix::io::read(children, &mut discarded);
}

/// Reaps all that have ended; the status of the app's first process if it is among them.
fn reap(leader: Pid) -> Option<ExitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == leader {
            found = exit_status(status);
        }
    }
    found
}

fn exit_status(status: WaitStatus) -> Option<ExitStatus> {
    let code = status.exit_status().and_then(|code| u8::try_from(code).ok()).map(ExitStatus::Code);
    code.or_else(|| {
        status.terminating_signal().and_then(|number| u8::try_from(number).ok()).map(ExitStatus::Signal)
    })
}

/// Does what the shim asks for, if it asks for something. A shim that is gone ends the sandbox.
fn answer(link: &InitLink, leader: Pid) {
    let mut fds = [PollFd::new(link, PollFlags::IN)];
    let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    if !matches!(rustix::event::poll(&mut fds, Some(&zero)), Ok(1)) {
        return;
    }
    match link.receive() {
        Ok(ToInit::Signal(signal, target)) => pass_on(signal, target, leader),
        Ok(ToInit::Diagnose(wanted)) => link.tell(&FromInit::Diagnosis(listening::diagnose(wanted))),
        Ok(ToInit::Start) => {}
        // A word of a newer shim: that it goes unheard is better than the end of the app.
        Err(MessageError::Json(_) | MessageError::TooLarge) => {}
        Err(_) => exit(1),
    }
}

fn pass_on(signal: StopSignal, target: StopTarget, leader: Pid) {
    let signal = match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
    };
    let send = |signal: Signal| match target {
        // -1: every process of the namespace but this one.
        // SAFETY: plain system call on numbers.
        StopTarget::All => drop(unsafe { libc::kill(-1, signal.as_raw()) }),
        StopTarget::Leader => drop(rustix::process::kill_process(leader, signal)),
    };
    send(signal);
    // A process that was suspended could not act on it.
    send(Signal::CONT);
}
