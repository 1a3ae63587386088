//! The file system that an app sees: an empty root in memory, the host's `/usr`, a small `/etc`, the slug at `/app`, and fresh
//! `/dev`, `/proc` and `/tmp`. There is no `/sys`. The host's own root is detached before anything of the app's runs.

use super::mounts::{self, Access};
use super::{InsideError, OurBinary, devices, etc, proc, toolchain};
use crate::layout::DataFolder;
use crate::probe::{Layer, Privilege};
use crate::shim::orders::Orders;
use crate::spec::{CERTIFICATES_PATH, Helper, Kind};
use rustix::fs::{CWD, Mode};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Room for the root's own folders and small files.
const ROOT_OPTIONS: &std::ffi::CStr = c"mode=755,size=2m,nr_inodes=4k";
/// One file or folder for so much room: each costs memory of the kernel, even if it is empty.
const BYTES_PER_FILE: u64 = 2048;
/// Top-level names that lead into `/usr` on merged systems and are folders on others.
const USR_NAMES: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
const OUR_BINARY: &str = "/proc/self/exe";

/// Our own binary, for a sandbox that has it. As root it is taken before the clone, in the namespace that the program was executed
/// in.
pub fn find_helper(orders: &Orders) -> Result<OurBinary, InsideError> {
    match (orders.spec.helper, orders.privilege) {
        (Helper::Absent, _) => Ok(OurBinary::Absent),
        (Helper::Bound, Privilege::Root) => our_binary().map(OurBinary::Detached),
        (Helper::Bound, Privilege::OrdinaryUser) => Ok(OurBinary::ByName),
    }
}

/// By the kernel's own link, which holds even if the file was replaced under its name; where that lies on a mount of another
/// namespace, by its name, if the name still leads to the same file.
fn our_binary() -> Result<OwnedFd, InsideError> {
    let error = match mounts::detached(Path::new(OUR_BINARY)) {
        Ok(tree) => return Ok(tree),
        Err(error) => error,
    };
    our_binary_by_name().unwrap_or(Err(error))
}

/// `None` if its name leads to another file by now.
fn our_binary_by_name() -> Option<Result<OwnedFd, InsideError>> {
    let name = std::fs::read_link(OUR_BINARY).ok()?;
    let identity = |path: &Path| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    let own = identity(Path::new(OUR_BINARY))?;
    (identity(&name) == Some(own)).then(|| mounts::detached(&name))
}

/// Inside a user namespace: by its name, or, where the file was replaced meanwhile, the copy in the data folder.
fn our_binary_inside(data: &DataFolder) -> Result<OwnedFd, InsideError> {
    our_binary_by_name().unwrap_or_else(|| mounts::detached(&data.program()))
}

/// Builds it and makes it the root of this process's mount namespace.
pub fn build(orders: &Orders, helper: OurBinary) -> Result<(), InsideError> {
    let data = DataFolder::new(&orders.data);
    begin(&data)?;
    bind_usr()?;
    etc::build(orders)?;
    devices::build(orders)?;
    proc::build()?;
    make_tmp(orders)?;
    bind_app(orders, &data)?;
    make_small_folders()?;
    toolchain::bind(orders)?;
    bind_helper(helper, &data)?;
    bind_certificates(orders)?;
    finish()?;
    set_host_name(orders)
}

/// Mounts the new root over a folder that is kept empty for it, and goes there.
fn begin(data: &DataFolder) -> Result<(), InsideError> {
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(InsideError::at("make the mounts private"))?;
    let place = data.new_root();
    rustix::mount::mount("tmpfs", &place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, ROOT_OPTIONS)
        .map_err(InsideError::at("mount a new root"))?;
    rustix::process::chdir(&place).map_err(InsideError::at("enter the new root"))?;
    // Modes below are meant as written.
    rustix::process::umask(Mode::empty());
    Ok(())
}

fn bind_usr() -> Result<(), InsideError> {
    make_folder("usr")?;
    mounts::bind(Path::new("/usr"), "usr", Access::ReadOnly)?;
    for name in USR_NAMES {
        let host = Path::new("/").join(name);
        if let Ok(target) = std::fs::read_link(&host) {
            rustix::fs::symlinkat(&target, CWD, name).map_err(InsideError::at("link a name of /usr"))?;
        } else if host.is_dir() {
            make_folder(name)?;
            mounts::bind(&host, name, Access::ReadOnly)?;
        }
    }
    Ok(())
}

/// What lies at `/app`, and for a build at `/src` and `/cache`. Folders of the server's uid are opened without following links.
fn bind_app(orders: &Orders, data: &DataFolder) -> Result<(), InsideError> {
    make_folder("app")?;
    match &orders.spec.kind {
        Kind::Process { slug, .. } => bind_in(data, &data.slug_tree(slug), "app", Access::ReadOnly),
        Kind::Build { build } => {
            bind_in(data, &data.build_work(*build), "app", Access::ReadWrite)?;
            make_folder("src")?;
            bind_in(data, &data.build_source(*build), "src", Access::ReadOnly)?;
            make_folder("cache")?;
            bind_in(data, &data.cache(orders.spec.app), "cache", Access::ReadWrite)
        }
    }
}

