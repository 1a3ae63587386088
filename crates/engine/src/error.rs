//! The one error that operations return: what kind, which thing, what to do about it. The server maps the kind to an HTTP status,
//! the command line to an exit code.

use domain::policy::Denied;
use std::error::Error as StdError;
use std::fmt;
use store::StoreError;

/// What sort of refusal this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 404
    NotFound,
    /// 409
    Conflict,
    /// 422
    Invalid,
    /// 401
    Unauthorised,
    /// 403
    Forbidden,
    /// 503: try again later.
    Unavailable,
    /// 500
    Internal,
}

impl Kind {
    /// Heroku's `id` for errors of this kind.
    pub const fn id(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid_params",
            Self::Unauthorised => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "service_unavailable",
            Self::Internal => "internal_error",
        }
    }
}

/// An operation did not happen.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    id: &'static str,
    resource: Option<&'static str>,
    message: String,
    hints: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, id: kind.id(), resource: None, message: message.into(), hints: Vec::new(), source: None }
    }

    /// `resource` is what Heroku's clients look at: `app`, `release`, `authorization`, ...
    pub fn not_found(resource: &'static str, message: impl Into<String>) -> Self {
        Self { resource: Some(resource), ..Self::new(Kind::NotFound, message) }
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub fn unauthorised(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthorised, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub fn with_id(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    pub fn with_resource(mut self, resource: &'static str) -> Self {
        self.resource = Some(resource);
        self
    }

    pub fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Heroku's `id`.
    pub const fn id(&self) -> &'static str {
        self.id
    }

    /// Heroku's `resource`, load-bearing in 404s.
    pub const fn resource(&self) -> Option<&'static str> {
        self.resource
    }

    /// One line for the person who asked.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, most useful first.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::forbidden("You do not have permission to do this.").with_hint(denied.to_string())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = if error.is_temporary() { Kind::Unavailable } else { Kind::Internal };
        let hint = error.hint();
        let told = Self::new(kind, format!("The ledger cannot be used: {error}."));
        let told = match hint {
            Some(hint) => told.with_hint(hint),
            None => told,
        };
        told.with_source(error)
    }
}
