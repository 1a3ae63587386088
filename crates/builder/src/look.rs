//! Reading what detection decides on.

use crate::detect::{self, Listing};
use crate::error::BuildError;
use blobs::tree::{ReadError, SourceTree};
use domain::procfile::{self, Procfile, ProcfileError};

/// Names and the Procfile of a source tree. A Procfile that is there and malformed is an error at once: no builder may guess past
/// it.
pub(crate) fn observe_listing(tree: &SourceTree) -> Result<Listing, BuildError> {
    let mut files = Vec::new();
    for name in detect::names() {
        if tree.is_file(name)? {
            files.push(name.to_owned());
        }
    }
    Ok(Listing { files, procfile: observe_procfile(tree)? })
}

fn observe_procfile(tree: &SourceTree) -> Result<Option<Procfile>, BuildError> {
    let limit = procfile::MAX_BYTES as u64;
    match tree.read(detect::PROCFILE, limit) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => Ok(Some(Procfile::parse(&bytes)?)),
        Err(ReadError::TooLarge { .. }) => {
            Err(ProcfileError::TooLarge { bytes: procfile::MAX_BYTES + 1 }.into())
        }
        Err(error) => Err(error.into()),
    }
}
