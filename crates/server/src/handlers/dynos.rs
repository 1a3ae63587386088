//! `/apps/:app/dynos`: processes. List, info, one-offs, restart, stop.

use super::convert::time;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::paging::Field;
use crate::rendezvous::{EndRule, ExitMarker, Meeting, split_command};
use crate::state::State;
use crate::table::{About, Routes};
use api::dyno::{CreateDyno, Dyno, DynoState, Empty};
use api::error::ErrorId;
use api::reference::{AppReference, ReleaseReference};
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::job::JobStreams;
use domain::names::ConfigKey;
use domain::policy::Action;
use domain::secret::Secret;
use engine::ops::formation::ProcessTarget;
use engine::ops::processes::{ProcessInfo, ProcessWord};
use engine::ops::run::NewRun;
use engine::{AppRef, Context, ProcessRef, ops};
use http::StatusCode;
use std::collections::BTreeMap;

/// A terminal whose size the client does not tell.
const DEFAULT_COLUMNS: u16 = 80;
const DEFAULT_LINES: u16 = 24;

pub fn routes() -> Routes {
    Routes::new()
        .get("/apps/{app}/dynos", list, About::app(Action::ProcessRead, "List the processes").many("Dyno"))
        .post(
            "/apps/{app}/dynos",
            create,
            About::app(Action::JobCreate, "Run a one-off process").takes("CreateDyno").created("Dyno"),
        )
        .delete(
            "/apps/{app}/dynos",
            restart_all,
            About::app(Action::ProcessRestart, "Restart all processes").accepted(),
        )
        .get("/apps/{app}/dynos/{dyno}", info, About::app(Action::ProcessRead, "Show a process").one("Dyno"))
        .delete(
            "/apps/{app}/dynos/{dyno}",
            restart_one,
            About::app(Action::ProcessRestart, "Restart a process, or all of a type").accepted(),
        )
        .post(
            "/apps/{app}/dynos/{dyno}/actions/stop",
            stop_one,
            About::app(Action::ProcessStop, "Stop a process").accepted(),
        )
        .delete(
            "/apps/{app}/formations/{process_type}",
            restart_type,
            About::app(Action::ProcessRestart, "Restart the processes of a type").accepted(),
        )
        .post(
            "/apps/{app}/formations/{process_type}/actions/stop",
            stop_type,
            About::app(Action::ProcessStop, "Stop the processes of a type").accepted(),
        )
}

const FIELDS: &[Field<ProcessInfo>] = &[
    Field { name: "name", text: |row| row.name.clone() },
    Field { name: "id", text: |row| row.id.to_string() },
];

/// Heroku's word.
pub const fn word(word: ProcessWord) -> DynoState {
    match word {
        ProcessWord::Waiting | ProcessWord::Starting => DynoState::Starting,
        ProcessWord::Up => DynoState::Up,
        ProcessWord::Crashed | ProcessWord::Lost => DynoState::Crashed,
        ProcessWord::Stopping | ProcessWord::Stopped | ProcessWord::Complete => DynoState::Down,
    }
}

fn render(app: &AppReference, row: ProcessInfo) -> Dyno {
    Dyno {
        attach_url: None,
        command: row.command,
        created_at: time(row.created_at),
        id: row.id,
        name: row.name,
        release: ReleaseReference { id: row.release, version: row.version },
        app: app.clone(),
        size: row.size.name().to_owned(),
        state: word(row.state),
        process_type: row.process_type,
        updated_at: time(row.updated_at),
    }
}

/// An app's reference, which rows of processes carry.
pub fn named(
    engine: &engine::Engine,
    context: &Context,
    app: &AppRef,
) -> Result<AppReference, engine::Error> {
    let info = ops::apps::info(engine, context, app)?;
    Ok(AppReference { id: info.app.id, name: info.app.name })
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    let (app, rows) = blocking(move || {
        Ok((named(&state.engine, &context, &app)?, ops::processes::list(&state.engine, &context, &app)?))
    })
    .await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&app, row)))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, dyno)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Dyno>, Refusal> {
    let (context, app, process) = (caller.context(), AppRef::new(&app), ProcessRef::new(&dyno));
    let (app, row) = blocking(move || {
        let row = ops::processes::info(&state.engine, &context, &app, &process)?;
        Ok((named(&state.engine, &context, &app)?, row))
    })
    .await?;
    Ok(Json(render(&app, row)))
}

async fn create(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    origin: Origin,
    call: Call<CreateDyno>,
) -> Result<(StatusCode, Json<Dyno>), Refusal> {
    let (run, exit_marker) = parse_run(call.body)?;
    let end_rule = match run.streams {
        JobStreams::Terminal { .. } => EndRule::Terminal,
        JobStreams::Pipes | JobStreams::Log => EndRule::Pipes,
    };
    let attached = run.streams.is_attached();
    let (engine, app) = (state.engine.clone(), AppRef::new(&app));
    let (app, row) = blocking(move || {
        let row = ops::run::create(&engine, &call.context, &app, run)?;
        Ok((named(&engine, &call.context, &app)?, row))
    })
    .await?;
    let job = row.job;
    let mut dyno = render(&app, row);
    if let Some(job) = job.filter(|_| attached) {
        let promised = state.rendezvous.promise(Meeting { job, end_rule, exit_marker });
        let secret = promised.map_err(|error| Refusal::new(ErrorId::Unavailable, format!("{error}.")))?;
        dyno.attach_url = Some(origin.rendezvous(&secret));
    }
    Ok((StatusCode::CREATED, Json(dyno)))
}

