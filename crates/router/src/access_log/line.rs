//! The access line: pure text, Heroku's form to the letter.

use crate::codes::Code;
use std::fmt::Write;

/// `fwd=` is cut here: its beginning is whatever the client sent.
const FORWARDED_BYTES: usize = 1000;

/// What a line tells. Absent numbers are empty fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line {
    pub code: Option<Code>,
    pub method: String,
    /// With its query.
    pub path: String,
    pub host: String,
    pub request_id: String,
    pub forwarded_for: String,
    /// Display name of the process.
    pub process: String,
    pub connect_millis: Option<u64>,
    pub service_millis: Option<u64>,
    pub status: Option<u16>,
    pub bytes: Option<u64>,
}

impl Line {
    pub(crate) fn render(&self) -> String {
        let size = 200 + self.path.len() + self.host.len() + self.request_id.len() + self.forwarded_for.len();
        let mut out = String::with_capacity(size);
        match self.code {
            None => out.push_str("at=info"),
            Some(code) => push_code(&mut out, code),
        }
        out.push_str(" method=");
        out.push_str(&self.method);
        out.push_str(" path=\"");
        push_quoted(&mut out, &self.path);
        out.push_str("\" host=");
        out.push_str(&self.host);
        out.push_str(" request_id=");
        out.push_str(&self.request_id);
        out.push_str(" fwd=\"");
        push_quoted(&mut out, &self.forwarded_for[..self.forwarded_for.floor_char_boundary(FORWARDED_BYTES)]);
        out.push_str("\" dyno=");
        out.push_str(&self.process);
        push_number(&mut out, " connect=", self.connect_millis, "ms");
        push_number(&mut out, " service=", self.service_millis, "ms");
        push_number(&mut out, " status=", self.status.map(u64::from), "");
        push_number(&mut out, " bytes=", self.bytes, "");
        out.push_str(" protocol=http1.1 tls=false");
        out
    }
}

fn push_code(out: &mut String, code: Code) {
    let facts = code.facts();
    if let Some(socket) = facts.socket {
        out.push_str("sock=");
        out.push_str(socket);
        out.push(' ');
    }
    out.push_str("at=");
    out.push_str(facts.severity.as_str());
    out.push_str(" code=");
    out.push_str(facts.name);
    out.push_str(" desc=\"");
    out.push_str(facts.description);
    out.push('"');
    if let Some(cause) = facts.cause {
        out.push_str(" cause=\"");
        out.push_str(cause);
        out.push('"');
    }
}

/// A quote or control character of a client's must not end the field.
fn push_quoted(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("%22"),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
}

fn push_number(out: &mut String, name: &str, number: Option<u64>, unit: &str) {
    out.push_str(name);
    if let Some(number) = number {
        // Writing to a string cannot fail.
        let _ = write!(out, "{number}{unit}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::{RequestFault, Restriction};

    fn example() -> Line {
        Line {
            code: None,
            method: "GET".into(),
            path: "/a?b=c".into(),
            host: "app.example.com".into(),
            request_id: "01234567-89ab-4cde-8f01-23456789abcd".into(),
            forwarded_for: "1.2.3.4".into(),
            process: "web.1".into(),
            connect_millis: Some(1),
            service_millis: Some(18),
            status: Some(200),
            bytes: Some(13),
        }
    }

    #[test]
    fn lines_have_herokus_form() {
        let unanswered = || Line {
            process: String::new(),
            connect_millis: None,
            service_millis: None,
            bytes: None,
            ..example()
        };
        let with = |line: Line, code: Code| Line { code: Some(code), status: code.facts().status, ..line };
        let lines = [
            example(),
            with(unanswered(), Code::H10),
            with(Line { service_millis: Some(30001), bytes: Some(0), ..example() }, Code::H12),
            with(example(), Code::H18),
            with(
                Line { connect_millis: Some(5001), service_millis: None, bytes: None, ..example() },
                Code::H19,
            ),
            with(example(), Code::H24),
            with(example(), Code::H25(Restriction::InvalidContentLength)),
            with(unanswered(), Code::H26(RequestFault::UnsupportedExpect)),
            with(example(), Code::H27),
            with(example(), Code::H28),
            with(unanswered(), Code::H80),
            with(unanswered(), Code::H81),
        ];
        let text: Vec<_> = lines.iter().map(Line::render).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn a_client_cannot_forge_fields() {
        let path = "/\" host=other\u{1b}[31m\n".to_owned();
        let line = Line { path, forwarded_for: "\"x".repeat(2000), ..example() }.render();
        assert!(line.contains("path=\"/%22 host=other?[31m?\" host=app.example.com"), "{line}");
        assert_eq!(line.matches('"').count(), 4, "{line}");
        assert!(line.len() < 2500);
    }
}
