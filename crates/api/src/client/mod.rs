//! A blocking client of a Dozen server.
//!
//! One connection policy for everything: HTTPS (plain HTTP to this machine only), the roots that the caller names, no redirect is
//! followed, every wait and every body has a limit. A GET, a PUT, and a POST with its `Idempotency-Key`, is sent again when the
//! connection broke; a PATCH and a DELETE never are, since nothing would tell the first from the second.

mod calls;
mod calls_access;
mod calls_app;
mod calls_cron;
mod error;
pub mod forwarder;
mod link;
pub mod rendezvous;
pub mod stream;
pub mod trust;
pub mod url;
mod warnings;

pub use error::ClientError;
pub use trust::Trust;
pub use url::ServerUrl;

use crate::page::RangeRequest;
use crate::{ACCEPT, CONTENT_TYPE, IDEMPOTENCY_KEY, Token};
use error::unexpected_answer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::http::{HeaderMap, Method, Request, Response, header};
use ureq::{Agent, Body};
use warnings::Warnings;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence of the server within a request. It sends something sooner on streams.
const READ_TIMEOUT: Duration = Duration::from_secs(90);
/// Most bytes of an answer that is not a stream.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;
/// Most pages of one list.
const MAX_PAGES: usize = 100;
/// How often a request that may be repeated is sent in all.
const ATTEMPTS: u32 = 5;
/// The wait before the second attempt; it doubles.
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// Where and as whom to speak.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: ServerUrl,
    pub token: Option<Token>,
    pub trust: Trust,
}

/// A server, and a pool of connections to it.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    target: Target,
    user_agent: String,
    warnings: Warnings,
}

/// An answer that has been read.
struct Answer {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// # Errors
    /// The trusted roots cannot be read.
    pub fn new(target: Target, user_agent: impl Into<String>) -> Result<Self, ClientError> {
        let tls = target.trust.ureq_config()?;
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(READ_TIMEOUT));
        if target.url.is_this_machine() {
            config = config.proxy(None);
        }
        let agent = config.build().new_agent();
        Ok(Self { agent, target, user_agent: user_agent.into(), warnings: Warnings::default() })
    }

    /// Tells `listener` of each remark that the server makes beside an answer, once.
    #[must_use]
    pub fn with_warnings(self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { warnings: Warnings::told_to(listener), ..self }
    }

    pub const fn target(&self) -> &Target {
        &self.target
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::GET, path, None, None).and_then(|answer| self.decode(path, &answer))
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let answer = self.exchange(Method::POST, path, None, Some(encode(body)))?;
        self.decode(path, &answer)
    }

    fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let answer = self.exchange(Method::PATCH, path, None, Some(encode(body)))?;
        self.decode(path, &answer)
    }

    /// Replaces the whole of something: the same however often it is sent.
    fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let answer = self.exchange(Method::PUT, path, None, Some(encode(body)))?;
        self.decode(path, &answer)
    }

    fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.exchange(Method::DELETE, path, None, None).and_then(|answer| self.decode(path, &answer))
    }

    /// One page, even if more follow.
    fn get_page<T: DeserializeOwned>(&self, path: &str, range: &RangeRequest) -> Result<Vec<T>, ClientError> {
        let answer = self.exchange(Method::GET, path, Some(&range.to_string()), None)?;
        self.decode(path, &answer)
    }

    /// All pages of a list.
    fn get_all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut range = None;
        for _ in 0..MAX_PAGES {
            let answer = self.exchange(Method::GET, path, range.as_deref(), None)?;
            items.extend(self.decode::<Vec<T>>(path, &answer)?);
            range = answer.headers.get("Next-Range").and_then(|next| next.to_str().ok()).map(str::to_owned);
            if range.is_none() {
                return Ok(items);
            }
        }
        Err(ClientError::TooManyPages { path: path.to_owned(), limit: MAX_PAGES })
    }

    /// Sends, again if need be and allowed, and reads the answer.
    fn exchange(
        &self,
        method: Method,
        path: &str,
        range: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, ClientError> {
        let key = (method == Method::POST).then(new_idempotency_key);
        let repeatable = matches!(method, Method::GET | Method::PUT) || key.is_some();
        let mut wait = FIRST_RETRY;
        for _ in 1..ATTEMPTS {
            match self.exchange_once(&method, path, range, body.as_deref(), key.as_deref()) {
                Err(error) if repeatable && error.may_pass() => std::thread::sleep(wait),
                done => return done,
            }
            wait *= 2;
        }
        self.exchange_once(&method, path, range, body.as_deref(), key.as_deref())
    }

    fn exchange_once(
        &self,
        method: &Method,
        path: &str,
        range: Option<&str>,
        body: Option<&[u8]>,
        key: Option<&str>,
    ) -> Result<Answer, ClientError> {
        let url = self.target.url.join(path);
        let mut request =
            Request::builder().method(method).uri(&url).header(header::USER_AGENT, &self.user_agent);
        request = request.header(header::ACCEPT, ACCEPT);
        if let Some(token) = &self.target.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let sent = match body {
            Some(body) => self.run(request.header(header::CONTENT_TYPE, CONTENT_TYPE).body(body)),
            None => self.run(request.body(())),
        };
        let response = sent.map_err(|source| ClientError::transport(method, &url, source))?;
        read_answer(path, response)
    }

    fn run(
        &self,
        request: Result<Request<impl ureq::AsSendBody>, ureq::http::Error>,
    ) -> Result<Response<Body>, ureq::Error> {
        let response = self.agent.run(request?)?;
        self.warnings.observe(response.headers());
        Ok(response)
    }

    fn decode<T: DeserializeOwned>(&self, path: &str, answer: &Answer) -> Result<T, ClientError> {
        let body: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
        serde_json::from_slice(body).map_err(|source| ClientError::Unreadable {
            url: self.target.url.join(path),
            source: Box::new(source),
        })
    }
}

fn encode(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("request types hold nothing that JSON cannot express")
}

/// Reads the body; an answer that is not a success becomes an error.
fn read_answer(path: &str, response: Response<Body>) -> Result<Answer, ClientError> {
    let (parts, mut body) = response.into_parts();
    let read = body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
    let body =
        read.map_err(|source| ClientError::Broken { path: path.to_owned(), source: Box::new(source) })?;
    match parts.status {
        status if status.is_success() => Ok(Answer { headers: parts.headers, body }),
        status => Err(unexpected_answer(path, status, &parts.headers, &body)),
    }
}

/// A random UUID: 122 random bits are never drawn twice.
fn new_idempotency_key() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
