//! Lists over HTTP: `Range` in; 200 with the whole, or 206 and `Next-Range` with a part.

use crate::paging::{Field, page};
use api::page::RangeRequest;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use std::convert::Infallible;

const NEXT_RANGE: HeaderName = HeaderName::from_static("next-range");

/// The page that a request asks for.
pub struct Wanted(RangeRequest);

impl<S: Sync> FromRequestParts<S> for Wanted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(wanted(&parts.headers)))
    }
}

fn wanted(headers: &HeaderMap) -> RangeRequest {
    RangeRequest::parse(headers.get(header::RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default())
}

impl Wanted {
    /// Cuts the page out of all rows. Rows are converted last, so that only those on the page cost something.
    pub fn answer<T, W: Serialize>(
        &self,
        rows: Vec<T>,
        fields: &[Field<T>],
        convert: impl Fn(T) -> W,
    ) -> Response {
        let page = page(rows, fields, &self.0);
        let body = Json(page.rows.into_iter().map(convert).collect::<Vec<_>>());
        let next = page.next.and_then(|next| HeaderValue::from_str(&next.to_string()).ok());
        match next {
            Some(next) => (StatusCode::PARTIAL_CONTENT, [(NEXT_RANGE, next)], body).into_response(),
            None => body.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_says_how_to_go_on() {
        let fields = [Field { name: "version", text: |n: &u64| n.to_string() }];
        let answer = |header: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(header));
            Wanted(wanted(&headers)).answer(vec![1, 2, 3], &fields, |n| n)
        };
        let part = answer("version ..; max=2, order=desc");
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.headers()[NEXT_RANGE], "version ]2..; max=2, order=desc");
        let rest = answer("version ]2..; max=2, order=desc");
        assert_eq!((rest.status(), rest.headers().get(NEXT_RANGE)), (StatusCode::OK, None));
    }
}
