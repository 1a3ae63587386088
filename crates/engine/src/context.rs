//! Who asks, by which token, in which request: what every operation takes.

pub use domain::policy::Actor;

use domain::ids::TokenId;

/// Longest request id that is kept, in characters.
const REQUEST_ID_LIMIT_CHARS: usize = 200;

/// Made by the front door once per request.
#[derive(Debug, Clone)]
pub struct Context {
    pub actor: Actor,
    /// The token that was used; none for the system.
    pub token: Option<TokenId>,
    pub request_id: RequestId,
    /// Set for a POST whose client gave a key.
    pub idempotency: Option<IdempotencyKey>,
}

impl Context {
    /// For automatic changes and start-up.
    pub fn system(occasion: &str) -> Self {
        Self { actor: Actor::System, token: None, request_id: RequestId::new(occasion), idempotency: None }
    }
}

/// Passes through router, server, events, specs and log frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Cut to a bounded length; control characters are left out.
    pub fn new(text: &str) -> Self {
        Self(text.chars().filter(|c| !c.is_control()).take(REQUEST_ID_LIMIT_CHARS).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What makes a repeated POST the same POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub method: String,
    pub path: String,
    /// SHA-256 of the request body.
    pub body_sha256: [u8; 32],
    /// The header `Idempotency-Key`, else the whole header `Request-Id`.
    pub key: String,
}
