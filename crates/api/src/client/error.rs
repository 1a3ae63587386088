//! What can go wrong between a client and its server, and what to do about it.

use super::url::InvalidServerUrl;
use crate::error::ErrorBody;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use ureq::http::{HeaderMap, Method, StatusCode, header};

/// Most characters of an answer that is not ours shown in an error.
const EXCERPT_CHARS: usize = 200;

/// A request that did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer came.
    #[error("{method} {url} got no answer")]
    Transport { method: String, url: String, source: Box<ureq::Error> },
    /// An answer began and did not come to its end.
    #[error("the answer to {path} broke off")]
    Broken { path: String, source: Box<dyn Error + Send + Sync> },
    /// The server refused, with its reason.
    #[error("{}", body.message)]
    Api { status: u16, body: Box<ErrorBody> },
    /// Something answered that does not speak this API.
    #[error("{path} was answered with status {status} and no reason: {excerpt}")]
    NotOurs { path: String, status: u16, excerpt: String },
    #[error("{path} was answered with a redirect to {location}, which is not followed")]
    Redirect { path: String, location: String },
    #[error("the answer of {url} is not what was expected")]
    Unreadable { url: String, source: Box<dyn Error + Send + Sync> },
    #[error("the list {path} has more than {limit} pages")]
    TooManyPages { path: String, limit: usize },
    #[error("the certificates in {} cannot be read", path.display())]
    CaFile { path: PathBuf, source: io::Error },
    #[error("{origin} holds no certificate in PEM form")]
    NoCertificate { origin: String },
    #[error("the certificates of {origin} cannot be used")]
    BadCertificate { origin: String, source: Box<dyn Error + Send + Sync> },
    #[error(transparent)]
    Url(#[from] InvalidServerUrl),
}

impl ClientError {
    pub(super) fn transport(method: &Method, url: &str, source: ureq::Error) -> Self {
        Self::Transport { method: method.to_string(), url: url.to_owned(), source: Box::new(source) }
    }

    /// The server's own words, if it answered.
    pub fn api(&self) -> Option<&ErrorBody> {
        match self {
            Self::Api { body, .. } => Some(body),
            _ => None,
        }
    }

    /// Whether the same request may well succeed in a moment: the connection was refused or broke.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Transport { source, .. } => broke(source),
            Self::Broken { source, .. } => source.downcast_ref().is_some_and(broke),
            _ => false,
        }
    }

    /// Whether the server's certificate was not accepted.
    pub fn is_distrust(&self) -> bool {
        let Self::Transport { source, .. } = self else { return false };
        let first: Option<&(dyn Error + 'static)> = match &**source {
            ureq::Error::Rustls(_) => return true,
            ureq::Error::Io(error) => Some(error),
            other => Some(other),
        };
        std::iter::successors(first, |error| deeper(*error)).any(|error| error.is::<rustls::Error>())
    }
}

/// The cause of an error, the one inside an `io::Error` included (`source` of those passes it over).
fn deeper<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    within.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
}

fn broke(error: &ureq::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};
    match error {
        ureq::Error::Io(error) => {
            matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionRefused | ConnectionReset | UnexpectedEof
            )
        }
        ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

/// The error for an answer that is no success.
pub(super) fn unexpected_answer(
    path: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> ClientError {
    if status.is_redirection() {
        let location =
            headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
        return ClientError::Redirect { path: path.to_owned(), location: location.to_owned() };
    }
    match serde_json::from_slice(body) {
        Ok(body) => ClientError::Api { status: status.as_u16(), body: Box::new(body) },
        Err(_) => {
            ClientError::NotOurs { path: path.to_owned(), status: status.as_u16(), excerpt: excerpt(body) }
        }
    }
}

fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None if line.is_empty() => "an empty answer".to_owned(),
        None => line,
    }
}
