//! Black box: health checks from app.json to what people see: a push that fails with its reason, a route table that follows
//! readiness, a process that is started again.

mod support;

use support::eventually;
use support::repository::Repository;
use support::server::Server;

const APP: &str = "well";

#[test]
fn checks_decide_about_releases_routes_and_processes() {
    let server = Server::start();
    server.dozen(&["apps:create", APP]);
    let repository = Repository::with_probe();
    repository.connect(&server, APP);
    repository.push(&server);

    a_command_is_refused_at_build(&server, &repository);
    a_start_that_fails_keeps_the_release_before(&server, &repository);
    readiness_decides_about_routes(&server, &repository);
    liveness_starts_a_process_again(&server, &repository);
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

fn readiness_decides_about_routes(server: &Server, repository: &Repository) {
    let check = r#"{"type": "readiness", "path": "/see?path=/tmp/able", "content": "seen", "attempts": 1, "wait": 1}"#;
    // One of two goes and comes back for ever.
    let beside = "touch /tmp/able; \
        if [ $DYNO = web.2 ]; then (while :; do sleep 4; rm /tmp/able; sleep 4; touch /tmp/able; done) & fi; ";
    declare(repository, beside, check);
    server.dozen(&["ps:scale", "web=2", "-a", APP]);
    repository.push(server);
    for routed in [&["web.1", "web.2"][..], &["web.1"], &["web.1", "web.2"]] {
        eventually(&format!("{routed:?} are routed"), 60, || (routes(server) == routed).then_some(()));
    }
    let logs = server.dozen(&["logs", "-n", "1500", "-a", APP]);
    assert!(
        logs.contains("heroku[web.2]: Taking this process out of the routes: its readiness check"),
        "{logs}"
    );
    assert!(!logs.contains("heroku[web.1]: Taking this process"), "{logs}");
    server.dozen(&["ps:scale", "web=1", "-a", APP]);
}

/// The names of the processes that the published table routes to.
fn routes(server: &Server) -> Vec<String> {
    let text = std::fs::read_to_string(server.data().join("routes/table.json")).expect("a route table");
    let table: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let all = table["apps"].as_array().expect("apps").iter().filter(|app| app["name"] == APP);
    let processes = all.flat_map(|app| app["processes"].as_array().cloned().unwrap_or_default());
    processes.filter_map(|process| process["name"].as_str().map(str::to_owned)).collect()
}

fn liveness_starts_a_process_again(server: &Server, repository: &Repository) {
    let check = r#"{"type": "liveness", "path": "/see?path=/tmp/alive", "content": "seen", "attempts": 2, "wait": 1}"#;
    declare(repository, "touch /tmp/alive; (sleep 3; rm /tmp/alive) & ", check);
    repository.push(server);
    let first = server.get(APP, "/").json()["started"].clone();
    eventually("it is another process", 60, || {
        let answer = server.get(APP, "/");
        (answer.status == 200 && answer.json()["started"] != first).then_some(())
    });
    let logs = server.dozen(&["logs", "-n", "1500", "-a", APP]);
    let told = [
        "heroku[web.1]: Stopping this process: its liveness check \"liveness-1\" failed 2 times in a row: GET http://",
        "heroku[web.1]: State changed from up to crashed",
    ];
    assert!(told.iter().all(|line| logs.contains(line)), "{logs}");
}
