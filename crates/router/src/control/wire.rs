//! What is said on the control socket: one line of JSON each way, then the connection closes.

use domain::route::RouterStatus;
use serde::{Deserialize, Serialize};

/// The version of these messages; others are refused.
pub(crate) const CONTROL_FORMAT: u32 = 1;
/// A request is one short line.
pub(crate) const REQUEST_BYTES: u64 = 1024;
/// An answer holds every process that the router knows, at about 200 bytes each.
pub(crate) const ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub format: u32,
    pub request: Ask,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// What the router knows.
    Status,
    /// Look at the table now; answered when every thread uses it.
    Load,
    /// Take no new connections, finish what is in flight, end.
    Drain,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub format: u32,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Report(Report),
    Error(String),
}

/// The state of a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub status: RouterStatus,
    pub activity: Activity,
    /// Why the table on disk is not the one in force.
    pub refused: Option<String>,
}

/// Whether a router takes new connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    Serving,
    Draining,
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::RouterId;

    /// A server of an earlier build asks, one of a later build hears: what is said stays what it is.
    #[test]
    fn messages_of_the_first_format() {
        let same = |line: &str, written: serde_json::Value| {
            assert_eq!(written, serde_json::from_str::<serde_json::Value>(line).expect("it is JSON"));
        };
        let mut asked = Vec::new();
        for line in include_str!("../../fixtures/control-requests-1.jsonl").lines() {
            let request: Request = serde_json::from_str(line).expect("it is understood");
            same(line, serde_json::to_value(request).expect("it can be written"));
            asked.push((request.format, request.request));
        }
        assert_eq!(asked, [Ask::Status, Ask::Load, Ask::Drain].map(|ask| (CONTROL_FORMAT, ask)));
        let answers = include_str!("../../fixtures/control-answers-1.jsonl");
        for line in answers.lines() {
            let answer: Answer = serde_json::from_str(line).expect("it is understood");
            same(line, serde_json::to_value(answer).expect("it can be written"));
        }
        assert_eq!(answers.lines().count(), 3);
    }

    #[test]
    fn messages_have_their_written_form() {
        let request = Request { format: 1, request: Ask::Status };
        assert_eq!(
            serde_json::to_string(&request).ok().as_deref(),
            Some(r#"{"format":1,"request":"status"}"#)
        );
        let status = RouterStatus { router: RouterId::from_u128(1), loaded: None, held: Vec::new() };
        let report = Report { status, activity: Activity::Serving, refused: None };
        let answer = Answer { format: 1, outcome: Outcome::Report(report) };
        let text = serde_json::to_string(&answer).expect("it serialises");
        insta::assert_snapshot!(text);
        assert_eq!(serde_json::from_str::<Answer>(&text).expect("it parses"), answer);
    }
}
