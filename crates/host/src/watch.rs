//! Rings when run folders or routers may have changed. A ring carries no data; a missed one costs time until the next look, never
//! correctness.

use engine::ports::Bell;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A folder's own entries appear and vanish.
const PARENT: WatchFlags = WatchFlags::CREATE.union(WatchFlags::MOVED_TO).union(WatchFlags::DELETE);
/// A fact was renamed into place, or a shim's lock was closed with it.
const CHILD: WatchFlags = WatchFlags::MOVED_TO.union(WatchFlags::CLOSE_WRITE);

/// Watches the folders, and the folders in them, until the process ends.
pub(crate) fn ring_on_change(parents: Vec<PathBuf>, bell: Bell) {
    let started = std::thread::Builder::new().name("watch".into()).spawn(move || {
        if let Err(error) = watch(&parents, &bell) {
            tracing::warn!(error = %error, "cannot watch run folders; changes are seen at the next regular look");
        }
    });
    if let Err(error) = started {
        tracing::warn!(error = %error, "cannot start the watch thread");
    }
}

fn watch(parents: &[PathBuf], bell: &Bell) -> Result<(), Errno> {
    let fd = inotify::init(CreateFlags::CLOEXEC)?;
    let mut watched: BTreeMap<i32, PathBuf> = BTreeMap::new();
    for parent in parents {
        watched.insert(inotify::add_watch(&fd, parent, PARENT)?, parent.clone());
        add_children(&fd, parent);
    }
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut reader = inotify::Reader::new(&fd, &mut buffer);
    loop {
        let event = reader.next()?;
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            parents.iter().for_each(|parent| add_children(&fd, parent));
        }
        let appeared = event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let name = event.file_name().and_then(|name| name.to_str().ok());
        if let (true, Some(parent), Some(name)) = (appeared, watched.get(&event.wd()), name) {
            add_child(&fd, &parent.join(name));
        }
        bell.ring();
    }
}

fn add_children(fd: &OwnedFd, parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries.for_each(|entry| add_child(fd, &entry.path()));
}

/// A child that has vanished in the meantime needs no watch.
fn add_child(fd: &OwnedFd, child: &Path) {
    if child.is_dir() {
        let _vanished = inotify::add_watch(fd, child, CHILD);
    }
}
