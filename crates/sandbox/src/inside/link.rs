//! The socket between a shim and the init of its sandbox: the only way from the one to the other. The init is a clone of the shim and
//! stays what it is, while a shim may go on as a newer build: it then knows by a number what that init understands ([`VOCABULARY`]),
//! and says nothing else.
//!
//! What comes from the init is what an app could forge if it took the init over: the shim therefore treats it as claims about
//! that one process and nothing else.

use super::InsideError;
use crate::message::{self, MessageError};
use domain::process::{BootDiagnosis, ExitStatus, StopSignal, StopTarget};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What the init of this build understands. Grows with [`ToInit`]: whatever was added since an earlier number is not said to an init
/// of that number.
pub const VOCABULARY: u32 = 1;

/// What the shim says to the init.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToInit {
    /// The limits are in force: start the app.
    Start,
    Signal(StopSignal, StopTarget),
    /// Find out what the app listens on; this is where it should.
    Diagnose(SocketAddr),
}

/// What the init says to the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromInit {
    /// The master of the terminal comes with it.
    Terminal,
    /// The app has been executed.
    Started,
    /// It never ran.
    Failed { what: String },
    /// The app's first process has ended; the init ends right after.
    Exited(ExitStatus),
    /// `None`: it listens where it should.
    Diagnosis(Option<BootDiagnosis>),
}

/// The init's end.
#[derive(Debug)]
pub struct InitLink {
    socket: OwnedFd,
}

/// The shim's end.
#[derive(Debug)]
pub struct ShimLink {
    socket: OwnedFd,
    vocabulary: u32,
}

/// Makes both ends.
pub fn pair() -> std::io::Result<(ShimLink, InitLink)> {
    let (shim, init) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    // The shim's loop never waits here; the init has nothing else to wait for.
    rustix::fs::fcntl_setfl(&shim, rustix::fs::OFlags::NONBLOCK)?;
    Ok((ShimLink::of(shim, VOCABULARY), InitLink { socket: init }))
}

impl InitLink {
    /// A shim that is gone cannot be told anything: then this process is about to be killed as well.
    pub fn tell(&self, what: &FromInit) {
        let _ = message::send(self.socket.as_fd(), what, &[]);
    }

    pub fn hand_over(&self, what: &FromInit, descriptor: BorrowedFd<'_>) -> Result<(), MessageError> {
        message::send(self.socket.as_fd(), what, &[descriptor])
    }

    /// Blocks until the shim says something; an error when it is gone.
    pub fn receive(&self) -> Result<ToInit, MessageError> {
        message::receive_short(self.socket.as_fd()).map(|(what, _)| what)
    }

    pub fn wait_for_start(&self) -> Result<(), InsideError> {
        match self.receive().map_err(InsideError::at("hear from the shim"))? {
            ToInit::Start => Ok(()),
            ToInit::Signal(..) | ToInit::Diagnose(_) => {
                Err(InsideError::new("start", "the shim asked for something else first"))
            }
        }
    }
}

impl ShimLink {
    /// To an init that understands so much.
    pub const fn of(socket: OwnedFd, vocabulary: u32) -> Self {
        Self { socket, vocabulary }
    }

    pub const fn vocabulary(&self) -> u32 {
        self.vocabulary
    }

    /// An init that is gone is noticed by its pidfd, not here.
    pub fn tell(&self, what: ToInit) {
        let _ = message::send(self.socket.as_fd(), &what, &[]);
    }

    /// To be called when the socket is readable.
    pub fn receive(&self) -> Result<(FromInit, Vec<OwnedFd>), MessageError> {
        message::receive_short(self.socket.as_fd())
    }
}

impl AsFd for InitLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for ShimLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::process::{StopSignal, StopTarget};

    /// A shim of a later build speaks to an init of this one, and hears it: what they say stays what it is. A word that is added raises
    /// [`VOCABULARY`], and adds its line here.
    #[test]
    fn words_in_their_first_form() {
        let endpoint = "10.215.0.13:5000".parse().unwrap();
        for (word, golden) in [
            (ToInit::Start, r#""Start""#),
            (ToInit::Signal(StopSignal::Term, StopTarget::All), r#"{"Signal":["term","all"]}"#),
            (ToInit::Signal(StopSignal::Int, StopTarget::Leader), r#"{"Signal":["int","leader"]}"#),
            (ToInit::Diagnose(endpoint), r#"{"Diagnose":"10.215.0.13:5000"}"#),
        ] {
            assert_eq!(serde_json::to_string(&word).unwrap(), golden);
            assert_eq!(serde_json::from_str::<ToInit>(golden).unwrap(), word);
        }
        for (word, golden) in [
            (FromInit::Terminal, r#""Terminal""#),
            (FromInit::Started, r#""Started""#),
            (FromInit::Failed { what: "why".to_owned() }, r#"{"Failed":{"what":"why"}}"#),
            (FromInit::Exited(ExitStatus::Code(3)), r#"{"Exited":{"code":3}}"#),
            (FromInit::Exited(ExitStatus::Signal(9)), r#"{"Exited":{"signal":9}}"#),
            (FromInit::Diagnosis(None), r#"{"Diagnosis":null}"#),
        ] {
            assert_eq!(serde_json::to_string(&word).unwrap(), golden);
            assert_eq!(serde_json::from_str::<FromInit>(golden).unwrap(), word);
        }
        assert_eq!(VOCABULARY, 1);
    }
}
