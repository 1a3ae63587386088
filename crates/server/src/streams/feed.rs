//! How a log's records are written: as server-sent events, or as plain lines. Pure.

use crate::ports::LogRecord;
use api::sse::render_event;
use http::{HeaderMap, header};

/// The two forms of a log stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Events,
    Lines,
}

impl Form {
    /// Events for whoever asks for them by `Accept`.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accepted.any(|types| types.contains("text/event-stream")) { Self::Events } else { Self::Lines }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => super::PLAIN,
        }
    }

    /// Something that shows a client that the connection lives, if the form has such a thing.
    pub const fn heartbeat(self) -> Option<&'static str> {
        match self {
            Self::Events => Some(": the stream is open\n\n"),
            Self::Lines => None,
        }
    }

    pub fn render(self, records: &[LogRecord]) -> String {
        let mut text = String::new();
        for record in records {
            match self {
                Self::Events => render_event(&record.cursor, &record.line, &mut text),
                Self::Lines => {
                    text.push_str(&record.line);
                    text.push('\n');
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let record =
            |n: u32| LogRecord { cursor: format!("c{n}"), line: format!("line {n}"), message: String::new() };
        let records = [record(1), record(2)];
        assert_eq!(Form::Lines.render(&records), "line 1\nline 2\n");
        assert_eq!(Form::Events.render(&records), "id: c1\ndata: line 1\n\nid: c2\ndata: line 2\n\n");
    }

    #[test]
    fn events_are_for_those_who_ask() {
        for (accept, form) in [("text/event-stream", Form::Events), ("*/*", Form::Lines)] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(Form::of(&headers), form);
        }
        assert_eq!(Form::of(&HeaderMap::new()), Form::Lines);
    }
}
