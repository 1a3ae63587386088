//! Requests about recurring commands.

use super::url::path;
use super::{Client, ClientError};
use crate::dozen::cron::{CreateCronEntry, CronEntry, CronRun};
use crate::dyno::Empty;

impl Client {
    pub fn cron(&self, app: &str) -> Result<Vec<CronEntry>, ClientError> {
        self.get_all(&path(["dozen", "apps", app, "cron"]))
    }

    pub fn add_cron(&self, app: &str, request: &CreateCronEntry) -> Result<CronEntry, ClientError> {
        self.post(&path(["dozen", "apps", app, "cron"]), request)
    }

    pub fn remove_cron(&self, app: &str, id: &str) -> Result<CronEntry, ClientError> {
        self.delete(&path(["dozen", "apps", app, "cron", id]))
    }

    pub fn run_cron(&self, app: &str, id: &str) -> Result<CronRun, ClientError> {
        self.post(&path(["dozen", "apps", app, "cron", id, "runs"]), &Empty {})
    }

    /// Newest first, of all of the app's.
    pub fn cron_runs(&self, app: &str) -> Result<Vec<CronRun>, ClientError> {
        self.get_all(&path(["dozen", "apps", app, "cron-runs"]))
    }

    /// Of one.
    pub fn cron_runs_of(&self, app: &str, id: &str) -> Result<Vec<CronRun>, ClientError> {
        self.get_all(&path(["dozen", "apps", app, "cron", id, "runs"]))
    }
}
