//! The tree of a commit that is in a repository already, for a build that nobody pushed.

use super::command::{GitTool, MAX_TREE_ENTRIES};
use super::short::GitChild;
use super::stage::sentence;
use crate::ports::{Packing, SourceTrees, TreeForm};
use domain::names::{CommitId, ProjectPath};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longest time for a tree of any size that is taken.
const GIT_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Why a commit was not extracted.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// One sentence for the person who asked.
    #[error("{0}")]
    Refused(String),
    #[error("git could not be run")]
    Git(#[from] io::Error),
}

/// Extracts a commit's tree into `folder`. Blocks; on failure the folder may hold something.
pub fn stage_commit(
    tool: &GitTool,
    repository: &Path,
    commit: &CommitId,
    folder: &Path,
    trees: &dyn SourceTrees,
    project: Option<ProjectPath>,
) -> Result<(), ArchiveError> {
    let git = |command: &[&str]| prepared(tool, tool.repository_arguments(repository, command));
    if let Some(reason) = too_large(git(&[]), commit)? {
        return Err(ArchiveError::Refused(reason));
    }
    let mut child = GitChild::start(git(&["archive", "--format=tar", commit.as_str()]), GIT_LIMIT)?;
    let mut tree = child.output()?;
    let form = TreeForm { packing: Packing::GitArchive, project };
    let staged = trees.stage(folder, &mut tree, &form);
    // A refused tree is the reason also of git's end, whose output nobody read on.
    staged.map_err(|error| ArchiveError::Refused(sentence(&error)))?;
    drop(tree);
    match child.end()? {
        (status, _) if status.success() => Ok(()),
        (status, complaint) => {
            Err(ArchiveError::Refused(format!("git archive failed ({status}): {complaint}")))
        }
    }
}

fn prepared(tool: &GitTool, arguments: Vec<OsString>) -> Command {
    let mut command = Command::new(&tool.program);
    command.args(arguments).env_clear().envs(tool.environment()).current_dir("/");
    command
}

/// Why a commit's tree will not be taken: it has too many entries. Counting stops at the limit, long before an extraction would.
/// `git` lacks the subcommand only.
pub fn too_large(mut git: Command, commit: &CommitId) -> io::Result<Option<String>> {
    git.args(["ls-tree", "-r", "-t", "-z", "--name-only", commit.as_str()]);
    let mut child = GitChild::start(git, GIT_LIMIT)?;
    let counted = count_up_to(BufReader::new(child.output()?), MAX_TREE_ENTRIES);
    drop(child);
    let told = format!("more than {MAX_TREE_ENTRIES} files, folders and links");
    Ok(counted?.is_none().then_some(told))
}

/// How many names there are, each ended by a NUL; `None`: more than `limit`.
fn count_up_to(mut names: impl BufRead, limit: usize) -> io::Result<Option<usize>> {
    let mut count = 0;
    loop {
        let piece = names.fill_buf()?;
        if piece.is_empty() {
            return Ok(Some(count));
        }
        count += piece.iter().filter(|byte| **byte == 0).count();
        let length = piece.len();
        names.consume(length);
        if count > limit {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_stops_at_the_limit() {
        let counted = |text: &[u8], limit| count_up_to(BufReader::with_capacity(2, text), limit).unwrap();
        assert_eq!(counted(b"", 0), Some(0));
        assert_eq!(counted(b"a\0bb\0", 2), Some(2));
        assert_eq!(counted(b"a\0bb\0c\0", 2), None);
        let endless = BufReader::new(io::repeat(0));
        assert_eq!(count_up_to(endless, 1000).unwrap(), None);
    }
}
