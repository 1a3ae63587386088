//! Every answer carries a `Request-Id` of its own. The same id goes into the context of the operation, from there into events,
//! log frames and our own log, which has a line for each request. That line names the route and not the path: some paths hold
//! secrets.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use std::time::Instant;

/// As Heroku spells it.
pub const HEADER: HeaderName = HeaderName::from_static("request-id");

/// The id of this request.
#[derive(Debug, Clone)]
pub struct AssignedId(pub String);

/// Gives each request its id and each answer the header.
pub async fn assign(mut request: Request, next: Next) -> Response {
    let id = random_id();
    request.extensions_mut().insert(AssignedId(id.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let begun = Instant::now();
    let mut response = next.run(request).await;
    tracing::info!(
        %method,
        route = route.as_ref().map_or("none", MatchedPath::as_str),
        status = response.status().as_u16(),
        millis = begun.elapsed().as_millis(),
        request_id = id,
        "request"
    );
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// A random UUID; all zeros if the operating system has no randomness to give: an id is not worth failing for.
pub fn random_id() -> String {
    let mut bytes = [0u8; 16];
    let _zeros = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
