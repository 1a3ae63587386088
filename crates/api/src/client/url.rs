//! Addresses of servers. Parsed once, so that a token is never sent where it could be read on the way.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use ureq::http::Uri;

/// What stays as it is in a path segment: the unreserved characters of RFC 3986 section 2.3.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Scheme, host and port of a server, without path: `https://paas.example.com:8443`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServerUrl {
    scheme: Scheme,
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scheme {
    Https,
    /// To this machine only.
    Http,
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServerUrl {
    #[error(
        "\"{given}\" is not the address of a server: expected a form such as https://paas.example.com:8443"
    )]
    Malformed { given: String },
    #[error("\"{given}\" is not encrypted: over plain HTTP the token could be read on the way; use https://")]
    PlainHttp { given: String },
}

impl ServerUrl {
    pub fn host(&self) -> &str {
        &self.host
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, the port always there: what git calls the host, and what tells one server from another in file names.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether nobody on the way can read along.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Whether it names this machine: such connections go through no proxy.
    pub fn is_this_machine(&self) -> bool {
        is_loopback(&self.host)
    }

    pub(super) fn join(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

/// Whether a host, by name or address, is this machine. `*.localhost` is by RFC 6761 section 6.3.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl FromStr for ServerUrl {
    type Err = InvalidServerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let given = || text.chars().take(200).collect::<String>();
        let malformed = || InvalidServerUrl::Malformed { given: given() };
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let (scheme, default_port) = match uri.scheme_str() {
            Some("https") => (Scheme::Https, 443),
            Some("http") => (Scheme::Http, 80),
            _ => return Err(malformed()),
        };
        let authority =
            uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(malformed)?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !bare || authority.host().is_empty() {
            return Err(malformed());
        }
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None => default_port,
            Some(digits) => digits.parse().map_err(|_| malformed())?,
        };
        let host = authority.host().to_ascii_lowercase();
        if scheme == Scheme::Http && !is_loopback(&host) {
            return Err(InvalidServerUrl::PlainHttp { given: given() });
        }
        Ok(Self { scheme, host, port })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default_port) = match self.scheme {
            Scheme::Https => ("https", 443),
            Scheme::Http => ("http", 80),
        };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default_port { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl TryFrom<String> for ServerUrl {
    type Error = InvalidServerUrl;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ServerUrl> for String {
    fn from(url: ServerUrl) -> Self {
        url.to_string()
    }
}

/// A path from its segments, each escaped.
pub(super) fn path<const N: usize>(segments: [&str; N]) -> String {
    segments
        .iter()
        .flat_map(|segment| ["/".to_owned(), utf8_percent_encode(segment, ESCAPED).to_string()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        for (text, shown, host_and_port) in [
            ("https://paas.example.com", "https://paas.example.com", "paas.example.com:443"),
            ("https://Paas.Example.com:8443/", "https://paas.example.com:8443", "paas.example.com:8443"),
            ("http://127.0.0.1:8444", "http://127.0.0.1:8444", "127.0.0.1:8444"),
            ("http://localhost", "http://localhost", "localhost:80"),
            ("https://[::1]:8443", "https://[::1]:8443", "[::1]:8443"),
        ] {
            let url: ServerUrl = text.parse().expect(text);
            assert_eq!((url.to_string().as_str(), url.host_and_port().as_str()), (shown, host_and_port));
        }
    }

    #[test]
    fn refuses_what_is_no_server() {
        for text in [
            "",
            "paas",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://a?x",
            "https://u:p@a",
            "https://a:",
            "https://a:99999",
        ] {
            assert!(matches!(text.parse::<ServerUrl>(), Err(InvalidServerUrl::Malformed { .. })), "{text}");
        }
        for text in ["http://paas.example.com", "http://192.0.2.1", "http://localhost.example.com"] {
            assert!(matches!(text.parse::<ServerUrl>(), Err(InvalidServerUrl::PlainHttp { .. })), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in "(https?://)?[a-zA-Z0-9:\\[\\]@./?#%-]{0,30}|.{0,40}") {
            if let Ok(url) = text.parse::<ServerUrl>() {
                proptest::prop_assert_eq!(url.to_string().parse::<ServerUrl>(), Ok(url));
            }
        }
    }

    #[test]
    fn segments_are_escaped() {
        assert_eq!(path(["apps", "a/b", "dynos", "web.1"]), "/apps/a%2Fb/dynos/web.1");
        assert_eq!(path(["x", "é ?#%"]), "/x/%C3%A9%20%3F%23%25");
    }
}
