//! What the front door needs besides the engine, each as a trait named by its user. The command line wires the real ones; tests
//! wire doubles from memory.

use api::dozen::doctor::DoctorReport;
use domain::ids::{AppId, ProcessId};
use domain::names::ProjectPath;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

/// Extracts what people push and upload.
pub trait SourceTrees: Send + Sync {
    /// Makes `folder` and extracts an archive into it, or leaves nothing and says in one sentence what was wrong with the tree.
    fn stage(&self, folder: &Path, tree: &mut dyn Read, form: &TreeForm) -> Result<(), StageError>;
}

/// How a tree comes, and which part of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeForm {
    pub packing: Packing,
    /// The folder that is the app; `None`: all of it.
    pub project: Option<ProjectPath>,
}

/// What a tree comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// A tar of `git archive`.
    GitArchive,
    /// A tar of so many bytes that somebody sent, gzipped as a rule. A folder that is all there is at its top is left out.
    Upload { bytes: u64 },
}

/// A tree that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StageError {
    /// The tree breaks a rule; the sentence names the entry, the rule and the remedy.
    #[error("{0}")]
    Refused(String),
    /// The server could not store it.
    #[error("{0}")]
    Failed(String),
}

/// The logs of all apps.
pub trait LogHub: Send + Sync {
    /// A sentence for the person who asked, if the logs cannot be read.
    fn open(&self, query: &LogQuery) -> Result<Box<dyn LogFeed>, String>;
}

/// Lines as they come.
pub trait LogFeed: Send {
    /// Waits for lines, at most so long.
    fn next(&mut self, at_most: Duration) -> LogNext;
}

/// What a feed has to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogNext {
    Lines(Vec<LogRecord>),
    Quiet,
    /// Nothing will follow.
    End,
}

/// Which lines are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    pub app: AppId,
    /// How many of the past at most; none of them if `after` is given and names a line that is still kept.
    pub lines: usize,
    pub follow: Follow,
    /// `web.1`
    pub name: Option<String>,
    /// `web`
    pub process_type: Option<String>,
    pub source: Option<LogSource>,
    /// One process, whatever others of the same name there are.
    pub process: Option<ProcessId>,
    /// A cursor: go on after this line.
    pub after: Option<String>,
}

/// Whether a feed goes on with lines that are yet to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    Stop,
    GoOn,
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// The app's processes, and the API's own remarks.
    App,
    /// The platform and the router.
    Heroku,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Names the place after this line. No white space.
    pub cursor: String,
    /// The whole line: `2026-01-01T00:00:00.000000+00:00 app[web.1]: text`, without its end.
    pub line: String,
    /// What the process wrote.
    pub message: String,
}

/// Looks at the machine.
pub trait Doctor: Send + Sync {
    fn report(&self) -> DoctorReport;
}

/// Gets a file from where somebody says that it is.
pub trait Fetch: Send + Sync {
    /// Writes what the address gives into `into`, which may refuse it.
    fn fetch(&self, url: &str, limits: &FetchLimits, into: &mut dyn Write) -> Result<(), FetchError>;
}

/// Bounds of one fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    pub bytes: u64,
    pub time: Duration,
}

/// Why nothing came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// One sentence for the person who named the address; the address is not in it whole.
    #[error("{0}")]
    Refused(String),
    /// `into` did not take it.
    #[error("{0}")]
    NotStored(String),
}
