//! Which folders have changed, by inotify(7).

use crate::index::IndexError;
use domain::ids::WriterId;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Events read with one call.
const BUFFER_BYTES: usize = 16 * 1024;

/// What has changed since the last question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changes {
    Writers(BTreeSet<WriterId>),
    /// Folders came or went, besides.
    Folders(BTreeSet<WriterId>),
    /// Events were lost: anything may have changed.
    Unknown,
}

/// Watches the root and the folders of writers.
#[derive(Debug)]
pub(super) struct Watcher {
    inotify: OwnedFd,
    root: i32,
    by_watch: BTreeMap<i32, WriterId>,
    watched: BTreeMap<WriterId, i32>,
}

impl Watcher {
    pub fn open(root: &Path) -> Result<Self, IndexError> {
        let failed = |source| IndexError::Watch { path: root.to_owned(), source };
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).map_err(failed)?;
        let moves = WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM;
        let flags = WatchFlags::CREATE | WatchFlags::DELETE | moves | WatchFlags::ONLYDIR;
        let root = inotify::add_watch(&inotify, root, flags).map_err(failed)?;
        Ok(Self { inotify, root, by_watch: BTreeMap::new(), watched: BTreeMap::new() })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    pub fn watches(&self, writer: WriterId) -> bool {
        self.watched.contains_key(&writer)
    }

    /// Watches a writer's folder, if that can be done.
    pub fn watch(&mut self, writer: WriterId, folder: &Path) {
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        if let Ok(watch) = inotify::add_watch(&self.inotify, folder, flags) {
            self.by_watch.insert(watch, writer);
            self.watched.insert(writer, watch);
        }
    }

    pub fn forget(&mut self, writer: WriterId) {
        if let Some(watch) = self.watched.remove(&writer) {
            self.by_watch.remove(&watch);
            // The kernel has removed it already if the folder is gone.
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
    }

    /// The kernel has ended a watch because its folder is gone; should there be one of that name again, it wants a new watch.
    fn watch_ended(&mut self, watch: i32) {
        if let Some(writer) = self.by_watch.remove(&watch) {
            self.watched.remove(&writer);
        }
    }

    /// Everything since the last call, without waiting.
    pub fn changes(&mut self) -> Changes {
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let (mut writers, mut folders, mut overflow) = (BTreeSet::new(), false, false);
        let mut ended = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    overflow |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                    folders |= event.wd() == self.root;
                    writers.extend(self.by_watch.get(&event.wd()));
                    if event.events().contains(ReadFlags::IGNORED) {
                        ended.push(event.wd());
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => break,
                Err(_) => return Changes::Unknown,
            }
        }
        for watch in ended {
            self.watch_ended(watch);
        }
        match (overflow, folders) {
            (true, _) => Changes::Unknown,
            (false, true) => Changes::Folders(writers),
            (false, false) => Changes::Writers(writers),
        }
    }
}
