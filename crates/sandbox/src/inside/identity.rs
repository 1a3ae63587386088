//! Who one is in a user namespace of one's own: the same user and group as outside, and nobody else. Every other user of the host
//! appears as nobody, and nothing can be given to them.

use super::InsideError;
use crate::probe::Privilege;
use crate::shim::orders::Orders;
use rustix::fs::{Mode, OFlags};

/// Writes the maps. Until then no file can be made and no file system be mounted; as root there is no such namespace.
pub fn take(orders: &Orders) -> Result<(), InsideError> {
    match orders.privilege {
        Privilege::Root => Ok(()),
        Privilege::OrdinaryUser => {
            // Without this the kernel lets nobody but root map a group.
            write("setgroups", "deny")?;
            write("gid_map", &line(orders.app.gid))?;
            write("uid_map", &line(orders.app.uid))
        }
    }
}

/// Inside, outside, how many.
fn line(id: u32) -> String {
    format!("{id} {id} 1")
}

/// In one call, as these files want it.
fn write(name: &str, text: &str) -> Result<(), InsideError> {
    let path = format!("/proc/self/{name}");
    let file = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    file.and_then(|file| rustix::io::write(&file, text.as_bytes()))
        .map(drop)
        .map_err(|errno| InsideError::new(format!("write {path}"), errno))
}
