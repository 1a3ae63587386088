//! The folders of the data folder, with their owners and modes. Made before any other daemon runs, checked at every start.
//!
//! The data folder and what only root may change belong to root; what a daemon writes belongs to that daemon. A folder that
//! root relies on and that somebody else owns is refused, never taken over. As an ordinary user all of it is that user's, and
//! nobody else may enter.

use super::error::LauncherError;
use super::settings::{LauncherSettings, UserIds};
use crate::probe::Privilege;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What `DATA/format` holds.
const DATA_FORMAT: &str = "1";
const ROOT: u32 = 0;

/// One folder.
struct Folder {
    name: &'static str,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Makes what is missing and corrects modes.
pub fn prepare(settings: &LauncherSettings) -> Result<(), LauncherError> {
    let root = settings.data.root();
    std::fs::create_dir_all(root)
        .map_err(|source| LauncherError::Folder { path: root.to_owned(), source })?;
    ensure(root, settings.own.uid, settings.own.gid, root_mode(settings.privilege()))?;
    for user in [settings.server, settings.router] {
        check_way(root, user)?;
    }
    check_format(root)?;
    for folder in folders(settings) {
        ensure(&root.join(folder.name), folder.uid, folder.gid, folder.mode)?;
    }
    Ok(())
}

/// Daemons and shims of other users pass through the data folder, where there are such.
const fn root_mode(privilege: Privilege) -> u32 {
    match privilege {
        Privilege::Root => 0o755,
        Privilege::OrdinaryUser => 0o700,
    }
}

fn folders(settings: &LauncherSettings) -> Vec<Folder> {
    let LauncherSettings { own: launcher, server, router, .. } = settings;
    let own = |name, mode| Folder { name, uid: server.uid, gid: server.gid, mode };
    let root = |name, gid, mode| Folder { name, uid: launcher.uid, gid, mode };
    vec![
        own("ledger", 0o700),
        own("keys", 0o700),
        own("ca", 0o700),
        own("git", 0o700),
        own("builds", 0o700),
        own("uploads", 0o700),
        own("layers", 0o700),
        // Apps get trees below bound read-only; nobody else looks here.
        own("slugs", 0o755),
        // The router passes through to its own folders.
        own("logs", 0o771),
        Folder { name: "routes", uid: server.uid, gid: router.gid, mode: 0o2750 },
        Folder { name: "certs", uid: server.uid, gid: router.gid, mode: 0o2750 },
        // Apps' users pass through to what is theirs; the server lists what is left over.
        root("cache", server.gid, 0o751),
        // The server makes sockets and locks here; the sticky bit keeps root's own from it.
        root("run", server.gid, 0o1771),
        root("run/p", server.gid, 0o750),
        root("run/net", server.gid, 0o750),
        root("run/build", server.gid, 0o751),
        root("run/root", launcher.gid, 0o700),
        Folder { name: "run/router", uid: router.uid, gid: server.gid, mode: 0o2750 },
    ]
}

/// Makes a folder, or checks the one that is there: without following links, by its descriptor from then on.
fn ensure(path: &Path, uid: u32, gid: u32, mode: u32) -> Result<(), LauncherError> {
    let failed =
        |errno: rustix::io::Errno| LauncherError::Folder { path: path.to_owned(), source: errno.into() };
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let folder = open_folder(path).map_err(failed)?;
    let found = rustix::fs::fstat(&folder).map_err(failed)?.st_uid;
    if found != uid && found != ROOT {
        return Err(LauncherError::Owner { path: path.to_owned(), uid: found });
    }
    give(&folder, UserIds { uid, gid }, mode).map_err(failed)
}

/// The daemons and the shims must be able to come here: each folder above must let them pass.
fn check_way(root: &Path, user: UserIds) -> Result<(), LauncherError> {
    let failed = |path: &Path, source| LauncherError::Folder { path: path.to_owned(), source };
    let root = std::fs::canonicalize(root).map_err(|source| failed(root, source))?;
    for folder in root.ancestors() {
        let stat = rustix::fs::stat(folder).map_err(|errno| failed(folder, errno.into()))?;
        if !lets_pass(stat.st_mode, UserIds { uid: stat.st_uid, gid: stat.st_gid }, user) {
            return Err(LauncherError::Unreachable { path: folder.to_owned(), uid: user.uid });
        }
    }
    Ok(())
}

/// The kernel's rule: the first class that fits decides.
const fn lets_pass(mode: u32, owner: UserIds, user: UserIds) -> bool {
    let bit = if owner.uid == user.uid {
        0o100
    } else if owner.gid == user.gid {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

fn check_format(root: &Path) -> Result<(), LauncherError> {
    let path = root.join("format");
    let failed = |source| LauncherError::Folder { path: path.clone(), source };
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim() == DATA_FORMAT => Ok(()),
        Ok(text) => Err(LauncherError::Format {
            found: text.trim().chars().take(20).collect(),
            expected: DATA_FORMAT,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let temporary = root.join(".format.new");
            std::fs::write(&temporary, format!("{DATA_FORMAT}\n")).map_err(failed)?;
            std::fs::rename(&temporary, &path).map_err(failed)
        }
        Err(source) => Err(failed(source)),
    }
}

/// Opens a folder itself, never what a link leads to.
pub fn open_folder(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Owner first: a change of owner clears the set-group-id bit.
pub fn give(file: &OwnedFd, owner: UserIds, mode: u32) -> rustix::io::Result<()> {
    rustix::fs::fchown(file, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode))
}

/// Gives a socket that root has just bound, in a folder of root's, to somebody: only they connect.
pub fn give_socket(path: &Path, owner: UserIds) -> rustix::io::Result<()> {
    rustix::fs::chown(path, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR)
}

/// Makes a folder for somebody below `parent`, which may belong to somebody less trusted. `Ok` also if it is there and theirs.
pub fn make_for(parent: &Path, name: &str, owner: UserIds, mode: u32) -> std::io::Result<()> {
    let parent = open_folder(parent)?;
    match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(&parent, name, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&folder)?.st_uid;
    if found != ROOT && found != owner.uid {
        return Err(std::io::Error::other(format!("the folder {name} belongs to uid {found}")));
    }
    Ok(give(&folder, owner, mode)?)
}

/// Whether a name lies in a folder, without following it if it is a link.
pub fn exists(path: &Path) -> bool {
    rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::DataFolder;
    use std::os::unix::fs::MetadataExt;

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn folders_get_their_owners_and_modes_at_every_start() {
        if !is_root() {
            eprintln!("skipped: needs root to give folders away");
            return;
        }
        let data = tempfile::tempdir().unwrap();
        let settings = LauncherSettings::new(DataFolder::new(data.path()));
        for _ in 0..2 {
            prepare(&settings).unwrap();
            for folder in folders(&settings) {
                let metadata = std::fs::metadata(data.path().join(folder.name)).unwrap();
                let found = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
                assert_eq!(found, (folder.uid, folder.gid, folder.mode), "{}", folder.name);
            }
            std::fs::set_permissions(
                data.path().join("ledger"),
                std::os::unix::fs::PermissionsExt::from_mode(0o777),
            )
            .unwrap();
        }
        assert_eq!(std::fs::read_to_string(data.path().join("format")).unwrap(), "1\n");
    }

    #[test]
    fn an_ordinary_users_folders_are_its_own() {
        let own =
            UserIds { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() };
        let ordinary = UserIds { uid: if own.uid == 0 { 31_002 } else { own.uid }, ..own };
        let settings = LauncherSettings::new(DataFolder::new("/nowhere")).as_ordinary_user(ordinary);
        assert!(
            folders(&settings).iter().all(|folder| (folder.uid, folder.gid) == (ordinary.uid, ordinary.gid))
        );
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let data = place.path().join("data");
        let settings = LauncherSettings { data: DataFolder::new(&data), ..settings };
        for _ in 0..2 {
            prepare(&settings).unwrap();
            for name in folders(&settings).iter().map(|folder| folder.name).chain(["."]) {
                let metadata = std::fs::metadata(data.join(name)).unwrap();
                assert_eq!((metadata.uid(), metadata.gid()), (ordinary.uid, ordinary.gid), "{name}");
            }
            assert_eq!(std::fs::metadata(&data).unwrap().mode() & 0o7777, 0o700);
        }
    }

    #[test]
    fn a_folder_that_the_daemons_cannot_reach_is_named() {
        let user = UserIds::same(5);
        for (mode, owner, expected) in [
            (0o755, UserIds::same(0), true),
            (0o700, UserIds::same(0), false),
            (0o700, UserIds::same(5), true),
            (0o011, UserIds::same(5), false),
            (0o710, UserIds { uid: 0, gid: 5 }, true),
            (0o701, UserIds { uid: 0, gid: 5 }, false),
        ] {
            assert_eq!(lets_pass(mode, owner, user), expected, "{mode:o} {owner:?}");
        }
        let closed = tempfile::tempdir().unwrap();
        std::fs::set_permissions(closed.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let data = closed.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let refused = check_way(&data, user).unwrap_err().to_string();
        assert!(refused.contains(closed.path().to_str().unwrap()), "{refused}");
    }

    #[test]
    fn what_somebody_else_put_there_is_refused() {
        if !is_root() {
            eprintln!("skipped: needs root to give folders away");
            return;
        }
        let data = tempfile::tempdir().unwrap();
        let settings = LauncherSettings::new(DataFolder::new(data.path()));
        prepare(&settings).unwrap();
        let run = data.path().join("run/p");
        std::fs::remove_dir(&run).unwrap();
        std::fs::create_dir(&run).unwrap();
        std::os::unix::fs::chown(&run, Some(settings.server.uid), None).unwrap();
        assert!(matches!(prepare(&settings), Err(LauncherError::Owner { .. })));
        std::fs::remove_dir(&run).unwrap();
        std::os::unix::fs::symlink("/", &run).unwrap();
        assert!(matches!(prepare(&settings), Err(LauncherError::Folder { .. })));
        std::fs::remove_file(&run).unwrap();
        std::fs::write(data.path().join("format"), "2\n").unwrap();
        assert!(matches!(prepare(&settings), Err(LauncherError::Format { .. })));
    }
}
