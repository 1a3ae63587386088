//! The end of a process: what is left to read, to tell and to keep.

use super::Supervisor;
use super::waiting::watch;
use crate::protocol::{About, ControlAnswer, ControlRequest};
use crate::shim::clone::Init;
use crate::shim::control::Asked;
use crate::shim::lines;
use crate::shim::stdio::Outside;
use crate::system::boot_now;
use domain::process::{Exit, ExitStatus};
use rustix::event::Timespec;
use rustix::process::{WaitId, WaitIdOptions};
use std::os::fd::AsFd;

/// How long the ends of a held process that ended before anybody attached are kept for who attaches late.
const HELD_LINGER_SECONDS: u64 = 60;

impl Supervisor<'_> {
    /// The sandbox has ended: nothing of it runs any more.
    pub(super) fn finish(mut self) {
        self.hear();
        let killed_by = reap(&self.init);
        for output in &mut self.outputs {
            output.drain(&mut self.buffer, &mut self.journal);
        }
        let at = boot_now();
        let status = self.leader.unwrap_or(killed_by);
        let (told, out_of_memory) = self.meter.end(at, &self.usage(), status);
        told.iter().for_each(|line| self.journal.platform(line));
        let stop_requested = self.stop.is_asked() && self.failed_check.is_none();
        let exit = Exit {
            at,
            status,
            stop_requested,
            out_of_memory: out_of_memory && !stop_requested,
            failed_check: self.failed_check.take(),
        };
        self.tell_end(&exit);
        self.journal.flush();
        self.facts.exit(exit);
        self.linger();
        self.journal.close();
    }

    fn tell_end(&mut self, exit: &Exit) {
        if exit.status != ExitStatus::NotStarted {
            self.journal.platform(&lines::exited(exit.status));
        }
        if let Some(line) = lines::ended(self.before(), self.orders.spec.purpose(), self.cause) {
            self.journal.platform(&line);
        }
    }

    /// A held process may end before anybody has attached: its output still waits in the pipes.
    fn linger(&mut self) {
        let end = boot_now().plus_seconds(HELD_LINGER_SECONDS);
        while matches!(self.outside, Outside::Pipes { .. } | Outside::Terminal(_)) {
            let left = end.millis_since(boot_now());
            if left == 0 {
                return;
            }
            let mut fds: Vec<_> = self.control.sockets().map(watch).collect();
            let timeout = Timespec::try_from(std::time::Duration::from_millis(left)).ok();
            let _ = rustix::event::poll(&mut fds, timeout.as_ref());
            drop(fds);
            for Asked { request, reply, .. } in self.control.turn() {
                match request {
                    ControlRequest::Attach => self.hand_out(reply),
                    ControlRequest::Stop | ControlRequest::StopBecause(_) | ControlRequest::Kill => {
                        return reply.done();
                    }
                    ControlRequest::About => reply.answer(ControlAnswer::About(About::own()), &[]),
                    ControlRequest::Diagnose
                    | ControlRequest::Usage
                    | ControlRequest::Resize(_)
                    | ControlRequest::Renew => reply.refuse("the process has ended"),
                }
            }
        }
    }
}

/// How the init itself ended: the answer where it could not tell of the app's first process.
fn reap(init: &Init) -> ExitStatus {
    let waited = rustix::process::waitid(WaitId::PidFd(init.pidfd.as_fd()), WaitIdOptions::EXITED);
    let Ok(Some(status)) = waited else { return ExitStatus::Signal(9) };
    let number = |value: Option<i32>| value.and_then(|value| u8::try_from(value).ok());
    match (number(status.terminating_signal()), number(status.exit_status())) {
        (Some(signal), _) => ExitStatus::Signal(signal),
        // The init ends by itself only when it could not go on.
        (None, Some(_)) | (None, None) => ExitStatus::NotStarted,
    }
}
