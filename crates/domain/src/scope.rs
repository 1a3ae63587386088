//! What a token may be used for: all that its account may do, or the deploys of one app. A scope takes away and never gives.

use crate::ids::AppId;
use crate::policy::{Action, Resource};

/// Of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All that the account may do.
    Global,
    /// Pushing, uploading and building one app, and watching what comes of it. For machines that deploy.
    Deploy(AppId),
}

impl Scope {
    /// Whether the resource is there at all for whoever shows the token.
    pub fn sees(self, resource: &Resource) -> bool {
        match (self, resource) {
            (Self::Global, _) => true,
            (Self::Deploy(own), Resource::App { app, .. }) => *app == own,
            (Self::Deploy(_), Resource::Installation | Resource::Account(_)) => false,
        }
    }

    /// Whether the action is among what the token is for.
    pub fn covers(self, action: Action, resource: &Resource) -> bool {
        match self {
            Self::Global => true,
            Self::Deploy(_) => self.sees(resource) && is_part_of_deploying(action),
        }
    }
}

const fn is_part_of_deploying(action: Action) -> bool {
    matches!(
        action,
        Action::AppRead
            | Action::ReleaseRead
            | Action::BuildRead
            | Action::BuildCreate
            | Action::BuildCancel
            | Action::SourceCreate
    )
}
