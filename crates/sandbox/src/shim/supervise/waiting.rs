//! What the shim's loop waits for.

use super::{Hearing, Life, Source, Supervisor};
use crate::system::{boot_now, signal_descriptor};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// The loop turns at least this often.
const LONGEST_WAIT_MILLIS: u64 = 60_000;

impl Supervisor<'_> {
    /// Blocks until something happens or is due.
    pub(super) fn wait(&self) -> Vec<Source> {
        let mut sources = vec![Source::Init];
        let mut fds = vec![watch(&self.init.pidfd)];
        if self.hearing == Hearing::On {
            sources.push(Source::Link);
            fds.push(watch(&self.link));
        }
        for (index, output) in self.outputs.iter().enumerate() {
            if let Some(pipe) = output.pipe() {
                sources.push(Source::Output(index));
                fds.push(watch(pipe));
            }
        }
        for socket in self.control.sockets() {
            sources.push(Source::Control);
            fds.push(watch(socket));
        }
        if let Life::Starting(probe) = &self.life
            && let Some(socket) = probe.socket()
        {
            sources.push(Source::Probe);
            fds.push(PollFd::new(socket, PollFlags::OUT));
        }
        for (place, socket, flags) in self.health.sockets() {
            sources.push(Source::Health(place));
            fds.push(PollFd::new(socket, flags));
        }
        if let Some(signals) = &self.signals {
            sources.push(Source::Signals);
            fds.push(watch(signals));
        }
        let _ = rustix::event::poll(&mut fds, Some(&self.timeout()));
        let mut happened: Vec<Source> = sources
            .into_iter()
            .zip(&fds)
            .filter(|(_, fd)| !fd.revents().is_empty())
            .map(|(source, _)| source)
            .collect();
        happened.dedup();
        happened
    }

    fn timeout(&self) -> Timespec {
        let probe = match &self.life {
            Life::Starting(probe) => Some(probe.due_at()),
            Life::Preparing | Life::Confirming(_) | Life::Checking | Life::Up => None,
        };
        let due = [
            probe,
            self.health.due_at(),
            self.stop.due_at(),
            self.time_limit_at,
            self.meter.due_at(),
            self.facts.due_at(),
            self.journal.due_at(),
        ];
        let now = boot_now();
        let wait = due.into_iter().flatten().map(|at| at.millis_since(now)).min();
        let millis = wait.unwrap_or(LONGEST_WAIT_MILLIS).min(LONGEST_WAIT_MILLIS);
        Timespec::try_from(Duration::from_millis(millis)).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
    }
}

pub(super) fn watch<F: AsFd>(descriptor: &F) -> PollFd<'_> {
    PollFd::new(descriptor, PollFlags::IN)
}

/// A shim that is told to end by the machine's shutdown stops its app as anybody would.
pub(super) fn watch_signals() -> std::io::Result<OwnedFd> {
    signal_descriptor(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP])
}
