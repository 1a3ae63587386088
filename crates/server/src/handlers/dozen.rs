//! Our own extensions under `/dozen`: what Heroku's shapes have no place for.

use super::convert::time;
use super::dynos::{named, word};
use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::state::State;
use crate::table::{About, Routes};
use api::dozen::doctor::{DoctorReport, Outcome};
use api::dozen::process::{End, Process};
use api::dozen::release::{ConfigChanges, Progress, ReleaseReport};
use api::dozen::server::{EXTENSIONS, ServerInfo};
use api::dozen::status::AppStatus;
use api::dozen::usage::Usage;
use api::reference::{AppReference, ReleaseReference};
use axum::extract::Path;
use axum::{Json, extract};
use domain::policy::{Action, Resource, authorise};
use domain::process::ExitStatus;
use domain::release::ReleaseStatus;
use engine::ops::processes::{ProcessInfo, ProcessWord};
use engine::ops::releases::ReleaseInfo;
use engine::{AppRef, Context, Error, ProcessRef, ReleaseRef, ops};
use std::collections::BTreeSet;

pub fn routes() -> Routes {
    Routes::new()
        .get("/dozen/server", server, About::open("What this server is").one("ServerInfo"))
        .get("/dozen/version", server, About::open("What this server is").one("ServerInfo"))
        .get(
            "/dozen/doctor",
            doctor,
            About::installation(Action::InstallationRead, "Whether the machine has what apps need")
                .one("DoctorReport"),
        )
        .get(
            "/dozen/apps/{app}/processes",
            processes,
            About::app(Action::ProcessRead, "List the processes, with why they wait").many("Process"),
        )
        .get(
            "/dozen/apps/{app}/processes/{process}",
            process,
            About::app(Action::ProcessRead, "Show a process, also one that has ended").one("Process"),
        )
        .get(
            "/dozen/apps/{app}/releases/{release}",
            release,
            About::app(Action::ReleaseRead, "Show a release, with how far it is and what it changed")
                .one("ReleaseReport"),
        )
        .get(
            "/dozen/apps/{app}/status",
            status,
            About::app(Action::AppRead, "Show what serves, what is next and what it waits for")
                .one("AppStatus"),
        )
}

/// The one answer that needs no token.
async fn server(extract::State(state): extract::State<State>, origin: Origin) -> Json<ServerInfo> {
    Json(ServerInfo {
        version: state.settings.version.clone(),
        extensions: EXTENSIONS,
        app_url: state.settings.app_url_template(),
        git_url: super::apps::git_url(&origin, "{app}"),
    })
}

async fn doctor(
    extract::State(state): extract::State<State>,
    caller: Caller,
) -> Result<Json<DoctorReport>, Refusal> {
    let report = blocking(move || {
        authorise(&caller.actor, Action::InstallationRead, &Resource::Installation).map_err(Error::from)?;
        Ok(state.doctor.report())
    });
    Ok(Json(report.await?))
}

fn render_process(app: &AppReference, row: ProcessInfo) -> Process {
    let ended = matches!(
        row.state,
        ProcessWord::Complete | ProcessWord::Lost | ProcessWord::Crashed | ProcessWord::Stopped
    );
    let end = if ended { end(&row) } else { None };
    Process {
        id: row.id,
        name: row.name,
        app: app.clone(),
        release: ReleaseReference { id: row.release, version: row.version },
        process_type: row.process_type,
        command: row.command,
        state: word(row.state),
        created_at: time(row.created_at),
        started_at: row.process.map(|_| time(row.created_at)),
        ended_at: end.as_ref().map(|_| time(row.updated_at)),
        end,
        waits: if row.state.goes_on() { row.why } else { None },
        usage: None,
    }
}

fn end(row: &ProcessInfo) -> Option<End> {
    let not_started = || row.why.clone().unwrap_or_else(|| "it could not be started".to_owned());
    match (row.state, row.exit) {
        (ProcessWord::Lost, _) => Some(End::Lost),
        (_, Some(ExitStatus::NotStarted)) => Some(End::NotStarted { reason: not_started() }),
        (state, Some(status)) => Some(End::Exited {
            code: status.shell_code(),
            signal: match status {
                ExitStatus::Signal(signal) => Some(signal),
                ExitStatus::Code(_) | ExitStatus::NotStarted => None,
            },
            out_of_memory: row.out_of_memory,
            stop_requested: state == ProcessWord::Stopped,
        }),
        (ProcessWord::Complete, None) => Some(End::NotStarted { reason: not_started() }),
        (_, None) => None,
    }
}

