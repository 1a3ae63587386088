//! The server's side of the launcher's socket: blocking, one request at a time. Callers on an async runtime use a blocking
//! thread; each call ends within [`CALL_TIMEOUT`].

use crate::environment::SealedEnvironment;
use crate::format::Format;
use crate::message::{self, MessageError};
use crate::protocol::{
    Answer, Daemon, LauncherStatus, ListenerName, NetworkReport, Refusal, RefusalReason, Request,
    RequestMessage, ResponseMessage,
};
use crate::spec::ProcessSpec;
use domain::ids::{AppId, BuildId, ProcessId};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for the launcher's answer to one request.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a request to the launcher had no effect, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the launcher cannot be reached at {}", path.display())]
    Away { path: PathBuf, source: MessageError },
    #[error("the launcher did not answer to \"{request}\"")]
    Call { request: &'static str, source: MessageError },
    #[error("the launcher refused \"{request}\": {refusal}")]
    Refused { request: &'static str, refusal: Refusal },
    #[error("the launcher gave an answer to \"{request}\" that does not belong to it")]
    Confused { request: &'static str },
    #[error("the setting of inherited listeners is malformed: {0:?}")]
    Inherited(String),
}

impl ClientError {
    /// Why the launcher refused, if it did.
    pub const fn refusal(&self) -> Option<RefusalReason> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal.reason),
            Self::Away { .. } | Self::Call { .. } | Self::Confused { .. } | Self::Inherited(_) => None,
        }
    }

    /// Whether this connection is of no more use: connect again.
    pub const fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Call { .. } | Self::Confused { .. })
    }
}

/// A connection to the launcher.
#[derive(Debug)]
pub struct Launcher {
    socket: OwnedFd,
}

/// A listener that the launcher bound.
#[derive(Debug)]
pub struct BoundListener {
    pub name: ListenerName,
    pub address: SocketAddr,
    pub listener: TcpListener,
}

