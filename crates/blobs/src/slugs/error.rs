//! How the store fails.

use crate::config::{self, ConfigError};
use crate::tree::{PackError, ReadError};
use domain::names::SlugId;
use std::io;
use std::path::PathBuf;

/// A failed operation and what it was about.
#[derive(Debug, thiserror::Error)]
pub enum SlugError {
    #[error("the slug folder \"{path}\" could not be used")]
    Store {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the slug could not be staged in \"{path}\"")]
    Stage {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the slug's files could not be read back")]
    Pack(#[source] PackError),
    #[error(
        "the slug's configuration would have {bytes} bytes, {} are allowed: its process types or its environment are too long",
        config::MAX_BYTES
    )]
    ConfigTooLarge { bytes: u64 },
    #[error("the slug {id} could not be published")]
    Publish {
        id: SlugId,
        #[source]
        source: io::Error,
    },
    #[error("there is no slug {id}")]
    Unknown { id: SlugId },
    #[error("the configuration of the slug {id} could not be read")]
    Read {
        id: SlugId,
        #[source]
        source: ReadError,
    },
    #[error("the slug {id} is damaged")]
    Config {
        id: SlugId,
        #[source]
        source: ConfigError,
    },
    #[error("the files of the slug {id} are not those that were published")]
    Changed { id: SlugId },
    #[error("the slug {id} could not be removed")]
    Remove {
        id: SlugId,
        #[source]
        source: io::Error,
    },
}

impl SlugError {
    /// Whether what was read is no slug and will never be one. A reading that failed says nothing about what there is.
    pub(super) const fn is_damage(&self) -> bool {
        match self {
            Self::Config { .. } | Self::Changed { .. } => true,
            Self::Read { source, .. } => match source {
                ReadError::TooLarge { .. } | ReadError::Link { .. } | ReadError::NotAFile { .. } => true,
                ReadError::Io { .. } => false,
            },
            Self::Store { .. }
            | Self::Stage { .. }
            | Self::Pack(_)
            | Self::ConfigTooLarge { .. }
            | Self::Publish { .. }
            | Self::Unknown { .. }
            | Self::Remove { .. } => false,
        }
    }
}
