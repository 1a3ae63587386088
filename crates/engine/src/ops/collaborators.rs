//! The people with whom an app is shared.

use super::apps::owner_of;
use super::{Done, authorised_app, log_by_actor, record};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::{AppRef, PersonRef};
use domain::account::AccountRef;
use domain::event::ResourceKind;
use domain::policy::{Action, Role};
use domain::time::WallMillis;
use store::Reader;

/// Someone with whom an app is shared, or its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collaborator {
    pub account: AccountRef,
    pub role: Role,
    pub created_at: WallMillis,
}

/// The owner first, then those whom it is shared with.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<Collaborator>, Error> {
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::CollaboratorRead)?;
        let owner = owner_of(reader, &app)?;
        let mut all = vec![Collaborator { account: owner, role: Role::Owner, created_at: app.created_at }];
        let shared = reader.collaborators(app.id)?.into_iter();
        all.extend(shared.map(|(account, role, created_at)| Collaborator { account, role, created_at }));
        Ok(all)
    })
}

/// Grants a role over the app, in place of an earlier grant.
pub fn add(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    person: &PersonRef,
    role: Role,
) -> Result<Collaborator, Error> {
    let (app, shared) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::CollaboratorWrite)?;
        if matches!(role, Role::Admin | Role::None) {
            return Err(Error::invalid(format!("The role {role} cannot be granted over an app.")));
        }
        let account = find_account(writer, person)?;
        if account.id == app.owner {
            return Err(Error::invalid(format!(
                "{} owns this app and has every right over it.",
                account.email
            )));
        }
        let before = writer.granted_role(app.id, account.id)?;
        let now = engine.now();
        writer.set_collaborator(app.id, account.id, role, now)?;
        let done =
            Done::new(Action::CollaboratorWrite.name(), Some(app.id), ResourceKind::Collaborator, account.id);
        record(engine, writer, context, done.before("role", before).after("role", role))?;
        Ok((app, Collaborator { account, role, created_at: now }))
    })?;
    log_by_actor(engine, context, app.id, &format!("Add {} as collaborator", shared.account.email));
    Ok(shared)
}

pub fn remove(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    person: &PersonRef,
) -> Result<Collaborator, Error> {
    let (app, removed) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::CollaboratorWrite)?;
        let account = find_account(writer, person)?;
        let role = writer.granted_role(app.id, account.id)?;
        if writer.delete_collaborator(app.id, account.id)? == 0 {
            return Err(Error::not_found(
                "collaborator",
                format!("{} is no collaborator of this app.", account.email),
            ));
        }
        let done =
            Done::new(Action::CollaboratorWrite.name(), Some(app.id), ResourceKind::Collaborator, account.id);
        record(engine, writer, context, done.before("role", role))?;
        Ok((app, Collaborator { account, role, created_at: engine.now() }))
    })?;
    log_by_actor(engine, context, app.id, &format!("Remove {} as collaborator", removed.account.email));
    Ok(removed)
}

fn find_account(reader: &Reader<'_>, person: &PersonRef) -> Result<AccountRef, Error> {
    let found = match person {
        PersonRef::Id(id) => reader.account(*id)?,
        PersonRef::Email(email) => reader.account_by_email(email)?,
        PersonRef::Unknown => return Err(Error::invalid("Name the person by the address of their account.")),
    };
    found.map(|account| account.reference()).ok_or_else(|| {
        Error::not_found("user", "Couldn't find that user.")
            .with_hint("The administrator makes an account with `dozen accounts:create EMAIL`.")
    })
}
