//! The shim's control socket: who may ask, and what is asked. One request per connection.

use crate::format::Format;
use crate::message::{self, MessageError};
use crate::protocol::{
    ControlAnswer, ControlMessage, ControlRefusal, ControlRequest, ControlResponseMessage,
};
use rustix::net::SocketFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Connections that have not asked yet; beyond, the oldest is dropped.
const MAX_CONNECTIONS: usize = 8;

/// The listening socket and the connections that have not asked yet.
pub struct Control {
    listener: OwnedFd,
    connections: Vec<OwnedFd>,
    owner: u32,
}

/// A request that waits for its answer.
pub struct Asked {
    pub request: ControlRequest,
    /// What came beside it.
    pub descriptors: Vec<OwnedFd>,
    pub reply: Reply,
}

/// Where the answer goes.
pub struct Reply {
    connection: OwnedFd,
}

impl Control {
    pub const fn new(listener: OwnedFd, owner: u32) -> Self {
        Self::of(listener, Vec::new(), owner)
    }

    /// With connections that were accepted before.
    pub const fn of(listener: OwnedFd, connections: Vec<OwnedFd>, owner: u32) -> Self {
        Self { listener, connections, owner }
    }

    pub const fn listener(&self) -> &OwnedFd {
        &self.listener
    }

    pub fn connections(&self) -> &[OwnedFd] {
        &self.connections
    }

    /// All that is to be watched.
    pub fn sockets(&self) -> impl Iterator<Item = &OwnedFd> {
        std::iter::once(&self.listener).chain(&self.connections)
    }

    /// Something is readable: accepts who may ask, and gives what they ask for.
    pub fn turn(&mut self) -> Vec<Asked> {
        self.accept();
        let mut asked = Vec::new();
        for connection in std::mem::take(&mut self.connections) {
            match message::receive_short::<ControlMessage>(connection.as_fd()) {
                Ok((message, descriptors)) => {
                    let reply = Reply { connection };
                    asked.push(Asked { request: message.request, descriptors, reply });
                }
                Err(MessageError::TimedOut) => self.connections.push(connection),
                Err(MessageError::Json(error)) => {
                    Reply { connection }.refuse(&format!("this request is not understood: {error}"));
                }
                Err(MessageError::Closed | MessageError::TooLarge | MessageError::Socket(_)) => {}
            }
        }
        asked
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(connection) = rustix::net::accept_with(&self.listener, flags) {
            let allowed = rustix::net::sockopt::socket_peercred(&connection)
                .is_ok_and(|peer| [0, self.owner].contains(&peer.uid.as_raw()));
            if allowed {
                self.connections.push(connection);
            }
            if self.connections.len() > MAX_CONNECTIONS {
                self.connections.remove(0);
            }
        }
    }
}

impl Reply {
    pub const fn to(connection: OwnedFd) -> Self {
        Self { connection }
    }

    pub const fn connection(&self) -> &OwnedFd {
        &self.connection
    }

    /// Whose connection it is.
    pub fn peer_uid(&self) -> Option<u32> {
        rustix::net::sockopt::socket_peercred(&self.connection).ok().map(|peer| peer.uid.as_raw())
    }

    pub fn done(&self) {
        self.answer(ControlAnswer::Done, &[]);
    }

    /// Who has hung up meanwhile does not hear it.
    pub fn answer(&self, answer: ControlAnswer, descriptors: &[BorrowedFd<'_>]) {
        let response = ControlResponseMessage { format: Format, response: Ok(answer) };
        let _ = message::send(self.connection.as_fd(), &response, descriptors);
    }

    pub fn refuse(&self, reason: &str) {
        let refusal = ControlRefusal { message: reason.to_owned() };
        let response = ControlResponseMessage { format: Format, response: Err(refusal) };
        let _ = message::send(self.connection.as_fd(), &response, &[]);
    }
}
