//! What the router changes in heads: hop-by-hop fields go, the router's own come. Pure.

use crate::strict::HeadFacts;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri, Version, request, response};
use std::net::IpAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// This router in `Via`.
const PSEUDONYM: HeaderValue = HeaderValue::from_static("1.1 dozen");

/// About one connection only (RFC 9110 section 7.6.1), or never meant to pass a gateway.
const HOP_BY_HOP: [HeaderName; 11] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    // Becomes HTTP_PROXY in the environment of a CGI program.
    HeaderName::from_static("proxy"),
];

/// What `Connection` may not take away: it would change which request this is.
const END_TO_END: [HeaderName; 2] = [HOST, CONTENT_LENGTH];

const REQUEST_ID_BYTES: std::ops::RangeInclusive<usize> = 20..=200;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub peer: IpAddr,
    /// The port that the client connected to.
    pub port: u16,
}

/// The client's request id if it has Heroku's form.
pub(crate) fn given_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let good = |b: u8| b.is_ascii_alphanumeric() || b"+/=-".contains(&b);
    (REQUEST_ID_BYTES.contains(&id.len()) && id.bytes().all(good)).then_some(id)
}

/// `X-Forwarded-For` as the process gets it: whatever the client sent, then the client.
pub(crate) fn forwarded_for(headers: &HeaderMap, peer: IpAddr) -> String {
    let mut list = String::new();
    for value in headers.get_all(FORWARDED_FOR) {
        list.push_str(&String::from_utf8_lossy(value.as_bytes()));
        list.push_str(", ");
    }
    list.push_str(&peer.to_string());
    list
}

/// Turns a client's request into the one for the process.
pub(crate) fn rewrite_request(parts: &mut request::Parts, facts: &HeadFacts, added: &Added<'_>) {
    let expects = parts.version == Version::HTTP_11 && !added.is_bodyless;
    parts.version = Version::HTTP_11;
    parts.uri = origin_form(std::mem::take(&mut parts.uri));
    let headers = &mut parts.headers;
    remove_hop_by_hop(headers);
    if !expects {
        headers.remove(EXPECT);
    }
    set(headers, HOST, &facts.authority);
    set(headers, FORWARDED_FOR, added.forwarded_for);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_PORT, HeaderValue::from(added.origin.port));
    headers.insert(REQUEST_START, HeaderValue::from(added.start_millis));
    set(headers, REQUEST_ID, added.request_id);
    headers.append(VIA, PSEUDONYM);
    if let Some(protocol) = &facts.upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        set(headers, UPGRADE, protocol);
    }
}

/// What [`rewrite_request`] puts in.
#[derive(Debug)]
pub(crate) struct Added<'a> {
    pub origin: Origin,
    pub forwarded_for: &'a str,
    pub request_id: &'a str,
    pub start_millis: u64,
    pub is_bodyless: bool,
}

/// Turns a process's response into the one for the client.
pub(crate) fn rewrite_response(parts: &mut response::Parts) {
    let headers = &mut parts.headers;
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
    headers.append(VIA, PSEUDONYM);
}

/// As [`rewrite_response`], for 101: the new protocol's name stays.
pub(crate) fn rewrite_switch(parts: &mut response::Parts) {
    let protocol = parts.headers.get(UPGRADE).cloned();
    rewrite_response(parts);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    if let Some(protocol) = protocol {
        parts.headers.insert(UPGRADE, protocol);
    }
}

/// An interim response (1xx) in bytes.
pub(crate) fn render_interim(status: http::StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut headers = headers.clone();
    remove_hop_by_hop(&mut headers);
    let reason = status.canonical_reason().unwrap_or("Interim");
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in &headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn origin_form(uri: Uri) -> Uri {
    let path = uri.into_parts().path_and_query.filter(|path| !path.as_str().is_empty());
    Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| {
            !["close", "keep-alive", "upgrade"].iter().any(|known| token.eq_ignore_ascii_case(known))
        })
        .filter_map(|token| token.parse().ok())
        .collect();
    for name in nominated.iter().filter(|name| !END_TO_END.contains(name)) {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Everything that comes here was taken from a header or checked; a value that is none is left out.
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strict::Framing;

    fn request(target: &str, headers: &[(&'static str, &str)]) -> request::Parts {
        let mut builder = http::Request::builder().uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request").into_parts().0
    }

    fn rewritten(mut parts: request::Parts, upgrade: Option<&str>) -> request::Parts {
        let facts = HeadFacts {
            host: "h.test".into(),
            authority: "H.test:8080".into(),
            framing: Framing::Length(0),
            upgrade: upgrade.map(str::to_owned),
        };
        let forwarded_for = forwarded_for(&parts.headers, [9, 9, 9, 9].into());
        let added = Added {
            origin: Origin { peer: [9, 9, 9, 9].into(), port: 8080 },
            forwarded_for: &forwarded_for,
            request_id: "id",
            start_millis: 1_700_000_000_000,
            is_bodyless: true,
        };
        rewrite_request(&mut parts, &facts, &added);
        parts
    }

    fn text(parts: &request::Parts) -> String {
        let lines =
            parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")));
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        lines.join("\n")
    }

    #[test]
    fn a_request_gets_the_routers_fields_and_loses_the_hops() {
        let parts = request(
            "http://other/x?y",
            &[
                ("host", "other"),
                ("connection", "close, X-Secret, Host"),
                ("x-secret", "1"),
                ("keep-alive", "5"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAAA"),
                ("proxy", "evil"),
                ("expect", "100-continue"),
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "2.2.2.2"),
                ("x-forwarded-proto", "https"),
                ("via", "1.0 before"),
                ("accept", "*/*"),
            ],
        );
        let parts = rewritten(parts, None);
        assert_eq!(parts.uri, "/x?y");
        insta::assert_snapshot!(text(&parts));
    }

    #[test]
    fn an_upgrade_keeps_its_protocol() {
        let parts = request("/", &[("connection", "Upgrade"), ("upgrade", "websocket")]);
        let parts = rewritten(parts, Some("websocket"));
        assert!(
            text(&parts).contains("connection: upgrade\n") && text(&parts).contains("upgrade: websocket")
        );
    }

    #[test]
    fn request_ids_are_kept_if_they_have_the_form() {
        let long = "a".repeat(201);
        let cases = [
            ("01234567-89ab-4cde-8f01-23456789abcd", true),
            ("abcdefghij+/=-0123456789", true),
            ("short", false),
            ("has spaces in it and is long enough", false),
            (&long, false),
        ];
        for (id, kept) in cases {
            assert_eq!(
                given_request_id(&request("/", &[("x-request-id", id)]).headers).is_some(),
                kept,
                "{id}"
            );
        }
    }
}
