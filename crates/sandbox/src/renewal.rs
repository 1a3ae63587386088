//! The server's side of a shim's renewal: orders it by the launcher and hears the outcome from the shim.

use crate::client::{ClientError, Launcher};
use crate::message::{self, MessageError};
use crate::protocol::{ControlAnswer, ControlRefusal, ControlResponseMessage};
use domain::ids::ProcessId;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::os::fd::AsFd;
use std::time::Duration;

/// Longest wait for a shim: it tries the program first, which may take it a few seconds on a busy machine.
pub const RENEWAL_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a shim is what it was.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    #[error("could not ask for the renewal of the shim of process {process}")]
    Socket { process: ProcessId, source: std::io::Error },
    #[error(transparent)]
    Launcher(#[from] ClientError),
    /// It goes on as it was.
    #[error("the shim of process {process} refused: {refusal}")]
    Refused { process: ProcessId, refusal: ControlRefusal },
    /// So it does here; it may be asked again.
    #[error("the shim of process {process} cannot be renewed now: {why}")]
    NotNow { process: ProcessId, why: String },
    /// It has ended, or is of a build that knows no renewal.
    #[error("the shim of process {process} did not answer")]
    NoAnswer { process: ProcessId, source: MessageError },
    #[error("the shim of process {process} gave an answer that does not belong to the request")]
    Confused { process: ProcessId },
}

/// Returns once the shim runs the launcher's program.
pub fn renew(launcher: &mut Launcher, process: ProcessId) -> Result<(), RenewalError> {
    let socket = |source| RenewalError::Socket { process, source };
    let (own, its) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|errno| socket(errno.into()))?;
    message::set_timeouts(&own, RENEWAL_TIMEOUT)
        .map_err(|source| RenewalError::NoAnswer { process, source })?;
    launcher.renew_shim(process, its.as_fd())?;
    // Its end is then the shim's alone: a shim that ends without an answer is noticed.
    drop(its);
    let answered = message::receive::<ControlResponseMessage>(own.as_fd());
    match answered.map_err(|source| RenewalError::NoAnswer { process, source })?.0.response {
        Ok(ControlAnswer::Done) => Ok(()),
        Ok(ControlAnswer::NotNow { why }) => Err(RenewalError::NotNow { process, why }),
        Ok(_) => Err(RenewalError::Confused { process }),
        Err(refusal) => Err(RenewalError::Refused { process, refusal }),
    }
}
