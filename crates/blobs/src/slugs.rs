//! Slugs on disk: `SLUGS/<64 hex>/{config.json,tree/...}`.
//!
//! A slug is filled in a staging folder, hashed, made durable and published by one rename, so that a name is either absent or a
//! whole slug. Publishing what is already there keeps the old one. Removal renames away first, for the same reason. Everything
//! published is readable by all: processes of every uid have it mounted at `/app`.
//!
//! One server owns the folder. Must not decide what is kept: [`SlugStore::gc`] is told.

mod error;
pub(crate) mod sync;

pub use error::SlugError;

use crate::config::{self, SlugConfig, SlugMeta};
use crate::digest::Digester;
use crate::tree::{self, SourceTree};
use domain::names::SlugId;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, mkdirat};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

const CONFIG: &str = "config.json";
const TREE: &str = "tree";
/// Folders of slugs that are being filled or removed begin with these; no digest does.
const STAGE_PREFIX: &str = ".stage-";
const TRASH_PREFIX: &str = ".trash-";
const HEX_DIGITS: usize = 64;

/// The folder of slugs.
#[derive(Debug)]
pub struct SlugStore {
    path: PathBuf,
    folder: OwnedFd,
    counter: AtomicU64,
    /// Held while a slug appears or disappears, so that collection never removes what is being published anew.
    change: Mutex<()>,
}

/// A slug that is being filled. Dropped without being published, it is removed.
#[derive(Debug)]
pub struct StagedSlug {
    parent: OwnedFd,
    path: PathBuf,
    name: String,
    tree: OwnedFd,
}

/// What publishing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub id: SlugId,
    pub files: u64,
    /// Sum of all files' contents.
    pub bytes: u64,
    pub outcome: Outcome,
}

/// Whether a slug is new to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    New,
    /// The same slug was there before.
    Unchanged,
}

