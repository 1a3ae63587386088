//! The control group that a service manager has delegated to this process, for an ordinary user who was given one:
//! `systemd-run --user --scope -p Delegate=yes dozen server`, or a user unit with `Delegate=yes`.
//!
//! Only a group that is marked as delegated counts. Others that the user may write to belong to the service manager all the same,
//! and processes that are not ours may be in them.

use super::detect::{LEAF, SHIMS};
use super::{files, mounts};
use std::path::{Path, PathBuf};

/// Where systemd marks a delegated group for those who are not root.
const MARK: &str = "user.delegate";

/// The group that this process lives in, if it was delegated.
pub fn find_delegated() -> Option<PathBuf> {
    find_at(Path::new(super::PROCESS_FOLDER), is_marked)
}

fn find_at(process_folder: &Path, is_marked: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mounts = mounts::parse_mountinfo(&files::read(&process_folder.join("self/mountinfo")).ok()?);
    let groups = files::read(&process_folder.join("self/cgroup")).ok()?;
    let own = mounts.v2?.folder.join(own_path(&groups)?);
    // An earlier launcher may have moved all of its processes, whoever started this one among them, to a leaf of it.
    let is_leaf = [LEAF, SHIMS].iter().any(|name| own.ends_with(name));
    let folder = if is_leaf { own.parent()? } else { &own };
    is_marked(folder).then(|| folder.to_owned())
}

/// `0::/user.slice/...`: the line of the unified tree, without its leading slash.
fn own_path(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::/"))
}

fn is_marked(folder: &Path) -> bool {
    let mut value = [0; 8];
    let length = rustix::fs::getxattr(folder, MARK, &mut value[..]);
    matches!(length, Ok(1)) && value[0] == b'1'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_group_counts() {
        let folder = tempfile::tempdir().unwrap();
        let process = folder.path().join("proc/self");
        std::fs::create_dir_all(&process).unwrap();
        let mount = "29 22 0:26 / /cg rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        std::fs::write(process.join("mountinfo"), mount).unwrap();
        let find = |groups: &str, marked: &str| {
            std::fs::write(process.join("cgroup"), groups).unwrap();
            find_at(&folder.path().join("proc"), |path| path == Path::new(marked))
        };
        let unit = Some(PathBuf::from("/cg/user.slice/run-1.scope"));
        assert_eq!(find("0::/user.slice/run-1.scope\n", "/cg/user.slice/run-1.scope"), unit);
        assert_eq!(find("0::/user.slice/run-1.scope/leaf\n", "/cg/user.slice/run-1.scope"), unit);
        assert_eq!(find("0::/user.slice/run-1.scope/other\n", "/cg/user.slice/run-1.scope"), None);
        assert_eq!(find("0::/user.slice/session-3.scope\n", "/cg/user.slice/run-1.scope"), None);
        assert_eq!(find("4:memory:/x\n", "/cg"), None, "without a unified tree there is none");
    }
}
