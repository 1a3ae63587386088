//! Waiting for the disk apart from the writer.

use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// What is to be brought to stable storage. [`DueSync::run`] blocks as long as the disk takes.
#[derive(Debug)]
#[must_use = "lines are on stable storage only once it has run"]
pub struct DueSync {
    file: Option<OwnedFd>,
    folder: Option<OwnedFd>,
}

impl DueSync {
    pub(super) fn of(file: Option<OwnedFd>, folder: Option<OwnedFd>) -> Self {
        Self { file, folder }
    }

    pub fn run(self) -> Result<(), Errno> {
        self.file.as_ref().map_or(Ok(()), rustix::fs::fdatasync)?;
        self.folder.as_ref().map_or(Ok(()), rustix::fs::fsync)
    }
}