impl SlugStore {
    /// Opens the folder, making it if need be.
    pub fn open(path: &Path) -> Result<Self, SlugError> {
        let failed = |source| SlugError::Store { path: path.to_owned(), source };
        match std::fs::create_dir(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let folder = tree::open_own_folder(path).map_err(failed)?;
        rustix::fs::fchmod(&folder, Mode::from_raw_mode(tree::MODE_EXECUTABLE))
            .map_err(|e| failed(e.into()))?;
        Ok(Self { path: path.to_owned(), folder, counter: AtomicU64::new(0), change: Mutex::new(()) })
    }

    /// Removes what a server that died left half-filled or half-removed. For the start of the one server.
    pub fn clean_leftovers(&self) -> Result<u64, SlugError> {
        let mut removed = 0;
        for name in self.names()? {
            if name.starts_with(STAGE_PREFIX) || name.starts_with(TRASH_PREFIX) {
                self.remove_folder(&name)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// An empty place to put a slug's files.
    pub fn stage(&self) -> Result<StagedSlug, SlugError> {
        let name = self.fresh_name(STAGE_PREFIX);
        let path = self.path.join(&name);
        let failed = |error: rustix::io::Errno| SlugError::Stage { path: path.clone(), source: error.into() };
        let mode = Mode::from_raw_mode(tree::MODE_EXECUTABLE);
        mkdirat(&self.folder, name.as_str(), mode).map_err(failed)?;
        let stage = open_folder(&self.folder, &name).map_err(failed)?;
        mkdirat(&stage, TREE, mode).map_err(failed)?;
        let tree = open_folder(&stage, TREE).map_err(failed)?;
        for folder in [&stage, &tree] {
            rustix::fs::fchmod(folder, mode).map_err(failed)?;
        }
        let parent = rustix::io::fcntl_dupfd_cloexec(&self.folder, 0).map_err(failed)?;
        Ok(StagedSlug { parent, path, name, tree })
    }

    /// Hashes a staged slug, makes it durable and gives it its name.
    pub fn publish(&self, staged: StagedSlug, meta: &SlugMeta) -> Result<Published, SlugError> {
        let failed = |source| SlugError::Stage { path: staged.path.clone(), source };
        let mut layer = Digester::default();
        let packed = tree::pack(staged.tree(), "app", &mut layer).map_err(SlugError::Pack)?;
        let config = SlugConfig::new(meta, layer.finish());
        let id = config.id();
        let bytes = config.to_bytes();
        if bytes.len() as u64 > config::MAX_BYTES {
            // It could be stored and never be read again.
            return Err(SlugError::ConfigTooLarge { bytes: bytes.len() as u64 });
        }
        let stage = open_folder(&self.folder, &staged.name).map_err(|error| failed(error.into()))?;
        write_config(&stage, &bytes).map_err(failed)?;
        sync::tree(&stage).map_err(failed)?;
        let outcome = self.name(&staged, &id)?;
        Ok(Published { id, files: packed.files, bytes: packed.bytes, outcome })
    }

    fn name(&self, staged: &StagedSlug, id: &SlugId) -> Result<Outcome, SlugError> {
        let failed = |source| SlugError::Publish { id: id.clone(), source };
        let _change = self.lock();
        match self.config(id) {
            Ok(_) => {
                // Collection counts its grace from the last publishing.
                sync::touch(&self.folder, &config_path(id)).map_err(failed)?;
                return Ok(Outcome::Unchanged);
            }
            Err(SlugError::Unknown { .. }) => {}
            Err(error) if error.is_damage() => self.discard(id).map_err(failed)?,
            // What cannot be read at this moment may be whole, and apps may run on it.
            Err(error) => return Err(error),
        }
        rustix::fs::renameat(&self.folder, staged.name.as_str(), &self.folder, id.hex())
            .map_err(|error| failed(error.into()))?;
        rustix::fs::fsync(&self.folder).map_err(|error| failed(error.into()))?;
        Ok(Outcome::New)
    }

    pub fn contains(&self, id: &SlugId) -> bool {
        self.config(id).is_ok()
    }

    /// A slug's configuration; its digest is checked against the name on every reading.
    pub fn config(&self, id: &SlugId) -> Result<SlugConfig, SlugError> {
        let failed = |source| SlugError::Read { id: id.clone(), source };
        let read = || -> Result<Option<Vec<u8>>, tree::ReadError> {
            let folder =
                SourceTree::of(rustix::io::fcntl_dupfd_cloexec(&self.folder, 0).map_err(|error| {
                    tree::ReadError::Io { path: id.hex().to_owned(), source: error.into() }
                })?);
            folder.read(&config_path(id), config::MAX_BYTES)
        };
        let bytes = read().map_err(failed)?.ok_or_else(|| SlugError::Unknown { id: id.clone() })?;
        SlugConfig::parse(&bytes, id).map_err(|source| SlugError::Config { id: id.clone(), source })
    }

    /// Where a slug's files are: what is bound at `/app`. Says nothing about whether it exists.
    pub fn tree_path(&self, id: &SlugId) -> PathBuf {
        self.path.join(id.hex()).join(TREE)
    }

    /// All published slugs, sorted.
    pub fn list(&self) -> Result<Vec<SlugId>, SlugError> {
        let is_slug = |name: &String| name.len() == HEX_DIGITS;
        let ids = self.names()?.into_iter().filter(is_slug);
        Ok(ids.filter_map(|name| format!("sha256:{name}").parse().ok()).collect())
    }

    /// Packs a slug's files anew and compares with what its configuration says: `doctor` asks this.
    pub fn verify(&self, id: &SlugId) -> Result<(), SlugError> {
        let config = self.config(id)?;
        let read_failed = |source| SlugError::Store { path: self.tree_path(id), source };
        let tree = tree::open_own_folder(&self.tree_path(id)).map_err(read_failed)?;
        let mut layer = Digester::default();
        tree::pack(tree.as_fd(), "app", &mut layer).map_err(SlugError::Pack)?;
        if config.diff_ids() == [layer.finish()] {
            Ok(())
        } else {
            Err(SlugError::Changed { id: id.clone() })
        }
    }

    /// Removes one slug. None of that name is success.
    pub fn remove(&self, id: &SlugId) -> Result<(), SlugError> {
        let _change = self.lock();
        self.discard(id).map_err(|source| SlugError::Remove { id: id.clone(), source })
    }

    /// Removes those of the slugs that were last published at least `grace` before `now`. Says which. List slugs before asking
    /// what is in use: what is published and released in between is not among them.
    pub fn gc(
        &self,
        unused: impl IntoIterator<Item = SlugId>,
        grace: Duration,
        now: SystemTime,
    ) -> Result<Vec<SlugId>, SlugError> {
        let mut removed = Vec::new();
        for id in unused {
            let _change = self.lock();
            if self.is_older(&id, grace, now) {
                self.discard(&id).map_err(|source| SlugError::Remove { id: id.clone(), source })?;
                removed.push(id);
            }
        }
        Ok(removed)
    }

    fn is_older(&self, id: &SlugId, grace: Duration, now: SystemTime) -> bool {
        let published = std::fs::symlink_metadata(self.path.join(config_path(id))).and_then(|m| m.modified());
        // A configuration that cannot be read belongs to no slug that anybody could use.
        published.map_or(true, |published| now.duration_since(published).is_ok_and(|age| age >= grace))
    }

    fn discard(&self, id: &SlugId) -> std::io::Result<()> {
        let trash = self.fresh_name(TRASH_PREFIX);
        match rustix::fs::renameat(&self.folder, id.hex(), &self.folder, trash.as_str()) {
            Ok(()) => tree::remove_tree(&self.folder, &trash),
            Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn remove_folder(&self, name: &str) -> Result<(), SlugError> {
        let failed = |source| SlugError::Store { path: self.path.join(name), source };
        tree::remove_tree(&self.folder, name).map_err(failed)
    }

    fn names(&self) -> Result<Vec<String>, SlugError> {
        let failed = |source| SlugError::Store { path: self.path.clone(), source };
        let names = tree::sorted_names(&self.folder).map_err(failed)?;
        Ok(names.into_iter().filter_map(|(name, _)| String::from_utf8(name).ok()).collect())
    }

    fn fresh_name(&self, prefix: &str) -> String {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        format!("{prefix}{}-{number}", std::process::id())
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards a sequence of renames, not a value: a panic in between leaves nothing to be mended here.
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StagedSlug {
    /// The folder to be filled: give it to [`crate::tree::extract()`].
    pub fn tree(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }

    /// Takes a whole extracted tree in place of the empty one, by renaming it: nothing is copied, and `source` is gone
    /// afterwards. It must be on the same file system, made by [`crate::tree::extract()`], and nobody else's to write.
    pub fn adopt(&mut self, source: &Path) -> Result<(), SlugError> {
        let failed = |source| SlugError::Stage { path: self.path.clone(), source };
        let adopted = tree::open_own_folder(source).map_err(failed)?;
        let mode = Mode::from_raw_mode(tree::MODE_EXECUTABLE);
        rustix::fs::fchmod(&adopted, mode).map_err(|error| failed(error.into()))?;
        // Renaming a folder over an empty one replaces it; over a filled one it fails.
        std::fs::rename(source, self.tree_path()).map_err(failed)?;
        self.tree = adopted;
        Ok(())
    }

    /// Moves the tree of another staged slug to `name` of this one's top folder, in place of what is there.
    pub fn put(&self, name: &str, other: StagedSlug) -> Result<(), SlugError> {
        let failed = |source| SlugError::Stage { path: self.path.clone(), source };
        tree::remove_tree(&self.tree, name).map_err(failed)?;
        std::fs::rename(other.tree_path(), self.tree_path().join(name)).map_err(failed)
    }

    pub fn tree_path(&self) -> PathBuf {
        self.path.join(TREE)
    }
}

impl Drop for StagedSlug {
    fn drop(&mut self) {
        // After publishing nothing has this name; else what stays is removed at the next start.
        let _ = tree::remove_tree(&self.parent, &self.name);
    }
}

fn config_path(id: &SlugId) -> String {
    format!("{}/{CONFIG}", id.hex())
}

fn open_folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, rustix::io::Errno> {
    tree::open_folder_beneath(parent, name.as_bytes())
}

fn write_config(stage: &OwnedFd, bytes: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut file = File::from(rustix::fs::openat(stage, CONFIG, flags, Mode::from_raw_mode(0o600))?);
    file.write_all(bytes)?;
    Ok(rustix::fs::fchmod(&file, Mode::from_raw_mode(tree::MODE_PLAIN))?)
}

#[cfg(test)]
mod tests;
