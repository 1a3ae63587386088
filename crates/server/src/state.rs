//! What all handlers share.

use crate::git::GitRepositories;
use crate::git::push::Pushes;
use crate::intake::Uploads;
use crate::ports::{Doctor, Fetch, LogHub, SourceTrees};
use crate::rendezvous::Rendezvous;
use crate::settings::Settings;
use crate::streams::Streams;
use engine::Engine;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Made once, by [`crate::run()`].
pub struct Shared {
    pub engine: Engine,
    pub settings: Settings,
    pub repositories: GitRepositories,
    pub trees: Arc<dyn SourceTrees>,
    pub fetch: Arc<dyn Fetch>,
    pub logs: Arc<dyn LogHub>,
    pub doctor: Arc<dyn Doctor>,
    pub pushes: Pushes,
    pub fetches: Arc<Semaphore>,
    pub uploads: Uploads,
    pub streams: Streams,
    pub rendezvous: Arc<Rendezvous>,
    pub hook_socket: PathBuf,
    pub shutdown: CancellationToken,
    /// Everything that outlives the request that began it.
    pub tasks: TaskTracker,
}

/// Cheap to clone.
pub type State = Arc<Shared>;
