//! The few pages that the router writes itself: small HTML, the code in it, no promise it cannot keep.

use crate::codes::{Code, RequestFault};
use bytes::Bytes;
use http::StatusCode;

/// An answer without a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub status: StatusCode,
    pub body: Bytes,
}

/// For a host name that no app has.
pub fn no_such_app() -> Page {
    render(
        StatusCode::NOT_FOUND,
        None,
        "There is no app at this host",
        "Check the address, or add the domain to an app.",
    )
}

/// For a code; one without a status of its own gets 503.
pub fn of_code(code: Code) -> Page {
    let status = code.facts().status.and_then(|status| StatusCode::from_u16(status).ok());
    let (title, text) = words(code);
    render(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), Some(code.facts().name), title, text)
}

const BUSY: (&str, &str) = (
    "The app did not answer",
    "Something went wrong in the app, and the page could not be served. Please try again in a moment. \
     If this is your app, its logs tell more.",
);

const fn words(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::H10
        | Code::H12
        | Code::H13
        | Code::H15
        | Code::H17
        | Code::H18
        | Code::H19
        | Code::H21
        | Code::H25(_) => BUSY,
        Code::H11 => {
            ("The app is very busy", "Too many requests are waiting for it. Please try again in a moment.")
        }
        Code::H14 => (
            "The app is not running",
            "It has no web process. If this is your app, scale its web processes up.",
        ),
        Code::H20 => {
            ("The app is still starting", "It took too long to start. Please try again in a moment.")
        }
        Code::H26(fault) => fault_words(fault),
        Code::H27 | Code::H28 => {
            ("The request was not completed", "The connection was idle for too long or was closed.")
        }
        Code::H80 => ("The app is under maintenance", "It will be back soon."),
        Code::H81 => ("Nothing is deployed here yet", "This app exists and waits for its first deploy."),
        Code::H24 | Code::H99 => {
            ("The platform did not answer", "This is not the app's fault. Please try again in a moment.")
        }
    }
}

const fn fault_words(fault: RequestFault) -> (&'static str, &'static str) {
    match fault {
        RequestFault::UnsupportedExpect => {
            ("Expectation failed", "The only expectation that is supported is 100-continue.")
        }
        RequestFault::UnsupportedMethod => ("Method not allowed", "CONNECT is not supported."),
        RequestFault::UnsupportedVersion => {
            ("HTTP version not supported", "HTTP/1.0 and HTTP/1.1 are supported.")
        }
        RequestFault::OversizedHeader => ("Bad request", "The request's head is too large."),
        RequestFault::BadHost => ("Bad request", "The request must name one host."),
        RequestFault::AmbiguousLength => ("Bad request", "The length of the request's body is not clear."),
        RequestFault::BadRequestLine | RequestFault::BadHeader | RequestFault::BadChunk => {
            ("Bad request", "The request could not be understood.")
        }
    }
}

fn render(status: StatusCode, code: Option<&str>, title: &str, text: &str) -> Page {
    let code = code.map(|code| format!("<p><small>{code}</small></p>")).unwrap_or_default();
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1em;color:#333}}\
         small{{color:#777}}</style></head>\n<body><h1>{title}</h1><p>{text}</p>{code}</body></html>\n"
    );
    Page { status, body: Bytes::from(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_code_and_status() {
        for (code, status) in
            [(Code::H10, 503), (Code::H81, 502), (Code::H26(RequestFault::UnsupportedExpect), 417)]
        {
            let page = of_code(code);
            assert_eq!(page.status.as_u16(), status);
            assert!(String::from_utf8_lossy(&page.body).contains(code.facts().name));
        }
        let unknown = no_such_app();
        assert_eq!(unknown.status.as_u16(), 404);
        assert!(String::from_utf8_lossy(&unknown.body).contains("There is no app at this host"));
    }
}
