//! Refusals: Heroku's error shape `{id, message, url?, resource?}`, our `hints` beside it, and the status that belongs to it.

use api::error::{ErrorBody, ErrorId};
use axum::response::{IntoResponse, Response};
use domain::cause::chain;
use engine::error::{Error, Kind};
use http::{HeaderValue, StatusCode, header};

/// An answer of status 400 and above.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub status: StatusCode,
    pub body: Box<ErrorBody>,
}

impl Refusal {
    pub fn new(id: ErrorId, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(id.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, body: Box::new(ErrorBody::new(id, message)) }
    }

    /// A 404 of a kind of thing. Clients branch on `resource`.
    pub fn not_found(resource: &str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, body: Box::new(ErrorBody::not_found(resource, message)) }
    }

    /// A part of the Platform API that Dozen does not have.
    pub fn not_implemented(message: &str) -> Self {
        Self::new(ErrorId::NotImplemented, message)
    }

    pub fn unauthorised() -> Self {
        Self::new(ErrorId::Unauthorized, "Invalid credentials provided.")
    }

    /// The cause is in the server's own log, under the request's id.
    pub fn internal() -> Self {
        Self::new(ErrorId::Internal, "An internal error occurred.")
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hints.push(hint.into());
        self
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = status_of(error.kind());
        if error.kind() == Kind::Internal || error.kind() == Kind::Unavailable {
            tracing::warn!(cause = chain(&error), "an operation failed");
        }
        let body = ErrorBody {
            id: error.id().to_owned(),
            message: error.message().to_owned(),
            url: None,
            resource: error.resource().map(str::to_owned),
            hints: error.hints().to_vec(),
        };
        Self { status, body: Box::new(body) }
    }
}

const fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthorised => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&*self.body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"Dozen\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_errors_keep_what_clients_read() {
        let refusal =
            Refusal::from(Error::not_found("app", "Couldn't find that app.").with_hint("Look again."));
        assert_eq!(refusal.status, StatusCode::NOT_FOUND);
        assert_eq!(refusal.body.resource.as_deref(), Some("app"));
        assert_eq!((refusal.body.id.as_str(), refusal.body.hints.len()), ("not_found", 1));
        let response = Refusal::unauthorised().into_response();
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
