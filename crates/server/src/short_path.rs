//! Socket paths of any length: the kernel takes 108 bytes, data folders may lie deep. The folder is opened and the socket named
//! through its descriptor.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// A short name for a path, good for as long as this lives.
pub struct ShortPath {
    _folder: File,
    path: PathBuf,
}

impl ShortPath {
    /// The last part of `path` need not exist; its folder must.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = File::open(parent)?;
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { _folder: folder, path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn long_paths_can_be_bound_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("x".repeat(120)).join("y".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let socket = deep.join("hook.sock");
        assert!(UnixListener::bind(&socket).is_err(), "too long by itself");
        let listener = UnixListener::bind(ShortPath::open(&socket).unwrap().path()).unwrap();
        assert!(UnixStream::connect(ShortPath::open(&socket).unwrap().path()).is_ok());
        drop(listener);
    }
}
