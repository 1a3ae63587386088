//! Black box: health checks from app.json to what people see at a push that fails. What checks do while processes live is a matter of
//! the contract's vectors.

mod support;

use support::repository::Repository;
use support::server::Server;

const APP: &str = "well";

#[test]
fn checks_decide_about_releases() {
    let server = Server::start();
    server.dozen(&["apps:create", APP]);
    let repository = Repository::with_probe();
    repository.connect(&server, APP);
    repository.push(&server);

    a_command_is_refused_at_build(&server, &repository);
    a_start_that_fails_keeps_the_release_before(&server, &repository);
}

/// Declares the checks of `web`, and what it runs beside the probe.
fn declare(repository: &Repository, beside: &str, checks: &str) {
    repository.write("app.json", &format!(r#"{{"healthchecks": {{"web": [{checks}]}}}}"#));
    repository.write("Procfile", &format!("web: {beside}exec ./probe\n"));
    repository.commit("other checks");
}

fn a_command_is_refused_at_build(server: &Server, repository: &Repository) {
    declare(repository, "", r#"{"type": "liveness", "command": ["true"]}"#);
    let output = repository.try_push(server);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("asks by a command"), "{told}");
}

fn a_start_that_fails_keeps_the_release_before(server: &Server, repository: &Repository) {
    let check =
        r#"{"type": "startup", "path": "/see?path=/app/seed", "content": "seen", "attempts": 2, "wait": 1}"#;
    declare(repository, "echo no seed is here; ", check);
    let output = repository.try_push(server);
    let told = String::from_utf8_lossy(&output.stderr);
    let reason = "Release failed: web.1 did not start: its startup check \"startup-1\" failed 2 times in a row: GET http://";
    assert!(told.contains(reason), "{told}");
    assert!(told.contains("/see?path=/app/seed: 200 OK: refused: No such file"), "{told}");
    assert!(told.contains("app[web.1]: no seed is here"), "the last lines of its log: {told}");
    assert_eq!(server.get(APP, "/").json()["release"], "v1");
    repository.write("seed", "x");
    repository.commit("a seed");
    repository.push(server);
    assert_eq!(server.get(APP, "/").json()["release"], "v3");
}
