//! What lies in the folder of logs: per writer its segments, per segment from when to when and of which apps.
//!
//! Kept up to date by reading what writers append. Of a sealed segment only a few numbers are kept, since its seal holds the rest; of
//! one still open also its marks. So memory is bounded by the number of segments (about 100 bytes for 4 MB of log), not of lines.
//!
//! The index never deletes (see [`crate::retention`]) and never looks at what a line says.

mod segments;
mod watcher;

pub(crate) use segments::{Candidate, SegmentFacts, SegmentState, seal_marks};
use segments::{Follower, Touched};
use watcher::{Changes, Watcher};

use crate::cursor::Cursor;
use domain::ids::{AppId, WriterId};
use journal::{FolderError, Position, ReadError};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// What a hub could not do with its folder.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("cannot list the folder of logs {}", path.display())]
    List { path: PathBuf, source: std::io::Error },
    #[error("cannot watch the folder of logs {}", path.display())]
    Watch { path: PathBuf, source: Errno },
}

/// Damage met while reading, since the hub was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Frames missing by their sequence numbers.
    pub lost_frames: u64,
    pub damaged_bytes: u64,
    pub unreadable_segments: u64,
}

/// All writers and their segments.
#[derive(Debug)]
pub(crate) struct Index {
    root: PathBuf,
    watcher: Watcher,
    writers: BTreeMap<WriterId, Follower>,
    loaded: Loaded,
    damage: Damage,
    /// What was found new and not taken yet.
    news: BTreeMap<WriterId, Touched>,
}

/// Whether the folder was listed yet. The first listing reads every unsealed segment, so it is left to the first who needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loaded {
    NotYet,
    Yes,
}

/// A writer that has new lines, and of which apps.
#[derive(Debug)]
pub(crate) struct News {
    pub writer: WriterId,
    touched: Touched,
}

impl News {
    pub fn concerns(&self, app: AppId) -> bool {
        self.touched.may_hold(app)
    }
}

impl Index {
    pub fn open(root: &Path) -> Result<Self, IndexError> {
        Ok(Self {
            root: root.to_owned(),
            watcher: Watcher::open(root)?,
            writers: BTreeMap::new(),
            loaded: Loaded::NotYet,
            damage: Damage::default(),
            news: BTreeMap::new(),
        })
    }

    /// Readable when something may have changed.
    pub fn watch_fd(&self) -> BorrowedFd<'_> {
        self.watcher.fd()
    }

    pub fn folder_of(&self, writer: WriterId) -> PathBuf {
        self.root.join(writer.to_string())
    }

    /// Takes in everything that was flushed before this call.
    pub fn refresh(&mut self) {
        let changes = match self.loaded {
            Loaded::NotYet => Changes::Unknown,
            Loaded::Yes => self.watcher.changes(),
        };
        let mut changed = match changes {
            Changes::Writers(changed) => changed,
            Changes::Folders(mut changed) => {
                changed.extend(self.list());
                changed
            }
            Changes::Unknown => {
                self.list();
                self.writers.keys().copied().collect()
            }
        };
        self.loaded = Loaded::Yes;
        changed.extend(self.watch_more());
        for writer in changed {
            self.follow(writer);
        }
    }

    /// The writers that had something new since the last call.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news).into_iter().map(|(writer, touched)| News { writer, touched }).collect()
    }

    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Adds the folders that are not known yet and forgets those that are gone; gives the new ones.
    fn list(&mut self) -> BTreeSet<WriterId> {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot list the folder of logs");
                return BTreeSet::new();
            }
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let found: BTreeSet<WriterId> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
        let known: BTreeSet<WriterId> = self.writers.keys().copied().collect();
        for gone in known.difference(&found) {
            self.forget(*gone);
        }
        let new: BTreeSet<WriterId> = found.difference(&known).copied().collect();
        for writer in &new {
            self.writers.insert(*writer, Follower::new(self.folder_of(*writer), *writer));
        }
        new
    }

    /// Watches the folders that are not watched yet. One that cannot be (it is being made, or there are too many) is looked at on
    /// every refresh instead.
    fn watch_more(&mut self) -> BTreeSet<WriterId> {
        let unwatched = self.writers.keys().filter(|writer| !self.watcher.watches(**writer)).copied();
        let unwatched: BTreeSet<_> = unwatched.collect();
        for writer in &unwatched {
            self.watcher.watch(*writer, &self.root.join(writer.to_string()));
        }
        unwatched
    }

    fn follow(&mut self, writer: WriterId) {
        let Some(follower) = self.writers.get_mut(&writer) else { return };
        let mut touched = Touched::default();
        let outcome = follower.read_on(&mut self.damage, &mut touched);
        if touched.any() {
            self.news.entry(writer).or_default().merge(touched);
        }
        match outcome {
            Ok(()) => {}
            Err(ReadError::Folder(FolderError::Open { source: Errno::NOENT, .. })) => self.forget(writer),
            Err(error) => {
                tracing::warn!(%writer, error = &error as &dyn std::error::Error, "cannot read a writer's log");
            }
        }
    }

    /// The writer's folder is gone.
    pub fn forget(&mut self, writer: WriterId) {
        self.writers.remove(&writer);
        self.watcher.forget(writer);
    }

    pub fn forget_segment(&mut self, writer: WriterId, number: u64) {
        if let Some(follower) = self.writers.get_mut(&writer) {
            follower.forget_segment(number);
        }
    }

    /// Forgets segments that their writers have deleted.
    pub fn drop_vanished_segments(&mut self) {
        for follower in self.writers.values_mut() {
            follower.drop_vanished_segments();
        }
    }

    pub fn segments_of(&self, writer: WriterId) -> &[SegmentFacts] {
        self.writers.get(&writer).map_or(&[], Follower::segments)
    }

    /// Segments that may hold lines of `app`, the one with the latest lines first.
    pub fn candidates(&self, app: AppId) -> Vec<Candidate> {
        let mut candidates: Vec<_> =
            self.writers.iter().flat_map(|(writer, follower)| follower.candidates(*writer, app)).collect();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.last_order));
        candidates
    }

    /// Writers that may have lines of `app` after `cursor`.
    pub fn writers_after(&self, app: AppId, cursor: &Cursor) -> Vec<WriterId> {
        let wanted =
            |(writer, follower): &(&WriterId, &Follower)| follower.may_hold_after(**writer, app, cursor);
        self.writers.iter().filter(wanted).map(|(writer, _)| *writer).collect()
    }

    /// Where to begin reading a writer's lines after `cursor`, with the order time reached there.
    pub fn start_of(&self, writer: WriterId, cursor: &Cursor) -> Option<(Position, u64)> {
        self.writers.get(&writer).map(|follower| follower.start_after(writer, cursor))
    }

    /// Every writer with its segments, oldest first.
    pub fn writers(&self) -> impl Iterator<Item = (WriterId, &[SegmentFacts])> {
        self.writers.iter().map(|(writer, follower)| (*writer, follower.segments()))
    }

    pub fn damage(&self) -> Damage {
        self.damage
    }
}

#[cfg(test)]
#[path = "../index_tests.rs"]
mod tests;
