//! Reading and writing the small files that control groups are driven by.

use super::CgroupError;
use nix::errno::Errno;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The mode of folders in which groups lie.
const FOLDER_MODE: u32 = 0o755;

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    move |source| CgroupError::File { operation, path, source }
}

pub(super) fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(failed("read", path))
}

/// `None` if there is no such file.
pub(super) fn read_if_present(path: &Path) -> Result<Option<String>, CgroupError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes in one call, as these files want it. The file must exist: in a control group the kernel makes them.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CgroupError> {
    try_write(path, text).map_err(failed("write", path))
}

pub(super) fn try_write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(text.as_bytes())
}

/// Tells whether the file was there.
pub(super) fn write_if_present(path: &Path, text: &str) -> Result<Written, CgroupError> {
    match try_write(path, text) {
        Ok(()) => Ok(Written::Yes),
        Err(error) if is_absent(&error) => Ok(Written::NoSuchFile),
        Err(error) => Err(failed("write", path)(error)),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Yes,
    NoSuchFile,
}

/// Makes a folder and those above it; fine if it exists.
pub(super) fn make_folder(path: &Path) -> Result<(), CgroupError> {
    fs::create_dir_all(path).map_err(failed("make", path))
}

/// The same, and whoever passes through may read what lies in it: shims count in their groups. A mode that an earlier start left
/// (by its umask) is corrected.
pub(super) fn make_open_folder(path: &Path) -> Result<(), CgroupError> {
    use std::os::unix::fs::PermissionsExt;
    make_folder(path)?;
    let metadata = fs::metadata(path).map_err(failed("look at", path))?;
    if metadata.permissions().mode() & 0o777 == FOLDER_MODE {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE))
        .map_err(failed("change the mode of", path))
}

/// Gives a file to an owner; fine if there is none.
pub(super) fn give_if_present(path: &Path, uid: u32, gid: u32) -> Result<(), CgroupError> {
    match std::os::unix::fs::chown(path, Some(uid), Some(gid)) {
        Err(error) if !is_absent(&error) => Err(failed("change the owner of", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Names of the folders in a folder; none if it is absent.
pub(super) fn folder_names(path: &Path) -> Result<Vec<String>, CgroupError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", path)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", path))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(entry.file_name().into_string());
        }
    }
    Ok(names)
}

/// What became of an attempt to remove a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    Gone,
    /// A process in it has not quite ended.
    Busy,
}

pub(super) fn remove_folder(path: &Path) -> Result<Removal, CgroupError> {
    match fs::remove_dir(path) {
        Ok(()) => Ok(Removal::Gone),
        Err(error) if is_absent(&error) => Ok(Removal::Gone),
        Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => Ok(Removal::Busy),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// No such file, or (for a file of a group that is being removed) no such device.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ENODEV as i32)
}

/// The number after a key, in files of lines `key number`.
pub(super) fn number_after(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A file that is one number.
pub(super) fn number(path: &Path, text: &str) -> Result<u64, CgroupError> {
    text.trim().parse().map_err(|_| CgroupError::Content {
        path: path.to_owned(),
        content: text.trim().chars().take(64).collect(),
        expected: "a number",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_could_not_enter_is_opened() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("dozen");
        let mode = || fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        make_folder(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
        make_open_folder(&folder).unwrap();
        assert_eq!(mode(), FOLDER_MODE);
        make_open_folder(&folder).unwrap();
        assert_eq!(mode(), FOLDER_MODE);
    }

    #[test]
    fn a_number_is_found_by_its_whole_key() {
        let text = "oom 3\noom_kill 2\noom_group_kill 1\nempty\nword x\n";
        for (key, expected) in
            [("oom", Some(3)), ("oom_kill", Some(2)), ("kill", None), ("empty", None), ("word", None)]
        {
            assert_eq!(number_after(text, key), expected, "{key}");
        }
    }
}
