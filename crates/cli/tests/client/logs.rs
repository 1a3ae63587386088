//! `logs`: what is asked, what is printed, and how a tail goes on.

use crate::dozen::Dozen;
use crate::refusal;
use crate::stub::{Reply, Stub};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const FIRST: &str = "2026-01-31T12:00:00.000000+00:00 app[web.1]: one";
const SECOND: &str = "2026-01-31T12:00:01.000000+00:00 heroku[router]: two";

fn session_answer(url: &str) -> Reply {
    let at = "2026-01-31T12:00:00Z";
    let id = "01234567-89ab-4cde-8f01-23456789abcd";
    Reply::Json(
        201,
        format!(r#"{{"created_at":"{at}","id":"{id}","logplex_url":"{url}/stream","updated_at":"{at}"}}"#),
    )
}

/// Answers the stream's requests one after the other.
fn log_servers(replies: Vec<Reply>) -> (Stub, Stub) {
    let next = Arc::new(AtomicUsize::new(0));
    let stream =
        Stub::start(move |_| replies[next.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)].clone());
    let url = stream.url();
    let api = Stub::start(move |request| match request.line().as_str() {
        "POST /apps/hello/log-sessions" => session_answer(&url),
        _ => refusal(request),
    });
    (api, stream)
}

fn events(text: &str) -> Reply {
    Reply::text("text/event-stream", text)
}

#[test]
fn lines_of_the_past() {
    let (api, stream) =
        log_servers(vec![events(&format!(": hello\n\nid: 1\ndata: {FIRST}\n\nid: 2\ndata: {SECOND}\n\n"))]);
    let dozen = Dozen::at(&api.url());
    let ended = dozen.run(&["logs", "-a", "hello", "-n", "5", "--source", "app", "-d", "web.1"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), format!("{FIRST}\n{SECOND}\n").as_str()));
    assert_eq!(api.requests()[0].body, r#"{"dyno":"web.1","lines":5,"source":"app","tail":false}"#);
    assert_eq!(stream.requests().len(), 1);
    dozen.run(&["logs", "-a", "hello", "--ps", "web"]);
    dozen.run(&["logs", "-a", "hello", "--ps", "web.1"]);
    assert_eq!(api.requests()[1].body, r#"{"type":"web","lines":100,"tail":false}"#);
    assert_eq!(api.requests()[2].body, r#"{"dyno":"web.1","lines":100,"tail":false}"#);
}

#[test]
fn a_tail_goes_on_behind_its_last_line_until_the_stream_is_gone() {
    let (api, stream) = log_servers(vec![
        events(&format!("retry: 1\nid: 1\ndata: {FIRST}\n\n")),
        events(&format!("id: 2\ndata: {SECOND}\n\n")),
        Reply::Json(404, "{}".to_owned()),
    ]);
    let ended = Dozen::at(&api.url()).run(&["logs", "--tail", "-a", "hello"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), format!("{FIRST}\n{SECOND}\n").as_str()));
    let after: Vec<_> =
        stream.requests().iter().map(|request| request.header("last-event-id").map(str::to_owned)).collect();
    assert_eq!(after, [None, Some("1".to_owned()), Some("2".to_owned())]);
    assert_eq!(api.requests().len(), 1, "the session is asked for once");
}

#[test]
fn json_lines_are_objects() {
    let (api, _stream) = log_servers(vec![events(&format!("data: {FIRST}\n\n"))]);
    let ended = Dozen::at(&api.url()).run(&["logs", "-a", "hello", "--json"]);
    let line: serde_json::Value = serde_json::from_str(ended.stdout()).expect("an object");
    assert_eq!(
        (line["source"].as_str(), line["process"].as_str(), line["message"].as_str()),
        (Some("app"), Some("web.1"), Some("one"))
    );
}
