//! One request head, checked. The rules are those of RFC 9112 without any of its tolerances, plus Heroku's limits.

use super::{HEADER_LINE_BYTES, HEADER_NAME_BYTES, HEADERS, METHOD_BYTES};
use crate::codes::RequestFault;
use http::uri::PathAndQuery;
use httparse::{Error, Header, Status};
use std::mem::MaybeUninit;

/// What the router needs to know of a checked head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeadFacts {
    /// Lower-case, without port and final dot: what routes are looked up by.
    pub host: String,
    /// As the client named it, port included: what the process sees. The target's, if the target is absolute.
    pub authority: String,
    pub framing: Framing,
    /// The client asks to change protocol and may: the bytes after this head could be something other than HTTP.
    pub upgrade: Option<String>,
}

/// How the body's length is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

/// A head that is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub fault: RequestFault,
    pub about: Option<RefusedHead>,
}

/// As much of a refused head as could be read: for the access line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefusedHead {
    pub method: String,
    pub path: String,
    pub host: String,
}

impl From<RequestFault> for Refusal {
    fn from(fault: RequestFault) -> Self {
        Self { fault, about: None }
    }
}

/// Checks one whole head, its empty line included. Line endings and sizes were checked as the bytes came in.
pub(crate) fn check_head(head: &[u8]) -> Result<HeadFacts, Refusal> {
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(head, &mut headers) {
        Ok(Status::Complete(length)) if length == head.len() => check_request(&request),
        Ok(Status::Complete(_) | Status::Partial) => Err(RequestFault::BadHeader.into()),
        Err(error) => Err(fault_of(error, head).into()),
    }
}

fn fault_of(error: Error, head: &[u8]) -> RequestFault {
    match error {
        Error::TooManyHeaders => RequestFault::OversizedHeader,
        Error::Version if names_a_version(head) => RequestFault::UnsupportedVersion,
        Error::Token | Error::Version => RequestFault::BadRequestLine,
        Error::HeaderName | Error::HeaderValue | Error::NewLine | Error::Status => RequestFault::BadHeader,
    }
}

