//! The server's side of a shim's control socket. Each call opens its own connection, asks one thing and ends within
//! [`CONTROL_TIMEOUT`].

use crate::format::Format;
use crate::layout::DataFolder;
use crate::message::{self, MessageError};
use crate::protocol::{
    About, ControlAnswer, ControlMessage, ControlRefusal, ControlRequest, ControlResponseMessage,
};
use crate::spec::WindowSize;
use domain::ids::ProcessId;
use domain::plan::StopReason;
use domain::process::BootDiagnosis;
use domain::usage::Usage;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Longest wait for a shim's answer.
pub const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a shim did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It has ended or its run folder is gone: for a stop that is success.
    #[error("no shim holds process {process}")]
    Gone { process: ProcessId, source: MessageError },
    #[error("the shim of process {process} did not answer")]
    Call { process: ProcessId, source: MessageError },
    #[error("the shim of process {process} refused: {refusal}")]
    Refused { process: ProcessId, refusal: ControlRefusal },
    #[error("the shim of process {process} gave an answer that does not belong to the request")]
    Confused { process: ProcessId },
}

/// The outer ends of a held process's standard descriptors. Dropping them is hanging up.
#[derive(Debug)]
pub enum Attached {
    Pipes {
        /// Write end.
        input: OwnedFd,
        /// Read ends.
        output: OwnedFd,
        error: OwnedFd,
    },
    /// The master side; input and output at once.
    Terminal(OwnedFd),
}

/// Asks for the end of a process by its stop policy. Returns at once; the run folder tells when it has ended.
pub fn stop(data: &DataFolder, process: ProcessId) -> Result<(), ControlError> {
    done(data, process, ControlRequest::Stop)
}

/// The same, told to the app's log with its reason. A shim that does not know reasons is asked without.
pub fn stop_because(data: &DataFolder, process: ProcessId, why: StopReason) -> Result<(), ControlError> {
    match done(data, process, ControlRequest::StopBecause(why)) {
        Err(ControlError::Refused { .. }) => stop(data, process),
        other => other,
    }
}

/// Ends a process by SIGKILL.
pub fn kill(data: &DataFolder, process: ProcessId) -> Result<(), ControlError> {
    done(data, process, ControlRequest::Kill)
}

/// Finds out what a process listens on.
pub fn diagnose(data: &DataFolder, process: ProcessId) -> Result<BootDiagnosis, ControlError> {
    match call(data, process, ControlRequest::Diagnose)?.0 {
        ControlAnswer::Diagnosis(diagnosis) => Ok(diagnosis),
        ControlAnswer::Done
        | ControlAnswer::About(_)
        | ControlAnswer::NotNow { .. }
        | ControlAnswer::Usage(_)
        | ControlAnswer::AttachedPipes
        | ControlAnswer::AttachedTerminal => Err(ControlError::Confused { process }),
    }
}

/// What a process uses now. A shim of an older version refuses.
pub fn usage(data: &DataFolder, process: ProcessId) -> Result<Usage, ControlError> {
    match call(data, process, ControlRequest::Usage)?.0 {
        ControlAnswer::Usage(usage) => Ok(*usage),
        ControlAnswer::Done
        | ControlAnswer::About(_)
        | ControlAnswer::NotNow { .. }
        | ControlAnswer::Diagnosis(_)
        | ControlAnswer::AttachedPipes
        | ControlAnswer::AttachedTerminal => Err(ControlError::Confused { process }),
    }
}

/// Which build a shim runs. One that cannot be renewed refuses.
pub fn about(data: &DataFolder, process: ProcessId) -> Result<About, ControlError> {
    match call(data, process, ControlRequest::About)?.0 {
        ControlAnswer::About(about) => Ok(about),
        ControlAnswer::Done
        | ControlAnswer::NotNow { .. }
        | ControlAnswer::Usage(_)
        | ControlAnswer::Diagnosis(_)
        | ControlAnswer::AttachedPipes
        | ControlAnswer::AttachedTerminal => Err(ControlError::Confused { process }),
    }
}

/// Takes the outer ends of a held process. Only the first call gets them.
pub fn attach(data: &DataFolder, process: ProcessId) -> Result<Attached, ControlError> {
    let (answer, descriptors) = call(data, process, ControlRequest::Attach)?;
    let confused = ControlError::Confused { process };
    match answer {
        ControlAnswer::AttachedPipes => {
            let [input, output, error] = <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| confused)?;
            Ok(Attached::Pipes { input, output, error })
        }
        ControlAnswer::AttachedTerminal => {
            let [master] = <[OwnedFd; 1]>::try_from(descriptors).map_err(|_| confused)?;
            Ok(Attached::Terminal(master))
        }
        ControlAnswer::Done
        | ControlAnswer::About(_)
        | ControlAnswer::NotNow { .. }
        | ControlAnswer::Diagnosis(_)
        | ControlAnswer::Usage(_) => Err(confused),
    }
}

/// Changes the size of a held terminal that nobody has attached to; afterwards see [`set_terminal_size`].
pub fn resize(data: &DataFolder, process: ProcessId, size: WindowSize) -> Result<(), ControlError> {
    done(data, process, ControlRequest::Resize(size))
}

/// Changes the size of a terminal by its master.
pub fn set_terminal_size(master: BorrowedFd<'_>, size: WindowSize) -> std::io::Result<()> {
    let size =
        rustix::termios::Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(rustix::termios::tcsetwinsize(master, size)?)
}

fn done(data: &DataFolder, process: ProcessId, request: ControlRequest) -> Result<(), ControlError> {
    match call(data, process, request)?.0 {
        ControlAnswer::Done => Ok(()),
        ControlAnswer::About(_)
        | ControlAnswer::NotNow { .. }
        | ControlAnswer::Diagnosis(_)
        | ControlAnswer::Usage(_)
        | ControlAnswer::AttachedPipes
        | ControlAnswer::AttachedTerminal => Err(ControlError::Confused { process }),
    }
}

fn call(
    data: &DataFolder,
    process: ProcessId,
    request: ControlRequest,
) -> Result<(ControlAnswer, Vec<OwnedFd>), ControlError> {
    let path = data.process(process).join("ctl");
    let socket =
        message::connect(&path, CONTROL_TIMEOUT).map_err(|source| ControlError::Gone { process, source })?;
    let failed = |source| match source {
        // It ended between our request and its answer.
        MessageError::Closed => ControlError::Gone { process, source },
        MessageError::TooLarge | MessageError::Json(_) | MessageError::TimedOut | MessageError::Socket(_) => {
            ControlError::Call { process, source }
        }
    };
    message::send(socket.as_fd(), &ControlMessage { format: Format, request }, &[]).map_err(failed)?;
    let (message, descriptors) =
        message::receive::<ControlResponseMessage>(socket.as_fd()).map_err(failed)?;
    match message.response {
        Ok(answer) => Ok((answer, descriptors)),
        Err(refusal) => Err(ControlError::Refused { process, refusal }),
    }
}
