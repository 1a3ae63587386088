//! `/dozen/apps/:app/cron`: commands that run again and again.

use super::convert::time;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::dozen::cron::{CreateCronEntry, CronEntry, CronOutcome, CronRun};
use api::dozen::process::End;
use api::dyno::Empty;
use api::error::ErrorId;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::app_json::cron as written;
use domain::ids::CronId;
use domain::job::JobState;
use domain::policy::Action;
use domain::process::ExitStatus;
use engine::ops::cron::{CronInfo, HistoryRow, RunOutcome};
use engine::{AppRef, ops};
use http::StatusCode;

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/dozen/apps/{app}/cron",
            list,
            About::app(Action::CronRead, "List the recurring commands, with their next runs")
                .many("CronEntry"),
        )
        .post(
            "/dozen/apps/{app}/cron",
            add,
            About::app(Action::CronWrite, "Add a recurring command")
                .takes("CreateCronEntry")
                .created("CronEntry"),
        )
        .get(
            "/dozen/apps/{app}/cron/{cron}",
            info,
            About::app(Action::CronRead, "Show a recurring command").one("CronEntry"),
        )
        .delete(
            "/dozen/apps/{app}/cron/{cron}",
            remove,
            About::app(Action::CronWrite, "Remove a recurring command that was added").one("CronEntry"),
        )
        .get(
            "/dozen/apps/{app}/cron/{cron}/runs",
            runs_of_one,
            About::app(Action::CronRead, "List the newest runs of a recurring command").many("CronRun"),
        )
        .post(
            "/dozen/apps/{app}/cron/{cron}/runs",
            run_now,
            About::app(Action::JobCreate, "Run a recurring command now").takes("Empty").created("CronRun"),
        )
        .get(
            "/dozen/apps/{app}/cron-runs",
            runs,
            About::app(Action::CronRead, "List the newest runs of all recurring commands").many("CronRun"),
        )
}

const ENTRY_FIELDS: &[Field<CronInfo>] = &[
    Field { name: "created_at", text: |info| format!("{:020}", info.row.created_at.0) },
    Field { name: "id", text: |info| info.row.id.to_string() },
];
/// Larger is newer, and the first page has the newest.
const RUN_FIELDS: &[Field<HistoryRow>] =
    &[Field { name: "age", text: |row| format!("{:020}", u64::MAX - row.run.sequence) }];

fn render(info: CronInfo) -> CronEntry {
    let entry = info.row.entry;
    CronEntry {
        id: info.row.id,
        command: entry.command,
        schedule: entry.schedule.to_string(),
        timezone: entry.timezone.to_string(),
        concurrency: entry.concurrency.as_word().to_owned(),
        origin: info.row.origin.as_word().to_owned(),
        created_at: time(info.row.created_at),
        next_runs: info.next_runs.into_iter().map(time).collect(),
        last_run: info.last_run.map(render_run),
    }
}

fn render_run(row: HistoryRow) -> CronRun {
    let outcome = match (row.run.outcome, row.job) {
        (RunOutcome::Started { job }, found) => CronOutcome::Started {
            id: job,
            name: found.as_ref().map(|found| found.job.display_name()).unwrap_or_default(),
            end: found.and_then(|found| end(&found.job.state)),
        },
        (RunOutcome::Skipped { reason }, _) => CronOutcome::Skipped { reason },
        (RunOutcome::Missed { count }, _) => CronOutcome::Missed { count },
    };
    CronRun {
        cron: row.run.entry,
        command: row.command,
        due_at: row.run.due_at.map(time),
        recorded_at: time(row.run.at),
        outcome,
    }
}

fn end(state: &JobState) -> Option<End> {
    match state {
        JobState::Waiting | JobState::Started { .. } => None,
        JobState::Lost { .. } => Some(End::Lost),
        JobState::NeverStarted => {
            Some(End::NotStarted { reason: "it was stopped before it started".to_owned() })
        }
        JobState::Ended { status: ExitStatus::NotStarted, .. } => {
            Some(End::NotStarted { reason: "it could not be started; the log says why".to_owned() })
        }
        JobState::Ended { status, .. } => Some(End::Exited {
            code: status.shell_code(),
            signal: match status {
                ExitStatus::Signal(signal) => Some(*signal),
                ExitStatus::Code(_) | ExitStatus::NotStarted => None,
            },
            out_of_memory: false,
            stop_requested: false,
        }),
    }
}

fn entry_of(body: CreateCronEntry) -> Result<written::CronEntry, Refusal> {
    let invalid = |problem: String| Refusal::new(ErrorId::InvalidParams, format!("{problem}."));
    let concurrency = match body.concurrency.as_deref() {
        None => written::Concurrency::default(),
        Some(word) => written::Concurrency::from_word(word)
            .ok_or_else(|| invalid("concurrency must be allow, forbid or replace".to_owned()))?,
    };
    written::CronEntry::checked(&body.command, &body.schedule, body.timezone.as_deref(), concurrency)
        .map_err(invalid)
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let app = AppRef::new(&app);
    let rows = blocking(move || ops::cron::list(&state.engine, &caller.context(), &app)).await?;
    Ok(wanted.answer(rows, ENTRY_FIELDS, render))
}

/// Who may not is told so whatever the body says.
async fn add(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    call: Call<CreateCronEntry>,
) -> Result<(StatusCode, Json<CronEntry>), Refusal> {
    let app = AppRef::new(&app);
    let (engine, context, of) = (state.engine.clone(), call.context.clone(), app.clone());
    blocking(move || ops::apps::authorise_app(&engine, &context, &of, Action::CronWrite)).await?;
    let entry = entry_of(call.body)?;
    let info = blocking(move || ops::cron::add(&state.engine, &call.context, &app, entry)).await?;
    Ok((StatusCode::CREATED, Json(render(info))))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, cron)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<CronEntry>, Refusal> {
    let (app, id) = (AppRef::new(&app), id_of(&cron));
    let info = blocking(move || ops::cron::info(&state.engine, &caller.context(), &app, id)).await?;
    Ok(Json(render(info)))
}

async fn remove(
    extract::State(state): extract::State<State>,
    Path((app, cron)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<CronEntry>, Refusal> {
    let (app, id) = (AppRef::new(&app), id_of(&cron));
    let info = blocking(move || ops::cron::remove(&state.engine, &caller.context(), &app, id)).await?;
    Ok(Json(render(info)))
}

async fn run_now(
    extract::State(state): extract::State<State>,
    Path((app, cron)): Path<(String, String)>,
    call: Call<Empty>,
) -> Result<(StatusCode, Json<CronRun>), Refusal> {
    let (app, id) = (AppRef::new(&app), id_of(&cron));
    let run = blocking(move || ops::cron::run_now(&state.engine, &call.context, &app, id)).await?;
    Ok((StatusCode::CREATED, Json(render_run(run))))
}

async fn runs_of_one(
    extract::State(state): extract::State<State>,
    Path((app, cron)): Path<(String, String)>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let (app, id) = (AppRef::new(&app), id_of(&cron));
    let rows = blocking(move || ops::cron::history(&state.engine, &caller.context(), &app, Some(id))).await?;
    Ok(wanted.answer(rows, RUN_FIELDS, render_run))
}

async fn runs(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let app = AppRef::new(&app);
    let rows = blocking(move || ops::cron::history(&state.engine, &caller.context(), &app, None)).await?;
    Ok(wanted.answer(rows, RUN_FIELDS, render_run))
}

/// `None`: no recurring command can be meant.
fn id_of(text: &str) -> Option<CronId> {
    text.parse().ok()
}