fn bind_in(data: &DataFolder, source: &Path, target: &str, access: Access) -> Result<(), InsideError> {
    let name =
        source.strip_prefix(data.root()).map_err(InsideError::at("name a folder of the data folder"))?;
    mounts::bind_beneath(data.root(), name, target, access)
}

fn bind_helper(helper: OurBinary, data: &DataFolder) -> Result<(), InsideError> {
    let tree = match helper {
        OurBinary::Absent => return Ok(()),
        OurBinary::Detached(tree) => tree,
        OurBinary::ByName => our_binary_inside(data)?,
    };
    make_folder(".dozen")?;
    make_file(".dozen/dozen", b"")?;
    mounts::attach(&tree, ".dozen/dozen", Access::ReadOnly)
}

/// Builds fetch packages, from mirrors of the house as well: they trust whom this machine trusts.
fn bind_certificates(orders: &Orders) -> Result<(), InsideError> {
    match (&orders.spec.kind, orders.spec.helper, &orders.certificates) {
        (Kind::Build { .. }, Helper::Bound, Some(bundle)) => {
            let target = CERTIFICATES_PATH.trim_start_matches('/');
            make_file(target, b"")?;
            mounts::bind(bundle, target, Access::ReadOnly)
        }
        (Kind::Build { .. } | Kind::Process { .. }, Helper::Bound | Helper::Absent, _) => Ok(()),
    }
}

fn make_tmp(orders: &Orders) -> Result<(), InsideError> {
    make_folder("tmp")?;
    let options = memory_options(orders, "/tmp")?;
    rustix::mount::mount("tmpfs", "tmp", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())
        .map_err(InsideError::at("mount /tmp"))
}

/// Options of a file system in memory that the app may fill: beyond its room, and beyond the files that fit such room, nothing can
/// be made in it.
pub fn memory_options(orders: &Orders, of: &str) -> Result<CString, InsideError> {
    let bytes = orders.spec.limits.tmp_bytes();
    let files = bytes / BYTES_PER_FILE;
    CString::new(format!("mode=1777,size={bytes},nr_inodes={files}"))
        .map_err(|error| InsideError::new(format!("write the options of {of}"), error))
}

/// Names that programs expect to exist.
fn make_small_folders() -> Result<(), InsideError> {
    for name in ["home", "root", "run", "var", "var/lib", "var/log", "var/cache"] {
        make_folder(name)?;
    }
    for (name, target) in [("var/tmp", "/tmp"), ("var/run", "/run")] {
        rustix::fs::symlinkat(target, CWD, name).map_err(InsideError::at("link a folder of /var"))?;
    }
    Ok(())
}

/// Makes the new root the root, and the host's root unreachable.
fn finish() -> Result<(), InsideError> {
    mounts::freeze_current().map_err(InsideError::at("make the root read-only"))?;
    // Both names the same: the old root ends up mounted over the new one and is detached from there.
    rustix::process::pivot_root(".", ".").map_err(InsideError::at("change the root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(InsideError::at("detach the host's root"))?;
    rustix::process::chdir("/").map_err(InsideError::at("enter the root"))
}

fn set_host_name(orders: &Orders) -> Result<(), InsideError> {
    if orders.without.contains(Layer::UtsNamespace) {
        return Ok(());
    }
    rustix::system::sethostname(host_name(&orders.spec.display_name).as_bytes())
        .map_err(InsideError::at("set the host name"))
}

/// `web.1` as a host name: `web-1`, at most a DNS label long.
pub fn host_name(display_name: &str) -> String {
    let label = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    display_name.chars().map(label).take(63).collect()
}

pub fn make_folder(name: &str) -> Result<(), InsideError> {
    rustix::fs::mkdirat(CWD, name, Mode::from_raw_mode(0o755))
        .map_err(|errno| InsideError::new(format!("make the folder /{name}"), errno))
}

/// A small file that everybody may read.
pub fn make_file(name: &str, content: &[u8]) -> Result<(), InsideError> {
    use rustix::fs::OFlags;
    let failed = |errno: rustix::io::Errno| InsideError::new(format!("make the file /{name}"), errno);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::open(name, flags, Mode::from_raw_mode(0o644)).map_err(failed)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).map_err(failed)?;
        rest = &rest[written..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_become_host_names() {
        for (display, host) in [("web.1", "web-1"), ("run.4821", "run-4821"), ("Clock_x.2", "clock-x-2")] {
            assert_eq!(host_name(display), host);
        }
        assert_eq!(host_name(&"x".repeat(200)).len(), 63);
    }
}
