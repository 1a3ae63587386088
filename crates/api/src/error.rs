//! What the server answers when it does not do what was asked.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The body of every answer of status 400 and above. Clients print `message`; some branch on `id` and `resource`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    pub id: String,
    pub message: String,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// With `not_found`: what was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What to do about it, one sentence each. Ours: other clients pass it over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// The ids that Heroku documents and we use, with the status each belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorId {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    RequestTooLarge,
    InvalidParams,
    RateLimit,
    Internal,
    NotImplemented,
    Unavailable,
}

impl ErrorId {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotAcceptable => "not_acceptable",
            Self::Conflict => "conflict",
            Self::RequestTooLarge => "request_too_large",
            Self::InvalidParams => "invalid_params",
            Self::RateLimit => "rate_limit",
            Self::Internal => "internal_server_error",
            Self::NotImplemented => "not_implemented",
            Self::Unavailable => "service_unavailable",
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::Conflict => 409,
            Self::RequestTooLarge => 413,
            Self::InvalidParams => 422,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::NotImplemented => 501,
            Self::Unavailable => 503,
        }
    }
}

impl fmt::Display for ErrorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ErrorBody {
    pub fn new(id: ErrorId, message: impl Into<String>) -> Self {
        Self {
            id: id.as_str().to_owned(),
            message: message.into(),
            url: None,
            resource: None,
            hints: Vec::new(),
        }
    }

    /// A 404 of a kind of thing: `app`, `add_on`, `session`, `authorization`, `pipeline`, `release`, ...
    pub fn not_found(resource: &str, message: impl Into<String>) -> Self {
        Self { resource: Some(resource.to_owned()), ..Self::new(ErrorId::NotFound, message) }
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
