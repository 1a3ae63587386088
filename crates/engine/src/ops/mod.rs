//! Use cases: `ops::<noun>::<verb>`. Each authorises its actor itself, changes the ledger and appends its event in one
//! transaction, and writes its log lines when that has committed.

pub mod accounts;
pub mod apps;
pub mod buildpacks;
pub mod builds;
pub mod collaborators;
pub mod config;
pub mod cron;
pub mod domains;
pub mod events;
pub mod features;
pub mod formation;
mod process_view;
pub mod processes;
pub mod releases;
pub mod run;
pub mod sources;
pub mod ssh_keys;
pub mod usage;

use crate::context::{Actor, Context};
use crate::engine::Engine;
use crate::error::Error;
use crate::ports::{LogLine, LogStream};
use crate::reference::AppRef;
use domain::account::AccountRef;
use domain::app::App;
use domain::event::{Event, Names, ResourceKind};
use domain::ids::{AccountId, AppId};
use domain::policy::{self, Action, Resource, Role};
use std::fmt::Display;
use store::{Reader, Writer};

/// The app, if the actor may do `action` to it. Someone to whom the app is nothing does not learn that it exists.
pub(crate) fn authorised_app(
    reader: &Reader<'_>,
    context: &Context,
    app: &AppRef,
    action: Action,
) -> Result<App, Error> {
    let app = find_app(reader, app)?;
    let resource = app_resource(reader, context, &app)?;
    match policy::authorise(&context.actor, action, &resource) {
        Ok(()) => Ok(app),
        Err(denied) if denied.held == Role::None => Err(no_such_app()),
        Err(denied) => Err(denied.into()),
    }
}

pub(crate) fn app_resource(reader: &Reader<'_>, context: &Context, app: &App) -> Result<Resource, Error> {
    let granted = match context.actor {
        Actor::Account { id, .. } => reader.granted_role(app.id, id)?,
        Actor::System => Role::None,
    };
    Ok(Resource::App { app: app.id, owner: app.owner, granted })
}

fn find_app(reader: &Reader<'_>, app: &AppRef) -> Result<App, Error> {
    let found = match app {
        AppRef::Id(id) => reader.app(*id)?,
        AppRef::Name(name) => reader.app_by_name(name)?,
        AppRef::Unknown => None,
    };
    found.ok_or_else(no_such_app)
}

fn no_such_app() -> Error {
    Error::not_found("app", "Couldn't find that app.")
        .with_hint("Run `dozen apps` to see the apps that you can use.")
}

/// The account that acts. The system has none, and nothing that needs one is done by it.
pub(crate) fn acting_account(context: &Context) -> Result<AccountId, Error> {
    context.actor.account().ok_or_else(|| Error::forbidden("This needs an account; the system has none."))
}

/// What an operation did, for its event.
pub(crate) struct Done<'a> {
    pub action: &'a str,
    pub app: Option<AppId>,
    pub resource: ResourceKind,
    pub resource_id: String,
    pub before: Names,
    pub after: Names,
}

impl<'a> Done<'a> {
    pub(crate) fn new(
        action: &'a str,
        app: Option<AppId>,
        resource: ResourceKind,
        resource_id: impl Display,
    ) -> Self {
        let resource_id = resource_id.to_string();
        Self { action, app, resource, resource_id, before: Names::new(), after: Names::new() }
    }

    pub(crate) fn before(mut self, name: &str, value: impl Display) -> Self {
        self.before.insert(name.to_owned(), value.to_string());
        self
    }

    pub(crate) fn after(mut self, name: &str, value: impl Display) -> Self {
        self.after.insert(name.to_owned(), value.to_string());
        self
    }
}

/// Appends the event, in the operation's transaction.
pub(crate) fn record(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    done: Done<'_>,
) -> Result<(), Error> {
    writer.append_event(&Event {
        sequence: 0,
        at: engine.now(),
        actor: context.actor.account(),
        action: done.action.to_owned(),
        app: done.app,
        resource: done.resource,
        resource_id: done.resource_id,
        before: done.before,
        after: done.after,
        request_id: context.request_id.as_str().to_owned(),
    })?;
    Ok(())
}

/// `app[api]: TEXT by user ada@example.com`
pub(crate) fn log_by_actor(engine: &Engine, context: &Context, app: AppId, text: &str) {
    let by = match user(engine, context.actor.account()) {
        Some(user) => format!("user {}", user.email),
        None => "the system".to_owned(),
    };
    log_api(engine, app, format!("{text} by {by}"));
}

/// `app[api]: TEXT`
pub(crate) fn log_api(engine: &Engine, app: AppId, text: String) {
    engine
        .0
        .ports
        .log
        .append(app, LogLine { stream: LogStream::Api, name: "api".to_owned(), process: None, text });
}

fn user(engine: &Engine, account: Option<AccountId>) -> Option<AccountRef> {
    // A log line is not worth failing for.
    account.and_then(|id| engine.read(|reader| Ok(reader.account_ref(id)?)).ok().flatten())
}
