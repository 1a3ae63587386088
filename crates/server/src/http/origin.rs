//! Under which name a client reached us. Addresses that we hand out use the same name, so that they work through a forwarder or
//! under any of our names, and always carry a port, because Heroku's clients fill in a wrong one otherwise.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Uri, header};
use std::convert::Infallible;

const HTTPS_PORT: u16 = 443;
const MAX_HOST: usize = 260;

/// `HOST:PORT`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    #[cfg(test)]
    pub fn new(host_and_port: &str) -> Self {
        Self(host_and_port.to_owned())
    }

    /// The same port under another name.
    pub fn with_host(&self, host: &str) -> Self {
        Self(self.0.rsplit_once(':').map_or_else(|| host.to_owned(), |(_, port)| format!("{host}:{port}")))
    }

    /// Whether `HOST[:PORT]` of an https address is this one.
    pub fn is(&self, authority: &str) -> bool {
        ported(authority).eq_ignore_ascii_case(&self.0)
    }

    pub fn https(&self, path: &str) -> String {
        format!("https://{}{path}", self.0)
    }

    pub fn rendezvous(&self, secret: &str) -> String {
        format!("rendezvous://{}/{}{secret}", self.0, crate::front::RENDEZVOUS_PREFIX)
    }
}

/// By `:authority` or `Host`; what looks like neither is not repeated to anybody.
pub fn origin_of(uri: &Uri, headers: &HeaderMap) -> Origin {
    let named = uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| headers.get(header::HOST)?.to_str().ok());
    Origin(ported(named.filter(|host| is_host(host)).unwrap_or("localhost")))
}

/// With https' own port if there is none.
fn ported(host: &str) -> String {
    let ported = host.rsplit_once(':').is_some_and(|(name, port)| {
        !port.is_empty()
            && port.bytes().all(|b| b.is_ascii_digit())
            && (!name.contains(':') || name.ends_with(']'))
    });
    if ported { host.to_owned() } else { format!("{host}:{HTTPS_PORT}") }
}

fn is_host(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(plain)
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(origin_of(&parts.uri, &parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_carries_a_port() {
        for (host, expected) in [
            ("127.0.0.1:8443", "127.0.0.1:8443"),
            ("paas.example", "paas.example:443"),
            ("[::1]:8443", "[::1]:8443"),
            ("[::1]", "[::1]:443"),
            ("a b", "localhost:443"),
            ("x/y", "localhost:443"),
            ("user@host", "localhost:443"),
            ("", "localhost:443"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(
                origin_of(&Uri::from_static("/apps"), &headers).https(""),
                format!("https://{expected}"),
                "{host}"
            );
        }
        let uri = Uri::from_static("https://h2.example:8443/apps");
        assert_eq!(origin_of(&uri, &HeaderMap::new()).https("/x"), "https://h2.example:8443/x");
    }
}
