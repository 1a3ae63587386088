//! Reading what detection decides on.

use crate::detect::{self, Listing};
use crate::error::BuildError;
use blobs::tree::{ReadError, SourceTree};
use domain::app_json::health::Probe;
use domain::app_json::{self, AppJsonError, Described};
use domain::procfile::{self, Procfile, ProcfileError};

/// Names, the Procfile and the app.json of a source tree. One that is there and malformed is an error at once: no builder may guess
/// past it.
pub(crate) fn observe_listing(tree: &SourceTree) -> Result<Listing, BuildError> {
    let mut files = Vec::new();
    for name in detect::names() {
        if tree.is_file(name)? {
            files.push(name.to_owned());
        }
    }
    Ok(Listing { files, procfile: observe_procfile(tree)?, app_json: observe_app_json(tree)? })
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

fn observe_app_json(tree: &SourceTree) -> Result<Described, BuildError> {
    match tree.read(detect::APP_JSON, app_json::MAX_BYTES as u64) {
        Ok(None) => Ok(Described::default()),
        Ok(Some(bytes)) => carried_out(Described::parse(&bytes)?),
        Err(ReadError::TooLarge { .. }) => {
            Err(AppJsonError::TooLarge { bytes: app_json::MAX_BYTES + 1 }.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What is understood and not done yet is refused: a check that is silently not made is found out when it is needed.
fn carried_out(described: Described) -> Result<Described, BuildError> {
    for (process_type, checks) in &described.app_json().health_checks {
        if let Some(check) = checks.iter().find(|check| matches!(check.probe, Probe::Command { .. })) {
            let (process_type, name) = (process_type.clone(), check.name.clone());
            return Err(BuildError::CommandCheck { process_type, name });
        }
    }
    Ok(described)
}
