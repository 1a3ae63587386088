//! What nobody uses any more: slugs of no release; logs, repositories, builds' folders and caches, installed dependencies of apps
//! that are gone.
//!
//! Looked for at the start and every hour, by what is there and what the ledger speaks of, so that nothing is forgotten by a
//! server that died in between. What cannot be removed now is told and tried again.

use super::super::settings::Settings;
use ::logs::Hub;
use blobs::{LayerStore, SlugStore};
use domain::cause::chain;
use domain::ids::AppId;
use engine::Engine;
use engine::ports::Repositories;
use sandbox::client::Launcher;
use server::git::GitRepositories;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Time between two collections.
pub const EVERY: Duration = Duration::from_secs(60 * 60);
/// A slug is left alone for this long after it was made: its release may be on its way.
const SLUG_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that is collected from.
pub struct Garbage {
    pub settings: Settings,
    pub incarnation: u64,
    pub engine: Engine,
    pub hub: Arc<Hub>,
    pub repositories: GitRepositories,
    pub slugs: Arc<SlugStore>,
    pub layers: LayerStore,
}

impl Garbage {
    /// One collection. Blocks: it deletes trees.
    pub fn collect(&self) {
        for (what, outcome) in [
            ("slugs", self.slugs()),
            ("logs", self.logs()),
            ("repositories", self.repositories()),
            ("build caches", self.caches()),
            ("dependency layers", self.layers()),
            ("build folders", engine::builds::remove_strays(&self.engine).map_err(Into::into)),
        ] {
            match outcome {
                Ok(0) => {}
                Ok(removed) => tracing::info!(what, removed, "removed what nobody uses any more"),
                Err(error) => tracing::warn!(what, error = chain(&*error), "not all garbage was removed"),
            }
        }
    }

    fn slugs(&self) -> Result<usize, Box<dyn Error>> {
        let found = self.slugs.list()?;
        let in_use = self.engine.in_use()?.slugs;
        let unused = found.into_iter().filter(|slug| !in_use.contains(slug));
        Ok(self.slugs.gc(unused, SLUG_GRACE, SystemTime::now())?.len())
    }

    fn logs(&self) -> Result<usize, Box<dyn Error>> {
        self.of_gone_apps(self.hub.apps(), |app| {
            self.hub.delete_app(app);
            Ok(())
        })
    }

    fn repositories(&self) -> Result<usize, Box<dyn Error>> {
        self.of_gone_apps(self.repositories.apps()?, |app| Ok(self.repositories.remove(app)?))
    }

    fn caches(&self) -> Result<usize, Box<dyn Error>> {
        let found = named_by_apps(&self.settings.data.caches())?;
        if found.is_empty() {
            return Ok(0);
        }
        let mut launcher = Launcher::connect(&self.settings.data.launcher_socket())?;
        launcher.hello(self.incarnation)?;
        self.of_gone_apps(found, |app| Ok(launcher.remove_cache(app)?))
    }

    fn layers(&self) -> Result<usize, Box<dyn Error>> {
        self.of_gone_apps(self.layers.apps()?, |app| Ok(self.layers.remove(app)?))
    }

    /// `found` was listed before the ledger is asked: an app that is made in between is not among them.
    fn of_gone_apps(
        &self,
        found: impl IntoIterator<Item = AppId>,
        mut remove: impl FnMut(AppId) -> Result<(), Box<dyn Error>>,
    ) -> Result<usize, Box<dyn Error>> {
        let found: Vec<_> = found.into_iter().collect();
        let living = self.engine.in_use()?.apps;
        let gone: Vec<_> = found.into_iter().filter(|app| !living.contains(app)).collect();
        gone.iter().try_for_each(|app| remove(*app))?;
        Ok(gone.len())
    }
}

fn named_by_apps(folder: &Path) -> std::io::Result<Vec<AppId>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>()?;
    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
}