/// A client that wants to attach gets a terminal, unless it says that it has none.
fn parse_run(body: CreateDyno) -> Result<(NewRun, ExitMarker), Refusal> {
    let invalid = |error: &dyn std::fmt::Display| Refusal::new(ErrorId::InvalidParams, format!("{error}."));
    let streams = match (body.attach.unwrap_or(false), body.force_no_tty.unwrap_or(false)) {
        (false, _) => JobStreams::Log,
        (true, true) => JobStreams::Pipes,
        (true, false) => JobStreams::Terminal {
            columns: dimension(&body.env, "COLUMNS", DEFAULT_COLUMNS),
            lines: dimension(&body.env, "LINES", DEFAULT_LINES),
        },
    };
    let size = body.size.filter(|size| !size.is_empty()).map(|size| size.parse()).transpose();
    let env = body.env.into_iter().map(|(key, value)| Ok((key.parse::<ConfigKey>()?, Secret::new(value))));
    let env: Result<Vec<_>, domain::names::InvalidName> = env.collect();
    let (command, exit_marker) = match streams.is_attached() {
        true => split_command(&body.command),
        false => (body.command.as_str(), ExitMarker::Unwanted),
    };
    let run = NewRun {
        command: command.to_owned(),
        env: env.map_err(|error| invalid(&error))?,
        streams,
        size: size.map_err(|error| invalid(&error))?,
        time_to_live_seconds: body.time_to_live,
    };
    Ok((run, exit_marker))
}

fn dimension(env: &BTreeMap<String, String>, name: &str, default: u16) -> u16 {
    env.get(name).and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
}

/// Which of the two actions.
#[derive(Debug, Clone, Copy)]
enum Act {
    Restart,
    Stop,
}

async fn act(
    state: State,
    app: String,
    caller: Caller,
    target: ProcessTarget,
    act: Act,
) -> Result<Accepted, Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    blocking(move || match act {
        Act::Restart => ops::formation::restart(&state.engine, &context, &app, &target),
        Act::Stop => ops::formation::stop(&state.engine, &context, &app, &target),
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(Empty {})))
}

type Accepted = (StatusCode, Json<Empty>);

/// `web.1` and ids name one process, `web` all of a type.
fn target(text: &str) -> ProcessTarget {
    let one = text.contains('.') || text.parse::<uuid::Uuid>().is_ok();
    match text.parse() {
        Ok(process_type) if !one => ProcessTarget::Type(process_type),
        _ => ProcessTarget::One(ProcessRef::new(text)),
    }
}

async fn restart_all(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
) -> Result<Accepted, Refusal> {
    act(state, app, caller, ProcessTarget::All, Act::Restart).await
}

async fn restart_one(
    extract::State(state): extract::State<State>,
    Path((app, dyno)): Path<(String, String)>,
    caller: Caller,
) -> Result<Accepted, Refusal> {
    act(state, app, caller, target(&dyno), Act::Restart).await
}

async fn stop_one(
    extract::State(state): extract::State<State>,
    Path((app, dyno)): Path<(String, String)>,
    caller: Caller,
) -> Result<Accepted, Refusal> {
    act(state, app, caller, target(&dyno), Act::Stop).await
}

async fn restart_type(
    extract::State(state): extract::State<State>,
    Path((app, process_type)): Path<(String, String)>,
    caller: Caller,
) -> Result<Accepted, Refusal> {
    act(state, app, caller, type_target(&process_type)?, Act::Restart).await
}

async fn stop_type(
    extract::State(state): extract::State<State>,
    Path((app, process_type)): Path<(String, String)>,
    caller: Caller,
) -> Result<Accepted, Refusal> {
    act(state, app, caller, type_target(&process_type)?, Act::Stop).await
}

fn type_target(text: &str) -> Result<ProcessTarget, Refusal> {
    let missing = |_| Refusal::not_found("formation", format!("Couldn't find the process type {text}."));
    text.parse().map(ProcessTarget::Type).map_err(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        assert_eq!(target("web"), ProcessTarget::Type("web".parse().unwrap()));
        assert_eq!(target("web.1"), ProcessTarget::One(ProcessRef::new("web.1")));
        let id = "01234567-89ab-4cde-8f01-23456789abcd";
        assert_eq!(target(id), ProcessTarget::One(ProcessRef::new(id)));
    }

    #[test]
    fn streams_follow_the_client() {
        let run = |json: &str| {
            parse_run(serde_json::from_str(json).unwrap()).map_err(|refusal| refusal.status.as_u16())
        };
        let streams = |json: &str| run(json).map(|(run, _)| run.streams);
        assert_eq!(streams(r#"{"command":"ls"}"#), Ok(JobStreams::Log));
        assert_eq!(streams(r#"{"command":"ls","attach":true,"force_no_tty":true}"#), Ok(JobStreams::Pipes));
        let terminal = r#"{"command":"ls","attach":true,"env":{"TERM":"xterm","COLUMNS":"100","LINES":"0"}}"#;
        assert_eq!(streams(terminal), Ok(JobStreams::Terminal { columns: 100, lines: 24 }));
        assert_eq!(streams(r#"{"command":"ls","env":{"A-B":"x"}}"#), Err(422));
        assert_eq!(streams(r#"{"command":"ls","size":"huge"}"#), Err(422));
        assert!(run(r#"{"command":"ls","size":null}"#).is_ok());
    }
}
