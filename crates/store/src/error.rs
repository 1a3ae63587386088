//! What can go wrong with the ledger, by what its reader can do about it.

use rusqlite::ErrorCode;
use std::io;
use std::path::PathBuf;

/// The ledger did not do as it was asked; nothing was half-written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk under the ledger is full")]
    Full(#[source] rusqlite::Error),
    #[error("another process holds the ledger")]
    Busy(#[source] rusqlite::Error),
    #[error("the disk under the ledger cannot be read or written")]
    Disk(#[source] rusqlite::Error),
    #[error("the ledger's file is damaged")]
    Damaged(#[source] rusqlite::Error),
    #[error("the ledger's folder {} cannot be used", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("the ledger has format {found}; this version of Dozen reads up to {known}")]
    NewerFormat { found: i64, known: i64 },
    #[error("the ledger has no format of ours: it is another program's database")]
    NotALedger,
    #[error("the master key is not the one that this ledger was sealed with")]
    WrongMasterKey,
    #[error("a master key has 32 bytes; this one has {0}")]
    MasterKeyLength(usize),
    #[error("the secret {what} cannot be unsealed: the ledger was changed by hand or mixed with another")]
    Unsealable { what: String },
    #[error("the secret {what} cannot be sealed")]
    Seal { what: String },
    #[error("the ledger refused a statement")]
    Statement(#[source] rusqlite::Error),
    #[error("the ledger holds a {table} that cannot be understood: {detail}")]
    Content { table: &'static str, detail: String },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing the data.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Full(_) | Self::Busy(_) | Self::Disk(_) | Self::Folder { .. } => true,
            Self::Damaged(_)
            | Self::NewerFormat { .. }
            | Self::NotALedger
            | Self::WrongMasterKey
            | Self::MasterKeyLength(_)
            | Self::Unsealable { .. }
            | Self::Seal { .. }
            | Self::Statement(_)
            | Self::Content { .. } => false,
        }
    }

    /// What a person can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Full(_) => {
                Some("Free some space on the disk that holds the data folder; nothing was lost.")
            }
            Self::Busy(_) => Some("Another server or a backup is using the ledger; try again in a moment."),
            Self::Disk(_) | Self::Folder { .. } => {
                Some("Check that the data folder's disk is present, writable and healthy.")
            }
            Self::Damaged(_) | Self::Content { .. } => Some("Restore the ledger from its newest backup."),
            Self::NewerFormat { .. } => Some("Start the version of Dozen that wrote it, or a later one."),
            Self::WrongMasterKey => Some(
                "Put back the master key file that belongs to this data folder (DOZEN_MASTER_KEY_FILE). Without it the \
                 config vars cannot be read.",
            ),
            Self::NotALedger
            | Self::MasterKeyLength(_)
            | Self::Unsealable { .. }
            | Self::Seal { .. }
            | Self::Statement(_) => None,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Self::Busy(error),
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied,
            ) => Self::Disk(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            // SQLite's error codes are another crate's enum.
            Some(_) | None => Self::Statement(error),
        }
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;
