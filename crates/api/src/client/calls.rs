//! One method per request that the command line makes: path, request and answer together, nothing else.

use super::url::path;
use super::{Client, ClientError};
use crate::account::Account;
use crate::app::{App, CreateApp};
use crate::build::{Build, CreateBuild};
use crate::config_vars::{ConfigPatch, ConfigVars};
use crate::dozen::doctor::DoctorReport;
use crate::dozen::process::Process;
use crate::dozen::release::ReleaseReport;
use crate::dozen::server::ServerInfo;
use crate::dozen::status::AppStatus;
use crate::dozen::usage::ProcessUsage;
use crate::dyno::{CreateDyno, Dyno, Empty};
use crate::formation::{Formation, UpdateFormation};
use crate::key::{CreateKey, Key};
use crate::log_session::{CreateLogSession, LogSession};
use crate::oauth::{Authorization, CreateAuthorization};
use crate::page::RangeRequest;
use crate::reference::Identity;
use crate::release::{CreateRelease, Release};
use crate::source::Source;

/// Every method's errors are those of [`ClientError`]; `app`, `process` and the like are a name or an id.
impl Client {
    pub fn account(&self) -> Result<Account, ClientError> {
        self.get("/account")
    }

    pub fn apps(&self) -> Result<Vec<App>, ClientError> {
        self.get_all("/users/~/apps")
    }

    pub fn app(&self, app: &str) -> Result<App, ClientError> {
        self.get(&path(["apps", app]))
    }

    pub fn create_app(&self, request: &CreateApp) -> Result<App, ClientError> {
        self.post("/apps", request)
    }

    pub fn destroy_app(&self, app: &str) -> Result<App, ClientError> {
        self.delete(&path(["apps", app]))
    }

    pub fn config_vars(&self, app: &str) -> Result<ConfigVars, ClientError> {
        self.get(&path(["apps", app, "config-vars"]))
    }

    pub fn release_config_vars(&self, app: &str, release: &str) -> Result<ConfigVars, ClientError> {
        self.get(&path(["apps", app, "releases", release, "config-vars"]))
    }

    pub fn patch_config_vars(&self, app: &str, patch: &ConfigPatch) -> Result<ConfigVars, ClientError> {
        self.patch(&path(["apps", app, "config-vars"]), patch)
    }

    pub fn formation(&self, app: &str) -> Result<Vec<Formation>, ClientError> {
        self.get_all(&path(["apps", app, "formation"]))
    }

    pub fn update_formation(
        &self,
        app: &str,
        update: &UpdateFormation,
    ) -> Result<Vec<Formation>, ClientError> {
        self.patch(&path(["apps", app, "formation"]), update)
    }

    pub fn dynos(&self, app: &str) -> Result<Vec<Dyno>, ClientError> {
        self.get_all(&path(["apps", app, "dynos"]))
    }

    pub fn create_dyno(&self, app: &str, request: &CreateDyno) -> Result<Dyno, ClientError> {
        self.post(&path(["apps", app, "dynos"]), request)
    }

    pub fn restart_all(&self, app: &str) -> Result<Empty, ClientError> {
        self.delete(&path(["apps", app, "dynos"]))
    }

    pub fn restart_dyno(&self, app: &str, dyno: &str) -> Result<Empty, ClientError> {
        self.delete(&path(["apps", app, "dynos", dyno]))
    }

    pub fn restart_type(&self, app: &str, process_type: &str) -> Result<Empty, ClientError> {
        self.delete(&path(["apps", app, "formations", process_type]))
    }

    pub fn newest_releases(&self, app: &str, count: usize) -> Result<Vec<Release>, ClientError> {
        self.get_page(&path(["apps", app, "releases"]), &RangeRequest::newest("version", count))
    }

    /// What the living processes use.
    pub fn usage(&self, app: &str) -> Result<Vec<ProcessUsage>, ClientError> {
        self.get(&path(["dozen", "apps", app, "usage"]))
    }

    /// `release` is its number, with or without `v`, or its id.
    pub fn release(&self, app: &str, release: &str) -> Result<Release, ClientError> {
        self.get(&path(["apps", app, "releases", release]))
    }

    pub fn roll_back(&self, app: &str, release: &str) -> Result<Release, ClientError> {
        let request =
            CreateRelease { release: Some(Identity(release.to_owned())), ..CreateRelease::default() };
        self.post(&path(["apps", app, "releases"]), &request)
    }

    pub fn newest_builds(&self, app: &str, count: usize) -> Result<Vec<Build>, ClientError> {
        self.get_page(&path(["apps", app, "builds"]), &RangeRequest::newest("created_at", count))
    }

    pub fn build(&self, app: &str, build: &str) -> Result<Build, ClientError> {
        self.get(&path(["apps", app, "builds", build]))
    }

    pub fn create_build(&self, app: &str, request: &CreateBuild) -> Result<Build, ClientError> {
        self.post(&path(["apps", app, "builds"]), request)
    }

    /// Asks for the end of a build; one that has ended stays as it is.
    pub fn cancel_build(&self, app: &str, build: &str) -> Result<Build, ClientError> {
        self.delete(&path(["apps", app, "builds", build]))
    }

    /// A place for an upload; see [`Client::upload`].
    pub fn create_source(&self, app: &str) -> Result<Source, ClientError> {
        self.post(&path(["apps", app, "sources"]), &Empty {})
    }

    pub fn create_authorization(&self, request: &CreateAuthorization) -> Result<Authorization, ClientError> {
        self.post("/oauth/authorizations", request)
    }

    pub fn keys(&self) -> Result<Vec<Key>, ClientError> {
        self.get_all("/account/keys")
    }

    pub fn create_key(&self, request: &CreateKey) -> Result<Key, ClientError> {
        self.post("/account/keys", request)
    }

    /// `key` is an id or a fingerprint.
    pub fn remove_key(&self, key: &str) -> Result<Key, ClientError> {
        self.delete(&path(["account", "keys", key]))
    }

    pub fn create_log_session(
        &self,
        app: &str,
        request: &CreateLogSession,
    ) -> Result<LogSession, ClientError> {
        self.post(&path(["apps", app, "log-sessions"]), request)
    }

    pub fn server_info(&self) -> Result<ServerInfo, ClientError> {
        self.get("/dozen/server")
    }

    pub fn doctor(&self) -> Result<DoctorReport, ClientError> {
        self.get("/dozen/doctor")
    }

    pub fn app_status(&self, app: &str) -> Result<AppStatus, ClientError> {
        self.get(&path(["dozen", "apps", app, "status"]))
    }

    /// `release` is its number, with or without `v`, its id, `head` or `current`.
    pub fn release_report(&self, app: &str, release: &str) -> Result<ReleaseReport, ClientError> {
        self.get(&path(["dozen", "apps", app, "releases", release]))
    }

    pub fn process(&self, app: &str, process: &str) -> Result<Process, ClientError> {
        self.get(&path(["dozen", "apps", app, "processes", process]))
    }
}
