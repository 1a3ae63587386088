//! Tells when the route table's file may have changed: an inotify watch on its folder. A hint only; the supervisor also looks every few
//! seconds, so a lost event costs a moment and never correctness.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// Room for some tens of events; more are read in the next round.
const EVENT_BYTES: usize = 4096;

/// A watched folder.
#[derive(Debug)]
pub(crate) struct FolderWatch {
    events: OwnedFd,
}

/// What happens in it, as seen by a runtime.
#[derive(Debug)]
pub(crate) struct FolderEvents {
    events: AsyncFd<OwnedFd>,
}

impl FolderWatch {
    /// Watches for files that are renamed into `folder` or written there.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&events, folder, WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE)?;
        Ok(Self { events })
    }

    /// To be called in a runtime. What happened since the watch began is not lost.
    pub(crate) fn listen(self) -> io::Result<FolderEvents> {
        #[expect(
            deprecated,
            reason = "its successor is an unsafe function; an owned descriptor meets what it asks"
        )]
        Ok(FolderEvents { events: AsyncFd::new(self.events)? })
    }
}

impl FolderEvents {
    /// Returns when something happened. Safe to drop in the middle.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        let mut guard = self.events.readable().await?;
        let mut buffer = [const { MaybeUninit::<u8>::uninit() }; EVENT_BYTES];
        loop {
            match rustix::io::read(self.events.get_ref(), &mut buffer) {
                Ok(_) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => break,
                Err(error) => return Err(error.into()),
            }
        }
        guard.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_renamed_file_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let watch = FolderWatch::new(dir.path()).and_then(FolderWatch::listen).expect("a watch");
        for round in 0..3 {
            let quiet = tokio::time::timeout(Duration::from_millis(20), watch.changed()).await;
            assert!(quiet.is_err(), "nothing happened, round {round}");
            std::fs::write(dir.path().join("next"), "x").expect("written");
            std::fs::rename(dir.path().join("next"), dir.path().join("table.json")).expect("renamed");
            let seen = tokio::time::timeout(Duration::from_secs(10), watch.changed()).await;
            seen.expect("noticed").expect("no error");
        }
    }
}
