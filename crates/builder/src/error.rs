//! Why a build failed, in words that the one who pushed can act on.

use crate::advice::AdviceError;
use crate::detect::NotDetected;
use crate::execute::ExecuteError;
use crate::native::NativeError;
use blobs::tree::{ExtractError, ReadError};
use blobs::{LayerError, SlugError};
use domain::app_json::AppJsonError;
use domain::names::ProcessType;
use domain::procfile::ProcfileError;
use std::path::PathBuf;

/// Whose turn it is after a failed build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The app's source or its build: pushing a change helps.
    App,
    /// The platform or its machine: the same push may succeed later.
    Platform,
    /// Somebody cancelled it.
    Cancelled,
}

/// Why there is no slug.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the build was cancelled")]
    Cancelled,
    #[error(transparent)]
    NotDetected(#[from] NotDetected),
    #[error(transparent)]
    Advice(#[from] AdviceError),
    #[error(transparent)]
    Procfile(#[from] ProcfileError),
    #[error(transparent)]
    AppJson(#[from] AppJsonError),
    #[error(
        "app.json, healthchecks.{process_type}: the check \"{name}\" asks by a command, which this version does not carry out. Fix: \
         ask by \"path\", \"listening\" or \"uptime\""
    )]
    CommandCheck { process_type: ProcessType, name: String },
    #[error(transparent)]
    Native(#[from] NativeError),
    #[error("the source cannot be read")]
    Source(#[from] ReadError),
    #[error("the source folder \"{path}\" cannot be used")]
    SourceFolder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "the build ran longer than {minutes} minutes and was stopped. Fix: build less, or raise the time limit"
    )]
    TimedOut { minutes: u64 },
    #[error(
        "the build needed more than {mebibytes} MiB of memory and was stopped. Fix: build with fewer jobs (a .cargo/config.toml \
         with \"build.jobs = 1\"), or raise the memory limit"
    )]
    OutOfMemory { mebibytes: u64 },
    #[error("the build ended with {status}; its reason is in the lines above")]
    StepFailed { status: String },
    #[error("what the build handed out was refused")]
    Result(#[source] ExtractError),
    #[error(
        "the build has ended, but its result stays open: something outside holds it. Fix: let the build hand its descriptors to \
         nobody"
    )]
    ResultHeldOpen,
    #[error("the build's sandbox failed")]
    Execute(#[from] ExecuteError),
    #[error("the slug could not be stored")]
    Slug(#[from] SlugError),
    #[error(transparent)]
    Layers(#[from] LayerError),
    #[error("the installed packages could not be put into the slug")]
    Layer {
        #[source]
        source: std::io::Error,
    },
}

impl BuildError {
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Cancelled => Fault::Cancelled,
            Self::NotDetected(_)
            | Self::Advice(AdviceError::Submodules { .. } | AdviceError::LargeFiles { .. })
            | Self::Procfile(_)
            | Self::AppJson(_)
            | Self::CommandCheck { .. }
            | Self::TimedOut { .. }
            | Self::OutOfMemory { .. }
            | Self::StepFailed { .. }
            | Self::ResultHeldOpen
            | Self::Result(ExtractError::Refused(_))
            | Self::Source(
                ReadError::TooLarge { .. } | ReadError::Link { .. } | ReadError::NotAFile { .. },
            ) => Fault::App,
            Self::Native(error) => error.fault(),
            Self::Advice(AdviceError::Read(_))
            | Self::Source(ReadError::Io { .. })
            | Self::SourceFolder { .. }
            | Self::Result(
                ExtractError::Read(_)
                | ExtractError::Write { .. }
                | ExtractError::NoRoom
                | ExtractError::NotEmpty
                | ExtractError::Destination(_),
            )
            | Self::Execute(_)
            | Self::Layers(_)
            | Self::Layer { .. }
            | Self::Slug(_) => Fault::Platform,
        }
    }
}
