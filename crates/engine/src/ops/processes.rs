//! What runs, what waits and why, what has ended and how.

use super::authorised_app;
use super::formation::no_such_process;
use super::process_view::View;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::Error;
use crate::reference::{AppRef, ProcessRef};
use domain::app::App;
use domain::formation::Size;
use domain::ids::{AppId, JobId, ProcessId, ReleaseId};
use domain::names::{ProcessType, ReleaseVersion};
use domain::plan::report::Report;
use domain::policy::Action;
use domain::process::{ExitStatus, JobKind, Purpose};
use domain::time::WallMillis;
use store::Reader;
use store::tables::jobs::JobRow;
use store::tables::placements::Placement;
use uuid::Uuid;

/// A process as people see it. A job's id is that of the job, from its making to long after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    pub id: Uuid,
    pub app: AppId,
    /// `web.1`, `run.4821`.
    pub name: String,
    /// `web`; for jobs `run` or `release`.
    pub process_type: ProcessType,
    pub command: String,
    pub size: Size,
    pub release: ReleaseId,
    pub version: ReleaseVersion,
    pub state: ProcessWord,
    /// Why it is not further.
    pub why: Option<String>,
    pub exit: Option<ExitStatus>,
    /// It ended, or its last predecessor in its place did, because the kernel killed it for want of memory.
    pub out_of_memory: bool,
    pub created_at: WallMillis,
    pub updated_at: WallMillis,
    pub job: Option<JobId>,
    /// The process of the operating system, once there is one.
    pub process: Option<ProcessId>,
}

/// Where in its life a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessWord {
    /// Wanted, not started.
    Waiting,
    Starting,
    Up,
    Stopping,
    /// It ended on its own and waits for its next start.
    Crashed,
    /// Somebody stopped it.
    Stopped,
    /// It has ended and will not start again.
    Complete,
    /// It vanished; how it ended is not known.
    Lost,
}

impl ProcessWord {
    /// Heroku's word.
    pub const fn api_word(self) -> &'static str {
        match self {
            Self::Waiting | Self::Starting => "starting",
            Self::Up => "up",
            Self::Crashed | Self::Lost => "crashed",
            Self::Stopping | Self::Stopped | Self::Complete => "down",
        }
    }

    /// Whether something is still to come: one that has crashed waits for its next start.
    pub const fn goes_on(self) -> bool {
        match self {
            Self::Waiting | Self::Starting | Self::Up | Self::Stopping | Self::Crashed => true,
            Self::Stopped | Self::Complete | Self::Lost => false,
        }
    }

    pub const fn has_ended(self) -> bool {
        match self {
            Self::Waiting | Self::Starting | Self::Up | Self::Stopping => false,
            Self::Crashed | Self::Stopped | Self::Complete | Self::Lost => true,
        }
    }
}

/// Everything that runs or should: slots of the formation first, then jobs.
pub fn list(engine: &Engine, context: &Context, app: &AppRef) -> Result<Vec<ProcessInfo>, Error> {
    let status = engine.status();
    engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ProcessRead)?;
        let view = View::read(reader, &app, &status.report)?;
        let mut all = view.placed_slots()?;
        all.extend(view.empty_slots(engine)?);
        all.sort_by(|a, b| (&a.process_type, &a.name, a.version).cmp(&(&b.process_type, &b.name, b.version)));
        for job in reader.unfinished_jobs(app.id)? {
            all.push(view.job(&job)?);
        }
        Ok(all)
    })
}

/// One process or job, ended ones too.
pub fn info(
    engine: &Engine,
    context: &Context,
    app: &AppRef,
    process: &ProcessRef,
) -> Result<ProcessInfo, Error> {
    let status = engine.status();
    let found = engine.read(|reader| {
        let app = authorised_app(reader, context, app, Action::ProcessRead)?;
        let view = View::read(reader, &app, &status.report)?;
        if let Some(job) = find_job(reader, app.id, process)? {
            return view.job(&job).map(Some);
        }
        match process {
            ProcessRef::Id(id) => {
                match reader.exit(ProcessId::from_uuid(*id))?.filter(|exit| exit.app == app.id) {
                    Some(exit) => view.ended(&exit).map(Some),
                    None => Ok(None),
                }
            }
            ProcessRef::Name { .. } | ProcessRef::Unknown => Ok(None),
        }
    })?;
    if let Some(found) = found {
        return Ok(found);
    }
    let is_it = |info: &ProcessInfo| match process {
        ProcessRef::Id(id) => info.id == *id,
        ProcessRef::Name { process_type, number } => info.name == format!("{process_type}.{number}"),
        ProcessRef::Unknown => false,
    };
    // The newest release's one, while two overlap.
    list(engine, context, app)?
        .into_iter()
        .filter(is_it)
        .max_by_key(|info| info.version)
        .ok_or_else(no_such_process)
}

/// The job that this reference names, by its own id, its process's or its display name.
pub(crate) fn find_job(
    reader: &Reader<'_>,
    app: AppId,
    process: &ProcessRef,
) -> Result<Option<JobRow>, Error> {
    let found = match process {
        ProcessRef::Id(id) => match reader.job(JobId::from_uuid(*id))? {
            Some(job) => Some(job),
            None => reader.job_of_process(ProcessId::from_uuid(*id))?,
        },
        ProcessRef::Name { process_type, number } if is_place(reader, app, process_type, *number)? => None,
        ProcessRef::Name { process_type, number } => match process_type.as_str() {
            "run" => reader.job_by_number(app, JobKind::OneOff, *number)?,
            "cron" => reader.job_by_number(app, JobKind::Cron, *number)?,
            ProcessType::RELEASE => reader.job_by_number(app, JobKind::ReleasePhase, *number)?,
            _ => None,
        },
        ProcessRef::Unknown => None,
    };
    Ok(found.filter(|row| row.job.app == app))
}

/// Whether a place of the app is called so. It goes before a job of that name, which can be named by its id: an app may well have a
/// process type `cron`.
fn is_place(reader: &Reader<'_>, app: AppId, process_type: &ProcessType, number: u32) -> Result<bool, Error> {
    let is_it = |placement: &Placement| match &placement.purpose {
        Purpose::Slot { process_type: of, index, .. } => of == process_type && *index == number,
        Purpose::Job { .. } => false,
    };
    if reader.placements_of(app)?.iter().any(is_it) {
        return Ok(true);
    }
    let quantity = reader.formation(app)?.get(process_type).map_or(0, |row| row.quantity);
    if process_type.is_release_phase() || number > quantity {
        return Ok(false);
    }
    let current = match reader.current_release(app)? {
        Some(current) => reader.release(current)?,
        None => None,
    };
    Ok(current.is_some_and(|current| current.artifact.process_types.contains_key(process_type)))
}

/// A job as the caller of `run` sees it.
pub(crate) fn job_info(
    reader: &Reader<'_>,
    app: &App,
    report: &Report,
    job: &JobRow,
) -> Result<ProcessInfo, Error> {
    View::read(reader, app, report)?.job(job)
}
