//! Has a shim go on as this very program. The launcher alone says what shims execute: the server names the process and nothing else.
//!
//! It sends and does not wait: the shim answers the server, over a descriptor that the server brought. A connection of root's is given
//! to nobody, and none is made to what a link leads to.

use super::State;
use super::error::{busy, failed, invalid, not_found};
use crate::format::Format;
use crate::message::{self, MessageError};
use crate::protocol::{Answer, ControlMessage, ControlRequest, Refusal};
use crate::run_folder::CONTROL_SOCKET;
use domain::ids::ProcessId;
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A shim that does not accept has as many connections waiting as it may have: that is not waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(100);

pub fn shim(state: &State, process: ProcessId, descriptors: Vec<OwnedFd>) -> Result<Answer, Refusal> {
    let [answer] = <[OwnedFd; 1]>::try_from(descriptors)
        .map_err(|_| invalid("a renewal comes with one descriptor, for the shim's answer"))?;
    if !state.live.is_alive(process) {
        return Err(not_found(format!("no shim holds process {process}")));
    }
    let what = format!("cannot renew the shim of process {process}");
    let program = rustix::fs::open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed(&what, &errno))?;
    let path = state.settings.data.process(process).join(CONTROL_SOCKET);
    let socket = message::connect_itself(&path, CONNECT_TIMEOUT).map_err(|error| match error {
        MessageError::TimedOut => busy(format!("the shim of process {process} accepts no connection")),
        other => failed(&what, &other),
    })?;
    let message = ControlMessage { format: Format, request: ControlRequest::Renew };
    message::send(socket.as_fd(), &message, &[program.as_fd(), answer.as_fd()])
        .map_err(|error| failed(&what, &error))?;
    Ok(Answer::Done)
}
