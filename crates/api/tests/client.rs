//! What the client sends, and what it makes of what comes back, against a server that answers by a table.

mod stub;

use api::Token;
use api::app::CreateApp;
use api::client::stream::Stream;
use api::client::{Client, ClientError, Target, Trust};
use api::config_vars::ConfigPatch;
use std::sync::atomic::{AtomicUsize, Ordering};
use stub::{Reply, Request, Stub};

const ACCOUNT: &str = r#"{"allow_tracking":false,"beta":false,"created_at":"2026-01-31T12:00:00Z","email":"ada@example.com",
  "federated":false,"id":"01234567-89ab-4cde-8f01-23456789abcd","identity_provider":null,"last_login":null,"name":null,
  "sms_number":null,"suspended_at":null,"delinquent_at":null,"two_factor_authentication":false,
  "updated_at":"2026-01-31T12:00:00Z","verified":true,"country_of_residence":null,"default_organization":null,"default_team":null,
  "unknown_to_us":1}"#;

fn client(stub: &Stub) -> Client {
    let target = Target {
        url: stub.url().parse().expect("an address"),
        token: Some(Token::new("secret-token")),
        trust: Trust::Only { origin: "test".to_owned(), certificates: Vec::new() },
    };
    Client::new(target, "dozen/test").expect("a client")
}

/// Answers the first `failures` requests by hanging up.
fn flaky(failures: usize, then: impl Fn(&Request) -> Reply + Send + 'static) -> Stub {
    let seen = AtomicUsize::new(0);
    Stub::start(
        move |request| {
            if seen.fetch_add(1, Ordering::SeqCst) < failures { Reply::HangUp } else { then(request) }
        },
    )
}

#[test]
fn a_request_carries_its_headers() {
    let stub = Stub::start(|_| Reply::json(ACCOUNT));
    assert_eq!(client(&stub).account().expect("an account").email, "ada@example.com");
    let requests = stub.requests();
    assert_eq!(requests[0].line(), "GET /account");
    for (name, value) in [
        ("accept", "application/vnd.heroku+json; version=3"),
        ("authorization", "Bearer secret-token"),
        ("user-agent", "dozen/test"),
    ] {
        assert_eq!(requests[0].header(name), Some(value));
    }
}

#[test]
fn a_get_survives_a_broken_connection() {
    let stub = flaky(2, |_| Reply::json(ACCOUNT));
    client(&stub).account().expect("an account");
    assert_eq!(stub.lines(), ["GET /account"; 3]);
}

