//! Source trees for builds, and caches filled beforehand.

use sandbox::launcher::DEFAULT_SERVER_UID;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;

/// As the extractor leaves it: the server's own, readable by all.
pub fn write_source(source: &Path, files: &[(&str, String)]) {
    fs::create_dir_all(source).unwrap();
    for (name, content) in files {
        let path = source.join(name.trim_end_matches(['*', '@']));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('@') {
            symlink(content, &path).unwrap();
            continue;
        }
        fs::write(&path, content).unwrap();
        if name.ends_with('*') {
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
    give_to_server(source.parent().unwrap());
}

fn give_to_server(path: &Path) {
    std::os::unix::fs::lchown(path, Some(DEFAULT_SERVER_UID), Some(DEFAULT_SERVER_UID)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give_to_server(&entry.unwrap().path());
        }
    }
}

/// Copies a tree and gives it to somebody.
pub fn copy_for(from: &Path, to: &Path, uid: u32) {
    fs::create_dir_all(to).unwrap();
    chown(to, Some(uid), Some(uid)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_for(&entry.path(), &target, uid);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            chown(&target, Some(uid), Some(uid)).unwrap();
        }
    }
}
