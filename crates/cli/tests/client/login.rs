//! `login`, `logout`, `auth:whoami`: where tokens are kept and which one is used.

use crate::dozen::{Dozen, mode_of};
use crate::stub::{Reply, Stub};
use crate::{json, samples};
use api::account::Account;

fn account_server() -> Stub {
    Stub::start(|request| match (request.line().as_str(), request.header("authorization")) {
        ("GET /account", Some("Bearer right")) => {
            json(&Account::new(samples::user().id, samples::user().email, samples::at()))
        }
        _ => Reply::Json(401, r#"{"id":"unauthorized","message":"The token is not valid."}"#.to_owned()),
    })
}

#[test]
fn a_login_is_kept_for_later_commands_and_forgotten_by_logout() {
    let (server, dozen) = (account_server(), Dozen::new());
    let ended = dozen.run_with_input(&["login", "--url", &server.url(), "--token-stdin"], b"right\n");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr, format!("Logged in to {} as ada@example.com\n", server.url()));
    let file = dozen.home().join("credentials.json");
    assert_eq!(mode_of(&file), 0o600);

    let ended = dozen.run(&["whoami"]);
    assert_eq!((ended.code, ended.stdout()), (Some(0), "ada@example.com\n"));
    assert_eq!(dozen.run(&["auth:token"]).stdout(), "right\n");

    assert_eq!(dozen.run(&["logout"]).code, Some(0));
    let ended = dozen.run(&["whoami"]);
    assert_eq!((ended.code, ended.stdout()), (Some(1), ""));
    assert!(ended.stderr.starts_with("error: not logged in\nhint: "), "{}", ended.stderr);
}

#[test]
fn a_wrong_token_is_not_kept() {
    let (server, dozen) = (account_server(), Dozen::new());
    let ended = dozen.run_with_input(&["login", "--url", &server.url(), "--token-stdin"], b"wrong\n");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("The token is not valid."), "{}", ended.stderr);
    assert!(!dozen.home().exists());
    assert!(!ended.stderr.contains("wrong"), "a token is never shown: {}", ended.stderr);
}

#[test]
fn the_environment_goes_before_the_file() {
    let (server, dozen) = (account_server(), Dozen::new());
    dozen.run_with_input(&["login", "--url", &server.url(), "--token-stdin"], b"right\n");
    let dozen = dozen.with("DOZEN_TOKEN", "other");
    assert_eq!(dozen.run(&["whoami"]).code, Some(2));
    let elsewhere = account_server();
    let dozen = dozen.with("DOZEN_URL", elsewhere.url()).with("DOZEN_TOKEN", "right");
    assert_eq!(dozen.run(&["whoami"]).code, Some(0));
    assert_eq!(elsewhere.lines(), ["GET /account"]);
}

#[test]
fn credentials_that_others_can_read_are_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let (server, dozen) = (account_server(), Dozen::new());
    dozen.run_with_input(&["login", "--url", &server.url(), "--token-stdin"], b"right\n");
    let file = dozen.home().join("credentials.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
    let ended = dozen.run(&["whoami"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("can be read by others") && ended.stderr.contains("chmod 600"),
        "{}",
        ended.stderr
    );
    assert_eq!(server.lines().len(), 1, "nothing was sent after the login");
}

#[test]
fn a_server_that_cannot_be_reached_is_a_failure_with_a_hint() {
    let url = account_server().url();
    let ended = Dozen::at(&url).run(&["whoami"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("\n  because Connection refused"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("got no answer") && ended.stderr.contains("hint: Is the server running?"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_token_goes_to_no_unencrypted_server() {
    let ended = Dozen::at("http://192.0.2.1:8443").run(&["whoami"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("not encrypted"), "{}", ended.stderr);
}
