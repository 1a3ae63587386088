//! A request as an operation wants it: who asks, in which context, with which body.

use super::auth::{Credentials, parse_credentials};
use super::blocking;
use super::error::Refusal;
use super::request_id::{self, AssignedId};
use crate::state::State;
use api::IDEMPOTENCY_KEY;
use api::error::ErrorId;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use domain::ids::TokenId;
use domain::policy::Actor;
use engine::{Context, IdempotencyKey, RequestId, ops};
use http::Method;
use http::request::Parts;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A JSON body at most.
const MAX_BODY: usize = 1024 * 1024;
/// A body must have arrived within this time.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Longer keys are not kept.
const MAX_KEY: usize = 16 * 1024;

/// Somebody with a valid token.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub token: TokenId,
    pub request_id: RequestId,
}

impl Caller {
    /// For reads, and for writes that are the same when repeated.
    pub fn context(&self) -> Context {
        Context {
            actor: self.actor,
            token: Some(self.token),
            request_id: self.request_id.clone(),
            idempotency: None,
        }
    }
}

/// Looks the credentials up.
pub async fn authenticate(
    state: &State,
    credentials: Credentials,
    request_id: RequestId,
) -> Result<Caller, Refusal> {
    let engine = state.engine.clone();
    let found = blocking(move || match credentials.user.as_deref().filter(|user| user.contains('@')) {
        // Whoever names an account must hold a token of that account.
        Some(email) => ops::accounts::authenticate_login(&engine, email, &credentials.token),
        None => ops::accounts::authenticate(&engine, &credentials.token),
    })
    .await?;
    Ok(Caller { actor: found.actor, token: found.token, request_id })
}

/// The id that [`request_id::assign`] gave.
pub fn assigned_id(parts: &Parts) -> RequestId {
    RequestId::new(parts.extensions.get::<AssignedId>().map_or("unknown", |id| id.0.as_str()))
}

impl FromRequestParts<State> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refusal> {
        let credentials = parse_credentials(&parts.headers).ok_or_else(Refusal::unauthorised)?;
        authenticate(state, credentials, assigned_id(parts)).await
    }
}

/// A caller's context and a JSON body.
pub struct Call<T> {
    /// Of a POST, with the key that makes a repeat the same request.
    pub context: Context,
    pub body: T,
}

impl<T: DeserializeOwned> FromRequest<State> for Call<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &State) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let bytes = read_body(body).await?;
        let mut context = caller.context();
        context.idempotency = idempotency(&parts, &bytes);
        Ok(Self { context, body: parse_body(&bytes)? })
    }
}

async fn read_body(body: Body) -> Result<bytes::Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_WITHIN, to_bytes(body, MAX_BODY)).await;
    let late = || {
        Refusal::new(
            ErrorId::BadRequest,
            format!("The body did not arrive within {} s.", BODY_WITHIN.as_secs()),
        )
    };
    let large = |_| {
        Refusal::new(
            ErrorId::RequestTooLarge,
            format!("The body must be whole and at most {MAX_BODY} bytes."),
        )
    };
    read.map_err(|_| late())?.map_err(large)
}

/// An empty body counts as an empty object: several clients send none.
fn parse_body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let text = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(text).map_err(|error| {
        let id = if error.is_data() { ErrorId::InvalidParams } else { ErrorId::BadRequest };
        Refusal::new(id, format!("Unable to read the JSON body: {error}."))
    })
}

/// `Idempotency-Key`, else the whole `Request-Id`: clients repeat a POST with the same headers after network errors.
fn idempotency(parts: &Parts, body: &[u8]) -> Option<IdempotencyKey> {
    if parts.method != Method::POST {
        return None;
    }
    let given = parts.headers.get(IDEMPOTENCY_KEY).or_else(|| parts.headers.get(request_id::HEADER))?;
    let key = given.to_str().ok()?.trim();
    if key.is_empty() || key.len() > MAX_KEY {
        return None;
    }
    Some(IdempotencyKey {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        body_sha256: Sha256::digest(body).into(),
        key: key.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri("/apps?x=1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn keys() {
        let long = "x".repeat(MAX_KEY + 1);
        for (method, headers, expected) in [
            ("POST", vec![("Idempotency-Key", "k"), ("Request-Id", "r")], Some("k")),
            ("POST", vec![("Request-Id", "a,b,c")], Some("a,b,c")),
            ("POST", vec![], None),
            ("POST", vec![("Request-Id", "  ")], None),
            ("POST", vec![("Request-Id", long.as_str())], None),
            ("PATCH", vec![("Idempotency-Key", "k")], None),
        ] {
            let found = idempotency(&parts(method, &headers), b"{}");
            assert_eq!(found.as_ref().map(|key| key.key.as_str()), expected);
            assert!(found.is_none_or(|key| key.path == "/apps"));
        }
    }

    #[test]
    fn bodies() {
        type Map = std::collections::BTreeMap<String, u32>;
        assert_eq!(parse_body::<Map>(b"").unwrap().len(), 0);
        assert_eq!(parse_body::<Map>(b" {\"a\": 1}").unwrap().len(), 1);
        assert_eq!(parse_body::<Map>(b"{").unwrap_err().status.as_u16(), 400);
        assert_eq!(parse_body::<Map>(b"{\"a\": \"x\"}").unwrap_err().status.as_u16(), 422);
    }
}
