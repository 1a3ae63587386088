//! Packs a folder for an upload: the files that git would commit, or all of them outside a repository, as a gzipped tar whose
//! bytes depend on names, contents and execute bits alone. Where there is a repository and git cannot tell, nothing is packed: what it
//! was told to ignore may be secret.

mod archive;
mod list;

pub use archive::{Packed, pack};
pub use list::{Listed, list_files};

use std::io;
use std::path::PathBuf;

/// Why a folder cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("{path} is not a folder")]
    NotAFolder { path: PathBuf },
    #[error("{path} holds no file to deploy")]
    Empty { path: PathBuf },
    #[error("{path} cannot be read")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} changed while it was packed")]
    Changed { path: PathBuf },
    #[error("the archive cannot be written to {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("git cannot list the files of {path}: {message}")]
    Git { path: PathBuf, message: String },
    #[error("{path} holds only a part of its repository: {missing} is left out of the checkout")]
    Sparse { path: PathBuf, missing: PathBuf },
}
