//! One-off processes on the release that serves and its config.
//!
//! An attached one is *held* until its caller has come, so that nothing of its output is missed; [`attach`] lets it start. One
//! that nobody comes for is cancelled.

use super::formation::no_such_process;
use super::processes::{ProcessInfo, find_job, job_info};
use super::{Done, authorised_app, log_by_actor, record};
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::idempotency;
use crate::ports::{AttachError, Attached};
use crate::reference::{AppRef, ProcessRef};
use domain::app::App;
use domain::event::ResourceKind;
use domain::formation::Size;
use domain::ids::{AppId, JobId, ProcessId};
use domain::job::{Job, JobState, JobStreams, ONE_OFF_LIMIT_SECONDS};
use domain::names::ConfigKey;
use domain::plan::{Waiting, Why};
use domain::policy::Action;
use domain::process::JobKind;
use domain::release::Release;
use domain::secret::Secret;
use std::time::{Duration, Instant};
use store::tables::jobs::JobRow;
use store::{Reader, Writer};

/// Longest command line.
const COMMAND_LIMIT_BYTES: usize = 8 * 1024;
/// Names and values of a job's own vars together.
const ENVIRONMENT_LIMIT_BYTES: usize = 16 * 1024;
/// How long a host that can start no process at all is waited for: a launcher comes back, within seconds unless the machine is very
/// busy, and a sandbox's missing layer does not.
const CANNOT_START_PATIENCE: Duration = Duration::from_secs(30);
/// Pause between attempts to reach a process that was just started.
const ATTACH_PAUSE: Duration = Duration::from_millis(20);

/// What to run.
#[derive(Debug)]
pub struct NewRun {
    /// A line for the shell, or the name of a process type.
    pub command: String,
    /// Added to the config vars for this process alone.
    pub env: Vec<(ConfigKey, Secret<String>)>,
    pub streams: JobStreams,
    pub size: Option<Size>,
    pub time_to_live_seconds: Option<u64>,
}

pub fn create(engine: &Engine, context: &Context, app: &AppRef, run: NewRun) -> Result<ProcessInfo, Error> {
    check(&run)?;
    let status = engine.status();
    let (info, new) = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::JobCreate)?;
        if let Some(id) = idempotency::earlier::<JobId>(engine, writer, context, ResourceKind::Job)? {
            let job = writer.job(id)?.ok_or_else(no_such_process)?;
            return job_info(writer, &app, &status.report, &job).map(|info| (info, false));
        }
        let release = release_to_run(writer, &app)?;
        let row = insert(engine, writer, context, &app, &release, run)?;
        let done = Done::new(Action::JobCreate.name(), Some(app.id), ResourceKind::Job, row.job.id);
        record(engine, writer, context, done.after("name", row.job.display_name()))?;
        idempotency::keep(engine, writer, context, ResourceKind::Job, row.job.id.to_string())?;
        job_info(writer, &app, &status.report, &row).map(|info| (info, true))
    })?;
    if new {
        log_by_actor(engine, context, info.app, &format!("Starting process with command `{}`", info.command));
    }
    Ok(info)
}

/// Lets a held job start and takes the outer ends of its streams, waiting at most so long. Whoever holds the job's secret address
/// may do this, once.
pub fn attach(engine: &Engine, job: JobId, at_most: Duration) -> Result<Attached, Error> {
    let (now, patience) = (Instant::now(), at_most.min(CANNOT_START_PATIENCE));
    let deadline = now + at_most;
    engine.write(|writer| Ok(writer.release_held_job(job, engine.now())?))?;
    loop {
        let seen = engine.changed().rings();
        let left = deadline.saturating_duration_since(Instant::now());
        match attach_once(engine, job)? {
            Attempt::Done(attached) => return Ok(attached),
            Attempt::CannotStart(reason) if now.elapsed() >= patience => {
                let told = format!("The process cannot be started: {reason}");
                return Err(Error::unavailable(told).with_id("cannot_start"));
            }
            Attempt::NotYet(why) if left.is_zero() => {
                let told = "The process has not started in time.";
                return Err(Error::unavailable(told).with_hint(why).with_id("attach_timeout"));
            }
            // The bell rings after each pass; a process that was just spawned takes a little longer.
            Attempt::NotYet(_) | Attempt::CannotStart(_) => {
                engine.changed().wait_past(seen, left.min(ATTACH_PAUSE));
            }
        }
    }
}

