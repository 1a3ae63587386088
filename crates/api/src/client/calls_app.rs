//! Requests about what surrounds an app: its name, host names, builders, features; and what a server has to choose from.

use super::url::path;
use super::{Client, ClientError};
use crate::app::{App, UpdateApp};
use crate::buildpack::{BuildpackInstallation, UpdateBuildpacks};
use crate::domain_name::{AddDomain, Domain};
use crate::dyno::Empty;
use crate::dyno_size::DynoSize;
use crate::feature::{Feature, UpdateFeature};
use crate::region::Region;
use crate::stack::Stack;

impl Client {
    pub fn update_app(&self, app: &str, request: &UpdateApp) -> Result<App, ClientError> {
        self.patch(&path(["apps", app]), request)
    }

    pub fn domains(&self, app: &str) -> Result<Vec<Domain>, ClientError> {
        self.get_all(&path(["apps", app, "domains"]))
    }

    pub fn domain(&self, app: &str, hostname: &str) -> Result<Domain, ClientError> {
        self.get(&path(["apps", app, "domains", hostname]))
    }

    pub fn add_domain(&self, app: &str, request: &AddDomain) -> Result<Domain, ClientError> {
        self.post(&path(["apps", app, "domains"]), request)
    }

    pub fn remove_domain(&self, app: &str, hostname: &str) -> Result<Domain, ClientError> {
        self.delete(&path(["apps", app, "domains", hostname]))
    }

    pub fn buildpacks(&self, app: &str) -> Result<Vec<BuildpackInstallation>, ClientError> {
        self.get_all(&path(["apps", app, "buildpack-installations"]))
    }

    pub fn set_buildpacks(
        &self,
        app: &str,
        request: &UpdateBuildpacks,
    ) -> Result<Vec<BuildpackInstallation>, ClientError> {
        self.put(&path(["apps", app, "buildpack-installations"]), request)
    }

    pub fn features(&self, app: &str) -> Result<Vec<Feature>, ClientError> {
        self.get_all(&path(["apps", app, "features"]))
    }

    pub fn feature(&self, app: &str, feature: &str) -> Result<Feature, ClientError> {
        self.get(&path(["apps", app, "features", feature]))
    }

    pub fn update_feature(
        &self,
        app: &str,
        feature: &str,
        request: &UpdateFeature,
    ) -> Result<Feature, ClientError> {
        self.patch(&path(["apps", app, "features", feature]), request)
    }

    pub fn regions(&self) -> Result<Vec<Region>, ClientError> {
        self.get_all("/regions")
    }

    pub fn stacks(&self) -> Result<Vec<Stack>, ClientError> {
        self.get_all("/stacks")
    }

    pub fn dyno_sizes(&self) -> Result<Vec<DynoSize>, ClientError> {
        self.get_all("/dyno-sizes")
    }

    pub fn stop_dyno(&self, app: &str, dyno: &str) -> Result<Empty, ClientError> {
        self.post(&path(["apps", app, "dynos", dyno, "actions", "stop"]), &Empty {})
    }

    pub fn stop_type(&self, app: &str, process_type: &str) -> Result<Empty, ClientError> {
        self.post(&path(["apps", app, "formations", process_type, "actions", "stop"]), &Empty {})
    }
}
