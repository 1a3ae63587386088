//! Remarks beside an answer: Heroku's clients print the header `X-Heroku-Warning`.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};

const HEADER: HeaderName = HeaderName::from_static("x-heroku-warning");

/// An answer with what is to be said beside it.
pub struct Noticed<T> {
    pub answer: T,
    pub notices: Vec<String>,
}

impl<T: IntoResponse> IntoResponse for Noticed<T> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        if let Some(value) = header_value(&self.notices) {
            response.headers_mut().insert(HEADER, value);
        }
        response
    }
}

/// One line; what a header cannot carry becomes a question mark.
fn header_value(notices: &[String]) -> Option<HeaderValue> {
    if notices.is_empty() {
        return None;
    }
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let text: String = notices.join(" ").chars().map(printable).collect();
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_one_line() {
        assert_eq!(header_value(&[]), None);
        let value = header_value(&["One.".to_owned(), "Tw\u{f6}\r\nSet-Cookie: x".to_owned()]).unwrap();
        assert_eq!(value, "One. Tw???Set-Cookie: x");
    }
}
