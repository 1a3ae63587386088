//! From a request's head to its response.

use super::MissingPath;
use super::body::SiteBody;
use super::file::{Ending, Found, Root, SiteFile, decode};
use super::media;
use super::range::{self, Part};
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::io;

const NOT_FOUND_PAGE: &str = "404.html";
const INDEX_PAGE: &str = "index.html";
/// Whatever is not safe in every part of a path is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Caches may keep files and must ask before each use: the tag makes the answer short.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// Blocking: opens and, the first time, reads files. `Err` only for a failing disk.
pub(super) fn answer(root: &Root, missing: MissingPath, head: &Parts) -> io::Result<Response<SiteBody>> {
    if head.method != Method::GET && head.method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    let response = by_path(root, missing, head)?;
    Ok(if head.method == Method::HEAD { without_body(response) } else { response })
}

fn by_path(root: &Root, missing: MissingPath, head: &Parts) -> io::Result<Response<SiteBody>> {
    let Some((parts, ending)) = decode(head.uri.path()) else { return not_found(root) };
    match root.find(&parts, ending)? {
        Found::File(file) => Ok(file_response(file, &head.headers)),
        Found::Folder => Ok(redirect(&parts)),
        Found::Nothing => match missing {
            MissingPath::NotFound => not_found(root),
            MissingPath::Index if looks_like_a_file(&parts, ending) => not_found(root),
            MissingPath::Index => match root.file(INDEX_PAGE)? {
                Some(index) => Ok(file_response(index, &head.headers)),
                None => not_found(root),
            },
        },
    }
}

/// A missing script or picture is an error even in a single-page app: answering with HTML would hide it.
fn looks_like_a_file(parts: &[String], ending: Ending) -> bool {
    ending == Ending::Name && parts.last().is_some_and(|name| name.contains('.'))
}

fn file_response(site_file: SiteFile, request: &HeaderMap) -> Response<SiteBody> {
    let SiteFile { file, path, size, tag } = site_file;
    let tag_value = HeaderValue::from_str(&tag).expect("a tag is hexadecimal digits in quotes");
    if is_known(request, &tag) {
        return finish(StatusCode::NOT_MODIFIED, SiteBody::empty(), None, Some(tag_value));
    }
    let media = Some(media::media_type(&path));
    let (status, first, length) = match wanted_part(request, &tag, size) {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::Piece { first, length } => (StatusCode::PARTIAL_CONTENT, first, length),
        Part::Outside => {
            let mut response =
                finish(StatusCode::RANGE_NOT_SATISFIABLE, SiteBody::empty(), None, Some(tag_value));
            insert_content_range(&mut response, &format!("bytes */{size}"));
            return response;
        }
    };
    let mut response = finish(status, SiteBody::file(file, first, length), media, Some(tag_value));
    if status == StatusCode::PARTIAL_CONTENT {
        insert_content_range(&mut response, &format!("bytes {first}-{}/{size}", first + length - 1));
    }
    response
}

fn insert_content_range(response: &mut Response<SiteBody>, text: &str) {
    let value = HeaderValue::from_str(text).expect("digits and punctuation are a header value");
    response.headers_mut().insert(header::CONTENT_RANGE, value);
}

/// `If-None-Match` (RFC 9110 section 13.1.2): any of the tags, compared weakly.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let lists = request.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// The range, unless `If-Range` names another version of the file.
fn wanted_part(request: &HeaderMap, tag: &str, size: u64) -> Part {
    let text = |name| request.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match text(header::IF_RANGE) {
        Some(version) if version != tag => Part::Whole,
        _ => range::parse(text(header::RANGE), size),
    }
}

/// To the folder's own address, made of its decoded parts: never to another host, whatever the path looked like.
fn redirect(parts: &[String]) -> Response<SiteBody> {
    let encoded: Vec<String> =
        parts.iter().map(|part| utf8_percent_encode(part, ENCODED).to_string()).collect();
    let location = format!("/{}/", encoded.join("/"));
    let mut response = text(StatusCode::MOVED_PERMANENTLY, "");
    let value = HeaderValue::from_str(&location).expect("a percent-encoded path is a header value");
    response.headers_mut().insert(header::LOCATION, value);
    response
}

fn not_found(root: &Root) -> io::Result<Response<SiteBody>> {
    Ok(match root.file(NOT_FOUND_PAGE)? {
        Some(SiteFile { file, size, .. }) => {
            finish(StatusCode::NOT_FOUND, SiteBody::file(file, 0, size), Some(media::HTML), None)
        }
        None => text(StatusCode::NOT_FOUND, "404: there is nothing here\n"),
    })
}

pub(super) fn text(status: StatusCode, text: &'static str) -> Response<SiteBody> {
    finish(status, SiteBody::text(text), Some("text/plain; charset=utf-8"), None)
}

fn finish(
    status: StatusCode,
    body: SiteBody,
    media: Option<&'static str>,
    tag: Option<HeaderValue>,
) -> Response<SiteBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(media) = media {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    }
    if let Some(tag) = tag {
        headers.insert(header::ETAG, tag);
        headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    response
}

/// The same head; its `Content-Length` is that of the body which GET would bring.
fn without_body(response: Response<SiteBody>) -> Response<SiteBody> {
    use http_body::Body;
    let (mut head, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact().filter(|_| head.status != StatusCode::NOT_MODIFIED) {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(head, SiteBody::empty())
}
