//! `package.json`, as far as a decision hangs on it.

use super::{NodeError, PACKAGE};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is read of the file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Package {
    pub(crate) name: Option<Value>,
    pub(crate) version: Option<Value>,
    pub(crate) main: Option<String>,
    pub(crate) scripts: BTreeMap<String, String>,
    pub(crate) dependencies: BTreeMap<String, String>,
    pub(crate) dev_dependencies: BTreeMap<String, String>,
    pub(crate) optional_dependencies: BTreeMap<String, String>,
    pub(crate) engines: BTreeMap<String, String>,
    pub(crate) package_manager: Option<String>,
    workspaces: Option<Value>,
    pnpm: Option<Value>,
}

/// How a dependency is written that lies in the source tree.
const LOCAL: [&str; 5] = ["file:", "link:", "workspace:", "portal:", "patch:"];
const PATCHES: &str = "patchedDependencies";

impl Package {
    pub(crate) fn parse(text: &str) -> Result<Self, NodeError> {
        serde_json::from_str(text)
            .map_err(|error| NodeError::Malformed { file: PACKAGE, reason: error.to_string() })
    }

    /// Whether no packages are named at all.
    pub(crate) fn needs_nothing(&self) -> bool {
        let all = [&self.dependencies, &self.dev_dependencies, &self.optional_dependencies];
        all.iter().all(|packages| packages.is_empty()) && self.workspaces.is_none()
    }

    /// Whether some of the packages are made of the source tree.
    pub(crate) fn has_local_parts(&self) -> bool {
        let all = [&self.dependencies, &self.dev_dependencies, &self.optional_dependencies];
        let is_local = |range: &String| LOCAL.iter().any(|prefix| range.starts_with(prefix));
        self.workspaces.is_some()
            || self.pnpm.as_ref().is_some_and(|pnpm| pnpm.get(PATCHES).is_some())
            || all.iter().any(|packages| packages.values().any(is_local))
    }
}