impl Launcher {
    /// Connects to `DATA/run/launcher.sock`. The first request must be [`Launcher::hello`].
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        message::connect(socket, CALL_TIMEOUT)
            .map(|socket| Self { socket })
            .map_err(|source| ClientError::Away { path: socket.to_owned(), source })
    }

    /// Says who calls. Every later server has a higher incarnation; connections of a lower one are refused from then on.
    pub fn hello(&mut self, incarnation: u64) -> Result<(), ClientError> {
        self.done("hello", Request::Hello { incarnation }, &[])
    }

    /// Starts a process and returns the pid of its shim, for display. Whether the process itself could be started, and how it
    /// fares, is told by its run folder alone.
    ///
    /// `passed` are the descriptors that [`crate::spec::Stdio::Passed`] announces; the caller keeps its copies.
    pub fn spawn(
        &mut self,
        spec: &ProcessSpec,
        environment: &SealedEnvironment,
        passed: &[BorrowedFd<'_>],
    ) -> Result<u32, ClientError> {
        let mut descriptors = vec![environment.as_fd()];
        descriptors.extend_from_slice(passed);
        match self.call("spawn", Request::Spawn { spec: spec.clone() }, &descriptors)?.0 {
            Answer::Spawned { shim_pid } => Ok(shim_pid),
            Answer::Done | Answer::Listeners { .. } | Answer::Status(_) | Answer::Network(_) => {
                Err(ClientError::Confused { request: "spawn" })
            }
        }
    }

    /// Creates an app's network namespace; does nothing if it is there already.
    pub fn create_network(&mut self, app: AppId, index: u32) -> Result<(), ClientError> {
        self.done("network create", Request::NetworkCreate { app, index }, &[])
    }

    /// Removes an app's network namespace; does nothing if there is none.
    pub fn remove_network(&mut self, app: AppId) -> Result<(), ClientError> {
        self.done("network remove", Request::NetworkRemove { app }, &[])
    }

    /// Removes the run folder and the cgroups of an ended process.
    pub fn remove_process(&mut self, process: ProcessId) -> Result<(), ClientError> {
        self.done("process remove", Request::ProcessRemove { process }, &[])
    }

    /// Has the shim of a process go on as the launcher's own program. The outcome comes over the other end of `answer`.
    pub fn renew_shim(&mut self, process: ProcessId, answer: BorrowedFd<'_>) -> Result<(), ClientError> {
        self.done("shim renew", Request::ShimRenew { process }, &[answer])
    }

    /// Removes the working folder of a build.
    pub fn remove_build(&mut self, build: BuildId) -> Result<(), ClientError> {
        self.done("build remove", Request::BuildRemove { build }, &[])
    }

    /// Removes the build cache of an app.
    pub fn remove_cache(&mut self, app: AppId) -> Result<(), ClientError> {
        self.done("cache remove", Request::CacheRemove { app }, &[])
    }

    /// Copies of the listeners of a name that the launcher bound at its start.
    pub fn listeners(&mut self, name: ListenerName) -> Result<Vec<BoundListener>, ClientError> {
        let (answer, descriptors) = self.call("listeners", Request::Listeners { name }, &[])?;
        match answer {
            Answer::Listeners { addresses } if addresses.len() == descriptors.len() => Ok(addresses
                .into_iter()
                .zip(descriptors)
                .map(|(address, fd)| BoundListener { name, address, listener: TcpListener::from(fd) })
                .collect()),
            Answer::Listeners { .. }
            | Answer::Done
            | Answer::Spawned { .. }
            | Answer::Status(_)
            | Answer::Network(_) => Err(ClientError::Confused { request: "listeners" }),
        }
    }

    pub fn start_daemon(&mut self, daemon: Daemon) -> Result<(), ClientError> {
        self.done("daemon start", Request::DaemonStart { daemon }, &[])
    }

    /// Returns when the daemon has been told to stop; [`Launcher::status`] tells when it has.
    pub fn stop_daemon(&mut self, daemon: Daemon) -> Result<(), ClientError> {
        self.done("daemon stop", Request::DaemonStop { daemon }, &[])
    }

    pub fn status(&mut self) -> Result<LauncherStatus, ClientError> {
        match self.call("status", Request::Status, &[])?.0 {
            Answer::Status(status) => Ok(status),
            Answer::Done | Answer::Spawned { .. } | Answer::Listeners { .. } | Answer::Network(_) => {
                Err(ClientError::Confused { request: "status" })
            }
        }
    }

    /// What lies between apps' networks and the outside.
    pub fn inspect_network(&mut self) -> Result<NetworkReport, ClientError> {
        match self.call("network inspect", Request::NetworkInspect, &[])?.0 {
            Answer::Network(report) => Ok(report),
            Answer::Done | Answer::Spawned { .. } | Answer::Listeners { .. } | Answer::Status(_) => {
                Err(ClientError::Confused { request: "network inspect" })
            }
        }
    }

    /// Ends the launcher and its daemons; app processes go on. Only root, or the ordinary user whose launcher it is, may ask.
    pub fn shutdown(&mut self) -> Result<(), ClientError> {
        self.done("shutdown", Request::Shutdown, &[])
    }

    fn done(
        &mut self,
        name: &'static str,
        request: Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), ClientError> {
        match self.call(name, request, fds)?.0 {
            Answer::Done => Ok(()),
            Answer::Spawned { .. } | Answer::Listeners { .. } | Answer::Status(_) | Answer::Network(_) => {
                Err(ClientError::Confused { request: name })
            }
        }
    }

    fn call(
        &mut self,
        name: &'static str,
        request: Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(Answer, Vec<OwnedFd>), ClientError> {
        let failed = |source| ClientError::Call { request: name, source };
        message::send(self.socket.as_fd(), &RequestMessage { format: Format, request }, descriptors)
            .map_err(failed)?;
        let (message, descriptors) =
            message::receive::<ResponseMessage>(self.socket.as_fd()).map_err(failed)?;
        match message.response {
            Ok(answer) => Ok((answer, descriptors)),
            Err(refusal) => Err(ClientError::Refused { request: name, refusal }),
        }
    }
}

impl AsFd for Launcher {
    /// The socket, for who wants to wait for the launcher's end.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The variable by which the launcher tells a daemon which of its descriptors are listeners: `http=3,http=4,api=5`.
pub const LISTENERS_VARIABLE: &str = "DOZEN_LISTENERS";

/// Takes the listeners that this daemon inherited from the launcher. `value` is what [`LISTENERS_VARIABLE`] holds.
///
/// To be called once, before anything else opens descriptors: the numbers are trusted to be this process's to own. A number that
/// is no listening socket is an error.
pub fn take_inherited_listeners(value: &str) -> Result<Vec<BoundListener>, ClientError> {
    value.split(',').filter(|part| !part.is_empty()).map(take_inherited).collect()
}

fn take_inherited(part: &str) -> Result<BoundListener, ClientError> {
    let malformed = || ClientError::Inherited(part.to_owned());
    let (name, number) = part.split_once('=').ok_or_else(malformed)?;
    let name = ListenerName::from_word(name).ok_or_else(malformed)?;
    let number: i32 = number.parse().map_err(|_| malformed())?;
    // SAFETY: borrowed for two queries only; a number that is not open makes them fail, nothing is closed.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number.max(3)) };
    if number < 3 || !rustix::net::sockopt::socket_acceptconn(borrowed).unwrap_or(false) {
        return Err(malformed());
    }
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).map_err(|_| malformed())?;
    // SAFETY: the descriptor is open, and by the contract above nobody else in this process owns it.
    let listener = TcpListener::from(unsafe { OwnedFd::from_raw_fd(number) });
    let address = listener.local_addr().map_err(|_| malformed())?;
    Ok(BoundListener { name, address, listener })
}
