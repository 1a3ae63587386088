//! What the engine needs from the world, each as a trait named by its user. The server wires the real ones; tests wire doubles
//! from memory.

use domain::build::{BuildFailure, BuiltSlug};
use domain::buildpack::Buildpack;
use domain::desired::Desired;
use domain::feature::Feature;
use domain::formation::ProcessTypes;
use domain::ids::{AppId, BuildId, JobId, ProcessId, ReleaseId};
use domain::job::JobStreams;
use domain::names::{AppName, CommitId, ConfigKey};
use domain::observed::{BootEvidence, Observed};
use domain::plan::report::Report;
use domain::process::{Limits, Purpose};
use domain::secret::Secret;
use domain::time::{BootId, BootMillis, WallMillis};
use domain::usage::Usage;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use crate::bell::Bell;

/// Where processes run: this machine, or a cluster.
pub trait Backend: Send + Sync {
    /// One idempotent pass towards `desired`. Never panics over what it finds: trouble is told in the status.
    fn reconcile(&self, desired: &Desired, facts: &dyn Facts) -> Status;

    /// Rings `bell` from now on whenever the world may have changed. A ring carries no data.
    fn wake(&self, bell: Bell);

    /// The outer ends of a job's standard streams. Only the first call for a process gets them.
    fn attach(&self, process: ProcessId) -> Result<Attached, AttachError>;

    /// Changes the size of an attached terminal.
    fn resize(&self, process: ProcessId, columns: u16, lines: u16) -> Result<(), AttachError>;

    /// What a living process uses at this moment. Ends within seconds.
    fn usage(&self, process: ProcessId) -> Result<Usage, UsageError>;
}

/// What a pass found and did.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The world as it was at the pass's beginning.
    pub observed: Observed,
    pub report: Report,
    /// When to look again even if nothing rings.
    pub wake_at: Option<BootMillis>,
    /// What slow web processes listen on: the diagnosis told with R10.
    pub evidence: Vec<BootEvidence>,
    pub errors: Vec<BackendError>,
}

/// Something that the pass could not do. It will be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendError {
    /// The app that it concerns; `None`: all.
    pub app: Option<AppId>,
    /// One line, causes included.
    pub message: String,
}

/// The outer ends of a process's standard streams. Dropping them is hanging up.
#[derive(Debug)]
pub enum Attached {
    Pipes {
        /// Write end.
        input: OwnedFd,
        /// Read ends.
        output: OwnedFd,
        error: OwnedFd,
    },
    /// The master side: input and output at once.
    Terminal(OwnedFd),
}

/// Why nobody can talk to a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    #[error("the process has ended")]
    Gone,
    #[error("someone else is attached to the process already")]
    Taken,
    #[error("the process cannot be reached: {0}")]
    Unreachable(String),
}

/// Why it is not known what a process uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("the process has ended")]
    Gone,
    #[error("it was started by an older version, which does not tell: restart it")]
    Untold,
    #[error("it was not asked: others took too long to answer")]
    NotAsked,
    #[error("the process cannot be reached: {0}")]
    Unreachable(String),
}

/// The one call back from a pass: a promise to keep before acting on it.
pub trait Facts {
    /// Durable when it returns. Whoever gets an error must not start the job.
    fn commit(&self, started: JobStarted) -> Result<(), NotCommitted>;
}

/// A job's process is about to be spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobStarted {
    pub job: JobId,
    pub process: ProcessId,
}

/// Why a fact was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    #[error("job {job} was started before, as process {process}")]
    AlreadyStarted { job: JobId, process: ProcessId },
    #[error("job {job} has ended, was cancelled or does not exist")]
    NotWanted { job: JobId },
    #[error("the ledger cannot be written: {0}")]
    Ledger(String),
}

/// The values that a process is started with. Asked for by whoever spawns it, at that moment; kept nowhere.
pub trait ReleaseEnvironment: Send + Sync {
    /// `WEB_CONCURRENCY` by the process's size, config vars, attachments' vars, a job's own vars, and what it is and
    /// runs (`SOURCE_VERSION`, `HEROKU_APP_NAME`, `HEROKU_RELEASE_VERSION`, ...). `PORT`, `DYNO`, `HEROKU_DYNO_ID` and `HOME` are the
    /// spawner's to add; they win.
    fn environment(
        &self,
        release: ReleaseId,
        purpose: &Purpose,
    ) -> Result<Vec<(ConfigKey, Secret<String>)>, EnvironmentError>;

