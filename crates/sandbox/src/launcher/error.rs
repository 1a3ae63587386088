//! Why the launcher cannot run at all, and why it cannot do one thing.

use crate::message::MessageError;
use crate::protocol::{Refusal, RefusalReason};
use std::path::PathBuf;

/// Why a launcher ends at its start.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    #[error("another launcher holds {}: it serves this data folder already", path.display())]
    AlreadyRunning { path: PathBuf },
    #[error("cannot prepare the folder {}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("the folder {} belongs to uid {uid}, which could have put anything there", path.display())]
    Owner { path: PathBuf, uid: u32 },
    #[error("uid {uid} of the server cannot enter {}: allow it (chmod o+x) or choose another data folder", path.display())]
    Unreachable { path: PathBuf, uid: u32 },
    #[error("the data folder has format {found:?}; this version reads {expected:?}")]
    Format { found: String, expected: &'static str },
    #[error("cannot listen on {address}")]
    Listen { address: String, source: std::io::Error },
    #[error("cannot listen at {}", path.display())]
    Socket { path: PathBuf, source: MessageError },
    #[error("cannot {step}")]
    Step { step: &'static str, source: std::io::Error },
    #[error("cannot find the control groups")]
    Cgroup(#[from] crate::cgroup::CgroupError),
    #[error("cannot put the rules of apps' networks in force")]
    Network(#[from] crate::network::NetworkError),
    #[error(transparent)]
    RunFolder(#[from] crate::run_folder::RunFolderError),
}

/// A refusal that the caller can do nothing about by repeating.
pub fn invalid(message: impl Into<String>) -> Refusal {
    Refusal { reason: RefusalReason::Invalid, message: message.into() }
}

pub fn busy(message: impl Into<String>) -> Refusal {
    Refusal { reason: RefusalReason::Busy, message: message.into() }
}

pub fn not_found(message: impl Into<String>) -> Refusal {
    Refusal { reason: RefusalReason::NotFound, message: message.into() }
}

/// The operating system refused: names what was tried, and the causes.
pub fn failed(what: &str, error: &dyn std::error::Error) -> Refusal {
    Refusal { reason: RefusalReason::Failed, message: format!("{what}: {}", domain::cause::chain(error)) }
}
