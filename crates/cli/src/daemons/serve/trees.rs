//! Extracts what people push and upload, through the one hardened extractor.

use blobs::tree::{
    ExtractError, Limits, SourceTree, UnpackError, extract, narrow, unpack, unwrap_single_folder,
};
use domain::cause::chain;
use domain::names::ProjectPath;
use server::ports::{Packing, SourceTrees, StageError, TreeForm};
use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Source trees lie in the data folder, readable by builds.
pub struct PushedTrees;

impl SourceTrees for PushedTrees {
    fn stage(&self, folder: &Path, tree: &mut dyn Read, form: &TreeForm) -> Result<(), StageError> {
        let failed = |what: &str, error: io::Error| StageError::Failed(format!("{what}: {error}"));
        // The build's own user reads the tree through a mount; it may not list the folders above it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(|error| failed("the folder for the source cannot be made", error))?;
        let spare =
            server::spare_bytes(folder).map_err(|error| failed("the free space is not known", error))?;
        let staged = stage_into(folder, tree, form, &Limits::SOURCE.sparing(spare));
        if staged.is_err() {
            let _left_for_the_next_start = std::fs::remove_dir_all(folder);
        }
        staged
    }
}

fn stage_into(
    folder: &Path,
    tree: &mut dyn Read,
    form: &TreeForm,
    limits: &Limits,
) -> Result<(), StageError> {
    let opened = SourceTree::open(folder).map_err(|error| {
        StageError::Failed(format!("the folder for the source cannot be opened: {error}"))
    })?;
    let folder = opened.as_folder();
    match form.packing {
        Packing::GitArchive => extract(tree, folder, limits).map(drop),
        Packing::Upload { bytes } => {
            let mut unpacked = unpack(tree).map_err(not_unpacked)?;
            let unwrapped = extract(&mut unpacked, folder, &limits.arrived_as(bytes));
            unwrapped.and_then(|_| unwrap_single_folder(folder, &Limits::SOURCE))
        }
    }
    .map_err(|error| sentence(error, form.packing))?;
    match &form.project {
        None => Ok(()),
        Some(path) => narrow(folder, path.as_str(), &Limits::SOURCE).map_err(|error| of_project(error, path)),
    }
}

fn not_unpacked(error: UnpackError) -> StageError {
    match error {
        UnpackError::Other(_) => StageError::Refused(error.to_string()),
        UnpackError::Read(_) => StageError::Failed(error.to_string()),
    }
}

fn sentence(error: ExtractError, packing: Packing) -> StageError {
    match (error, packing) {
        (ExtractError::Refused(refusal), _) => StageError::Refused(refusal.to_string()),
        // Reading our own file does not fail; decoding a stranger's does.
        (ExtractError::Read(source), Packing::Upload { .. }) => {
            StageError::Refused(format!("it cannot be unpacked: {source}"))
        }
        (ExtractError::NoRoom, _) => StageError::Failed(
            "the server's disk is nearly full; it takes no sources until there is room again".to_owned(),
        ),
        (
            error @ (ExtractError::Read(_)
            | ExtractError::Write { .. }
            | ExtractError::NotEmpty
            | ExtractError::Destination(_)),
            _,
        ) => StageError::Failed(chain(&error)),
    }
}

fn of_project(error: ExtractError, path: &ProjectPath) -> StageError {
    match error {
        ExtractError::Refused(refusal) => StageError::Refused(format!(
            "the config var PROJECT_PATH says that the app lies in \"{path}\": {refusal}. Change it with \
             `dozen config:set PROJECT_PATH=...`, or build all of it after `dozen config:unset PROJECT_PATH`"
        )),
        error => StageError::Failed(chain(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn tar(files: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, &b"x"[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn staged(archive: &[u8], packing: Packing, project: Option<&str>) -> Result<Vec<String>, StageError> {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("src");
        let form = TreeForm { packing, project: project.map(|path| path.parse().unwrap()) };
        let done = PushedTrees.stage(&source, &mut &archive[..], &form);
        let left = done.is_err() && source.exists();
        done.map_err(
            |error| if left { StageError::Failed("something is left of it".to_owned()) } else { error },
        )
        .map(|()| {
            let mut names: Vec<_> = std::fs::read_dir(source)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        })
    }

    fn uploaded(archive: &[u8], project: Option<&str>) -> Result<Vec<String>, StageError> {
        staged(archive, Packing::Upload { bytes: archive.len() as u64 }, project)
    }

    #[test]
    fn uploads_are_unpacked_and_unwrapped() {
        let wrapped = tar(&["app-1.0/Procfile", "app-1.0/web/x"]);
        assert_eq!(uploaded(&gzip(&wrapped), None).unwrap(), ["Procfile", "web"]);
        assert_eq!(uploaded(&wrapped, Some("web")).unwrap(), ["x"]);
        let pushed = staged(&wrapped, Packing::GitArchive, None).unwrap();
        assert_eq!(pushed, ["app-1.0"], "a repository is what it is");
        assert_eq!(staged(&wrapped, Packing::GitArchive, Some("app-1.0/web")).unwrap(), ["x"]);
    }

    #[test]
    fn what_is_no_tar_is_called_what_it_is() {
        let mut cut = gzip(&tar(&["a"]));
        cut.truncate(cut.len() / 2);
        let told = |archive: &[u8], project| match uploaded(archive, project) {
            Err(StageError::Refused(sentence)) => sentence,
            other => panic!("{other:?}"),
        };
        insta::assert_snapshot!(
            [
                told(b"PK\x03\x04....", None),
                told(b"<!DOCTYPE html><title>404", None),
                told(b"hello", None),
                told(&gzip(b"hello"), None),
                told(&cut, None),
                told(b"", None),
                told(&gzip(&tar(&["web/x", "api/x"])), Some("services/web")),
            ]
            .join("\n")
        );
    }

    /// By what its header promises, before a byte of it is written.
    #[test]
    fn a_bomb_is_refused() {
        let mut header = tar::Header::new_gnu();
        header.set_path("zeros").unwrap();
        header.set_size(200 * 1024 * 1024);
        header.set_mode(0o644);
        header.set_cksum();
        let refused = uploaded(&gzip(header.as_bytes()), None).unwrap_err();
        assert!(refused.to_string().contains("expands to more than"), "{refused}");
    }

    /// However little an archive has, and however it comes.
    #[test]
    fn a_disk_that_is_nearly_full_takes_no_tree() {
        let folder = tempfile::tempdir().unwrap();
        let archive = tar(&["a"]);
        for packing in [Packing::GitArchive, Packing::Upload { bytes: 1 }] {
            let form = TreeForm { packing, project: None };
            let full = Limits::SOURCE.sparing(u64::MAX);
            let refused = stage_into(folder.path(), &mut &archive[..], &form, &full).unwrap_err();
            assert!(
                matches!(&refused, StageError::Failed(told) if told.contains("nearly full")),
                "{refused}"
            );
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_git_may_send_is_what_is_extracted() {
        assert_eq!(server::git::MAX_TREE_ENTRIES as u64, Limits::SOURCE.entries);
    }
}
