//! Where everything that the sandbox touches lies in the data folder. Names are made of ids only, so that no name can lead
//! elsewhere.

use domain::ids::{AppId, BuildId, ProcessId, WriterId};
use domain::names::SlugId;
use std::path::{Path, PathBuf};

/// The data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolder {
    root: PathBuf,
}

impl DataFolder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Our own program where every user of ours may execute it, copied at the launcher's start.
    pub fn program(&self) -> PathBuf {
        self.root.join("bin/dozen")
    }

    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// The parent of all run folders.
    pub fn processes(&self) -> PathBuf {
        self.root.join("run/p")
    }

    /// The run folder of one process.
    pub fn process(&self, process: ProcessId) -> PathBuf {
        self.processes().join(process.to_string())
    }

    pub fn networks(&self) -> PathBuf {
        self.root.join("run/net")
    }

    /// The bind mount of an app's network namespace.
    pub fn network(&self, app: AppId) -> PathBuf {
        self.networks().join(app.to_string())
    }

    pub fn launcher_socket(&self) -> PathBuf {
        self.root.join("run/launcher.sock")
    }

    /// Held (flock) by the one launcher for its whole life.
    pub fn launcher_lock(&self) -> PathBuf {
        self.root.join("run/launcher.lock")
    }

    /// An empty folder over which a sandbox mounts its root while it is built, in its own mount namespace.
    pub fn new_root(&self) -> PathBuf {
        self.root.join("run/root")
    }

    /// The tree of a slug: what is mounted at `/app`.
    pub fn slug_tree(&self, slug: &SlugId) -> PathBuf {
        self.root.join("slugs").join(slug.hex()).join("tree")
    }

    /// A build's extracted source: what is mounted at `/src`.
    pub fn build_source(&self, build: BuildId) -> PathBuf {
        self.root.join("builds").join(build.to_string()).join("src")
    }

    /// The parent of the folders in which builds work.
    pub fn build_works(&self) -> PathBuf {
        self.root.join("run/build")
    }

    /// The folder that is mounted, writable, at `/app` of a build: owned by the app's build uid, made and removed by the
    /// launcher.
    pub fn build_work(&self, build: BuildId) -> PathBuf {
        self.build_works().join(build.to_string())
    }

    pub fn caches(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The build cache of an app: what is mounted at `/cache`.
    pub fn cache(&self, app: AppId) -> PathBuf {
        self.caches().join(app.to_string())
    }

    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The folder of one journal writer.
    pub fn log(&self, writer: WriterId) -> PathBuf {
        self.logs().join(writer.to_string())
    }
}