/// Whether the request line has three parts, of which the last is the name of some HTTP version.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let parts: Vec<_> = line.split(|b| *b == b' ').collect();
    matches!(parts[..], [_, _, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

fn check_request(request: &httparse::Request<'_, '_>) -> Result<HeadFacts, Refusal> {
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    let fields = Fields::collect(request.headers);
    let facts = fields.and_then(|fields| facts_of(method, target, request.version == Some(1), &fields));
    facts.map_err(|fault| {
        let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
        let host = host.and_then(|header| std::str::from_utf8(header.value).ok()).and_then(split_host);
        let about = RefusedHead {
            method: method.to_owned(),
            path: target.to_owned(),
            host: host.unwrap_or_default(),
        };
        Refusal { fault, about: Some(about) }
    })
}

fn facts_of(
    method: &str,
    target: &str,
    is_1_1: bool,
    fields: &Fields<'_>,
) -> Result<HeadFacts, RequestFault> {
    if method.len() > METHOD_BYTES {
        return Err(RequestFault::BadRequestLine);
    }
    if method == "CONNECT" {
        return Err(RequestFault::UnsupportedMethod);
    }
    let host_field = fields.host.ok_or(RequestFault::BadHost)?;
    let named = split_host(host_field).ok_or(RequestFault::BadHost)?;
    let (host, authority) = match check_target(method, target)? {
        None => (named, host_field),
        Some(authority) => (split_host(authority).ok_or(RequestFault::BadRequestLine)?, authority),
    };
    let framing = fields.framing(is_1_1)?;
    if fields.expect.is_some_and(|value| !value.eq_ignore_ascii_case("100-continue")) {
        return Err(RequestFault::UnsupportedExpect);
    }
    let may_upgrade = is_1_1 && method == "GET" && framing == Framing::Length(0) && fields.connection_upgrade;
    let upgrade = fields.upgrade.filter(|_| may_upgrade).filter(|token| may_pass_upgrade(token));
    Ok(HeadFacts { host, authority: authority.to_owned(), framing, upgrade: upgrade.map(str::to_owned) })
}

/// An upgrade to HTTP/2 is never passed on: requests inside it would escape every rule here.
fn may_pass_upgrade(tokens: &str) -> bool {
    !tokens.is_empty() && !tokens.split(',').any(|token| token.trim().to_ascii_lowercase().starts_with("h2"))
}

/// The fields that decide about framing, routing and upgrades, each at most once.
#[derive(Default)]
struct Fields<'h> {
    host: Option<&'h str>,
    length: Option<&'h str>,
    encoding: Option<&'h str>,
    expect: Option<&'h str>,
    upgrade: Option<&'h str>,
    connection_upgrade: bool,
}

impl<'h> Fields<'h> {
    fn collect(headers: &[Header<'h>]) -> Result<Self, RequestFault> {
        let mut fields = Self::default();
        for header in headers {
            if header.name.len() > HEADER_NAME_BYTES || header.value.len() > HEADER_LINE_BYTES {
                return Err(RequestFault::OversizedHeader);
            }
            fields.take(header)?;
        }
        Ok(fields)
    }

    fn take(&mut self, header: &Header<'h>) -> Result<(), RequestFault> {
        let name = header.name;
        if name.eq_ignore_ascii_case("host") {
            set_once(&mut self.host, header, RequestFault::BadHost)
        } else if name.eq_ignore_ascii_case("content-length") {
            set_once(&mut self.length, header, RequestFault::AmbiguousLength)
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            set_once(&mut self.encoding, header, RequestFault::AmbiguousLength)
        } else if name.eq_ignore_ascii_case("expect") {
            set_once(&mut self.expect, header, RequestFault::UnsupportedExpect)
        } else if name.eq_ignore_ascii_case("upgrade") {
            set_once(&mut self.upgrade, header, RequestFault::BadHeader)
        } else if name.eq_ignore_ascii_case("connection") {
            self.take_connection(text(header.value, RequestFault::BadHeader)?)
        } else {
            Ok(())
        }
    }

    fn take_connection(&mut self, value: &str) -> Result<(), RequestFault> {
        let tokens = || value.split(',').map(str::trim).filter(|token| !token.is_empty());
        if tokens().next().is_none() || !tokens().all(is_token) {
            return Err(RequestFault::BadHeader);
        }
        self.connection_upgrade |= tokens().any(|token| token.eq_ignore_ascii_case("upgrade"));
        Ok(())
    }

    fn framing(&self, is_1_1: bool) -> Result<Framing, RequestFault> {
        match (self.length, self.encoding) {
            (None, None) => Ok(Framing::Length(0)),
            (Some(length), None) => parse_length(length).map(Framing::Length),
            (None, Some(encoding)) if is_1_1 && encoding.eq_ignore_ascii_case("chunked") => {
                Ok(Framing::Chunked)
            }
            (_, Some(_)) => Err(RequestFault::AmbiguousLength),
        }
    }
}

fn set_once<'h>(
    slot: &mut Option<&'h str>,
    header: &Header<'h>,
    fault: RequestFault,
) -> Result<(), RequestFault> {
    if slot.is_some() {
        return Err(fault);
    }
    *slot = Some(text(header.value, fault)?);
    Ok(())
}

fn text(value: &[u8], fault: RequestFault) -> Result<&str, RequestFault> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).ok_or(fault)
}

fn is_token(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Digits only: no sign, no spaces, no list. 18 digits are more than any body.
fn parse_length(value: &str) -> Result<u64, RequestFault> {
    let digits = (1..=18).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|_| digits).ok_or(RequestFault::AmbiguousLength)
}

/// The target's own authority, if it has one.
fn check_target<'t>(method: &str, target: &'t str) -> Result<Option<&'t str>, RequestFault> {
    if target.contains('#') {
        return Err(RequestFault::BadRequestLine);
    }
    if target == "*" {
        return if method == "OPTIONS" { Ok(None) } else { Err(RequestFault::BadRequestLine) };
    }
    let (authority, path) = match split_absolute(target) {
        Some((authority, path)) => (Some(authority), path),
        None => (None, target),
    };
    let origin_form =
        path.starts_with('/') || (authority.is_some() && (path.is_empty() || path.starts_with('?')));
    if !origin_form || (!path.is_empty() && PathAndQuery::try_from(path).is_err()) {
        return Err(RequestFault::BadRequestLine);
    }
    Ok(authority)
}

fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let scheme_end = target.find("://").filter(|_| !target.starts_with('/'))?;
    let scheme = &target[..scheme_end];
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let rest = &target[scheme_end + 3..];
    Some(rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

/// `host[:port]` without its port and final dot, in lower case; `None` if it is not that.
fn split_host(authority: &str) -> Option<String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let end = rest.find(']')?;
        let address = &rest[..end];
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (&authority[..end + 2], &rest[end + 1..])
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(end);
        (is_reg_name(host).then_some(host)?, port)
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()),
        None => port.is_empty(),
    };
    port_is_good.then(|| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
}

fn is_reg_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(head: &str) -> Result<HeadFacts, RequestFault> {
        check_head(head.as_bytes()).map_err(|refusal| refusal.fault)
    }

    #[test]
    fn hosts_are_told_from_their_spelling() {
        let cases = [
            ("GET / HTTP/1.1\r\nHost: A.Example.com:8080\r\n\r\n", "a.example.com", "A.Example.com:8080"),
            ("GET / HTTP/1.1\r\nHost: a.b.\r\n\r\n", "a.b", "a.b."),
            ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "[::1]", "[::1]:80"),
            (
                "GET http://Target.example/x HTTP/1.1\r\nHost: other\r\n\r\n",
                "target.example",
                "Target.example",
            ),
            ("GET https://t:1?q HTTP/1.1\r\nHost: other\r\n\r\n", "t", "t:1"),
            ("GET /http://x/ HTTP/1.0\r\nHost: h\r\n\r\n", "h", "h"),
            ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "h", "h"),
        ];
        for (head, host, authority) in cases {
            let facts = check(head).expect(head);
            assert_eq!((facts.host.as_str(), facts.authority.as_str()), (host, authority), "{head}");
        }
    }

    #[test]
    fn bodies_have_one_length() {
        let head = |extra: &str| {
            check(&format!("POST / HTTP/1.1\r\nHost: h\r\n{extra}\r\n")).map(|facts| facts.framing)
        };
        assert_eq!(head(""), Ok(Framing::Length(0)));
        assert_eq!(head("Content-Length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(head("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    }

    #[test]
    fn upgrades_are_seen_only_where_they_may_be() {
        let head = |line: &str, extra: &str| {
            check(&format!("{line}\r\nHost: h\r\n{extra}\r\n")).expect("a good head").upgrade
        };
        let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
        assert_eq!(head("GET / HTTP/1.1", upgrade).as_deref(), Some("websocket"));
        assert_eq!(head("GET / HTTP/1.0", upgrade), None);
        assert_eq!(head("POST / HTTP/1.1", upgrade), None);
        assert_eq!(head("GET / HTTP/1.1", &format!("{upgrade}Content-Length: 3\r\n")), None);
        assert_eq!(head("GET / HTTP/1.1", "Upgrade: websocket\r\n"), None);
        assert_eq!(head("GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: h2c\r\n"), None);
    }

    proptest! {
        /// Whatever is accepted has exactly one host and one framing by a plain reading of its lines.
        #[test]
        fn accepted_heads_have_one_reading(lines in proptest::collection::vec(
            prop_oneof![
                Just("Host: a"), Just("host: b"), Just("Content-Length: 5"), Just("content-length: 5"),
                Just("Transfer-Encoding: chunked"), Just("Transfer-Encoding: gzip, chunked"),
                Just("Content-Length: +5"), Just(" folded: x"), Just("Connection: close"), Just("X: y"),
            ], 0..6))
        {
            let head = format!("POST / HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
            let head = if lines.is_empty() { "POST / HTTP/1.1\r\n\r\n".to_owned() } else { head };
            if let Ok(facts) = check(&head) {
                let count = |name: &str| lines.iter().filter(|l| l.to_ascii_lowercase().starts_with(name)).count();
                prop_assert_eq!(count("host:"), 1);
                prop_assert!(count("content-length:") + count("transfer-encoding:") <= 1);
                prop_assert_eq!(facts.framing == Framing::Chunked, count("transfer-encoding: chunked") == 1);
                prop_assert_eq!(count(" "), 0);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = check_head(&bytes);
        }
    }
}
