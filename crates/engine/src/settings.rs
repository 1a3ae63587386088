//! Plain values that the command line's settings end up in.

use domain::desired::Bounds;
use domain::names::HostName;
use domain::process::Limits;
use domain::size::SizeRules;
use std::path::PathBuf;

/// A build may use this much memory by default.
const BUILD_MEMORY_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// And run this many processes and threads.
const BUILD_PROCESSES: u32 = 2048;
/// And take this long.
const BUILD_TIME_LIMIT_SECONDS: u64 = 3600;
/// Long enough to see what became of a week of hours, or of a night of minutes.
const CRON_RUNS_KEPT: u32 = 1000;

/// What the engine is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds `ledger.db`.
    pub ledger_folder: PathBuf,
    /// Holds a folder per build: `src` while it is built, `output` afterwards.
    pub builds_folder: PathBuf,
    /// Holds a file per upload.
    pub uploads_folder: PathBuf,
    /// Apps answer at `NAME.BASE`.
    pub base_domain: HostName,
    /// What this host is called in `placements`.
    pub host_name: String,
    pub bounds: Bounds,
    /// What a size means here.
    pub sizes: SizeRules,
    pub build_limits: Limits,
    pub build_time_limit_seconds: u64,
    /// Builds of different apps that run at once.
    pub concurrent_builds: usize,
    /// Runs of one recurring command that can be looked up.
    pub cron_runs_kept: u32,
    /// Apps of one owner at most; `None`: as many as they like.
    pub app_quota: Option<u32>,
}

impl Settings {
    /// Defaults for all but the places and the name.
    pub fn new(ledger_folder: PathBuf, builds_folder: PathBuf, base_domain: HostName) -> Self {
        let build_limits = Limits {
            memory_bytes: BUILD_MEMORY_BYTES,
            cpu_weight: 50,
            processes: BUILD_PROCESSES,
            ..Limits::DEFAULT
        };
        Self {
            uploads_folder: builds_folder.with_file_name("uploads"),
            ledger_folder,
            builds_folder,
            base_domain,
            host_name: "localhost".to_owned(),
            bounds: Bounds::default(),
            sizes: SizeRules::default(),
            build_limits,
            build_time_limit_seconds: BUILD_TIME_LIMIT_SECONDS,
            concurrent_builds: 2,
            cron_runs_kept: CRON_RUNS_KEPT,
            app_quota: None,
        }
    }
}
