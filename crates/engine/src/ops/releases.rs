//! Releases: listed, looked at, rolled back to.

use super::authorised_app;
use crate::append;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::reference::{AppRef, ReleaseRef};
use domain::account::AccountRef;
use domain::app::App;
use domain::config_vars::ConfigVars;
use domain::event::ResourceKind;
use domain::ids::{AppId, JobId, ReleaseId};
use domain::names::{AppName, ConfigKey};
use domain::plan::report::Report;
use domain::policy::Action;
use domain::release::{Release, draft_from_rollback, rollback_eligibility};
use std::collections::BTreeSet;
use store::Reader;

/// A release as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseInfo {
    pub release: Release,
    pub app_name: AppName,
    /// `None`: the system, or an account that is gone.
    pub user: Option<AccountRef>,
    pub current: bool,
    pub eligible_for_rollback: bool,
    /// Why it is not further, if it waits for something.
    pub waits: Option<String>,
    /// Its release phase, if it has one: the output is in the log under `release.N`.
    pub phase_job: Option<JobId>,
    /// The names of config vars that differ from the release before it. Filled by [`info`], empty in lists.
    pub changes: ConfigNames,
}

/// Names of config vars by what happened to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigNames {
    pub added: Vec<ConfigKey>,
    pub changed: Vec<ConfigKey>,
    pub removed: Vec<ConfigKey>,
}

/// Oldest first.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<ReleaseInfo>, Error> {
    let status = engine.status();
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ReleaseRead)?;
        let current = reader.current_release(app.id)?;
        let releases = reader.releases(app.id)?.into_iter();
        releases.map(|release| render(reader, &app, current, &status.report, release)).collect()
    })
}

pub fn info(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    release: &ReleaseRef,
) -> Result<ReleaseInfo, Error> {
    let status = engine.status();
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ReleaseRead)?;
        let release = find_release(reader, app.id, release)?;
        let changes = config_changes(reader, &release)?;
        let info = render(reader, &app, reader.current_release(app.id)?, &status.report, release)?;
        Ok(ReleaseInfo { changes, ..info })
    })
}

/// Makes a release with slug, process types and config of an old one.
pub fn rollback(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    target: &ReleaseRef,
) -> Result<ReleaseInfo, Error> {
    let status = engine.status();
    let (info, new) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::ReleaseRollback)?;
        let current = writer.current_release(app.id)?;
        if let Some(id) = idempotency::earlier::<ReleaseId>(engine, writer, context, ResourceKind::Release)? {
            let release = find_release(writer, app.id, &ReleaseRef::Id(id))?;
            return render(writer, &app, current, &status.report, release).map(|info| (info, false));
        }
        let target = find_release(writer, app.id, target)?;
        let config = writer.config_of(app.id, target.id)?;
        let draft = draft_from_rollback(&append::basis(writer, &app)?, &target, config)?;
        let release = append::append(engine, writer, context, &app, draft, Action::ReleaseRollback.name())?;
        idempotency::keep(engine, writer, context, ResourceKind::Release, release.id.to_string())?;
        render(writer, &app, current, &status.report, release).map(|info| (info, true))
    })?;
    if new {
        append::log_release(engine, context, &info.release);
    }
    Ok(info)
}

/// The job of a release's phase, if it has one. For those who follow the release already.
pub fn phase_job(engine: &Engine, release: ReleaseId) -> Result<Option<JobId>, Error> {
    engine.read(|reader| Ok(reader.release_phase_job(release)?.map(|row| row.job.id)))
}

pub(crate) fn find_release(reader: &Reader<'_>, app: AppId, release: &ReleaseRef) -> Result<Release, Error> {
    let found = match release {
        ReleaseRef::Id(id) => reader.release(*id)?.filter(|release| release.app == app),
        ReleaseRef::Version(version) => reader.release_by_version(app, *version)?,
        ReleaseRef::Head => reader.head_release(app)?,
        ReleaseRef::Current => match reader.current_release(app)? {
            Some(id) => reader.release(id)?,
            None => None,
        },
        ReleaseRef::Unknown => None,
    };
    found.ok_or_else(|| {
        Error::not_found("release", "Couldn't find that release.")
            .with_hint("Run `dozen releases` to see the app's releases.")
    })
}

/// The first thing that holds a release back, in words.
pub(crate) fn waits(report: &Report, release: ReleaseId) -> Option<String> {
    report.of_release(release).next().map(ToString::to_string)
}

fn render(
    reader: &Reader<'_>,
    app: &App,
    current: Option<ReleaseId>,
    report: &Report,
    release: Release,
) -> Result<ReleaseInfo, Error> {
    let user = match release.actor {
        Some(account) => reader.account_ref(account)?,
        None => None,
    };
    let waits = if release.status.is_final() { None } else { waits(report, release.id) };
    Ok(ReleaseInfo {
        app_name: app.name.clone(),
        user,
        current: current == Some(release.id),
        eligible_for_rollback: rollback_eligibility(&release.status, &release.artifact).is_ok(),
        waits,
        phase_job: reader.release_phase_job(release.id)?.map(|row| row.job.id),
        changes: ConfigNames::default(),
        release,
    })
}

fn config_changes(reader: &Reader<'_>, release: &Release) -> Result<ConfigNames, Error> {
    let after = reader.config_of(release.app, release.id)?;
    let before = match release.version.0.checked_sub(1) {
        Some(version) => reader.release_by_version(release.app, domain::names::ReleaseVersion(version))?,
        None => None,
    };
    let before = match before {
        Some(before) => reader.config_of(release.app, before.id)?,
        None => ConfigVars::default(),
    };
    Ok(differences(&before, &after))
}

fn differences(before: &ConfigVars, after: &ConfigVars) -> ConfigNames {
    let names: BTreeSet<_> = before.names().chain(after.names()).collect();
    let mut changes = ConfigNames::default();
    for name in names {
        match (before.get(name), after.get(name)) {
            (None, Some(_)) => changes.added.push(name.clone()),
            (Some(_), None) => changes.removed.push(name.clone()),
            (before, after) if before != after => changes.changed.push(name.clone()),
            (_, _) => {}
        }
    }
    changes
}
