//! `POST /apps/:app/log-sessions`: an address from which log lines are read.

use crate::http::blocking;
use crate::http::call::Call;
use crate::http::error::Refusal;
use crate::http::origin::Origin;
use crate::state::State;
use crate::streams::{LogTicket, Target};
use crate::table::{About, Routes};
use api::Timestamp;
use api::log_session::{CreateLogSession, DEFAULT_LINES, LogSession, MAX_LINES};
use axum::extract::Path;
use axum::{Json, extract};
use domain::ids::AppId;
use domain::policy::Action;
use engine::{AppRef, ops};
use http::StatusCode;
use std::time::SystemTime;
use uuid::Uuid;

pub fn routes() -> Routes {
    Routes::new().post(
        "/apps/{app}/log-sessions",
        create,
        About::app(Action::LogRead, "Ask for an address from which the log is read")
            .takes("CreateLogSession")
            .created("LogSession"),
    )
}

async fn create(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    origin: Origin,
    call: Call<CreateLogSession>,
) -> Result<(StatusCode, Json<LogSession>), Refusal> {
    let (engine, context, app) = (state.engine.clone(), call.context, AppRef::new(&app));
    let token = context.token;
    let row = blocking(move || ops::apps::authorise_app(&engine, &context, &app, Action::LogRead)).await?;
    let ticket = ticket(row.app.id, call.body);
    let now = now();
    let session = LogSession {
        created_at: now,
        id: random_id(),
        logplex_url: origin.https(&state.streams.tickets.path(Target::Log(ticket), token)),
        updated_at: now,
    };
    Ok((StatusCode::CREATED, Json(session)))
}

/// `dyno` may be a process (`web.1`) or a type (`web`).
fn ticket(app: AppId, wanted: CreateLogSession) -> LogTicket {
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (one, all) = match filled(wanted.dyno) {
        Some(name) if name.contains('.') => (Some(name), None),
        other => (None, other),
    };
    LogTicket {
        app,
        lines: usize::try_from(wanted.lines.unwrap_or(DEFAULT_LINES).min(MAX_LINES)).unwrap_or(usize::MAX),
        tail: wanted.tail.unwrap_or(false),
        dyno: one,
        process_type: filled(wanted.process_type).or(all),
        source: filled(wanted.source),
    }
}

fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Sessions are not kept, so their id names nothing; clients want one all the same.
fn random_id() -> Uuid {
    let mut bytes = [0; 16];
    let _zeros = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_bounded_and_told_apart() {
        let wish = |json: &str| ticket(AppId::from_u128(1), serde_json::from_str(json).unwrap());
        assert_eq!(wish("{}").lines, 100);
        assert_eq!(wish(r#"{"lines":"99999"}"#).lines, 1500);
        assert_eq!(wish(r#"{"dyno":"web.1"}"#).dyno.as_deref(), Some("web.1"));
        assert_eq!(wish(r#"{"dyno":"web"}"#).process_type.as_deref(), Some("web"));
        assert_eq!(wish(r#"{"dyno":"","source":"app","tail":1}"#).source.as_deref(), Some("app"));
    }
}
