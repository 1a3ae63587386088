//! What was done: one record per committed operation, for audit, webhooks and `follow`. Names only, never values.

use crate::ids::{AccountId, AppId};
use crate::time::WallMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The kinds of things that an operation makes or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    Account,
    Token,
    App,
    Build,
    Collaborator,
    Cron,
    Domain,
    Formation,
    Job,
    Key,
    Process,
    Release,
    Source,
}

impl ResourceKind {
    pub const ALL: [Self; 13] = [
        Self::Account,
        Self::Token,
        Self::App,
        Self::Build,
        Self::Collaborator,
        Self::Cron,
        Self::Domain,
        Self::Formation,
        Self::Job,
        Self::Key,
        Self::Process,
        Self::Release,
        Self::Source,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Token => "token",
            Self::App => "app",
            Self::Build => "build",
            Self::Collaborator => "collaborator",
            Self::Cron => "cron",
            Self::Domain => "domain",
            Self::Formation => "formation",
            Self::Job => "job",
            Self::Key => "key",
            Self::Process => "process",
            Self::Release => "release",
            Self::Source => "source",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A few named facts about a resource, before or after: `{"quantity": "2"}`, `{"config": "A, B"}`. Never a secret.
pub type Names = BTreeMap<String, String>;

/// One record. `sequence` grows by commit order and has gaps only after a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub sequence: u64,
    pub at: WallMillis,
    /// `None`: the system itself.
    pub actor: Option<AccountId>,
    /// [`crate::policy::Action::name`], or what the driver recorded, such as `release:promoted`.
    pub action: String,
    pub app: Option<AppId>,
    pub resource: ResourceKind,
    pub resource_id: String,
    pub before: Names,
    pub after: Names,
    pub request_id: String,
}
