//! `/apps/:app/domains`: host names of an app.

use super::convert::time;
use super::dynos::named;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use api::Timestamp;
use api::error::ErrorId;
use api::reference::{AppReference, NamedReference};
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router, extract};
use domain::ids::DomainId;
use domain::names::HostName;
use engine::ops::domains::{Domain as Row, DomainKind};
use engine::{AppRef, ops};
use http::StatusCode;
use serde::{Deserialize, Serialize};

pub fn routes() -> Router<State> {
    Router::new()
        .route("/apps/{app}/domains", get(list).post(add))
        .route("/apps/{app}/domains/{domain}", get(info).delete(remove))
}

const FIELDS: &[Field<Row>] = &[
    Field { name: "hostname", text: |row| row.hostname.to_string() },
    Field { name: "id", text: |row| row.id.to_string() },
];

/// A domain on the wire. Its certificate fields are those of a name without one.
#[derive(Serialize)]
struct Domain {
    acm_status: Option<String>,
    acm_status_reason: Option<String>,
    app: AppReference,
    cname: Option<String>,
    created_at: Timestamp,
    hostname: HostName,
    id: DomainId,
    kind: &'static str,
    updated_at: Timestamp,
    status: &'static str,
    sni_endpoint: Option<NamedReference>,
}

#[derive(Deserialize)]
struct AddDomain {
    hostname: String,
}

fn render(app: &AppReference, row: Row) -> Domain {
    let (kind, status) = match row.kind {
        DomainKind::Default => ("heroku", "succeeded"),
        DomainKind::Custom => ("custom", "succeeded"),
    };
    Domain {
        acm_status: None,
        acm_status_reason: None,
        app: app.clone(),
        cname: None,
        created_at: time(row.created_at),
        hostname: row.hostname,
        id: row.id,
        kind,
        updated_at: time(row.created_at),
        status,
        sni_endpoint: None,
    }
}

async fn rows(state: State, app: String, caller: &Caller) -> Result<(AppReference, Vec<Row>), Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    blocking(move || {
        Ok((named(&state.engine, &context, &app)?, ops::domains::list(&state.engine, &context, &app)?))
    })
    .await
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let (app, rows) = rows(state, app, &caller).await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&app, row)))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, domain)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Domain>, Refusal> {
    let (app, rows) = rows(state, app, &caller).await?;
    let found = rows.into_iter().find(|row| row.hostname.as_str() == domain || row.id.to_string() == domain);
    let missing = || Refusal::not_found("domain", "Couldn't find that domain name.");
    found.map(|row| Json(render(&app, row))).ok_or_else(missing)
}

async fn add(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    call: Call<AddDomain>,
) -> Result<(StatusCode, Json<Domain>), Refusal> {
    let invalid = |error| Refusal::new(ErrorId::InvalidParams, format!("{error}."));
    let hostname: HostName = call.body.hostname.to_ascii_lowercase().parse().map_err(invalid)?;
    let app = AppRef::new(&app);
    let (app, row) = blocking(move || {
        let row = ops::domains::add(&state.engine, &call.context, &app, &hostname)?;
        Ok((named(&state.engine, &call.context, &app)?, row))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(render(&app, row))))
}

async fn remove(
    extract::State(state): extract::State<State>,
    Path((app, domain)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Domain>, Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    let (app, row) = blocking(move || {
        let row = ops::domains::remove(&state.engine, &context, &app, &domain)?;
        Ok((named(&state.engine, &context, &app)?, row))
    })
    .await?;
    Ok(Json(render(&app, row)))
}