    /// What the app has switched on.
    fn features(&self, app: AppId) -> Result<BTreeSet<Feature>, EnvironmentError>;

    /// Where a job's standard streams lead.
    fn streams(&self, job: JobId) -> Result<JobStreams, EnvironmentError>;
}

/// Why there is no environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    #[error("{0} does not exist in the ledger")]
    Unknown(String),
    #[error("the environment cannot be read: {0}")]
    Unreadable(String),
}

/// Makes slugs from source trees.
pub trait BuildRunner: Send + Sync {
    /// Blocks until the build has ended. Every line that people should see goes through `output`, without its line end.
    fn build(
        &self,
        job: BuildJob,
        output: &mut dyn FnMut(&str),
        cancel: &Cancel,
    ) -> Result<BuiltSlug, BuildFailure>;
}

/// What to build.
#[derive(Debug)]
pub struct BuildJob {
    pub build: BuildId,
    pub app: AppId,
    pub app_name: AppName,
    /// Uid and network follow from it.
    pub app_index: u32,
    /// The extracted tree; read-only, removed by the engine after the build.
    pub source: PathBuf,
    pub commit: Option<CommitId>,
    /// The builders that people chose, in order; none: the one that fits the source.
    pub buildpacks: Vec<Buildpack>,
    /// The config vars of head.
    pub config: Vec<(ConfigKey, Secret<String>)>,
    /// Of the newest release that did not fail: for builders that tell what changed.
    pub previous_process_types: ProcessTypes,
    pub limits: Limits,
    pub time_limit_seconds: u64,
}

/// Says that a build is no longer wanted.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Takes the server's own lines of an app's log. Must not block for long; a line that cannot be kept is counted there.
pub trait AppLog: Send + Sync {
    fn append(&self, app: AppId, line: LogLine);
}

/// A line as it appears in `logs`: `app[api]: ...` or `heroku[web.1]: ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub stream: LogStream,
    /// `api`, `web.1`, `release.3`.
    pub name: String,
    /// The process that it is about.
    pub process: Option<ProcessId>,
    pub text: String,
}

/// Which of the two kinds of lines that the server writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// `app[api]`
    Api,
    /// `heroku[NAME]`
    Platform,
}

/// The git repositories, one an app.
pub trait Repositories: Send + Sync {
    /// The commit of the deployed branch; `None` for an empty or absent repository.
    fn head_of(&self, app: AppId) -> Result<Option<CommitId>, RepositoryError>;

    /// Moves the deployed branch to `commit` if the repository holds that commit and everything it needs.
    fn set_ref_if_objects_present(&self, app: AppId, commit: &CommitId) -> Result<RefMove, RepositoryError>;

    /// Deletes the repository of a destroyed app; an absent one is success.
    fn remove(&self, app: AppId) -> Result<(), RepositoryError>;
}

/// What became of a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefMove {
    Moved,
    /// It was there already.
    Unchanged,
    /// The objects are missing: a push was cut before git kept them. The next push of that commit brings them.
    ObjectsMissing,
}

/// A repository could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the repository of app {app}: {message}")]
pub struct RepositoryError {
    pub app: AppId,
    pub message: String,
}

/// Time. Rules use `boot`; `wall` is for people.
pub trait Clock: Send + Sync {
    fn wall(&self) -> WallMillis;
    /// `CLOCK_BOOTTIME`.
    fn boot(&self) -> BootMillis;
    fn boot_id(&self) -> BootId;
}

/// The operating system's random source, or a seeded one in tests.
pub trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// Everything that the engine needs to be opened.
#[derive(Clone)]
pub struct Ports {
    pub log: Arc<dyn AppLog>,
    pub repositories: Arc<dyn Repositories>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

/// What does the work once the engine is open. They may hold [`crate::Engine::environment`], which is why they come later.
#[derive(Clone)]
pub struct Workers {
    pub backend: Arc<dyn Backend>,
    pub builder: Arc<dyn BuildRunner>,
}
