//! `/dozen/apps/:app/usage`: what processes use at this moment.

use super::dynos::word;
use crate::http::blocking;
use crate::http::call::Caller;
use crate::http::error::Refusal;
use crate::state::State;
use crate::table::{About, Routes};
use api::dozen::usage::{ProcessUsage, Usage};
use axum::extract::Path;
use axum::{Json, extract};
use domain::policy::Action;
use engine::ops::usage::Measured;
use engine::{AppRef, ops};

pub fn routes() -> Routes {
    Routes::new().get(
        "/dozen/apps/{app}/usage",
        usage,
        About::app(Action::ProcessRead, "Show what the living processes use, and their limits")
            .many("ProcessUsage"),
    )
}

async fn usage(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
) -> Result<Json<Vec<ProcessUsage>>, Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    let rows = blocking(move || ops::usage::list(&state.engine, &context, &app)).await?;
    Ok(Json(rows.into_iter().map(render).collect()))
}

fn render(row: Measured) -> ProcessUsage {
    let Measured { process, usage } = row;
    ProcessUsage {
        id: process.id,
        name: process.name,
        process_type: process.process_type,
        size: process.size.name().to_owned(),
        state: word(process.state),
        unknown: usage.as_ref().err().map(ToString::to_string),
        usage: usage.ok().map(Usage::from),
    }
}
