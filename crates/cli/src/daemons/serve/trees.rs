//! Extracts what people push, through the one hardened extractor.

use blobs::tree::{ExtractError, Limits, SourceTree, extract};
use domain::cause::chain;
use server::ports::{SourceTrees, StageError};
use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Source trees lie in the data folder, readable by builds.
pub struct PushedTrees;

impl SourceTrees for PushedTrees {
    fn stage(&self, folder: &Path, tree: &mut dyn Read) -> Result<(), StageError> {
        let failed = |what: &str, error: std::io::Error| StageError::Failed(format!("{what}: {error}"));
        // The build's own user reads the tree through a mount; it may not list the folders above it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(|error| failed("the folder for the source cannot be made", error))?;
        let staged = extract_into(folder, tree);
        if staged.is_err() {
            let _left_for_the_next_start = std::fs::remove_dir(folder);
        }
        staged
    }
}

fn extract_into(folder: &Path, tree: &mut dyn Read) -> Result<(), StageError> {
    let opened = SourceTree::open(folder).map_err(|error| {
        StageError::Failed(format!("the folder for the source cannot be opened: {error}"))
    })?;
    match extract(tree, opened.as_folder(), &Limits::SOURCE) {
        Ok(_) => Ok(()),
        Err(ExtractError::Refused(refusal)) => Err(StageError::Refused(refusal.to_string())),
        Err(
            error @ (ExtractError::Read(_)
            | ExtractError::Write { .. }
            | ExtractError::NotEmpty
            | ExtractError::Destination(_)),
        ) => Err(StageError::Failed(chain(&error))),
    }
}
