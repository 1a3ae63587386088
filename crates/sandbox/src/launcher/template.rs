//! The launcher's end of the template's socket ([`crate::shim`]): sends orders, hears of the shim that was made of them, and
//! starts the template anew if it has died.

use super::child;
use super::error::failed;
use crate::cgroup::Cgroups;
use crate::message::{self, MessageError};
use crate::protocol::Refusal;
use crate::shim::orders::Orders;
use crate::shim::template::{Born, SHIM_WORD};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Longest wait for the template: it does nothing but clone itself.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The template, as long as it answers.
pub struct Template {
    socket: Option<OwnedFd>,
    cgroups: Cgroups,
}

impl Template {
    /// Not running until it is needed.
    pub const fn new(cgroups: Cgroups) -> Self {
        Self { socket: None, cgroups }
    }

    /// The pid of a new shim. After an error it is not known whether there is one: its lock tells.
    pub fn make_shim(&mut self, orders: &Orders, descriptors: &[BorrowedFd<'_>]) -> Result<u32, Refusal> {
        let what = format!("cannot start the shim of process {}", orders.spec.process);
        self.send(orders, descriptors).map_err(|error| failed(&what, &error))?;
        let Some(socket) = &self.socket else { return Err(failed(&what, &MessageError::Closed)) };
        match message::receive_short::<Born>(socket.as_fd()) {
            Ok((Born::Shim { pid }, _)) => Ok(pid),
            Ok((Born::Failed { why }, _)) => Err(failed(&what, &std::io::Error::other(why))),
            Err(error) => {
                // A late answer must not be taken for that to the next request.
                self.socket = None;
                Err(failed(&what, &error))
            }
        }
    }

    /// To the template that runs, or else to a new one: one that has died has not received it.
    fn send(&mut self, orders: &Orders, descriptors: &[BorrowedFd<'_>]) -> Result<(), MessageError> {
        if let Some(socket) = &self.socket {
            match message::send(socket.as_fd(), orders, descriptors) {
                Err(MessageError::Closed) => super::say("the template of shims has died; starting it again"),
                other => return other,
            }
        }
        let socket = self.socket.insert(start(&self.cgroups)?);
        message::send(socket.as_fd(), orders, descriptors)
    }
}

fn start(cgroups: &Cgroups) -> Result<OwnedFd, MessageError> {
    let (own, its) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    message::set_timeouts(&own, ANSWER_TIMEOUT)?;
    let pid = child::spawn_self(SHIM_WORD, &[its.as_fd()]).map_err(MessageError::Socket)?;
    // Before the first order is sent: a clone lives where its template does. Elsewhere shims work as well.
    if let Err(error) = cgroups.add_template(pid) {
        super::say(&format!("shims stay in the launcher's own group: {}", domain::cause::chain(&error)));
    }
    Ok(own)
}
