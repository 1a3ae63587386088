//! The parsers that meet strangers' bytes before anybody is known, each called as the server calls it. For fuzzing and for the tests
//! that replay its corpora; nothing in the server uses it.
//!
//! Each function must return for any bytes whatever, and states by assertions what holds of a result.

use crate::git::strangers as git;
use crate::http::auth::parse_credentials;
use crate::http::origin;
use crate::ssh;
use api::page::RangeRequest;
use http::{HeaderMap, HeaderValue, Uri, header};

/// Messages of a hook, packet lines of a push, lines of a hook's standard input, a `Git-Protocol` header.
pub fn wire(bytes: &[u8]) {
    git::read_all(bytes);
}

/// The head of a request: `Authorization`, `Host`, `Range`, one a line.
pub fn heads(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut next = || HeaderValue::from_bytes(lines.next().unwrap_or_default()).ok();
    let (authorization, host, range) = (next(), next(), next());
    let mut headers = HeaderMap::new();
    headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
    headers.extend(host.map(|value| (header::HOST, value)));
    if let Some(found) = parse_credentials(&headers) {
        assert!(!found.token.expose().is_empty());
    }
    let url = origin::origin_of(&Uri::from_static("/apps"), &headers).https("/x");
    let authority =
        url.strip_prefix("https://").and_then(|rest| rest.strip_suffix("/x")).expect("an address");
    assert!(authority.contains(':') && !authority.contains(['/', '@', ' ', '"', '\r', '\n']), "{authority}");
    if let Some(text) = range.as_ref().and_then(|value| value.to_str().ok()) {
        let request = RangeRequest::parse(text);
        assert!(request.max > 0);
        assert_eq!(RangeRequest::parse(&request.to_string()).max, request.max);
    }
}

/// What an SSH client asks to have run, and a public key that somebody adds.
pub fn ssh(bytes: &[u8]) {
    ssh::read_command(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = engine::ops::ssh_keys::PublicKey::parse(text)
    {
        assert_eq!(engine::ops::ssh_keys::PublicKey::parse(&key.line).as_ref(), Ok(&key));
    }
}
