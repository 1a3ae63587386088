//! Who may do what: one function, deny by default.
//!
//! Every use case calls [`authorise`] itself. A role is held over a resource: over the installation it is the account's own role,
//! over an app it is what ownership, a grant or administration of the installation give.

use crate::ids::{AccountId, AppId};
use crate::scope::Scope;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an account is to a resource, from everything to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the installation: everything.
    Admin,
    /// Of an app: everything about it. Of the installation: may create apps.
    Owner,
    /// Deploys, configures, scales and runs; does not destroy, rename or share.
    Operator,
    /// Looks, but sees no config value.
    Viewer,
    None,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Admin, Self::Owner, Self::Operator, Self::Viewer, Self::None];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::None => "none",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Admin => 4,
            Self::Owner => 3,
            Self::Operator => 2,
            Self::Viewer => 1,
            Self::None => 0,
        }
    }

    /// Whether this role includes `other`.
    pub const fn includes(self, other: Self) -> bool {
        self.rank() >= other.rank()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    Account {
        id: AccountId,
        /// Over the installation.
        role: Role,
        /// Of the token that was shown.
        scope: Scope,
    },
    /// Automatic changes: promotion, scheduled jobs, start-up repairs.
    System,
}

impl Actor {
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account { id, .. } => Some(*id),
            Self::System => None,
        }
    }

    pub const fn scope(&self) -> Scope {
        match self {
            Self::Account { scope, .. } => *scope,
            Self::System => Scope::Global,
        }
    }
}

