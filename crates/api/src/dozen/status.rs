//! `GET /dozen/apps/:app/status`: where an app stands and what it waits for, for `dozen ps` and the end of a push.

use crate::reference::{AppReference, ReleaseReference};
use serde::{Deserialize, Serialize};

/// An app as the last pass of the driver left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppStatus {
    pub app: AppReference,
    /// The newest release, whatever became of it.
    pub head: Option<ReleaseReference>,
    /// The one that serves.
    pub current: Option<ReleaseReference>,
    /// The one that is to serve next.
    pub candidate: Option<ReleaseReference>,
    /// Why something waits: one sentence each, none if nothing does.
    pub waits: Vec<String>,
    /// What is weaker than it should be on this machine: one sentence each, repeated here because it concerns every app.
    pub warnings: Vec<String>,
}