enum Attempt {
    Done(Attached),
    NotYet(String),
    /// The host can start nothing, for this reason.
    CannotStart(String),
}

fn attach_once(engine: &Engine, job: JobId) -> Result<Attempt, Error> {
    let workers = engine.0.workers.get().ok_or_else(|| Error::unavailable("The server is starting."))?;
    let ended = || Error::conflict("The process has ended.");
    // One that was quick to end may still have its output waiting.
    let (process, has_ended) = match state_of(engine, job)? {
        JobState::Started { process } => (process, false),
        JobState::Ended { process, .. } => (process, true),
        JobState::Waiting => return Ok(why_waiting(engine, job)),
        JobState::Lost { .. } | JobState::NeverStarted => return Err(ended()),
    };
    match workers.backend.attach(process) {
        Ok(attached) => Ok(Attempt::Done(attached)),
        Err(AttachError::Taken) => Err(Error::conflict("Someone else is attached to this process.")),
        Err(AttachError::Gone | AttachError::Unreachable(_)) if has_ended => Err(ended()),
        Err(error @ (AttachError::Gone | AttachError::Unreachable(_))) => {
            Ok(Attempt::NotYet(error.to_string()))
        }
    }
}

fn why_waiting(engine: &Engine, job: JobId) -> Attempt {
    let status = engine.status();
    let found = status.report.waiting.iter().find_map(|waiting| match waiting {
        Waiting::Job { job: of, why: Why::CannotStart { reason }, .. } if *of == job => {
            Some(Attempt::CannotStart(reason.clone()))
        }
        Waiting::Job { job: of, .. } if *of == job => Some(Attempt::NotYet(format!("It waits: {waiting}."))),
        Waiting::Job { .. }
        | Waiting::Slot { .. }
        | Waiting::Boot { .. }
        | Waiting::Drain { .. }
        | Waiting::RouterAcknowledgement { .. }
        | Waiting::ReleasePhase { .. }
        | Waiting::NoneReady { .. }
        | Waiting::LostJob { .. } => None,
    });
    found.unwrap_or_else(|| Attempt::NotYet("It waits for its turn.".to_owned()))
}

/// Changes the size of an attached terminal.
pub fn resize(engine: &Engine, job: JobId, columns: u16, lines: u16) -> Result<(), Error> {
    let workers = engine.0.workers.get().ok_or_else(|| Error::unavailable("The server is starting."))?;
    let process = running_process(engine, job)?;
    workers.backend.resize(process, columns, lines).map_err(|error| Error::conflict(format!("{error}.")))
}