async fn processes(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
) -> Result<Json<Vec<Process>>, Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    let (app, rows) = blocking(move || {
        Ok((named(&state.engine, &context, &app)?, ops::processes::list(&state.engine, &context, &app)?))
    })
    .await?;
    Ok(Json(rows.into_iter().map(|row| render_process(&app, row)).collect()))
}

async fn process(
    extract::State(state): extract::State<State>,
    Path((app, process)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Process>, Refusal> {
    let (context, app, process) = (caller.context(), AppRef::new(&app), ProcessRef::new(&process));
    blocking(move || {
        let row = ops::processes::info(&state.engine, &context, &app, &process)?;
        let usage = ops::usage::of(&state.engine, &row).ok();
        let process = render_process(&named(&state.engine, &context, &app)?, row);
        Ok(Process { usage: usage.map(Usage::from), ..process })
    })
    .await
    .map(Json)
}

async fn release(
    extract::State(state): extract::State<State>,
    Path((app, release)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<ReleaseReport>, Refusal> {
    let (app, release) = (AppRef::new(&app), ReleaseRef::new(&release));
    let row = blocking(move || ops::releases::info(&state.engine, &caller.context(), &app, &release)).await?;
    Ok(Json(render_release(row)))
}

fn render_release(row: ReleaseInfo) -> ReleaseReport {
    let release = row.release;
    ReleaseReport {
        id: release.id,
        version: release.version,
        description: release.description,
        created_at: time(release.created_at),
        by: row.user.map_or_else(|| "system".to_owned(), |user| user.email.to_string()),
        progress: progress(release.status, row.waits),
        slug: release.artifact.slug,
        commit: release.artifact.commit,
        build: release.artifact.build,
        process_types: release.artifact.process_types,
        config_changes: ConfigChanges {
            added: row.changes.added,
            changed: row.changes.changed,
            removed: row.changes.removed,
        },
    }
}

fn progress(status: ReleaseStatus, waits: Option<String>) -> Progress {
    match status {
        ReleaseStatus::Pending => Progress::Pending { waits },
        ReleaseStatus::PhaseRunning => Progress::PhaseRunning { waits },
        ReleaseStatus::Starting => Progress::Starting { waits },
        ReleaseStatus::Succeeded => Progress::Succeeded,
        ReleaseStatus::Failed { reason } => Progress::Failed { reason },
        ReleaseStatus::Superseded => Progress::Superseded,
    }
}

async fn status(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
) -> Result<Json<AppStatus>, Refusal> {
    let app = AppRef::new(&app);
    Ok(Json(blocking(move || app_status(&state, &caller.context(), &app)).await?))
}

fn app_status(state: &State, context: &Context, app: &AppRef) -> Result<AppStatus, Error> {
    let engine = &state.engine;
    let reference = named(engine, context, app)?;
    let releases = ops::releases::list(engine, context, app)?;
    let processes = ops::processes::list(engine, context, app)?;
    let point = |row: &ReleaseInfo| ReleaseReference { id: row.release.id, version: row.release.version };
    let newest = releases.iter().max_by_key(|row| row.release.version);
    let waits: BTreeSet<String> = releases
        .iter()
        .filter_map(|row| row.waits.clone())
        .chain(processes.into_iter().filter(|row| row.state.goes_on()).filter_map(|row| row.why))
        .collect();
    Ok(AppStatus {
        app: reference,
        head: newest.map(point),
        current: releases.iter().find(|row| row.current).map(point),
        candidate: newest.filter(|row| !row.release.status.is_final()).map(point),
        warnings: warnings(&state.doctor.report(), &waits),
        waits: waits.into_iter().collect(),
    })
}

/// What the launcher does without, or that it starts nothing: it concerns everybody whose apps run here.
fn warnings(report: &DoctorReport, waits: &BTreeSet<String>) -> Vec<String> {
    let weak = report.checks.iter().filter(|check| check.area == "launcher" && check.outcome != Outcome::Ok);
    let told = |detail: &str| waits.iter().any(|wait| wait.contains(detail));
    weak.map(|check| check.detail.clone()).filter(|detail| !told(detail)).collect()
}
