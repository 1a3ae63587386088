//! `/apps/:app/collaborators`: with whom an app is shared.

use super::convert::time;
use super::dynos::named;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::collaborator::{Collaborator, CollaboratorUser, CreateCollaborator, Permission};
use api::error::ErrorId;
use api::reference::AppReference;
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::policy::{Action, Role};
use engine::ops::collaborators::Collaborator as Row;
use engine::{AppRef, PersonRef, ops};
use http::StatusCode;

pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/apps/{app}/collaborators",
            list,
            About::app(Action::CollaboratorRead, "List the owner and those with whom an app is shared")
                .many("Collaborator"),
        )
        .post(
            "/apps/{app}/collaborators",
            add,
            About::app(Action::CollaboratorWrite, "Share an app, or change the role of somebody")
                .takes("CreateCollaborator")
                .created("Collaborator"),
        )
        .get(
            "/apps/{app}/collaborators/{collaborator}",
            info,
            About::app(Action::CollaboratorRead, "Show a collaborator").one("Collaborator"),
        )
        .delete(
            "/apps/{app}/collaborators/{collaborator}",
            remove,
            About::app(Action::CollaboratorWrite, "Stop sharing an app with somebody").one("Collaborator"),
        )
}

const FIELDS: &[Field<Row>] = &[
    Field { name: "email", text: |row| row.account.email.to_string() },
    Field { name: "id", text: |row| row.account.id.to_string() },
];

fn render(app: &AppReference, row: &Row) -> Collaborator {
    Collaborator {
        app: app.clone(),
        created_at: time(row.created_at),
        id: *row.account.id.as_uuid(),
        permissions: permissions(row.role),
        role: Some(herokus_word(row.role).to_owned()),
        updated_at: time(row.created_at),
        user: CollaboratorUser { email: row.account.email.to_string(), federated: false, id: row.account.id },
    }
}

/// Heroku knows four words for what somebody is to an app.
const fn herokus_word(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Owner => "owner",
        Role::Operator => "collaborator",
        Role::Viewer | Role::None => "member",
    }
}

/// Heroku's names of what our roles may do.
fn permissions(role: Role) -> Vec<Permission> {
    const ALL: [(&str, &str, Role); 4] = [
        ("view", "Can view the app, but not its config vars.", Role::Viewer),
        ("deploy", "Can push, configure and run.", Role::Operator),
        ("operate", "Can scale, restart and roll back.", Role::Operator),
        ("manage", "Can rename, share and destroy.", Role::Owner),
    ];
    let held = ALL.into_iter().filter(|(_, _, needed)| role.includes(*needed));
    held.map(|(name, description, _)| Permission {
        name: name.to_owned(),
        description: description.to_owned(),
    })
    .collect()
}

/// The role that a body asks for: by our word, else the least that has Heroku's permissions, else an operator's.
fn wanted_role(body: &CreateCollaborator) -> Result<Role, Refusal> {
    let invalid = |text: String| Refusal::new(ErrorId::InvalidParams, text);
    if let Some(name) = body.role.as_deref().filter(|name| !name.is_empty()) {
        let ours = match name {
            "collaborator" => Some(Role::Operator),
            "member" => Some(Role::Viewer),
            _ => Role::from_name(name),
        };
        let known = ours.filter(|role| !matches!(role, Role::Admin | Role::None));
        return known.ok_or_else(|| {
            invalid(format!("\"{name}\" is not a role: expected owner, operator or viewer."))
        });
    }
    let needed = body.permissions.iter().map(|permission| match permission.as_str() {
        "view" => Ok(Role::Viewer),
        "deploy" | "operate" => Ok(Role::Operator),
        "manage" => Ok(Role::Owner),
        other => Err(invalid(format!(
            "\"{other}\" is not a permission: expected view, deploy, operate or manage."
        ))),
    });
    let needed = needed.collect::<Result<Vec<_>, _>>()?;
    let most = needed.into_iter().reduce(|most, role| if role.includes(most) { role } else { most });
    Ok(most.unwrap_or(Role::Operator))
}

async fn rows(state: State, app: String, caller: Caller) -> Result<(AppReference, Vec<Row>), Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    blocking(move || {
        let reference = named(&state.engine, &context, &app)?;
        Ok((reference, ops::collaborators::list(&state.engine, &context, &app)?))
    })
    .await
}

async fn list(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let (app, rows) = rows(state, app, caller).await?;
    Ok(wanted.answer(rows, FIELDS, |row| render(&app, &row)))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path((app, wanted)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Collaborator>, Refusal> {
    let (app, rows) = rows(state, app, caller).await?;
    let wanted = PersonRef::new(&wanted);
    let missing = || Refusal::not_found("collaborator", "Couldn't find that collaborator.");
    let found = rows.iter().find(|row| wanted.is(&row.account)).ok_or_else(missing)?;
    Ok(Json(render(&app, found)))
}

async fn add(
    extract::State(state): extract::State<State>,
    Path(app): Path<String>,
    call: Call<CreateCollaborator>,
) -> Result<(StatusCode, Json<Collaborator>), Refusal> {
    let role = wanted_role(&call.body)?;
    let (context, app) = (call.context, AppRef::new(&app));
    let account = PersonRef::new(call.body.user.as_str());
    let (app, row) = blocking(move || {
        let row = ops::collaborators::add(&state.engine, &context, &app, &account, role)?;
        Ok((named(&state.engine, &context, &app)?, row))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(render(&app, &row))))
}

async fn remove(
    extract::State(state): extract::State<State>,
    Path((app, wanted)): Path<(String, String)>,
    caller: Caller,
) -> Result<Json<Collaborator>, Refusal> {
    let (context, app) = (caller.context(), AppRef::new(&app));
    let account = PersonRef::new(&wanted);
    let (app, row) = blocking(move || {
        let reference = named(&state.engine, &context, &app)?;
        Ok((reference, ops::collaborators::remove(&state.engine, &context, &app, &account)?))
    })
    .await?;
    Ok(Json(render(&app, &row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_in_both_languages() {
        let role = |json: &str| wanted_role(&serde_json::from_str(json).unwrap()).ok();
        for (json, expected) in [
            (r#"{"user":"a@b"}"#, Some(Role::Operator)),
            (r#"{"user":{"email":"a@b"},"role":"viewer"}"#, Some(Role::Viewer)),
            (r#"{"user":"a@b","role":"collaborator"}"#, Some(Role::Operator)),
            (r#"{"user":"a@b","permissions":["view"]}"#, Some(Role::Viewer)),
            (r#"{"user":"a@b","permissions":[{"name":"view"},{"name":"manage"}]}"#, Some(Role::Owner)),
            (r#"{"user":"a@b","role":"admin"}"#, None),
            (r#"{"user":"a@b","role":"none"}"#, None),
            (r#"{"user":"a@b","permissions":["fly"]}"#, None),
        ] {
            assert_eq!(role(json), expected, "{json}");
        }
    }

    #[test]
    fn permissions_grow_with_the_role() {
        let names = |role| permissions(role).into_iter().map(|held| held.name).collect::<Vec<_>>();
        assert_eq!(names(Role::Viewer), ["view"]);
        assert_eq!(names(Role::Operator), ["view", "deploy", "operate"]);
        assert_eq!(names(Role::Owner).len(), 4);
        assert!(names(Role::None).is_empty());
    }
}
