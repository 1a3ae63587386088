//! What is asked over the control socket.

use super::{Life, Supervisor};
use crate::inside::link::ToInit;
use crate::protocol::{About, ControlAnswer, ControlRequest};
use crate::shim::control::{Asked, Reply};
use crate::shim::stdio::Outside;
use crate::spec::WindowSize;
use domain::plan::StopReason;
use domain::process::BootDiagnosis;
use std::os::fd::AsFd;

/// Most requests that wait for the sandbox at once: each holds a connection open.
const MAX_WAITING: usize = 16;

impl Supervisor<'_> {
    pub(super) fn obey(&mut self, asked: Asked) {
        let Asked { request, descriptors, reply } = asked;
        match request {
            ControlRequest::Stop => {
                self.ask_to_stop(StopReason::NotWanted);
                reply.done();
            }
            ControlRequest::StopBecause(why) => {
                self.ask_to_stop(why);
                reply.done();
            }
            ControlRequest::Kill => {
                let effect = self.stop.kill();
                self.carry_out(effect);
                reply.done();
            }
            ControlRequest::Diagnose => self.ask_for_diagnosis(reply),
            ControlRequest::Attach => self.hand_out(reply),
            ControlRequest::Usage => reply.answer(ControlAnswer::Usage(Box::new(self.usage())), &[]),
            ControlRequest::Resize(size) => self.resize(size, &reply),
            ControlRequest::About => reply.answer(ControlAnswer::About(About::own()), &[]),
            ControlRequest::Renew => self.order_renewal(&reply, descriptors),
        }
    }

    fn ask_for_diagnosis(&mut self, reply: Reply) {
        match (&self.life, self.orders.spec.endpoint) {
            (_, None) => reply.refuse("this process was told to listen nowhere"),
            (Life::Preparing, _) => reply.answer(ControlAnswer::Diagnosis(BootDiagnosis::NothingBound), &[]),
            (Life::Starting(_) | Life::Confirming(_) | Life::Checking | Life::Up, Some(endpoint)) => {
                self.link.tell(ToInit::Diagnose(endpoint.0));
                wait(&mut self.awaiting_diagnosis, reply);
            }
        }
    }

    pub(super) fn answer_diagnosis(&mut self, diagnosis: Option<&BootDiagnosis>) {
        for reply in std::mem::take(&mut self.awaiting_diagnosis) {
            match diagnosis {
                Some(diagnosis) => reply.answer(ControlAnswer::Diagnosis(diagnosis.clone()), &[]),
                None => reply.refuse("the process listens where it was told to"),
            }
        }
    }

    /// Gives the outer ends away and keeps none.
    pub(super) fn hand_out(&mut self, reply: Reply) {
        match std::mem::replace(&mut self.outside, Outside::HandedOut) {
            Outside::Pipes { input, output, error } => {
                reply.answer(ControlAnswer::AttachedPipes, &[input.as_fd(), output.as_fd(), error.as_fd()]);
            }
            Outside::Terminal(master) => reply.answer(ControlAnswer::AttachedTerminal, &[master.as_fd()]),
            Outside::TerminalToCome => {
                self.outside = Outside::TerminalToCome;
                wait(&mut self.awaiting_terminal, reply);
            }
            Outside::HandedOut => {
                reply.refuse("there is nothing to attach to, or somebody has attached before")
            }
            other @ (Outside::Journal { .. } | Outside::Passed { .. }) => {
                self.outside = other;
                reply.refuse("this process was not started to be attached to");
            }
        }
    }

    fn resize(&self, size: WindowSize, reply: &Reply) {
        let Outside::Terminal(master) = &self.outside else {
            return reply.refuse("no terminal is held here; who has attached sets its size");
        };
        match crate::control::set_terminal_size(master.as_fd(), size) {
            Ok(()) => reply.done(),
            Err(error) => reply.refuse(&format!("could not set the terminal's size: {error}")),
        }
    }
}

/// A sandbox that does not answer must not use up the shim's descriptors.
fn wait(waiting: &mut Vec<Reply>, reply: Reply) {
    if waiting.len() < MAX_WAITING {
        waiting.push(reply);
    } else {
        reply.refuse("too many wait for this process already");
    }
}
