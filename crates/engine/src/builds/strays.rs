//! Folders of builds that belong to nobody any more: of apps that are gone, or left by a server that died.

use super::{discard, source_folder, work};
use crate::engine::Engine;
use crate::error::Error;
use domain::ids::BuildId;
use std::fs;
use std::io::ErrorKind;

/// Removes what neither the queue nor the ledger knows, and trees of builds that have ended. Says how many folders went. Blocks:
/// it deletes trees.
pub fn remove_strays(engine: &Engine) -> Result<usize, Error> {
    let mut removed = 0;
    for build in found(engine)? {
        // In this order: what is accepted meanwhile is known to the queue before and to the ledger after.
        if engine.0.builds.knows(build) {
            continue;
        }
        if engine.read(|reader| Ok(reader.build(build)?.is_some()))? {
            work::remove_folder(&source_folder(engine, build));
        } else {
            discard(engine, build);
            removed += 1;
        }
    }
    Ok(removed)
}

fn found(engine: &Engine) -> Result<Vec<BuildId>, Error> {
    let folder = &engine.0.settings.builds_folder;
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let told = Error::unavailable(format!("The folder {} cannot be read.", folder.display()));
            return Err(told.with_source(error));
        }
    };
    let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}