/// Waits until the job has ended, at most so long; `None`: it has not.
pub fn wait_ended(engine: &Engine, job: JobId, at_most: Duration) -> Result<Option<JobState>, Error> {
    let deadline = Instant::now() + at_most;
    loop {
        let seen = engine.changed().rings();
        let state = state_of(engine, job)?;
        if state.has_ended() {
            return Ok(Some(state));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || engine.is_stopping() {
            return Ok(None);
        }
        engine.changed().wait_past(seen, left);
    }
}

/// The person who was attached has gone: the process is asked to end.
pub fn hang_up(engine: &Engine, job: JobId) -> Result<(), Error> {
    engine.write(|writer| Ok(writer.cancel_job(job, engine.now())?)).map(drop)
}

/// Asks a job's process to end; `false` if the reference names no job.
pub(crate) fn stop_if_job(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    process: &ProcessRef,
) -> Result<bool, Error> {
    let stopped = engine.write(|writer| {
        let app = authorised_app(writer, context, app, Action::JobStop)?;
        let Some(row) = find_job(writer, app.id, process)? else { return Ok(None) };
        if writer.cancel_job(row.job.id, engine.now())? {
            let done = Done::new(Action::JobStop.name(), Some(app.id), ResourceKind::Job, row.job.id);
            record(engine, writer, context, done.before("name", row.job.display_name()))?;
        }
        Ok(Some((app, row.job.display_name())))
    })?;
    let Some((app, name)) = stopped else { return Ok(false) };
    log_by_actor(engine, context, app.id, &format!("Stop of {name} requested"));
    Ok(true)
}

fn check(run: &NewRun) -> Result<(), Error> {
    let bytes: usize = run.env.iter().map(|(key, value)| key.as_str().len() + value.expose().len()).sum();
    let nul = |text: &str| text.contains('\0');
    match () {
        () if run.command.trim().is_empty() => Err(Error::invalid("There is no command to run.")),
        () if run.command.len() > COMMAND_LIMIT_BYTES => {
            Err(Error::invalid(format!("The command is longer than {COMMAND_LIMIT_BYTES} bytes.")))
        }
        () if bytes > ENVIRONMENT_LIMIT_BYTES => Err(Error::invalid(format!(
            "The process's own vars take more than {ENVIRONMENT_LIMIT_BYTES} bytes."
        ))),
        () if nul(&run.command) || run.env.iter().any(|(_, value)| nul(value.expose())) => {
            Err(Error::invalid("Neither the command nor a var may contain a NUL byte."))
        }
        () => Ok(()),
    }
}

/// The one on which processes can be run.
pub(crate) fn serving_release(reader: &Reader<'_>, app: AppId) -> Result<Option<Release>, Error> {
    let current = match reader.current_release(app)? {
        Some(current) => reader.release(current)?,
        None => None,
    };
    Ok(current.filter(|release| release.artifact.slug.is_some()))
}

fn release_to_run(reader: &Reader<'_>, app: &App) -> Result<Release, Error> {
    serving_release(reader, app.id)?.ok_or_else(|| {
        Error::invalid("This app has no release that serves, so there is nothing to run a process on.")
            .with_hint("Push some code first: `git push dozen main`.")
    })
}

fn insert(
    engine: &Engine,
    writer: &Writer<'_>,
    context: &Context,
    app: &App,
    release: &Release,
    run: NewRun,
) -> Result<JobRow, Error> {
    let now = engine.now();
    let size = run.size.unwrap_or_default();
    let asked = run.time_to_live_seconds.unwrap_or(ONE_OFF_LIMIT_SECONDS);
    let job = Job {
        id: JobId::from_uuid(engine.uuid()),
        app: app.id,
        kind: JobKind::OneOff,
        release: release.id,
        number: writer.newest_one_off_number(app.id)? + 1,
        command: resolve(release, &run.command),
        streams: run.streams,
        limits: size.limits(),
        time_limit_seconds: asked.clamp(1, ONE_OFF_LIMIT_SECONDS),
        actor: context.actor.account(),
        created_at: now,
        updated_at: now,
        cancelled: false,
        state: JobState::Waiting,
    };
    let row = JobRow { held: run.streams.is_attached(), job, size };
    writer.insert_job(&row, &run.env, &engine.nonce())?;
    Ok(row)
}

/// `worker` means what the Procfile says under `worker`.
pub(crate) fn resolve(release: &Release, command: &str) -> String {
    let of_type = command.trim().parse().ok().and_then(|kind| release.artifact.process_types.get(&kind));
    of_type.cloned().unwrap_or_else(|| command.to_owned())
}

fn state_of(engine: &Engine, job: JobId) -> Result<JobState, Error> {
    engine.read(|reader| Ok(reader.job(job)?.ok_or_else(no_such_process)?.job.state))
}

fn running_process(engine: &Engine, job: JobId) -> Result<ProcessId, Error> {
    match state_of(engine, job)? {
        JobState::Started { process } => Ok(process),
        JobState::Waiting | JobState::Ended { .. } | JobState::Lost { .. } | JobState::NeverStarted => {
            Err(Error::conflict("The process is not running."))
        }
    }
}
