//! Places between two steps at which tests end this process, by name. Without the feature `test-hooks` they are nothing.
//!
//! A test writes the point's name into the file that the variable `DOZEN_FAIL_POINT_FILE` names; the first pass that reaches the
//! point removes the file and kills its own process, so that exactly one kill happens exactly there.

/// A place between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    BeforePublish,
    /// The new table is on disk; no router was told and nothing was stopped.
    AfterPublish,
    BeforeStop,
    /// A job's start is recorded and its process is not there.
    AfterJobCommit,
    AfterSpawn,
}

impl FailPoint {
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforePublish => "before-publish",
            Self::AfterPublish => "after-publish",
            Self::BeforeStop => "before-stop",
            Self::AfterJobCommit => "after-job-commit",
            Self::AfterSpawn => "after-spawn",
        }
    }
}

#[cfg(not(feature = "test-hooks"))]
pub(crate) const fn reach(_point: FailPoint) {}

#[cfg(feature = "test-hooks")]
pub(crate) fn reach(point: FailPoint) {
    let Ok(path) = std::env::var("DOZEN_FAIL_POINT_FILE") else { return };
    let armed = std::fs::read_to_string(&path).is_ok_and(|name| name.trim() == point.name());
    if armed && std::fs::remove_file(&path).is_ok() {
        let pid = rustix::process::getpid();
        let _ended = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