#[test]
fn a_post_is_repeated_under_the_same_key_and_another_has_another() {
    let stub = flaky(1, |_| Reply::Json(422, r#"{"id":"invalid_params","message":"no"}"#.to_owned()));
    let client = client(&stub);
    for _ in 0..2 {
        assert!(client.create_app(&CreateApp::default()).is_err());
    }
    let requests = stub.requests();
    let keys: Vec<_> =
        requests.iter().map(|request| request.header("idempotency-key").expect("a key").to_owned()).collect();
    assert_eq!((keys.len(), &keys[0]), (3, &keys[1]));
    assert_ne!(keys[1], keys[2]);
    assert_eq!(
        (requests[0].body.as_str(), requests[0].header("content-type")),
        ("{}", Some("application/json"))
    );
}

#[test]
fn a_patch_and_a_delete_are_sent_once() {
    let stub = Stub::start(|_| Reply::HangUp);
    let client = client(&stub);
    let error = client.patch_config_vars("hello", &ConfigPatch::default()).expect_err("no answer");
    assert!(matches!(error, ClientError::Transport { .. }) && error.may_pass(), "{error:?}");
    assert!(client.destroy_app("hello").is_err());
    assert_eq!(stub.lines(), ["PATCH /apps/hello/config-vars", "DELETE /apps/hello"]);
}

#[test]
fn a_refusal_keeps_the_servers_words() {
    let body = r#"{"id":"not_found","message":"There is no app named hello.","resource":"app","hints":["Ask for another."]}"#;
    let stub = Stub::start(move |_| Reply::Json(404, body.to_owned()));
    let error = client(&stub).app("hello").expect_err("refused");
    assert_eq!(error.to_string(), "There is no app named hello.");
    let body = error.api().expect("the server's words");
    assert_eq!((body.id.as_str(), body.resource.as_deref(), body.hints.len()), ("not_found", Some("app"), 1));
}

#[test]
fn what_is_not_ours_is_shown_in_short() {
    let stub = Stub::start(|_| {
        Reply::Full(502, Vec::new(), "text/html", format!("<h1>\n Bad  {}", "x".repeat(1000)))
    });
    let error = client(&stub).account().expect_err("refused");
    assert!(
        error.to_string().starts_with("/account was answered with status 502 and no reason: <h1> Bad xxx"),
        "{error}"
    );
    assert!(error.to_string().len() < 300);
}

#[test]
fn redirects_are_refused_and_the_token_goes_nowhere() {
    let elsewhere = Stub::start(|_| Reply::json(ACCOUNT));
    let location = format!("{}/account", elsewhere.url());
    let stub = Stub::start(move |_| {
        Reply::Full(307, vec![("Location".to_owned(), location.clone())], "text/plain", String::new())
    });
    let error = client(&stub).account().expect_err("refused");
    assert!(matches!(error, ClientError::Redirect { .. }), "{error:?}");
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn a_list_is_read_to_its_last_page() {
    let stub = Stub::start(|request| match request.header("range") {
        None => Reply::Full(
            206,
            vec![("Next-Range".to_owned(), "id ]a..; max=200".to_owned())],
            "application/json",
            "[]".to_owned(),
        ),
        Some("id ]a..; max=200") => Reply::json("[]"),
        Some(other) => Reply::Json(416, format!(r#"{{"id":"x","message":"{other}"}}"#)),
    });
    client(&stub).apps().expect("a list");
    assert_eq!(stub.lines(), ["GET /users/~/apps"; 2]);
}

#[test]
fn the_newest_are_one_page() {
    let next = || vec![("Next-Range".to_owned(), "version ]1..; max=15, order=desc".to_owned())];
    let stub = Stub::start(move |_| Reply::Full(206, next(), "application/json", "[]".to_owned()));
    client(&stub).newest_releases("hello", 15).expect("a list");
    let requests = stub.requests();
    assert_eq!((requests.len(), requests[0].header("range")), (1, Some("version ..; max=15, order=desc")));
}

#[test]
fn an_answer_of_another_kind_is_an_error_and_not_a_panic() {
    for body in ["", "[]", "{}", "<html>", "{\"email\":1}"] {
        let stub = Stub::start(move |_| Reply::json(body));
        assert!(matches!(client(&stub).account(), Err(ClientError::Unreadable { .. })), "{body}");
    }
}

#[test]
fn names_are_escaped_in_paths() {
    let stub = Stub::start(|_| Reply::Json(404, r#"{"id":"not_found","message":"no"}"#.to_owned()));
    let _ = client(&stub).app("../account");
    assert_eq!(stub.lines(), ["GET /apps/..%2Faccount"]);
}

#[test]
fn streams_are_read_by_the_line_without_the_token() {
    let stub = Stub::start(|request| match request.path.as_str() {
        "/logs" => Reply::text("text/event-stream", "id: 1\ndata: one\r\n\ndata: two"),
        "/gone" => Reply::Json(404, "{}".to_owned()),
        _ => Reply::Json(403, r#"{"id":"forbidden","message":"not yours"}"#.to_owned()),
    });
    let client = client(&stub);
    let Ok(Stream::Open(mut lines)) = client.open_events(&format!("{}/logs", stub.url()), Some("7")) else {
        panic!("the stream opens");
    };
    let mut read = Vec::new();
    while let Some(line) = lines.next_line().expect("unbroken") {
        read.push(line);
    }
    assert_eq!(read, ["id: 1", "data: one", "", "data: two"]);
    assert!(matches!(client.open_text(&format!("{}/gone", stub.url())), Ok(Stream::Absent)));
    let refused = client.open_text(&format!("{}/x?secret", stub.url())).err().expect("refused");
    assert_eq!(refused.to_string(), "not yours");
    let requests = stub.requests();
    assert!(requests.iter().all(|request| request.header("authorization").is_none()));
    let (accept, after) = (requests[0].header("accept"), requests[0].header("last-event-id"));
    assert_eq!((accept, after), (Some("text/event-stream"), Some("7")));
}

#[test]
fn a_server_that_is_not_there_is_told_as_such() {
    let url = Stub::start(|_| Reply::HangUp).url();
    let target = Target { url: url.parse().expect("an address"), token: None, trust: Trust::System };
    let error = Client::new(target, "dozen/test").expect("a client").account().expect_err("nobody there");
    assert!(error.to_string().contains(&url) && error.may_pass(), "{error}");
}
