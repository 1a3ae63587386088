//! `/apps/:app/domains`: host names of an app.

use super::convert::time;
use super::dynos::named;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::domain_name::{AddDomain, Domain, UpdateDomain};
use api::error::ErrorId;
use api::reference::{AppReference, Identity};
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::names::HostName;
use domain::policy::Action;
use engine::ops::domains::{Answered, Domain as Row, DomainKind};
use engine::{AppRef, ops};
use http::StatusCode;

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/apps/{app}/domains",
            list,
            About::app(Action::DomainRead, "List the host names of an app").many("Domain"),
        )
        .post(
            "/apps/{app}/domains",
            add,
            About::app(Action::DomainWrite, "Add a host name").takes("AddDomain").created("Domain"),
        )
        .get(
            "/apps/{app}/domains/{domain}",
            info,
            About::app(Action::DomainRead, "Show a host name").one("Domain"),
        )
        .patch(
            "/apps/{app}/domains/{domain}",
            update,
            About::app(Action::DomainWrite, "Choose the certificate of a host name: there are none yet")
                .takes("UpdateDomain")
                .one("Domain"),
        )
        .delete(
            "/apps/{app}/domains/{domain}",
            remove,
            About::app(Action::DomainWrite, "Remove a host name").one("Domain"),
        )
}

const FIELDS: &[Field<Row>] = &[
    Field { name: "hostname", text: |row| row.hostname.to_string() },
    Field { name: "id", text: |row| row.id.to_string() },
];

fn render(app: &AppReference, row: Row) -> Domain {
    let (kind, cname) = match row.kind {
        DomainKind::Default => ("heroku", None),
        DomainKind::Custom => ("custom", Some(row.target.to_string())),
    };
    let status = match row.answered {
        Answered::Yes => "succeeded",
        Answered::NotYet => "pending",
    };
    Domain {
        acm_status: None,
        acm_status_reason: None,
        app: app.clone(),
        cname,
        created_at: time(row.created_at),
        hostname: row.hostname,
        id: row.id,
        kind: kind.to_owned(),
        updated_at: time(row.created_at),
        status: status.to_owned(),
        sni_endpoint: None,
    }
}

/// Only "none" can be meant as long as there are no certificates.
fn refuse_certificate(wanted: Option<&Identity>) -> Result<(), Refusal> {
    match wanted {
        None => Ok(()),
        Some(name) => {
            Err(Refusal::not_found("sni_endpoint", format!("Couldn't find the certificate {name}.")))
        }
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
    find(&app, rows, &domain)
}

/// A domain has nothing that could be changed but its certificate.
async fn update(
    extract::State(state): extract::State<State>,
    Path((app, domain)): Path<(String, String)>,
    call: Call<UpdateDomain>,
) -> Result<Json<Domain>, Refusal> {
    let (engine, context, app_ref) = (state.engine.clone(), call.context, AppRef::new(&app));
    let (app, rows) = blocking(move || {
        ops::apps::authorise_app(&engine, &context, &app_ref, Action::DomainWrite)?;
        Ok((named(&engine, &context, &app_ref)?, ops::domains::list(&engine, &context, &app_ref)?))
    })
    .await?;
    refuse_certificate(call.body.sni_endpoint.as_ref())?;
    find(&app, rows, &domain)
}

fn find(app: &AppReference, rows: Vec<Row>, wanted: &str) -> Result<Json<Domain>, Refusal> {
    let found = rows.into_iter().find(|row| row.hostname.as_str() == wanted || row.id.to_string() == wanted);
    let missing = || Refusal::not_found("domain", "Couldn't find that domain name.");
    found.map(|row| Json(render(app, row))).ok_or_else(missing)
}

async fn add(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    call: Call<AddDomain>,
) -> Result<(StatusCode, Json<Domain>), Refusal> {
    refuse_certificate(call.body.sni_endpoint.as_ref())?;
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
