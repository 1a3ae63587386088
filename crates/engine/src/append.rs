//! The one way by which a release comes to be: a draft, made from a basis read in the same transaction, is appended with all that
//! follows from it.

use crate::context::{Actor, Context};
use crate::engine::Engine;
use crate::error::Error;
use crate::ops::{Done, log_api, log_by_actor, record};
use domain::app::App;
use domain::event::ResourceKind;
use domain::formation::{Size, missing_rows};
use domain::ids::{JobId, ReleaseId};
use domain::job::{Job, JobState, JobStreams, RELEASE_PHASE_LIMIT_SECONDS};
use domain::names::ProcessType;
use domain::process::JobKind;
use domain::release::{Basis, Draft, Release, ReleaseRefused, ReleaseStatus};
use store::tables::jobs::JobRow;
use store::{Reader, Writer};

/// What the next release of `app` is made from.
pub(crate) fn basis(reader: &Reader<'_>, app: &App) -> Result<Basis, Error> {
    let head = reader.head_release(app.id)?;
    let config = match &head {
        Some(head) => reader.config_of(app.id, head.id)?,
        None => Default::default(),
    };
    Ok(Basis {
        config,
        attachments: head.map(|head| head.attachments).unwrap_or_default(),
        sound: reader.sound_release(app.id)?.map(|release| release.artifact).unwrap_or_default(),
        newest_build: reader.newest_released_build(app.id)?,
    })
}

/// Appends a release, its release-phase job, the formation rows of its new types, and the event `action`.
pub(crate) fn append(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    app: &App,
    draft: Draft,
    action: &str,
) -> Result<Release, Error> {
    let head = writer.head_release(app.id)?;
    let version = head.as_ref().map_or(1, |head| head.version.0 + 1);
    let now = engine.now();
    let release = Release {
        id: ReleaseId::from_uuid(engine.uuid()),
        app: app.id,
        version: domain::names::ReleaseVersion(version),
        artifact: draft.artifact,
        attachments: draft.attachments,
        build_number: draft.build_number,
        description: draft.description,
        actor: context.actor.account(),
        created_at: now,
        status: ReleaseStatus::Pending,
        status_at: now,
    };
    writer.append_release(&release, &draft.config, &engine.nonce())?;
    insert_missing_formation(engine, writer, &release)?;
    insert_release_phase(engine, writer, context, &release)?;
    // A new release starts what was stopped by hand, unless nobody asked for it.
    match context.actor {
        Actor::Account { .. } => writer.unstop_app(app.id)?,
        Actor::System => {}
    }
    let names: Vec<_> = draft.config.names().map(|key| key.as_str()).collect();
    let done = Done::new(action, Some(app.id), ResourceKind::Release, release.id)
        .after("version", release.version)
        .after("description", &release.description)
        .after("config", names.join(", "));
    let done = match head {
        Some(head) => done.before("version", head.version),
        None => done,
    };
    record(engine, writer, context, done)?;
    Ok(release)
}

/// The lines that Heroku writes for a new release.
pub(crate) fn log_release(engine: &Engine, context: &Context, release: &Release) {
    log_by_actor(engine, context, release.app, &release.description);
    log_by_actor(engine, context, release.app, &format!("Release {} created", release.version));
}

fn insert_missing_formation(engine: &Engine, writer: &Writer<'_>, release: &Release) -> Result<(), Error> {
    let present = writer.formation(release.app)?;
    for (process_type, quantity) in missing_rows(&present, &release.artifact.process_types) {
        writer.put_formation(release.app, engine.uuid(), &process_type, &quantity, release.created_at)?;
    }
    Ok(())
}

fn insert_release_phase(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    release: &Release,
) -> Result<(), Error> {
    let Some(command) = release_phase_command(release) else { return Ok(()) };
    let size = Size::default();
    let job = Job {
        id: JobId::from_uuid(engine.uuid()),
        app: release.app,
        kind: JobKind::ReleasePhase,
        release: release.id,
        number: u32::try_from(release.version.0).unwrap_or(u32::MAX),
        command: command.to_owned(),
        streams: JobStreams::Log,
        limits: size.limits(),
        time_limit_seconds: RELEASE_PHASE_LIMIT_SECONDS,
        actor: context.actor.account(),
        created_at: release.created_at,
        updated_at: release.created_at,
        cancelled: false,
        state: JobState::Waiting,
    };
    Ok(writer.insert_job(&JobRow { job, size, held: false }, &[], &engine.nonce())?)
}

/// What runs before the release serves, if anything does.
pub(crate) fn release_phase_command(release: &Release) -> Option<&str> {
    release.artifact.slug.as_ref()?;
    let mut types = release.artifact.process_types.iter();
    types
        .find(|(process_type, _)| ProcessType::is_release_phase(process_type))
        .map(|(_, command)| command.as_str())
}

impl From<ReleaseRefused> for Error {
    fn from(refused: ReleaseRefused) -> Self {
        match refused {
            ReleaseRefused::Config(refused) => Self::invalid(format!("{refused}.")),
            ReleaseRefused::OlderBuild { .. } => Self::conflict(format!("{refused}.")),
            ReleaseRefused::NotEligible { .. } => Self::invalid(format!("{refused}."))
                .with_hint("Run `dozen releases` to see which releases served."),
        }
    }
}

/// `app[api]: ...` for what the system did to a release.
pub(crate) fn log_system(engine: &Engine, release: &Release, text: &str) {
    log_api(engine, release.app, format!("Release {} {text}", release.version));
}
