//! `/apps/:app/formation`: quantities and sizes of process types.

use super::convert::{size, time};
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::error::ErrorId;
use api::formation::{Formation, FormationChange, UpdateFormation};
use api::lenient::Quantity;
use api::reference::AppReference;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::formation::{FormationUpdate, QuantityChange};
use domain::policy::Action;
use engine::ops::formation::FormationRow;
use engine::{AppRef, Context, Engine, Error, ops};

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/apps/{app}/formation",
            list,
            About::app(Action::FormationRead, "List the process types").many("Formation"),
        )
        .patch(
            "/apps/{app}/formation",
            update_all,
            About::app(Action::FormationWrite, "Change quantities and sizes of several types, all or none")
                .takes("UpdateFormation")
                .many("Formation"),
        )
        .get(
            "/apps/{app}/formation/{process_type}",
            info,
            About::app(Action::FormationRead, "Show a process type").one("Formation"),
        )
        .patch(
            "/apps/{app}/formation/{process_type}",
            update_one,
            About::app(Action::FormationWrite, "Change quantity and size of a type")
                .takes("FormationChange")
                .one("Formation"),
        )
}

const FIELDS: &[Field<FormationRow>] = &[
    Field { name: "type", text: |row| row.process_type.to_string() },
    Field { name: "id", text: |row| row.id.to_string() },
];

fn render(app: &AppReference, row: FormationRow) -> Formation {
    Formation {
        app: app.clone(),
        command: row.command,
        created_at: time(row.created_at),
        dyno_size: size(row.size),
        id: row.id,
        quantity: row.quantity,
        size: row.size.name().to_owned(),
        process_type: row.process_type,
        updated_at: time(row.updated_at),
    }
}

/// Rows name their app.
fn named(engine: &Engine, context: &Context, app: &AppRef) -> Result<AppReference, Error> {
    let info = ops::apps::info(engine, context, app)?;
    Ok(AppReference { id: info.app.id, name: info.app.name })
}

async fn rows(
    state: &State,
    app: &str,
    caller: &Caller,
) -> Result<(AppReference, Vec<FormationRow>), Refusal> {
    let (engine, context, app) = (state.engine.clone(), caller.context(), AppRef::new(app));
    blocking(move || Ok((named(&engine, &context, &app)?, ops::formation::list(&engine, &context, &app)?)))
        .await
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let (app, rows) = rows(&state, &app, &caller).await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&app, row)))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, process_type)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Formation>, Refusal> {
    let (app, rows) = rows(&state, &app, &caller).await?;
    find(&app, rows, &process_type)
}

fn find(app: &AppReference, rows: Vec<FormationRow>, wanted: &str) -> Result<Json<Formation>, Refusal> {
    let found =
        rows.into_iter().find(|row| row.process_type.as_str() == wanted || row.id.to_string() == wanted);
    let missing = || Refusal::not_found("formation", format!("Couldn't find the process type {wanted}."));
    found.map(|row| Json(render(app, row))).ok_or_else(missing)
}

/// The answer is the whole formation.
async fn update_all(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    call: Call<UpdateFormation>,
) -> Result<Json<Vec<Formation>>, Refusal> {
    let updates =
        call.body.updates.into_iter().map(|update| parse(update.process_type.as_str(), update.change));
    let updates = updates.collect::<Result<Vec<_>, _>>()?;
    let (app, rows) = patch(&state, &app, call.context, updates).await?;
    Ok(Json(rows.into_iter().map(|row| render(&app, row)).collect()))
}

async fn update_one(
    extract::State(state): extract::State<State>,
    Path((app, process_type)): Path<(String, String)>,
    call: Call<FormationChange>,
) -> Result<Json<Formation>, Refusal> {
    let update = parse(&process_type, call.body)?;
    let (app, rows) = patch(&state, &app, call.context, vec![update]).await?;
    find(&app, rows, &process_type)
}

async fn patch(
    state: &State,
    app: &str,
    context: Context,
    updates: Vec<FormationUpdate>,
) -> Result<(AppReference, Vec<FormationRow>), Refusal> {
    let (engine, app) = (state.engine.clone(), AppRef::new(app));
    blocking(move || {
        let app_name = named(&engine, &context, &app)?;
        Ok((app_name, ops::formation::patch(&engine, &context, &app, &updates)?))
    })
    .await
}

fn parse(process_type: &str, change: FormationChange) -> Result<FormationUpdate, Refusal> {
    let invalid = |error: &dyn std::fmt::Display| Refusal::new(ErrorId::InvalidParams, format!("{error}."));
    let process_type = process_type.parse().map_err(|error| invalid(&error))?;
    let size = change.size.map(|size| size.as_str().parse()).transpose();
    let quantity = change.quantity.map(|quantity| match quantity {
        Quantity::Exactly(number) => QuantityChange::To(number),
        Quantity::More(step) => QuantityChange::By(i64::from(step)),
        Quantity::Fewer(step) => QuantityChange::By(-i64::from(step)),
    });
    Ok(FormationUpdate { process_type, quantity, size: size.map_err(|error| invalid(&error))? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<FormationUpdate, u16> {
        let change = serde_json::from_str(json).unwrap();
        parse("web", change).map_err(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn changes_in_every_form() {
        let quantity = |json: &str| parsed(json).map(|update| update.quantity);
        assert_eq!(quantity(r#"{"quantity":2}"#), Ok(Some(QuantityChange::To(2))));
        assert_eq!(quantity(r#"{"quantity":"+1","size":"standard-2x"}"#), Ok(Some(QuantityChange::By(1))));
        assert_eq!(quantity(r#"{"quantity":"-1","size":null}"#), Ok(Some(QuantityChange::By(-1))));
        assert_eq!(parsed(r#"{"size":"huge"}"#), Err(422));
        assert!(parse("-x", FormationChange::default()).is_err());
    }
}
