//! Installed dependencies on disk: `LAYERS/<app>/<64 hex>/...`, each under the digest of everything that it was made from.
//!
//! A layer is filled as a staged slug is, made durable and published by one rename. Slugs share its files by second names, so a
//! layer may go at any time. Layers of one app are never given to another: they were made by that app's own build.

use crate::digest::Digest;
use crate::slugs::{StagedSlug, sync};
use crate::tree::{open_own_folder, remove_tree, sorted_names};
use domain::ids::AppId;
use rustix::fd::OwnedFd;
use std::fs::{DirBuilder, FileTimes};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Only the server looks in here; apps see slugs.
const MODE: u32 = 0o700;

/// The folder of layers.
#[derive(Debug, Clone)]
pub struct LayerStore {
    path: PathBuf,
}

/// What a layer was made from, as a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerKey(Digest);

impl LayerKey {
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        self.0.as_str().trim_start_matches("sha256:")
    }
}

/// A failed operation on an app's layers.
#[derive(Debug, thiserror::Error)]
#[error("the dependencies of app {app} in \"{path}\" could not be {operation}")]
pub struct LayerError {
    app: AppId,
    path: PathBuf,
    operation: &'static str,
    source: io::Error,
}

impl LayerStore {
    /// The folder is made when the first layer is.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn folder(&self, app: AppId) -> PathBuf {
        self.path.join(app.to_string())
    }

    fn error(&self, app: AppId, operation: &'static str) -> impl Fn(io::Error) -> LayerError {
        let path = self.folder(app);
        move |source| LayerError { app, path: path.clone(), operation, source }
    }

    /// A layer, open to be shared; `None` if it has to be made. Counts as its latest use.
    pub fn find(&self, app: AppId, key: &LayerKey) -> Result<Option<OwnedFd>, LayerError> {
        match open_own_folder(&self.folder(app).join(key.hex())) {
            Ok(folder) => {
                touch(&folder).map_err(self.error(app, "read"))?;
                Ok(Some(folder))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.error(app, "read")(error)),
        }
    }

    /// Takes what was staged, under its key. What had that key goes.
    pub fn publish(&self, app: AppId, key: &LayerKey, staged: StagedSlug) -> Result<OwnedFd, LayerError> {
        let failed = self.error(app, "stored");
        let folder = self.folder(app);
        DirBuilder::new().recursive(true).mode(MODE).create(&folder).map_err(&failed)?;
        let tree = open_own_folder(&staged.tree_path()).map_err(&failed)?;
        sync::tree(&tree).map_err(&failed)?;
        let parent = open_own_folder(&folder).map_err(&failed)?;
        remove_tree(&parent, key.hex()).map_err(&failed)?;
        std::fs::rename(staged.tree_path(), folder.join(key.hex())).map_err(&failed)?;
        rustix::fs::fsync(&parent).map_err(|error| failed(error.into()))?;
        touch(&tree).map_err(&failed)?;
        Ok(tree)
    }

    /// Removes all but the `keep` layers that were used last. Says how many went.
    pub fn prune(&self, app: AppId, keep: usize) -> Result<usize, LayerError> {
        let failed = self.error(app, "removed");
        let mut layers = match list(&self.folder(app)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            listed => listed.map_err(&failed)?,
        };
        layers.sort_by(|a, b| b.cmp(a));
        let old: Vec<_> = layers.into_iter().skip(keep).collect();
        let parent = open_own_folder(&self.folder(app)).map_err(&failed)?;
        for (_, name) in &old {
            remove_tree(&parent, name).map_err(&failed)?;
        }
        Ok(old.len())
    }

    /// Apps that have any, living or not.
    pub fn apps(&self) -> io::Result<Vec<AppId>> {
        let names = match open_own_folder(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            opened => sorted_names(opened?)?,
        };
        Ok(names.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok()?.parse().ok()).collect())
    }

    /// Removes everything of an app. Nothing there is success.
    pub fn remove(&self, app: AppId) -> Result<(), LayerError> {
        match open_own_folder(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            opened => opened
                .and_then(|parent| remove_tree(&parent, &app.to_string()))
                .map_err(self.error(app, "removed")),
        }
    }
}

/// Layers with the time of their last use.
fn list(folder: &Path) -> io::Result<Vec<(SystemTime, String)>> {
    let names = sorted_names(open_own_folder(folder)?)?;
    let names = names.into_iter().filter_map(|(name, _)| String::from_utf8(name).ok());
    names.map(|name| Ok((std::fs::symlink_metadata(folder.join(&name))?.modified()?, name))).collect()
}

fn touch(folder: &OwnedFd) -> io::Result<()> {
    let file = std::fs::File::from(folder.try_clone()?);
    file.set_times(FileTimes::new().set_modified(SystemTime::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SlugStore;

    fn key(text: &str) -> LayerKey {
        LayerKey::new(Digest::of(text.as_bytes()))
    }

    #[test]
    fn layers_are_kept_by_key_app_and_use() {
        let place = tempfile::tempdir().expect("a folder");
        let slugs = SlugStore::open(&place.path().join("slugs")).expect("opens");
        let layers = LayerStore::new(place.path().join("layers"));
        let (app, other) = (AppId::from_u128(1), AppId::from_u128(2));
        assert!(layers.find(app, &key("a")).expect("looks").is_none());
        assert_eq!(layers.prune(app, 1).expect("prunes"), 0);
        assert_eq!(layers.apps().expect("lists"), []);
        for name in ["a", "b", "c"] {
            let staged = slugs.stage().expect("stages");
            std::fs::write(staged.tree_path().join("file"), name).expect("written");
            layers.publish(app, &key(name), staged).expect("published");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(layers.find(app, &key("a")).expect("looks").is_some(), "used last from now on");
        assert!(layers.find(other, &key("a")).expect("looks").is_none());
        assert_eq!(layers.prune(app, 2).expect("prunes"), 1);
        let is_there = |name| layers.find(app, &key(name)).expect("looks").is_some();
        assert_eq!(["a", "b", "c"].map(is_there), [true, false, true]);
        std::fs::create_dir(place.path().join("layers").join(other.to_string())).expect("made");
        std::fs::create_dir(place.path().join("layers/of-nobody")).expect("made");
        assert_eq!(layers.apps().expect("lists"), [app, other]);
        layers.remove(app).expect("removed");
        layers.remove(app).expect("again");
        assert_eq!(layers.apps().expect("lists"), [other]);
        assert!(layers.find(app, &key("a")).expect("looks").is_none());
    }
}
