//! `/account/keys`: public keys by which an account is known over SSH.

use super::convert::time;
use super::list::Wanted;
use crate::http::blocking;
use crate::http::call::{Call, Caller};
use crate::http::error::Refusal;
use crate::paging::Field;
use crate::state::State;
use crate::table::{About, Routes};
use api::key::{CreateKey, Key};
use axum::extract::Path;
use axum::response::Response;
use axum::{Json, extract};
use domain::account::SshKey;
use engine::ops::ssh_keys;
use http::StatusCode;

pub fn routes() -> Routes {
    Routes::new()
        .get("/account/keys", list, About::account("List the caller's public keys for SSH").many("Key"))
        .post(
            "/account/keys",
            create,
            About::account("Add a public key for SSH").takes("CreateKey").created("Key"),
        )
        .get(
            "/account/keys/{key}",
            info,
            About::account("Show a public key, by id or fingerprint").one("Key"),
        )
        .delete("/account/keys/{key}", remove, About::account("Remove a public key").one("Key"))
}

const FIELDS: &[Field<SshKey>] = &[Field { name: "id", text: |row| row.id.to_string() }];

fn render(row: SshKey) -> Key {
    Key {
        email: row.comment.clone(),
        comment: row.comment,
        created_at: time(row.created_at),
        fingerprint: row.fingerprint,
        id: row.id,
        public_key: row.public_key,
        updated_at: time(row.created_at),
    }
}

async fn list(
    extract::State(state): extract::State<State>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Response, Refusal> {
    let rows = blocking(move || ssh_keys::list(&state.engine, &caller.context())).await?;
    Ok(wanted.answer(rows, FIELDS, render))
}

async fn create(
    extract::State(state): extract::State<State>,
    call: Call<CreateKey>,
) -> Result<(StatusCode, Json<Key>), Refusal> {
    let row = blocking(move || ssh_keys::add(&state.engine, &call.context, &call.body.public_key)).await?;
    Ok((StatusCode::CREATED, Json(render(row))))
}

async fn info(
    extract::State(state): extract::State<State>,
    Path(key): Path<String>,
    caller: Caller,
) -> Result<Json<Key>, Refusal> {
    let row = blocking(move || ssh_keys::info(&state.engine, &caller.context(), &key)).await?;
    Ok(Json(render(row)))
}

async fn remove(
    extract::State(state): extract::State<State>,
    Path(key): Path<String>,
    caller: Caller,
) -> Result<Json<Key>, Refusal> {
    let row = blocking(move || ssh_keys::remove(&state.engine, &caller.context(), &key)).await?;
    Ok(Json(render(row)))
}
