//! What every shim is a clone of: this program, executed anew with nothing in its memory, waiting for orders. A clone costs a tenth
//! of an execution, and shares with its siblings the pages that an execution would have written anew.
//!
//! The template belongs to the launcher: root, single-threaded, it hears the launcher alone, and ends with it. It reads no orders
//! itself and keeps none: they are read by the clone that they are for, and wiped here.

use super::clone::clone_sibling;
use super::orders::Given;
use crate::message::{self, MessageError};
use crate::protocol::MAX_MESSAGE_BYTES;
use rustix::net::{SocketType, sockopt};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The word that makes this binary the template: its only argument.
pub const SHIM_WORD: &str = "shim";
/// Where the template finds its end of the launcher's socket.
const SOCKET_FD: RawFd = 3;

/// The answer to one message of orders.
#[derive(Debug, Serialize, Deserialize)]
pub enum Born {
    Shim { pid: u32 },
    Failed { why: String },
}

/// Takes the socket that the launcher left at its place; `None` if this program was started by somebody else.
pub fn take_socket() -> Option<OwnedFd> {
    // SAFETY: a query on a number; nothing is owned yet.
    let kind = sockopt::socket_type(unsafe { BorrowedFd::borrow_raw(SOCKET_FD) });
    if kind != Ok(SocketType::SEQPACKET) {
        return None;
    }
    // SAFETY: the descriptor is open, and this process has just started: nobody else in it owns the number.
    let socket = unsafe { OwnedFd::from_raw_fd(SOCKET_FD) };
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(socket)
}

/// Clones a shim for each message, until the launcher is gone. `hold` is the life of a shim.
pub fn serve(socket: OwnedFd, hold: fn(Given)) {
    let mut bytes = vec![0; MAX_MESSAGE_BYTES];
    loop {
        let (count, descriptors) = match message::receive_bytes(socket.as_fd(), &mut bytes) {
            Ok(received) => received,
            Err(MessageError::Closed | MessageError::Socket(_)) => return,
            Err(MessageError::TooLarge | MessageError::Json(_) | MessageError::TimedOut) => continue,
        };
        let born = bear(&socket, &bytes[..count], descriptors, hold);
        // What one app is told must not lie in the memory of the next one's shim.
        bytes[..count].fill(0);
        let _ = message::send(socket.as_fd(), &born, &[]);
    }
}

fn bear(socket: &OwnedFd, bytes: &[u8], descriptors: Vec<OwnedFd>, hold: fn(Given)) -> Born {
    let mut given = Some(descriptors);
    let cloned = clone_sibling(|| live(socket, bytes, given.take().unwrap_or_default(), hold));
    match cloned {
        Ok(pid) => Born::Shim { pid: pid.as_raw_nonzero().get().unsigned_abs() },
        Err(error) => Born::Failed { why: error.to_string() },
    }
}

/// In the clone.
fn live(socket: &OwnedFd, bytes: &[u8], descriptors: Vec<OwnedFd>, hold: fn(Given)) -> ! {
    use std::os::fd::AsRawFd;
    // SAFETY: the template's own end: the owner of the number is in the template, and its copy here is never used again.
    unsafe { libc::close(socket.as_raw_fd()) };
    let _ = rustix::process::setsid();
    let outcome = std::panic::catch_unwind(|| match Given::read(bytes, descriptors) {
        Ok(given) => hold(given),
        Err(error) => super::report(&format!("shim: {}", domain::cause::chain(&error))),
    });
    crate::inside::exit(if outcome.is_ok() { 0 } else { super::EXIT_FAILED })
}