/// What is acted upon, with what the ledger says about the actor's part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Installation,
    Account(AccountId),
    App {
        app: AppId,
        owner: AccountId,
        /// What the owner granted to the actor; `None` without a grant.
        granted: Role,
    },
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Everything that can be asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $variant),+
        }

        impl Action {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in events: `noun:verb`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

actions! {
    AppCreate = "app:create",
    AppRead = "app:read",
    /// Rename, maintenance.
    AppUpdate = "app:update",
    AppDestroy = "app:destroy",
    MaintenanceSet = "app:maintenance",
    ConfigRead = "config:read",
    ConfigWrite = "config:write",
    FormationRead = "formation:read",
    FormationWrite = "formation:write",
    ProcessRead = "process:read",
    ProcessRestart = "process:restart",
    ProcessStop = "process:stop",
    ReleaseRead = "release:read",
    ReleaseRollback = "release:rollback",
    BuildRead = "build:read",
    BuildCreate = "build:create",
    BuildCancel = "build:cancel",
    /// Choose the builders.
    BuildpackWrite = "buildpack:write",
    /// Clone and fetch.
    SourceRead = "source:read",
    /// An upload that a build is made from.
    SourceCreate = "source:create",
    JobCreate = "job:create",
    JobAttach = "job:attach",
    JobStop = "job:stop",
    CronRead = "cron:read",
    CronWrite = "cron:write",
    LogRead = "log:read",
    DomainRead = "domain:read",
    DomainWrite = "domain:write",
    CollaboratorRead = "collaborator:read",
    CollaboratorWrite = "collaborator:write",
    AccountRead = "account:read",
    /// See who has an account.
    AccountList = "account:list",
    AccountCreate = "account:create",
    TokenRead = "token:read",
    TokenCreate = "token:create",
    /// Rename, rotate.
    TokenUpdate = "token:update",
    TokenRevoke = "token:revoke",
    /// Public keys for SSH.
    KeyRead = "key:read",
    KeyCreate = "key:create",
    KeyRemove = "key:remove",
    EventRead = "event:read",
    /// Events of everybody.
    AuditRead = "audit:read",
    /// Health of the installation: `doctor`.
    InstallationRead = "installation:read",
}

impl Action {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }

    /// The least role that may do this.
    pub const fn least_role(self) -> Role {
        match self {
            Self::AppRead
            | Self::FormationRead
            | Self::ProcessRead
            | Self::ReleaseRead
            | Self::BuildRead
            | Self::CronRead
            | Self::LogRead
            | Self::DomainRead
            | Self::CollaboratorRead
            | Self::InstallationRead => Role::Viewer,
            Self::MaintenanceSet
            | Self::ConfigRead
            | Self::ConfigWrite
            | Self::FormationWrite
            | Self::ProcessRestart
            | Self::ProcessStop
            | Self::ReleaseRollback
            | Self::BuildCreate
            | Self::BuildCancel
            | Self::BuildpackWrite
            | Self::SourceRead
            | Self::SourceCreate
            | Self::JobCreate
            | Self::JobAttach
            | Self::JobStop
            | Self::CronWrite
            | Self::DomainWrite => Role::Operator,
            Self::AppCreate
            | Self::AppUpdate
            | Self::AppDestroy
            | Self::CollaboratorWrite
            | Self::AccountRead
            | Self::TokenRead
            | Self::TokenCreate
            | Self::TokenUpdate
            | Self::TokenRevoke
            | Self::KeyRead
            | Self::KeyCreate
            | Self::KeyRemove
            | Self::EventRead => Role::Owner,
            Self::AccountList | Self::AccountCreate | Self::AuditRead => Role::Admin,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A refusal. Someone to whom the resource is nothing should not learn that it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Denied {
    pub action: Action,
    pub held: Role,
    pub needed: Role,
    pub scope: Scope,
}

impl Denied {
    fn sentence(&self) -> String {
        let Self { action, held, needed, scope } = self;
        match scope {
            Scope::Deploy(_) => {
                format!("this token is for deploying one app and for nothing else, not for {action}")
            }
            Scope::Global => format!("{action} needs the role {needed}; this account's role is {held}"),
        }
    }
}

/// What `actor` is to `resource`. What a token's scope does not see is nothing to whoever shows it.
pub fn role_over(actor: &Actor, resource: &Resource) -> Role {
    if !actor.scope().sees(resource) {
        return Role::None;
    }
    let (id, own) = match actor {
        Actor::System => return Role::Admin,
        Actor::Account { role: Role::Admin, .. } => return Role::Admin,
        Actor::Account { id, role, .. } => (*id, *role),
    };
    match resource {
        Resource::Installation => own,
        Resource::Account(account) if *account == id => Role::Owner,
        Resource::Account(_) => Role::None,
        Resource::App { owner, .. } if *owner == id => Role::Owner,
        // A grant never makes an administrator of the installation.
        Resource::App { granted: Role::Admin, .. } => Role::Owner,
        Resource::App { granted, .. } => *granted,
    }
}

/// May `actor` do `action` to `resource`?
pub fn authorise(actor: &Actor, action: Action, resource: &Resource) -> Result<(), Denied> {
    let (held, needed, scope) = (role_over(actor, resource), action.least_role(), actor.scope());
    let allowed = held != Role::None && held.includes(needed) && scope.covers(action, resource);
    if allowed { Ok(()) } else { Err(Denied { action, held, needed, scope }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per action: may admin, owner, operator, viewer, none do it to an app?
    const TABLE: &[(Action, [bool; 5])] = &[
        (Action::AppCreate, [true, true, false, false, false]),
        (Action::AppRead, [true, true, true, true, false]),
        (Action::AppUpdate, [true, true, false, false, false]),
        (Action::AppDestroy, [true, true, false, false, false]),
        (Action::MaintenanceSet, [true, true, true, false, false]),
        (Action::ConfigRead, [true, true, true, false, false]),
        (Action::ConfigWrite, [true, true, true, false, false]),
        (Action::FormationRead, [true, true, true, true, false]),
        (Action::FormationWrite, [true, true, true, false, false]),
        (Action::ProcessRead, [true, true, true, true, false]),
        (Action::ProcessRestart, [true, true, true, false, false]),
        (Action::ProcessStop, [true, true, true, false, false]),
        (Action::ReleaseRead, [true, true, true, true, false]),
        (Action::ReleaseRollback, [true, true, true, false, false]),
        (Action::BuildRead, [true, true, true, true, false]),
        (Action::BuildCreate, [true, true, true, false, false]),
        (Action::BuildCancel, [true, true, true, false, false]),
        (Action::BuildpackWrite, [true, true, true, false, false]),
        (Action::SourceRead, [true, true, true, false, false]),
        (Action::SourceCreate, [true, true, true, false, false]),
        (Action::JobCreate, [true, true, true, false, false]),
        (Action::JobAttach, [true, true, true, false, false]),
        (Action::JobStop, [true, true, true, false, false]),
        (Action::CronRead, [true, true, true, true, false]),
        (Action::CronWrite, [true, true, true, false, false]),
        (Action::LogRead, [true, true, true, true, false]),
        (Action::DomainRead, [true, true, true, true, false]),
        (Action::DomainWrite, [true, true, true, false, false]),
        (Action::CollaboratorRead, [true, true, true, true, false]),
        (Action::CollaboratorWrite, [true, true, false, false, false]),
        (Action::AccountRead, [true, true, false, false, false]),
        (Action::AccountList, [true, false, false, false, false]),
        (Action::AccountCreate, [true, false, false, false, false]),
        (Action::TokenRead, [true, true, false, false, false]),
        (Action::TokenCreate, [true, true, false, false, false]),
        (Action::TokenUpdate, [true, true, false, false, false]),
        (Action::TokenRevoke, [true, true, false, false, false]),
        (Action::KeyRead, [true, true, false, false, false]),
        (Action::KeyCreate, [true, true, false, false, false]),
        (Action::KeyRemove, [true, true, false, false, false]),
        (Action::EventRead, [true, true, false, false, false]),
        (Action::AuditRead, [true, false, false, false, false]),
        (Action::InstallationRead, [true, true, true, true, false]),
    ];

    const OWNER: AccountId = AccountId::from_u128(1);
    const OTHER: AccountId = AccountId::from_u128(2);

    fn app(granted: Role) -> Resource {
        Resource::App { app: AppId::from_u128(9), owner: OWNER, granted }
    }

    /// An actor and the app as that actor sees it, for a role over the app.
    fn case(role: Role) -> (Actor, Resource) {
        let account = |id, role| Actor::Account { id, role, scope: Scope::Global };
        match role {
            Role::Admin => (account(OTHER, Role::Admin), app(Role::None)),
            Role::Owner => (account(OWNER, Role::None), app(Role::None)),
            Role::Operator | Role::Viewer | Role::None => (account(OTHER, Role::Owner), app(role)),
        }
    }

    #[test]
    fn every_action_for_every_role() {
        assert_eq!(TABLE.len(), Action::ALL.len(), "every action has its row");
        for (action, allowed) in TABLE {
            for (role, expected) in Role::ALL.into_iter().zip(allowed) {
                let (actor, resource) = case(role);
                let answer = authorise(&actor, *action, &resource);
                assert_eq!(answer.is_ok(), *expected, "{action} as {role}");
                assert!(authorise(&Actor::System, *action, &resource).is_ok());
            }
        }
    }

    #[test]
    fn a_grant_is_not_administration_and_roles_do_not_leak() {
        let other = Actor::Account { id: OTHER, role: Role::Owner, scope: Scope::Global };
        assert!(authorise(&other, Action::AccountCreate, &app(Role::Admin)).is_err());
        assert_eq!(role_over(&other, &app(Role::Admin)), Role::Owner);
        assert_eq!(role_over(&other, &app(Role::None)), Role::None);
        assert_eq!(role_over(&other, &Resource::Account(OWNER)), Role::None);
        assert_eq!(role_over(&other, &Resource::Account(OTHER)), Role::Owner);
        assert!(authorise(&other, Action::AppCreate, &Resource::Installation).is_ok());
    }

    /// Whatever the account may do itself, its deploy token does these things to one app.
    #[test]
    fn a_deploy_token_deploys_one_app() {
        let app_of =
            |app: u128| Resource::App { app: AppId::from_u128(app), owner: OWNER, granted: Role::None };
        let allowed = [
            Action::AppRead,
            Action::ReleaseRead,
            Action::BuildRead,
            Action::BuildCreate,
            Action::BuildCancel,
            Action::SourceCreate,
        ];
        for role in [Role::Admin, Role::Owner] {
            let actor = Actor::Account { id: OWNER, role, scope: Scope::Deploy(AppId::from_u128(9)) };
            for action in Action::ALL {
                let may = authorise(&actor, *action, &app_of(9)).is_ok();
                assert_eq!(may, allowed.contains(action), "{action}");
                for elsewhere in [app_of(8), Resource::Installation, Resource::Account(OWNER)] {
                    let denied = authorise(&actor, *action, &elsewhere).unwrap_err();
                    assert_eq!(denied.held, Role::None, "{action} {elsewhere:?}");
                }
            }
        }
        let stranger =
            Actor::Account { id: OTHER, role: Role::Owner, scope: Scope::Deploy(AppId::from_u128(9)) };
        assert!(authorise(&stranger, Action::BuildCreate, &app_of(9)).is_err(), "a scope gives nothing");
    }

    #[test]
    fn names_round_trip() {
        for action in Action::ALL {
            assert_eq!(Action::from_name(action.name()), Some(*action));
        }
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
        }
    }
}
