//! A git repository: its app is found, its remote made, and git itself gets the token from the login.

use crate::dozen::{Dozen, end_of};
use crate::stub::{Reply, Stub};
use crate::{json, samples, server};
use api::account::Account;

fn api_server() -> Stub {
    let account = Account::new(samples::user().id, samples::user().email, samples::at());
    server(vec![
        ("GET /account", json(&account)),
        ("POST /apps", json(&samples::app("hello"))),
        ("GET /apps/hello", json(&samples::app("hello"))),
        ("GET /apps/hello/dynos", Reply::json("[]")),
        ("GET /dozen/apps/hello/status", json(&samples::app_status("hello"))),
    ])
}

fn logged_in(server: &Stub) -> Dozen {
    let dozen = Dozen::new();
    let ended = dozen.run_with_input(&["login", "--url", &server.url(), "--token-stdin"], b"t0ken\n");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    dozen
}

#[test]
fn a_new_app_in_a_repository_gets_a_remote_that_later_commands_find() {
    let server = api_server();
    let dozen = logged_in(&server);
    dozen.git(&["init", "-q"]);
    let ended = dozen.run(&["create", "hello"]);
    assert_eq!(ended.stdout(), "http://hello.localhost:8080/ | https://localhost:8443/hello.git\n");
    assert!(
        ended.stderr.starts_with("Creating hello... done, hello\nGit remote dozen leads to "),
        "{}",
        ended.stderr
    );
    assert_eq!(dozen.git(&["remote", "get-url", "dozen"]).trim(), format!("{}/hello.git", server.url()));
    assert_eq!(server.requests()[1].body, r#"{"name":"hello"}"#);
    assert_eq!(dozen.run(&["ps"]).code, Some(0));
    assert!(server.lines().contains(&"GET /apps/hello/dynos".to_owned()));
}

#[test]
fn trust_that_git_would_not_use_is_told() {
    let server = api_server();
    let dozen = logged_in(&server);
    let ca = dozen.path("ca.pem");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&ca, own.cert.pem()).unwrap();
    let dozen = dozen.with("DOZEN_CA_FILE", &ca);
    dozen.git(&["init", "-q"]);
    let quiet = dozen.run(&["git:remote", "-a", "hello"]);
    assert!(quiet.code == Some(0) && !quiet.stderr.contains("GIT_SSL_CAINFO"), "{quiet:?}");
    let dozen = dozen.with("GIT_SSL_CAINFO", "/etc/elsewhere.pem");
    let told = dozen.run(&["git:remote", "-a", "hello"]);
    assert_eq!(told.code, Some(0));
    assert!(told.stderr.contains("GIT_SSL_CAINFO is set to /etc/elsewhere.pem"), "{}", told.stderr);
}

#[test]
fn outside_a_repository_no_remote_is_made() {
    let server = api_server();
    let dozen = logged_in(&server);
    assert_eq!(dozen.run(&["create"]).stderr, "Creating app... done, hello\n");
    let ended = dozen.run(&["git:remote", "-a", "hello"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("no git repository"));
}

#[test]
fn git_asks_us_for_the_token_of_this_server_alone() {
    let server = api_server();
    let dozen = logged_in(&server);
    dozen.git(&["init", "-q"]);
    for _ in 0..2 {
        assert_eq!(dozen.run(&["git:remote", "-a", "hello"]).code, Some(0), "setting it again is no failure");
    }
    let host = server.url().replace("http://", "");
    let ask = |host: &str| {
        let request = format!("protocol=http\nhost={host}\npath=hello.git\n\n");
        end_of(dozen.command("git").args(["credential", "fill"]), request.as_bytes())
    };
    let answer = ask(&host);
    assert!(answer.stdout().contains("password=t0ken\n"), "{answer:?}");
    let other = ask("127.0.0.1:1");
    assert!(other.code != Some(0) && !other.stdout().contains("t0ken"), "{other:?}");
}

#[test]
fn the_helper_answers_nothing_for_strangers_and_stores_nothing() {
    let server = api_server();
    let dozen = logged_in(&server);
    let request = "protocol=https\nhost=github.com\n\n";
    for operation in ["get", "store", "erase"] {
        let ended = dozen.run_with_input(&["git:credentials", operation], request.as_bytes());
        assert_eq!((ended.code, ended.stdout(), ended.stderr.as_str()), (Some(0), "", ""));
    }
}

/// A repository may be anybody's: what it says about remotes is text and nothing more.
#[test]
fn an_odd_remote_runs_nothing() {
    let server = api_server();
    let dozen = logged_in(&server);
    dozen.git(&["init", "-q"]);
    dozen.git(&["remote", "add", "dozen", "https://h/$(touch pwned).git"]);
    let ended = dozen.run(&["ps"]);
    assert_eq!(ended.code, Some(2));
    assert!(server.lines().contains(&"GET /apps/%24%28touch%20pwned%29/dynos".to_owned()));
    assert!(!dozen.path("pwned").exists());
}
