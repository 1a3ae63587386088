//! What the builders of interpreted languages decide, in one form: what is installed by which tool, what that depends on, and what
//! comes out of it.

use super::runtime::Wanted;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A decided installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Install {
    pub(crate) order: InstallOrder,
    /// What the app asks of its interpreter.
    pub(crate) wishes: Vec<Wanted>,
    /// Files by name that decide what is installed.
    pub(crate) key_parts: Vec<(String, Vec<u8>)>,
    pub(crate) depends_on: Code,
    /// Told to people, one line each.
    pub(crate) remarks: Vec<String>,
    /// Names of the packages that the app runs on.
    pub(crate) packages: BTreeSet<String>,
}

/// What of the source an installation may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Manifests,
    /// Scripts of the app run during it, or parts of the app are installed: any change may matter.
    All,
}

/// What the step inside the sandbox is told, as one JSON word of its command line. It holds names only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallOrder {
    pub tool: Tool,
    /// Everything that the installation depends on, as a digest in hexadecimal digits.
    pub key: String,
    pub hand_out: HandOut,
    /// Scripts of the app that run before the installation, by name.
    pub before: Vec<String>,
    /// Scripts of the app that run after it, by name.
    pub scripts: Vec<String>,
}

/// Who installs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tool {
    /// pip, or uv in its place, by this lock file.
    Pip {
        lock: String,
    },
    Npm,
    Pnpm,
    /// Yarn 1.
    Yarn,
    /// Yarn 2 and later.
    YarnBerry,
    /// There is nothing to install.
    Nothing,
}

/// What the step hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandOut {
    /// The folder of dependencies alone: the rest of the slug is the source as pushed.
    Dependencies,
    /// Everything in the work folder, since scripts of the app may have written anywhere.
    Tree,
}
